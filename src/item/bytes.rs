//! Reads and writes varints, lengths and byte strings, of which all stored forms of this room consist.
//!
//! A varint is little-endian base 128: seven bits a byte, the high bit says that more follow. Only the shortest form
//! is accepted, so that equal values have equal bytes.

use smallvec::SmallVec;

/// Whether bytes are UTF-8. ASCII is checked first, because nearly all texts are ASCII and that check is faster.
#[inline]
pub(super) fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || std::str::from_utf8(text).is_ok()
}

/// A cursor over arbitrary bytes; every step returns `None` instead of reading past the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(u64::from(first));
        }
        self.varint_from(first)
    }

    /// Reads varints of up to nine bytes in 64-bit arithmetic; longer ones by the general way.
    fn varint_from(&mut self, first: u8) -> Option<u64> {
        let mut value = u64::from(first & 0x7F);
        let mut ahead = *self;
        for shift in (7..63).step_by(7) {
            let byte = ahead.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                *self = ahead;
                return (byte != 0).then_some(value);
            }
        }
        u64::try_from(self.wide_from(first)?).ok()
    }

    pub(super) fn varint_wide(&mut self) -> Option<u128> {
        let first = self.byte()?;
        self.wide_from(first)
    }

    fn wide_from(&mut self, first: u8) -> Option<u128> {
        let mut value = u128::from(first & 0x7F);
        let mut byte = first;
        let mut shift = 0_u32;
        while byte >= 0x80 {
            byte = self.byte()?;
            shift += 7;
            let bits = u128::from(byte & 0x7F);
            let shifted = bits.checked_shl(shift)?;
            if shifted >> shift != bits {
                return None;
            }
            value |= shifted;
        }
        // A last byte of zero would be a longer form of the same value.
        (byte != 0 || shift == 0).then_some(value)
    }

    /// A varint length and as many bytes.
    #[inline]
    pub(super) fn block(&mut self) -> Option<&'a [u8]> {
        let len = self.varint()?;
        self.take(usize::try_from(len).ok()?)
    }
}

/// A target to which stored forms are appended.
pub(super) trait Out {
    /// Appends one byte.
    fn put(&mut self, byte: u8);
    /// Appends some bytes.
    fn put_all(&mut self, bytes: &[u8]);
}

impl Out for Vec<u8> {
    #[inline]
    fn put(&mut self, byte: u8) {
        self.push(byte);
    }

    #[inline]
    fn put_all(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<const N: usize> Out for SmallVec<[u8; N]> {
    #[inline]
    fn put(&mut self, byte: u8) {
        self.push(byte);
    }

    #[inline]
    fn put_all(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[inline]
pub(super) fn put_varint(out: &mut impl Out, mut value: u64) {
    while value >= 0x80 {
        out.put(value as u8 | 0x80);
        value >>= 7;
    }
    out.put(value as u8);
}

pub(super) fn put_varint_wide(out: &mut impl Out, mut value: u128) {
    while value >= 0x80 {
        out.put(value as u8 | 0x80);
        value >>= 7;
    }
    out.put(value as u8);
}

#[inline]
pub(super) fn put_block(out: &mut impl Out, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.put_all(bytes);
}

/// Bytes that [`put_varint`] writes for `value`.
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Writes what `body` appends behind its varint length. One byte is reserved for the length. If the length needs more,
/// the body is moved, which is rare.
pub(super) fn put_sized<E>(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.push(0);
    body(out)?;
    let len = (out.len() - start - 1) as u64;
    let mut prefix = Vec::with_capacity(varint_len(len));
    put_varint(&mut prefix, len);
    out.splice(start..=start, prefix);
    Ok(())
}

/// Maps signed to unsigned so that small magnitudes stay small.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u128, middle: u64, small in 0_u64..100_000) {
            let mut out = Vec::new();
            put_varint_wide(&mut out, value);
            put_varint(&mut out, middle);
            put_varint(&mut out, small);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint_wide(), Some(value));
            prop_assert_eq!(reader.rest().len(), varint_len(middle) + varint_len(small));
            prop_assert_eq!(reader.varint(), Some(middle));
            prop_assert_eq!(reader.rest().len(), varint_len(small));
            prop_assert_eq!(reader.varint(), Some(small));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn zigzag_round_trips(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Reader::new(&bytes).varint_wide();
            let _ = Reader::new(&bytes).block();
        }
    }

    #[test]
    fn longer_forms_are_refused() {
        assert_eq!(Reader::new(&[0x81, 0x80, 0x00]).varint(), None);
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02]).varint(), None);
        let max = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        assert_eq!(Reader::new(&max).varint(), Some(u64::MAX));
        assert_eq!(Reader::new(&[0x80, 0x00]).varint(), None);
        assert_eq!(Reader::new(&[0xFF; 30]).varint_wide(), None);
    }

    #[test]
    fn sized_blocks_of_all_lengths_read_back() {
        for len in [0, 1, 127, 128, 20_000] {
            let mut out = vec![9];
            put_sized::<()>(&mut out, |out| {
                out.resize(out.len() + len, 7);
                Ok(())
            })
            .unwrap();
            let mut reader = Reader::new(&out[1..]);
            assert_eq!(reader.block().map(<[u8]>::len), Some(len));
            assert!(reader.is_empty());
        }
    }
}
