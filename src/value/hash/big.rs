//! The indexed form: fields in parts, which are split one after the other as the hash grows, so that no write moves
//! more than one part's fields.
//!
//! # Splitting
//! There are as many parts as keep the average below [`FULL`] fields. A field's part follows from its name's hash: with
//! `n` parts, the hash modulo the next power of two, or half of that where such a part is not there yet (linear
//! hashing). The next part always takes its fields from the same one of those before. Parts are never merged; one that
//! empties gives its room back.
//!
//! # Walks
//! A walk takes the parts in the order of their numbers with the bits reversed, in which a new part follows the one
//! that it takes its fields from, and each part downwards. It misses nothing that stays in the hash: a removal moves
//! the last field of its part into the hole, which takes it from a place that was visited to anywhere, or from one that
//! was not to another that was not; a split moves fields to the part that comes next, and leaves the others in their
//! order, none of them higher than it was. Some may be visited twice. What a split moved behind the walk stays behind
//! it, so that a walk ends although the hash grows.

use super::part::{Name, Part};
use super::{FieldRef, packed_fields, passed};
use crate::value::heap::{self, Measured};
use ahash::RandomState;
use smallvec::{SmallVec, smallvec};
use std::collections::BTreeSet;

/// How many fields a part has on average before there is one more; the fullest have twice as many, which fit an index
/// of 4096 buckets. Few where tests should see many parts.
const FULL: usize = if cfg!(test) { 16 } else { 1700 };

/// A hash above the compact thresholds. About 50 bytes a field beside its name and value, 43 more with a deadline.
pub struct BigHash {
    parts: SmallVec<[Part; 1]>,
    state: RandomState,
    len: usize,
    with_deadline: usize,
    /// The most fields that a part ever had.
    fullest: usize,
    /// The earliest deadline of every part that has one.
    firsts: Measured<BTreeSet<(u64, usize)>>,
}

impl Default for BigHash {
    fn default() -> Self {
        let state = RandomState::new();
        let parts = smallvec![Part::new(state.clone())];
        Self { parts, state, len: 0, with_deadline: 0, fullest: 0, firsts: Measured::default() }
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

impl BigHash {
    /// Takes over a packed hash.
    pub fn from_packed(packed: &[u8], ttl: bool) -> Self {
        let mut hash = Self::default();
        for f in packed_fields(packed, ttl) {
            hash.set(f.name, f.value, f.expire);
        }
        hash
    }

    /// The number of fields, expired ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no field is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of fields that have a deadline.
    pub fn with_deadline(&self) -> usize {
        self.with_deadline
    }

    /// The earliest deadline. O(log n).
    pub fn deadline(&self) -> Option<u64> {
        self.firsts.first().map(|(at, _)| *at)
    }

    /// Whether a field has not expired. O(log n), or O(parts) where all have a deadline and many have passed.
    pub fn any_live(&self, now: u64) -> bool {
        self.with_deadline < self.len || self.parts.iter().any(|part| part.last().is_some_and(|at| at > now))
    }

    /// The number of fields that have not expired. O(log n + expired fields).
    pub fn live_len(&self, now: u64) -> usize {
        self.len - self.due_parts(now).map(|part| part.expired_places(now).count()).sum::<usize>()
    }

    fn due_parts(&self, now: u64) -> impl Iterator<Item = &Part> {
        self.firsts.range(..=(now, usize::MAX)).filter_map(|(_, part)| self.parts.get(*part))
    }

    /// The expired fields, earliest first within a part. O(log n + what is taken).
    pub fn expired(&self, now: u64) -> impl Iterator<Item = FieldRef<'_>> {
        self.due_parts(now).flat_map(move |part| part.expired_places(now).filter_map(|index| part.at(index)))
    }

    /// The part of a name among `parts` parts. The index within a part takes other bits of the hash.
    #[inline]
    fn home(state: &RandomState, name: &[u8], parts: usize) -> usize {
        if parts == 1 {
            return 0;
        }
        let hash = (state.hash_one(Name(name)) >> 24) as usize;
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
    pub(super) fn change<T>(&mut self, part: usize, change: impl FnOnce(&mut Part) -> T) -> T {
        let it = &mut self.parts[part];
        let (len, with_deadline, first) = (it.len(), it.with_deadline(), it.first());
        let result = change(it);
        self.len = self.len - len + it.len();
        self.with_deadline = self.with_deadline - with_deadline + it.with_deadline();
        self.fullest = self.fullest.max(it.len());
        let after = it.first();
        if first != after {
            self.move_first(part, first, after);
        }
        result
    }

    fn move_first(&mut self, part: usize, before: Option<u64>, after: Option<u64>) {
        self.firsts.change(|firsts| {
            before.map(|at| firsts.remove(&(at, part)));
            after.map(|at| firsts.insert((at, part)));
        });
    }

    /// A field, also if it has expired. O(1).
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<FieldRef<'_>> {
        self.parts[self.part_of(name)].get(name)
    }

    /// The fields by number, in the hash's order.
    pub fn numbered(&self) -> Numbered<'_> {
        let ends = self.parts.iter().scan(0, |end, part| {
            *end += part.len();
            Some(*end)
        });
        Numbered { hash: self, ends: ends.collect() }
    }

