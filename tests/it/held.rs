//! Tests of the memory that is held for clients: it is bounded while commands run, counted, and given back.

use crate::harness::memory::{MB, grown_since, peak, used};
use crate::harness::{Client, Server, Value, on_both, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A client reads, but is always behind. Replies that were sent take no memory, however long that goes on.
#[test]
fn replies_that_were_sent_take_no_memory() {
    on_both(&["--save", ""], |server| {
        const OUTSTANDING: usize = 24;
        const ROUND: usize = 8;
        let mut client = server.client();
        assert!(client.call(&["SET", "big", &"x".repeat(MB)]).is_ok());
        let before = peak(server);
        let mut slow = TcpStream::connect(server.address()).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let get = Client::encode(&["GET", "big"]);
        let mut reply = vec![0; format!("${MB}\r\n\r\n").len() + MB];
        slow.write_all(&get.repeat(OUTSTANDING)).unwrap();
        for round in 1..=40 {
            slow.write_all(&get.repeat(ROUND)).unwrap();
            let asked = (OUTSTANDING + round * ROUND).to_string();
            until("all are answered", || server.info("keyspace_hits") == asked);
            for _ in 0..ROUND {
                slow.read_exact(&mut reply).unwrap();
            }
        }
        let grown = grown_since(before, server);
        assert!(grown < 120 * MB, "{grown} bytes for {OUTSTANDING} MB that wait");
        for _ in 0..OUTSTANDING {
            slow.read_exact(&mut reply).unwrap();
            assert!(reply.starts_with(b"$1048576\r\nx") && reply.ends_with(b"x\r\n"));
        }
        assert_eq!(server.client().run("PING"), Value::Simple(b"PONG".to_vec()));
    });
}

/// The limit bounds the replies of one command, and of a transaction of many: no more than that is ever held. The
/// changes of the transaction are made nevertheless.
#[test]
fn the_output_limit_holds_within_a_command_and_a_transaction() {
    on_both(&["--client-output-buffer-limit", "normal 8mb 0 0", "--save", ""], |server| {
        let mut other = server.client();
        assert!(other.call(&["SET", "big", &"x".repeat(4 * MB)]).is_ok());
        let before = peak(server);
        let get = Client::encode(&["GET", "big"]);
        let within = |command: &[u8]| [b"*1\r\n$5\r\nMULTI\r\n", command, b"*1\r\n$4\r\nEXEC\r\n"].concat();
        let many: Vec<&str> = std::iter::once("MGET").chain(std::iter::repeat_n("big", 100)).collect();
        let set = Client::encode(&["SET", "done", "1"]);
        for (what, request) in [
            ("MGET", Client::encode(&many)),
            ("EXEC", within(&[get.repeat(100), set].concat())),
            ("MGET in EXEC", within(&Client::encode(&many))),
            ("a pipeline", get.repeat(100)),
        ] {
            let mut client = server.client();
            drop(client.send_raw(&request));
            assert!(client.is_closed(), "{what}: the client is still there");
            let grown = grown_since(before, server);
            assert!(grown < 60 * MB, "{what}: {grown} bytes more");
        }
        assert_eq!(other.run("GET done").text(), "1");
        // A reply that fits is sent.
        assert_eq!(other.call(&["GET", "big"]).bytes().unwrap().len(), 4 * MB);
    });
}

/// If the reply of a transaction that is all or nothing is too large to be sent, nothing was changed, and its token is
/// not remembered.
#[test]
fn an_atomic_transaction_whose_replies_are_too_large_is_not_carried_out() {
    let server = Server::start(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
    let mut client = server.client();
    assert!(client.call(&["SET", "big", &"x".repeat(MB / 2)]).is_ok());
    assert!(client.call(&["HSET", "h", "f", &"x".repeat(MB / 2)]).int().is_some());
    for first in ["ITEM.ATOMIC", "ITEM.ATOMIC TOKEN t"] {
        let mut closed = server.client();
        for line in ["MULTI", first, "SET done 1", "GET big", "GET big", "GET big", "SET done 2"] {
            closed.run(line);
        }
        closed.send(&["EXEC"]).unwrap();
        assert_eq!(closed.read(), Value::Eof, "{first}");
        assert_eq!(client.run("EXISTS done"), Value::Int(0), "{first}");
    }
    // The same is true if the limit is smaller than the space that a reply buffer begins with.
    assert!(client.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 1000 0 0"]).is_ok());
    assert!(client.call(&["SET", "small", &"x".repeat(100)]).is_ok());
    let mut closed = server.client();
    for line in
        ["MULTI", "ITEM.ATOMIC", "SET done 1"].into_iter().chain(std::iter::repeat_n("GET small", 200))
    {
        closed.run(line);
    }
    let reply = closed.run("EXEC");
    assert!(
        reply.text().contains("the replies are larger than client-output-buffer-limit allows"),
        "{reply}"
    );
    assert_eq!(client.run("EXISTS done"), Value::Int(0));
    assert!(client.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0"]).is_ok());
    // A reply that would have no end is cut off.
    let mut closed = server.client();
    closed.send(&["HRANDFIELD", "h", "-4000000000", "WITHVALUES"]).unwrap();
    assert!(closed.is_closed());
    assert_eq!(server.info("client_output_buffer_limit_disconnections"), "3");
}

/// A reply that the client does not want is no reason to close it, however large it is, and the client still gets the
/// replies that it has yet to read.
#[test]
fn replies_that_are_not_wanted_are_no_reason_to_close_a_client() {
    on_both(&["--client-output-buffer-limit", "normal 1mb 0 0", "--save", ""], |server| {
        let mut other = server.client();
        assert!(other.call(&["SET", "big", &"x".repeat(MB * 3 / 4)]).is_ok());
        for n in 0..20 {
            let names = (0..1000).map(|key| format!("{:0>100}", n * 1000 + key));
            let words =
                std::iter::once("MSET".to_owned()).chain(names.flat_map(|name| [name, String::new()]));
            assert!(other.call(&words.collect::<Vec<_>>()).is_ok());
        }
        assert!(other.run("XGROUP CREATE s g $ MKSTREAM").is_ok());
        let before = peak(server);
        let get = Client::encode(&["GET", "big"]);
        let within = |command: &[u8]| [b"*1\r\n$5\r\nMULTI\r\n", command, b"*1\r\n$4\r\nEXEC\r\n"].concat();
        let many: Vec<&str> = std::iter::once("MGET").chain(std::iter::repeat_n("big", 100)).collect();
        let incr = Client::encode(&["INCR", "done"]);
        let waiting = ["XREADGROUP", "GROUP", "g", "me", "BLOCK", "0", "STREAMS", "s", ">"];
        let requests = [
            ("MGET", Client::encode(&many)),
            ("EXEC", within(&[get.repeat(100), incr].concat())),
            ("KEYS", Client::encode(&["KEYS", "*"])),
            ("XREADGROUP", Client::encode(&waiting)),
        ];
        for (what, request) in &requests {
            for off in [true, false] {
                let mut client = server.client();
                let mode = Client::encode(&["CLIENT", "REPLY", if off { "OFF" } else { "SKIP" }]);
                // SKIP would skip the reply of MULTI, but not that of EXEC.
                if !off && *what == "EXEC" {
                    continue;
                }
                client.send_raw(&[&get[..], &mode, request].concat()).unwrap();
                if *what == "XREADGROUP" {
                    until("it waits", || server.info("blocked_clients") == "1");
                    let large = "x".repeat(2 * MB);
                    assert!(!other.call(&["XADD", "s", "*", "f", &large]).is_error());
                }
                client.send(&["CLIENT", "REPLY", "ON"]).unwrap();
                client.send(&["ECHO", "here"]).unwrap();
                assert_eq!(client.read().bytes().map(|bytes| bytes.len()), Some(MB * 3 / 4), "{what} {off}");
                assert!(client.read().is_ok(), "{what} {off}");
                assert_eq!(client.read().text(), "here", "{what} {off}");
            }
        }
        assert_eq!(other.run("GET done").text(), "1");
        assert_eq!(other.run("XPENDING s g").items()[0], Value::Int(2));
        let grown = grown_since(before, server);
        assert!(grown < 60 * MB, "{grown} bytes for what nobody wants");
    });
}

/// The memory that large changes used on their way to the log is given back by the worker that made them.
#[test]
fn large_changes_leave_nothing_behind() {
    on_both(&["--save", ""], |server| {
        // However connections are distributed, each worker gets several of them.
        let mut clients: Vec<Client> = (0..16).map(|_| server.client()).collect();
        let before = used(server);
        for client in &mut clients {
            assert_eq!(client.run("SETRANGE k 10000000 x"), Value::Int(10_000_001));
            assert!(client.run("MULTI").is_ok());
            for line in ["COPY k a", "COPY k b", "DEL k a b"] {
                assert_eq!(client.run(line), Value::Simple(b"QUEUED".to_vec()));
            }
            assert_eq!(client.run("EXEC").to_string(), "[:1 :1 :3]");
        }
        // Large values are freed in the background.
        until("large values are gone", || used(server) < before + 12 * MB);
    });
}

/// A client of MONITOR that does not read is closed when it reaches its limit, not at the next periodic check.
#[test]
fn a_monitor_that_does_not_read_is_closed() {
    on_both(&["--client-output-buffer-limit", "normal 4mb 0 0", "--save", ""], |server| {
        let mut monitor = server.client();
        assert!(monitor.run("MONITOR").is_ok());
        let mut other = server.client();
        let echo = Client::encode(&["SET", "k", &"x".repeat(MB)]);
        let before = peak(server);
        other.send_raw(&echo.repeat(150)).unwrap();
        for _ in 0..150 {
            assert!(other.read().is_ok());
        }
        let grown = grown_since(before, server);
        assert!(grown < 70 * MB, "{grown} bytes for a monitor");
        assert!(monitor.is_closed());
    });
}

/// A client may neither send much nor leave much unread before it has authenticated.
#[test]
fn a_client_that_has_not_authenticated_is_held_short() {
    on_both(&["--save", ""], |server| {
        let mut admin = server.client();
        assert!(admin.run("CONFIG SET requirepass secret").is_ok());
        let before = peak(server);
        for line in [&b"PING\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$6\r\nNOSUCH\r\n"] {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.set_write_timeout(Some(Duration::from_mins(1))).unwrap();
            let flood = line.repeat(1000);
            // Many times more than all buffers between the two can take.
            let closed = (0..24 * MB / flood.len()).any(|_| stream.write_all(&flood).is_err());
            assert!(closed, "{} was sent and nothing was read", String::from_utf8_lossy(line));
        }
        let grown = grown_since(before, server);
        assert!(grown < 24 * MB, "{grown} bytes more");
        for (request, error) in [
            (&b"*11\r\n"[..], "unauthenticated multibulk length"),
            (b"*2\r\n$4\r\nPING\r\n$16385\r\n", "unauthenticated bulk length"),
        ] {
            let mut client = server.client();
            client.send_raw(request).unwrap();
            let expected = format!("ERR Protocol error: {error}");
            assert_eq!(client.read(), Value::Error(expected.into_bytes()));
            assert_eq!(client.read(), Value::Eof);
        }
        // The options bound what a client uses after it has authenticated.
        let mut client = server.client();
        assert!(client.run("AUTH secret").is_ok());
        assert!(client.call(&["SET", "big", &"x".repeat(MB)]).is_ok());
        client.send_raw(&Client::encode(&["GET", "big"]).repeat(20)).unwrap();
        for _ in 0..20 {
            assert_eq!(client.read().bytes().unwrap().len(), MB);
        }
        assert!(admin.call(&["CONFIG", "SET", "requirepass", ""]).is_ok());
    });
}

/// The used memory, once no more memory of other clients is given back.
fn settled(server: &Server) -> usize {
    let (mut least, mut same) = (used(server), 0);
    until("memory comes to rest", || {
        let now = used(server);
        same = if now + 1024 < least { 0 } else { same + 1 };
        least = least.min(now);
        same == 5
    });
    least
}

/// The sum of `tot-mem` over the clients with this name in CLIENT LIST.
fn shown(client: &mut Client, name: &str) -> usize {
    let list = client.run("CLIENT LIST").text();
    let named = list.lines().filter(|line| line.contains(&format!(" name={name} ")));
    let field = |line: &str| line.split(" tot-mem=").nth(1)?.split(' ').next()?.parse().ok();
    named.map(|line| field(line).unwrap_or(0)).sum()
}

/// A kind of client, with the commands by which it holds memory and gives it back.
struct Holding {
    name: &'static str,
    clients: usize,
    begin: Vec<Vec<u8>>,
    end: &'static str,
    /// The most bytes for each client, while it holds memory and afterwards.
    most: (usize, usize),
}

/// All memory that a client holds is part of its tot-mem, about as much as it is, and is given back.
#[test]
fn what_clients_hold_is_counted_and_given_back() {
    let server = Server::start(&["--save", ""]);
    let keys = |command: &[&str], count: usize| {
        let keys = (0..count).map(|n| format!("some-key:{n}"));
        Client::encode(&command.iter().map(ToString::to_string).chain(keys).collect::<Vec<_>>())
    };
    let large = "x".repeat(100_000);
    for Holding { name, clients, begin, end, most } in [
        Holding {
            name: "watching",
            clients: 3,
            begin: vec![keys(&["WATCH"], 50_000)],
            end: "UNWATCH",
            most: (16 * MB, MB / 2),
        },
        Holding {
            name: "queueing",
            clients: 10,
            begin: std::iter::once(Client::encode(&["MULTI"]))
                .chain(std::iter::repeat_n(Client::encode(&["SET", "k", "v"]), 5000))
                .collect(),
            end: "DISCARD",
            most: (2 * MB, 8192),
        },
        Holding {
            name: "named",
            clients: 20,
            begin: vec![Client::encode(&["CLIENT", "SETINFO", "LIB-NAME", &large])],
            end: "CLIENT SETINFO LIB-NAME x",
            most: (150_000, 8192),
        },
        Holding { name: "idle", clients: 200, begin: vec![], end: "PING", most: (8192, 8192) },
        Holding {
            name: "wordy",
            clients: 50,
            begin: vec![keys(&["DEL"], 16_000)],
            end: "PING",
            most: (8192, 8192),
        },
        Holding {
            name: "pipelining",
            clients: 50,
            begin: vec![Client::encode(&["PING"]).repeat(5000)],
            end: "PING",
            most: (8192, 8192),
        },
    ] {
        let mut other = server.client();
        let before = settled(&server);
        let mut all: Vec<Client> = (0..clients).map(|_| server.client()).collect();
        for client in &mut all {
            assert!(client.run(&format!("CLIENT SETNAME {name}")).is_ok());
            hold(client, &begin);
        }
        let really = used(&server).saturating_sub(before);
        let counted = shown(&mut other, name);
        assert!(really < clients * most.0 + MB, "{name}: {really} bytes for {clients} clients");
        let slack = clients * 4096 + MB;
        let near = counted <= 2 * really + slack && really <= 2 * counted + slack;
        assert!(near, "{name}: {counted} bytes are shown, {really} are used");
        for client in &mut all {
            assert!(!client.run(end).is_error(), "{name}");
        }
        until(name, || used(&server) < before + clients * most.1 + MB);
        assert!(shown(&mut other, name) < clients * most.1 + MB, "{name}");
        drop(all);
        until(name, || other.run("CLIENT LIST").text().lines().count() == 1);
    }
}

/// Makes a client hold memory, and reads its replies.
fn hold(client: &mut Client, begin: &[Vec<u8>]) {
    for request in begin {
        client.send_raw(request).unwrap();
    }
    client.send(&["ECHO", "all was read"]).unwrap();
    while client.read() != Value::Bulk(b"all was read".to_vec()) {
        // Inside MULTI the ECHO is queued as the last command.
        if begin.first().is_some_and(|first| first.ends_with(b"MULTI\r\n")) {
            (0..begin.len()).for_each(|_| drop(client.read()));
            return;
        }
    }
}

/// Clients that wait cost little more memory than clients that do not.
#[test]
fn clients_that_wait_cost_little() {
    let server = Server::start(&["--save", ""]);
    let mut other = server.client();
    let before = used(&server);
    let mut all: Vec<Client> = (0..300).map(|_| server.client()).collect();
    for client in &mut all {
        assert!(client.run("CLIENT SETNAME waiting").is_ok());
        client.send(&["XREAD", "BLOCK", "0", "STREAMS", "some-stream", "$"]).unwrap();
    }
    until("all wait", || server.info("blocked_clients") == "300");
    let really = used(&server).saturating_sub(before);
    let counted = shown(&mut other, "waiting");
    assert!(really < 300 * 10_000 + MB, "{really} bytes for 300 clients");
    assert!(counted <= 2 * really + MB && really <= 2 * counted + MB, "{counted} are shown, {really} used");
    assert!(other.run("XADD some-stream 1-1 a b").text() == "1-1");
    for client in &mut all {
        assert!(client.read().to_string().contains("1-1"));
    }
}

/// The memory of waiting clients is shown as about what it is, even if they wait for many keys, each in lines of its
/// own. All of it is given back after they were served by one of the keys.
#[test]
fn waiting_for_many_keys_is_counted_and_given_back() {
    const CLIENTS: usize = 10;
    const KEYS: usize = 3000;
    let server = Server::start(&["--save", ""]);
    let mut other = server.client();
    let mut all: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    for client in &mut all {
        assert!(client.run("CLIENT SETNAME waiting").is_ok());
    }
    let before = used(&server);
    for round in 1..=3 {
        for (number, client) in all.iter_mut().enumerate() {
            let keys = (0..KEYS).map(|key| format!("key:{number}:{key}"));
            let words = ["XREAD", "BLOCK", "0", "STREAMS"].map(str::to_owned).into_iter().chain(keys);
            let words: Vec<String> = words.chain(std::iter::repeat_n("$".to_owned(), KEYS)).collect();
            client.send_raw(&Client::encode(&words)).unwrap();
        }
        until("all wait", || server.info("blocked_clients") == CLIENTS.to_string());
        let really = used(&server).saturating_sub(before);
        let counted = shown(&mut other, "waiting");
        let near = counted <= 2 * really + MB / 2 && really <= 2 * counted + MB / 2;
        assert!(near && really > MB, "{counted} are shown, {really} used");
        for (number, client) in all.iter_mut().enumerate() {
            let key = format!("key:{number}:{}", KEYS / 2);
            assert_eq!(
                other.call(&["XADD", &key, &format!("{round}-1"), "a", "b"]).text(),
                format!("{round}-1")
            );
            assert!(client.read().to_string().contains(&format!("{round}-1")));
        }
        until("what waiting took is given back", || used(&server) < before + MB / 2);
        assert!(shown(&mut other, "waiting") < CLIENTS * 8192);
    }
}

/// The memory that clients hold beside their buffers counts for `maxmemory-clients`.
#[test]
fn clients_that_watch_too_much_are_closed() {
    let server = Server::start(&["--maxmemory-clients", "8mb"]);
    let mut client = server.client();
    let keys: Vec<String> = (0..100_000).map(|n| format!("some-key:{n}")).collect();
    let words: Vec<&str> = std::iter::once("WATCH").chain(keys.iter().map(String::as_str)).collect();
    client.send(&words).unwrap();
    assert!(client.is_closed());
    assert_eq!(server.info("evicted_clients"), "1");
}
