//! Reading a large hash in pieces.

use super::build::hash_pairs;
use super::{BYTES, PIECE};
use crate::value::hash::{BigHash, FieldRef, pack_field, packed_fields};
use ahash::AHashSet;

/// Fields that are looked at before a piece may end.
const FIELDS: usize = 4;

/// How far a hash is read. Fields move within the hash as others come and go, so whoever changes one cannot tell
/// whether it was read already: it is imaged once more then, in the same state.
#[derive(Default)]
pub(super) struct Fields {
    /// Where the hash's own walk goes on.
    cursor: u64,
    /// Fields that have changed since the hold. What the hash holds under these names is no part of the image.
    changed: AHashSet<Box<[u8]>>,
    /// The former state of those of them that were there, packed with deadlines, until the reader takes it.
    before: Vec<u8>,
}

impl Fields {
    /// Keeps fields that are about to change as they are.
    pub(super) fn keep(&mut self, hash: &BigHash, names: &mut dyn Iterator<Item = &[u8]>) {
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

    pub(super) fn take_before(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.before)
    }

    /// Reads the next piece; whether it was the last one.
    pub(super) fn read(&mut self, hash: &BigHash, db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
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

/// The effects that set fields which were kept.
pub(super) fn put_before(before: &[u8], db: u32, key: &[u8], out: &mut Vec<u8>) {
    let fields = packed_fields(before, true);
    hash_pairs(db, key, fields.map(|f| FieldRef { name: f.name, value: f.value, expire: f.expire }), out);
}
