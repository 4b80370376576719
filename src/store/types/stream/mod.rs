//! Effects on streams.

mod build;
mod image;

pub use build::stream_effects;
pub(in crate::store) use image::StreamReading;

use crate::effect::StreamChange;
use crate::store::entry::Entry;
use crate::store::object::Object;
use crate::store::place::Place;
use crate::store::reader::ValueChange;
use crate::store::{Kind, Locked};
use crate::value::stream::{Group, NodeLimits, Pending, Stream, StreamInverse};
use std::sync::atomic::Ordering::Relaxed;

impl Locked<'_> {
    /// Applies a change of a stream. Returns how many entries, or pending entries, it removes.
    pub(in crate::store) fn stream(&mut self, place: Place<'_>, change: &StreamChange<'_>) -> usize {
        self.keep_for_image(place, ValueChange::Stream(change));
        let thresholds = &self.store.thresholds;
        let limits = NodeLimits {
            max_bytes: thresholds.stream_node_bytes.load(Relaxed),
            max_entries: thresholds.stream_node_entries.load(Relaxed),
        };
        let makes = matches!(
            change,
            StreamChange::Add { .. } | StreamChange::Node { .. } | StreamChange::Marks { .. }
        );
        let new = makes && self.find(place).is_none();
        if new {
            let object = Box::new(Object::Stream(Stream::new()));
            let clock = self.store.fresh_clock(self.now);
            self.insert(place, Entry::boxed(place.space, place.key, None, object, clock));
        }
        let recorded = self.records_within(place);
        // The reader of an image gets what is removed as a whole, and learns that marks are set.
        let handed_over = self.store.is_imaged(place.shard)
            && matches!(
                change,
                StreamChange::Trim { .. } | StreamChange::Marks { .. } | StreamChange::GroupDelete { .. }
            );
        let Some(entry) = self.find(place).filter(|entry| entry.kind() == Kind::Boxed) else { return 0 };
        let address = entry.object_address();
        let Some(Object::Stream(stream)) = entry.object_mut() else { return 0 };
        let (gone, inverse) = if recorded || handed_over {
            change_kept(stream, change, limits)
        } else {
            (change_stream(stream, change, limits), None)
        };
        match inverse {
            Some(inverse) if recorded => self.record_within(place, (address, inverse)),
            Some(inverse) => self.store.hand_over_of_stream(place.shard, address, inverse),
            None => {}
        }
        match change {
            // A change of marks, or of a group's position, does not count as a change for WATCH, as in Redis.
            StreamChange::Marks { .. } if !new => {}
            StreamChange::Add { .. }
            | StreamChange::Node { .. }
            | StreamChange::Marks { .. }
            | StreamChange::Delete { .. }
            | StreamChange::Trim { .. } => self.changed(place),
            // Clients that wait for entries of the removed group are told, so that they get an error.
            StreamChange::GroupDelete { .. } => {
                place.db.into_iter().for_each(|db| self.tell_waiting(place, db));
            }
            StreamChange::Group { .. }
            | StreamChange::Consumer { .. }
            | StreamChange::ConsumerDelete { .. }
            | StreamChange::Pending { .. }
            | StreamChange::Acknowledge { .. } => {}
        }
        gone
    }

    /// Notes that a consumer of a group was seen at the present time. Watchers and waiting clients are not told.
    pub fn note_consumer_seen(&mut self, space: u32, key: &[u8], hash: u64, group: &[u8], consumer: &[u8]) {
        let place = self.table_place(space, key, hash);
        let now = self.now;
        let recorded = self.records_within(place);
        let Some(entry) = self.find(place) else { return };
        let address = entry.object_address();
        let Some(Object::Stream(stream)) = entry.object_mut() else { return };
        let inverse = recorded.then(|| stream.undo_of_times(group, consumer)).flatten();
        let Some(group) = stream.groups_mut().get_mut(group) else { return };
        if let Some(consumer) = group.find_consumer(consumer).and_then(|key| group.consumer_mut(key)) {
            consumer.seen_at_ms = now;
            inverse.into_iter().for_each(|inverse| self.record_within(place, (address, inverse)));
        }
    }
}

pub(super) fn take_back(entry: &mut Entry, inverse: StreamInverse) {
    if let Some(Object::Stream(stream)) = entry.object_mut() {
        stream.revert(inverse);
    }
}

