//! Effects that build a list, and the reader of a large one.

use crate::effect::{List, ListChange};
use crate::store::types::reading::BYTES;
use crate::value::list::BigList;
use crate::value::listpack::split_first;
use crate::value::packed::put_part;

/// A copy of what is left to be read of a large list, made when the reading began. It is read without a hold of the
/// shard. What was read is dropped, so that only what changes before it is read is there twice.
pub(in crate::store) struct ListReading(BigList);

impl ListReading {
    pub(in crate::store) fn of(list: &BigList) -> Self {
        Self(list.clone())
    }

    /// Appends the effects of the next piece. Returns whether it was the last.
    pub(in crate::store) fn read(&mut self, db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let (mut read, end) = (0, out.len() + BYTES);
        self.0.each_leaf_from(0, &mut |entries, count| {
            push(db, key, entries, count, out);
            read += count;
            out.len() < end
        });
        drop(self.0.remove(0, read));
        self.0.is_empty()
    }
}

/// Appends the effects that build a large list from nothing.
pub(in crate::store) fn list_effects(db: u32, key: &[u8], list: &BigList, out: &mut Vec<u8>) {
    list.each_leaf_from(0, &mut |entries, count| {
        push(db, key, entries, count, out);
        true
    });
}

/// Appends the effect that adds the elements of bare entries at the end.
fn push(db: u32, key: &[u8], entries: &[u8], count: usize, out: &mut Vec<u8>) {
    let (mut rest, mut bytes) = (entries, Vec::with_capacity(entries.len()));
    while let Some((element, size)) = split_first(rest) {
        put_part(&mut bytes, &element.bytes());
        rest = &rest[size..];
    }
    ListChange::Push { front: false, values: List::Packed { bytes: &bytes, count } }.on(db, key).encode(out);
}
