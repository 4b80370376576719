//! Closed shards. If a change panics while it is carried out, a value may be half changed, for which no later change
//! was made. Its shard is closed then: nothing shows it, changes it or writes it to a checkpoint until its data is read
//! from disk again. The other shards are served. Walks over the keys leave it out.

use super::locked::Doubtful;
use super::side::DbCount;
use super::{Locked, Store};
use crate::effect::is_own;
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

    /// Which shards are closed, in ascending order. Exact while all shards are held.
    pub fn which_closed(&self) -> Vec<usize> {
        (0..self.shard_count()).filter(|shard| self.is_closed(*shard)).collect()
    }

    /// Whether a shard is closed. Exact for a thread that holds it.
    #[inline]
    pub fn is_closed(&self, shard: usize) -> bool {
        self.has_closed() && self.sides[shard].closed.load(Relaxed)
    }

    /// A number that a closed shard keeps until it is opened: if it is closed again later, it has another. `None` for
    /// an open shard. Exact for a thread that holds it.
    pub fn closing_of(&self, shard: usize) -> Option<u32> {
        self.is_closed(shard).then(|| self.sides[shard].generation.load(Relaxed))
    }

    /// Notes that all entries of a shard were removed, which opens it. The caller holds it exclusively.
    pub(super) fn note_emptied(&self, shard: usize) {
        let side = &self.sides[shard];
        side.generation.fetch_add(1, Relaxed);
        side.counts.iter().for_each(DbCount::reset);
        side.rosters.write().clear();
        self.open(shard);
    }

    fn open(&self, shard: usize) {
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

    /// Whether a closed shard has keys of the server's own databases. All shards are held. O(entries of the closed
    /// shards).
    pub fn closed_have_own_keys(&self) -> bool {
        let has_own = |shard| self.entries(shard).any(|entry| is_own(entry.space()));
        self.store.which_closed().into_iter().any(has_own)
    }

    /// Empties the closed shards and opens them. All shards are held exclusively, all databases of clients are empty,
    /// and there are neither tables nor keys of the server's own in the closed shards: so what memory holds is known
    /// again. The entries are freed once the shards are given back.
    pub fn open_emptied(&mut self) {
        let store = self.store;
        for shard in store.which_closed() {
            let Some(raw) = self.raw_mut(shard) else { continue };
            let entries: Vec<_> = raw.drain().map(|(entry, _)| Doubtful::new(entry)).collect();
            self.garbage.get_or_insert_default().1.extend(entries);
            store.note_emptied(shard);
            tracing::warn!(shard, "a closed shard is open again: all databases were emptied");
        }
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
                "a change was interrupted by a fault of the program; the keys of its shard are closed until a restart or \
                 DEBUG RELOAD NOSAVE"
            );
            store.closed.fetch_add(1, Relaxed);
            // A walk over the shards that is under way has seen no consistent state.
            store.clears.fetch_add(1, AcqRel);
            store.lose_images(shard);
            store.copies.forget_where(|spot| spot.shard == shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::StringChange;
    use crate::store::Mode;

    #[test]
    fn the_entries_of_a_closed_shard_are_freed_after_the_shards_were_given_back() {
        let store = Store::new(2, 1);
        let hash = store.hash(b"k");
        let set = StringChange::Set { value: b"v", expire: None };
        store.lock_one(hash, Mode::Write, 1).apply(&set.on(0, b"k"), hash);
        let mut locked = store.lock_all(Mode::Write, 1);
        locked.close(hash);
        locked.open_emptied();
        assert_eq!(locked.garbage.as_ref().map(|garbage| garbage.1.len()), Some(1));
        assert!(locked.peek(0, b"k", hash).is_none() && !store.has_closed());
    }

    #[test]
    fn freeing_what_is_half_changed_may_panic() {
        struct Half;
        impl Drop for Half {
            fn drop(&mut self) {
                panic!("half changed");
            }
        }
        drop(vec![Doubtful::new(Half), Doubtful::new(Half)]);
    }
}
