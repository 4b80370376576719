//! The leaves of a large list.

use super::packed::{encoded_len, offset_in};
use crate::value::heap;
use crate::value::listpack::{self, split_first, split_last};

/// The most bytes of a leaf's entries, unless there is only one. Few under test, so that there are many leaves.
pub(super) const LEAF_BYTES: usize = if cfg!(test) { 256 } else { 8192 };

/// Some elements of a list. Removing the first ones moves no others, and neither does adding at the front while there
/// is room.
#[derive(Default)]
pub(super) struct ListLeaf {
    count: usize,
    /// The number of unused bytes at the beginning.
    start: usize,
    bytes: Vec<u8>,
}

impl Clone for ListLeaf {
    /// Makes a copy without spare room.
    fn clone(&self) -> Self {
        Self::of_entries(self.entries().to_vec(), self.count)
    }
}

impl ListLeaf {
    /// A leaf of one element.
    pub(super) fn of(element: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(encoded_len(element));
        listpack::push_bytes(&mut bytes, element);
        Self::of_entries(bytes, 1)
    }

    pub(super) fn of_entries(entries: Vec<u8>, count: usize) -> Self {
        Self { count, start: 0, bytes: entries }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn entries(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The bytes of the entries.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Approximate bytes allocated, without the leaf itself.
    pub(super) fn memory(&self) -> usize {
        heap::block(self.bytes.capacity())
    }

    /// The offset of an element's entry in the entries. O(elements)
    pub(super) fn offset(&self, index: usize) -> usize {
        offset_in(self.entries(), self.count, index)
    }

    /// Whether there is room for an element whose entry has `size` bytes.
    pub(super) fn has_room(&self, size: usize) -> bool {
        self.count == 0 || self.size() + size <= LEAF_BYTES
    }

    /// The capacity for `needed` bytes. A leaf that grows gets twice as much, because most leaves become full.
    fn room(needed: usize) -> usize {
        (needed * 2).min(LEAF_BYTES).max(needed)
    }

    fn make_room_behind(&mut self, size: usize) {
        if self.bytes.capacity() - self.bytes.len() >= size {
            return;
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        let needed = self.bytes.len() + size;
        if needed > self.bytes.capacity() {
            self.bytes.reserve_exact(Self::room(needed) - self.bytes.len());
        }
    }

    fn make_room_before(&mut self, size: usize) {
        if self.start >= size {
            return;
        }
        let used = self.size();
        let room = Self::room(used + size);
        let mut bytes = Vec::with_capacity(room);
        bytes.resize(room - used, 0);
        bytes.extend_from_slice(self.entries());
        self.start = room - used;
        self.bytes = bytes;
    }

    /// Adds an element, even if there is no room for it.
    pub(super) fn insert(&mut self, index: usize, element: &[u8], size: usize) {
        if index == self.count {
            self.make_room_behind(size);
            listpack::push_bytes(&mut self.bytes, element);
        } else if index == 0 {
            self.make_room_before(size);
            self.start -= size;
            let mut entry = Vec::with_capacity(size);
            listpack::push_bytes(&mut entry, element);
            self.bytes[self.start..self.start + size].copy_from_slice(&entry);
        } else {
            self.make_room_behind(size);
            let at = self.start + self.offset(index);
            let end = self.bytes.len();
            listpack::push_bytes(&mut self.bytes, element);
            self.bytes[at..].rotate_right(size);
            debug_assert_eq!(self.bytes.len(), end + size);
        }
        self.count += 1;
    }

    /// Removes `count` elements from a position on.
    pub(super) fn remove(&mut self, index: usize, count: usize) {
        if index == 0 {
            for _ in 0..count {
                self.start += split_first(self.entries()).map_or(0, |(_, size)| size);
            }
        } else if index + count == self.count {
            for _ in 0..count {
                let size = split_last(self.entries()).map_or(0, |(_, size)| size);
                self.bytes.truncate(self.bytes.len() - size);
            }
        } else {
            let (from, to) = (self.offset(index), self.offset(index + count));
            self.bytes.drain(self.start + from..self.start + to);
        }
        self.count -= count;
        self.give_room_back();
    }

    /// Gives room back that a leaf has no use for which has lost most of its bytes.
    fn give_room_back(&mut self) {
        let size = self.size();
        if self.bytes.capacity() > LEAF_BYTES / 16 && size * 4 <= self.bytes.capacity() {
            let mut bytes = Vec::with_capacity(size * 2);
            bytes.extend_from_slice(self.entries());
            (self.bytes, self.start) = (bytes, 0);
        }
    }

    /// Replaces the element at a position if the new one fits. Returns whether it did.
    pub(super) fn replace(&mut self, index: usize, element: &[u8], size: usize) -> bool {
        let at = self.offset(index);
        let old = split_first(&self.entries()[at..]).map_or(0, |(_, size)| size);
        if self.count > 1 && self.size() - old + size > LEAF_BYTES {
            return false;
        }
        let mut entry = Vec::with_capacity(size);
        listpack::push_bytes(&mut entry, element);
        if size > old {
            self.make_room_behind(size - old);
        }
        let at = self.start + at;
        self.bytes.splice(at..at + old, entry);
        self.give_room_back();
        true
    }

    /// Moves the elements from `index` on to a new leaf. `index` is neither 0 nor the number of elements.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let at = self.start + self.offset(index);
        let right = Self::of_entries(self.bytes[at..].to_vec(), self.count - index);
        self.bytes.truncate(at);
        self.bytes.drain(..self.start);
        (self.count, self.start) = (index, 0);
        self.bytes.shrink_to_fit();
        right
    }

    /// The position of the first element in the second half of the bytes, at least 1. The leaf has at least two
    /// elements.
    pub(super) fn middle(&self) -> usize {
        let (mut index, mut at) = (0, 0);
        while at < self.size() / 2 {
            at += split_first(&self.entries()[at..]).map_or(LEAF_BYTES, |(_, size)| size);
            index += 1;
        }
        index.clamp(1, self.count - 1)
    }

    /// Appends the elements of another leaf.
    pub(super) fn append(&mut self, other: &Self) {
        self.make_room_behind(other.size());
        self.bytes.extend_from_slice(other.entries());
        self.count += other.count;
    }
}
