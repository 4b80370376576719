//! A large collection: a B-tree of packed chunks.
//!
//! Invariants: the first chunk's separator is empty; a chunk's items are equal to or above its separator, and below the
//! next chunk's separator; no chunk is empty. A chunk with more than [`FULL`] bytes and several items is split. So an
//! item costs few bytes besides its own, and a range is read from contiguous memory.

use super::packed::{pack_item, pack_item_into, packed_find, packed_items, packed_len};
use crate::value::heap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// When an item expires, in ms since the epoch.
pub type DeadlineOf<'f> = &'f dyn Fn(&[u8]) -> Option<u64>;

/// The most bytes of a chunk of several items.
const FULL: usize = 4096;
/// A chunk with fewer bytes is joined with a neighbour if both fit one chunk.
const SPARSE: usize = FULL / 4;

/// A byte string between the last key of one chunk and the first of the next; short ones need no allocation.
pub(in crate::store) type Separator = SmallVec<[u8; 24]>;

/// The deadline of a chunk whose items have none.
const NEVER: u32 = u32::MAX;

/// Packed items in order.
pub(super) struct PackedChunk {
    pub(super) packed: Vec<u8>,
    pub(super) items: u32,
    /// No item expires before this second since the epoch; [`NEVER`] if none has a deadline.
    pub(super) deadline: u32,
}

/// A collection above the packed threshold.
#[derive(Default)]
pub struct Collection {
    pub(super) chunks: BTreeMap<Separator, PackedChunk>,
    items: usize,
}

fn up_to(sort: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Unbounded, Included(sort))
}

/// The shortest string above `low` and not above `high`, where `low < high`.
fn separator(low: &[u8], high: &[u8]) -> Separator {
    let same = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    Separator::from_slice(high.get(..=same).unwrap_or(high))
}

fn second_of(millis: u64) -> u32 {
    u32::try_from(millis / 1000).unwrap_or(NEVER).min(NEVER - 1)
}

fn millis_of(second: u32) -> Option<u64> {
    (second != NEVER).then_some(u64::from(second) * 1000)
}

/// Collects the sort keys of expired items, at most `limit`, and returns the earliest deadline of the others.
pub fn sort_out<'i>(
    items: impl Iterator<Item = (&'i [u8], &'i [u8])>,
    now: u64,
    limit: usize,
    deadline_of: DeadlineOf<'_>,
    due: &mut Vec<Vec<u8>>,
) -> Option<u64> {
    let mut earliest = None;
    for (sort, item) in items {
        let Some(at) = deadline_of(item) else { continue };
        if at <= now && due.len() < limit {
            due.push(sort.to_vec());
        } else {
            earliest = Some(earliest.map_or(at, |other: u64| other.min(at)));
        }
    }
    earliest
}

impl PackedChunk {
    fn of(sort: &[u8], item: &[u8]) -> Self {
        let mut chunk = Self { packed: Vec::new(), items: 1, deadline: NEVER };
        chunk.replace(0, 0, sort, item);
        chunk
    }

    /// Puts an item in place of the bytes from `start` to `end`.
    fn replace(&mut self, start: usize, end: usize, sort: &[u8], item: &[u8]) {
        let packed = &mut self.packed;
        let need = packed_len(sort, item);
        let old = packed.len();
        if start == old {
            packed.reserve_exact(need);
            pack_item(sort, item, packed);
            return;
        }
        let grown = old - (end - start) + need;
        if grown > old {
            // Exactly the room that is needed: the allocator's size classes are fine enough, and doubling would waste
            // much.
            packed.reserve_exact(grown - old);
            packed.resize(grown, 0);
        }
        packed.copy_within(end..old, start + need);
        packed.truncate(grown);
        let place = packed.get_mut(start..start + need).unwrap_or_default();
        pack_item_into(sort, item, place);
    }

    fn overfull_with(&self, more: usize) -> bool {
        self.items > 0 && self.packed.len() + more > FULL
    }

