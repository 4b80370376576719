//! Tests our serialisation of values against a real redis-server: it restores what we write, and we read what it dumps.

use crate::harness::{Client, Server, Value};
use itemory::value::listpack::ListpackEntry;
use itemory::value::rdb::{self, Decoded, DumpForm, ListpackLimits};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A referee that checks every byte of what it restores.
fn referee() -> Server {
    Server::referee(&["--sanitize-dump-payload", "yes"])
}

/// Runs random cases against one connection.
fn run<S: Strategy>(
    cases: u32,
    strategy: &S,
    case: impl Fn(&mut Client, S::Value) -> Result<(), TestCaseError>,
) {
    let server = referee();
    let client = RefCell::new(server.client());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(strategy, |value| case(&mut client.borrow_mut(), value)).unwrap();
}

fn call(client: &mut Client, name: &str, args: &[&[u8]]) -> Value {
    let args: Vec<&[u8]> = std::iter::once(name.as_bytes()).chain(args.iter().copied()).collect();
    client.call(&args)
}

fn dump(client: &mut Client, key: &str) -> Vec<u8> {
    match client.call(&["DUMP", key]) {
        Value::Bulk(payload) => payload,
        other => panic!("DUMP {key}: {other}"),
    }
}

fn restore(client: &mut Client, key: &str, payload: &[u8]) {
    let reply = client.call(&[b"RESTORE", key.as_bytes(), b"0", payload, b"REPLACE"]);
    assert!(reply.is_ok(), "RESTORE {key}: {reply}");
}

fn bulks(reply: &Value) -> Vec<Vec<u8>> {
    reply.items().iter().map(|item| item.bytes().unwrap()).collect()
}

fn pairs(reply: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    bulks(reply).chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// Creates the value with ordinary commands.
fn create(client: &mut Client, key: &str, value: &Decoded) {
    client.call(&["DEL", key]);
    let key = key.as_bytes();
    let reply = match value {
        Decoded::String(bytes) => call(client, "SET", &[key, bytes]),
        Decoded::List(items) => {
            let items: Vec<Vec<u8>> = items.iter().map(ListpackEntry::into_vec).collect();
            let args: Vec<&[u8]> = std::iter::once(key).chain(items.iter().map(Vec::as_slice)).collect();
            call(client, "RPUSH", &args)
        }
        Decoded::Set(members) => {
            let args: Vec<&[u8]> = std::iter::once(key).chain(members.iter().map(Vec::as_slice)).collect();
            call(client, "SADD", &args)
        }
        Decoded::Hash(fields) => {
            let pairs = fields.iter().flat_map(|(field, value, _)| [field.as_slice(), value]);
            call(client, "HSET", &std::iter::once(key).chain(pairs).collect::<Vec<_>>())
        }
        Decoded::ZSet(members) => {
            let texts: Vec<String> = members.iter().map(|(_, score)| format!("{score:e}")).collect();
            let pairs = members.iter().zip(&texts).flat_map(|((member, _), text)| [text.as_bytes(), member]);
            call(client, "ZADD", &std::iter::once(key).chain(pairs).collect::<Vec<_>>())
        }
        Decoded::Stream(_) => panic!("made by XADD"),
    };
    assert!(!reply.is_error(), "{reply}");
}

/// Reads the value with ordinary commands. Its unordered parts are sorted.
fn read(client: &mut Client, key: &str, like: &Decoded) -> Decoded {
    match like {
        Decoded::String(_) => Decoded::String(client.call(&["GET", key]).bytes().unwrap()),
        Decoded::List(_) => list(bulks(&client.call(&["LRANGE", key, "0", "-1"]))),
        Decoded::Set(_) => normal(Decoded::Set(bulks(&client.call(&["SMEMBERS", key])))),
        Decoded::Hash(_) => {
            let fields = pairs(&client.call(&["HGETALL", key]));
            normal(Decoded::Hash(fields.into_iter().map(|(field, value)| (field, value, None)).collect()))
        }
        Decoded::ZSet(_) => {
            let members = pairs(&client.call(&["ZRANGE", key, "0", "-1", "WITHSCORES"]));
            let score = |text: Vec<u8>| String::from_utf8(text).unwrap().parse().unwrap();
            normal(Decoded::ZSet(members.into_iter().map(|(member, text)| (member, score(text))).collect()))
        }
        Decoded::Stream(_) => panic!("read by XINFO"),
    }
}

fn normal(mut value: Decoded) -> Decoded {
    match &mut value {
        Decoded::Set(members) => members.sort(),
        Decoded::Hash(fields) => fields.sort(),
        Decoded::ZSet(members) => members.sort_by(|a, b| a.0.cmp(&b.0)),
        _ => {}
    }
    value
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        "[a-z ]{0,80}".prop_map(String::into_bytes),
        any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        (0u32..64, any::<i64>()).prop_map(|(bits, n)| (n >> bits.min(63)).to_string().into_bytes()),
    ]
}

