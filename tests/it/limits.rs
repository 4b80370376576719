//! Tests slow, idle and hostile clients: they are bounded, and do not disturb other clients.

use crate::harness::{Client, Server, Value, on_both, until};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

#[test]
fn a_client_that_does_not_read_is_closed_at_its_limit() {
    on_both(&["--client-output-buffer-limit", "normal 2mb 0 0"], |server| {
        let mut other = server.client();
        assert!(other.call(&["SET", "big", &"x".repeat(100_000)]).is_ok());
        let mut slow = server.client();
        let get = Client::encode(&["GET", "big"]);
        let flood: Vec<u8> = get.iter().copied().cycle().take(get.len() * 1000).collect();
        drop(slow.send_raw(&flood));
        let deadline = Instant::now() + Duration::from_mins(2);
        while other.run("CLIENT LIST TYPE normal").text().lines().count() > 1 {
            assert!(Instant::now() < deadline, "the slow client is still there");
            assert_eq!(other.run("PING"), Value::Simple(b"PONG".to_vec()));
        }
        assert!(slow.is_closed());
    });
}

/// A reply that is too large is not sent, however fast the client reads. What fits into Redis's fixed buffer for a
/// client does not count.
#[test]
fn replies_that_are_too_much_at_once_are_not_sent() {
    on_both(&[], |server| {
        let mut other = server.client();
        assert!(other.call(&["SET", "big", &"x".repeat(100_000)]).is_ok());
        assert!(other.call(&["SET", "small", &"x".repeat(15_000)]).is_ok());
        assert!(other.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 100 0 0"]).is_ok());
        let mut client = server.client();
        assert_eq!(client.call(&["GET", "small"]).bytes().unwrap().len(), 15_000);
        client.send(&["GET", "big"]).unwrap();
        assert_eq!(client.read(), Value::Eof);
        assert!(other.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 200kb 0 0"]).is_ok());
        let mut client = server.client();
        assert_eq!(client.call(&["GET", "big"]).bytes().unwrap().len(), 100_000);
        assert_eq!(client.call(&["GET", "big"]).bytes().unwrap().len(), 100_000);
    });
}

/// CLIENT LIST shows the memory of an incomplete argument, and the transaction of the client that asks.
#[test]
fn client_list_shows_what_is_under_way() {
    on_both(&[], |server| {
        let field = |line: &str, name: &str| -> String {
            let found = line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().trim().to_owned()
        };
        let mut client = server.client();
        assert!(client.run("CLIENT SETNAME half").is_ok());
        let mut bytes = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\n".to_vec();
        bytes.resize(500_000, b'x');
        client.send_raw(&bytes).unwrap();
        let mut other = server.client();
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let list = other.run("CLIENT LIST").text();
            let line = list.lines().find(|line| field(line, "name") == "half").unwrap();
            let number = |name| field(line, name).parse::<usize>().unwrap();
            let taken = number("qbuf") + number("qbuf-free");
            if taken >= 499_000 {
                assert!(number("tot-mem") > taken);
                break;
            }
            assert!(Instant::now() < deadline, "{line}");
        }
        assert!(other.run("MULTI").is_ok());
        other.run("CLIENT INFO");
        let Value::Array(replies) = other.run("EXEC") else { panic!("no array") };
        let line = replies[0].text();
        assert_eq!(
            (field(&line, "flags"), field(&line, "multi")),
            ("x".to_owned(), "1".to_owned()),
            "{line}"
        );
        let line = other.run("CLIENT INFO").text();
        assert_eq!(
            (field(&line, "flags"), field(&line, "multi")),
            ("N".to_owned(), "-1".to_owned()),
            "{line}"
        );
    });
}

#[test]
fn a_port_that_is_taken_is_refused() {
    on_both(&[], |server| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut client = server.client();
        let refused = client.run(&format!("CONFIG SET maxmemory 100mb port {port}"));
        let words = "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.";
        assert_eq!(refused, Value::Error(words.as_bytes().to_vec()));
        assert!(client.run("CONFIG GET maxmemory").to_string().contains("\"0\""));
        assert_eq!(server.client().run("PING"), Value::Simple(b"PONG".to_vec()));
    });
}

