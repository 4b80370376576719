//! Tests that requests are read before their shards are locked.

use super::{call, json, put, table};
use crate::command::HEAVY_BYTES;
use crate::command::prepared::LONG_READS;
use crate::command::testing::{Harness, show};
use crate::store::Mode;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

/// A PutItem whose body takes long to read.
fn long_item() -> String {
    json!({"TableName": "ttt", "Item": {"id": {"S": "a"}, "text": {"S": "x".repeat(HEAVY_BYTES)}}})
        .to_string()
}

/// Runs a command on another thread while this one keeps `LONG_READS`, and checks that the command holds no shard
/// before it has that lock.
fn reads_without_shards(run: impl FnOnce(&mut Harness) -> String + Send) -> String {
    let mut h = Harness::new();
    table(&mut h, "ttt", None);
    let mut other = h.beside();
    let engine = std::sync::Arc::clone(&h.server.engine);
    let turn_given = AtomicBool::new(false);
    let turn = LONG_READS.lock();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let reply = run(&mut other);
            (reply, turn_given.load(SeqCst))
        });
        std::thread::sleep(Duration::from_millis(50));
        // If the command read under its locks, this would wait for ever.
        drop(engine.store.lock_all(Mode::Write, engine.clock.now_ms()));
        assert!(!running.is_finished(), "a long request was read without its turn");
        turn_given.store(true, SeqCst);
        drop(turn);
        let (reply, in_turn) = running.join().unwrap();
        assert!(in_turn);
        reply
    })
}

#[test]
fn a_long_request_is_read_without_its_shards() {
    let reply = reads_without_shards(|h| show(&h.call_as(0, &[b"DDB", b"PutItem", long_item().as_bytes()])));
    assert_eq!(reply, r#""{}""#);
}

#[test]
fn long_requests_of_a_transaction_are_read_without_its_shards() {
    let reply = reads_without_shards(|h| {
        h.run("MULTI");
        for _ in 0..2 {
            h.call_as(0, &[b"DDB", b"PutItem", long_item().as_bytes()]);
        }
        h.run("EXEC")
    });
    assert_eq!(reply, r#"["{}" "{}"]"#);
}

#[test]
fn a_transaction_with_much_to_read_has_a_thread_of_its_own() {
    let mut h = Harness::new();
    table(&mut h, "ttt", None);
    for (requests, long) in [(1, false), (20, true)] {
        let text = "x".repeat(10_000);
        h.run("MULTI");
        for number in 0..requests {
            let body =
                json!({"TableName": "ttt", "Item": {"id": {"S": number.to_string()}, "text": {"S": text}}});
            h.call_as(0, &[b"DDB", b"PutItem", body.to_string().as_bytes()]);
        }
        assert_eq!(h.takes_long(&[b"EXEC"]), long, "{requests}");
        if long {
            h.run("EXEC");
        }
    }
    assert_eq!(call(&mut h, "Scan", &json!({"TableName": "ttt"}))["Count"], 20);
}

#[test]
fn what_was_read_ahead_is_read_again_if_tables_change() {
    let mut h = Harness::new();
    table(&mut h, "ttt", None);
    put(&mut h, "ttt", json!({"id": {"S": "a"}}));
    // The second table has a key of another name; only the first command of the transaction makes that known.
    let create = json!({"TableName": "uuu", "AttributeDefinitions": [{"AttributeName": "n", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"});
    let item = json!({"TableName": "uuu", "Item": {"n": {"N": "1"}}});
    h.run("MULTI");
    h.call_as(0, &[b"DDB", b"CreateTable", create.to_string().as_bytes()]);
    h.call_as(0, &[b"DDB", b"PutItem", item.to_string().as_bytes()]);
    let replies = h.run("EXEC");
    assert!(replies.ends_with(r#""{}"]"#), "{replies}");
    assert_eq!(call(&mut h, "Scan", &json!({"TableName": "uuu"}))["Count"], 1);
}

#[test]
fn what_a_transaction_sets_holds_for_long_requests_that_follow() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id");
    let document = json!({"text": "x".repeat(6000)}).to_string();
    let put: [&[u8]; 5] = [b"ITEM.PUT", b"t", b"a", b"JSON", document.as_bytes()];
    for (size, outcome) in [("5000", "-VALIDATION"), ("400kb", "+OK")] {
        h.run("MULTI");
        h.run(&format!("CONFIG SET item-max-size {size}"));
        h.call_as(0, &put);
        let replies = h.run("EXEC");
        assert!(replies.starts_with(&format!("[+OK {outcome}")), "{replies}");
    }
}
