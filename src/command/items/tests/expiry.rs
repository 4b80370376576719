//! Tests of when items expire, and which thread removes them.

use super::{counts, sweep};
use crate::command::testing::Harness;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn items_expire_for_readers_at_their_second() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k S TTL until");
    assert_eq!(h.run("ITEM.PUT t a x SET 0 EX 10"), "+OK");
    assert_eq!(h.run("ITEM.GET t a x"), r#"["id" "a" "k" "x" "until" "1700000010"]"#);
    assert_eq!(h.run("ITEM.PUT t a y SET 0 PX 1"), "+OK");
    assert_eq!(h.run("ITEM.PUT t a z SET 1 until:s never"), "+OK");
    assert_eq!(h.run("ITEM.PUT t a old SET 1 until:n 5"), "+OK");
    assert_eq!(h.run("ITEM.PUT t a at SET 0 EXAT 1700000020"), "+OK");
    assert_eq!(h.run("ITEM.PUT t a at SET 0 EX 0"), "-ERR invalid expire time in 'item.put' command");
    assert_eq!(
        h.run("ITEM.PUT t a at SET 0 EX 9223372036854775807"),
        "-ERR invalid expire time in 'item.put' command"
    );
    h.advance(1000);
    assert_eq!(h.run("ITEM.GET t a y"), "nil");
    assert_eq!(h.run("ITEM.QUERY t a COUNT"), ":4");
    h.advance(8999);
    assert_eq!(h.run("ITEM.QUERY t a COUNT"), ":4");
    h.advance(1);
    assert_eq!(
        h.run("ITEM.QUERY t a FIELDS 1 k"),
        r#"["items" [["k" "at"] ["k" "old"] ["k" "z"]] "count" :3 "scanned" :3 "cursor" nil]"#
    );
    assert_eq!(h.run("ITEM.DEL t a x"), ":0");
    assert_eq!(h.run("ITEM.PUT t a x SET 0 IF 'attribute_not_exists(k)' RETURN OLD"), "nil");
    assert_eq!(h.run("ITEM.GET t a x"), r#"["id" "a" "k" "x"]"#);
}

#[test]
fn expired_items_are_removed_in_the_background() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k N TTL until");
    for k in 0..300 {
        h.run(&format!("ITEM.PUT t many {k} SET 1 text {} EX {}", "x".repeat(100), 10 + k % 3));
        h.run(&format!("ITEM.PUT t few {} SET 0 EX {}", k % 10, 10 + k % 2));
    }
    h.run("ITEM.PUT t one 1 SET 0 EX 10");
    h.run("ITEM.PUT t one 1 SET 0");
    h.run("ITEM.PUT t lone 1 SET 0 EX 10");
    h.run("ITEM.PUT t lone 1 SET 0 EX 100");
    sweep(&h);
    assert_eq!(counts(&h, "t").0, 312);
    h.advance(10_000);
    sweep(&h);
    assert_eq!(counts(&h, "t").0, 312 - 100 - 5);
    assert_eq!(h.run("ITEM.QUERY t many COUNT"), ":200");
    h.advance(1000);
    sweep(&h);
    assert_eq!(counts(&h, "t").0, 100 + 2);
    h.advance(1000);
    sweep(&h);
    assert_eq!(h.run("ITEM.SCAN t FIELDS 1 id FORMAT JSON").matches("lone").count(), 1);
    assert_eq!(counts(&h, "t").0, 2);
    assert_eq!(h.server.engine.store.expired_items.load(Relaxed), 310);
    h.advance(100_000);
    sweep(&h);
    assert_eq!(h.run("ITEM.GET t one 1 FIELDS 1 id"), r#"["id" "one"]"#);
    assert_eq!((counts(&h, "t").0, h.server.engine.store.len()), (1, 1));
}

#[test]
fn a_changed_ttl_attribute_holds_for_what_is_there() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k N TTL until");
    for k in 0..60 {
        h.run(&format!(
            "ITEM.PUT t big {k} SET 3 text {} until:n 1700000010 later:n 1700000020",
            "x".repeat(100)
        ));
    }
    h.run("ITEM.PUT t small 1 SET 2 until:n 1700000010 later:n 1700000020");
    assert_eq!(h.run("TABLE.ALTER t TTL later ATTR text S"), "+OK");
    h.server.engine.follow_tables();
    h.advance(10_000);
    sweep(&h);
    assert_eq!((counts(&h, "t").0, h.run("ITEM.QUERY t big COUNT")), (61, ":60".to_owned()));
    assert_eq!(h.run("TABLE.ALTER t NOTTL NOATTR 1 text"), "+OK");
    h.advance(10_000);
    sweep(&h);
    assert_eq!(h.run("ITEM.QUERY t big COUNT"), ":60");
    assert_eq!(h.run("TABLE.ALTER t TTL later"), "+OK");
    assert_eq!(h.run("ITEM.QUERY t big COUNT"), ":0");
    sweep(&h);
    h.server.engine.follow_tables();
    sweep(&h);
    assert_eq!(counts(&h, "t"), (0, 0));
    for (line, error) in [
        ("TABLE.ALTER t", "-ERR wrong number of arguments for 'table.alter' command"),
        ("TABLE.ALTER t NOATTR 1 x", "-VALIDATION the attribute is not declared"),
        ("TABLE.ALTER t ATTR id N", "-VALIDATION invalid schema: a key attribute has two types"),
        ("TABLE.ALTER t PK id N", "-ERR syntax error"),
        ("TABLE.ALTER u NOTTL", "-NOTABLE table 'u' does not exist"),
    ] {
        assert_eq!(h.run(line), error, "{line}");
    }
}

#[test]
fn an_item_expires_also_when_its_collection_has_grown_since() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k N TTL until");
    h.run("ITEM.PUT t a 1 SET 1 x y EX 10");
    for n in 2..10 {
        h.run(&format!("ITEM.PUT t a {n} SET 1 x {}", "y".repeat(1000)));
    }
    h.advance(10_000);
    sweep(&h);
    assert!(h.run("TABLE.DESCRIBE t").contains(r#""items" :8"#));
}
