//! Tests commands that wait for keys, over sockets, and beside Redis 7.0 if it does the same.

use crate::harness::{Client, Server, Value, on_both};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

/// One entry of one stream, in the form of an XREAD reply in RESP2.
fn entry(key: &str, id: &str, field: &str, value: &str) -> Value {
    let fields = Value::Array(vec![bulk(field), bulk(value)]);
    let entries = Value::Array(vec![Value::Array(vec![bulk(id), fields])]);
    Value::Array(vec![Value::Array(vec![bulk(key), entries])])
}

/// Sends a command and waits until `blocked` clients are blocked.
fn block(server: &Server, client: &mut Client, command: &str, blocked: usize) {
    let args: Vec<&str> = command.split_whitespace().collect();
    client.send(&args).unwrap();
    until_blocked(server, blocked);
}

fn until_blocked(server: &Server, blocked: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.info("blocked_clients") != blocked.to_string() {
        assert!(Instant::now() < deadline, "{blocked} clients are blocked");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn error(value: &Value) -> String {
    match value {
        Value::Error(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("an error, not {other}"),
    }
}

#[test]
fn what_was_sent_ahead_is_answered_in_order() {
    const AHEAD: usize = 50_000;
    on_both(&[], |server| {
        let (mut reader, mut writer) = (server.client(), server.client());
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
        for number in 0..AHEAD {
            reader.send(&["ECHO", &number.to_string()]).unwrap();
        }
        assert_eq!(writer.run("XADD s 1-1 f v"), bulk("1-1"));
        assert_eq!(reader.read(), entry("s", "1-1", "f", "v"));
        for number in 0..AHEAD {
            assert_eq!(reader.read(), bulk(&number.to_string()));
        }
    });
}

#[test]
fn a_reader_is_served_before_what_follows() {
    on_both(&[], |server| {
        let (mut reader, mut writer) = (server.client(), server.client());
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS a b $ $", 1);
        let more = ["PING"];
        reader.send(&more).unwrap();
        assert_eq!(writer.run("XADD b 1-1 f v"), bulk("1-1"));
        assert_eq!(server.info("blocked_clients"), "0");
        assert_eq!(reader.read(), entry("b", "1-1", "f", "v"));
        assert_eq!(reader.read(), Value::Simple(b"PONG".to_vec()));
        // `$` keeps the meaning that it had when the command began to wait.
        block(server, &mut reader, "XREAD COUNT 1 BLOCK 60000 STREAMS a b $ $", 1);
        writer.run("MULTI");
        writer.run("XADD b 2-1 f w");
        writer.run("XADD b 3-1 f x");
        writer.run("EXEC");
        assert_eq!(reader.read(), entry("b", "2-1", "f", "w"));
    });
}

#[test]
fn the_slow_log_shows_what_was_sent() {
    on_both(&["--slowlog-log-slower-than", "0"], |server| {
        let (mut reader, mut writer) = (server.client(), server.client());
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
        assert_eq!(writer.run("XADD s 1-1 f v"), bulk("1-1"));
        assert_eq!(reader.read(), entry("s", "1-1", "f", "v"));
        let Value::Array(slow) = writer.run("SLOWLOG GET -1") else { panic!("no array") };
        let sent = ["XREAD", "BLOCK", "0", "STREAMS", "s", "$"].map(bulk).to_vec();
        let shows =
            |entry: &Value| matches!(entry, Value::Array(parts) if parts[3] == Value::Array(sent.clone()));
        assert_eq!(slow.iter().filter(|entry| shows(entry)).count(), 1);
    });
}

/// However the waiting ends, commands that arrived meanwhile run then, without any further input.
#[test]
fn what_comes_meanwhile_is_run_afterwards() {
    on_both(&[], |server| {
        let (mut reader, mut other) = (server.client(), server.client());
        let id = reader.run("CLIENT ID").text();
        for how in ["served", "unblocked", "failed", "late"] {
            if how == "late" {
                reader.send(&["XREAD", "BLOCK", "300", "STREAMS", "s", "$"]).unwrap();
            } else {
                block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
            }
            std::thread::sleep(Duration::from_millis(30));
            for command in ["SET k v", "GET k"] {
                reader.send(&command.split(' ').collect::<Vec<_>>()).unwrap();
                std::thread::sleep(Duration::from_millis(30));
            }
            match how {
                "served" => drop(other.run("XADD s 1-1 f v")),
                "unblocked" => drop(other.run(&format!("CLIENT UNBLOCK {id}"))),
                "failed" => drop(other.run(&format!("CLIENT UNBLOCK {id} ERROR"))),
                _ => {}
            }
            reader.read();
            assert_eq!((reader.read(), reader.read()), (Value::Simple(b"OK".to_vec()), bulk("v")), "{how}");
        }
    });
}

#[test]
fn the_first_who_waits_is_served_first() {
    on_both(&[], |server| {
        let mut writer = server.client();
        writer.run("XGROUP CREATE s g $ MKSTREAM");
        let mut readers: Vec<Client> = (0..8).map(|_| server.client()).collect();
        for (n, reader) in readers.iter_mut().enumerate() {
            block(server, reader, &format!("XREADGROUP GROUP g c{n} COUNT 1 BLOCK 0 STREAMS s >"), n + 1);
        }
        for (n, reader) in readers.iter_mut().enumerate() {
            let id = format!("{}-1", n + 1);
            writer.run(&format!("XADD s {id} n {n}"));
            assert_eq!(server.info("blocked_clients"), (7 - n).to_string());
            assert_eq!(reader.read(), entry("s", &id, "n", &n.to_string()));
        }
        let pending = writer.run("XPENDING s g");
        assert!(matches!(&pending, Value::Array(parts) if parts[0] == Value::Int(8)), "{pending}");
    });
}

#[test]
fn time_is_up_to_the_millisecond() {
    on_both(&[], |server| {
        let mut reader = server.client();
        for millis in [1, 30, 120] {
            let mut once = || {
                let began = Instant::now();
                assert!(reader.run(&format!("XREAD BLOCK {millis} STREAMS s $")).is_null());
                let took = began.elapsed();
                assert!(took >= Duration::from_millis(millis), "{took:?}");
                took
            };
            // A busy machine may be late sometimes; a server that is late is late each time.
            assert!((0..10).any(|_| once() < Duration::from_millis(millis + 150)), "{millis} ms take longer");
        }
        assert_eq!(server.info("blocked_clients"), "0");
        assert_eq!(reader.run("PING"), Value::Simple(b"PONG".to_vec()));
        let mut newer = server.client_with(3);
        assert!(newer.run("XREAD BLOCK 5 STREAMS s $").is_null());
    });
}

#[test]
fn clients_are_unblocked_by_others() {
    on_both(&[], |server| {
        let (mut reader, mut other) = (server.client(), server.client());
        let Value::Int(id) = reader.run("CLIENT ID") else { panic!("a number") };
        assert_eq!(other.run(&format!("CLIENT UNBLOCK {id}")), Value::Int(0));
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
        let list = other.run("CLIENT LIST").text();
        let line = list.lines().find(|line| line.starts_with(&format!("id={id} "))).unwrap();
        assert!(line.contains("flags=b") && line.contains("cmd=xread"), "{line}");
        assert_eq!(other.run(&format!("CLIENT UNBLOCK {id}")), Value::Int(1));
        assert!(reader.read().is_null());
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
        assert_eq!(other.run(&format!("CLIENT UNBLOCK {id} ERROR")), Value::Int(1));
        assert_eq!(error(&reader.read()), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
        assert_eq!(other.run(&format!("CLIENT UNBLOCK {id} TIMEOUT")), Value::Int(1));
        assert!(reader.read().is_null());
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
        assert_eq!(other.run(&format!("CLIENT KILL ID {id}")), Value::Int(1));
        until_blocked(server, 0);
        assert_eq!(reader.read(), Value::Eof);
        // A connection that its client closes leaves no waiting client.
        let mut reader = server.client();
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
        drop(reader);
        until_blocked(server, 0);
        other.run("XADD s * f v");
    });
}

#[test]
fn changes_that_are_no_entries() {
    on_both(&[], |server| {
        let (mut reader, mut writer) = (server.client(), server.client());
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS s t 0 0", 1);
        for command in
            ["SET s x", "DEL s", "XGROUP CREATE s g $ MKSTREAM", "SET t 1", "DEL t", "HSET t f v", "FLUSHALL"]
        {
            writer.run(command);
            assert_eq!(server.info("blocked_clients"), "1", "{command}");
        }
        for command in ["MULTI", "XADD s 1-1 f v", "DEL s", "EXEC", "XADD other 1-1 f v"] {
            writer.run(command);
        }
        assert_eq!(server.info("blocked_clients"), "1");
        writer.run("RENAME other s");
        assert_eq!(reader.read(), entry("s", "1-1", "f", "v"));
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS t 0", 1);
        writer.run("COPY s t");
        assert_eq!(reader.read(), entry("t", "1-1", "f", "v"));
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS u 0", 1);
        let dump = writer.run("DUMP s");
        let Value::Bulk(bytes) = dump else { panic!("bytes") };
        writer.call(&[b"RESTORE".as_slice(), b"u", b"0", &bytes]);
        assert_eq!(reader.read(), entry("u", "1-1", "f", "v"));
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS w 0", 1);
        writer.run("SELECT 1");
        writer.run("XADD w 1-1 f v");
        assert_eq!(server.info("blocked_clients"), "1");
        writer.run("SWAPDB 0 1");
        assert_eq!(reader.read(), entry("w", "1-1", "f", "v"));
        block(server, &mut reader, "XREAD BLOCK 0 STREAMS m 0", 1);
        writer.run("XADD m 1-1 f v");
        writer.run("MOVE m 0");
        assert_eq!(reader.read(), entry("m", "1-1", "f", "v"));
    });
}

/// If a group is removed, its waiting readers get an error, as in Redis 7.2.
#[test]
fn groups_that_go_away() {
    let server = &mut Server::start(&[]);
    let (mut reader, mut writer) = (server.client(), server.client());
    let gone = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    for (commands, message) in [
        (vec!["XGROUP DESTROY s g"], gone),
        (vec!["DEL s"], gone),
        (vec!["SET s x"], wrong),
        (vec!["FLUSHALL"], gone),
        (vec!["FLUSHDB"], gone),
        (vec!["SWAPDB 0 1", "FLUSHALL"], gone),
        (vec!["RENAME s t"], gone),
        (vec!["MULTI", "DEL s", "XADD s 1-1 f v", "EXEC"], gone),
        (vec!["PEXPIRE s 30"], gone),
        (vec!["PEXPIRE s 1"], gone),
    ] {
        writer.run("DEL s");
        writer.run("XGROUP CREATE s g $ MKSTREAM");
        block(server, &mut reader, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", 1);
        for command in &commands {
            writer.run(command);
        }
        assert_eq!(error(&reader.read()), message, "{commands:?}");
    }
}

#[test]
fn changes_of_items_are_waited_for() {
    let server = Server::start(&[]);
    let (mut reader, mut grouped, mut writer) = (server.client(), server.client(), server.client());
    writer.run("TABLE.CREATE t PK id S STREAM NEW TTL until");
    writer.run("SELECT 3");
    writer.run("XGROUP CREATE t@stream g $");
    block(&server, &mut reader, "XREAD BLOCK 0 STREAMS t@stream $", 1);
    block(&server, &mut grouped, "XREADGROUP GROUP g c BLOCK 0 STREAMS t@stream >", 2);
    writer.run("ITEM.PUT t k SET 1 a b");
    assert_eq!(server.info("blocked_clients"), "0");
    let (one, other) = (reader.read().to_string(), grouped.read().to_string());
    assert!(one.contains("INSERT") && one == other, "{one}\n{other}");
    // A change that no command makes, an expiry, is seen as well.
    writer.run("ITEM.PUT t k SET 1 a c EX 1");
    let last = writer.run("XREVRANGE t@stream + - COUNT 1").items()[0].items()[0].text();
    let gone = reader.run(&format!("XREAD BLOCK 20000 STREAMS t@stream {last}")).to_string();
    assert!(gone.contains("REMOVE") && gone.contains("ttl"), "{gone}");
    block(&server, &mut grouped, "XREADGROUP GROUP g c COUNT 9 BLOCK 0 STREAMS t@stream >", 0);
    grouped.read();
    block(&server, &mut grouped, "XREADGROUP GROUP g c BLOCK 0 STREAMS t@stream >", 1);
    writer.run("TABLE.DROP t");
    assert!(error(&grouped.read()).starts_with("NOGROUP"));
    assert_eq!(server.info("total_blocking_keys"), "0");
}

#[test]
fn figures_of_those_who_wait() {
    let server = Server::start(&[]);
    let (mut a, mut b, mut c) = (server.client(), server.client(), server.client());
    c.run("XGROUP CREATE s g $ MKSTREAM");
    block(&server, &mut a, "XREAD BLOCK 0 STREAMS s t s $ $ $", 1);
    block(&server, &mut b, "XREADGROUP GROUP g c BLOCK 60000 STREAMS s >", 2);
    assert_eq!(server.info("total_blocking_keys"), "2");
    assert_eq!(server.info("total_blocking_keys_on_nokey"), "1");
    assert_eq!(server.info("clients_in_timeout_table"), "1");
    c.run("XADD s 1-1 f v");
    assert_eq!(server.info("total_blocking_keys"), "0");
    a.read();
    assert_eq!(b.read(), entry("s", "1-1", "f", "v"));
    let stats = c.run("INFO commandstats").text();
    assert!(stats.contains("cmdstat_xread:calls=1,"), "{stats}");
}

#[test]
fn one_reader_per_entry_from_many_threads() {
    const READERS: usize = 12;
    const WRITERS: usize = 3;
    const ENTRIES: usize = 200;
    let server = Server::start(&["--io-threads", "4", "--appendonly", "yes", "--appendfsync", "always"]);
    server.client().run("XGROUP CREATE s g $ MKSTREAM");
    let all = AtomicUsize::new(0);
    let deadline = Instant::now() + Duration::from_mins(1);
    let got = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|n| {
                let (mut client, all) = (server.client(), &all);
                scope.spawn(move || {
                    let mut got = Vec::new();
                    while all.load(Relaxed) < WRITERS * ENTRIES && Instant::now() < deadline {
                        let command = format!("XREADGROUP GROUP g c{n} COUNT 1 BLOCK 100 STREAMS s >");
                        let reply = client.run(&command);
                        if !reply.is_null() {
                            all.fetch_add(1, Relaxed);
                            got.push(reply.to_string());
                        }
                    }
                    got
                })
            })
            .collect();
        for n in 0..WRITERS {
            let mut client = server.client();
            scope.spawn(move || {
                for i in 0..ENTRIES {
                    assert!(matches!(client.run(&format!("XADD s * w{n} {i}")), Value::Bulk(_)));
                }
            });
        }
        let mut got: Vec<String> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        got.sort();
        got
    });
    assert_eq!(got.len(), WRITERS * ENTRIES);
    let mut distinct = got.clone();
    distinct.dedup();
    assert_eq!(distinct.len(), got.len());
    let mut server = server;
    server.crash();
    let pending = server.client().run("XPENDING s g");
    assert!(
        matches!(&pending, Value::Array(parts) if parts[0] == Value::Int((WRITERS * ENTRIES) as i64)),
        "{pending}"
    );
}

#[test]
fn a_stop_does_not_wait_for_those_who_wait() {
    let mut server = Server::start(&[]);
    let mut reader = server.client();
    block(&server, &mut reader, "XREAD BLOCK 0 STREAMS s $", 1);
    // The clients wait for ever; the server must stop nevertheless, within a minute.
    assert!(server.stop().success());
    assert_eq!(reader.read(), Value::Eof);
}

#[test]
fn waiting_costs_nothing() {
    let server = Server::start(&[]);
    let mut readers: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for (n, reader) in readers.iter_mut().enumerate() {
        block(&server, reader, "XREAD BLOCK 0 STREAMS s $", n + 1);
    }
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        // After the name, the state (which is no number) is left out: user and system time are the 11th and 12th fields
        // from there.
        fields[10] + fields[11]
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(1));
    let used = ticks() - before;
    assert!(used < 20, "{used} ticks of 10 ms in a second");
}

/// The client gets the entries of the key that became ready first, as in Redis 7.0.
#[test]
fn who_waits_for_several_keys_is_served_from_one() {
    on_both(&[], |server| {
        let (mut reader, mut writer) = (server.client(), server.client());
        block(server, &mut reader, "XREAD COUNT 2 BLOCK 0 STREAMS a b c $ 1-1 0", 1);
        for command in
            ["MULTI", "XADD b 1-1 f v", "XADD b 1-2 f v", "XADD a 1-1 f v", "XADD c 1-1 f v", "EXEC"]
        {
            writer.run(command);
        }
        assert_eq!(reader.read(), entry("b", "1-2", "f", "v"));
        assert_eq!(server.info("blocked_clients"), "0");
    });
}

/// Many clients wait in a group, and as many entries are added at once: each client gets the entry that belongs to it.
#[test]
fn a_crowd_is_served_in_its_order() {
    const CROWD: usize = 300;
    on_both(&[], |server| {
        let mut writer = server.client();
        for key in ["s", "t"] {
            writer.run(&format!("XGROUP CREATE {key} g $ MKSTREAM"));
        }
        let mut readers: Vec<Client> = (0..CROWD).map(|_| server.client()).collect();
        for (n, reader) in readers.iter_mut().enumerate() {
            let command = format!("XREADGROUP GROUP g c{n} COUNT 1 BLOCK 0 STREAMS t s > >");
            reader.send(&command.split(' ').collect::<Vec<_>>()).unwrap();
            // Without this they might begin to wait in another order.
            until_blocked(server, n + 1);
        }
        let key = |n: usize| if n.is_multiple_of(3) { "t" } else { "s" };
        for n in 0..CROWD - 1 {
            writer.send(&["XADD", key(n), &format!("{}-1", n + 1), "n", &n.to_string()]).unwrap();
        }
        for n in 0..CROWD - 1 {
            assert_eq!(writer.read(), bulk(&format!("{}-1", n + 1)));
        }
        for (n, reader) in readers.iter_mut().enumerate().take(CROWD - 1) {
            assert_eq!(reader.read(), entry(key(n), &format!("{}-1", n + 1), "n", &n.to_string()));
        }
        assert_eq!(server.info("blocked_clients"), "1");
    });
}
