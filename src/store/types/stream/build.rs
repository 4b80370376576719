//! The effects that build a stream from nothing.

use crate::effect::{Ids, StreamChange};
use crate::store::types::reading::put_deadline;
use crate::value::stream::{Group, Stream, StreamId};
use std::collections::BTreeMap;

/// Pending entries in one effect.
const PENDING: usize = 512;

/// The effects that build a stream under a key from nothing.
pub fn stream_effects(db: u32, key: &[u8], stream: &Stream, expire: Option<u64>, out: &mut Vec<u8>) {
    let mut put = |change: StreamChange<'_>| change.on(db, key).encode(out);
    for node in stream.nodes() {
        put(StreamChange::Node { master: node.master(), body: node.body() });
    }
    put(marks(stream));
    for (name, group) in stream.groups().iter() {
        group_head(name, group, &mut put);
        let all = group.pending(StreamId::MIN..=StreamId::MAX);
        put_pending(name, all.filter_map(|(id, _)| Some((id, Delivery::of(group, id)?))), &mut put);
    }
    put_deadline(db, key, expire, out);
}

/// What is kept about entries that are gone.
pub(super) fn marks(stream: &Stream) -> StreamChange<'static> {
    StreamChange::Marks {
        last_id: stream.last_id(),
        max_deleted_id: stream.max_deleted_id(),
        entries_added: stream.entries_added(),
    }
}

/// A group with its consumers, and nothing pending.
pub(super) fn group_head(name: &[u8], group: &Group, put: &mut dyn FnMut(StreamChange<'_>)) {
    put(StreamChange::Group { group: name, position: group.position });
    for consumer in group.consumers() {
        let (seen_at_ms, active_at_ms) = (consumer.seen_at_ms, consumer.active_at_ms);
        put(StreamChange::Consumer { group: name, consumer: consumer.name(), seen_at_ms, active_at_ms });
    }
}

/// To whom, when and how often an entry was delivered. What was delivered together is one effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Delivery<'a> {
    pub(super) consumer: &'a [u8],
    pub(super) at_ms: u64,
    pub(super) deliveries: u64,
}

impl<'a> Delivery<'a> {
    /// What is pending under an identifier.
    pub(super) fn of(group: &'a Group, id: StreamId) -> Option<Self> {
        let pending = group.pending_entry(id)?;
        let consumer = group.consumer(pending.consumer)?.name();
        Some(Self { consumer, at_ms: pending.delivered_at_ms, deliveries: pending.deliveries })
    }
}

/// The changes that make entries pending in a group whose consumers are there.
pub(super) fn put_pending<'a>(
    group: &[u8],
    pending: impl Iterator<Item = (StreamId, Delivery<'a>)>,
    put: &mut dyn FnMut(StreamChange<'_>),
) {
    let mut same: BTreeMap<Delivery<'a>, Vec<StreamId>> = BTreeMap::new();
    for (id, delivery) in pending {
        same.entry(delivery).or_default().push(id);
    }
    for (Delivery { consumer, at_ms, deliveries }, ids) in same {
        for ids in ids.chunks(PENDING) {
            let (delivered_at_ms, ids) = (at_ms, Ids::Slice(ids));
            put(StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids });
        }
    }
}
