//! A run of stream entries in Redis's layout: a listpack without its header, its terminating byte and the two counts at
//! its front.
//!
//! ```text
//! (live entries | deleted entries |) number of fields | field ... | 0 | entry ...
//! entry: flags | ms - master's | seq - master's | value ...                            | elements before this one
//!    or: flags | ms - master's | seq - master's | number of fields | field | value ... | elements before this one
//! ```
//! The first layout of an entry has the flag "same fields as the master". A deleted entry stays in the node, marked by
//! a flag, until the node has no live entry.
#![deny(clippy::indexing_slicing)]

use super::StreamId;
use crate::value::heap;
use crate::value::listpack::{self, Builder, ListpackEntry, number_size, push_bytes, push_number};

const DELETED: u8 = 1;
const SAME_FIELDS: u8 = 2;
/// Header and end of a listpack.
const FRAME: usize = 7;
/// No node becomes larger than this.
const MAX_NODE_BYTES: usize = 1 << 30;

/// How large a node of a stream may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// `stream-node-max-bytes`; 0 for no limit but 1 GiB.
    pub max_bytes: usize,
    /// `stream-node-max-entries`, deleted ones included; 0 for no limit.
    pub max_entries: usize,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self { max_bytes: 4096, max_entries: 100 }
    }
}

/// A node of a stream: the master identifier, to which its entries' identifiers are relative, and at least one packed
/// entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamNode {
    master: StreamId,
    last: StreamId,
    live: u32,
    deleted: u32,
    /// How many elements `body` has.
    elements: u32,
    /// Where the first entry stands in `body`.
    first_entry: u32,
    body: Vec<u8>,
}

/// The field and value pairs of one entry, in order.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    /// The master's fields, if the entry has the same.
    names: Option<listpack::Iter<'a>>,
    values: listpack::Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (ListpackEntry<'a>, ListpackEntry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.next()?,
            None => self.values.next()?,
        };
        Some((name, self.values.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// One entry as it lies in a node.
#[derive(Debug, Clone)]
pub(super) struct NodeEntry<'a> {
    pub(super) id: StreamId,
    pub(super) deleted: bool,
    pub(super) fields: Fields<'a>,
    /// Where its flags stand in the node's body.
    at: usize,
    elements: usize,
}

/// The entries of a node from an offset on, deleted ones included.
#[derive(Debug, Clone)]
pub(super) struct NodeEntries<'a> {
    master: StreamId,
    body: &'a [u8],
    names: listpack::Iter<'a>,
    name_count: usize,
    /// The range of bytes that has not been walked yet.
    start: usize,
    end: usize,
}

/// Reads the part before the entries: the field names, their number, and the offset of the first entry.
fn names(body: &[u8]) -> Option<(listpack::Iter<'_>, usize, usize)> {
    let mut at = listpack::Iter::bare(body);
    let count = usize::try_from(at.next()?.int()?).ok()?;
    let names = at.clone();
    for _ in 0..count {
        at.next()?;
    }
    (at.next()?.int()? == 0).then(|| (names, count, body.len() - at.rest().len()))
}

impl<'a> NodeEntries<'a> {
    /// The entry whose flags are at `start`, and where it ends.
    fn entry(&self, start: usize) -> Option<(NodeEntry<'a>, usize)> {
        let mut at = listpack::Iter::bare(self.body.get(start..)?);
        // Flags are overwritten in place, so they must be encoded in one byte.
        let ListpackEntry::Int(flags) = at.next()? else { return None };
        let flags = u8::try_from(flags).ok().filter(|flags| *flags <= DELETED | SAME_FIELDS)?;
        if self.body.get(start) != Some(&flags) {
            return None;
        }
        let ms = self.master.ms.wrapping_add_signed(at.next()?.int()?);
        let seq = self.master.seq.wrapping_add_signed(at.next()?.int()?);
        let same = flags & SAME_FIELDS != 0;
        let left = if same { self.name_count } else { usize::try_from(at.next()?.int()?).ok()? };
        let fields = Fields { names: same.then(|| self.names.clone()), values: at.clone(), left };
        let elements = if same { left } else { left.checked_mul(2)? };
        for _ in 0..elements {
            at.next()?;
        }
        let before = elements + if same { 3 } else { 4 };
        if usize::try_from(at.next()?.int()?) != Ok(before) {
            return None;
        }
        let (id, deleted) = (StreamId::new(ms, seq), flags & DELETED != 0);
        let end = self.body.len() - at.rest().len();
        Some((NodeEntry { id, deleted, fields, at: start, elements: before + 1 }, end))
    }
}

