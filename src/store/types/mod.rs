//! What the store does with values of each type: how effects change them, what takes a change back, and how they are written
//! into an image. One folder a type; what all types share is in `apply`, `undo` and `image`.
//!
//! A type is added by a folder here, a file in `effect`, and an arm in each match over [`Effect`](crate::effect::Effect),
//! [`ValueRef`] and [`Object`] and over the enums of this file. None of them has an arm for all others.
#![deny(clippy::wildcard_enum_match_arm)]

pub(super) mod hash;
pub(super) mod item;
pub(super) mod stream;
pub(super) mod string;

use super::apply::Place;
use super::image::Owner;
use super::undo::DeadlineIn;
use super::{Entry, Kind, Locked, Object, Store, ValueRef};
use crate::effect::{HashChange, ItemChange, StreamChange, StringChange};

/// Elements that are read in one hold; a few under test, so that there are always several pieces.
pub(super) const PIECE: usize = if cfg!(test) { 16 } else { 4096 };
/// Bytes after which a piece ends: it has no more than these and one element.
pub(super) const BYTES: usize = if cfg!(test) { 2048 } else { 256 << 10 };

/// Whether elements of these sizes are more than a piece.
fn is_large(sizes: impl Iterator<Item = usize>) -> bool {
    let mut bytes = 0;
    sizes.enumerate().any(|(at, size)| {
        bytes += size;
        at >= PIECE || bytes > BYTES
    })
}

/// A change that is about to happen within a value.
#[derive(Clone, Copy)]
pub(super) enum Change<'c, 'a> {
    String(&'c StringChange<'a>),
    Hash(&'c HashChange<'a>),
    Item(&'c ItemChange<'a>),
    Stream(&'c StreamChange<'a>),
}

/// Reads a large value in pieces, each under a hold of its own, as it was when the reading began.
pub(super) trait Reader {
    /// Keeps what a change is about to change as it is, unless it was read or kept before.
    fn keep(&mut self, value: ValueRef<'_>, change: Change<'_, '_>);

    /// Appends the effects of the next piece, for a key of a database or a partition of a table; whether it was the last
    /// one.
    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool;

    /// Takes what was kept and has no place in the order of pieces.
    fn take_kept(&mut self) -> Kept {
        Kept::default()
    }
}

/// What was kept for a reader, to be written without a hold.
#[derive(Default)]
pub(super) enum Kept {
    #[default]
    Nothing,
    /// Fields of a hash, packed with deadlines.
    Fields(Vec<u8>),
}

impl Kept {
    /// Appends the effects that bring it.
    pub(super) fn put(&self, number: u32, key: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Nothing => {}
            Self::Fields(packed) => hash::put_kept(packed, number, key, out),
        }
    }
}

/// How far a large value is read.
pub(super) enum Reading {
    String(string::Reading),
    Hash(hash::Reading),
    Item(item::Reading),
    Stream(Box<stream::Reading>),
}

impl Reading {
    /// Nothing if the value is small.
    pub(super) fn of(entry: &Entry, owner: Owner) -> Option<Self> {
        match entry.value() {
            ValueRef::Str(bytes) => {
                (entry.kind() == Kind::Far).then(|| Self::String(string::Reading::of(bytes)))
            }
            ValueRef::Hash(..) | ValueRef::Items(_) => None,
            ValueRef::Boxed(Object::Hash(hash)) => hash::Reading::of(hash).map(Self::Hash),
            ValueRef::Boxed(Object::Items(items)) => item::Reading::of(items).map(Self::Item),
            ValueRef::Boxed(Object::Stream(stream)) => {
                stream::Reading::of(stream, owner.number(), entry.key())
                    .map(|reading| Self::Stream(Box::new(reading)))
            }
        }
    }

    pub(super) fn reader(&mut self) -> &mut dyn Reader {
        match self {
            Self::String(reading) => reading,
            Self::Hash(reading) => reading,
            Self::Item(reading) => reading,
            Self::Stream(reading) => &mut **reading,
        }
    }
}

/// What takes a change within a value back.
pub(super) enum Inverse {
    String(string::Inverse),
    Hash(Vec<crate::value::hash::Inverse>),
    Item(item::Inverse),
    /// With the address of the stream's object.
    Stream(Option<usize>, crate::value::stream::Inverse),
}

impl Inverse {
    /// Nobody takes the change back any more: what it took out of a value that is being read goes to the reader.
    pub(super) fn settle(self, store: &Store, shard: usize) {
        match self {
            Self::String(_) | Self::Hash(_) | Self::Item(_) => {}
            Self::Stream(address, left) => store.hand_over_of_stream(shard, address, left),
        }
    }
}

impl Locked<'_> {
    /// Takes a change within a value back.
    pub(super) fn take_back_within(
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
