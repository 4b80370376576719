//! Iterators over a list, in both directions.

use super::node::{Child, ListNode, find};
use super::packed::{offset_in, packed_count, packed_entries};
use crate::value::listpack::{ListpackEntry, split_first, split_last};
use smallvec::SmallVec;

/// The children that are left at each height of a tree, the root's first.
type Stack<'a> = SmallVec<[&'a [Child]; 6]>;

/// Iterates to the end of a list.
#[derive(Clone)]
pub struct Forward<'a> {
    stack: Stack<'a>,
    entries: &'a [u8],
}

impl<'a> Forward<'a> {
    pub(super) fn new(root: &'a Child, index: usize) -> Self {
        let mut walk = Self { stack: Stack::new(), entries: &[] };
        if index < root.count {
            walk.descend(&root.node, index);
        }
        walk
    }

    pub(super) fn packed(packed: &'a [u8], index: usize) -> Self {
        let (entries, count) = (packed_entries(packed), packed_count(packed));
        let at = offset_in(entries, count, index.min(count));
        Self { stack: Stack::new(), entries: entries.get(at..).unwrap_or_default() }
    }

    fn descend(&mut self, mut node: &'a ListNode, mut index: usize) {
        loop {
            match node {
                ListNode::Leaf(leaf) => {
                    self.entries = &leaf.entries()[leaf.offset(index)..];
                    return;
                }
                ListNode::Inner(children) => {
                    let (at, offset) = find(children, index);
                    self.stack.push(&children[at + 1..]);
                    (node, index) = (&children[at].node, offset);
                }
            }
        }
    }
}

impl<'a> Iterator for Forward<'a> {
    type Item = ListpackEntry<'a>;

    #[inline]
    fn next(&mut self) -> Option<ListpackEntry<'a>> {
        loop {
            if let Some((entry, size)) = split_first(self.entries) {
                self.entries = &self.entries[size..];
                return Some(entry);
            }
            let rest = self.stack.pop()?;
            if let [first, rest @ ..] = rest {
                self.stack.push(rest);
                self.descend(&first.node, 0);
            }
        }
    }
}

/// Iterates to the front of a list.
#[derive(Clone)]
pub struct Backward<'a> {
    stack: Stack<'a>,
    entries: &'a [u8],
}

impl<'a> Backward<'a> {
    pub(super) fn new(root: &'a Child, index: usize) -> Self {
        let mut walk = Self { stack: Stack::new(), entries: &[] };
        if root.count > 0 {
            walk.descend(&root.node, index.min(root.count - 1));
        }
        walk
    }

    pub(super) fn packed(packed: &'a [u8], index: usize) -> Self {
        let (entries, count) = (packed_entries(packed), packed_count(packed));
        let end = offset_in(entries, count, index.saturating_add(1).min(count));
        Self { stack: Stack::new(), entries: entries.get(..end).unwrap_or_default() }
    }

    fn descend(&mut self, mut node: &'a ListNode, mut index: usize) {
        loop {
            match node {
                ListNode::Leaf(leaf) => {
                    self.entries = &leaf.entries()[..leaf.offset(index + 1)];
                    return;
                }
                ListNode::Inner(children) => {
                    let (at, offset) = find(children, index);
                    self.stack.push(&children[..at]);
                    (node, index) = (&children[at].node, offset);
                }
            }
        }
    }
}

impl<'a> Iterator for Backward<'a> {
    type Item = ListpackEntry<'a>;

    #[inline]
    fn next(&mut self) -> Option<ListpackEntry<'a>> {
        loop {
            if let Some((entry, size)) = split_last(self.entries) {
                self.entries = &self.entries[..self.entries.len() - size];
                return Some(entry);
            }
            let rest = self.stack.pop()?;
            if let [rest @ .., last] = rest {
                self.stack.push(rest);
                self.descend(&last.node, last.count - 1);
            }
        }
    }
}
