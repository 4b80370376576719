//! Tests of promises about memory: every buffer has a bound that is counted, and memory that outgrew its use is given
//! back. Each scene compares `used_memory` and the resident memory with the constant or the option that bounds it.
//!
//! `ITEMORY_TEST_LARGE=1` uses a hash of 400 MB instead of a smaller one.

use crate::harness::memory::{MB, constant, peak, resident, used};
use crate::harness::{Client, Server, Value, until};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The bytes that a checkpoint may use over the data at its peak.
const CHECKPOINT_OVER: usize = 64 * MB;
/// The bytes that the process may use beside what is counted: pages that the allocator keeps for a while, stacks,
/// arenas.
const SLACK: usize = 16 * MB;
const WORKERS: usize = 2;
/// What `worker-keep-buffers-size` and `log-keep-buffer-size` are.
const WORKER_KEEPS: usize = MB / 4;
const LOG_KEEPS: usize = 4 * MB;

fn start(flags: &[&str]) -> Server {
    let [workers, worker, log] = [WORKERS, WORKER_KEEPS, LOG_KEEPS].map(|n| n.to_string());
    let kept = ["--worker-keep-buffers-size", &worker, "--log-keep-buffer-size", &log];
    Server::start(&[&["--io-threads", &workers, "--enable-debug-command", "yes"], &kept[..], flags].concat())
}

/// The sum of a field over all clients with this name in CLIENT LIST.
fn listed(client: &mut Client, name: &str, field: &str) -> usize {
    let list = client.run("CLIENT LIST").text();
    let named = list.lines().filter(|line| line.contains(&format!(" name={name} ")));
    let head = format!(" {field}=");
    named
        .map(|line| line.split(&head).nth(1).unwrap().split(' ').next().unwrap().parse::<usize>().unwrap())
        .sum()
}

/// The bytes of buffers that the workers and the log may keep while nothing is under way.
fn kept() -> usize {
    let worker = constant("server/local.rs", "SCRATCH")
        + 2 * WORKER_KEEPS
        + constant("resp/decode.rs", "KEEP_ARGS") * size_of::<u64>();
    WORKERS * worker + 2 * LOG_KEEPS
}

/// Makes the allocator give back its spare pages, and waits until at most `most` bytes are resident.
fn settles(server: &Server, client: &mut Client, most: usize) {
    until(&format!("{most} bytes are resident at most"), || {
        assert!(client.run("MEMORY PURGE").is_ok());
        resident(server) <= most
    });
}

/// Many replies go to clients that do not read. What is counted is what is held, and the option bounds both.
#[test]
fn replies_to_slow_readers_are_within_the_limit_and_counted() {
    const CLIENTS: usize = 12;
    const LIMIT: usize = 4 * MB;
    const VALUE: usize = 100_000;
    let server = start(&["--client-output-buffer-limit", "normal 4mb 0 0"]);
    let mut other = server.client();
    assert!(other.call(&["SET", "big", &"x".repeat(VALUE)]).is_ok());
    let before = (used(&server), resident(&server));
    let mut slow: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    let get = Client::encode(&["GET", "big"]);
    for client in &mut slow {
        assert!(client.run("CLIENT SETNAME slow").is_ok());
    }
    // Each client asks for so much that, once the system's own buffers are full, the rest stays below the limit. The
    // test measures how much those buffers take.
    let (mut asked, mut outstanding) = (0, 0);
    while outstanding < LIMIT / 2 {
        slow.iter_mut().for_each(|client| client.send_raw(&get.repeat(5)).unwrap());
        asked += 5;
        let hits = (CLIENTS * asked).to_string();
        until("all are answered", || server.info("keyspace_hits") == hits);
        outstanding = listed(&mut other, "slow", "omem") / CLIENTS;
        assert!(outstanding <= LIMIT, "{outstanding} bytes are counted for each");
    }
    let counted = listed(&mut other, "slow", "omem");
    let really = used(&server).saturating_sub(before.0);
    let chunk = constant("resp/chain.rs", "CHUNK");
    assert!(
        really <= counted + CLIENTS * 2 * chunk + kept(),
        "{counted} bytes are counted, {really} are used"
    );
    assert!(counted <= really + MB, "{counted} bytes are counted, {really} are used");
    let allocated: usize = server.info("allocator_allocated").parse().unwrap();
    assert!(used(&server).abs_diff(allocated) <= allocated / 10 + MB, "the allocator says {allocated}");
    assert!(peak(&server) <= before.1 + CLIENTS * LIMIT + kept() + SLACK);
    // A client that asks for more is closed. The other clients get their replies.
    let mut greedy = slow.pop().unwrap();
    drop(greedy.send_raw(&get.repeat(2 * LIMIT / VALUE + 200)));
    until("the greedy one is closed", || server.info("client_output_buffer_limit_disconnections") == "1");
    assert!(peak(&server) <= before.1 + CLIENTS * LIMIT + kept() + SLACK);
    for client in &mut slow {
        (0..asked).for_each(|_| assert_eq!(client.read().bytes().unwrap().len(), VALUE));
    }
    until("all is given back", || used(&server) <= before.0 + kept() + MB);
    settles(&server, &mut other, before.1 + kept() + SLACK);
}

