//! What a transaction keeps beside its locks and its record.

use crate::store::Entry;
use smallvec::SmallVec;

/// What a transaction keeps to undo its effects, beside what the store has recorded.
#[derive(Default)]
pub(super) struct Undo {
    /// Spaces, and how many items and bytes more they count.
    pub(super) counts: SmallVec<[(u32, i64, i64); 4]>,
    /// Whether it was asked to be all or nothing.
    pub(super) all_or_nothing: bool,
    pub(super) refused: bool,
    /// Hashes whose shards it needs and could not have. From then on nothing more happens in it.
    pub(super) lacking: Vec<u64>,
}

/// What an item's change did to an index: an entry was put, replaced or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexWrite {
    /// The index's space.
    pub space: u32,
    /// The larger of the entry's sizes before and after, in bytes by DynamoDB's rules.
    pub bytes: usize,
}

/// What is read under the name of a view while a command runs.
pub(super) struct StandIn {
    pub(super) key: Box<[u8]>,
    /// The hash, if there is an item.
    pub(super) entry: Option<Entry>,
}

/// What a transaction keeps about items and their views.
#[derive(Default)]
pub(super) struct Aside {
    /// What the changes of items did to indexes.
    pub(super) index_writes: Vec<IndexWrite>,
    /// What is read under the names of views.
    pub(super) stand_ins: Vec<StandIn>,
}
