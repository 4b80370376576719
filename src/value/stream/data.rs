//! The stream itself: adding and deleting entries, and the marks, which also tell about deleted entries.

use super::group::Groups;
use super::node::{NodeLimits, StreamNode};
use super::{NewId, StreamId};
use crate::value::{ValueError, heap};
use std::collections::VecDeque;

/// The largest entry in bytes.
const MAX_ENTRY_BYTES: usize = 1 << 30;

/// A stream: entries in ascending order of their identifiers, packed in nodes, and consumer groups.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// In ascending order. Each node holds at least one live entry.
    pub(super) nodes: VecDeque<Box<StreamNode>>,
    pub(super) length: u64,
    pub(super) last_id: StreamId,
    pub(super) first_id: StreamId,
    pub(super) max_deleted_id: StreamId,
    pub(super) entries_added: u64,
    /// The memory of all nodes.
    pub(super) node_bytes: usize,
    groups: Groups,
}

/// Two streams are equal if their nodes, marks and groups are.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.nodes == other.nodes
            && (self.last_id, self.max_deleted_id, self.entries_added)
                == (other.last_id, other.max_deleted_id, other.entries_added)
            && self.groups == other.groups
    }
}

/// What `XSETID` sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamMarks {
    /// The largest identifier ever given.
    pub last_id: StreamId,
    /// The number of entries ever added, if it is to change.
    pub entries_added: Option<u64>,
    /// The largest identifier that was deleted, if it is to change.
    pub max_deleted_id: Option<StreamId>,
}

impl Stream {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream of nodes in ascending order. `None` if they are not in order, or if one holds an entry behind
    /// `last_id`. Nodes without a live entry are left out.
    pub(in crate::value) fn from_nodes(
        nodes: impl IntoIterator<Item = StreamNode>,
        last_id: StreamId,
        max_deleted_id: StreamId,
        entries_added: u64,
    ) -> Option<Self> {
        let mut stream = Self { last_id, max_deleted_id, entries_added, ..Self::default() };
        let mut last = None;
        for node in nodes {
            if last.is_some_and(|last| node.master() <= last) {
                return None;
            }
            last = Some(node.last());
            if node.live() > 0 {
                stream.length += node.live();
                stream.node_bytes += node.memory();
                stream.nodes.push_back(Box::new(node));
            }
        }
        stream.update_first_id();
        (last.is_none_or(|last| last <= last_id)).then_some(stream)
    }

