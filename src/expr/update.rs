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

/// What comes of an action: what happens at its place, or why nothing can.
enum Outcome<'a> {
    Put(New<'a>),
    Remove,
    Nothing,
    Missing,
    Number(NumberError),
    TooLarge,
}

impl Outcome<'_> {
    /// About how many bytes the new value takes in stored form, without the name.
    fn room(&self) -> usize {
        match self {
            Self::Put(New::Ref(AttributeValueRef::S(bytes) | AttributeValueRef::B(bytes))) => bytes.len() + 8,
            Self::Put(_) => 32,
            _ => 0,
        }
    }

    /// Checks that something can be done.
    fn check(&self) -> Result<(), ExprError> {
        match self {
            Self::Put(_) | Self::Remove | Self::Nothing => Ok(()),
            Self::Missing => Err(ExprError::MissingAttribute),
            Self::Number(error) => Err(error.clone().into()),
            Self::TooLarge => Err(ExprError::Item(ItemError::ItemTooLarge)),
        }
    }

    /// Writes the outcome of an action on a whole attribute.
    fn write(&self, name: &str, editor: &mut ItemEditor<'_>) -> Result<(), ExprError> {
        match self {
            Self::Put(New::Ref(value)) => editor.put(name, value)?,
            Self::Put(New::Owned(value)) => editor.put_owned(name, value)?,
            Self::Remove => editor.remove(name),
            Self::Nothing | Self::Missing | Self::Number(_) | Self::TooLarge => {}
        }
        Ok(())
    }
}

/// The actions of an update with what comes of them.
type Outcomes<'a> = SmallVec<[(&'a Action, Outcome<'a>); 1]>;

impl BoundUpdate {
    /// The updated item. `item` is the existing item, or one with only the key attributes. Containers in the result may
    /// nest as deep as the limits say. New values that are larger together than an item may be are not made; whether
    /// the whole item is too large is the caller's to check. Cost in proportion to the item and the update.
    ///
    /// # Errors
    /// Those for which [`ExprError::depends_on_item`] is true.
    pub fn apply(&self, item: ItemRef<'_>, limits: &ItemLimits) -> Result<Item, ExprError> {
        self.apply_measured(item, limits).map(|(item, _)| item)
    }

