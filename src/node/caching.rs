//! What CLIENT TRACKING has set for one client.

use crate::env::memory::class_bytes;
use std::collections::BTreeSet;

/// Of which keys a client is told that they have changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CachingMode {
    /// Of those that it has read.
    Reads,
    /// Of those that it has read in commands for which it has asked for that.
    OptIn,
    /// Of those that it has read, except in commands for which it has asked not to be told.
    OptOut,
    /// Of those that begin with one of its prefixes.
    Broadcast,
}

/// How a client's keys are tracked.
pub struct Caching {
    /// Of which keys it is told.
    pub mode: CachingMode,
    /// Whether it is not told of its own changes.
    pub no_loop: bool,
    /// The client that is told in its place; 0 if there is none.
    pub redirect: u64,
    /// Whether the client that is told in its place was found to be gone.
    pub is_broken: bool,
    /// The prefixes of [`CachingMode::Broadcast`].
    pub prefixes: BTreeSet<Box<[u8]>>,
    /// Tells this time of tracking from earlier ones, whose keys are forgotten.
    pub session: u64,
}

impl Caching {
    /// About how many bytes it takes. What the client has read is not counted: the table of keys has a limit of its
    /// own.
    pub(super) fn memory(&self) -> usize {
        /// A prefix's place in the set, and the client's place among those of the prefix.
        const PLACE: usize = 64;
        let prefixes: usize = self.prefixes.iter().map(|prefix| 2 * class_bytes(prefix.len()) + PLACE).sum();
        size_of::<Self>() + prefixes
    }
}
