//! Places in the order of a sorted set.

use std::cmp::Ordering;

/// The order of members: by score, then by bytes.
#[inline]
pub fn compare(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    // No score is NaN, so there always is an order.
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

/// A place between members.
#[derive(Clone, Copy, Debug)]
pub enum Cut<'a> {
    /// Before all members.
    Start,
    /// After all members.
    End,
    /// Before all members with this score.
    BeforeScore(f64),
    /// After all members with this score.
    BehindScore(f64),
    /// Before a member, in a set whose members have one score.
    BeforeMember(&'a [u8]),
    /// After a member, in a set whose members have one score.
    BehindMember(&'a [u8]),
    /// Before a member with this score.
    Before(f64, &'a [u8]),
    /// After a member with this score.
    Behind(f64, &'a [u8]),
}

impl Cut<'_> {
    /// Whether a member is before the place. `member` is called only if the score does not decide.
    #[inline]
    pub fn is_behind<'m>(&self, score: f64, member: impl FnOnce() -> &'m [u8]) -> bool {
        match *self {
            Self::Start => false,
            Self::End => true,
            Self::BeforeScore(at) => score < at,
            Self::BehindScore(at) => score <= at,
            Self::BeforeMember(at) => member() < at,
            Self::BehindMember(at) => member() <= at,
            Self::Before(at, bytes) => score < at || (score == at && member() < bytes),
            Self::Behind(at, bytes) => score < at || (score == at && member() <= bytes),
        }
    }
}
