//! Effects that build a list, and the reader of a large one.

use crate::effect::{List, ListChange};
use crate::store::types::reading::BYTES;
use crate::value::list::BigList;
use crate::value::listpack::split_first;
use crate::value::packed::put_part;

/// A copy of a large list, made when the reading began, which is read without a hold of the shard.
pub(in crate::store) struct ListReading {
    list: BigList,
    /// The number of elements that were read.
    read: usize,
}

impl ListReading {
    pub(in crate::store) fn of(list: &BigList) -> Self {
        Self { list: list.clone(), read: 0 }
    }

    /// Appends the effects of the next piece. Returns whether it was the last.
    pub(in crate::store) fn read(&mut self, db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let (from, end) = (self.read, out.len() + BYTES);
        let read = &mut self.read;
        self.list.each_leaf_from(from, &mut |entries, count| {
            push(db, key, entries, count, out);
            *read += count;
            out.len() < end
        });
        self.read >= self.list.len()
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
