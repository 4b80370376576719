//! A run of stream entries packed into one listpack, in Redis's layout.
//!
//! ```text
//! master: live entries | deleted entries | number of fields | field ... | 0
//! entry:  flags | ms - master's | seq - master's | value ...                            | elements before this one
//!    or:  flags | ms - master's | seq - master's | number of fields | field | value ... | elements before this one
//! ```
//! The first layout of an entry has the flag "same fields as the master".
#![deny(clippy::indexing_slicing)]

use super::StreamId;
use crate::value::listpack::{self, Entry};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// A node of a stream: the identifier that its entries' are relative to, and the packed entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamNode {
    master: StreamId,
    pack: Vec<u8>,
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
    type Item = (Entry<'a>, Entry<'a>);

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
pub struct NodeEntry<'a> {
    /// The entry's identifier.
    pub id: StreamId,
    /// Whether it was deleted: it then only takes up room.
    pub deleted: bool,
    /// Its pairs.
    pub fields: Fields<'a>,
}

/// The entries of a node, deleted ones included, in order.
#[derive(Debug, Clone)]
pub struct NodeEntries<'a> {
    master: StreamId,
    names: listpack::Iter<'a>,
    name_count: usize,
    rest: listpack::Iter<'a>,
}

/// The numbers at the head of a node.
struct Head<'a> {
    live: i64,
    deleted: i64,
    entries: NodeEntries<'a>,
}

fn head(master: StreamId, pack: &[u8]) -> Option<Head<'_>> {
    let mut at = listpack::Iter::new(pack);
    let (live, deleted) = (at.next()?.int()?, at.next()?.int()?);
    let name_count = usize::try_from(at.next()?.int()?).ok()?;
    let names = at.clone();
    for _ in 0..name_count {
        at.next()?;
    }
    (at.next()?.int()? == 0).then_some(Head {
        live,
        deleted,
        entries: NodeEntries { master, names, name_count, rest: at },
    })
}

impl NodeEntries<'_> {
    /// Whether all entries were stepped over.
    fn at_end(&self) -> bool {
        self.rest.clone().next().is_none()
    }
}

impl<'a> Iterator for NodeEntries<'a> {
    type Item = NodeEntry<'a>;

    /// Nothing at the end, and where an entry is malformed.
    fn next(&mut self) -> Option<NodeEntry<'a>> {
        let flags = self.rest.next()?.int().filter(|flags| (0..=DELETED | SAME_FIELDS).contains(flags))?;
        let ms = self.master.ms.wrapping_add_signed(self.rest.next()?.int()?);
        let seq = self.master.seq.wrapping_add_signed(self.rest.next()?.int()?);
        let same = flags & SAME_FIELDS != 0;
        let left = if same { self.name_count } else { usize::try_from(self.rest.next()?.int()?).ok()? };
        let fields = Fields { names: same.then(|| self.names.clone()), values: self.rest.clone(), left };
        let elements = if same { left } else { left.checked_mul(2)? };
        for _ in 0..elements {
            self.rest.next()?;
        }
        let before = elements + if same { 3 } else { 4 };
        let counted = self.rest.next()?.int()?;
        let entry = NodeEntry { id: StreamId::new(ms, seq), deleted: flags & DELETED != 0, fields };
        (usize::try_from(counted) == Ok(before)).then_some(entry)
    }
}

impl StreamNode {
    /// A node from a stranger's bytes, every one of them checked: layout, counts, identifiers ascending from the
    /// master's on. O(length).
    #[must_use]
    pub fn from_bytes(master: StreamId, pack: Vec<u8>) -> Option<Self> {
        listpack::check(&pack)?;
        let Head { live, deleted, mut entries } = head(master, &pack)?;
        let (mut seen_live, mut seen_deleted, mut last) = (0i64, 0i64, None);
        while !entries.at_end() {
            let entry = entries.next()?;
            if entry.id < master || last.is_some_and(|last| last >= entry.id) {
                return None;
            }
            last = Some(entry.id);
            if entry.deleted {
                seen_deleted += 1;
            } else {
                seen_live += 1;
            }
        }
        ((seen_live, seen_deleted) == (live, deleted) && last.is_some()).then_some(Self { master, pack })
    }

    /// The identifier that the entries' are relative to: that of the first entry the node ever had.
    #[must_use]
    pub fn master(&self) -> StreamId {
        self.master
    }

    /// The packed entries.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.pack
    }

    /// The number of entries that are not deleted.
    #[must_use]
    pub fn live(&self) -> u64 {
        head(self.master, &self.pack).map_or(0, |head| head.live.unsigned_abs())
    }

    /// All entries in order, deleted ones included.
    #[must_use]
    pub fn entries(&self) -> NodeEntries<'_> {
        let nothing = || NodeEntries {
            master: self.master,
            names: listpack::Iter::new(&[]),
            name_count: 0,
            rest: listpack::Iter::new(&[]),
        };
        head(self.master, &self.pack).map_or_else(nothing, |head| head.entries)
    }
}
