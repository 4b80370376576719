//! One record in the log's bytes, and the chain of checksums that ties it to the one before.
//!
//! All numbers are little-endian.
//!
//! ```text
//! offset  bytes
//!      0      4  length of the payload
//!      4      4  checksum of the payload: crc32, begun from the log's key
//!      8      8  LSN: 1 for the log's first record, one more for each record after
//!     16      6  timestamp: milliseconds since the Unix epoch
//!     22      1  record version: 1
//!     23      1  flags: 0
//!     24      4  how many records before this one, itself included, were not known to be durable when it was
//!                appended; 0xffffffff stands for "at least so many"
//!     28      4  chain: crc32, begun from the log's key, over bytes 0..28 and the chain of the record before
//!     32      …  payload
//! ```
//!
//! The log's key is the crc32 of the log id, so every checksum depends on the log it was made for; the chain depends
//! on all records before. Bytes of another log, older bytes of the same log and zeros therefore never parse. The
//! header is verified before its length is believed.

use super::Lsn;
use super::cursor::Cursor;
use super::mark::Marks;
use crc32fast::Hasher;

/// Bytes before the payload.
pub(super) const FRAME_HEADER: usize = 32;
/// The version that is written.
const RECORD_VERSION: u8 = 1;
/// The largest payload in bytes.
pub(super) const MAX_PAYLOAD: u64 = u32::MAX as u64 - 64;
/// Timestamps have 48 bits.
const MS_MASK: u64 = (1 << 48) - 1;

/// The random identity of a log, given at its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// The value from which the log's checksums begin.
    pub(super) fn key(&self) -> u32 {
        crc32fast::hash(&self.0)
    }
}

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The checksum of a payload given in parts.
pub(super) fn payload_checksum(key: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new_with_initial(key);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// A frame's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) len: u32,
    pub(super) payload_checksum: u32,
    pub(super) lsn: Lsn,
    pub(super) ms: u64,
    pub(super) version: u8,
    pub(super) flags: u8,
    pub(super) unsynced: u32,
    pub(super) chain: u32,
}

/// Four bytes at `at`; 0 where there are none.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Eight bytes at `at`; 0 where there are none.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

impl FrameHeader {
    /// A header as it is written, its chain not yet known.
    #[inline]
    pub(super) fn new(len: u32, payload_checksum: u32, lsn: Lsn, ms: u64, unsynced: u64) -> Self {
        let unsynced = u32::try_from(unsynced).unwrap_or(u32::MAX);
        let (version, flags) = (RECORD_VERSION, 0);
        Self { len, payload_checksum, lsn, ms: ms & MS_MASK, version, flags, unsynced, chain: 0 }
    }

    /// The bytes of the header, with the chain that follows from `previous`; the chain is its last four bytes.
    #[inline]
    pub(super) fn encode(&self, key: u32, previous: u32) -> ([u8; FRAME_HEADER], u32) {
        let word = self.ms | u64::from(self.version) << 48 | u64::from(self.flags) << 56;
        let mut bytes = [0; FRAME_HEADER];
        bytes[0..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.payload_checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.lsn.to_le_bytes());
        bytes[16..24].copy_from_slice(&word.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.unsynced.to_le_bytes());
        let chain = chain_over(&mut bytes, key, previous);
        (bytes, chain)
    }

    /// The fields of the header at the beginning of `bytes`, unverified.
    #[inline]
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; FRAME_HEADER] = bytes.first_chunk()?;
        let word = u64_at(bytes, 16);
        Some(Self {
            len: u32_at(bytes, 0),
            payload_checksum: u32_at(bytes, 4),
            lsn: u64_at(bytes, 8),
            ms: word & MS_MASK,
            version: (word >> 48) as u8,
            flags: (word >> 56) as u8,
            unsynced: u32_at(bytes, 24),
            chain: u32_at(bytes, 28),
        })
    }

    /// The last LSN that was known to be durable when this record was appended; 0 when the distance was too great.
    pub(super) fn durable_before(&self) -> Lsn {
        if self.unsynced == u32::MAX { 0 } else { self.lsn.saturating_sub(u64::from(self.unsynced)) }
    }

    /// Whether this header, read from the beginning of `bytes`, is whole and follows a record with chain `previous`.
    pub(super) fn follows(&self, bytes: &[u8], key: u32, previous: u32) -> bool {
        bytes.first_chunk().is_some_and(|raw| chain_over(&mut { *raw }, key, previous) == self.chain)
    }

    /// The frame's length in bytes.
    pub(super) fn frame_len(&self) -> u64 {
        FRAME_HEADER as u64 + u64::from(self.len)
    }
}

