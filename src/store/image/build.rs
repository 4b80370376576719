//! The effects that build a value from nothing.

use crate::effect::{Effect, FieldExpire, HashChange, Ids, ItemChange, List, StreamChange, StringChange};
use crate::store::collection::ItemsRef;
use crate::store::{Entry, Object, ValueRef};
use crate::value::hash::FieldRef;
use crate::value::stream::{Group, Stream, StreamId};
use std::collections::BTreeMap;

/// Fields of a large hash in one effect.
const PAIRS: usize = 512;
/// Pending entries in one effect.
const PENDING: usize = 512;

/// The effects that build an entry's value under a key from nothing.
pub fn key_effects(db: u32, key: &[u8], entry: &Entry, out: &mut Vec<u8>) {
    let expire = entry.expire();
    match entry.value() {
        ValueRef::Str(value) => StringChange::Set { value, expire }.on(db, key).encode(out),
        ValueRef::Hash(payload, ttl) => {
            HashChange::Put { expire, ttl, payload }.on(db, key).encode(out);
        }
        ValueRef::Items(_) | ValueRef::Boxed(Object::Items(_)) => {}
        ValueRef::Boxed(Object::Stream(stream)) => stream_effects(db, key, stream, expire, out),
        ValueRef::Boxed(Object::Hash(big)) => {
            hash_pairs(db, key, big.iter(), out);
            put_deadline(db, key, expire, out);
        }
    }
}

pub(super) fn put_deadline(db: u32, key: &[u8], expire: Option<u64>, out: &mut Vec<u8>) {
    if expire.is_some() {
        Effect::Expire { db, key, at: expire }.encode(out);
    }
}

/// The effects that set fields of a hash.
pub(super) fn hash_pairs<'f>(
    db: u32,
    key: &[u8],
    fields: impl Iterator<Item = FieldRef<'f>>,
    out: &mut Vec<u8>,
) {
    let mut pairs: Vec<&[u8]> = Vec::with_capacity(PAIRS * 2);
    let mut deadlines: Vec<(u64, &[u8])> = Vec::new();
    for f in fields {
        pairs.extend([f.name, f.value]);
        if f.expire != 0 {
            deadlines.push((f.expire, f.name));
        }
        if pairs.len() == PAIRS * 2 {
            hash_set(db, key, &pairs, out);
            pairs.clear();
        }
    }
    if !pairs.is_empty() {
        hash_set(db, key, &pairs, out);
    }
    for (at, field) in deadlines {
        HashChange::Expire { fields: List::Slices(&[field]), at }.on(db, key).encode(out);
    }
}

fn hash_set(db: u32, key: &[u8], pairs: &[&[u8]], out: &mut Vec<u8>) {
    HashChange::Set { pairs: List::Slices(pairs), expire: FieldExpire::Clear }.on(db, key).encode(out);
}

/// The effects that build a partition's items from nothing.
pub fn item_effects(table: u32, entry: &Entry, out: &mut Vec<u8>) {
    let partition = entry.key();
    for (sort, item) in entry.value().items().into_iter().flat_map(ItemsRef::iter) {
        ItemChange::Put { sort, item }.on(table, partition).encode(out);
    }
}

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
