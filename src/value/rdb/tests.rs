//! Every type written and read back, the types that only older or newer Redis versions write, and hostile payloads.

use super::writer::Writer;
use super::*;
use crate::value::ValueError;
use crate::value::listpack::Builder;
use crate::value::stream::{Stream, StreamId, StreamNode};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;

const BAD: Result<Decoded, ValueError> = Err(ValueError::BadFormat);

fn b(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn pack(items: &[&str]) -> Vec<u8> {
    let mut builder = Builder::new();
    for item in items {
        builder.push(item.as_bytes());
    }
    builder.finish()
}

/// A payload of `kind` whose content `fill` writes.
fn payload(kind: u8, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(kind, 0);
    fill(&mut writer);
    writer.finish(11)
}

fn packed(kind: u8, items: &[&str]) -> Result<Decoded, ValueError> {
    decode_dump(&payload(kind, |w| w.string(&pack(items))))
}

fn strings(kind: u8, items: &[&str]) -> Result<Decoded, ValueError> {
    decode_dump(&payload(kind, |w| {
        for item in items {
            w.string(item.as_bytes());
        }
    }))
}

/// The same with the count, or half of it for pairs, before.
fn counted(kind: u8, count: u64, items: &[&str]) -> Result<Decoded, ValueError> {
    decode_dump(&payload(kind, |w| {
        w.len(count);
        for item in items {
            w.string(item.as_bytes());
        }
    }))
}

fn field(name: &str, value: &str, at: Option<u64>) -> HashField {
    (b(name), b(value), at)
}

#[test]
fn sets_of_every_kind() {
    assert_eq!(packed(kind::SET_LISTPACK, &["a", "7"]), Ok(Decoded::Set(vec![b("a"), b("7")])));
    assert_eq!(counted(kind::SET, 2, &["a", "7"]), Ok(Decoded::Set(vec![b("a"), b("7")])));
    assert_eq!(packed(kind::SET_LISTPACK, &["a", "a"]), BAD);
    assert_eq!(packed(kind::SET_LISTPACK, &[]), BAD);
    assert_eq!(counted(kind::SET, 2, &["a", "a"]), BAD);
    assert_eq!(counted(kind::SET, 0, &[]), BAD);
    assert_eq!(counted(kind::SET, u64::MAX, &["a"]), BAD);
}

#[test]
fn hashes_of_every_kind() {
    let plain = Decoded::Hash(vec![field("a", "1", None), field("b", "x", None)]);
    assert_eq!(counted(kind::HASH, 2, &["a", "1", "b", "x"]), Ok(plain.clone()));
    assert_eq!(packed(kind::HASH_LISTPACK, &["a", "1", "b", "x"]), Ok(plain.clone()));
    assert_eq!(strings(kind::HASH_ZIPMAP, &["\x02\x01a\x01\x001\x01b\x01\x00x\u{ff}"]), BAD);
    let zipmap = payload(kind::HASH_ZIPMAP, |w| w.string(b"\x02\x01a\x01\x001\x01b\x01\x00x\xFF"));
    assert_eq!(decode_dump(&zipmap), Ok(plain));
    assert_eq!(decode_dump(&payload(kind::HASH_ZIPMAP, |w| w.string(b"\x00\xFF"))), BAD);
    assert_eq!(packed(kind::HASH_LISTPACK, &["a", "1", "a", "2"]), BAD);
    assert_eq!(packed(kind::HASH_LISTPACK, &["a", "1", "b"]), BAD);
    assert_eq!(counted(kind::HASH, 2, &["a", "1", "a", "2"]), BAD);
}

#[test]
fn hashes_whose_fields_expire() {
    let expected =
        Decoded::Hash(vec![field("a", "1", Some(1000)), field("b", "2", Some(1005)), field("c", "3", None)]);
    let full = |kind: u8, earliest: Option<u64>, times: [u64; 3]| {
        payload(kind, |w| {
            if let Some(at) = earliest {
                w.millis(at);
            }
            w.len(3);
            for (at, (name, value)) in times.into_iter().zip([("a", "1"), ("b", "2"), ("c", "3")]) {
                w.len(at);
                w.string(name.as_bytes());
                w.string(value.as_bytes());
            }
        })
    };
    assert_eq!(decode_dump(&full(kind::HASH_METADATA, Some(1000), [1, 6, 0])), Ok(expected.clone()));
    assert_eq!(decode_dump(&full(kind::HASH_METADATA_PRE_GA, None, [1000, 1005, 0])), Ok(expected.clone()));
    assert_eq!(decode_dump(&full(kind::HASH_METADATA, Some(u64::MAX), [1, 2, 0])), BAD);
    assert_eq!(decode_dump(&full(kind::HASH_METADATA_PRE_GA, None, [1 << 48, 1, 0])), BAD);

    let items = ["a", "1", "1000", "b", "2", "1005", "c", "3", "0"];
    assert_eq!(packed(kind::HASH_LISTPACK_EX_PRE_GA, &items), Ok(expected.clone()));
    let with_earliest = payload(kind::HASH_LISTPACK_EX, |w| {
        w.millis(1000);
        w.string(&pack(&items));
    });
    assert_eq!(decode_dump(&with_earliest), Ok(expected.clone()));
    for bad in [&["a", "1", "0", "b", "2", "5"][..], &["a", "1"], &["a", "1", "x"], &["a", "1", "-1"], &[]] {
        assert_eq!(packed(kind::HASH_LISTPACK_EX_PRE_GA, bad), BAD, "{bad:?}");
    }
    for form in [DumpForm::Compact, DumpForm::Full] {
        let Decoded::Hash(fields) = &expected else { unreachable!() };
        let ours = dump_hash(fields.iter().map(|(name, value, at)| (name, value, *at)), form);
        assert_eq!(decode_dump(&ours), Ok(expected.clone()));
        assert_eq!(ours[ours.len() - 10], 12);
    }
}

#[test]
fn sorted_sets_of_every_kind() {
    let expected = Decoded::ZSet(vec![(b("a"), 1.5), (b("b"), f64::INFINITY)]);
    assert_eq!(packed(kind::ZSET_LISTPACK, &["a", "1.5", "b", "inf"]), Ok(expected.clone()));
    let old = payload(kind::ZSET, |w| {
        w.len(2);
        w.string(b"a");
        // A length below 64 and its bytes are the same in both notations.
        w.len(3);
        w.raw(b"1.5");
        w.string(b"b");
        w.raw(&[254]);
    });
    assert_eq!(decode_dump(&old), Ok(expected));
    let nan = |bytes: &[u8]| {
        decode_dump(&payload(kind::ZSET, |w| {
            w.len(1);
            w.string(b"a");
            w.raw(bytes);
        }))
    };
    assert_eq!(nan(&[255]), Ok(Decoded::ZSet(vec![(b("a"), f64::NEG_INFINITY)])));
    assert_eq!(nan(&[253]), BAD);
    assert_eq!(nan(b"\x03nan"), BAD);
    let binary = |score: f64| {
        decode_dump(&payload(kind::ZSET_2, |w| {
            w.len(1);
            w.string(b"a");
            w.score(score);
        }))
    };
    assert_eq!(binary(-0.5), Ok(Decoded::ZSet(vec![(b("a"), -0.5)])));
    assert_eq!(binary(f64::NAN), BAD);
    assert_eq!(packed(kind::ZSET_LISTPACK, &["a", "x"]), BAD);
    assert_eq!(packed(kind::ZSET_LISTPACK, &["a", "1", "a", "2"]), BAD);
}

#[test]
fn lists_of_every_kind() {
    let expected = Decoded::List([b("a"), b("7")].into_iter().collect());
    let ziplist = b"\x0f\0\0\0\x0d\0\0\0\x02\0\x00\x01a\x03\xF8\xFF";
    let ziplist = &[&[ziplist.len() as u8], &ziplist[1..]].concat();
    assert_eq!(counted(kind::LIST, 2, &["a", "7"]), Ok(expected.clone()));
    assert_eq!(decode_dump(&payload(kind::LIST_ZIPLIST, |w| w.string(ziplist))), Ok(expected.clone()));
    let nodes = payload(kind::LIST_QUICKLIST, |w| {
        w.len(1);
        w.string(ziplist);
    });
    assert_eq!(decode_dump(&nodes), Ok(expected.clone()));
    let mixed = |container: u64| {
        decode_dump(&payload(kind::LIST_QUICKLIST_2, |w| {
            w.len(3);
            w.len(container);
            w.string(b"a");
            w.len(kind::NODE_PACKED);
            w.string(&pack(&[]));
            w.len(kind::NODE_PACKED);
            w.string(&pack(&["7"]));
        }))
    };
    assert_eq!(mixed(kind::NODE_PLAIN), Ok(expected));
    assert_eq!(mixed(3), BAD);
    let empty = payload(kind::LIST_QUICKLIST_2, |w| {
        w.len(1);
        w.len(kind::NODE_PACKED);
        w.string(&pack(&[]));
    });
    assert_eq!(decode_dump(&empty), BAD);
}

/// The parts of a stream's payload, consistent or not.
#[derive(Clone)]
struct RawStream {
    nodes: Vec<(StreamId, Vec<u8>)>,
    length: u64,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: Vec<RawGroup>,
}

#[derive(Clone)]
struct RawGroup {
    name: &'static str,
    last_id: StreamId,
    entries_read: u64,
    pending: Vec<(StreamId, u64, u64)>,
    consumers: Vec<(&'static str, u64, u64, Vec<StreamId>)>,
}

/// A stream of two nodes with a deleted entry, and a group.
fn raw_stream() -> RawStream {
    let first = pack(&[
        "2", "1", "2", "f", "g", "0", // master
        "2", "0", "0", "1", "2", "5", // same fields
        "1", "0", "1", "1", "x", "y", "6", // deleted, other fields
        "0", "5", "-1", "1", "x", "y", "6", // other fields
    ]);
    let second = pack(&["1", "0", "1", "f", "0", "2", "0", "0", "v", "4"]);
    let id = |seq| StreamId::new(100, seq);
    RawStream {
        nodes: vec![(id(1), first), (StreamId::new(105, 7), second)],
        length: 3,
        last_id: StreamId::new(105, 9),
        max_deleted_id: id(2),
        entries_added: 5,
        groups: vec![RawGroup {
            name: "group",
            last_id: id(2),
            entries_read: u64::MAX,
            pending: vec![(id(1), 77, 2), (id(2), 78, 1)],
            consumers: vec![("ann", 5, u64::MAX, vec![id(2)]), ("bob", 6, 9, vec![id(1)])],
        }],
    }
}

/// The payload in one of the three layouts, each of which adds something to the one before.
fn stream_payload(stream: &RawStream, layout: u8) -> Vec<u8> {
    let kind =
        [kind::STREAM_LISTPACKS, kind::STREAM_LISTPACKS_2, kind::STREAM_LISTPACKS_3][usize::from(layout)];
    payload(kind, |w| {
        w.len(stream.nodes.len() as u64);
        for (master, pack) in &stream.nodes {
            w.string(&master.to_bytes());
            w.string(pack);
        }
        w.len(stream.length);
        w.stream_id(stream.last_id);
        if layout > 0 {
            w.stream_id(StreamId::new(100, 1));
            w.stream_id(stream.max_deleted_id);
            w.len(stream.entries_added);
        }
        w.len(stream.groups.len() as u64);
        for group in &stream.groups {
            w.string(group.name.as_bytes());
            w.stream_id(group.last_id);
            if layout > 0 {
                w.len(group.entries_read);
            }
            w.len(group.pending.len() as u64);
            for (id, at, count) in &group.pending {
                w.raw_stream_id(*id);
                w.millis(*at);
                w.len(*count);
            }
            w.len(group.consumers.len() as u64);
            for (name, seen, active, pending) in &group.consumers {
                w.string(name.as_bytes());
                w.millis(*seen);
                if layout > 1 {
                    w.millis(*active);
                }
                w.len(pending.len() as u64);
                for id in pending {
                    w.raw_stream_id(*id);
                }
            }
        }
    })
}

fn decoded_stream(payload: &[u8]) -> Stream {
    match decode_dump(payload) {
        Ok(Decoded::Stream(stream)) => *stream,
        other => panic!("{other:?}"),
    }
}

#[test]
fn streams_of_every_kind() {
    let raw = raw_stream();
    let mut stream = decoded_stream(&stream_payload(&raw, 2));
    assert_eq!((stream.len(), stream.first_id(), stream.entries_added()), (3, StreamId::new(100, 1), 5));
    let group = stream.groups().get(b"group").expect("there");
    assert_eq!(group.position.entries_read, None);
    let times: Vec<_> = group.consumers().map(|c| (c.name(), c.seen_at_ms, c.active_at_ms)).collect();
    assert_eq!(times, [(&b"ann"[..], 5, None), (&b"bob"[..], 6, Some(9))]);
    let pending: Vec<_> = group.consumers().flat_map(|c| c.pending(StreamId::MIN..=StreamId::MAX)).collect();
    assert_eq!(pending, [StreamId::new(100, 2), StreamId::new(100, 1)]);
    assert_eq!(
        group.pending_entry(StreamId::new(100, 1)).map(|p| (p.delivered_at_ms, p.deliveries)),
        Some((77, 2))
    );

    // Our own payload is in the second layout, where the last activity is missing.
    let ours = decoded_stream(&dump_stream(&stream));
    let group = stream.groups_mut().get_mut(b"group").expect("there");
    for name in [b"ann", b"bob"] {
        let key = group.find_consumer(name).expect("there");
        let consumer = group.consumer_mut(key).expect("there");
        consumer.active_at_ms = Some(consumer.seen_at_ms);
    }
    assert_eq!(ours, stream);
    let second = stream_payload(&raw, 1);
    assert_eq!(dump_stream(&stream)[..second.len() - 10], second[..second.len() - 10]);

    // The first layout lacks the counters; they are computed from the entries.
    let old = decoded_stream(&stream_payload(&raw, 0));
    assert_eq!(
        (old.first_id(), old.entries_added(), old.max_deleted_id()),
        (StreamId::new(100, 1), 3, StreamId::MIN)
    );
    assert_eq!(old.groups().get(b"group").expect("there").position.entries_read, None);
}

#[test]
fn inconsistent_streams_are_refused() {
    let spoilt: [fn(&mut RawStream); 9] = [
        |s| s.length = 4,
        |s| s.last_id = StreamId::new(105, 6),
        |s| s.entries_added = u64::MAX,
        |s| s.nodes.swap(0, 1),
        |s| s.groups.push(s.groups[0].clone()),
        |s| s.groups[0].consumers[0].0 = "bob",
        |s| s.groups[0].consumers[0].3.push(StreamId::new(100, 1)),
        |s| s.groups[0].consumers[0].3.clear(),
        |s| s.groups[0].pending[0].0 = StreamId::new(100, 2),
    ];
    for (at, spoil) in spoilt.iter().enumerate() {
        let mut stream = raw_stream();
        spoil(&mut stream);
        assert_eq!(decode_dump(&stream_payload(&stream, 1)), BAD, "{at}");
    }
    let node = |items: &[&str]| StreamNode::from_listpack(StreamId::new(100, 1), &pack(items));
    assert!(node(&["1", "0", "1", "f", "0", "2", "0", "0", "v", "4"]).is_some());
    for bad in [
        &["1", "0", "1", "f", "0"][..],
        &["0", "0", "1", "f", "0"],
        &["2", "0", "1", "f", "0", "2", "0", "0", "v", "4"],
        &["1", "0", "1", "f", "0", "2", "0", "0", "v", "5"],
        &["1", "0", "1", "f", "0", "4", "0", "0", "v", "4"],
        &["1", "0", "1", "f", "1", "2", "0", "0", "v", "4"],
        &["1", "0", "9", "f", "0", "2", "0", "0", "v", "4"],
        &["1", "0", "1", "f", "0", "2", "-1", "0", "v", "4"],
        &["2", "0", "1", "f", "0", "2", "0", "0", "v", "4", "2", "0", "0", "v", "4"],
        &["1", "0", "1", "f", "0", "0", "0", "0", "9999999999999", "v", "4"],
        &["1", "0", "-1", "0", "2", "0", "0", "4"],
    ] {
        assert_eq!(node(bad), None, "{bad:?}");
    }
}

#[test]
fn what_is_no_value_is_refused() {
    for kind in 0..=u8::MAX {
        assert_eq!(decode_dump(&payload(kind, |_| {})), BAD, "{kind}");
    }
    assert_eq!(decode_dump(b""), Err(ValueError::DumpFooter));
    // As in Redis, bytes behind a whole value are ignored.
    let longer = payload(kind::STRING, |w| {
        w.string(b"a");
        w.raw(b"rest");
    });
    assert_eq!(decode_dump(&longer), Ok(Decoded::String(b("a"))));
}

#[test]
fn strings_take_their_shortest_form() {
    let body = |bytes: &[u8]| {
        let payload = dump_string(bytes);
        payload[1..payload.len() - 10].to_vec()
    };
    assert_eq!(body(b"12"), [0xC0, 12]);
    assert_eq!(body(b"-300"), [0xC1, 0xD4, 0xFE]);
    assert_eq!(body(b"70000"), [0xC2, 0x70, 0x11, 1, 0]);
    assert_eq!(body(b"2147483648"), b"\x0a2147483648");
    assert_eq!(body(b"012"), b"\x03012");
    assert_eq!(body(&[b'a'; 20])[0], 20);
    assert_eq!(body(&[b'a'; 21])[0], 0xC3);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..30),
        vec(0u8..3, 0..300),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        (-40i64..40).prop_map(|n| n.to_string().into_bytes()),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("never not-a-number", |score| !score.is_nan()),
        any::<i64>().prop_map(|n| n as f64),
        Just(f64::INFINITY),
        Just(-0.0),
    ]
}