/// CLIENT LIST takes the options of CLIENT KILL, as Valkey's does.
#[test]
fn client_list_chooses() {
    let server = Server::start(&[]);
    let (mut one, mut other) = (server.client(), server.client());
    assert!(other.run("CLIENT SETNAME other").is_ok());
    let (own, id) = (one.run("CLIENT ID").text(), other.run("CLIENT ID").text());
    // One of two workers may have accepted either client first.
    let mut in_order = vec![&own, &id];
    in_order.sort_by_key(|id| id.parse::<u64>().unwrap());
    for (options, expected) in [
        (format!("ID {own} {id} SKIPME yes"), vec![&id]),
        (format!("ID {id} {own}"), vec![&id, &own]),
        (format!("SKIPME no ID {id} {own}"), in_order),
        (format!("USER default TYPE normal SKIPME yes ID {id} {own}"), vec![&id]),
        ("MAXAGE 1000".to_owned(), vec![]),
        ("TYPE pubsub".to_owned(), vec![]),
    ] {
        let list = one.run(&format!("CLIENT LIST {options}")).text();
        let ids = list.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next());
        assert_eq!(ids.collect::<Vec<_>>(), expected, "{options}");
    }
    assert_eq!(one.run(&format!("CLIENT KILL ID 999999 {id} TYPE normal")), Value::Int(1));
    assert_eq!(other.read(), Value::Eof);
}

/// A client that closes while its command waits for the end of a pause is gone. CLIENT LIST shows the command that
/// waits.
#[test]
fn a_paused_client_may_go() {
    on_both(&[], |server| {
        let (mut admin, mut client) = (server.client(), server.client());
        assert!(client.run("CLIENT SETNAME paused").is_ok());
        assert!(admin.run("CLIENT PAUSE 60000 WRITE").is_ok());
        client.send(&["SET", "k", "v"]).unwrap();
        let deadline = Instant::now() + Duration::from_mins(2);
        let mut until = |wanted: &dyn Fn(Option<&str>) -> bool| loop {
            let list = admin.run("CLIENT LIST").text();
            let line = list.lines().find(|line| line.contains(" name=paused "));
            if wanted(line) {
                break;
            }
            assert!(Instant::now() < deadline, "{list}");
        };
        until(&|line| line.is_some_and(|line| line.contains(" flags=b ") && line.contains(" cmd=set ")));
        drop(client);
        until(&|line| line.is_none());
        assert_eq!(
            admin.run("INFO clients").text().lines().find(|l| l.starts_with("blocked_clients")),
            Some("blocked_clients:0")
        );
        assert!(admin.run("CLIENT UNPAUSE").is_ok());
        assert_eq!(admin.run("EXISTS k"), Value::Int(0));
    });
}

