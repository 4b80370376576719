//! The nodes of a large list.

use super::leaf::{LEAF_BYTES, ListLeaf};
use crate::value::heap;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// The most children of an inner node.
pub(super) const FANOUT: usize = if cfg!(test) { 6 } else { 64 };

/// A node with the number of elements below it.
#[derive(Clone)]
pub(super) struct Child {
    pub(super) count: usize,
    pub(super) node: ListNode,
}

/// A node. All children of a node have the same height.
#[derive(Clone)]
pub(super) enum ListNode {
    Leaf(Arc<ListLeaf>),
    Inner(Arc<Vec<Child>>),
}

/// New nodes to the right of a node that was split.
type Siblings = SmallVec<[Child; 2]>;

impl Child {
    pub(super) fn leaf(leaf: ListLeaf) -> Self {
        Self { count: leaf.len(), node: ListNode::Leaf(Arc::new(leaf)) }
    }

    pub(super) fn inner(children: Vec<Self>) -> Self {
        Self {
            count: children.iter().map(|child| child.count).sum(),
            node: ListNode::Inner(Arc::new(children)),
        }
    }
}

/// Nodes that were removed from a list.
#[derive(Default)]
pub struct Removed(pub(super) Vec<ListNode>);

impl Removed {
    /// Whether freeing them takes long.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.0.len() > 2 || self.0.iter().any(|node| matches!(node, ListNode::Inner(_)))
    }

    /// A node with the removed nodes as children, so that they can be freed elsewhere.
    pub(super) fn into_root(self) -> Child {
        let count = |node: &ListNode| match node {
            ListNode::Leaf(leaf) => leaf.len(),
            ListNode::Inner(children) => children.iter().map(|child| child.count).sum(),
        };
        Child::inner(self.0.into_iter().map(|node| Child { count: count(&node), node }).collect())
    }
}

/// The child that contains a position, and the position within it; the position after the last element is in the last
/// child.
pub(super) fn find(children: &[Child], index: usize) -> (usize, usize) {
    let mut before = 0;
    for (at, child) in children.iter().enumerate() {
        if index < before + child.count || at + 1 == children.len() {
            return (at, index - before);
        }
        before += child.count;
    }
    (0, index)
}

/// The same for a position at which an element is inserted, which may be the end.
fn find_gap(children: &[Child], index: usize, all: usize) -> (usize, usize) {
    match children.last() {
        Some(last) if index == all => (children.len() - 1, last.count),
        _ => find(children, index),
    }
}

pub(super) fn each_leaf(node: &ListNode, index: usize, visit: &mut dyn FnMut(&[u8], usize) -> bool) -> bool {
    match node {
        ListNode::Leaf(leaf) => visit(leaf.entries(), leaf.len()),
        ListNode::Inner(children) => {
            let (at, offset) = find(children, index);
            let mut rest = children.iter().skip(at);
            rest.next().is_none_or(|first| each_leaf(&first.node, offset, visit))
                && rest.all(|child| each_leaf(&child.node, 0, visit))
        }
    }
}

pub(super) fn insert(node: &mut ListNode, index: usize, element: &[u8], size: usize) -> Siblings {
    match node {
        ListNode::Leaf(leaf) => insert_in_leaf(Arc::make_mut(leaf), index, element, size),
        ListNode::Inner(children) => {
            let children = Arc::make_mut(children);
            let all = children.iter().map(|child| child.count).sum();
            let (at, offset) = find_gap(children, index, all);
            let child = &mut children[at];
            let siblings = insert(&mut child.node, offset, element, size);
            child.count += 1;
            if siblings.is_empty() {
                return siblings;
            }
            child.count -= siblings.iter().map(|child| child.count).sum::<usize>();
            siblings.into_iter().rev().for_each(|sibling| children.insert(at + 1, sibling));
            split(children, at)
        }
    }
}

/// Splits the children of a node that has too many, near the child `at` that was split, so that a list that grows at
/// one end has full nodes.
fn split(children: &mut Vec<Child>, at: usize) -> Siblings {
    let mut siblings = Siblings::new();
    if children.len() > FANOUT {
        let keep = match at {
            0 => children.len() - FANOUT,
            at if at + 3 >= children.len() => FANOUT,
            _ => children.len() / 2,
        };
        let right = children.split_off(keep);
        children.shrink_to(FANOUT + 2);
        siblings.push(Child::inner(right));
    }
    siblings
}

fn insert_in_leaf(leaf: &mut ListLeaf, index: usize, element: &[u8], size: usize) -> Siblings {
    let mut siblings = Siblings::new();
    if leaf.has_room(size) {
        leaf.insert(index, element, size);
    } else if index == leaf.len() {
        siblings.push(Child::leaf(ListLeaf::of(element)));
    } else if index == 0 {
        siblings.push(Child::leaf(std::mem::replace(leaf, ListLeaf::of(element))));
    } else if size > LEAF_BYTES / 2 {
        let right = leaf.split_off(index);
        siblings.extend([Child::leaf(ListLeaf::of(element)), Child::leaf(right)]);
    } else {
        let middle = leaf.middle();
        let mut right = leaf.split_off(middle);
        if index < middle || index == middle && leaf.has_room(size) {
            siblings = insert_in_leaf(leaf, index, element, size);
            siblings.push(Child::leaf(right));
        } else {
            let more = insert_in_leaf(&mut right, index - middle, element, size);
            siblings.push(Child::leaf(right));
            siblings.extend(more);
        }
    }
    siblings
}

