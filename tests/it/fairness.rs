//! Tests of promises about waiting: a command that waits for a shard, or for all of them, waits only for those that
//! came before it, and long work gives way. The explorer of interleavings checks that no thread holds a shard while it
//! waits for another (`tests/interleaving/gates.rs`).
//!
//! These tests count how many commands that were sent later came first, or were answered meanwhile, because a busy
//! machine slows both sides. Times are only compared with the longest command of the same run.

use crate::harness::memory::{MB, used};
use crate::harness::{Client, Server, Value, until};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// The number of items in the collection, whose reading takes some milliseconds.
const ITEMS: usize = 2000;
/// The number of clients that read it again and again.
const READERS: usize = 5;
const CHANGES: u64 = 40;
/// How many queries of one reader may overtake a change, on average. One may be on its way when the change is sent, and
/// the change's thread may get the processor late.
const OVERTAKING: usize = 2;
/// The time that the system's scheduling may add to any wait.
const SCHEDULING: Duration = Duration::from_secs(2);

/// Starts a server with the collection `one`, whose item 0 has a version.
fn start(workers: usize) -> Server {
    let workers = workers.to_string();
    let server = Server::start(&["--io-threads", &workers, "--enable-debug-command", "yes"]);
    let mut client = server.client();
    assert!(client.run("TABLE.CREATE t PK pk S SK sk N").is_ok());
    for n in 0..ITEMS {
        client.send(&["ITEM.PUT", "t", "one", &n.to_string(), "SET", "2", "a:n", "1", "b", "text"]).unwrap();
    }
    (0..ITEMS).for_each(|_| assert!(client.read().is_ok()));
    assert!(client.run("ITEM.PUT t one 0 SET 1 version:n 0").is_ok());
    server
}

/// A query that reads the whole collection and shows the version.
const QUERY: [&str; 7] = [
    "ITEM.QUERY",
    "t",
    "one",
    "WHERE",
    "attribute_exists(version) or contains(b, \"nowhere\")",
    "FORMAT",
    "JSON",
];

/// Reads all that there is, and gives the newest version that it shows.
type Read = fn(&mut Client) -> u64;

fn version(client: &mut Client) -> u64 {
    let reply = client.call(&QUERY).to_string();
    let digits = reply.split("version").nth(1).unwrap_or_else(|| panic!("{reply}"));
    let digits: String =
        digits.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// One query: its number in the order of sending, the version that it saw, and its duration.
struct Seen {
    sent: u64,
    version: u64,
    took: Duration,
}

/// Runs `work` beside the readers, with the counter of what is sent. Returns its result and what the readers saw.
fn beside_readers<R>(server: &Server, work: impl FnOnce(&AtomicU64) -> R) -> (R, Vec<Seen>) {
    beside_readers_of(server, version, work)
}

/// As [`beside_readers`], of readers who read in another way.
fn beside_readers_of<R>(server: &Server, read: Read, work: impl FnOnce(&AtomicU64) -> R) -> (R, Vec<Seen>) {
    let (order, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let clients: Vec<Client> = (0..READERS).map(|_| server.client()).collect();
    std::thread::scope(|scope| {
        let readers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let (order, over) = (&order, &over);
                scope.spawn(move || {
                    let mut all = Vec::new();
                    while !over.load(SeqCst) {
                        let (sent, began) = (order.fetch_add(1, SeqCst), Instant::now());
                        let version = read(&mut client);
                        all.push(Seen { sent, version, took: began.elapsed() });
                    }
                    all
                })
            })
            .collect();
        // Waits until all readers read.
        while order.load(SeqCst) < 3 * READERS as u64 {
            std::thread::yield_now();
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&order)));
        over.store(true, SeqCst);
        let seen = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
        (result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), seen)
    })
}

/// Sends the changes one after the other, each after all readers have read again. Returns for each its number in the
/// order of sending and its duration.
fn change(order: &AtomicU64, mut once: impl FnMut(u64)) -> Vec<(u64, Duration)> {
    (1..=CHANGES)
        .map(|version| {
            let in_full_swing = order.load(SeqCst) + 2 * READERS as u64;
            while order.load(SeqCst) < in_full_swing {
                std::thread::yield_now();
            }
            let (sent, began) = (order.fetch_add(1, SeqCst), Instant::now());
            once(version);
            (sent, began.elapsed())
        })
        .collect()
}

/// Checks that few queries that were sent after a change did not see it, and that no change waited much longer than a
/// query takes.
fn check(what: &str, changes: &[(u64, Duration)], seen: &[Seen]) {
    let overtook = |(version, sent): (u64, u64)| {
        seen.iter().filter(|query| query.sent > sent && query.version < version).count()
    };
    let all: Vec<usize> = (1..).zip(changes).map(|(version, (sent, _))| overtook((version, *sent))).collect();
    let total: usize = all.iter().sum();
    assert!(total <= changes.len() * READERS * OVERTAKING, "{what}: queries overtook changes: {all:?}");
    let longest = seen.iter().map(|query| query.took).max().unwrap();
    let worst = changes.iter().map(|(_, took)| *took).max().unwrap();
    let most = longest * (READERS as u32 + 2) + SCHEDULING;
    assert!(worst <= most, "{what}: a change took {worst:?}, the longest query {longest:?}");
}

