//! The sharded item store: DashMap lives here and nowhere else.
//!
//! The keys of databases and the partitions of tables live in one map, keyed by (space, key), where a space is a
//! database or a table. The key alone chooses the shard. So keys of one name in all databases share a shard, and so do
//! the partitions of one partition key in all tables. The space is mixed into the other bits of the hash.
//!
//! Invariants: no guard of the map leaves this room. Shards are locked through [`Store::lock_one`],
//! [`Store::lock_many`] and [`Store::lock_all`] only, which wait in ascending order; no thread locks a second set while
//! it holds one. A writer waits for the readers that were there before it, not for those that come after it (`gate`). A
//! thread that wants several shards holds none that others could have while it waits for one that is held for long. The
//! mapping of databases to spaces changes only under all locks, so it is stable under any one of them.

mod apply;
pub mod collection;
mod cycle;
pub mod entry;
mod gate;
pub mod holds;
mod image;
mod locks;
mod names;
pub mod object;
mod partitions;
mod raw_table;
mod reaper;
mod scan;
mod seldom;
pub mod shown;
mod sync;
mod timed;
mod types;
mod undo;
mod waiting;
mod watch;

pub use collection::DeadlineOf;
pub use cycle::{Due, EvictionOrder, EvictionRule, Sweep, Victim};
use entry::Deadlines;
pub use entry::{Entry, Kind};
pub use holds::{Holder, Holds, HoldsByHolder};
pub use image::{Owner, Piece, ShardImage, key_effects};
pub use locks::{Garbage, Locked, Mode};
pub use object::{Object, ValueRef};
pub use partitions::{Visit, walk_order};
pub use scan::{POSITION_BITS, ScanStep, cursor_of, position_of};
pub(crate) use seldom::Seldom;
pub use timed::Timed;
pub use types::Built;
pub use types::item::{DeadlineIn, item_effects};
pub use types::list::MOST_PACKED;
pub use types::stream::stream_effects;
pub use waiting::{Awaited, KeyAt, Waiter, Waiting};
pub use watch::Watcher;

use crate::config::Settings;
use crate::effect::is_own;
use dashmap::{DashMap, RwLockReadGuard};
use partitions::Rosters;
use raw_table::Raw;
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

/// How many lookups lie between prefetching a slot and prefetching the entry that it points to.
const AHEAD: usize = 8;

/// The space of databases that do not exist. It is always empty. The log may name such a database after a start with
/// fewer databases.
const NOWHERE: u32 = u32::MAX - 2;

/// The part of a hash that chooses the place within a shard; the bits above choose the shard and the tag.
const PLACE_BITS: u64 = (1 << 46) - 1;

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.space(), other.key())
    }
}

impl Eq for Entry {}

/// A shard's counts for one database. They are written under the shard's exclusive lock only.
#[derive(Default)]
struct DbCount {
    keys: AtomicU32,
    /// Keys with a deadline of their own.
    expires: AtomicU32,
    /// Hashes of which a field has a deadline.
    subexpires: AtomicU32,
}

impl DbCount {
    fn reset(&self) {
        [&self.keys, &self.expires, &self.subexpires].iter().for_each(|count| count.store(0, Relaxed));
    }

    fn swap(&self, other: &Self) {
        let exchange = |a: &AtomicU32, b: &AtomicU32| a.store(b.swap(a.load(Relaxed), Relaxed), Relaxed);
        exchange(&self.keys, &other.keys);
        exchange(&self.expires, &other.expires);
        exchange(&self.subexpires, &other.subexpires);
    }
}

