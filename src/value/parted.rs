//! Elements with names in parts, which are split one after the other as there are more, so that no write moves more
//! than one part's elements: large hashes and sets.
//!
//! # Splitting
//! There are as many parts as keep the average below [`FULL`] elements. An element's part follows from its name's hash:
//! with `n` parts, the hash modulo the next power of two, or half of that where such a part is not there yet (linear
//! hashing). The next part always takes its elements from the same one of those before. Parts are never merged; one
//! that empties gives its room back.
//!
//! # Walks
//! A walk takes the parts in the order of their numbers with the bits reversed, in which a new part follows the one
//! that it takes its elements from, and each part downwards. It misses nothing that stays: a removal moves the last
//! element of its part into the hole, which takes it from a place that was visited to anywhere, or from one that was
//! not to another that was not; a split moves elements to the part that comes next, and leaves the others in their
//! order, none of them higher than it was. Some may be visited twice. What a split moved behind the walk stays behind
//! it, so that a walk ends although there are more and more elements.
//!
//! # Taking changes back
//! Changes can be taken back so exactly that walks go on as if nothing had happened: elements, their order and their
//! distribution over parts are afterwards what they were.

use super::heap;
use ahash::RandomState;
use smallvec::{SmallVec, smallvec};

/// How many elements a part has on average before there is one more; the fullest have twice as many, which fit an index
/// of 4096 buckets. Few where tests should see many parts.
pub(super) const FULL: usize = if cfg!(test) { 16 } else { 1700 };

/// One part: elements by name, and by position in an order that only changes tell.
pub trait Part: Sized {
    /// An element as a reader sees it.
    type Ref<'a>
    where
        Self: 'a;
    /// An element by itself.
    type Element;
    /// What the whole has to know of a part beside its length; of a part that is not there, the default.
    type State: Copy + Default + PartialEq;
    /// What it knows of all parts.
    type Whole: Default;

    /// An empty part whose names are hashed so.
    fn new(state: RandomState) -> Self;

    /// The number of elements.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the whole has to know.
    fn state(&self) -> Self::State;

    /// Notes that a part's state has changed.
    fn note(whole: &mut Self::Whole, part: usize, before: Self::State, after: Self::State);

    /// The element of a name. O(1).
    fn get(&self, name: &[u8]) -> Option<Self::Ref<'_>>;

    /// The element at a position. O(1).
    fn at(&self, index: usize) -> Option<Self::Ref<'_>>;

    /// The elements in their order.
    fn iter(&self) -> impl Iterator<Item = Self::Ref<'_>>;

    /// Takes an element out, whose place the last one takes; where it was. O(1).
    fn take(&mut self, name: &[u8]) -> Option<(usize, Self::Element)>;

    /// Puts an element that was taken out back in its place, from where the last one moved.
    fn put_back(&mut self, index: usize, element: Self::Element);

    /// Puts an element in place of the one of its name, which it returns; drops it if there is none.
    fn exchange(&mut self, element: Self::Element) -> Option<Self::Element>;

    /// Removes the last element.
    fn drop_last(&mut self);

    /// Gives the elements that leave to a new part, and says which they were. Those that stay, and those that leave,
    /// keep their order.
    fn split(&mut self, leaves: impl Fn(&[u8]) -> bool) -> (Self, Vec<bool>);

    /// Takes the elements of a part back that left for it, each to the place where it stood.
    fn unsplit(&mut self, other: Self, moved: &[bool]);

    /// Approximate bytes allocated, from a sample of elements.
    fn memory(&self, samples: usize) -> usize;

    /// The bytes allocated for what is known of all parts.
    fn memory_of_whole(whole: &Self::Whole) -> usize;
}

/// Elements in parts.
pub struct Parted<P: Part> {
    parts: SmallVec<[P; 1]>,
    state: RandomState,
    len: usize,
    /// The most elements that a part ever had.
    fullest: usize,
    whole: P::Whole,
}

impl<P: Part> Default for Parted<P> {
    fn default() -> Self {
        let state = RandomState::new();
        let parts = smallvec![P::new(state.clone())];
        Self { parts, state, len: 0, fullest: 0, whole: P::Whole::default() }
    }
}

/// Where a walk stands: in which part, and how many positions are left there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    part: usize,
    left: usize,
}

impl Place {
    const LEFT_BITS: u32 = 20;
    /// All of a part is left, however many that will be.
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
pub struct Step {
    from: Place,
    /// Where the next step begins.
    to: Option<Place>,
}

impl Step {
    /// The cursor of the next step; 0 ends the walk.
    pub fn next(self) -> u64 {
        self.to.map_or(0, Place::cursor)
    }
}

/// What takes one change back. Changes are taken back from the last to the first.
pub struct Inverse<E>(Change<E>);

enum Change<E> {
    /// An element had another one in its place in a part.
    Set(usize, E),
    /// An element was added behind the others of a part.
    Added(usize),
    /// An element was taken out of a part, where the last one has its place now.
    Removed { part: usize, index: usize, element: E },
    /// A part was added; which elements of the one before moved to it.
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

    pub(super) fn parts(&self) -> &[P] {
        &self.parts
    }

    pub(super) fn whole(&self) -> &P::Whole {
        &self.whole
    }

    /// The part of a name among `parts` parts. The index within a part takes other bits of the hash.
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

