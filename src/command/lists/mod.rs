//! Lists: adding and removing at the ends (`ends`), reading (`read`), LPOS (`search`), changing elements within a list
//! (`edit`), moving between lists (`moves`, `move_many`), and waiting for elements (`block`).

mod block;
mod edit;
mod ends;
mod move_many;
mod moves;
mod read;
mod search;
mod table;
#[cfg(test)]
mod tests;

pub(super) use table::COMMANDS;

use super::element::element;
use super::fail::{self, Fail};
use super::{Cx, eq};
use crate::effect::{List, ListChange};
use crate::engine::{Classes, Tx};
use crate::resp::Reply;
use crate::store::Entry;
use crate::value::list::ListRef;
use crate::value::listpack;

/// The list at a key; `None` if there is no key.
#[inline]
fn list_at<'t>(tx: &'t Tx<'_>, key: &[u8]) -> Result<Option<ListRef<'t>>, Fail> {
    match tx.entry(key).map(Entry::value) {
        None => Ok(None),
        Some(value) => value.list().map(Some).ok_or(fail::WRONG_TYPE),
    }
}

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Left,
    Right,
}

impl End {
    fn parse(word: &[u8]) -> Result<Self, Fail> {
        match word {
            word if eq(word, "left") => Ok(Self::Left),
            word if eq(word, "right") => Ok(Self::Right),
            _ => Err(fail::SYNTAX),
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    fn is_front(self) -> bool {
        self == Self::Left
    }

    /// The event of an element added at this end.
    fn pushed(self) -> &'static str {
        if self.is_front() { "lpush" } else { "rpush" }
    }

    /// The event of an element removed from this end.
    fn popped(self) -> &'static str {
        if self.is_front() { "lpop" } else { "rpop" }
    }
}

/// Adds elements and publishes the event.
fn push(cx: &mut Cx<'_, '_>, key: &[u8], end: End, values: &[&[u8]]) {
    push_told_as(cx, key, end, values, end);
}

/// As [`push`]; the event names another end.
fn push_told_as(cx: &mut Cx<'_, '_>, key: &[u8], end: End, values: &[&[u8]], told: End) {
    let (db, values) = (cx.db(), List::Slices(values));
    cx.tx.apply(ListChange::Push { front: end.is_front(), values }.on(db, key));
    cx.tell(Classes::LIST, told.pushed(), key);
}

/// Removes elements of an end and publishes the event.
fn drop_some(cx: &mut Cx<'_, '_>, key: &[u8], end: End, count: usize) {
    let db = cx.db();
    cx.tx.apply(ListChange::Pop { front: end.is_front(), count }.on(db, key));
    cx.tell(Classes::LIST, end.popped(), key);
    cx.tx.tell_if_gone(db, key);
}

/// Answers with elements of an end, the outermost first.
fn show_some(out: &mut Reply, list: ListRef<'_>, end: End, count: usize) {
    out.array(count);
    match end {
        End::Left => list.iter_from(0).take(count).for_each(|found| element(out, found)),
        End::Right => list.iter_back_from(usize::MAX).take(count).for_each(|found| element(out, found)),
    }
}

/// The outermost element of an end.
fn outermost(list: ListRef<'_>, end: End) -> Option<listpack::ListpackEntry<'_>> {
    match end {
        End::Left => list.iter_from(0).next(),
        End::Right => list.iter_back_from(usize::MAX).next(),
    }
}