/// What belongs to a shard besides its table.
struct Side {
    /// Every thread that locks the shard goes through this gate.
    gate: gate::Gate,
    /// The positions in the log of the last records that changed the shard; written under its exclusive lock only.
    positions: shown::Positions,
    /// Changes whenever entries move to other slots.
    generation: AtomicU32,
    /// The number of slots of the shard's table, for threads that do not lock the shard.
    buckets: AtomicUsize,
    /// How many keys of the shard are watched or waited for. While it is zero, this costs writers one load.
    watched: AtomicU32,
    watch: parking_lot::Mutex<watch::WatchTable>,
    /// Whether the shard may hold an entry with a deadline. A writer raises it; a sweep that saw none lowers it.
    deadlines: AtomicBool,
    counts: Box<[DbCount]>,
    /// The partitions of each table; changed under the shard's exclusive lock only.
    rosters: parking_lot::RwLock<Rosters>,
    /// Whether an image that is being read has registered values that are or were in the shard.
    imaged: AtomicBool,
}

/// A time on a cache line of its own, because every transaction reads it.
#[derive(Default)]
#[repr(align(64))]
struct Latest(AtomicU64);

/// If the system's clock goes back by at most so many ms, time stands still until it has caught up. If it goes back
/// further it was set, and time follows it.
const SET_BACK_MILLIS: u64 = 1000;

/// The thresholds of the compact forms. They are read without locks, and CONFIG SET changes them.
pub struct Thresholds {
    /// Most fields of a packed hash.
    pub hash_entries: AtomicUsize,
    /// Longest field or value of a packed hash, in bytes.
    pub hash_value: AtomicUsize,
    /// Most members of a set of integers.
    pub set_ints: AtomicUsize,
    /// Most members of a packed set.
    pub set_entries: AtomicUsize,
    /// Longest member of a packed set, in bytes.
    pub set_value: AtomicUsize,
    /// The size of a packed list, as `list-max-listpack-size` has it.
    pub list_size: AtomicI32,
    /// Most members of a packed sorted set.
    pub zset_entries: AtomicUsize,
    /// Longest member of a packed sorted set, in bytes.
    pub zset_value: AtomicUsize,
    /// Most bytes of a packed item collection.
    pub items_bytes: AtomicUsize,
    /// A string of at least so many bytes has an allocation of its own.
    pub string_bytes: AtomicUsize,
    /// Most bytes of a node of a stream.
    pub stream_node_bytes: AtomicUsize,
    /// Most entries of a node of a stream.
    pub stream_node_entries: AtomicUsize,
}

impl Thresholds {
    /// Takes over the configuration's thresholds. Values that are already stored keep their form until they grow.
    pub fn adopt(&self, settings: &Settings) {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.hash_entries.store(size(settings.hash_max_listpack_entries), Relaxed);
        self.hash_value.store(size(settings.hash_max_listpack_value), Relaxed);
        self.set_ints.store(size(settings.set_max_intset_entries), Relaxed);
        self.set_entries.store(size(settings.set_max_listpack_entries), Relaxed);
        self.set_value.store(size(settings.set_max_listpack_value), Relaxed);
        self.list_size.store(settings.list_max_listpack_size, Relaxed);
        self.zset_entries.store(size(settings.zset_max_listpack_entries), Relaxed);
        self.zset_value.store(size(settings.zset_max_listpack_value), Relaxed);
        self.stream_node_bytes.store(size(settings.stream_node_max_bytes), Relaxed);
        self.stream_node_entries.store(size(settings.stream_node_max_entries), Relaxed);
    }
}

/// The store. Shared by all workers.
pub struct Store {
    map: DashMap<Entry, ()>,
    sides: Box<[Side]>,
    hasher: OnceLock<SipHasher13>,
    dbs: Box<[AtomicU32]>,
    next_space: AtomicU32,
    reaper: reaper::Reaper,
    /// Whether the data is being read again from disk.
    rereading: AtomicBool,
    /// The latest time at which a transaction looked at the data, in ms since the epoch.
    latest: Latest,
    /// How long work that is no command holds shards.
    pub holds: HoldsByHolder,
    /// The keys that have changed for clients that wait for them.
    ready: waiting::Ready,
    /// Spaces whose entries wait to be freed.
    dead: parking_lot::Mutex<Vec<u32>>,
    /// The values that are registered with an image that is being read.
    images: parking_lot::Mutex<image::Registry>,
    /// How often entries were taken away to be read again.
    clears: AtomicU64,
    /// The thresholds of the compact forms.
    pub thresholds: Thresholds,
    /// Whether the access clock is a frequency counter (LFU) rather than a time (LRU).
    pub lfu: AtomicBool,
    /// LFU: logarithm factor of the counter.
    pub lfu_log_factor: AtomicU32,
    /// LFU: minutes after which the counter loses one.
    pub lfu_decay: AtomicU32,
    /// Items of tables that expired and were removed.
    pub expired_items: AtomicU64,
}

