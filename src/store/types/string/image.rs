//! The reader of a large string.

use crate::effect::StringChange;
use crate::store::ValueRef;
use crate::store::reader::{PieceReader, ValueChange};
use crate::store::types::reading::BYTES;
use std::collections::BTreeMap;
use std::ops::Range;

/// The most bytes that are read in one hold.
const BLOCK: usize = if cfg!(test) { 64 } else { BYTES };

/// How far a string was read. A stored string never becomes shorter, so each of its bytes at the hold is in it or was
/// kept.
pub(in crate::store) struct StringReading {
    /// The string's length in bytes at the hold.
    len: usize,
    /// The number of blocks of [`BLOCK`] bytes that were read.
    read: usize,
    /// Blocks that have changed since the hold, as they were, by their number.
    before: BTreeMap<usize, Box<[u8]>>,
}

impl StringReading {
    pub(in crate::store) fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len(), read: 0, before: BTreeMap::new() }
    }

    fn block<'b>(&self, bytes: &'b [u8], number: usize) -> &'b [u8] {
        let at = number * BLOCK;
        bytes.get(at..(at + BLOCK).min(self.len)).unwrap_or_default()
    }

    /// Keeps the blocks of bytes that are about to change.
    fn keep_bytes(&mut self, bytes: &[u8], range: &Range<usize>) {
        let end = range.end.min(self.len);
        if range.start < end {
            for number in (range.start / BLOCK).max(self.read)..end.div_ceil(BLOCK) {
                if !self.before.contains_key(&number) {
                    self.before.insert(number, self.block(bytes, number).into());
                }
            }
        }
    }

    /// Reads the next piece. Returns whether it was the last.
    fn read_block(&mut self, bytes: &[u8], db: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let (number, at) = (self.read, self.read * BLOCK);
        self.read += 1;
        let before = self.before.remove(&number);
        let bytes = before.as_deref().unwrap_or_else(|| self.block(bytes, number));
        if number == 0 {
            // The first effect gives the string its full length, so that it is allocated only once.
            StringChange::Splice { at: self.len - 1, bytes: &[0] }.on(db, key).encode(out);
        }
        StringChange::Splice { at, bytes }.on(db, key).encode(out);
        self.read * BLOCK >= self.len
    }
}

impl PieceReader for StringReading {
    fn keep(&mut self, value: ValueRef<'_>, change: ValueChange<'_, '_>) {
        if let (ValueRef::Str(text), ValueChange::String(StringChange::Splice { at, bytes })) =
            (value, change)
        {
            self.keep_bytes(text, &(*at..at.saturating_add(bytes.len())));
        }
    }

    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let ValueRef::Str(bytes) = value else { return true };
        self.read_block(bytes, number, key, out)
    }
}
