//! Tests of change streams, in one process.

use crate::command::testing::Harness;
use crate::effect::SYSTEM;
use crate::engine::Engine;
use crate::store::Mode;

/// The records of a table's stream, one line each: the identifier and the fields with their values.
fn records(engine: &Engine, table: &str) -> Vec<String> {
    let key = format!("{table}@stream");
    let hash = engine.store.hash(key.as_bytes());
    let locked = engine.store.lock_one(hash, Mode::Read, engine.clock.now_ms());
    let entry = locked.peek(SYSTEM, key.as_bytes(), hash).expect("there is a stream");
    let stream = entry.value().stream().expect("it is a stream");
    let all = stream.range(crate::value::stream::StreamId::MIN, crate::value::stream::StreamId::MAX);
    all.map(|entry| {
        let fields = entry.fields.map(|(name, value)| {
            let text = |entry: crate::value::listpack::ListpackEntry<'_>| {
                String::from_utf8(entry.into_vec()).unwrap()
            };
            format!("{}={}", text(name), text(value))
        });
        format!("{} {}", entry.id, fields.collect::<Vec<_>>().join(" "))
    })
    .collect()
}

#[test]
fn changes_of_items_are_recorded_as_the_view_says() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    for (table, view) in [("k", "KEYS"), ("n", "NEW"), ("o", "OLD"), ("b", "BOTH")] {
        assert_eq!(h.run(&format!("TABLE.CREATE {table} PK id S SK at N STREAM {view}")), "+OK");
        h.run(&format!("ITEM.PUT {table} a 1 SET 1 n:n 1"));
        h.run(&format!("ITEM.PUT {table} a 1 SET 1 n:n 1"));
        h.advance(1);
        h.run(&format!("ITEM.UPDATE {table} a 1 INCR 1 n 1"));
        h.run(&format!("ITEM.DEL {table} a 1"));
        h.run(&format!("ITEM.DEL {table} a 1"));
    }
    let keys = r#"keys={"id":{"S":"a"},"at":{"N":"1"}}"#;
    let old = r#"{"at":{"N":"1"},"id":{"S":"a"},"n":{"N":"1"}}"#;
    let new = r#"{"at":{"N":"1"},"id":{"S":"a"},"n":{"N":"2"}}"#;
    assert_eq!(
        records(&engine, "k"),
        [
            format!("1700000000000-0 event=INSERT {keys} size=7"),
            format!("1700000000001-0 event=MODIFY {keys} size=7"),
            format!("1700000000001-1 event=REMOVE {keys} size=7"),
        ]
    );
    assert_eq!(
        records(&engine, "b"),
        [
            format!("1700000000003-0 event=INSERT {keys} new={old} size=17"),
            format!("1700000000004-0 event=MODIFY {keys} new={new} old={old} size=27"),
            format!("1700000000004-1 event=REMOVE {keys} old={new} size=17"),
        ]
    );
    assert!(records(&engine, "n").iter().all(|record| !record.contains(" old=")));
    assert!(records(&engine, "o").iter().all(|record| !record.contains(" new=")));
}

#[test]
fn what_is_taken_back_was_never_recorded() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    h.run("MULTI");
    h.run("ITEM.ATOMIC");
    h.run("ITEM.PUT t a SET 1 n:n 1");
    h.run("ITEM.PUT t b SET 1 n:n 1 IF 'n = 1'");
    assert!(h.run("EXEC").contains("TXCANCELLED"));
    assert!(records(&engine, "t").is_empty());
    h.run("ITEM.PUT t a SET 1 n:n 1");
    assert_eq!(records(&engine, "t").len(), 1);
}

#[test]
fn items_whose_time_has_come_are_recorded_as_removed_by_it() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    h.run("TABLE.CREATE t PK id S TTL ends STREAM KEYS");
    h.run("ITEM.PUT t a SET 1 n:n 1 EX 1");
    h.run("ITEM.PUT t b SET 1 n:n 1 EX 1");
    h.advance(2000);
    // The expired item `b` is replaced before the background removes it; the other expired item is not replaced.
    h.run("ITEM.PUT t b SET 1 n:n 2");
    let mut record = Vec::new();
    (0..engine.store.shard_count()).for_each(|shard| engine.expire_shard(shard, &mut record));
    let found = records(&engine, "t");
    let events: Vec<&str> = found.iter().map(|record| record.split_once(' ').unwrap().1).collect();
    let line = |event: &str, key: &str, by: &str| {
        format!(r#"event={event} keys={{"id":{{"S":"{key}"}}}} size=3{by}"#)
    };
    assert_eq!(
        events,
        [
            line("INSERT", "a", ""),
            line("INSERT", "b", ""),
            line("REMOVE", "b", " by=ttl"),
            line("INSERT", "b", ""),
            line("REMOVE", "a", " by=ttl"),
        ]
    );
}

