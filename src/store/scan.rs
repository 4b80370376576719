//! Walking the store: SCAN's cursor, all keys of a space, a random key.
//!
//! # The cursor
//! A cursor names a shard, a slot in it, and the shard's generation, in 53 bits so that clients that keep it in a
//! double are exact: `generation << 39 | slot << 12 | shard`. As long as a shard's table is not reorganised its entries
//! stay in their slots, so a call that continues at the slot misses none. If the generation differs, entries may have
//! other slots: then one call walks the shard from its first slot to its last. It repeats some keys but misses none,
//! and makes progress even if the table is reorganised often. A walk over partitions of tables may follow the keys. Its
//! position stands in the bits of generation and shard, and its slot is one that no shard has.
//!
//! The walks for clients leave closed shards out.

use super::access::noise;
use super::raw_table;
use super::{Entry, Holder, Lent, Locked, Mode, Patience, Store};
use std::sync::atomic::Ordering::Relaxed;

const SHARD_BITS: u32 = 12;
const SLOT_BITS: u32 = 27;
const GENERATION_MASK: u64 = (1 << 14) - 1;

/// The most slots that a walk in pieces looks at under one hold. Tests use a small number to get many holds.
const PIECE_SLOTS: usize = if cfg!(test) { 64 } else { 4096 };
/// How often a walk in pieces begins anew because the table was reorganised. After that it goes through the shard under
/// one hold.
const MOST_RESTARTS: usize = 4;

/// How many bits of a partition's place in the order a cursor holds.
pub const POSITION_BITS: u32 = 26;
/// A slot that no shard has; a cursor with it belongs to a walk over partitions.
const NO_SLOT: u64 = (1 << SLOT_BITS) - 1;

/// The cursor of a position in a walk over partitions. No walk over keys has the same.
pub fn cursor_of(position: u64) -> u64 {
    let low = (1 << SHARD_BITS) - 1;
    position >> SHARD_BITS << (SHARD_BITS + SLOT_BITS) | NO_SLOT << SHARD_BITS | position & low
}

