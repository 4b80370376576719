//! Sorted sets: ZADD (`add`), scores, ranks and counts (`read`), ranges (`range`, with the bounds of `bounds`),
//! removing (`remove`), removing from the ends (`pop`) and waiting for members (`block`), random members (`random`),
//! ZSCAN (`scan`), and combinations of several sets (`combine`, of the `source`s).

mod add;
mod block;
mod bounds;
mod combine;
mod pop;
mod random;
mod range;
mod read;
mod remove;
mod scan;
mod show;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub(super) use add::zadd;
pub(super) use table::COMMANDS;

use super::Cx;
use super::fail::{self, Fail};
use crate::effect::{Effect, ZsetChange};
use crate::engine::{Classes, EFFECT_BYTES, Tx};
use crate::store::Entry;
use crate::value::zset::{ZsetRef, pack_member};

/// The sorted set at a key; `None` if there is no key.
#[inline]
pub(super) fn zset_at<'t>(tx: &'t Tx<'_>, key: &[u8]) -> Result<Option<ZsetRef<'t>>, Fail> {
    match tx.entry(key).map(Entry::value) {
        None => Ok(None),
        Some(value) => value.zset().map(Some).ok_or(fail::WRONG_TYPE),
    }
}

/// Removes a range of ranks of a sorted set with `len` members, and publishes the event. O(log n + members that are
/// removed); O(1) if all are.
fn delete_range(
    cx: &mut Cx<'_, '_>,
    key: &[u8],
    (from, to): (usize, usize),
    len: usize,
    event: &'static str,
) {
    if from >= to {
        return;
    }
    let (db, before) = (cx.db(), cx.tx.changes());
    if to - from == len {
        cx.tx.apply(Effect::Delete { db, key });
    } else {
        cx.tx.apply(ZsetChange::DeleteRange { at: from, count: to - from }.on(db, key));
    }
    cx.tx.count_changes(before, (to - from) as u64);
    cx.tell(Classes::ZSET, event, key);
    cx.tx.tell_if_gone(db, key);
}

/// A sorted set that is to be stored at a key.
#[derive(Default)]
pub(super) struct Stored {
    packed: Vec<u8>,
    len: usize,
}

impl Stored {
    /// Makes one of members in ascending order.
    pub(super) fn of<'m>(members: impl Iterator<Item = (&'m [u8], f64)>) -> Self {
        let mut stored = Self::default();
        for (member, score) in members {
            pack_member(&mut stored.packed, member, score);
            stored.len += 1;
        }
        stored
    }

    /// Stores it at a key, in place of any value there; if it is empty, deletes the key. Answers with its length.
    pub(super) fn put(&self, cx: &mut Cx<'_, '_>, key: &[u8], event: &'static str) -> Result<(), Fail> {
        let db = cx.db();
        if self.len > 0 {
            cx.tx.ask(self.packed.len() + key.len() + EFFECT_BYTES)?;
            let old = cx.replaced_type(cx.tx.db, key);
            cx.tx.apply(ZsetChange::Put { payload: &self.packed, expire: None }.on(db, key));
            cx.tell_replaced(cx.tx.db, key, old, "zset");
            cx.tell(Classes::ZSET, event, key);
        } else if cx.tx.exists(key) {
            cx.tx.apply(Effect::Delete { db, key });
            cx.tell(Classes::GENERIC, "del", key);
        }
        cx.out.len_int(self.len);
        Ok(())
    }
}
