//! The index from a member's hash to the leaf that contains it. It consists of parts that are split one after the other
//! as the set grows, so that no change moves more than one part's entries.
//!
//! With `n` parts, an entry's part is its hash modulo the next power of two, or half of that if there is no such part
//! yet (linear hashing). So a part has exactly the entries whose hashes, with their bits reversed, are in one range.
//! Walks follow the order of reversed hashes, which depends neither on other entries nor on the number of parts.

use crate::value::heap;
use hashbrown::HashTable;
use std::sync::Arc;

/// The average number of entries of a part above which a part is added.
const FULL: usize = if cfg!(test) { 12 } else { 384 };

/// The leaf of a member. Two members with one hash in one leaf have equal entries, which are interchangeable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberPlace {
    pub(super) hash: u32,
    pub(super) leaf: u32,
}

/// The index. A clone shares its parts until they change.
#[derive(Clone)]
pub(super) struct MemberIndex {
    parts: Vec<Arc<HashTable<MemberPlace>>>,
    len: usize,
}

impl Default for MemberIndex {
    fn default() -> Self {
        Self { parts: vec![Arc::default()], len: 0 }
    }
}

/// The hash for a part's table. The hashes of a part's entries have equal low bits, so they are mixed.
fn spread(hash: u32) -> u64 {
    let product = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

/// The part of a hash if there are `parts`.
fn home(hash: u32, parts: usize) -> usize {
    let mask = parts.next_power_of_two() - 1;
    let home = hash as usize & mask;
    if home < parts { home } else { home & mask >> 1 }
}

impl MemberIndex {
    fn part_mut(&mut self, hash: u32) -> &mut HashTable<MemberPlace> {
        let home = home(hash, self.parts.len());
        Arc::make_mut(&mut self.parts[home])
    }

    /// Calls `look` with the leaves that may contain a member of this hash, until it finds the member.
    #[inline]
    pub(super) fn find<T>(&self, hash: u32, mut look: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let mut found = None;
        self.parts[home(hash, self.parts.len())].find(spread(hash), |entry| {
            if entry.hash == hash {
                found = look(entry.leaf);
            }
            found.is_some()
        });
        found
    }

    /// The leaf of a member that has this hash.
    #[inline]
    pub(super) fn foresee(&self, hash: u32) -> Option<u32> {
        let part = self.parts.get(home(hash, self.parts.len()))?;
        part.find(spread(hash), |entry| entry.hash == hash).map(|entry| entry.leaf)
    }

    pub(super) fn insert(&mut self, hash: u32, leaf: u32) {
        self.part_mut(hash)
            .insert_unique(spread(hash), MemberPlace { hash, leaf }, |entry| spread(entry.hash));
        self.len += 1;
        if self.len > self.parts.len() * FULL {
            self.split();
        }
    }

    pub(super) fn remove(&mut self, hash: u32, leaf: u32) {
        let part = self.part_mut(hash);
        let Ok(found) = part.find_entry(spread(hash), |entry| *entry == MemberPlace { hash, leaf }) else {
            return;
        };
        found.remove();
        if part.capacity() > 64 && part.len() < part.capacity() / 8 {
            part.shrink_to(part.len() * 2, |entry| spread(entry.hash));
        }
        self.len -= 1;
        if self.parts.len() > 1 && self.len < self.parts.len() * FULL / 4 {
            self.unsplit();
        }
    }

    /// Notes that a member was moved to another leaf.
    pub(super) fn relocate(&mut self, hash: u32, from: u32, to: u32) {
        let entry = MemberPlace { hash, leaf: from };
        if let Some(found) = self.part_mut(hash).find_mut(spread(hash), |other| *other == entry) {
            found.leaf = to;
        }
    }

    /// Adds a part, which takes its entries from one other part.
    fn split(&mut self) {
        let new = self.parts.len();
        let from = new - (1 << new.ilog2());
        let leaves = |entry: &MemberPlace| home(entry.hash, new + 1) == new;
        let old = std::mem::take(&mut self.parts[from]);
        let moved = old.iter().filter(|entry| leaves(entry)).count();
        let mut kept = HashTable::with_capacity(old.len() - moved);
        let mut other = HashTable::with_capacity(moved);
        for entry in old.iter() {
            let table = if leaves(entry) { &mut other } else { &mut kept };
            table.insert_unique(spread(entry.hash), *entry, |entry| spread(entry.hash));
        }
        self.parts[from] = Arc::new(kept);
        self.parts.push(Arc::new(other));
    }

    /// Removes the last part, whose entries go back to the part from which they came.
    fn unsplit(&mut self) {
        let Some(other) = self.parts.pop() else { return };
        let new = self.parts.len();
        let table = Arc::make_mut(&mut self.parts[new - (1 << new.ilog2())]);
        for entry in other.iter() {
            table.insert_unique(spread(entry.hash), *entry, |entry| spread(entry.hash));
        }
    }

    /// The number of low bits of a hash that decide that an entry is in a part.
    fn bits(&self, part: usize) -> u32 {
        let parts = self.parts.len();
        let round = parts.ilog2();
        round + u32::from(part >> round != 0 || part | 1 << round < parts)
    }

    /// Calls `visit` with about `count` entries from a cursor on, in the order of their reversed hashes; entries of one
    /// hash are in one step. Returns the next cursor, 0 at the end. O(count + entries of a part).
    pub(super) fn walk(&self, cursor: u64, count: usize, mut visit: impl FnMut(MemberPlace)) -> u64 {
        let Ok(mut at) = u32::try_from(cursor) else { return 0 };
        let mut seen = 0;
        let mut found: Vec<(u32, u32)> = Vec::new();
        loop {
            let number = home(at.reverse_bits(), self.parts.len());
            found.clear();
            let all = self.parts[number].iter().map(|entry| (entry.hash.reverse_bits(), entry.leaf));
            found.extend(all.filter(|(place, _)| *place >= at));
            found.sort_unstable();
            found.dedup();
            let mut end = found.len().min(count.saturating_sub(seen).max(1));
            while end > 0 && found.get(end).is_some_and(|next| next.0 == found[end - 1].0) {
                end += 1;
            }
            found[..end].iter().for_each(|(place, leaf)| {
                visit(MemberPlace { hash: place.reverse_bits(), leaf: *leaf });
            });
            seen += end;
            if let Some(next) = found.get(end) {
                return u64::from(next.0);
            }
            let bits = self.bits(number);
            let first = u64::from((number as u32).reverse_bits());
            let next = first + (1 << (32 - bits));
            if seen >= count || next > u64::from(u32::MAX) {
                return next & u64::from(u32::MAX);
            }
            at = next as u32;
        }
    }

    /// The number of parts.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Copies a part if another sorted set has it too. Its bytes, and whether it was shared.
    pub(super) fn own(&mut self, part: usize) -> (usize, bool) {
        let Some(part) = self.parts.get_mut(part) else { return (0, false) };
        let shared = Arc::get_mut(part).is_none();
        (of_part(Arc::make_mut(part)), shared)
    }

    /// The bytes that the index has on the heap, estimated from a sample of parts.
    pub(super) fn memory(&self) -> usize {
        const SAMPLES: usize = 64;
        let step = self.parts.len().div_ceil(SAMPLES);
        let (seen, sum) =
            self.parts.iter().step_by(step).fold((0, 0), |(seen, sum), part| (seen + 1, sum + of_part(part)));
        sum * self.parts.len() / seen.max(1) + heap::block(self.parts.capacity() * size_of::<usize>())
    }
}

/// The bytes of a part.
fn of_part(part: &HashTable<MemberPlace>) -> usize {
    let table = match part.capacity() {
        0 => 0,
        capacity => {
            let buckets = (capacity * 8 / 7).next_power_of_two().max(4);
            heap::block(buckets * (size_of::<MemberPlace>() + 1) + 16)
        }
    };
    table + heap::block(size_of::<HashTable<MemberPlace>>() + 2 * size_of::<usize>())
}