/// After records as large as the values that they change, and pipelines of small records, the buffers on the way to the
/// log are given back.
#[test]
fn buffers_of_records_are_given_back() {
    const VALUE: usize = 20 * MB;
    let server = start(&["--appendonly", "yes"]);
    // Each worker gets several connections.
    let mut clients: Vec<Client> = (0..3 * WORKERS).map(|_| server.client()).collect();
    let before = (used(&server), resident(&server));
    let value = "x".repeat(VALUE);
    for client in &mut clients {
        assert!(client.call(&["SET", "k", &value]).is_ok());
        for line in ["SETRANGE k 0 y", "MULTI", "COPY k a", "APPEND a z", "DEL a k", "EXEC"] {
            assert!(!client.run(line).is_error(), "{line}");
        }
    }
    until("large records are given back", || used(&server) <= before.0 + kept() + MB);
    // The request, the value, the record that the worker encodes, and the log's pending record.
    let at_once = 4 * VALUE + 2 * VALUE;
    assert!(peak(&server) <= before.1 + at_once + kept() + SLACK, "{} over", peak(&server) - before.1);
    settles(&server, &mut clients[0], before.1 + kept() + SLACK);
}

/// What is kept of buffers is bounded by options, which CONFIG SET changes, and no key is evicted for it.
#[test]
fn buffers_that_are_kept_are_bounded_by_options_and_counted_apart() {
    const VALUE: usize = 3 * MB;
    let server = start(&["--appendonly", "yes"]);
    // Several connections come to each worker.
    let mut clients: Vec<Client> = (0..3 * WORKERS).map(|_| server.client()).collect();
    let kept = || server.info("mem_not_counted_for_evict").parse::<usize>().unwrap();
    let set = |client: &mut Client, worker: usize, log: usize| {
        let [worker, log] = [worker, log].map(|n| n.to_string());
        let words = ["CONFIG", "SET", "worker-keep-buffers-size", &worker, "log-keep-buffer-size", &log];
        assert!(client.call(&words).is_ok());
    };
    let write = |clients: &mut [Client], length: usize| {
        for client in clients {
            assert!(client.call(&["SET", "k", &"x".repeat(length)]).is_ok());
            assert_eq!(client.run("GETRANGE k 0 100000").bytes().unwrap().len(), length.min(100_001));
        }
    };
    write(&mut clients, VALUE);
    assert!(kept() <= 2 * WORKERS * WORKER_KEEPS + 2 * LOG_KEEPS, "{}", kept());
    set(&mut clients[0], 2 * VALUE, 4 * VALUE);
    write(&mut clients, VALUE);
    until("buffers are kept", || kept() > VALUE);
    assert!(kept() <= 2 * WORKERS * 2 * VALUE + 2 * 4 * VALUE, "{}", kept());
    // They do not count against the limit: there is room for what fits beside the data.
    write(&mut clients, 1);
    let limit = used(&server) - kept() + MB;
    assert!(limit < used(&server), "{limit} bytes and {} kept", kept());
    assert!(clients[0].run(&format!("CONFIG SET maxmemory {limit}")).is_ok());
    write(&mut clients, 1000);
    assert!(clients[0].run("CONFIG SET maxmemory 0").is_ok());
    set(&mut clients[0], 0, 0);
    until("all is given back", || {
        write(&mut clients, 10);
        kept() == 0
    });
}

