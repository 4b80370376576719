//! What a thread was shown: how far the log has to be durable before a reply may be sent that was made of it.
//!
//! Each shard has the positions of the last records that changed it, one for each of a few classes of its keys, raised
//! while it is still held exclusively. Whoever locks a shard for a key, or looks a key up, takes note here of the
//! position of the key's class; whoever locks a shard to walk over it takes note of them all. So no path to the data
//! can forget it, and who reads a key rarely waits for the record of another one. Whoever sends a reply takes what its
//! thread has noted since the reply was begun.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Into how many classes the keys of a shard fall.
const CLASSES: usize = 16;

/// Classes of keys, a bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Classes(u16);

impl Classes {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self(u16::MAX);

    /// The class of a key with this hash. Shards are chosen by other bits.
    #[inline]
    pub(super) fn of(hash: u64) -> Self {
        Self(1 << (hash as usize % CLASSES))
    }

    #[inline]
    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The log's positions of the last records that changed a shard, by class. Relaxed throughout: they are written under
/// the shard's exclusive lock, and read under its lock.
#[derive(Default)]
pub(super) struct Positions([AtomicU64; CLASSES]);

impl Positions {
    /// That of the class of a hash.
    #[inline]
    pub(super) fn of(&self, hash: u64) -> u64 {
        self.0[hash as usize % CLASSES].load(Relaxed)
    }

    /// The address of what [`Positions::of`] reads.
    #[inline]
    pub(super) fn address_of(&self, hash: u64) -> *const AtomicU64 {
        &raw const self.0[hash as usize % CLASSES]
    }

    /// The greatest of all classes.
    pub(super) fn greatest(&self) -> u64 {
        self.0.iter().fold(0, |most, position| most.max(position.load(Relaxed)))
    }

    /// Sets those of some classes.
    #[inline]
    pub(super) fn set(&self, classes: Classes, position: u64) {
        let mut left = classes.0;
        while left != 0 {
            self.0[left.trailing_zeros() as usize % CLASSES].store(position, Relaxed);
            left &= left - 1;
        }
    }
}

/// Stands for everything that the log has by the time at which the reply is made.
pub const EVERYTHING: u64 = u64::MAX;

thread_local! {
    static SHOWN: Cell<u64> = const { Cell::new(0) };
}

/// Notes that this thread has seen what the log has up to a position.
#[inline]
pub(super) fn note(position: u64) {
    SHOWN.with(|shown| shown.set(shown.get().max(position)));
}

/// Notes that this thread has seen something that no shard's position stands for, such as a count that is read without
/// a lock.
#[inline]
pub fn note_everything() {
    note(EVERYTHING);
}

/// The position up to which this thread has seen the log since this was asked last; 0 if it has seen no shard.
#[inline]
pub fn take() -> u64 {
    SHOWN.replace(0)
}

/// What [`take`] would give.
#[inline]
pub fn so_far() -> u64 {
    SHOWN.get()
}

/// Forgets what was seen since [`so_far`] gave this: none of it is shown.
#[inline]
pub fn back_to(position: u64) {
    SHOWN.set(position);
}

/// Does something that no reply of this thread shows; gives what it returns and the position that it has seen.
pub fn apart<T>(work: impl FnOnce() -> T) -> (T, u64) {
    /// Brings back what was noted before, after a panic too.
    struct Before(u64);
    impl Drop for Before {
        fn drop(&mut self) {
            SHOWN.set(self.0);
        }
    }
    let _before = Before(take());
    let done = work();
    (done, take())
}