#[test]
fn a_client_that_reads_slowly_but_reads_gets_everything() {
    on_both(&[], |server| {
        let mut client = server.client();
        assert!(client.call(&["SET", "big", &"x".repeat(100_000)]).is_ok());
        for _ in 0..200 {
            client.send(&["GET", "big"]).unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(server.client().run("PING"), Value::Simple(b"PONG".to_vec()));
        for _ in 0..200 {
            assert_eq!(client.read().bytes().unwrap().len(), 100_000);
        }
    });
}

#[test]
fn a_query_buffer_has_a_limit() {
    on_both(&["--client-query-buffer-limit", "1mb"], |server| {
        let mut greedy = server.client();
        let mut bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n".to_vec();
        bytes.resize(3_000_000, b'x');
        drop(greedy.send_raw(&bytes));
        assert!(greedy.is_closed());
        assert!(server.client().run("SET k v").is_ok());
    });
}

#[test]
fn idle_clients_are_closed_when_a_timeout_is_set() {
    on_both(&["--timeout", "2"], |server| {
        let mut idle = server.client();
        let mut busy = server.client();
        let id = idle.run("CLIENT ID").text();
        let deadline = Instant::now() + Duration::from_mins(2);
        while !busy.run(&format!("CLIENT LIST ID {id}")).text().is_empty() {
            assert!(Instant::now() < deadline, "the idle client is still there");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(idle.read(), Value::Eof);
    });
}

/// The referee allocates as much as a client announces; our server allocates as much as a client has sent.
#[test]
fn half_commands_of_many_clients_cost_little() {
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..500).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\nabc").unwrap();
    }
    let mut other = server.client();
    assert!(other.run("SET k v").is_ok());
    let used: u64 = server.info("used_memory").parse().unwrap();
    assert!(used < 200 << 20, "{used} bytes are used");
    drop(clients);
    assert_eq!(other.run("GET k").text(), "v");
}

