//! Sets: reading (`read`), SSCAN (`scan`), random members (`random`), writing (`write`), SPOP (`pop`), and
//! intersections, unions and differences (`combine`).

mod combine;
mod pop;
mod random;
mod read;
mod scan;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub(super) use table::COMMANDS;

use super::Cx;
use super::fail::{self, Fail};
use crate::effect::{List, SetChange};
use crate::engine::Tx;
use crate::store::Entry;
use crate::value::set::SetRef;

/// The set at a key; `None` if there is no key.
#[inline]
fn set_at<'t>(tx: &'t Tx<'_>, key: &[u8]) -> Result<Option<SetRef<'t>>, Fail> {
    match tx.entry(key).map(Entry::value) {
        None => Ok(None),
        Some(value) => value.set().map(Some).ok_or(fail::WRONG_TYPE),
    }
}

/// Removes members of a set and returns how many there were.
fn delete_members(cx: &mut Cx<'_, '_>, key: &[u8], members: &[&[u8]]) -> usize {
    let db = cx.db();
    cx.tx.apply_counted(SetChange::Delete { members: List::Slices(members) }.on(db, key))
}
