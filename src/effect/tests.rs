use super::*;
use crate::value::bits::BitOp;
use crate::value::list::RemovedRun;
use crate::value::stream::{GroupPosition, StreamId};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Every effect, in every form.
fn samples<'a>(key: &'a [u8], value: &'a [u8], slices: &'a [&'a [u8]], n: u32, at: u64) -> Vec<Effect<'a>> {
    let (list, packed) = (List::Slices(slices), b"\x01a\x01b");
    let with_deadlines = b"\x01a\x01b\x08\x07\x06\x05\x04\x03\x02\x01";
    vec![
        StringChange::Set { value, expire: None }.on(n, key),
        StringChange::Set { value, expire: Some(at) }.on(n, key),
        StringChange::Splice { at: n as usize / 2, bytes: value }.on(n, key),
        Effect::Delete { db: n, key },
        Effect::Move { db: n, key, to_db: 3, to: value },
        Effect::Copy { db: n, key, to_db: 3, to: value },
        Effect::Combine { op: BitOp::AndOr, db: n, to: key, keys: list },
        StringChange::Restore { payload: value, expire: None }.on(n, key),
        StringChange::Restore { payload: value, expire: Some(at) }.on(n, key),
        Effect::Restore { db: n, key, payload: value, expire: None, read_at: at },
        Effect::Restore { db: n, key, payload: value, expire: Some(at), read_at: at },
        Effect::Expire { db: n, key, at: None },
        Effect::Expire { db: n, key, at: Some(at) },
        HashChange::Put { ttl: false, payload: packed, expire: None }.on(n, key),
        HashChange::Put { ttl: false, payload: packed, expire: Some(at) }.on(n, key),
        HashChange::Put { ttl: true, payload: with_deadlines, expire: None }.on(n, key),
        HashChange::Set { pairs: list, expire: FieldExpire::Clear }.on(n, key),
        HashChange::Set { pairs: list, expire: FieldExpire::Keep }.on(n, key),
        HashChange::Set { pairs: list, expire: FieldExpire::At(at) }.on(n, key),
        HashChange::Delete { fields: list }.on(n, key),
        HashChange::Expire { fields: list, at }.on(n, key),
        ItemChange::Put { sort: value, item: key }.on(n, key),
        ItemChange::Delete { sort: value }.on(n, key),
        SetChange::Add { members: list }.on(n, key),
        SetChange::Delete { members: list }.on(n, key),
        Structural::FlushDb { db: n, space: n }.into(),
        Structural::SwapDb { a: n, b: 3 }.into(),
        Structural::TablePut { table: n, created: at, name: key, schema: value }.into(),
        Structural::Gap.into(),
        Structural::LibraryPut { name: key, code: value }.into(),
        Structural::LibraryDrop { name: key }.into(),
        Structural::TableDrop { table: n }.into(),
    ]
}

/// Every change of a stream, in every form.
fn stream_samples<'a>(
    key: &'a [u8],
    name: &'a [u8],
    slices: &'a [&'a [u8]],
    ids: &'a [StreamId],
    at: u64,
) -> Vec<Effect<'a>> {
    let (id, other, ids) = (ids[0], ids[1], Ids::Slice(ids));
    let (group, consumer) = (name, key);
    let position = |entries_read| GroupPosition { last_id: id, entries_read };
    let changes = [
        StreamChange::Add { id, pairs: List::Slices(slices) },
        StreamChange::Node { master: id, body: name },
        StreamChange::Marks { last_id: id, max_deleted_id: other, entries_added: at },
        StreamChange::Delete { ids },
        StreamChange::Trim { through: id },
        StreamChange::Group { group, position: position(Some(at >> 1)) },
        StreamChange::Group { group, position: position(None) },
        StreamChange::GroupDelete { group },
        StreamChange::Consumer { group, consumer, seen_at_ms: at, active_at_ms: Some(at >> 1) },
        StreamChange::Consumer { group, consumer, seen_at_ms: at, active_at_ms: None },
        StreamChange::ConsumerDelete { group, consumer },
        StreamChange::Pending { group, consumer, delivered_at_ms: at, deliveries: at >> 1, ids },
        StreamChange::Acknowledge { group, ids },
    ];
    changes.map(|change| change.on(3, key)).to_vec()
}

