//! How time and changes of tables affect watched keys.

use crate::command::testing::Harness;
use crate::store::Mode;
use std::sync::Arc;

const PASSED: &str = "[+PONG]";
const FAILED: &str = "nil";

/// Watches `key` after `before`, lets `millis` pass, and returns the reply to EXEC. The reply must be the same whether
/// what has expired was removed before EXEC or not.
fn later(before: &[&str], key: &str, millis: u64) -> String {
    let mut outcomes = [false, true].map(|removed| {
        let mut h = Harness::new();
        before.iter().for_each(|line| drop(h.run(line)));
        h.run(&format!("WATCH {key}"));
        h.advance(millis);
        if removed {
            let mut record = Vec::new();
            h.server.engine.follow_tables();
            (0..16).for_each(|shard| h.server.engine.expire_shard(shard, &mut record));
        }
        h.run("MULTI");
        h.run("PING");
        h.run("EXEC")
    });
    assert_eq!(outcomes[0], outcomes[1], "whether it is removed yet makes no difference");
    std::mem::take(&mut outcomes[0])
}

#[test]
fn what_expires_is_watched() {
    let table = "TABLE.CREATE t PK id S TTL at KEYSPACE user:{id}";
    let item = "ITEM.PUT t 1 SET 1 at:n 1700000001";
    let big: Vec<String> = (0..600).map(|n| format!("f{n} v")).collect();
    let (big, due) = (format!("HSET k {}", big.join(" ")), "HPEXPIRE k 100 FIELDS 2 f1 none");
    let cases: &[(&[&str], &str)] = &[
        (&["SET k v PX 100"], "k"),
        (&["HSET k a 1 b 2", "HPEXPIRE k 100 FIELDS 1 a"], "k"),
        (&["HSET k a 1 b 2", "HPEXPIRE k 100 FIELDS 2 a b"], "k"),
        (&["HSET k a 1 b 2 c 3", "HPEXPIRE k 5000 FIELDS 1 c", "HPEXPIRE k 100 FIELDS 1 a"], "k"),
        (&[&big, due], "k"),
        (&["XADD k 1-1 a b", "PEXPIRE k 100"], "k"),
        (&[table, item], "user:1"),
    ];
    for (before, key) in cases {
        assert_eq!(later(before, key, 99), PASSED, "{before:?}");
        assert_eq!(later(before, key, 2000), FAILED, "{before:?}");
    }
    assert_eq!(later(&["SET k v PX 100"], "other", 2000), PASSED);
}

/// Watches `user:1` after `before`, lets another client run `lines`, and returns the reply to EXEC.
fn beside(before: &[&str], lines: &[&str]) -> String {
    let mut h = Harness::new();
    let other = h.connect();
    before.iter().for_each(|line| assert!(!h.run(line).starts_with('-'), "{line}"));
    h.run("WATCH user:1");
    lines.iter().for_each(|line| assert!(!h.run_as(other, line).starts_with('-'), "{line}"));
    h.run("MULTI");
    h.run("PING");
    h.run("EXEC")
}

#[test]
fn a_key_that_a_table_takes_over_has_changed() {
    let (table, hash) = ("TABLE.CREATE t PK id S KEYSPACE user:{id}", "HSET user:1 a 1");
    assert_eq!(beside(&[], &[table, hash]), FAILED);
    assert_eq!(beside(&[hash], &[table]), FAILED);
    assert_eq!(beside(&[table, hash], &["TABLE.ALTER t NOKEYSPACE"]), FAILED);
    assert_eq!(beside(&[table, hash], &["TABLE.DROP t"]), FAILED);
    assert_eq!(beside(&[table, hash], &["HSET user:2 a 1", "TABLE.CREATE u PK id S"]), PASSED);
}

/// Names of keys in ascending order of their shards.
fn ascending(h: &Harness, count: usize) -> Vec<String> {
    let store = &h.server.engine.store;
    let mut names: Vec<String> = (0..200).map(|n| format!("key{n}")).collect();
    names.sort_by_key(|name| store.shard_of(store.hash(name.as_bytes())));
    names.dedup_by_key(|name| store.shard_of(store.hash(name.as_bytes())));
    names.truncate(count);
    names
}

#[test]
fn what_expires_while_exec_waits_for_another_shard_has_changed() {
    let mut h = Harness::new();
    let names = ascending(&h, 3);
    let [first, second, watched] = &names[..] else { panic!("{names:?}") };
    h.run(&format!("SET {watched} v PX 100"));
    let mut other = h.beside();
    for line in [&format!("WATCH {watched}"), "MULTI", &format!("SET {first} 1"), &format!("SET {second} 1")]
    {
        other.run(line);
    }
    let engine = Arc::clone(&h.server.engine);
    let hash = |name: &String| engine.store.hash(name.as_bytes());
    let held = engine.store.lock_one(hash(second), Mode::Read, 0);
    let waiting = std::thread::spawn(move || other.run("EXEC"));
    while !engine.store.has_writer_waiting(hash(second)) {
        std::thread::yield_now();
    }
    assert!(
        engine.store.lock_none(0).try_extend(hash(first)),
        "it holds no shard while it waits for another"
    );
    h.advance(200);
    engine.expire_shard(engine.store.shard_of(hash(watched)), &mut Vec::new());
    drop(held);
    assert_eq!(waiting.join().unwrap(), "nil");
    assert_eq!(h.run(&format!("EXISTS {first} {second} {watched}")), ":0");
}
