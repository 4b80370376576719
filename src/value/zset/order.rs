//! The order of the leaves: a tree that knows, of each child, the score of its first member and the number of members
//! below. If scores do not decide, the bytes of the first member are looked up in its leaf.

use super::cut::Cut;
use super::index::MemberIndex;
use super::leaf::{BYTES, ZsetLeaf};
use super::leaves::Leaves;
use smallvec::SmallVec;

/// The most children of a node.
const CHILDREN: usize = if cfg!(test) { 6 } else { 64 };

/// The leaves, and the index from members to leaves.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) leaves: Leaves,
    pub(super) index: MemberIndex,
}

impl Held {
    /// Moves the members of a leaf from a position on to a new leaf, and returns its number.
    fn split_leaf(&mut self, id: u32, at: usize) -> u32 {
        let other = self.leaves.get_mut(id).split_off(at);
        let hashes: SmallVec<[u32; 128]> = other.slots().iter().map(|slot| slot.hash).collect();
        let new = self.leaves.add(other);
        hashes.into_iter().for_each(|hash| self.index.relocate(hash, id, new));
        new
    }

    /// Moves the members of the leaf `from` to the end of the leaf `id`.
    fn merge_leaves(&mut self, id: u32, from: u32) {
        let Some(other) = self.leaves.remove(from) else { return };
        self.leaves.get_mut(id).append(&other);
        other.slots().iter().for_each(|slot| self.index.relocate(slot.hash, from, id));
    }

    fn put(&mut self, id: u32, at: usize, key: &Key<'_>) {
        self.leaves.get_mut(id).insert(at, key.member, key.score, key.hash);
        self.index.insert(key.hash, id);
    }

    fn put_alone(&mut self, key: &Key<'_>) -> u32 {
        let id = self.leaves.add(ZsetLeaf::default());
        self.put(id, 0, key);
        id
    }
}

/// A member with its score and its hash.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) score: f64,
    pub(super) member: &'a [u8],
    pub(super) hash: u32,
}

/// What a node knows about a child.
#[derive(Clone, Copy)]
struct Child {
    /// The score of the first member below the child.
    score: f64,
    /// The number of members below the child.
    count: usize,
    /// The first leaf below the child; at the lowest level, the child itself.
    first: u32,
}

/// A node. Every child has members.
#[derive(Clone, Default)]
pub(super) struct OrderNode {
    children: Vec<Child>,
    /// The children, unless they are leaves.
    below: Vec<OrderNode>,
}

impl OrderNode {
    fn is_lowest(&self) -> bool {
        self.below.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.children.iter().map(|child| child.count).sum()
    }

    /// The last child whose first member is before a place, or else the first child. The node has children.
    fn choose(&self, leaves: &Leaves, cut: &Cut<'_>) -> usize {
        let others = self.children.get(1..).unwrap_or_default();
        others.partition_point(|child| cut.is_behind(child.score, || leaves.get(child.first).member(0)))
    }

    /// The number of members before a place. O(log n).
    pub(super) fn partition(&self, leaves: &Leaves, cut: &Cut<'_>) -> usize {
        let (mut node, mut before) = (self, 0);
        loop {
            let at = node.choose(leaves, cut);
            before +=
                node.children[..at.min(node.children.len())].iter().map(|child| child.count).sum::<usize>();
            if node.is_lowest() {
                let leaf = node.children.get(at).map(|child| leaves.get(child.first));
                return before + leaf.map_or(0, |leaf| leaf.partition(cut));
            }
            node = &node.below[at];
        }
    }

    /// Updates what the node knows about a child.
    fn refresh(&mut self, leaves: &Leaves, at: usize) {
        let (first, count) = if self.is_lowest() {
            let first = self.children[at].first;
            (first, leaves.get(first).len())
        } else {
            let below = &self.below[at];
            (below.children[0].first, below.count())
        };
        self.children[at] = Child { score: leaves.get(first).slot(0).score, count, first };
    }

    fn add(&mut self, leaves: &Leaves, at: usize, first: u32, below: Option<Self>) {
        self.children.insert(at, Child { score: 0.0, count: 0, first });
        if let Some(below) = below {
            self.below.insert(at, below);
        }
        self.refresh(leaves, at);
    }

    fn split(&mut self) -> Option<Self> {
        if self.children.len() <= CHILDREN {
            return None;
        }
        let middle = self.children.len() / 2;
        let below = if self.is_lowest() { Vec::new() } else { self.below.split_off(middle) };
        Some(Self { children: self.children.split_off(middle), below })
    }

    /// Inserts a new member. `last` says that no node follows this one. Returns a new node that follows this one, if
    /// this one was split.
    fn insert(&mut self, held: &mut Held, key: &Key<'_>, last: bool) -> Option<Self> {
        let at = self.choose(&held.leaves, &Cut::Before(key.score, key.member));
        let last = last && at + 1 >= self.children.len();
        if self.is_lowest() {
            self.insert_here(held, at, key, last);
        } else {
            let other = self.below[at].insert(held, key, last);
            self.refresh(&held.leaves, at);
            if let Some(other) = other {
                self.add(&held.leaves, at + 1, other.children[0].first, Some(other));
            }
        }
        self.split()
    }

