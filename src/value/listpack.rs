//! The listpack: Redis's packed sequence of strings and integers, byte for byte.
//!
//! ```text
//! total bytes: u32 LE | entries: u16 LE (65535: count them) | entry ... | 0xFF
//! entry: encoding and data | length of these, 7 bits a byte, to be read from right to left
//! ```
#![deny(clippy::indexing_slicing)]

use crate::text::parse_i64_strict;
use std::borrow::Cow;

const HEADER: usize = 6;
const END: u8 = 0xFF;

/// One element of a listpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListpackEntry<'a> {
    /// An integer, standing for its canonical decimal text.
    Int(i64),
    /// Any other bytes.
    Str(&'a [u8]),
}

impl<'a> ListpackEntry<'a> {
    /// The element's bytes.
    #[must_use]
    pub fn bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Int(n) => Cow::Owned(itoa::Buffer::new().format(n).as_bytes().to_vec()),
            Self::Str(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// The element's bytes in an allocation of their own.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes().into_owned()
    }

    /// The number, if the element is one, even if it was stored as text.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(n),
            Self::Str(bytes) => parse_i64_strict(bytes),
        }
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The entry at the start of `bytes` and the length of its encoding and data, without its trailing length.
fn entry_at(bytes: &[u8]) -> Option<(ListpackEntry<'_>, usize)> {
    let first = *bytes.first()?;
    let text = |head: usize, len: usize| -> Option<(ListpackEntry<'_>, usize)> {
        let end = head.checked_add(len)?;
        Some((ListpackEntry::Str(bytes.get(head..end)?), end))
    };
    let int = |n: i64, size: usize| Some((ListpackEntry::Int(n), size));
    match first {
        0x00..=0x7F => int(i64::from(first), 1),
        0x80..=0xBF => text(1, usize::from(first & 0x3F)),
        0xC0..=0xDF => {
            let raw = (i64::from(first & 0x1F) << 8) | i64::from(*bytes.get(1)?);
            int(if raw >= 1 << 12 { raw - (1 << 13) } else { raw }, 2)
        }
        0xE0..=0xEF => text(2, (usize::from(first & 0x0F) << 8) | usize::from(*bytes.get(1)?)),
        0xF0 => text(5, usize::try_from(u32::from_le_bytes(array(bytes, 1)?)).ok()?),
        0xF1 => int(i64::from(i16::from_le_bytes(array(bytes, 1)?)), 3),
        0xF2 => {
            let [a, b, c] = array(bytes, 1)?;
            int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 4)
        }
        0xF3 => int(i64::from(i32::from_le_bytes(array(bytes, 1)?)), 5),
        0xF4 => int(i64::from_le_bytes(array(bytes, 1)?), 9),
        _ => None,
    }
}

/// How many bytes the trailing length of an entry takes. The bounds are Redis's, each one less than what would fit.
fn backlen_size(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

fn push_backlen(out: &mut Vec<u8>, len: usize) {
    let size = backlen_size(len);
    for place in (0..size).rev() {
        let mark = if place + 1 == size { 0 } else { 0x80 };
        out.push(((len >> (7 * place)) & 0x7F) as u8 | mark);
    }
}

/// Reads the length at the end of an entry. Returns it and the bytes that it takes.
fn backlen_at_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut len, mut taken) = (0usize, 0);
    for byte in bytes.iter().rev().take(5) {
        len |= usize::from(byte & 0x7F) << (7 * taken);
        taken += 1;
        if byte & 0x80 == 0 {
            return Some((len, taken));
        }
    }
    None
}

/// Reads the entry at the end of `bytes`, which must not include the terminating byte. Returns the entry and its whole
/// size; `None` if it is malformed. O(1).
#[must_use]
pub fn split_last(bytes: &[u8]) -> Option<(ListpackEntry<'_>, usize)> {
    let (size, taken) = backlen_at_end(bytes)?;
    let whole = size.checked_add(taken)?;
    let start = bytes.len().checked_sub(whole)?;
    let (entry, decoded) = entry_at(bytes.get(start..)?)?;
    (decoded == size && backlen_size(size) == taken).then_some((entry, whole))
}

/// Reads the entry at the start of `bytes`. Returns the entry and its whole size; `None` if it is malformed, or at the
/// terminating byte. O(1).
#[must_use]
pub fn split_first(bytes: &[u8]) -> Option<(ListpackEntry<'_>, usize)> {
    let (entry, size) = entry_at(bytes)?;
    let whole = size.checked_add(backlen_size(size))?;
    (backlen_at_end(bytes.get(size..whole)?) == Some((size, whole - size))).then_some((entry, whole))
}