/// A client sends thousands of commands and reads the replies. It is served in pieces, and none of its memory stays.
#[test]
fn a_long_pipeline_takes_little() {
    const COMMANDS: usize = 300_000;
    let server = start(&["--appendonly", "yes"]);
    let mut other = server.client();
    let before = (used(&server), resident(&server));
    let bytes = Client::encode(&["SET", "some-key", &"v".repeat(64)]).repeat(COMMANDS);
    let mut client = server.client();
    std::thread::scope(|scope| {
        let mut writer = TcpStream::connect(server.address()).unwrap();
        let mut reader = writer.try_clone().unwrap();
        scope.spawn(move || writer.write_all(&bytes).unwrap());
        reader.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut replies = vec![0; COMMANDS * b"+OK\r\n".len()];
        std::io::Read::read_exact(&mut reader, &mut replies).unwrap();
        assert!(replies.chunks(5).all(|reply| reply == b"+OK\r\n"));
    });
    let turn = constant("server/connection.rs", "MOST") + constant("session", "TURN_BYTES");
    let most = before.1 + 2 * turn + kept() + SLACK;
    assert!(peak(&server) <= most, "{} over", peak(&server) - before.1);
    until("all is given back", || used(&server) <= before.0 + kept() + MB);
    // Commands that are queued in a transaction count as the client's memory, and are given back with it.
    assert!(client.run("CLIENT SETNAME queueing").is_ok());
    let queue = Client::encode(&["SET", "some-key", "v"]).repeat(20_000);
    client.send_raw(&[Client::encode(&["MULTI"]), queue].concat()).unwrap();
    (0..=20_000).for_each(|_| assert!(!client.read().is_error()));
    let (held, counted) = (used(&server) - before.0, listed(&mut other, "queueing", "tot-mem"));
    assert!(held <= 2 * counted + kept() + MB && counted <= 2 * held + MB, "{counted} counted, {held} used");
    assert_eq!(client.run("EXEC").items().len(), 20_000);
    until("all is given back", || used(&server) <= before.0 + kept() + MB);
}

/// What a client sends, and what it does not read, is bounded by constants before it authenticates.
#[test]
fn clients_that_have_not_authenticated_take_little() {
    const CLIENTS: usize = 40;
    const FLOODING: usize = 4;
    let server = start(&[]);
    let mut admin = server.client();
    assert!(admin.run("CONFIG SET requirepass secret").is_ok());
    let figure = |admin: &mut Client| {
        let text = admin.run("INFO memory").text();
        let line = text.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.trim().parse::<usize>().unwrap()
    };
    let before = (figure(&mut admin), resident(&server));
    let input = constant("server/connection.rs", "UNAUTHENTICATED_INPUT");
    let output = constant("node/output.rs", "UNAUTHENTICATED") + constant("node/output.rs", "OWN_BUFFER");
    let most = FLOODING * (input + output + constant("resp/chain.rs", "FIRST")) + kept();
    let flood = b"*1\r\n$4\r\nPING\r\n".repeat(1000);
    let streams: Vec<TcpStream> = (0..FLOODING)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.set_write_timeout(Some(Duration::from_mins(1))).unwrap();
            let closed = (0..24 * MB / flood.len()).any(|_| stream.write_all(&flood).is_err());
            assert!(closed, "a client sent 24 MB and read nothing");
            let now = figure(&mut admin);
            assert!(now <= before.0 + most, "{now} bytes are used");
            stream
        })
        .collect();
    assert!(peak(&server) <= before.1 + most + SLACK, "{} over", peak(&server) - before.1);
    drop(streams);
    // The clients send incomplete commands.
    let halves: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(b"*10\r\n$16384\r\nx").unwrap();
            stream
        })
        .collect();
    until("all have come", || {
        admin.run("CLIENT LIST").text().lines().filter(|line| !line.contains(" qbuf=0 ")).count() >= CLIENTS
    });
    let chunk = constant("server/connection.rs", "CHUNK");
    assert!(figure(&mut admin) <= before.0 + CLIENTS * (2 * chunk + output) + kept() + MB);
    drop(halves);
}

