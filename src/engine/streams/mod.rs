//! Streams as effects: a whole one for checkpoints and copies, and what undoes a change of one.

use super::{EFFECT_BYTES, Tx};
use crate::effect::{self, Decoder, Effect, Ids, StreamChange};
use crate::log::LogError;
use crate::store::stream_effects;
use crate::value::stream::{Group, Stream, StreamId};
use std::collections::BTreeMap;

/// Pending entries in one effect.
const PENDING: usize = 512;

fn group_changes(name: &[u8], group: &Group, put: &mut dyn FnMut(StreamChange<'_>)) {
    put(StreamChange::Group { group: name, position: group.position });
    for consumer in group.consumers() {
        let (seen_at_ms, active_at_ms) = (consumer.seen_at_ms, consumer.active_at_ms);
        put(StreamChange::Consumer { group: name, consumer: consumer.name(), seen_at_ms, active_at_ms });
        consumer_pending(name, group, consumer.name(), consumer.pending(StreamId::MIN..=StreamId::MAX), put);
    }
}

/// The changes that give a consumer these pending entries as they stand in the group. What was delivered together is one change.
fn consumer_pending(
    name: &[u8],
    group: &Group,
    consumer: &[u8],
    ids: impl Iterator<Item = StreamId>,
    put: &mut dyn FnMut(StreamChange<'_>),
) {
    let mut same: BTreeMap<(u64, u64), Vec<StreamId>> = BTreeMap::new();
    for id in ids {
        if let Some(pending) = group.pending_entry(id) {
            same.entry((pending.delivered_at_ms, pending.deliveries)).or_default().push(id);
        }
    }
    for ((delivered_at_ms, deliveries), ids) in same {
        for ids in ids.chunks(PENDING) {
            let ids = Ids::Slice(ids);
            put(StreamChange::Pending { group: name, consumer, delivered_at_ms, deliveries, ids });
        }
    }
}

impl Tx<'_> {
    /// Puts a stream in place of what is at a key. O(size of the stream).
    ///
    /// # Errors
    /// Those of [`Tx::ask`]; nothing was changed then.
    pub fn put_stream(&mut self, key: &[u8], stream: &Stream, expire: Option<u64>) -> Result<(), LogError> {
        let db = self.db as u32;
        let mut record = vec![effect::VERSION];
        stream_effects(db, key, stream, expire, &mut record);
        self.ask(record.len() + key.len() + EFFECT_BYTES)?;
        if self.exists(key) {
            self.apply(Effect::Delete { db, key });
        }
        for effect in Decoder::new(&record).into_iter().flatten().flatten() {
            self.apply(effect);
        }
        Ok(())
    }

    /// Changes a stream in the current database; how many entries are gone by it, see [`crate::store::Locked::apply`].
    #[inline]
    pub fn change_stream(&mut self, key: &[u8], change: StreamChange<'_>) -> usize {
        let db = self.engine.tables.home(self.db, key) as u32;
        self.apply_counted(Effect::Stream { db, key, change })
    }

    /// Takes note that a consumer was seen now. Like the access clock this is no effect: who only asks has changed nothing.
    pub fn note_seen(&mut self, key: &[u8], group: &[u8], consumer: &[u8]) {
        let db = self.engine.tables.home(self.db, key);
        let (space, hash) = (self.engine.store.space(db), self.hash(key));
        self.locked.note_consumer_seen(space, key, hash, group, consumer);
    }
}

/// Appends the effects that undo a change of a stream; false if only the whole value does.
pub(super) fn undo_of(
    db: u32,
    key: &[u8],
    stream: &Stream,
    change: &StreamChange<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let mut put = |change: StreamChange<'_>| Effect::Stream { db, key, change }.encode(out);
    let group_of = |name: &[u8]| stream.groups().get(name);
    match *change {
        StreamChange::Add { id, .. } => put(StreamChange::Rewind {
            from: id,
            last_id: stream.last_id(),
            entries_added: stream.entries_added(),
        }),
        StreamChange::Marks { .. } => put(StreamChange::Marks {
            last_id: stream.last_id(),
            max_deleted_id: stream.max_deleted_id(),
            entries_added: stream.entries_added(),
        }),
        StreamChange::Group { group: name, .. } => match group_of(name) {
            Some(group) => put(StreamChange::Group { group: name, position: group.position }),
            None => put(StreamChange::GroupDelete { group: name }),
        },
        StreamChange::GroupDelete { group: name } => {
            if let Some(group) = group_of(name) {
                group_changes(name, group, &mut put);
            }
        }
        StreamChange::Consumer { group: name, consumer, .. }
        | StreamChange::ConsumerDelete { group: name, consumer } => {
            let Some(group) = group_of(name) else { return true };
            let Some(known) = group.find_consumer(consumer).and_then(|key| group.consumer(key)) else {
                put(StreamChange::ConsumerDelete { group: name, consumer });
                return true;
            };
            let (seen_at_ms, active_at_ms) = (known.seen_at_ms, known.active_at_ms);
            put(StreamChange::Consumer { group: name, consumer, seen_at_ms, active_at_ms });
            if matches!(change, StreamChange::ConsumerDelete { .. }) {
                consumer_pending(
                    name,
                    group,
                    consumer,
                    known.pending(StreamId::MIN..=StreamId::MAX),
                    &mut put,
                );
            }
        }
        StreamChange::Pending { group: name, ids, .. } | StreamChange::Acknowledge { group: name, ids } => {
            let Some(group) = group_of(name) else { return true };
            for id in ids.iter() {
                let before = group.pending_entry(id);
                let owner = before.and_then(|pending| group.consumer(pending.consumer));
                match owner {
                    Some(owner) => consumer_pending(name, group, owner.name(), [id].into_iter(), &mut put),
                    None => put(StreamChange::Acknowledge { group: name, ids: Ids::Slice(&[id]) }),
                }
            }
        }
        StreamChange::Node { .. }
        | StreamChange::Delete { .. }
        | StreamChange::Trim { .. }
        | StreamChange::Rewind { .. } => return false,
    }
    true
}

#[cfg(test)]
mod tests;
