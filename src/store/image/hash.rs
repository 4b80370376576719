//! Reading a large hash in pieces.

use super::PIECE;
use super::build::hash_pairs;
use crate::value::hash::{BigHash, FieldRef, pack_field, packed_fields};
use ahash::AHashSet;

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
        let step = hash.step(self.cursor, PIECE);
        let unchanged = hash.fields_in(step).filter(|f| !self.changed.contains(f.name));
        hash_pairs(db, key, unchanged, out);
        self.cursor = step.next();
        self.cursor == 0
    }
}

/// The effects that set fields which were kept.
pub(super) fn put_before(before: &[u8], db: u32, key: &[u8], out: &mut Vec<u8>) {
    let fields = packed_fields(before, true);
    hash_pairs(db, key, fields.map(|f| FieldRef { name: f.name, value: f.value, expire: f.expire }), out);
}