impl NodeEntries<'_> {
    /// Skips the entries before `id` from the node's end, if `id` is probably nearer to the end than to the start: most
    /// readers continue near the stream's end.
    pub(super) fn skip_to(mut self, id: StreamId, last: StreamId) -> Self {
        let (from, to) = (self.master.number(), last.number());
        if id.number().saturating_sub(from) > to.saturating_sub(from) / 2 {
            let mut back = self.clone();
            self.start = self.end;
            while let Some(entry) = back.next_back().filter(|entry| entry.id >= id) {
                self.start = entry.at;
            }
        }
        self
    }
}

impl<'a> Iterator for NodeEntries<'a> {
    type Item = NodeEntry<'a>;

    /// `None` at the end and at a malformed entry.
    fn next(&mut self) -> Option<NodeEntry<'a>> {
        if self.start >= self.end {
            return None;
        }
        let (entry, end) = self.entry(self.start)?;
        self.start = end;
        Some(entry)
    }
}

impl DoubleEndedIterator for NodeEntries<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.start >= self.end {
            return None;
        }
        let (before, mut size) = listpack::split_last(self.body.get(..self.end)?)?;
        let mut start = self.end - size;
        for _ in 0..before.int()? {
            (_, size) = listpack::split_last(self.body.get(..start)?)?;
            start -= size;
        }
        self.end = start;
        self.entry(start).map(|(entry, _)| entry)
    }
}

