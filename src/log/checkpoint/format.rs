//! The layout of a checkpoint, `checkpoint-<number, 10 digits>-<start LSN, 20 digits>.ckpt`: a file, or whatever a
//! place keeps it as.
//!
//! All numbers are little-endian. The key is the log's: the crc32 of its id.
//!
//! ```text
//! offset  bytes
//!      0      8  magic: "ITEMRCKP"
//!      8      4  format version: 1
//!     12      4  checksum: crc32 over bytes 0..12 and 16..64
//!     16     16  log id
//!     32      8  start LSN
//!     40      8  milliseconds since the Unix epoch at its beginning
//!     48      8  length of the prologue
//!     56      4  checksum of the prologue: crc32, begun from the key
//!     60      4  zeros
//!     64      …  prologue, then blocks without padding
//!
//! block
//!      0      4  kind: 1 a chunk, 2 the end
//!      4      4  shard
//!      8      8  LSN at which the shard was read; of the end: the greatest of them all, or the start LSN
//!     16      8  length of the payload
//!     24      4  checksum of the payload: crc32, begun from the key
//!     28      4  chain: crc32, begun from the key, over bytes 0..28 and the chain of the block before (the header's
//!                checksum before the first one)
//!     32      …  payload
//!
//! payload of the end, 32 bytes
//!      0      8  number of chunks
//!      8      8  bytes of their payloads
//!     16      8  length of the file
//!     24      4  chain of the block before
//!     28      4  zeros
//! ```

use crate::log::frame::{LogId, u64_at};
use crate::log::segment::FORMAT_VERSION;
use crate::log::{HeaderFault, Lsn};
use crc32fast::Hasher;

pub(super) const HEADER: usize = 64;
pub(super) const BLOCK: usize = 32;
pub(super) const END_PAYLOAD: usize = 32;
const MAGIC: [u8; 8] = *b"ITEMRCKP";
const KIND_CHUNK: u32 = 1;
const KIND_END: u32 = 2;

/// What a checkpoint says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// The checkpoint's number, greater than those of all that were there when it was begun. A superseded writer that
    /// has not noticed gives the same numbers, so the start LSN is compared before the number.
    pub number: u64,
    /// Its name: that of the file inside the folder.
    pub name: String,
    /// Every record up to this LSN is reflected; replay begins after it.
    pub start_lsn: Lsn,
    /// The greatest LSN that any chunk reflects.
    pub last_lsn: Lsn,
    /// Milliseconds since the Unix epoch at its beginning.
    pub ms: u64,
    /// Number of chunks.
    pub chunks: u64,
    /// Its length.
    pub bytes: u64,
}

impl CheckpointInfo {
    /// What orders checkpoints: the oldest is least.
    pub(super) fn age(&self) -> (Lsn, u64) {
        (self.start_lsn, self.number)
    }

    /// What is known from the name and the length alone; `None` when it is not the name of a finished checkpoint.
    pub(super) fn named(name: String, bytes: u64) -> Option<Self> {
        let (number, start_lsn) = parse_name(&name)?;
        Some(Self { number, name, start_lsn, last_lsn: start_lsn, ms: 0, chunks: 0, bytes })
    }
}

/// The file's name.
pub(in crate::log) fn checkpoint_name(number: u64, start_lsn: Lsn) -> String {
    format!("checkpoint-{number:010}-{start_lsn:020}.ckpt")
}

/// True for the name of a checkpoint that was not finished.
pub(in crate::log) fn is_temporary(name: &str) -> bool {
    name.strip_suffix(".tmp").is_some_and(|name| parse_name(name).is_some())
}

/// Number and start LSN from a file's name.
fn parse_name(name: &str) -> Option<(u64, Lsn)> {
    let (number, start) = name.strip_prefix("checkpoint-")?.strip_suffix(".ckpt")?.split_once('-')?;
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    if digits(number, 10) && digits(start, 20) {
        Some((number.parse().ok()?, start.parse().ok()?))
    } else {
        None
    }
}

/// The header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: LogId,
    pub(super) start_lsn: Lsn,
    pub(super) ms: u64,
    pub(super) prologue_len: u64,
    pub(super) prologue_checksum: u32,
}

fn checksum(bytes: &[u8; HEADER]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    hasher.finalize()
}

impl Header {
    /// The bytes, and the checksum from which the blocks' chain goes on.
    pub(super) fn encode(&self) -> ([u8; HEADER], u32) {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id.0);
        bytes[32..40].copy_from_slice(&self.start_lsn.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.ms.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.prologue_len.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.prologue_checksum.to_le_bytes());
        let sum = checksum(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        (bytes, sum)
    }

    /// The fields and the checksum, verified.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, u32), HeaderFault> {
        let bytes: &[u8; HEADER] = bytes.first_chunk().ok_or(HeaderFault::Short)?;
        if bytes[..8] != MAGIC {
            return Err(HeaderFault::Magic);
        }
        let [version, sum, prologue_checksum] = [8, 12, 56].map(|at| u64_at(bytes, at) as u32);
        // Version 0 was never written.
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
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[16..32]);
        let header = Self {
            id: LogId(id),
            start_lsn: u64_at(bytes, 32),
            ms: u64_at(bytes, 40),
            prologue_len: u64_at(bytes, 48),
            prologue_checksum,
        };
        Ok((header, sum))
    }
}

/// A block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) end: bool,
    pub(super) shard: u32,
    pub(super) lsn: Lsn,
    pub(super) len: u64,
    pub(super) checksum: u32,
}

impl Block {
    /// The bytes, and the chain that follows from `previous`.
    pub(super) fn encode(&self, key: u32, previous: u32) -> ([u8; BLOCK], u32) {
        let kind = if self.end { KIND_END } else { KIND_CHUNK };
        let mut bytes = [0; BLOCK];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.shard.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.lsn.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.len.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[28..].copy_from_slice(&previous.to_le_bytes());
        let mut hasher = Hasher::new_with_initial(key);
        hasher.update(&bytes);
        let chain = hasher.finalize();
        bytes[28..].copy_from_slice(&chain.to_le_bytes());
        (bytes, chain)
    }

    /// Decodes a block's header and returns it with its chain. `None` when it does not follow a block with chain
    /// `previous`.
    pub(super) fn decode(bytes: &[u8; BLOCK], key: u32, previous: u32) -> Option<(Self, u32)> {
        let block = Self {
            end: u64_at(bytes, 0) as u32 == KIND_END,
            shard: (u64_at(bytes, 0) >> 32) as u32,
            lsn: u64_at(bytes, 8),
            len: u64_at(bytes, 16),
            checksum: u64_at(bytes, 24) as u32,
        };
        let (again, chain) = block.encode(key, previous);
        (again == *bytes).then_some((block, chain))
    }
}

/// The payload of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) chunks: u64,
    pub(super) payload_bytes: u64,
    pub(super) file_len: u64,
    pub(super) previous: u32,
}

impl Totals {
    pub(super) fn encode(&self) -> [u8; END_PAYLOAD] {
        let mut bytes = [0; END_PAYLOAD];
        bytes[..8].copy_from_slice(&self.chunks.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_len.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.previous.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; END_PAYLOAD]) -> Self {
        Self {
            chunks: u64_at(bytes, 0),
            payload_bytes: u64_at(bytes, 8),
            file_len: u64_at(bytes, 16),
            previous: u64_at(bytes, 24) as u32,
        }
    }
}
