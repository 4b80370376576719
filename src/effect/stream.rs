//! What can happen to a stream, and its bytes.
//!
//! Everything is final: identifiers, times and counts were worked out before. What needs a stream that is not there
//! does nothing, but for `Add`, `Node` and `Marks`, which make one.

use super::codec::{Decoder, EffectError, put_head};
use super::{Effect, List};
use crate::value::packed::{put_part, put_varint_to};
use crate::value::stream::{GroupPosition, StreamId};

/// Identifiers, borrowed either from a command or from a record.
#[derive(Clone, Copy, Debug)]
pub enum Ids<'a> {
    /// Borrowed from a command.
    Slice(&'a [StreamId]),
    /// Sixteen bytes each.
    Packed(&'a [u8]),
}

/// Bytes of a packed identifier.
const ID: usize = 16;

impl<'a> Ids<'a> {
    /// How many they are.
    pub fn len(&self) -> usize {
        match self {
            Self::Slice(ids) => ids.len(),
            Self::Packed(bytes) => bytes.len() / ID,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Walks them.
    pub fn iter(&self) -> impl Iterator<Item = StreamId> + 'a {
        let (slice, packed): (&'a [StreamId], &'a [u8]) = match *self {
            Self::Slice(ids) => (ids, &[]),
            Self::Packed(bytes) => (&[], bytes),
        };
        slice.iter().copied().chain(packed.as_chunks().0.iter().map(|bytes| StreamId::from_bytes(*bytes)))
    }
}

impl PartialEq for Ids<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// What happens to a stream.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum StreamChange<'a> {
    /// An entry is added behind all others; the stream is created if missing.
    Add {
        /// The entry's identifier.
        id: StreamId,
        /// Its fields and values in turn.
        pairs: List<'a>,
    },
    /// A whole node of entries is added behind all others; the stream is created if missing.
    Node {
        /// The identifier that the entries' are relative to.
        master: StreamId,
        /// The packed entries, see [`crate::value::stream::StreamNode`].
        body: &'a [u8],
    },
    /// The stream has these marks; it is created if missing.
    Marks {
        /// The largest identifier ever given.
        last_id: StreamId,
        /// The largest identifier that was deleted.
        max_deleted_id: StreamId,
        /// The number of entries ever added.
        entries_added: u64,
    },
    /// Entries are deleted one by one.
    Delete {
        /// Their identifiers.
        ids: Ids<'a>,
    },
    /// All entries up to and including this one are gone.
    Trim {
        /// The last one to go.
        through: StreamId,
    },
    /// A group exists and has read up to here.
    Group {
        /// Its name.
        group: &'a [u8],
        /// How far it has read.
        position: GroupPosition,
    },
    /// A group is gone.
    GroupDelete {
        /// Its name.
        group: &'a [u8],
    },
    /// A consumer exists and was seen and active at these times.
    Consumer {
        /// The group.
        group: &'a [u8],
        /// The consumer.
        consumer: &'a [u8],
        /// When it was last seen, in ms since the epoch.
        seen_at_ms: u64,
        /// When it last got something, in ms since the epoch; nothing if never.
        active_at_ms: Option<u64>,
    },
    /// A consumer is gone, and all that was pending for it.
    ConsumerDelete {
        /// The group.
        group: &'a [u8],
        /// The consumer.
        consumer: &'a [u8],
    },
    /// Entries are pending for a consumer, whoever had them before.
    Pending {
        /// The group.
        group: &'a [u8],
        /// The consumer, which exists.
        consumer: &'a [u8],
        /// When they were delivered, in ms since the epoch.
        delivered_at_ms: u64,
        /// How many times.
        deliveries: u64,
        /// Their identifiers.
        ids: Ids<'a>,
    },
    /// Entries are not pending any more.
    Acknowledge {
        /// The group.
        group: &'a [u8],
        /// Their identifiers.
        ids: Ids<'a>,
    },
}

fn put_id(out: &mut Vec<u8>, id: StreamId) {
    out.extend_from_slice(&id.to_bytes());
}

fn put_ids(out: &mut Vec<u8>, ids: Ids<'_>) {
    put_varint_to(out, ids.len() * ID);
    ids.iter().for_each(|id| put_id(out, id));
}

/// A number that may be missing, which is then the largest.
fn put_optional(out: &mut Vec<u8>, number: Option<u64>) {
    out.extend_from_slice(&number.unwrap_or(u64::MAX).to_le_bytes());
}

pub(super) fn encode(db: u32, key: &[u8], change: &StreamChange<'_>, out: &mut Vec<u8>) {
    match *change {
        StreamChange::Add { id, pairs } => {
            put_head(out, 19, db, key);
            put_id(out, id);
            super::codec::put_list(out, &pairs);
        }
        StreamChange::Node { master, body } => {
            put_head(out, 20, db, key);
            put_id(out, master);
            put_part(out, body);
        }
        StreamChange::Marks { last_id, max_deleted_id, entries_added } => {
            put_head(out, 21, db, key);
            put_id(out, last_id);
            put_id(out, max_deleted_id);
            out.extend_from_slice(&entries_added.to_le_bytes());
        }
        StreamChange::Delete { ids } => {
            put_head(out, 22, db, key);
            put_ids(out, ids);
        }
        StreamChange::Trim { through } => {
            put_head(out, 23, db, key);
            put_id(out, through);
        }
        _ => encode_group(db, key, change, out),
    }
}

fn encode_group(db: u32, key: &[u8], change: &StreamChange<'_>, out: &mut Vec<u8>) {
    let mut head = |opcode: u8, group: &[u8]| {
        put_head(out, opcode, db, key);
        put_part(out, group);
    };
    match *change {
        StreamChange::Group { group, position } => {
            head(25, group);
            put_id(out, position.last_id);
            put_optional(out, position.entries_read);
        }
        StreamChange::GroupDelete { group } => head(26, group),
        StreamChange::Consumer { group, consumer, seen_at_ms, active_at_ms } => {
            head(27, group);
            put_part(out, consumer);
            out.extend_from_slice(&seen_at_ms.to_le_bytes());
            put_optional(out, active_at_ms);
        }
        StreamChange::ConsumerDelete { group, consumer } => {
            head(28, group);
            put_part(out, consumer);
        }
        StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids } => {
            head(29, group);
            put_part(out, consumer);
            out.extend_from_slice(&delivered_at_ms.to_le_bytes());
            put_varint_to(out, deliveries as usize);
            put_ids(out, ids);
        }
        StreamChange::Acknowledge { group, ids } => {
            head(30, group);
            put_ids(out, ids);
        }
        _ => {}
    }
}