/// The entries of a listpack that [`check`] has accepted. In a malformed listpack the iteration ends early.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    /// From the first entry of a whole listpack.
    #[must_use]
    pub fn new(pack: &'a [u8]) -> Self {
        Self { rest: pack.get(HEADER..).unwrap_or_default() }
    }

    /// From the first entry of bytes that have no header and no terminating byte.
    pub(super) fn bare(entries: &'a [u8]) -> Self {
        Self { rest: entries }
    }

    /// The bytes from the next entry on, the terminating byte included.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = ListpackEntry<'a>;

    fn next(&mut self) -> Option<ListpackEntry<'a>> {
        let (entry, size) = split_first(self.rest)?;
        self.rest = self.rest.get(size..)?;
        Some(entry)
    }
}

/// Checks a whole listpack of unknown origin: sizes, counts, every entry. Returns the number of entries; `None` if any
/// byte is wrong. O(length).
#[must_use]
pub fn check(pack: &[u8]) -> Option<usize> {
    let total = u32::from_le_bytes(array(pack, 0)?);
    let claimed = usize::from(u16::from_le_bytes(array(pack, 4)?));
    if usize::try_from(total) != Ok(pack.len()) {
        return None;
    }
    let mut entries = Iter::new(pack);
    let count = entries.by_ref().count();
    let well_ended = entries.rest() == [END];
    (well_ended && (claimed == count || claimed == usize::from(u16::MAX))).then_some(count)
}

/// Writes a listpack from its first entry to its last.
#[derive(Debug)]
pub struct Builder {
    out: Vec<u8>,
    count: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An empty listpack.
    #[must_use]
    pub fn new() -> Self {
        Self { out: vec![0; HEADER], count: 0 }
    }

    /// Adds bytes, stored as an integer if they are one in canonical form. Bytes must be shorter than 4 GiB.
    pub fn push(&mut self, bytes: &[u8]) {
        push_bytes(&mut self.out, bytes);
        self.count += 1;
    }

    /// Adds `count` entries that are encoded already.
    pub(super) fn push_encoded(&mut self, entries: &[u8], count: usize) {
        self.out.extend_from_slice(entries);
        self.count += count;
    }

    /// Adds an integer.
    pub fn push_int(&mut self, n: i64) {
        push_number(&mut self.out, n);
        self.count += 1;
    }

    /// The listpack's present size in bytes, with header and terminating byte.
    #[must_use]
    pub fn size(&self) -> usize {
        self.out.len() + 1
    }

    /// The number of entries added so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The finished listpack.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(END);
        let total = u32::try_from(self.out.len()).unwrap_or(u32::MAX);
        let count = u16::try_from(self.count).unwrap_or(u16::MAX);
        let head = total.to_le_bytes().into_iter().chain(count.to_le_bytes());
        for (place, byte) in self.out.iter_mut().zip(head) {
            *place = byte;
        }
        self.out
    }
}

/// Appends one whole entry: an integer if the bytes are one in canonical form.
pub(super) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match parse_i64_strict(bytes) {
        Some(n) => push_number(out, n),
        None => push_text(out, bytes),
    }
}

