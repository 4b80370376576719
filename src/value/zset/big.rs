//! The large form: members stand once, in leaves that are ordered by a tree; an index finds a member's leaf by its
//! hash.
//!
//! Leaves and the index's parts are shared (`Arc`) with images and copies of the set. Who changes one that is shared
//! copies it first.

use super::cut::Cut;
use super::leaves::Leaves;
use super::order::{Held, Key, Node, Range};
use super::packed_members;
use ahash::RandomState;

/// A sorted set above the compact thresholds: some 41 bytes a member beside its own, of which 8 are the score.
#[derive(Clone)]
pub struct BigZset {
    root: Node,
    held: Held,
    state: RandomState,
    len: usize,
}

impl Default for BigZset {
    fn default() -> Self {
        Self { root: Node::default(), held: Held::default(), state: RandomState::new(), len: 0 }
    }
}

/// What takes one change back: a member, and the score that it had, if it was there.
pub struct Inverse {
    member: Box<[u8]>,
    score: Option<f64>,
}

/// What a step of a walk came upon, and the cursor of the next step; 0 ends the walk.
pub struct Walk<'a> {
    /// Members and their scores.
    pub found: Vec<(&'a [u8], f64)>,
    /// The next step's cursor, below 2^32.
    pub next: u64,
}

impl BigZset {
    /// Takes over a packed sorted set.
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

    /// Whether no member is left.
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

    /// Gives a member a score; the one that it had, if it was there. O(log n), O(1) where its place stays the same.
    pub fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let hash = self.hash(member);
        let Some((id, at)) = self.find(hash, member) else {
            self.root.insert_at_root(&mut self.held, &Key { score, member, hash });
            self.len += 1;
            return None;
        };
        let leaf = self.held.leaves.get(id);
        let before = leaf.slot(at).score;
        // Not the first of its leaf, whose score nodes know, and not the last, whose neighbour is elsewhere.
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

    /// Removes a member; the score that it had, if it was there. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.hash(member);
        let (id, at) = self.find(hash, member)?;
        let score = self.held.leaves.get(id).slot(at).score;
        self.root.remove_at_root(&mut self.held, &Key { score, member, hash });
        self.len -= 1;
        Some(score)
    }

    /// Removes the members of a range of ranks, and calls `gone` with each. O(log n + what goes).
    pub fn remove_range(&mut self, from: usize, to: usize, gone: &mut dyn FnMut(&[u8], f64)) {
        let to = to.min(self.len);
        if from < to {
            self.root.remove_range_at_root(&mut self.held, from, to, gone);
            self.len -= to - from;
        }
    }

    /// How many members lie before a place in the order. O(log n).
    pub fn partition(&self, cut: &Cut<'_>) -> usize {
        self.root.partition(&self.held.leaves, cut)
    }

    /// So many members from a rank on, upwards or downwards. O(log n + count).
    pub fn range(&self, rank: usize, count: usize, backward: bool) -> Range<'_> {
        Range::new(&self.root, &self.held.leaves, rank, count, backward)
    }

    /// About so many members from a cursor on, in an order that depends on members alone: a walk comes upon all that
    /// are there throughout, whatever else happens. O(count).
    pub fn walk(&self, cursor: u64, count: usize) -> Walk<'_> {
        let mut found = Vec::new();
        let next = self.held.index.walk(cursor, count, |entry| {
            let leaf = self.held.leaves.get(entry.leaf);
            let alike = leaf.slots().iter().enumerate().filter(|(_, slot)| slot.hash == entry.hash);
            found.extend(alike.map(|(at, _)| leaf.get(at)));
        });
        Walk { found, next }
    }

    /// As [`BigZset::set`], and adds what takes it back.
    pub fn set_kept(&mut self, member: &[u8], score: f64, kept: &mut Vec<Inverse>) -> Option<f64> {
        let before = self.set(member, score);
        kept.push(Inverse { member: member.into(), score: before });
        before
    }

    /// As [`BigZset::remove`], and adds what takes it back.
    pub fn remove_kept(&mut self, member: &[u8], kept: &mut Vec<Inverse>) -> Option<f64> {
        let before = self.remove(member)?;
        kept.push(Inverse { member: member.into(), score: Some(before) });
        Some(before)
    }

    /// As [`BigZset::remove_range`], and adds what takes it back.
    pub fn remove_range_kept(&mut self, from: usize, to: usize, kept: &mut Vec<Inverse>) {
        self.remove_range(from, to, &mut |member, score| {
            kept.push(Inverse { member: member.into(), score: Some(score) });
        });
    }

    /// Takes a change back, all later ones having been taken back.
    pub fn revert(&mut self, inverse: &Inverse) {
        match inverse.score {
            Some(score) => drop(self.set(&inverse.member, score)),
            None => drop(self.remove(&inverse.member)),
        }
    }

    /// An image of the set, in O(1) for every 8,000 members.
    pub fn image(&self) -> Image {
        Image { leaves: self.held.leaves.clone(), next: 0 }
    }

    /// Approximate bytes allocated, from a sample of leaves (0 for all).
    pub fn memory(&self, samples: usize) -> usize {
        self.root.memory() + self.held.leaves.memory(samples) + self.held.index.memory()
    }
}

/// A sorted set as it was at a moment, to be read leaf by leaf in any order.
pub struct Image {
    leaves: Leaves,
    next: u32,
}

impl Image {
    /// Calls `visit` with the members of one leaf; false if none is left.
    pub fn read_leaf(&mut self, mut visit: impl FnMut(&[u8], f64)) -> bool {
        while self.next < self.leaves.end() {
            let leaf = self.leaves.get(self.next);
            self.next += 1;
            if !leaf.is_empty() {
                (0..leaf.len()).for_each(|at| {
                    let (member, score) = leaf.get(at);
                    visit(member, score);
                });
                return true;
            }
        }
        false
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
        assert_eq!(self.held.leaves.iter().map(super::leaf::Leaf::len).sum::<usize>(), self.len);
        assert_eq!(self.range(self.len.saturating_sub(1), usize::MAX, true).count(), self.len);
    }

    /// How many leaves there are.
    pub(super) fn leaves(&self) -> usize {
        self.held.leaves.len()
    }
}