impl<'a> Decoder<'a> {
    fn id(&mut self) -> Result<StreamId, EffectError> {
        let (ms, seq) = (self.time()?, self.time()?);
        // Identifiers are written big-endian, other numbers little-endian.
        Ok(StreamId::new(ms.swap_bytes(), seq.swap_bytes()))
    }

    fn ids(&mut self) -> Result<Ids<'a>, EffectError> {
        let bytes = self.part()?;
        if bytes.len() % ID == 0 { Ok(Ids::Packed(bytes)) } else { Err(EffectError::Malformed) }
    }

    fn optional(&mut self) -> Result<Option<u64>, EffectError> {
        Ok(Some(self.time()?).filter(|number| *number != u64::MAX))
    }

    /// The rest of a stream's effect.
    pub(super) fn stream(&mut self, opcode: u8) -> Result<Effect<'a>, EffectError> {
        let (db, key) = (self.small()?, self.part()?);
        let change = match opcode {
            19 => {
                let (id, pairs) = (self.id()?, self.list()?);
                if pairs.len() % 2 != 0 {
                    return Err(EffectError::Malformed);
                }
                StreamChange::Add { id, pairs }
            }
            20 => StreamChange::Node { master: self.id()?, body: self.part()? },
            21 => StreamChange::Marks {
                last_id: self.id()?,
                max_deleted_id: self.id()?,
                entries_added: self.time()?,
            },
            22 => StreamChange::Delete { ids: self.ids()? },
            23 => StreamChange::Trim { through: self.id()? },
            _ => self.stream_group(opcode)?,
        };
        Ok(Effect::Stream { db, key, change })
    }

    fn stream_group(&mut self, opcode: u8) -> Result<StreamChange<'a>, EffectError> {
        let group = self.part()?;
        Ok(match opcode {
            25 => {
                let position = GroupPosition { last_id: self.id()?, entries_read: self.optional()? };
                StreamChange::Group { group, position }
            }
            26 => StreamChange::GroupDelete { group },
            27 => {
                let (consumer, seen_at_ms) = (self.part()?, self.time()?);
                StreamChange::Consumer { group, consumer, seen_at_ms, active_at_ms: self.optional()? }
            }
            28 => StreamChange::ConsumerDelete { group, consumer: self.part()? },
            29 => {
                let (consumer, delivered_at_ms) = (self.part()?, self.time()?);
                let deliveries = self.number()? as u64;
                StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids: self.ids()? }
            }
            30 => StreamChange::Acknowledge { group, ids: self.ids()? },
            other => return Err(EffectError::Opcode(other)),
        })
    }
}
