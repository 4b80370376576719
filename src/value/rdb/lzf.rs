//! LZF, the compression that Redis uses for strings inside its serialisation.
//!
//! The input is a sequence of runs. After a control byte `n` below 32 follow `n + 1` literal bytes. Any other control
//! byte is a back reference: its top three bits are the length minus two (if they are seven, the next byte is added),
//! its low five bits and the following byte are the distance minus one.
#![deny(clippy::indexing_slicing)]

use std::cell::RefCell;

const HASH_BITS: u32 = 16;
const MAX_LITERALS: usize = 32;
const MAX_DISTANCE: usize = 1 << 13;
const MAX_MATCH: usize = (1 << 8) + (1 << 3);
/// Three bytes of input can stand for at most 264 of output.
const MAX_RATIO: usize = MAX_MATCH / 3;

/// Decompresses `input` into exactly `len` bytes; nothing if it is malformed or of another length. The memory used is
/// at most 88 times the input's length, even if `len` is larger. O(len).
pub(super) fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > input.len().checked_mul(MAX_RATIO)? {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = input;
    while let Some((&control, tail)) = rest.split_first() {
        rest = tail;
        let mut run = usize::from(control >> 5);
        if run == 0 {
            let (literals, tail) = rest.split_at_checked(usize::from(control) + 1)?;
            out.extend_from_slice(literals);
            rest = tail;
        } else {
            if run == 7 {
                let (&more, tail) = rest.split_first()?;
                run += usize::from(more);
                rest = tail;
            }
            let (&low, tail) = rest.split_first()?;
            rest = tail;
            let distance = ((usize::from(control) & 0x1F) << 8 | usize::from(low)) + 1;
            copy_back(&mut out, distance, run + 2)?;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

/// Repeats `len` bytes that begin `distance` before the end; source and target may overlap.
fn copy_back(out: &mut Vec<u8>, distance: usize, len: usize) -> Option<()> {
    let start = out.len().checked_sub(distance)?;
    let mut left = len;
    while left > 0 {
        let step = left.min(out.len() - start);
        out.extend_from_within(start..start + step);
        left -= step;
    }
    Some(())
}

/// The last place at which each hash of three bytes was seen. Places are numbered on from one input to the next, so
/// that the table is not cleared in between: a place before the input's base counts as empty.
struct Table {
    places: Vec<u32>,
    base: u32,
}

thread_local! {
    static TABLE: RefCell<Table> = const { RefCell::new(Table { places: Vec::new(), base: 0 }) };
}

/// Compresses `input` if the result is at most `max_len` bytes long. O(length). It chooses matches as Redis's library
/// does, so that the bytes are the same.
pub(super) fn compress(input: &[u8], max_len: usize) -> Option<Vec<u8>> {
    let len = u32::try_from(input.len()).ok().filter(|len| (4..u32::MAX / 2).contains(len))?;
    TABLE.with_borrow_mut(|table| {
        if table.places.is_empty() || table.base.checked_add(len).is_none() {
            table.places.clear();
            table.places.resize(1 << HASH_BITS, 0);
            table.base = 0;
        }
        let out =
            Compressor { input, max_len, table, out: Vec::with_capacity(max_len.min(input.len())), run: 0 }
                .run();
        table.base += len;
        out
    })
}

struct Compressor<'a> {
    input: &'a [u8],
    max_len: usize,
    table: &'a mut Table,
    out: Vec<u8>,
    /// Literals after the last control byte. A zero holds that byte's place until the run is closed.
    run: usize,
}

impl Compressor<'_> {
    fn run(mut self) -> Option<Vec<u8>> {
        let last_start = self.input.len().checked_sub(2)?;
        self.out.push(0);
        let mut at = 0;
        while at < last_start {
            let candidate = self.remember(at);
            if let Some(distance) = candidate.filter(|&d| self.matches(at, d)) {
                let len = self.match_len(at, distance);
                self.close_run();
                // As Redis does, gives up unless more than four bytes are left before a reference.
                if self.out.len() + 4 >= self.max_len {
                    return None;
                }
                self.push_reference(distance, len);
                at += len;
                if at >= last_start {
                    break;
                }
                self.remember(at - 2);
                self.remember(at - 1);
            } else {
                self.push_literal(at)?;
                at += 1;
            }
        }
        if self.out.len() + 3 > self.max_len {
            return None;
        }
        while at < self.input.len() {
            self.push_literal(at)?;
            at += 1;
        }
        self.close_run();
        Some(self.out)
    }

    /// Enters the three bytes at `at` into the table. Returns the distance minus one to their last place, if that is
    /// within reach. A reference never names the input's first place.
    fn remember(&mut self, at: usize) -> Option<usize> {
        let &[a, b, c] = self.input.get(at..)?.first_chunk()?;
        let hash = u32::from_be_bytes([0, a, b, c]);
        let slot = (hash >> (24 - HASH_BITS)).wrapping_sub(hash.wrapping_mul(5)) & ((1 << HASH_BITS) - 1);
        let place = self.table.places.get_mut(slot as usize)?;
        let seen = std::mem::replace(place, self.table.base + at as u32);
        let earlier = seen.checked_sub(self.table.base).filter(|&earlier| earlier > 0)? as usize;
        at.checked_sub(earlier + 1).filter(|&distance| distance < MAX_DISTANCE)
    }

    fn matches(&self, at: usize, distance: usize) -> bool {
        let here = self.input.get(at..at + 3);
        here.is_some() && here == self.input.get(at - distance - 1..at - distance + 2)
    }

    /// The length of the match, which ends two bytes before the input's end. Redis compares the first bytes in a block
    /// without checking that bound, so a match may exceed it by a byte or two.
    fn match_len(&self, at: usize, distance: usize) -> usize {
        let bound = (self.input.len() - at - 2).min(MAX_MATCH);
        let max = bound.max(if bound > 16 { 19 } else { 3 });
        let here = self.input.iter().skip(at);
        let there = self.input.iter().skip(at - distance - 1);
        here.zip(there).take(max).take_while(|(a, b)| a == b).count()
    }

    /// Writes the number of literals into its control byte, or drops that byte if there were none.
    fn close_run(&mut self) {
        if self.run == 0 {
            self.out.pop();
        } else {
            let control = self.out.len() - self.run - 1;
            if let Some(byte) = self.out.get_mut(control) {
                *byte = (self.run - 1) as u8;
            }
        }
        self.run = 0;
    }

    fn push_reference(&mut self, distance: usize, len: usize) {
        let (high, low) = ((distance >> 8) as u8, distance as u8);
        let coded = len - 2;
        if coded < 7 {
            self.out.push(high | (coded as u8) << 5);
        } else {
            self.out.extend_from_slice(&[high | 7 << 5, (coded - 7) as u8]);
        }
        self.out.extend_from_slice(&[low, 0]);
    }

    fn push_literal(&mut self, at: usize) -> Option<()> {
        if self.out.len() >= self.max_len {
            return None;
        }
        self.out.push(*self.input.get(at)?);
        self.run += 1;
        if self.run == MAX_LITERALS {
            self.close_run();
            self.out.push(0);
        }
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_run_of_one_letter() {
        let packed = compress(&[b'a'; 100], 96).expect("compresses");
        // One literal; the first place that a reference may name is the second letter.
        assert_eq!(packed, [1, b'a', b'a', 0xE0, 87, 0, 1, b'a', b'a']);
        assert_eq!(decompress(&packed, 100).expect("well formed"), [b'a'; 100]);
    }

    #[test]
    fn a_match_close_to_the_end() {
        // Of the 19 bytes that repeat, Redis's bound would allow 18.
        let input = b"0123456789abcdefghijklmno123456789abcdefghijX";
        let packed = compress(input, input.len() - 4).expect("compresses");
        let expected = [&[24][..], &input[..25], &[0xE0, 10, 23, 0, b'X']].concat();
        assert_eq!(packed, expected);
        // If this match ended at the bound, one more literal would follow.
        let shorter = b"0123456789abcdefghijklmno123456789abcdefghiX";
        let packed = compress(shorter, shorter.len() - 4).expect("compresses");
        assert_eq!(packed[26..], [0xE0, 9, 23, 0, b'X']);
    }

    #[test]
    fn malformed_input_is_refused() {
        for bad in
            [&[5u8, 1, 2][..], &[0x20, 0], &[0, 1, 0x20], &[0, 1, 0xE0], &[0, 1, 0xE0, 4], &[0, 1, 0x20, 1]]
        {
            for len in 0..300 {
                assert_eq!(decompress(bad, len), None, "{bad:?}");
            }
        }
        assert_eq!(decompress(&[0, 1], usize::MAX), None);
        assert_eq!(decompress(&[1, 7, 7], 3), None);
        assert_eq!(decompress(&[1, 7, 7], 1), None);
    }

    proptest! {
        #[test]
        fn round_trip(parts in prop::collection::vec((prop::collection::vec(0u8..4, 1..40), 1usize..30), 1..20)) {
            let input: Vec<u8> = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect();
            if let Some(packed) = compress(&input, input.len().saturating_sub(4)) {
                prop_assert!(packed.len() <= input.len() - 4);
                prop_assert_eq!(decompress(&packed, input.len()), Some(input));
            }
        }

        #[test]
        fn any_input_decompresses_to_the_promised_length_or_not_at_all(
            input in prop::collection::vec(any::<u8>(), 0..64), len in 0usize..2000,
        ) {
            if let Some(out) = decompress(&input, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
