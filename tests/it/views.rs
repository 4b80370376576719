//! Tests keys that are views of items: beside plain hashes, across kill -9, and while tables are created and dropped.

use crate::harness::{Client, Server, Value};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Commands that have the same replies for a plain hash and for a view, with the key as `@`. The hash has the field
/// `id`, which is the view's key attribute.
const SAME: &str = "
    HSET @ id 1 name Ann
    HGETALL @
    HSET @ name Bob age 7 name Eve
    HSETNX @ age 8
    HSETNX @ city Rome
    HGET @ name
    HGET @ none
    HMGET @ id name none age
    HKEYS @
    HVALS @
    HLEN @
    HEXISTS @ city
    HEXISTS @ none
    HSTRLEN @ city
    HSTRLEN @ none
    HDEL @ city none city
    HMSET @ a 1 b 2
    HMSET @ a
    HINCRBY @ a 5
    HINCRBY @ fresh 2
    HINCRBY @ fresh -7
    HINCRBY @ name 1
    HINCRBY @ a x
    HINCRBYFLOAT @ a 0.25
    HINCRBYFLOAT @ exact 1.5
    HINCRBYFLOAT @ name 1
    HRANDFIELD @ 0
    HRANDFIELD @ 100 WITHVALUES
    HSCAN @ 0
    HSCAN @ 0 MATCH a* COUNT 1
    HSCAN @ 0 NOVALUES
    HGETDEL @ FIELDS 2 b none
    HGETEX @ FIELDS 2 a none
    HSETEX @ FNX FIELDS 1 a 9
    HSETEX @ FXX FIELDS 1 a 9
    HTTL @ FIELDS 2 a none
    TYPE @
    EXISTS @ @
    TOUCH @
    OBJECT ENCODING @
    OBJECT REFCOUNT @
    TTL @
    PTTL @
    GET @
    STRLEN @
    GETRANGE @ 0 1
    BITCOUNT @
    MGET @
    PERSIST @
    EXPIRE @ 100
    TTL @
    EXPIRE @ 50 GT
    EXPIRE @ 50 LT
    EXPIRE @ 70 NX
    EXPIRE @ 1 NX XX
    EXPIREAT @ 99999999999
    EXPIRETIME @
    PEXPIRETIME @
    PERSIST @
    TTL @
    HSET @ a
    HGET @
    EXPIRE @ x
    EXPIRE @ -1
    EXISTS @
    HGETALL @
    HKEYS @
    HLEN @
    HGET @ a
    HDEL @ a
    HRANDFIELD @
    HRANDFIELD @ 2
    HSCAN @ 0
    TTL @
    TYPE @
    GET @
    EXPIRE @ 10
    PERSIST @
    DUMP @
    HINCRBY @ n 1
    UNLINK @
    DEL @
";

#[test]
fn a_view_answers_as_a_hash_does() {
    let server = Server::start(&[]);
    for protocol in [2, 3] {
        let mut client = server.client_with(protocol);
        client.run("FLUSHALL");
        client.run("TABLE.DROP users");
        assert!(client.run("TABLE.CREATE users PK id S TTL until KEYSPACE user:{id}").is_ok());
        for line in SAME.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let plain = client.run(&line.replace('@', "plain"));
            let view = client.run(&line.replace('@', "user:1"));
            if let (Some(plain), Some(view), true) = (plain.int(), view.int(), line.contains("TTL")) {
                // The time left is less if it is asked for later.
                assert_eq!(
                    (plain > 0, view.abs_diff(plain) <= 10),
                    (view > 0, true),
                    "RESP{protocol}: {line}"
                );
                continue;
            }
            // The order of a hash's fields differs.
            let (plain, view) = (plain.sorted().to_string(), view.sorted().to_string());
            assert_eq!(view, plain, "RESP{protocol}: {line}");
        }
    }
}

