//! A part of the indexed form: an index over the fields, each in one allocation, and the deadlines in order. Looking up
//! a field and drawing a random one cost O(1), and scans have a stable order.

use super::FieldRef;
use crate::env::prefetch::prefetch;
use crate::value::heap::{self, Measured};
use crate::value::packed::{get_varint, put_varint_to, varint_len};
use crate::value::parted::Part;
use indexmap::set::MutableValues;
use indexmap::{Equivalent, IndexSet};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// One field by itself: `varint (name length << 1 | has deadline), [deadline u64 le], name, value`.
#[derive(Clone)]
pub struct Field(Box<[u8]>);

/// The offsets of a field's parts in its block.
struct Shape {
    name_len: usize,
    deadline: bool,
    /// Offset behind the varint.
    at: usize,
}

impl Field {
    pub(super) fn new(name: &[u8], value: &[u8], expire: u64) -> Self {
        let deadline = expire != 0;
        let head = name.len() << 1 | usize::from(deadline);
        let size = varint_len(head) + usize::from(deadline) * 8 + name.len() + value.len();
        let mut block = Vec::with_capacity(size);
        put_varint_to(&mut block, head);
        if deadline {
            block.extend_from_slice(&expire.to_le_bytes());
        }
        block.extend_from_slice(name);
        block.extend_from_slice(value);
        Self(block.into_boxed_slice())
    }

    #[inline]
    fn shape(&self) -> Shape {
        let (head, at) = get_varint(&self.0, 0).unwrap_or_default();
        Shape { name_len: head >> 1, deadline: head & 1 != 0, at }
    }

    #[inline]
    fn name(&self) -> &[u8] {
        let s = self.shape();
        let start = s.at + usize::from(s.deadline) * 8;
        self.0.get(start..start + s.name_len).unwrap_or_default()
    }

    #[inline]
    fn parts(&self) -> FieldRef<'_> {
        let s = self.shape();
        let start = s.at + usize::from(s.deadline) * 8;
        let deadline = self.0.get(s.at..start).and_then(|bytes| bytes.try_into().ok());
        let (name, value) =
            self.0.get(start..).and_then(|rest| rest.split_at_checked(s.name_len)).unwrap_or_default();
        FieldRef { name, value, expire: deadline.map_or(0, u64::from_le_bytes) }
    }

    pub(super) fn expire(&self) -> u64 {
        self.parts().expire
    }

    /// Replaces value and deadline; in place if the block's size and shape stay the same.
    fn overwrite(&mut self, value: &[u8], expire: u64) {
        let s = self.shape();
        let start = s.at + usize::from(s.deadline) * 8 + s.name_len;
        if s.deadline != (expire != 0) || self.0.len() - start != value.len() {
            *self = Self::new(self.name(), value, expire);
            return;
        }
        if s.deadline {
            self.0[s.at..s.at + 8].copy_from_slice(&expire.to_le_bytes());
        }
        self.0[start..].copy_from_slice(value);
    }
}

impl Hash for Field {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Field {}

/// A name to look up.
#[derive(Hash)]
struct Name<'a>(&'a [u8]);

impl Equivalent<Field> for Name<'_> {
    fn equivalent(&self, field: &Field) -> bool {
        self.0 == field.name()
    }
}

/// A name that is taken for found at the first field whose hash looks alike: a guess from the index alone.
#[derive(Hash)]
struct Alike<'a>(&'a [u8]);

impl Equivalent<Field> for Alike<'_> {
    fn equivalent(&self, _: &Field) -> bool {
        true
    }
}

/// The deadlines of all parts: their number, and the earliest one of each part.
#[derive(Clone, Default)]
pub struct Deadlines {
    fields: usize,
    /// The earliest deadline of every part that has one.
    firsts: Measured<BTreeSet<(u64, usize)>>,
}

impl Deadlines {
    /// Notes how many fields of a part have a deadline, and their earliest.
    fn note(&mut self, part: usize, before: (usize, Option<u64>), after: (usize, Option<u64>)) {
        self.fields = self.fields - before.0 + after.0;
        if before.1 != after.1 {
            self.firsts.change(|firsts| {
                before.1.map(|at| firsts.remove(&(at, part)));
                after.1.map(|at| firsts.insert((at, part)));
            });
        }
    }

    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.firsts.first().map(|(at, _)| *at)
    }

    /// The parts in which a deadline has passed.
    pub(super) fn parts_due(&self, now: u64) -> impl Iterator<Item = usize> {
        self.firsts.range(..=(now, usize::MAX)).map(|(_, part)| *part)
    }

    fn memory(&self) -> usize {
        self.firsts.memory()
    }
}

