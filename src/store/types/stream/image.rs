//! The reader of a large stream: it reads the nodes first, then the pending entries of the groups.

use super::build::{Delivery, group_head, marks, put_pending};
use crate::effect::StreamChange;
use crate::store::reader::{PieceReader, ValueChange};
use crate::store::types::reading::{BYTES, PIECE, is_large};
use crate::store::{Object, ValueRef};
use crate::value::stream::{Group, Stream, StreamId, StreamInverse, StreamNode};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// The most nodes that are read in one hold.
const NODES: usize = if cfg!(test) { 3 } else { 256 };

/// How far a stream is read. Marks, groups and consumers are few, so they are kept when the reading begins.
pub(in crate::store) struct StreamReading {
    /// The nodes of the stream up to and with this one belong to the image; later nodes do not. It is the last node at
    /// the hold. If marks were set since, it is the last node at that time if that one is lower: setting marks may
    /// lower the last identifier, and then new nodes come after that node, with identifiers of nodes that are gone.
    present: Option<StreamId>,
    /// The same, but without the changes that may still be undone. It decides for nodes that are handed over.
    settled: Option<StreamId>,
    /// All nodes up to and with this one were read.
    behind: Option<StreamId>,
    /// Nodes after it that have changed since the hold, as they were.
    before: BTreeMap<StreamId, Before>,
    /// The effect that sets the marks, until it is in a piece.
    marks: Vec<u8>,
    /// The groups that are not read to their end.
    groups: VecDeque<PendingOf>,
    /// The groups that were read. They may be large, and are freed without a hold.
    done: Vec<PendingOf>,
}

/// A node as it was at the hold.
enum Before {
    /// A copy of a node that has changed.
    Copy(Box<[u8]>),
    /// The node, after it has left the stream.
    Node(Box<StreamNode>),
}

impl Before {
    fn body(&self) -> &[u8] {
        match self {
            Self::Copy(body) => body,
            Self::Node(node) => node.body(),
        }
    }
}

/// How far the pending entries of a group are read.
struct PendingOf {
    group: Box<[u8]>,
    /// The effects that create the group and its consumers, until they are in a piece.
    head: Vec<u8>,
    behind: Option<StreamId>,
    /// Pending entries that have changed since the hold, as they were; `None` for an entry that was not pending.
    before: BTreeMap<StreamId, Option<Kept>>,
    /// Whether the group was removed. A group of the same name that is created later is not part of the image.
    gone: bool,
    /// The group, after its removal can no longer be undone.
    left: Option<Box<Group>>,
}

struct Kept {
    consumer: Box<[u8]>,
    at_ms: u64,
    deliveries: u64,
}

impl Kept {
    fn of(delivery: Delivery<'_>) -> Self {
        let Delivery { consumer, at_ms, deliveries } = delivery;
        Self { consumer: consumer.into(), at_ms, deliveries }
    }

    fn delivery(&self) -> Delivery<'_> {
        Delivery { consumer: &self.consumer, at_ms: self.at_ms, deliveries: self.deliveries }
    }
}

impl StreamReading {
    /// `None` if the stream is small.
    pub(in crate::store) fn of(stream: &Stream, db: u32, key: &[u8]) -> Option<Self> {
        let pending: usize = stream.groups().iter().map(|(_, group)| group.pending_len()).sum();
        let large = stream.nodes().len() > NODES
            || pending > PIECE
            || is_large(stream.nodes().map(|node| node.body().len()));
        large.then(|| Self::begin(stream, db, key))
    }