#[test]
fn records_are_kept_for_their_time() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    let mut record = Vec::new();
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    h.run("ITEM.PUT t a SET 1 n 1");
    h.advance(12 * 3_600_000);
    h.run("ITEM.PUT t b SET 1 n 1");
    h.run("TABLE.ALTER t NOSTREAM");
    h.run("ITEM.PUT t c SET 1 n 1");
    engine.trim_streams(&mut record);
    assert_eq!(records(&engine, "t").len(), 2);
    h.advance(13 * 3_600_000);
    engine.trim_streams(&mut record);
    assert_eq!(records(&engine, "t").len(), 1);
    h.advance(12 * 3_600_000);
    engine.trim_streams(&mut record);
    assert_eq!(h.run("EXISTS t@stream"), ":0");
    h.run("TABLE.ALTER t STREAM KEYS");
    h.run("ITEM.PUT t d SET 1 n 1");
    assert_eq!(records(&engine, "t").len(), 1);
}

/// A round that trims counts as two changes: it removes records, and it notes the last of them in the stream.
#[test]
fn old_records_go_a_few_at_a_time() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    for n in 0..1000 {
        h.run(&format!("ITEM.PUT t a SET 1 n {n}"));
    }
    h.advance(25 * 3_600_000);
    let before = h.server.engine.unsaved.count();
    h.server.engine.trim_streams(&mut Vec::new());
    assert!(records(&h.server.engine, "t").is_empty());
    assert!(h.server.engine.unsaved.count() - before >= 10);
}

#[test]
fn the_name_is_a_streams_in_every_database_and_not_to_be_written() {
    let mut h = Harness::new();
    h.run("SET t@stream mine");
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    assert_eq!(h.run("TYPE t@stream"), "+stream");
    assert_eq!(h.run("KEYS *"), "[\"t@stream\"]");
    h.run("SELECT 3");
    h.run("FLUSHALL");
    assert_eq!(h.run("TYPE t@stream"), "+stream");
    assert_eq!(h.run("EXISTS t@stream other@stream"), ":1");
    let refused = "-ERR the change stream of table 't' is written by changes of its items only";
    for line in
        ["SET t@stream x", "DEL a t@stream", "EXPIRE t@stream 10", "COPY t@stream x", "RENAME x t@stream"]
    {
        assert_eq!(h.run(line), refused, "{line}");
    }
    h.run("MULTI");
    h.run("SET t@stream x");
    assert!(h.run("EXEC").contains("written by changes"));
    h.run("TABLE.DROP t");
    assert_eq!(h.run("EXISTS t@stream"), ":0");
    assert_eq!(h.run("SET t@stream x"), "+OK");
}

#[test]
fn streams_are_read_as_any_other_and_by_groups() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    assert_eq!(h.run("XLEN t@stream"), ":0");
    assert_eq!(h.run("XGROUP CREATE t@stream g $"), "+OK");
    h.run("MULTI");
    h.run("ITEM.PUT t a SET 1 n 1");
    h.run("SELECT 5");
    h.run("ITEM.PUT t b SET 1 n 1");
    h.run("EXEC");
    assert_eq!(h.run("XLEN t@stream"), ":2");
    assert!(h.run("XREAD COUNT 1 STREAMS t@stream 0").contains("\"1700000000000-0\""));
    assert!(h.run("XRANGE t@stream - + COUNT 1").contains("INSERT"));
    assert!(h.run("XREADGROUP GROUP g c COUNT 1 STREAMS t@stream >").contains("1700000000000-0"));
    assert_eq!(h.run("XACK t@stream g 1700000000000-0"), ":1");
    assert!(h.run("XREADGROUP GROUP g c STREAMS t@stream >").contains("1700000000000-1"));
    assert!(h.run("XAUTOCLAIM t@stream g d 0 0").contains("1700000000000-1"));
    assert!(h.run("XPENDING t@stream g").contains(r#"["d" "1"]"#));
    assert!(h.run("XINFO GROUPS t@stream").contains("\"lag\" :0"));
    assert_eq!(h.run("XGROUP SETID t@stream g 0"), "+OK");
    for line in ["XADD t@stream * a 1", "XDEL t@stream 1-1", "XTRIM t@stream MAXLEN 0", "XSETID t@stream 9-9"]
    {
        assert!(h.run(line).contains("written by changes"), "{line}");
    }
    assert_eq!(h.run("XLEN t@stream"), ":2");
    assert_eq!(h.run("OBJECT ENCODING t@stream"), "\"stream\"");
    assert!(h.run("MEMORY USAGE t@stream").starts_with(':'));
}

#[test]
fn watching_a_stream_tells_of_changes() {
    let mut h = Harness::new();
    let other = h.connect();
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    h.run("SELECT 2");
    h.run("WATCH t@stream");
    h.run_as(other, "ITEM.PUT t a SET 1 n 1");
    h.run("MULTI");
    h.run("PING");
    assert_eq!(h.run("EXEC"), "nil");
}

#[test]
fn views_and_lifted_hashes_are_recorded() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    h.run("HSET user:1 name Ann");
    assert_eq!(h.run("TABLE.CREATE users PK id S TTL until KEYSPACE user:{id} STREAM BOTH"), "+OK");
    h.run("HSET user:1 name Bob");
    h.run("HSET user:1 name Bob");
    h.run("EXPIRE user:1 100");
    h.run("DEL user:1 user:2");
    let found = records(&engine, "users");
    let events: Vec<&str> = found.iter().map(|record| record.split(' ').nth(1).unwrap()).collect();
    assert_eq!(events, ["event=INSERT", "event=MODIFY", "event=MODIFY", "event=REMOVE"], "{found:?}");
}