/// Fills a hash by commands with some fields each, and returns the number of fields.
fn fill_hash(client: &mut Client, megabytes: usize) -> usize {
    let value = "v".repeat(if large() { 100 } else { 400 });
    let fields = megabytes * MB / value.len();
    let numbers: Vec<String> = (0..fields).map(|n| format!("f{n}")).collect();
    let requests: Vec<Vec<u8>> = numbers
        .chunks(200)
        .map(|part| {
            let pairs = part.iter().flat_map(|field| [field.as_str(), &value]);
            Client::encode(&["HSET", "large"].into_iter().chain(pairs).collect::<Vec<_>>())
        })
        .collect();
    for some in requests.chunks(50) {
        client.send_raw(&some.concat()).unwrap();
        some.iter().for_each(|_| assert!(client.read().int().is_some()));
    }
    fields
}

fn large() -> bool {
    std::env::var_os("ITEMORY_TEST_LARGE").is_some()
}

/// Waits until a checkpoint that was begun here is complete.
fn checkpoint(server: &Server, client: &mut Client) {
    until("no checkpoint is being written", || server.info("rdb_bgsave_in_progress") == "0");
    let before: u64 = server.info("rdb_saves").parse().unwrap();
    until("one begins", || !client.run("BGSAVE").is_error());
    until("it is written", || {
        server.info("rdb_bgsave_in_progress") == "0"
            && server.info("rdb_saves").parse::<u64>().unwrap() > before
    });
    assert_eq!(server.info("rdb_last_bgsave_status"), "ok");
}

/// A checkpoint reads a large hash in pieces, even while its fields are overwritten, removed and added, and holds no
/// copy of it. The same is true of a reload, and of the log when it rotates and is rewritten.
#[test]
fn a_checkpoint_of_a_large_hash_takes_little_over_the_data() {
    let megabytes = if large() { 400 } else { 96 };
    let server =
        start(&["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--log-segment-size", "4mb"]);
    let mut client = server.client();
    let fields = fill_hash(&mut client, megabytes);
    settles(&server, &mut client, used(&server) + kept() + SLACK);
    let data = used(&server);
    assert!(data > megabytes * MB);
    let before = resident(&server);
    checkpoint(&server, &mut client);
    let over = peak(&server).saturating_sub(before);
    assert!(over <= CHECKPOINT_OVER, "{over} bytes over {before} while nobody writes");
    let over = AtomicBool::new(false);
    let before = resident(&server);
    std::thread::scope(|scope| {
        for step in [7919, 104_729] {
            let (mut writer, over) = (server.client(), &over);
            scope.spawn(move || {
                let value = "w".repeat(100);
                for n in 0.. {
                    if over.load(Relaxed) {
                        break;
                    }
                    let field = format!("f{}", n * step % fields);
                    let reply = match n % 3 {
                        0 => writer.call(&["HDEL", "large", &field]),
                        1 => writer.call(&["HSET", "large", &field, &value]),
                        _ => writer.call(&["HINCRBY", "large", &format!("new{}", n % 1000), "1"]),
                    };
                    assert!(!reply.is_error(), "{reply}");
                }
            });
        }
        checkpoint(&server, &mut client);
        over.store(true, Relaxed);
    });
    let over = peak(&server).saturating_sub(before);
    assert!(over <= CHECKPOINT_OVER, "{over} bytes over {before} while fields change");
    assert!(used(&server) <= data + kept() + 2 * MB, "something of the checkpoint is left");
    let before = resident(&server);
    let len = client.run("HLEN large");
    assert!(client.run("DEBUG RELOAD").is_ok());
    assert_eq!(client.run("HLEN large"), len);
    let over = peak(&server).saturating_sub(before);
    assert!(over <= CHECKPOINT_OVER, "{over} bytes over {before} in a reload");
}

