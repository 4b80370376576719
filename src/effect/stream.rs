//! What can happen to a stream, and its bytes.
//!
//! All identifiers, times and counts are final. `Add`, `Node` and `Marks` create a missing stream; every other change
//! does nothing without one.

use super::codec::{EffectError, Reader, put_head};
use super::parts::List;
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
    /// The number of identifiers.
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

    /// Walks the identifiers.
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
    /// An entry is added after all others; the stream is created if missing.
    Add {
        /// The entry's identifier.
        id: StreamId,
        /// Its fields and values in turn.
        pairs: List<'a>,
    },
    /// A whole node of entries is added after all others; the stream is created if missing.
    Node {
        /// The identifier to which the identifiers of the entries are relative.
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
    /// All entries up to and including this one are deleted.
    Trim {
        /// The identifier of the last entry that is deleted.
        through: StreamId,
    },
    /// A group exists and has read up to here.
    Group {
        /// Its name.
        group: &'a [u8],
        /// The identifier up to which it has read, and the number of entries that it has read.
        position: GroupPosition,
    },
    /// A group is removed.
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
        /// When it last got an entry, in ms since the epoch; `None` if never.
        active_at_ms: Option<u64>,
    },
    /// A consumer is removed, with all its pending entries.
    ConsumerDelete {
        /// The group.
        group: &'a [u8],
        /// The consumer.
        consumer: &'a [u8],
    },
    /// Entries are pending for this consumer, and for no other consumer of the group.
    Pending {
        /// The group.
        group: &'a [u8],
        /// The consumer, which exists.
        consumer: &'a [u8],
        /// When they were delivered, in ms since the epoch.
        delivered_at_ms: u64,
        /// The number of deliveries.
        deliveries: u64,
        /// Their identifiers.
        ids: Ids<'a>,
    },
    /// Entries become acknowledged: they are not pending for any consumer of the group.
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

/// Writes an optional number: `None` as the largest one.
fn put_optional(out: &mut Vec<u8>, number: Option<u64>) {
    out.extend_from_slice(&number.unwrap_or(u64::MAX).to_le_bytes());
}

impl<'a> StreamChange<'a> {
    pub(super) fn encode(&self, db: u32, key: &[u8], out: &mut Vec<u8>) {
        let head = |opcode: u8, out: &mut Vec<u8>| put_head(out, opcode, db, key);
        let group_head = |opcode: u8, group: &[u8], out: &mut Vec<u8>| {
            put_head(out, opcode, db, key);
            put_part(out, group);
        };
        match *self {
            Self::Add { id, pairs } => {
                head(19, out);
                put_id(out, id);
                pairs.encode(out);
            }
            Self::Node { master, body } => {
                head(20, out);
                put_id(out, master);
                put_part(out, body);
            }
            Self::Marks { last_id, max_deleted_id, entries_added } => {
                head(21, out);
                put_id(out, last_id);
                put_id(out, max_deleted_id);
                out.extend_from_slice(&entries_added.to_le_bytes());
            }
            Self::Delete { ids } => {
                head(22, out);
                put_ids(out, ids);
            }
            Self::Trim { through } => {
                head(23, out);
                put_id(out, through);
            }
            Self::Group { group, position } => {
                group_head(25, group, out);
                put_id(out, position.last_id);
                put_optional(out, position.entries_read);
            }
            Self::GroupDelete { group } => group_head(26, group, out),
            Self::Consumer { group, consumer, seen_at_ms, active_at_ms } => {
                group_head(27, group, out);
                put_part(out, consumer);
                out.extend_from_slice(&seen_at_ms.to_le_bytes());
                put_optional(out, active_at_ms);
            }
            Self::ConsumerDelete { group, consumer } => {
                group_head(28, group, out);
                put_part(out, consumer);
            }
            Self::Pending { group, consumer, delivered_at_ms, deliveries, ids } => {
                group_head(29, group, out);
                put_part(out, consumer);
                out.extend_from_slice(&delivered_at_ms.to_le_bytes());
                put_varint_to(out, deliveries as usize);
                put_ids(out, ids);
            }
            Self::Acknowledge { group, ids } => {
                group_head(30, group, out);
                put_ids(out, ids);
            }
        }
    }
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<StreamChange<'a>, EffectError> {
    Ok(match opcode {
        19 => StreamChange::Add { id: id(from)?, pairs: from.pairs()? },
        20 => StreamChange::Node { master: id(from)?, body: from.part()? },
        21 => {
            StreamChange::Marks { last_id: id(from)?, max_deleted_id: id(from)?, entries_added: from.time()? }
        }
        22 => StreamChange::Delete { ids: ids(from)? },
        23 => StreamChange::Trim { through: id(from)? },
        _ => decode_of_group(opcode, from)?,
    })
}

fn decode_of_group<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<StreamChange<'a>, EffectError> {
    let group = from.part()?;
    Ok(match opcode {
        25 => {
            let position = GroupPosition { last_id: id(from)?, entries_read: optional(from)? };
            StreamChange::Group { group, position }
        }
        26 => StreamChange::GroupDelete { group },
        27 => {
            let (consumer, seen_at_ms) = (from.part()?, from.time()?);
            StreamChange::Consumer { group, consumer, seen_at_ms, active_at_ms: optional(from)? }
        }
        28 => StreamChange::ConsumerDelete { group, consumer: from.part()? },
        29 => {
            let (consumer, delivered_at_ms) = (from.part()?, from.time()?);
            let deliveries = from.number()? as u64;
            StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids: ids(from)? }
        }
        30 => StreamChange::Acknowledge { group, ids: ids(from)? },
        other => return Err(EffectError::Opcode(other)),
    })
}

fn id(from: &mut Reader<'_>) -> Result<StreamId, EffectError> {
    let (ms, seq) = (from.time()?, from.time()?);
    // Identifiers are written big-endian, other numbers little-endian.
    Ok(StreamId::new(ms.swap_bytes(), seq.swap_bytes()))
}

fn ids<'a>(from: &mut Reader<'a>) -> Result<Ids<'a>, EffectError> {
    let bytes = from.part()?;
    if bytes.len() % ID == 0 { Ok(Ids::Packed(bytes)) } else { Err(EffectError::Malformed) }
}

fn optional(from: &mut Reader<'_>) -> Result<Option<u64>, EffectError> {
    Ok(Some(from.time()?).filter(|number| *number != u64::MAX))
}
