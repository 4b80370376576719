//! RESTORE's payloads behind a correct footer: any bytes are decoded or refused, and survive a round trip.
#![no_main]

use crc::{CRC_64_REDIS, Crc};
use itemory::value::rdb::{Decoded, Thresholds, decode_dump, encode_dump};
use libfuzzer_sys::fuzz_target;

static CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

fuzz_target!(|data: &[u8]| {
    let mut payload = data.to_vec();
    payload.extend_from_slice(&11u16.to_le_bytes());
    payload.extend_from_slice(&CRC.checksum(&payload).to_le_bytes());
    let Ok(value) = decode_dump(&payload) else { return };
    let again = decode_dump(&encode_dump(&value, &Thresholds::default()));
    assert_eq!(again.map(sorted), Ok(sorted(value)));
});

/// Members and fields have no order of their own.
fn sorted(mut value: Decoded) -> Decoded {
    match &mut value {
        Decoded::Set(members) => members.sort(),
        Decoded::Hash(fields) => fields.sort(),
        Decoded::ZSet(members) => members.sort_by(|a, b| a.0.cmp(&b.0)),
        _ => {}
    }
    value
}