    fn insert_here(&mut self, held: &mut Held, at: usize, key: &Key<'_>, last: bool) {
        let Some(id) = self.children.get(at).map(|child| child.first) else {
            let id = held.put_alone(key);
            return self.add(&held.leaves, at, id, None);
        };
        let leaf = held.leaves.get(id);
        let place = leaf.partition(&Cut::Before(key.score, key.member));
        let is_last = place == leaf.len();
        if leaf.has_room(key.member.len()) {
            held.put(id, place, key);
            return self.refresh(&held.leaves, at);
        }
        let next = self.children.get(at + 1).filter(|_| is_last).map(|child| child.first);
        if let Some(next) = next.filter(|next| held.leaves.get(*next).has_room(key.member.len())) {
            held.put(next, 0, key);
            return self.refresh(&held.leaves, at + 1);
        }
        // A long member gets a leaf of its own, so that changes of other members do not move it. A leaf with one member
        // cannot be split, because each half needs at least one.
        let is_long = key.member.len() > BYTES / 2 || leaf.bytes_len() > BYTES || leaf.len() == 1;
        if is_long || last && is_last {
            if place > 0 && !is_last {
                let other = held.split_leaf(id, place);
                self.refresh(&held.leaves, at);
                self.add(&held.leaves, at + 1, other, None);
            }
            let new = held.put_alone(key);
            return self.add(&held.leaves, at + usize::from(place > 0), new, None);
        }
        let middle = leaf.len() / 2;
        let other = held.split_leaf(id, middle);
        if place <= middle {
            held.put(id, place, key);
        } else {
            held.put(other, place - middle, key);
        }
        self.refresh(&held.leaves, at);
        self.add(&held.leaves, at + 1, other, None);
    }

    /// Removes a member that exists.
    fn remove(&mut self, held: &mut Held, key: &Key<'_>) {
        let at = self.choose(&held.leaves, &Cut::Behind(key.score, key.member));
        if self.is_lowest() {
            let Some(id) = self.children.get(at).map(|child| child.first) else { return };
            let place = held.leaves.get(id).partition(&Cut::Before(key.score, key.member));
            held.leaves.get_mut(id).remove(place, place + 1);
            held.index.remove(key.hash, id);
        } else {
            self.below[at].remove(held, key);
        }
        self.settle(held, at);
    }

    /// After members of a child were removed: removes the child if it is empty, or merges it with a neighbour if it is
    /// small.
    fn settle(&mut self, held: &mut Held, at: usize) {
        if self.drop_if_empty(held, at) {
            return;
        }
        self.refresh(&held.leaves, at);
        for left in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if left + 1 < self.children.len() && self.joins(held, at, left) {
                if self.is_lowest() {
                    held.merge_leaves(self.children[left].first, self.children[left + 1].first);
                } else {
                    let mut right = self.below.remove(left + 1);
                    self.below[left].children.append(&mut right.children);
                    self.below[left].below.append(&mut right.below);
                }
                self.children.remove(left + 1);
                return self.refresh(&held.leaves, left);
            }
        }
    }

    /// Whether the child `small` is so small that the children `left` and `left + 1` should be merged.
    fn joins(&self, held: &Held, small: usize, left: usize) -> bool {
        if self.is_lowest() {
            let leaf = |at: usize| held.leaves.get(self.children[at].first);
            leaf(small).is_small() && leaf(left).takes(leaf(left + 1))
        } else {
            let children = |at: usize| self.below[at].children.len();
            children(small) < CHILDREN / 4 && children(left) + children(left + 1) <= CHILDREN / 4 * 3
        }
    }

    fn drop_if_empty(&mut self, held: &mut Held, at: usize) -> bool {
        let empty = if self.is_lowest() {
            let id = self.children[at].first;
            held.leaves.get(id).is_empty() && held.leaves.remove(id).is_some()
        } else {
            self.below[at].children.is_empty()
        };
        if empty {
            self.children.remove(at);
            if !self.below.is_empty() {
                self.below.remove(at);
            }
        }
        empty
    }

    /// Removes the members of a range of ranks, and calls `gone` with each.
    fn remove_range(&mut self, held: &mut Held, from: usize, to: usize, gone: &mut dyn FnMut(&[u8], f64)) {
        let mut start = self.count();
        let lowest = self.is_lowest();
        for at in (0..self.children.len()).rev() {
            let end = start;
            start -= self.children[at].count;
            let (a, b) = (from.clamp(start, end) - start, to.clamp(start, end) - start);
            if a == b {
                continue;
            }
            if lowest {
                let id = self.children[at].first;
                let leaf = held.leaves.get(id);
                for place in a..b {
                    let (member, score) = leaf.get(place);
                    gone(member, score);
                    held.index.remove(leaf.slot(place).hash, id);
                }
                if a == 0 && b == leaf.len() {
                    held.leaves.remove(id);
                    self.children.remove(at);
                    continue;
                }
                held.leaves.get_mut(id).remove(a, b);
            } else {
                self.below[at].remove_range(held, a, b, gone);
                if self.drop_if_empty(held, at) {
                    continue;
                }
            }
            self.refresh(&held.leaves, at);
        }
        let mut before = 0;
        let ends = self.children.iter().take_while(|child| {
            before += child.count;
            before <= from
        });
        let at = ends.count();
        for at in [at, at.wrapping_sub(1)] {
            if at < self.children.len() {
                self.settle(held, at);
            }
        }
    }
}

