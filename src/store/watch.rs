//! The keys of a shard that are watched or waited for.

use super::lines::Waiters;
use super::names::Names;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A flag that is raised when a watched key changes.
pub type Watcher = Arc<AtomicBool>;

/// Who watches a shard's keys, and who waits for them.
#[derive(Default)]
pub(super) struct WatchTable {
    /// By database and not by space: a watch outlives FLUSHDB and SWAPDB, which give the database another space.
    pub(super) keys: Names<Vec<Watcher>>,
    /// The clients that wait for keys.
    pub(super) waiting: Names<Waiters>,
}

impl WatchTable {
    /// How many keys are watched or waited for.
    pub(super) fn len(&self) -> u32 {
        (self.keys.len() + self.waiting.len()) as u32
    }
}
