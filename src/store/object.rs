//! Values that have outgrown the compact form inside an entry's block.

use super::collection::Collection;
use crate::value::hash::BigHash;

/// A value of its own allocation.
pub enum Object {
    /// A hash above the compact thresholds.
    Hash(BigHash),
    /// An item collection above the compact thresholds.
    Items(Collection),
}

impl Object {
    /// The earliest deadline of a part of the value, if any; may be earlier than the true one, never later.
    pub fn deadline(&self) -> Option<u64> {
        match self {
            Self::Hash(hash) => hash.deadline(),
            Self::Items(_) => None,
        }
    }

    /// Approximate bytes allocated, in O(1) by sampling up to `samples` elements (0 for all).
    pub fn memory(&self, samples: usize) -> usize {
        size_of::<Self>()
            + match self {
                Self::Hash(hash) => hash.memory(samples),
                Self::Items(items) => items.memory(samples),
            }
    }
}
