//! Values as entries hold them: compact in the entry's block, or in an allocation of their own once they have outgrown
//! it.

use super::collection::{Collection, ItemsRef};
use crate::value::ElementHint;
use crate::value::hash::{BigHash, HashRef};
use crate::value::heap;
use crate::value::list::{BigList, ListRef};
use crate::value::set::{BigSet, Ints, SetRef};
use crate::value::shared::OwnStep;
use crate::value::stream::Stream;
use crate::value::zset::{BigZset, ZsetRef};

/// Bytes of the leaves that one step of [`Object::own`] copies.
const OWN_BYTES: usize = if cfg!(test) { 1024 } else { 128 << 10 };

/// Values with at most so many elements are not prefetched.
const NEAR_ELEMENTS: usize = if cfg!(test) { 16 } else { 2048 };

/// A value in an allocation of its own.
pub enum Object {
    /// A hash above the compact thresholds.
    Hash(BigHash),
    /// A set above the compact thresholds.
    Set(BigSet),
    /// An item collection above the compact thresholds.
    Items(Collection),
    /// A stream.
    Stream(Stream),
    /// A list above the compact thresholds.
    List(BigList),
    /// A sorted set above the compact thresholds.
    Zset(BigZset),
}

impl Object {
    /// The earliest deadline of a part of the value, if any. It may be earlier than the true one, never later.
    pub fn deadline(&self) -> Option<u64> {
        match self {
            Self::Hash(hash) => hash.deadline(),
            Self::Set(_) | Self::Items(_) | Self::Stream(_) | Self::List(_) | Self::Zset(_) => None,
        }
    }

    /// How many elements there are.
    pub fn elements(&self) -> usize {
        match self {
            Self::Hash(hash) => hash.len(),
            Self::Set(set) => set.len(),
            Self::Items(items) => items.len(),
            Self::Stream(stream) => stream.len() as usize,
            Self::List(list) => list.len(),
            Self::Zset(set) => set.len(),
        }
    }

    /// Whether the value is so small that it is in a near cache anyway.
    #[inline]
    pub(super) fn is_near(&self) -> bool {
        self.elements() <= NEAR_ELEMENTS
    }

    /// The first step before the lookup of an element that is known to come: where it probably is. `None` if the value
    /// has no elements by name.
    #[inline]
    pub(super) fn foresee(&self, name: &[u8]) -> Option<ElementHint> {
        match self {
            Self::Hash(hash) => hash.foresee(name),
            Self::Set(set) => set.foresee(name),
            Self::Zset(set) => set.foresee(name),
            Self::Items(_) | Self::Stream(_) | Self::List(_) => None,
        }
    }

    /// The second step: prefetches the element.
    #[inline]
    pub(super) fn prefetch(&self, hint: ElementHint) {
        match self {
            Self::Hash(hash) => hash.prefetch(hint),
            Self::Set(set) => set.prefetch(hint),
            Self::Zset(set) => set.prefetch(hint),
            Self::Items(_) | Self::Stream(_) | Self::List(_) => {}
        }
    }

    /// Approximate bytes allocated. Looks at up to `samples` elements (0 for all), so it is O(samples).
    pub fn memory(&self, samples: usize) -> usize {
        heap::block(size_of::<Self>())
            + match self {
                Self::Hash(hash) => hash.memory(samples),
                Self::Set(set) => set.memory(samples),
                Self::Items(items) => items.memory(samples),
                Self::Stream(stream) => stream.memory(),
                Self::List(list) => list.memory(samples),
                Self::Zset(set) => set.memory(samples),
            }
    }

    /// Whether a copy of the value shares parts with it.
    pub(super) fn shares_with_copies(&self) -> bool {
        match self {
            Self::Hash(_) | Self::Set(_) | Self::List(_) | Self::Zset(_) => true,
            Self::Items(_) | Self::Stream(_) => false,
        }
    }

    /// Copies what the value shares with a copy of it, from the place on that the last step gave, beginning with 0. A
    /// step takes less than a millisecond.
    pub(super) fn own(&mut self, from: usize) -> OwnStep {
        match self {
            Self::Hash(hash) => hash.own(from),
            Self::Set(set) => set.own(from),
            Self::List(list) => list.own(from, OWN_BYTES),
            Self::Zset(set) => set.own(from, OWN_BYTES),
            Self::Items(_) | Self::Stream(_) => OwnStep { next: None, bytes: 0, copied: false },
        }
    }
}

/// A value as it stands in an entry.
#[derive(Clone, Copy)]
pub enum ValueRef<'a> {
    /// A Redis string.
    Str(&'a [u8]),
    /// A packed hash; with deadlines if the flag is set.
    Hash(&'a [u8], bool),
    /// A compact set: integers if the flag is set, else packed members.
    Set(&'a [u8], bool),
    /// A packed item collection.
    Items(&'a [u8]),
    /// A packed list.
    List(&'a [u8]),
    /// A packed sorted set.
    Zset(&'a [u8]),
    /// A value in an allocation of its own.
    Boxed(&'a Object),
}

impl<'a> ValueRef<'a> {
    /// The value as a hash, if it is one.
    #[inline]
    pub fn hash(self) -> Option<HashRef<'a>> {
        match self {
            Self::Hash(packed, ttl) => Some(HashRef::Packed(packed, ttl)),
            Self::Boxed(Object::Hash(big)) => Some(HashRef::Big(big)),
            _ => None,
        }
    }

    /// The value as a set, if it is one.
    #[inline]
    pub fn set(self) -> Option<SetRef<'a>> {
        match self {
            Self::Set(packed, false) => Some(SetRef::Packed(packed)),
            Self::Set(ints, true) => Some(SetRef::Ints(Ints::of(ints))),
            Self::Boxed(Object::Set(big)) => Some(SetRef::Big(big)),
            _ => None,
        }
    }

    /// The value as a list, if it is one.
    #[inline]
    pub fn list(self) -> Option<ListRef<'a>> {
        match self {
            Self::List(packed) => Some(ListRef::Packed(packed)),
            Self::Boxed(Object::List(big)) => Some(ListRef::Big(big)),
            _ => None,
        }
    }

    /// The value as an item collection, if it is one.
    #[inline]
    pub fn items(self) -> Option<ItemsRef<'a>> {
        match self {
            Self::Items(packed) => Some(ItemsRef::Packed(packed)),
            Self::Boxed(Object::Items(items)) => Some(ItemsRef::Big(items)),
            _ => None,
        }
    }

    /// The value as a sorted set, if it is one.
    #[inline]
    pub fn zset(self) -> Option<ZsetRef<'a>> {
        match self {
            Self::Zset(packed) => Some(ZsetRef::Packed(packed)),
            Self::Boxed(Object::Zset(set)) => Some(ZsetRef::Big(set)),
            _ => None,
        }
    }

    /// The value as a stream, if it is one.
    #[inline]
    pub fn stream(self) -> Option<&'a Stream> {
        match self {
            Self::Boxed(Object::Stream(stream)) => Some(stream),
            _ => None,
        }
    }
}
