//! Each command on a key seems to happen at one moment between its sending and its reply. Eight clients send commands
//! of every family, in every way in which a command can be sent, while the server is killed and started again. For each
//! key there is an order of all commands in which each has the reply that came.

mod load;
mod search;
mod spec;

use crate::harness::{Random, Server};
use load::{Clock, KEYS, LIBRARY, Process, Talker};
use search::{Op, linearize};
use spec::{State, Stream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const CLIENTS: usize = 8;
/// How often the server is killed while it serves.
const KILLS: usize = 3;
/// The number of answers after which it is killed.
const ANSWERS: u64 = 1500;
/// More batches than a client can send until then.
const ENDLESS: usize = 1_000_000;
/// The batches of each client at the end.
const LAST: usize = 50;

fn start_of(key: &str) -> State {
    if key == "stream" { State::Stream(Stream::default()) } else { State::Absent }
}

/// What the clients of a server did, life after life.
fn record(workers: &str, appendfsync: &str) -> Vec<Process> {
    let mut random = Random::from_environment("linearizability");
    let flags = ["--appendonly", "yes", "--appendfsync", appendfsync, "--io-threads", workers];
    let mut server = Server::start(&flags);
    let mut client = server.client();
    assert!(client.run("TABLE.CREATE t PK id S").is_ok());
    assert!(client.run("XGROUP CREATE stream g 0 MKSTREAM").is_ok());
    assert_eq!(client.call(&["FUNCTION", "LOAD", LIBRARY]).text(), "linear");
    let (clock, answered) = (Clock::default(), AtomicU64::new(0));
    let mut processes = Vec::new();
    for life in 0..=KILLS {
        let most = if life < KILLS { ENDLESS } else { LAST };
        let end = answered.load(SeqCst) + ANSWERS;
        std::thread::scope(|scope| {
            let talkers: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let (clock, answered, client) = (&clock, &answered, server.client());
                    let random = random.fork();
                    let (seen, last) = (Process::new(), Default::default());
                    let talker = Talker { client, random, clock, answered, seen, last };
                    scope.spawn(move || talker.run(most))
                })
                .collect();
            if life < KILLS {
                while answered.load(SeqCst) < end && talkers.iter().any(|talker| !talker.is_finished()) {
                    std::thread::yield_now();
                }
                server.kill9();
            }
            processes.extend(talkers.into_iter().map(|talker| talker.join().unwrap()));
        });
        if life < KILLS {
            server.up();
        }
    }
    processes
}

fn of_key(processes: &[Process], key: &str) -> Vec<Vec<Op>> {
    processes.iter().filter_map(|process| process.get(key).cloned()).collect()
}

fn every_key_has_an_order(workers: &str, appendfsync: &str) {
    let processes = record(workers, appendfsync);
    for key in KEYS {
        let of_key = of_key(&processes, key);
        let commands: usize = of_key.iter().map(Vec::len).sum();
        assert!(commands > 100, "{key}: {commands} commands");
        if let Err(text) = linearize(&start_of(key), &of_key) {
            panic!("{key}, {workers} workers: {text}");
        }
    }
}

#[test]
fn commands_on_a_key_have_an_order_with_one_worker() {
    every_key_has_an_order("1", "everysec");
}

#[test]
fn commands_on_a_key_have_an_order_with_two_workers() {
    every_key_has_an_order("2", "always");
}

#[test]
fn commands_on_a_key_have_an_order_with_four_workers() {
    every_key_has_an_order("4", "everysec");
}

/// A history in one line for each process: `sent-answered words -> reply`, separated by semicolons. `?` is no reply.
fn history(lines: &[&str]) -> Vec<Vec<Op>> {
    let op = |text: &str| {
        let (call, reply) = text.split_once(" -> ").unwrap();
        let (times, words) = call.trim().split_once(' ').unwrap();
        let (sent, answered) = times.split_once('-').unwrap();
        Op {
            sent: sent.parse().unwrap(),
            answered: answered.parse().unwrap(),
            words: words.split(' ').map(str::to_owned).collect(),
            reply: (reply.trim() != "?").then(|| reply.trim().to_owned()),
        }
    };
    lines.iter().map(|line| line.split(';').map(op).collect()).collect()
}