    fn begin(stream: &Stream, db: u32, key: &[u8]) -> Self {
        let encode = |change: StreamChange<'_>, out: &mut Vec<u8>| {
            change.on(db, key).encode(out);
        };
        let mut put_marks = Vec::new();
        encode(marks(stream), &mut put_marks);
        let groups = stream.groups().iter().map(|(name, group)| {
            let mut head = Vec::new();
            group_head(name, group, &mut |change| encode(change, &mut head));
            PendingOf {
                group: name.into(),
                head,
                behind: None,
                before: BTreeMap::new(),
                gone: false,
                left: None,
            }
        });
        Self {
            present: stream.last_master(),
            settled: stream.last_master(),
            behind: None,
            before: BTreeMap::new(),
            marks: put_marks,
            groups: groups.collect(),
            done: Vec::new(),
        }
    }

    /// Keeps the parts that a change of the stream is about to change. What the change removes as a whole is handed
    /// over by [`PieceReader::take_over`], once the change can no longer be undone.
    fn keep_parts(&mut self, stream: &Stream, change: &StreamChange<'_>) {
        match *change {
            StreamChange::Add { .. } => self.keep_nodes(stream.nodes().next_back()),
            StreamChange::Delete { ids } => {
                self.keep_nodes(ids.iter().filter_map(|id| stream.node_holding(id)));
            }
            StreamChange::Trim { through } => {
                // All nodes before this one are removed as a whole.
                self.keep_nodes(stream.node_holding(through));
            }
            StreamChange::GroupDelete { group } => {
                if let (Some(reading), _) = self.pending_of(stream, group) {
                    reading.gone = true;
                }
            }
            StreamChange::ConsumerDelete { group, consumer } => {
                if let (Some(reading), Some(group)) = self.pending_of(stream, group)
                    && let Some(consumer) = group.find_consumer(consumer).and_then(|key| group.consumer(key))
                {
                    reading.keep(group, consumer.pending(StreamId::MIN..=StreamId::MAX));
                }
            }
            StreamChange::Pending { group, ids, .. } | StreamChange::Acknowledge { group, ids } => {
                if let (Some(reading), Some(group)) = self.pending_of(stream, group) {
                    reading.keep(group, ids.iter());
                }
            }
            StreamChange::Marks { .. } => self.present = self.present.min(stream.last_master()),
            // New nodes are after `present`, and groups and consumers were kept when the reading began.
            StreamChange::Node { .. } | StreamChange::Group { .. } | StreamChange::Consumer { .. } => {}
        }
    }

    fn is_to_be_read(&self, node: &StreamNode, last: Option<StreamId>) -> bool {
        let master = Some(node.master());
        master > self.behind && master <= last
    }

    fn keep_nodes<'s>(&mut self, nodes: impl IntoIterator<Item = &'s StreamNode>) {
        for node in nodes {
            if self.is_to_be_read(node, self.present) {
                self.before.entry(node.master()).or_insert_with(|| Before::Copy(node.body().into()));
            }
        }
    }

    fn pending_of<'s>(
        &mut self,
        stream: &'s Stream,
        group: &[u8],
    ) -> (Option<&mut PendingOf>, Option<&'s Group>) {
        let reading = self.groups.iter_mut().find(|reading| *reading.group == *group && !reading.gone);
        (reading, stream.groups().get(group))
    }

    /// Reads the next piece. Returns whether it was the last.
    fn read_parts(&mut self, stream: &Stream, db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let mut put = |change: StreamChange<'_>| change.on(db, key).encode(out);
        if !self.marks.is_empty() {
            if self.read_nodes(stream, &mut put) {
                out.append(&mut self.marks);
            }
            return self.marks.is_empty() && self.groups.is_empty();
        }
        if let Some(reading) = self.groups.front_mut() {
            out.append(&mut reading.head);
            let left = reading.left.take();
            let there = stream.groups().get(&reading.group).filter(|_| !reading.gone);
            let mut put = |change: StreamChange<'_>| change.on(db, key).encode(out);
            let end = reading.read(left.as_deref().or(there), &mut put);
            reading.left = left;
            if end {
                self.done.extend(self.groups.pop_front());
            }
        }
        self.groups.is_empty()
    }

    /// Reads some nodes. Returns whether none is left.
    fn read_nodes(&mut self, stream: &Stream, put: &mut dyn FnMut(StreamChange<'_>)) -> bool {
        let last = self.present;
        let now = stream.nodes_behind(self.behind).take_while(|node| Some(node.master()) <= last);
        let (mut now, mut bytes) = (now.peekable(), 0);
        for _ in 0..NODES {
            if bytes >= BYTES {
                return false;
            }
            let changed = self.before.first_key_value().map(|(master, _)| *master);
            let present = now.peek().map(|node| node.master());
            let master = match (changed, present) {
                (None, None) => return true,
                (Some(changed), Some(present)) => changed.min(present),
                (one, other) => one.or(other).unwrap_or_default(),
            };
            let node = now.next_if(|node| node.master() == master);
            if let Some(before) = self.before.remove(&master) {
                bytes += before.body().len();
                put(StreamChange::Node { master, body: before.body() });
            } else if let Some(node) = node {
                bytes += node.body().len();
                put(StreamChange::Node { master, body: node.body() });
            }
            self.behind = Some(master);
        }
        false
    }
}

