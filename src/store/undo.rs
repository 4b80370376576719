//! Taking back a transaction's changes.
//!
//! While changes are recorded, each change keeps what it removes or replaces: whole entries as they are, so that taking
//! back a deletion costs the same for a value of any size; fields, stream entries and items of large values one by one;
//! small values as a copy of their block, once. Changes are taken back from the last to the first. Then everything is
//! exactly as it was, with deadlines, order and access clocks. Watchers and waiting clients are told when the changes
//! are kept; they never hear of changes that are taken back.
//!
//! The shards stay locked from the first change until all are kept or taken back, so no reader sees a change that is
//! taken back.
#![deny(clippy::wildcard_enum_match_arm)]

use super::inverse::Inverse;
use super::place::Place;
use super::raw_table;
use super::recording::{Home, Recording, Slot, Step, Told, Used};
use super::types::item::DeadlineIn;
use super::{Entry, Locked, Object, Store, ValueRef};
use std::sync::atomic::Ordering::Relaxed;

impl Locked<'_> {
    /// Records all changes from now on, until [`Locked::keep_changes`] or [`Locked::take_back`]. Structural effects
    /// must not follow.
    pub fn record_changes(&mut self) {
        self.recording.get_or_insert_with(Recording::begin);
    }

    /// Ends the recording and keeps the changes. What was removed is freed, and watchers and waiting clients are told.
    #[inline]
    pub fn keep_changes(&mut self) {
        if let Some(recording) = self.recording.take() {
            self.keep_recorded(recording);
        }
    }

    #[cold]
    fn keep_recorded(&mut self, mut recording: Box<Recording>) {
        for (home, step) in recording.steps.drain(..) {
            match step {
                Step::Removed(entry, _) | Step::Replaced(entry) => self.discard(home.shard, entry),
                Step::Within(inverse) => inverse.settle(self.store, home.shard),
                Step::Inserted | Step::Moved(..) | Step::Deadline(_) => {}
            }
        }
        for told in recording.told.drain(..) {
            match told {
                Told::Watchers { shard, db, key } => self.store.touched(shard, db, &key),
                Told::WatchersOfItem { shard, table, partition, sort } => {
                    self.store.touched_item(shard, table, &partition, &sort);
                }
                Told::Waiting { shard, db, key } => self.store.signal(shard, db, &key),
            }
        }
        recording.end();
    }

    /// Takes all recorded changes back. `deadline_of` tells when the items that are put back expire.
    #[cold]
    pub fn take_back(&mut self, deadline_of: DeadlineIn<'_>) {
        let Some(recording) = self.recording.take() else { return };
        let mut used = recording.used.into_inner();
        for (at, (home, step)) in recording.steps.into_iter().enumerate().rev() {
            self.set_clocks_back(&mut used, at + 1);
            let place = home.place();
            match step {
                Step::Inserted => self.take_out(place),
                Step::Removed(entry, slot) => self.put_in(place, entry, slot),
                Step::Replaced(entry) => self.put_over(place, entry),
                Step::Moved(from, slot) => self.move_back(place, from.place(), slot),
                Step::Deadline(at) => self.set_deadline(place, at),
                Step::Within(inverse) => self.take_back_within(place, inverse, deadline_of),
            }
        }
        self.set_clocks_back(&mut used, 0);
    }

    /// Restores the access clocks that were noted after the first `steps` steps.
    fn set_clocks_back(&self, used: &mut Vec<Used>, steps: usize) {
        while let Some(Used { space, key, hash, clock, .. }) = used.pop_if(|last| last.steps >= steps) {
            self.peek(space, &key, hash).into_iter().for_each(|entry| entry.set_clock(clock));
        }
    }

    /// Whether the changes are recorded, and taking them back puts back the whole value at a key, whatever became of
    /// it.
    pub fn keeps_whole(&self, space: u32, key: &[u8], hash: u64) -> bool {
        let (shard, hash) = (self.store.shard_of(hash), Store::place(hash, space));
        let place = Place { shard, hash, space, db: None, key };
        self.recording.as_deref().is_some_and(|recording| recording.covers(place))
    }

    fn take_out(&mut self, place: Place<'_>) {
        let Some(raw) = self.raw_mut(place.shard) else { return };
        let Some(entry) = raw_table::remove(raw, place.hash, place.space, place.key) else { return };
        self.uncount(place, &entry);
        self.discard(place.shard, entry);
    }

    fn move_back(&mut self, to: Place<'_>, from: Place<'_>, slot: Slot) {
        let Some(raw) = self.raw_mut(to.shard) else { return };
        let Some(entry) = raw_table::remove(raw, to.hash, to.space, to.key) else { return };
        self.uncount(to, &entry);
        self.store.note_moved(to, from, &entry);
        self.put_in(from, entry.with_name(from.space, from.key), slot);
    }

    fn put_in(&mut self, place: Place<'_>, entry: Entry, slot: Slot) {
        let store = self.store;
        self.note_deadline(place, entry.has_deadline());
        let deadlines = entry.deadlines();
        self.read_before_growth(place.shard);
        let Some(raw) = self.raw_mut(place.shard) else { return };
        let (grown, index) = raw_table::put_back(raw, place.hash, entry, |e| store.place_of(e));
        let buckets = raw.buckets();
        let moved =
            store.sides[place.shard].generation.load(Relaxed) == slot.generation && index != slot.index;
        if grown || moved {
            store.sides[place.shard].reorganised(buckets);
        }
        self.count_inserted(place, deadlines);
    }

    fn put_over(&mut self, place: Place<'_>, entry: Entry) {
        let after = entry.deadlines();
        self.note_deadline(place, entry.has_deadline());
        let Some(now) = self.find(place) else { return };
        let old = std::mem::replace(now, entry);
        self.count_deadlines(place, old.deadlines(), after);
        self.discard(place.shard, old);
    }

    fn set_deadline(&mut self, place: Place<'_>, at: Option<u64>) {
        let Some(entry) = self.find(place) else { return };
        let before = entry.deadlines();
        entry.set_expire(at);
        let after = entry.deadlines();
        self.count_deadlines(place, before, after);
    }
}

