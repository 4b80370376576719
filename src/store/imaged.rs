//! The large values of which an image is being read.

use super::Entry;
use super::reader::PieceReader;
use ahash::AHashMap;
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

/// The large values of a shard whose image is being read, by the address of their object. `Side::imaged` is set for
/// every shard in which one of them is or was. Once no value is registered, it is cleared for all shards.
#[derive(Default)]
pub(super) struct ImagedValues(pub(super) AHashMap<usize, Imaged>);