/// Every change of a list, in every form.
fn list_samples<'a>(
    key: &'a [u8],
    value: &'a [u8],
    slices: &'a [&'a [u8]],
    runs: &'a [RemovedRun],
    n: u32,
    at: u64,
) -> Vec<Effect<'a>> {
    let (values, runs, count) = (List::Slices(slices), Runs::Slice(runs), n as usize / 2);
    let payload = b"\x81a\x02\x07\x01";
    let changes = [
        ListChange::Push { front: false, values },
        ListChange::Push { front: true, values },
        ListChange::Pop { front: false, count },
        ListChange::Pop { front: true, count },
        ListChange::Set { at: count, value },
        ListChange::Insert { at: count, value },
        ListChange::Remove { runs },
        ListChange::Put { payload, expire: None },
        ListChange::Put { payload, expire: Some(at) },
    ];
    changes.map(|change| change.on(3, key)).to_vec()
}

/// Every change of a sorted set, in every form.
fn zset_samples<'a>(
    key: &'a [u8],
    pairs: &'a [&'a [u8]],
    members: &'a [&'a [u8]],
    at: u64,
) -> Vec<Effect<'a>> {
    let payload = b"\x01a\x03";
    let changes = [
        ZsetChange::Put { payload, expire: None },
        ZsetChange::Put { payload, expire: Some(at) },
        ZsetChange::Set { pairs: List::Slices(pairs) },
        ZsetChange::Delete { members: List::Slices(members) },
        ZsetChange::DeleteRange { at: 300, count: 7 },
    ];
    changes.map(|change| change.on(3, key)).to_vec()
}

/// The bytes of `samples`, one line for each effect.
const BYTES: &[&str] = &[
    "01ac02036b65790576616c7565",
    "02ac02036b657908070605040302010576616c7565",
    "03ac02036b657996010576616c7565",
    "04ac02036b6579",
    "1fac02036b6579030576616c7565",
    "20ac02036b6579030576616c7565",
    "21ac02036b65790604080161026263000178",
    "22ac02036b65790576616c7565",
    "23ac02036b657908070605040302010576616c7565",
    "24ac02036b657908070605040302010576616c7565",
    "25ac02036b6579080706050403020108070605040302010576616c7565",
    "05ac02036b6579",
    "06ac02036b65790807060504030201",
    "07ac02036b6579010401610162",
    "08ac02036b65790807060504030201010401610162",
    "07ac02036b6579020c016101620807060504030201",
    "09ac02036b65790004080161026263000178",
    "09ac02036b65790104080161026263000178",
    "09ac02036b657902080706050403020104080161026263000178",
    "0aac02036b657904080161026263000178",
    "0bac02036b6579080706050403020104080161026263000178",
    "0cac02036b65790576616c7565036b6579",
    "0dac02036b65790576616c7565",
    "32ac02036b657904080161026263000178",
    "33ac02036b657904080161026263000178",
    "0eac02ac02",
    "0fac0203",
    "10ac020807060504030201036b65790576616c7565",
    "12",
    "46036b65790576616c7565",
    "47036b6579",
    "11ac02",
    "1303036b65790102030405060708000000000000000704080161026263000178",
    "1403036b657901020304050607080000000000000007046e616d65",
    "1503036b657901020304050607080000000000000007000000000000012c01020304050607080807060504030201",
    "1603036b65793001020304050607080000000000000007000000000000012c0102030405060708ffffffffffffffffffffffffffffffff",
    "1703036b657901020304050607080000000000000007",
    "1903036b6579046e616d65010203040506070800000000000000078403830282018100",
    "1903036b6579046e616d6501020304050607080000000000000007ffffffffffffffff",
    "1a03036b6579046e616d65",
    "1b03036b6579046e616d65036b657908070605040302018403830282018100",
    "1b03036b6579046e616d65036b65790807060504030201ffffffffffffffff",
    "1c03036b6579046e616d65036b6579",
    "1d03036b6579046e616d65036b6579080706050403020184878c94a0b0c0403001020304050607080000000000000007000000000000012c0102030405060708ffffffffffffffffffffffffffffffff",
    "1e03036b6579046e616d653001020304050607080000000000000007000000000000012c0102030405060708ffffffffffffffffffffffffffffffff",
    "2803036b65790004080161026263000178",
    "2803036b65790104080161026263000178",
    "2903036b6579009601",
    "2903036b6579019601",
    "2a03036b657996010576616c7565",
    "2b03036b657996010576616c7565",
    "2c03036b657905ac02020101",
    "2d03036b6579058161020701",
    "2e03036b65790807060504030201058161020701",
    "3c03036b657903016103",
    "3d03036b6579080706050403020103016103",
    "3e03036b65790415016108000000000000f83f0008000000000000f0ff",
    "3f03036b657904080161026263000178",
    "4003036b6579ac0207",
];

