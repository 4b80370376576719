//! The store: shards, spaces and counts, and what all shards have in common.

use super::Entry;
use super::copies::SharingCopies;
use super::holds::HoldsByHolder;
use super::imaged::ImagedValues;
use super::lines::Ready;
use super::raw_table::Raw;
use super::reaper::Reaper;
use super::shown;
use super::side::Side;
use super::thresholds::Thresholds;
use super::turns::Turns;
use crate::effect::is_own;
use dashmap::DashMap;
use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The space of databases that do not exist. It is always empty. The log may name such a database after a start with
/// fewer databases.
const NOWHERE: u32 = u32::MAX - 2;

/// The part of a hash that chooses the place within a shard; the bits above choose the shard and the tag.
const PLACE_BITS: u64 = (1 << 46) - 1;

/// A time on a cache line of its own, because every transaction reads it.
#[derive(Default)]
#[repr(align(64))]
struct Latest(AtomicU64);

/// If the system's clock goes back by at most so many ms, time stands still until it has caught up. If it goes back
/// further it was set, and time follows it.
const SET_BACK_MILLIS: u64 = 1000;

/// The store. Shared by all workers.
pub struct Store {
    map: DashMap<Entry, ()>,
    pub(super) sides: Box<[Side]>,
    pub(super) turns: Turns,
    hasher: OnceLock<SipHasher13>,
    pub(super) dbs: Box<[AtomicU32]>,
    next_space: AtomicU32,
    /// What frees large values that were removed.
    pub reaper: Reaper,
    /// Whether the data is being read again from disk.
    pub(super) rereading: AtomicBool,
    /// The latest time at which a transaction looked at the data, in ms since the epoch.
    latest: Latest,
    /// How long work that is no command holds shards.
    pub holds: HoldsByHolder,
    /// The keys that have changed for clients that wait for them.
    pub(super) ready: Ready,
    /// Spaces whose entries wait to be freed.
    pub(super) dead: Mutex<Vec<u32>>,
    /// The values that are registered with an image that is being read.
    pub(super) images: Mutex<ImagedValues>,
    /// Copies that share parts with their originals.
    pub(super) copies: SharingCopies,
    /// How many shards are closed because a change of them panicked.
    pub(super) closed: AtomicUsize,
    /// How often entries were taken away to be read again.
    pub(super) clears: AtomicU64,
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
        Self {
            map: DashMap::with_shard_amount(shards),
            sides: (0..shards).map(|_| Side::new(databases)).collect(),
            turns: Turns::new(shards),
            hasher: OnceLock::new(),
            dbs: (0..databases as u32).map(AtomicU32::new).collect(),
            next_space: AtomicU32::new(databases as u32),
            reaper: Reaper::default(),
            rereading: AtomicBool::new(false),
            latest: Latest::default(),
            holds: HoldsByHolder::default(),
            ready: Ready::default(),
            dead: Mutex::default(),
            images: Mutex::default(),
            copies: SharingCopies::default(),
            closed: AtomicUsize::new(0),
            clears: AtomicU64::new(0),
            thresholds: Thresholds::default(),
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
    pub(super) fn place(hash: u64, space: u32) -> u64 {
        hash ^ (mix(space) & PLACE_BITS)
    }

    pub(super) fn place_of(&self, entry: &Entry) -> u64 {
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

    pub(super) fn db_of(&self, space: u32) -> Option<usize> {
        self.dbs.iter().position(|s| s.load(Relaxed) == space)
    }

    /// As [`Store::db_of`], but also for the server's own databases.
    pub(super) fn owner_of(&self, space: u32) -> Option<usize> {
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

    #[inline]
    pub(super) fn raw(&self, shard: usize) -> &dashmap::RwLock<Raw> {
        &self.map.shards()[shard]
    }
}
