//! One view of a hash's forms, with live fields only.

use super::{BigHash, FieldRef, PackedFields, pack_field, packed_fields, packed_find, passed};

/// A hash in any of its forms.
#[derive(Clone, Copy)]
pub enum HashRef<'a> {
    /// Packed, with deadlines if the flag is set.
    Packed(&'a [u8], bool),
    /// Indexed.
    Big(&'a BigHash),
}

enum Fields<'a, B> {
    Packed(PackedFields<'a>),
    Big(B),
}

impl<'a, B: Iterator<Item = FieldRef<'a>>> Iterator for Fields<'a, B> {
    type Item = FieldRef<'a>;

    fn next(&mut self) -> Option<FieldRef<'a>> {
        match self {
            Self::Packed(fields) => {
                fields.next().map(|f| FieldRef { name: f.name, value: f.value, expire: f.expire })
            }
            Self::Big(fields) => fields.next(),
        }
    }
}

impl<'a> HashRef<'a> {
    /// A field, if it exists and is live. O(1), in the packed form O(fields).
    #[inline]
    pub fn get(&self, name: &[u8], now: u64) -> Option<FieldRef<'a>> {
        let found = match *self {
            Self::Packed(packed, ttl) => packed_find(packed, ttl, name).map(|f| FieldRef {
                name: f.name,
                value: f.value,
                expire: f.expire,
            }),
            Self::Big(big) => big.get(name),
        };
        found.filter(|f| !passed(f.expire, now))
    }

    /// Whether a field is live; a hash without live fields does not exist for readers. O(log n), in the packed form
    /// O(expired fields).
    #[inline]
    pub fn any_live(&self, now: u64) -> bool {
        match *self {
            Self::Packed(packed, false) => !packed.is_empty(),
            Self::Packed(packed, true) => packed_fields(packed, true).any(|f| !f.expired(now)),
            Self::Big(big) => big.any_live(now),
        }
    }

    /// The number of live fields. O(expired fields), in the packed form O(fields).
    pub fn live_len(&self, now: u64) -> usize {
        match *self {
            Self::Packed(packed, ttl) => packed_fields(packed, ttl).filter(|f| !f.expired(now)).count(),
            Self::Big(big) => big.live_len(now),
        }
    }

    /// The number of fields, expired ones included. O(1), in the packed form O(fields).
    pub fn stored_len(&self) -> usize {
        match *self {
            Self::Packed(packed, ttl) => packed_fields(packed, ttl).count(),
            Self::Big(big) => big.len(),
        }
    }

    /// Walks the live fields in the hash's order.
    pub fn live(&self, now: u64) -> impl Iterator<Item = FieldRef<'a>> + use<'a> {
        let all = match *self {
            Self::Packed(packed, ttl) => Fields::Packed(packed_fields(packed, ttl)),
            Self::Big(big) => Fields::Big(big.iter()),
        };
        all.filter(move |f| !passed(f.expire, now))
    }

    /// Calls `visit` with each live field in the hash's order: the fast way to walk.
    #[inline]
    pub fn each_live(&self, now: u64, mut visit: impl FnMut(FieldRef<'a>)) {
        match *self {
            Self::Packed(packed, false) => {
                for f in packed_fields(packed, false) {
                    visit(FieldRef { name: f.name, value: f.value, expire: 0 });
                }
            }
            Self::Packed(packed, true) => {
                for f in packed_fields(packed, true).filter(|f| !f.expired(now)) {
                    visit(FieldRef { name: f.name, value: f.value, expire: f.expire });
                }
            }
            Self::Big(big) => {
                big.iter().filter(|f| !passed(f.expire, now)).for_each(visit);
            }
        }
    }

    /// Appends the live fields in packed form, also for an indexed hash. Returns whether that is the form with
    /// deadlines. COPY, RENAME and checkpoints pass whole hashes in this form. O(n).
    pub fn pack_live(&self, now: u64, out: &mut Vec<u8>) -> bool {
        let ttl = match *self {
            Self::Packed(_, ttl) => ttl,
            Self::Big(big) => big.with_deadline() > 0,
        };
        self.each_live(now, |f| pack_field(out, ttl, f.name, f.value, f.expire));
        ttl
    }

    /// Redis's name of the form.
    pub fn encoding(&self) -> &'static str {
        match *self {
            Self::Packed(_, false) => "listpack",
            Self::Packed(_, true) => "listpackex",
            Self::Big(_) => "hashtable",
        }
    }
}