#[test]
fn deep_pipelines_of_many_clients_are_answered_in_order() {
    on_both(&[], |server| {
        std::thread::scope(|scope| {
            for id in 0..8 {
                let mut client = server.client();
                scope.spawn(move || {
                    for round in 0..20 {
                        let mut bytes = Vec::new();
                        for n in 0..500 {
                            bytes.extend(Client::encode(&[
                                "SET".into(),
                                format!("c{id}"),
                                format!("{round}:{n}"),
                            ]));
                            bytes.extend(Client::encode(&["GET".to_owned(), format!("c{id}")]));
                        }
                        client.send_raw(&bytes).unwrap();
                        for n in 0..500 {
                            assert!(client.read().is_ok());
                            assert_eq!(client.read().text(), format!("{round}:{n}"));
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn commands_in_single_bytes() {
    on_both(&[], |server| {
        let mut client = server.client();
        let bytes =
            [Client::encode(&["SET", "k", "value"]), Client::encode(&["GET", "k"]), b"PING\r\n".to_vec()];
        for byte in bytes.concat() {
            client.send_raw(&[byte]).unwrap();
        }
        assert!(client.read().is_ok());
        assert_eq!(client.read(), Value::Bulk(b"value".to_vec()));
        assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
    });
}

#[test]
fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    on_both(&["--unixsocket", path.to_str().unwrap(), "--unixsocketperm", "700"], |_server| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"SET k v\r\nGET k\r\n").unwrap();
        let mut got = Vec::new();
        let mut chunk = [0; 64];
        while got.len() < 12 {
            let n = stream.read(&mut chunk).unwrap();
            assert!(n > 0);
            got.extend_from_slice(&chunk[..n]);
        }
        assert_eq!(got, b"+OK\r\n$1\r\nv\r\n");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
    });
}

/// `used_memory` is near the allocator's own figure.
#[test]
fn used_memory_is_what_the_allocator_says() {
    let server = Server::start(&["--enable-debug-command", "yes", "--appendonly", "no"]);
    let mut client = server.client();
    assert!(client.run("DEBUG POPULATE 300000 key 100").is_ok());
    for n in 0..20_000 {
        client.send(&["HSET", &format!("h{n}"), "name", "some value", "other", "another value"]).unwrap();
    }
    for _ in 0..20_000 {
        client.read();
    }
    let used: f64 = server.info("used_memory").parse().unwrap();
    let allocated: f64 = server.info("allocator_allocated").parse().unwrap();
    assert!((used / allocated - 1.0).abs() <= 0.1, "used_memory {used}, the allocator {allocated}");
}

/// A change that would make a record larger than the log accepts is refused before any part of it is made, and the log
/// stays usable.
#[test]
fn changes_that_are_larger_than_a_record_are_refused_whole() {
    let mut server =
        Server::start(&["--log-max-record-size", "64kb", "--item-max-size", "4kb", "--save", ""]);
    let mut client = server.client();
    let value = "v".repeat(20_000);
    let too_large = |reply: &Value| matches!(reply, Value::Error(e) if e.starts_with(b"ERR the change is too large: a record of ") && e.ends_with(b" bytes is above log-max-record-size (65536 bytes)"));
    assert!(client.call(&["SET", "big", &value]).is_ok());
    for _ in 0..4 {
        assert!(!client.call(&["APPEND", "big", &value]).is_error());
    }
    let payload = client.call(&["DUMP", "big"]);
    let Value::Bulk(payload) = payload else { panic!("{payload}") };
    assert!(payload.len() < 10_000, "the payload is small because it is compressed");
    let pairs: Vec<String> = (0..900).map(|n| format!("f{n} {}", "x".repeat(20))).collect();
    for part in pairs.chunks(300) {
        assert!(!client.run(&format!("HSET hash {}", part.join(" "))).is_error());
    }
    for round in 0..3 {
        for part in pairs.chunks(300) {
            let part: Vec<String> = part.iter().map(|pair| format!("{round}{pair}")).collect();
            client.run(&format!("HSET hash {}", part.join(" ")));
        }
    }
    // Values that are moved, copied or combined are not written again, and RESTORE writes the payload as it came.
    for command in [
        "RENAME big to",
        "RENAMENX to big",
        "RENAME hash to",
        "RENAME to hash",
        "COPY hash hash2",
        "COPY big big2",
        "BITOP NOT not big",
        "BITOP XOR ones not big",
        "MOVE big 1",
    ] {
        let reply = client.run(command);
        assert!(!reply.is_error() && reply != Value::Int(0), "{command}: {reply}");
    }
    for command in ["SELECT 1", "MOVE big 0", "SELECT 0"] {
        assert!(!client.run(command).is_error());
    }
    assert!(client.call(&[&b"RESTORE"[..], b"restored", b"0", &payload]).is_ok());
    let reply = client.call(&["SET", "to", &"x".repeat(70_000)]);
    assert!(too_large(&reply), "{reply}");
    // If the arguments show that a transaction's record would be too large, the transaction is refused as a whole ...
    client.run("MULTI");
    for n in 0..4 {
        client.call(&["SET", &format!("part{n}"), &value]);
    }
    let reply = client.run("EXEC");
    assert!(
        matches!(&reply, Value::Error(e) if e.starts_with(b"EXECABORT Transaction discarded because of: the change")),
        "{reply}"
    );
    assert_eq!(client.run("EXISTS part0 part1 part2 part3 to"), Value::Int(0));
    // ... if only its copies are too large, which are logged as whole values because they are small, single commands
    // are refused.
    client.call(&["SET", "small", &"s".repeat(1000)]);
    let copy = |client: &mut Client, first: &str, to: &str| {
        let copies = (0..80).map(|n| format!("COPY small {to}{n}"));
        let lines = ["MULTI".to_owned(), first.to_owned()].into_iter().chain(copies);
        lines.for_each(|line| drop(client.run(&line)));
        client.run("SET d 1");
        client.run("EXEC")
    };
    let Value::Array(replies) = copy(&mut client, "PING", "copy") else { panic!() };
    assert_eq!((replies[1].clone(), replies[81].is_ok()), (Value::Int(1), true));
    assert!(too_large(&replies[80]), "{}", replies[80]);
    // A transaction that is all or nothing stays so.
    let reply = copy(&mut client, "ITEM.ATOMIC", "other");
    assert!(
        matches!(&reply, Value::Error(e) if e.starts_with(b"TXCANCELLED ") && String::from_utf8_lossy(e).contains(":ERR the change")),
        "{reply}"
    );
    assert!(client.run("SET after 1").is_ok(), "the log goes on");
    server.crash();
    let mut client = server.client();
    assert_eq!(client.run("EXISTS big hash small copy0 d after"), Value::Int(6));
    assert_eq!(client.run("EXISTS to part0 copy79 other0"), Value::Int(0));
    assert_eq!(client.run("HGETALL hash2").sorted(), client.run("HGETALL hash").sorted());
    for same in ["big2", "restored"] {
        assert_eq!(client.run(&format!("GET {same}")), client.run("GET big"), "{same}");
    }
    assert_eq!(client.run("BITCOUNT ones"), Value::Int(800_000));
    assert_eq!(client.run("STRLEN big"), Value::Int(100_000));
}

/// Long commands on the data share a few threads, and the others wait for their turn.
#[test]
fn long_commands_of_many_clients_have_few_threads() {
    const KEYS: usize = 2000;
    const CLIENTS: usize = 40;
    const WORKERS: usize = 4;
    let server =
        Server::start(&["--enable-debug-command", "yes", "--io-threads", &WORKERS.to_string(), "--save", ""]);
    // Connections are distributed to the workers in turn: the second client has another worker than the first.
    let (mut holder, mut observer) = (server.client(), server.client());
    assert!(observer.run(&format!("DEBUG POPULATE {KEYS}")).is_ok());
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim_end() == "command").count()
    };
    let mut looked = false;
    for (round, seconds) in [1, 4, 16, 64].into_iter().enumerate() {
        until("threads of commands that are done end", || threads() == 0);
        // A transaction holds every shard for a while. Each long command that has a thread waits for it, so no such
        // thread ends.
        let sleep = format!("DEBUG SLEEP {seconds}");
        for command in ["MULTI", "DEL none", &sleep, "SWAPDB 8 9"] {
            holder.run(command);
        }
        let begun = Instant::now();
        holder.send(&["EXEC"]).unwrap();
        let calls = format!("cmdstat_del:calls={},", round + 1);
        until("the transaction runs", || observer.run("INFO commandstats").text().contains(&calls));
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
        clients.iter_mut().for_each(|client| client.send(&["KEYS", "*"]).unwrap());
        // The worker that runs the transaction does not read its clients' commands before the transaction ends.
        let is_held = || begun.elapsed() < Duration::from_secs(seconds);
        let asked = |observer: &mut Client| observer.run("CLIENT LIST").text().matches(" cmd=keys ").count();
        let all_asked = |observer: &mut Client| asked(observer) >= CLIENTS - CLIENTS / WORKERS;
        while is_held() && !(all_asked(&mut observer) && threads() >= WORKERS) {}
        let seen = threads();
        looked = is_held();
        // Clients that close meanwhile do not delay others.
        clients.truncate(CLIENTS / 2);
        assert!(matches!(holder.read(), Value::Array(replies) if replies.len() == 3));
        for client in &mut clients {
            assert_eq!(client.read().items().len(), KEYS);
        }
        // On a busy machine the transaction may end before all clients have asked. Then a longer one is tried.
        if looked {
            assert_eq!(seen, WORKERS);
            break;
        }
    }
    assert!(looked, "not all clients come to ask");
    // Long commands that only wait do not count for the limit on threads.
    let mut waiting: Vec<Client> = (0..2 * WORKERS).map(|_| server.client()).collect();
    waiting.iter_mut().for_each(|client| client.send(&["DEBUG", "SLEEP", "600"]).unwrap());
    assert_eq!(observer.run("KEYS *").items().len(), KEYS);
}

/// What a transaction publishes is kept until it commits, so it is bounded.
#[test]
fn what_a_transaction_publishes_is_bounded() {
    const MOST: usize = 3 << 20;
    let server = Server::start(&["--transaction-max-memory", "3mb"]);
    let (mut client, mut subscriber) = (server.client(), server.client());
    subscriber.run("SUBSCRIBE c");
    let refused =
        format!("ERR what a transaction publishes and tells may take {MOST} bytes (transaction-max-memory)");
    client.run("MULTI");
    let text = "x".repeat(1 << 20);
    for _ in 0..4 {
        client.call(&["PUBLISH", "c", &text]);
    }
    client.run("SET k v");
    let replies = client.run("EXEC").items();
    let errors: Vec<&Value> = replies.iter().filter(|reply| reply.is_error()).collect();
    assert!(errors.len() == 2 && replies[4].is_ok(), "{replies:?}");
    assert!(errors.iter().all(|error| error.to_string().contains(&refused)), "{errors:?}");
    let script = "for n = 1, 100 do redis.call('PUBLISH', 'c', string.rep('x', 1048576)) end";
    let reply = client.call(&["EVAL", script, "0"]);
    assert!(reply.to_string().contains(&refused), "{reply}");
    // A script that goes on in spite of the errors tells no more.
    let script = "local failed = 0; for n = 1, 100 do \
                  if type(redis.pcall('PUBLISH', 'c', string.rep('x', 1048576))) == 'table' then \
                  failed = failed + 1 end end return failed";
    assert_eq!(client.call(&["EVAL", script, "0"]), Value::Int(98));
    client.run("PUBLISH c end");
    for _ in 0..6 {
        assert_eq!(subscriber.read().items()[2].text().len(), 1 << 20);
    }
    assert_eq!(subscriber.read().items()[2].text(), "end");
}

#[test]
fn item_atomic_is_cancelled_when_it_takes_too_much_memory() {
    let server = Server::start(&["--transaction-max-memory", "3mb"]);
    let mut client = server.client();
    let text = "x".repeat(1 << 20);
    let script = "for n = 1, 100 do redis.call('SET', KEYS[1] .. n, string.rep('x', 1048576)) end";
    let many: Vec<Vec<&str>> = ["a", "b", "c", "d"].iter().map(|key| vec!["SET", key, &text]).collect();
    for calls in [many, vec![vec!["SET", "a", "1"], vec!["EVAL", script, "1", "k"]]] {
        client.run("MULTI");
        client.run("ITEM.ATOMIC");
        calls.iter().for_each(|call| drop(client.call(call)));
        let reply = client.run("EXEC").to_string();
        let right = "ERR the transaction takes more than 3145728 bytes (transaction-max-memory)";
        assert!(reply.contains("TXCANCELLED") && reply.contains(right), "{reply}");
        assert_eq!(client.run("DBSIZE"), Value::Int(0), "nothing is left of it");
    }
}

/// Reads do not count, nor does the record in which changes are on their way to the log.
#[test]
fn item_atomic_may_take_nearly_all_of_its_memory_for_data() {
    let server = Server::start(&["--transaction-max-memory", "4mb"]);
    let mut client = server.client();
    let text = "x".repeat(1_000_000);
    client.run("MULTI");
    client.run("ITEM.ATOMIC");
    for key in ["a", "b", "c"] {
        client.call(&["SET", key, &text]);
        (0..3).for_each(|_| drop(client.call(&["GET", key])));
    }
    let reply = client.run("EXEC");
    assert!(matches!(&reply, Value::Array(replies) if replies.len() == 13), "{reply}");
    assert_eq!(client.run("DBSIZE"), Value::Int(3));
}

/// Sets as many keys as it is told to, and removes a lock at the end in any case.
const SETS: &str = "redis.call('SET', 'lock', 1); local failed = 0; for n = 1, ARGV[1] do \
                    local reply = redis.pcall('SETRANGE', 'k' .. n % ARGV[2], 0, 'v'); \
                    if type(reply) == 'table' then failed = failed + 1 end end \
                    redis.call('GET', 'k1'); redis.call('PING'); redis.call('DEL', 'lock'); return failed";

/// Changes that nobody is told of take no room, however many they are.
#[test]
fn changes_are_kept_only_for_those_who_are_told() {
    let server = Server::start(&["--transaction-max-memory", "1mb", "--notify-keyspace-events", "KEA"]);
    let (mut client, mut other) = (server.client(), server.client());
    assert_eq!(client.call(&["EVAL", SETS, "0", "30000", "10"]), Value::Int(0), "nobody has subscribed");
    other.run("SUBSCRIBE c");
    let Value::Int(failed) = client.call(&["EVAL", SETS, "0", "30000", "10"]) else { panic!("no number") };
    assert!(failed > 0, "somebody has");
    assert_eq!(client.run("EXISTS lock"), Value::Int(0), "the script could remove its lock");
    let text = "x".repeat(2 << 20);
    client.run("MULTI");
    client.call(&["PUBLISH", "nobody", &text]);
    client.call(&["PUBLISH", "c", &text]);
    client.run("PUBLISH c end");
    let replies = client.run("EXEC").items();
    assert!(
        replies[0] == Value::Int(0) && replies[1].is_error() && replies[2] == Value::Int(1),
        "{replies:?}"
    );
    assert_eq!(other.read().items()[2].text(), "end");
    other.run("RESET");
    assert_eq!(client.call(&["EVAL", SETS, "0", "30000", "10"]), Value::Int(0), "nobody has any more");
    // A client that caches is told once of each key.
    other.run("HELLO 3");
    other.run("CLIENT TRACKING ON");
    assert_eq!(client.call(&["EVAL", SETS, "0", "50000", "100"]), Value::Int(0));
}

/// What commands that need no memory may tell more has an end, too. Reads and PING go on.
#[test]
fn what_a_transaction_tells_is_bounded() {
    let server = Server::start(&["--transaction-max-memory", "1mb", "--notify-keyspace-events", "KEA"]);
    let (mut client, mut other) = (server.client(), server.client());
    other.run("SUBSCRIBE c");
    client.run("SET k v");
    let script = "local failed = 0; for n = 1, 100000 do \
                  if type(redis.pcall('EXPIRE', 'k', 1000)) == 'table' then failed = failed + 1 end end; \
                  return {failed, redis.call('PING'), redis.call('GET', 'k')}";
    let replies = client.call(&["EVAL", script, "0"]).items();
    assert!(matches!(replies[0], Value::Int(1..)), "{replies:?}");
    assert_eq!(replies[2].text(), "v");
}

/// A client of MONITOR that reads is not closed for a command with a long argument, and sees its beginning.
#[test]
fn what_monitors_see_of_a_long_argument_is_bounded() {
    let server = Server::start(&[]);
    let (mut client, mut monitor) = (server.client(), server.client());
    assert!(monitor.run("MONITOR").is_ok());
    assert!(client.call(&["SET", "k", &"x".repeat(6 << 20)]).is_ok());
    client.run("GET other");
    let line = monitor.read().text();
    assert!(line.ends_with(" more bytes)\"") && line.len() < 5 << 20, "{}", line.len());
    assert!(monitor.read().text().ends_with("\"GET\" \"other\""));
}

/// A transaction's lines for MONITOR are kept until it commits.
#[test]
fn what_monitors_see_of_a_transaction_is_bounded() {
    let server = Server::start(&["--transaction-max-memory", "1mb"]);
    let (mut client, mut monitor) = (server.client(), server.client());
    assert!(monitor.run("MONITOR").is_ok());
    let text = "x".repeat(1 << 18);
    let mut run = |calls: usize| {
        client.run("MULTI");
        (0..calls).for_each(|_| drop(client.call(&["SET", "k", &text])));
        assert_eq!(client.run("EXEC").items().len(), calls);
    };
    run(3);
    for _ in 0..5 {
        monitor.read();
    }
    run(5);
    let mut last = monitor.read();
    while !matches!(last, Value::Eof) {
        last = monitor.read();
    }
    assert!(client.run("SET k v").is_ok());
}
