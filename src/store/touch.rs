//! Watching keys, and the watchers that are told when a key changes. A watch is for a database's number and not for its
//! space, because FLUSHDB and SWAPDB give the database another space.

use super::Store;
use super::watch::Watcher;
use crate::effect::SYSTEM;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The name under which an item is watched: a number that no database has and that stands for the table, and the item's
/// two keys joined.
fn item_name(table: u32, partition: &[u8], sort: &[u8]) -> (usize, Box<[u8]>) {
    let length = (partition.len() as u64).to_le_bytes();
    (usize::MAX - table as usize, [&length, partition, sort].concat().into())
}

impl Store {
    /// Registers a watcher for a key of a database; returns false if it watched the key already. The caller holds the
    /// key's shard (shared is enough), so that no change is missed. O(watchers of the key).
    pub fn watch(&self, db: usize, key: &[u8], hash: u64, watcher: &Watcher) -> bool {
        let side = &self.sides[self.shard_of(hash)];
        let mut table = side.watch.lock();
        let is_new = table.keys.with(db, key, |watchers| {
            let is_new = !watchers.iter().any(|other| Arc::ptr_eq(other, watcher));
            if is_new {
                watchers.push(Arc::clone(watcher));
            }
            is_new
        });
        side.watched.store(table.len(), Relaxed);
        is_new
    }

    /// As [`Store::watch`] for an item of a table; `hash` is that of its partition key.
    pub fn watch_item(
        &self,
        table: u32,
        (partition, sort): (&[u8], &[u8]),
        hash: u64,
        watcher: &Watcher,
    ) -> bool {
        let (db, key) = item_name(table, partition, sort);
        self.watch(db, &key, hash, watcher)
    }

    /// Removes a watcher from an item.
    pub fn unwatch_item(&self, table: u32, (partition, sort): (&[u8], &[u8]), hash: u64, watcher: &Watcher) {
        let (db, key) = item_name(table, partition, sort);
        self.unwatch(db, &key, hash, watcher);
    }

    /// Raises the flags of an item's watchers. The caller holds the shard exclusively.
    #[inline]
    pub(super) fn touched_item(&self, shard: usize, table: u32, partition: &[u8], sort: &[u8]) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            let (db, key) = item_name(table, partition, sort);
            self.raise(shard, db, &key);
        }
    }

    /// Removes a watcher from a key.
    pub fn unwatch(&self, db: usize, key: &[u8], hash: u64, watcher: &Watcher) {
        let side = &self.sides[self.shard_of(hash)];
        let mut table = side.watch.lock();
        if let Some(watchers) = table.keys.get_mut(db, key) {
            watchers.retain(|w| !Arc::ptr_eq(w, watcher));
            if watchers.is_empty() {
                table.keys.remove(db, key);
            }
        }
        side.watched.store(table.len(), Relaxed);
    }

    /// The number of watched keys and items.
    #[cfg(test)]
    pub(crate) fn watched(&self) -> usize {
        self.sides.iter().map(|side| side.watch.lock().keys.len()).sum()
    }

    /// Raises the flags of a key's watchers, and notes the change for clients that wait for the key. The caller holds
    /// the shard exclusively.
    #[inline]
    pub(super) fn touched(&self, shard: usize, db: usize, key: &[u8]) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            self.raise(shard, db, key);
        }
    }

    /// The part of [`Store::touched`] for a shard in which keys are watched or waited for.
    #[cold]
    fn raise(&self, shard: usize, db: usize, key: &[u8]) {
        if self.rereading.load(Acquire) {
            return;
        }
        if db == SYSTEM as usize {
            return self.raise_everywhere(shard, key);
        }
        let mut table = self.sides[shard].watch.lock();
        for watcher in table.keys.get(db, key).into_iter().flatten() {
            watcher.store(true, Release);
        }
        if let Some(waiters) = table.waiting.get_mut(db, key) {
            self.ready.note(db, key, waiters);
        }
    }

    /// As [`Store::touched`], for a key of the server's own database: clients know it by its name, in every database.
    fn raise_everywhere(&self, shard: usize, key: &[u8]) {
        let mut table = self.sides[shard].watch.lock();
        for (_, watchers) in table.keys.everywhere(key) {
            watchers.iter().for_each(|watcher| watcher.store(true, Release));
        }
        for (db, waiters) in table.waiting.everywhere(key) {
            self.ready.note(db, key, waiters);
        }
    }

    /// Raises the flags of all watchers, and makes all keys ready that clients wait for.
    pub fn raise_all(&self) {
        for side in &self.sides {
            for (_, _, watchers) in side.watch.lock().keys.iter() {
                watchers.iter().for_each(|watcher| watcher.store(true, Release));
            }
        }
        (0..self.shard_count()).for_each(|shard| self.signal_database(shard, None));
    }

    /// Sets whether the data is being read again from disk. Keys do not count as changed by that; the thread that reads
    /// the data has raised the flags of the watchers concerned.
    pub fn set_rereading(&self, on: bool) {
        self.rereading.store(on, Release);
    }

    /// Names of the watched keys of a database in a shard.
    pub(super) fn watched_keys(&self, shard: usize, db: usize) -> Vec<Box<[u8]>> {
        if self.sides[shard].watched.load(Relaxed) == 0 {
            return Vec::new();
        }
        let table = self.sides[shard].watch.lock();
        table.keys.iter().filter(|(of, ..)| *of == db).map(|(_, key, _)| key.into()).collect()
    }
}
