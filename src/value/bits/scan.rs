//! Counting and finding bits: `BITCOUNT` and `BITPOS`.

/// The unit of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BitUnit {
    /// Whole bytes.
    #[default]
    Byte,
    /// Single bits.
    Bit,
}

/// The bits of a range, as first bit and bit behind the last. The range is from `start` to `end`, both included;
/// negative numbers count from the string's end. `None` if it is empty.
fn bit_range(len: usize, start: i64, end: i64, unit: BitUnit) -> Option<(u64, u64)> {
    let (total, scale) = match unit {
        BitUnit::Byte => (len as i64, 8),
        BitUnit::Bit => (len as i64 * 8, 1),
    };
    let from_start = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
    let (start, end) = (from_start(start), from_start(end).min(total - 1));
    (start <= end).then(|| (start as u64 * scale, (end + 1) as u64 * scale))
}

/// Splits the bits from `from` to `to` into head byte, whole bytes and tail byte. In the head and the tail the bits
/// outside the range are cleared.
fn split(bytes: &[u8], from: u64, to: u64) -> (u8, &[u8], u8) {
    let (first, last) = ((from / 8) as usize, (to / 8) as usize);
    let head_mask = 0xFFu8 >> (from % 8);
    let tail_mask = !(0xFFu8.checked_shr((to % 8) as u32).unwrap_or(0));
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    if first == last {
        return (byte(first) & head_mask & tail_mask, &[], 0);
    }
    let whole = bytes.get(first + 1..last).unwrap_or_default();
    (byte(first) & head_mask, whole, byte(last) & tail_mask)
}

fn ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The number of set bits, of all the string or of a range. O(length of the range), eight bytes at a time.
pub fn bitcount(bytes: &[u8], range: Option<(i64, i64, BitUnit)>) -> u64 {
    let Some((start, end, unit)) = range else { return ones(bytes) };
    // If both ends are negative and the start is after the end, BITCOUNT's range is empty, even if both lie before the
    // string. BITPOS does not do so.
    if start < 0 && end < 0 && start > end {
        return 0;
    }
    bit_range(bytes.len(), start, end, unit).map_or(0, |(from, to)| {
        let (head, whole, tail) = split(bytes, from, to);
        u64::from(head.count_ones()) + ones(whole) + u64::from(tail.count_ones())
    })
}

/// The place of the first bit equal to `bit`, or nothing. Without an `end` the string counts as followed by zeros, so a
/// clear bit is found unless the string or the range is empty. O(length of the range).
pub fn bitpos(bytes: &[u8], bit: bool, start: i64, end: Option<i64>, unit: BitUnit) -> Option<u64> {
    let (from, to) = bit_range(bytes.len(), start, end.unwrap_or(-1), unit)?;
    match first_bit(bytes, bit, from, to) {
        None if !bit && end.is_none() => Some(bytes.len() as u64 * 8),
        found => found,
    }
}

fn first_bit(bytes: &[u8], bit: bool, from: u64, to: u64) -> Option<u64> {
    // Looking for a zero is looking for a one in the complement.
    let flip = |byte: u8| if bit { byte } else { !byte };
    let byte = |at: u64| bytes.get(at as usize).map_or(0, |&byte| flip(byte));
    let mut at = from / 8;
    let head = byte(at) & (0xFF >> (from % 8));
    let found = if head != 0 {
        at * 8 + u64::from(head.leading_zeros())
    } else {
        let rest = bytes.get(at as usize + 1..to.div_ceil(8) as usize).unwrap_or_default();
        let skip = if bit { 0 } else { u64::MAX };
        let (words, _) = rest.as_chunks::<8>();
        let skipped = words.iter().take_while(|word| u64::from_ne_bytes(**word) == skip).count() * 8;
        let next = rest.iter().skip(skipped).position(|&byte| flip(byte) != 0)?;
        at += 1 + (skipped + next) as u64;
        at * 8 + u64::from(byte(at).leading_zeros())
    };
    (found < to).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(bytes: &[u8]) -> Vec<bool> {
        bytes.iter().flat_map(|byte| (0..8).map(move |at| byte >> (7 - at) & 1 == 1)).collect()
    }

    /// The range as Redis's documentation describes it, as positions in a list of bits.
    fn model_range(bytes: &[u8], start: i64, end: i64, unit: BitUnit) -> std::ops::Range<usize> {
        let scale = if unit == BitUnit::Byte { 8 } else { 1 };
        let total = i128::try_from(bytes.len() * 8).expect("fits") / scale;
        let place = |at: i64| if at < 0 { (i128::from(at) + total).max(0) } else { i128::from(at) };
        let (start, end) = (place(start), place(end).min(total - 1));
        if start > end { 0..0 } else { (start * scale) as usize..((end + 1) * scale) as usize }
    }

    fn index() -> impl Strategy<Value = i64> {
        prop_oneof![8 => -70i64..70, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
    }

    fn unit() -> impl Strategy<Value = BitUnit> {
        prop_oneof![Just(BitUnit::Byte), Just(BitUnit::Bit)]
    }

    fn sparse() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![6 => Just(0u8), 6 => Just(0xFF), 1 => any::<u8>()];
        (proptest::collection::vec(byte, 0..40), prop_oneof![Just(0u8), Just(0xFF)], 0usize..40)
            .prop_map(|(bytes, fill, count)| [vec![fill; count], bytes].concat())
    }

    #[test]
    fn corners_of_bitpos() {
        let pos = |bytes: &[u8], bit, start, end| bitpos(bytes, bit, start, end, BitUnit::Byte);
        assert_eq!(pos(b"", false, 0, None), None);
        assert_eq!(pos(b"\xff", false, 0, None), Some(8));
        assert_eq!(pos(b"\xff", false, 0, Some(-1)), None);
        assert_eq!(pos(b"\xff", false, 1, None), None);
        assert_eq!(pos(b"\0\0\x01", true, 0, None), Some(23));
        assert_eq!(pos(b"\0\0\0", true, 0, None), None);
        assert_eq!(bitpos(b"\0\xff", true, 10, Some(15), BitUnit::Bit), Some(10));
        assert_eq!(bitcount(b"\xff\xff", Some((5, 30, BitUnit::Bit))), 11);
        assert_eq!(bitcount(b"\xff", Some((-10, -20, BitUnit::Byte))), 0);
        assert_eq!(pos(b"\x01", true, -10, Some(-20)), Some(7));
    }

    proptest! {
        #[test]
        fn counting(bytes in sparse(), start in index(), end in index(), unit in unit()) {
            let all = bits(&bytes);
            prop_assert_eq!(bitcount(&bytes, None), all.iter().filter(|bit| **bit).count() as u64);
            let range = model_range(&bytes, start, end, unit);
            let wrong_way = start < 0 && end < 0 && start > end;
            let expected = if wrong_way { 0 } else { all[range].iter().filter(|bit| **bit).count() };
            prop_assert_eq!(bitcount(&bytes, Some((start, end, unit))), expected as u64);
        }

        #[test]
        fn finding(
            bytes in sparse(), bit in any::<bool>(), start in index(), end in proptest::option::of(index()), unit in unit(),
        ) {
            let all = bits(&bytes);
            let range = model_range(&bytes, start, end.unwrap_or(-1), unit);
            let found = range.clone().find(|at| all[*at] == bit);
            let padded = (!bit && end.is_none() && !range.is_empty()).then_some(all.len());
            prop_assert_eq!(bitpos(&bytes, bit, start, end, unit), found.or(padded).map(|at| at as u64));
        }
    }
}