#[inline]
fn mix(space: u32) -> u64 {
    (space as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 18
}

impl Store {
    /// An empty store of `shards` shards (a power of two, at least 2) and `databases` databases.
    pub fn new(shards: usize, databases: usize) -> Self {
        let shards = shards.next_power_of_two().max(2);
        let side = || Side {
            gate: gate::Gate::default(),
            positions: shown::Positions::default(),
            generation: AtomicU32::new(1),
            buckets: AtomicUsize::new(0),
            watched: AtomicU32::new(0),
            watch: parking_lot::Mutex::default(),
            deadlines: AtomicBool::new(false),
            counts: (0..databases).map(|_| DbCount::default()).collect(),
            rosters: parking_lot::RwLock::default(),
            imaged: AtomicBool::new(false),
        };
        Self {
            map: DashMap::with_shard_amount(shards),
            sides: (0..shards).map(|_| side()).collect(),
            hasher: OnceLock::new(),
            dbs: (0..databases as u32).map(AtomicU32::new).collect(),
            next_space: AtomicU32::new(databases as u32),
            reaper: reaper::Reaper::default(),
            rereading: AtomicBool::new(false),
            latest: Latest::default(),
            holds: HoldsByHolder::default(),
            ready: waiting::Ready::default(),
            dead: parking_lot::Mutex::default(),
            images: parking_lot::Mutex::default(),
            clears: AtomicU64::new(0),
            thresholds: Thresholds {
                hash_entries: AtomicUsize::new(512),
                hash_value: AtomicUsize::new(64),
                set_ints: AtomicUsize::new(512),
                set_entries: AtomicUsize::new(128),
                set_value: AtomicUsize::new(64),
                list_size: AtomicI32::new(-2),
                zset_entries: AtomicUsize::new(128),
                zset_value: AtomicUsize::new(64),
                items_bytes: AtomicUsize::new(2048),
                string_bytes: AtomicUsize::new(256 << 10),
                stream_node_bytes: AtomicUsize::new(4096),
                stream_node_entries: AtomicUsize::new(100),
            },
            lfu: AtomicBool::new(false),
            lfu_log_factor: AtomicU32::new(10),
            lfu_decay: AtomicU32::new(1),
            expired_items: AtomicU64::new(0),
        }
    }

    /// The number of shards.
    pub fn shard_count(&self) -> usize {
        self.sides.len()
    }

    /// The number of databases.
    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    /// Sets the secret with which keys are hashed; a second call has no effect. A data folder keeps its secret, because
    /// its checkpoints are by shard.
    pub fn set_hash_key(&self, secret: &[u8; 16]) {
        let _ = self.hasher.set(SipHasher13::new_with_key(secret));
    }

    /// The hash of a key or partition key, the same in every space: SipHash-1-3, so that clients cannot choose keys
    /// that collide, and the same on every machine.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.get_or_init(SipHasher13::new).hash(key)
    }

    /// The shard that a hash has in a store of `count` shards (a power of two).
    pub fn shard_among(hash: u64, count: usize) -> usize {
        ((hash << 7) >> (u64::BITS - count.trailing_zeros())) as usize
    }

    #[inline]
    fn place(hash: u64, space: u32) -> u64 {
        hash ^ (mix(space) & PLACE_BITS)
    }

    fn place_of(&self, entry: &Entry) -> u64 {
        Self::place(self.hash(entry.key()), entry.space())
    }

    /// The shard of a hash.
    #[inline]
    pub fn shard_of(&self, hash: u64) -> usize {
        self.map.determine_shard(hash as usize)
    }

    /// The space of a database, or of one of the server's own; for other numbers a space that is always empty. It does
    /// not change while any shard is locked.
    #[inline]
    pub fn space(&self, db: usize) -> u32 {
        match self.dbs.get(db) {
            Some(space) => space.load(Relaxed),
            None => Self::own_space(db),
        }
    }

    #[cold]
    fn own_space(db: usize) -> u32 {
        u32::try_from(db).ok().filter(|db| is_own(*db)).unwrap_or(NOWHERE)
    }

    fn db_of(&self, space: u32) -> Option<usize> {
        self.dbs.iter().position(|s| s.load(Relaxed) == space)
    }

    /// As [`Store::db_of`], but also for the server's own databases.
    fn owner_of(&self, space: u32) -> Option<usize> {
        if is_own(space) { Some(space as usize) } else { self.db_of(space) }
    }

    /// Reserves a number for a new space (a table, or a flushed database's next life).
    pub fn fresh_space(&self, count: u32) -> u32 {
        self.next_space.fetch_add(count, Relaxed)
    }

    /// Notes a space number that was found in the log, so that it is not given out again.
    pub fn note_space(&self, space: u32) {
        self.next_space.fetch_max(space + 1, Relaxed);
    }

    /// The next space number; for checkpoints.
    pub fn next_space(&self) -> u32 {
        self.next_space.load(Relaxed)
    }

    /// Gives a space up: [`Store::bury_some`] frees its entries bit by bit.
    pub fn give_up_space(&self, space: u32) {
        self.dead.lock().push(space);
    }

    /// The time for which a transaction looks at the shards that it has locked: `now`, or a later time for which
    /// another transaction has looked at the data. So a key that was expired for one transaction is expired for every
    /// transaction that sees its effects. `read` reads the clock: if the clock was set back, time follows it.
    #[inline]
    pub fn moment(&self, now: u64, read: impl FnOnce() -> u64) -> u64 {
        // Relaxed is enough: a transaction whose effects are seen here gave back a shard that this one has locked
        // since.
        let latest = self.latest.0.load(Relaxed);
        if now == latest { now } else { self.other_moment(now, latest, read) }
    }

    #[cold]
    fn other_moment(&self, now: u64, latest: u64, read: impl FnOnce() -> u64) -> u64 {
        if now > latest {
            return self.latest.0.fetch_max(now, Relaxed).max(now);
        }
        if latest - now <= SET_BACK_MILLIS {
            return latest;
        }
        let now = read();
        if latest.saturating_sub(now) <= SET_BACK_MILLIS {
            return self.latest.0.fetch_max(now, Relaxed).max(now);
        }
        self.latest.0.store(now, Relaxed);
        now
    }

    /// How many keys a database has, including expired ones that are not removed yet, and how many of them have a
    /// deadline. O(shards). A reply that shows it shows every shard.
    pub fn db_size(&self, db: usize) -> (u64, u64) {
        shown::note_everything();
        self.sides.iter().filter_map(|s| s.counts.get(db)).fold((0, 0), |(keys, expires), c| {
            (keys + c.keys.load(Relaxed) as u64, expires + c.expires.load(Relaxed) as u64)
        })
    }

    /// How many hashes of a database have a field with a deadline, including a passed one whose field is not removed
    /// yet. O(shards).
    pub fn subexpires(&self, db: usize) -> u64 {
        shown::note_everything();
        let counts = self.sides.iter().filter_map(|side| side.counts.get(db));
        counts.map(|count| u64::from(count.subexpires.load(Relaxed))).sum()
    }

    /// Empties the store, for a recovery that begins again. No command runs. Takes each shard's lock in turn.
    pub fn clear(&self) {
        self.dbs.iter().enumerate().for_each(|(db, space)| space.store(db as u32, Relaxed));
        self.dead.lock().clear();
        (0..self.shard_count()).for_each(|shard| self.clear_shard(shard));
    }

    /// Notes that a shard was read from disk: what it shows is durable.
    pub fn shard_is_read(&self, shard: usize) {
        let _held = self.write(shard);
        self.sides[shard].positions.set(shown::Classes::ALL, 0);
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
        raw.clear();
        let side = &self.sides[shard];
        side.generation.fetch_add(1, Relaxed);
        // A position that is never settled, so no reader is shown the shard before it was read again.
        side.positions.set(shown::Classes::ALL, u64::MAX);
        side.counts.iter().for_each(DbCount::reset);
        side.rosters.write().clear();
    }

    /// For each shard, whether its last change is behind a position of the log.
    pub fn shards_behind(&self, position: u64) -> Vec<bool> {
        self.sides.iter().map(|side| side.positions.greatest() > position).collect()
    }

    /// How many entries all spaces have. O(shards); takes each shard's lock for an instant. The caller holds none.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Bytes of the shards' tables, without the entries they point to. O(shards), takes no lock.
    pub fn table_bytes(&self) -> usize {
        self.sides.iter().map(|side| side.buckets.load(Relaxed) * (size_of::<Entry>() + 1)).sum()
    }

    /// Notes that a shard's table was reorganised, so that slot numbers from before are void.
    fn reorganised(&self, shard: usize, buckets: usize) {
        self.sides[shard].generation.fetch_add(1, Relaxed);
        self.sides[shard].buckets.store(buckets, Relaxed);
    }

    #[inline]
    fn raw(&self, shard: usize) -> &dashmap::RwLock<Raw> {
        &self.map.shards()[shard]
    }

    /// Stage one of a lookup that is known to come: prefetches the shard's lock and table header. The line is fetched
    /// for writing, because readers too write the lock.
    #[inline]
    pub fn prefetch_shard(&self, hash: u64) {
        let shard = self.shard_of(hash);
        let lock: *const dashmap::RwLock<Raw> = self.raw(shard);
        raw_table::prefetch_to_write(lock.cast());
        raw_table::prefetch(self.sides[shard].positions.address_of(hash).cast());
    }

    /// Stages two and three of lookups that are known to come, given as `(hash, space)`: prefetches the tables' control
    /// bytes and slots, and some lookups later, when those have arrived, the entries' blocks. It skips a shard that a
    /// writer has or waits for, and holds the others for the time of a few lookups.
    #[inline]
    pub fn prefetch(&self, lookups: impl Iterator<Item = (u64, u32)>) {
        let mut ahead: [Option<(RwLockReadGuard<'_, Raw>, u64)>; AHEAD] = [const { None }; AHEAD];
        let mut at = 0;
        for (hash, space) in lookups {
            let place = Self::place(hash, space);
            let shard = self.shard_of(hash);
            let next = self.sides[shard].gate.try_read(self.raw(shard));
            if let Some(guard) = &next {
                raw_table::prefetch_group(guard, place);
            }
            if let Some((guard, place)) = std::mem::replace(&mut ahead[at], next.map(|guard| (guard, place)))
            {
                raw_table::prefetch_entry(&guard, place);
            }
            at = (at + 1) % AHEAD;
        }
        for (guard, place) in ahead.into_iter().flatten() {
            raw_table::prefetch_entry(&guard, place);
        }
    }

    /// Counts a key that was added (1), removed (-1) or changed (0), with its deadlines before and after.
    #[inline]
    fn count(&self, shard: usize, db: usize, keys: i32, before: Deadlines, after: Deadlines) {
        // The shard's exclusive lock is held, so a plain load and store suffice.
        let add = |count: &AtomicU32, by: i32| {
            if by != 0 {
                count.store(count.load(Relaxed).wrapping_add_signed(by), Relaxed);
            }
        };
        if let Some(counts) = self.sides[shard].counts.get(db) {
            add(&counts.keys, keys);
            add(&counts.expires, i32::from(after.own) - i32::from(before.own));
            add(&counts.subexpires, i32::from(after.fields) - i32::from(before.fields));
        }
    }
}