/// Appends one whole string entry.
fn push_text(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    match bytes.len() {
        len @ 0..=63 => out.push(0x80 | len as u8),
        len @ 64..=4095 => out.extend_from_slice(&[0xE0 | (len >> 8) as u8, len as u8]),
        len => {
            out.push(0xF0);
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
    let size = out.len() - start;
    push_backlen(out, size);
}

/// The size of a whole integer entry.
pub(super) fn number_size(n: i64) -> usize {
    match n {
        0..=127 => 2,
        -4096..=4095 => 3,
        -32768..=32767 => 4,
        -8_388_608..=8_388_607 => 5,
        -2_147_483_648..=2_147_483_647 => 6,
        _ => 10,
    }
}

/// The size of the whole entry that [`push_bytes`] makes of bytes.
pub(super) fn bytes_size(bytes: &[u8]) -> usize {
    if let Some(n) = parse_i64_strict(bytes) {
        return number_size(n);
    }
    let head = match bytes.len() {
        0..=63 => 1,
        64..=4095 => 2,
        _ => 5,
    };
    let size = head + bytes.len();
    size + backlen_size(size)
}

/// Appends one whole integer entry.
pub(super) fn push_number(out: &mut Vec<u8>, n: i64) {
    let start = out.len();
    match n {
        0..=127 => out.push(n as u8),
        -4096..=4095 => out.extend_from_slice(&[0xC0 | ((n >> 8) & 0x1F) as u8, n as u8]),
        -32768..=32767 => {
            out.push(0xF1);
            out.extend_from_slice(&(n as i16).to_le_bytes());
        }
        -8_388_608..=8_388_607 => {
            let [a, b, c, _] = (n as i32).to_le_bytes();
            out.extend_from_slice(&[0xF2, a, b, c]);
        }
        -2_147_483_648..=2_147_483_647 => {
            out.push(0xF3);
            out.extend_from_slice(&(n as i32).to_le_bytes());
        }
        _ => {
            out.push(0xF4);
            out.extend_from_slice(&n.to_le_bytes());
        }
    }
    let size = out.len() - start;
    push_backlen(out, size);
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn build(items: &[Vec<u8>]) -> Vec<u8> {
        let mut builder = Builder::new();
        for item in items {
            builder.push(item);
        }
        assert_eq!(builder.count(), items.len());
        let size = builder.size();
        let pack = builder.finish();
        assert_eq!(pack.len(), size);
        pack
    }

    #[test]
    fn known_bytes() {
        let items = [b"a".to_vec(), b"17".to_vec(), b"-1".to_vec(), b"1000".to_vec(), b"".to_vec()];
        let pack = build(&items);
        let head = [20, 0, 0, 0, 5, 0];
        let body = [0x81, b'a', 2, 17, 1, 0xDF, 0xFF, 2, 0xC3, 0xE8, 2, 0x80, 1, 0xFF];
        // The size in the header includes the header and the terminating byte.
        assert_eq!(pack, [&head[..], &body].concat());
    }

    #[test]
    fn sizes_around_every_bound_come_back() {
        for len in [0, 1, 62, 63, 64, 125, 126, 127, 128, 4095, 4096, 16377, 16378, 16379, 16383, 2_097_150] {
            let item = vec![b'x'; len];
            let pack = build(&[item.clone(), b"tail".to_vec()]);
            assert_eq!(pack.len(), HEADER + bytes_size(&item) + bytes_size(b"tail") + 1, "{len}");
            assert_eq!(check(&pack), Some(2), "{len}");
            assert_eq!(Iter::new(&pack).next().map(ListpackEntry::into_vec), Some(item), "{len}");
        }
        for bits in 0..63 {
            for n in [1i64 << bits, (1 << bits) - 1, -(1 << bits), -(1 << bits) - 1, i64::MIN, i64::MAX] {
                let pack = build(&[n.to_string().into_bytes()]);
                assert_eq!(check(&pack), Some(1));
                assert_eq!(pack.len(), HEADER + number_size(n) + 1);
                assert_eq!(number_size(n), bytes_size(n.to_string().as_bytes()));
                assert_eq!(Iter::new(&pack).next(), Some(ListpackEntry::Int(n)));
            }
        }
    }

    #[test]
    fn more_entries_than_the_header_counts() {
        let items: Vec<Vec<u8>> = (0..70_000).map(|n: u32| n.to_string().into_bytes()).collect();
        let pack = build(&items);
        assert_eq!(pack[4..6], [255, 255]);
        assert_eq!(check(&pack), Some(70_000));
    }

    proptest! {
        #[test]
        fn round_trip(items in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            any::<i16>().prop_map(|n| n.to_string().into_bytes()),
        ], 0..40)) {
            let pack = build(&items);
            prop_assert_eq!(check(&pack), Some(items.len()));
            let back: Vec<Vec<u8>> = Iter::new(&pack).map(ListpackEntry::into_vec).collect();
            prop_assert_eq!(&back, &items);
            let mut rest = &pack[HEADER..pack.len() - 1];
            for item in items.iter().rev() {
                let (entry, size) = split_last(rest).expect("an entry");
                prop_assert_eq!(&entry.into_vec(), item);
                rest = &rest[..rest.len() - size];
            }
            prop_assert_eq!(split_last(rest), None);
        }

        #[test]
        fn damage_is_found_or_harmless(
            items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..9),
            at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut pack = build(&items);
            prop_assert_eq!(check(&pack[..cut.index(pack.len())]), None);
            let at = at.index(pack.len());
            pack[at] = byte;
            if let Some(count) = check(&pack) {
                prop_assert_eq!(Iter::new(&pack).count(), count);
            }
        }
    }
}
