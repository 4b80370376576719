//! The order in which walks over a table visit its partitions.

use ahash::AHashMap;
use std::collections::BTreeSet;

/// The ordered hashes of each table's partitions in a shard.
#[derive(Default)]
pub(super) struct Rosters(AHashMap<u32, BTreeSet<u64>>);

/// The place of the partition with this hash in a walk.
#[inline]
pub fn walk_order(hash: u64) -> u64 {
    hash.rotate_left(7)
}

impl Rosters {
    /// Adds a partition by its place in the shard's table.
    pub(super) fn enlist(&mut self, space: u32, hash: u64) {
        self.0.entry(space).or_default().insert(walk_order(hash));
    }

    /// Removes a partition.
    pub(super) fn strike(&mut self, space: u32, hash: u64) {
        if let Some(roster) = self.0.get_mut(&space) {
            roster.remove(&walk_order(hash));
            if roster.is_empty() {
                self.0.remove(&space);
            }
        }
    }

    /// Removes all partitions of a table.
    pub(super) fn strike_all(&mut self, space: u32) {
        self.0.remove(&space);
    }

    /// The places in the order of a table's partitions; nothing if there are none.
    pub(super) fn of(&self, space: u32) -> Option<&BTreeSet<u64>> {
        self.0.get(&space)
    }

    /// Removes all partitions of all tables.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
