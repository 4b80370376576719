//! What a thread was shown: how far the log must be durable before a reply of this thread may be sent.
//!
//! Each shard has the positions of the last records that changed it, one for each of a few classes of its keys. They
//! are raised while the shard is still held exclusively. A thread that locks a shard for a key, or looks a key up,
//! notes the position of the key's class here; a thread that locks a shard to walk over it notes all of them. So no way
//! to the data can forget it, and a reader of one key rarely waits for the record of another. The thread that sends a
//! reply takes the greatest position that it has noted since the reply was begun.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many classes the keys of a shard have.
const CLASSES: usize = 16;

/// A set of classes of keys, a bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KeyClasses(u16);

impl KeyClasses {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self(u16::MAX);

    /// The class of a key with this hash. Other bits of the hash choose the shard.
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

/// The positions in the log of the last records that changed a shard, by class. Relaxed is enough: they are written
/// under the shard's exclusive lock, and read under its lock.
#[derive(Default)]
pub(super) struct Positions([AtomicU64; CLASSES]);

impl Positions {
    /// The position of the hash's class.
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

    /// Sets the positions of some classes.
    #[inline]
    pub(super) fn set(&self, classes: KeyClasses, position: u64) {
        let mut left = classes.0;
        while left != 0 {
            self.0[left.trailing_zeros() as usize % CLASSES].store(position, Relaxed);
            left &= left - 1;
        }
    }
}

/// Stands for everything that is in the log when the reply is handed over.
pub const EVERYTHING: u64 = u64::MAX;

thread_local! {
    static SHOWN: Cell<u64> = const { Cell::new(0) };
}

/// Notes that this thread has seen the log up to a position.
#[inline]
pub fn note(position: u64) {
    SHOWN.with(|shown| shown.set(shown.get().max(position)));
}

/// Notes that this thread has seen something that no shard's position covers, such as a count that is read without a
/// lock.
#[inline]
pub fn note_everything() {
    note(EVERYTHING);
}

/// The position up to which this thread has seen the log since the last call; 0 if it has seen no shard.
#[inline]
pub fn take() -> u64 {
    SHOWN.replace(0)
}

/// What [`take`] would give.
#[inline]
pub fn so_far() -> u64 {
    SHOWN.get()
}

/// Forgets what was seen since [`so_far`] returned `position`: no reply shows it.
#[inline]
pub fn back_to(position: u64) {
    SHOWN.set(position);
}

/// Runs `work`, of which no reply of this thread shows anything; returns its result and the position that it has seen.
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
