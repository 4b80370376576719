//! Background work on the store: removing what has expired, freeing dead spaces, choosing victims for eviction. Each
//! call looks at one shard under its lock, and its work is bounded.

use super::access::noise;
use super::raw_table;
use super::side::DbCount;
use super::{Entry, Holder, Locked, Mode, Patience, Store};
use crate::value::hash::{HashRef, packed_fields};
use std::sync::atomic::Ordering::Relaxed;

/// A key or fields in a locked shard whose deadline has passed.
pub struct Due {
    /// The database.
    pub db: u32,
    /// The key.
    pub key: Vec<u8>,
    /// The fields to remove; `None` if the whole key has expired.
    pub fields: Option<Vec<Vec<u8>>>,
}

/// What a sweep of one shard found.
#[derive(Default)]
pub struct Sweep {
    /// What is due, about as much as the caller asked for.
    pub due: Vec<Due>,
    /// Partitions, as table and key, that may hold expired items.
    pub partitions: Vec<(u32, Vec<u8>)>,
    /// Whether the shard may hold more that is due.
    pub more: bool,
}

/// Which keys are evicted when memory is short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EvictionRule {
    /// Whether only keys with a deadline may be evicted.
    pub volatile: bool,
    /// What makes a key a better victim.
    pub order: EvictionOrder,
}

/// The order of victims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EvictionOrder {
    /// The key that was not used for the longest time.
    Lru,
    /// The key that is used least often.
    Lfu,
    /// Any key.
    Random,
    /// The key that expires first.
    Ttl,
}

impl Locked<'_> {
    /// Looks through a shard's slots for passed deadlines. It does not touch entries whose slot has no deadline, so the
    /// cost is 8 bytes read for each slot, and a look at each entry that may be due. Finds about `limit` keys and
    /// fields together.
    pub fn due(&self, shard: usize, limit: usize) -> Sweep {
        let mut sweep = Sweep::default();
        let Some(raw) = self.raw(shard) else { return sweep };
        let deadlines = &self.store.sides[shard].deadlines;
        if !deadlines.load(Relaxed) {
            return sweep;
        }
        let mut any = false;
        let mut room = limit;
        for entry in raw_table::entries(raw) {
            any |= entry.has_deadline();
            if !entry.maybe_due(self.now) {
                continue;
            }
            let Some(db) = self.store.owner_of(entry.space()) else {
                // A partition without a table is freed with its dead space.
                if entry.deadline_passed(self.now)
                    && self.store.sides[shard].rosters.read().of(entry.space()).is_some()
                {
                    sweep.partitions.push((entry.space(), entry.key().to_vec()));
                    room = room.saturating_sub(1);
                    if room == 0 {
                        sweep.more = true;
                        break;
                    }
                }
                continue;
            };
            let fields = if entry.deadline_passed(self.now) {
                None
            } else {
                let fields = expired_fields(entry, self.now, room);
                if fields.is_empty() {
                    continue;
                }
                Some(fields)
            };
            room = room.saturating_sub(fields.as_ref().map_or(1, Vec::len));
            sweep.due.push(Due { db: db as u32, key: entry.key().to_vec(), fields });
            if room == 0 {
                sweep.more = true;
                break;
            }
        }
        if !any && !sweep.more {
            // The sweep holds the shard exclusively, so no writer raises the flag at this moment.
            deadlines.store(false, Relaxed);
        }
        sweep
    }

    /// Frees up to `limit` entries of a dead space in a shard that is locked exclusively; returns whether none is left.
    pub fn bury(&mut self, shard: usize, dead: &dyn Fn(u32) -> bool, limit: usize) -> bool {
        let mut freed = Vec::new();
        let Some(raw) = self.raw_mut(shard) else { return true };
        let mut complete = true;
        for index in 0..raw.buckets() {
            if !raw_table::slot(raw, index).is_some_and(|e| dead(e.space())) {
                continue;
            }
            if freed.len() >= limit {
                complete = false;
                break;
            }
            freed.extend(raw_table::take_slot(raw, index));
        }
        if raw.is_empty() && raw.buckets() > 64 {
            *raw = raw_table::Raw::new();
            self.store.sides[shard].reorganised(0);
        }
        self.store.reaper.note_buried(freed.len() as u64, false);
        let store = self.store;
        for entry in freed.into_iter().filter_map(|entry| store.hand_over(shard, entry)) {
            self.garbage.get_or_insert_default().0.push(entry);
        }
        complete
    }

    /// Gives back a shard's unused room if less than an eighth of it is taken, unless it is being walked over.
    pub fn shrink(&mut self, shard: usize) {
        let store = self.store;
        if store.is_imaged(shard) {
            return;
        }
        let Some(raw) = self.raw_mut(shard) else { return };
        if raw.buckets() > 64 && raw.len() * 8 < raw.buckets() {
            raw.shrink_to(raw.len() * 2, |(e, _)| store.place_of(e));
            store.sides[shard].reorganised(raw.buckets());
        }
    }
}

/// The names of expired fields: up to `limit` of a large hash, all of a packed one.
fn expired_fields(entry: &Entry, now: u64, limit: usize) -> Vec<Vec<u8>> {
    match entry.value().hash() {
        Some(HashRef::Packed(packed, ttl)) => {
            packed_fields(packed, ttl).filter(|f| f.expired(now)).map(|f| f.name.to_vec()).collect()
        }
        Some(HashRef::Big(big)) => big.expired(now).take(limit).map(|f| f.name.to_vec()).collect(),
        None => Vec::new(),
    }
}

/// A candidate for eviction.
pub struct Victim {
    /// The higher the score, the better the victim.
    pub score: u64,
    /// The database.
    pub db: usize,
    /// The key.
    pub key: Vec<u8>,
}

