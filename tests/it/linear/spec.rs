//! What commands on one key do when they run one after the other.

use crate::harness::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The value of a key. Collections that become empty are [`State::Absent`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Absent,
    Text(String),
    Hash(BTreeMap<String, String>),
    List(VecDeque<String>),
    Set(BTreeSet<String>),
    Zset(BTreeMap<String, i64>),
    Stream(Stream),
    Item(BTreeMap<String, String>),
}

/// A stream with one group, whose entries have the only field `f` and identifiers `n-0`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    entries: BTreeMap<u64, String>,
    last: u64,
    /// The last entry that the group has read.
    delivered: u64,
}

const NIL: &str = "nil";
const ERROR: &str = "error";

/// A reply as text that does not depend on the way in which the command was sent. Pairs without an order are sorted.
pub(super) fn plain(words: &[String], reply: &Value) -> String {
    match reply {
        Value::Error(_) => ERROR.into(),
        reply if reply.is_null() => NIL.into(),
        Value::Array(parts) => {
            let mut parts: Vec<String> = parts.iter().map(|part| plain(&[], part)).collect();
            match words.first().map(String::as_str) {
                Some("HGETALL" | "ITEM.GET" | "ITEM.UPDATE") => {
                    parts = parts.chunks(2).map(|pair| pair.join("=")).collect();
                    parts.sort();
                }
                Some("SMEMBERS") => parts.sort(),
                _ => {}
            }
            list(parts)
        }
        reply => reply.text(),
    }
}

fn list(parts: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", parts.into_iter().collect::<Vec<_>>().join(" "))
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    list(map.iter().map(|(name, value)| format!("{name}={value}")))
}

fn or_nil(value: Option<&String>) -> String {
    value.cloned().unwrap_or_else(|| NIL.into())
}

fn count(yes: bool) -> String {
    u8::from(yes).to_string()
}

impl State {
    /// The values that the key may have after a command with this reply, or with any reply if it has none.
    pub(super) fn step(&self, words: &[String], reply: Option<&str>) -> Vec<State> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcomes = match words[..] {
            ["SPOP", _] => self.spop(),
            // A transaction is not carried out only if the key has changed since its client read `old`.
            ["CAS", _, old, new] => vec![match self {
                Self::Text(text) if text == old => (Self::Text(new.into()), "1".into()),
                _ => (self.clone(), NIL.into()),
            }],
            _ => vec![self.clone().run(&words)],
        };
        let fits = |(_, expected): &(State, String)| reply.is_none_or(|reply| reply == expected);
        outcomes.into_iter().filter(fits).map(|(state, _)| state.without_nothing()).collect()
    }

    /// A set gives any of its members away.
    fn spop(&self) -> Vec<(State, String)> {
        let Self::Set(set) = self else { return vec![(self.clone(), NIL.into())] };
        let without = |member: &String| {
            let mut rest = set.clone();
            rest.remove(member);
            (Self::Set(rest), member.clone())
        };
        set.iter().map(without).collect()
    }

    fn without_nothing(self) -> State {
        match &self {
            Self::Hash(map) if map.is_empty() => Self::Absent,
            Self::List(list) if list.is_empty() => Self::Absent,
            Self::Set(set) if set.is_empty() => Self::Absent,
            Self::Zset(set) if set.is_empty() => Self::Absent,
            _ => self,
        }
    }

    fn run(self, words: &[&str]) -> (State, String) {
        if words[0] == "DEL" {
            return (Self::Absent, count(self != Self::Absent));
        }
        match (words[0], self) {
            (
                "LPUSH" | "RPUSH" | "LPOP" | "RPOP" | "BLPOP" | "LMOVE" | "LLEN" | "LINDEX" | "LRANGE",
                state,
            ) => elements(state, words),
            ("SADD" | "SREM" | "SISMEMBER" | "SCARD" | "SMEMBERS", state) => set(state, words),
            (name, State::Stream(mut stream)) if name.starts_with('X') => {
                let reply = stream.run(words);
                (State::Stream(stream), reply)
            }
            (name, state) if name.starts_with('H') => hash(state, words),
            (name, state) if name.starts_with('Z') || name == "BZPOPMIN" => zset(state, words),
            (name, state) if name.starts_with("ITEM.") => item(state, words),
            (_, state) => text(state, words),
        }
    }
}