/// Makes a change, and returns how many entries, or pending entries, it removes.
fn change_stream(stream: &mut Stream, change: &StreamChange<'_>, limits: NodeLimits) -> usize {
    match *change {
        StreamChange::Add { id, pairs } => {
            // The caller has checked that the entry can be added. In a recovery from a checkpoint of format version 1,
            // whose pieces show a stream at different times, it may exist already.
            let _ = stream.append(id, pairs.iter(), limits);
        }
        StreamChange::Node { master, body } => {
            stream.push_node(master, body);
        }
        StreamChange::Marks { last_id, max_deleted_id, entries_added } => {
            stream.put_marks(last_id, max_deleted_id, entries_added);
        }
        StreamChange::Delete { ids } => return ids.iter().filter(|id| stream.delete(*id)).count(),
        StreamChange::Trim { through } => return stream.trim_through(through) as usize,
        StreamChange::Group { group, position } => match stream.groups_mut().get_mut(group) {
            Some(group) => group.position = position,
            None => {
                stream.groups_mut().insert(group, Group::new(position));
            }
        },
        StreamChange::GroupDelete { group } => return usize::from(stream.groups_mut().remove(group)),
        StreamChange::Consumer { group, consumer, seen_at_ms, active_at_ms } => {
            let Some(group) = stream.groups_mut().get_mut(group) else { return 0 };
            let (key, _) = group.add_consumer(consumer, seen_at_ms);
            if let Some(consumer) = group.consumer_mut(key) {
                consumer.seen_at_ms = seen_at_ms;
                consumer.active_at_ms = active_at_ms;
            }
        }
        StreamChange::ConsumerDelete { group, consumer } => {
            return stream
                .groups_mut()
                .get_mut(group)
                .and_then(|group| group.remove_consumer(consumer))
                .unwrap_or(0);
        }
        StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids } => {
            let Some(group) = stream.groups_mut().get_mut(group) else { return 0 };
            let Some(consumer) = group.find_consumer(consumer) else { return 0 };
            for id in ids.iter() {
                group.assign(id, Pending { delivered_at_ms, deliveries, consumer });
            }
        }
        StreamChange::Acknowledge { group, ids } => {
            let Some(group) = stream.groups_mut().get_mut(group) else { return 0 };
            return ids.iter().filter(|id| group.acknowledge(*id)).count();
        }
    }
    0
}

/// Makes a change, and returns also what undoes it, if it changed anything.
fn change_kept(
    stream: &mut Stream,
    change: &StreamChange<'_>,
    limits: NodeLimits,
) -> (usize, Option<StreamInverse>) {
    let inverse = match *change {
        StreamChange::Add { id, pairs } => {
            let inverse = stream.undo_of_adding(id);
            return (0, stream.append(id, pairs.iter(), limits).is_ok().then_some(inverse));
        }
        StreamChange::Node { master, body } => {
            let inverse = stream.undo_of_adding(master);
            return (0, stream.push_node(master, body).then_some(inverse));
        }
        StreamChange::Delete { ids } => {
            let (gone, inverse) = stream.delete_kept(ids.iter());
            return (gone, Some(inverse));
        }
        StreamChange::Trim { through } => {
            let (gone, inverse) = stream.trim_kept(through);
            return (gone as usize, Some(inverse));
        }
        StreamChange::GroupDelete { group } => {
            let inverse = stream.remove_group_kept(group);
            return (usize::from(inverse.is_some()), inverse);
        }
        StreamChange::ConsumerDelete { group, consumer } => {
            let Some((gone, inverse)) = stream.remove_consumer_kept(group, consumer) else {
                return (0, None);
            };
            return (gone, Some(inverse));
        }
        StreamChange::Marks { .. } => Some(stream.undo_of_marks()),
        StreamChange::Group { group, .. } => Some(stream.undo_of_position(group)),
        StreamChange::Consumer { group, consumer, .. } => stream.undo_of_times(group, consumer),
        StreamChange::Pending { group, ids, .. } | StreamChange::Acknowledge { group, ids } => {
            stream.undo_of_pending(group, ids.iter())
        }
    };
    (change_stream(stream, change, limits), inverse)
}
