//! Reading collections, packed and large, forwards and backwards.

use super::packed::{packed_at, packed_find, packed_items};
use super::tree::{Collection, PackedChunk, Separator};
use smallvec::SmallVec;
use std::collections::btree_map;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// A collection as it stands in an entry.
#[derive(Clone, Copy)]
pub enum ItemsRef<'a> {
    /// Packed into the entry's block.
    Packed(&'a [u8]),
    /// A tree of its own.
    Big(&'a Collection),
}

impl<'a> ItemsRef<'a> {
    /// The item with this sort key.
    #[inline]
    pub fn get(self, sort: &[u8]) -> Option<&'a [u8]> {
        match self {
            Self::Packed(packed) => packed_find(packed, sort).2,
            Self::Big(items) => items.get(sort),
        }
    }

    /// The number of items. O(1) for large collections.
    pub fn len(self) -> usize {
        match self {
            Self::Packed(packed) => packed_items(packed).count(),
            Self::Big(items) => items.len(),
        }
    }

    /// Whether there is exactly one.
    pub fn is_single(self) -> bool {
        match self {
            Self::Packed(packed) => !packed.is_empty() && packed_at(packed, 0).end == packed.len(),
            Self::Big(items) => items.len() == 1,
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        match self {
            Self::Packed(packed) => packed.is_empty(),
            Self::Big(items) => items.is_empty(),
        }
    }

    /// All items in order.
    pub fn iter(self) -> Items<'a> {
        self.range(Unbounded, Unbounded, false)
    }

    /// The items whose sort keys lie in a range, in ascending or descending order. O(log n) to begin.
    pub fn range(self, low: Bound<&'a [u8]>, high: Bound<&'a [u8]>, descending: bool) -> Items<'a> {
        let chunks = match self {
            Self::Packed(packed) => Chunks::One(Some(packed)),
            Self::Big(items) => chunks_between(items, low, high),
        };
        Items { chunks, low, high, bytes: &[], at: 0, starts: SmallVec::new(), descending }
    }
}

fn chunks_between<'a>(items: &'a Collection, low: Bound<&'a [u8]>, high: Bound<&'a [u8]>) -> Chunks<'a> {
    let (Included(from) | Excluded(from), Included(to) | Excluded(to)) = (low, high) else {
        let first = first_chunk(items, low);
        let last = match high {
            Unbounded => Unbounded,
            Included(to) | Excluded(to) => Included(to),
        };
        return Chunks::Many(items.chunks.range::<[u8], _>((first, last)));
    };
    if from > to {
        return Chunks::One(None);
    }
    Chunks::Many(items.chunks.range::<[u8], _>((first_chunk(items, low), Included(to))))
}

/// The key of the chunk that holds the lowest key of a range.
fn first_chunk<'a>(items: &'a Collection, low: Bound<&[u8]>) -> Bound<&'a [u8]> {
    let (Included(from) | Excluded(from)) = low else { return Unbounded };
    let before = items.chunks.range::<[u8], _>((Unbounded, Included(from))).next_back();
    before.map_or(Unbounded, |(at, _)| Included(at.as_slice()))
}

enum Chunks<'a> {
    One(Option<&'a [u8]>),
    Many(btree_map::Range<'a, Separator, PackedChunk>),
}

impl<'a> Chunks<'a> {
    fn next(&mut self, descending: bool) -> Option<&'a [u8]> {
        match self {
            Self::One(packed) => packed.take(),
            Self::Many(range) => {
                let (_, chunk) = if descending { range.next_back() } else { range.next() }?;
                Some(&chunk.packed)
            }
        }
    }
}

/// Walks sort keys and items of a range.
pub struct Items<'a> {
    chunks: Chunks<'a>,
    low: Bound<&'a [u8]>,
    high: Bound<&'a [u8]>,
    bytes: &'a [u8],
    at: usize,
    /// For a backward walk: the offsets of the current chunk's items that are still to come.
    starts: SmallVec<[u32; 32]>,
    descending: bool,
}

fn below(key: &[u8], low: Bound<&[u8]>) -> bool {
    match low {
        Included(low) => key < low,
        Excluded(low) => key <= low,
        Unbounded => false,
    }
}

fn above(key: &[u8], high: Bound<&[u8]>) -> bool {
    match high {
        Included(high) => key > high,
        Excluded(high) => key >= high,
        Unbounded => false,
    }
}

impl<'a> Items<'a> {
    fn end(&mut self) {
        self.chunks = Chunks::One(None);
        self.bytes = &[];
        self.starts.clear();
    }

    fn ascend(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            while self.at < self.bytes.len() {
                let found = packed_at(self.bytes, self.at);
                self.at = found.end;
                if below(found.sort, self.low) {
                    continue;
                }
                // All items that follow are above the lower bound too.
                self.low = Unbounded;
                if above(found.sort, self.high) {
                    self.end();
                    return None;
                }
                return Some((found.sort, found.item));
            }
            self.bytes = self.chunks.next(false)?;
            self.at = 0;
        }
    }

    fn descend(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            while let Some(start) = self.starts.pop() {
                let found = packed_at(self.bytes, start as usize);
                if above(found.sort, self.high) {
                    continue;
                }
                self.high = Unbounded;
                if below(found.sort, self.low) {
                    self.end();
                    return None;
                }
                return Some((found.sort, found.item));
            }
            self.bytes = self.chunks.next(true)?;
            self.starts.extend(packed_items(self.bytes).map(|e| e.start as u32));
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.descending { self.descend() } else { self.ascend() }
    }
}
