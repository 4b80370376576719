//! Tests of commands for keys of any type on views.

use super::{check, users};
use crate::command::testing::Harness;

#[test]
fn deadlines_are_the_ttl_attribute() {
    let mut h = users();
    h.run("HSET user:1 a b");
    check(
        &mut h,
        &[
            ("TTL user:1", ":-1"),
            ("TTL user:9", ":-2"),
            ("EXPIRE user:9 10", ":0"),
            ("EXPIRE user:1 10", ":1"),
            ("TTL user:1", ":10"),
            ("HGET user:1 until", r#""1700000010""#),
            ("PEXPIRE user:1 1500 GT", ":0"),
            ("PEXPIRE user:1 1500 LT", ":1"),
            ("PTTL user:1", ":1500"),
            ("HGET user:1 until", r#""1700000001.5""#),
            ("PEXPIRETIME user:1", ":1700000001500"),
            ("EXPIRE user:1 5 NX", ":0"),
            ("PERSIST user:1", ":1"),
            ("PERSIST user:1", ":0"),
            ("HEXISTS user:1 until", ":0"),
            ("PEXPIREAT user:1 1700000000123", ":1"),
            ("EXPIRE user:1 1 2", "-ERR Unsupported option 2"),
        ],
    );
    h.advance(122);
    assert_eq!(h.run("EXISTS user:1"), ":1");
    h.advance(1);
    check(
        &mut h,
        &[
            ("EXISTS user:1", ":0"),
            ("HGETALL user:1", "[]"),
            ("ITEM.GET users 1", "nil"),
            ("HSET user:1 c d", ":1"),
            ("HGETALL user:1", r#"["c" "d" "id" "1"]"#),
            ("EXPIRE user:1 0", ":1"),
            ("EXISTS user:1", ":0"),
        ],
    );
    h.run("TABLE.ALTER users NOTTL");
    check(
        &mut h,
        &[
            ("EXPIRE user:1 5", "-ERR 'user:1' is an item of table 'users': the table has no TTL attribute"),
            ("PERSIST user:1", ":0"),
        ],
    );
}

#[test]
fn other_commands_find_a_hash() {
    let mut h = users();
    h.run("HSET user:1 a b");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let refused = "-WRONGTYPE Operation against a key holding the wrong kind of value: 'user:1' is an item of table 'users'";
    check(
        &mut h,
        &[
            ("GET user:1", wrong),
            ("GET user:2", "nil"),
            ("STRLEN user:1", wrong),
            ("MGET user:1 user:2", "[nil nil]"),
            ("SET user:1 x", refused),
            ("APPEND user:1 x", refused),
            ("MSET a 1 user:1 2", refused),
            ("GET a", "nil"),
            ("INCR user:1", refused),
            ("RESTORE user:1 0 x", "-ERR 'user:1' is an item of table 'users': RESTORE makes keys only"),
            ("MOVE user:1 1", "-ERR 'user:1' is an item of table 'users': items are in no other database"),
            (
                "SWAPDB 0 1",
                "-ERR database 0 cannot be swapped while a table has KEYSPACE: its keys are views of items",
            ),
            ("SWAPDB 1 2", "+OK"),
            ("SET plain x", "+OK"),
            ("DEL plain user:1 none user:2", ":2"),
            ("SELECT 1", "+OK"),
            ("SET user:1 other", "+OK"),
            ("GET user:1", r#""other""#),
            ("MOVE user:1 0", "-ERR 'user:1' is an item of table 'users', which no other database has"),
            (
                "COPY user:1 user:2 DB 0",
                "-ERR 'user:2' is an item of table 'users', which no other database has",
            ),
            ("COPY user:1 user:2", ":1"),
            ("SELECT 0", "+OK"),
            ("EXISTS user:1", ":0"),
        ],
    );
}

#[test]
fn values_move_between_names() {
    let mut h = users();
    h.run("ITEM.PUT users 1 SET 2 n:n 5 a b EX 10");
    check(
        &mut h,
        &[
            ("RENAME user:1 user:2", "+OK"),
            ("EXISTS user:1", ":0"),
            ("ITEM.GET users 2 FORMAT JSON", r#""{\"a\":\"b\",\"id\":\"2\",\"n\":5,\"until\":1700000010}""#),
            ("RENAME user:9 user:2", "-ERR no such key"),
            ("COPY user:2 plain", ":1"),
            ("TTL plain", ":10"),
            ("HGETALL plain", r#"["a" "b" "id" "2" "n" "5" "until" "1700000010"]"#),
            ("COPY user:2 plain", ":0"),
            ("RENAMENX user:2 plain", ":0"),
            ("HSET h x y", ":1"),
            ("RENAME h user:7", "+OK"),
            ("HGETALL user:7", r#"["id" "7" "x" "y"]"#),
            ("RENAMENX user:7 user:8", ":1"),
            ("RENAME plain user:3", "-ERR attribute id is a key, which cannot be changed"),
            ("SET s x", "+OK"),
            (
                "RENAME s user:3",
                "-WRONGTYPE Operation against a key holding the wrong kind of value: 'user:3' is an item of table 'users'",
            ),
            ("RENAME user:8 user:8", "+OK"),
            ("RENAME user:8 h", "+OK"),
            ("HGETALL h", r#"["id" "8" "x" "y"]"#),
            ("COPY user:2 user:4", ":1"),
            (
                "COPY user:2 user:4 DB 1",
                "-ERR 'user:2' is an item of table 'users': items are in no other database",
            ),
            ("HGET user:4 id", r#""4""#),
        ],
    );
    let payload = h.call_as(0, &[b"DUMP", b"user:4"]);
    let crate::resp::Value::Bulk(payload) = payload else { panic!("{payload:?}") };
    h.call_as(0, &[b"RESTORE", b"again", b"0", &payload]);
    assert_eq!(h.run("HGETALL again"), h.run("HGETALL user:4"));
}

/// The names that a whole SCAN finds. `between` runs before each call but the first.
pub(super) fn scan(h: &mut Harness, options: &str, mut between: impl FnMut(&mut Harness)) -> Vec<String> {
    let (mut cursor, mut names) = ("0".to_owned(), Vec::new());
    loop {
        let reply = h.call_as(
            0,
            &[
                &[b"SCAN".as_slice(), cursor.as_bytes()],
                &options.split(' ').map(str::as_bytes).collect::<Vec<_>>()[..],
            ]
            .concat(),
        );
        let crate::resp::Value::Array(parts) = reply else { panic!("{reply:?}") };
        let [crate::resp::Value::Bulk(next), crate::resp::Value::Array(found)] = &parts[..] else {
            panic!("{parts:?}")
        };
        for name in found {
            let crate::resp::Value::Bulk(name) = name else { panic!("{name:?}") };
            names.push(String::from_utf8(name.clone()).unwrap());
        }
        cursor = String::from_utf8(next.clone()).unwrap();
        if cursor == "0" {
            return names;
        }
        between(h);
    }
}

#[test]
fn walks_name_views_once() {
    let mut h = users();
    h.run("TABLE.CREATE cart PK user S SK item N KEYSPACE cart:{user}:{item}");
    let mut expected = Vec::new();
    for i in 0..200 {
        h.run(&format!("HSET user:{i} a b"));
        h.run(&format!("HSET cart:{}:{} a b", i % 50, i - 100));
        h.run(&format!("SET plain:{i} x"));
        expected.extend([format!("user:{i}"), format!("cart:{}:{}", i % 50, i - 100), format!("plain:{i}")]);
    }
    expected.sort();
    assert_eq!(h.run("DBSIZE"), ":600");
    let mut number = 1000;
    for count in ["COUNT 1", "COUNT 7", "COUNT 100", "COUNT 10000"] {
        let mut names = scan(&mut h, count, |h| {
            h.run(&format!("HSET user:{number} a b"));
            h.run(&format!("DEL user:{number}"));
            number += 1;
        });
        names.sort();
        // A plain key may come twice if the store grows meanwhile; a view comes once.
        let mut before = 0;
        names.retain(|name| {
            name.starts_with("plain") || {
                before += 1;
                true
            }
        });
        assert_eq!(before, 400, "{count}");
        names.dedup();
        assert!(names == expected, "{count}");
    }
    assert_eq!(scan(&mut h, "COUNT 20 TYPE string", |_| {}).len(), 200);
    assert_eq!(scan(&mut h, "COUNT 20 TYPE hash MATCH cart:1:*", |_| {}).len(), 4);
    h.run("HSET user:1 until 1700000000");
    assert_eq!(scan(&mut h, "COUNT 20 MATCH user:*", |_| {}).len(), 199);
    let crate::resp::Value::Array(keys) = h.call_as(0, &[b"KEYS", b"user:*"]) else { panic!("no array") };
    assert_eq!(keys.len(), 199);
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let key = h.run("RANDOMKEY");
        assert_eq!(h.run(&format!("EXISTS {key}")), ":1");
        kinds.insert(key[..3].to_owned());
    }
    assert_eq!(kinds.len(), 3);
    h.run("SELECT 1");
    assert_eq!(h.run("DBSIZE"), ":0");
    assert_eq!(h.run("KEYS *"), "[]");
    h.run("SELECT 0");
    h.run("TABLE.DROP users");
    h.run("TABLE.DROP cart");
    assert_eq!(h.run("DBSIZE"), ":200");
}