/// The position in a walk over partitions, if the cursor belongs to such a walk.
pub fn position_of(cursor: u64) -> Option<u64> {
    let step = ScanStep::from_cursor(cursor);
    (step.slot as u64 == NO_SLOT).then_some(step.generation << SHARD_BITS | step.shard as u64)
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanStep {
    shard: usize,
    slot: usize,
    generation: u64,
}

impl ScanStep {
    /// Reads a cursor that a client sent. Any number is accepted; one that SCAN did not give ends the walk or begins
    /// somewhere in it.
    pub fn from_cursor(cursor: u64) -> Self {
        Self {
            shard: (cursor & ((1 << SHARD_BITS) - 1)) as usize,
            slot: (cursor >> SHARD_BITS & ((1 << SLOT_BITS) - 1)) as usize,
            generation: cursor >> (SHARD_BITS + SLOT_BITS) & GENERATION_MASK,
        }
    }

    fn cursor(self) -> u64 {
        self.generation << (SHARD_BITS + SLOT_BITS) | (self.slot as u64) << SHARD_BITS | self.shard as u64
    }
}

impl Store {
    /// One call of SCAN: visits about `count` entries of a space, including expired ones, and returns the next cursor,
    /// 0 at the end. Each shard is locked by itself, unless `locked` holds all of them; [`Locked::lacks`] tells whether
    /// one could not be had. The slots looked at are bounded too, so that a small database beside a large one costs
    /// many short calls and no long one.
    pub fn scan(
        &self,
        locked: &Locked<'_>,
        space: u32,
        cursor: u64,
        count: usize,
        visit: &mut dyn FnMut(&Entry),
    ) -> u64 {
        let mut step = ScanStep::from_cursor(cursor);
        let mut seen = 0;
        let mut slots = count.saturating_mul(10).max(4096);
        while step.shard < self.shard_count() {
            let done = if locked.holds_all() {
                locked.scan_shard(&mut step, space, count, &mut seen, &mut slots, visit)
            } else {
                let Some(one) = locked.lock_for_walk(step.shard) else { return 0 };
                one.timed(Holder::Walk).scan_shard(&mut step, space, count, &mut seen, &mut slots, visit)
            };
            if done {
                step = ScanStep { shard: step.shard + 1, slot: 0, generation: 0 };
            }
            if seen >= count || slots == 0 {
                break;
            }
        }
        if step.shard >= self.shard_count() { 0 } else { step.cursor() }
    }

    /// Visits the entries of a space in a shard, expired ones included, in holds of `holder` with pauses between them.
    /// An entry that stays in the space is visited; it is visited twice if the shard's table is reorganised between two
    /// holds. The caller must not hold a lock.
    ///
    /// # Errors
    /// The shard is lent, and was not waited for.
    pub fn walk_in_pieces(
        &self,
        (shard, space): (usize, u32),
        now: u64,
        holder: Holder,
        visit: &mut dyn FnMut(&Entry),
    ) -> Result<(), Lent> {
        let (mut slot, mut generation, mut restarts) = (0, None, 0);
        loop {
            let locked = self.lock_shard_within(Patience::Short, shard, Mode::Read, now)?.timed(holder);
            let Some(raw) = locked.raw(shard) else { return Ok(()) };
            let current = self.sides[shard].generation.load(Relaxed);
            if generation.replace(current).is_some_and(|before| before != current) {
                (slot, restarts) = (0, restarts + 1);
            }
            let piece = if restarts < MOST_RESTARTS { PIECE_SLOTS } else { raw.buckets() };
            let end = raw.buckets().min(slot + piece);
            let entries = (slot..end).filter_map(|at| raw_table::slot(raw, at));
            entries.filter(|entry| entry.space() == space).for_each(&mut *visit);
            slot = end;
            if slot == raw.buckets() {
                return Ok(());
            }
        }
    }

    /// Visits every live entry of a space, shard by shard. [`Locked::lacks`] tells whether a shard could not be had.
    pub fn for_each(&self, locked: &Locked<'_>, space: u32, visit: &mut dyn FnMut(&Entry)) {
        for shard in 0..self.shard_count() {
            if locked.holds_all() {
                locked.each_in(shard, space, visit);
            } else {
                let Some(one) = locked.lock_for_walk(shard) else { return };
                one.timed(Holder::Walk).each_in(shard, space, visit);
            }
        }
    }

    /// Calls `accept` with random entries of a space, expired or not, until it accepts one; false if it accepts none,
    /// or if a shard could not be had ([`Locked::lacks`]). Expected O(1) if the space makes up a fair part of the
    /// store; otherwise a walk.
    pub fn random(&self, locked: &Locked<'_>, space: u32, accept: &mut dyn FnMut(&Entry) -> bool) -> bool {
        let start = noise() as usize % self.shard_count();
        for i in 0..self.shard_count() {
            let shard = (start + i) % self.shard_count();
            let found = if locked.holds_all() {
                locked.random_in(shard, space, accept)
            } else {
                let Some(one) = locked.lock_for_walk(shard) else { return false };
                one.timed(Holder::Walk).random_in(shard, space, accept)
            };
            if found {
                return true;
            }
        }
        false
    }
}

impl Locked<'_> {
    fn scan_shard(
        &self,
        step: &mut ScanStep,
        space: u32,
        count: usize,
        seen: &mut usize,
        slots: &mut usize,
        visit: &mut dyn FnMut(&Entry),
    ) -> bool {
        let Some(raw) = self.raw_if_open(step.shard) else { return true };
        let generation = u64::from(self.store.sides[step.shard].generation.load(Relaxed)) & GENERATION_MASK;
        let restart = step.slot != 0 && step.generation != generation;
        if restart {
            step.slot = 0;
        }
        *slots = slots.saturating_sub(1);
        while step.slot < raw.buckets() {
            if !restart && (*seen >= count || *slots == 0) {
                step.generation = generation;
                return false;
            }
            if let Some(entry) = raw_table::slot(raw, step.slot)
                && entry.space() == space
            {
                *seen += 1;
                visit(entry);
            }
            step.slot += 1;
            *slots = slots.saturating_sub(1);
        }
        true
    }

    /// The table of a shard that is held, unless the shard is closed.
    fn raw_if_open(&self, shard: usize) -> Option<&raw_table::Raw> {
        self.raw(shard).filter(|_| !self.store.is_closed(shard))
    }

    fn each_in(&self, shard: usize, space: u32, visit: &mut dyn FnMut(&Entry)) {
        let Some(raw) = self.raw_if_open(shard) else { return };
        for entry in raw_table::entries(raw) {
            if entry.space() == space && !entry.expired(self.now) {
                visit(entry);
            }
        }
    }

    /// Visits all entries of a locked shard in all spaces, expired ones included.
    pub fn entries(&self, shard: usize) -> impl Iterator<Item = &Entry> {
        self.raw(shard).into_iter().flat_map(raw_table::entries)
    }

    fn random_in(&self, shard: usize, space: u32, accept: &mut dyn FnMut(&Entry) -> bool) -> bool {
        let Some(raw) = self.raw_if_open(shard) else { return false };
        let buckets = raw.buckets();
        let start = noise() as usize % buckets.max(1);
        for i in 0..buckets {
            if let Some(entry) = raw_table::slot(raw, (start + i) % buckets)
                && entry.space() == space
                && accept(entry)
            {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::StringChange;
    use std::collections::BTreeSet;
    use std::sync::atomic::AtomicUsize;

    fn put(store: &Store, key: u32) {
        let key = key.to_string();
        let hash = store.hash(key.as_bytes());
        let effect = StringChange::Set { value: b"v", expire: None }.on(0, key.as_bytes());
        store.lock_one(hash, Mode::Write, 0).apply(&effect, hash);
    }

    /// Between two pieces a waiting writer gets the shard, and may make the table be reorganised.
    #[test]
    fn a_walk_in_pieces_lets_writers_in_and_misses_nothing() {
        for added in [1, 5000] {
            let store = Store::new(2, 1);
            let hash_of = |key: u32| store.hash(key.to_string().as_bytes());
            let mut in_shard = (0..).filter(|key| store.shard_of(hash_of(*key)) == 0);
            let there: Vec<u32> = in_shard.by_ref().take(2000).collect();
            let coming: Vec<u32> = in_shard.take(added).collect();
            there.iter().for_each(|key| put(&store, *key));
            let (visited, seen_by_writer) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut found = BTreeSet::new();
            std::thread::scope(|scope| {
                store
                    .walk_in_pieces((0, store.space(0)), 0, Holder::Lifting, &mut |entry| {
                        found.insert(entry.key().to_vec());
                        if visited.fetch_add(1, Relaxed) > 0 {
                            return;
                        }
                        scope.spawn(|| {
                            put(&store, coming[0]);
                            seen_by_writer.store(visited.load(Relaxed), Relaxed);
                            coming.iter().for_each(|key| put(&store, *key));
                        });
                        while !store.has_writer_waiting(hash_of(coming[0])) {
                            std::thread::yield_now();
                        }
                    })
                    .unwrap();
            });
            assert!(seen_by_writer.load(Relaxed) < there.len(), "the writer came behind the walk");
            assert!(there.iter().all(|key| found.contains(key.to_string().as_bytes())));
        }
    }
}
