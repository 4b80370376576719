//! Tests of views in transactions, under WATCH and in change streams.

use super::{check, users};
use crate::command::testing::Harness;

#[test]
fn transactions_and_watches_see_items() {
    let mut h = users();
    let other = h.connect();
    h.run("HSET user:1 n 1");
    for (change, passes) in [
        ("HSET user:1 n 2", false),
        ("ITEM.UPDATE users 1 SET 1 n 3", false),
        ("DEL user:1", false),
        ("ITEM.PUT users 1 SET 1 n 3", false),
        ("HSET user:2 n 2", true),
        ("ITEM.GET users 1", true),
        ("TABLE.ALTER users NOKEYSPACE", false),
        ("TABLE.ALTER users KEYSPACE user:{id}", false),
        ("TABLE.DROP users", false),
    ] {
        h.run("WATCH user:1 other");
        h.run_as(other, change);
        h.run("MULTI");
        h.run("PING");
        assert_eq!(h.run("EXEC") != "nil", passes, "{change}");
    }
    let mut h = users();
    for line in [
        "MULTI",
        "HSET user:1 n 1",
        "SET a 1",
        "HINCRBY user:1 n 1",
        "SELECT 1",
        "SET user:1 x",
        "SELECT 0",
        "HGET user:1 n",
    ] {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), r#"[:1 +OK :2 +OK +OK +OK "2"]"#);
    for line in
        ["MULTI", "ITEM.ATOMIC", "HSET user:1 n 9", "DEL a user:1", "ITEM.CHECK users 1 IF 'id = \"x\"'"]
    {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), "-TXCANCELLED 3:ConditionalCheckFailed");
    check(
        &mut h,
        &[("HGET user:1 n", r#""2""#), ("GET a", r#""1""#), ("ITEM.CHECK users 1 IF 'n = \"2\"'", ":1")],
    );
}

#[test]
fn changes_through_views_are_in_the_stream() {
    let mut h = Harness::new();
    h.run("HSET feed:1 a b");
    h.run("TABLE.CREATE feed PK id STREAM BOTH TTL until KEYSPACE feed*");
    check(
        &mut h,
        &[
            ("XLEN feed@stream", ":1"),
            ("HSET feed:1 a c", ":0"),
            ("HSET feed:2 a c", ":1"),
            ("EXPIRE feed:2 10", ":1"),
            ("DEL feed:1 feed:3", ":1"),
            ("XLEN feed@stream", ":5"),
            ("TYPE feed@stream", "+stream"),
            (
                "SET feed@stream:x y",
                "-WRONGTYPE Operation against a key holding the wrong kind of value: 'feed@stream:x' is an item of table 'feed'",
            ),
        ],
    );
    let records = h.run("XRANGE feed@stream - +");
    let events: Vec<&str> =
        ["INSERT", "MODIFY", "REMOVE"].into_iter().filter(|event| records.contains(event)).collect();
    assert_eq!(events.len(), 3, "{records}");
    for line in [
        "MULTI",
        "ITEM.ATOMIC",
        "HSET feed:4 a b",
        "HSET feed:5 a b",
        "ITEM.CHECK feed feed:4 IF 'a = \"x\"'",
    ] {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), "-TXCANCELLED 3:ConditionalCheckFailed");
    assert_eq!(h.run("XLEN feed@stream"), ":5");
}
