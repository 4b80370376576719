//! Changes of a stream that can be taken back. Removed values are kept, not rebuilt: whole nodes as they are, groups
//! and consumers with their pending entries. A deleted entry stays in its node and is unmarked again.

use super::group::{Group, GroupPosition, Pending, RemovedConsumer};
use super::node::StreamNode;
use super::{Stream, StreamId};

/// The inverse of one change of a stream. Changes are taken back from the last to the first.
pub struct StreamInverse(Step);

/// The stream's counters and marks.
#[derive(Clone, Copy)]
pub(super) struct Counters {
    pub(super) length: u64,
    pub(super) last_id: StreamId,
    pub(super) first_id: StreamId,
    pub(super) max_deleted_id: StreamId,
    pub(super) entries_added: u64,
}

/// A removed entry or node.
pub(super) enum Gone {
    /// An entry was marked as deleted.
    Entry(StreamId),
    /// A node was taken out at a place.
    Node(usize, Box<StreamNode>),
}

enum Step {
    /// Entries from an identifier on were added.
    Added(StreamId, Counters),
    /// Entries went.
    Gone(Vec<Gone>, Counters),
    /// Only the marks changed. Holds the last node's master at that time.
    Marks(Counters, Option<StreamId>),
    /// A group was created, or its position was set. Holds the old position; `None` if the group was new.
    Position(Box<[u8]>, Option<GroupPosition>),
    Group(Box<[u8]>, Box<Group>),
    /// A consumer was created, or its times were set. Holds the old times; `None` if the consumer was new.
    Times(Box<[u8]>, Box<[u8]>, Option<(u64, Option<u64>)>),
    Consumer(Box<[u8]>, RemovedConsumer),
    Pending(Box<[u8]>, Vec<(StreamId, Option<Pending>)>),
}

impl StreamInverse {
    /// The name of the group that the change removed, if it did.
    pub fn removed_group(&self) -> Option<&[u8]> {
        if let Step::Group(name, _) = &self.0 { Some(name) } else { None }
    }

    /// If the change set the marks: the last node's master at that time; `Some(None)` if there was no node.
    pub fn marked_behind(&self) -> Option<Option<StreamId>> {
        if let Step::Marks(_, last) = &self.0 { Some(*last) } else { None }
    }

    /// The nodes, or the group with its name, that the change removed as a whole. The change cannot be taken back
    /// afterwards.
    pub fn into_removed(self) -> (impl Iterator<Item = Box<StreamNode>>, Option<(Box<[u8]>, Box<Group>)>) {
        let (gone, group) = match self.0 {
            Step::Gone(gone, _) => (gone, None),
            Step::Group(name, group) => (Vec::new(), Some((name, group))),
            _ => (Vec::new(), None),
        };
        let node = |gone| if let Gone::Node(_, node) = gone { Some(node) } else { None };
        (gone.into_iter().filter_map(node), group)
    }
}

impl Stream {
    fn counters(&self) -> Counters {
        Counters {
            length: self.length,
            last_id: self.last_id,
            first_id: self.first_id,
            max_deleted_id: self.max_deleted_id,
            entries_added: self.entries_added,
        }
    }

    fn set_counters(&mut self, counters: Counters) {
        let Counters { length, last_id, first_id, max_deleted_id, entries_added } = counters;
        (self.length, self.entries_added) = (length, entries_added);
        (self.last_id, self.first_id, self.max_deleted_id) = (last_id, first_id, max_deleted_id);
    }

    /// The inverse of adding entries or a node from an identifier on. Call it before they are added.
    pub fn undo_of_adding(&self, from: StreamId) -> StreamInverse {
        StreamInverse(Step::Added(from, self.counters()))
    }

    /// The inverse of setting the marks. Call it before they are set.
    pub fn undo_of_marks(&self) -> StreamInverse {
        StreamInverse(Step::Marks(self.counters(), self.last_master()))
    }

    /// The inverse of creating a group or setting its position. Call it before the change.
    pub fn undo_of_position(&self, group: &[u8]) -> StreamInverse {
        StreamInverse(Step::Position(group.into(), self.groups().get(group).map(|group| group.position)))
    }

    /// The inverse of creating a consumer or setting its times; `None` if there is no such group.
    pub fn undo_of_times(&self, group: &[u8], consumer: &[u8]) -> Option<StreamInverse> {
        let known = self.groups().get(group)?;
        let known = known.find_consumer(consumer).and_then(|key| known.consumer(key));
        let times = known.map(|consumer| (consumer.seen_at_ms, consumer.active_at_ms));
        Some(StreamInverse(Step::Times(group.into(), consumer.into(), times)))
    }

    /// The inverse of making entries pending or acknowledging them; `None` if there is no such group.
    pub fn undo_of_pending(
        &self,
        group: &[u8],
        ids: impl Iterator<Item = StreamId>,
    ) -> Option<StreamInverse> {
        let known = self.groups().get(group)?;
        let before = ids.map(|id| (id, known.pending_entry(id))).collect();
        Some(StreamInverse(Step::Pending(group.into(), before)))
    }

