//! Streams in the serialisation: packed entries, the stream's marks, consumer groups.
#![deny(clippy::indexing_slicing)]

use super::reader::Reader;
use super::writer::Writer;
use crate::value::ValueError;
use crate::value::stream::{Group, GroupPosition, Pending, Stream, StreamId, StreamNode};
use std::collections::HashMap;

const BAD: ValueError = ValueError::BadFormat;

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

pub(super) fn decode(reader: &mut Reader<'_>, layout: Layout) -> Result<Stream, ValueError> {
    let mut nodes = Vec::new();
    for _ in 0..reader.len()? {
        let master = reader.string()?.as_ref().try_into().map(StreamId::from_bytes).map_err(|_| BAD)?;
        nodes.push(StreamNode::from_listpack(master, &reader.string()?).ok_or(BAD)?);
    }
    let length = reader.len()?;
    let last_id = reader.stream_id()?;
    let (mut max_deleted_id, mut entries_added) = (StreamId::MIN, length);
    if layout >= Layout::Counters {
        // The first identifier is known from the entries.
        reader.stream_id()?;
        max_deleted_id = reader.stream_id()?;
        entries_added = counter(reader)?;
    }
    let stream = Stream::from_nodes(nodes, last_id, max_deleted_id, entries_added);
    let mut stream = stream.filter(|stream| stream.len() == length).ok_or(BAD)?;
    for _ in 0..reader.len()? {
        let name = reader.string()?;
        let group = decode_group(reader, layout, &stream)?;
        if !stream.groups_mut().insert(&name, group) {
            return Err(BAD);
        }
    }
    Ok(stream)
}

/// A count, which is signed in Redis.
fn counter(reader: &mut Reader<'_>) -> Result<u64, ValueError> {
    reader.len().and_then(|n| if i64::try_from(n).is_ok() { Ok(n) } else { Err(BAD) })
}

fn decode_group(reader: &mut Reader<'_>, layout: Layout, stream: &Stream) -> Result<Group, ValueError> {
    let last_id = reader.stream_id()?;
    let entries_read = if layout >= Layout::Counters {
        // Redis writes -1, which means "not known", as the largest number.
        Some(reader.len()?).filter(|&read| i64::try_from(read).is_ok())
    } else {
        stream.entries_before(last_id)
    };
    let mut group = Group::new(GroupPosition { last_id, entries_read });
    let mut unowned = HashMap::new();
    for _ in 0..reader.len()? {
        let id = reader.raw_stream_id()?;
        let delivery = (reader.millis()?, counter(reader)?);
        if unowned.insert(id, delivery).is_some() {
            return Err(BAD);
        }
    }
    for _ in 0..reader.len()? {
        let name = reader.string()?;
        let seen_at_ms = reader.millis()?;
        let active_at_ms = if layout >= Layout::Activity {
            Some(reader.millis()?).filter(|&at| i64::try_from(at).is_ok())
        } else {
            Some(seen_at_ms)
        };
        let (key, new) = group.add_consumer(&name, seen_at_ms);
        let consumer = group.consumer_mut(key).filter(|_| new).ok_or(BAD)?;
        consumer.active_at_ms = active_at_ms;
        for _ in 0..reader.len()? {
            let id = reader.raw_stream_id()?;
            let (delivered_at_ms, deliveries) = unowned.remove(&id).ok_or(BAD)?;
            group.assign(id, Pending { delivered_at_ms, deliveries, consumer: key });
        }
    }
    if unowned.is_empty() { Ok(group) } else { Err(BAD) }
}

pub(super) fn encode(writer: &mut Writer, stream: &Stream, layout: Layout) {
    writer.len(stream.nodes().len() as u64);
    for node in stream.nodes() {
        writer.string(&node.master().to_bytes());
        writer.string(&node.to_listpack());
    }
    writer.len(stream.len());
    writer.stream_id(stream.last_id());
    if layout >= Layout::Counters {
        writer.stream_id(stream.first_id());
        writer.stream_id(stream.max_deleted_id());
        writer.len(stream.entries_added());
    }
    writer.len(stream.groups().len() as u64);
    for (name, group) in stream.groups().iter() {
        writer.string(name);
        encode_group(writer, group, layout);
    }
}

fn encode_group(writer: &mut Writer, group: &Group, layout: Layout) {
    writer.stream_id(group.position.last_id);
    if layout >= Layout::Counters {
        writer.len(group.position.entries_read.unwrap_or(u64::MAX));
    }
    writer.len(group.pending_len() as u64);
    for (id, pending) in group.pending(StreamId::MIN..=StreamId::MAX) {
        writer.raw_stream_id(id);
        writer.millis(pending.delivered_at_ms);
        writer.len(pending.deliveries);
    }
    writer.len(group.consumers_len() as u64);
    for consumer in group.consumers() {
        writer.string(consumer.name());
        writer.millis(consumer.seen_at_ms);
        if layout >= Layout::Activity {
            writer.millis(consumer.active_at_ms.unwrap_or(u64::MAX));
        }
        writer.len(consumer.pending_len() as u64);
        for id in consumer.pending(StreamId::MIN..=StreamId::MAX) {
            writer.raw_stream_id(id);
        }
    }
}
