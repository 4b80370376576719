//! Large hashes and sets: named elements in parts. As the number of elements grows, parts are split one at a time, so
//! that no write moves the elements of more than one part.
//!
//! # Splitting
//! There are enough parts to keep the average below `FULL` elements. An element's part follows from its name's hash:
//! with `n` parts it is the hash modulo the next power of two, or modulo half of that if the former part does not exist
//! yet (linear hashing). The next part takes all its elements from one existing part, which the number of parts
//! determines. Parts are never merged; an empty part frees its memory.
//!
//! # Walks
//! A walk visits the parts in the order of their bit-reversed numbers, in which a new part directly follows the part
//! from which it takes its elements. It visits each part from its last position down. A walk misses no element that
//! stays. A removal moves the last element of the part into the hole: that element was visited already, or it moves
//! from one unvisited position to another. A split moves elements to the part that comes next in the walk; the others
//! keep their order, and none gets a higher position. An element may be visited twice. Elements that a split moves
//! behind the walk stay behind it, so a walk ends even if elements are added all the time.
//!
//! # Copies
//! A copy shares the parts. A change of a part that another value shares copies that part first. So a copy costs
//! O(parts), and the first change of a part afterwards takes some 0.5 ms, unless [`Parted::own`] has copied it before.
//!
//! # Taking changes back
//! A change can be taken back exactly: the elements, their order and their distribution over parts are afterwards the
//! same as before the change, so walks are not disturbed.

use super::heap;
use super::hint::ElementHint;
use super::shared::OwnStep;
use ahash::RandomState;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// How many elements a part has on average before a part is added. The fullest parts have twice as many, which fit an
/// index of 4096 buckets. Tests use a small number to get many parts.
pub(super) const FULL: usize = if cfg!(test) { 16 } else { 1700 };

/// One part: elements by name, and by position. Their order depends only on the changes made.
pub trait Part: Clone {
    /// An element as a reader sees it.
    type Ref<'a>
    where
        Self: 'a;
    /// An element by itself.
    type Element;
    /// What the container keeps about a part beside its length. The default stands for a missing part.
    type State: Copy + Default + PartialEq;
    /// What the container keeps about all parts together.
    type Whole: Clone + Default;

    /// An empty part that hashes names with `state`.
    fn new(state: RandomState) -> Self;

    /// The number of elements.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part's present state.
    fn state(&self) -> Self::State;

    /// Notes that a part's state has changed.
    fn note(whole: &mut Self::Whole, part: usize, before: Self::State, after: Self::State);

    /// The element of a name. O(1).
    fn get(&self, name: &[u8]) -> Option<Self::Ref<'_>>;

    /// The first step of a hint: the position of an element whose name's hash looks like this name's, from the index
    /// alone. It prefetches what [`Part::prefetch`] reads.
    fn foresee(&self, name: &[u8]) -> Option<usize>;

    /// The second step of a hint: prefetches the element at a position.
    fn prefetch(&self, index: usize);

    /// The element at a position. O(1).
    fn at(&self, index: usize) -> Option<Self::Ref<'_>>;

    /// The elements in their order.
    fn iter(&self) -> impl Iterator<Item = Self::Ref<'_>>;

    /// Takes an element out and returns it with its position. The last element moves to that position. O(1).
    fn take(&mut self, name: &[u8]) -> Option<(usize, Self::Element)>;

    /// Puts an element back to the position from which it was taken; the element there moves back to the end.
    fn put_back(&mut self, index: usize, element: Self::Element);

    /// Replaces the element with the same name and returns the old one. If there is none, the new element is dropped.
    fn exchange(&mut self, element: Self::Element) -> Option<Self::Element>;

    /// Removes the last element.
    fn drop_last(&mut self);

    /// Moves the elements for whose names `leaves` is true to a new part. Returns it, and for each position whether its
    /// element was moved. Both parts keep the order.
    fn split(&mut self, leaves: impl Fn(&[u8]) -> bool) -> (Self, Vec<bool>);

    /// Takes back the elements that a split moved to `other`, each to its old position.
    fn unsplit(&mut self, other: Self, moved: &[bool]);

    /// Approximate bytes allocated, from a sample of elements.
    fn memory(&self, samples: usize) -> usize;

