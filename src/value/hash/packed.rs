//! The packed form: the fields, one after the other.
//!
//! For each field `(varint length, name, varint length, value)`, in the form with deadlines followed by the field's
//! deadline in ms (u64, little endian, 0 for none). Lookup is a linear scan; the thresholds `hash-max-listpack-entries`
//! and `-value` bound it.

use super::passed;
use crate::value::packed::{put_part, read_part};

/// A field of a packed hash and where it stands.
#[derive(Clone, Copy)]
pub struct PackedField<'a> {
    /// The field's name.
    pub name: &'a [u8],
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
        passed(self.expire, now)
    }
}

/// Walks a packed hash in insertion order, expired fields included.
#[derive(Clone)]
pub struct PackedFields<'a> {
    packed: &'a [u8],
    ttl: bool,
    at: usize,
}

/// Walks `packed`; `ttl` tells which of the two forms it has.
#[inline]
pub fn packed_fields(packed: &[u8], ttl: bool) -> PackedFields<'_> {
    PackedFields { packed, ttl, at: 0 }
}

impl<'a> Iterator for PackedFields<'a> {
    type Item = PackedField<'a>;

    #[inline]
    fn next(&mut self) -> Option<PackedField<'a>> {
        if self.at >= self.packed.len() {
            return None;
        }
        let start = self.at;
        let (name, value_at) = read_part(self.packed, start);
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
        Some(PackedField { name, value, expire, start, value_at, value_end, end })
    }
}

/// Finds a field, expired or not. O(fields).
#[inline]
pub fn packed_find<'a>(packed: &'a [u8], ttl: bool, name: &[u8]) -> Option<PackedField<'a>> {
    packed_fields(packed, ttl).find(|f| same_name(f.name, name))
}

/// Whether two names are the same. Names of one hash often share their length and beginning, so their ends are compared
/// first.
#[inline]
pub fn same_name(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.last() == b.last() && a == b
}

/// The earliest deadline in a packed hash of the form with deadlines.
pub fn packed_deadline(packed: &[u8]) -> Option<u64> {
    packed_fields(packed, true).filter(|f| f.expire != 0).map(|f| f.expire).min()
}

/// Whether a packed hash has at most `entries` fields, and no name and no value longer than `longest` bytes.
pub fn packed_fits(packed: &[u8], ttl: bool, entries: usize, longest: usize) -> bool {
    packed_fields(packed, ttl)
        .enumerate()
        .all(|(i, f)| i < entries && f.name.len() <= longest && f.value.len() <= longest)
}

/// Appends one field in packed form.
pub fn pack_field(out: &mut Vec<u8>, ttl: bool, name: &[u8], value: &[u8], expire: u64) {
    put_part(out, name);
    put_part(out, value);
    if ttl {
        out.extend_from_slice(&expire.to_le_bytes());
    }
}