impl Store {
    /// Calls `found` with about `samples` random keys of all databases that the rule allows. Apart from shards that are
    /// lent, it finds none only if there are none.
    pub fn candidates(&self, rule: EvictionRule, samples: usize, now: u64, found: &mut dyn FnMut(Victim)) {
        let mut seen = 0;
        let shards = self.shard_count();
        let start = noise() as usize % shards;
        let wanted =
            |c: &DbCount| (if rule.volatile { c.expires.load(Relaxed) } else { c.keys.load(Relaxed) }) > 0;
        for i in 0..shards {
            let shard = (start + i) % shards;
            if self.sides[shard].counts.iter().any(wanted) && !self.is_closed(shard) {
                let Ok(locked) = self.lock_shard_within(Patience::Short, shard, Mode::Read, now) else {
                    continue;
                };
                locked.timed(Holder::Eviction).sample(shard, rule, samples, &mut seen, found);
            }
            if seen >= samples {
                return;
            }
        }
    }
}

impl Store {
    /// The average time that keys of a database have left, in ms, from up to `samples` keys with a deadline; 0 if there
    /// are none.
    pub fn sample_ttl(&self, db: usize, samples: u64, now: u64) -> u64 {
        let (space, shards) = (self.space(db), self.shard_count());
        let (start, mut sum, mut count) = (noise() as usize % shards, 0u64, 0);
        for shard in (0..shards).map(|i| (start + i) % shards) {
            if self.sides[shard].counts.get(db).is_none_or(|count| count.expires.load(Relaxed) == 0) {
                continue;
            }
            // The calling transaction may hold shards, so this does not wait: a shard that cannot be had at once is
            // left out.
            let Some(locked) = self.sides[shard].gate.try_read(self.raw(shard)) else { continue };
            let raw: &raw_table::Raw = &locked;
            let buckets = raw.buckets();
            let from = noise() as usize % buckets.max(1);
            let entries = (0..buckets).filter_map(|i| raw_table::slot(raw, (from + i) % buckets));
            let mut ours = entries.filter(|entry| entry.has_deadline() && entry.space() == space);
            if let Some(at) = ours.find_map(Entry::expire) {
                sum = sum.saturating_add(at.saturating_sub(now));
                count += 1;
            }
            if count == samples {
                break;
            }
        }
        sum.checked_div(count).unwrap_or(0)
    }
}

impl Locked<'_> {
    /// Calls `found` with keys from a random slot on, until `samples` are seen. Keys lie where their hashes say, so
    /// neighbours are as random a sample as any others.
    fn sample(
        &self,
        shard: usize,
        rule: EvictionRule,
        samples: usize,
        seen: &mut usize,
        found: &mut dyn FnMut(Victim),
    ) {
        let Some(raw) = self.raw(shard) else { return };
        let buckets = raw.buckets();
        let start = noise() as usize % buckets.max(1);
        for i in 0..buckets {
            let Some(entry) = raw_table::slot(raw, (start + i) % buckets) else { continue };
            if rule.volatile && !entry.has_deadline() {
                continue;
            }
            let Some(db) = self.store.db_of(entry.space()) else { continue };
            if rule.volatile && entry.expire().is_none() {
                continue;
            }
            *seen += 1;
            found(Victim { score: self.score(entry, rule.order), db, key: entry.key().to_vec() });
            if *seen >= samples {
                return;
            }
        }
    }

    fn score(&self, entry: &Entry, order: EvictionOrder) -> u64 {
        match order {
            EvictionOrder::Lru => self.store.idle_seconds(entry, self.now),
            EvictionOrder::Lfu => 255 - u64::from(self.store.lfu_count(entry.clock(), self.now)),
            EvictionOrder::Random => noise() >> 1,
            EvictionOrder::Ttl => u64::MAX - entry.expire().unwrap_or(u64::MAX),
        }
    }
}

impl Store {
    /// Whether entries of dead spaces wait to be freed.
    pub fn has_dead(&self) -> bool {
        !self.dead.lock().is_empty()
    }

    /// Frees entries of dead spaces, at most `limit` while a shard is held once; false when there are none. Shards that
    /// are lent are left for the next call.
    pub fn bury_some(&self, now: u64, limit: usize) -> bool {
        self.bury_until(now, limit, &|| false)
    }

    /// As [`Store::bury_some`], but ends when `enough` returns true; it is asked after each shard.
    pub fn bury_until(&self, now: u64, limit: usize, enough: &dyn Fn() -> bool) -> bool {
        let dead = self.dead.lock().clone();
        if dead.is_empty() {
            return false;
        }
        let mut is_all = true;
        for shard in (0..self.shard_count()).filter(|shard| !self.is_closed(*shard)) {
            loop {
                let Ok(locked) = self.lock_shard_within(Patience::Short, shard, Mode::Write, now) else {
                    is_all = false;
                    break;
                };
                let mut locked = locked.timed(Holder::Expiry);
                // If the data was read again meanwhile, a space of the list may be in use again.
                let still = self.dead.lock().clone();
                if locked.bury(shard, &|s| dead.contains(&s) && still.contains(&s), limit) {
                    break;
                }
            }
            if enough() {
                return true;
            }
        }
        if !is_all {
            return true;
        }
        let mut left = self.dead.lock();
        left.retain(|s| !dead.contains(s));
        if left.is_empty() {
            self.reaper.note_buried(0, true);
        }
        true
    }

    /// Seconds since the entry was last used, by its access clock of 24 bits.
    pub fn idle_seconds(&self, entry: &Entry, now: u64) -> u64 {
        u64::from(((now / 1000) as u32).wrapping_sub(entry.clock()) & 0xff_ffff)
    }
}
