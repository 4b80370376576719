//! The one function that changes the store: an effect is applied to the locked shard of its key.
#![deny(clippy::wildcard_enum_match_arm)]

mod copied;
mod moved;
mod structural;

use super::entry::{DeadlineFlags, Kind, Parts};
use super::place::Place;
use super::raw_table::{self, Raw};
use super::shown::KeyClasses;
use super::{Entry, Locked, Store};
use crate::effect::Effect;
use std::sync::atomic::Ordering::Relaxed;

impl Locked<'_> {
    /// Applies an effect to the shard of its key. The caller holds that shard exclusively, and the shards of the
    /// effect's sources too. `hash` is the key's hash. Structural effects need all shards, see
    /// [`Locked::apply_structural`].
    ///
    /// Returns a number of elements, 0 for effects that are not listed here:
    /// - hashes: live fields that a `Set` adds or a `Delete` removes;
    /// - sets: members that are added or removed;
    /// - sorted sets: members that are added or removed;
    /// - lists: elements that are removed;
    /// - streams: entries that are deleted or trimmed, pending entries that are acknowledged or removed with their
    ///   consumer.
    pub fn apply(&mut self, effect: &Effect<'_>, hash: u64) -> usize {
        self.changed.add(KeyClasses::of(hash));
        match *effect {
            Effect::String { db, key, ref change } => {
                let place = self.changing(self.place(db, key, hash));
                self.string(place, change);
            }
            Effect::Hash { db, key, ref change } => {
                let place = self.changing(self.place(db, key, hash));
                return self.hash(place, change);
            }
            Effect::Set { db, key, ref change } => {
                let place = self.changing(self.place(db, key, hash));
                return self.set(place, change);
            }
            Effect::Stream { db, key, ref change } => {
                let place = self.changing(self.place(db, key, hash));
                return self.stream(place, change);
            }
            Effect::List { db, key, ref change } => {
                let place = self.changing(self.place(db, key, hash));
                return self.list(place, change);
            }
            Effect::Zset { db, key, ref change } => {
                let place = self.changing(self.place(db, key, hash));
                return self.zset(place, change);
            }
            Effect::Item { table, partition, ref change } => {
                let place = self.changing(self.table_place(table, partition, hash));
                self.item(place, change);
            }
            Effect::Delete { db, key } => {
                let place = self.changing(self.place(db, key, hash));
                self.delete(place);
            }
            Effect::Expire { db, key, at } => {
                let place = self.changing(self.place(db, key, hash));
                self.expire(place, at);
            }
            Effect::Restore { db, key, payload, expire, read_at } => {
                let place = self.changing(self.place(db, key, hash));
                self.restore(place, payload, expire, read_at);
            }
            Effect::Move { db, key, to_db, to } => {
                let hash_from = self.store.hash(key);
                self.changed.add(KeyClasses::of(hash_from));
                let from = self.changing(self.place(db, key, hash_from));
                let to = self.changing(self.place(to_db, to, hash));
                self.move_entry(from, to);
            }
            Effect::Copy { db, key, to_db, to } => {
                let from = self.place(db, key, self.store.hash(key));
                let to = self.changing(self.place(to_db, to, hash));
                self.copy_entry(from, to);
            }
            Effect::Combine { op, db, to, keys } => {
                let place = self.changing(self.place(db, to, hash));
                self.combine(place, op, keys);
            }
            Effect::Structural(_) => {
                debug_assert!(false, "structural effects are applied by apply_structural");
            }
        }
        0
    }

    /// A place whose entry is about to change: an image that has not read it reads it now.
    #[inline]
    pub(super) fn changing<'k>(&self, place: Place<'k>) -> Place<'k> {
        self.read_before_change(place);
        place
    }

    #[inline]
    pub(super) fn place<'k>(&self, db: u32, key: &'k [u8], hash: u64) -> Place<'k> {
        let space = self.store.space(db as usize);
        let shard = self.store.shard_of(hash);
        Place { shard, hash: Store::place(hash, space), space, db: Some(db as usize), key }
    }

    #[inline]
    pub(super) fn table_place<'k>(&self, table: u32, key: &'k [u8], hash: u64) -> Place<'k> {
        let shard = self.store.shard_of(hash);
        Place { shard, hash: Store::place(hash, table), space: table, db: None, key }
    }

    /// The entry, mutable.
    #[inline]
    pub(super) fn find(&mut self, place: Place<'_>) -> Option<&mut Entry> {
        raw_table::find_mut(self.raw_mut(place.shard)?, place.hash, place.space, place.key)
    }

    /// The entry.
    #[inline]
    pub(super) fn look(&self, place: Place<'_>) -> Option<&Entry> {
        raw_table::find(self.raw(place.shard)?, place.hash, place.space, place.key)
    }

    pub(super) fn insert(&mut self, place: Place<'_>, entry: Entry) {
        self.recorded_insert(place);
        self.insert_unrecorded(place, entry);
    }

    fn insert_unrecorded(&mut self, place: Place<'_>, entry: Entry) {
        let store = self.store;
        self.note_deadline(place, entry.has_deadline());
        let deadlines = entry.deadlines();
        self.read_before_growth(place.shard);
        let Some(raw) = self.raw_mut(place.shard) else { return };
        if raw_table::insert(raw, place.hash, entry, |e| store.place_of(e)) {
            let buckets = self.raw(place.shard).map_or(0, Raw::buckets);
            store.sides[place.shard].reorganised(buckets);
        }
        self.count_inserted(place, deadlines);
    }

    /// Raises the shard's flag for the expiry cycle. Called after every change that may have given an entry a deadline.
    #[inline]
    pub(super) fn note_deadline(&self, place: Place<'_>, there: bool) {
        if there {
            self.store.sides[place.shard].deadlines.store(true, Relaxed);
        }
    }

    /// Tells watchers and waiting clients that the value of a key has changed.
    #[inline]
    pub(super) fn changed(&mut self, place: Place<'_>) {
        if let Some(db) = place.db {
            self.tell(place, db);
        }
    }

    pub(super) fn put(&mut self, place: Place<'_>, kind: Kind, expire: Option<u64>, payload: &[u8]) {
        let far = kind == Kind::Str && self.is_far(payload.len());
        if far || self.recording.is_some() {
            let clock = self.clock_over(place);
            let entry = if far {
                Entry::far(place.space, place.key, expire, payload.to_vec(), clock)
            } else {
                Entry::new(&Parts { space: place.space, key: place.key, expire, kind, payload }, clock)
            };
            return self.put_entry(place, entry);
        }
        let clock = self.store.fresh_clock(self.now);
        let lfu = self.store.lfu.load(Relaxed);
        if let Some(entry) = self.find(place) {
            let before = entry.deadlines();
            if entry.kind().is_apart() {
                let parts = Parts { space: place.space, key: place.key, expire, kind, payload };
                let entry = Entry::new(&parts, if lfu { entry.clock() } else { clock });
                return self.put_entry(place, entry);
            }
            entry.replace(kind, expire, payload);
            if !lfu {
                entry.set_clock(clock);
            }
            let (deadline, after) = (entry.has_deadline(), entry.deadlines());
            self.note_deadline(place, deadline);
            self.count_deadlines(place, before, after);
            self.changed(place);
            return;
        }
        let parts = Parts { space: place.space, key: place.key, expire, kind, payload };
        self.insert(place, Entry::new(&parts, clock));
        self.changed(place);
    }

    /// The access clock of a value that replaces the present one. Under an LFU policy the key keeps its frequency.
    pub(super) fn clock_over(&self, place: Place<'_>) -> u32 {
        let lfu = self.store.lfu.load(Relaxed);
        let before = if lfu { self.look(place) } else { None };
        before.map_or_else(|| self.store.fresh_clock(self.now), Entry::clock)
    }

    /// Whether a string of `len` bytes gets an allocation of its own.
    #[inline]
    pub(super) fn is_far(&self, len: usize) -> bool {
        len >= self.store.thresholds.string_bytes.load(Relaxed)
    }

    /// Puts an entry in place of the one with its name, or inserts it.
    pub(super) fn put_entry(&mut self, place: Place<'_>, entry: Entry) {
        let (deadline, after) = (entry.has_deadline(), entry.deadlines());
        let Some(old) = self.find(place) else {
            self.insert(place, entry);
            self.changed(place);
            return;
        };
        let before = old.deadlines();
        let old = std::mem::replace(old, entry);
        self.replaced(place, old);
        self.note_deadline(place, deadline);
        self.count_deadlines(place, before, after);
        self.changed(place);
    }

    pub(super) fn delete(&mut self, place: Place<'_>) {
        if let Some((entry, slot)) = self.take(place) {
            self.removed(place, entry, slot);
        }
    }

    /// Removes an entry from the store and returns it with its slot.
    fn take(&mut self, place: Place<'_>) -> Option<(Entry, usize)> {
        let raw = self.raw_mut(place.shard)?;
        let (entry, slot) = raw_table::remove_from_slot(raw, place.hash, place.space, place.key)?;
        self.uncount(place, &entry);
        match place.db {
            // Readers did not see the expired entry, so watchers are not told; clients that wait for it are.
            Some(db) if entry.expired(self.now) => self.tell_waiting(place, db),
            Some(db) => self.tell(place, db),
            None => {}
        }
        Some((entry, slot))
    }

    fn expire(&mut self, place: Place<'_>, at: Option<u64>) {
        let Some(entry) = self.find(place) else { return };
        let (expire, before) = (entry.expire(), entry.deadlines());
        entry.set_expire(at);
        let after = entry.deadlines();
        self.record_deadline(place, expire);
        self.note_deadline(place, at.is_some());
        self.count_deadlines(place, before, after);
        self.changed(place);
    }
}

impl Locked<'_> {
    /// Updates the shard's counts of deadlines for an entry that has changed.
    #[inline]
    pub(super) fn count_deadlines(&self, place: Place<'_>, before: DeadlineFlags, after: DeadlineFlags) {
        if let (Some(db), true) = (place.db, before != after) {
            self.store.sides[place.shard].count(db, 0, before, after);
        }
    }

    /// Counts an entry that came in; a partition is entered in its table's roster.
    pub(super) fn count_inserted(&self, place: Place<'_>, deadlines: DeadlineFlags) {
        let side = &self.store.sides[place.shard];
        match place.db {
            Some(db) => side.count(db, 1, DeadlineFlags::default(), deadlines),
            None => side.rosters.write().enlist(place.space, Store::place(place.hash, place.space)),
        }
    }

    /// Counts an entry that left; a partition is struck from its table's roster.
    pub(super) fn uncount(&self, place: Place<'_>, entry: &Entry) {
        let side = &self.store.sides[place.shard];
        match place.db {
            Some(db) => side.count(db, -1, entry.deadlines(), DeadlineFlags::default()),
            None => side.rosters.write().strike(place.space, Store::place(place.hash, place.space)),
        }
    }
}
