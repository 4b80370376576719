//! One file of records.
//!
//! A log is a run of segments in one folder, named `segment-<first LSN, 20 digits>.log`. A segment is a header and then
//! frames (see `frame.rs`), one after the other without padding. Behind the last frame the file ends or holds zeros:
//! room that was secured in advance. In a sealed segment two marks follow the last frame (see `mark.rs`). A record that
//! is larger than a segment gets a segment of its own.
//!
//! All numbers are little-endian.
//!
//! ```text
//! offset  bytes
//!      0      8  magic: "ITEMRLOG"
//!      8      4  format version: 1
//!     12      4  checksum: crc32 over bytes 0..12 and 16..96
//!     16     16  log id
//!     32      8  first LSN: of the first record in this segment
//!     40      8  last LSN before this segment; first LSN - 1, unless a checkpoint stands for the records between
//!     48      8  first LSN of the segment before this one; 0 when there was none
//!     56      8  last LSN that was known to be durable when this segment was begun
//!     64      8  epoch of the writer that began it
//!     72      8  milliseconds since the Unix epoch at its beginning
//!     80      4  chain of the last record before this segment (the log's key before the first one)
//!     84      8  offset behind the last record of the segment before this one; 0 when it is not known
//!     92      4  zeros
//!     96      …  frames
//! ```

use super::cursor::Cursor;
use super::frame::{FRAME_HEADER, LogId, Step, u64_at};
use super::mark::Behind;
use super::{LogError, Lsn};
use crc32fast::Hasher;

/// Bytes before the first frame.
pub(super) const SEGMENT_HEADER: usize = 96;
/// The format version that this build reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// No segment begins behind this LSN, so that counting its records cannot overflow.
const MAX_FIRST: Lsn = u64::MAX / 2;
const MAGIC: [u8; 8] = *b"ITEMRLOG";

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: LogId,
    pub(super) first: Lsn,
    pub(super) last_before: Lsn,
    pub(super) previous_first: Lsn,
    pub(super) durable: Lsn,
    pub(super) epoch: u64,
    pub(super) ms: u64,
    pub(super) chain: u32,
    pub(super) previous_end: u64,
}

/// Why bytes are not a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// Fewer bytes than a header has.
    Short,
    /// The magic is wrong.
    Magic,
    /// The format version is not known.
    Version(u32),
    /// The checksum does not match.
    Checksum,
    /// The checksum matches, but no log can have these LSNs.
    Positions,
}

impl std::fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => f.write_str("the header is incomplete"),
            Self::Magic => f.write_str("the header does not begin with the magic of a log segment"),
            Self::Version(version) => write!(f, "the header names format version {version}"),
            Self::Checksum => f.write_str("the header does not match its checksum"),
            Self::Positions => f.write_str("the header's LSNs contradict each other"),
        }
    }
}

fn checksum(bytes: &[u8; SEGMENT_HEADER]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    hasher.finalize()
}

