//! The sum of all effects, and what each of them changes.

use super::hash::HashChange;
use super::item::ItemChange;
use super::list::ListChange;
use super::parts::List;
use super::set::SetChange;
use super::stream::StreamChange;
use super::string::StringChange;
use super::structural::Structural;
use super::zset::ZsetChange;
use crate::value::bits::BitOp;

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
    /// Something happens to a set.
    Set {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// What happens.
        change: SetChange<'a>,
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
    /// Something happens to a list.
    List {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// What happens.
        change: ListChange<'a>,
    },
    /// Something happens to a sorted set.
    Zset {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// What happens.
        change: ZsetChange<'a>,
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
    /// The key holds the value of another key, which is removed.
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
    /// The key holds a copy of another key's value, with its deadlines.
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
    /// The key holds the value of a payload in Redis's serialisation, which is no string. The value is built in its
    /// large form.
    Restore {
        /// The database.
        db: u32,
        /// The key.
        key: &'a [u8],
        /// The payload with its footer.
        payload: &'a [u8],
        /// The deadline in ms since the epoch.
        expire: Option<u64>,
        /// The time in ms since the epoch at which the payload was read. Fields of a hash that had expired by then are
        /// left out.
        read_at: u64,
    },
    /// The key holds a combination of strings, bit by bit, without a deadline.
    Combine {
        /// The operation.
        op: BitOp,
        /// The database of all keys.
        db: u32,
        /// The key.
        to: &'a [u8],
        /// The keys of the strings; a missing key counts as an empty string.
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
    /// What the effect changes. An effect with [`Effect::sources`] also depends on those keys, and a move removes its
    /// source.
    #[inline]
    pub fn subject(&self) -> Subject<'a> {
        match *self {
            Self::String { db, key, .. }
            | Self::Hash { db, key, .. }
            | Self::Set { db, key, .. }
            | Self::Stream { db, key, .. }
            | Self::List { db, key, .. }
            | Self::Zset { db, key, .. }
            | Self::Delete { db, key }
            | Self::Expire { db, key, .. }
            | Self::Restore { db, key, .. }
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

    /// The key whose shard the effect belongs to: a key or an encoded partition key; `None` for structural effects. An
    /// effect with [`Effect::sources`] needs the shards of those keys too.
    #[inline]
    pub fn shard_key(&self) -> Option<&'a [u8]> {
        match self.subject() {
            Subject::Key(_, key) | Subject::Partition(_, key) => Some(key),
            Subject::All => None,
        }
    }

    /// Whether the effect changes the present value of its key. An expired value must be removed before such an effect.
    /// All other effects replace the value, or remove one that a command has looked at.
    #[inline]
    pub fn builds_on_value(&self) -> bool {
        match self {
            Self::String { change, .. } => change.builds_on_value(),
            Self::Hash { change, .. } => change.builds_on_value(),
            Self::Set { change, .. } => change.builds_on_value(),
            Self::List { change, .. } => change.builds_on_value(),
            Self::Zset { change, .. } => change.builds_on_value(),
            Self::Stream { .. } | Self::Expire { .. } => true,
            Self::Item { .. }
            | Self::Delete { .. }
            | Self::Restore { .. }
            | Self::Move { .. }
            | Self::Copy { .. }
            | Self::Combine { .. }
            | Self::Structural(_) => false,
        }
    }

    /// Whether the effect depends on the values of other keys.
    #[inline]
    pub fn has_sources(&self) -> bool {
        self.source_keys().is_some()
    }

    /// The databases and keys on which it depends, except its own.
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
            | Self::Set { .. }
            | Self::Stream { .. }
            | Self::List { .. }
            | Self::Zset { .. }
            | Self::Item { .. }
            | Self::Delete { .. }
            | Self::Expire { .. }
            | Self::Restore { .. }
            | Self::Structural(_) => None,
        }
    }
}

impl<'a> StringChange<'a> {
    /// The effect that this happens to a key of a database.
    #[inline]
    pub fn on(self, db: u32, key: &'a [u8]) -> Effect<'a> {
        Effect::String { db, key, change: self }
    }
}

impl<'a> HashChange<'a> {
    /// The effect that this happens to a key of a database.
    #[inline]
    pub fn on(self, db: u32, key: &'a [u8]) -> Effect<'a> {
        Effect::Hash { db, key, change: self }
    }
}

impl<'a> SetChange<'a> {
    /// The effect that this happens to a key of a database.
    #[inline]
    pub fn on(self, db: u32, key: &'a [u8]) -> Effect<'a> {
        Effect::Set { db, key, change: self }
    }
}

impl<'a> StreamChange<'a> {
    /// The effect that this happens to a key of a database.
    #[inline]
    pub fn on(self, db: u32, key: &'a [u8]) -> Effect<'a> {
        Effect::Stream { db, key, change: self }
    }
}

impl<'a> ListChange<'a> {
    /// The effect that this happens to a key of a database.
    #[inline]
    pub fn on(self, db: u32, key: &'a [u8]) -> Effect<'a> {
        Effect::List { db, key, change: self }
    }
}

impl<'a> ZsetChange<'a> {
    /// The effect that this happens to a key of a database.
    #[inline]
    pub fn on(self, db: u32, key: &'a [u8]) -> Effect<'a> {
        Effect::Zset { db, key, change: self }
    }
}

impl<'a> ItemChange<'a> {
    /// The effect that this happens to a partition of a table, given its encoded key.
    #[inline]
    pub fn on(self, table: u32, partition: &'a [u8]) -> Effect<'a> {
        Effect::Item { table, partition, change: self }
    }
}

impl<'a> From<Structural<'a>> for Effect<'a> {
    #[inline]
    fn from(change: Structural<'a>) -> Self {
        Self::Structural(change)
    }
}
