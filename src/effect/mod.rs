//! Effects: the only mutations that exist, and their versioned bytes.
//!
//! A command works out final values and absolute times; what it changes is a list of effects, each about one key (or one
//! whole database or table). The log holds effects, checkpoints hold effects, and the store applies them through one
//! function, live and in recovery alike. An effect depends on nothing but the state of its own key, but for those with
//! [`Effect::sources`], which are in no checkpoint, and in the log only where their sources can be had when it is replayed.
//!
//! What can happen to values of one type stands in one file, with its bytes. A type is added by such a file, and by one arm
//! in each match over [`Effect`].
#![deny(clippy::wildcard_enum_match_arm)]

mod codec;
mod hash;
mod item;
mod key;
mod parts;
mod stream;
mod string;
mod structural;
#[cfg(test)]
mod tests;

pub use codec::{Decoder, EffectError, VERSION};
pub use hash::{FieldExpire, HashChange};
pub use item::ItemChange;
pub use parts::{List, ListIter};
pub use stream::{Ids, StreamChange};
pub use string::StringChange;
pub use structural::Structural;

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

/// One mutation. Databases are numbered as clients see them; tables by the id in their schema record.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Effect<'a> {
    /// Something happens to a string.
    String {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// What happens.
        change: StringChange<'a>,
    },
    /// Something happens to a hash.
    Hash {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// What happens.
        change: HashChange<'a>,
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
    /// Something happens to an item.
    Item {
        /// The table's id.
        table: u32,
        /// The encoded partition key.
        partition: &'a [u8],
        /// What happens.
        change: ItemChange<'a>,
    },
    /// The key is gone.
    Delete {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
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
    /// Something happens to whole databases or tables, or to the log.
    Structural(Structural<'a>),
}

/// What an effect changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject<'a> {
    /// One key of a database.
    Key(u32, &'a [u8]),
    /// One partition of a table, by its encoded key.
    Partition(u32, &'a [u8]),
    /// Whole databases or tables, in all shards.
    All,
}

impl<'a> Effect<'a> {
    /// What the effect changes. What has [`Effect::sources`] depends on these too, and a move empties its source.
    #[inline]
    pub fn subject(&self) -> Subject<'a> {
        match *self {
            Self::String { db, key, .. }
            | Self::Hash { db, key, .. }
            | Self::Stream { db, key, .. }
            | Self::Delete { db, key }
            | Self::Expire { db, key, .. }
            | Self::Move { to_db: db, to: key, .. }
            | Self::Copy { to_db: db, to: key, .. }
            | Self::Combine { db, to: key, .. } => Subject::Key(db, key),
            Self::Item { table, partition, .. } => Subject::Partition(table, partition),
            Self::Structural(_) => Subject::All,
        }
    }

    /// The database of an effect on a key; `None` for items and structural effects.
    #[inline]
    pub fn db(&self) -> Option<u32> {
        match self.subject() {
            Subject::Key(db, _) => Some(db),
            Subject::Partition(..) | Subject::All => None,
        }
    }

    /// The key whose shard the effect belongs to: a key or an encoded partition key; `None` for structural effects. What has
    /// [`Effect::sources`] needs their shards too.
    #[inline]
    pub fn shard_key(&self) -> Option<&'a [u8]> {
        match self.subject() {
            Subject::Key(_, key) | Subject::Partition(_, key) => Some(key),
            Subject::All => None,
        }
    }

    /// Whether it goes on from the value that its key has, of which nothing must be left then if it has expired. An effect that
    /// does not, puts something in its place, or removes what a command has looked at.
    #[inline]
    pub fn builds_on_value(&self) -> bool {
        match self {
            Self::String { change, .. } => change.builds_on_value(),
            Self::Hash { change, .. } => change.builds_on_value(),
            Self::Stream { .. } | Self::Expire { .. } => true,
            Self::Item { .. }
            | Self::Delete { .. }
            | Self::Move { .. }
            | Self::Copy { .. }
            | Self::Combine { .. }
            | Self::Structural(_) => false,
        }
    }

    /// Whether the effect depends on what is at other keys.
    #[inline]
    pub fn has_sources(&self) -> bool {
        self.source_keys().is_some()
    }

    /// The databases and keys that it depends on beside its own.
    pub fn sources(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        self.source_keys()
            .into_iter()
            .flat_map(|(db, one, more)| one.into_iter().chain(more.iter()).map(move |key| (db, key)))
    }

    #[inline]
    fn source_keys(&self) -> Option<(u32, Option<&'a [u8]>, List<'a>)> {
        match *self {
            Self::Move { db, key, .. } | Self::Copy { db, key, .. } => {
                Some((db, Some(key), List::Slices(&[])))
            }
            Self::Combine { db, keys, .. } => Some((db, None, keys)),
            Self::String { .. }
            | Self::Hash { .. }
            | Self::Stream { .. }
            | Self::Item { .. }
            | Self::Delete { .. }
            | Self::Expire { .. }
            | Self::Structural(_) => None,
        }
    }

    /// Appends the effect's bytes.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::String { db, key, ref change } => change.encode(db, key, out),
            Self::Delete { db, key } => key::encode_delete(db, key, out),
            Self::Expire { db, key, at } => key::encode_expire(db, key, at, out),
            Self::Hash { db, key, ref change } => change.encode(db, key, out),
            Self::Stream { db, key, ref change } => change.encode(db, key, out),
            Self::Item { table, partition, ref change } => change.encode(table, partition, out),
            Self::Move { db, key, to_db, to } => key::encode_move((db, key), (to_db, to), out),
            Self::Copy { db, key, to_db, to } => key::encode_copy((db, key), (to_db, to), out),
            Self::Combine { op, db, to, keys } => key::encode_combine(op, db, to, keys, out),
            Self::Structural(change) => change.encode(out),
        }
    }
}
