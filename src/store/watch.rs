//! Watched keys: who wants to know when a key changes. A key is watched in the database of a number, whatever space that has
//! meanwhile: FLUSHDB and SWAPDB give it another one.

use super::Store;
use super::waiting::{Name, Waiting};
use crate::effect::SYSTEM;
use ahash::AHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};

/// A flag that is raised when a watched key changes.
pub type Watcher = Arc<AtomicBool>;

#[derive(Default)]
pub(super) struct WatchTable {
    /// By database, not by space: a watch outlives FLUSHDB and SWAPDB, which give the database another space.
    keys: AHashMap<Name, Vec<Watcher>>,
    /// Those who wait for a key, the first one first.
    pub(super) waiting: AHashMap<Name, VecDeque<Arc<dyn Waiting>>>,
}

impl WatchTable {
    /// How many keys somebody watches or waits for.
    pub(super) fn len(&self) -> u32 {
        (self.keys.len() + self.waiting.len()) as u32
    }
}

/// Gives back what a table has taken for many more keys than it has. O(1) a key that was removed.
pub(super) fn give_back<V>(table: &mut AHashMap<Name, V>) {
    let wanted = table.len() * 2;
    if table.capacity() > 8 && wanted < table.capacity() / 2 {
        table.shrink_to(wanted);
    }
}

/// The name under which an item is watched: a database's number that none has, which stands for the table, and the
/// item's keys in one.
fn item_name(table: u32, partition: &[u8], sort: &[u8]) -> (usize, Box<[u8]>) {
    let length = (partition.len() as u64).to_le_bytes();
    (usize::MAX - table as usize, [&length, partition, sort].concat().into())
}

impl Store {
    /// Registers a watcher for a key of a database; returns whether it did not watch the key yet. The caller holds the key's shard
    /// (shared is enough), so that no change is missed. O(watchers of the key).
    pub fn watch(&self, db: usize, key: &[u8], hash: u64, watcher: &Watcher) -> bool {
        let side = &self.sides[self.shard_of(hash)];
        let mut table = side.watch.lock();
        let watchers = table.keys.entry((db, key.into())).or_default();
        if watchers.iter().any(|other| Arc::ptr_eq(other, watcher)) {
            return false;
        }
        watchers.push(Arc::clone(watcher));
        side.watched.store(table.len(), Relaxed);
        true
    }

    /// As [`Store::watch`] for an item of a table; `hash` is its partition key's.
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
        let name = (db, Box::from(key));
        if let Some(watchers) = table.keys.get_mut(&name) {
            watchers.retain(|w| !Arc::ptr_eq(w, watcher));
            if watchers.is_empty() {
                table.keys.remove(&name);
                give_back(&mut table.keys);
            }
        }
        side.watched.store(table.len(), Relaxed);
    }

    /// Raises the flags of a key's watchers, and notes the change for those who wait for it. The caller holds the shard exclusively.
    #[inline]
    pub(super) fn touched(&self, shard: usize, db: usize, key: &[u8]) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            self.raise(shard, db, key);
        }
    }

    /// The same for a key of a database.
    #[cold]
    fn raise(&self, shard: usize, db: usize, key: &[u8]) {
        if self.rereading.load(Acquire) {
            return;
        }
        if db == SYSTEM as usize {
            return self.raise_everywhere(shard, key);
        }
        let table = self.sides[shard].watch.lock();
        let name = (db, Box::from(key));
        for watcher in table.keys.get(&name).into_iter().flatten() {
            watcher.store(true, Release);
        }
        let waited_for = table.waiting.contains_key(&name);
        drop(table);
        self.signal_if(waited_for, name);
    }

    /// The same for a key of the server's own database: clients know it by its name, in whatever database they are. O(keys that
    /// are watched or waited for in the shard).
    fn raise_everywhere(&self, shard: usize, key: &[u8]) {
        let table = self.sides[shard].watch.lock();
        for (_, watchers) in table.keys.iter().filter(|((_, name), _)| **name == *key) {
            watchers.iter().for_each(|watcher| watcher.store(true, Release));
        }
        drop(table);
        self.signal_everywhere(shard, key);
    }

    /// Raises the flags of all watchers, and has all keys be looked at that somebody waits for.
    pub fn raise_all(&self) {
        for side in &self.sides {
            for watcher in side.watch.lock().keys.values().flatten() {
                watcher.store(true, Release);
            }
        }
        (0..self.shard_count()).for_each(|shard| self.signal_database(shard, None));
    }

    /// Says whether the data is being read again from disk, by which no key counts as changed: whoever reads it has raised
    /// the watchers that it concerns.
    pub fn set_rereading(&self, on: bool) {
        self.rereading.store(on, Release);
    }

    /// Names of the watched keys of a database in a shard.
    pub(super) fn watched_keys(&self, shard: usize, db: usize) -> Vec<Box<[u8]>> {
        if self.sides[shard].watched.load(Relaxed) == 0 {
            return Vec::new();
        }
        let table = self.sides[shard].watch.lock();
        table.keys.keys().filter(|(d, _)| *d == db).map(|(_, key)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_held_many_keys_gives_their_room_back() {
        let store = Store::new(2, 1);
        let watcher = Watcher::default();
        let keys: Vec<Vec<u8>> = (0..10_000u32).map(|n| n.to_le_bytes().to_vec()).collect();
        let room = || store.sides.iter().map(|side| side.watch.lock().keys.capacity()).sum::<usize>();
        for key in &keys {
            assert!(store.watch(0, key, store.hash(key), &watcher));
        }
        assert!(room() >= keys.len());
        keys.iter().for_each(|key| store.unwatch(0, key, store.hash(key), &watcher));
        assert!(room() < 50, "{}", room());
    }
}