/// Bytes that can be compressed more or less.
fn long() -> impl Strategy<Value = Vec<u8>> {
    let part =
        prop_oneof![vec(any::<u8>(), 1..60), vec(0u8..4, 1..300), "[a-f]{1,40}".prop_map(String::into_bytes)];
    vec((part, 1usize..40), 0..30)
        .prop_map(|parts| parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect())
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("never not-a-number", |score| !score.is_nan()),
        (-100_000i64..100_000).prop_map(|n| n as f64 / 100.0),
        any::<i64>().prop_map(|n| n as f64),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
    ]
}

fn hash(count: std::ops::Range<usize>) -> impl Strategy<Value = Decoded> {
    btree_map(bytes(), bytes(), count)
        .prop_map(|map| Decoded::Hash(map.into_iter().map(|(field, value)| (field, value, None)).collect()))
}

fn zset(count: std::ops::Range<usize>) -> impl Strategy<Value = Decoded> {
    btree_map(bytes(), score(), count).prop_map(|map| Decoded::ZSet(map.into_iter().collect()))
}

fn integers() -> impl Strategy<Value = Decoded> {
    let member = (0u32..64, any::<i64>()).prop_map(|(bits, n)| n >> bits.min(63));
    btree_set(member, 1..600)
        .prop_map(|set| Decoded::Set(set.into_iter().map(|n| n.to_string().into_bytes()).collect()))
}

fn lists() -> impl Strategy<Value = Decoded> {
    prop_oneof![
        vec(bytes(), 1..80).prop_map(list),
        vec(bytes(), 300..900).prop_map(list),
        vec(long(), 1..20).prop_map(list),
    ]
}

fn list(items: Vec<Vec<u8>>) -> Decoded {
    Decoded::List(items.into_iter().collect())
}

/// Values whose payload is Redis's byte for byte.
#[test]
fn strings_lists_and_compact_hashes_are_dumped_as_redis_does() {
    let value = prop_oneof![
        bytes().prop_map(Decoded::String),
        long().prop_map(Decoded::String),
        lists(),
        hash(1..40),
        integers(),
    ];
    run(400, &value, |client, value| {
        create(client, "k", &value);
        let theirs = dump(client, "k");
        let decoded = rdb::decode_dump(&theirs).unwrap();
        prop_assert_eq!(normal(decoded.clone()), normal(value));
        let encoding = client.call(&["OBJECT", "ENCODING", "k"]).text();
        if encoding != "hashtable" {
            prop_assert_eq!(rdb::encode_dump(&decoded, &ListpackLimits::default()), theirs, "{}", encoding);
        }
        Ok(())
    });
}

/// All values except for streams are written and read in both directions, in both forms.
#[test]
fn redis_restores_what_we_dump_and_we_read_what_it_dumps() {
    let value = prop_oneof![
        bytes().prop_map(Decoded::String),
        lists(),
        hash(1..40),
        hash(500..600),
        zset(1..40),
        zset(120..150),
        integers(),
        btree_set(bytes(), 1..60).prop_map(|set| Decoded::Set(set.into_iter().collect())),
    ];
    run(300, &value, |client, value| {
        let value = normal(value);
        create(client, "theirs", &value);
        prop_assert_eq!(&normal(rdb::decode_dump(&dump(client, "theirs")).unwrap()), &value);
        restore(client, "ours", &rdb::encode_dump(&value, &ListpackLimits::default()));
        prop_assert_eq!(&read(client, "ours", &value), &value);
        let encoding = |client: &mut Client, key| client.call(&["OBJECT", "ENCODING", key]).text();
        prop_assert_eq!(encoding(client, "ours"), encoding(client, "theirs"));
        prop_assert_eq!(&normal(rdb::decode_dump(&dump(client, "ours")).unwrap()), &value);
        Ok(())
    });
}

/// A small value that was large before keeps its full form.
#[test]
fn the_full_form_of_a_small_value_is_restored() {
    let server = referee();
    let mut client = server.client();
    restore(&mut client, "set", &rdb::dump_set(["1", "2"], DumpForm::Full));
    restore(&mut client, "hash", &rdb::dump_hash([("f", "v", None)], DumpForm::Full));
    restore(&mut client, "zset", &rdb::dump_zset([("a", 1.0), ("b", 2.5)], DumpForm::Full));
    restore(&mut client, "mixed", &rdb::dump_set(["1", "a"], DumpForm::Compact));
    assert_eq!(client.run("SCARD set").int(), Some(2));
    assert_eq!(client.run("HGET hash f").text(), "v");
    assert_eq!(client.run("ZSCORE zset b").text(), "2.5");
    assert_eq!(client.run("SISMEMBER mixed a").int(), Some(1));
}

