//! The model: two databases of values of every type with deadlines, and clients with transactions.

use super::collections::{List, Members, Ranked};
use crate::harness::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Text(String),
    Hash(BTreeMap<String, String>),
    Stream(Stream),
    List(List),
    Set(Members),
    Zset(Ranked),
    /// A HyperLogLog. So few elements are estimated exactly.
    Counted(Members),
}

/// A stream whose identifiers are `n-0`, and whose only field is `f`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stream {
    entries: BTreeMap<u64, String>,
    last: u64,
    /// The only group: the last identifier that it has read, and the consumers of pending entries.
    group: Option<(u64, BTreeMap<u64, String>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) data: Data,
    pub(super) expires: Option<u64>,
}

#[derive(Clone, Default)]
struct Session {
    database: usize,
    queue: Option<Vec<Vec<String>>>,
    /// The watched keys: database, key, and the number of the key's last change.
    watched: Vec<(usize, String, u64)>,
}

pub(super) struct Model {
    databases: [BTreeMap<String, Entry>; 2],
    sessions: Vec<Session>,
    /// The number of the last change of each key that was ever changed.
    changes: BTreeMap<(usize, String), u64>,
    last_change: u64,
}

pub(super) fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

pub(super) fn error(text: &str) -> Value {
    Value::Error(text.as_bytes().to_vec())
}

pub(super) fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

pub(super) fn wrong_type() -> Value {
    error("WRONGTYPE Operation against a key holding the wrong kind of value")
}

impl Model {
    pub(super) fn new(clients: usize) -> Model {
        Model {
            databases: [BTreeMap::new(), BTreeMap::new()],
            sessions: vec![Session::default(); clients],
            changes: BTreeMap::new(),
            last_change: 0,
        }
    }

    /// Closes all connections; the data stays.
    pub(super) fn reopen(&mut self) {
        self.sessions.fill(Session::default());
    }

    pub(super) fn call(&mut self, client: usize, command: &[String], now: u64) -> Value {
        self.remove_where(|_, _, e| e.expires.is_some_and(|at| at <= now));
        let name = command[0].as_str();
        let session = &mut self.sessions[client];
        match name {
            "MULTI" if session.queue.is_some() => error("ERR MULTI calls can not be nested"),
            "MULTI" => {
                session.queue = Some(Vec::new());
                ok()
            }
            "DISCARD" | "EXEC" if session.queue.is_none() => error(&format!("ERR {name} without MULTI")),
            "DISCARD" => {
                session.queue = None;
                session.watched.clear();
                ok()
            }
            "EXEC" => self.exec(client, now),
            "WATCH" if session.queue.is_some() => error("ERR WATCH inside MULTI is not allowed"),
            "WATCH" => {
                let database = session.database;
                for key in &command[1..] {
                    let change = self.change_of(database, key);
                    self.sessions[client].watched.push((database, key.clone(), change));
                }
                ok()
            }
            _ => match &mut session.queue {
                Some(queue) => {
                    queue.push(command.to_vec());
                    Value::Simple(b"QUEUED".to_vec())
                }
                None => self.run(client, command, now),
            },
        }
    }

    fn exec(&mut self, client: usize, now: u64) -> Value {
        let session = &mut self.sessions[client];
        let queue = session.queue.take().unwrap_or_default();
        let watched = std::mem::take(&mut session.watched);
        let changed = watched.iter().any(|(database, key, change)| self.change_of(*database, key) != *change);
        if changed {
            return Value::NullArray;
        }
        Value::Array(queue.iter().map(|command| self.run(client, command, now)).collect())
    }

    pub(super) fn get(&self, database: usize, key: &str) -> Option<&Entry> {
        self.databases[database].get(key)
    }

    fn change_of(&self, database: usize, key: &str) -> u64 {
        self.changes.get(&(database, key.to_owned())).copied().unwrap_or_default()
    }

    fn changed(&mut self, database: usize, key: &str) {
        self.last_change += 1;
        self.changes.insert((database, key.to_owned()), self.last_change);
    }

    pub(super) fn put(&mut self, database: usize, key: &str, data: Data, expires: Option<u64>) {
        self.changed(database, key);
        self.databases[database].insert(key.to_owned(), Entry { data, expires });
    }

    pub(super) fn remove(&mut self, database: usize, key: &str) -> bool {
        let there = self.databases[database].remove(key).is_some();
        if there {
            self.changed(database, key);
        }
        there
    }

