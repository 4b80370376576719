//! The large form: each member is stored once, in leaves that a tree orders. An index finds a member's leaf by the
//! member's hash.
//!
//! Leaves and the index's parts are shared (`Arc`) with images and copies of the set. A change copies a shared one
//! first.

use super::cut::Cut;
use super::leaves::LeavesSnapshot;
use super::order::{Held, Key, MemberRange, OrderNode};
use super::packed_members;
use crate::env::prefetch::prefetch;
use crate::value::ElementHint;
use crate::value::shared::OwnStep;
use ahash::RandomState;

/// A sorted set above the thresholds of the packed form. A member takes some 41 bytes beside its name, 8 of them for
/// the score.
#[derive(Clone)]
pub struct BigZset {
    root: OrderNode,
    held: Held,
    state: RandomState,
    len: usize,
}

impl Default for BigZset {
    fn default() -> Self {
        Self { root: OrderNode::default(), held: Held::default(), state: RandomState::new(), len: 0 }
    }
}

/// What is needed to undo one change: a member and its former score, `None` if it did not exist.
pub struct ZsetInverse {
    member: Box<[u8]>,
    score: Option<f64>,
}

/// What a step of a walk found, and the cursor of the next step; 0 ends the walk.
pub struct ZsetWalk<'a> {
    /// Members and their scores.
    pub found: Vec<(&'a [u8], f64)>,
    /// The next step's cursor, below 2^32.
    pub next: u64,
}

impl BigZset {
    /// Makes a set of a packed one.
    pub fn from_packed(packed: &[u8]) -> Self {
        let mut set = Self::default();
        for m in packed_members(packed) {
            set.set(m.member, m.score);
        }
        set
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn hash(&self, member: &[u8]) -> u32 {
        (self.state.hash_one(member) >> 32) as u32
    }

    /// The leaf of a member, and its place there.
    #[inline]
    fn find(&self, hash: u32, member: &[u8]) -> Option<(u32, usize)> {
        self.held.index.find(hash, |id| self.held.leaves.get(id).find(hash, member).map(|at| (id, at)))
    }

    /// A member's score. O(1).
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        let (id, at) = self.find(self.hash(member), member)?;
        Some(self.held.leaves.get(id).slot(at).score)
    }

    /// The first step before a lookup that is known to come: where the member probably is.
    #[inline]
    pub fn foresee(&self, member: &[u8]) -> Option<ElementHint> {
        let leaf = self.held.index.foresee(self.hash(member))?;
        prefetch(self.held.leaves.get(leaf));
        Some(ElementHint { part: 0, at: leaf as usize })
    }

    /// The second step: prefetches the leaf of the member.
    #[inline]
    pub fn prefetch(&self, hint: ElementHint) {
        self.held.leaves.get(hint.at as u32).prefetch();
    }