fn value() -> impl Strategy<Value = Decoded> {
    let expiry = proptest::option::of(1u64..1 << 48);
    prop_oneof![
        bytes().prop_map(Decoded::String),
        vec(bytes(), 1..60).prop_map(|items| Decoded::List(items.into_iter().collect())),
        btree_set(bytes(), 1..60).prop_map(|set| Decoded::Set(set.into_iter().collect())),
        btree_set(any::<i32>(), 1..60)
            .prop_map(|set| Decoded::Set(set.into_iter().map(|n| n.to_string().into_bytes()).collect())),
        btree_map(bytes(), (bytes(), expiry), 1..60).prop_map(|map| Decoded::Hash(
            map.into_iter().map(|(name, (value, at))| (name, value, at)).collect()
        )),
        btree_map(bytes(), bytes(), 1..60).prop_map(|map| Decoded::Hash(
            map.into_iter().map(|(name, value)| (name, value, None)).collect()
        )),
        btree_map(bytes(), score(), 1..60).prop_map(|map| Decoded::ZSet(map.into_iter().collect())),
    ]
}

/// The same value with its unordered parts in order, and scores by their bits.
fn normal(value: Decoded) -> Decoded {
    match value {
        Decoded::Set(members) => {
            Decoded::Set(members.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect())
        }
        Decoded::Hash(mut fields) => {
            fields.sort();
            Decoded::Hash(fields)
        }
        Decoded::ZSet(members) => {
            Decoded::ZSet(members.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect())
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn every_value_comes_back(value in value(), small in any::<bool>()) {
        let thresholds = if small {
            ListpackLimits { hash_max_listpack_entries: 3, zset_max_listpack_entries: 3, set_max_intset_entries: 3,
                list_max_listpack_size: 3, ..ListpackLimits::default() }
        } else {
            ListpackLimits::default()
        };
        let back = decode_dump(&encode_dump(&value, &thresholds)).expect("well formed");
        prop_assert_eq!(normal(back), normal(value));
    }

    /// Damage under a valid checksum gives an error or some value, never a panic. Such a value can be written again.
    #[test]
    fn hostile_payloads(
        value in value(), hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        let whole = encode_dump(&value, &ListpackLimits::default());
        let mut body = whole[..whole.len() - 10].to_vec();
        for (at, byte) in hits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if cut.index(4) == 0 {
            body.truncate(cut.index(body.len()));
        }
        if let Ok(value) = decode_dump(&footer::seal(body, 10)) {
            let again = decode_dump(&encode_dump(&value, &ListpackLimits::default())).expect("well formed");
            prop_assert_eq!(normal(again), normal(value));
        }
    }

    #[test]
    fn noise_of_every_type(kind in 0u8..30, noise in vec(any::<u8>(), 0..80)) {
        let _ = decode_dump(&payload(kind, |w| w.raw(&noise)));
    }

    #[test]
    fn hostile_streams(layout in 0u8..3, hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let whole = stream_payload(&raw_stream(), layout);
        let mut body = whole[..whole.len() - 10].to_vec();
        for (at, byte) in hits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(Decoded::Stream(stream)) = decode_dump(&footer::seal(body, 10)) {
            let ids: Vec<StreamId> = stream.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
            prop_assert_eq!(ids.len() as u64, stream.len());
            prop_assert!(ids.is_sorted_by(|a, b| a < b));
            let mut backwards: Vec<StreamId> =
                stream.range_rev(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
            backwards.reverse();
            prop_assert_eq!(backwards, ids);
            prop_assert!(decode_dump(&dump_stream(&stream)).is_ok());
        }
    }
}
