//! What a transaction must not miss, and where it must not wait for itself.

mod ahead;
mod clocks;
mod ending;
mod holds;
mod reloads;
mod shown;
mod waiting;
mod watches;

use crate::command::testing::Harness;
use crate::command::{Client, Parked};
use crate::config::{ProtectedAction, Settings};
use crate::engine::Phase;
use crate::node::{AwaitedKey, ClientHandle, Kill, StateSlot, Wait, Watched};
use crate::store::Awaited;
use crate::value::stream::StreamId;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Watches `k` as one client after `before`, lets another client run `lines`, and returns the reply to the first
/// client's EXEC.
fn watched(before: &[&str], lines: &[&str]) -> String {
    let mut h = Harness::new();
    let other = h.connect();
    before.iter().for_each(|line| drop(h.run(line)));
    h.run("WATCH k");
    lines.iter().for_each(|line| drop(h.run_as(other, line)));
    h.run("MULTI");
    h.run("PING");
    h.run("EXEC")
}

#[test]
fn a_watched_key_is_watched_beyond_flushes_and_swaps() {
    let (passed, failed) = ("[+PONG]", "nil");
    assert_eq!(watched(&[], &["FLUSHDB"]), passed);
    assert_eq!(watched(&[], &["FLUSHDB", "SET k 1"]), failed);
    assert_eq!(watched(&["SET k 1"], &["FLUSHALL"]), failed);
    assert_eq!(watched(&[], &["SWAPDB 0 1", "SET k 1"]), failed);
    assert_eq!(watched(&[], &["SWAPDB 0 1", "SELECT 1", "SET k 1"]), passed);
    assert_eq!(watched(&[], &["SELECT 1", "SET k 1", "SWAPDB 0 1"]), failed);
    assert_eq!(watched(&["SET other 1"], &["SWAPDB 0 1", "SWAPDB 0 1"]), passed);
}

#[test]
fn a_watched_key_is_touched_by_a_reload() {
    let mut h = Harness::new();
    h.run("WATCH k");
    h.server.engine.store.raise_all();
    h.server.engine.store.clear();
    h.run("MULTI");
    h.run("PING");
    assert_eq!(h.run("EXEC"), "nil");
}

#[test]
fn figures_are_told_inside_a_transaction_that_holds_shards() {
    let mut h = Harness::new();
    for line in
        ["INFO everything", "MEMORY STATS", "MEMORY DOCTOR", "CLIENT PAUSE 0 WRITE", "DBSIZE", "FLUSHALL"]
    {
        h.run("MULTI");
        h.run("SET k 1");
        h.run(line);
        assert!(h.run("EXEC").starts_with("[+OK "), "{line}");
    }
}

#[test]
fn a_script_writes_nothing_after_a_failed_checkpoint() {
    let mut h = Harness::new();
    h.run("CONFIG SET save \"3600 1\"");
    h.server.engine.save.last_ok.store(false, Relaxed);
    assert!(h.run("SET k 1").starts_with("-MISCONF "));
    let reply = h.run("EVAL \"return redis.call('set', 'k', '1')\" 0");
    assert!(reply.starts_with("-MISCONF "), "{reply}");
    assert_eq!(h.run("EVAL \"return redis.call('exists', 'k')\" 0"), ":0");
}

#[test]
fn a_transaction_does_not_run_on_data_that_is_being_read() {
    let mut h = Harness::new();
    h.run("MULTI");
    h.run("SET k 1");
    h.server.engine.set_phase(Phase::Reloading);
    let refused = h.run("EXEC");
    assert!(refused.starts_with("-EXECABORT Transaction discarded because of: LOADING"), "{refused}");
    h.run("MULTI");
    h.run("ECHO x");
    assert_eq!(h.run("EXEC"), "[\"x\"]");
    h.server.engine.set_phase(Phase::Serving);
    assert_eq!(h.run("GET k"), "nil");
}

