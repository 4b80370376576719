//! Effects that build a set, and the reader of a large one.

use crate::effect::{List, SetChange};
use crate::store::reader::{Kept, PieceReader, ValueChange};

use crate::store::types::walked::{IN_EFFECT, Walk, Walked, in_lists};
use crate::store::{Object, ValueRef};
use crate::value::packed::put_part;
use crate::value::set::{BigSet, Members, SetRef, packed_members};

impl Walked for Members {
    fn name<'e>(member: &'e &[u8]) -> &'e [u8] {
        member
    }

    fn size(member: &&[u8]) -> usize {
        member.len()
    }

    fn pack(member: &&[u8], kept: &mut Vec<u8>) {
        put_part(kept, member);
    }

    fn put<'a>(db: u32, key: &[u8], members: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
        in_lists(members, IN_EFFECT, |members| SetChange::Add { members }.on(db, key).encode(out));
    }
}

/// How far a set was read.
pub(in crate::store) struct SetReading(Walk);

impl SetReading {
    /// `None` if the set is small.
    pub(in crate::store) fn of(set: &BigSet) -> Option<Self> {
        Walk::of(set).map(Self)
    }
}

impl PieceReader for SetReading {
    fn keep(&mut self, value: ValueRef<'_>, change: ValueChange<'_, '_>) {
        if let (ValueRef::Boxed(Object::Set(set)), ValueChange::Set(change)) = (value, change) {
            self.0.keep(set, change.members().iter());
        }
    }

    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let ValueRef::Boxed(Object::Set(set)) = value else { return true };
        self.0.read(set, number, key, out)
    }

    fn take_kept(&mut self) -> Kept {
        Kept::Members(self.0.take_kept())
    }
}

/// Appends the effects that add members which were kept.
pub(in crate::store) fn put_kept(packed: &[u8], db: u32, key: &[u8], out: &mut Vec<u8>) {
    Members::put(db, key, packed_members(packed).map(|member| member.name), out);
}

/// Appends the effects that build a set, without its deadline.
pub(in crate::store) fn set_effects(db: u32, key: &[u8], value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value.set() {
        Some(SetRef::Packed(bytes)) => {
            let count = packed_members(bytes).count();
            SetChange::Add { members: List::Packed { bytes, count } }.on(db, key).encode(out);
        }
        Some(SetRef::Ints(ints)) => {
            let (mut bytes, mut count) = (Vec::new(), 0);
            for n in ints.iter() {
                put_part(&mut bytes, itoa::Buffer::new().format(n).as_bytes());
                count += 1;
            }
            SetChange::Add { members: List::Packed { bytes: &bytes, count } }.on(db, key).encode(out);
        }
        Some(SetRef::Big(big)) => Members::put(db, key, big.iter(), out),
        None => {}
    }
}
