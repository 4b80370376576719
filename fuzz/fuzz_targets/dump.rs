//! Payloads of RESTORE and FUNCTION RESTORE with a correct footer: any bytes are decoded or refused, and what was
//! decoded survives a round trip. A string that looks like a HyperLogLog is counted and changed, or refused as corrupt.
#![no_main]

use crc::{CRC_64_REDIS, Crc};
use itemory::value::hll::{Hll, HllRef, Registers};
use itemory::value::rdb::{
    Decoded, ListpackLimits, decode_dump, dump_functions, encode_dump, read_functions,
};
use libfuzzer_sys::fuzz_target;

static CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

fuzz_target!(|data: &[u8]| {
    let mut payload = data.to_vec();
    payload.extend_from_slice(&11u16.to_le_bytes());
    payload.extend_from_slice(&CRC.checksum(&payload).to_le_bytes());
    if let Ok(texts) = read_functions(&payload) {
        assert_eq!(read_functions(&dump_functions(texts.iter().map(Vec::as_slice))), Ok(texts));
    }
    let Ok(value) = decode_dump(&payload) else { return };
    if let Decoded::String(bytes) = &value {
        count(bytes);
    }
    let again = decode_dump(&encode_dump(&value, &ListpackLimits::default()));
    assert_eq!(again.map(sorted), Ok(sorted(value)));
});

/// Counts a HyperLogLog in every way there is, and adds to it.
fn count(bytes: &[u8]) {
    let Some(hll) = HllRef::of(bytes) else { return };
    let _ = hll.describe();
    let (mut registers, mut added) = (Registers::default(), Hll::of(hll, 3000));
    let merged = registers.merge(hll);
    let Ok(counted) = hll.count() else {
        // What adds to it may stop before it comes to what is corrupt.
        assert!(merged.is_err());
        let _ = added.add(b"element");
        return;
    };
    assert_eq!((merged, registers.count()), (Ok(()), counted));
    registers.add(b"element");
    added.add(b"element").unwrap();
    added.make_dense().unwrap();
    let added = HllRef::of(added.bytes()).unwrap();
    assert_eq!(added.count().unwrap(), registers.count());
}

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