impl PieceReader for StreamReading {
    fn keep(&mut self, value: ValueRef<'_>, change: ValueChange<'_, '_>) {
        if let (ValueRef::Boxed(Object::Stream(stream)), ValueChange::Stream(change)) = (value, change) {
            self.keep_parts(stream, change);
        }
    }

    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let ValueRef::Boxed(Object::Stream(stream)) = value else { return true };
        self.read_parts(stream, number, key, out)
    }

    /// Takes over nodes or a group that a change has removed as a whole, in place of copies. Changes must come in their
    /// order, because `settled` separates nodes that left before marks were set from nodes that were added afterwards.
    /// O(nodes that left).
    fn take_over(&mut self, left: StreamInverse) {
        if let Some(last) = left.marked_behind() {
            self.settled = self.settled.min(last);
        }
        let (nodes, group) = left.into_removed();
        let settled = self.settled;
        for node in nodes.filter(|node| self.is_to_be_read(node, settled)).collect::<Vec<_>>() {
            // A copy that was kept before is older than the node, so it stays.
            self.before.entry(node.master()).or_insert(Before::Node(node));
        }
        let Some((name, group)) = group else { return };
        let of_name = |reading: &&mut PendingOf| *reading.group == *name && reading.gone;
        // A group of the same name that was created and removed later is not part of the image.
        if let Some(reading) = self.groups.iter_mut().find(of_name).filter(|reading| reading.left.is_none()) {
            reading.left = Some(group);
        }
    }

    /// A change is undone, and all later ones are too.
    fn is_taken_back(&mut self, change: &StreamInverse) {
        if change.marked_behind().is_some() {
            self.present = self.settled;
        }
        let Some(name) = change.removed_group() else { return };
        let removed = |reading: &&mut PendingOf| *reading.group == *name && reading.left.is_none();
        if let Some(reading) = self.groups.iter_mut().find(removed) {
            reading.gone = false;
        }
    }
}

impl PendingOf {
    /// Keeps the pending entries of these identifiers.
    fn keep(&mut self, group: &Group, ids: impl Iterator<Item = StreamId>) {
        for id in ids.filter(|id| Some(*id) > self.behind) {
            let before = || Delivery::of(group, id).map(Kept::of);
            self.before.entry(id).or_insert_with(before);
        }
    }

