//! Tests of a table that is still converting hashes.

use super::{check, keys::scan};
use crate::command::testing::Harness;
use crate::engine::{Over, Tx};
use crate::store::Holder;

/// A table that is lifting; no hash is converted yet.
fn lifting() -> Harness {
    use crate::item::{KeyAttr, KeyType, TableSchema};
    let mut h = Harness::new();
    for i in 0..40 {
        h.run(&format!("HSET u:{i} n {i} w x{}", i % 3));
    }
    let engine = std::sync::Arc::clone(&h.server.engine);
    let mut schema = TableSchema::new(KeyAttr::new("id", KeyType::S), None);
    schema.template = Some("u:{id}".into());
    schema.lifting = true;
    schema.indexes.push(crate::item::IndexSchema {
        name: "by-w".into(),
        local: false,
        pk: vec![KeyAttr::new("w", KeyType::S)],
        sk: Vec::new(),
        projection: crate::item::Projection::KeysOnly,
        space: 0,
        status: crate::item::IndexStatus::Active,
    });
    let mut record = Vec::new();
    let create = |tx: &mut Tx<'_>| crate::ops::create_table(tx, "t", &schema).unwrap();
    engine.transact_over(Holder::Tables, Over::Everything, 0, &mut record, create).unwrap();
    h
}

fn lift(h: &Harness) -> Result<(), String> {
    let engine = &h.server.engine;
    let id = engine.tables.get_any(b"t").unwrap().id;
    engine.lift_table(id, &crate::item::ItemLimits::DYNAMODB).map_err(|error| error.to_string())
}

#[test]
fn a_table_that_takes_hashes_over_is_seen_whole() {
    let mut h = lifting();
    check(
        &mut h,
        &[
            ("HGETALL u:1", r#"["id" "1" "n" "1" "w" "x1"]"#),
            ("EXISTS u:1 u:2 u:39 u:40", ":3"),
            ("HINCRBY u:3 n 1", ":4"),
            ("DEL u:4 u:5 none", ":2"),
            ("TYPE u:6", "+hash"),
            ("HSET u:new n 1", ":1"),
            ("RENAME u:7 u:8", "+OK"),
            ("MULTI", "+OK"),
            ("HGET u:9 n", "+QUEUED"),
            ("HSET u:10 n 11", "+QUEUED"),
            ("KEYS u:11", "+QUEUED"),
            ("EXEC", r#"["9" :0 ["u:11"]]"#),
            ("ITEM.GET t 1", "-NOTABLE table 't' is not ready: hashes are becoming its items"),
            ("TABLE.ALTER t NOTTL", "-NOTABLE table 't' is not ready: hashes are becoming its items"),
            ("TABLE.CREATE t PK id", "-VALIDATION table 't' already exists"),
            ("DBSIZE", ":38"),
        ],
    );
    let mut names = scan(&mut h, "COUNT 3", |_| {});
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 38);
    assert!(h.run("TABLE.DESCRIBE t").contains(r#""status" "lifting""#));
    let other = h.connect();
    h.run_as(other, "WATCH u:20 u:21");
    assert_eq!(lift(&h), Ok(()));
    h.run_as(other, "MULTI");
    h.run_as(other, "PING");
    assert_eq!(h.run_as(other, "EXEC"), "[+PONG]");
    check(
        &mut h,
        &[
            ("DBSIZE", ":38"),
            ("ITEM.QUERY t x1 INDEX by-w COUNT", ":12"),
            ("ITEM.GET t 30", r#"["id" "30" "n" "30" "w" "x0"]"#),
            ("ITEM.GET t 3", r#"["id" "3" "n" "4" "w" "x0"]"#),
            ("HGETALL u:20", r#"["id" "20" "n" "20" "w" "x2"]"#),
        ],
    );
    assert!(h.run("TABLE.DESCRIBE t").contains(r#""status" "active""#));
}

#[test]
fn a_key_that_came_in_between_waits() {
    let mut h = lifting();
    // The key is written as if between the check and the table's creation.
    let engine = std::sync::Arc::clone(&h.server.engine);
    let mut record = Vec::new();
    let put = |tx: &mut Tx<'_>| {
        tx.apply(crate::effect::StringChange::Set { value: b"x", expire: None }.on(0, b"u:bad"));
    };
    engine.transact_over(Holder::Tables, Over::Everything, 0, &mut record, put).unwrap();
    let refused = "key 'u:bad' fits KEYSPACE but cannot become an item: it is no hash";
    assert_eq!(lift(&h), Err(refused.into()));
    check(
        &mut h,
        &[
            ("GET u:bad", r#""x""#),
            ("APPEND u:bad y", ":2"),
            ("HGET u:5 n", r#""5""#),
            ("ITEM.GET t 5", "-NOTABLE table 't' is not ready: hashes are becoming its items"),
            ("DEL u:bad u:5", ":2"),
            (
                "SET u:bad y",
                "-WRONGTYPE Operation against a key holding the wrong kind of value: 'u:bad' is an item of table 't'",
            ),
        ],
    );
    assert_eq!(lift(&h), Ok(()));
    check(&mut h, &[("ITEM.GET t 6", r#"["id" "6" "n" "6" "w" "x0"]"#), ("DBSIZE", ":39")]);
}
