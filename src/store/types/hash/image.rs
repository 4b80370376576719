//! The effects that build a hash, and reading a large one in pieces.

use crate::effect::{FieldExpire, HashChange, List};
use crate::store::types::reading::{BYTES, Change, Kept, PIECE, Reader, is_large};
use crate::store::{Object, ValueRef};
use crate::value::hash::{BigHash, FieldRef, pack_field, packed_fields};
use ahash::AHashSet;

/// Fields of a large hash in one effect.
const PAIRS: usize = 512;
/// Fields that are looked at before a piece may end.
const FIELDS: usize = 4;

/// How far a hash is read. Fields move within the hash as others come and go, so whoever changes one cannot tell
/// whether it was read already: it is imaged once more then, in the same state.
#[derive(Default)]
pub(in crate::store) struct Reading {
    /// Where the hash's own walk goes on.
    cursor: u64,
    /// Fields that have changed since the hold. What the hash holds under these names is no part of the image.
    changed: AHashSet<Box<[u8]>>,
    /// The former state of those of them that were there, packed with deadlines, until the reader takes it.
    before: Vec<u8>,
}

impl Reading {
    /// Nothing if the hash is small.
    pub(in crate::store) fn of(hash: &BigHash) -> Option<Self> {
        is_large(hash.iter().map(|f| f.name.len() + f.value.len())).then(Self::default)
    }

    /// Keeps fields that are about to change as they are.
    fn keep_fields<'f>(&mut self, hash: &BigHash, names: impl Iterator<Item = &'f [u8]>) {
        for name in names {
            if self.changed.contains(name) {
                continue;
            }
            self.changed.insert(name.into());
            if let Some(f) = hash.get(name) {
                pack_field(&mut self.before, true, f.name, f.value, f.expire);
            }
        }
    }

    /// Reads the next piece; whether it was the last one.
    fn read_fields(&mut self, hash: &BigHash, db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let (mut unchanged, mut fields, mut bytes) = (Vec::new(), 0, 0);
        while fields < PIECE && bytes < BYTES {
            let step = hash.step(self.cursor, FIELDS);
            for f in hash.fields_in(step) {
                (fields, bytes) = (fields + 1, bytes + f.name.len() + f.value.len());
                if !self.changed.contains(f.name) {
                    unchanged.push(f);
                }
            }
            self.cursor = step.next();
            if self.cursor == 0 {
                break;
            }
        }
        hash_pairs(db, key, unchanged.into_iter(), out);
        self.cursor == 0
    }
}

impl Reader for Reading {
    fn keep(&mut self, value: ValueRef<'_>, change: Change<'_, '_>) {
        if let (ValueRef::Boxed(Object::Hash(hash)), Change::Hash(change)) = (value, change) {
            self.keep_fields(hash, change.fields());
        }
    }

    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let ValueRef::Boxed(Object::Hash(hash)) = value else { return true };
        self.read_fields(hash, number, key, out)
    }

    fn take_kept(&mut self) -> Kept {
        Kept::Fields(std::mem::take(&mut self.before))
    }
}

/// The effects that set fields which were kept.
pub(in crate::store) fn put_kept(packed: &[u8], db: u32, key: &[u8], out: &mut Vec<u8>) {
    let fields = packed_fields(packed, true);
    hash_pairs(db, key, fields.map(|f| FieldRef { name: f.name, value: f.value, expire: f.expire }), out);
}

/// The effects that set fields of a hash.
pub(in crate::store) fn hash_pairs<'f>(
    db: u32,
    key: &[u8],
    fields: impl Iterator<Item = FieldRef<'f>>,
    out: &mut Vec<u8>,
) {
    let mut pairs: Vec<&[u8]> = Vec::with_capacity(PAIRS * 2);
    let mut deadlines: Vec<(u64, &[u8])> = Vec::new();
    for f in fields {
        pairs.extend([f.name, f.value]);
        if f.expire != 0 {
            deadlines.push((f.expire, f.name));
        }
        if pairs.len() == PAIRS * 2 {
            hash_set(db, key, &pairs, out);
            pairs.clear();
        }
    }
    if !pairs.is_empty() {
        hash_set(db, key, &pairs, out);
    }
    for (at, field) in deadlines {
        HashChange::Expire { fields: List::Slices(&[field]), at }.on(db, key).encode(out);
    }
}

fn hash_set(db: u32, key: &[u8], pairs: &[&[u8]], out: &mut Vec<u8>) {
    HashChange::Set { pairs: List::Slices(pairs), expire: FieldExpire::Clear }.on(db, key).encode(out);
}
