//! Money goes between accounts of several types, by MULTI, by WATCH, by scripts and by ITEM.ATOMIC at once, while
//! others sum. The sum is the same at every read, and after the server was killed.

use crate::harness::{Client, Random, Server, Value};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// The amount that each account begins with.
const BEGINNING: i64 = 1000;
const ROUNDS: usize = 3;
/// The least numbers of transfers and of sums in a round.
const TRANSFERS: u64 = 400;
const SUMS: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Hash,
    Zset,
    Item,
}

/// An account. Those of a group only exchange money with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    kind: Kind,
    key: String,
}

/// Accounts that are all strings, which MGET reads, and accounts of all types.
fn groups() -> [Vec<Account>; 2] {
    let account = |group: &str, kind: Kind, n: usize| Account { kind, key: format!("{group}:{kind:?}:{n}") };
    let mixed = [Kind::Text, Kind::Hash, Kind::Zset, Kind::Item];
    [
        (0..6).map(|n| account("plain", Kind::Text, n)).collect(),
        (0..8).map(|n| account("mixed", mixed[n % 4], n)).collect(),
    ]
}

impl Account {
    fn read(&self) -> String {
        let key = &self.key;
        match self.kind {
            Kind::Text => format!("GET {key}"),
            Kind::Hash => format!("HGET {key} amount"),
            Kind::Zset => format!("ZSCORE {key} amount"),
            Kind::Item => format!("ITEM.GET accounts {key} FIELDS 1 amount"),
        }
    }

    fn add(&self, amount: i64) -> String {
        let key = &self.key;
        match self.kind {
            Kind::Text => format!("INCRBY {key} {amount}"),
            Kind::Hash => format!("HINCRBY {key} amount {amount}"),
            Kind::Zset => format!("ZINCRBY {key} {amount} amount"),
            Kind::Item => format!("ITEM.UPDATE accounts {key} INCR 1 amount {amount}"),
        }
    }

    fn write(&self, amount: i64) -> String {
        let key = &self.key;
        match self.kind {
            Kind::Text => format!("SET {key} {amount}"),
            Kind::Hash => format!("HSET {key} amount {amount}"),
            Kind::Zset => format!("ZADD {key} {amount} amount"),
            Kind::Item => format!("ITEM.PUT accounts {key} SET 1 amount:n {amount}"),
        }
    }
}

/// The amount in a reply to [`Account::read`].
fn amount(reply: &Value) -> i64 {
    let value = reply.items().last().cloned().unwrap_or_else(|| reply.clone());
    value.int().unwrap_or_else(|| panic!("an amount: {reply}"))
}

/// Functions of scripts that read and write an account.
const LUA: &str = "
    local function read(kind, key)
        if kind == 'Text' then return redis.call('GET', key) end
        if kind == 'Hash' then return redis.call('HGET', key, 'amount') end
        if kind == 'Zset' then return redis.call('ZSCORE', key, 'amount') end
        return redis.call('ITEM.GET', 'accounts', key, 'FIELDS', '1', 'amount')[2]
    end
    local function write(kind, key, amount)
        if kind == 'Text' then return redis.call('SET', key, amount) end
        if kind == 'Hash' then return redis.call('HSET', key, 'amount', amount) end
        if kind == 'Zset' then return redis.call('ZADD', key, amount, 'amount') end
        return redis.call('ITEM.PUT', 'accounts', key, 'SET', '1', 'amount:n', amount)
    end
";
const MOVE: &str = "
    local from, to = read(ARGV[1], ARGV[2]), read(ARGV[3], ARGV[4])
    write(ARGV[1], ARGV[2], from - ARGV[5])
    write(ARGV[3], ARGV[4], to + ARGV[5])
    return redis.call('INCR', ARGV[6])
";
const SUM: &str = "
    local sum = 0
    for n = 1, #ARGV, 2 do sum = sum + read(ARGV[n], ARGV[n + 1]) end
    return sum
";

/// Runs a script over accounts, whose keys it declares or not. `None` if the server is gone.
fn script(
    client: &mut Client,
    body: &str,
    accounts: &[&Account],
    more: &[&str],
    declares: bool,
) -> Option<Value> {
    let text = format!("{LUA}{body}");
    // A partition of a table is no key that a script can declare.
    let declared = accounts.iter().filter(|account| declares && account.kind != Kind::Item);
    let keys: Vec<&str> = declared.map(|account| account.key.as_str()).collect();
    let kinds: Vec<String> = accounts.iter().map(|account| format!("{:?}", account.kind)).collect();
    let count = keys.len().to_string();
    let mut words = vec!["EVAL", &text, &count];
    words.extend(keys);
    for (account, kind) in accounts.iter().zip(&kinds) {
        words.extend([kind.as_str(), &account.key]);
    }
    words.extend_from_slice(more);
    reply(client.call(&words))
}