fn text(state: State, words: &[&str]) -> (State, String) {
    let old = match state {
        State::Absent => None,
        State::Text(text) => Some(text),
        other => panic!("{words:?} on {other:?}"),
    };
    let is = |value: Option<String>| value.map_or(State::Absent, State::Text);
    match *words {
        ["GET", _] => (is(old.clone()), or_nil(old.as_ref())),
        ["SET", _, new] => (State::Text(new.into()), "OK".into()),
        ["SETNX", _, new] => (is(Some(old.clone().unwrap_or_else(|| new.into()))), count(old.is_none())),
        ["GETSET", _, new] => (State::Text(new.into()), or_nil(old.as_ref())),
        ["GETDEL", _] => (State::Absent, or_nil(old.as_ref())),
        ["APPEND", _, more] => {
            let new = old.unwrap_or_default() + more;
            let length = new.len().to_string();
            (State::Text(new), length)
        }
        ["INCRBY", _, by] => {
            let new =
                (old.map_or(0, |old| old.parse::<i64>().unwrap()) + by.parse::<i64>().unwrap()).to_string();
            (State::Text(new.clone()), new)
        }
        _ => panic!("not in the model: {words:?}"),
    }
}

fn hash(state: State, words: &[&str]) -> (State, String) {
    let mut map = match state {
        State::Absent => BTreeMap::new(),
        State::Hash(map) => map,
        other => panic!("{words:?} on {other:?}"),
    };
    let reply = match *words {
        ["HSET", _, field, value] => count(map.insert(field.into(), value.into()).is_none()),
        ["HSETNX", _, field, value] => {
            let there = map.contains_key(field);
            map.entry(field.into()).or_insert_with(|| value.into());
            count(!there)
        }
        ["HGET", _, field] => or_nil(map.get(field)),
        ["HDEL", _, field] => count(map.remove(field).is_some()),
        ["HLEN", _] => map.len().to_string(),
        ["HINCRBY", _, field, by] => {
            let old = map.get(field).map_or(0, |old| old.parse::<i64>().unwrap());
            let new = (old + by.parse::<i64>().unwrap()).to_string();
            map.insert(field.into(), new.clone());
            new
        }
        ["HGETALL", _] => pairs(&map),
        _ => panic!("not in the model: {words:?}"),
    };
    (State::Hash(map), reply)
}

fn elements(state: State, words: &[&str]) -> (State, String) {
    let mut all = match state {
        State::Absent => VecDeque::new(),
        State::List(all) => all,
        other => panic!("{words:?} on {other:?}"),
    };
    let reply = match *words {
        ["LPUSH", _, ref new @ ..] => {
            new.iter().for_each(|new| all.push_front((*new).into()));
            all.len().to_string()
        }
        ["RPUSH", _, ref new @ ..] => {
            all.extend(new.iter().map(|new| (*new).to_owned()));
            all.len().to_string()
        }
        ["LPOP", _] => or_nil(all.pop_front().as_ref()),
        ["RPOP", _] => or_nil(all.pop_back().as_ref()),
        ["BLPOP", key, _] => all.pop_front().map_or_else(|| NIL.into(), |first| list([key.into(), first])),
        ["LMOVE", _, _, "LEFT", "RIGHT"] => {
            let moved = all.pop_front();
            all.extend(moved.clone());
            or_nil(moved.as_ref())
        }
        ["LLEN", _] => all.len().to_string(),
        ["LINDEX", _, "0"] => or_nil(all.front()),
        ["LRANGE", _, "0", "-1"] => list(all.iter().cloned()),
        _ => panic!("not in the model: {words:?}"),
    };
    (State::List(all), reply)
}

fn set(state: State, words: &[&str]) -> (State, String) {
    let mut all = match state {
        State::Absent => BTreeSet::new(),
        State::Set(all) => all,
        other => panic!("{words:?} on {other:?}"),
    };
    let reply = match *words {
        ["SADD", _, member] => count(all.insert(member.into())),
        ["SREM", _, member] => count(all.remove(member)),
        ["SISMEMBER", _, member] => count(all.contains(member)),
        ["SCARD", _] => all.len().to_string(),
        ["SMEMBERS", _] => list(all.iter().cloned()),
        _ => panic!("not in the model: {words:?}"),
    };
    (State::Set(all), reply)
}