    /// The bytes allocated for [`Part::Whole`].
    fn memory_of_whole(whole: &Self::Whole) -> usize;
}

/// Elements in parts, which copies share.
#[derive(Clone)]
pub struct Parted<P: Part> {
    parts: SmallVec<[Arc<P>; 1]>,
    state: RandomState,
    len: usize,
    /// The most elements that a part ever had.
    fullest: usize,
    whole: P::Whole,
}

impl<P: Part> Default for Parted<P> {
    fn default() -> Self {
        let state = RandomState::new();
        let parts = smallvec![Arc::new(P::new(state.clone()))];
        Self { parts, state, len: 0, fullest: 0, whole: P::Whole::default() }
    }
}

/// The position of a walk: its part, and how many positions are left in that part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    part: usize,
    left: usize,
}

impl Place {
    const LEFT_BITS: u32 = 20;
    /// The whole part is left, with as many positions as it has when it is visited.
    const ALL: usize = (1 << Self::LEFT_BITS) - 1;

    fn of_cursor(cursor: u64) -> Self {
        if cursor == 0 {
            return Self { part: 0, left: Self::ALL };
        }
        let part = usize::try_from(cursor >> Self::LEFT_BITS).unwrap_or(usize::MAX);
        Self { part, left: cursor as usize & Self::ALL }
    }

    fn cursor(self) -> u64 {
        (self.part as u64) << Self::LEFT_BITS | self.left as u64
    }
}

/// One step of a walk.
#[derive(Clone, Copy, Debug)]
pub struct WalkStep {
    from: Place,
    /// Where the next step begins.
    to: Option<Place>,
}

impl WalkStep {
    /// The cursor of the next step; 0 ends the walk.
    pub fn next(self) -> u64 {
        self.to.map_or(0, Place::cursor)
    }
}

/// The inverse of one change. Changes are taken back from the last to the first.
pub struct PartInverse<E>(Change<E>);

enum Change<E> {
    /// An element of a part was replaced; this is the old one.
    Set(usize, E),
    /// An element was added at the end of a part.
    Added(usize),
    /// An element was taken out of a part; the part's last element moved to its position.
    Removed { part: usize, index: usize, element: E },
    /// A part was added. The flags tell which elements of the split part moved to it.
    Split(Vec<bool>),
}