#[test]
fn a_writer_waits_for_the_readers_before_it_only() {
    for workers in [1, 2, 4] {
        let server = start(workers);
        let mut writer = server.client();
        let (changes, seen) = beside_readers(&server, |order| {
            change(order, |version| {
                let update = format!("ITEM.PUT t one 0 SET 1 version:n {version}");
                assert!(writer.run(&update).is_ok());
            })
        });
        check(&format!("{workers} workers"), &changes, &seen);
    }
}

/// A large value of each type: what fills it, what reads all of it, and what adds a version.
type Large = (fn(usize) -> String, Read, fn(u64) -> String);

const LARGE: [Large; 4] = [
    (
        |n| format!("RPUSH list {n}"),
        |client| newest(client, "LRANGE list 0 -1"),
        |v| format!("LSET list 0 version:{v}"),
    ),
    (
        |n| format!("SADD set member{n}"),
        |client| newest(client, "SMEMBERS set"),
        |v| format!("SADD set version:{v}"),
    ),
    (
        |n| format!("ZADD zset {n} member{n}"),
        |client| newest(client, "ZRANGE zset 0 -1 WITHSCORES"),
        |v| format!("ZADD zset -{v} version:{v}"),
    ),
    (
        |n| format!("HSET hash field{n} v"),
        |client| newest(client, "HGETALL hash"),
        |v| format!("HSET hash f version:{v}"),
    ),
];

fn newest(client: &mut Client, read: &str) -> u64 {
    let versions = client.run(read).items().into_iter().filter_map(|value| {
        let text = value.text();
        text.strip_prefix("version:").map(|version| version.parse().unwrap())
    });
    versions.max().unwrap_or(0)
}

#[test]
fn a_writer_of_a_large_value_waits_for_the_readers_before_it_only() {
    const ELEMENTS: usize = 10_000;
    for workers in [1, 4] {
        let server = Server::start(&["--io-threads", &workers.to_string(), "--enable-debug-command", "yes"]);
        let mut writer = server.client();
        for (fill, read, write) in LARGE {
            for n in 0..ELEMENTS {
                writer.send(&fill(n).split(' ').collect::<Vec<_>>()).unwrap();
            }
            (0..ELEMENTS).for_each(|_| assert!(!writer.read().is_error()));
            let (changes, seen) = beside_readers_of(&server, read, |order| {
                change(order, |version| assert!(!writer.run(&write(version)).is_error()))
            });
            check(&format!("{workers} workers, {}", fill(0)), &changes, &seen);
        }
    }
}

/// A checkpoint reads a shard in pieces: while it is written others write, to every type, and are answered.
#[test]
fn writers_pass_beside_a_checkpoint() {
    const KEYS: usize = 100_000;
    const ROUNDS: u64 = 3;
    for workers in ["1", "2"] {
        let server =
            Server::start(&["--io-threads", workers, "--enable-debug-command", "yes", "--shards", "2"]);
        let (mut other, mut writer) = (server.client(), server.client());
        assert!(other.run(&format!("DEBUG POPULATE {KEYS}")).is_ok());
        for n in 0..KEYS / 4 {
            LARGE.iter().for_each(|(fill, ..)| writer.send(&fill(n).split(' ').collect::<Vec<_>>()).unwrap());
        }
        (0..KEYS).for_each(|_| assert!(!writer.read().is_error()));
        let (saving, over, answered) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut version = 0;
                while !over.load(SeqCst) {
                    version += 1;
                    let small = format!("SET key:{} v{version}", version * 7919 % KEYS as u64);
                    for line in LARGE.iter().map(|(.., write)| write(version)).chain([small]) {
                        assert!(!writer.run(&line).is_error(), "{line}");
                        answered.fetch_add(u64::from(saving.load(SeqCst)), SeqCst);
                    }
                }
            });
            for _ in 0..ROUNDS {
                saving.store(true, SeqCst);
                assert!(other.run("SAVE").is_ok());
                saving.store(false, SeqCst);
            }
            over.store(true, SeqCst);
        });
        let answered = answered.into_inner();
        assert!(answered >= 50 * ROUNDS, "{answered} writes were answered beside {ROUNDS} checkpoints");
    }
}

