//! One view of a sorted set's forms.

use super::order::MemberRange;
use super::{BigZset, Cut, PackedZsetMember, packed_find, packed_members};
use smallvec::SmallVec;

/// A sorted set in any of its forms.
#[derive(Clone, Copy)]
pub enum ZsetRef<'a> {
    /// Packed.
    Packed(&'a [u8]),
    /// With an index.
    Big(&'a BigZset),
}

/// Members in ascending or descending order. The value is on the stack for one command.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)]
pub enum ZsetMembers<'a> {
    /// Of the packed form.
    #[doc(hidden)]
    Packed(smallvec::IntoIter<[(&'a [u8], f64); 16]>),
    /// Of the large form.
    #[doc(hidden)]
    Big(MemberRange<'a>),
}

impl<'a> Iterator for ZsetMembers<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(members) => members.next(),
            Self::Big(members) => members.next(),
        }
    }
}

fn pair(m: PackedZsetMember<'_>) -> (&[u8], f64) {
    (m.member, m.score)
}

impl<'a> ZsetRef<'a> {
    /// The number of members. O(1), in the packed form O(members).
    pub fn len(self) -> usize {
        match self {
            Self::Packed(packed) => packed_members(packed).count(),
            Self::Big(big) => big.len(),
        }
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        match self {
            Self::Packed(packed) => packed.is_empty(),
            Self::Big(big) => big.is_empty(),
        }
    }

    /// A member's score. O(1), in the packed form O(members).
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(packed) => packed_find(packed, member).map(|m| m.score),
            Self::Big(big) => big.score(member),
        }
    }

    /// The number of members before a place in the order. O(log n), in the packed form O(members).
    pub fn partition(self, cut: &Cut<'_>) -> usize {
        match self {
            Self::Packed(packed) => {
                packed_members(packed).take_while(|m| cut.is_behind(m.score, || m.member)).count()
            }
            Self::Big(big) => big.partition(cut),
        }
    }

    /// A member's rank, and its score. O(log n), in the packed form O(members).
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Self::Packed(packed) => {
                let (rank, found) = packed_members(packed).enumerate().find(|(_, m)| m.member == member)?;
                Some((rank, found.score))
            }
            Self::Big(big) => {
                let score = big.score(member)?;
                Some((big.partition(&Cut::Before(score, member)), score))
            }
        }
    }

    /// At most `count` members from a rank on, upwards or downwards; none if there is no such rank. O(log n + count),
    /// in the packed form O(members).
    pub fn range(self, rank: usize, count: usize, backward: bool) -> ZsetMembers<'a> {
        match self {
            Self::Packed(packed) => {
                let all = packed_members(packed).map(pair);
                let mut found: SmallVec<[_; 16]> = SmallVec::new();
                if backward {
                    let end = rank.saturating_add(1);
                    let skipped = end.saturating_sub(count);
                    if rank < self.len() {
                        found.extend(all.skip(skipped).take(end - skipped));
                        found.reverse();
                    }
                } else {
                    found.extend(all.skip(rank).take(count));
                }
                ZsetMembers::Packed(found.into_iter())
            }
            Self::Big(big) => ZsetMembers::Big(big.range(rank, count, backward)),
        }
    }

    /// All members in their order.
    pub fn iter(self) -> ZsetMembers<'a> {
        self.range(0, usize::MAX, false)
    }

    /// Redis's name of the form.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Big(_) => "skiplist",
        }
    }
}
