//! Reading a large stream in pieces: its nodes, and then what is pending in its groups.

use super::build::{Delivery, group_head, marks, put_pending};
use super::{NODES, PIECE};
use crate::effect::{Effect, StreamChange};
use crate::value::stream::{Group, Stream, StreamId, StreamNode};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

/// How far a stream is read. Marks, groups and consumers are few and are kept when the reading begins.
pub(super) struct Nodes {
    /// The last node at the hold; those behind it are no part of the image.
    last: Option<StreamId>,
    /// All nodes up to this one were read.
    behind: Option<StreamId>,
    /// Nodes behind it that have changed since the hold, as they were.
    before: BTreeMap<StreamId, Box<[u8]>>,
    /// The effect that sets the marks, until it is in a piece.
    marks: Vec<u8>,
    /// The groups that are not read to their end.
    groups: VecDeque<PendingOf>,
}

/// How far the pending entries of a group are read.
struct PendingOf {
    group: Box<[u8]>,
    /// The effects that make the group and its consumers, until they are in a piece.
    head: Vec<u8>,
    behind: Option<StreamId>,
    /// What was pending under identifiers that have changed since the hold; nothing where nothing was.
    before: BTreeMap<StreamId, Option<Kept>>,
    /// The group is gone: one of its name that comes later is another one.
    gone: bool,
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

impl Nodes {
    pub(super) fn of(stream: &Stream, db: u32, key: &[u8]) -> Self {
        let encode = |change: StreamChange<'_>, out: &mut Vec<u8>| {
            Effect::Stream { db, key, change }.encode(out);
        };
        let mut put_marks = Vec::new();
        encode(marks(stream), &mut put_marks);
        let groups = stream.groups().iter().map(|(name, group)| {
            let mut head = Vec::new();
            group_head(name, group, &mut |change| encode(change, &mut head));
            PendingOf { group: name.into(), head, behind: None, before: BTreeMap::new(), gone: false }
        });
        Self {
            last: stream.nodes().next_back().map(|node| node.master()),
            behind: None,
            before: BTreeMap::new(),
            marks: put_marks,
            groups: groups.collect(),
        }
    }

    /// Keeps what a change of the stream is about to change as it is.
    pub(super) fn keep(&mut self, stream: &Stream, change: &StreamChange<'_>) {
        match *change {
            StreamChange::Add { .. } => self.keep_nodes(stream.nodes().next_back()),
            StreamChange::Delete { ids } => {
                self.keep_nodes(ids.iter().filter_map(|id| stream.node_holding(id)));
            }
            StreamChange::Trim { through } => {
                let nodes = stream.nodes_behind(self.behind);
                self.keep_nodes(nodes.take_while(|node| node.master() <= through));
            }
            StreamChange::GroupDelete { group } => {
                if let (Some(reading), Some(group)) = self.pending_of(stream, group) {
                    reading.keep(group, group.pending(StreamId::MIN..=StreamId::MAX).map(|(id, _)| id));
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
            // Nodes come behind the last one, and the rest was kept when the reading began.
            StreamChange::Node { .. }
            | StreamChange::Marks { .. }
            | StreamChange::Group { .. }
            | StreamChange::Consumer { .. } => {}
        }
    }

    fn keep_nodes<'s>(&mut self, nodes: impl IntoIterator<Item = &'s StreamNode>) {
        for node in nodes {
            let master = Some(node.master());
            if master > self.behind && master <= self.last {
                self.before.entry(node.master()).or_insert_with(|| node.body().into());
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

    /// Reads the next piece; whether it was the last one.
    pub(super) fn read(&mut self, stream: &Stream, db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let mut put = |change: StreamChange<'_>| Effect::Stream { db, key, change }.encode(out);
        if !self.marks.is_empty() {
            if self.read_nodes(stream, &mut put) {
                out.append(&mut self.marks);
            }
            return self.marks.is_empty() && self.groups.is_empty();
        }
        if let Some(reading) = self.groups.front_mut() {
            out.append(&mut reading.head);
            let group = stream.groups().get(&reading.group).filter(|_| !reading.gone);
            let mut put = |change: StreamChange<'_>| Effect::Stream { db, key, change }.encode(out);
            if reading.read(group, &mut put) {
                self.groups.pop_front();
            }
        }
        self.groups.is_empty()
    }

    /// Reads some nodes; whether none is left.
    fn read_nodes(&mut self, stream: &Stream, put: &mut dyn FnMut(StreamChange<'_>)) -> bool {
        let last = self.last;
        let now = stream.nodes_behind(self.behind).take_while(|node| Some(node.master()) <= last);
        let mut now = now.peekable();
        for _ in 0..NODES {
            let changed = self.before.first_key_value().map(|(master, _)| *master);
            let present = now.peek().map(|node| node.master());
            let master = match (changed, present) {
                (None, None) => return true,
                (Some(changed), Some(present)) => changed.min(present),
                (one, other) => one.or(other).unwrap_or_default(),
            };
            let node = now.next_if(|node| node.master() == master);
            if let Some(body) = self.before.remove(&master) {
                put(StreamChange::Node { master, body: &body });
            } else if let Some(node) = node {
                put(StreamChange::Node { master, body: node.body() });
            }
            self.behind = Some(master);
        }
        false
    }
}

impl PendingOf {
    /// Keeps what is pending under identifiers as it is.
    fn keep(&mut self, group: &Group, ids: impl Iterator<Item = StreamId>) {
        for id in ids.filter(|id| Some(*id) > self.behind) {
            let before = || Delivery::of(group, id).map(Kept::of);
            self.before.entry(id).or_insert_with(before);
        }
    }

    /// Reads some pending entries; whether none is left.
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
