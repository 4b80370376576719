//! kill -9 under load: every acknowledged write is there afterwards, and no half transaction.

use crate::harness::{Client, Random, Server, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WRITERS: usize = 4;
const ROUNDS: usize = 20;
/// Writes of a round that are acknowledged at least, however slow the machine, before the server is killed.
const LOAD: usize = 20;
/// Accounts between which every writer moves amounts; their sum is always nothing.
const ACCOUNTS: usize = 8;

/// What one writer knows of one thing that it alone writes. A value is a number in text; None is "not there".
#[derive(Clone, Debug, Default)]
struct Slot {
    acknowledged: Option<String>,
    /// Sent after that, in order, and not answered.
    pending: Vec<Option<String>>,
}

/// How a slot is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Str,
    /// A string that is sometimes deleted.
    Deleted,
    /// A string with a time to live.
    Expiring,
    Counter,
    /// A hash with two fields that are always the same.
    Hash,
    /// Two strings and a hash field that only a transaction writes.
    Triple,
    /// An item with an attribute of type N.
    Item,
    /// An item and a string that only a transaction writes.
    ItemAndKey,
}

const KINDS: [Kind; 8] = [
    Kind::Str,
    Kind::Deleted,
    Kind::Expiring,
    Kind::Counter,
    Kind::Hash,
    Kind::Triple,
    Kind::Item,
    Kind::ItemAndKey,
];

type Name = (Kind, usize);

struct Writer {
    id: usize,
    random: Random,
    items: bool,
    next: u64,
    slots: BTreeMap<Name, Slot>,
}

fn words(line: &str) -> Vec<u8> {
    Client::encode(&line.split(' ').collect::<Vec<_>>())
}

impl Writer {
    fn key(&self, (kind, n): Name) -> String {
        format!("w{}:{kind:?}:{n}", self.id)
    }

    /// The commands that write `value` into a slot.
    fn write(&self, name: Name, value: Option<&str>) -> Vec<String> {
        let key = self.key(name);
        let Some(v) = value else { return vec![format!("DEL {key}")] };
        match name.0 {
            Kind::Str | Kind::Deleted => vec![format!("SET {key} {v}")],
            Kind::Expiring => vec![format!("SET {key} {v} EX 10000")],
            Kind::Counter => vec![format!("INCR {key}")],
            Kind::Hash => vec![format!("HSET {key} a {v} b {v}")],
            Kind::Triple => vec![
                "MULTI".into(),
                format!("SET {key}x {v}"),
                format!("SET {key}y {v}"),
                format!("HSET {key}z f {v}"),
                "EXEC".into(),
            ],
            Kind::Item => vec![format!("ITEM.PUT crash {key} SET 1 n:n {v}")],
            Kind::ItemAndKey => vec![
                "MULTI".into(),
                format!("ITEM.PUT crash {key} SET 1 n:n {v}"),
                format!("SET {key} {v}"),
                "EXEC".into(),
            ],
        }
    }

    /// What a slot holds now; panics when its parts are not the same.
    fn read(&self, name: Name, client: &mut Client) -> Option<String> {
        let key = self.key(name);
        let mut get = |command: String| {
            let reply = client.run(&command);
            assert!(!reply.is_error(), "{command}: {reply}");
            if reply.is_null() { None } else { Some(reply) }
        };
        let item = |reply: Value| {
            let items = reply.items();
            let at = items.iter().position(|v| v.text() == "n").expect("attribute n");
            items[at + 1].text()
        };
        let parts: Vec<Option<String>> = match name.0 {
            Kind::Str | Kind::Deleted | Kind::Counter => vec![get(format!("GET {key}")).map(|v| v.text())],
            Kind::Expiring => {
                let value = get(format!("GET {key}")).map(|v| v.text());
                let ttl = get(format!("TTL {key}")).and_then(|v| v.int()).unwrap();
                assert!(value.is_none() || (9000..=10000).contains(&ttl), "{key} has the TTL {ttl}");
                vec![value]
            }
            Kind::Hash => get(format!("HMGET {key} a b"))
                .map(|v| v.items())
                .unwrap_or_default()
                .into_iter()
                .map(|v| (!v.is_null()).then(|| v.text()))
                .collect(),
            Kind::Triple => vec![
                get(format!("GET {key}x")).map(|v| v.text()),
                get(format!("GET {key}y")).map(|v| v.text()),
                get(format!("HGET {key}z f")).map(|v| v.text()),
            ],
            Kind::Item => vec![get(format!("ITEM.GET crash {key}")).map(item)],
            Kind::ItemAndKey => vec![
                get(format!("ITEM.GET crash {key}")).map(item),
                get(format!("GET {key}")).map(|v| v.text()),
            ],
        };
        assert!(parts.windows(2).all(|p| p[0] == p[1]), "half a transaction in {key}: {parts:?}");
        parts[0].clone()
    }

    fn choose(&mut self) -> (Name, Option<String>) {
        loop {
            let name = (KINDS[self.random.below(KINDS.len())], self.random.below(6));
            if !self.items && matches!(name.0, Kind::Item | Kind::ItemAndKey) {
                continue;
            }
            self.next += 1;
            let value = match name.0 {
                Kind::Deleted if self.random.one_in(2) => None,
                Kind::Counter => {
                    let slot = self.slots.entry(name).or_default();
                    let last = slot.pending.last().cloned().unwrap_or_else(|| slot.acknowledged.clone());
                    Some((last.map_or(0, |v| v.parse::<u64>().unwrap()) + 1).to_string())
                }
                _ => Some(self.next.to_string()),
            };
            return (name, value);
        }
    }