    fn remove_where(&mut self, gone: impl Fn(usize, &str, &Entry) -> bool) {
        for database in 0..self.databases.len() {
            let all = self.databases[database].iter();
            let keys: Vec<String> =
                all.filter(|(k, e)| gone(database, k, e)).map(|(k, _)| k.clone()).collect();
            for key in keys {
                self.remove(database, &key);
            }
        }
    }

    /// Gives a key another deadline; one that has passed removes the key.
    fn expire(&mut self, database: usize, key: &str, at: Option<u64>, now: u64) {
        if at.is_some_and(|at| at <= now) {
            self.remove(database, key);
        } else if let Some(entry) = self.databases[database].get_mut(key) {
            entry.expires = at;
            self.changed(database, key);
        }
    }

    fn run(&mut self, client: usize, command: &[String], now: u64) -> Value {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let db = self.sessions[client].database;
        match words.as_slice() {
            ["SELECT", n] => {
                self.sessions[client].database = n.parse().unwrap();
                ok()
            }
            ["UNWATCH"] => {
                self.sessions[client].watched.clear();
                ok()
            }
            ["FLUSHDB"] => {
                self.remove_where(|database, _, _| database == db);
                ok()
            }
            ["SET", key, value, options @ ..] => self.set(db, key, value, options, now),
            ["INCRBY", key, by] => self.incrby(db, key, by),
            ["APPEND", key, value] => self.append(db, key, value),
            ["HSET" | "HDEL" | "HINCRBY" | "HGETALL", ..] => self.hash(db, &words),
            ["XADD" | "XDEL" | "XTRIM" | "XRANGE" | "XGROUP" | "XREADGROUP" | "XACK" | "XPENDING", ..] => {
                self.stream(db, &words)
            }
            ["GET", key] => match self.get(db, key).map(|e| &e.data) {
                None => Value::NullBulk,
                Some(Data::Text(text)) => bulk(text),
                Some(_) => wrong_type(),
            },
            ["DEL", keys @ ..] => Value::Int(keys.iter().filter(|k| self.remove(db, k)).count() as i64),
            ["EXISTS", keys @ ..] => {
                Value::Int(keys.iter().filter(|k| self.get(db, k).is_some()).count() as i64)
            }
            ["TYPE", key] => Value::Simple(match self.get(db, key).map(|e| &e.data) {
                None => b"none".to_vec(),
                Some(Data::Text(_) | Data::Counted(_)) => b"string".to_vec(),
                Some(Data::Hash(_)) => b"hash".to_vec(),
                Some(Data::Stream(_)) => b"stream".to_vec(),
                Some(Data::List(_)) => b"list".to_vec(),
                Some(Data::Set(_)) => b"set".to_vec(),
                Some(Data::Zset(_)) => b"zset".to_vec(),
            }),
            ["PEXPIRETIME", key] => Value::Int(match self.get(db, key) {
                None => -2,
                Some(entry) => entry.expires.map_or(-1, |at| at as i64),
            }),
            ["PERSIST", key] => {
                let timed = self.get(db, key).is_some_and(|e| e.expires.is_some());
                if timed {
                    self.expire(db, key, None, now);
                }
                Value::Int(timed.into())
            }
            ["PEXPIREAT", key, at] => {
                let there = self.get(db, key).is_some();
                self.expire(db, key, Some(at.parse().unwrap()), now);
                Value::Int(there.into())
            }
            ["RENAME", from, to] => match self.get(db, from).cloned() {
                None => error("ERR no such key"),
                Some(_) if from == to => ok(),
                Some(entry) => {
                    self.remove(db, from);
                    self.put(db, to, entry.data, entry.expires);
                    ok()
                }
            },
            ["COPY", from, to, "REPLACE"] if from == to => {
                error("ERR source and destination objects are the same")
            }
            ["COPY", from, to, "REPLACE"] => self.transfer(db, from, db, to),
            ["MOVE", _, "1"] if db == 1 => error("ERR source and destination objects are the same"),
            ["MOVE", key, "1"] if self.get(1, key).is_some() => Value::Int(0),
            ["MOVE", key, "1"] => {
                let reply = self.transfer(db, key, 1, key);
                self.remove(db, key);
                reply
            }
            // A copy by its payload.
            ["EVAL", _, "2", from, to, millis] => match self.get(db, from).cloned() {
                None => Value::Int(0),
                Some(entry) => {
                    let millis: u64 = millis.parse().unwrap();
                    self.put(db, to, entry.data, (millis > 0).then_some(now + millis));
                    Value::Int(1)
                }
            },
            words => self.collection(db, words),
        }
    }