/// Random streams of Redis that are read, written and restored answer all queries as before.
#[test]
fn streams_come_back_whole() {
    let fields = prop_oneof![Just(vec!["f"]), Just(vec!["f", "g"]), Just(vec!["other"])];
    let add = (fields, 1u64..50, 0u64..3).prop_map(|(fields, ms, seq)| (fields, ms, seq));
    let case = (vec(add, 1..250), vec(any::<prop::sample::Index>(), 0..40), 0usize..4, 1usize..50);
    run(60, &case, |client, (adds, deletes, groups, count)| {
        client.call(&["DEL", "k"]);
        client.call(&["XGROUP", "CREATE", "k", "g0", "0", "MKSTREAM"]);
        let (mut ms, mut ids) = (0, Vec::new());
        for (fields, step, seq) in adds {
            ms += step;
            let id = format!("{ms}-{seq}");
            let mut args = vec!["XADD", "k", &id];
            args.extend(fields.iter().flat_map(|field| [*field, "some value"]));
            assert!(!client.call(&args).is_error());
            ids.push(id);
        }
        for group in 1..groups {
            let group = format!("g{group}");
            client.call(&["XGROUP", "CREATE", "k", &group, "0"]);
        }
        for (group, consumer) in
            [("g0", "ann"), ("g1", "bob"), ("g0", "bob"), ("g2", "eve"), ("g1", "ann"), ("g0", "ann")]
        {
            let count = count.to_string();
            client.call(&["XREADGROUP", "GROUP", group, consumer, "COUNT", &count, "STREAMS", "k", ">"]);
        }
        for (at, delete) in deletes.iter().enumerate() {
            let id = &ids[delete.index(ids.len())];
            client.call(&if at % 3 == 0 { vec!["XACK", "k", "g0", id] } else { vec!["XDEL", "k", id] });
        }
        let theirs = dump(client, "k");
        let decoded = rdb::decode_dump(&theirs).unwrap();
        let ours = rdb::encode_dump(&decoded, &ListpackLimits::default());
        prop_assert_eq!(&ours, &theirs);
        restore(client, "again", &ours);
        for question in ["XINFO STREAM {} FULL COUNT 0", "XRANGE {} - +", "XINFO GROUPS {}", "XPENDING {} g0"]
        {
            let mut ask = |key: &str| client.run(&question.replace("{}", key));
            prop_assert_eq!(ask("again"), ask("k"), "{}", question);
        }
        let Decoded::Stream(stream) = decoded else { panic!("a stream") };
        prop_assert_eq!(stream.len(), client.run("XLEN k").int().unwrap() as u64);
        Ok(())
    });
}

#[test]
fn payloads_that_are_wrong_get_the_same_words() {
    let server = referee();
    let mut client = server.client();
    let good = rdb::dump_string(b"some text that is long enough");
    let mut damaged = good.clone();
    damaged[3] ^= 1;
    let mut replies = |payload: &[u8]| {
        let theirs = client.call(&[b"RESTORE", b"k".as_slice(), b"0", payload]).text();
        (theirs, rdb::decode_dump(payload).unwrap_err().to_string())
    };
    for payload in [&damaged[..], b"", &good[..9], &good[2..]] {
        let (theirs, ours) = replies(payload);
        assert_eq!(theirs, ours);
        assert!(theirs.starts_with("ERR DUMP payload"), "{theirs}");
    }
    let duplicates = rdb::dump_set(["a", "a"], DumpForm::Full);
    let empty = rdb::dump_set::<&str, _>([], DumpForm::Full);
    let hash = rdb::dump_hash([("a", "1", None), ("a", "2", None)], DumpForm::Compact);
    for payload in [duplicates, empty, hash, rdb::dump_zset([("a", f64::NAN)], DumpForm::Full)] {
        let (theirs, ours) = replies(&payload);
        assert_eq!(theirs, ours);
        assert_eq!(theirs, "ERR Bad data format");
    }
}

/// What a payload of functions begins with.
const FUNCTIONS: u8 = 245;

/// Fuzzing begins with sound payloads of every type that is read, so it reaches what is behind each of them.
#[test]
fn there_is_a_sound_seed_for_the_payloads_of_every_type() {
    let (mut kinds, mut unsound) = (BTreeSet::new(), Vec::new());
    for file in std::fs::read_dir("fuzz/seeds/dump").unwrap() {
        let path = file.unwrap().path();
        let mut payload = std::fs::read(&path).unwrap();
        let kind = payload[0];
        payload.extend([11, 0].iter().chain(&[0; 8]));
        if kind != FUNCTIONS && rdb::decode_unsigned_dump(&payload).is_err() {
            unsound.push(path);
        }
        kinds.insert(kind);
    }
    assert!(unsound.is_empty(), "{unsound:?}");
    let every = (0..=5).chain(9..=25).chain([FUNCTIONS]);
    assert_eq!(kinds, every.collect());
}