    /// The number of entries.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is no entry. An empty stream is still a value.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The largest identifier ever given.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The identifier of the first entry, `0-0` if there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The largest identifier that was deleted one by one, `0-0` if none was.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// The number of entries ever added.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// The nodes, which hold the entries.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &StreamNode> + DoubleEndedIterator {
        self.nodes.iter().map(Box::as_ref)
    }

    /// The nodes behind the one of a master identifier, or all of them. O(log nodes) to the first one.
    pub fn nodes_behind(&self, master: Option<StreamId>) -> impl ExactSizeIterator<Item = &StreamNode> {
        let from = master.map_or(0, |master| self.nodes.partition_point(|node| node.master() <= master));
        self.nodes.range(from..).map(Box::as_ref)
    }

    /// The master of the last node.
    pub fn last_master(&self) -> Option<StreamId> {
        self.nodes.back().map(|node| node.master())
    }

    /// The consumer groups.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The consumer groups, to be changed.
    pub fn groups_mut(&mut self) -> &mut Groups {
        &mut self.groups
    }

    /// The bytes it takes on the heap, apart from itself. O(number of consumers).
    pub fn memory(&self) -> usize {
        let nodes = heap::block(self.nodes.capacity() * size_of::<Box<StreamNode>>());
        self.node_bytes + nodes + self.groups.memory()
    }

    /// The identifier that an entry added now would get. `now_ms` is the clock, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// As `XADD` answers: [`ValueError::StreamExhausted`], [`ValueError::StreamIdZero`],
    /// [`ValueError::StreamIdTooSmall`].
    pub fn resolve_id(&self, id: NewId, now_ms: u64) -> Result<StreamId, ValueError> {
        if id == NewId::Given(StreamId::MIN) {
            return Err(ValueError::StreamIdZero);
        }
        let following = self.last_id.next().ok_or(ValueError::StreamExhausted)?;
        let id = match id {
            NewId::Auto if now_ms > self.last_id.ms => StreamId::new(now_ms, 0),
            NewId::Auto => following,
            NewId::AutoSeq(ms) if ms == self.last_id.ms => {
                let seq = self.last_id.seq.checked_add(1).ok_or(ValueError::StreamIdTooSmall)?;
                StreamId::new(ms, seq)
            }
            NewId::AutoSeq(ms) => StreamId::new(ms, 0),
            NewId::Given(id) => id,
        };
        if id > self.last_id { Ok(id) } else { Err(ValueError::StreamIdTooSmall) }
    }

    /// Whether an entry may have fields and values of so many bytes in all: up to 1 GiB.
    pub fn entry_fits(bytes: usize) -> bool {
        bytes <= MAX_ENTRY_BYTES
    }

    /// Adds an entry, given as its fields and values in turn. O(size of the entry and of one node's names).
    ///
    /// # Errors
    /// [`ValueError::StreamIdTooSmall`] if the identifier is not larger than all before,
    /// [`ValueError::StreamEntryTooLarge`] if fields and values are more than 1 GiB. Nothing is changed then.
    pub fn append<'f>(
        &mut self,
        id: StreamId,
        parts: impl Iterator<Item = &'f [u8]> + Clone,
        limits: NodeLimits,
    ) -> Result<(), ValueError> {
        if id <= self.last_id {
            return Err(ValueError::StreamIdTooSmall);
        }
        let size: usize = parts.clone().map(<[u8]>::len).sum();
        if !Self::entry_fits(size) {
            return Err(ValueError::StreamEntryTooLarge);
        }
        match self.nodes.back_mut() {
            Some(node) if !node.is_full(size, limits) => {
                self.node_bytes -= node.memory();
                node.append(id, parts);
                self.node_bytes += node.memory();
            }
            last => {
                if let Some(last) = last {
                    self.node_bytes -= last.memory();
                    last.seal();
                    self.node_bytes += last.memory();
                }
                let node = Box::new(StreamNode::begin(id, parts));
                self.node_bytes += node.memory();
                self.nodes.push_back(node);
            }
        }
        self.length += 1;
        self.entries_added = self.entries_added.saturating_add(1);
        self.last_id = id;
        if self.length == 1 {
            self.first_id = id;
        }
        Ok(())
    }

    /// Adds a whole node behind all others; `body` is from [`StreamNode::body`]. Returns false and changes nothing if
    /// it is no valid node, has no live entry or does not come behind all others. The number of entries ever added
    /// grows by the node's live entries. O(its size).
    pub fn push_node(&mut self, master: StreamId, body: &[u8]) -> bool {
        if self.nodes.back().is_some_and(|node| master <= node.last()) {
            return false;
        }
        let Some(node) = StreamNode::from_body(master, body.to_vec()).filter(|node| node.live() > 0) else {
            return false;
        };
        self.length += node.live();
        self.entries_added = self.entries_added.saturating_add(node.live());
        self.last_id = self.last_id.max(node.last());
        self.node_bytes += node.memory();
        let first = self.nodes.is_empty();
        self.nodes.push_back(Box::new(node));
        if first {
            self.update_first_id();
        }
        true
    }

    /// Takes the addition of the entries from `from` on back. O(entries that go + size of a node).
    pub(super) fn rewind(&mut self, from: StreamId, last_id: StreamId, entries_added: u64) {
        while let Some(node) = self.nodes.back_mut() {
            if node.last() < from {
                break;
            }
            self.node_bytes -= node.memory();
            self.length -= node.cut(from);
            if node.live() == 0 {
                self.nodes.pop_back();
            } else {
                self.node_bytes += node.memory();
                break;
            }
        }
        (self.last_id, self.entries_added) = (last_id, entries_added);
        self.update_first_id();
    }

    /// The place of the node that would hold an identifier.
    pub(super) fn node_of(&self, id: StreamId) -> Option<usize> {
        self.nodes.partition_point(|node| node.master() <= id).checked_sub(1)
    }

    /// The node that holds an identifier, if any does. O(log nodes).
    pub fn node_holding(&self, id: StreamId) -> Option<&StreamNode> {
        self.node_of(id).and_then(|at| self.nodes.get(at)).map(Box::as_ref)
    }

    /// Deletes an entry; whether it was there. O(log nodes + size of a node).
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some(at) = self.node_of(id) else { return false };
        let Some(node) = self.nodes.get_mut(at) else { return false };
        if !node.delete(id) {
            return false;
        }
        if node.live() == 0 {
            self.remove_node(at);
        }
        self.length -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.update_first_id();
        }
        true
    }

    pub(super) fn remove_node(&mut self, at: usize) {
        if let Some(node) = self.nodes.remove(at) {
            self.node_bytes -= node.memory();
        }
    }

    pub(super) fn update_first_id(&mut self) {
        self.first_id =
            self.range(StreamId::MIN, StreamId::MAX).next().map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Whether marks can be set.
    ///
    /// # Errors
    /// As `XSETID` answers: [`ValueError::StreamIdBelowDeleted`], [`ValueError::StreamIdBelowCurrentDeleted`],
    /// [`ValueError::StreamIdBelowTop`], [`ValueError::StreamAddedBelowLength`].
    pub fn check_marks(&self, marks: StreamMarks) -> Result<(), ValueError> {
        if marks.max_deleted_id.is_some_and(|deleted| marks.last_id < deleted) {
            return Err(ValueError::StreamIdBelowDeleted);
        }
        if marks.last_id < self.max_deleted_id {
            return Err(ValueError::StreamIdBelowCurrentDeleted);
        }
        let top = self.range_rev(StreamId::MIN, StreamId::MAX).next();
        if top.is_some_and(|top| marks.last_id < top.id) {
            return Err(ValueError::StreamIdBelowTop);
        }
        if marks.entries_added.is_some_and(|added| added < self.length) {
            return Err(ValueError::StreamAddedBelowLength);
        }
        // New entries must come behind deleted entries that a node still holds, even if the mark of deleted entries was
        // lowered.
        if self.nodes.back().is_some_and(|node| marks.last_id < node.last()) {
            return Err(ValueError::StreamIdBelowCurrentDeleted);
        }
        Ok(())
    }

    /// Sets the marks. If there are entries behind `last_id`, nothing changes: a checkpoint of format version 1 may
    /// already show entries that were added after the record being replayed.
    pub fn put_marks(&mut self, last_id: StreamId, max_deleted_id: StreamId, entries_added: u64) {
        if self.nodes.back().is_some_and(|node| node.last() > last_id) {
            return;
        }
        (self.last_id, self.max_deleted_id, self.entries_added) = (last_id, max_deleted_id, entries_added);
    }

    /// Sets the marks, which [`Stream::check_marks`] has accepted. A `max_deleted_id` of `0-0` changes nothing.
    pub fn set_marks(&mut self, marks: StreamMarks) {
        self.last_id = marks.last_id;
        self.entries_added = marks.entries_added.unwrap_or(self.entries_added);
        self.max_deleted_id =
            marks.max_deleted_id.filter(|id| *id != StreamId::MIN).unwrap_or(self.max_deleted_id);
    }
}
