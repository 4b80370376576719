//! Tests the events of commands against a real redis-server.

mod examples;
mod heard;
mod order;

use crate::harness::{Client, Server, Value};
use heard::Ours;
use std::collections::BTreeSet;
use std::time::Duration;

/// A real redis-server, and a subscriber to all its events.
struct Referee {
    client: Client,
    publisher: Client,
    subscriber: Client,
    _server: Server,
}

impl Referee {
    fn start() -> Self {
        let server = Server::referee(&["--notify-keyspace-events", "EAmn", "--enable-debug-command", "yes"]);
        let (client, publisher, mut subscriber) = (server.client(), server.client(), server.client());
        subscriber.run("PSUBSCRIBE __keyevent@*__:*");
        Self { client, publisher, subscriber, _server: server }
    }

    fn run(&mut self, args: &[Vec<u8>]) -> (Value, Vec<String>) {
        let reply = self.client.call(args);
        // This event comes after all events of the command, because the same thread publishes both.
        self.publisher.run("PUBLISH __keyevent@0__: end");
        let mut told = Vec::new();
        loop {
            let message = self.subscriber.read().items();
            let text = |at: usize| String::from_utf8_lossy(&message[at].bytes().unwrap()).into_owned();
            let (channel, key) = (text(2), text(3));
            let (db, name) = channel.strip_prefix("__keyevent@").unwrap().split_once("__:").unwrap();
            if name.is_empty() {
                return (reply, told);
            }
            told.push(format!("{db} {name} {key}"));
        }
    }
}

/// The words of a line; `{key}` stands for the referee's DUMP of a key.
fn words(line: &str, referee: &mut Referee) -> Vec<Vec<u8>> {
    let dumped =
        |word: &str| word.strip_prefix('{').and_then(|word| word.strip_suffix('}')).map(str::to_owned);
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        words.push(match dumped(word) {
            Some(key) => referee.client.call(&["DUMP", &key]).bytes().unwrap(),
            None if word == "\"\"" => Vec::new(),
            None => word.as_bytes().to_vec(),
        });
    }
    words
}

#[test]
fn commands_tell_what_redis_tells() {
    let (mut ours, mut referee) = (Ours::in_memory(), Referee::start());
    let mut wrong = Vec::new();
    for line in examples::REFEREED {
        let words = words(line, &mut referee);
        let (_, right) = referee.run(&words);
        let (reply, told) = ours.run(&words);
        if told != right {
            wrong.push(format!("{line}: {told:?} for {right:?} ({reply})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_key_that_has_expired_is_told_before_what_replaces_it() {
    let (mut ours, mut referee) = (Ours::in_memory(), Referee::start());
    let mut wrong = Vec::new();
    let run = |line: &str, ours: &mut Ours, referee: &mut Referee| {
        let words = words(line, referee);
        (ours.run(&words).1, referee.run(&words).1)
    };
    run("DEBUG SET-ACTIVE-EXPIRE 0", &mut ours, &mut referee);
    for (line, in_order) in examples::ON_EXPIRED {
        for setup in ["FLUSHALL", "SET live v", "SET k 1 PX 1"] {
            run(setup, &mut ours, &mut referee);
        }
        ours.advance(2);
        std::thread::sleep(Duration::from_millis(3));
        let (mut told, mut right) = run(line, &mut ours, &mut referee);
        if !in_order {
            told.sort();
            right.sort();
        }
        if told != right {
            wrong.push(format!("{line}: {told:?} for {right:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_referee_does_not_know_tells_what_is_documented() {
    let mut ours = Ours::in_memory();
    let wrong: Vec<String> = examples::DOCUMENTED
        .iter()
        .filter_map(|(line, right)| {
            let (reply, told) = ours.run_line(line);
            (told.join(", ") != *right).then(|| format!("{line}: {told:?} for {right} ({reply})"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every command that writes has an example with its events.
#[test]
fn every_command_that_writes_keys_tells_something() {
    let (mut ours, mut referee) = (Ours::in_memory(), Referee::start());
    let mut tell = BTreeSet::new();
    let mut note = |ours: &mut Ours, words: &[Vec<u8>]| {
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let name = ours.server.registry.lookup(&args).ok().map(|command| command.full_name.clone());
        if !ours.run(words).1.is_empty() {
            tell.extend(name);
        }
    };
    for line in examples::REFEREED {
        let words = words(line, &mut referee);
        referee.run(&words);
        note(&mut ours, &words);
    }
    let mut ours = Ours::in_memory();
    for (line, _) in examples::DOCUMENTED {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        note(&mut ours, &words);
    }
    let silent: Vec<String> = ours
        .server
        .registry
        .commands()
        .flat_map(|command| std::iter::once(command).chain(command.subs.values()))
        .filter(|command| {
            command.spec.flags & itemory::command::flag::WRITE != 0 && !command.spec.keys.is_empty()
        })
        .map(|command| command.full_name.clone())
        .filter(|name| !tell.contains(name) && !examples::SILENT.contains(&name.as_str()))
        .collect();
    assert!(silent.is_empty(), "without an example in which it tells something: {silent:?}");
}
