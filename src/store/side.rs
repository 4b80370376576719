//! What belongs to a shard besides its table.

use super::entry::DeadlineFlags;
use super::gate::Gate;
use super::rosters::Rosters;
use super::shown::Positions;
use super::watch::WatchTable;
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// A shard's counts for one database. They are written under the shard's exclusive lock only.
#[derive(Default)]
pub(super) struct DbCount {
    pub(super) keys: AtomicU32,
    /// Keys with a deadline of their own.
    pub(super) expires: AtomicU32,
    /// Hashes of which a field has a deadline.
    pub(super) subexpires: AtomicU32,
}

impl DbCount {
    pub(super) fn reset(&self) {
        [&self.keys, &self.expires, &self.subexpires].iter().for_each(|count| count.store(0, Relaxed));
    }

    pub(super) fn swap(&self, other: &Self) {
        let exchange = |a: &AtomicU32, b: &AtomicU32| a.store(b.swap(a.load(Relaxed), Relaxed), Relaxed);
        exchange(&self.keys, &other.keys);
        exchange(&self.expires, &other.expires);
        exchange(&self.subexpires, &other.subexpires);
    }
}

/// What belongs to a shard besides its table.
pub(super) struct Side {
    /// Every thread that locks the shard goes through this gate.
    pub(super) gate: Gate,
    /// The positions in the log of the last records that changed the shard; written under its exclusive lock only.
    pub(super) positions: Positions,
    /// Changes whenever entries move to other slots.
    pub(super) generation: AtomicU32,
    /// The number of slots of the shard's table, for threads that do not lock the shard.
    pub(super) buckets: AtomicUsize,
    /// How many keys of the shard are watched or waited for. While it is zero, this costs writers one load.
    pub(super) watched: AtomicU32,
    pub(super) watch: Mutex<WatchTable>,
    /// Whether the shard may hold an entry with a deadline. A writer raises it; a sweep that saw none lowers it.
    pub(super) deadlines: AtomicBool,
    pub(super) counts: Box<[DbCount]>,
    /// The partitions of each table; changed under the shard's exclusive lock only.
    pub(super) rosters: RwLock<Rosters>,
    /// Whether an image that is being read has registered values that are or were in the shard.
    pub(super) imaged: AtomicBool,
    /// Whether the shard is closed because a change of it panicked; written under its exclusive lock only.
    pub(super) closed: AtomicBool,
}

impl Side {
    /// What belongs to an empty shard of a store with so many databases.
    pub(super) fn new(databases: usize) -> Self {
        Self {
            gate: Gate::default(),
            positions: Positions::default(),
            generation: AtomicU32::new(1),
            buckets: AtomicUsize::new(0),
            watched: AtomicU32::new(0),
            watch: Mutex::default(),
            deadlines: AtomicBool::new(false),
            counts: (0..databases).map(|_| DbCount::default()).collect(),
            rosters: RwLock::default(),
            imaged: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Notes that the shard's table was reorganised, so that slot numbers from before are void.
    pub(super) fn reorganised(&self, buckets: usize) {
        self.generation.fetch_add(1, Relaxed);
        self.buckets.store(buckets, Relaxed);
    }

    /// Counts a key that was added (1), removed (-1) or changed (0), with its deadlines before and after.
    #[inline]
    pub(super) fn count(&self, db: usize, keys: i32, before: DeadlineFlags, after: DeadlineFlags) {
        // The shard's exclusive lock is held, so a plain load and store suffice.
        let add = |count: &AtomicU32, by: i32| {
            if by != 0 {
                count.store(count.load(Relaxed).wrapping_add_signed(by), Relaxed);
            }
        };
        if let Some(counts) = self.counts.get(db) {
            add(&counts.keys, keys);
            add(&counts.expires, i32::from(after.own) - i32::from(before.own));
            add(&counts.subexpires, i32::from(after.fields) - i32::from(before.fields));
        }
    }
}
