//! Packed items: encoded one behind the other.

use crate::value::packed::{put_part, read_part, varint_len};

/// One item of a packed collection, and its place.
#[derive(Clone, Copy)]
pub struct PackedItem<'a> {
    /// The encoded sort key.
    pub sort: &'a [u8],
    /// The encoded item.
    pub item: &'a [u8],
    /// Offset of the entry's first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// The item that begins at `start`.
#[inline]
pub(super) fn packed_at(packed: &[u8], start: usize) -> PackedItem<'_> {
    let (sort, next) = read_part(packed, start);
    let (item, end) = read_part(packed, next);
    PackedItem { sort, item, start, end }
}

/// Walks a packed collection in order.
pub fn packed_items(packed: &[u8]) -> impl Iterator<Item = PackedItem<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= packed.len() {
            return None;
        }
        let found = packed_at(packed, at);
        at = found.end;
        Some(found)
    })
}

/// The place of `sort` in a packed collection: the range and item if it is there, else an empty range where it would
/// be.
pub fn packed_find<'a>(packed: &'a [u8], sort: &[u8]) -> (usize, usize, Option<&'a [u8]>) {
    for entry in packed_items(packed) {
        match entry.sort.cmp(sort) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return (entry.start, entry.end, Some(entry.item)),
            std::cmp::Ordering::Greater => return (entry.start, entry.start, None),
        }
    }
    (packed.len(), packed.len(), None)
}

/// Appends the packed form of one item.
pub fn pack_item(sort: &[u8], item: &[u8], out: &mut Vec<u8>) {
    put_part(out, sort);
    put_part(out, item);
}

/// The bytes of one item's packed form.
pub fn packed_len(sort: &[u8], item: &[u8]) -> usize {
    varint_len(sort.len()) + sort.len() + varint_len(item.len()) + item.len()
}

/// Writes the packed form of one item into a place of exactly [`packed_len`] bytes.
pub fn pack_item_into(sort: &[u8], item: &[u8], place: &mut [u8]) {
    let mut at = 0;
    for part in [sort, item] {
        let head = put_varint_at(place, at, part.len());
        at = head + part.len();
        if let Some(target) = place.get_mut(head..at) {
            target.copy_from_slice(part);
        }
    }
}

/// Writes `n` as a varint at an offset and returns the offset behind it.
fn put_varint_at(bytes: &mut [u8], mut at: usize, mut n: usize) -> usize {
    loop {
        let more = n >= 0x80;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = n as u8 & 0x7f | if more { 0x80 } else { 0 };
        }
        at += 1;
        n >>= 7;
        if !more {
            return at;
        }
    }
}
