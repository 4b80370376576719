//! The footer of a `DUMP` payload: a version in two bytes and a checksum of all that stands before it in eight.
#![deny(clippy::indexing_slicing)]

use crate::value::ValueError;
use crc::{CRC_64_REDIS, Crc, Table};

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The newest version that is understood: Redis 7.4's, with field expiry in hashes.
pub(super) const NEWEST_VERSION: u16 = 12;

/// Appends version and checksum. O(length).
pub(super) fn seal(mut body: Vec<u8>, version: u16) -> Vec<u8> {
    body.extend_from_slice(&version.to_le_bytes());
    let sum = CRC.checksum(&body);
    body.extend_from_slice(&sum.to_le_bytes());
    body
}

/// The body of a payload whose version and checksum are right. O(length).
pub(super) fn open(payload: &[u8]) -> Result<&[u8], ValueError> {
    let body = open_unsigned(payload)?;
    let (signed, sum) = payload.split_last_chunk::<8>().ok_or(ValueError::DumpFooter)?;
    if CRC.checksum(signed) == u64::from_le_bytes(*sum) { Ok(body) } else { Err(ValueError::DumpFooter) }
}

/// The body of a payload whose version is right. The checksum is not verified.
pub(super) fn open_unsigned(payload: &[u8]) -> Result<&[u8], ValueError> {
    let (signed, _) = payload.split_last_chunk::<8>().ok_or(ValueError::DumpFooter)?;
    let (body, version) = signed.split_last_chunk::<2>().ok_or(ValueError::DumpFooter)?;
    if u16::from_le_bytes(*version) <= NEWEST_VERSION { Ok(body) } else { Err(ValueError::DumpFooter) }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_redis_documents() {
        assert_eq!(CRC.checksum(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
    }

    #[test]
    fn only_a_whole_and_known_payload_opens() {
        let payload = seal(b"\x00\x01a".to_vec(), 10);
        assert_eq!(open(&payload), Ok(&b"\x00\x01a"[..]));
        assert_eq!(open(&seal(Vec::new(), 0)), Ok(&b""[..]));
        assert_eq!(open(&seal(b"x".to_vec(), NEWEST_VERSION + 1)), Err(ValueError::DumpFooter));
        for at in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[at] ^= 0x10;
            assert_eq!(open(&damaged), Err(ValueError::DumpFooter), "{at}");
            assert_eq!(open(&payload[..at]), Err(ValueError::DumpFooter), "{at}");
        }
    }
}