/// The same for the other types whose parts a checkpoint shares or keeps: what changes meanwhile is not there twice for
/// longer than it takes to read what is before it.
#[test]
fn a_checkpoint_of_large_lists_and_sets_takes_little_over_the_data() {
    const ELEMENTS: usize = 400_000;
    let flags = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--log-segment-size", "4mb"];
    type Change = fn(usize) -> String;
    let kinds: [(&str, Change, Change); 3] = [
        ("RPUSH list", |n| format!("{n:0>100}"), |n| format!("LSET list {n} {:0>90}", n % 7)),
        ("SADD set", |n| format!("{n:0>100}"), |n| format!("SREM set {n:0>100}")),
        ("ZADD zset", |n| format!("{} {n:0>100}", n % 1000), |n| format!("ZADD zset {} {n:0>100}", n % 77)),
    ];
    for (fill, element, change) in kinds {
        let server = start(&flags);
        let mut client = server.client();
        for some in (0..ELEMENTS).collect::<Vec<_>>().chunks(100) {
            let line = some.iter().fold(fill.to_owned(), |line, n| line + " " + &element(*n));
            assert!(!client.run(&line).is_error());
        }
        settles(&server, &mut client, used(&server) + kept() + SLACK);
        let (data, before) = (used(&server), resident(&server));
        assert!(data > ELEMENTS * 90);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for step in [7919, 104_729] {
                let (mut writer, over) = (server.client(), &over);
                scope.spawn(move || {
                    for n in (0..).take_while(|_| !over.load(Relaxed)) {
                        let line = change(n * step % ELEMENTS);
                        assert!(!writer.run(&line).is_error(), "{line}");
                    }
                });
            }
            checkpoint(&server, &mut client);
            over.store(true, Relaxed);
        });
        let over = peak(&server).saturating_sub(before);
        assert!(over <= CHECKPOINT_OVER, "{fill}: {over} bytes over {before} while elements change");
        assert!(used(&server) <= data + kept() + 4 * MB, "{fill}: something of the checkpoint is left");
    }
}

/// Elements of a list that no compression makes shorter.
fn fill_list(client: &mut Client, elements: usize) {
    let mut noise = 1_u64;
    for some in (0..elements).collect::<Vec<_>>().chunks(1000) {
        let line = some.iter().fold("RPUSH list".to_owned(), |line, n| {
            let parts = (0..5).map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                format!("{noise:016x}")
            });
            if n % 2 == 0 { line + " same" } else { line + " " + &parts.collect::<String>() }
        });
        assert!(client.run(&line).int().is_some());
    }
}

