//! What damage looks like: a write that never reached the disk, or bytes that changed on it.
//!
//! Room ahead of the records holds zeros, and bytes that never reached the disk read as what was there before. The
//! system never divides a line of the processor's cache when it hands bytes to the disk. So at least one line of a torn
//! record or header holds only zeros. If every line of an invalid record holds something, the record was written whole
//! and its bytes changed later.

use crate::log::frame::{FRAME_HEADER, FrameHeader};
use crate::log::segment::SEGMENT_HEADER;

/// Bytes that the system and the disk never divide, from a multiple of it on.
const LINE: usize = 64;

/// Whether bytes that are no valid segment header may be a torn one.
pub(super) fn header_may_be_torn(bytes: &[u8]) -> bool {
    bytes.len() < SEGMENT_HEADER || has_empty_line(bytes, 0, SEGMENT_HEADER)
}

/// Whether the bytes at `offset` may be a torn record. The record before ended there and had this chain.
pub(super) fn record_may_be_torn(bytes: &[u8], offset: usize, key: u32, chain: u32) -> bool {
    let Some(rest) = bytes.get(offset..).filter(|rest| rest.len() >= FRAME_HEADER) else { return true };
    let Some(header) = FrameHeader::decode(rest) else { return true };
    // The length is used only if the header is whole; otherwise the empty line must lie in the header.
    let len = if header.follows(rest, key, chain) { header.frame_len() as usize } else { FRAME_HEADER };
    len > rest.len() || has_empty_line(bytes, offset, offset + len)
}

/// Whether the part of some line that lies in `from..to` holds only zeros.
fn has_empty_line(bytes: &[u8], from: usize, to: usize) -> bool {
    let mut at = from;
    while at < to {
        let end = (at / LINE + 1) * LINE;
        let part = bytes.get(at..end.min(to)).unwrap_or_default();
        if part.iter().all(|byte| *byte == 0) {
            return true;
        }
        at = end;
    }
    false
}
