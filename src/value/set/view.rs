//! One view of a set's forms.

use super::{BigSet, Ints};
use crate::text::parse_i64_strict;
use crate::value::hash::same_name;
use crate::value::packed::read_part;
use std::borrow::Cow;

/// A member of a set in any form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Member<'a> {
    /// An integer, which represents its decimal text.
    Int(i64),
    /// Any bytes.
    Text(&'a [u8]),
}

impl<'a> Member<'a> {
    /// Calls `then` with the member's bytes.
    #[inline]
    pub fn with<T>(self, then: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Int(n) => then(itoa::Buffer::new().format(n).as_bytes()),
            Self::Text(bytes) => then(bytes),
        }
    }

    /// The member's bytes; an integer is converted to text.
    pub fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Int(n) => Cow::Owned(itoa::Buffer::new().format(n).as_bytes().to_vec()),
            Self::Text(bytes) => Cow::Borrowed(bytes),
        }
    }
}

/// A set in any of its forms.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    /// Integers.
    Ints(Ints<'a>),
    /// Members one after the other: `(varint length, bytes)`, in the order in which they were added.
    Packed(&'a [u8]),
    /// Indexed.
    Big(&'a BigSet),
}

/// A member of a packed set and its place.
#[derive(Clone, Copy)]
pub struct PackedMember<'a> {
    /// The member's bytes.
    pub name: &'a [u8],
    /// The offset of its first byte.
    pub start: usize,
    /// The offset after it.
    pub end: usize,
}

/// Iterates over a packed set.
#[inline]
pub fn packed_members(packed: &[u8]) -> impl Iterator<Item = PackedMember<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= packed.len() {
            return None;
        }
        let (name, end) = read_part(packed, start);
        let member = PackedMember { name, start, end };
        start = end;
        Some(member)
    })
}

/// Finds a member. O(members).
#[inline]
pub fn packed_member<'a>(packed: &'a [u8], name: &[u8]) -> Option<PackedMember<'a>> {
    packed_members(packed).find(|member| same_name(member.name, name))
}

/// The members of one of the forms.
enum Members<I, P, B> {
    Ints(I),
    Packed(P),
    Big(B),
}

impl<'a, I, P, B> Iterator for Members<I, P, B>
where
    I: Iterator<Item = i64>,
    P: Iterator<Item = PackedMember<'a>>,
    B: Iterator<Item = &'a [u8]>,
{
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        match self {
            Self::Ints(ints) => ints.next().map(Member::Int),
            Self::Packed(packed) => packed.next().map(|member| Member::Text(member.name)),
            Self::Big(big) => big.next().map(Member::Text),
        }
    }
}

impl<'a> SetRef<'a> {
    /// The number of members. O(1), in the packed form O(members).
    pub fn len(&self) -> usize {
        match *self {
            Self::Ints(ints) => ints.len(),
            Self::Packed(packed) => packed_members(packed).count(),
            Self::Big(big) => big.len(),
        }
    }

    /// Whether there are no members. O(1).
    pub fn is_empty(&self) -> bool {
        match *self {
            Self::Ints(ints) => ints.is_empty(),
            Self::Packed(packed) => packed.is_empty(),
            Self::Big(big) => big.is_empty(),
        }
    }

    /// Whether a member exists. O(1), for integers O(log n), in the packed form O(members).
    #[inline]
    pub fn contains(&self, name: &[u8]) -> bool {
        match *self {
            Self::Ints(ints) => parse_i64_strict(name).is_some_and(|n| ints.find(n).is_ok()),
            Self::Packed(packed) => packed_member(packed, name).is_some(),
            Self::Big(big) => big.contains(name),
        }
    }

    /// All members in the set's order.
    pub fn iter(&self) -> impl Iterator<Item = Member<'a>> + use<'a> {
        match *self {
            Self::Ints(ints) => Members::Ints(ints.iter()),
            Self::Packed(packed) => Members::Packed(packed_members(packed)),
            Self::Big(big) => Members::Big(big.iter()),
        }
    }

    /// Redis's name of the form.
    pub fn encoding(&self) -> &'static str {
        match *self {
            Self::Ints(_) => "intset",
            Self::Packed(_) => "listpack",
            Self::Big(_) => "hashtable",
        }
    }
}