impl<P: Part> Parted<P> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no element is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn parts(&self) -> &[Arc<P>] {
        &self.parts
    }

    pub(super) fn whole(&self) -> &P::Whole {
        &self.whole
    }

    /// The part of a name among `parts` parts. The index within a part uses other bits of the hash.
    #[inline]
    fn home(state: &RandomState, name: &[u8], parts: usize) -> usize {
        if parts == 1 {
            return 0;
        }
        let hash = (state.hash_one(name) >> 24) as usize;
        let mask = parts.next_power_of_two() - 1;
        let home = hash & mask;
        if home < parts { home } else { home & mask >> 1 }
    }

    #[inline]
    pub(super) fn part_of(&self, name: &[u8]) -> usize {
        Self::home(&self.state, name, self.parts.len())
    }

    /// Changes a part, and updates what the container keeps about all parts. A part that another value shares is copied
    /// first.
    #[inline]
    pub(super) fn change<T>(&mut self, part: usize, change: impl FnOnce(&mut P) -> T) -> T {
        let it = Arc::make_mut(&mut self.parts[part]);
        let (len, before) = (it.len(), it.state());
        let result = change(it);
        self.len = self.len - len + it.len();
        self.fullest = self.fullest.max(it.len());
        let after = it.state();
        if before != after {
            P::note(&mut self.whole, part, before, after);
        }
        result
    }

    /// The element of a name. O(1).
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<P::Ref<'_>> {
        self.parts[self.part_of(name)].get(name)
    }

    /// The first step before a lookup that is known to come: where the element probably is.
    #[inline]
    pub fn foresee(&self, name: &[u8]) -> Option<ElementHint> {
        let part = self.part_of(name);
        Some(ElementHint { part, at: self.parts.get(part)?.foresee(name)? })
    }

    /// The second step: prefetches the element.
    #[inline]
    pub fn prefetch(&self, hint: ElementHint) {
        self.parts.get(hint.part).into_iter().for_each(|part| part.prefetch(hint.at));
    }

    /// The elements by number, in their order.
    pub fn numbered(&self) -> Numbered<'_, P> {
        let ends = self.parts.iter().scan(0, |end, part| {
            *end += part.len();
            Some(*end)
        });
        Numbered { parted: self, ends: ends.collect() }
    }

    /// A random element; `below` draws a number below its argument. Expected O(1), but O(parts) if most elements were
    /// removed.
    pub fn any(&self, mut below: impl FnMut(u64) -> u64) -> Option<P::Ref<'_>> {
        if self.len == 0 {
            return None;
        }
        // Every position that any part may have is equally likely.
        let slots = if self.parts.len() == 1 { self.len } else { self.fullest };
        for _ in 0..64 {
            let part = &self.parts[below(self.parts.len() as u64) as usize];
            if let Some(element) = part.at(below(slots as u64) as usize) {
                return Some(element);
            }
        }
        self.numbered().at(below(self.len as u64) as usize)
    }

    /// Walks all elements.
    pub fn iter(&self) -> impl Iterator<Item = P::Ref<'_>> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// Removes an element. Returns it, or `None` if it does not exist. O(1).
    pub(super) fn take(&mut self, name: &[u8]) -> Option<P::Element> {
        self.change(self.part_of(name), |part| part.take(name)).map(|(_, element)| element)
    }

    /// Adds a part if the others are full. Returns which elements of the split part moved to it.
    pub(super) fn split_if_full(&mut self) -> Option<Vec<bool>> {
        (self.len > self.parts.len() * FULL).then(|| self.split())
    }

    /// Adds a part; it takes its elements from the part that has had them.
    fn split(&mut self) -> Vec<bool> {
        let new = self.parts.len();
        let from = new - (1 << new.ilog2());
        let state = self.state.clone();
        let leaves = |name: &[u8]| Self::home(&state, name, new + 1) == new;
        let before = self.parts[from].state();
        let (other, moved) = Arc::make_mut(&mut self.parts[from]).split(leaves);
        P::note(&mut self.whole, from, before, self.parts[from].state());
        P::note(&mut self.whole, new, P::State::default(), other.state());
        self.parts.push(Arc::new(other));
        moved
    }

    /// Undoes the last split: gives the last part's elements back. The other elements must be as they were right after
    /// the split.
    fn unsplit(&mut self, moved: &[bool]) {
        let Some(other) = self.parts.pop() else { return };
        let new = self.parts.len();
        let from = new - (1 << new.ilog2());
        P::note(&mut self.whole, new, other.state(), P::State::default());
        let before = self.parts[from].state();
        Arc::make_mut(&mut self.parts[from]).unsplit(Arc::unwrap_or_clone(other), moved);
        P::note(&mut self.whole, from, before, self.parts[from].state());
    }

    /// The part after this one in a walk.
    fn next_part(&self, part: usize) -> Option<usize> {
        let parts = self.parts.len();
        // `round` bits of the hash select the part, and one bit more if the part was split in this round already.
        let round = parts.ilog2();
        let split = part >> round != 0 || part | 1 << round < parts;
        let unused = usize::MAX.checked_shl(round + u32::from(split)).unwrap_or(0);
        let next = (part | unused).reverse_bits().wrapping_add(1).reverse_bits();
        (next != 0).then_some(next)
    }

    /// One step of a walk that survives changes between its steps: about `count` positions (at least one), from the
    /// cursor on that the step before gave, or from 0. Any number is fine as a cursor.
    pub fn step(&self, cursor: u64, count: usize) -> WalkStep {
        let from = Place::of_cursor(cursor);
        let mut place = from;
        let mut budget = count.max(1);
        while let Some(part) = self.parts.get(place.part) {
            if budget == 0 {
                return WalkStep { from, to: Some(place) };
            }
            let top = place.left.min(part.len());
            let take = top.min(budget);
            // An empty part counts as one position.
            budget -= take.max(1);
            if top > take {
                place.left = top - take;
                continue;
            }
            let Some(part) = self.next_part(place.part) else { break };
            place = Place { part, left: Place::ALL };
        }
        WalkStep { from, to: None }
    }

    /// The elements of a step.
    pub fn in_step(&self, step: WalkStep) -> impl Iterator<Item = P::Ref<'_>> {
        let WalkStep { from, to } = step;
        let last = to.map(|to| to.part);
        let first = (from.part < self.parts.len()).then_some(from.part);
        let numbers =
            std::iter::successors(
                first,
                move |part| {
                    if last == Some(*part) { None } else { self.next_part(*part) }
                },
            );
        numbers.flat_map(move |number| {
            let part = &self.parts[number];
            let top = if number == from.part { from.left.min(part.len()) } else { part.len() };
            let low = to.filter(|to| to.part == number).map_or(0, |to| to.left);
            (low..top).rev().filter_map(|index| part.at(index))
        })
    }

    /// Approximate bytes allocated, from a sample of elements (0 for all).
    pub fn memory(&self, samples: usize) -> usize {
        let samples = if samples == 0 { self.len } else { samples.div_ceil(self.parts.len()) };
        let parts: usize = self.parts.iter().map(|it| Self::memory_of(it, samples)).sum();
        let own = if self.parts.spilled() { self.parts.capacity() * size_of::<Arc<P>>() } else { 0 };
        parts + P::memory_of_whole(&self.whole) + heap::block(own)
    }

    fn memory_of(part: &P, samples: usize) -> usize {
        // The two counters of an `Arc` are before the part.
        heap::block(2 * size_of::<usize>() + size_of::<P>()) + part.memory(samples)
    }

    /// Copies a part if another value shares it. O(elements of a part), some 0.5 ms.
    pub fn own(&mut self, number: usize) -> OwnStep {
        const SAMPLES: usize = 16;
        let count = self.parts.len();
        let Some(part) = self.parts.get_mut(number) else {
            return OwnStep { next: None, bytes: 0, copied: false };
        };
        let copied = Arc::get_mut(part).is_none();
        let bytes = Self::memory_of(Arc::make_mut(part), SAMPLES);
        OwnStep { next: Some(number + 1).filter(|next| *next < count), bytes, copied }
    }
}