/// How changes are recorded.
impl Locked<'_> {
    #[inline]
    pub(super) fn recorded_insert(&mut self, place: Place<'_>) {
        if let Some(recording) = &mut *self.recording {
            recording.cover(place, Step::Inserted);
        }
    }

    /// Takes over a removed entry: keeps it while changes are recorded, else frees it.
    pub(super) fn removed(&mut self, place: Place<'_>, entry: Entry, index: usize) {
        match &mut *self.recording {
            None => self.discard(place.shard, entry),
            Some(recording) => {
                let generation = self.store.sides[place.shard].generation.load(Relaxed);
                recording.steps.push((Home::of(place), Step::Removed(entry, Slot { index, generation })));
            }
        }
    }

    /// Notes a move of an entry that has just left its slot. Later changes within the entry get steps of their own,
    /// even if the whole value at its new key was kept before.
    pub(super) fn recorded_move(&mut self, from: Place<'_>, to: Place<'_>, index: usize) {
        if let Some(recording) = &mut *self.recording {
            let generation = self.store.sides[from.shard].generation.load(Relaxed);
            recording
                .steps
                .push((Home::of(to), Step::Moved(Box::new(Home::of(from)), Slot { index, generation })));
            recording.uncover(to);
        }
    }

    /// Takes over an entry that another one replaced: keeps it while changes are recorded, else frees it.
    pub(super) fn replaced(&mut self, place: Place<'_>, entry: Entry) {
        match &mut *self.recording {
            None => self.discard(place.shard, entry),
            Some(recording) => {
                recording.cover(place, Step::Replaced(entry));
            }
        }
    }

    /// Records an entry's deadline before another one is set.
    pub(super) fn record_deadline(&mut self, place: Place<'_>, before: Option<u64>) {
        self.record(place, Step::Deadline(before));
    }

    /// Records how a change within a value is taken back.
    pub(super) fn record_within(&mut self, place: Place<'_>, inverse: impl Into<Inverse>) {
        self.record(place, Step::Within(inverse.into()));
    }

    fn record(&mut self, place: Place<'_>, step: Step) {
        if let Some(recording) = &mut *self.recording
            && !recording.covers(place)
        {
            recording.steps.push((Home::of(place), step));
        }
    }

    /// Prepares a change within a value; returns whether the caller must record how it is taken back. It need not for a
    /// small value, whose whole block is kept here, nor for a large list, of which a copy is kept that shares its
    /// nodes.
    #[inline]
    pub(super) fn records_within(&mut self, place: Place<'_>) -> bool {
        self.recording.is_some() && self.cover_small(place)
    }

    #[cold]
    fn cover_small(&mut self, place: Place<'_>) -> bool {
        if self.recording.as_deref().is_none_or(|recording| recording.covers(place)) {
            return false;
        }
        let store = self.store;
        let Some(entry) = self.find(place) else { return false };
        let is_shared = matches!(entry.value(), ValueRef::Boxed(Object::List(_)));
        if entry.kind().is_apart() && !is_shared {
            return true;
        }
        let copy = entry.twin();
        let old = std::mem::replace(entry, copy);
        store.note_twin(&old, entry);
        self.replaced(place, old);
        false
    }

    /// Tells watchers of a key and clients that wait for it that the key has changed: at once, or when the changes are
    /// kept.
    #[inline]
    pub(super) fn tell(&mut self, place: Place<'_>, db: usize) {
        match &mut *self.recording {
            None => self.store.touched(place.shard, db, place.key),
            Some(recording) if self.store.is_watched(place.shard) => {
                recording.told.push(Told::Watchers { shard: place.shard, db, key: place.key.into() });
            }
            Some(_) => {}
        }
    }

    /// As [`Locked::tell`], but only clients that wait for the key.
    pub(super) fn tell_waiting(&mut self, place: Place<'_>, db: usize) {
        match &mut *self.recording {
            None => self.store.signal(place.shard, db, place.key),
            Some(recording) if self.store.is_watched(place.shard) => {
                recording.told.push(Told::Waiting { shard: place.shard, db, key: place.key.into() });
            }
            Some(_) => {}
        }
    }

    /// As [`Locked::tell`], for watchers of an item.
    #[inline]
    pub(super) fn tell_of_item(&mut self, place: Place<'_>, sort: &[u8]) {
        let (shard, table) = (place.shard, place.space);
        match &mut *self.recording {
            None => self.store.touched_item(shard, table, place.key, sort),
            Some(recording) if self.store.is_watched(shard) => {
                let (partition, sort) = (place.key.into(), sort.into());
                recording.told.push(Told::WatchersOfItem { shard, table, partition, sort });
            }
            Some(_) => {}
        }
    }
}

impl Store {
    #[inline]
    fn is_watched(&self, shard: usize) -> bool {
        self.sides[shard].watched.load(Relaxed) != 0
    }
}
