//! The partitions of tables beyond single lookups: walking a table in a stable order, and the times at which items
//! expire.
//!
//! # The order of a walk
//! A table's partitions are ordered by the hash of their keys, rotated so that the bits that choose the shard come
//! first. The order does not depend on how many shards there are or how their tables grow, so a walk that continues
//! behind a key sees every partition that is there throughout exactly once, and a stretch of the order holds its
//! proportional share of the table. Each shard keeps the ordered hashes of each table's partitions, the table's roster.
//! So a walk costs what it visits, and not what else the store holds.
//!
//! # When items expire
//! The engine knows which attribute holds the time, the store does not. A collection's deadline (that of its entry) is
//! never later than that of its earliest item, but may be earlier. The same holds for each chunk of a large collection.

use super::collection::Separator;
use super::entry::Entry;
use super::place::Place;
use super::{DeadlineOf, Holder, Locked, Object, Store, raw_table};
use smallvec::SmallVec;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

/// How many partitions a walk prefetches, so that their cache misses overlap. The prefetched partitions behind the last
/// wanted one are not used.
const WALK_AHEAD: usize = 16;

/// About so many items are looked at in one step of [`Locked::retime_items`]; a step takes less than a millisecond.
const RETIMED_ITEMS: usize = if cfg!(test) { 20 } else { 1000 };

/// Where a step of [`Locked::retime_items`] begins; the default is the beginning of a shard.
#[derive(Default)]
pub struct RetimePlace {
    /// The partition's place in the order of walks.
    order: u64,
    /// A key in the partition.
    within: Separator,
}