/// A reply that is no error; `None` if the server is gone.
fn reply(value: Value) -> Option<Value> {
    assert!(!value.is_error() && value != Value::Timeout, "{value}");
    (value != Value::Eof).then_some(value)
}

/// Sends commands in one write; the last reply.
fn together(client: &mut Client, lines: &[String]) -> Option<Value> {
    let encode = |line: &String| Client::encode(&line.split(' ').collect::<Vec<_>>());
    client.send_raw(&lines.iter().flat_map(encode).collect::<Vec<_>>()).ok()?;
    lines.iter().map(|_| client.read()).last().filter(|last| *last != Value::Eof)
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Multi,
    Watch,
    Script,
    Atomic,
}

const WAYS: [Way; 4] = [Way::Multi, Way::Watch, Way::Script, Way::Atomic];

struct Mover {
    way: Way,
    random: Random,
    /// The key that counts this mover's transfers, each in the transfer's own transaction.
    receipts: String,
    acknowledged: i64,
}

impl Mover {
    /// Moves money once. Returns whether that was done, or `None` if the server is gone.
    fn once(&mut self, client: &mut Client) -> Option<bool> {
        let groups = groups();
        let group = &groups[self.random.below(2)];
        let from = self.random.below(group.len());
        let to = (from + 1 + self.random.below(group.len() - 1)) % group.len();
        let (from, to, amount) = (&group[from], &group[to], self.random.below(50) as i64);
        match self.way {
            Way::Multi => self.exec(client, vec![from.add(-amount), to.add(amount)]),
            Way::Watch => self.watch(client, from, to, amount),
            Way::Script => {
                let more = [amount.to_string(), self.receipts.clone()];
                let more = [more[0].as_str(), more[1].as_str()];
                let declares = self.random.one_in(2);
                script(client, MOVE, &[from, to], &more, declares).map(|_| true)
            }
            Way::Atomic => {
                let items: Vec<&Account> =
                    groups[1].iter().filter(|other| other.kind == Kind::Item).collect();
                let (item, to) = (items[self.random.below(items.len())], &groups[1][0]);
                // A condition that is false sometimes.
                let take = format!("{} IF amount>={}", item.add(-amount), BEGINNING + 50 - amount);
                let back = format!("{} IF amount<{}", item.add(amount), BEGINNING + 50);
                let lines = if self.random.one_in(2) {
                    vec!["ITEM.ATOMIC".into(), to.add(amount), take]
                } else {
                    vec!["ITEM.ATOMIC".into(), back, to.add(-amount)]
                };
                self.exec(client, lines)
            }
        }
    }

    /// A transaction of these commands and the receipt; false if it was not carried out.
    fn exec(&self, client: &mut Client, mut lines: Vec<String>) -> Option<bool> {
        lines.insert(0, "MULTI".into());
        lines.extend([format!("INCR {}", self.receipts), "EXEC".into()]);
        match together(client, &lines)? {
            Value::Array(replies) => {
                assert!(replies.iter().all(|reply| !reply.is_error()), "{lines:?}: {replies:?}");
                Some(true)
            }
            Value::NullArray => Some(false),
            Value::Error(text) if text.starts_with(b"TXCANCELLED") => Some(false),
            other => panic!("{lines:?}: {other}"),
        }
    }

    /// Reads both accounts and writes what they have then, unless they have changed meanwhile. WATCH does not see
    /// items; the conditions of ITEM.ATOMIC do.
    fn watch(&self, client: &mut Client, from: &Account, to: &Account, moved: i64) -> Option<bool> {
        if [from, to].iter().any(|account| account.kind == Kind::Item) {
            return self.exec(client, vec![to.add(moved), from.add(-moved)]);
        }
        reply(client.run(&format!("WATCH {} {}", from.key, to.key)))?;
        let from_had = amount(&reply(client.run(&from.read()))?);
        let to_had = amount(&reply(client.run(&to.read()))?);
        self.exec(client, vec![from.write(from_had - moved), to.write(to_had + moved)])
    }
}