/// The fields whose names' hashes select this part. A small hash has a single part with all its fields.
pub struct HashPart {
    fields: IndexSet<Field, ahash::RandomState>,
    /// Deadline and position of every field that has a deadline.
    deadlines: Measured<BTreeSet<(u64, usize)>>,
}

impl Clone for HashPart {
    /// A copy that is as small as it can be.
    fn clone(&self) -> Self {
        let mut fields = self.fields.clone();
        fields.shrink_to_fit();
        Self { fields, deadlines: self.deadlines.clone() }
    }
}

impl HashPart {
    /// The latest deadline.
    pub(super) fn last(&self) -> Option<u64> {
        self.deadlines.last().map(|(at, _)| *at)
    }

    /// The fields whose deadline has passed, earliest first.
    pub(super) fn expired_fields(&self, now: u64) -> impl Iterator<Item = FieldRef<'_>> {
        self.expired_places(now).filter_map(|index| self.at(index))
    }

    pub(super) fn expired_places(&self, now: u64) -> impl Iterator<Item = usize> {
        self.deadlines.range(..=(now, usize::MAX)).map(|(_, index)| *index)
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8], expire: u64) -> Option<u64> {
        if let Some((index, field)) = self.fields.get_full_mut2(&Name(name)) {
            let before = field.expire();
            field.overwrite(value, expire);
            self.move_deadline(index, before, expire);
            return Some(before);
        }
        self.make_room();
        let (index, _) = self.fields.insert_full(Field::new(name, value, expire));
        self.move_deadline(index, 0, expire);
        None
    }

    /// Makes room for one more field: an eighth more than there are, where the index itself would take as much as its
    /// table of hashes may ever need.
    fn make_room(&mut self) {
        if self.fields.len() == self.fields.capacity() {
            self.fields.reserve_exact((self.fields.len() / 8).max(4));
        }
    }

    pub(super) fn set_expire(&mut self, name: &[u8], expire: u64) -> bool {
        let Some((index, field)) = self.fields.get_full_mut2(&Name(name)) else { return false };
        let old = field.parts();
        let before = old.expire;
        *field = Field::new(old.name, old.value, expire);
        self.move_deadline(index, before, expire);
        true
    }

    fn move_deadline(&mut self, index: usize, before: u64, after: u64) {
        if before == after {
            return;
        }
        self.deadlines.change(|order| {
            if before != 0 {
                order.remove(&(before, index));
            }
            if after != 0 {
                order.insert((after, index));
            }
        });
    }

    fn order_by_deadline(&self) -> Measured<BTreeSet<(u64, usize)>> {
        let with = self.fields.iter().map(Field::expire).enumerate().filter(|(_, at)| *at != 0);
        Measured::made(|| with.map(|(index, at)| (at, index)).collect())
    }
}

impl Part for HashPart {
    type Ref<'a> = FieldRef<'a>;
    type Element = Field;
    /// How many fields have a deadline, and the earliest.
    type State = (usize, Option<u64>);
    type Whole = Deadlines;

    fn new(state: ahash::RandomState) -> Self {
        Self { fields: IndexSet::with_hasher(state), deadlines: Measured::default() }
    }

    fn len(&self) -> usize {
        self.fields.len()
    }

    #[inline]
    fn state(&self) -> (usize, Option<u64>) {
        (self.deadlines.len(), self.deadlines.first().map(|(at, _)| *at))
    }

    fn note(whole: &mut Deadlines, part: usize, before: Self::State, after: Self::State) {
        whole.note(part, before, after);
    }

