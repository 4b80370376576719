//! Emptying the store, so that its data can be read from disk again.

use super::Store;
use super::locked::Doubtful;
use super::shown::KeyClasses;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

impl Store {
    /// Empties the store, for a recovery that begins again. No command runs. Takes each shard's lock in turn.
    pub fn clear(&self) {
        self.dbs.iter().enumerate().for_each(|(db, space)| space.store(db as u32, Relaxed));
        self.dead.lock().clear();
        (0..self.shard_count()).for_each(|shard| self.clear_shard(shard));
    }

    /// Notes that a shard was read from disk: what it shows is durable.
    pub fn shard_is_read(&self, shard: usize) {
        let _held = self.write(shard);
        self.sides[shard].positions.set(KeyClasses::ALL, 0);
    }

    /// How often entries were taken away to be read again. If it changes during a walk over the shards, the walk has
    /// seen no consistent state.
    pub fn clears(&self) -> u64 {
        self.clears.load(Acquire)
    }

    /// Removes all entries of a shard. Readers are refused until [`Store::shard_is_read`].
    pub fn clear_shard(&self, shard: usize) {
        self.clears.fetch_add(1, AcqRel);
        let mut raw = self.write(shard);
        self.lose_images(shard);
        self.copies.forget_where(|spot| spot.shard == shard);
        raw.drain().for_each(|(entry, _)| drop(Doubtful::new(entry)));
        self.note_emptied(shard);
        // A position that is never settled, so no reader is shown the shard before it was read again.
        self.sides[shard].positions.set(KeyClasses::ALL, u64::MAX);
    }
}
