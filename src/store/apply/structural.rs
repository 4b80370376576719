//! Effects on whole databases and tables, under all locks.

use super::raw_table;
use crate::effect::Structural;
use crate::store::entry::DeadlineFlags;
use crate::store::place::Place;
use crate::store::shown::KeyClasses;
use crate::store::side::DbCount;
use crate::store::{Locked, Store};
use std::sync::atomic::Ordering::Relaxed;

impl Locked<'_> {
    /// Applies a structural effect. The caller holds all shards exclusively.
    pub fn apply_structural(&mut self, change: &Structural<'_>) {
        debug_assert!(self.holds_all());
        self.changed = KeyClasses::ALL;
        self.finish_walks();
        let store = self.store;
        match *change {
            Structural::FlushDb { db, space } => {
                store.note_space(space);
                self.touch_database(db as usize, None);
                store.reaper.note_flushed(store.db_size(db as usize).0);
                if let Some(slot) = store.dbs.get(db as usize) {
                    let gone = slot.swap(space, Relaxed);
                    store.copies.forget_where(|spot| spot.space == gone);
                    store.give_up_space(gone);
                }
                store.sides.iter().filter_map(|s| s.counts.get(db as usize)).for_each(DbCount::reset);
            }
            Structural::SwapDb { a, b } => {
                let (a, b) = (a as usize, b as usize);
                self.touch_database(a, Some(b));
                self.touch_database(b, Some(a));
                let (Some(x), Some(y)) = (store.dbs.get(a), store.dbs.get(b)) else { return };
                let old = x.load(Relaxed);
                x.store(y.load(Relaxed), Relaxed);
                y.store(old, Relaxed);
                for side in &store.sides {
                    let (Some(x), Some(y)) = (side.counts.get(a), side.counts.get(b)) else { continue };
                    x.swap(y);
                }
            }
            Structural::TablePut { table, .. } => store.note_space(table),
            Structural::TableDrop { table } => {
                store.strike_all(table);
                store.give_up_space(table);
                store.raise_all();
            }
            Structural::LibraryPut { .. } | Structural::LibraryDrop { .. } | Structural::Gap => {}
        }
    }

    /// Applies a structural effect only to the entries whose key's hash qualifies, one by one. Recovery needs this if a
    /// checkpoint shows the effect in some shards already. O(entries).
    pub fn apply_structural_where(&mut self, change: &Structural<'_>, qualifies: &dyn Fn(u64) -> bool) {
        let store = self.store;
        let is_missing = |db: u32| db as usize >= store.databases();
        let moved = |space: u32| match *change {
            Structural::SwapDb { a, b } if is_missing(a) || is_missing(b) => None,
            Structural::FlushDb { db, .. } => (space == store.space(db as usize)).then_some(None),
            Structural::SwapDb { a, b } => {
                let other = [(a, b), (b, a)].into_iter().find(|(db, _)| space == store.space(*db as usize));
                other.map(|(_, other)| Some(other))
            }
            Structural::TablePut { .. }
            | Structural::TableDrop { .. }
            | Structural::LibraryPut { .. }
            | Structural::LibraryDrop { .. }
            | Structural::Gap => None,
        };
        match *change {
            Structural::FlushDb { space, .. } => store.note_space(space),
            Structural::TablePut { table, .. } => store.note_space(table),
            // A table's number is never used again, so all items of the number are dead, whichever image they came
            // from.
            Structural::TableDrop { table } => {
                store.strike_all(table);
                store.give_up_space(table);
            }
            Structural::SwapDb { .. }
            | Structural::LibraryPut { .. }
            | Structural::LibraryDrop { .. }
            | Structural::Gap => {}
        }
        let mut taken = Vec::new();
        for shard in 0..store.shard_count() {
            let Some(raw) = self.raw_mut(shard) else { continue };
            for index in 0..raw.buckets() {
                let Some(entry) = raw_table::slot(raw, index) else { continue };
                let (Some(target), hash) = (moved(entry.space()), store.hash(entry.key())) else { continue };
                if qualifies(hash) {
                    taken.extend(raw_table::take_slot(raw, index).map(|entry| (entry, hash, target)));
                }
            }
        }
        for (entry, hash, target) in taken {
            if let Some(db) = store.db_of(entry.space()) {
                store.sides[store.shard_of(hash)].count(db, -1, entry.deadlines(), DeadlineFlags::default());
            }
            if let Some(db) = target {
                let space = store.space(db as usize);
                let key = entry.key().to_vec();
                let place = Place {
                    shard: store.shard_of(hash),
                    hash: Store::place(hash, space),
                    space,
                    db: Some(db as usize),
                    key: &key,
                };
                self.insert(place, entry.with_name(space, &key));
            }
        }
    }

    /// Tells the watchers of all keys that exist. The caller holds all shards.
    pub fn touch_all(&self) {
        (0..self.store.databases()).for_each(|db| self.touch_database(db, None));
    }

    /// Tells the watchers of all keys that exist in the database, or in `other`, which takes its place. All keys for
    /// which clients wait are looked at again.
    fn touch_database(&self, db: usize, other: Option<usize>) {
        let space = self.store.space(db);
        for shard in 0..self.store.shard_count() {
            for key in self.store.watched_keys(shard, db) {
                let hash = self.store.hash(&key);
                let there = |space| self.peek(space, &key, hash).is_some_and(|e| !e.expired(self.now));
                if there(space) || other.is_some_and(|o| there(self.store.space(o))) {
                    self.store.touched(shard, db, &key);
                }
            }
            self.store.signal_database(shard, Some(db));
        }
    }
}
