//! Tests that requests that take time to read are read before their shards are locked.

use super::super::expressions::CACHE;
use crate::command::testing::{Harness, show};
use crate::command::{Cx, Prepared, Reading};
use crate::engine::{Over, Tx};
use crate::resp::{Proto, Reply};
use crate::store::{Holder, Mode};
use std::time::{Duration, Instant};

/// Waits until an expression was parsed. Every shard is held meanwhile.
fn until_read(text: &str) -> bool {
    let begun = Instant::now();
    while !CACHE.keeps(text) && begun.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    CACHE.keeps(text)
}

/// Runs commands of one client while every shard is held, and gives the shards back once `expression`, a part of the
/// last command, was read. Returns the last reply.
fn reads_before_it_locks(h: &Harness, calls: &[Vec<&[u8]>], expression: &str) -> String {
    let engine = std::sync::Arc::clone(&h.server.engine);
    let mut other = h.beside();
    let held = engine.store.lock_all(Mode::Write, engine.clock.now_ms());
    std::thread::scope(|scope| {
        let running = scope.spawn(move || {
            let replies = calls.iter().map(|args| show(&other.call_as(0, args)));
            replies.last().unwrap()
        });
        let read = until_read(expression);
        drop(held);
        let reply = running.join().unwrap();
        assert!(read, "{} was read under its locks", String::from_utf8_lossy(calls.last().unwrap()[0]));
        reply
    })
}

#[test]
fn long_requests_are_read_before_their_shards_are_locked() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id TTL until");
    for (number, bytes) in [4096, 20_000, 120_000].into_iter().enumerate() {
        let text = "x".repeat(bytes);
        let values = format!("{{\":v\":\"{text}\"}}");
        let names = format!("{{\"#n\":\"{text}\"}}");
        let condition = |command: &str| format!("not ({command} = :v or long{number} = :v)");
        let projection = format!("#n.get{number}");
        let put = condition("put");
        let expiring = condition("expiring");
        let (update, del, check) = (condition("update"), condition("del"), condition("check"));
        let (query, scan) = (condition("query"), condition("scan"));
        let with = |args: &[&'static str], clause: &'static str, expression: &str| -> Vec<Vec<u8>> {
            let mut all: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
            all.extend([clause, expression, "VALUES", &values].map(|arg| arg.as_bytes().to_vec()));
            all
        };
        let get = ["ITEM.GET", "t", "a", "FIELDS", "1", &projection, "NAMES", &names];
        let cases = [
            (with(&["ITEM.PUT", "t", "a", "SET", "0"], "IF", &put), put.as_str()),
            (with(&["ITEM.PUT", "t", "a", "SET", "0", "EX", "9"], "IF", &expiring), expiring.as_str()),
            (with(&["ITEM.UPDATE", "t", "a", "PX", "9", "REMOVE", "1", "b"], "IF", &update), &update),
            (with(&["ITEM.DEL", "t", "a"], "IF", &del), &del),
            (with(&["ITEM.CHECK", "t", "a"], "IF", &check), &check),
            (with(&["ITEM.QUERY", "t", "a"], "WHERE", &query), &query),
            (get.map(|arg| arg.as_bytes().to_vec()).to_vec(), &projection),
        ];
        for (args, expression) in &cases {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            let reply = reads_before_it_locks(&h, &[args], expression);
            assert!(!reply.starts_with('-'), "{reply}");
        }
        // A scan outside of transactions locks nothing before it walks; in a transaction it needs every shard.
        let scan_args = with(&["ITEM.SCAN", "t"], "WHERE", &scan);
        let scan_args = scan_args.iter().map(Vec::as_slice).collect();
        let calls = [vec![&b"MULTI"[..]], scan_args, vec![&b"EXEC"[..]]];
        let reply = reads_before_it_locks(&h, &calls, &scan);
        assert!(reply.starts_with("[[\"items\""), "{reply}");
    }
}

#[test]
fn all_requests_of_a_transaction_are_read_before_its_shards_are_locked() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id");
    let text = "x".repeat(2 << 20);
    let mut calls = vec![vec![&b"MULTI"[..]]];
    for key in [b"a", b"b", b"c", b"d"] {
        calls.push(vec![b"ITEM.PUT", b"t", key, b"SET", b"1", b"text", text.as_bytes()]);
    }
    let expression = "attribute_not_exists(the_last_of_many)";
    calls[4].extend([&b"IF"[..], expression.as_bytes()]);
    calls.push(vec![b"EXEC"]);
    assert_eq!(reads_before_it_locks(&h, &calls, expression), "[+OK +OK +OK +OK]");
}

