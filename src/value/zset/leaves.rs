//! The leaves of a sorted set by number. They are shared with images and copies of the set until they change.

use super::leaf::ZsetLeaf;
use crate::env::memory::class_bytes;
use crate::value::heap;
use std::sync::Arc;

/// The number of leaves in one block of the table.
const CHUNK: usize = 64;

/// A block of the table.
#[derive(Clone)]
struct Chunk([Option<Arc<ZsetLeaf>>; CHUNK]);

/// All leaves. A clone shares them. A change of a shared leaf copies the leaf first, and the block of 64 references
/// that contains it.
#[derive(Clone, Default)]
pub(super) struct Leaves {
    chunks: Vec<Arc<Chunk>>,
    /// The unused numbers below `chunks.len() * CHUNK`.
    free: Vec<u32>,
}

static NONE: ZsetLeaf = ZsetLeaf::EMPTY;

impl Leaves {
    /// The bytes that an `Arc` has before its value.
    const COUNTS: usize = 2 * size_of::<usize>();
    /// The bytes of a leaf without what it owns.
    const LEAF: usize = class_bytes(Self::COUNTS + size_of::<ZsetLeaf>());

    /// The leaf with a number; an empty leaf for an unused number.
    #[inline]
    pub(super) fn get(&self, id: u32) -> &ZsetLeaf {
        let chunk = self.chunks.get(id as usize / CHUNK);
        chunk.and_then(|chunk| chunk.0[id as usize % CHUNK].as_deref()).unwrap_or(&NONE)
    }

    /// An existing leaf, mutable.
    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> &mut ZsetLeaf {
        let chunk = Arc::make_mut(&mut self.chunks[id as usize / CHUNK]);
        Arc::make_mut(chunk.0[id as usize % CHUNK].get_or_insert_default())
    }

    /// Copies a leaf, and the references beside it, if another sorted set has them too. Its bytes, and whether anything
    /// was shared.
    pub(super) fn own(&mut self, id: u32) -> (usize, bool) {
        let Some(chunk) = self.chunks.get_mut(id as usize / CHUNK) else { return (0, false) };
        let mut shared = Arc::get_mut(chunk).is_none();
        let Some(leaf) = &mut Arc::make_mut(chunk).0[id as usize % CHUNK] else { return (0, shared) };
        shared |= Arc::get_mut(leaf).is_none();
        (Self::LEAF + Arc::make_mut(leaf).memory(), shared)
    }

    /// All leaves as they are now.
    pub(super) fn snapshot(&self) -> LeavesSnapshot {
        LeavesSnapshot { chunks: self.chunks.clone().into_iter(), chunk: None, next: CHUNK }
    }

    /// Adds a leaf and returns its number.
    pub(super) fn add(&mut self, leaf: ZsetLeaf) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            let first = (self.chunks.len() * CHUNK) as u32;
            self.chunks.push(Arc::new(Chunk([const { None }; CHUNK])));
            self.free.extend((first + 1..first + CHUNK as u32).rev());
            first
        });
        Arc::make_mut(&mut self.chunks[id as usize / CHUNK]).0[id as usize % CHUNK] = Some(Arc::new(leaf));
        id
    }

    /// Removes a leaf.
    pub(super) fn remove(&mut self, id: u32) -> Option<Arc<ZsetLeaf>> {
        let gone = Arc::make_mut(&mut self.chunks[id as usize / CHUNK]).0[id as usize % CHUNK].take();
        self.free.extend(gone.is_some().then_some(id));
        gone
    }

    /// A number greater than those of all leaves.
    pub(super) fn end(&self) -> u32 {
        (self.chunks.len() * CHUNK) as u32
    }

    /// The number of leaves.
    pub(super) fn len(&self) -> usize {
        self.chunks.len() * CHUNK - self.free.len()
    }

    /// All leaves, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ZsetLeaf> {
        self.chunks.iter().flat_map(|chunk| chunk.0.iter().filter_map(Option::as_deref))
    }

    /// The bytes that the leaves have on the heap, estimated from a sample (0 for all).
    pub(super) fn memory(&self, samples: usize) -> usize {
        let step = if samples == 0 { 1 } else { self.len().div_ceil(samples).max(1) };
        let (seen, sum) =
            self.iter().step_by(step).fold((0, 0), |(seen, sum), leaf| (seen + 1, sum + leaf.memory()));
        let owned = (sum * self.len()).checked_div(seen).unwrap_or(0);
        owned
            + self.len() * Self::LEAF
            + self.chunks.len() * heap::block(Self::COUNTS + size_of::<Chunk>())
            + heap::block(self.chunks.capacity() * size_of::<usize>())
            + heap::block(self.free.capacity() * size_of::<u32>())
    }
}

/// Leaves as they were at a moment, to be read in the order of their numbers. Those that were read are let go of, 64 at
/// a time, so that only what changes before it is read is there twice.
pub(super) struct LeavesSnapshot {
    chunks: std::vec::IntoIter<Arc<Chunk>>,
    chunk: Option<Arc<Chunk>>,
    /// The next place in the chunk.
    next: usize,
}

impl LeavesSnapshot {
    /// The next leaf with members.
    pub(super) fn next(&mut self) -> Option<&ZsetLeaf> {
        let is_filled = |leaf: &Option<Arc<ZsetLeaf>>| leaf.as_ref().is_some_and(|leaf| !leaf.is_empty());
        let found = loop {
            let rest = self.chunk.as_ref().and_then(|chunk| chunk.0.get(self.next..)).unwrap_or_default();
            if let Some(passed) = rest.iter().position(is_filled) {
                break self.next + passed;
            }
            self.chunk = None;
            self.chunk = Some(self.chunks.next()?);
            self.next = 0;
        };
        self.next = found + 1;
        self.chunk.as_ref()?.0.get(found)?.as_deref()
    }
}
