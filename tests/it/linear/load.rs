//! Clients that send random commands on a few keys, in every way in which a command can be sent, and note when they
//! sent them and what came back.

use super::search::Op;
use super::spec::plain;
use crate::harness::{Client, Random, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What one client did with each key.
pub(super) type Process = BTreeMap<String, Vec<Op>>;

/// The keys. There is one of each kind, so that the clients meet.
pub(super) const KEYS: [&str; 8] = ["text", "counter", "hash", "list", "set", "zset", "stream", "item"];

/// The library whose function carries out any command.
pub(super) const LIBRARY: &str = "#!lua name=linear\n\
    redis.register_function('linear', function(keys, args) return redis.call(unpack(args)) end)";

/// Time, and the numbers that make values differ from each other. All clients of a test share it.
#[derive(Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    pub(super) fn tick(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }
}

pub(super) struct Talker<'a> {
    pub(super) client: Client,
    pub(super) random: Random,
    pub(super) clock: &'a Clock,
    /// The number of commands of all clients that were answered.
    pub(super) answered: &'a AtomicU64,
    /// What this client did.
    pub(super) seen: Process,
    /// The text and the value of the item that the client saw last.
    pub(super) last: [String; 2],
}

/// Templates: `k` the key, `new` a new value, `m` a name of a few, `d` a digit, `id` a new identifier, `=` that an
/// item's value is what the client saw last, any other word itself.
fn templates(key: &str) -> &'static [&'static str] {
    match key {
        "text" => &[
            "GET k",
            "GET k",
            "GET k",
            "SET k new",
            "SET k new",
            "SETNX k new",
            "GETSET k new",
            "GETDEL k",
            "DEL k",
            "APPEND k new",
        ],
        "counter" => &["INCRBY k 1", "INCRBY k d", "INCRBY k -d", "GET k", "DEL k"],
        "hash" => &[
            "HSET k m new",
            "HSET k m new",
            "HSETNX k m new",
            "HGET k m",
            "HDEL k m",
            "HLEN k",
            "HINCRBY k n d",
            "HGETALL k",
            "DEL k",
        ],
        "list" => &[
            "LPUSH k new",
            "RPUSH k new",
            "RPUSH k new new",
            "LPOP k",
            "RPOP k",
            "BLPOP k 0.003",
            "LMOVE k k LEFT RIGHT",
            "LLEN k",
            "LINDEX k 0",
            "LRANGE k 0 -1",
            "DEL k",
        ],
        "set" => &[
            "SADD k m",
            "SADD k m",
            "SADD k m",
            "SREM k m",
            "SISMEMBER k m",
            "SCARD k",
            "SMEMBERS k",
            "SPOP k",
            "DEL k",
        ],
        "zset" => &[
            "ZADD k d m",
            "ZADD k GT CH d m",
            "ZINCRBY k d m",
            "ZINCRBY k -d m",
            "ZREM k m",
            "ZSCORE k m",
            "ZRANK k m",
            "ZCARD k",
            "ZRANGE k 0 -1 WITHSCORES",
            "ZPOPMIN k",
            "BZPOPMIN k 0.003",
            "DEL k",
        ],
        "stream" => &[
            "XADD k id f new",
            "XADD k id f new",
            "XADD k id f new",
            "XLEN k",
            "XRANGE k - +",
            "XTRIM k MAXLEN d",
            "XREADGROUP GROUP g c COUNT 1 STREAMS k >",
            "XREADGROUP GROUP g c COUNT 1 STREAMS k >",
        ],
        "item" => &[
            "ITEM.PUT t k SET 1 v new",
            "ITEM.PUT t k SET 1 v new IF attribute_not_exists(id)",
            "ITEM.GET t k",
            "ITEM.GET t k",
            "ITEM.UPDATE t k INCR 1 n d RETURN NEW",
            "ITEM.UPDATE t k SET 1 v new IF =",
            "ITEM.DEL t k",
        ],
        _ => panic!("{key}"),
    }
}

/// How a command was sent, which decides where its reply is.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Transaction,
}

