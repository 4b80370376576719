//! Prefetching what lookups will read, so that the cache misses of many keys overlap. It is only a hint.

use super::raw_table::{self, Raw};
use super::{Locked, Store};
use dashmap::RwLockReadGuard;

/// How many lookups lie between prefetching a slot and prefetching the entry that it points to.
const AHEAD: usize = 8;

/// How many lookups are prefetched together.
const PREFETCH_GROUP: usize = 32;
/// The most keys of one command that are prefetched.
const MOST_PREFETCHED: usize = 1024;

impl Store {
    /// Stage one of a lookup that is known to come: prefetches the shard's lock and table header. The line is fetched
    /// for writing, because readers too write the lock.
    #[inline]
    pub fn prefetch_shard(&self, hash: u64) {
        let shard = self.shard_of(hash);
        let lock: *const dashmap::RwLock<Raw> = self.raw(shard);
        raw_table::prefetch_to_write(lock.cast());
        raw_table::prefetch(self.sides[shard].positions.address_of(hash).cast());
    }

    /// Stages two and three of lookups that are known to come, given as `(hash, space)`: prefetches the tables' control
    /// bytes and slots, and some lookups later, when those have arrived, the entries' blocks. It skips a shard that a
    /// writer has or waits for, and holds the others for the time of a few lookups.
    #[inline]
    pub fn prefetch(&self, lookups: impl Iterator<Item = (u64, u32)>) {
        let mut ahead: [Option<(RwLockReadGuard<'_, Raw>, u64)>; AHEAD] = [const { None }; AHEAD];
        let mut at = 0;
        for (hash, space) in lookups {
            let place = Self::place(hash, space);
            let shard = self.shard_of(hash);
            let next = self.sides[shard].gate.try_read(self.raw(shard));
            if let Some(guard) = &next {
                raw_table::prefetch_group(guard, place);
            }
            if let Some((guard, place)) = std::mem::replace(&mut ahead[at], next.map(|guard| (guard, place)))
            {
                raw_table::prefetch_entry(&guard, place);
            }
            at = (at + 1) % AHEAD;
        }
        for (guard, place) in ahead.into_iter().flatten() {
            raw_table::prefetch_entry(&guard, place);
        }
    }
}

impl Locked<'_> {
    /// Prefetches the memory that lookups of these hashes in a space will read, so that the cache misses of many keys
    /// overlap. It is only a hint.
    pub fn prefetch(&self, hashes: &[u64], space: u32) {
        // With larger groups the first lines would leave the near cache before they are used.
        for group in hashes.get(..MOST_PREFETCHED).unwrap_or(hashes).chunks(PREFETCH_GROUP) {
            for hash in group {
                if let Some(table) = self.raw(self.store.shard_of(*hash)) {
                    raw_table::prefetch_group(table, Store::place(*hash, space));
                }
            }
            for hash in group {
                if let Some(table) = self.raw(self.store.shard_of(*hash)) {
                    raw_table::prefetch_entry(table, Store::place(*hash, space));
                }
            }
        }
    }
}
