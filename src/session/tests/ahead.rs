//! What a batch works out ahead of its commands is not used once an earlier command has changed the state for which it
//! was worked out.

use crate::command::testing::Harness;
use crate::env::memory;
use crate::session::call::Call;
use crate::session::locks;
use crate::value::rdb::dump_string;

/// The replies to `lines` when they are sent one by one, after `before`.
fn one_by_one(before: &[&str], lines: &[&str]) -> (Vec<String>, String) {
    let mut h = Harness::new();
    before.iter().for_each(|line| drop(h.run(line)));
    let replies = lines.iter().map(|line| h.run(line)).collect();
    (replies, h.run("DEBUG DIGEST"))
}

/// The replies to `lines` when they are sent together, after `before`.
fn together(before: &[&str], lines: &[&str]) -> (Vec<String>, String) {
    let mut h = Harness::new();
    before.iter().for_each(|line| drop(h.run(line)));
    let replies = h.pipeline(lines);
    (replies, h.run("DEBUG DIGEST"))
}

const TABLE: &str = "TABLE.CREATE t PK id S KEYSPACE user:{id}";

const PUT: &str = r#"DDB PutItem '{"TableName":"t","Item":{"id":{"S":"a"}},"ReturnValues":"ALL_OLD"}'"#;

/// Commands that are run before, and a batch in which some commands change the state for which the commands after them
/// were looked up.
const BATCHES: &[(&[&str], &[&str])] = &[
    (&[TABLE, "SELECT 1"], &["SELECT 0", "HSET user:1 name x", "HGETALL user:1", "ITEM.GET t 1"]),
    (&[TABLE, "SELECT 1"], &["RESET", "HSET user:1 name x", "HGETALL user:1", "ITEM.GET t 1"]),
    (&[TABLE, "SELECT 1"], &["SELECT 0", "GET user:1", "HEXISTS user:1 name", "TTL user:1", "SET user:1 v"]),
    (&[TABLE], &["SELECT 1", "SET user:1 v", "GET user:1", "SELECT 0", "HSET user:1 a b", "GET user:1"]),
    (&[TABLE], &["MULTI", "SELECT 1", "EXEC", "SET user:1 v", "GET user:1", "SELECT 0", "TYPE user:1"]),
    (
        &[TABLE, "SELECT 1"],
        &["MULTI", "SELECT 0", "HSET user:1 a b", "EXEC", "HSET user:2 a b", "HLEN user:1"],
    ),
    (&[TABLE, "SELECT 1", "SET user:1 v"], &["SWAPDB 0 1", "GET user:1", "SELECT 0", "HSET user:1 a b"]),
    (
        &["SET user:1 v"],
        &[TABLE, "HSET user:2 a b", "HLEN user:2", "TABLE.DROP t", "SET user:2 x", "GET user:2"],
    ),
    (&[TABLE], &["TABLE.ALTER t NOKEYSPACE", "SET user:1 v", "GET user:1", "HSET user:2 a b"]),
    (
        &["TABLE.CREATE t PK id N"],
        &[
            "ITEM.PUT t 1 SET 1 a x",
            "TABLE.DROP t",
            "TABLE.CREATE t PK id S",
            "ITEM.PUT t 1 SET 1 a y",
            "ITEM.GET t 1",
        ],
    ),
    (
        &[],
        &[
            "TABLE.CREATE t PK id S",
            PUT,
            PUT,
            "TABLE.DROP t",
            PUT,
            "TABLE.CREATE t PK id S SK k S",
            PUT,
            "MULTI",
            PUT,
            "TABLE.DROP t",
            "TABLE.CREATE t PK id S",
            PUT,
            "EXEC",
        ],
    ),
    (
        &[TABLE],
        &[
            "MULTI",
            "HSET user:1 a b",
            "SELECT 1",
            "SET user:1 v",
            "GET user:1",
            "SELECT 0",
            "HGETALL user:1",
            "EXEC",
        ],
    ),
    (
        &["TABLE.CREATE t PK id N"],
        &[
            "TABLE.DROP t",
            "TABLE.CREATE t PK id S",
            "MULTI",
            "ITEM.PUT t 1 SET 1 a x",
            "TABLE.DROP t",
            "TABLE.CREATE t PK id N",
            "ITEM.UPDATE t 1 SET 1 a y",
            "ITEM.GET t 1",
            "EXEC",
            "ITEM.GET t 1",
        ],
    ),
    (&[], &["TABLE.CREATE t PK id S STREAM NEW", "ITEM.PUT t 1 SET 1 a x", "XLEN t@stream", "DEL t@stream"]),
];

