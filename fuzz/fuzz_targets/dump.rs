//! RESTORE's payloads with a correct footer: any bytes are decoded or refused, and a decoded value survives a round
//! trip.
#![no_main]

use crc::{CRC_64_REDIS, Crc};
use itemory::value::rdb::{Decoded, ListpackLimits, decode_dump, encode_dump};
use libfuzzer_sys::fuzz_target;

static CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

fuzz_target!(|data: &[u8]| {
    let mut payload = data.to_vec();
    payload.extend_from_slice(&11u16.to_le_bytes());
    payload.extend_from_slice(&CRC.checksum(&payload).to_le_bytes());
    let Ok(value) = decode_dump(&payload) else { return };
    let again = decode_dump(&encode_dump(&value, &ListpackLimits::default()));
    assert_eq!(again.map(sorted), Ok(sorted(value)));
});

/// The value with sorted members and fields. The times at which consumers were last active are not written.
fn sorted(mut value: Decoded) -> Decoded {
    match &mut value {
        Decoded::Set(members) => members.sort(),
        Decoded::Hash(fields) => fields.sort(),
        Decoded::ZSet(members) => members.sort_by(|a, b| a.0.cmp(&b.0)),
        Decoded::Stream(stream) => {
            let names: Vec<Vec<u8>> = stream.groups().iter().map(|(name, _)| name.to_vec()).collect();
            for group in names {
                let Some(group) = stream.groups_mut().get_mut(&group) else { continue };
                let keys: Vec<_> = group.keyed_consumers().map(|(key, _)| key).collect();
                for consumer in keys {
                    let Some(consumer) = group.consumer_mut(consumer) else { continue };
                    consumer.active_at_ms = Some(consumer.seen_at_ms);
                }
            }
        }
        _ => {}
    }
    value
}