    fn transfer(&mut self, db: usize, from: &str, to_db: usize, to: &str) -> Value {
        let Some(entry) = self.get(db, from).cloned() else { return Value::Int(0) };
        self.put(to_db, to, entry.data, entry.expires);
        Value::Int(1)
    }

    fn set(&mut self, db: usize, key: &str, value: &str, options: &[&str], now: u64) -> Value {
        let old = self.get(db, key).cloned();
        let previous = match old.as_ref().map(|e| &e.data) {
            None => Value::NullBulk,
            Some(Data::Text(text)) => bulk(text),
            Some(_) => wrong_type(),
        };
        let there = old.is_some();
        let mut expires = None;
        match options {
            ["NX"] if there => return Value::NullBulk,
            ["XX"] if !there => return Value::NullBulk,
            ["GET"] if previous.is_error() => return previous,
            ["KEEPTTL"] => expires = old.and_then(|e| e.expires),
            ["PXAT", at] => expires = Some(at.parse().unwrap()),
            _ => {}
        }
        if there || expires.is_none_or(|at| at > now) {
            self.put(db, key, Data::Text(value.to_owned()), expires);
            self.expire_if_past(db, key, now);
        }
        if options == ["GET"] { previous } else { ok() }
    }

    fn expire_if_past(&mut self, db: usize, key: &str, now: u64) {
        if self.get(db, key).and_then(|e| e.expires).is_some_and(|at| at <= now) {
            self.remove(db, key);
        }
    }

    fn incrby(&mut self, db: usize, key: &str, by: &str) -> Value {
        let (old, expires) = match self.get(db, key) {
            None => ("0".to_owned(), None),
            Some(Entry { data: Data::Text(text), expires, .. }) => (text.clone(), *expires),
            Some(_) => return wrong_type(),
        };
        let canonical = old.parse::<i64>().ok().filter(|n| n.to_string() == old);
        let Some(old) = canonical else { return error("ERR value is not an integer or out of range") };
        let Some(new) = old.checked_add(by.parse().unwrap()) else {
            return error("ERR increment or decrement would overflow");
        };
        self.put(db, key, Data::Text(new.to_string()), expires);
        Value::Int(new)
    }

    fn append(&mut self, db: usize, key: &str, value: &str) -> Value {
        let (old, expires) = match self.get(db, key) {
            None => (String::new(), None),
            Some(Entry { data: Data::Text(text), expires, .. }) => (text.clone(), *expires),
            Some(_) => return wrong_type(),
        };
        let new = old + value;
        let length = new.len() as i64;
        self.put(db, key, Data::Text(new), expires);
        Value::Int(length)
    }

    fn hash(&mut self, db: usize, words: &[&str]) -> Value {
        let key = words[1];
        let (mut hash, expires) = match self.get(db, key) {
            None => (BTreeMap::new(), None),
            Some(Entry { data: Data::Hash(hash), expires, .. }) => (hash.clone(), *expires),
            Some(_) => return wrong_type(),
        };
        let before = hash.clone();
        let reply = match words {
            ["HGETALL", _] => {
                return Value::Array(hash.iter().flat_map(|(f, v)| [bulk(f), bulk(v)]).collect());
            }
            ["HSET", _, field, value] => {
                let new = hash.insert((*field).to_owned(), (*value).to_owned()).is_none();
                self.put(db, key, Data::Hash(hash), expires);
                return Value::Int(new.into());
            }
            ["HDEL", _, field] => Value::Int(hash.remove(*field).is_some().into()),
            ["HINCRBY", _, field, by] => {
                let old: i64 = hash.get(*field).map_or(0, |v| v.parse().unwrap());
                let new = old + by.parse::<i64>().unwrap();
                hash.insert((*field).to_owned(), new.to_string());
                self.put(db, key, Data::Hash(hash), expires);
                return Value::Int(new);
            }
            other => panic!("not in the model: {other:?}"),
        };
        if hash.is_empty() {
            self.remove(db, key);
        } else if hash != before {
            self.put(db, key, Data::Hash(hash), expires);
        }
        reply
    }

