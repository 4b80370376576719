//! Reading a large string in pieces.

use crate::effect::StringChange;
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes that are read in one hold.
const BLOCK: usize = if cfg!(test) { 64 } else { super::BYTES };

/// How far a string is read. A string that is there grows only at its end, so all that it was is in it or kept.
pub(super) struct Bytes {
    /// How many bytes it had at the hold.
    len: usize,
    /// How many blocks of [`BLOCK`] bytes were read.
    read: usize,
    /// Blocks that have changed since the hold, as they were, by their number.
    before: BTreeMap<usize, Box<[u8]>>,
}

impl Bytes {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len(), read: 0, before: BTreeMap::new() }
    }

    fn block<'b>(&self, bytes: &'b [u8], number: usize) -> &'b [u8] {
        let at = number * BLOCK;
        bytes.get(at..(at + BLOCK).min(self.len)).unwrap_or_default()
    }

    /// Keeps bytes that are about to change as they are.
    pub(super) fn keep(&mut self, bytes: &[u8], range: &Range<usize>) {
        let end = range.end.min(self.len);
        if range.start < end {
            for number in (range.start / BLOCK).max(self.read)..end.div_ceil(BLOCK) {
                if !self.before.contains_key(&number) {
                    self.before.insert(number, self.block(bytes, number).into());
                }
            }
        }
    }

    /// Reads the next piece; whether it was the last one.
    pub(super) fn read(&mut self, bytes: &[u8], db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let (number, at) = (self.read, self.read * BLOCK);
        self.read += 1;
        let before = self.before.remove(&number);
        let bytes = before.as_deref().unwrap_or_else(|| self.block(bytes, number));
        if number == 0 {
            // Whoever builds it makes room once.
            StringChange::Splice { at: self.len - 1, bytes: &[0] }.on(db, key).encode(out);
        }
        StringChange::Splice { at, bytes }.on(db, key).encode(out);
        self.read * BLOCK >= self.len
    }
}