#[test]
fn the_search_accepts_what_can_be() {
    for lines in [
        &["0-9 SET k a -> OK", "1-2 GET k -> nil; 3-4 GET k -> a"][..],
        &["0-9 SET k a -> OK", "1-8 SET k b -> OK", "10-11 GET k -> a"],
        &["0-9 INCRBY k 1 -> 2", "1-8 INCRBY k 1 -> 1"],
        &["0-9 BLPOP k 1 -> [k b]", "1-2 RPUSH k a b -> 2; 3-4 LPOP k -> a", "5-6 LLEN k -> 1"],
        &["0-1 SADD k a -> 1; 2-3 SADD k b -> 1; 4-5 SPOP k -> b; 6-7 SMEMBERS k -> [a]"],
        // What was not answered has run, or has not.
        &["0-5 SET k a -> ?", "6-7 GET k -> a"],
        &["0-5 SET k a -> ?", "6-7 GET k -> nil"],
        &["0-5 SET k a -> ?; 0-5 SET k b -> ?", "6-7 GET k -> a"],
        &[
            "0-1 SET k a -> OK; 2-3 CAS k a b -> 1; 4-9 CAS k b c -> nil; 10-11 GET k -> d",
            "5-6 SET k d -> OK",
        ],
    ] {
        assert_eq!(linearize(&State::Absent, &history(lines)), Ok(()), "{lines:?}");
    }
}

#[test]
fn the_search_refuses_what_cannot_be() {
    for lines in [
        // A read that is stale, a write that is lost, and reads that go back.
        &["0-1 SET k a -> OK", "2-3 GET k -> nil"][..],
        &["0-1 SET k a -> OK; 2-3 SET k b -> OK", "4-5 GET k -> a"],
        &["0-9 SET k a -> OK", "1-2 GET k -> a", "3-4 GET k -> nil"],
        &["0-9 SET k a -> OK", "1-8 SET k b -> OK", "10-11 GET k -> a", "12-13 GET k -> b"],
        // Two of which each took the same, or counted to the same.
        &["0-9 INCRBY k 1 -> 1", "1-8 INCRBY k 1 -> 1"],
        &["0-1 RPUSH k a -> 1", "2-9 LPOP k -> a", "3-8 BLPOP k 1 -> [k a]"],
        &["0-1 SADD k a -> 1; 2-3 SADD k b -> 1", "4-9 SPOP k -> a", "5-8 SPOP k -> a"],
        &["0-9 SETNX k a -> 1", "1-8 SETNX k b -> 1"],
        &["0-1 SET k a -> OK", "2-9 CAS k a b -> 1", "3-8 CAS k a c -> 1"],
        &["0-1 SET k a -> OK; 2-3 CAS k a b -> nil"],
        // One that waits goes away empty although there was something all the time.
        &["0-1 RPUSH k a -> 1; 2-3 BLPOP k 1 -> nil"],
        // What was not answered comes and goes, happens after the connection was closed, or without what was sent
        // before it on its connection.
        &["0-5 SET k a -> ?", "6-7 GET k -> a; 8-9 GET k -> nil"],
        &["0-5 SET k a -> ?", "6-7 GET k -> nil; 8-9 GET k -> a"],
        &["0-5 SET k a -> ?; 0-5 APPEND k b -> ?", "6-7 GET k -> b"],
        // The commands of one process are in the order in which they were sent.
        &["0-9 SET k a -> OK; 0-9 GET k -> nil"],
    ] {
        assert!(linearize(&State::Absent, &history(lines)).is_err(), "{lines:?}");
    }
}

/// A text that was seen, and was another one when it was seen again, never comes back; and no element of a list is
/// given away twice.
#[test]
fn the_search_refuses_recorded_histories_in_which_one_reply_is_that_of_another_command() {
    let processes = record("2", "no");
    let text = of_key(&processes, "text");
    let gets = all_of(&text, "GET");
    let first = gets.iter().find(|op| op.reply.as_deref() != Some("nil")).unwrap();
    let other = gets.iter().find(|op| op.sent > first.answered && op.reply != first.reply).unwrap();
    let later = gets.iter().filter(|op| op.sent > other.answered).step_by(gets.len() / 8 + 1);
    refuses_each(&text, later, first);
    let list = of_key(&processes, "list");
    let pops: Vec<Op> =
        all_of(&list, "LPOP").into_iter().filter(|op| op.reply.as_deref() != Some("nil")).collect();
    refuses_each(&list, pops[1..].iter().step_by(pops.len() / 8 + 1), &pops[0]);
}

/// The commands with this name that were answered, in the order in which they were sent.
fn all_of(processes: &[Vec<Op>], name: &str) -> Vec<Op> {
    let all = processes.iter().flatten().filter(|op| op.words[0] == name && op.reply.is_some());
    let mut all: Vec<Op> = all.cloned().collect();
    all.sort_by_key(|op| op.sent);
    all
}

/// The search refuses the history in which one of `ops` has the reply of another command.
fn refuses_each<'a>(processes: &[Vec<Op>], ops: impl Iterator<Item = &'a Op>, other: &Op) {
    assert_eq!(linearize(&State::Absent, processes), Ok(()));
    let mut tried = 0;
    for changed in ops {
        let mut processes = processes.to_vec();
        let mut all = processes.iter_mut().flatten();
        all.find(|op| op.answered == changed.answered).unwrap().reply.clone_from(&other.reply);
        assert!(linearize(&State::Absent, &processes).is_err(), "{changed:?} as {other:?}");
        tried += 1;
    }
    assert!(tried > 1, "{tried} histories");
}