/// Sums a group in the way with this number; `None` if the server is gone.
fn sum(client: &mut Client, group: &[Account], way: usize) -> Option<i64> {
    let all: Vec<&Account> = group.iter().collect();
    match way {
        0 | 1 => script(client, SUM, &all, &[], way == 0).map(|sum| sum.int().unwrap()),
        2 if group.iter().all(|account| account.kind == Kind::Text) => {
            let keys: Vec<&str> = group.iter().map(|account| account.key.as_str()).collect();
            let all = reply(client.run(&format!("MGET {}", keys.join(" "))))?;
            Some(all.items().iter().map(amount).sum())
        }
        _ => {
            let mut lines: Vec<String> = group.iter().map(Account::read).collect();
            lines.insert(0, "MULTI".into());
            lines.push("EXEC".into());
            Some(together(client, &lines)?.items().iter().map(amount).sum())
        }
    }
}

/// Sums both groups in every way until the server is gone.
fn sum_all(mut client: Client, sums: &AtomicU64) {
    let groups = groups();
    for turn in 0.. {
        let group = &groups[turn % 2];
        let Some(sum) = sum(&mut client, group, turn / 2 % 4) else { return };
        assert_eq!(sum, BEGINNING * group.len() as i64, "of {group:?}, read in the way {}", turn / 2 % 4);
        sums.fetch_add(1, SeqCst);
    }
}

fn no_sum_is_another_one(workers: &str, appendfsync: &str) {
    let mut random = Random::from_environment("transfers");
    let flags = ["--appendonly", "yes", "--appendfsync", appendfsync, "--io-threads", workers];
    let mut server = Server::start(&flags);
    let mut client = server.client();
    assert!(client.run("TABLE.CREATE accounts PK id S").is_ok());
    for account in groups().iter().flatten() {
        assert!(!client.run(&account.write(BEGINNING)).is_error());
    }
    let mover =
        |(n, way)| Mover { way, random: random.fork(), receipts: format!("receipts:{n}"), acknowledged: 0 };
    let mut movers: Vec<Mover> = WAYS.into_iter().chain(WAYS).enumerate().map(mover).collect();
    for round in 0..ROUNDS {
        let (moved, sums) = (movers.iter().map(|_| AtomicU64::new(0)).collect::<Vec<_>>(), AtomicU64::new(0));
        // Each mover has its turn, however busy the machine is.
        let is_enough = || {
            let each: Vec<u64> = moved.iter().map(|moved| moved.load(SeqCst)).collect();
            each.iter().sum::<u64>() >= TRANSFERS && !each.contains(&0) && sums.load(SeqCst) >= SUMS
        };
        std::thread::scope(|scope| {
            for (mover, moved) in movers.iter_mut().zip(&moved) {
                let mut client = server.client();
                scope.spawn(move || {
                    while let Some(done) = mover.once(&mut client) {
                        mover.acknowledged += i64::from(done);
                        moved.fetch_add(u64::from(done), SeqCst);
                    }
                });
            }
            for _ in 0..3 {
                let (client, sums) = (server.client(), &sums);
                scope.spawn(move || sum_all(client, sums));
            }
            let deadline = Instant::now() + Duration::from_mins(2);
            while !is_enough() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            if round == 1 {
                // The second life ends beside a checkpoint.
                server.client().run("BGSAVE");
            }
            server.kill9();
        });
        assert!(is_enough(), "{moved:?} and {sums:?}");
        server.up();
        let mut client = server.client();
        for group in groups() {
            for way in 0..4 {
                assert_eq!(
                    sum(&mut client, &group, way),
                    Some(BEGINNING * group.len() as i64),
                    "round {round}"
                );
            }
        }
        for mover in &mut movers {
            let receipts = client.run(&format!("GET {}", mover.receipts)).int().unwrap_or(0);
            let known = mover.acknowledged..=mover.acknowledged + 1;
            assert!(known.contains(&receipts), "{:?}: {receipts}, not {known:?}", mover.way);
            mover.acknowledged = receipts;
        }
    }
}

#[test]
fn sums_stay_the_same_with_one_worker() {
    no_sum_is_another_one("1", "everysec");
}

#[test]
fn sums_stay_the_same_with_two_workers() {
    no_sum_is_another_one("2", "always");
}

#[test]
fn sums_stay_the_same_with_four_workers() {
    no_sum_is_another_one("4", "no");
}