    /// A field drawn at random, expired ones included; `below` draws a number below another one. Expected O(1), but
    /// O(parts) where most fields were removed.
    pub fn any(&self, mut below: impl FnMut(u64) -> u64) -> Option<FieldRef<'_>> {
        if self.len == 0 {
            return None;
        }
        // Every position that a part may have is as likely as any other.
        let slots = if self.parts.len() == 1 { self.len } else { self.fullest };
        for _ in 0..64 {
            let part = &self.parts[below(self.parts.len() as u64) as usize];
            if let Some(field) = part.at(below(slots as u64) as usize) {
                return Some(field);
            }
        }
        self.numbered().at(below(self.len as u64) as usize)
    }

    /// Walks all fields, expired ones included.
    pub fn iter(&self) -> impl Iterator<Item = FieldRef<'_>> {
        self.parts.iter().flat_map(Part::iter)
    }

    /// Sets a field and its deadline (0 for none). Returns the deadline that the field had, or nothing if it is new.
    /// O(1) amortised (at most one part is split or grows, some 0.5 ms), O(log n) with deadlines.
    pub fn set(&mut self, name: &[u8], value: &[u8], expire: u64) -> Option<u64> {
        let before = self.change(self.part_of(name), |part| part.set(name, value, expire));
        if before.is_none() {
            self.split_if_full();
        }
        before
    }

    /// Adds a part if the others are full; which fields of the one before moved to it.
    pub(super) fn split_if_full(&mut self) -> Option<Vec<bool>> {
        (self.len > self.parts.len() * FULL).then(|| self.split())
    }

    /// Adds a part, which takes its fields from the one that has had them.
    fn split(&mut self) -> Vec<bool> {
        let new = self.parts.len();
        let from = new - (1 << new.ilog2());
        let state = self.state.clone();
        let leaves = |name: &[u8]| Self::home(&state, name, new + 1) == new;
        let first = self.parts[from].first();
        let (other, moved) = self.parts[from].split(leaves);
        self.move_first(from, first, self.parts[from].first());
        self.move_first(new, None, other.first());
        self.parts.push(other);
        moved
    }

    /// Gives the last part's fields back to the one that had them; the others stand as they stood when it was added.
    pub(super) fn unsplit(&mut self, moved: &[bool]) {
        let Some(other) = self.parts.pop() else { return };
        let new = self.parts.len();
        let from = new - (1 << new.ilog2());
        self.move_first(new, other.first(), None);
        let first = self.parts[from].first();
        self.parts[from].unsplit(other, moved);
        self.move_first(from, first, self.parts[from].first());
    }

    /// Sets only the deadline of a field (0 for none); returns whether the field exists. O(log n).
    pub fn set_expire(&mut self, name: &[u8], expire: u64) -> bool {
        self.change(self.part_of(name), |part| part.set_expire(name, expire))
    }

    /// Removes a field. Returns the deadline that it had, or nothing if it was not there. O(1), O(log n) with
    /// deadlines.
    pub fn remove(&mut self, name: &[u8]) -> Option<u64> {
        self.change(self.part_of(name), |part| part.remove(name))
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

    /// The fields of a step, expired ones included.
    pub fn fields_in(&self, step: Step) -> impl Iterator<Item = FieldRef<'_>> {
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

    /// The live fields of a step.
    pub fn live_in(&self, step: Step, now: u64) -> impl Iterator<Item = FieldRef<'_>> {
        self.fields_in(step).filter(move |f| !passed(f.expire, now))
    }

    /// Approximate bytes allocated, from a sample of fields (0 for all).
    pub fn memory(&self, samples: usize) -> usize {
        let samples = if samples == 0 { self.len } else { samples.div_ceil(self.parts.len()) };
        let parts: usize = self.parts.iter().map(|part| part.memory(samples)).sum();
        let own = if self.parts.spilled() { self.parts.capacity() * size_of::<Part>() } else { 0 };
        parts + self.firsts.memory() + heap::block(own)
    }
}

/// The fields of a hash by number.
pub struct Numbered<'a> {
    hash: &'a BigHash,
    /// How many fields there are up to the end of each part.
    ends: SmallVec<[usize; 1]>,
}

impl<'a> Numbered<'a> {
    /// A field. O(log parts).
    pub fn at(&self, number: usize) -> Option<FieldRef<'a>> {
        let part = self.ends.partition_point(|end| *end <= number);
        let before = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.hash.parts.get(part)?.at(number - before)
    }
}
