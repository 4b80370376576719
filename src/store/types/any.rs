//! The sum over all types.

use super::hash::{self, HashReading};
use super::item::{DeadlineIn, ItemsReading};
use super::set::{self, SetReading};
use super::stream::{self, StreamReading};
use super::string::StringReading;
use super::zset::{self, ZsetReading};
use crate::store::inverse::Inverse;
use crate::store::place::Place;
use crate::store::reader::{Kept, PieceReader};
use crate::store::{Entry, Kind, Locked, Object, Store, ValueRef};

/// Begins to read a value of a database or a table; `None` if it is small.
pub(in crate::store) fn reader_of(entry: &Entry, number: u32) -> Option<Box<dyn PieceReader>> {
    fn boxed(reader: Option<impl PieceReader + 'static>) -> Option<Box<dyn PieceReader>> {
        reader.map(|reader| Box::new(reader) as Box<dyn PieceReader>)
    }
    match entry.value() {
        ValueRef::Str(bytes) => boxed((entry.kind() == Kind::Far).then(|| StringReading::of(bytes))),
        ValueRef::Hash(..)
        | ValueRef::Set(..)
        | ValueRef::Items(_)
        | ValueRef::List(_)
        | ValueRef::Zset(_)
        // A list is copied for the image, see `ListReading`.
        | ValueRef::Boxed(Object::List(_)) => None,
        ValueRef::Boxed(Object::Hash(hash)) => boxed(HashReading::of(hash)),
        ValueRef::Boxed(Object::Set(set)) => boxed(SetReading::of(set)),
        ValueRef::Boxed(Object::Items(items)) => boxed(ItemsReading::of(items)),
        ValueRef::Boxed(Object::Stream(stream)) => boxed(StreamReading::of(stream, number, entry.key())),
        ValueRef::Boxed(Object::Zset(set)) => boxed(ZsetReading::of(set)),
    }
}

/// Appends the effects that write what was kept for a reader.
pub(in crate::store) fn put_kept(kept: &Kept, number: u32, key: &[u8], out: &mut Vec<u8>) {
    match kept {
        Kept::Nothing => {}
        Kept::Fields(packed) => hash::put_kept(packed, number, key, out),
        Kept::Members(packed) => set::put_kept(packed, number, key, out),
    }
}

impl Inverse {
    /// Ends the possibility to undo the change: what it removed from a value that is being read goes to the reader.
    pub(in crate::store) fn settle(self, store: &Store, shard: usize) {
        match self {
            Self::String(_) | Self::Hash(_) | Self::Set(_) | Self::Item(_) | Self::Zset(_) => {}
            Self::Stream(address, left) => store.hand_over_of_stream(shard, address, left),
        }
    }
}

impl Locked<'_> {
    /// Undoes a change within a value.
    pub(in crate::store) fn take_back_within(
        &mut self,
        place: Place<'_>,
        inverse: Inverse,
        deadline_of: DeadlineIn<'_>,
    ) {
        let store = self.store;
        let Some(entry) = self.find(place) else { return };
        let before = entry.deadlines();
        match inverse {
            Inverse::String(inverse) => entry.revert_bytes(&inverse),
            Inverse::Hash(inverses) => hash::take_back(entry, inverses),
            Inverse::Set(inverses) => set::take_back(entry, inverses),
            Inverse::Zset(inverses) => zset::take_back(entry, &inverses),
            Inverse::Item(inverse) => return self.take_item_back(place, &inverse, deadline_of),
            Inverse::Stream(address, inverse) => {
                store.is_taken_back(place.shard, address, &inverse);
                stream::take_back(entry, inverse);
            }
        }
        let after = entry.deadlines();
        self.count_deadlines(place, before, after);
    }
}
