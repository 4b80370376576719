//! A segment with forged checksums: any fields are read or refused, and the records that are read are those of the
//! input.
#![no_main]

use crc32fast::Hasher;
use itemory::log::{FORMAT_VERSION, SegmentSummary, parse_segment};
use libfuzzer_sys::fuzz_target;

const SEGMENT_HEADER: usize = 96;
const FRAME_HEADER: usize = 32;

/// The next frame's LSN is not the one that must follow.
const LSN: u8 = 1;
/// Version, flags and timestamp are those of the input.
const WORD: u8 = 2;
/// The payload's checksum is that of the input.
const PAYLOAD: u8 = 4;
/// The chain is that of the input.
const CHAIN: u8 = 8;

// The input is the header's fields, then frames. A frame is a byte with the flags above in its low half, a length, a
// raw header and a payload. A rest that is too short for a frame is the segment's tail.
fuzz_target!(|input: &[u8]| {
    let _ = parse_segment(input);
    let Some((fields, mut rest)) = input.split_at_checked(SEGMENT_HEADER) else { return };
    let mut segment = header(fields);
    let key = crc32fast::hash(&segment[16..32]);
    let first = u64::from_le_bytes(segment[32..40].try_into().expect("eight bytes"));
    let mut chain = u32::from_le_bytes(segment[80..84].try_into().expect("four bytes"));
    let (mut next, mut end, mut whole) = (first, SEGMENT_HEADER, true);
    while let Some((frame, behind)) = rest.split_at_checked(2 + FRAME_HEADER) {
        let (faults, len) = (frame[0], usize::from(frame[1]));
        let Some((payload, behind)) = behind.split_at_checked(len) else { break };
        rest = behind;
        segment.extend_from_slice(&forge(&frame[2..], payload, faults, key, next, &mut chain));
        segment.extend_from_slice(payload);
        whole &= faults & (LSN | WORD | PAYLOAD | CHAIN) == 0;
        if whole {
            next = next.wrapping_add(1);
            end = segment.len();
        }
    }
    segment.extend_from_slice(rest);
    let Ok(SegmentSummary { first: found, last, end: found_end, .. }) = parse_segment(&segment) else {
        return;
    };
    assert_eq!(found, first);
    // Fields of the input may be right by chance; a frame without faults is always read.
    assert!(found_end >= end as u64);
    assert!(found_end > end as u64 || last == next.wrapping_sub(1));
});

/// A segment header with these fields and the right magic, version and checksum.
fn header(fields: &[u8]) -> Vec<u8> {
    let mut bytes = fields.to_vec();
    bytes[..8].copy_from_slice(b"ITEMRLOG");
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

/// A frame header that is right except for the fields that `faults` names.
fn forge(raw: &[u8], payload: &[u8], faults: u8, key: u32, next: u64, chain: &mut u32) -> Vec<u8> {
    let mut bytes = raw.to_vec();
    if faults & PAYLOAD == 0 {
        let mut hasher = Hasher::new_with_initial(key);
        hasher.update(payload);
        bytes[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
    }
    if faults & LSN == 0 {
        bytes[8..16].copy_from_slice(&next.to_le_bytes());
    }
    if faults & WORD == 0 {
        bytes[22..24].copy_from_slice(&[1, 0]);
    }
    if faults & CHAIN == 0 {
        bytes[28..32].copy_from_slice(&chain.to_le_bytes());
        let mut hasher = Hasher::new_with_initial(key);
        hasher.update(&bytes);
        *chain = hasher.finalize();
        bytes[28..32].copy_from_slice(&chain.to_le_bytes());
    }
    bytes
}