    /// Reads some pending entries. Returns whether none is left.
    fn read(&mut self, group: Option<&Group>, put: &mut dyn FnMut(StreamChange<'_>)) -> bool {
        let low = self.behind.map_or(Unbounded, Excluded);
        let mut now = group.into_iter().flat_map(|group| group.pending_in((low, Unbounded))).peekable();
        let mut kept = Vec::new();
        let mut read = Vec::new();
        let mut end = false;
        for _ in 0..PIECE {
            let changed = self.before.first_key_value().map(|(id, _)| *id);
            let present = now.peek().map(|(id, _)| *id);
            let id = match (changed, present) {
                (None, None) => {
                    end = true;
                    break;
                }
                (Some(changed), Some(present)) => changed.min(present),
                (one, other) => one.or(other).unwrap_or_default(),
            };
            let is_present = now.next_if(|(present, _)| *present == id).is_some();
            if changed == Some(id) {
                kept.extend(self.before.remove(&id).flatten().map(|kept| (id, kept)));
            } else if is_present {
                read.push(id);
            }
            self.behind = Some(id);
        }
        let read = read.into_iter().filter_map(|id| Some((id, Delivery::of(group?, id)?)));
        put_pending(&self.group, read.chain(kept.iter().map(|(id, kept)| (*id, kept.delivery()))), put);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::stream::{GroupPosition, NodeLimits, Pending};

    const ENTRIES: u64 = 4000;

    /// A stream of many nodes, with a group in which all entries are pending.
    fn filled() -> Stream {
        let mut stream = Stream::new();
        let limits = NodeLimits { max_bytes: 4096, max_entries: 10 };
        for ms in 1..=ENTRIES {
            let pair: [&[u8]; 2] = [b"field", b"value"];
            stream.append(StreamId::new(ms, 0), pair.into_iter(), limits).unwrap();
        }
        let mut group = Group::new(GroupPosition { last_id: StreamId::MIN, entries_read: None });
        let (consumer, _) = group.add_consumer(b"c", 0);
        for ms in 1..=ENTRIES {
            group.assign(StreamId::new(ms, 0), Pending { delivered_at_ms: 7, deliveries: 1, consumer });
        }
        assert!(stream.groups_mut().insert(b"g", group));
        stream
    }

    /// The effects that the reader still has to append.
    fn read(reading: &mut StreamReading, stream: &Stream) -> Vec<u8> {
        let mut out = Vec::new();
        while !reading.read_parts(stream, 0, b"s", &mut out) {}
        out
    }

    fn whole(stream: &Stream) -> Vec<u8> {
        read(&mut StreamReading::begin(stream, 0, b"s"), stream)
    }

    /// The number of nodes that were copied, and of nodes that were handed over.
    fn kept(reading: &StreamReading) -> (usize, usize) {
        let copies = reading.before.values().filter(|before| matches!(before, Before::Copy(_))).count();
        (copies, reading.before.len() - copies)
    }

    #[test]
    fn nodes_that_are_trimmed_while_a_stream_is_read_are_handed_over_and_not_copied() {
        for (through, copies, handed_over) in [(2000, 1, 200), (2005, 1, 200), (ENTRIES, 1, 399)] {
            let mut stream = filled();
            let expected = whole(&stream);
            let mut reading = StreamReading::begin(&stream, 0, b"s");
            let bodies: Vec<_> = stream.nodes().map(|node| node.body().as_ptr()).collect();
            let through = StreamId::new(through, 0);
            reading.keep_parts(&stream, &StreamChange::Trim { through });
            assert_eq!(kept(&reading), (copies, 0));
            let (_, left) = stream.trim_kept(through);
            reading.take_over(left);
            let (_, moved) = kept(&reading);
            assert!(moved.abs_diff(handed_over) <= 1, "{moved}");
            let same = reading.before.values().zip(bodies).filter(|(now, was)| now.body().as_ptr() == *was);
            assert_eq!(same.count(), moved, "they are the stream's own");
            assert!(read(&mut reading, &stream) == expected);
        }
    }

    #[test]
    fn a_group_that_is_destroyed_while_a_stream_is_read_is_handed_over_and_not_copied() {
        for pieces in [0, 200, 300] {
            let mut stream = filled();
            let expected = whole(&stream);
            let mut reading = StreamReading::begin(&stream, 0, b"s");
            let mut out = Vec::new();
            for _ in 0..pieces {
                assert!(!reading.read_parts(&stream, 0, b"s", &mut out));
            }
            let group: *const Group = stream.groups().get(b"g").unwrap();
            reading.keep_parts(&stream, &StreamChange::GroupDelete { group: b"g" });
            reading.take_over(stream.remove_group_kept(b"g").unwrap());
            let pending = reading.groups.front().unwrap();
            assert!(pending.before.is_empty());
            assert!(std::ptr::eq(&raw const **pending.left.as_ref().unwrap(), group));
            // A later group of the same name is not part of the image, and neither is its removal.
            let position = GroupPosition { last_id: StreamId::MIN, entries_read: Some(9) };
            assert!(stream.groups_mut().insert(b"g", Group::new(position)));
            let again = StreamChange::GroupDelete { group: b"g" };
            reading.keep_parts(&stream, &again);
            reading.take_over(stream.remove_group_kept(b"g").unwrap());
            out.extend(read(&mut reading, &stream));
            assert!(out == expected, "{pieces}");
        }
    }

    #[test]
    fn a_removal_that_is_taken_back_leaves_the_reader_where_it_was() {
        let mut stream = filled();
        let expected = whole(&stream);
        let mut reading = StreamReading::begin(&stream, 0, b"s");
        let through = StreamId::new(3001, 0);
        reading.keep_parts(&stream, &StreamChange::Trim { through });
        let (_, trimmed) = stream.trim_kept(through);
        reading.keep_parts(&stream, &StreamChange::GroupDelete { group: b"g" });
        let removed = stream.remove_group_kept(b"g").unwrap();
        reading.is_taken_back(&removed);
        stream.revert(removed);
        stream.revert(trimmed);
        assert!(!reading.groups.front().unwrap().gone, "what changes in it from now on is kept");
        assert!(read(&mut reading, &stream) == expected);
    }
}