    /// Cuts off the second half, at the item that is nearest to the middle.
    fn split(&mut self) -> Option<(Separator, Self)> {
        let middle = self.packed.len() / 2;
        let mut cut = 0_usize;
        let mut cut_items = 0;
        let (mut last, mut first): (&[u8], &[u8]) = (&[], &[]);
        let mut before: &[u8] = &[];
        for (n, entry) in packed_items(&self.packed).enumerate() {
            let nearer = entry.start.abs_diff(middle) < cut.abs_diff(middle);
            if n > 0 && (cut == 0 || nearer) {
                (cut, cut_items, last, first) = (entry.start, n as u32, before, entry.sort);
            }
            before = entry.sort;
        }
        if cut == 0 {
            return None;
        }
        let at = separator(last, first);
        let right = Self {
            packed: self.packed[cut..].to_vec(),
            items: self.items - cut_items,
            deadline: self.deadline,
        };
        self.packed.truncate(cut);
        self.packed.shrink_to_fit();
        self.items = cut_items;
        Some((at, right))
    }
}

/// An item before its change.
pub struct ItemInverse {
    /// Its sort key.
    pub sort: Box<[u8]>,
    /// The item; `None` if it did not exist.
    pub item: Option<Box<[u8]>>,
}

impl Collection {
    /// Makes a collection of a packed one. None of its items expires before `deadline`, in ms since the epoch.
    pub fn from_packed(packed: &[u8], deadline: Option<u64>) -> Self {
        let mut out = Self::default();
        for entry in packed_items(packed) {
            out.put(entry.sort, entry.item);
        }
        for chunk in out.chunks.values_mut() {
            chunk.deadline = deadline.map_or(NEVER, second_of);
        }
        out
    }

    /// The item with this sort key. O(log n).
    pub fn get(&self, sort: &[u8]) -> Option<&[u8]> {
        let (_, chunk) = self.chunks.range::<[u8], _>(up_to(sort)).next_back()?;
        packed_find(&chunk.packed, sort).2
    }

    /// Inserts or replaces an item; returns whether one was there. O(log n).
    pub fn put(&mut self, sort: &[u8], item: &[u8]) -> bool {
        let Some((_, chunk)) = self.chunks.range_mut::<[u8], _>(up_to(sort)).next_back() else {
            self.chunks.insert(Separator::new(), PackedChunk::of(sort, item));
            self.items += 1;
            return false;
        };
        let (start, end, old) = packed_find(&chunk.packed, sort);
        let there = old.is_some();
        let more = packed_len(sort, item);
        let right = if !there && start == chunk.packed.len() && chunk.overfull_with(more) {
            // The new item is the last: it begins a chunk of its own, so items in ascending order leave full chunks
            // behind.
            let last = packed_items(&chunk.packed).last().map_or(&[][..], |e| e.sort);
            Some((separator(last, sort), PackedChunk::of(sort, item)))
        } else if !there && start == 0 && chunk.overfull_with(more) {
            // The same for items in descending order.
            let first = packed_items(&chunk.packed).next().map_or(&[][..], |e| e.sort);
            let at = separator(sort, first);
            Some((at, std::mem::replace(chunk, PackedChunk::of(sort, item))))
        } else {
            chunk.replace(start, end, sort, item);
            chunk.items += u32::from(!there);
            if chunk.packed.len() > FULL { chunk.split() } else { None }
        };
        if let Some((at, right)) = right {
            self.chunks.insert(at, right);
        }
        self.items += usize::from(!there);
        there
    }

    /// Removes an item; returns whether it was there. O(log n).
    pub fn remove(&mut self, sort: &[u8]) -> bool {
        let Some((at, chunk)) = self.chunks.range_mut::<[u8], _>(up_to(sort)).next_back() else {
            return false;
        };
        let (start, end, old) = packed_find(&chunk.packed, sort);
        if old.is_none() {
            return false;
        }
        chunk.packed.drain(start..end);
        if chunk.packed.capacity() - chunk.packed.len() > chunk.packed.capacity() / 4 {
            chunk.packed.shrink_to_fit();
        }
        chunk.items -= 1;
        self.items -= 1;
        if chunk.packed.len() < SPARSE {
            let at = at.clone();
            self.join(&at);
        }
        true
    }

    /// What is needed to undo a change of an item, before the item changes.
    pub fn undo_of(&self, sort: &[u8]) -> ItemInverse {
        ItemInverse { sort: sort.into(), item: self.get(sort).map(Box::from) }
    }

    /// Undoes a change of an item.
    pub fn revert(&mut self, inverse: &ItemInverse) {
        match &inverse.item {
            Some(item) => self.put(&inverse.sort, item),
            None => self.remove(&inverse.sort),
        };
    }