#[test]
fn the_requests_of_a_transaction_are_bounded_together() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id");
    h.configure("item-max-transaction-size", "10000");
    let text = "x".repeat(4000);
    let put = |key: &str| format!("ITEM.PUT t {key} SET 1 text {text}");
    let refusal =
        "-VALIDATION the requests of a transaction may have 10000 bytes together (item-max-transaction-size)";
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    h.run("MULTI");
    // Commands that do not write items do not count.
    let lines = [&put("a"), &put("b"), &format!("SET k {}", text.repeat(3)), &put("c"), "EXEC"];
    let replies: Vec<String> = lines.iter().map(|line| h.run(line)).collect();
    assert_eq!(replies, ["+QUEUED", "+QUEUED", "+QUEUED", refusal, aborted]);
    assert_eq!(h.run("ITEM.GET t a"), "nil");
    h.configure("item-max-transaction-size", "1mb");
    h.run("MULTI");
    lines[..4].iter().for_each(|line| assert_eq!(h.run(line), "+QUEUED"));
    assert_eq!(h.run("EXEC"), "[+OK +OK +OK +OK]");
}

/// The deadline of item `a`, in text, after a request was read at one time and carried out at another. Both are in ms
/// after the harness's start.
fn deadline_of(request: &str, read_at: u64, run_at: u64) -> String {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id TTL until");
    let engine = &h.server.engine;
    let begun = engine.clock.now_ms();
    let settings = h.server.config.snapshot();
    let text = "x".repeat(6000);
    let line = request.replace("TEXT", &text);
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let command = h.server.registry.lookup(&args).unwrap();
    let with = Reading { tables: &engine.tables, settings: &settings, now: begun + read_at };
    let mut prepared = Prepared::read(&command.spec.prepare.unwrap(), &with, &args);
    assert!(prepared.is_some());
    h.advance(run_at);
    let (server, client) = h.parts();
    let mut out = Reply::new(Proto::V2);
    let run = |tx: &mut Tx<'_>| {
        let mut cx = Cx { tx, out: &mut out, client, server, settings: &settings, prepared: &mut prepared };
        (command.spec.run)(&mut cx, &args).unwrap();
    };
    server.engine.transact_over(Holder::Populating, Over::Everything, 0, &mut Vec::new(), run).unwrap();
    h.run("ITEM.GET t a FIELDS 1 until")
}

#[test]
fn a_deadline_counts_from_the_transaction_however_long_the_request_was_read() {
    let put = "ITEM.PUT t a SET 1 text TEXT";
    let update = "ITEM.UPDATE t a SET 1 text TEXT";
    for request in [put, update] {
        // One of the numbers ends with zeros, so its stored form has fewer digits.
        for (read_at, run_at, deadline) in [
            (0, 0, 1_700_000_009_u64),
            (0, 3000, 1_700_000_012),
            (0, 91_000, 1_700_000_100),
            (91_000, 0, 1_700_000_009),
        ] {
            for expiry in ["EX 9", "PX 9000"] {
                let until = deadline_of(&format!("{request} {expiry}"), read_at, run_at);
                assert_eq!(until, format!(r#"["until" "{deadline}"]"#), "{request} {expiry}");
            }
            let until = deadline_of(&format!("{request} EXAT 1800000000"), read_at, run_at);
            assert_eq!(until, r#"["until" "1800000000"]"#);
        }
    }
}

#[test]
fn an_item_may_not_outgrow_its_limit_by_a_deadline_that_is_filled_in() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id TTL until");
    h.configure("item-max-size", "6000");
    // The sizes of id, text and until: the deadline takes what is left of the item's limit, and not a byte more.
    let most = 6000 - (2 + 1) - 4 - 5 - 6;
    for (bytes, outcome) in [(most, "+OK"), (most + 1, "-VALIDATION")] {
        let line = format!("ITEM.PUT t a SET 1 text {} EX 9", "x".repeat(bytes));
        assert!(h.run(&line).starts_with(outcome), "{bytes}: {}", h.run(&line));
    }
}
