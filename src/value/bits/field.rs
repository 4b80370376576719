//! Integers of any width at any bit of a string: `BITFIELD`.

use crate::text::parse_i64_strict;

/// The type of an integer in a bit field: signed of 1 to 64 bits or unsigned of 1 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldType {
    signed: bool,
    bits: u8,
}

/// What happens to a value that does not fit its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldOverflow {
    /// Its low bits are kept.
    #[default]
    Wrap,
    /// The nearest value that fits is taken.
    Sat,
    /// Nothing is written.
    Fail,
}

impl FieldOverflow {
    /// The behaviour of a name in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        if is("WRAP") {
            Some(Self::Wrap)
        } else if is("SAT") {
            Some(Self::Sat)
        } else if is("FAIL") {
            Some(Self::Fail)
        } else {
            None
        }
    }
}

impl FieldType {
    /// A type in Redis's notation, `i8` or `u16`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (signed, digits) = match text {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        let bits =
            parse_i64_strict(digits).filter(|bits| (1..=if signed { 64 } else { 63 }).contains(bits))?;
        Some(Self { signed, bits: bits as u8 })
    }

    /// The width in bits.
    pub fn bits(self) -> u64 {
        u64::from(self.bits)
    }

    /// How many bytes a string must have to hold the field at this bit.
    pub fn needed_len(self, offset: u64) -> u64 {
        (offset + self.bits()).div_ceil(8)
    }

    fn bounds(self) -> (i128, i128) {
        if self.signed {
            (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        }
    }

    fn fit(self, value: i128, overflow: FieldOverflow) -> Option<i64> {
        let (low, high) = self.bounds();
        if (low..=high).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            FieldOverflow::Fail => None,
            FieldOverflow::Sat => Some(value.clamp(low, high) as i64),
            FieldOverflow::Wrap => Some(self.widen(value as u64)),
        }
    }

    fn widen(self, raw: u64) -> i64 {
        let unused = 64 - u32::from(self.bits);
        if self.signed { (raw << unused) as i64 >> unused } else { (raw << unused >> unused) as i64 }
    }

    /// The value that is stored when `value` is set; `None` if setting it fails. As in Redis, a negative value counts
    /// as too large for an unsigned field.
    pub fn set(self, value: i64, overflow: FieldOverflow) -> Option<i64> {
        let (_, high) = self.bounds();
        let wide = if self.signed { i128::from(value) } else { i128::from(value as u64) };
        // Redis computes the distance to the upper bound in 64 bits. If that wraps around, Redis treats the value as
        // too large.
        let far_below = self.signed && self.bits < 64 && high - wide > i128::from(i64::MAX);
        match overflow {
            FieldOverflow::Sat if far_below => Some(high as i64),
            _ => self.fit(wide, overflow),
        }
    }

    /// The value that is stored when `current`, a value of this type, is incremented; `None` if that fails.
    pub fn increment(self, current: i64, by: i64, overflow: FieldOverflow) -> Option<i64> {
        self.fit(i128::from(current) + i128::from(by), overflow)
    }
}

/// Reads an offset in bits; with a type also `#n`, the n-th field of it. Nothing if it is malformed, negative, or its
/// byte is not below `max_bytes` (`proto-max-bulk-len`).
pub fn parse_bit_offset(text: &[u8], kind: Option<FieldType>, max_bytes: u64) -> Option<u64> {
    let (digits, scale) = match (text, kind) {
        ([b'#', digits @ ..], Some(kind)) => (digits, kind.bits()),
        _ => (text, 1),
    };
    let offset = u64::try_from(parse_i64_strict(digits)?).ok()?.checked_mul(scale)?;
    (offset >> 3 < max_bytes).then_some(offset)
}

/// The field's value at a bit; bits behind the string's end count as zeros. O(1).
pub fn read_field(bytes: &[u8], kind: FieldType, offset: u64) -> i64 {
    let first = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    let mut window = [0u8; 16];
    let there = bytes.get(first..).unwrap_or_default();
    for (to, from) in window.iter_mut().zip(there.iter().take(9)) {
        *to = *from;
    }
    let shifted = u128::from_be_bytes(window) << (offset % 8);
    kind.widen((shifted >> (128 - u32::from(kind.bits))) as u64)
}

