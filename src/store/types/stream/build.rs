//! Effects that build a stream from nothing.

use crate::effect::{Ids, StreamChange};
use crate::store::types::reading::put_deadline;
use crate::value::stream::{Group, Stream, StreamId};
use std::collections::BTreeMap;

/// The most pending entries in one effect.
const PENDING: usize = 512;

/// Appends the effects that build a stream at a key from nothing.
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

/// The change that sets a stream's marks: what it knows about deleted entries.
pub(super) fn marks(stream: &Stream) -> StreamChange<'static> {
    StreamChange::Marks {
        last_id: stream.last_id(),
        max_deleted_id: stream.max_deleted_id(),
        entries_added: stream.entries_added(),
    }
}

/// Puts the changes that create a group and its consumers, without pending entries.
pub(super) fn group_head(name: &[u8], group: &Group, put: &mut dyn FnMut(StreamChange<'_>)) {
    put(StreamChange::Group { group: name, position: group.position });
    for consumer in group.consumers() {
        let (seen_at_ms, active_at_ms) = (consumer.seen_at_ms, consumer.active_at_ms);
        put(StreamChange::Consumer { group: name, consumer: consumer.name(), seen_at_ms, active_at_ms });
    }
}

/// The consumer, time and number of a delivery. Entries with the same delivery are in one effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Delivery<'a> {
    pub(super) consumer: &'a [u8],
    pub(super) at_ms: u64,
    pub(super) deliveries: u64,
}

impl<'a> Delivery<'a> {
    /// The delivery of a pending entry; `None` if the entry is not pending.
    pub(super) fn of(group: &'a Group, id: StreamId) -> Option<Self> {
        let pending = group.pending_entry(id)?;
        let consumer = group.consumer(pending.consumer)?.name();
        Some(Self { consumer, at_ms: pending.delivered_at_ms, deliveries: pending.deliveries })
    }
}

/// Puts the changes that make entries pending. The group's consumers exist.
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
