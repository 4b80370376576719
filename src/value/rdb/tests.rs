//! Every type there and back, the types only older or newer Redis versions write, and hostile payloads.

use super::writer::Writer;
use super::*;
use crate::value::ValueError;
use crate::value::listpack::Builder;
use crate::value::stream::{StreamId, StreamNode};
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
    for form in [Form::Compact, Form::Full] {
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
    let expected = Decoded::List(vec![b("a"), b("7")]);
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

/// A stream of two nodes with a deleted entry, and a group.
fn stream() -> StreamDump {
    let first = pack(&[
        "2", "1", "2", "f", "g", "0", // master
        "2", "0", "0", "1", "2", "5", // same fields
        "1", "0", "1", "1", "x", "y", "6", // deleted, other fields
        "0", "5", "-1", "1", "x", "y", "6", // other fields
    ]);
    let second = pack(&["1", "0", "1", "f", "0", "2", "0", "0", "v", "4"]);
    let id = |seq| StreamId::new(100, seq);
    StreamDump {
        nodes: vec![
            StreamNode::from_bytes(id(1), first).expect("well formed"),
            StreamNode::from_bytes(StreamId::new(105, 7), second).expect("well formed"),
        ],
        length: 3,
        last_id: StreamId::new(105, 9),
        first_id: id(1),
        max_deleted_id: id(2),
        entries_added: 5,
        groups: vec![GroupDump {
            name: b("group"),
            last_id: id(2),
            entries_read: None,
            pending: vec![
                PendingDump { id: id(1), delivered_at_ms: 77, deliveries: 2 },
                PendingDump { id: id(2), delivered_at_ms: 78, deliveries: 1 },
            ],
            consumers: vec![
                ConsumerDump { name: b("ann"), seen_at_ms: 5, active_at_ms: Some(5), pending: vec![id(2)] },
                ConsumerDump { name: b("bob"), seen_at_ms: 6, active_at_ms: Some(6), pending: vec![id(1)] },
            ],
        }],
    }
}

fn with_layout(stream: &StreamDump, layout: streams::Layout) -> Result<Decoded, ValueError> {
    let kind = match layout {
        streams::Layout::First => kind::STREAM_LISTPACKS,
        streams::Layout::Counters => kind::STREAM_LISTPACKS_2,
        streams::Layout::Activity => kind::STREAM_LISTPACKS_3,
    };
    decode_dump(&payload(kind, |w| streams::encode(w, stream, layout)))
}

#[test]
fn streams_of_every_kind() {
    use streams::Layout::{Activity, Counters, First};
    let mut expected = stream();
    assert_eq!(with_layout(&expected, Counters), Ok(Decoded::Stream(expected.clone())));
    assert_eq!(decode_dump(&dump_stream(&expected)), Ok(Decoded::Stream(expected.clone())));
    expected.groups[0].consumers[0].active_at_ms = None;
    expected.groups[0].consumers[1].active_at_ms = Some(9);
    assert_eq!(with_layout(&expected, Activity), Ok(Decoded::Stream(expected.clone())));
    // The first layout lacks the counters; they are worked out again.
    let Ok(Decoded::Stream(old)) = with_layout(&expected, First) else { unreachable!() };
    assert_eq!(
        (old.first_id, old.entries_added, old.max_deleted_id),
        (StreamId::new(100, 1), 3, StreamId::MIN)
    );
    assert_eq!(old.groups[0].entries_read, None);
    assert_eq!(old.entries_before(StreamId::new(100, 1)), Some(1));
    assert_eq!(old.entries_before(StreamId::new(99, 1)), Some(0));
    assert_eq!(old.entries_before(StreamId::new(105, 9)), Some(3));
    assert_eq!(old.entries_before(StreamId::new(105, 10)), None);
}

#[test]
fn the_entries_of_a_stream() {
    let stream = stream();
    let entries: Vec<(String, bool, String)> = stream
        .nodes
        .iter()
        .flat_map(StreamNode::entries)
        .map(|entry| {
            let pairs = entry.fields.map(|(name, value)| {
                String::from_utf8([name.into_vec(), b("="), value.into_vec(), b(";")].concat()).expect("text")
            });
            (entry.id.to_string(), entry.deleted, pairs.collect())
        })
        .collect();
    let expected = [
        ("100-1", false, "f=1;g=2;"),
        ("100-2", true, "x=y;"),
        ("105-0", false, "x=y;"),
        ("105-7", false, "f=v;"),
    ];
    assert_eq!(entries, expected.map(|(id, deleted, pairs)| (id.into(), deleted, pairs.into())));
    assert_eq!(stream.nodes[0].live(), 2);
}

#[test]
fn inconsistent_streams_are_refused() {
    let spoilt: [fn(&mut StreamDump); 8] = [
        |s| s.length = 4,
        |s| s.last_id = StreamId::new(105, 6),
        |s| s.nodes.swap(0, 1),
        |s| s.groups.push(s.groups[0].clone()),
        |s| s.groups[0].consumers[0].name = b("bob"),
        |s| s.groups[0].consumers[0].pending.push(StreamId::new(100, 1)),
        |s| s.groups[0].consumers[0].pending.clear(),
        |s| s.groups[0].pending[0].id = StreamId::new(100, 2),
    ];
    for (at, spoil) in spoilt.iter().enumerate() {
        let mut stream = stream();
        spoil(&mut stream);
        assert_eq!(decode_dump(&dump_stream(&stream)), BAD, "{at}");
    }
    let node = |items: &[&str]| StreamNode::from_bytes(StreamId::new(100, 1), pack(items));
    assert!(node(&["1", "0", "1", "f", "0", "2", "0", "0", "v", "4"]).is_some());
    for bad in [
        &["1", "0", "1", "f", "0"][..],
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
    // As in Redis, what follows a whole value is not looked at.
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
        vec(bytes(), 1..60).prop_map(Decoded::List),
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
            Thresholds { hash_max_listpack_entries: 3, zset_max_listpack_entries: 3, set_max_intset_entries: 3,
                list_max_listpack_size: 3, ..Thresholds::default() }
        } else {
            Thresholds::default()
        };
        let back = decode_dump(&encode_dump(&value, &thresholds)).expect("well formed");
        prop_assert_eq!(normal(back), normal(value));
    }

    /// Damage under a valid checksum: an error or some value, never a panic; and what is a value can be written again.
    #[test]
    fn hostile_payloads(
        value in value(), hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        let whole = encode_dump(&value, &Thresholds::default());
        let mut body = whole[..whole.len() - 10].to_vec();
        for (at, byte) in hits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if cut.index(4) == 0 {
            body.truncate(cut.index(body.len()));
        }
        if let Ok(value) = decode_dump(&footer::seal(body, 10)) {
            let again = decode_dump(&encode_dump(&value, &Thresholds::default())).expect("well formed");
            prop_assert_eq!(normal(again), normal(value));
        }
    }

    #[test]
    fn noise_of_every_type(kind in 0u8..30, noise in vec(any::<u8>(), 0..80)) {
        let _ = decode_dump(&payload(kind, |w| w.raw(&noise)));
    }

    #[test]
    fn hostile_streams(hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let whole = dump_stream(&stream());
        let mut body = whole[..whole.len() - 10].to_vec();
        for (at, byte) in hits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(Decoded::Stream(stream)) = decode_dump(&footer::seal(body, 10)) {
            let live = stream.nodes.iter().flat_map(StreamNode::entries).filter(|entry| !entry.deleted).count();
            prop_assert_eq!(live as u64, stream.length);
            prop_assert_eq!(decode_dump(&dump_stream(&stream)), Ok(Decoded::Stream(stream)));
        }
    }
}