impl StreamNode {
    /// A node that begins with this entry, given as its fields and values in turn.
    pub(super) fn begin<'f>(id: StreamId, parts: impl Iterator<Item = &'f [u8]> + Clone) -> Self {
        let mut body = Vec::new();
        let count = parts.clone().count() / 2;
        push_number(&mut body, count as i64);
        for name in parts.clone().step_by(2) {
            push_bytes(&mut body, name);
        }
        push_number(&mut body, 0);
        let first_entry = body.len() as u32;
        let mut node =
            Self { master: id, last: id, live: 0, deleted: 0, elements: count as u32 + 2, first_entry, body };
        node.append(id, parts);
        node
    }

    /// A node from Redis's whole listpack, every byte of it checked: layout, counts, identifiers ascending from the
    /// master's on. O(length).
    pub fn from_listpack(master: StreamId, pack: &[u8]) -> Option<Self> {
        listpack::check(pack)?;
        let mut at = listpack::Iter::new(pack);
        let (live, deleted) = (at.next()?.int()?, at.next()?.int()?);
        let body = at.rest().strip_suffix(&[0xFF])?;
        let node = Self::from_body(master, body.to_vec())?;
        ((i64::from(node.live), i64::from(node.deleted)) == (live, deleted)).then_some(node)
    }

    /// A node from its own bytes, checked in the same way.
    pub(super) fn from_body(master: StreamId, body: Vec<u8>) -> Option<Self> {
        let (_, name_count, first_entry) = names(&body)?;
        let first_entry = u32::try_from(first_entry).ok()?;
        let mut node = Self {
            master,
            last: master,
            live: 0,
            deleted: 0,
            elements: u32::try_from(name_count + 2).ok()?,
            first_entry,
            body,
        };
        let (mut live, mut deleted, mut elements, mut last) = (0, 0, node.elements, None);
        let mut entries = node.entries();
        while entries.start < entries.end {
            let entry = entries.next()?;
            if entry.id < master || last.is_some_and(|last| last >= entry.id) {
                return None;
            }
            last = Some(entry.id);
            elements = elements.checked_add(u32::try_from(entry.elements).ok()?)?;
            *if entry.deleted { &mut deleted } else { &mut live } += 1;
        }
        (node.live, node.deleted, node.elements, node.last) = (live, deleted, elements, last?);
        Some(node)
    }

    /// Redis's whole listpack.
    pub fn to_listpack(&self) -> Vec<u8> {
        let mut pack = Builder::new();
        pack.push_int(i64::from(self.live));
        pack.push_int(i64::from(self.deleted));
        pack.push_encoded(&self.body, self.elements as usize);
        pack.finish()
    }

    /// The node's own bytes: what [`Stream::push_node`](super::Stream::push_node) takes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The identifier to which the entries' identifiers are relative: that of the first entry that the node ever had.
    pub fn master(&self) -> StreamId {
        self.master
    }

    /// The identifier of the last entry, deleted or not.
    pub fn last(&self) -> StreamId {
        self.last
    }

    /// The number of entries that are not deleted.
    pub fn live(&self) -> u64 {
        u64::from(self.live)
    }

    /// The bytes it takes on the heap, itself included.
    pub(super) fn memory(&self) -> usize {
        heap::block(size_of::<Self>()) + heap::block(self.body.capacity())
    }

    /// Whether another entry of `size` bytes in all needs a new node.
    pub(super) fn is_full(&self, size: usize, limits: NodeLimits) -> bool {
        let max_bytes =
            if (1..=MAX_NODE_BYTES).contains(&limits.max_bytes) { limits.max_bytes } else { MAX_NODE_BYTES };
        let counts = number_size(i64::from(self.live)) + number_size(i64::from(self.deleted));
        if FRAME + counts + self.body.len() + size >= max_bytes {
            return true;
        }
        limits.max_entries > 0 && u64::from(self.live) + u64::from(self.deleted) >= limits.max_entries as u64
    }

    /// Frees the room that was reserved for more entries.
    pub(super) fn seal(&mut self) {
        self.body.shrink_to_fit();
    }

    /// Adds an entry, whose identifier must be larger than the last one's. O(size of the entry and the master's names).
    pub(super) fn append<'f>(&mut self, id: StreamId, parts: impl Iterator<Item = &'f [u8]> + Clone) {
        let count = parts.clone().count() / 2;
        let same = self.has_names(count, parts.clone().step_by(2));
        push_number(&mut self.body, i64::from(if same { SAME_FIELDS } else { 0 }));
        push_number(&mut self.body, id.ms.wrapping_sub(self.master.ms) as i64);
        push_number(&mut self.body, id.seq.wrapping_sub(self.master.seq) as i64);
        let before = if same {
            parts.skip(1).step_by(2).for_each(|value| push_bytes(&mut self.body, value));
            count + 3
        } else {
            push_number(&mut self.body, count as i64);
            parts.for_each(|part| push_bytes(&mut self.body, part));
            2 * count + 4
        };
        push_number(&mut self.body, before as i64);
        self.elements += before as u32 + 1;
        self.live += 1;
        self.last = id;
    }

    fn has_names<'f>(&self, count: usize, fields: impl Iterator<Item = &'f [u8]>) -> bool {
        names(&self.body).is_some_and(|(names, name_count, _)| {
            name_count == count && names.zip(fields).all(|(name, field)| *name.bytes() == *field)
        })
    }

    /// All entries in order, deleted ones included.
    pub(super) fn entries(&self) -> NodeEntries<'_> {
        let (start, end) = (self.first_entry as usize, self.body.len());
        let (names, name_count, _) = names(&self.body).unwrap_or((listpack::Iter::bare(&[]), 0, 0));
        NodeEntries { master: self.master, body: &self.body, names, name_count, start, end }
    }

    /// Marks live entries as deleted, from the first one on, until `which` is false for one. Returns how many it
    /// marked. The caller must remove the node if no live entry is left.
    pub(super) fn delete_while(&mut self, mut which: impl FnMut(StreamId) -> bool) -> u64 {
        let mut places = Vec::new();
        for entry in self.entries() {
            if entry.deleted {
                continue;
            }
            if !which(entry.id) {
                break;
            }
            places.push(entry.at);
        }
        self.mark(&places)
    }

    /// Removes the entries from `id` on, deleted ones included. Returns how many of them were live. The caller must
    /// remove the node if no entry is left.
    pub(super) fn cut(&mut self, id: StreamId) -> u64 {
        let (mut live, mut deleted, mut elements, mut at) = (0, 0, 0, self.body.len());
        let mut last = self.last;
        let mut back = self.entries();
        while let Some(entry) = back.next_back() {
            if entry.id < id {
                last = entry.id;
                break;
            }
            at = entry.at;
            elements += entry.elements;
            *if entry.deleted { &mut deleted } else { &mut live } += 1;
        }
        self.body.truncate(at);
        self.live -= live;
        self.deleted -= deleted;
        self.elements -= elements as u32;
        self.last = last;
        u64::from(live)
    }

    /// Marks a live entry as deleted, if it is there.
    pub(super) fn delete(&mut self, id: StreamId) -> bool {
        let found =
            self.entries().take_while(|entry| entry.id <= id).find(|entry| entry.id == id && !entry.deleted);
        let Some(place) = found.map(|entry| entry.at) else { return false };
        self.mark(&[place]) == 1
    }

    /// Whether an entry is there.
    pub(super) fn is_live(&self, id: StreamId) -> bool {
        self.entries().take_while(|entry| entry.id <= id).any(|entry| entry.id == id && !entry.deleted)
    }

    /// The live entries up to one and including it.
    pub(super) fn live_through(&self, through: StreamId) -> Vec<StreamId> {
        let entries = self.entries().take_while(|entry| entry.id <= through);
        entries.filter(|entry| !entry.deleted).map(|entry| entry.id).collect()
    }

    /// Removes the mark of a deleted entry.
    pub(super) fn undelete(&mut self, id: StreamId) {
        let found = self.entries().find(|entry| entry.id == id && entry.deleted).map(|entry| entry.at);
        if let Some(flags) = found.and_then(|at| self.body.get_mut(at)) {
            *flags &= !DELETED;
            self.live += 1;
            self.deleted -= 1;
        }
    }

    fn mark(&mut self, places: &[usize]) -> u64 {
        for place in places {
            if let Some(flags) = self.body.get_mut(*place) {
                *flags |= DELETED;
            }
        }
        self.live -= places.len() as u32;
        self.deleted += places.len() as u32;
        places.len() as u64
    }
}
