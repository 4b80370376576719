//! A stream's own bytes, for checkpoints and for effects that hold whole values.
//!
//! ```text
//! version: u8 | last identifier | largest deleted one | entries added
//! nodes:  count | (master identifier | body) ...
//! groups: count | (name | last identifier | entries read + 1, 0 if not known
//!                  | consumers: count | (name | seen: u64 | active + 1: u64, 0 if never) ...
//!                  | pending: count | (identifier | delivered: u64 | deliveries | place among the consumers) ...) ...
//! identifier: 16 bytes, big-endian | u64: little-endian | other numbers: varints | names, bodies: varint length, bytes
//! ```
#![deny(clippy::indexing_slicing)]

use super::group::{Group, GroupPosition, Groups, Pending};
use super::node::StreamNode;
use super::{Stream, StreamId};
use crate::value::ValueError;
use crate::value::packed::{get_varint, put_part, put_varint_to};
use std::collections::HashMap;

const VERSION: u8 = 1;
const BAD: ValueError = ValueError::MalformedStream;

/// Counters stay below 2^63, as they are signed in Redis.
fn put_number(out: &mut Vec<u8>, n: u64) {
    put_varint_to(out, n.min(i64::MAX as u64) as usize);
}

impl Stream {
    /// Appends the stream's bytes. O(size).
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.node_bytes);
        out.push(VERSION);
        out.extend_from_slice(&self.last_id.to_bytes());
        out.extend_from_slice(&self.max_deleted_id.to_bytes());
        put_number(out, self.entries_added);
        put_number(out, self.nodes.len() as u64);
        for node in &self.nodes {
            out.extend_from_slice(&node.master().to_bytes());
            put_part(out, node.body());
        }
        put_number(out, self.groups().len() as u64);
        for (name, group) in self.groups().iter() {
            put_part(out, name);
            encode_group(out, group);
        }
    }

    /// Reads a stream's bytes, every one of them checked. O(size) time and memory.
    ///
    /// # Errors
    /// [`ValueError::MalformedStream`] if the bytes are no stream, or if bytes follow it.
    pub fn decode(bytes: &[u8]) -> Result<Self, ValueError> {
        let mut from = Bytes { rest: bytes };
        if from.array::<1>()? != [VERSION] {
            return Err(BAD);
        }
        let (last_id, max_deleted_id, entries_added) = (from.id()?, from.id()?, from.number()?);
        let mut nodes = Vec::new();
        for _ in 0..from.number()? {
            let master = from.id()?;
            nodes.push(StreamNode::from_body(master, from.part()?.to_vec()).ok_or(BAD)?);
        }
        let mut stream = Self::from_nodes(nodes, last_id, max_deleted_id, entries_added).ok_or(BAD)?;
        decode_groups(&mut from, stream.groups_mut())?;
        if from.rest.is_empty() { Ok(stream) } else { Err(BAD) }
    }
}

fn encode_group(out: &mut Vec<u8>, group: &Group) {
    out.extend_from_slice(&group.position.last_id.to_bytes());
    put_number(out, group.position.entries_read.map_or(0, |read| read.saturating_add(1)));
    put_number(out, group.consumers_len() as u64);
    let mut places = HashMap::new();
    for (place, (key, consumer)) in group.keyed_consumers().enumerate() {
        places.insert(key, place as u64);
        put_part(out, consumer.name());
        out.extend_from_slice(&consumer.seen_at_ms.to_le_bytes());
        out.extend_from_slice(&consumer.active_at_ms.map_or(0, |at| at.saturating_add(1)).to_le_bytes());
    }
    put_number(out, group.pending_len() as u64);
    for (id, pending) in group.pending(StreamId::MIN..=StreamId::MAX) {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_at_ms.to_le_bytes());
        put_number(out, pending.deliveries);
        put_number(out, places.get(&pending.consumer).copied().unwrap_or(0));
    }
}

fn decode_groups(from: &mut Bytes<'_>, groups: &mut Groups) -> Result<(), ValueError> {
    for _ in 0..from.number()? {
        let name = from.part()?;
        let position = GroupPosition { last_id: from.id()?, entries_read: from.number()?.checked_sub(1) };
        let mut group = Group::new(position);
        let mut keys = Vec::new();
        for _ in 0..from.number()? {
            let name = from.part()?;
            let (key, new) = group.add_consumer(name, u64::from_le_bytes(from.array()?));
            let active = u64::from_le_bytes(from.array()?).checked_sub(1);
            if let Some(consumer) = group.consumer_mut(key).filter(|_| new) {
                consumer.active_at_ms = active;
            } else {
                return Err(BAD);
            }
            keys.push(key);
        }
        for _ in 0..from.number()? {
            let id = from.id()?;
            let (delivered_at_ms, deliveries) = (u64::from_le_bytes(from.array()?), from.number()?);
            let place = usize::try_from(from.number()?).map_err(|_| BAD)?;
            let consumer = *keys.get(place).ok_or(BAD)?;
            let new = group.pending_entry(id).is_none();
            if !(new && group.assign(id, Pending { delivered_at_ms, deliveries, consumer })) {
                return Err(BAD);
            }
        }
        if !groups.insert(name, group) {
            return Err(BAD);
        }
    }
    Ok(())
}

/// The bytes that have not been read yet.
struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(BAD)?;
        self.rest = tail;
        Ok(*head)
    }

    fn id(&mut self) -> Result<StreamId, ValueError> {
        self.array().map(StreamId::from_bytes)
    }

    fn number(&mut self) -> Result<u64, ValueError> {
        let (n, end) = get_varint(self.rest, 0).ok_or(BAD)?;
        self.rest = self.rest.get(end..).ok_or(BAD)?;
        Ok(n as u64)
    }

    fn part(&mut self) -> Result<&'a [u8], ValueError> {
        let len = usize::try_from(self.number()?).map_err(|_| BAD)?;
        let (head, tail) = self.rest.split_at_checked(len).ok_or(BAD)?;
        self.rest = tail;
        Ok(head)
    }
}