impl Talker<'_> {
    /// Sends commands until the connection is closed, or until so many were answered.
    pub(super) fn run(mut self, most: usize) -> Process {
        for _ in 0..most {
            let goes_on = if self.random.one_in(12) { self.watch() } else { self.pipeline() };
            if !goes_on {
                break;
            }
        }
        self.seen
    }

    fn command(&mut self, key: &str) -> Vec<String> {
        let template = self.random.pick(templates(key));
        let mut words: Vec<String> = template.split(' ').map(str::to_owned).collect();
        for word in words.iter_mut().skip(1) {
            *word = match word.as_str() {
                "k" => key.to_owned(),
                "new" => format!("v{}", self.clock.tick()),
                "m" => format!("m{}", self.random.below(5)),
                "d" => (1 + self.random.below(9)).to_string(),
                "-d" => format!("-{}", 1 + self.random.below(9)),
                "id" => format!("{}-0", self.clock.tick() + 1),
                "=" => format!("v = \"{}\"", self.last[1]),
                _ => continue,
            };
        }
        words
    }

    /// Sends some commands in one write.
    fn pipeline(&mut self) -> bool {
        let length = if self.random.one_in(4) { 1 + self.random.below(6) } else { 1 };
        let mut bytes = Vec::new();
        let mut calls = Vec::new();
        for _ in 0..length {
            let key = self.random.pick(&KEYS);
            let words = self.command(key);
            calls.push((key, words.clone(), self.encode(key, &words, &mut bytes)));
        }
        self.send(&bytes, calls)
    }

    /// Writes a command in one of the ways in which it can be sent.
    fn encode(&mut self, key: &str, words: &[String], bytes: &mut Vec<u8>) -> Way {
        let call = "return redis.call(unpack(ARGV))";
        // Redis 7.0 lets scripts call BZPOPMIN but not BLPOP.
        let ways = if words[0] == "BLPOP" { 3..8 } else { 0..8 };
        let before: &[&str] = match ways.start + self.random.below(ways.len()) {
            0 => &["EVAL", call, "1", key],
            // The server finds out which key the script needs while it runs.
            1 => &["EVAL", call, "0"],
            2 => &["FCALL", "linear", "1", key],
            3 => {
                bytes.extend(Client::encode(&["MULTI"]));
                bytes.extend(Client::encode(words));
                bytes.extend(Client::encode(&["EXEC"]));
                return Way::Transaction;
            }
            _ => &[],
        };
        let all: Vec<&str> = before.iter().copied().chain(words.iter().map(String::as_str)).collect();
        bytes.extend(Client::encode(&all));
        Way::Plain
    }

    /// Sends commands, and notes them with their replies. Returns false if the connection was closed.
    fn send(&mut self, bytes: &[u8], calls: Vec<(&str, Vec<String>, Way)>) -> bool {
        let sent = self.clock.tick();
        let mut open = self.client.send_raw(bytes).is_ok();
        for (key, words, way) in calls {
            let mut reply = None;
            if open {
                reply = self.reply(way).map(|value| plain(&words, &value));
                open = reply.is_some();
            }
            match reply.as_deref() {
                Some(text) if words[0] == "GET" && key == "text" => text.clone_into(&mut self.last[0]),
                Some(text) if words[0] == "ITEM.GET" => {
                    let value =
                        text.trim_matches(['[', ']']).split(' ').find_map(|pair| pair.strip_prefix("v="));
                    value.unwrap_or_default().clone_into(&mut self.last[1]);
                }
                _ => {}
            }
            self.answered.fetch_add(u64::from(open), SeqCst);
            let answered = self.clock.tick();
            self.seen.entry(key.to_owned()).or_default().push(Op { sent, answered, words, reply });
        }
        open
    }

    /// The reply to a command, or `None` if the connection was closed.
    fn reply(&mut self, way: Way) -> Option<Value> {
        let mut read = || match self.client.read() {
            Value::Eof => None,
            Value::Timeout => panic!("no reply came"),
            reply => Some(reply),
        };
        match way {
            Way::Plain => read(),
            Way::Transaction => {
                (0..2).try_for_each(|_| read().map(drop))?;
                match read()? {
                    Value::Array(mut replies) if replies.len() == 1 => replies.pop(),
                    other => panic!("EXEC of one command: {other}"),
                }
            }
        }
    }

    /// Changes the text in a transaction if it is still what it was. All values differ, so if the text was the same
    /// before the WATCH and after it, and the transaction is not carried out, then it is another one at that time.
    fn watch(&mut self) -> bool {
        let get = || ("text", vec!["GET".to_owned(), "text".to_owned()], Way::Plain);
        if !self.send(&Client::encode(&["GET", "text"]), vec![get()]) {
            return false;
        }
        let old = self.last[0].clone();
        if !self.client.run("WATCH text").is_ok()
            || !self.send(&Client::encode(&["GET", "text"]), vec![get()])
        {
            return false;
        }
        if self.last[0] != old || old == "nil" {
            return self.client.run("UNWATCH").is_ok();
        }
        let new = format!("v{}", self.clock.tick());
        let words = vec!["CAS".to_owned(), "text".to_owned(), old, new.clone()];
        let bytes =
            [Client::encode(&["MULTI"]), Client::encode(&["SET", "text", &new]), Client::encode(&["EXEC"])];
        let sent = self.clock.tick();
        let mut reply = None;
        if self.client.send_raw(&bytes.concat()).is_ok() {
            let exec = (0..3).map(|_| self.client.read()).last().unwrap();
            reply = match exec {
                Value::Array(replies) if replies.len() == 1 && replies[0].is_ok() => Some("1".to_owned()),
                Value::NullArray => Some("nil".to_owned()),
                Value::Eof => None,
                other => panic!("{other}"),
            };
        }
        let (open, answered) = (reply.is_some(), self.clock.tick());
        self.seen.entry("text".into()).or_default().push(Op { sent, answered, words, reply });
        open
    }
}
