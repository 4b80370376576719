//! Effects that build a hash, and the reader of a large hash.

use crate::effect::{FieldExpire, HashChange, List};
use crate::store::reader::{Kept, PieceReader, ValueChange};

use crate::store::types::walked::{IN_EFFECT, Walk, Walked, in_lists};
use crate::store::{Object, ValueRef};
use crate::value::hash::{BigHash, FieldRef, HashPart, pack_field, packed_fields};

impl Walked for HashPart {
    fn name<'e>(field: &'e FieldRef<'_>) -> &'e [u8] {
        field.name
    }

    fn size(field: &FieldRef<'_>) -> usize {
        field.name.len() + field.value.len()
    }

    fn pack(f: &FieldRef<'_>, kept: &mut Vec<u8>) {
        pack_field(kept, true, f.name, f.value, f.expire);
    }

    fn put<'a>(db: u32, key: &[u8], fields: impl Iterator<Item = FieldRef<'a>>, out: &mut Vec<u8>) {
        hash_pairs(db, key, fields, out);
    }
}

/// How far a hash was read.
pub(in crate::store) struct HashReading(Walk);

impl HashReading {
    /// `None` if the hash is small.
    pub(in crate::store) fn of(hash: &BigHash) -> Option<Self> {
        Walk::of(hash).map(Self)
    }
}

impl PieceReader for HashReading {
    fn keep(&mut self, value: ValueRef<'_>, change: ValueChange<'_, '_>) {
        if let (ValueRef::Boxed(Object::Hash(hash)), ValueChange::Hash(change)) = (value, change) {
            self.0.keep(hash, change.fields());
        }
    }

    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let ValueRef::Boxed(Object::Hash(hash)) = value else { return true };
        self.0.read(hash, number, key, out)
    }

    fn take_kept(&mut self) -> Kept {
        Kept::Fields(self.0.take_kept())
    }
}

/// Appends the effects that set fields which were kept.
pub(in crate::store) fn put_kept(packed: &[u8], db: u32, key: &[u8], out: &mut Vec<u8>) {
    let fields = packed_fields(packed, true);
    hash_pairs(db, key, fields.map(|f| FieldRef { name: f.name, value: f.value, expire: f.expire }), out);
}

/// Appends the effects that set fields of a hash.
pub(in crate::store) fn hash_pairs<'f>(
    db: u32,
    key: &[u8],
    fields: impl Iterator<Item = FieldRef<'f>>,
    out: &mut Vec<u8>,
) {
    let mut deadlines: Vec<(u64, &[u8])> = Vec::new();
    let pairs = fields.flat_map(|f| {
        if f.expire != 0 {
            deadlines.push((f.expire, f.name));
        }
        [f.name, f.value]
    });
    in_lists(pairs, IN_EFFECT * 2, |pairs| {
        HashChange::Set { pairs, expire: FieldExpire::Clear }.on(db, key).encode(out);
    });
    for (at, field) in deadlines {
        HashChange::Expire { fields: List::Slices(&[field]), at }.on(db, key).encode(out);
    }
}
