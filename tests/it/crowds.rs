//! Many clients at once: who waits longest is served first whichever thread has it, ten thousand that wait for one key
//! wake one by one, and what clients that do nothing, wait or listen take in memory is bounded.

use crate::harness::memory::{MB, resident, used};
use crate::harness::{Client, Server, Value, until};
use itemory::env::process::raise_file_limit;

/// The number of clients in a crowd.
const CROWD: usize = 10_000;
/// Waiters join in groups of so many. The order of those of one group is not known.
const GROUP: usize = 100;
/// Files that the test and the server open beside the sockets of the crowd.
const FILES: u64 = 500;

fn words(line: &str) -> Vec<u8> {
    Client::encode(&line.split(' ').collect::<Vec<_>>())
}

/// A line of INFO's section about clients.
fn blocked(client: &mut Client) -> usize {
    let text = client.run("INFO clients").text();
    let line = text.lines().find_map(|line| line.strip_prefix("blocked_clients:")).unwrap();
    line.trim().parse().unwrap()
}

/// The number of connections of a crowd: fewer if the system does not let a process open so many files, which is said
/// on standard error.
fn crowd() -> usize {
    let limit = raise_file_limit(CROWD as u64 + FILES);
    let count = CROWD.min(usize::try_from(limit.saturating_sub(FILES)).unwrap());
    if count < CROWD {
        eprintln!(
            "\n*** NOT TESTED with {CROWD} clients: {limit} files may be open, so there are {count} ***\n"
        );
    }
    count
}

/// What brings one element, with the number that it has, and that many wait for in their turn.
struct Line {
    setup: &'static str,
    /// How clients wait; they take turns. Each takes one element.
    waits: &'static [&'static str],
    brings: fn(usize) -> String,
}

const LINES: [Line; 3] = [
    Line {
        setup: "DEL k",
        waits: &[
            "BLPOP k 0",
            "BLMOVE k d LEFT RIGHT 0",
            "BLPOP other k 0",
            "BRPOP k 0",
            "BLMPOP 0 1 k LEFT",
            "BRPOPLPUSH k d 0",
        ],
        brings: |n| format!("RPUSH k element:{n}"),
    },
    Line {
        setup: "DEL z",
        waits: &["BZPOPMIN z 0", "BZPOPMAX z 0", "BZPOPMIN other z 0", "BZMPOP 0 1 z MIN"],
        brings: |n| format!("ZADD z {n} element:{n}"),
    },
    Line {
        setup: "XGROUP CREATE s g $ MKSTREAM",
        waits: &[
            "XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS s >",
            "XREADGROUP GROUP g c COUNT 1 BLOCK 0 NOACK STREAMS s >",
        ],
        brings: |n| format!("XADD s {}-1 f element:{n}", n + 1),
    },
];

/// Clients of all threads wait for one key, and clients of all threads bring elements, singly, in transactions and in
/// scripts. Each element is that of the client whose turn it is.
#[test]
fn who_waits_longest_is_served_first_whichever_thread_has_it() {
    const WAITING: usize = 36;
    for workers in ["1", "2", "4"] {
        let server = Server::start(&["--io-threads", workers]);
        let mut writers: Vec<Client> = (0..6).map(|_| server.client()).collect();
        for line in LINES {
            assert!(!writers[0].run(line.setup).is_error());
            let mut waiting: Vec<Client> = (0..WAITING).map(|_| server.client()).collect();
            for (n, client) in waiting.iter_mut().enumerate() {
                client.send_raw(&words(line.waits[n % line.waits.len()])).unwrap();
                until("it waits", || blocked(&mut writers[0]) == n + 1);
            }
            let mut next = 0;
            while next < WAITING {
                let writer = &mut writers[next % 6];
                let brought = match next % 3 {
                    0 => {
                        assert!(!writer.run(&(line.brings)(next)).is_error());
                        1
                    }
                    1 => {
                        let commands = [words("MULTI"), words(&(line.brings)(next)), words("EXEC")].concat();
                        writer.send_raw(&commands).unwrap();
                        assert_eq!((0..3).map(|_| writer.read()).last().unwrap().items().len(), 1);
                        1
                    }
                    _ => {
                        let call =
                            format!("return redis.call('{}')", (line.brings)(next).replace(' ', "','"));
                        assert!(!writer.call(&["EVAL", &call, "0"]).is_error());
                        1
                    }
                };
                for (n, client) in waiting.iter_mut().enumerate().skip(next).take(brought) {
                    let reply = client.read().to_string();
                    assert!(reply.contains(&format!("element:{n}\"")), "{workers} workers, {n}: {reply}");
                }
                next += brought;
                assert_eq!(blocked(&mut writers[0]), WAITING - next);
            }
        }
    }
}

