//! The marks behind the last record of a sealed segment.
//!
//! They say that another segment follows, so that a start notices when it is missing. The first mark is written when
//! the next segment has its name, before the first record is written there: a killed process loses neither. The second
//! mark is written when the next segment and its name are durable, and is itself durable before a record in the next
//! segment counts as durable: after a power cut only the second mark proves that the next segment must exist.
//!
//! ```text
//! offset  bytes
//!      0      8  magic: "ITEMRNXT"
//!      8      8  first LSN of the next segment
//!     16      1  1 in the first mark: it was begun; 2 in the second one: it is durable
//!     17     11  zeros
//!     28      4  checksum: crc32, begun from the log's key, over the chain of the last record and bytes 0..28
//! ```
//!
//! The chain comes first, so that a mark never passes for a record, whose chain is last.

use super::Lsn;
use super::cursor::Cursor;
use crc32fast::Hasher;

/// Bytes of one mark.
const MARK: usize = 32;
/// Bytes of both marks. A segment keeps this many bytes free at its end.
pub(super) const MARKS: usize = 2 * MARK;
const MAGIC: [u8; 8] = *b"ITEMRNXT";

/// What a segment's end says of the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Next {
    /// It has its name.
    Begun = 1,
    /// It is durable, and so is its name.
    Durable = 2,
}

/// The marks behind the record with this LSN and chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) key: u32,
    pub(super) next: Lsn,
    pub(super) chain: u32,
}

impl Marks {
    /// The marks that may stand at a cursor.
    pub(super) fn at(cursor: &Cursor) -> Self {
        Self { key: cursor.key, next: cursor.next, chain: cursor.chain }
    }

    fn mark(&self, next: Next) -> [u8; MARK] {
        let mut bytes = [0; MARK];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.next.to_le_bytes());
        bytes[16] = next as u8;
        let mut hasher = Hasher::new_with_initial(self.key);
        hasher.update(&self.chain.to_le_bytes());
        hasher.update(&bytes[..28]);
        bytes[28..].copy_from_slice(&hasher.finalize().to_le_bytes());
        bytes
    }

    /// The bytes of the marks up to `next`; zeros in the place of the other.
    pub(super) fn encode(&self, next: Next) -> [u8; MARKS] {
        let mut bytes = [0; MARKS];
        bytes[..MARK].copy_from_slice(&self.mark(Next::Begun));
        if next == Next::Durable {
            bytes[MARK..].copy_from_slice(&self.mark(Next::Durable));
        }
        bytes
    }

    /// What the marks at the beginning of `bytes` say, if there are any.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Next> {
        // A power cut may have left the file shorter than both.
        let first = bytes.get(..MARK)?;
        if bytes.get(MARK..MARKS) == Some(&self.mark(Next::Durable)[..]) {
            return Some(Next::Durable);
        }
        (first == self.mark(Next::Begun)).then_some(Next::Begun)
    }

    /// True when `bytes` begin with what may be a mark: it is no record.
    pub(super) fn is_mark(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }
}

/// What stands behind the last record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// What the marks say.
    pub(super) next: Option<Next>,
    /// Nothing but whole marks and zeros.
    pub(super) clean: bool,
    /// What is not clean lies where marks are written: a power cut may have torn them.
    pub(super) torn_marks: bool,
}

impl Behind {
    /// Reads all bytes behind the last record; the cursor stands there.
    pub(super) fn read(bytes: &[u8], cursor: &Cursor) -> Self {
        Self::of(bytes, &Marks::at(cursor))
    }

    /// Reads all bytes behind the record to which the marks belong.
    pub(super) fn of(bytes: &[u8], marks: &Marks) -> Self {
        let next = marks.read(bytes);
        let (place, rest) = bytes.split_at_checked(MARKS).unwrap_or((bytes, &[]));
        let zeros = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        let whole = match next {
            Some(next) => place == marks.encode(next),
            None => zeros(place),
        };
        Self { next, clean: whole && zeros(rest), torn_marks: !whole && zeros(rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_belong_to_the_record_before_them() {
        let cursor = Cursor { key: 7, next: 12, chain: 99 };
        let marks = Marks::at(&cursor);
        for next in [Next::Begun, Next::Durable] {
            let mut bytes = marks.encode(next).to_vec();
            assert!(Marks::is_mark(&bytes));
            assert_eq!(marks.read(&bytes), Some(next));
            bytes.resize(500, 0);
            let clean = Behind { next: Some(next), clean: true, torn_marks: false };
            assert_eq!(Behind::read(&bytes, &cursor), clean);
            for other in
                [Cursor { key: 8, ..cursor }, Cursor { next: 13, ..cursor }, Cursor { chain: 1, ..cursor }]
            {
                assert_eq!(Marks::at(&other).read(&bytes), None);
            }
            bytes[3] ^= 1;
            assert!(Behind::read(&bytes, &cursor).torn_marks);
            bytes[100] = 1;
            let garbage = Behind::read(&bytes, &cursor);
            assert!(!garbage.clean && !garbage.torn_marks);
        }
        let nothing = Behind { next: None, clean: true, torn_marks: false };
        assert_eq!(Behind::read(&[], &cursor), nothing);
        assert_eq!(Behind::read(&[0; 10], &cursor), nothing);
        let short = Behind { next: Some(Next::Begun), clean: false, torn_marks: true };
        assert_eq!(Behind::read(&marks.encode(Next::Begun)[..MARK + 4], &cursor), short);
    }
}
