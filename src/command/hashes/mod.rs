//! Hashes: reading (`read`), writing (`write`), counters (`number`), HSCAN (`scan`), random fields (`random`),
//! deadlines of fields (`expire`), reading or writing together with deadlines (`expiring`), and commands that write to
//! views of items (`view`).

mod expire;
mod expiring;
mod fields;
mod number;
mod random;
mod read;
mod scan;
mod table;
#[cfg(test)]
mod tests;
mod view;
mod write;

pub(super) use table::COMMANDS;

use super::Cx;
use super::fail::{self, Fail};
use crate::effect::{HashChange, List};
use crate::engine::{Classes, Tx};
use crate::store::Entry;
use crate::value::hash::HashRef;
use ahash::AHashSet;

/// The hash at a key; `None` if there is no key.
#[inline]
fn hash_at<'t>(tx: &'t Tx<'_>, key: &[u8]) -> Result<Option<HashRef<'t>>, Fail> {
    match tx.entry(key).map(Entry::value) {
        None => Ok(None),
        Some(value) => value.hash().map(Some).ok_or(fail::WRONG_TYPE),
    }
}

/// Removes fields of a hash, publishes the event, and returns how many fields there were.
fn delete_fields(cx: &mut Cx<'_, '_>, key: &[u8], fields: &[&[u8]]) -> usize {
    let there = if cx.tx.is_heard(Classes::FIELD_NAMES) { existing(cx, key, fields) } else { Vec::new() };
    let (db, fields) = (cx.db(), List::Slices(fields));
    let gone = cx.tx.apply_counted(HashChange::Delete { fields }.on(db, key));
    cx.tell_fields("hdel", key, there.into_iter());
    cx.tx.tell_if_gone(db, key);
    gone
}

/// Those of the fields that a hash has, each once, in the order of the command.
#[cold]
fn existing<'a>(cx: &Cx<'_, '_>, key: &[u8], fields: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let now = cx.tx.now();
    let Ok(Some(hash)) = hash_at(cx.tx, key) else { return Vec::new() };
    let mut seen = AHashSet::new();
    fields.iter().copied().filter(|name| hash.get(name, now).is_some() && seen.insert(*name)).collect()
}