#[test]
fn identifiers_ascend_when_the_clock_goes_back() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    h.advance(10_000);
    h.run("ITEM.PUT t a SET 1 n 1");
    engine.clock.as_manual().unwrap().set_ms(crate::command::testing::START);
    h.run("ITEM.PUT t b SET 1 n 1");
    h.run("TABLE.ALTER t NOSTREAM");
    h.run("TABLE.ALTER t STREAM NEW");
    h.run("ITEM.PUT t c SET 1 n 1");
    let found = records(&engine, "t");
    let ids: Vec<&str> = found.iter().map(|record| record.split(' ').next().unwrap()).collect();
    assert_eq!(ids, ["1700000010000-0", "1700000010000-1", "1700000010000-2"]);
    // The ends and beginnings of the two streams do not overlap.
    let table = engine.tables.get(b"t").unwrap();
    let [first, second] = &table.schema.streams[..] else { panic!("{:?}", table.schema.streams) };
    assert_eq!(first.end.unwrap().through, second.after);
    assert!(second.since_ms > first.since_ms);
}

#[test]
fn old_records_go_as_new_ones_come() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    h.configure("table-stream-retention-ms", "60000");
    h.run("TABLE.CREATE t PK id S STREAM KEYS");
    for n in 0..1000 {
        h.run(&format!("ITEM.PUT t {n} SET 1 n 1"));
        h.advance(500);
    }
    // At most a node of old records is left until the background trims.
    assert!((120..=240).contains(&records(&engine, "t").len()));
    engine.trim_streams(&mut Vec::new());
    assert_eq!(records(&engine, "t").len(), 120);
    assert!(h.run("XINFO STREAM t@stream").contains("\"entries-added\" :1000"));
}

#[test]
fn only_tables_with_a_stream_need_its_shard() {
    let mut h = Harness::new();
    let engine = std::sync::Arc::clone(&h.server.engine);
    h.run("TABLE.CREATE plain PK id S");
    h.run("TABLE.CREATE told PK id S STREAM KEYS");
    let id = |name: &str| engine.tables.get(name.as_bytes()).expect("there is one").id;
    let (plain, told) = (id("plain"), id("told"));
    assert!(!engine.tables.may_record(plain) && engine.tables.may_record(told));
    h.run("TABLE.ALTER told NOSTREAM");
    assert!(!engine.tables.may_record(told));
    h.run("TABLE.ALTER plain STREAM NEW");
    h.run("ITEM.PUT plain a SET 1 n 1");
    assert!(engine.tables.may_record(plain) && records(&engine, "plain").len() == 1);
    h.run("TABLE.DROP plain");
    assert!(!engine.tables.may_record(plain));
    // A change of a dropped table's stream leaves no records for a new table of its name.
    h.run("TABLE.CREATE plain PK id S");
    h.run("ITEM.PUT plain b SET 1 n 1");
    assert_eq!((records(&engine, "plain").len(), h.run("EXISTS plain@stream")), (1, ":0".to_owned()));
    h.run("TABLE.ALTER plain STREAM NEW");
    assert_eq!((records(&engine, "plain").len(), h.run("XLEN plain@stream")), (0, ":0".to_owned()));
}