    /// As [`BoundUpdate::apply`]; also returns by how many bytes the new item is larger by AWS's rules.
    ///
    /// # Errors
    /// As [`BoundUpdate::apply`].
    pub fn apply_measured(&self, item: ItemRef<'_>, limits: &ItemLimits) -> Result<(Item, isize), ExprError> {
        let (actions, scope) = (&self.parsed.root, &self.scope);
        let source = Source { scope, item, left: Cell::new(limits.max_item_bytes) };
        // Nearly every update is one action on a whole attribute.
        if let [only] = &actions[..]
            && only.path().steps.is_empty()
        {
            return write_one(only, &outcome(only, &source)?, &source);
        }
        let mut all_there = true;
        for action in actions {
            match place(action.path(), scope, item) {
                Place::Writable => {}
                Place::WrongKind => return Err(ExprError::InvalidPath),
                Place::Absent => all_there = false,
            }
        }
        let mut outcomes = Outcomes::new();
        for action in actions {
            let outcome = outcome(action, &source)?;
            all_there &= !matches!(outcome, Outcome::Missing);
            outcomes.push((action, outcome));
        }
        if !all_there {
            // The sections decide which problem is reported.
            check_places(&outcomes, scope, item)?;
        }
        let mut too_large = false;
        for (_, outcome) in &outcomes {
            match outcome {
                Outcome::TooLarge => too_large = true,
                other => other.check()?,
            }
        }
        if too_large {
            return Err(ExprError::Item(ItemError::ItemTooLarge));
        }
        write_all(item, outcomes, scope, limits.max_depth)
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

/// Reports a place that does not exist, or an attribute that is read but missing.
#[cold]
fn check_places(outcomes: &Outcomes<'_>, scope: &Scope, item: ItemRef<'_>) -> Result<(), ExprError> {
    let absent = |action: &Action| place(action.path(), scope, item) != Place::Writable;
    let missing = |outcome: &Outcome<'_>| matches!(outcome, Outcome::Missing);
    let mut sections: Vec<&str> = Vec::new();
    for (action, _) in outcomes {
        if !sections.contains(&action.clause()) {
            sections.push(action.clause());
        }
    }
    for section in sections.into_iter().rev() {
        let in_section = || outcomes.iter().filter(|(action, _)| action.clause() == section);
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
    let find = |path| path::find(path, source.scope, source.item);
    match action {
        Action::Set(_, value) => written(set_value(value, source)),
        Action::Remove(_) => Ok(Outcome::Remove),
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
            None => Ok(Outcome::Nothing),
            Some(current) => Ok(match subtract(&current, source.scope, value)? {
                Some(left) => Outcome::Put(New::Owned(left)),
                None => Outcome::Remove,
            }),
        },
    }
}

/// The outcome for a value that is put, or for its absence.
fn written(value: Result<New<'_>, NoValue>) -> Result<Outcome<'_>, ExprError> {
    match value {
        Ok(value) => Ok(Outcome::Put(value)),
        Err(NoValue::Missing) => Ok(Outcome::Missing),
        Err(NoValue::Number(error)) => Ok(Outcome::Number(error)),
        Err(NoValue::TooLarge) => Ok(Outcome::TooLarge),
        Err(NoValue::WrongType) => Err(ExprError::UpdateOperandType),
    }
}

fn set_value<'a>(value: &'a SetValue, source: &Source<'a>) -> Result<New<'a>, NoValue> {
    let (both, negate) = match value {
        SetValue::Operand(one) => {
            let value = operand(one, source)?;
            if let New::Ref(value) = &value {
                source.take(value)?;
            }
            return Ok(value);
        }
        SetValue::Plus(both) => (both, false),
        SetValue::Minus(both) => (both, true),
    };
    let left = operand(&both.0, source)?.number().ok_or(NoValue::WrongType)?;
    let right = operand(&both.1, source)?.number().ok_or(NoValue::WrongType)?;
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

/// What happens below one attribute: the steps, and what comes of the action there.
type Below<'a> = Vec<(Vec<Key<'a>>, Outcome<'a>)>;

/// The item with the outcome of the only action of an update, which is about a whole attribute.
fn write_one(
    action: &Action,
    outcome: &Outcome<'_>,
    source: &Source<'_>,
) -> Result<(Item, isize), ExprError> {
    outcome.check()?;
    let name = source.scope.name(&action.path().root);
    let mut editor = ItemEditor::new(source.item, name.len() + outcome.room());
    outcome.write(name, &mut editor)?;
    Ok(editor.finish()?)
}

fn write_all<'a>(
    item: ItemRef<'_>,
    mut outcomes: Outcomes<'a>,
    scope: &'a Scope,
    max_depth: usize,
) -> Result<(Item, isize), ExprError> {
    let root = |(action, _): &(&'a Action, Outcome<'a>)| scope.name(&action.path().root);
    outcomes.sort_by(|one, other| root(one).cmp(root(other)));
    let room = outcomes.iter().map(|outcome| root(outcome).len() + outcome.1.room()).sum();
    let mut editor = ItemEditor::new(item, room);
    for same in outcomes.chunk_by_mut(|one, other| root(one) == root(other)) {
        let [(action, first), ..] = &*same else { continue };
        let name = scope.name(&action.path().root);
        // Paths do not overlap, so an action on the whole attribute is the attribute's only one.
        if action.path().steps.is_empty() {
            first.write(name, &mut editor)?;
            continue;
        }
        let changes = same.iter_mut().filter(|(_, outcome)| !matches!(outcome, Outcome::Nothing));
        let below: Below<'a> = changes
            .map(|(action, outcome)| {
                (path::steps(action.path(), scope).collect(), std::mem::replace(outcome, Outcome::Nothing))
            })
            .collect();
        if let (Some(value), false) = (item.get(name), below.is_empty()) {
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
            (Some(AttributeValue::M(map)), Key::Name(name), Outcome::Put(value)) => {
                map.insert((*name).to_owned(), value.into_owned());
            }
            (Some(AttributeValue::M(map)), Key::Name(name), Outcome::Remove) => {
                map.remove(*name);
            }
            (Some(AttributeValue::L(list)), Key::Index(index), write) => {
                let slot = usize::try_from(*index).ok().and_then(|at| list.get_mut(at));
                match (slot, write) {
                    (Some(slot), Outcome::Put(value)) => *slot = value.into_owned(),
                    (None, Outcome::Put(value)) => {
                        change_of(&mut lists, parents).appended.push((*index, value.into_owned()));
                    }
                    (Some(_), Outcome::Remove) => change_of(&mut lists, parents).removed.push(*index),
                    _ => {}
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
