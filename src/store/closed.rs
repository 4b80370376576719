//! Closed shards. If a change panics while it is carried out, a value may be half changed, for which no later change
//! was made. Its shard is closed then: nothing shows it, changes it or writes it to a checkpoint until its data is read
//! from disk again. The other shards are served.

use super::{Locked, Store};
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

impl Store {
    /// Whether any shard is closed. One relaxed load; exact for a thread that holds the shard in question.
    #[inline]
    pub fn has_closed(&self) -> bool {
        self.closed_shards() != 0
    }

    /// How many shards are closed.
    #[inline]
    pub fn closed_shards(&self) -> usize {
        self.closed.load(Relaxed)
    }

    /// Whether a shard is closed.
    pub(super) fn is_closed(&self, shard: usize) -> bool {
        self.has_closed() && self.sides[shard].closed.load(Relaxed)
    }

    /// Opens a shard, whose entries were removed. The caller holds it exclusively.
    pub(super) fn open(&self, shard: usize) {
        if self.sides[shard].closed.swap(false, Relaxed) {
            self.closed.fetch_sub(1, Relaxed);
        }
    }
}

impl Locked<'_> {
    /// Whether one of the shards that are held is closed.
    #[inline]
    pub fn holds_closed(&self) -> bool {
        self.store.has_closed()
            && (0..self.store.shard_count())
                .any(|shard| self.store.is_closed(shard) && self.holds_shard(shard))
    }

    /// Closes the shard of a hash. It is held exclusively.
    #[cold]
    pub fn close(&self, hash: u64) {
        debug_assert!(self.owns(hash));
        self.close_shard(self.store.shard_of(hash));
    }

    /// Closes all shards that are held exclusively.
    #[cold]
    pub fn close_all(&self) {
        (0..self.store.shard_count()).filter(|shard| self.owns_shard(*shard)).for_each(|shard| {
            self.close_shard(shard);
        });
    }

    fn close_shard(&self, shard: usize) {
        let store = self.store;
        if !store.sides[shard].closed.swap(true, Relaxed) {
            tracing::error!(
                shard,
                "a change was interrupted by a fault of the program; the keys of its shard are closed until a restart"
            );
            store.closed.fetch_add(1, Relaxed);
            // A walk over the shards that is under way has seen no consistent state.
            store.clears.fetch_add(1, AcqRel);
            store.lose_images(shard);
            store.copies.forget_where(|spot| spot.shard == shard);
        }
    }
}
