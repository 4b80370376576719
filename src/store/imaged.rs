//! The shards and the large values of which an image is being read.

use super::Entry;
use super::reader::PieceReader;
use crate::value::list::BigList;
use ahash::{AHashMap, AHashSet};
use std::sync::Arc;

/// The owner of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A key of a database.
    Database(u32),
    /// A partition of a table or of an index.
    Table(u32),
}

impl Owner {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Database(number) | Self::Table(number) => number,
        }
    }
}

/// The name and the deadline of a registered value under the hold.
pub(super) struct ImagedName {
    pub(super) owner: Owner,
    pub(super) key: Box<[u8]>,
    pub(super) expire: Option<u64>,
}

/// The present place of a registered value.
pub(super) struct Whereabouts {
    pub(super) shard: usize,
    pub(super) space: u32,
    pub(super) key: Box<[u8]>,
}

/// A registered value.
pub(super) struct Imaged {
    pub(super) name: Arc<ImagedName>,
    /// The place at which the value is found.
    pub(super) now: Whereabouts,
    pub(super) reading: Box<dyn PieceReader>,
    /// The value, once it has left the store.
    pub(super) left: Option<Entry>,
}

/// The owners of the spaces whose entries are part of an image.
#[derive(Default)]
pub struct SpaceOwners(pub(super) AHashMap<u32, Owner>);

impl FromIterator<(u32, Owner)> for SpaceOwners {
    fn from_iter<I: IntoIterator<Item = (u32, Owner)>>(owners: I) -> Self {
        Self(owners.into_iter().collect())
    }
}

/// How far the walk over a shard's entries has come.
#[derive(Default)]
pub(super) struct ShardWalk {
    pub(super) shard: usize,
    pub(super) owners: SpaceOwners,
    /// The next slot.
    pub(super) slot: usize,
    /// The keys that changed since the walk began, by their spaces.
    pub(super) changed: AHashMap<u32, AHashSet<Box<[u8]>>>,
    /// The effects that build small values which were read before the walk came to them.
    pub(super) ahead: Vec<u8>,
    /// The addresses of the values that were registered.
    pub(super) waiting: Vec<usize>,
    /// Copies of lists, made in O(1) each.
    pub(super) lists: Vec<(Arc<ImagedName>, BigList)>,
    pub(super) ended: bool,
}

/// What is being read for images. `Side::imaged` is set for every shard that is walked over, or in which a registered
/// value is or was. Once there is none, it is cleared for all shards.
#[derive(Default)]
pub(super) struct ImagedValues {
    /// The registered values, by the address of their object.
    pub(super) large: AHashMap<usize, Imaged>,
    /// The walks, by the number of their shard.
    pub(super) walks: AHashMap<usize, ShardWalk>,
}
