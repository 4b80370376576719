//! The large form: a tree of leaves. Each node knows the number of elements below each child, so a position is found in
//! O(log n).
//!
//! Nodes are shared: a copy of a list is a copy of its root. A change copies each shared node on its way from the root
//! down before it changes the node. So a copy is an image of the list, and costs the list only the copies of the nodes
//! that are changed while the image exists. [`BigList::own`] copies what is shared piece by piece.

use super::iter::{Backward, Forward};
use super::leaf::{LEAF_BYTES, ListLeaf};
use super::node::{
    Child, FANOUT, ListNode, Measure, OwnNodes, Removed, each_leaf, insert, leaves, remove, replace,
};
use super::packed::{encoded_len, packed_entries};
use super::runs::{RemovedRun, keep};
use crate::value::listpack::{ListpackEntry, split_first};
use crate::value::shared::OwnStep;

/// If more runs than this are removed at once, the list is built anew instead.
const RUNS: usize = if cfg!(test) { 3 } else { 16 };
/// The number of leaves that are measured to estimate the memory of a list.
const SAMPLED: usize = 1024;

/// A list in the large form. A clone takes O(1).
#[derive(Clone)]
pub struct BigList {
    root: Child,
}

impl Default for BigList {
    fn default() -> Self {
        Self { root: Child::leaf(ListLeaf::default()) }
    }
}

impl BigList {
    /// Makes a list of a packed one. O(n)
    #[must_use]
    pub fn from_packed(packed: &[u8]) -> Self {
        Self::from_entries(packed_entries(packed))
    }

    /// Makes a list of bare entries. O(n)
    #[must_use]
    pub fn from_entries(entries: &[u8]) -> Self {
        let mut builder = Builder::default();
        builder.add(entries);
        builder.finish()
    }

    /// The number of elements. O(1)
    #[must_use]
    pub fn len(&self) -> usize {
        self.root.count
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.count == 0
    }

    /// A list, in no particular order, that owns what was removed from another, so that it can be freed elsewhere.
    #[must_use]
    pub fn of_removed(removed: Removed) -> Self {
        Self { root: removed.into_root() }
    }

    /// The entries of a list that has only one leaf.
    #[must_use]
    pub fn only_leaf(&self) -> Option<&[u8]> {
        match &self.root.node {
            ListNode::Leaf(leaf) => Some(leaf.entries()),
            ListNode::Inner(_) => None,
        }
    }