/// A walk's callback: it gets each partition, and the locks under which the partition is held.
pub type Visit<'f> = &'f mut dyn FnMut(&Locked<'_>, &Entry) -> ControlFlow<()>;

impl Store {
    /// Gives up the partitions of a removed table or index; the background frees their memory bit by bit. The caller
    /// holds all shards exclusively, or is recovery.
    pub fn give_up_partitions(&self, space: u32) {
        self.strike_all(space);
        self.give_up_space(space);
    }

    pub(super) fn strike_all(&self, space: u32) {
        for side in &self.sides {
            side.rosters.write().strike_all(space);
        }
    }

    /// Visits the partitions of a table whose places in the order lie from `from` to `to`, both included, until `visit`
    /// breaks. Each shard is locked by itself, unless `locked` holds all of them; [`Locked::lacks`] tells whether one
    /// could not be had.
    pub fn walk(&self, locked: &Locked<'_>, space: u32, (from, to): (u64, u64), visit: Visit<'_>) {
        let shift = u64::BITS - self.shard_count().trailing_zeros();
        for shard in (from >> shift) as usize..=(to >> shift) as usize {
            let flow = if locked.holds_all() {
                locked.walk_shard(shard, space, (from, to), visit)
            } else {
                let Some(one) = locked.lock_for_walk(shard) else { return };
                one.timed(Holder::Walk).walk_shard(shard, space, (from, to), visit)
            };
            if flow.is_break() {
                return;
            }
        }
    }
}

impl Locked<'_> {
    fn walk_shard(
        &self,
        shard: usize,
        space: u32,
        (from, to): (u64, u64),
        visit: Visit<'_>,
    ) -> ControlFlow<()> {
        let rosters = self.store.sides[shard].rosters.read();
        let (Some(roster), Some(raw)) = (rosters.of(space), self.raw(shard)) else {
            return ControlFlow::Continue(());
        };
        let mut orders = roster.range(from..=to);
        loop {
            let mut hashes = SmallVec::<[u64; WALK_AHEAD]>::new();
            hashes.extend(orders.by_ref().take(WALK_AHEAD).map(|order| order.rotate_right(7)));
            if hashes.is_empty() {
                return ControlFlow::Continue(());
            }
            self.prefetch(&hashes, space);
            for hash in hashes {
                let matches = |entry: &Entry| entry.space() == space && self.store.hash(entry.key()) == hash;
                if let Some(entry) = raw_table::find_by(raw, Store::place(hash, space), matches) {
                    visit(self, entry)?;
                }
            }
        }
    }

    /// Notes when an item that was just put expires.
    pub fn note_item_deadline(&mut self, space: u32, key: &[u8], hash: u64, sort: &[u8], at: u64) {
        let place = self.table_place(space, key, hash);
        self.note_deadline_of_item(place, sort, at);
    }

    pub(super) fn note_deadline_of_item(&mut self, place: Place<'_>, sort: &[u8], at: u64) {
        let Some(entry) = self.find(place) else { return };
        let alone = entry.value().items().is_some_and(|items| items.is_single());
        if let Some(Object::Items(items)) = entry.object_mut() {
            items.note_deadline(sort, at);
        }
        // The only item of a collection replaces the deadline of the item before it.
        let earliest = if alone { at } else { entry.expire().map_or(at, |other| other.min(at)) };
        if entry.expire() != Some(earliest) {
            entry.set_expire(Some(earliest));
        }
        self.note_deadline(place, true);
    }

    /// The sort keys of a partition's expired items, at most `limit`. The collection gets the deadline that it will
    /// have without these items.
    pub fn expired_items(
        &mut self,
        space: u32,
        key: &[u8],
        hash: u64,
        limit: usize,
        deadline_of: DeadlineOf<'_>,
    ) -> Vec<Vec<u8>> {
        let now = self.now;
        let place = self.table_place(space, key, hash);
        let mut due = Vec::new();
        let Some(entry) = self.find(place) else { return due };
        let before = entry.expire();
        self.record_deadline(place, before);
        let Some(entry) = self.find(place) else { return due };
        let next = if let Some(Object::Items(items)) = entry.object_mut() {
            items.take_expired(now, limit, deadline_of, &mut due)
        } else {
            let items = entry.value().items().into_iter().flat_map(|items| items.iter());
            super::collection::sort_out(items, now, limit, deadline_of, &mut due)
        };
        entry.set_expire(next);
        due
    }

    /// One step of computing the deadlines of a table's partitions in a shard again, for tables that were read from
    /// disk, or whose TTL attribute has changed. The shard is locked exclusively, and may be given back between the
    /// steps. Returns where the next step begins; `None` after the last one. O(`RETIMED_ITEMS`)
    pub fn retime_items(
        &mut self,
        shard: usize,
        space: u32,
        from: &RetimePlace,
        deadline_of: DeadlineOf<'_>,
    ) -> Option<RetimePlace> {
        let store = self.store;
        let rosters = store.sides[shard].rosters.read();
        let (roster, raw) = (rosters.of(space)?, self.raw_mut(shard)?);
        let (mut any, mut left, mut next) = (false, RETIMED_ITEMS, None);
        for order in roster.range(from.order..).copied() {
            let within = if order == from.order { from.within.as_slice() } else { &[] };
            if left == 0 {
                next = Some(RetimePlace { order, within: Separator::new() });
                break;
            }
            let hash = order.rotate_right(7);
            let matches = |entry: &Entry| entry.space() == space && store.hash(entry.key()) == hash;
            let Some(entry) = raw_table::find_by_mut(raw, Store::place(hash, space), matches) else {
                continue;
            };
            let count = entry.value().items().map_or(0, |items| items.len());
            let earliest = if let Some(Object::Items(items)) = entry.object_mut() {
                if let Some(within) = items.retime(within, left, deadline_of) {
                    next = Some(RetimePlace { order, within });
                    break;
                }
                items.earliest()
            } else {
                let items = entry.value().items().into_iter().flat_map(|items| items.iter());
                items.filter_map(|(_, item)| deadline_of(item)).min()
            };
            entry.set_expire(earliest);
            any |= earliest.is_some();
            left = left.saturating_sub(count.max(1));
        }
        if any {
            store.sides[shard].deadlines.store(true, Relaxed);
        }
        next
    }
}
