//! An item collection: all items of one partition key, ordered by their encoded sort key.
//!
//! Small collections are packed into the entry's block as `(varint length, sort key, varint length, item)` in order;
//! larger ones are a B-tree.

use crate::value::packed::{put_varint_to, read_part};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A collection above the packed thresholds.
#[derive(Default)]
pub struct Collection {
    tree: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

/// One item of a packed collection and where it stands.
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

/// Walks a packed collection in order.
pub fn packed_items(packed: &[u8]) -> impl Iterator<Item = PackedItem<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= packed.len() {
            return None;
        }
        let start = at;
        let (sort, next) = read_part(packed, at);
        let (item, end) = read_part(packed, next);
        at = end;
        Some(PackedItem { sort, item, start, end })
    })
}

/// Where `sort` stands or would stand in a packed collection: the existing range and item, or an empty range.
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

/// The packed form of one item.
pub fn pack_item(sort: &[u8], item: &[u8], out: &mut Vec<u8>) {
    put_varint_to(out, sort.len());
    out.extend_from_slice(sort);
    put_varint_to(out, item.len());
    out.extend_from_slice(item);
}

impl Collection {
    /// Takes over a packed collection.
    pub fn from_packed(packed: &[u8]) -> Self {
        Self { tree: packed_items(packed).map(|e| (e.sort.into(), e.item.into())).collect() }
    }

    /// The item with this sort key. O(log n).
    pub fn get(&self, sort: &[u8]) -> Option<&[u8]> {
        self.tree.get(sort).map(|item| &**item)
    }

    /// Inserts or replaces an item; returns whether one was there. O(log n).
    pub fn put(&mut self, sort: &[u8], item: &[u8]) -> bool {
        if let Some(old) = self.tree.get_mut(sort) {
            *old = item.into();
            return true;
        }
        self.tree.insert(sort.into(), item.into());
        false
    }

    /// Removes an item; returns whether it was there. O(log n).
    pub fn remove(&mut self, sort: &[u8]) -> bool {
        self.tree.remove(sort).is_some()
    }

    /// Items in a range of sort keys, in order; the caller takes `rev()` for descending order.
    pub fn range(
        &self,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.tree.range::<[u8], _>((low, high)).map(|(k, v)| (&**k, &**v))
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether no item is left.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// Approximate bytes allocated, from a sample of items.
    pub fn memory(&self, samples: usize) -> usize {
        let n = self.tree.len();
        let take = if samples == 0 { n } else { samples.min(n) };
        let sum: usize = self.tree.iter().take(take).map(|(k, v)| k.len() + v.len() + 16).sum();
        n * 48 + if take == 0 { 0 } else { sum * n / take }
    }
}