    /// The element at a position. O(log n)
    #[must_use]
    pub fn get(&self, index: usize) -> Option<ListpackEntry<'_>> {
        self.iter_from(index).next()
    }

    /// The elements from a position to the end. O(log n) until the first one.
    #[must_use]
    pub fn iter_from(&self, index: usize) -> Forward<'_> {
        Forward::new(&self.root, index)
    }

    /// The elements from a position back to the front; from the last element on if there is no such position. O(log n)
    /// until the first one.
    #[must_use]
    pub fn iter_back_from(&self, index: usize) -> Backward<'_> {
        Backward::new(&self.root, index)
    }

    /// Calls `visit` with the entries of each leaf and their number, from the front, until it returns false. Leaves
    /// that are wholly before the position `index` may be left out. O(log n) until the first one.
    pub fn each_leaf_from(&self, index: usize, visit: &mut dyn FnMut(&[u8], usize) -> bool) {
        each_leaf(&self.root.node, index, visit);
    }

    /// Adds an element at the front or at the end. O(log n)
    pub fn push(&mut self, front: bool, element: &[u8]) {
        self.insert(if front { 0 } else { self.len() }, element);
    }

    /// Adds an element before the one at a position, or at the end. O(log n)
    pub fn insert(&mut self, index: usize, element: &[u8]) {
        let siblings = insert(&mut self.root.node, index, element, encoded_len(element));
        self.root.count += 1;
        if !siblings.is_empty() {
            self.root.count -= siblings.iter().map(|child| child.count).sum::<usize>();
            let first = std::mem::take(self).root;
            self.root = Child::inner(std::iter::once(first).chain(siblings).collect());
        }
    }

    /// Replaces the element at a position. O(log n)
    pub fn set(&mut self, index: usize, element: &[u8]) {
        if replace(&mut self.root.node, index, element, encoded_len(element)) {
            self.lower();
        } else {
            drop(self.remove(index, 1));
            self.insert(index, element);
        }
    }

    /// Takes away roots with a single child.
    fn lower(&mut self) {
        while let ListNode::Inner(children) = &self.root.node
            && let [only] = children.as_slice()
        {
            self.root = only.clone();
        }
    }

    /// Removes some elements; gives back the nodes that went as a whole, to be freed. O(log n + nodes)
    pub fn remove(&mut self, index: usize, count: usize) -> Removed {
        let mut gone = Removed(Vec::new());
        if count >= self.len() {
            gone.0.push(std::mem::take(self).root.node);
        } else if count > 0 {
            remove(&mut self.root.node, index, count, &mut gone);
            self.root.count -= count;
            self.lower();
        }
        gone
    }

    /// Removes runs of elements. A few of them cost O(log n) each, many O(n) together.
    pub fn remove_runs(&mut self, runs: impl Iterator<Item = RemovedRun> + Clone) -> Removed {
        if runs.clone().nth(RUNS).is_none() {
            let mut gone = Removed(Vec::new());
            let mut at = 0;
            for run in runs {
                at += run.passed;
                gone.0.append(&mut self.remove(at, run.removed).0);
            }
            return gone;
        }
        let mut builder = Builder::default();
        let mut keep = keep(runs);
        self.each_leaf_from(0, &mut |entries, count| {
            keep(entries, count, &mut |some, _| builder.add(some));
            true
        });
        let old = std::mem::replace(self, builder.finish());
        Removed(vec![old.root.node])
    }

    /// Copies the nodes that another list has too, from an element on, until the leaves come to so many bytes.
    /// O(log n + elements of these leaves)
    pub fn own(&mut self, index: usize, bytes: usize) -> OwnStep {
        let mut own = OwnNodes { most: bytes, ..OwnNodes::default() };
        own.node(&mut self.root.node, index.min(self.root.count));
        let next = index.saturating_add(own.passed);
        OwnStep {
            next: Some(next).filter(|next| *next < self.root.count),
            bytes: own.bytes,
            copied: own.copied,
        }
    }

    /// Approximate bytes allocated. If there are more than 1,024 leaves, only some are measured, spread evenly, unless
    /// `samples` is 0. O(leaves / 64)
    #[must_use]
    pub fn memory(&self, samples: usize) -> usize {
        let leaves = leaves(&self.root.node);
        let most = if samples == 0 { leaves } else { SAMPLED.max(samples) };
        let mut measure = Measure { every: leaves.div_ceil(most).max(1), ..Measure::default() };
        measure.node(&self.root.node);
        let all = measure.of_leaves as u128 * measure.leaves as u128 / measure.looked_at.max(1) as u128;
        measure.of_inner + all as usize
    }
}

/// Builds a list from the front on.
#[derive(Default)]
struct Builder {
    leaves: Vec<Child>,
    entries: Vec<u8>,
    count: usize,
}

impl Builder {
    /// Adds bare entries.
    fn add(&mut self, mut entries: &[u8]) {
        while !entries.is_empty() {
            // Takes as many entries as fit into the leaf.
            let (mut some, mut size) = (0, 0);
            while let Some((_, next)) = split_first(&entries[size..]) {
                if self.count + some > 0 && self.entries.len() + size + next > LEAF_BYTES {
                    break;
                }
                (some, size) = (some + 1, size + next);
            }
            self.entries.extend_from_slice(&entries[..size]);
            self.count += some;
            entries = &entries[size..];
            if entries.is_empty() || some == 0 && self.count == 0 {
                return;
            }
            self.end_leaf();
        }
    }

    fn end_leaf(&mut self) {
        if self.count > 0 {
            // The buffer is used again, so the leaf gets a copy without spare room.
            self.leaves.push(Child::leaf(ListLeaf::of_entries(self.entries.as_slice().to_vec(), self.count)));
            self.entries.clear();
            self.count = 0;
        }
    }

    fn finish(mut self) -> BigList {
        self.end_leaf();
        let mut row = self.leaves;
        while row.len() > 1 {
            let mut above = Vec::with_capacity(row.len().div_ceil(FANOUT));
            let mut rest = row.into_iter();
            loop {
                let children: Vec<Child> = rest.by_ref().take(FANOUT).collect();
                if children.is_empty() {
                    break;
                }
                above.push(Child::inner(children));
            }
            row = above;
        }
        row.pop().map_or_else(BigList::default, |root| BigList { root })
    }
}
