//! Writers that know which of their writes were acknowledged, for all tests in which a server dies or changes under
//! load.

use crate::harness::{Client, Random, Value};
use itemory::value::hll::{HllRef, Registers};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// The number of accounts between which every writer moves amounts; their sum is always 0.
const ACCOUNTS: usize = 8;

/// What a writer knows about a value that only it writes. A value is a number as text; `None` means that there is none.
#[derive(Clone, Debug, Default)]
struct Slot {
    acknowledged: Option<String>,
    /// The values that were sent afterwards, in order, and not answered.
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
    /// A hash with two fields that are always equal.
    Hash,
    /// Two strings and a hash field that are only written together, in a transaction.
    Triple,
    /// A list with two elements that are always the same, changed by position and by value.
    List,
    /// A set with two members that say the same, of which others are drawn.
    Set,
    /// A sorted set with two members that always have the same score.
    Zset,
    /// A stream with two entries that say the same.
    Stream,
    /// A HyperLogLog of the value alone, another one into which it is merged, and a string.
    HyperLogLog,
    /// Two places at one position, and what a search stores of them.
    Geo,
    /// A library with a function that returns the value, and a string that is written with it. It is sometimes deleted.
    Function,
    /// Two strings that a script writes, of which it declares one.
    Script,
    /// A list and a copy of its element in another one, which BLMOVE brings there.
    Moved,
    /// An item with an attribute of type N.
    Item,
    /// An item and a string that are only written together, in a transaction.
    ItemAndKey,
}

const KINDS: [Kind; 17] = [
    Kind::Str,
    Kind::Deleted,
    Kind::Expiring,
    Kind::Counter,
    Kind::Hash,
    Kind::Triple,
    Kind::List,
    Kind::Set,
    Kind::Zset,
    Kind::Stream,
    Kind::HyperLogLog,
    Kind::Geo,
    Kind::Function,
    Kind::Script,
    Kind::Moved,
    Kind::Item,
    Kind::ItemAndKey,
];

/// The script of [`Kind::Script`]; it has no spaces.
const BOTH: &str = "redis.call('SET',KEYS[1],ARGV[1])return(redis.call('SET',KEYS[1]..'also',ARGV[1]))";

/// The flags of a function that only reads.
const FLAGS: &str = "flags={'no-writes'}";

type Name = (Kind, usize);

pub(crate) struct Writer {
    id: usize,
    random: Random,
    items: bool,
    /// The errors with which commands may be refused. A refused command must not have changed anything.
    refusals: Refusals,
    next: u64,
    slots: BTreeMap<Name, Slot>,
}

/// A command of a line. A no-break space stands for a space within an argument.
fn words(line: &str) -> Vec<u8> {
    Client::encode(&line.split(' ').map(|word| word.replace('\u{a0}', " ")).collect::<Vec<_>>())
}

/// The longitude and latitude that stand for a value.
fn position(value: &str) -> String {
    let value: u32 = value.parse().unwrap();
    format!("{}.{} {}.{:02}", value % 1000 / 10, value % 10, value / 100_000, value / 1000 % 100)
}

/// The value for which a longitude and latitude stand. They are stored with an error below 0.00001 degrees.
fn value_of(position: &Value) -> Option<String> {
    let degrees: Vec<f64> = position.items().iter().map(|part| part.text().parse().unwrap()).collect();
    let [longitude, latitude] = degrees.as_slice() else { return None };
    Some(((longitude * 10.0).round() as u64 + (latitude * 100.0).round() as u64 * 1000).to_string())
}

/// The registers of a HyperLogLog.
fn registers(bytes: &[u8]) -> Registers {
    let mut registers = Registers::default();
    registers.merge(HllRef::of(bytes).unwrap()).unwrap();
    registers
}

/// The value, if one HyperLogLog has it alone, and another one has it too.
fn counted(value: &str, alone: &[u8], merged: &[u8]) -> Option<String> {
    let mut expected = Registers::default();
    expected.add(value.as_bytes());
    let merged = registers(merged);
    let has_it = merged.all().iter().zip(expected.all()).all(|(found, least)| found >= least);
    (has_it && registers(alone).all() == expected.all()).then(|| value.to_owned())
}

/// The beginnings of errors that mean that a command has changed nothing.
pub(crate) type Refusals = &'static [&'static str];

