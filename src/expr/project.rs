//! Parts of items.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::ast::{AttributeName, Path, PathStep};
use super::scope::Scope;
use crate::item::{
    AttributeValue, AttributeValueRef, EncodedValue, Item, ItemBuilder, ItemError, ItemRef, MapRef,
    StoredList,
};

/// So many names are looked up one by one.
const FEW_NAMES: usize = 4;

/// Which parts of a value are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    whole: bool,
    names: BTreeMap<Box<str>, Wanted>,
    indexes: BTreeMap<u64, Wanted>,
}

/// A projection, ready for any number of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundProjection {
    attributes: BTreeMap<Box<str>, Wanted>,
}

impl BoundProjection {
    /// Whole attributes by their names.
    pub fn attributes(names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let whole = Wanted { whole: true, ..Wanted::default() };
        Self { attributes: names.into_iter().map(|name| (name.into(), whole.clone())).collect() }
    }

    pub(super) fn new(paths: &[Path], scope: &Scope) -> Self {
        Self::from_paths(paths.iter(), scope)
    }

    pub(super) fn from_paths<'p>(paths: impl Iterator<Item = &'p Path>, scope: &Scope) -> Self {
        let mut projection = Self::default();
        let owned = |name: &AttributeName| Box::<str>::from(scope.name(name));
        for path in paths {
            let mut wanted = projection.attributes.entry(owned(&path.root)).or_default();
            for step in &path.steps {
                wanted = match step {
                    PathStep::Name(name) => wanted.names.entry(owned(name)).or_default(),
                    PathStep::Index(index) => wanted.indexes.entry(*index).or_default(),
                };
            }
            wanted.whole = true;
        }
        projection
    }

    /// Calls `visit` with the names and values of the projected attributes that the item has, ascending by name. Lists
    /// keep only the wanted values, in order. Containers that become empty are left out.
    ///
    /// # Errors
    /// Those of `visit`.
    pub fn each<E: From<ItemError>>(
        &self,
        item: ItemRef<'_>,
        mut visit: impl FnMut(&str, &AttributeValueRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        each_wanted(&item.attributes(), &self.attributes, |name, value, wanted| {
            if wanted.whole {
                visit(name, value)?;
            } else if let Some(part) = part_of(value, wanted) {
                visit(name, &EncodedValue::new(&part)?.view())?;
            }
            Ok(())
        })
    }

    /// The projected part of the item, as an item.
    ///
    /// # Errors
    /// A valid item causes none.
    pub fn apply(&self, item: ItemRef<'_>) -> Result<Item, ItemError> {
        let mut builder = ItemBuilder::new();
        self.each(item, |name, value| builder.put(name, value).map(|_| ()))?;
        Ok(builder.finish())
    }

    /// The names of the attributes it looks at.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.attributes.keys().map(AsRef::as_ref)
    }
}

/// Calls `visit` with the wanted names that a map has, ascending, and their values. Few names are looked up; many are
/// found in one walk along the map, because to look up a name takes O(attributes).
fn each_wanted<E>(
    map: &MapRef<'_>,
    wanted: &BTreeMap<Box<str>, Wanted>,
    mut visit: impl FnMut(&str, &AttributeValueRef<'_>, &Wanted) -> Result<(), E>,
) -> Result<(), E> {
    if wanted.len() <= FEW_NAMES {
        for (name, inner) in wanted {
            map.get(name.as_bytes()).map_or(Ok(()), |value| visit(name, &value, inner))?;
        }
        return Ok(());
    }
    let mut names = wanted.iter().peekable();
    for (name, value) in *map {
        while names.next_if(|(wanted, _)| wanted.as_bytes() < name).is_some() {}
        match names.next_if(|(wanted, _)| wanted.as_bytes() == name) {
            Some((name, inner)) => visit(name, &value, inner)?,
            None if names.peek().is_none() => break,
            None => {}
        }
    }
    Ok(())
}

fn part_of(value: &AttributeValueRef<'_>, wanted: &Wanted) -> Option<AttributeValue> {
    if wanted.whole {
        return Some(value.to_owned_value());
    }
    match value {
        AttributeValueRef::M(map) => part_of_map(map, wanted),
        AttributeValueRef::L(list) => part_of_list(list, wanted),
        _ => None,
    }
}

fn part_of_map(map: &MapRef<'_>, wanted: &Wanted) -> Option<AttributeValue> {
    let mut part = BTreeMap::new();
    let Ok(()) = each_wanted::<Infallible>(map, &wanted.names, |name, value, inner| {
        part.extend(part_of(value, inner).map(|inner| (name.to_owned(), inner)));
        Ok(())
    });
    (!part.is_empty()).then_some(AttributeValue::M(part))
}

fn part_of_list(list: &StoredList<'_>, wanted: &Wanted) -> Option<AttributeValue> {
    let values =
        list.iter().zip(0_u64..).filter_map(|(value, index)| part_of(&value, wanted.indexes.get(&index)?));
    let part: Vec<AttributeValue> = values.collect();
    (!part.is_empty()).then_some(AttributeValue::L(part))
}