    fn stream(&mut self, db: usize, words: &[&str]) -> Value {
        let at = match words[0] {
            "XGROUP" => 2,
            "XREADGROUP" => 7,
            _ => 1,
        };
        let key = words[at];
        let (there, expires, mut stream) = match self.get(db, key) {
            None => (false, None, Stream::default()),
            Some(Entry { data: Data::Stream(stream), expires }) => (true, *expires, stream.clone()),
            Some(_) => return wrong_type(),
        };
        let before = stream.clone();
        let reply = stream.call(key, there, words);
        // A group's position does not count as a change.
        let changed = (&stream.entries, stream.last) != (&before.entries, before.last);
        if changed || !there && stream.group.is_some() {
            self.put(db, key, Data::Stream(stream), expires);
        } else if let Some(entry) = self.databases[db].get_mut(key) {
            entry.data = Data::Stream(stream);
        }
        reply
    }
}

fn number(id: &str) -> u64 {
    id.trim_end_matches("-0").parse().unwrap()
}

impl Stream {
    fn shown(&self, id: u64) -> Value {
        let fields = Value::Array(vec![bulk("f"), bulk(&self.entries[&id])]);
        Value::Array(vec![bulk(&format!("{id}-0")), fields])
    }

    fn call(&mut self, key: &str, there: bool, words: &[&str]) -> Value {
        match words {
            ["XADD", _, id, "f", _] if number(id) <= self.last => {
                error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
            }
            ["XADD", _, id, "f", value] => {
                self.last = number(id);
                self.entries.insert(self.last, (*value).to_owned());
                bulk(id)
            }
            ["XDEL", _, id] => Value::Int(self.entries.remove(&number(id)).is_some().into()),
            ["XTRIM", _, "MAXLEN", max] => {
                let mut removed = 0;
                while self.entries.len() > max.parse().unwrap() {
                    self.entries.pop_first();
                    removed += 1;
                }
                Value::Int(removed)
            }
            ["XRANGE", _, "-", "+"] => Value::Array(self.entries.keys().map(|id| self.shown(*id)).collect()),
            ["XGROUP", "CREATE", _, "g", "0", "MKSTREAM"] if self.group.is_some() => {
                error("BUSYGROUP Consumer Group name already exists")
            }
            ["XGROUP", "CREATE", _, "g", "0", "MKSTREAM"] => {
                self.group = Some((0, BTreeMap::new()));
                ok()
            }
            ["XGROUP", "DESTROY", ..] if !there => error(
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
                 MKSTREAM option to create an empty stream automatically.",
            ),
            ["XGROUP", "DESTROY", ..] => Value::Int(self.group.take().is_some().into()),
            ["XREADGROUP", _, "g", consumer, ..] => self.read(key, consumer),
            ["XACK", _, "g", id] => {
                let group = self.group.as_mut();
                Value::Int(group.is_some_and(|(_, pending)| pending.remove(&number(id)).is_some()).into())
            }
            ["XPENDING", _, "g"] => self.pending(key),
            other => panic!("not in the model: {other:?}"),
        }
    }

    fn read(&mut self, key: &str, consumer: &str) -> Value {
        let Some((read, mut pending)) = self.group.clone() else {
            return error(&format!(
                "NOGROUP No such key '{key}' or consumer group 'g' in XREADGROUP with GROUP option"
            ));
        };
        let ids: Vec<u64> = self.entries.range(read + 1..).map(|(id, _)| *id).take(2).collect();
        let Some(last) = ids.last() else { return Value::NullArray };
        pending.extend(ids.iter().map(|id| (*id, consumer.to_owned())));
        self.group = Some((*last, pending));
        let entries = Value::Array(ids.iter().map(|id| self.shown(*id)).collect());
        Value::Array(vec![Value::Array(vec![bulk(key), entries])])
    }

    fn pending(&self, key: &str) -> Value {
        let Some((_, pending)) = &self.group else {
            return error(&format!("NOGROUP No such key '{key}' or consumer group 'g'"));
        };
        let (Some(first), Some(last)) = (pending.keys().next(), pending.keys().last()) else {
            return Value::Array(vec![Value::Int(0), Value::NullBulk, Value::NullBulk, Value::NullArray]);
        };
        let mut owners: BTreeMap<&str, u64> = BTreeMap::new();
        pending.values().for_each(|owner| *owners.entry(owner).or_default() += 1);
        let owners = owners.iter().map(|(name, n)| Value::Array(vec![bulk(name), bulk(&n.to_string())]));
        let (first, last) = (bulk(&format!("{first}-0")), bulk(&format!("{last}-0")));
        Value::Array(vec![Value::Int(pending.len() as i64), first, last, Value::Array(owners.collect())])
    }
}