/// The server serves without interruption.
pub(crate) const NEVER: Refusals = &[];
/// The server may read its data again, or end.
pub(crate) const BUSY: Refusals = &["LOADING", "EXECABORT", "ERR the server is shutting down"];
/// The same, and the server may be unable to log writes.
pub(crate) const ANY: Refusals = &["LOADING", "EXECABORT", "ERR the server is shutting down", "MISCONF"];

impl Writer {
    /// Makes several writers. `items` says whether the server has tables, and `refusals` which errors it may reply.
    pub(crate) fn several(count: usize, random: &mut Random, items: bool, refusals: Refusals) -> Vec<Writer> {
        (0..count)
            .map(|id| Writer { id, random: random.fork(), items, refusals, next: 0, slots: BTreeMap::new() })
            .collect()
    }

    fn key(&self, (kind, n): Name) -> String {
        format!("w{}:{kind:?}:{n}", self.id)
    }

    /// The commands that write `value` into a slot.
    fn write(&self, name: Name, value: Option<&str>) -> Vec<String> {
        let key = self.key(name);
        let library = key.replace(':', "_");
        let Some(v) = value else {
            return match name.0 {
                Kind::Function => vec![format!("FUNCTION DELETE {library}")],
                _ => vec![format!("DEL {key}")],
            };
        };
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
            Kind::List => vec![
                "MULTI".into(),
                format!("RPUSH {key} {v} x y"),
                format!("LTRIM {key} -3 -1"),
                format!("LINSERT {key} AFTER x {v}"),
                format!("LREM {key} 1 x"),
                format!("RPOP {key}"),
                "EXEC".into(),
            ],
            Kind::Set => {
                vec!["MULTI".into(), format!("SPOP {key} 2"), format!("SADD {key} {v} {v}b"), "EXEC".into()]
            }
            Kind::Zset => vec![format!("ZADD {key} {v} a {v} b")],
            Kind::Stream => vec![
                "MULTI".into(),
                format!("XADD {key} {v}-1 f {v}"),
                format!("XADD {key} {v}-2 f {v}"),
                format!("XTRIM {key} MAXLEN 2"),
                "EXEC".into(),
            ],
            Kind::HyperLogLog => vec![
                "MULTI".into(),
                format!("DEL {key}"),
                format!("PFADD {key} {v}"),
                format!("PFMERGE {key}all {key}"),
                format!("SET {key}text {v}"),
                "EXEC".into(),
            ],
            Kind::Geo => {
                let at = position(v);
                vec![
                    "MULTI".into(),
                    format!("GEOADD {key} {at} a {at} b"),
                    format!("GEOSEARCHSTORE {key}near {key} FROMMEMBER a BYRADIUS 1 m"),
                    "EXEC".into(),
                ]
            }
            Kind::Function => {
                let body = format!("{{function_name='{library}',callback=function()return'{v}'end,{FLAGS}}}");
                let text = format!("#!lua\u{a0}name={library}\nredis.register_function{body}");
                vec![format!("FUNCTION LOAD REPLACE {text}")]
            }
            Kind::Script => vec![format!("EVAL {BOTH} 1 {key} {v}")],
            Kind::Moved => vec![
                "MULTI".into(),
                format!("DEL {key}to"),
                format!("LPUSH {key} {v} {v}"),
                format!("LTRIM {key} 0 1"),
                format!("BLMOVE {key} {key}to LEFT LEFT 0"),
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

    /// The present value of a slot; panics if its parts differ.
    fn read(&self, name: Name, client: &mut Client) -> Option<String> {
        let key = self.key(name);
        let mut get = |command: String| {
            let reply = client.run(&command);
            assert!(!reply.is_error(), "{command}: {reply}");
            if reply.is_null() { None } else { Some(reply) }
        };
        let texts = |reply: Option<Value>| -> Vec<String> {
            reply.map(|all| all.items().iter().map(Value::text).collect()).unwrap_or_default()
        };
        // Two parts, or nothing.
        let two = |parts: Vec<String>| match parts.len() {
            0 => vec![None],
            2 => parts.into_iter().map(Some).collect(),
            _ => panic!("half a transaction in {key}: {parts:?}"),
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
            Kind::List => two(texts(get(format!("LRANGE {key} 0 -1")))),
            Kind::Set => {
                let mut members = texts(get(format!("SMEMBERS {key}")));
                members.sort();
                two(members.iter().map(|member| member.trim_end_matches('b').to_owned()).collect())
            }
            Kind::Zset => {
                let scores = get(format!("ZMSCORE {key} a b")).map(|v| v.items()).unwrap_or_default();
                scores.into_iter().map(|v| (!v.is_null()).then(|| v.text())).collect()
            }
            Kind::Stream => two(get(format!("XRANGE {key} - +"))
                .map(|all| all.items().iter().map(|entry| entry.items()[1].items()[1].text()).collect())
                .unwrap_or_default()),
            Kind::HyperLogLog => {
                let text = get(format!("GET {key}text")).map(|v| v.text());
                let bytes = |reply: Option<Value>| reply.and_then(|v| v.bytes());
                let alone = bytes(get(format!("GET {key}")));
                let merged = bytes(get(format!("GET {key}all")));
                let counted = match (&text, alone, merged) {
                    (Some(v), Some(alone), Some(merged)) => counted(v, &alone, &merged),
                    (_, None, None) => None,
                    (_, alone, merged) => {
                        panic!("half a transaction in {key}: {text:?}, {alone:?}, {merged:?}")
                    }
                };
                vec![text, counted]
            }
            Kind::Geo => ["", "near"]
                .iter()
                .flat_map(|end| get(format!("GEOPOS {key}{end} a b")).map(|v| v.items()).unwrap_or_default())
                .map(|found| value_of(&found))
                .collect(),
            Kind::Function => {
                let reply = client.run(&format!("FCALL_RO {} 0", key.replace(':', "_")));
                let missing = reply.text().starts_with("ERR Function not found");
                assert!(missing || !reply.is_error(), "{key}: {reply}");
                vec![(!missing).then(|| reply.text())]
            }
            Kind::Script => vec![
                get(format!("GET {key}")).map(|v| v.text()),
                get(format!("GET {key}also")).map(|v| v.text()),
            ],
            Kind::Moved => vec![
                get(format!("LINDEX {key} 0")).map(|v| v.text()),
                get(format!("LINDEX {key}to 0")).map(|v| v.text()),
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
                Kind::Deleted | Kind::Function if self.random.one_in(2) => None,
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

    /// Moves an amount between two accounts in a transaction.
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

    /// Writes until the server is gone (returns false) or `over` is set (returns true), and counts acknowledged writes.
    pub(crate) fn run(&mut self, mut client: Client, acknowledged: &AtomicUsize, over: &AtomicBool) -> bool {
        while !over.load(Relaxed) {
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
                return false;
            }
            for (replies, name) in sent {
                let mut refused = false;
                for _ in 0..replies {
                    match client.read() {
                        Value::Eof | Value::Timeout => return false,
                        reply if reply.is_error() => {
                            let text = reply.text();
                            // A library may not be there, and to load one may take too long on a busy machine.
                            let expected = matches!(name, Some((Kind::Function, _)));
                            assert!(
                                expected || self.refusals.iter().any(|word| text.starts_with(word)),
                                "{reply}"
                            );
                            refused = true;
                        }
                        _ => {}
                    }
                }
                if let Some(slot) = name.and_then(|n| self.slots.get_mut(&n)) {
                    let value = slot.pending.remove(0);
                    if !refused {
                        slot.acknowledged = value;
                    } else if matches!(name, Some((Kind::Counter, _))) {
                        // The writes after it had expected that it would count.
                        slot.pending.iter_mut().flatten().for_each(|value| {
                            *value = (value.parse::<u64>().unwrap() - 1).to_string();
                        });
                    }
                }
                acknowledged.fetch_add(usize::from(!refused), Relaxed);
            }
        }
        true
    }

    /// Takes the server's present values as acknowledged.
    pub(crate) fn adopt(&mut self, client: &mut Client) {
        for (name, _) in std::mem::take(&mut self.slots) {
            let slot = Slot { acknowledged: self.read(name, client), pending: Vec::new() };
            self.slots.insert(name, slot);
        }
    }

    /// Compares the server's values with the acknowledged and the pending ones, and takes them as acknowledged.
    pub(crate) fn verify(&mut self, client: &mut Client) {
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

pub(crate) fn accounts_sum(client: &mut Client) -> i64 {
    (0..ACCOUNTS).map(|n| client.run(&format!("GET account:{n}")).int().unwrap_or(0)).sum()
}