/// Several elements that come at once go to as many clients, in their order.
#[test]
fn elements_that_come_together_go_to_clients_in_their_turn() {
    const WAITING: usize = 30;
    for workers in ["1", "2", "4"] {
        let server = Server::start(&["--io-threads", workers]);
        let mut writer = server.client();
        let mut waiting: Vec<Client> = (0..WAITING).map(|_| server.client()).collect();
        for (n, client) in waiting.iter_mut().enumerate() {
            client.send_raw(&words(["BLPOP k 0", "BLMOVE k d LEFT RIGHT 0"][n % 2])).unwrap();
            until("it waits", || blocked(&mut writer) == n + 1);
        }
        let elements = |from: usize| (from..from + 10).map(|n| format!("element:{n}")).collect::<Vec<_>>();
        assert_eq!(writer.run(&format!("RPUSH k {}", elements(0).join(" "))), Value::Int(10));
        let single: Vec<Vec<u8>> = elements(10).iter().map(|one| words(&format!("RPUSH k {one}"))).collect();
        writer.send_raw(&[words("MULTI"), single.concat(), words("EXEC")].concat()).unwrap();
        (0..12).for_each(|_| assert!(!writer.read().is_error()));
        let script = "for n = 20, 29 do redis.call('RPUSH', KEYS[1], 'element:' .. n) end";
        assert!(writer.call(&["EVAL", script, "1", "k"]).is_null());
        for (n, client) in waiting.iter_mut().enumerate() {
            let reply = client.read().to_string();
            assert!(reply.contains(&format!("element:{n}\"")), "{workers} workers, {n}: {reply}");
        }
        // What BLMOVE took is where it belongs, in the order in which it was taken.
        let odd: Vec<String> = (1..WAITING).step_by(2).map(|n| format!("element:{n}")).collect();
        let moved: Vec<String> = writer.run("LRANGE d 0 -1").items().iter().map(Value::text).collect();
        assert_eq!(moved, odd);
    }
}

/// All who read a stream get what comes, and go on in their places.
#[test]
fn all_who_read_a_stream_get_each_entry() {
    const READING: usize = 200;
    for workers in ["1", "2", "4"] {
        let server = Server::start(&["--io-threads", workers]);
        let mut writer = server.client();
        let mut reading: Vec<Client> = (0..READING).map(|_| server.client()).collect();
        for round in 1..4 {
            reading
                .iter_mut()
                .for_each(|client| client.send_raw(&words("XREAD BLOCK 0 STREAMS s $")).unwrap());
            until("all wait", || blocked(&mut writer) == READING);
            assert_eq!(writer.run(&format!("XADD s {round}-1 f v")).text(), format!("{round}-1"));
            for client in &mut reading {
                assert_eq!(client.read().to_string(), format!("[[\"s\" [[\"{round}-1\" [\"f\" \"v\"]]]]]"));
            }
        }
    }
}

/// The bytes of `used_memory` and of resident memory that each of so many took.
fn each(server: &Server, before: (usize, usize), count: usize) -> (usize, usize) {
    let grown = |now: usize, before: usize| now.saturating_sub(before) / count;
    (grown(used(server), before.0), grown(resident(server), before.1))
}

/// The most bytes that a client takes which has said nothing but its name, that waiting for a key takes besides, and
/// that a client takes which listens to a channel. What was measured, about half of it, is in docs/operations.md.
const IDLE_MOST: usize = 8 << 10;
const WAITING_MOST: usize = 2 << 10;
const LISTENING_MOST: usize = 8 << 10;

/// A server that may have a crowd as its clients.
fn spacious() -> Server {
    let clients = (CROWD + 100).to_string();
    Server::start(&["--maxclients", &clients, "--io-threads", "2", "--appendonly", "no"])
}