/// Changes of the whole tree.
impl OrderNode {
    /// Inserts a new member. O(log n).
    pub(super) fn insert_at_root(&mut self, held: &mut Held, key: &Key<'_>) {
        if let Some(other) = self.insert(held, key, true) {
            let left = std::mem::take(self);
            let firsts = [left.children[0].first, other.children[0].first];
            self.add(&held.leaves, 0, firsts[0], Some(left));
            self.add(&held.leaves, 1, firsts[1], Some(other));
        }
    }

    /// Removes a member that exists. O(log n).
    pub(super) fn remove_at_root(&mut self, held: &mut Held, key: &Key<'_>) {
        self.remove(held, key);
        self.lower();
    }

    /// Removes the members of a range of ranks, and calls `gone` with each. O(log n + members that are removed).
    pub(super) fn remove_range_at_root(
        &mut self,
        held: &mut Held,
        from: usize,
        to: usize,
        gone: &mut dyn FnMut(&[u8], f64),
    ) {
        self.remove_range(held, from, to, gone);
        self.lower();
    }

    /// Removes levels with only one node.
    fn lower(&mut self) {
        while self.below.len() == 1 {
            let Some(only) = self.below.pop() else { return };
            *self = only;
        }
        if self.children.is_empty() {
            *self = Self::default();
        }
    }

    /// The bytes that the tree has on the heap.
    pub(super) fn memory(&self) -> usize {
        use crate::value::heap::block;
        block(self.children.capacity() * size_of::<Child>())
            + block(self.below.capacity() * size_of::<Self>())
            + self.below.iter().map(Self::memory).sum::<usize>()
    }
}

/// Members in ascending or descending order.
#[derive(Clone)]
pub struct MemberRange<'a> {
    leaves: &'a Leaves,
    /// The nodes above the leaf, with the number of the child on the path in each.
    path: SmallVec<[(&'a OrderNode, usize); 6]>,
    leaf: &'a ZsetLeaf,
    at: usize,
    left: usize,
    backward: bool,
}

impl<'a> MemberRange<'a> {
    /// At most `count` members from a rank on, upwards or downwards. The rank exists, or `count` is 0.
    pub(super) fn new(
        root: &'a OrderNode,
        leaves: &'a Leaves,
        rank: usize,
        count: usize,
        backward: bool,
    ) -> Self {
        let (mut node, mut at) = (root, rank);
        let mut path: SmallVec<[(&OrderNode, usize); 6]> = SmallVec::new();
        loop {
            let mut child = 0;
            while let Some(next) = node.children.get(child).filter(|next| at >= next.count) {
                at -= next.count;
                child += 1;
            }
            path.push((node, child));
            match node.below.get(child) {
                Some(below) => node = below,
                None => break,
            }
        }
        let leaf = path.last().and_then(|(node, child)| node.children.get(*child));
        let leaf = leaf.map_or(leaves.get(u32::MAX), |child| leaves.get(child.first));
        let left = if at < leaf.len() { count } else { 0 };
        Self { leaves, path, leaf, at, left, backward }
    }

    /// Moves on to the next leaf. Returns whether there is one.
    fn next_leaf(&mut self) -> bool {
        while let Some((node, child)) = self.path.last_mut() {
            let next = if self.backward { child.checked_sub(1) } else { Some(*child + 1) };
            let Some(next) = next.filter(|next| *next < node.children.len()) else {
                self.path.pop();
                continue;
            };
            *child = next;
            let (mut node, mut child) = (*node, next);
            while let Some(below) = node.below.get(child) {
                node = below;
                child = if self.backward { node.children.len() - 1 } else { 0 };
                self.path.push((node, child));
            }
            self.leaf = self.leaves.get(node.children[child].first);
            self.at = if self.backward { self.leaf.len() - 1 } else { 0 };
            return true;
        }
        false
    }
}

impl<'a> Iterator for MemberRange<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let found = self.leaf.get(self.at);
        self.left -= 1;
        let ends = if self.backward { self.at == 0 } else { self.at + 1 == self.leaf.len() };
        if ends {
            if self.left > 0 && !self.next_leaf() {
                self.left = 0;
            }
        } else if self.backward {
            self.at -= 1;
        } else {
            self.at += 1;
        }
        Some(found)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}
