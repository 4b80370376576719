//! Tests of what happens to large values outside and inside of the locks.

use crate::command::testing::{Harness, show};
use crate::command::{Cx, Prepared, Reading, Registry};
use crate::engine::{Over, Tx};
use crate::env::memory::thread_bytes;
use crate::resp::{Proto, Reply, Value};
use crate::store::Holder;
use std::sync::Arc;

/// The payload of DUMP for a hash with `fields` fields, stored at `name`.
fn dump_of_hash(h: &mut Harness, name: &str, fields: usize) -> Vec<u8> {
    make_hash(h, name, fields);
    match h.call_as(0, &[b"DUMP", name.as_bytes()]) {
        Value::Bulk(payload) => payload,
        other => panic!("{}", show(&other)),
    }
}

fn make_hash(h: &mut Harness, name: &str, fields: usize) {
    for n in 0..fields {
        h.run(&format!("HSET {name} field{n} {name}"));
    }
}

/// The handler gets a request that was read ahead from one payload, together with the arguments of another.
#[test]
fn a_long_payload_is_read_before_the_shard_is_locked() {
    let mut h = Harness::new();
    let short = dump_of_hash(&mut h, "short", 3);
    let [ahead, sent] = ["ahead", "sent"].map(|name| dump_of_hash(&mut h, name, 2000));
    let server = Arc::clone(&h.server);
    let settings = server.config.snapshot();
    let command = Registry::get().lookup(&[b"RESTORE"]).unwrap();
    let how = command.spec.prepare.unwrap();
    let prepared = |payload: &[u8]| {
        let with = Reading { tables: &server.engine.tables, settings: &settings, now: 0 };
        Prepared::read(&how, &with, &[b"RESTORE", b"copy", b"0", payload])
    };
    assert!(prepared(&short).is_none(), "to keep what is read costs as much");
    let mut prepared = prepared(&ahead);
    let mut client = h.new_client();
    let mut out = Reply::new(Proto::V2);
    let run = |tx: &mut Tx<'_>| {
        let (client, server, prepared) = (&mut client, &*server, &mut prepared);
        let mut cx = Cx { tx, out: &mut out, client, server, settings: &settings, prepared };
        (command.spec.run)(&mut cx, &[b"RESTORE", b"copy", b"0", &sent]).unwrap();
    };
    let mut record = Vec::new();
    server.engine.transact_over(Holder::Populating, Over::Everything, 0, &mut record, run).unwrap();
    assert_eq!(h.run("HGET copy field7"), "\"ahead\"");
    assert_eq!(h.run("HLEN copy"), ":2000");
}

/// If checksums are not verified, a payload with a wrong checksum that was refused ahead is read once more.
#[test]
fn a_long_payload_without_a_checksum_is_taken_where_none_is_asked_for() {
    let mut h = Harness::new();
    let mut payload = dump_of_hash(&mut h, "hash", 2000);
    if let Some(last) = payload.last_mut() {
        *last ^= 1;
    }
    let restore: [&[u8]; 4] = [b"RESTORE", b"copy", b"0", &payload];
    assert!(show(&h.call_as(0, &restore)).starts_with("-ERR DUMP payload version or checksum are wrong"));
    h.server.engine.skip_checksums.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(show(&h.call_as(0, &restore)), "+OK");
    assert_eq!(h.run("HLEN copy"), ":2000");
}

#[test]
fn a_large_value_that_has_expired_already_is_not_made() {
    let mut h = Harness::new();
    let payload = dump_of_hash(&mut h, "hash", 2000);
    let restore: [&[u8]; 6] = [b"RESTORE", b"hash", b"1", &payload, b"ABSTTL", b"REPLACE"];
    assert_eq!(show(&h.call_as(0, &restore)), "+OK");
    assert_eq!(h.run("EXISTS hash"), ":0");
}

#[test]
fn large_values_of_all_types_come_back() {
    let mut h = Harness::new();
    let filling = "x".repeat(40);
    for n in 1..=2000 {
        for line in [
            format!("HSET hash {n} {filling}{n}"),
            format!("SADD set {filling}{n}"),
            format!("RPUSH list {filling}{n}"),
            format!("ZADD zset {n} {filling}{n}"),
            format!("XADD stream {n}-0 f {filling}{n}"),
        ] {
            h.run(&line);
        }
    }
    for (key, len, one) in [
        ("hash", "HLEN", "HGET copy 77".to_owned()),
        ("set", "SCARD", format!("SISMEMBER copy {filling}77")),
        ("list", "LLEN", "LINDEX copy 76".to_owned()),
        ("zset", "ZCARD", "ZRANGE copy 76 76 WITHSCORES".to_owned()),
        ("stream", "XLEN", "XRANGE copy 77 77".to_owned()),
    ] {
        let Value::Bulk(payload) = h.call_as(0, &[b"DUMP", key.as_bytes()]) else { panic!("{key}") };
        assert_eq!(show(&h.call_as(0, &[b"RESTORE", b"copy", b"0", &payload, b"REPLACE"])), "+OK");
        assert_eq!(h.run(&format!("{len} copy")), ":2000");
        assert_eq!(h.run("OBJECT ENCODING copy"), h.run(&format!("OBJECT ENCODING {key}")));
        assert_eq!(h.run(&one), h.run(&one.replace("copy", key)));
    }
}

#[test]
fn a_copy_of_a_large_hash_takes_hardly_any_memory_until_one_of_them_changes() {
    let mut h = Harness::new();
    make_hash(&mut h, "hash", 5000);
    let before = thread_bytes();
    assert_eq!(h.run("COPY hash copy"), ":1");
    let taken = thread_bytes() - before;
    assert!((0..50_000).contains(&taken), "{taken}");
    h.run("HSET copy field7 new");
    h.run("HDEL hash field8");
    assert_eq!(h.run("HMGET hash field7 field8"), "[\"hash\" nil]");
    assert_eq!(h.run("HMGET copy field7 field8"), "[\"new\" \"hash\"]");
}

#[test]
fn a_copy_of_a_large_set_takes_hardly_any_memory_until_one_of_them_changes() {
    let mut h = Harness::new();
    for n in 0..5000 {
        h.run(&format!("SADD set member{n}"));
    }
    let before = thread_bytes();
    assert_eq!(h.run("COPY set copy"), ":1");
    let taken = thread_bytes() - before;
    assert!((0..50_000).contains(&taken), "{taken}");
    h.run("SADD copy new");
    h.run("SREM set member8");
    assert_eq!(h.run("SMISMEMBER set new member8"), "[:0 :0]");
    assert_eq!(h.run("SMISMEMBER copy new member8"), "[:1 :1]");
}