    /// Joins a sparse chunk with a neighbour if they fit together, or removes it if it is empty.
    fn join(&mut self, at: &[u8]) {
        let Some(chunk) = self.chunks.get(at) else { return };
        let len = chunk.packed.len();
        let fits = |(key, other): (&Separator, &PackedChunk)| {
            (len == 0 || len + other.packed.len() <= FULL / 4 * 3).then(|| key.clone())
        };
        // The later chunk of the two gives its items to the earlier one.
        let next = self.chunks.range::<[u8], _>((Excluded(at), Unbounded)).next().and_then(fits);
        let before = self.chunks.range::<[u8], _>((Unbounded, Excluded(at))).next_back().and_then(fits);
        let (to, from) = match (next, before) {
            (Some(next), _) => (Separator::from_slice(at), next),
            (None, Some(before)) => (before, Separator::from_slice(at)),
            (None, None) => {
                if len == 0 {
                    self.chunks.remove(at);
                }
                return;
            }
        };
        let Some(moved) = self.chunks.remove(&from) else { return };
        if let Some(chunk) = self.chunks.get_mut(&to) {
            chunk.packed.reserve_exact(moved.packed.len());
            chunk.packed.extend_from_slice(&moved.packed);
            chunk.items += moved.items;
            chunk.deadline = chunk.deadline.min(moved.deadline);
        }
    }

    /// Notes when an item expires, in ms since the epoch. O(log n).
    pub fn note_deadline(&mut self, sort: &[u8], at: u64) {
        if let Some((_, chunk)) = self.chunks.range_mut::<[u8], _>(up_to(sort)).next_back() {
            chunk.deadline = chunk.deadline.min(second_of(at));
        }
    }

    /// Collects the sort keys of expired items, at most `limit`, and returns the earliest deadline of the others. Looks
    /// only into chunks that may hold expired items.
    pub fn take_expired(
        &mut self,
        now: u64,
        limit: usize,
        deadline_of: DeadlineOf<'_>,
        due: &mut Vec<Vec<u8>>,
    ) -> Option<u64> {
        let mut earliest = NEVER;
        for chunk in self.chunks.values_mut() {
            if chunk.deadline <= second_of(now) && due.len() < limit {
                let items = packed_items(&chunk.packed).map(|e| (e.sort, e.item));
                let next = sort_out(items, now, limit, deadline_of, due);
                chunk.deadline = next.map_or(NEVER, second_of);
            }
            earliest = earliest.min(chunk.deadline);
        }
        millis_of(earliest)
    }

    /// One step of computing all deadlines again. It begins with the chunk that has the key `from`, and ends once it
    /// has looked at two chunks and `most` items. Returns where the next step begins; `None` after the last one.
    /// Changes may be made between the steps. O(items that are looked at)
    pub fn retime(&mut self, from: &[u8], most: usize, deadline_of: DeadlineOf<'_>) -> Option<Separator> {
        // The chunk that the last step ended with is done again: another chunk may have been joined to it since, whose
        // deadline has not been computed.
        let first = self.chunks.range::<[u8], _>(up_to(from)).next_back().map(|(first, _)| first.clone())?;
        let (mut seen, mut last) = (0, None::<&Separator>);
        let chunks = self.chunks.range_mut::<[u8], _>((Included(&first[..]), Unbounded));
        for (done, (separator, chunk)) in chunks.enumerate() {
            if done > 1 && seen >= most {
                return last.cloned();
            }
            let earliest = packed_items(&chunk.packed).filter_map(|e| deadline_of(e.item)).min();
            chunk.deadline = earliest.map_or(NEVER, second_of);
            seen += chunk.items as usize;
            last = Some(separator);
        }
        None
    }

    /// The earliest deadline of all chunks. O(chunks).
    pub fn earliest(&self) -> Option<u64> {
        millis_of(self.chunks.values().map(|chunk| chunk.deadline).min()?)
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether no item is left.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Approximate bytes allocated, from a sample of chunks that hold about `samples` items (0 for all).
    pub fn memory(&self, samples: usize) -> usize {
        let total = self.chunks.len();
        let take =
            if samples == 0 { total } else { (samples * total).div_ceil(self.items.max(1)).min(total) };
        let sum: usize = self.chunks.values().take(take).map(|c| heap::block(c.packed.capacity())).sum();
        heap::btree::<Separator, PackedChunk>(total) + (sum * total).checked_div(take).unwrap_or(0)
    }
}
