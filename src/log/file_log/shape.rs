//! What damage looks like: a write that never reached the disk, or bytes that changed on it.
//!
//! Room ahead of the records holds zeros, and what the disk was never given reads as what was there before. So of a
//! record or a header that a power cut tore, at least one whole line of the processor's cache is zeros, within which
//! the system hands bytes to the disk undivided. A record of which every line holds something was written once: if it
//! is not valid, its bytes have changed since.

use crate::log::frame::{FRAME_HEADER, FrameHeader};
use crate::log::segment::SEGMENT_HEADER;

/// Bytes that the system and the disk never divide, from a multiple of it on.
const LINE: usize = 64;

/// Whether what is no segment's header may be the torn rest of one.
pub(super) fn header_may_be_torn(bytes: &[u8]) -> bool {
    bytes.len() < SEGMENT_HEADER || has_empty_line(bytes, 0, SEGMENT_HEADER)
}

/// Whether what stands at `offset`, where a record with this chain ended, may be the torn rest of the next one.
pub(super) fn record_may_be_torn(bytes: &[u8], offset: usize, key: u32, chain: u32) -> bool {
    let Some(rest) = bytes.get(offset..).filter(|rest| rest.len() >= FRAME_HEADER) else { return true };
    let Some(header) = FrameHeader::decode(rest) else { return true };
    // The length is believed only if the header is whole; otherwise the header must be what was torn.
    let len = if header.follows(rest, key, chain) { header.frame_len() as usize } else { FRAME_HEADER };
    len > rest.len() || has_empty_line(bytes, offset, offset + len)
}

/// Whether some line, as far as it lies in `from..to`, holds zeros only.
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
