//! The indexed form: an index over blocks of one allocation a field, so that lookup, a random field and a stable order for
//! scans cost O(1), and an order by deadline beside it for the fields that have one.

use super::{FieldRef, packed_fields, passed};
use crate::value::packed::{get_varint, put_varint_to, varint_len};
use indexmap::set::MutableValues;
use indexmap::{Equivalent, IndexSet};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// One field: `varint (name length << 1 | has deadline), [deadline u64 le], name, value`.
struct Field(Box<[u8]>);

/// Where a field's parts stand in its block.
struct Shape {
    name_len: usize,
    deadline: bool,
    /// Offset behind the varint.
    at: usize,
}

impl Field {
    fn new(name: &[u8], value: &[u8], expire: u64) -> Self {
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

    fn expire(&self) -> u64 {
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
struct Name<'a>(&'a [u8]);

impl Equivalent<Field> for Name<'_> {
    fn equivalent(&self, field: &Field) -> bool {
        self.0 == field.name()
    }
}

/// A hash above the compact thresholds. About 50 bytes a field beside its name and value, 24 more with a deadline.
#[derive(Default)]
pub struct BigHash {
    fields: IndexSet<Field, ahash::RandomState>,
    /// Deadline and position of every field that has a deadline.
    deadlines: BTreeSet<(u64, usize)>,
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
        self.fields.len()
    }

    /// Whether no field is left.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The number of fields that have a deadline.
    pub fn with_deadline(&self) -> usize {
        self.deadlines.len()
    }

    /// The earliest deadline. O(log n).
    pub fn deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Whether a field has not expired. O(log n).
    pub fn any_live(&self, now: u64) -> bool {
        self.deadlines.len() < self.fields.len() || self.deadlines.last().is_some_and(|(at, _)| *at > now)
    }

    /// The number of fields that have not expired. O(log n + expired fields).
    pub fn live_len(&self, now: u64) -> usize {
        self.fields.len() - self.expired_places(now).count()
    }

    fn expired_places(&self, now: u64) -> impl Iterator<Item = usize> {
        self.deadlines.range(..=(now, usize::MAX)).map(|(_, index)| *index)
    }

    /// The expired fields, earliest first. O(log n + what is taken).
    pub fn expired(&self, now: u64) -> impl Iterator<Item = FieldRef<'_>> {
        self.expired_places(now).filter_map(|index| self.at(index))
    }

    /// A field, also if it has expired. O(1).
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<FieldRef<'_>> {
        self.fields.get(&Name(name)).map(Field::parts)
    }

    /// The field at a position, in an order that only removals disturb (the last field takes the removed one's place).
    #[inline]
    pub fn at(&self, index: usize) -> Option<FieldRef<'_>> {
        self.fields.get_index(index).map(Field::parts)
    }

    /// Walks all fields, expired ones included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = FieldRef<'_>> + DoubleEndedIterator {
        self.fields.iter().map(Field::parts)
    }

    /// Sets a field and its deadline (0 for none). Returns the deadline that the field had, or nothing if it is new. O(1)
    /// amortised (a doubling of the index costs some 10 ns a field at once), O(log n) with deadlines.
    pub fn set(&mut self, name: &[u8], value: &[u8], expire: u64) -> Option<u64> {
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

    /// Sets only the deadline of a field (0 for none); returns whether the field exists. O(log n).
    pub fn set_expire(&mut self, name: &[u8], expire: u64) -> bool {
        let Some((index, field)) = self.fields.get_full_mut2(&Name(name)) else { return false };
        let old = field.parts();
        let before = old.expire;
        *field = Field::new(old.name, old.value, expire);
        self.move_deadline(index, before, expire);
        true
    }

    /// Removes a field. Returns the deadline that it had, or nothing if it was not there. O(1), O(log n) with deadlines.
    pub fn remove(&mut self, name: &[u8]) -> Option<u64> {
        let (index, field) = self.fields.swap_remove_full(&Name(name))?;
        let before = field.expire();
        self.move_deadline(index, before, 0);
        let last = self.fields.len();
        if let Some(moved) = self.fields.get_index(index).map(Field::expire).filter(|at| *at != 0) {
            self.deadlines.remove(&(moved, last));
            self.deadlines.insert((moved, index));
        }
        if self.fields.capacity() > 64 && last * 8 < self.fields.capacity() {
            self.fields.shrink_to(last * 2);
        }
        Some(before)
    }

    fn move_deadline(&mut self, index: usize, before: u64, after: u64) {
        if before == after {
            return;
        }
        if before != 0 {
            self.deadlines.remove(&(before, index));
        }
        if after != 0 {
            self.deadlines.insert((after, index));
        }
    }

    /// The positions of one step of a walk that survives changes between its steps: about `count` (at least one) below `from`,
    /// where positions beyond the end count as the end. The next step starts at the range's start; 0 ends the walk.
    ///
    /// Going downwards misses nothing that stays in the hash: a removal moves the last field into the hole, which
    /// takes it from a place that was visited to anywhere, or from one that was not to another that was not.
    pub fn step(&self, from: usize, count: usize) -> Range<usize> {
        let top = from.min(self.fields.len());
        top.saturating_sub(count.max(1))..top
    }

    /// The live fields at these positions, the last one first.
    pub fn live_in(&self, places: Range<usize>, now: u64) -> impl Iterator<Item = FieldRef<'_>> {
        places.rev().filter_map(|index| self.at(index)).filter(move |f| !passed(f.expire, now))
    }

    /// Approximate bytes allocated, from a sample of fields (0 for all).
    pub fn memory(&self, samples: usize) -> usize {
        let n = self.fields.len();
        let take = if samples == 0 { n } else { samples.min(n) };
        let sum: usize = self.fields.iter().take(take).map(|f| f.0.len().next_multiple_of(16)).sum();
        // A bucket holds hash and block; the index beside it is at most 7/8 full.
        let buckets = self.fields.capacity() * (size_of::<Field>() + size_of::<usize>());
        let index = self.fields.capacity() * 9 * 8 / 7;
        buckets + index + self.deadlines.len() * 24 + (sum * n).checked_div(take).unwrap_or(0)
    }
}