    #[inline]
    fn get(&self, name: &[u8]) -> Option<FieldRef<'_>> {
        self.fields.get(&Name(name)).map(Field::parts)
    }

    #[inline]
    fn foresee(&self, name: &[u8]) -> Option<usize> {
        let index = self.fields.get_index_of(&Alike(name))?;
        prefetch(self.fields.get_index(index)?);
        Some(index)
    }

    #[inline]
    fn prefetch(&self, index: usize) {
        let Some(Field(block)) = self.fields.get_index(index) else { return };
        prefetch(block.as_ptr());
        prefetch(block.as_ptr().wrapping_add(64));
    }

    #[inline]
    fn at(&self, index: usize) -> Option<FieldRef<'_>> {
        self.fields.get_index(index).map(Field::parts)
    }

    fn iter(&self) -> impl Iterator<Item = FieldRef<'_>> {
        self.fields.iter().map(Field::parts)
    }

    fn take(&mut self, name: &[u8]) -> Option<(usize, Field)> {
        let (index, field) = self.fields.swap_remove_full(&Name(name))?;
        self.move_deadline(index, field.expire(), 0);
        let last = self.fields.len();
        if let Some(moved) = self.fields.get_index(index).map(Field::expire).filter(|at| *at != 0) {
            self.deadlines.change(|order| {
                order.remove(&(moved, last));
                order.insert((moved, index));
            });
        }
        if last == 0 || self.fields.capacity() > 64 && last * 8 < self.fields.capacity() {
            self.fields.shrink_to(last * 2);
        }
        Some((index, field))
    }

    fn put_back(&mut self, index: usize, field: Field) {
        let expire = field.expire();
        let (last, _) = self.fields.insert_full(field);
        if index < last {
            let moved = self.fields.get_index(index).map_or(0, Field::expire);
            self.move_deadline(index, moved, 0);
            self.fields.swap_indices(index, last);
            self.move_deadline(last, 0, moved);
        }
        self.move_deadline(index.min(last), 0, expire);
    }

    fn exchange(&mut self, field: Field) -> Option<Field> {
        let (index, place) = self.fields.get_full_mut2(&Name(field.name()))?;
        let after = field.expire();
        let old = std::mem::replace(place, field);
        self.move_deadline(index, old.expire(), after);
        Some(old)
    }

    fn drop_last(&mut self) {
        if let Some(field) = self.fields.pop() {
            self.move_deadline(self.fields.len(), field.expire(), 0);
        }
    }

    fn split(&mut self, leaves: impl Fn(&[u8]) -> bool) -> (Self, Vec<bool>) {
        // This loop only reads the names, so that its cache misses overlap.
        let leaving: Vec<bool> = self.fields.iter().map(|field| leaves(field.name())).collect();
        let room = |fields: usize| fields + fields / 16;
        let count = leaving.iter().filter(|leaves| **leaves).count();
        let hasher = self.fields.hasher().clone();
        let fields = IndexSet::with_capacity_and_hasher(room(count), hasher);
        let mut other = Self { fields, deadlines: Measured::default() };
        let mut next = leaving.iter();
        self.fields.retain2(|field| {
            let leaves = next.next().copied().unwrap_or_default();
            if leaves {
                other.fields.insert(Field(std::mem::take(&mut field.0)));
            }
            !leaves
        });
        self.fields.shrink_to(room(self.fields.len()));
        if !self.deadlines.is_empty() {
            (self.deadlines, other.deadlines) = (self.order_by_deadline(), other.order_by_deadline());
        }
        (other, leaving)
    }

    fn unsplit(&mut self, mut other: Self, moved: &[bool]) {
        let hasher = self.fields.hasher().clone();
        let all = IndexSet::with_capacity_and_hasher(self.len() + other.len(), hasher);
        let mut stayed = std::mem::replace(&mut self.fields, all).into_iter();
        let mut left = std::mem::take(&mut other.fields).into_iter();
        for moved in moved {
            self.fields.extend(if *moved { left.next() } else { stayed.next() });
        }
        self.deadlines = self.order_by_deadline();
    }

    fn memory(&self, samples: usize) -> usize {
        let n = self.fields.len();
        let take = samples.min(n);
        let sum: usize = self.fields.iter().take(take).map(|f| heap::block(f.0.len())).sum();
        // A bucket of the index holds the hash and the block.
        let capacity = self.fields.capacity();
        let buckets = heap::block(capacity * (size_of::<Field>() + size_of::<usize>()));
        let index = heap::table::<usize>(capacity);
        buckets + index + self.deadlines.memory() + (sum * n).checked_div(take).unwrap_or(0)
    }

    fn memory_of_whole(whole: &Deadlines) -> usize {
        whole.memory()
    }
}
