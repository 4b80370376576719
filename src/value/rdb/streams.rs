//! Streams in the serialisation: packed entries, the stream's marks, consumer groups.
#![deny(clippy::indexing_slicing)]

use super::reader::Reader;
use super::writer::Writer;
use crate::value::ValueError;
use crate::value::stream::{StreamId, StreamNode};
use std::collections::{HashMap, HashSet};

const BAD: ValueError = ValueError::BadFormat;

/// The whole content of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamDump {
    /// The packed entries, ascending.
    pub nodes: Vec<StreamNode>,
    /// The number of entries that are not deleted.
    pub length: u64,
    /// The largest identifier ever given.
    pub last_id: StreamId,
    /// The identifier of the first entry, `0-0` in an empty stream.
    pub first_id: StreamId,
    /// The largest identifier that was deleted.
    pub max_deleted_id: StreamId,
    /// The number of entries ever added.
    pub entries_added: u64,
    /// The consumer groups.
    pub groups: Vec<GroupDump>,
}

/// The whole content of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupDump {
    /// The group's name.
    pub name: Vec<u8>,
    /// The last identifier delivered.
    pub last_id: StreamId,
    /// The number of entries read, if it is known.
    pub entries_read: Option<u64>,
    /// The entries delivered and not acknowledged, ascending.
    pub pending: Vec<PendingDump>,
    /// The consumers; each pending entry belongs to exactly one of them.
    pub consumers: Vec<ConsumerDump>,
}

/// One entry that was delivered and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingDump {
    /// The entry's identifier; the entry itself may be gone.
    pub id: StreamId,
    /// When it was last delivered, in milliseconds since the Unix epoch.
    pub delivered_at_ms: u64,
    /// How many times it was delivered.
    pub deliveries: u64,
}

/// One consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerDump {
    /// The consumer's name.
    pub name: Vec<u8>,
    /// When it last tried to read, in milliseconds since the Unix epoch.
    pub seen_at_ms: u64,
    /// When it last got something, in milliseconds since the Unix epoch; nothing if never.
    pub active_at_ms: Option<u64>,
    /// The identifiers of its pending entries, ascending.
    pub pending: Vec<StreamId>,
}

/// The three layouts, by what Redis added to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layout {
    /// Entries and groups.
    First,
    /// Redis 7.0: first identifier, largest deleted one, counters.
    Counters,
    /// Redis 7.2: when a consumer was last active.
    Activity,
}

pub(super) fn decode(reader: &mut Reader<'_>, layout: Layout) -> Result<StreamDump, ValueError> {
    let mut stream = StreamDump::default();
    let mut last_seen = None;
    let mut first_live = None;
    let mut live = 0u64;
    for _ in 0..reader.len()? {
        let master = reader.string()?.as_ref().try_into().map(StreamId::from_bytes).map_err(|_| BAD)?;
        let node = StreamNode::from_bytes(master, reader.owned()?).ok_or(BAD)?;
        if last_seen.is_some_and(|last| master <= last) {
            return Err(BAD);
        }
        for entry in node.entries() {
            last_seen = Some(entry.id);
            if !entry.deleted {
                live += 1;
                first_live = first_live.or(last_seen);
            }
        }
        stream.nodes.push(node);
    }
    stream.length = reader.len()?;
    stream.last_id = reader.stream_id()?;
    if layout >= Layout::Counters {
        stream.first_id = reader.stream_id()?;
        stream.max_deleted_id = reader.stream_id()?;
        stream.entries_added = reader.len()?;
    } else {
        stream.first_id = first_live.unwrap_or_default();
        stream.entries_added = stream.length;
    }
    if stream.length != live || last_seen.is_some_and(|last| last > stream.last_id) {
        return Err(BAD);
    }
    let mut names = HashSet::new();
    for _ in 0..reader.len()? {
        let group = decode_group(reader, layout, &stream)?;
        if !names.insert(group.name.clone()) {
            return Err(BAD);
        }
        stream.groups.push(group);
    }
    Ok(stream)
}

