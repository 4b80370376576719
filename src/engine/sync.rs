//! What the files that decide over durability synchronise by, in one place: the explorer of interleavings
//! (`tests/interleaving`) builds these files with its own.

pub(super) use parking_lot::{Condvar, Mutex};
pub(super) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