    /// As [`Stream::delete`] for several entries. Returns how many of them existed, and the inverse.
    pub fn delete_kept(&mut self, ids: impl Iterator<Item = StreamId>) -> (usize, StreamInverse) {
        let counters = self.counters();
        let mut gone = Vec::new();
        for id in ids {
            let Some(at) = self.node_of(id) else { continue };
            let Some(node) = self.nodes.get(at).filter(|node| node.is_live(id)) else { continue };
            if node.live() == 1 {
                gone.extend(self.take_node(at).map(|node| Gone::Node(at, node)));
                self.length -= 1;
                self.max_deleted_id = self.max_deleted_id.max(id);
                if id == self.first_id {
                    self.update_first_id();
                }
            } else if self.delete(id) {
                gone.push(Gone::Entry(id));
            }
        }
        (gone.len(), StreamInverse(Step::Gone(gone, counters)))
    }

    /// As [`Stream::trim_through`]; also returns the inverse. Nodes that are removed as a whole are not read.
    pub fn trim_kept(&mut self, through: StreamId) -> (u64, StreamInverse) {
        let counters = self.counters();
        let mut gone = Vec::new();
        while let Some(node) = self.nodes.front_mut() {
            if node.last() > through {
                let going = node.live_through(through);
                if (going.len() as u64) < node.live() {
                    node.delete_while(|id| id <= through);
                    gone.extend(going.into_iter().map(Gone::Entry));
                    break;
                }
            }
            gone.extend(self.take_node(0).map(|node| Gone::Node(0, node)));
        }
        let entries = |gone: &Gone| if let Gone::Node(_, node) = gone { node.live() } else { 1 };
        let removed = gone.iter().map(entries).sum();
        if removed > 0 {
            self.length -= removed;
            self.update_first_id();
        }
        (removed, StreamInverse(Step::Gone(gone, counters)))
    }

    /// Removes a group. Returns the inverse, if the group existed.
    pub fn remove_group_kept(&mut self, group: &[u8]) -> Option<StreamInverse> {
        let removed = self.groups_mut().take(group)?;
        Some(StreamInverse(Step::Group(group.into(), removed)))
    }

    /// Removes a consumer and its pending entries. Returns the number of those entries and the inverse, if the consumer
    /// existed.
    pub fn remove_consumer_kept(&mut self, group: &[u8], consumer: &[u8]) -> Option<(usize, StreamInverse)> {
        let removed = self.groups_mut().get_mut(group)?.take_consumer(consumer)?;
        Some((removed.pending_len(), StreamInverse(Step::Consumer(group.into(), removed))))
    }

    /// Takes a change back. All later changes must have been taken back before.
    pub fn revert(&mut self, inverse: StreamInverse) {
        match inverse.0 {
            Step::Added(from, counters) => {
                self.rewind(from, counters.last_id, counters.entries_added);
                self.set_counters(counters);
            }
            Step::Gone(gone, counters) => {
                gone.into_iter().rev().for_each(|gone| self.bring_back(gone));
                self.set_counters(counters);
            }
            Step::Marks(counters, _) => self.set_counters(counters),
            Step::Group(name, group) => self.groups_mut().put_back(&name, group),
            other => self.revert_in_group(other),
        }
    }

    fn bring_back(&mut self, gone: Gone) {
        match gone {
            Gone::Entry(id) => {
                if let Some(node) = self.node_of(id).and_then(|at| self.nodes.get_mut(at)) {
                    node.undelete(id);
                }
            }
            Gone::Node(at, node) => {
                self.node_bytes += node.memory();
                self.nodes.insert(at, node);
            }
        }
    }

    fn take_node(&mut self, at: usize) -> Option<Box<StreamNode>> {
        let node = self.nodes.remove(at)?;
        self.node_bytes -= node.memory();
        Some(node)
    }

    fn revert_in_group(&mut self, step: Step) {
        let groups = self.groups_mut();
        match step {
            Step::Position(name, None) => drop(groups.take(&name)),
            Step::Position(name, Some(position)) => {
                if let Some(group) = groups.get_mut(&name) {
                    group.position = position;
                }
            }
            Step::Times(name, consumer, times) => {
                let Some(group) = groups.get_mut(&name) else { return };
                let known = group.find_consumer(&consumer);
                match (known.and_then(|key| group.consumer_mut(key)), times) {
                    (Some(consumer), Some(times)) => (consumer.seen_at_ms, consumer.active_at_ms) = times,
                    _ => drop(group.remove_consumer(&consumer)),
                }
            }
            Step::Consumer(name, removed) => {
                if let Some(group) = groups.get_mut(&name) {
                    group.put_consumer_back(removed);
                }
            }
            Step::Pending(name, before) => {
                let Some(group) = groups.get_mut(&name) else { return };
                for (id, pending) in before.into_iter().rev() {
                    match pending {
                        Some(pending) => drop(group.assign(id, pending)),
                        None => drop(group.acknowledge(id)),
                    }
                }
            }
            _ => {}
        }
    }
}