#[test]
fn nothing_is_evicted_from_data_that_is_being_read() {
    let mut h = Harness::new();
    h.run("SET k 1");
    h.configure("maxmemory-policy", "allkeys-random");
    h.server.engine.set_phase(Phase::Reloading);
    h.configure("maxmemory", "1");
    assert!(h.run("SET other 1").starts_with("-LOADING"));
    h.configure("maxmemory", "0");
    h.server.engine.set_phase(Phase::Serving);
    assert_eq!(h.run("GET k"), "\"1\"");
    h.configure("maxmemory", "1");
    assert_eq!(h.run("GET k"), "nil", "else it is");
}

/// Runs `work` while another thread holds the shard of an index partition for a while.
fn while_held<R>(h: &mut Harness, partition: &[u8], work: impl FnOnce(&mut Harness) -> R) -> R {
    let engine = std::sync::Arc::clone(&h.server.engine);
    let (held, is_held) = std::sync::mpsc::channel();
    let partition = partition.to_vec();
    let holder = std::thread::spawn(move || {
        let hash = engine.store.hash(&partition);
        let locked = engine.store.lock_one(hash, crate::store::Mode::Read, 0);
        held.send(()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(locked);
    });
    is_held.recv().unwrap();
    let result = work(h);
    holder.join().unwrap();
    result
}

#[test]
fn a_write_that_needs_a_shard_which_is_held_is_run_again() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S INDEX ix PK a S");
    let reply = while_held(&mut h, b"x\0\0", |h| h.run("ITEM.PUT t 1 SET 1 a x RETURN OLD"));
    assert_eq!(reply, "nil");
    assert_eq!(h.run("ITEM.QUERY t x INDEX ix COUNT"), ":1");
}

#[test]
fn a_transaction_that_is_run_again_happens_once() {
    let mut h = Harness::new();
    let other = h.connect();
    h.run("TABLE.CREATE t PK id S INDEX ix PK a S");
    h.run("SET n 5");
    h.run("WATCH n");
    let before = h.server.engine.unsaved.count();
    let reply = while_held(&mut h, b"x\0\0", |h| {
        for line in
            ["MULTI", "INCR n", "SELECT 1", "APPEND k abc", "ITEM.PUT t 1 SET 1 a x", "INCR n", "GET k"]
        {
            h.run(line);
        }
        h.run("EXEC")
    });
    assert_eq!(reply, "[:6 +OK :3 +OK :1 \"abc\"]");
    assert_eq!(h.run("GET k"), "\"abc\"");
    assert_eq!(h.run_as(other, "GET n"), "\"6\"");
    assert_eq!(h.run("ITEM.QUERY t x INDEX ix COUNT"), ":1");
    assert_eq!(h.server.engine.unsaved.count() - before, 5, "the effects of one run");
    let stats = h.run("INFO commandstats");
    assert!(stats.contains("cmdstat_incr:calls=2,"), "{stats}");
}

#[test]
fn what_others_do_between_two_runs_is_seen() {
    let mut h = Harness::new();
    let other = h.connect();
    h.run("TABLE.CREATE t PK id S INDEX ix PK a S");
    h.run("WATCH n");
    h.run_as(other, "SET n 1");
    let reply = while_held(&mut h, b"x\0\0", |h| {
        h.run("MULTI");
        h.run("ITEM.PUT t 1 SET 1 a x");
        h.run("EXEC")
    });
    assert_eq!(reply, "nil");
    assert_eq!(h.run("ITEM.QUERY t x INDEX ix COUNT"), ":0");
}

