//! What a transaction keeps besides its locks and its record.

use crate::store::Entry;
use smallvec::SmallVec;

/// What a transaction needs to undo its effects, besides what the store has recorded.
#[derive(Default)]
pub(super) struct Undo {
    /// Spaces, and by how many items and bytes their counts were changed.
    pub(super) counts: SmallVec<[(u32, i64, i64); 4]>,
    /// Whether the transaction is all or nothing.
    pub(super) all_or_nothing: bool,
    pub(super) refused: bool,
    /// The hashes whose shards the transaction needs and could not have. If there are any, the transaction changes
    /// nothing more.
    pub(super) lacking: Vec<u64>,
    /// Whether the transaction is to be run again with every shard, or elsewhere: then too it changes nothing more.
    pub(super) again: Option<Again>,
}

/// How a transaction is run again that has found out that it must be, other than with some more shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// With every shard.
    WithEverything,
    /// With the same shards; the unit of work decides when, as it is asked again whether it may go on.
    AsBefore,
}

/// What an item's change did to an index: an entry was put, replaced or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexWrite {
    /// The index's space.
    pub space: u32,
    /// The larger of the entry's sizes before and after, in bytes by DynamoDB's rules.
    pub bytes: usize,
}

/// Expired keys, with their databases.
#[derive(Default)]
pub struct StaleKeys(pub Vec<(usize, Box<[u8]>)>);

/// What a command reads under the name of a view.
pub(super) struct StandIn {
    pub(super) key: Box<[u8]>,
    /// The hash made of the item, if there is an item.
    pub(super) entry: Option<Entry>,
}

/// What a transaction keeps about items and their views.
#[derive(Default)]
pub(super) struct Aside {
    /// What the changes of items did to indexes.
    pub(super) index_writes: Vec<IndexWrite>,
    /// The stand-ins for views.
    pub(super) stand_ins: Vec<StandIn>,
}