/// Changes that can be taken back.
impl<P: Part> Parted<P> {
    /// As [`Part::exchange`] in a part; pushes the inverse change to `kept`. Returns whether an element had the name.
    pub(super) fn exchange_kept(
        &mut self,
        part: usize,
        element: P::Element,
        kept: &mut Vec<PartInverse<P::Element>>,
    ) -> bool {
        let old = self.change(part, |part| part.exchange(element));
        let found = old.is_some();
        kept.extend(old.map(|old| PartInverse(Change::Set(part, old))));
        found
    }

    /// Pushes the inverse of the addition of an element to a part. Then adds a part if the others are full.
    pub(super) fn added_kept(&mut self, part: usize, kept: &mut Vec<PartInverse<P::Element>>) {
        kept.push(PartInverse(Change::Added(part)));
        if let Some(moved) = self.split_if_full() {
            kept.push(PartInverse(Change::Split(moved)));
        }
    }

    /// As [`Parted::take`]; pushes the inverse change to `kept`. Returns whether the element existed.
    pub(super) fn take_kept(&mut self, name: &[u8], kept: &mut Vec<PartInverse<P::Element>>) -> bool {
        let part = self.part_of(name);
        let Some((index, element)) = self.change(part, |part| part.take(name)) else { return false };
        kept.push(PartInverse(Change::Removed { part, index, element }));
        true
    }

    /// Takes a change back. All later changes must have been taken back before.
    pub fn revert(&mut self, inverse: PartInverse<P::Element>) {
        match inverse.0 {
            Change::Set(part, old) => drop(self.change(part, |part| part.exchange(old))),
            Change::Added(part) => self.change(part, P::drop_last),
            Change::Removed { part, index, element } => {
                self.change(part, |part| part.put_back(index, element));
            }
            Change::Split(moved) => self.unsplit(&moved),
        }
    }
}

/// Elements by number.
pub struct Numbered<'a, P: Part> {
    parted: &'a Parted<P>,
    /// How many elements there are up to the end of each part.
    ends: SmallVec<[usize; 1]>,
}

impl<'a, P: Part> Numbered<'a, P> {
    /// An element. O(log parts).
    pub fn at(&self, number: usize) -> Option<P::Ref<'a>> {
        let part = self.ends.partition_point(|end| *end <= number);
        let before = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.parted.parts.get(part)?.at(number - before)
    }
}