fn zset(state: State, words: &[&str]) -> (State, String) {
    let mut all = match state {
        State::Absent => BTreeMap::new(),
        State::Zset(all) => all,
        other => panic!("{words:?} on {other:?}"),
    };
    let mut order: Vec<(i64, String)> = all.iter().map(|(member, score)| (*score, member.clone())).collect();
    order.sort();
    let both = |(score, member): &(i64, String)| [member.clone(), score.to_string()];
    let first = order.first().map(both);
    let reply = match *words {
        ["ZADD", _, score, member] => count(all.insert(member.into(), score.parse().unwrap()).is_none()),
        ["ZADD", _, "GT", "CH", score, member] => {
            let score = score.parse().unwrap();
            let greater = all.get(member).is_none_or(|old| score > *old);
            if greater {
                all.insert(member.into(), score);
            }
            count(greater)
        }
        ["ZINCRBY", _, by, member] => {
            let score = all.entry(member.into()).or_default();
            *score += by.parse::<i64>().unwrap();
            score.to_string()
        }
        ["ZREM", _, member] => count(all.remove(member).is_some()),
        ["ZSCORE", _, member] => or_nil(all.get(member).map(i64::to_string).as_ref()),
        ["ZRANK", _, member] => {
            or_nil(order.iter().position(|(_, name)| name == member).map(|rank| rank.to_string()).as_ref())
        }
        ["ZCARD", _] => all.len().to_string(),
        ["ZRANGE", _, "0", "-1", "WITHSCORES"] => list(order.iter().flat_map(both)),
        ["ZPOPMIN", _] => {
            all.retain(|member, _| first.as_ref().is_none_or(|[name, _]| name != member));
            list(first.into_iter().flatten())
        }
        ["BZPOPMIN", key, _] => {
            all.retain(|member, _| first.as_ref().is_none_or(|[name, _]| name != member));
            first.map_or_else(|| NIL.into(), |pair| list([vec![key.into()], pair.to_vec()].concat()))
        }
        _ => panic!("not in the model: {words:?}"),
    };
    (State::Zset(all), reply)
}

impl Stream {
    fn shown(&self, id: u64) -> String {
        format!("[{id}-0 [f {}]]", self.entries[&id])
    }

    fn run(&mut self, words: &[&str]) -> String {
        let number = |id: &str| id.trim_end_matches("-0").parse::<u64>().unwrap();
        match *words {
            ["XADD", _, id, "f", _] if number(id) <= self.last => ERROR.into(),
            ["XADD", _, id, "f", value] => {
                self.last = number(id);
                self.entries.insert(self.last, value.into());
                id.into()
            }
            ["XLEN", _] => self.entries.len().to_string(),
            ["XRANGE", _, "-", "+"] => list(self.entries.keys().map(|id| self.shown(*id))),
            ["XTRIM", _, "MAXLEN", most] => {
                let removed = self.entries.len().saturating_sub(most.parse().unwrap());
                (0..removed).for_each(|_| drop(self.entries.pop_first()));
                removed.to_string()
            }
            ["XREADGROUP", "GROUP", _, _, "COUNT", "1", "STREAMS", key, ">"] => {
                let next = self.entries.range(self.delivered + 1..).next().map(|(id, _)| *id);
                self.delivered = next.unwrap_or(self.delivered);
                next.map_or_else(|| NIL.into(), |id| format!("[[{key} [{}]]]", self.shown(id)))
            }
            _ => panic!("not in the model: {words:?}"),
        }
    }
}

fn item(state: State, words: &[&str]) -> (State, String) {
    let (there, mut item) = match state {
        State::Absent => (false, BTreeMap::new()),
        State::Item(item) => (true, item),
        other => panic!("{words:?} on {other:?}"),
    };
    let new =
        |key: &str, value: &str| BTreeMap::from([("id".into(), key.into()), ("v".into(), value.into())]);
    let is = |there: bool, item| if there { State::Item(item) } else { State::Absent };
    match *words {
        ["ITEM.PUT", _, _, "SET", "1", "v", _, "IF", "attribute_not_exists(id)"] if there => {
            (State::Item(item), NIL.into())
        }
        ["ITEM.PUT", _, key, "SET", "1", "v", value, ..] => (State::Item(new(key, value)), "OK".into()),
        ["ITEM.UPDATE", _, _, "SET", "1", "v", value, "IF", condition] => {
            let fits = item.get("v").is_some_and(|old| condition == format!("v = \"{old}\""));
            if fits {
                item.insert("v".into(), value.into());
            }
            (is(there, item), if fits { "OK".into() } else { NIL.into() })
        }
        ["ITEM.UPDATE", _, key, "INCR", "1", "n", by, "RETURN", "NEW"] => {
            let old = item.get("n").map_or(0, |old| old.parse::<i64>().unwrap());
            item.insert("n".into(), (old + by.parse::<i64>().unwrap()).to_string());
            item.insert("id".into(), key.into());
            let reply = pairs(&item);
            (State::Item(item), reply)
        }
        ["ITEM.DEL", ..] => (State::Absent, count(there)),
        ["ITEM.GET", ..] => {
            let reply = if there { pairs(&item) } else { NIL.into() };
            (is(there, item), reply)
        }
        _ => panic!("not in the model: {words:?}"),
    }
}
