//! A leaf: some members in their order, with their scores and hashes.

use super::cut::Cut;
use crate::env::prefetch::prefetch;
use crate::value::heap;

/// The most members of a leaf.
pub(super) const MEMBERS: usize = if cfg!(test) { 8 } else { 128 };
/// The most bytes of a leaf's members; a longer member has a leaf of its own.
pub(super) const BYTES: usize = if cfg!(test) { 128 } else { 8 << 10 };

/// How many slots one line of the cache has.
const SLOTS_OF_A_LINE: usize = 64 / size_of::<Slot>();
/// How many of a leaf's slots are prefetched.
const PREFETCHED_SLOTS: usize = 8 * SLOTS_OF_A_LINE;

/// A member without its bytes.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) score: f64,
    /// The member's hash in the index.
    pub(super) hash: u32,
    /// The offset after the member's bytes.
    end: u32,
}

/// Some members.
#[derive(Clone, Default)]
pub(super) struct ZsetLeaf {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
}

/// The capacity in elements of the allocator's size class for so many elements.
fn room<T>(elements: usize) -> usize {
    heap::block(elements * size_of::<T>()) / size_of::<T>()
}

fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    let needed = vec.len() + more;
    if needed > vec.capacity() {
        vec.reserve_exact(room::<T>(needed) - vec.len());
    }
}

impl ZsetLeaf {
    pub(super) const EMPTY: Self = Self { slots: Vec::new(), bytes: Vec::new() };

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The bytes of all members.
    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Prefetches the first slots of a leaf; the processor itself prefetches what is read in a row behind them.
    #[inline]
    pub(super) fn prefetch(&self) {
        let slots = self.slots.as_ptr();
        (0..PREFETCHED_SLOTS).step_by(SLOTS_OF_A_LINE).for_each(|at| prefetch(slots.wrapping_add(at)));
    }

    /// Whether there is room for another member of `bytes` bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.len() < MEMBERS && self.bytes.len() + bytes <= BYTES
    }

    /// Whether the leaf has so few members that it should be merged with another leaf.
    pub(super) fn is_small(&self) -> bool {
        self.len() < MEMBERS / 4 && self.bytes.len() < BYTES / 2
    }

    /// Whether the members of another leaf fit, with some room left.
    pub(super) fn takes(&self, other: &Self) -> bool {
        self.len() + other.len() <= MEMBERS / 4 * 3 && self.bytes.len() + other.bytes.len() <= BYTES / 4 * 3
    }

    #[inline]
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.slots[at - 1].end as usize }
    }

    #[inline]
    pub(super) fn slot(&self, at: usize) -> Slot {
        self.slots[at]
    }

    #[inline]
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    #[inline]
    pub(super) fn member(&self, at: usize) -> &[u8] {
        &self.bytes[self.start(at)..self.slots[at].end as usize]
    }

    /// A member and its score.
    #[inline]
    pub(super) fn get(&self, at: usize) -> (&[u8], f64) {
        (self.member(at), self.slots[at].score)
    }

    /// The number of members before a place.
    #[inline]
    pub(super) fn partition(&self, cut: &Cut<'_>) -> usize {
        let (mut low, mut high) = (0, self.slots.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if cut.is_behind(self.slots[middle].score, || self.member(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The position of a member with this hash.
    #[inline]
    pub(super) fn find(&self, hash: u32, member: &[u8]) -> Option<usize> {
        let mut alike = self.slots.iter().enumerate().filter(|(_, slot)| slot.hash == hash);
        alike.find(|(at, _)| self.member(*at) == member).map(|(at, _)| at)
    }

    pub(super) fn set_score(&mut self, at: usize, score: f64) {
        self.slots[at].score = score;
    }

    /// Inserts a member at a position.
    pub(super) fn insert(&mut self, at: usize, member: &[u8], score: f64, hash: u32) {
        let start = self.start(at);
        make_room(&mut self.slots, 1);
        make_room(&mut self.bytes, member.len());
        let tail = self.bytes.len() - start;
        self.bytes.extend_from_slice(member);
        if tail > 0 {
            self.bytes.copy_within(start..start + tail, start + member.len());
            self.bytes[start..start + member.len()].copy_from_slice(member);
        }
        let len = member.len() as u32;
        self.slots[at..].iter_mut().for_each(|slot| slot.end += len);
        self.slots.insert(at, Slot { score, hash, end: start as u32 + len });
    }

    /// Removes members.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        let (start, end) = (self.start(from), self.start(to));
        self.bytes.drain(start..end);
        self.slots.drain(from..to);
        let gone = (end - start) as u32;
        self.slots[from..].iter_mut().for_each(|slot| slot.end -= gone);
        self.shrink();
    }

    /// Gives back room if much more is allocated than used.
    fn shrink(&mut self) {
        if self.slots.capacity() > self.slots.len() * 2 + 8 {
            self.slots.shrink_to(room::<Slot>(self.slots.len()));
        }
        if self.bytes.capacity() > self.bytes.len() * 2 + 64 {
            self.bytes.shrink_to(room::<u8>(self.bytes.len()));
        }
    }

    /// Moves the members from a position on to a new leaf.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let start = self.start(at);
        let mut other = Self::default();
        other.slots.reserve_exact(room::<Slot>(self.slots.len() - at));
        other
            .slots
            .extend(self.slots[at..].iter().map(|slot| Slot { end: slot.end - start as u32, ..*slot }));
        other.bytes.reserve_exact(room::<u8>(self.bytes.len() - start));
        other.bytes.extend_from_slice(&self.bytes[start..]);
        self.slots.truncate(at);
        self.bytes.truncate(start);
        self.slots.shrink_to(room::<Slot>(at + 1));
        self.bytes.shrink_to(room::<u8>(start));
        other
    }

    /// Appends the members of another leaf.
    pub(super) fn append(&mut self, other: &Self) {
        let before = self.bytes.len() as u32;
        make_room(&mut self.slots, other.slots.len());
        make_room(&mut self.bytes, other.bytes.len());
        self.bytes.extend_from_slice(&other.bytes);
        self.slots.extend(other.slots.iter().map(|slot| Slot { end: slot.end + before, ..*slot }));
    }

    /// The bytes that the leaf has on the heap.
    pub(super) fn memory(&self) -> usize {
        heap::block(self.slots.capacity() * size_of::<Slot>()) + heap::block(self.bytes.capacity())
    }
}
