//! Effects: the only mutations that exist, and their versioned bytes.
//!
//! A command works out final values and absolute times; what it changes is a list of effects, each about one key (or
//! one whole database or table). The log holds effects, checkpoints hold effects, and the store applies them through
//! one function, live and in recovery alike. An effect depends on nothing but the state of its own key, but for those
//! with [`Effect::sources`], which are in no checkpoint, and in the log only where their sources can be had when it is
//! replayed.

mod codec;
mod stream;

pub use codec::{Decoder, EffectError, VERSION};
pub use stream::{Ids, StreamChange};

use crate::value::bits::BitOp;

/// The longest string in bytes: what one record of the log can carry.
pub const MAX_STRING: usize = (1 << 32) - (1 << 20);

/// The number of a database of the server's own, which clients neither see nor flush.
pub const SYSTEM: u32 = u32::MAX;

/// The number of another one, of tokens by which transactions are carried out once. No client knows its keys by name,
/// so nobody who watches or waits for a key of the same name is told of them.
pub const TOKENS: u32 = u32::MAX - 1;

/// Whether a database, or its space, which has the same number, is the server's own.
pub fn is_own(db: u32) -> bool {
    matches!(db, SYSTEM | TOKENS)
}

/// What happens to a field's deadline when the field is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldExpire {
    /// The field has no deadline afterwards.
    Clear,
    /// An existing field keeps its deadline.
    Keep,
    /// The field has this deadline (ms since the epoch) afterwards.
    At(u64),
}

/// A list of byte strings, borrowed either from a command's arguments or from a record.
#[derive(Clone, Copy, Debug)]
pub enum List<'a> {
    /// Borrowed arguments.
    Slices(&'a [&'a [u8]]),
    /// `count` parts of `(varint length, bytes)`.
    Packed {
        /// The bytes of all parts.
        bytes: &'a [u8],
        /// The number of parts.
        count: usize,
    },
}

impl<'a> List<'a> {
    /// The number of byte strings.
    pub fn len(&self) -> usize {
        match self {
            Self::Slices(s) => s.len(),
            Self::Packed { count, .. } => *count,
        }
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Walks the byte strings.
    pub fn iter(&self) -> ListIter<'a> {
        ListIter { list: *self, at: 0 }
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Walks a [`List`].
#[derive(Clone)]
pub struct ListIter<'a> {
    list: List<'a>,
    at: usize,
}

impl<'a> Iterator for ListIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match self.list {
            List::Slices(s) => {
                let item = s.get(self.at)?;
                self.at += 1;
                Some(item)
            }
            List::Packed { bytes, .. } => {
                if self.at >= bytes.len() {
                    return None;
                }
                let (part, next) = crate::value::packed::read_part(bytes, self.at);
                self.at = next;
                Some(part)
            }
        }
    }
}

/// The compact kinds whose payload a [`Effect::PutPacked`] carries verbatim. The numbers are part of the log's format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PackedKind {
    /// A hash without field deadlines.
    Hash = 1,
    /// A hash with field deadlines.
    HashTtl = 2,
}

