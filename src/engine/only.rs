//! What an engine takes that has the keys of some shards only.

use super::works::Works;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

/// What an engine takes, and how much of it.
pub(super) struct Only {
    pub(super) shards: Box<[bool]>,
    /// The hashes of keys of other shards.
    pub(super) keys: HashSet<u64>,
    /// The moves, from keys that this engine does not take: the hashes of a target and of a source.
    pub(super) moves: Mutex<Vec<(u64, u64)>>,
    /// What was allocated so far, in bytes.
    pub(super) bytes: AtomicI64,
    pub(super) limits: Limits,
}

/// When a reading is given up.
#[derive(Clone)]
pub(super) struct Limits {
    /// The most bytes that it may take.
    pub(super) most: u64,
    /// The works of the engine for which it reads, if it is given up when these are revoked.
    pub(super) works: Option<Arc<Works>>,
}