/// Puts the chain into the header's last four bytes: the previous chain stands there while the checksum is taken,
/// so that it runs over exactly two 16-byte steps.
#[inline]
fn chain_over(bytes: &mut [u8; FRAME_HEADER], key: u32, previous: u32) -> u32 {
    bytes[28..32].copy_from_slice(&previous.to_le_bytes());
    let mut hasher = Hasher::new_with_initial(key);
    hasher.update(bytes);
    let chain = hasher.finalize();
    bytes[28..32].copy_from_slice(&chain.to_le_bytes());
    chain
}

/// The chain of the record before the one at the beginning of `bytes`, computed backwards from this record's own chain.
/// That is possible because crc32 is reversible over the last four bytes that it takes.
pub(super) fn chain_before(bytes: &[u8], key: u32) -> Option<u32> {
    /// The polynomial of crc32, its lowest power in the highest bit.
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let bytes: &[u8; FRAME_HEADER] = bytes.first_chunk()?;
    let mut hasher = Hasher::new_with_initial(key);
    hasher.update(&bytes[..28]);
    let before = !hasher.finalize();
    let mut register = !u32_at(bytes, 28);
    for _ in 0..32 {
        let carried = register >> 31;
        register = (register ^ (POLYNOMIAL * carried)) << 1 | carried;
    }
    Some(before ^ register)
}

/// What stands at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A valid record of so many bytes; the cursor has moved behind it.
    Record(FrameHeader),
    /// The header is valid and the frame is longer than the given bytes. It needs so many bytes.
    NeedMore(u64),
    /// Fewer bytes than a header, a header of zeros, or a mark. It is the log's end if only marks and zeros follow.
    End,
    /// Something else.
    Bad(Bad),
}

/// Why bytes are not the record that must stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// The header's checksum does not follow from the record before.
    Header,
    /// The header is valid, the payload is not.
    Payload,
    /// The header is valid and of a version or with flags that this build does not know.
    Version(u8),
}

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("the record's header does not match its checksum"),
            Self::Payload => f.write_str("the record's payload does not match its checksum"),
            Self::Version(version) => {
                write!(f, "the record has version {version}, which this build does not read")
            }
        }
    }
}

impl Cursor {
    /// Verifies the record at the beginning of `bytes` and moves behind it.
    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let (Some(header), Some(raw)) = (FrameHeader::decode(bytes), bytes.first_chunk()) else {
            return Step::End;
        };
        let mut copy: [u8; FRAME_HEADER] = *raw;
        if chain_over(&mut copy, self.key, self.chain) != header.chain || header.lsn != self.next {
            let end = raw.iter().all(|byte| *byte == 0) || Marks::is_mark(raw);
            return if end { Step::End } else { Step::Bad(Bad::Header) };
        }
        if header.version != RECORD_VERSION || header.flags != 0 {
            return Step::Bad(Bad::Version(header.version));
        }
        let end = FRAME_HEADER + header.len as usize;
        let Some(payload) = bytes.get(FRAME_HEADER..end) else {
            return Step::NeedMore(header.frame_len());
        };
        if payload_checksum(self.key, &[payload]) != header.payload_checksum {
            return Step::Bad(Bad::Payload);
        }
        self.next += 1;
        self.chain = header.chain;
        Step::Record(header)
    }
}

/// The record at the beginning of `bytes` if it is valid by itself: its LSN lies in `range` and its payload matches
/// its checksum. The chain cannot be verified where the record before is damaged. Bytes of a payload cannot pass
/// for a record by intent, because the checksum begins from the log's key, which is not public.
pub(super) fn stands_alone(bytes: &[u8], key: u32, range: &std::ops::Range<Lsn>) -> Option<FrameHeader> {
    if !range.contains(&u64_at(bytes, 8)) {
        return None;
    }
    let header = FrameHeader::decode(bytes)?;
    // Every record counts itself among those that are not durable.
    if header.version != RECORD_VERSION || header.flags != 0 || header.unsynced == 0 {
        return None;
    }
    let payload = bytes.get(FRAME_HEADER..FRAME_HEADER + header.len as usize)?;
    (payload_checksum(key, &[payload]) == header.payload_checksum).then_some(header)
}

/// The first record at or behind `begin` that is valid by itself, and its offset.
pub(super) fn find_alone(
    bytes: &[u8],
    begin: usize,
    key: u32,
    range: &std::ops::Range<Lsn>,
) -> Option<(usize, FrameHeader)> {
    let mut at = begin;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER) {
        if let Some(frame) = stands_alone(rest, key, range) {
            return Some((at, frame));
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_before_a_record_follows_from_its_own() {
        let mut random = crate::env::Random::seeded(6);
        for _ in 0..1000 {
            let [key, before, sum] = [(); 3].map(|()| random.next_u64() as u32);
            let header = FrameHeader::new(7, sum, random.next_u64(), random.next_u64(), random.next_u64());
            let (bytes, _) = header.encode(key, before);
            assert_eq!(chain_before(&bytes, key), Some(before));
        }
        assert_eq!(chain_before(&[0; 31], 1), None);
    }
}
