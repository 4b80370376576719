//! Reads the primitives of the serialisation from bytes of unknown origin. Every byte is checked, no input causes a
//! panic, and the memory used is at most a constant times the input's length.
#![deny(clippy::indexing_slicing)]

use super::lzf;
use crate::value::ValueError;
use crate::value::stream::StreamId;
use std::borrow::Cow;

type Read<T> = Result<T, ValueError>;
const BAD: ValueError = ValueError::BadFormat;

/// The meaning of the first bytes of a length or a string.
enum Length {
    Plain(u64),
    /// A special form of string, by its number.
    Special(u8),
}

/// A cursor over serialised bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn bytes(&mut self, len: usize) -> Read<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(BAD)?;
        self.rest = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(BAD)?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn length(&mut self) -> Read<Length> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first & 0x3F)),
            1 => Length::Plain(u64::from(first & 0x3F) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            3 => Length::Special(first & 0x3F),
            _ => return Err(BAD),
        })
    }

    /// A number or a count of elements. It may exceed what follows, so callers must not allocate by it.
    pub(super) fn len(&mut self) -> Read<u64> {
        match self.length()? {
            Length::Plain(len) => Ok(len),
            Length::Special(_) => Err(BAD),
        }
    }

    /// A count that must not be zero, because Redis has no empty collections.
    pub(super) fn count(&mut self) -> Read<u64> {
        self.len().and_then(|len| if len == 0 { Err(BAD) } else { Ok(len) })
    }

    fn size(&mut self) -> Read<usize> {
        usize::try_from(self.len()?).map_err(|_| BAD)
    }

    /// A string in any of its forms.
    pub(super) fn string(&mut self) -> Read<Cow<'a, [u8]>> {
        let number = |n: i64| Ok(Cow::Owned(itoa::Buffer::new().format(n).as_bytes().to_vec()));
        match self.length()? {
            Length::Plain(len) => self.bytes(usize::try_from(len).map_err(|_| BAD)?).map(Cow::Borrowed),
            Length::Special(0) => number(i64::from(i8::from_le_bytes(self.array()?))),
            Length::Special(1) => number(i64::from(i16::from_le_bytes(self.array()?))),
            Length::Special(2) => number(i64::from(i32::from_le_bytes(self.array()?))),
            Length::Special(3) => {
                let packed_len = self.size()?;
                let len = self.size()?;
                lzf::decompress(self.bytes(packed_len)?, len).map(Cow::Owned).ok_or(BAD)
            }
            Length::Special(_) => Err(BAD),
        }
    }

    /// A string in an allocation of its own.
    pub(super) fn owned(&mut self) -> Read<Vec<u8>> {
        self.string().map(Cow::into_owned)
    }

    /// A score in its binary form; never not-a-number.
    pub(super) fn score(&mut self) -> Read<f64> {
        checked_score(f64::from_le_bytes(self.array()?))
    }

    /// A score in its old form, decimal text with special lengths for the infinities.
    pub(super) fn text_score(&mut self) -> Read<f64> {
        match self.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Err(BAD),
            len => parse_score(self.bytes(usize::from(len))?),
        }
    }

    /// A time: eight bytes, milliseconds since the Unix epoch.
    pub(super) fn millis(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A stream identifier in sixteen bytes.
    pub(super) fn raw_stream_id(&mut self) -> Read<StreamId> {
        self.array().map(StreamId::from_bytes)
    }

    /// A stream identifier as two numbers.
    pub(super) fn stream_id(&mut self) -> Read<StreamId> {
        Ok(StreamId::new(self.len()?, self.len()?))
    }
}

fn checked_score(score: f64) -> Read<f64> {
    if score.is_nan() { Err(BAD) } else { Ok(score) }
}

/// A score from decimal text.
pub(super) fn parse_score(text: &[u8]) -> Read<f64> {
    let text = std::str::from_utf8(text).map_err(|_| BAD)?;
    checked_score(text.parse().map_err(|_| BAD)?)
}
