//! Applies updates to items.
//!
//! Every value is computed from the item as it was before the update. Problems are reported in AWS's order: a place of
//! the wrong kind; a wrong type anywhere; then, section by section from the last one, a place that does not exist and
//! an attribute that is read but missing; then results that are no valid numbers; at last, values that no item can
//! hold.

use smallvec::SmallVec;
use std::cell::Cell;

use super::ast::{Action, Function, FunctionCall, Operand, Path, PathStep, SetValue, ValueTerm};
use super::bound::BoundUpdate;
use super::error::ExprError;
use super::path::{self, Key};
use super::scope::Scope;
use crate::item::{
    AttributeValue, AttributeValueRef, Item, ItemEditor, ItemError, ItemLimits, ItemRef, Number, NumberError,
};

/// A value to write: borrowed from an item or a placeholder, or new.
enum New<'a> {
    Ref(AttributeValueRef<'a>),
    Owned(AttributeValue),
}

impl New<'_> {
    fn number(&self) -> Option<Number> {
        match self {
            Self::Ref(AttributeValueRef::N(number)) | Self::Owned(AttributeValue::N(number)) => Some(*number),
            _ => None,
        }
    }

    fn into_owned(self) -> AttributeValue {
        match self {
            Self::Ref(value) => value.to_owned_value(),
            Self::Owned(value) => value,
        }
    }
}

/// Why a SET has no value. `WrongType` is reported at once, the others in their turn.
enum NoValue {
    WrongType,
    Missing,
    Number(NumberError),
    TooLarge,
}

/// The sources of an update's values, and a budget for them.
struct Source<'a> {
    scope: &'a Scope,
    item: ItemRef<'a>,
    /// How many bytes, by AWS's rules, may still be copied into the new item. A short text may name a large value many
    /// times, so the values' total size is checked before they are copied.
    left: Cell<usize>,
}

impl Source<'_> {
    /// Charges the budget for a value that becomes part of the new item.
    fn take(&self, value: &AttributeValueRef<'_>) -> Result<(), NoValue> {
        let left = self.left.get().checked_sub(value.least_size()).ok_or(NoValue::TooLarge)?;
        self.left.set(left);
        Ok(())
    }
}

/// What happens at one place.
enum Write<'a> {
    Put(New<'a>),
    Remove,
}

impl Write<'_> {
    /// About how many bytes the new value takes in stored form, without the name.
    fn room(&self) -> usize {
        match self {
            Self::Put(New::Ref(AttributeValueRef::S(bytes) | AttributeValueRef::B(bytes))) => bytes.len() + 8,
            Self::Put(_) => 32,
            Self::Remove => 0,
        }
    }
}

/// The result of evaluating an action: what it writes, or what is missing.
enum Outcome<'a> {
    Ready(Option<Write<'a>>),
    Missing,
    Number(NumberError),
    TooLarge,
}

impl BoundUpdate {
    /// The updated item. `item` is the existing item, or one with only the key attributes. Containers in the result may
    /// nest as deep as the limits say. New values that are larger together than an item may be are not made; whether
    /// the whole item is too large is the caller's to check. Cost in proportion to the item and the update.
    ///
    /// # Errors
    /// Those for which [`ExprError::depends_on_item`] is true.
    pub fn apply(&self, item: ItemRef<'_>, limits: &ItemLimits) -> Result<Item, ExprError> {
        let (actions, scope) = (&self.parsed.root, &self.scope);
        let source = Source { scope, item, left: Cell::new(limits.max_item_bytes) };
        for action in actions {
            if place(action.path(), scope, item) == Place::WrongKind {
                return Err(ExprError::InvalidPath);
            }
        }
        let mut outcomes: SmallVec<[Outcome<'_>; 2]> = SmallVec::new();
        for action in actions {
            outcomes.push(outcome(action, &source)?);
        }
        check_places(actions, &outcomes, scope, item)?;
        let mut writes: Writes<'_> = SmallVec::new();
        let mut too_large = false;
        for (action, outcome) in actions.iter().zip(outcomes) {
            match outcome {
                Outcome::Ready(Some(write)) => writes.push((action.path(), write)),
                Outcome::Ready(None) => {}
                Outcome::Missing => return Err(ExprError::MissingAttribute),
                Outcome::Number(error) => return Err(error.into()),
                Outcome::TooLarge => too_large = true,
            }
        }
        if too_large {
            return Err(ExprError::Item(ItemError::ItemTooLarge));
        }
        write_all(item, writes, scope, limits.max_depth)
    }
}

/// Whether the place that a path names can be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Writable,
    WrongKind,
    Absent,
}