#[test]
fn ten_thousand_who_wait_for_one_key_wake_one_by_one() {
    let count = crowd();
    let server = spacious();
    let mut writer = server.client();
    let mut waiting: Vec<Client> = (0..count).map(|_| server.client()).collect();
    waiting.iter_mut().for_each(|client| client.send_raw(&words("PING")).unwrap());
    waiting.iter_mut().for_each(|client| assert!(!client.read().is_error()));
    let before = (used(&server), resident(&server));
    for (n, group) in waiting.chunks_mut(GROUP).enumerate() {
        let joined = n * GROUP + group.len();
        group.iter_mut().for_each(|client| client.send_raw(&words("BLPOP k 0")).unwrap());
        until("the group waits", || blocked(&mut writer) == joined);
    }
    let (counted, held) = each(&server, before, count);
    eprintln!("{count} that wait: {counted} bytes each are counted, {held} are resident");
    assert!(counted.max(held) <= WAITING_MOST, "{counted} bytes each are counted, {held} are resident");
    // One element wakes one of them.
    let before_them = commands(&mut writer);
    for n in 0..10 {
        assert_eq!(writer.run(&format!("RPUSH k element:{n}")), Value::Int(1));
        assert_eq!(blocked(&mut writer), count - n - 1);
    }
    // Ten times RPUSH, INFO and BLPOP, and the INFO that says it.
    assert_eq!(commands(&mut writer) - before_them, 31, "only those who are served run their command");
    let requests: Vec<Vec<u8>> = (10..count).map(|n| words(&format!("RPUSH k element:{n}"))).collect();
    for some in requests.chunks(GROUP) {
        writer.send_raw(&some.concat()).unwrap();
        some.iter().for_each(|_| assert_eq!(writer.read(), Value::Int(1)));
    }
    until("all are served", || blocked(&mut writer) == 0);
    for (n, group) in waiting.chunks_mut(GROUP).enumerate() {
        let mut numbers: Vec<usize> = group
            .iter_mut()
            .map(|client| client.read().items()[1].text().trim_start_matches("element:").parse().unwrap())
            .collect();
        numbers.sort_unstable();
        let expected: Vec<usize> = (n * GROUP..n * GROUP + group.len()).collect();
        assert_eq!(numbers, expected, "of the group {n}");
    }
    until("what waiting took is given back", || used(&server) <= before.0 + MB);
}

/// `total_commands_processed`.
fn commands(client: &mut Client) -> usize {
    let text = client.run("INFO stats").text();
    let line = text.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn ten_thousand_clients_that_do_nothing_take_little() {
    let count = crowd();
    let server = spacious();
    let before = (used(&server), resident(&server));
    let mut idle: Vec<Client> = (0..count).map(|_| server.client()).collect();
    for some in idle.chunks_mut(GROUP) {
        some.iter_mut().for_each(|client| client.send_raw(&words("CLIENT SETNAME idle")).unwrap());
        some.iter_mut().for_each(|client| assert!(client.read().is_ok()));
    }
    let (counted, held) = each(&server, before, count);
    eprintln!("{count} that do nothing: {counted} bytes each are counted, {held} are resident");
    assert!(counted.max(held) <= IDLE_MOST, "{counted} bytes each are counted, {held} are resident");
    // They are served again, all of them.
    for some in idle.chunks_mut(GROUP) {
        some.iter_mut().for_each(|client| client.send_raw(&words("CLIENT GETNAME")).unwrap());
        some.iter_mut().for_each(|client| assert_eq!(client.read().text(), "idle"));
    }
    let (counted, held) = each(&server, before, count);
    assert!(
        counted.max(held) <= IDLE_MOST,
        "{counted} bytes each are counted, {held} are resident afterwards"
    );
    drop(idle);
    until("what they took is given back", || used(&server) <= before.0 + MB);
}

#[test]
fn a_thousand_who_listen_take_little() {
    const LISTENING: usize = 1000;
    const MESSAGES: usize = 20;
    raise_file_limit(LISTENING as u64 + FILES);
    let server = spacious();
    let mut publisher = server.client();
    let before = (used(&server), resident(&server));
    let mut listening: Vec<Client> = (0..LISTENING).map(|n| server.client_with(2 + (n % 2) as u8)).collect();
    listening.iter_mut().for_each(|client| drop(client.run("SUBSCRIBE news")));
    let (counted, held) = each(&server, before, LISTENING);
    eprintln!("{LISTENING} that listen: {counted} bytes each are counted, {held} are resident");
    assert!(counted.max(held) <= LISTENING_MOST, "{counted} bytes each are counted, {held} are resident");
    for n in 0..MESSAGES {
        assert_eq!(publisher.run(&format!("PUBLISH news message:{n}")), Value::Int(LISTENING as i64));
    }
    for client in &mut listening {
        (0..MESSAGES).for_each(|n| assert_eq!(client.read().items()[2].text(), format!("message:{n}")));
    }
    let (counted, held) = each(&server, before, LISTENING);
    assert!(
        counted.max(held) <= LISTENING_MOST,
        "{counted} bytes each are counted, {held} are resident after news"
    );
    drop(listening);
    until("what they took is given back", || used(&server) <= before.0 + MB);
}