#[test]
fn views_and_lifted_hashes_survive_kill_9() {
    let mut server = Server::start(&["--appendfsync", "everysec"]);
    let mut client = server.client();
    for n in 0..500 {
        client.run(&format!("HSET sess:{n} user u{} hits {n}", n % 7));
        client.run(&format!("EXPIREAT sess:{n} 4000000000"));
    }
    assert!(
        client
            .run("TABLE.CREATE sessions KEYSPACE sess:* PK key TTL until ATTR hits N INDEX by-user PK user S")
            .is_ok()
    );
    assert_eq!(
        client.run("ITEM.QUERY sessions u3 INDEX by-user SUM hits").text(),
        (0..500).filter(|n| n % 7 == 3).sum::<u32>().to_string()
    );
    client.run("HSET sess:new user u3 hits 1000");
    client.run("HINCRBY sess:3 hits 5");
    client.run("DEL sess:10");
    let seen = |client: &mut Client| {
        let mut replies: Vec<String> =
            (0..500).map(|n| client.run(&format!("HGETALL sess:{n}")).to_string()).collect();
        replies.push(client.run("HGETALL sess:new").to_string());
        replies.push(client.run("ITEM.QUERY sessions u3 INDEX by-user SUM hits").to_string());
        replies.push(client.run("DBSIZE").to_string());
        replies.push(client.run("PEXPIRETIME sess:3").to_string());
        replies
    };
    let before = seen(&mut client);
    assert_eq!(before[502], Value::Int(500).to_string());
    for round in 0..2 {
        server.kill9();
        server.up();
        let mut client = server.client();
        assert!(seen(&mut client) == before, "round {round}");
        assert!(client.run("SAVE").is_ok());
    }
    let mut client = server.client();
    assert!(client.run("SET sess:3 x").to_string().contains("WRONGTYPE"));
    assert!(client.run("TABLE.ALTER sessions NOKEYSPACE").is_ok());
    server.kill9();
    server.up();
    let mut client = server.client();
    assert_eq!(client.run("HGETALL sess:3").items().len(), 0);
    assert_eq!(client.run("ITEM.QUERY sessions sess:3 COUNT").int(), Some(1));
}

#[test]
fn counters_of_a_view_lose_nothing_between_two_ways() {
    let server = Server::start(&[]);
    server.client().run("TABLE.CREATE users PK id S KEYSPACE user:{id} ATTR n N");
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.client();
                for n in 0..300 {
                    let id = n % 3;
                    let command = match worker {
                        0 | 1 => format!("HINCRBY user:{id} n 1"),
                        _ => format!("ITEM.UPDATE users {id} INCR 1 n 1"),
                    };
                    assert!(!client.run(&command).is_error());
                }
            });
        }
    });
    let mut client = server.client();
    for id in 0..3 {
        assert_eq!(client.run(&format!("HGET user:{id} n")).text(), "400");
    }
}

/// Debug builds assert that commands touch only keys that they have locked.
#[test]
fn templates_come_and_go_under_traffic() {
    let server = Server::start(&[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..3_u32 {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                let (mut client, mut n) = (server.client(), worker);
                while !done.load(Relaxed) {
                    n = n.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                    let (a, b) = (n >> 8 & 15, n >> 12 & 15);
                    let commands = [
                        format!("HSET k:{a} f {n}"),
                        format!("DEL k:{a} k:{b} other"),
                        format!("EXISTS k:{a} k:{b}"),
                        "MULTI".to_owned(),
                        format!("HINCRBY k:{b} c 1"),
                        format!("HGETALL k:{a}"),
                        "EXEC".to_owned(),
                        format!("WATCH k:{a}"),
                        format!("RENAME k:{a} k:{b}"),
                        "SCAN 0 COUNT 100".to_owned(),
                    ];
                    for command in &commands {
                        let reply = client.run(command);
                        let fine = !reply.is_error() || reply.to_string().contains("no such key");
                        assert!(fine, "{command}: {reply}");
                    }
                }
            });
        }
        let mut client = server.client();
        for round in 0..60 {
            let reply = client.run("TABLE.CREATE t PK id S KEYSPACE k:{id} INDEX ix PK f S PROJECT KEYS");
            assert!(reply.is_ok(), "{reply}");
            for _ in 0..round % 7 {
                client.run("PING");
            }
            assert!(client.run("TABLE.DROP t").is_ok());
        }
        done.store(true, Relaxed);
    });
    assert!(server.client().run("SET alive 1").is_ok());
}

#[test]
fn a_kill_while_hashes_become_items_loses_none() {
    const HASHES: u32 = 4000;
    for delay in [0, 30, 150, 400] {
        let mut server = Server::start(&["--appendfsync", "always"]);
        let mut client = server.client();
        for n in 0..HASHES {
            client.send(&["HSET", &format!("u:{n}"), "n", &n.to_string()]).unwrap();
        }
        for _ in 0..HASHES {
            assert_eq!(client.read().int(), Some(1));
        }
        client
            .send(&["TABLE.CREATE", "t", "PK", "id", "KEYSPACE", "u:{id}", "INDEX", "ix", "PK", "n", "S"])
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        server.kill9();
        server.up();
        let mut client = server.client();
        for n in 0..HASHES {
            let fields = client.run(&format!("HMGET u:{n} n")).items();
            assert_eq!(fields[0].text(), n.to_string(), "after {delay} ms");
        }
        // Lifting that was begun goes on by itself after the restart.
        let begun = !client.run("TABLE.DESCRIBE t").is_error();
        while begun && client.run("ITEM.GET t 1").is_error() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        if begun {
            assert_eq!(client.run("ITEM.QUERY t 77 INDEX ix COUNT").int(), Some(1));
        }
        assert_eq!(client.run("DBSIZE").int(), Some(i64::from(HASHES)));
    }
}