    /// Gives a member a score. Returns the former score if the member existed. O(log n); O(1) if the member stays at
    /// its place.
    pub fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let hash = self.hash(member);
        let Some((id, at)) = self.find(hash, member) else {
            self.root.insert_at_root(&mut self.held, &Key { score, member, hash });
            self.len += 1;
            return None;
        };
        let leaf = self.held.leaves.get(id);
        let before = leaf.slot(at).score;
        // The first member of a leaf is excluded, because nodes know its score, and the last one, because the next
        // member is in another leaf.
        let stays = at > 0
            && at + 1 < leaf.len()
            && Cut::Before(score, member).is_behind(leaf.slot(at - 1).score, || leaf.member(at - 1))
            && !Cut::Behind(score, member).is_behind(leaf.slot(at + 1).score, || leaf.member(at + 1));
        if stays {
            self.held.leaves.get_mut(id).set_score(at, score);
        } else {
            self.root.remove_at_root(&mut self.held, &Key { score: before, member, hash });
            self.root.insert_at_root(&mut self.held, &Key { score, member, hash });
        }
        Some(before)
    }

    /// Removes a member. Returns its score if it existed. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.hash(member);
        let (id, at) = self.find(hash, member)?;
        let score = self.held.leaves.get(id).slot(at).score;
        self.root.remove_at_root(&mut self.held, &Key { score, member, hash });
        self.len -= 1;
        Some(score)
    }

    /// Removes the members of a range of ranks and calls `gone` with each. O(log n + members that are removed).
    pub fn remove_range(&mut self, from: usize, to: usize, gone: &mut dyn FnMut(&[u8], f64)) {
        let to = to.min(self.len);
        if from < to {
            self.root.remove_range_at_root(&mut self.held, from, to, gone);
            self.len -= to - from;
        }
    }

    /// The number of members before a place in the order. O(log n).
    pub fn partition(&self, cut: &Cut<'_>) -> usize {
        self.root.partition(&self.held.leaves, cut)
    }

    /// At most `count` members from a rank on, upwards or downwards. O(log n + count).
    pub fn range(&self, rank: usize, count: usize, backward: bool) -> MemberRange<'_> {
        MemberRange::new(&self.root, &self.held.leaves, rank, count, backward)
    }

    /// About `count` members from a cursor on, in an order that depends only on the members: a walk finds every member
    /// that exists during the whole walk, whatever other changes are made. O(count).
    pub fn walk(&self, cursor: u64, count: usize) -> ZsetWalk<'_> {
        let mut found = Vec::new();
        let next = self.held.index.walk(cursor, count, |entry| {
            let leaf = self.held.leaves.get(entry.leaf);
            let alike = leaf.slots().iter().enumerate().filter(|(_, slot)| slot.hash == entry.hash);
            found.extend(alike.map(|(at, _)| leaf.get(at)));
        });
        ZsetWalk { found, next }
    }

    /// As [`BigZset::set`]; also adds to `kept` what undoes the change.
    pub fn set_kept(&mut self, member: &[u8], score: f64, kept: &mut Vec<ZsetInverse>) -> Option<f64> {
        let before = self.set(member, score);
        kept.push(ZsetInverse { member: member.into(), score: before });
        before
    }

    /// As [`BigZset::remove`]; also adds to `kept` what undoes the change.
    pub fn remove_kept(&mut self, member: &[u8], kept: &mut Vec<ZsetInverse>) -> Option<f64> {
        let before = self.remove(member)?;
        kept.push(ZsetInverse { member: member.into(), score: Some(before) });
        Some(before)
    }

    /// As [`BigZset::remove_range`]; also adds to `kept` what undoes the change.
    pub fn remove_range_kept(&mut self, from: usize, to: usize, kept: &mut Vec<ZsetInverse>) {
        self.remove_range(from, to, &mut |member, score| {
            kept.push(ZsetInverse { member: member.into(), score: Some(score) });
        });
    }

    /// Undoes a change. All later changes must have been undone.
    pub fn revert(&mut self, inverse: &ZsetInverse) {
        match inverse.score {
            Some(score) => drop(self.set(&inverse.member, score)),
            None => drop(self.remove(&inverse.member)),
        }
    }

    /// An image of the set. O(members / 8,000).
    pub fn image(&self) -> ZsetSnapshot {
        ZsetSnapshot(self.held.leaves.snapshot())
    }

    /// Copies leaves and parts of the index that another sorted set has too, from a number on, until they come to so
    /// many bytes. O(members of these)
    pub fn own(&mut self, from: usize, most: usize) -> OwnStep {
        let end = self.held.index.parts().max(self.held.leaves.end() as usize);
        let mut owned = OwnStep { next: Some(from), bytes: 0, copied: false };
        let mut at = from;
        while at < end && owned.bytes < most {
            for (bytes, shared) in [self.held.leaves.own(at as u32), self.held.index.own(at)] {
                owned.bytes += bytes;
                owned.copied |= shared;
            }
            at += 1;
        }
        owned.next = Some(at).filter(|at| *at < end);
        owned
    }

    /// Approximate bytes allocated, from a sample of leaves (0 for all).
    pub fn memory(&self, samples: usize) -> usize {
        self.root.memory() + self.held.leaves.memory(samples) + self.held.index.memory()
    }
}

/// A sorted set as it was at a moment. Its leaves are read in no particular order.
pub struct ZsetSnapshot(LeavesSnapshot);

impl ZsetSnapshot {
    /// Calls `visit` with the members of one leaf; false if none is left.
    pub fn read_leaf(&mut self, mut visit: impl FnMut(&[u8], f64)) -> bool {
        let Some(leaf) = self.0.next() else { return false };
        (0..leaf.len()).for_each(|at| {
            let (member, score) = leaf.get(at);
            visit(member, score);
        });
        true
    }
}

#[cfg(test)]
impl BigZset {
    /// Panics unless all parts agree with each other.
    pub(super) fn assert_sound(&self) {
        let mut before: Option<(Vec<u8>, f64)> = None;
        let mut seen = 0;
        for (member, score) in self.range(0, usize::MAX, false) {
            assert_eq!(self.score(member).map(f64::to_bits), Some(score.to_bits()));
            if let Some((last, at)) = &before {
                assert!(super::compare((*at, last), (score, member)).is_lt());
            }
            assert_eq!(self.partition(&Cut::Before(score, member)), seen);
            before = Some((member.to_vec(), score));
            seen += 1;
        }
        assert_eq!((seen, self.root.count()), (self.len, self.len));
        assert_eq!(self.held.leaves.iter().map(super::leaf::ZsetLeaf::len).sum::<usize>(), self.len);
        assert_eq!(self.range(self.len.saturating_sub(1), usize::MAX, true).count(), self.len);
    }

    /// Whether a member is where a hint says.
    pub(super) fn is_in_leaf(&self, member: &[u8], hint: ElementHint) -> bool {
        self.held.leaves.get(hint.at as u32).find(self.hash(member), member).is_some()
    }

    /// The number of leaves.
    pub(super) fn leaves(&self) -> usize {
        self.held.leaves.len()
    }
}
