//! Tests of templates that are added and removed, and of the hashes that become items.

use super::{check, users};
use crate::command::testing::Harness;

#[test]
fn hashes_that_are_there_become_items() {
    let mut h = Harness::new();
    h.run("HSET sess:a:1 user ann hits 3");
    h.run("EXPIRE sess:a:1 60");
    h.run("HSET sess:b user \"\\xff\"");
    h.run("HSET other user bob");
    let other = h.connect();
    h.run_as(other, "WATCH sess:b");
    check(
        &mut h,
        &[
            (
                "TABLE.CREATE sessions KEYSPACE sess:* PK key",
                "-VALIDATION key 'sess:a:1' fits KEYSPACE but cannot become an item: it expires, but the table has no TTL attribute",
            ),
            ("TABLE.CREATE sessions KEYSPACE sess:* PK key TTL until ATTR hits N", "+OK"),
            ("HGETALL sess:a:1", r#"["hits" "3" "key" "sess:a:1" "until" "1700000060" "user" "ann"]"#),
            ("TTL sess:a:1", ":60"),
            ("HGET sess:b user", r#""\xff""#),
            ("ITEM.GET sessions sess:a:1 FIELDS 1 hits FORMAT JSON", r#""{\"hits\":3}""#),
            ("HINCRBY sess:a:1 hits 1", ":4"),
            ("HGETALL other", r#"["user" "bob"]"#),
            ("HSET sess:new a b", ":1"),
            ("ITEM.GET sessions sess:new", r#"["a" "b" "key" "sess:new"]"#),
            ("DBSIZE", ":4"),
        ],
    );
    h.run_as(other, "MULTI");
    assert_eq!(h.run_as(other, "EXEC"), "nil");
}

#[test]
fn what_cannot_become_an_item_refuses_the_table() {
    for (before, table, reason) in [
        ("SET u:1 x", "PK id KEYSPACE u:{id}", "it is no hash"),
        (
            "HSET u:1 age old",
            "PK id ATTR age N KEYSPACE u:{id}",
            "attribute age has the type N, which the text does not fit",
        ),
        ("HSET u:1 id 2", "PK id KEYSPACE u:{id}", "attribute id is a key, which cannot be changed"),
        (
            "HSET u:%41 a 2",
            "PK id KEYSPACE u:{id}",
            "key 'u:%41' is not one of its table's: attribute id: % is written %25, and only separators are written as % and two digits",
        ),
    ] {
        let mut h = Harness::new();
        h.run(before);
        let key = before.split(' ').nth(1).unwrap();
        let reply = h.run(&format!("TABLE.CREATE t {table}"));
        assert_eq!(
            reply,
            format!("-VALIDATION key '{key}' fits KEYSPACE but cannot become an item: {reason}")
        );
        assert_eq!(h.run("TABLE.DESCRIBE t"), "-NOTABLE table 't' does not exist");
        assert_eq!(h.run(&format!("EXISTS {key}")), ":1");
    }
    let mut h = Harness::new();
    h.run("HSET u:1 a 1 b 2");
    h.run("HEXPIRE u:1 10 FIELDS 1 a");
    assert!(
        h.run("TABLE.CREATE t PK id KEYSPACE u:{id}")
            .ends_with("its fields have deadlines, which attributes have not")
    );
    h.run("HDEL u:1 a");
    h.run("TABLE.CREATE t PK id");
    h.run("ITEM.PUT t 1 SET 1 a 1");
    assert!(h.run("TABLE.ALTER t KEYSPACE u:{id}").ends_with("the table has an item with its keys"));
    h.run("ITEM.DEL t 1");
    assert_eq!(h.run("TABLE.ALTER t KEYSPACE u:{id}"), "+OK");
    assert_eq!(h.run("HGETALL u:1"), r#"["b" "2" "id" "1"]"#);
    assert_eq!(h.run("TABLE.ALTER t NOKEYSPACE"), "+OK");
    assert_eq!(h.run("HGETALL u:1"), "[]");
    assert_eq!(h.run("ITEM.GET t 1"), r#"["b" "2" "id" "1"]"#);
}

#[test]
fn templates_are_refused_with_a_reason() {
    let mut h = users();
    check(
        &mut h,
        &[
            (
                "TABLE.CREATE t PK id KEYSPACE user:*",
                "-VALIDATION KEYSPACE 'user:*' and 'user:{id}' of table 'users' have keys in common",
            ),
            ("TABLE.CREATE t PK id KEYSPACE user:{id}:cart", "+OK"),
            (
                "TABLE.CREATE u PK id KEYSPACE u:{name}",
                "-VALIDATION KEYSPACE 'u:{name}': {name} is no key attribute of the table",
            ),
            (
                "TABLE.CREATE u PK id SK at N KEYSPACE u:{id}",
                "-VALIDATION KEYSPACE 'u:{id}': the key attribute {at} is missing",
            ),
            ("TABLE.ALTER users KEYSPACE user:{id}", "+OK"),
            (
                "TABLE.ALTER t KEYSPACE us*",
                "-VALIDATION KEYSPACE 'us*' and 'user:{id}' of table 'users' have keys in common",
            ),
            ("TABLE.CREATE u PK id KEYSPACE", "-ERR syntax error"),
        ],
    );
}

#[test]
fn commands_of_a_pipeline_follow_the_tables() {
    let mut h = Harness::new();
    let replies = h.pipeline(&[
        "HSET user:1 a 1",
        "TABLE.CREATE t PK id KEYSPACE user:{id}",
        "HSET user:1 b 2",
        "HGETALL user:1",
        "TABLE.DROP t",
        "HGETALL user:1",
        "HSET user:1 c 3",
        "HGETALL user:1",
    ]);
    assert_eq!(replies[3], r#"["a" "1" "b" "2" "id" "1"]"#);
    assert_eq!(replies[5], "[]");
    assert_eq!(replies[7], r#"["c" "3"]"#);
}

#[test]
fn tables_change_at_once_in_a_transaction() {
    let mut h = Harness::new();
    h.run("HSET u:1 a b");
    for line in [
        "MULTI",
        "TABLE.CREATE t PK id KEYSPACE u:{id}",
        "HGETALL u:1",
        "ITEM.GET t 1",
        "TABLE.ALTER t NOKEYSPACE",
        "EXISTS u:1",
    ] {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), r#"[+OK ["a" "b" "id" "1"] ["a" "b" "id" "1"] +OK :0]"#);
}