    /// Changes a part, and what is known of all of them.
    #[inline]
    pub(super) fn change<T>(&mut self, part: usize, change: impl FnOnce(&mut P) -> T) -> T {
        let it = &mut self.parts[part];
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

    /// The elements by number, in their order.
    pub fn numbered(&self) -> Numbered<'_, P> {
        let ends = self.parts.iter().scan(0, |end, part| {
            *end += part.len();
            Some(*end)
        });
        Numbered { parted: self, ends: ends.collect() }
    }

    /// An element drawn at random; `below` draws a number below another one. Expected O(1), but O(parts) where most
    /// elements were removed.
    pub fn any(&self, mut below: impl FnMut(u64) -> u64) -> Option<P::Ref<'_>> {
        if self.len == 0 {
            return None;
        }
        // Every position that a part may have is as likely as any other.
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
        self.parts.iter().flat_map(P::iter)
    }

    /// Removes an element. Returns it, or nothing if it was not there. O(1).
    pub(super) fn take(&mut self, name: &[u8]) -> Option<P::Element> {
        self.change(self.part_of(name), |part| part.take(name)).map(|(_, element)| element)
    }

    /// Adds a part if the others are full; which elements of the one before moved to it.
    pub(super) fn split_if_full(&mut self) -> Option<Vec<bool>> {
        (self.len > self.parts.len() * FULL).then(|| self.split())
    }

    /// Adds a part, which takes its elements from the one that has had them.
    fn split(&mut self) -> Vec<bool> {
        let new = self.parts.len();
        let from = new - (1 << new.ilog2());
        let state = self.state.clone();
        let leaves = |name: &[u8]| Self::home(&state, name, new + 1) == new;
        let before = self.parts[from].state();
        let (other, moved) = self.parts[from].split(leaves);
        P::note(&mut self.whole, from, before, self.parts[from].state());
        P::note(&mut self.whole, new, P::State::default(), other.state());
        self.parts.push(other);
        moved
    }

    /// Gives the last part's elements back to the one that had them; the others stand as they stood when it was added.
    fn unsplit(&mut self, moved: &[bool]) {
        let Some(other) = self.parts.pop() else { return };
        let new = self.parts.len();
        let from = new - (1 << new.ilog2());
        P::note(&mut self.whole, new, other.state(), P::State::default());
        let before = self.parts[from].state();
        self.parts[from].unsplit(other, moved);
        P::note(&mut self.whole, from, before, self.parts[from].state());
    }

    /// The part behind this one in a walk.
    fn next_part(&self, part: usize) -> Option<usize> {
        let parts = self.parts.len();
        // So many of the hash's bits tell the part; one more where it was split in this round already.
        let round = parts.ilog2();
        let split = part >> round != 0 || part | 1 << round < parts;
        let unused = usize::MAX.checked_shl(round + u32::from(split)).unwrap_or(0);
        let next = (part | unused).reverse_bits().wrapping_add(1).reverse_bits();
        (next != 0).then_some(next)
    }

    /// One step of a walk that survives changes between its steps: about `count` positions (at least one), from the
    /// cursor on that the step before gave, or from 0. Any number is fine as a cursor.
    pub fn step(&self, cursor: u64, count: usize) -> Step {
        let from = Place::of_cursor(cursor);
        let mut place = from;
        let mut budget = count.max(1);
        while let Some(part) = self.parts.get(place.part) {
            if budget == 0 {
                return Step { from, to: Some(place) };
            }
            let top = place.left.min(part.len());
            let take = top.min(budget);
            // An empty part costs something, too.
            budget -= take.max(1);
            if top > take {
                place.left = top - take;
                continue;
            }
            let Some(part) = self.next_part(place.part) else { break };
            place = Place { part, left: Place::ALL };
        }
        Step { from, to: None }
    }

    /// The elements of a step.
    pub fn in_step(&self, step: Step) -> impl Iterator<Item = P::Ref<'_>> {
        let Step { from, to } = step;
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
        let parts: usize = self.parts.iter().map(|part| part.memory(samples)).sum();
        let own = if self.parts.spilled() { self.parts.capacity() * size_of::<P>() } else { 0 };
        parts + P::memory_of_whole(&self.whole) + heap::block(own)
    }
}

/// Changes that are kept to be taken back.
impl<P: Part> Parted<P> {
    /// As [`Part::exchange`] in a part, and adds what takes it back; whether there was one of the name.
    pub(super) fn exchange_kept(
        &mut self,
        part: usize,
        element: P::Element,
        kept: &mut Vec<Inverse<P::Element>>,
    ) -> bool {
        let old = self.change(part, |part| part.exchange(element));
        let found = old.is_some();
        kept.extend(old.map(|old| Inverse(Change::Set(part, old))));
        found
    }

    /// Adds what takes an element back that was just added to a part; a part is added if the others are full.
    pub(super) fn added_kept(&mut self, part: usize, kept: &mut Vec<Inverse<P::Element>>) {
        kept.push(Inverse(Change::Added(part)));
        if let Some(moved) = self.split_if_full() {
            kept.push(Inverse(Change::Split(moved)));
        }
    }

    /// As [`Parted::take`], and adds what takes it back; whether the element was there.
    pub(super) fn take_kept(&mut self, name: &[u8], kept: &mut Vec<Inverse<P::Element>>) -> bool {
        let part = self.part_of(name);
        let Some((index, element)) = self.change(part, |part| part.take(name)) else { return false };
        kept.push(Inverse(Change::Removed { part, index, element }));
        true
    }

    /// Takes a change back, all later ones having been taken back.
    pub fn revert(&mut self, inverse: Inverse<P::Element>) {
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
