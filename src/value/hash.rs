//! Redis hashes: the packed form that lives inside an entry, and the indexed form above the thresholds.
//!
//! Packed: for each field `(varint length, field, varint length, value)`, in the form with deadlines followed by the
//! field's deadline in ms (u64, little endian, 0 for none). Lookup is a linear scan; the thresholds
//! `hash-max-listpack-entries` and `-value` bound it.

use super::packed::{put_part, read_part};
use indexmap::IndexMap;

/// A field of a packed hash and where it stands.
#[derive(Clone, Copy)]
pub struct PackedField<'a> {
    /// The field's name.
    pub field: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// Its deadline in ms, 0 for none.
    pub expire: u64,
    /// Offset of the field's first byte.
    pub start: usize,
    /// Offset of the value's length.
    pub value_at: usize,
    /// Offset behind the value (before a deadline).
    pub value_end: usize,
    /// Offset behind the field.
    pub end: usize,
}

impl PackedField<'_> {
    /// Whether the field's deadline has passed.
    pub fn expired(&self, now: u64) -> bool {
        self.expire != 0 && self.expire <= now
    }
}

/// Walks a packed hash in insertion order, expired fields included.
#[derive(Clone)]
pub struct PackedIter<'a> {
    packed: &'a [u8],
    ttl: bool,
    at: usize,
}

/// Walks `packed`; `ttl` tells which of the two forms it has.
#[inline]
pub fn packed_fields(packed: &[u8], ttl: bool) -> PackedIter<'_> {
    PackedIter { packed, ttl, at: 0 }
}

impl<'a> Iterator for PackedIter<'a> {
    type Item = PackedField<'a>;

    #[inline]
    fn next(&mut self) -> Option<PackedField<'a>> {
        if self.at >= self.packed.len() {
            return None;
        }
        let start = self.at;
        let (field, value_at) = read_part(self.packed, start);
        let (value, value_end) = read_part(self.packed, value_at);
        let mut end = value_end;
        let mut expire = 0;
        if self.ttl {
            end = value_end + 8;
            if let Some(bytes) = self.packed.get(value_end..end).and_then(|b| b.try_into().ok()) {
                expire = u64::from_le_bytes(bytes);
            }
        }
        self.at = end;
        Some(PackedField { field, value, expire, start, value_at, value_end, end })
    }
}

/// Finds a field. O(fields).
#[inline]
pub fn packed_find<'a>(packed: &'a [u8], ttl: bool, field: &[u8]) -> Option<PackedField<'a>> {
    packed_fields(packed, ttl).find(|f| f.field == field)
}

/// The earliest deadline in a packed hash of the form with deadlines.
pub fn packed_deadline(packed: &[u8]) -> Option<u64> {
    packed_fields(packed, true).filter(|f| f.expire != 0).map(|f| f.expire).min()
}

/// Appends one field in packed form.
pub fn pack_field(out: &mut Vec<u8>, ttl: bool, field: &[u8], value: &[u8], expire: u64) {
    put_part(out, field);
    put_part(out, value);
    if ttl {
        out.extend_from_slice(&expire.to_le_bytes());
    }
}

/// The value of a field in an indexed hash.
pub struct FieldValue {
    /// The bytes.
    pub bytes: Box<[u8]>,
    /// The deadline in ms, 0 for none.
    pub expire: u64,
}

impl FieldValue {
    /// Whether the field's deadline has passed.
    pub fn expired(&self, now: u64) -> bool {
        self.expire != 0 && self.expire <= now
    }
}

/// A hash above the compact thresholds: an index map, so that a random field and a stable scan order cost O(1).
#[derive(Default)]
pub struct BigHash {
    fields: IndexMap<Box<[u8]>, FieldValue, ahash::RandomState>,
    with_deadline: usize,
    earliest: u64,
}

impl BigHash {
    /// Takes over a packed hash.
    pub fn from_packed(packed: &[u8], ttl: bool) -> Self {
        let mut hash = Self::default();
        for f in packed_fields(packed, ttl) {
            hash.set(f.field, f.value, f.expire);
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
        self.with_deadline
    }

    /// A lower bound of the earliest deadline.
    pub fn deadline(&self) -> Option<u64> {
        (self.with_deadline > 0).then_some(self.earliest)
    }

    /// A field's value, also if it has expired. O(1).
    pub fn get(&self, field: &[u8]) -> Option<&FieldValue> {
        self.fields.get(field)
    }

    /// The field at a position, in an order that only removals disturb (the last field takes the removed one's place).
    pub fn at(&self, index: usize) -> Option<(&[u8], &FieldValue)> {
        self.fields.get_index(index).map(|(k, v)| (&**k, v))
    }

    /// Walks all fields, expired ones included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &FieldValue)> + DoubleEndedIterator {
        self.fields.iter().map(|(k, v)| (&**k, v))
    }

    /// Sets a field and its deadline (0 for none); returns whether the field is new. O(1) amortised.
    pub fn set(&mut self, field: &[u8], value: &[u8], expire: u64) -> bool {
        if let Some(old) = self.fields.get_mut(field) {
            if old.bytes.len() == value.len() {
                old.bytes.copy_from_slice(value);
            } else {
                old.bytes = value.into();
            }
            let before = std::mem::replace(&mut old.expire, expire);
            self.count_deadline(before, expire);
            return false;
        }
        self.fields.insert(field.into(), FieldValue { bytes: value.into(), expire });
        self.count_deadline(0, expire);
        true
    }

    /// Sets only the deadline of a field (0 for none); returns whether the field exists.
    pub fn set_expire(&mut self, field: &[u8], expire: u64) -> bool {
        let Some(value) = self.fields.get_mut(field) else { return false };
        let before = std::mem::replace(&mut value.expire, expire);
        self.count_deadline(before, expire);
        true
    }

    /// Removes a field; returns whether it was there. O(1).
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let Some(old) = self.fields.swap_remove(field) else { return false };
        self.count_deadline(old.expire, 0);
        if self.fields.capacity() > 64 && self.fields.len() * 8 < self.fields.capacity() {
            self.fields.shrink_to(self.fields.len() * 2);
        }
        true
    }

    /// Recomputes the earliest deadline exactly. O(fields).
    pub fn recompute_deadline(&mut self) {
        self.earliest = self.fields.values().map(|v| v.expire).filter(|e| *e != 0).min().unwrap_or(0);
    }

    fn count_deadline(&mut self, before: u64, after: u64) {
        if before != 0 {
            self.with_deadline -= 1;
        }
        if after != 0 {
            self.earliest = if self.with_deadline == 0 { after } else { self.earliest.min(after) };
            self.with_deadline += 1;
        }
    }

    /// Approximate bytes allocated, from a sample of fields.
    pub fn memory(&self, samples: usize) -> usize {
        let n = self.fields.len();
        let take = if samples == 0 { n } else { samples.min(n) };
        let sum: usize = self.fields.iter().take(take).map(|(k, v)| k.len() + v.bytes.len() + 16).sum();
        self.fields.capacity() * (size_of::<FieldValue>() + 32) + if take == 0 { 0 } else { sum * n / take }
    }
}