fn decode_group(
    reader: &mut Reader<'_>,
    layout: Layout,
    stream: &StreamDump,
) -> Result<GroupDump, ValueError> {
    let mut group = GroupDump { name: reader.owned()?, last_id: reader.stream_id()?, ..GroupDump::default() };
    group.entries_read = if layout >= Layout::Counters {
        // Redis writes its -1, "not known", as the largest number.
        Some(reader.len()?).filter(|&read| i64::try_from(read).is_ok())
    } else {
        stream.entries_before(group.last_id)
    };
    let mut owners = HashMap::new();
    for _ in 0..reader.len()? {
        let id = reader.raw_stream_id()?;
        let pending = PendingDump { id, delivered_at_ms: reader.millis()?, deliveries: reader.len()? };
        if owners.insert(id, false).is_some() {
            return Err(BAD);
        }
        group.pending.push(pending);
    }
    group.pending.sort_unstable_by_key(|pending| pending.id);
    let mut names = HashSet::new();
    for _ in 0..reader.len()? {
        let mut consumer =
            ConsumerDump { name: reader.owned()?, seen_at_ms: reader.millis()?, ..ConsumerDump::default() };
        consumer.active_at_ms = if layout >= Layout::Activity {
            Some(reader.millis()?).filter(|&at| i64::try_from(at).is_ok())
        } else {
            Some(consumer.seen_at_ms)
        };
        for _ in 0..reader.len()? {
            let id = reader.raw_stream_id()?;
            if owners.insert(id, true) != Some(false) {
                return Err(BAD);
            }
            consumer.pending.push(id);
        }
        consumer.pending.sort_unstable();
        if !names.insert(consumer.name.clone()) {
            return Err(BAD);
        }
        group.consumers.push(consumer);
    }
    if owners.values().all(|&owned| owned) { Ok(group) } else { Err(BAD) }
}

impl StreamDump {
    /// How many entries were ever added up to and including `id`, where that can be told: in a stream without holes
    /// behind `id`.
    #[must_use]
    pub fn entries_before(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id || id == self.last_id {
            return Some(self.entries_added);
        }
        let whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        let gone = self.entries_added.checked_sub(self.length);
        match id.cmp(&self.first_id) {
            _ if id > self.last_id || !whole => None,
            std::cmp::Ordering::Less => gone,
            std::cmp::Ordering::Equal => gone.and_then(|gone| gone.checked_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }
}

pub(super) fn encode(writer: &mut Writer, stream: &StreamDump, layout: Layout) {
    writer.len(stream.nodes.len() as u64);
    for node in &stream.nodes {
        writer.string(&node.master().to_bytes());
        writer.string(node.bytes());
    }
    writer.len(stream.length);
    writer.stream_id(stream.last_id);
    if layout >= Layout::Counters {
        writer.stream_id(stream.first_id);
        writer.stream_id(stream.max_deleted_id);
        writer.len(stream.entries_added);
    }
    writer.len(stream.groups.len() as u64);
    for group in &stream.groups {
        encode_group(writer, group, layout);
    }
}

fn encode_group(writer: &mut Writer, group: &GroupDump, layout: Layout) {
    writer.string(&group.name);
    writer.stream_id(group.last_id);
    if layout >= Layout::Counters {
        writer.len(group.entries_read.unwrap_or(u64::MAX));
    }
    writer.len(group.pending.len() as u64);
    for pending in &group.pending {
        writer.raw_stream_id(pending.id);
        writer.millis(pending.delivered_at_ms);
        writer.len(pending.deliveries);
    }
    writer.len(group.consumers.len() as u64);
    for consumer in &group.consumers {
        writer.string(&consumer.name);
        writer.millis(consumer.seen_at_ms);
        if layout >= Layout::Activity {
            writer.millis(consumer.active_at_ms.unwrap_or(u64::MAX));
        }
        writer.len(consumer.pending.len() as u64);
        for id in &consumer.pending {
            writer.raw_stream_id(*id);
        }
    }
}