/// Puts an element in place of another one, if it fits; whether it did.
pub(super) fn replace(node: &mut ListNode, index: usize, element: &[u8], size: usize) -> bool {
    match node {
        ListNode::Leaf(leaf) => Arc::make_mut(leaf).replace(index, element, size),
        ListNode::Inner(children) => {
            let children = Arc::make_mut(children);
            let (at, offset) = find(children, index);
            let fits = replace(&mut children[at].node, offset, element, size);
            if fits {
                // The child may have become small.
                for at in [at, at.saturating_sub(1)] {
                    merge(children, at);
                }
            }
            fits
        }
    }
}

/// Removes some elements of a node, but not all of them.
pub(super) fn remove(node: &mut ListNode, index: usize, count: usize, gone: &mut Removed) {
    let children = match node {
        ListNode::Leaf(leaf) => return Arc::make_mut(leaf).remove(index, count),
        ListNode::Inner(children) => Arc::make_mut(children),
    };
    let (first, mut offset) = find(children, index);
    let (mut at, mut left) = (first, count);
    let mut whole: Range<usize> = first..first;
    while left > 0 {
        let child = &mut children[at];
        let some = left.min(child.count - offset);
        if some == child.count {
            whole = if whole.is_empty() { at..at + 1 } else { whole.start..at + 1 };
        } else {
            remove(&mut child.node, offset, some, gone);
            child.count -= some;
        }
        (at, left, offset) = (at + 1, left - some, 0);
    }
    gone.0.extend(children.drain(whole).map(|child| child.node));
    // The neighbours of the removed elements may have become small.
    for at in [first + 1, first, first.saturating_sub(1)] {
        merge(children, at);
    }
}

/// Joins a child with the next one if both are small.
fn merge(children: &mut Vec<Child>, at: usize) {
    let [left, right, ..] = children.get_mut(at..).unwrap_or_default() else { return };
    match (&mut left.node, &right.node) {
        (ListNode::Leaf(a), ListNode::Leaf(b)) if a.size() + b.size() <= LEAF_BYTES / 2 => {
            Arc::make_mut(a).append(b);
        }
        (ListNode::Inner(a), ListNode::Inner(b)) if a.len() + b.len() <= FANOUT / 2 => {
            Arc::make_mut(a).extend_from_slice(b);
        }
        _ => return,
    }
    left.count += right.count;
    children.remove(at + 1);
}

pub(super) fn leaves(node: &ListNode) -> usize {
    match node {
        ListNode::Leaf(_) => 1,
        ListNode::Inner(children) => match children.first().map(|child| &child.node) {
            Some(ListNode::Inner(_)) => children.iter().map(|child| leaves(&child.node)).sum(),
            Some(ListNode::Leaf(_)) | None => children.len(),
        },
    }
}

/// Measures the memory of nodes.
#[derive(Default)]
pub(super) struct Measure {
    /// One of so many leaves is measured.
    pub(super) every: usize,
    pub(super) leaves: usize,
    pub(super) looked_at: usize,
    pub(super) of_leaves: usize,
    pub(super) of_inner: usize,
}

impl Measure {
    pub(super) fn node(&mut self, node: &ListNode) {
        match node {
            ListNode::Leaf(leaf) => {
                if self.leaves.is_multiple_of(self.every) {
                    self.of_leaves += of_leaf(leaf);
                    self.looked_at += 1;
                }
                self.leaves += 1;
            }
            ListNode::Inner(children) => {
                self.of_inner += heap::block(size_of::<Vec<Child>>() + COUNTS)
                    + heap::block(children.capacity() * size_of::<Child>());
                children.iter().for_each(|child| self.node(&child.node));
            }
        }
    }
}

/// Copies nodes that another list has too.
#[derive(Default)]
pub(super) struct OwnNodes {
    /// It ends behind the leaf with which there are so many bytes.
    pub(super) most: usize,
    pub(super) bytes: usize,
    /// The elements of the leaves, counted from the element with which it began.
    pub(super) passed: usize,
    pub(super) copied: bool,
}

impl OwnNodes {
    pub(super) fn node(&mut self, node: &mut ListNode, index: usize) {
        match node {
            ListNode::Leaf(leaf) => {
                self.copied |= Arc::get_mut(leaf).is_none();
                let leaf = Arc::make_mut(leaf);
                self.bytes += of_leaf(leaf);
                self.passed += leaf.len() - index;
            }
            ListNode::Inner(children) => {
                self.copied |= Arc::get_mut(children).is_none();
                let children = Arc::make_mut(children);
                let (at, mut offset) = find(children, index);
                for child in children.iter_mut().skip(at) {
                    if self.bytes >= self.most {
                        return;
                    }
                    self.node(&mut child.node, offset);
                    offset = 0;
                }
            }
        }
    }
}

/// The bytes of an `Arc` beside its content.
const COUNTS: usize = 2 * size_of::<usize>();

fn of_leaf(leaf: &ListLeaf) -> usize {
    heap::block(size_of::<ListLeaf>() + COUNTS) + leaf.memory()
}