/// RESTORE has the payload as it came, in the log too, and the value that it makes of it. LREM of many elements makes
/// the list anew, and frees the old one.
#[test]
fn restoring_a_large_value_and_removing_half_of_it_take_what_they_are_made_of() {
    const ELEMENTS: usize = 400_000;
    let server = start(&["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]);
    let mut client = server.client();
    fill_list(&mut client, ELEMENTS);
    let value = client.run("MEMORY USAGE list SAMPLES 0").int().unwrap() as usize;
    let payload = client.run("DUMP list").bytes().unwrap();
    assert!(payload.len() > ELEMENTS / 2 * 50, "{} bytes", payload.len());
    settles(&server, &mut client, used(&server) + kept() + SLACK);
    let before = (used(&server), resident(&server));
    assert!(client.call(&[&b"RESTORE"[..], b"restored", b"0", &payload]).is_ok());
    // The request, the record that the worker encodes, the log's pending record; the elements, and the list.
    let over = peak(&server).saturating_sub(before.1);
    assert!(over <= 3 * payload.len() + 2 * value + kept() + SLACK, "{over} bytes for {}", payload.len());
    until("all but the value is given back", || used(&server) <= before.0 + value + kept() + MB);
    settles(&server, &mut client, used(&server) + kept() + SLACK);
    let before = (used(&server), resident(&server));
    assert_eq!(client.run("LREM restored 0 same").int(), Some(ELEMENTS as i64 / 2));
    // The new list, and the positions in the record.
    let over = peak(&server).saturating_sub(before.1);
    assert!(over <= value + 4 * ELEMENTS + kept() + SLACK, "{over} bytes for a list of {value}");
    until("the old list is free", || used(&server) < before.0 + kept() + MB);
    client.run("DEL restored list");
    until("all is given back", || used(&server) < before.0 - value);
}

/// Of many large bodies that wait only one is read at a time. The others cost no more than their bytes.
#[test]
fn large_bodies_are_read_one_at_a_time() {
    const CLIENTS: usize = 12;
    /// The memory of a JSON request while it is read, per byte of the request: an object of one member takes 500 bytes.
    const TREE: usize = 64;
    // The allocator keeps the pages of a thread that has ended in its arena for some seconds.
    let arenas = 4 * std::thread::available_parallelism().unwrap().get();
    let server = start(&[]);
    let mut other = server.client();
    assert!(other.run("TABLE.CREATE t PK pk S").is_ok());
    let elements: Vec<String> = (0..8000).map(|n| format!(r#"{{"M":{{"k{n}":{{"N":"{n}"}}}}}}"#)).collect();
    let list = format!(r#"{{"L":[{}]}}"#, elements.join(","));
    let body = |n: usize| format!(r#"{{"TableName":"t","Item":{{"pk":{{"S":"k{n}"}},"v":{list}}}}}"#);
    let plain = (0..20_000).map(|n| format!(r#"{{"k":{n}}}"#)).collect::<Vec<_>>().join(",");
    let plain = format!(r#"{{"v":[{plain}]}}"#);
    let length = body(0).len().max(plain.len());
    assert!(length > constant("command/spec.rs", "HEAVY_BYTES") && length < MB);
    for within in [false, true] {
        let before = (used(&server), resident(&server));
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            let key = format!("p{n}");
            let put = Client::encode(&["DDB", "PutItem", &body(n)]);
            let item = Client::encode(&["ITEM.PUT", "t", &key, "JSON", &plain]);
            let (begin, end) = if within { (&["MULTI"], &["EXEC"]) } else { (&["PING"], &["PING"]) };
            client.send_raw(&[Client::encode(begin), put, item, Client::encode(end)].concat()).unwrap();
        }
        for client in &mut clients {
            (0..4).for_each(|_| {
                let reply = client.read();
                assert!(!reply.is_error() && !reply.to_string().contains("-DDB"), "{reply}");
            });
        }
        // What was sent, decoded and queued, or handed to a thread; the values; and the parsed trees. Requests of a
        // transaction have one tree for each worker, other requests one for each that has its turn.
        let bodies = CLIENTS * 4 * 2 * length;
        let trees = (WORKERS + arenas) * TREE * length;
        let over = peak(&server).saturating_sub(before.1);
        assert!(over <= bodies + trees + kept() + SLACK, "{over} bytes over, in a transaction: {within}");
        drop(clients);
        for n in 0..CLIENTS {
            other.run(&format!("ITEM.DEL t k{n}"));
            other.run(&format!("ITEM.DEL t p{n}"));
        }
        until("all is given back", || used(&server) <= before.0 + kept() + 2 * MB);
    }
}

/// Clients watch or wait for many keys. The memory for that is used and counted, and is no longer resident once they
/// have stopped.
#[test]
fn what_watching_and_waiting_took_is_given_back_to_the_system() {
    const CLIENTS: usize = 8;
    const KEYS: usize = 20_000;
    let server = start(&[]);
    let mut other = server.client();
    let before = (used(&server), resident(&server));
    let keys: Vec<String> = (0..KEYS).map(|n| format!("some-key:{n}")).collect();
    let keys = || keys.iter().map(String::as_str);
    let watch = Client::encode(&["WATCH"].into_iter().chain(keys()).collect::<Vec<_>>());
    let ends = std::iter::repeat_n("$", KEYS);
    let wait: Vec<&str> = ["XREAD", "BLOCK", "0", "STREAMS"].into_iter().chain(keys()).chain(ends).collect();
    let wait = Client::encode(&wait);
    for (name, request) in [("watching", &watch), ("waiting", &wait)] {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
        for client in &mut clients {
            assert!(client.run(&format!("CLIENT SETNAME {name}")).is_ok());
            client.send_raw(request).unwrap();
            if name == "watching" {
                assert!(client.read().is_ok());
            }
        }
        let blocked = if name == "waiting" { CLIENTS } else { 0 }.to_string();
        until("all wait", || server.info("blocked_clients") == blocked);
        let (really, counted) = (used(&server) - before.0, listed(&mut other, name, "tot-mem"));
        let near = counted <= 2 * really + MB && really <= 2 * counted + kept() + MB;
        assert!(near, "{name}: {counted} bytes are counted, {really} used");
        assert!(
            peak(&server) <= before.1 + 2 * counted + kept() + SLACK,
            "{name}: {}",
            peak(&server) - before.1
        );
        // Half of the clients that watch stop watching, the others close. One entry serves all clients that wait.
        for client in clients.iter_mut().take(CLIENTS / 2) {
            if name == "watching" {
                assert!(client.run("UNWATCH").is_ok());
            }
        }
        if name == "waiting" {
            assert!(matches!(other.call(&["XADD", "some-key:7", "*", "a", "b"]), Value::Bulk(_)));
            clients.iter_mut().for_each(|client| assert!(!client.read().is_null()));
            assert_eq!(other.run("DEL some-key:7"), Value::Int(1));
        }
        drop(clients);
        until("all is given back", || used(&server) <= before.0 + kept() + MB);
        settles(&server, &mut other, before.1 + kept() + SLACK);
    }
}
