//! The leaves of a sorted set by their numbers, shared with images and copies of it until they change.

use super::leaf::Leaf;
use crate::value::heap;
use std::sync::Arc;

/// Leaves in one block of the table.
const CHUNK: usize = 64;

/// Some places of leaves.
#[derive(Clone)]
struct Chunk([Option<Arc<Leaf>>; CHUNK]);

/// All leaves. A clone shares them; whoever changes one that is shared copies it first, with the 64 references beside
/// it.
#[derive(Clone, Default)]
pub(super) struct Leaves {
    chunks: Vec<Arc<Chunk>>,
    /// Numbers that no leaf has, below `chunks.len() * CHUNK`.
    free: Vec<u32>,
}

static NONE: Leaf = Leaf::EMPTY;

impl Leaves {
    /// A leaf; an empty one for a number that none has.
    #[inline]
    pub(super) fn get(&self, id: u32) -> &Leaf {
        let chunk = self.chunks.get(id as usize / CHUNK);
        chunk.and_then(|chunk| chunk.0[id as usize % CHUNK].as_deref()).unwrap_or(&NONE)
    }

    /// A leaf that is there, to change it.
    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> &mut Leaf {
        let chunk = Arc::make_mut(&mut self.chunks[id as usize / CHUNK]);
        Arc::make_mut(chunk.0[id as usize % CHUNK].get_or_insert_default())
    }

    /// Adds a leaf; its number.
    pub(super) fn add(&mut self, leaf: Leaf) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            let first = (self.chunks.len() * CHUNK) as u32;
            self.chunks.push(Arc::new(Chunk([const { None }; CHUNK])));
            self.free.extend((first + 1..first + CHUNK as u32).rev());
            first
        });
        Arc::make_mut(&mut self.chunks[id as usize / CHUNK]).0[id as usize % CHUNK] = Some(Arc::new(leaf));
        id
    }

    /// Takes a leaf out.
    pub(super) fn remove(&mut self, id: u32) -> Option<Arc<Leaf>> {
        let gone = Arc::make_mut(&mut self.chunks[id as usize / CHUNK]).0[id as usize % CHUNK].take();
        self.free.extend(gone.is_some().then_some(id));
        gone
    }

    /// The number above all that leaves have.
    pub(super) fn end(&self) -> u32 {
        (self.chunks.len() * CHUNK) as u32
    }

    /// How many leaves there are.
    pub(super) fn len(&self) -> usize {
        self.chunks.len() * CHUNK - self.free.len()
    }

    /// All leaves, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Leaf> {
        self.chunks.iter().flat_map(|chunk| chunk.0.iter().filter_map(Option::as_deref))
    }

    /// The bytes that it has on the heap, from a sample of leaves (0 for all).
    pub(super) fn memory(&self, samples: usize) -> usize {
        /// What stands before the value behind an `Arc`.
        const COUNTS: usize = 2 * size_of::<usize>();
        let step = if samples == 0 { 1 } else { self.len().div_ceil(samples).max(1) };
        let (seen, sum) =
            self.iter().step_by(step).fold((0, 0), |(seen, sum), leaf| (seen + 1, sum + leaf.memory()));
        let owned = (sum * self.len()).checked_div(seen).unwrap_or(0);
        owned
            + self.len() * heap::block(COUNTS + size_of::<Leaf>())
            + self.chunks.len() * heap::block(COUNTS + size_of::<Chunk>())
            + heap::block(self.chunks.capacity() * size_of::<usize>())
            + heap::block(self.free.capacity() * size_of::<u32>())
    }
}