#[test]
fn a_batch_answers_as_its_commands_sent_one_by_one() {
    for (before, lines) in BATCHES {
        assert_eq!(together(before, lines), one_by_one(before, lines), "{before:?} {lines:?}");
    }
}

/// A transaction of payloads that hold many times their bytes does not read all of them at once.
#[test]
fn few_payloads_of_a_transaction_are_read_ahead() {
    let mut h = Harness::new();
    let payload = dump_string(&vec![b'x'; 4 << 20]);
    assert!(payload.len() < 100_000, "{}", payload.len());
    let args: Vec<&[u8]> = vec![b"RESTORE", b"k", b"0", &payload, b"REPLACE"];
    let command = h.server.registry.command(b"restore").unwrap();
    let mut calls: Vec<Call<'_>> = (0..20).map(|_| Call::new(command, &args)).collect();
    let before = memory::thread_bytes();
    locks::prepare(&h.server.engine, &h.server.engine.settings(), &mut calls, 0);
    let read = calls.iter().filter(|call| call.prepared.is_some()).count();
    assert!((1..10).contains(&read), "{read} were read");
    assert!(memory::thread_bytes() - before < 32 << 20);
    drop(calls);
    // Those that were not read ahead are read in their turn.
    h.run("MULTI");
    for _ in 0..10 {
        h.call_as(0, &args);
    }
    assert_eq!(h.run("EXEC"), format!("[{}]", ["+OK"; 10].join(" ")));
    assert_eq!(h.run("STRLEN k"), ":4194304");
}

#[test]
fn settings_that_a_transaction_sets_hold_for_what_follows() {
    let set = [
        "MULTI",
        "CONFIG SET proto-max-bulk-len 1mb",
        "SETRANGE k 2000000 x",
        "EXEC",
        "SETRANGE k 2000000 x",
    ];
    let (replies, _) = together(&[], &set);
    assert!(replies[3].starts_with("[+OK -ERR"), "{replies:?}");
    assert!(replies[4].starts_with("-ERR"), "{replies:?}");
}

#[test]
fn what_was_looked_up_of_a_queued_command_does_not_outlive_the_tables() {
    let change = |h: &mut Harness, client: usize| {
        for line in ["TABLE.DROP t", "TABLE.CREATE t PK id S KEYSPACE user:{id}"] {
            assert_eq!(h.run_as(client, line), "+OK");
        }
    };
    let replies = |late: bool| {
        let mut h = Harness::new();
        let other = h.connect();
        h.run("TABLE.CREATE t PK id N");
        h.run("SELECT 0");
        if !late {
            change(&mut h, other);
        }
        let queued = ["ITEM.PUT t 1 SET 1 a x", "HSET user:2 a y", "HGETALL user:1", "GET other"];
        h.run("MULTI");
        queued.iter().for_each(|line| assert_eq!(h.run(line), "+QUEUED"));
        if late {
            change(&mut h, other);
        }
        (h.run("EXEC"), h.run("ITEM.GET t 2"), h.run("DEBUG DIGEST"))
    };
    let late = replies(true);
    assert!(late.0.starts_with("[+OK :1 ["), "{late:?}");
    assert_eq!(late, replies(false));
}