fn fixed_samples(then: &mut dyn FnMut(&[Effect<'_>])) {
    let slices: [&[u8]; 4] = [b"a", b"bc", b"", b"x"];
    let at = 0x0102_0304_0506_0708;
    let mut effects = samples(b"key", b"value", &slices, 300, at);
    let ids = [StreamId::new(at, 7), StreamId::new(300, at), StreamId::MAX];
    effects.extend(stream_samples(b"key", b"name", &slices, &ids, at));
    let runs = [RemovedRun { passed: 300, removed: 2 }, RemovedRun { passed: 1, removed: 1 }];
    effects.extend(list_samples(b"key", b"value", &slices, &runs, 300, at));
    let scores = [1.5, f64::NEG_INFINITY].map(score_bytes);
    let pairs: [&[u8]; 4] = [b"a", &scores[0], b"", &scores[1]];
    effects.extend(zset_samples(b"key", &pairs, &slices, at));
    then(&effects);
}

#[test]
fn every_effect_has_the_bytes_that_it_always_had() {
    fixed_samples(&mut |effects| {
        assert_eq!(effects.len(), BYTES.len());
        for (effect, expected) in effects.iter().zip(BYTES) {
            let mut record = vec![VERSION];
            effect.encode(&mut record);
            let hex = record[1..].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            assert_eq!(hex, *expected, "{effect:?}");
            assert_eq!(EffectDecoder::new(&record).unwrap().next(), Some(Ok(*effect)));
        }
    });
}

#[test]
fn every_opcode_that_is_read_is_written_too() {
    let mut written = BTreeSet::new();
    fixed_samples(&mut |effects| {
        for effect in effects {
            let mut bytes = Vec::new();
            effect.encode(&mut bytes);
            written.insert(bytes[0]);
        }
    });
    let is_read = |opcode: &u8| {
        let record = [VERSION, *opcode];
        let found = EffectDecoder::new(&record).unwrap().next();
        found != Some(Err(EffectError::Opcode(*opcode)))
    };
    assert_eq!((0..=u8::MAX).filter(is_read).collect::<BTreeSet<_>>(), written);
}

#[test]
fn an_effect_is_no_larger_than_it_was() {
    assert!(size_of::<Effect<'_>>() <= 96);
}

#[test]
fn tokens_from_before_they_had_a_database_of_their_own_are_in_it() {
    let token = |db| StringChange::Set { value: b"reply", expire: Some(1) }.on(db, b"atomic:abc");
    let mut record = vec![VERSION];
    token(SYSTEM).encode(&mut record);
    assert_eq!(EffectDecoder::new(&record).unwrap().next(), Some(Ok(token(TOKENS))));
}

proptest! {
    #[test]
    fn effects_survive_their_bytes(key in prop::collection::vec(any::<u8>(), 0..200),
                                   value in prop::collection::vec(any::<u8>(), 0..300), n: u32, at: u64) {
        let slices: [&[u8]; 4] = [&key, &value, b"", b"x"];
        let mut effects = samples(&key, &value, &slices, n, at);
        let ids = [StreamId::new(at, 7), StreamId::new(u64::from(n), at), StreamId::MAX];
        effects.extend(stream_samples(&key, &value, &slices, &ids, at));
        let runs = [RemovedRun { passed: n as usize, removed: 1 }, RemovedRun { passed: 1, removed: n as usize }];
        effects.extend(list_samples(&key, &value, &slices, &runs, n, at));
        let score = score_bytes(at as f64);
        let pairs: [&[u8]; 4] = [&key, &score, &value, &score];
        effects.extend(zset_samples(&key, &pairs, &slices, at));
        let mut record = vec![VERSION];
        effects.iter().for_each(|e| e.encode(&mut record));
        let decoded: Result<Vec<_>, _> = EffectDecoder::new(&record).unwrap().collect();
        prop_assert_eq!(decoded.unwrap(), effects);
    }

    #[test]
    fn any_bytes_are_effects_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(decoder) = EffectDecoder::new(&bytes) {
            let _ = decoder.count();
        }
    }
}
