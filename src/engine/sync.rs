//! The locks of the files that decide over durability, in one place: the explorer of interleavings
//! (`tests/interleaving`) builds these files with locks of its own.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// A lock that a panic does not poison.
#[derive(Default)]
pub(super) struct Mutex<T>(parking_lot::Mutex<T>);

/// Access to what a lock protects, until it is dropped.
pub(super) type Guard<'a, T> = parking_lot::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// Waits for the lock.
    pub(super) fn lock(&self) -> Guard<'_, T> {
        self.0.lock()
    }
}

/// A condition variable.
#[derive(Default)]
pub(super) struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// Gives the lock back, waits to be notified, and takes the lock again.
    pub(super) fn wait<'a, T>(&self, mut guard: Guard<'a, T>) -> Guard<'a, T> {
        self.0.wait(&mut guard);
        guard
    }

    /// Wakes all waiting threads.
    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }
}
