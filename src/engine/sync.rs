//! What the files that decide over durability synchronise by, in one place: the explorer of interleavings
//! (`tests/interleaving`) builds these files with its own.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// A lock that a panic does not poison.
#[derive(Default)]
pub(super) struct Mutex<T>(parking_lot::Mutex<T>);

/// The right to what a lock protects.
pub(super) type Guard<'a, T> = parking_lot::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// Waits for the lock.
    pub(super) fn lock(&self) -> Guard<'_, T> {
        self.0.lock()
    }
}

/// A condition that threads wait for.
#[derive(Default)]
pub(super) struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// Gives the lock back, waits to be notified, and takes the lock again.
    pub(super) fn wait<'a, T>(&self, mut guard: Guard<'a, T>) -> Guard<'a, T> {
        self.0.wait(&mut guard);
        guard
    }

    /// Wakes all who wait.
    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }
}
