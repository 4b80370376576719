//! The sum over all types.

use super::item::DeadlineIn;
use super::reading::{Kept, Reader};
use super::{hash, item, set, stream, string, zset};
use crate::store::apply::Place;
use crate::store::{Entry, Kind, Locked, Object, Store, ValueRef};
use crate::value::hash::Field;
use crate::value::parted;
use crate::value::set::Name;

/// How far a large value was read.
pub(in crate::store) enum Reading {
    String(string::Reading),
    Hash(hash::Reading),
    Set(set::Reading),
    Item(item::Reading),
    Stream(Box<stream::Reading>),
    Zset(zset::Reading),
}

impl Reading {
    /// Begins to read a value of a database or a table; `None` if it is small.
    pub(in crate::store) fn of(entry: &Entry, number: u32) -> Option<Self> {
        match entry.value() {
            ValueRef::Str(bytes) => {
                (entry.kind() == Kind::Far).then(|| Self::String(string::Reading::of(bytes)))
            }
            ValueRef::Hash(..) | ValueRef::Set(..) | ValueRef::Items(_) | ValueRef::List(_) => None,
            // A list is copied for the image, see `list::Reading`.
            ValueRef::Boxed(Object::List(_)) => None,
            ValueRef::Zset(_) => None,
            ValueRef::Boxed(Object::Hash(hash)) => hash::Reading::of(hash).map(Self::Hash),
            ValueRef::Boxed(Object::Set(set)) => set::Reading::of(set).map(Self::Set),
            ValueRef::Boxed(Object::Items(items)) => item::Reading::of(items).map(Self::Item),
            ValueRef::Boxed(Object::Stream(stream)) => stream::Reading::of(stream, number, entry.key())
                .map(|reading| Self::Stream(Box::new(reading))),
            ValueRef::Boxed(Object::Zset(set)) => zset::Reading::of(set).map(Self::Zset),
        }
    }

    pub(in crate::store) fn reader(&mut self) -> &mut dyn Reader {
        match self {
            Self::String(reading) => reading,
            Self::Hash(reading) => reading,
            Self::Set(reading) => reading,
            Self::Item(reading) => reading,
            Self::Stream(reading) => &mut **reading,
            Self::Zset(reading) => reading,
        }
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

/// What is needed to undo a change within a value.
pub(in crate::store) enum Inverse {
    String(string::Inverse),
    Hash(Vec<parted::Inverse<Field>>),
    Set(Vec<parted::Inverse<Name>>),
    Item(item::Inverse),
    /// With the address of the stream's object.
    Stream(Option<usize>, crate::value::stream::Inverse),
    Zset(Vec<crate::value::zset::Inverse>),
}

impl From<string::Inverse> for Inverse {
    fn from(inverse: string::Inverse) -> Self {
        Self::String(inverse)
    }
}

impl From<Vec<parted::Inverse<Field>>> for Inverse {
    fn from(inverses: Vec<parted::Inverse<Field>>) -> Self {
        Self::Hash(inverses)
    }
}

impl From<Vec<parted::Inverse<Name>>> for Inverse {
    fn from(inverses: Vec<parted::Inverse<Name>>) -> Self {
        Self::Set(inverses)
    }
}

impl From<Vec<crate::value::zset::Inverse>> for Inverse {
    fn from(inverses: Vec<crate::value::zset::Inverse>) -> Self {
        Self::Zset(inverses)
    }
}

impl From<item::Inverse> for Inverse {
    fn from(inverse: item::Inverse) -> Self {
        Self::Item(inverse)
    }
}

impl From<(Option<usize>, crate::value::stream::Inverse)> for Inverse {
    fn from((address, inverse): (Option<usize>, crate::value::stream::Inverse)) -> Self {
        Self::Stream(address, inverse)
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
            Inverse::String(inverse) => string::take_back(entry, &inverse),
            Inverse::Hash(inverses) => hash::take_back(entry, inverses),
            Inverse::Set(inverses) => set::take_back(entry, inverses),
            Inverse::Zset(inverses) => zset::take_back(entry, &inverses),
            Inverse::Item(inverse) => return self.take_item_back(place, inverse, deadline_of),
            Inverse::Stream(address, inverse) => {
                store.is_taken_back(place.shard, address, &inverse);
                stream::take_back(entry, inverse);
            }
        }
        let after = entry.deadlines();
        self.count_deadlines(place, before, after);
    }
}
