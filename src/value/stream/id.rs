//! The identifier of a stream entry, and the ways in which clients write it.

use crate::text::parse_i64_strict;
use smallvec::SmallVec;
use std::fmt;

/// Bytes of an identifier's longest text: two numbers of 64 bits, and a hyphen.
const LONGEST_TEXT: usize = 41;

/// A stream entry's identifier: milliseconds since the Unix epoch, then a sequence number within the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// Sequence number among the entries of one millisecond.
    pub seq: u64,
}

/// The identifier that `XADD` is asked to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewId {
    /// `*`: by the clock.
    Auto,
    /// `ms-*`: the next sequence number in this millisecond.
    AutoSeq(u64),
    /// `ms-seq`, or `ms` for `ms-0`.
    Given(StreamId),
}

/// Why a bound of a range is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadBound {
    /// It is not an identifier.
    Invalid,
    /// It excludes the last identifier in its direction, so nothing is left.
    Empty,
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

    /// Both parts as one number.
    pub(super) fn number(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }

    fn from_number(number: u128) -> Self {
        Self { ms: (number >> 64) as u64, seq: number as u64 }
    }

    /// Sixteen bytes whose order is the order of identifiers: both parts big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.number().to_be_bytes()
    }

    /// The inverse of [`StreamId::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_number(u128::from_be_bytes(bytes))
    }

    /// The text `ms-seq`, as clients have it.
    #[must_use]
    pub fn text(self) -> SmallVec<[u8; LONGEST_TEXT]> {
        let mut text = SmallVec::from_slice(itoa::Buffer::new().format(self.ms).as_bytes());
        text.push(b'-');
        text.extend_from_slice(itoa::Buffer::new().format(self.seq).as_bytes());
        text
    }

    /// The identifier after this one, if this is not the largest.
    pub fn next(self) -> Option<Self> {
        self.number().checked_add(1).map(Self::from_number)
    }

    /// The identifier before this one, if this is not the smallest.
    pub fn prev(self) -> Option<Self> {
        self.number().checked_sub(1).map(Self::from_number)
    }

    /// Reads `ms-seq`, `ms` (the sequence number is then `missing_seq`), `-` and `+` (the smallest and the largest).
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        match text {
            b"-" => Some(Self::MIN),
            b"+" => Some(Self::MAX),
            _ => Self::parse_strict(text, missing_seq),
        }
    }

    /// The same without `-` and `+`.
    pub fn parse_strict(text: &[u8], missing_seq: u64) -> Option<Self> {
        let (ms, seq) = split(text)?;
        let seq = seq.map_or(Some(missing_seq), number)?;
        Some(Self { ms: number(ms)?, seq })
    }

    /// Reads the first identifier of a range; `(` excludes the one that follows it.
    pub fn parse_start(text: &[u8]) -> Result<Self, BadBound> {
        match text {
            [b'(', text @ ..] => {
                Self::parse_strict(text, 0).ok_or(BadBound::Invalid)?.next().ok_or(BadBound::Empty)
            }
            _ => Self::parse(text, 0).ok_or(BadBound::Invalid),
        }
    }

    /// Reads the last identifier of a range; `(` excludes the one that follows it. A missing sequence number is the
    /// largest.
    pub fn parse_end(text: &[u8]) -> Result<Self, BadBound> {
        match text {
            [b'(', text @ ..] => {
                Self::parse_strict(text, u64::MAX).ok_or(BadBound::Invalid)?.prev().ok_or(BadBound::Empty)
            }
            _ => Self::parse(text, u64::MAX).ok_or(BadBound::Invalid),
        }
    }
}

impl NewId {
    /// Reads the identifier that `XADD` is given.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text == b"*" {
            return Some(Self::Auto);
        }
        match split(text)? {
            (ms, Some(b"*")) => number(ms).map(Self::AutoSeq),
            _ => StreamId::parse_strict(text, 0).map(Self::Given),
        }
    }
}

/// The text before and after the first hyphen. As in Redis, a text ends at its first zero byte, and must be shorter
/// than 128 bytes.
fn split(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if text.len() > 127 {
        return None;
    }
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut parts = text.splitn(2, |byte| *byte == b'-');
    Some((parts.next().unwrap_or_default(), parts.next()))
}

/// Reads an unsigned number as Redis does: first strictly; if that fails, as C's `strtoull`, which allows blanks, a
/// sign (a negative number wraps around) and leading zeros.
fn number(text: &[u8]) -> Option<u64> {
    if let Some(n) = parse_i64_strict(text) {
        return u64::try_from(n).ok();
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let blanks = text.iter().take_while(|byte| is_blank(byte)).count();
    let text = text.get(blanks..)?;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { magnitude.wrapping_neg() } else { magnitude })
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations() {
        let id = |text: &str| StreamId::parse(text.as_bytes(), 7);
        assert_eq!(id("5"), Some(StreamId::new(5, 7)));
        assert_eq!(id("5-3"), Some(StreamId::new(5, 3)));
        assert_eq!(id("+"), Some(StreamId::MAX));
        assert_eq!(id("18446744073709551615-18446744073709551615"), Some(StreamId::MAX));
        assert_eq!(id("05- +3"), Some(StreamId::new(5, 3)));
        assert_eq!(id("1--01"), Some(StreamId::new(1, u64::MAX)));
        assert_eq!(id("5\0rest"), Some(StreamId::new(5, 7)));
        for bad in ["", "--", "-5", "5-", "a", "5-x", "18446744073709551616", "5--1", "5-*", "1-1-1", "+1 "] {
            assert_eq!(id(bad), None, "{bad:?}");
        }
        assert_eq!(StreamId::parse_strict(b"-", 0), None);
        assert_eq!(StreamId::parse(&[b'1'; 128], 0), None);
        assert_eq!(NewId::parse(b"*"), Some(NewId::Auto));
        assert_eq!(NewId::parse(b"9-*"), Some(NewId::AutoSeq(9)));
        assert_eq!(NewId::parse(b"9"), Some(NewId::Given(StreamId::new(9, 0))));
        assert_eq!(NewId::parse(b"*-9"), None);
        assert_eq!(NewId::parse(b"+"), None);
    }

    #[test]
    fn bounds() {
        assert_eq!(StreamId::parse_start(b"(5"), Ok(StreamId::new(5, 1)));
        assert_eq!(StreamId::parse_start(b"(5-18446744073709551615"), Ok(StreamId::new(6, 0)));
        assert_eq!(StreamId::parse_end(b"(5"), Ok(StreamId::new(5, u64::MAX - 1)));
        assert_eq!(StreamId::parse_end(b"(5-0"), Ok(StreamId::new(4, u64::MAX)));
        assert_eq!(StreamId::parse_end(b"5"), Ok(StreamId::new(5, u64::MAX)));
        assert_eq!(StreamId::parse_end(b"(0-0"), Err(BadBound::Empty));
        assert_eq!(
            StreamId::parse_start(b"(18446744073709551615-18446744073709551615"),
            Err(BadBound::Empty)
        );
        assert_eq!(StreamId::parse_start(b"(-"), Err(BadBound::Invalid));
        assert_eq!(StreamId::parse_end(b"(+"), Err(BadBound::Invalid));
    }

    #[test]
    fn bytes_keep_the_order() {
        let ids =
            [StreamId::MIN, StreamId::new(0, 1), StreamId::new(1, 0), StreamId::new(256, 3), StreamId::MAX];
        assert!(ids.is_sorted_by_key(|id| id.to_bytes()));
        assert!(ids.iter().all(|id| StreamId::from_bytes(id.to_bytes()) == *id));
    }
}
