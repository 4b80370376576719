//! Document paths once their names are known.

use super::ast::{AttributeName, Path, PathStep};
use super::error::Reason;
use super::scope::Scope;
use crate::item::{AttributeValue, AttributeValueRef, ItemRef};

/// A step with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Name(&'a str),
    Index(u64),
}

/// Attribute and steps of a path.
pub(super) fn keys<'a>(path: &'a Path, scope: &'a Scope) -> impl Iterator<Item = Key<'a>> {
    std::iter::once(Key::Name(scope.name(&path.root))).chain(steps(path, scope))
}

/// The steps of a path.
pub(super) fn steps<'a>(path: &'a Path, scope: &'a Scope) -> impl Iterator<Item = Key<'a>> {
    path.steps.iter().map(|step| key(step, scope))
}

fn key<'a>(step: &'a PathStep, scope: &'a Scope) -> Key<'a> {
    match step {
        PathStep::Name(name) => Key::Name(scope.name(name)),
        PathStep::Index(index) => Key::Index(*index),
    }
}

/// The path as AWS prints it: `[a, b, [1]]`.
pub(super) fn print(path: &Path, scope: &Scope) -> String {
    let parts: Vec<String> = keys(path, scope)
        .map(|key| match key {
            Key::Name(name) => name.to_owned(),
            Key::Index(index) => format!("[{index}]"),
        })
        .collect();
    format!("[{}]", parts.join(", "))
}

/// True when both paths name the same place.
pub(super) fn same(a: &Path, b: &Path, scope: &Scope) -> bool {
    keys(a, scope).eq(keys(b, scope))
}

/// Every name in a path.
pub(super) fn names(path: &Path) -> impl Iterator<Item = &AttributeName> {
    std::iter::once(&path.root).chain(path.steps.iter().filter_map(|step| match step {
        PathStep::Name(name) => Some(name),
        PathStep::Index(_) => None,
    }))
}

/// What is at the path in a stored item.
#[inline]
pub(super) fn find<'a>(path: &Path, scope: &Scope, item: ItemRef<'a>) -> Option<AttributeValueRef<'a>> {
    let value = item.get(scope.name(&path.root))?;
    if path.steps.is_empty() { Some(value) } else { find_below(value, &path.steps, scope) }
}

/// The container of the place that the path names.
pub(super) fn find_parent<'a>(
    path: &Path,
    scope: &Scope,
    item: ItemRef<'a>,
) -> Option<AttributeValueRef<'a>> {
    let (_, before) = path.steps.split_last()?;
    find_below(item.get(scope.name(&path.root))?, before, scope)
}

fn find_below<'a>(
    mut value: AttributeValueRef<'a>,
    below: &[PathStep],
    scope: &Scope,
) -> Option<AttributeValueRef<'a>> {
    for key in below.iter().map(|step| key(step, scope)) {
        value = match (key, value) {
            (Key::Name(name), AttributeValueRef::M(map)) => map.get(name.as_bytes())?,
            (Key::Index(index), AttributeValueRef::L(list)) if index < list.len() as u64 => {
                list.get(index as usize)?
            }
            _ => return None,
        };
    }
    Some(value)
}

/// One step into an owned value.
pub(super) fn enter<'v>(value: &'v mut AttributeValue, key: Key<'_>) -> Option<&'v mut AttributeValue> {
    match (key, value) {
        (Key::Name(name), AttributeValue::M(map)) => map.get_mut(name),
        (Key::Index(index), AttributeValue::L(list)) => list.get_mut(usize::try_from(index).ok()?),
        _ => None,
    }
}

/// Checks that no path equals another, that none lies within another, and that no two use one value as a list and as a
/// map. O(n log n) in the number of paths if their attributes differ, else quadratic; the limits bound that.
pub(super) fn check_overlaps(paths: &[&Path], scope: &Scope) -> Result<(), Reason> {
    if paths.len() < 2 {
        return Ok(());
    }
    let mut roots: Vec<&str> = paths.iter().map(|path| scope.name(&path.root)).collect();
    roots.sort_unstable();
    if roots.windows(2).all(|pair| pair.first() != pair.last()) {
        return Ok(());
    }
    let resolved: Vec<Vec<Key<'_>>> = paths.iter().map(|path| keys(path, scope).collect()).collect();
    let mut conflict = None;
    for (at, later) in resolved.iter().enumerate() {
        for (before, earlier) in resolved.iter().enumerate().take(at) {
            let parted = earlier.iter().zip(later).find(|(x, y)| x != y);
            let pair = || {
                let text = |index: usize| paths.get(index).map(|path| print(path, scope)).unwrap_or_default();
                (text(before), text(at))
            };
            match parted {
                None => {
                    let (one, two) = pair();
                    return Err(Reason::Overlap(one, two));
                }
                Some((Key::Name(_), Key::Index(_)) | (Key::Index(_), Key::Name(_))) if conflict.is_none() => {
                    conflict = Some(pair());
                }
                Some(_) => {}
            }
        }
    }
    match conflict {
        Some((one, two)) => Err(Reason::Conflict(one, two)),
        None => Ok(()),
    }
}