#[test]
fn who_takes_all_shards_waits_for_those_before_it_only() {
    for workers in [1, 2, 4] {
        let server = start(workers);
        let mut taker = server.client();
        assert!(taker.run("SELECT 5").is_ok());
        let (changes, seen) = beside_readers(&server, |order| {
            change(order, |version| {
                let update = format!("ITEM.PUT t one 0 SET 1 version:n {version}");
                let lines =
                    ["MULTI", &update, "FLUSHDB", "EXEC"].map(|line| line.split(' ').collect::<Vec<_>>());
                taker.send_raw(&lines.map(|line| Client::encode(&line)).concat()).unwrap();
                (0..3).for_each(|_| assert!(!taker.read().is_error()));
                assert!(taker.read().items().iter().all(Value::is_ok));
            })
        });
        check(&format!("{workers} workers"), &changes, &seen);
    }
}

/// Clients that wait for entries get them in order and in time, whichever other shards are held.
#[test]
fn those_who_wait_for_keys_are_served_beside_long_reads() {
    const WAITING: usize = 12;
    for workers in [1, 2, 4] {
        let server = start(workers);
        let mut writer = server.client();
        assert!(writer.run("XGROUP CREATE s g $ MKSTREAM").is_ok());
        let mut waiting: Vec<Client> = (0..WAITING).map(|_| server.client()).collect();
        for (n, client) in waiting.iter_mut().enumerate() {
            let command = format!("XREADGROUP GROUP g c{n} COUNT 1 BLOCK 0 STREAMS s >");
            client.send(&command.split(' ').collect::<Vec<_>>()).unwrap();
            until("it waits", || server.info("blocked_clients") == (n + 1).to_string());
        }
        let (worst, seen) = beside_readers(&server, |_| {
            let waits = waiting.iter_mut().enumerate().map(|(n, client)| {
                let began = Instant::now();
                let id = format!("{}-1", n + 1);
                assert_eq!(writer.run(&format!("XADD s {id} n {n}")).text(), id);
                assert!(client.read().to_string().contains(&id), "{n} is not the next one");
                began.elapsed()
            });
            waits.max().unwrap()
        });
        let longest = seen.iter().map(|query| query.took).max().unwrap();
        let most = longest * 2 * (READERS as u32 + 2) + SCHEDULING;
        assert!(worst <= most, "{workers} workers: {worst:?}, the longest query {longest:?}");
    }
}

/// A command that walks over all keys has a thread of its own and holds one shard at a time, so the only worker answers
/// other clients meanwhile.
#[test]
fn a_walk_over_all_keys_lets_others_pass() {
    const ROUNDS: u64 = 5;
    let server = Server::start(&["--io-threads", "1", "--enable-debug-command", "yes", "--appendonly", "no"]);
    let (mut walker, mut other) = (server.client(), server.client());
    assert!(walker.run("DEBUG POPULATE 100000").is_ok());
    let (walking, over, answered) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                assert!(other.run("SET some-key v").is_ok());
                answered.fetch_add(u64::from(walking.load(SeqCst)), SeqCst);
            }
        });
        for _ in 0..ROUNDS {
            walking.store(true, SeqCst);
            assert!(walker.run("KEYS none*").items().is_empty());
            walking.store(false, SeqCst);
        }
        over.store(true, SeqCst);
    });
    let answered = answered.into_inner();
    assert!(answered >= 5 * ROUNDS, "{answered} commands were answered beside {ROUNDS} walks");
}

/// Many clients wait for many keys each, and one change serves them all. While they leave the waiting lines of their
/// other keys, the only worker answers other clients.
#[test]
fn those_who_leave_many_lines_let_others_pass() {
    const CLIENTS: usize = 60;
    const KEYS: usize = 4000;
    let server = Server::start(&["--io-threads", "1"]);
    let mut other = server.client();
    let figure = |client: &mut Client| {
        let text = client.run("INFO memory").text();
        let line = text.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.trim().parse::<usize>().unwrap()
    };
    let before = figure(&mut other);
    let keys: Vec<String> = (0..KEYS).map(|n| format!("some-key:{n}")).collect();
    let keys = keys.iter().map(String::as_str);
    let words =
        ["XREAD", "BLOCK", "0", "STREAMS"].into_iter().chain(keys).chain(std::iter::repeat_n("$", KEYS));
    let request = Client::encode(&words.collect::<Vec<_>>());
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.send_raw(&request).unwrap());
    until("all wait", || server.info("blocked_clients") == CLIENTS.to_string());
    assert!(used(&server) > before + 4 * MB);
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut answered = 0;
    assert!(matches!(other.run("XADD some-key:7 * a b"), Value::Bulk(_)));
    while figure(&mut other) > before + 2 * MB {
        answered += 1;
        assert!(Instant::now() < deadline, "what waiting took is not given back");
    }
    clients.iter_mut().for_each(|client| assert!(client.read().to_string().contains("some-key:7")));
    assert!(
        answered >= 5,
        "{answered} commands were answered while {CLIENTS} clients left {KEYS} lines each"
    );
}
