//! A part of the indexed form: an index over blocks of one allocation a field, so that lookup, a random field and a
//! stable order for scans cost O(1), and an order by deadline beside it for the fields that have one.

use super::FieldRef;
use crate::value::heap::{self, Measured};
use crate::value::packed::{get_varint, put_varint_to, varint_len};
use indexmap::set::MutableValues;
use indexmap::{Equivalent, IndexSet};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// One field: `varint (name length << 1 | has deadline), [deadline u64 le], name, value`.
pub(super) struct Field(Box<[u8]>);

/// Where a field's parts stand in its block.
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

    /// Replaces value and deadline, in place where the block keeps its size and shape.
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
pub(super) struct Name<'a>(pub(super) &'a [u8]);

impl Equivalent<Field> for Name<'_> {
    fn equivalent(&self, field: &Field) -> bool {
        self.0 == field.name()
    }
}

/// Fields whose names' hashes have something in common; all fields of a hash that is not very large.
pub(super) struct Part {
    fields: IndexSet<Field, ahash::RandomState>,
    /// Deadline and position of every field that has a deadline.
    deadlines: Measured<BTreeSet<(u64, usize)>>,
}

impl Part {
    pub(super) fn new(state: ahash::RandomState) -> Self {
        Self { fields: IndexSet::with_hasher(state), deadlines: Measured::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn with_deadline(&self) -> usize {
        self.deadlines.len()
    }

    /// The earliest deadline.
    pub(super) fn first(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The latest deadline.
    pub(super) fn last(&self) -> Option<u64> {
        self.deadlines.last().map(|(at, _)| *at)
    }

    pub(super) fn expired_places(&self, now: u64) -> impl Iterator<Item = usize> {
        self.deadlines.range(..=(now, usize::MAX)).map(|(_, index)| *index)
    }

    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<FieldRef<'_>> {
        self.fields.get(&Name(name)).map(Field::parts)
    }

    #[inline]
    pub(super) fn at(&self, index: usize) -> Option<FieldRef<'_>> {
        self.fields.get_index(index).map(Field::parts)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = FieldRef<'_>> {
        self.fields.iter().map(Field::parts)
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8], expire: u64) -> Option<u64> {
        if let Some((index, field)) = self.fields.get_full_mut2(&Name(name)) {
            let before = field.expire();
            field.overwrite(value, expire);
            self.move_deadline(index, before, expire);
            return Some(before);
        }
        let (index, _) = self.fields.insert_full(Field::new(name, value, expire));
        self.move_deadline(index, 0, expire);
        None
    }

    pub(super) fn set_expire(&mut self, name: &[u8], expire: u64) -> bool {
        let Some((index, field)) = self.fields.get_full_mut2(&Name(name)) else { return false };
        let old = field.parts();
        let before = old.expire;
        *field = Field::new(old.name, old.value, expire);
        self.move_deadline(index, before, expire);
        true
    }

    /// Puts a field in place of the one of its name, which it returns; drops it if there is none.
    pub(super) fn exchange(&mut self, field: Field) -> Option<Field> {
        let (index, place) = self.fields.get_full_mut2(&Name(field.name()))?;
        let after = field.expire();
        let old = std::mem::replace(place, field);
        self.move_deadline(index, old.expire(), after);
        Some(old)
    }

    /// Removes the last field.
    pub(super) fn drop_last(&mut self) {
        if let Some(field) = self.fields.pop() {
            self.move_deadline(self.fields.len(), field.expire(), 0);
        }
    }

    /// Puts a field that was removed back in its place, from where the last one moved.
    pub(super) fn put_back(&mut self, index: usize, field: Field) {
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

    /// Removes a field and returns the deadline that it had.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<u64> {
        self.take(name).map(|(_, field)| field.expire())
    }

    /// Takes a field out, whose place the last field takes.
    pub(super) fn take(&mut self, name: &[u8]) -> Option<(usize, Field)> {
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

    /// Gives the fields that leave to a new part, and says which they were. Those that stay, and those that leave, keep
    /// their order.
    pub(super) fn split(&mut self, leaves: impl Fn(&[u8]) -> bool) -> (Self, Vec<bool>) {
        // All names are read in a loop that does nothing else, in which the cache misses overlap.
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

    /// Takes the fields of a part back that left for it, each to the place where it stood.
    pub(super) fn unsplit(&mut self, mut other: Self, moved: &[bool]) {
        let hasher = self.fields.hasher().clone();
        let all = IndexSet::with_capacity_and_hasher(self.len() + other.len(), hasher);
        let mut stayed = std::mem::replace(&mut self.fields, all).into_iter();
        let mut left = std::mem::take(&mut other.fields).into_iter();
        for moved in moved {
            self.fields.extend(if *moved { left.next() } else { stayed.next() });
        }
        self.deadlines = self.order_by_deadline();
    }

    fn order_by_deadline(&self) -> Measured<BTreeSet<(u64, usize)>> {
        let with = self.fields.iter().map(Field::expire).enumerate().filter(|(_, at)| *at != 0);
        Measured::made(|| with.map(|(index, at)| (at, index)).collect())
    }

    /// Approximate bytes allocated, from a sample of fields.
    pub(super) fn memory(&self, samples: usize) -> usize {
        let n = self.fields.len();
        let take = samples.min(n);
        let sum: usize = self.fields.iter().take(take).map(|f| heap::block(f.0.len())).sum();
        // A bucket holds hash and block. The index beside it is at most 7/8 full; it has a power of two of positions,
        // each with a byte of its own, and one group of such bytes more.
        let capacity = self.fields.capacity();
        let buckets = heap::block(capacity * (size_of::<Field>() + size_of::<usize>()));
        let index = match capacity {
            0 => 0,
            _ => heap::block((capacity * 8).div_ceil(7).next_power_of_two() * (size_of::<usize>() + 1) + 16),
        };
        buckets + index + self.deadlines.memory() + (sum * n).checked_div(take).unwrap_or(0)
    }
}