fn place(path: &Path, scope: &Scope, item: ItemRef<'_>) -> Place {
    let Some(last) = path.steps.last() else { return Place::Writable };
    match (path::find_parent(path, scope, item), last) {
        (None, _) => Place::Absent,
        (Some(AttributeValueRef::M(_)), PathStep::Name(_))
        | (Some(AttributeValueRef::L(_)), PathStep::Index(_)) => Place::Writable,
        (Some(_), _) => Place::WrongKind,
    }
}

fn check_places(
    actions: &[Action],
    outcomes: &[Outcome<'_>],
    scope: &Scope,
    item: ItemRef<'_>,
) -> Result<(), ExprError> {
    let all = actions.iter().zip(outcomes);
    let absent = |action: &Action| place(action.path(), scope, item) != Place::Writable;
    let missing = |outcome: &Outcome<'_>| matches!(outcome, Outcome::Missing);
    // The sections decide which problem is reported. Without a problem they need not be examined.
    if !all.clone().any(|(action, outcome)| absent(action) || missing(outcome)) {
        return Ok(());
    }
    let mut sections: Vec<&str> = Vec::new();
    for action in actions {
        if !sections.contains(&action.clause()) {
            sections.push(action.clause());
        }
    }
    for section in sections.into_iter().rev() {
        let in_section = || all.clone().filter(|(action, _)| action.clause() == section);
        if in_section().any(|(action, _)| absent(action)) {
            return Err(ExprError::InvalidPath);
        }
        if in_section().any(|(_, outcome)| missing(outcome)) {
            return Err(ExprError::MissingAttribute);
        }
    }
    Ok(())
}

fn outcome<'a>(action: &'a Action, source: &Source<'a>) -> Result<Outcome<'a>, ExprError> {
    let ready = |write| Ok(Outcome::Ready(write));
    let find = |path| path::find(path, source.scope, source.item);
    match action {
        Action::Set(_, value) => written(set_value(value, source)),
        Action::Remove(_) => ready(Some(Write::Remove)),
        Action::Add(path, value) => {
            let added = source.scope.value(value);
            let sum = match find(path) {
                None => New::Ref(added),
                Some(current) => match add(&current, &added) {
                    Ok(sum) => New::Owned(sum),
                    Err(ExprError::Number(error)) => return Ok(Outcome::Number(error)),
                    Err(error) => return Err(error),
                },
            };
            written(source.take(&added).map(|()| sum))
        }
        Action::Delete(path, value) => match find(path) {
            None => ready(None),
            Some(current) => match subtract(&current, source.scope, value)? {
                Some(left) => ready(Some(Write::Put(New::Owned(left)))),
                None => ready(Some(Write::Remove)),
            },
        },
    }
}

/// The outcome for a value that is put, or for its absence.
fn written(value: Result<New<'_>, NoValue>) -> Result<Outcome<'_>, ExprError> {
    match value {
        Ok(value) => Ok(Outcome::Ready(Some(Write::Put(value)))),
        Err(NoValue::Missing) => Ok(Outcome::Missing),
        Err(NoValue::Number(error)) => Ok(Outcome::Number(error)),
        Err(NoValue::TooLarge) => Ok(Outcome::TooLarge),
        Err(NoValue::WrongType) => Err(ExprError::UpdateOperandType),
    }
}

fn set_value<'a>(value: &'a SetValue, source: &Source<'a>) -> Result<New<'a>, NoValue> {
    let (left, right, negate) = match value {
        SetValue::Operand(one) => {
            let value = operand(one, source)?;
            if let New::Ref(value) = &value {
                source.take(value)?;
            }
            return Ok(value);
        }
        SetValue::Plus(left, right) => (left, right, false),
        SetValue::Minus(left, right) => (left, right, true),
    };
    let left = operand(left, source)?.number().ok_or(NoValue::WrongType)?;
    let right = operand(right, source)?.number().ok_or(NoValue::WrongType)?;
    let result = if negate { left.checked_sub(right) } else { left.checked_add(right) };
    result.map(|number| New::Owned(AttributeValue::N(number))).map_err(NoValue::Number)
}

/// The value of an operand. An owned value is charged to the budget.
fn operand<'a>(one: &'a Operand, source: &Source<'a>) -> Result<New<'a>, NoValue> {
    let find = |path| path::find(path, source.scope, source.item);
    match one {
        Operand::Path(path) => find(path).map(New::Ref).ok_or(NoValue::Missing),
        Operand::Value(value) => Ok(New::Ref(source.scope.value(value))),
        Operand::Call(FunctionCall { function: Function::IfNotExists, args }) => match args.as_slice() {
            [Operand::Path(path), default] => match find(path) {
                Some(current) => Ok(New::Ref(current)),
                None => operand(default, source),
            },
            _ => Err(NoValue::WrongType),
        },
        Operand::Call(FunctionCall { function: Function::ListAppend, args }) => match args.as_slice() {
            [first, second] => {
                let (mut all, more) = match list(first, source) {
                    // All other faults are reported before this one.
                    Err(NoValue::TooLarge) => list(second, source).and(Err(NoValue::TooLarge))?,
                    all => (all?, list(second, source)?),
                };
                all.extend(more);
                Ok(New::Owned(AttributeValue::L(all)))
            }
            _ => Err(NoValue::WrongType),
        },
        Operand::Call(_) => Err(NoValue::WrongType),
    }
}

fn list<'a>(one: &'a Operand, source: &Source<'a>) -> Result<Vec<AttributeValue>, NoValue> {
    match operand(one, source)? {
        New::Ref(AttributeValueRef::L(list)) => {
            source.take(&AttributeValueRef::L(list))?;
            Ok(list.iter().map(|value| value.to_owned_value()).collect())
        }
        New::Owned(AttributeValue::L(list)) => Ok(list),
        _ => Err(NoValue::WrongType),
    }
}

/// The sum of two numbers or the union of two sets of one type.
fn add(current: &AttributeValueRef<'_>, added: &AttributeValueRef<'_>) -> Result<AttributeValue, ExprError> {
    if let (AttributeValueRef::N(current), AttributeValueRef::N(added)) = (current, added) {
        return Ok(AttributeValue::N(current.checked_add(*added)?));
    }
    match (current.to_owned_value(), added.to_owned_value()) {
        (AttributeValue::Ss(mut set), AttributeValue::Ss(more)) => {
            set.extend(more);
            Ok(AttributeValue::Ss(set))
        }
        (AttributeValue::Ns(mut set), AttributeValue::Ns(more)) => {
            set.extend(more);
            Ok(AttributeValue::Ns(set))
        }
        (AttributeValue::Bs(mut set), AttributeValue::Bs(more)) => {
            set.extend(more);
            Ok(AttributeValue::Bs(set))
        }
        _ => Err(ExprError::UpdateOperandType),
    }
}

/// The members of a set that are not in another set of its type; `None` if there are none.
fn subtract(
    current: &AttributeValueRef<'_>,
    scope: &Scope,
    value: &ValueTerm,
) -> Result<Option<AttributeValue>, ExprError> {
    let left = match (current.to_owned_value(), scope.value(value).to_owned_value()) {
        (AttributeValue::Ss(set), AttributeValue::Ss(less)) => AttributeValue::Ss(&set - &less),
        (AttributeValue::Ns(set), AttributeValue::Ns(less)) => AttributeValue::Ns(&set - &less),
        (AttributeValue::Bs(set), AttributeValue::Bs(less)) => AttributeValue::Bs(&set - &less),
        _ => return Err(ExprError::UpdateOperandType),
    };
    let empty = match &left {
        AttributeValue::Ss(set) => set.is_empty(),
        AttributeValue::Ns(set) => set.is_empty(),
        AttributeValue::Bs(set) => set.is_empty(),
        _ => false,
    };
    Ok((!empty).then_some(left))
}

/// What is written, and where.
type Writes<'a> = SmallVec<[(&'a Path, Write<'a>); 2]>;

/// Writes below one attribute: the steps, and what happens there.
type Below<'a> = Vec<(Vec<Key<'a>>, Write<'a>)>;

fn write_all<'a>(
    item: ItemRef<'_>,
    mut writes: Writes<'a>,
    scope: &'a Scope,
    max_depth: usize,
) -> Result<Item, ExprError> {
    let root = |(path, _): &(&'a Path, Write<'a>)| scope.name(&path.root);
    if writes.len() > 1 {
        writes.sort_by(|one, other| root(one).cmp(root(other)));
    }
    let room = writes.iter().map(|write| root(write).len() + write.1.room()).sum();
    let mut editor = ItemEditor::new(item, room);
    let mut writes = writes.into_iter().peekable();
    while let Some((path, write)) = writes.next() {
        let name = scope.name(&path.root);
        // Paths do not overlap, so a write to the whole attribute is the attribute's only write.
        if path.steps.is_empty() {
            match write {
                Write::Put(New::Ref(value)) => editor.put(name, &value)?,
                Write::Put(New::Owned(value)) => editor.put_owned(name, &value)?,
                Write::Remove => editor.remove(name),
            }
            continue;
        }
        let mut below: Below<'a> = vec![(path::steps(path, scope).collect(), write)];
        while let Some((path, write)) = writes.next_if(|next| root(next) == name) {
            below.push((path::steps(path, scope).collect(), write));
        }
        if let Some(value) = item.get(name) {
            let mut value = value.to_owned_value();
            write_below(&mut value, below);
            if value.depth() > max_depth {
                return Err(ExprError::Item(ItemError::TooDeep));
            }
            editor.put_owned(name, &value)?;
        }
    }
    Ok(editor.finish()?)
}