impl SegmentHeader {
    /// The header of a segment with which a log begins at LSN `first`.
    pub(super) fn beginning(id: LogId, first: Lsn, ms: u64) -> Self {
        let last_before = first - 1;
        let (previous_first, previous_end) = (0, 0);
        let (durable, epoch, chain) = (last_before, 0, id.key());
        Self { id, first, last_before, previous_first, durable, epoch, ms, chain, previous_end }
    }

    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id.0);
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_before.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.previous_first.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.durable.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.ms.to_le_bytes());
        bytes[80..84].copy_from_slice(&self.chain.to_le_bytes());
        bytes[84..92].copy_from_slice(&self.previous_end.to_le_bytes());
        let sum = checksum(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes: &[u8; SEGMENT_HEADER] = bytes.first_chunk().ok_or(HeaderFault::Short)?;
        if bytes[..8] != MAGIC {
            return Err(HeaderFault::Magic);
        }
        let [version, sum, chain] = [8, 12, 80].map(|at| u64_at(bytes, at) as u32);
        // Another version may have another layout, so its checksum cannot be verified here. Version 0 was never
        // written: it means that only the magic of a header reached the disk.
        if version != FORMAT_VERSION && version != 0 {
            let mut known = *bytes;
            known[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
            // If the checksum matches with this build's version in place of the one found, the version field itself is
            // damaged.
            let damaged = sum == checksum(&known);
            return Err(if damaged { HeaderFault::Checksum } else { HeaderFault::Version(version) });
        }
        if sum != checksum(bytes) {
            return Err(HeaderFault::Checksum);
        }
        let (first, last_before) = (u64_at(bytes, 32), u64_at(bytes, 40));
        if last_before >= first || first > MAX_FIRST {
            return Err(HeaderFault::Positions);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            id: LogId(id),
            first,
            last_before,
            previous_first: u64_at(bytes, 48),
            durable: u64_at(bytes, 56),
            epoch: u64_at(bytes, 64),
            ms: u64_at(bytes, 72),
            chain,
            previous_end: u64_at(bytes, 84),
        })
    }

    /// Where a parse of the frames begins.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor { key: self.id.key(), next: self.first, chain: self.chain }
    }

    /// The error for a header that cannot be read, for a file named `file`.
    pub(super) fn fault(file: &str, fault: HeaderFault) -> LogError {
        match fault {
            HeaderFault::Version(version) => {
                LogError::UnknownVersion { file: file.to_owned(), version, known: FORMAT_VERSION }
            }
            other => LogError::Corrupt { file: file.to_owned(), offset: 0, what: other.to_string() },
        }
    }
}

/// The file name of the segment whose first record has LSN `first`.
pub(super) fn segment_name(first: Lsn) -> String {
    format!("segment-{first:020}.log")
}

/// The first LSN in a segment's file name; `None` for other files.
pub(super) fn segment_first(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".log")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    // There is no record 0.
    digits.parse().ok().filter(|first| all_digits && *first > 0)
}

/// What a segment's bytes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The log it belongs to.
    pub log_id: LogId,
    /// The LSN that its first record has or would have.
    pub first: Lsn,
    /// The LSN of its last valid record; `first - 1` when there is none.
    pub last: Lsn,
    /// The offset behind the last valid record.
    pub end: u64,
    /// What follows there, unless it is the end of the file, zeros up to the end, or marks.
    pub rest: Option<String>,
}

/// Reads a whole segment from memory. It accepts any bytes and never panics.
pub fn parse_segment(bytes: &[u8]) -> Result<SegmentSummary, HeaderFault> {
    let header = SegmentHeader::decode(bytes)?;
    let mut cursor = header.cursor();
    let mut at = SEGMENT_HEADER;
    let rest = loop {
        let left = bytes.get(at..).unwrap_or_default();
        match cursor.step(left) {
            Step::Record(frame) => at += FRAME_HEADER + frame.len as usize,
            Step::NeedMore(_) => break Some("the last record is incomplete".to_owned()),
            Step::End if Behind::read(left, &cursor).clean => break None,
            Step::End => break Some("the bytes behind the last record are not zeros".to_owned()),
            Step::Bad(bad) => break Some(bad.to_string()),
        }
    };
    Ok(SegmentSummary { log_id: header.id, first: header.first, last: cursor.next - 1, end: at as u64, rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_positions_are_refused() {
        let header = SegmentHeader {
            id: LogId([7; 16]),
            first: 1,
            last_before: 0,
            previous_first: 0,
            durable: 0,
            epoch: 1,
            ms: 0,
            chain: 0,
            previous_end: 0,
        };
        assert_eq!(parse_segment(&header.encode()).map(|summary| summary.last), Ok(0));
        for (first, last_before) in [(0, 0), (5, 5), (5, 6), (u64::MAX, 0)] {
            let bytes = SegmentHeader { first, last_before, ..header }.encode();
            assert_eq!(parse_segment(&bytes), Err(HeaderFault::Positions), "{first} {last_before}");
        }
    }
}