    /// A move of an amount between two accounts, all or nothing.
    fn transfer(&mut self) -> Vec<String> {
        let (from, to) = (self.random.below(ACCOUNTS), self.random.below(ACCOUNTS));
        let amount = self.random.below(100);
        vec![
            "MULTI".into(),
            format!("INCRBY account:{from} -{amount}"),
            format!("INCRBY account:{to} {amount}"),
            "EXEC".into(),
        ]
    }

    /// Writes until the server goes away; counts what was acknowledged.
    fn run(&mut self, mut client: Client, acknowledged: &AtomicUsize) {
        loop {
            let mut bytes = Vec::new();
            let mut sent: Vec<(usize, Option<Name>)> = Vec::new();
            for _ in 0..=self.random.below(8) {
                let (commands, name) = if self.random.one_in(5) {
                    (self.transfer(), None)
                } else {
                    let (name, value) = self.choose();
                    let commands = self.write(name, value.as_deref());
                    self.slots.entry(name).or_default().pending.push(value);
                    (commands, Some(name))
                };
                for command in &commands {
                    bytes.extend(words(command));
                }
                sent.push((commands.len(), name));
            }
            if client.send_raw(&bytes).is_err() {
                return;
            }
            for (replies, name) in sent {
                for _ in 0..replies {
                    match client.read() {
                        Value::Eof | Value::Timeout => return,
                        reply => assert!(!reply.is_error(), "{reply}"),
                    }
                }
                if let Some(slot) = name.and_then(|n| self.slots.get_mut(&n)) {
                    slot.acknowledged = slot.pending.remove(0);
                }
                acknowledged.fetch_add(1, Relaxed);
            }
        }
    }

    /// Compares the server with what was acknowledged, and goes on from what it has.
    fn verify(&mut self, client: &mut Client) {
        for (name, mut slot) in std::mem::take(&mut self.slots) {
            let found = self.read(name, client);
            let allowed = found == slot.acknowledged || slot.pending.contains(&found);
            assert!(allowed, "{}: found {found:?}, but {slot:?}", self.key(name));
            slot.acknowledged = found;
            slot.pending.clear();
            self.slots.insert(name, slot);
        }
    }
}

fn accounts_sum(client: &mut Client) -> i64 {
    (0..ACCOUNTS).map(|n| client.run(&format!("GET account:{n}")).int().unwrap_or(0)).sum()
}

/// Load, kill -9 and verification, round after round on the same data.
fn kill_under_load(mut server: Server, rounds: usize) {
    let mut random = Random::from_environment("kill under load");
    let items = server
        .client()
        .run("TABLE.CREATE crash PK id S INDEX n PK n N INDEX ids PK id S PROJECT KEYS")
        .is_ok();
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|id| Writer { id, random: random.fork(), items, next: 0, slots: BTreeMap::new() })
        .collect();
    let acknowledged = AtomicUsize::new(0);
    for round in 0..rounds {
        let before = acknowledged.load(Relaxed);
        std::thread::scope(|scope| {
            for writer in &mut writers {
                let (client, acknowledged) = (server.client(), &acknowledged);
                scope.spawn(move || writer.run(client, acknowledged));
            }
            let deadline = Instant::now() + Duration::from_mins(1);
            while acknowledged.load(Relaxed) < before + LOAD && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(20 + random.below(200) as u64));
            if random.one_in(3) {
                let reply = server.client().run(random.pick(&["BGSAVE", "BGREWRITEAOF"]));
                assert!(!reply.is_error(), "{reply}");
                std::thread::sleep(Duration::from_millis(random.below(50) as u64));
            }
            server.kill9();
        });
        server.up();
        let mut client = server.client();
        for writer in &mut writers {
            writer.verify(&mut client);
        }
        assert_eq!(accounts_sum(&mut client), 0, "a transfer was halved in round {round}");
        if items {
            crate::indexes::check(&mut |command| client.call(command), "crash", true);
        }
    }
    let done = acknowledged.load(Relaxed);
    eprintln!("{done} acknowledged writes in {rounds} rounds");
    assert!(done >= rounds * LOAD, "there was no load: {done} writes");
    let stopped = server.stop();
    assert!(stopped.success(), "{stopped}: {}", server.log());
    server.up();
    let mut client = server.client();
    for writer in &mut writers {
        writer.verify(&mut client);
    }
}

fn itemory(appendfsync: &str) {
    kill_under_load(Server::start(&["--appendonly", "yes", "--appendfsync", appendfsync]), ROUNDS);
}

#[test]
fn nothing_acknowledged_is_lost_at_always() {
    itemory("always");
}

#[test]
fn nothing_acknowledged_is_lost_at_everysec() {
    itemory("everysec");
}

#[test]
fn nothing_acknowledged_is_lost_at_no() {
    itemory("no");
}

/// The same load and the same questions put to the referee: the test itself is sound.
#[test]
fn the_referee_passes_too() {
    kill_under_load(Server::referee(&["--appendonly", "yes", "--appendfsync", "always"]), 3);
}