/// Changes of a list that move its values. They are done last and use the original positions.
#[derive(Default)]
struct ListChange {
    removed: Vec<u64>,
    appended: Vec<(u64, AttributeValue)>,
}

fn write_below(root: &mut AttributeValue, writes: Below<'_>) {
    let mut lists: Vec<(Vec<Key<'_>>, ListChange)> = Vec::new();
    for (steps, write) in writes {
        let Some((last, parents)) = steps.split_last() else { continue };
        match (descend(root, parents), last, write) {
            (Some(AttributeValue::M(map)), Key::Name(name), Write::Put(value)) => {
                map.insert((*name).to_owned(), value.into_owned());
            }
            (Some(AttributeValue::M(map)), Key::Name(name), Write::Remove) => {
                map.remove(*name);
            }
            (Some(AttributeValue::L(list)), Key::Index(index), write) => {
                let slot = usize::try_from(*index).ok().and_then(|at| list.get_mut(at));
                match (slot, write) {
                    (Some(slot), Write::Put(value)) => *slot = value.into_owned(),
                    (None, Write::Put(value)) => {
                        change_of(&mut lists, parents).appended.push((*index, value.into_owned()));
                    }
                    (Some(_), Write::Remove) => change_of(&mut lists, parents).removed.push(*index),
                    (None, Write::Remove) => {}
                }
            }
            _ => {}
        }
    }
    // The deepest lists come first, because removing from an outer list moves the lists within it.
    lists.sort_by_key(|(parents, _)| std::cmp::Reverse(parents.len()));
    for (parents, mut change) in lists {
        let Some(AttributeValue::L(list)) = descend(root, &parents) else { continue };
        let mut index = 0;
        list.retain(|_| {
            index += 1;
            !change.removed.contains(&(index - 1))
        });
        change.appended.sort_by_key(|(index, _)| *index);
        list.extend(change.appended.into_iter().map(|(_, value)| value));
    }
}

fn descend<'v>(root: &'v mut AttributeValue, steps: &[Key<'_>]) -> Option<&'v mut AttributeValue> {
    steps.iter().try_fold(root, |value, step| path::enter(value, *step))
}

fn change_of<'l, 'a>(
    lists: &'l mut Vec<(Vec<Key<'a>>, ListChange)>,
    parents: &[Key<'a>],
) -> &'l mut ListChange {
    let at = lists.iter().position(|(known, _)| known == parents).unwrap_or_else(|| {
        lists.push((parents.to_vec(), ListChange::default()));
        lists.len() - 1
    });
    &mut lists[at].1
}