#[test]
fn views_reach_indexes_as_items_do() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S KEYSPACE user:{id} INDEX ix PK a S");
    let reply = while_held(&mut h, b"x\0\0", |h| h.run("HSET user:1 a x"));
    assert_eq!(reply, ":1");
    h.run("HSET user:2 a x b y");
    h.run("SET other 1");
    assert_eq!(h.run("ITEM.QUERY t x INDEX ix COUNT"), ":2");
    let reply = while_held(&mut h, b"x\0\0", |h| h.run("DEL other user:1 user:2"));
    assert_eq!(reply, ":3");
    assert_eq!(h.run("ITEM.QUERY t x INDEX ix COUNT"), ":0");
    let reply = while_held(&mut h, b"x\0\0", |h| {
        for line in ["MULTI", "SET other 2", "HSET user:3 a x", "HSET user:3 a y", "HSET user:4 a x"] {
            h.run(line);
        }
        h.run("EXEC")
    });
    assert_eq!(reply, "[+OK :1 :0 :1]");
    assert_eq!(h.run("ITEM.QUERY t x INDEX ix COUNT"), ":1");
    assert_eq!(h.run("ITEM.QUERY t y INDEX ix COUNT"), ":1");
}

#[test]
fn memory_can_be_lowered_inside_a_transaction_that_holds_shards() {
    let mut h = Harness::new();
    h.run("CONFIG SET maxmemory-policy allkeys-random");
    for line in ["MULTI", "SET k 1", "CONFIG SET maxmemory 1", "EXISTS k"] {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), "[+OK +OK :1]");
}

#[test]
fn a_table_that_appears_meanwhile_is_missing_or_locked() {
    let mut h = Harness::new();
    let mut other = h.beside();
    let shared = std::sync::Arc::new((AtomicBool::new(false), AtomicU32::new(0)));
    let seen = std::sync::Arc::clone(&shared);
    let writer = std::thread::spawn(move || {
        let (end, written) = &*seen;
        while !end.load(Relaxed) {
            for line in ["ITEM.PUT t a SET 1 n 1", "DDB GetItem '{\"TableName\":\"t\"}'", "ITEM.DEL t a"] {
                written.fetch_add(u32::from(other.run(line) == "+OK"), Relaxed);
            }
            for line in ["MULTI", "ITEM.PUT t b SET 1 n 1", "ITEM.GET t b", "EXEC"] {
                other.run(line);
            }
        }
    });
    let (end, written) = &*shared;
    let mut rounds = 0;
    // The two threads must meet, however busy the machine is.
    while rounds < 2000 || written.load(Relaxed) == 0 {
        h.run("TABLE.CREATE t PK id S");
        std::thread::yield_now();
        h.run("TABLE.DROP t");
        rounds += 1;
    }
    end.store(true, Relaxed);
    writer.join().unwrap();
}

#[test]
fn many_keys_can_be_watched_and_each_once() {
    let mut h = Harness::new();
    let other = h.connect();
    let keys: Vec<String> = (0..20_000).map(|n| format!("k{n}")).collect();
    let line = format!("WATCH {} {}", keys.join(" "), keys.join(" "));
    let began = std::time::Instant::now();
    assert_eq!(h.run(&line), "+OK");
    assert!(began.elapsed().as_secs() < 5, "it takes as long as there are keys, not their square");
    assert!(h.run("CLIENT LIST").contains("watch=20000"));
    h.run_as(other, "SET k19999 1");
    h.run("MULTI");
    assert_eq!(h.run("EXEC"), "nil");
}

const READ: &[&[u8]] = &[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"0"];

