//! Reading entries in order, from either end.

use super::node::{NodeEntries, NodeEntry};
use super::{Fields, Stream, StreamId};

/// One entry of a stream.
#[derive(Debug, Clone)]
pub struct StreamEntry<'a> {
    /// Its identifier.
    pub id: StreamId,
    /// Its field and value pairs, in the order in which they were added.
    pub fields: Fields<'a>,
}

impl<'a> StreamEntry<'a> {
    fn live(entry: NodeEntry<'a>) -> Option<Self> {
        (!entry.deleted).then_some(Self { id: entry.id, fields: entry.fields })
    }
}

/// The entries of a range in ascending order.
#[derive(Debug, Clone)]
pub struct Range<'a> {
    stream: &'a Stream,
    /// The node to be read next.
    node: usize,
    entries: Option<NodeEntries<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for Range<'a> {
    type Item = StreamEntry<'a>;

    fn next(&mut self) -> Option<StreamEntry<'a>> {
        loop {
            if let Some(entries) = &mut self.entries {
                for entry in entries {
                    if entry.id > self.end {
                        self.node = usize::MAX;
                        self.entries = None;
                        return None;
                    }
                    if entry.id >= self.start
                        && let Some(entry) = StreamEntry::live(entry)
                    {
                        return Some(entry);
                    }
                }
            }
            let node = self.stream.nodes.get(self.node)?;
            self.node += 1;
            self.entries =
                (node.last() >= self.start).then(|| node.entries().skip_to(self.start, node.last()));
        }
    }
}

/// The entries of a range in descending order.
#[derive(Debug, Clone)]
pub struct RangeRev<'a> {
    stream: &'a Stream,
    /// How many nodes are left to read.
    nodes: usize,
    entries: Option<NodeEntries<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for RangeRev<'a> {
    type Item = StreamEntry<'a>;

    fn next(&mut self) -> Option<StreamEntry<'a>> {
        loop {
            if let Some(entries) = &mut self.entries {
                while let Some(entry) = entries.next_back() {
                    if entry.id < self.start {
                        self.nodes = 0;
                        self.entries = None;
                        return None;
                    }
                    if entry.id <= self.end
                        && let Some(entry) = StreamEntry::live(entry)
                    {
                        return Some(entry);
                    }
                }
            }
            self.nodes = self.nodes.checked_sub(1)?;
            self.entries = self.stream.nodes.get(self.nodes).map(|node| node.entries());
        }
    }
}

impl Stream {
    /// The entries from `start` to `end`, both included, ascending. O(log nodes + size of a node) to the first one,
    /// O(its size) for each.
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range { stream: self, node: self.node_of(start).unwrap_or(0), entries: None, start, end }
    }

    /// The same in descending order.
    pub fn range_rev(&self, start: StreamId, end: StreamId) -> RangeRev<'_> {
        let nodes = self.node_of(end).map_or(0, |node| node + 1);
        RangeRev { stream: self, nodes, entries: None, start, end }
    }

    /// The entry of an identifier.
    pub fn get(&self, id: StreamId) -> Option<StreamEntry<'_>> {
        self.range(id, id).next()
    }
}
