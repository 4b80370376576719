//! The locks of the gates before the shards, in one place: the explorer of interleavings (`tests/interleaving`) builds
//! `gate.rs` with locks of its own.

pub(super) use dashmap::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(super) use parking_lot::Mutex;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Waits for a short time, twice as long in each round.
pub(super) fn pause(round: u32) {
    (0..1_u32 << round).for_each(|_| std::hint::spin_loop());
}

/// Waits for about as long as a short command takes.
pub(super) fn rest() {
    std::thread::sleep(std::time::Duration::from_micros(50));
}