/// Writes a field's value at a bit. The string must be as long as [`FieldType::needed_len`] says; bits behind its end
/// are dropped. O(1).
pub fn write_field(bytes: &mut [u8], kind: FieldType, offset: u64, value: i64) {
    let first = usize::try_from(offset / 8).unwrap_or(usize::MAX);
    let Some(there) = bytes.get_mut(first..) else { return };
    let place = 128 - u32::from(kind.bits) - (offset % 8) as u32;
    let mask = (u128::MAX >> (128 - u32::from(kind.bits))) << place;
    let bits = (u128::from(value as u64) << place) & mask;
    for ((byte, mask), bits) in there.iter_mut().zip(mask.to_be_bytes()).zip(bits.to_be_bytes()).take(9) {
        *byte = *byte & !mask | bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind() -> impl Strategy<Value = FieldType> {
        prop_oneof![
            (1u8..=64).prop_map(|bits| FieldType { signed: true, bits }),
            (1u8..=63).prop_map(|bits| FieldType { signed: false, bits }),
        ]
    }

    #[test]
    fn notation() {
        for bad in ["", "i", "u", "i0", "u0", "i65", "u64", "I8", "i08", "8", "i-1", "i8 "] {
            assert_eq!(FieldType::parse(bad.as_bytes()), None, "{bad}");
        }
        let i5 = FieldType::parse(b"i5").expect("a type");
        assert_eq!(parse_bit_offset(b"#3", Some(i5), 100), Some(15));
        assert_eq!(parse_bit_offset(b"#3", None, 100), None);
        assert_eq!(parse_bit_offset(b"799", None, 100), Some(799));
        assert_eq!(parse_bit_offset(b"800", None, 100), None);
        assert_eq!(parse_bit_offset(b"-1", None, 100), None);
        assert_eq!(parse_bit_offset(b"#9223372036854775807", Some(i5), u64::MAX), None);
    }

    #[test]
    fn overflow() {
        use FieldOverflow::{Fail, Sat, Wrap};
        let (u8_, i8_) = (FieldType::parse(b"u8").expect("a type"), FieldType::parse(b"i8").expect("a type"));
        assert_eq!(u8_.set(-1, Sat), Some(255));
        assert_eq!(u8_.set(257, Wrap), Some(1));
        assert_eq!(u8_.set(256, Fail), None);
        assert_eq!(i8_.set(128, Wrap), Some(-128));
        assert_eq!(i8_.set(-129, Sat), Some(-128));
        assert_eq!(i8_.set(i64::MIN + 128, Sat), Some(-128));
        assert_eq!(i8_.set(i64::MIN + 127, Sat), Some(127));
        assert_eq!(u8_.increment(10, -11, Wrap), Some(255));
        assert_eq!(u8_.increment(10, -11, Sat), Some(0));
        assert_eq!(i8_.increment(127, 1, Wrap), Some(-128));
        let i64_ = FieldType::parse(b"i64").expect("a type");
        assert_eq!(i64_.increment(i64::MAX, 1, Wrap), Some(i64::MIN));
        assert_eq!(i64_.increment(i64::MIN, -1, Sat), Some(i64::MIN));
        assert_eq!(i64_.increment(i64::MIN, i64::MIN, Wrap), Some(0));
    }

    proptest! {
        #[test]
        fn fields_are_bits_in_order(
            bytes in proptest::collection::vec(any::<u8>(), 0..20), kind in kind(), offset in 0u64..170, value in any::<i64>(),
        ) {
            let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:08b}")).collect::<Vec<_>>().concat();
            let mut padded = bytes.clone();
            padded.resize(bytes.len().max(kind.needed_len(offset) as usize), 0);
            let range = offset as usize..offset as usize + usize::from(kind.bits);
            let raw = u64::from_str_radix(&text(&padded)[range.clone()], 2).expect("bits");
            let read = read_field(&bytes, kind, offset);
            prop_assert_eq!(read as u64 & (u64::MAX >> (64 - kind.bits)), raw);
            prop_assert!(kind.bounds().0 <= i128::from(read) && i128::from(read) <= kind.bounds().1);

            let stored = kind.set(value, FieldOverflow::Wrap).expect("wraps");
            let mut expected = text(&padded);
            expected.replace_range(range, &format!("{value:064b}")[64 - usize::from(kind.bits)..]);
            write_field(&mut padded, kind, offset, stored);
            prop_assert_eq!(text(&padded), expected);
            prop_assert_eq!(read_field(&padded, kind, offset), stored);
        }
    }
}
