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
pub struct EntryRange<'a> {
    stream: &'a Stream,
    /// The node to be read next.
    node: usize,
    entries: Option<NodeEntries<'a>>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Iterator for EntryRange<'a> {
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

/// Looks up entries in ascending order of their identifiers, so that a node with many of them is read once.
pub struct Lookups<'a> {
    stream: &'a Stream,
    /// The last identifier of the node that is being read.
    last: Option<StreamId>,
    entries: Option<NodeEntries<'a>>,
    /// An entry that was read but is greater than the last identifier.
    ahead: Option<NodeEntry<'a>>,
    /// The number of entries that were read.
    #[cfg(test)]
    pub(super) read: usize,
}

impl<'a> Lookups<'a> {
    /// The entry of an identifier, which must be greater than all identifiers before. O(log nodes) if another node has
    /// it; all calls together read each node's entries once.
    pub fn get(&mut self, id: StreamId) -> Option<StreamEntry<'a>> {
        if self.last.is_none_or(|last| last < id) {
            let node = self.stream.node_holding(id).filter(|node| node.last() >= id)?;
            (self.last, self.entries, self.ahead) = (Some(node.last()), Some(node.entries()), None);
        }
        let entries = self.entries.as_mut()?;
        while let Some(entry) = self.ahead.take().or_else(|| entries.next()) {
            #[cfg(test)]
            {
                self.read += 1;
            }
            if entry.id > id {
                self.ahead = Some(entry);
                return None;
            }
            if entry.id == id {
                return StreamEntry::live(entry);
            }
        }
        None
    }
}

impl Stream {
    /// Begins to look up entries in ascending order of their identifiers.
    pub fn lookups(&self) -> Lookups<'_> {
        Lookups {
            stream: self,
            last: None,
            entries: None,
            ahead: None,
            #[cfg(test)]
            read: 0,
        }
    }

    /// The entries from `start` to `end`, both included, ascending. O(log nodes + size of a node) to the first one,
    /// O(its size) for each.
    pub fn range(&self, start: StreamId, end: StreamId) -> EntryRange<'_> {
        EntryRange { stream: self, node: self.node_of(start).unwrap_or(0), entries: None, start, end }
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