/// One mutation. Databases are numbered as clients see them; tables by the id in their schema record.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Effect<'a> {
    /// The key holds exactly this string.
    SetString {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// The whole value.
        value: &'a [u8],
        /// The deadline in ms since the epoch.
        expire: Option<u64>,
    },
    /// Bytes of a string are overwritten from `at` on; the string is created and padded with zeros as needed.
    Splice {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// Offset of the first byte.
        at: usize,
        /// The new bytes.
        bytes: &'a [u8],
    },
    /// The key is gone.
    Delete {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
    },
    /// The key holds what was at another one, which holds nothing.
    Move {
        /// The other key's database.
        db: u32,
        /// The other key.
        key: &'a [u8],
        /// The database.
        to_db: u32,
        /// The key.
        to: &'a [u8],
    },
    /// The key holds what is at another one, with its deadlines.
    Copy {
        /// The other key's database.
        db: u32,
        /// The other key.
        key: &'a [u8],
        /// The database.
        to_db: u32,
        /// The key.
        to: &'a [u8],
    },
    /// The key holds a combination of strings, bit by bit, without a deadline.
    Combine {
        /// The operation.
        op: BitOp,
        /// The database of all keys.
        db: u32,
        /// The key.
        to: &'a [u8],
        /// The keys of the strings; what is not there counts as empty.
        keys: List<'a>,
    },
    /// The key holds the string that a payload of Redis's serialisation holds.
    Restore {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// The payload with its footer.
        payload: &'a [u8],
        /// The deadline in ms since the epoch.
        expire: Option<u64>,
    },
    /// The key has this deadline, or none.
    Expire {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// The deadline in ms since the epoch.
        at: Option<u64>,
    },
    /// The key holds this packed value.
    PutPacked {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// The deadline in ms since the epoch.
        expire: Option<u64>,
        /// What the payload is.
        kind: PackedKind,
        /// The packed bytes.
        payload: &'a [u8],
    },
    /// Fields of a hash are set; the hash is created if missing.
    HashSet {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// Fields and values in turn.
        pairs: List<'a>,
        /// What becomes of the fields' deadlines.
        expire: FieldExpire,
    },
    /// Fields of a hash are removed; a hash without fields is removed.
    HashDelete {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// The fields.
        fields: List<'a>,
    },
    /// Fields of a hash have this deadline (0: none).
    HashExpire {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// The fields.
        fields: List<'a>,
        /// The deadline in ms since the epoch, 0 for none.
        at: u64,
    },
    /// An item is put in place of the one with its key.
    ItemPut {
        /// The table's id.
        table: u32,
        /// The encoded partition key.
        partition: &'a [u8],
        /// The encoded sort key, empty in tables without one.
        sort: &'a [u8],
        /// The encoded item.
        item: &'a [u8],
    },
    /// An item is removed.
    ItemDelete {
        /// The table's id.
        table: u32,
        /// The encoded partition key.
        partition: &'a [u8],
        /// The encoded sort key, empty in tables without one.
        sort: &'a [u8],
    },
    /// Something happens to a stream.
    Stream {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// What happens.
        change: StreamChange<'a>,
    },
    /// The database is empty and goes on in a new space.
    FlushDb {
        /// The database.
        db: u32,
        /// The fresh space's number.
        space: u32,
    },
    /// Two databases change places.
    SwapDb {
        /// One database.
        a: u32,
        /// The other.
        b: u32,
    },
    /// A table exists with this schema (also after a change of it).
    TablePut {
        /// The table's id, which is its space.
        table: u32,
        /// When the table was created, in ms since the epoch.
        created: u64,
        /// The table's name.
        name: &'a [u8],
        /// The encoded schema, opaque here.
        schema: &'a [u8],
    },
    /// A table is gone with all its items.
    TableDrop {
        /// The table's id.
        table: u32,
    },
    /// Changes before this place may be missing from the log, because it was off. Replay does not cross it.
    Gap,
}

impl<'a> Effect<'a> {
    /// The database of an effect on a key; `None` for items and structural effects.
    pub fn db(&self) -> Option<u32> {
        match *self {
            Self::SetString { db, .. }
            | Self::Splice { db, .. }
            | Self::Delete { db, .. }
            | Self::Move { to_db: db, .. }
            | Self::Copy { to_db: db, .. }
            | Self::Combine { db, .. }
            | Self::Restore { db, .. }
            | Self::Expire { db, .. }
            | Self::PutPacked { db, .. }
            | Self::HashSet { db, .. }
            | Self::HashDelete { db, .. }
            | Self::HashExpire { db, .. }
            | Self::Stream { db, .. } => Some(db),
            Self::ItemPut { .. }
            | Self::ItemDelete { .. }
            | Self::FlushDb { .. }
            | Self::SwapDb { .. }
            | Self::TablePut { .. }
            | Self::TableDrop { .. }
            | Self::Gap => None,
        }
    }

    /// The key whose shard the effect belongs to: a key or an encoded partition key; `None` for structural effects.
    /// What has [`Effect::sources`] needs their shards too.
    #[inline]
    pub fn shard_key(&self) -> Option<&'a [u8]> {
        match *self {
            Self::SetString { key, .. }
            | Self::Splice { key, .. }
            | Self::Delete { key, .. }
            | Self::Move { to: key, .. }
            | Self::Copy { to: key, .. }
            | Self::Combine { to: key, .. }
            | Self::Restore { key, .. }
            | Self::Expire { key, .. }
            | Self::PutPacked { key, .. }
            | Self::HashSet { key, .. }
            | Self::HashDelete { key, .. }
            | Self::HashExpire { key, .. }
            | Self::Stream { key, .. } => Some(key),
            Self::ItemPut { partition, .. } | Self::ItemDelete { partition, .. } => Some(partition),
            Self::FlushDb { .. }
            | Self::SwapDb { .. }
            | Self::TablePut { .. }
            | Self::TableDrop { .. }
            | Self::Gap => None,
        }
    }

    /// Whether the effect depends on what is at other keys.
    #[inline]
    pub fn has_sources(&self) -> bool {
        matches!(self, Self::Move { .. } | Self::Copy { .. } | Self::Combine { .. })
    }

    /// The databases and keys that it depends on beside its own.
    pub fn sources(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        let (db, one, list) = match *self {
            Self::Move { db, key, .. } | Self::Copy { db, key, .. } => (db, Some(key), None),
            Self::Combine { db, keys, .. } => (db, None, Some(keys)),
            _ => (0, None, None),
        };
        let listed = list.into_iter().flat_map(|list| list.iter());
        one.into_iter().chain(listed).map(move |key| (db, key))
    }
}