/// A client with the id 99 that watches `w`, and whose command waits for the stream `s`.
fn waiting(h: &Harness, words: &[&[u8]]) -> std::sync::Arc<Parked> {
    let engine = &h.server.engine;
    let command = h.server.registry.lookup(words).unwrap();
    let now = engine.clock.instant();
    let handle = ClientHandle::new(99, "127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned(), true, now);
    let handle = std::sync::Arc::new(handle);
    h.server.clients.lock().insert(99, std::sync::Arc::clone(&handle));
    let mut client = Client::new(handle, &h.server.users);
    let hash = engine.store.hash(b"w");
    engine.store.watch(0, b"w", hash, &client.watcher);
    let key = b"w"[..].into();
    client.watched.push(Watched { db: 0, key, hash, item: None, live: false, field_deadline: None });
    let wait = Wait {
        keys: vec![AwaitedKey { key: b"s"[..].into(), awaited: Awaited::Entries, behind: StreamId::MIN }],
        until: None,
        args: words.iter().map(|word| Box::from(*word)).collect(),
        first_key: 3,
        alone: |wait, _| wait.args.iter().map(|arg| std::borrow::Cow::Borrowed(&**arg)).collect(),
        reply_on_timeout: crate::resp::Reply::null_array,
    };
    let parked = Parked::register(engine, &client, command, wait);
    parked.park(&engine.store, client);
    parked
}

#[test]
fn a_panic_of_a_command_that_waits_costs_its_connection_only() {
    let settings = Settings { enable_debug_command: ProtectedAction::Yes, ..Settings::default() };
    let mut h = Harness::with(settings);
    let engine = std::sync::Arc::clone(&h.server.engine);
    let parked = waiting(&h, &[b"DEBUG", b"PANIC", b"other"]);
    assert_eq!(engine.store.watched(), 1);
    assert_eq!(h.run("XADD s 1-1 a b"), "\"1-1\"");
    assert_eq!(parked.handle.killed(), Kill::Now);
    assert_eq!(engine.store.watched(), 0, "what it watched is forgotten");
    assert!(!engine.store.has_ready(), "nobody has to serve it again");
    assert_eq!(h.run("XADD s 2-1 a b"), "\"2-1\"");
    assert_eq!(h.run("GET other"), "\"panic\"", "what it had changed stays");
}

#[test]
fn client_unblock_reaches_a_client_whose_command_is_just_being_run_again() {
    for (line, with_error) in [("CLIENT UNBLOCK 99", false), ("CLIENT UNBLOCK 99 ERROR", true)] {
        let mut h = Harness::new();
        let parked = waiting(&h, READ);
        let mut slot = parked.claim(0).unwrap();
        let StateSlot::Waiting(client) = std::mem::replace(&mut *slot, StateSlot::Gone) else {
            panic!("it waits")
        };
        assert_eq!(h.run(line), ":1");
        assert_eq!(h.run(line), ":0", "it has been asked already");
        // It finds nothing.
        parked.wait_on(slot, client);
        assert_eq!(parked.unblocked(), Some(with_error));
        assert_eq!(h.run("XADD s 1-1 a b"), "\"1-1\"");
        assert!(parked.take_served().is_none(), "it takes nothing any more");
        assert!(parked.withdraw().is_some());
    }
}

#[test]
fn a_client_that_finds_nothing_waits_on_and_can_be_unblocked() {
    let mut h = Harness::new();
    let parked = waiting(&h, READ);
    let mut slot = parked.claim(0).unwrap();
    let StateSlot::Waiting(client) = std::mem::replace(&mut *slot, StateSlot::Gone) else {
        panic!("it waits")
    };
    parked.wait_on(slot, client);
    assert_eq!(parked.unblocked(), None);
    assert_eq!(h.run("XADD s 1-1 a b"), "\"1-1\"");
    assert!(parked.take_served().is_some());
    assert_eq!(h.run("CLIENT UNBLOCK 99"), ":0");
}

/// A command that asks about the whole server runs in a transaction that holds the key's shard exclusively, or shares
/// it while a writer waits for it.
#[test]
fn what_a_transaction_asks_of_the_whole_server_does_not_wait_for_its_own_shards() {
    let asked = [
        "INFO",
        "INFO keyspace",
        "DBSIZE",
        "SCAN 0",
        "RANDOMKEY",
        "KEYS *",
        "MEMORY STATS",
        "CLIENT LIST",
        "LASTSAVE",
    ];
    let mut h = Harness::new();
    for line in asked {
        for first in ["SET k 1 EX 100", "GET k", "HSET h f v", "XLEN s"] {
            for line in ["MULTI", "SET k 1 EX 100", first, line] {
                h.run(line);
            }
            assert!(h.run("EXEC").starts_with('['), "{line} behind {first}");
        }
    }
    assert_eq!(h.run("GET k"), "\"1\"");
}

/// Runs `lines` again and again on a thread of its own while `check` is asked about each reply to `question`.
fn meanwhile(h: &mut Harness, lines: &'static [&str], question: &str, check: impl Fn(&str) -> bool) {
    let mut other = h.beside();
    let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ended = std::sync::Arc::clone(&end);
    let writer = std::thread::spawn(move || {
        while !ended.load(Relaxed) {
            lines.iter().for_each(|line| drop(other.run(line)));
        }
    });
    for _ in 0..3000 {
        let reply = h.run(question);
        assert!(check(&reply), "{question} shows half of a transaction: {reply}");
    }
    end.store(true, Relaxed);
    writer.join().unwrap();
}

#[test]
fn counts_show_no_half_of_a_transaction() {
    let mut h = Harness::new();
    let all_or_nothing: fn(&str) -> bool = |reply| [":0", ":3"].contains(&reply);
    meanwhile(&mut h, &["MSET a 1 b 1 c 1", "DEL c b a"], "DBSIZE", all_or_nothing);
    h.run("TABLE.CREATE t PK id S");
    let lines = [
        "MULTI",
        "ITEM.PUT t a SET 1 n 1",
        "ITEM.PUT t b SET 1 n 1",
        "EXEC",
        "MULTI",
        "ITEM.DEL t a",
        "ITEM.DEL t b",
        "EXEC",
    ];
    let lines: &'static [&str] = Vec::leak(lines.to_vec());
    meanwhile(&mut h, lines, "TABLE.DESCRIBE t", |reply| !reply.contains("\"items\" :1"));
}

#[test]
fn monitors_see_a_transaction_once_it_is_in_the_log() {
    let mut h = Harness::new();
    let monitor = h.connect();
    h.run_as(monitor, "MONITOR");
    for line in ["MULTI", "SET k 1", "SET n 2"] {
        h.run(line);
    }
    h.run("EXEC");
    let shown = h.pushed_to(monitor);
    let at = |words: &str| shown.find(words).unwrap_or_else(|| panic!("{words} in {shown}"));
    assert!(at("\"SET\" \"k\"") < at("\"SET\" \"n\"") && at("\"SET\" \"n\"") < at("\"EXEC\""));
}

#[test]
fn what_goes_through_many_elements_does_not_hold_the_worker_up() {
    let mut h = Harness::new();
    let numbers: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    for (add, key) in [("RPUSH", "many"), ("RPUSH", "few"), ("SADD", "set"), ("ZADD", "zset")] {
        let count = if key == "few" { 100 } else { numbers.len() };
        let mut args: Vec<&[u8]> = vec![add.as_bytes(), key.as_bytes()];
        args.extend(
            numbers[..count].iter().flat_map(|n| vec![n.as_bytes(); if add == "ZADD" { 2 } else { 1 }]),
        );
        h.call_as(0, &args);
    }
    h.run("SETRANGE long 3000000 x");
    let payload = vec![b'x'; 9_000];
    for (line, long) in [
        ("SORT many", true),
        ("SORT_RO many BY nosort LIMIT 0 1", true),
        ("SORT set STORE few", true),
        ("SORT few", false),
        ("SORT_RO none", false),
        ("SUNION none set", true),
        ("SUNIONSTORE d few set", true),
        ("SUNION none", false),
        ("ZUNION 2 none zset", true),
        ("ZUNIONSTORE d 1 zset", true),
        ("ZUNION 1 none", false),
        ("SINTER none set", false),
        ("LRANGE many 0 0", false),
        ("COPY many d", true),
        ("COPY few d", false),
        ("DUMP many", true),
        ("BITOP NOT d long", true),
        ("BITOP NOT d few", false),
        ("BITCOUNT long", true),
        ("BITPOS long 1", true),
        ("COPY long d", true),
        ("STRLEN long", false),
    ] {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(h.takes_long(&args), long, "{line}");
    }
    assert!(h.takes_long(&[b"RESTORE", b"k", b"0", &payload]));
    assert!(!h.takes_long(&[b"RESTORE", b"k", b"0", &payload[..8_000]]));
}
