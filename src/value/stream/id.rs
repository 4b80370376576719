//! The identifier of a stream entry.

use std::fmt;

/// A stream entry's identifier: milliseconds since the Unix epoch, then a sequence number within the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// Sequence number among the entries of one millisecond.
    pub seq: u64,
}

impl StreamId {
    /// The smallest identifier, `0-0`, which no entry may have.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The largest identifier.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The identifier made of its two parts.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// Sixteen bytes whose order is the order of identifiers: both parts big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.ms) << 64) | u128::from(self.seq)).to_be_bytes()
    }

    /// The inverse of [`StreamId::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { ms: (both >> 64) as u64, seq: both as u64 }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}
