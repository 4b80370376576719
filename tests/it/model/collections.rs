//! Lists, sets, sorted sets, places and HyperLogLogs of the model.

use super::state::{Data, Entry, Model, bulk, error, ok, wrong_type};
use crate::harness::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) type List = Vec<String>;
pub(super) type Members = BTreeSet<String>;
/// The members of a sorted set with their scores.
pub(super) type Ranked = BTreeMap<String, i64>;

/// Longitude and latitude of places. The first two are within 200 km of 15 37, the second within 100 km.
pub(super) const PLACES: [&str; 3] = ["13.361389 38.115556", "15.087269 37.502669", "-122.4194 37.7749"];
/// The scores that these places have.
const SCORES: [i64; 3] = [3_479_099_956_230_698, 3_479_447_370_796_909, 1_367_859_919_124_626];

/// The score that these words of a command stand for.
fn score_of(longitude: &str, latitude: &str) -> i64 {
    let place = format!("{longitude} {latitude}");
    SCORES[PLACES.iter().position(|known| *known == place).unwrap()]
}

/// Whether a score stands for a place that a search finds. A score that differs by little is the same place.
fn is_found(score: i64, radius: &str) -> bool {
    let found = if radius == "200" { &SCORES[..2] } else { &SCORES[1..2] };
    found.iter().any(|place| (place - score).abs() < 1000)
}

fn in_order(all: &Ranked) -> Vec<(&String, i64)> {
    let mut all: Vec<_> = all.iter().map(|(member, score)| (member, *score)).collect();
    all.sort_by_key(|(member, score)| (*score, *member));
    all
}

/// Where an index, which counts from the end if it is negative, is in a list.
fn place(index: &str, length: usize) -> i64 {
    let index: i64 = index.parse().unwrap();
    if index < 0 { index + length as i64 } else { index }
}

/// What a command of one list replies, and whether it changes the list.
fn on_list(list: &mut List, words: &[&str]) -> (Value, bool) {
    let length = list.len();
    let pop = |list: &mut List, name: &str| if name == "LPOP" { list.remove(0) } else { list.pop().unwrap() };
    match words {
        ["LRANGE", _, "0", "-1"] => (Value::Array(list.iter().map(|element| bulk(element)).collect()), false),
        ["RPUSHX", ..] if list.is_empty() => (Value::Int(0), false),
        ["RPUSH" | "LPUSH" | "RPUSHX", _, elements @ ..] => {
            for element in elements {
                let at = if words[0] == "LPUSH" { 0 } else { list.len() };
                list.insert(at, (*element).to_owned());
            }
            (Value::Int(list.len() as i64), true)
        }
        ["LPOP" | "RPOP", _] if list.is_empty() => (Value::NullBulk, false),
        [name @ ("LPOP" | "RPOP"), _] => (bulk(&pop(list, name)), true),
        ["LPOP" | "RPOP", _, _] if list.is_empty() => (Value::NullArray, false),
        [name @ ("LPOP" | "RPOP"), _, count] => {
            let count = length.min(count.parse().unwrap());
            (Value::Array((0..count).map(|_| bulk(&pop(list, name))).collect()), true)
        }
        ["BLPOP" | "BLMPOP", ..] if list.is_empty() => (Value::NullArray, false),
        ["BLPOP", key, _] => (Value::Array(vec![bulk(key), bulk(&list.remove(0))]), true),
        ["BLMPOP", _, _, key, "RIGHT", "COUNT", "2"] => {
            let popped = (0..length.min(2)).map(|_| bulk(&list.pop().unwrap())).collect();
            (Value::Array(vec![bulk(key), Value::Array(popped)]), true)
        }
        ["LINSERT", ..] if list.is_empty() => (Value::Int(0), false),
        ["LINSERT", _, "BEFORE", pivot, element] => match list.iter().position(|e| e == pivot) {
            None => (Value::Int(-1), false),
            Some(at) => {
                list.insert(at, (*element).to_owned());
                (Value::Int(list.len() as i64), true)
            }
        },
        ["LREM", _, "1", element] => match list.iter().position(|e| e == element) {
            None => (Value::Int(0), false),
            Some(at) => {
                list.remove(at);
                (Value::Int(1), true)
            }
        },
        ["LSET", ..] if list.is_empty() => (error("ERR no such key"), false),
        ["LSET", _, "1", _] if length < 2 => (error("ERR index out of range"), false),
        ["LSET", _, "1", element] => {
            (*element).clone_into(&mut list[1]);
            (ok(), true)
        }
        ["LTRIM", _, first, last] => {
            let (first, last) = (place(first, length), place(last, length));
            let mut at = -1;
            list.retain(|_| {
                at += 1;
                (first..=last).contains(&at)
            });
            // A list that is there counts as changed.
            (ok(), length > 0)
        }
        other => panic!("not in the model: {other:?}"),
    }
}

fn on_set(set: &mut Members, words: &[&str]) -> (Value, bool) {
    match words {
        ["SMEMBERS", _] => (Value::Array(set.iter().map(|member| bulk(member)).collect()), false),
        ["SISMEMBER", _, member] => (Value::Int(set.contains(*member).into()), false),
        ["SADD", _, members @ ..] => {
            let added = members.iter().filter(|member| set.insert((**member).to_owned())).count();
            (Value::Int(added as i64), added > 0)
        }
        ["SREM", _, members @ ..] => {
            let removed = members.iter().filter(|member| set.remove(**member)).count();
            (Value::Int(removed as i64), removed > 0)
        }
        ["SPOP", _, "100"] => {
            let all = std::mem::take(set);
            (Value::Array(all.iter().map(|member| bulk(member)).collect()), !all.is_empty())
        }
        other => panic!("not in the model: {other:?}"),
    }
}

/// ZADD and GEOADD: sets scores as far as the options allow it.
fn add(all: &mut Ranked, options: &[&str], pairs: &[(i64, &str)]) -> (Value, bool) {
    let has = |option| options.contains(&option);
    let (mut added, mut updated) = (0, 0);
    for (score, member) in pairs {
        match all.get(*member).copied() {
            None if has("XX") => continue,
            None => added += 1,
            Some(old) if has("NX") || has("GT") && *score <= old || has("LT") && *score >= old => continue,
            Some(old) if old == *score => continue,
            Some(_) => updated += 1,
        }
        all.insert((*member).to_owned(), *score);
    }
    (Value::Int(if has("CH") { added + updated } else { added }), added + updated > 0)
}

fn on_zset(all: &mut Ranked, words: &[&str]) -> (Value, bool) {
    let score = |text: &str| text.parse::<i64>().unwrap();
    match words {
        ["ZRANGE", _, "0", "-1", "WITHSCORES"] => {
            let pairs = in_order(all).into_iter().flat_map(|(m, score)| [bulk(m), bulk(&score.to_string())]);
            (Value::Array(pairs.collect()), false)
        }
        ["ZADD", _, rest @ ..] => {
            let options = rest.iter().take_while(|word| word.parse::<i64>().is_err()).count();
            let pairs: Vec<_> = rest[options..].chunks(2).map(|pair| (score(pair[0]), pair[1])).collect();
            add(all, &rest[..options], &pairs)
        }
        ["GEOADD", _, rest @ ..] => {
            let pairs: Vec<_> = rest.chunks(3).map(|p| (score_of(p[0], p[1]), p[2])).collect();
            add(all, &[], &pairs)
        }
        ["ZINCRBY", _, by, member] => {
            let old = all.get(*member).copied();
            let new = old.unwrap_or(0) + score(by);
            all.insert((*member).to_owned(), new);
            (bulk(&new.to_string()), old != Some(new))
        }
        ["ZREM", _, members @ ..] => {
            let removed = members.iter().filter(|member| all.remove(**member).is_some()).count();
            (Value::Int(removed as i64), removed > 0)
        }
        ["ZRANK", _, member] => match in_order(all).iter().position(|(other, _)| other == member) {
            None => (Value::NullBulk, false),
            Some(rank) => (Value::Int(rank as i64), false),
        },
        ["ZREMRANGEBYSCORE", _, least, most] => {
            let before = all.len();
            all.retain(|_, at| !(score(least)..=score(most)).contains(at));
            (Value::Int((before - all.len()) as i64), before > all.len())
        }
        ["ZPOPMIN", _] if all.is_empty() => (Value::Array(Vec::new()), false),
        ["BZPOPMIN", ..] if all.is_empty() => (Value::NullArray, false),
        ["ZPOPMIN" | "BZPOPMIN", key, ..] => {
            let (member, score) = in_order(all)[0];
            let (member, score) = (member.clone(), bulk(&score.to_string()));
            all.remove(&member);
            let mut reply = vec![bulk(&member), score];
            if words[0] == "BZPOPMIN" {
                reply.insert(0, bulk(key));
            }
            (Value::Array(reply), true)
        }
        ["GEOSEARCH", _, "FROMLONLAT", "15", "37", "BYRADIUS", radius, "km"] => {
            let found = all.iter().filter(|(_, score)| is_found(**score, radius));
            (Value::Array(found.map(|(member, _)| bulk(member)).collect()), false)
        }
        other => panic!("not in the model: {other:?}"),
    }
}

impl Model {
    /// A value as one of a type; the error if it is of another type.
    fn of<T: Default>(
        &self,
        db: usize,
        key: &str,
        get: impl Fn(&Data) -> Option<T>,
    ) -> Result<(T, Option<u64>), Value> {
        match self.get(db, key) {
            None => Ok((T::default(), None)),
            Some(Entry { data, expires }) => get(data).map(|value| (value, *expires)).ok_or_else(wrong_type),
        }
    }

    fn list_of(&self, db: usize, key: &str) -> Result<(List, Option<u64>), Value> {
        self.of(db, key, |data| if let Data::List(list) = data { Some(list.clone()) } else { None })
    }

    fn set_of(&self, db: usize, key: &str) -> Result<(Members, Option<u64>), Value> {
        self.of(db, key, |data| if let Data::Set(set) = data { Some(set.clone()) } else { None })
    }

    fn zset_of(&self, db: usize, key: &str) -> Result<(Ranked, Option<u64>), Value> {
        self.of(db, key, |data| if let Data::Zset(all) = data { Some(all.clone()) } else { None })
    }

    /// A sorted set, or a set whose members have the score 1.
    fn weighed(&self, db: usize, key: &str) -> Result<Ranked, Value> {
        let all = self.of(db, key, |data| match data {
            Data::Zset(all) => Some(all.clone()),
            Data::Set(set) => Some(set.iter().map(|member| (member.clone(), 1)).collect()),
            _ => None,
        })?;
        Ok(all.0)
    }

    fn counted(&self, db: usize, key: &str) -> Result<Members, Value> {
        match self.get(db, key).map(|entry| &entry.data) {
            None => Ok(Members::new()),
            Some(Data::Counted(elements)) => Ok(elements.clone()),
            Some(Data::Text(_)) => Err(error("WRONGTYPE Key is not a valid HyperLogLog string value.")),
            Some(_) => Err(wrong_type()),
        }
    }

    /// Stores a value, or removes the key of one that is empty.
    fn keep(&mut self, db: usize, key: &str, data: Data, expires: Option<u64>) {
        let empty = match &data {
            Data::List(list) => list.is_empty(),
            Data::Set(set) => set.is_empty(),
            Data::Zset(all) => all.is_empty(),
            _ => false,
        };
        if empty {
            self.remove(db, key);
        } else {
            self.put(db, key, data, expires);
        }
    }

    pub(super) fn collection(&mut self, db: usize, words: &[&str]) -> Value {
        self.try_collection(db, words).unwrap_or_else(|refused| refused)
    }

    fn try_collection(&mut self, db: usize, words: &[&str]) -> Result<Value, Value> {
        let (reply, changed) = match words {
            ["LMOVE", from, to, ends @ ..] => return self.lmove(db, from, to, ends[0] == "LEFT"),
            ["SMOVE", from, to, member] => return self.smove(db, from, to, member),
            ["SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE", to, one, other] => {
                let (one, other) = (self.set_of(db, one)?.0, self.set_of(db, other)?.0);
                let result: Members = match words[0] {
                    "SINTERSTORE" => &one & &other,
                    "SUNIONSTORE" => &one | &other,
                    _ => &one - &other,
                };
                let count = result.len();
                self.keep(db, to, Data::Set(result), None);
                return Ok(Value::Int(count as i64));
            }
            ["ZUNIONSTORE" | "ZINTERSTORE" | "ZDIFFSTORE" | "ZRANGESTORE" | "GEOSEARCHSTORE", to, ..] => {
                let result = self.combined(db, words)?;
                let count = result.len();
                self.keep(db, to, Data::Zset(result), None);
                return Ok(Value::Int(count as i64));
            }
            ["PFADD" | "PFCOUNT" | "PFMERGE", ..] => return self.hyperloglog(db, words),
            [name, key, ..] if name.starts_with('S') => {
                let (mut set, expires) = self.set_of(db, key)?;
                let (reply, changed) = on_set(&mut set, words);
                (reply, changed.then_some((*key, Data::Set(set), expires)))
            }
            [name, key, ..] if name.contains('Z') || name.starts_with('G') => {
                let (mut all, expires) = self.zset_of(db, key)?;
                let (reply, changed) = on_zset(&mut all, words);
                (reply, changed.then_some((*key, Data::Zset(all), expires)))
            }
            _ => {
                let key = if words[0] == "BLMPOP" { words[3] } else { words[1] };
                let (mut list, expires) = self.list_of(db, key)?;
                let (reply, changed) = on_list(&mut list, words);
                (reply, changed.then_some((key, Data::List(list), expires)))
            }
        };
        if let Some((key, data, expires)) = changed {
            self.keep(db, key, data, expires);
        }
        Ok(reply)
    }

    fn lmove(&mut self, db: usize, from: &str, to: &str, left: bool) -> Result<Value, Value> {
        let (mut source, expires) = self.list_of(db, from)?;
        if source.is_empty() {
            return Ok(Value::NullBulk);
        }
        self.list_of(db, to)?;
        let element = if left { source.remove(0) } else { source.pop().unwrap() };
        let reply = bulk(&element);
        let (mut target, target_expires) =
            if from == to { (std::mem::take(&mut source), expires) } else { self.list_of(db, to)? };
        target.insert(if left { target.len() } else { 0 }, element);
        if from != to {
            self.keep(db, from, Data::List(source), expires);
        }
        self.keep(db, to, Data::List(target), target_expires);
        Ok(reply)
    }

    fn smove(&mut self, db: usize, from: &str, to: &str, member: &str) -> Result<Value, Value> {
        let (mut source, expires) = self.set_of(db, from)?;
        if source.is_empty() {
            return Ok(Value::Int(0));
        }
        let (mut target, target_expires) = self.set_of(db, to)?;
        if from == to || !source.contains(member) {
            return Ok(Value::Int(source.contains(member).into()));
        }
        source.remove(member);
        self.keep(db, from, Data::Set(source), expires);
        if target.insert(member.to_owned()) {
            self.keep(db, to, Data::Set(target), target_expires);
        }
        Ok(Value::Int(1))
    }

    /// What a command stores as a sorted set.
    fn combined(&self, db: usize, words: &[&str]) -> Result<Ranked, Value> {
        match words {
            ["ZRANGESTORE", _, from, "0", "2"] => {
                let all = self.zset_of(db, from)?.0;
                Ok(in_order(&all).into_iter().take(3).map(|(member, at)| (member.clone(), at)).collect())
            }
            ["GEOSEARCHSTORE", _, from, _, _, _, _, radius, _] => {
                let mut all = self.zset_of(db, from)?.0;
                all.retain(|_, score| is_found(*score, radius));
                Ok(all)
            }
            [name, _, "2", one, other, ..] => {
                let (mut one, mut other) = (self.weighed(db, one)?, self.weighed(db, other)?);
                if *name == "ZDIFFSTORE" {
                    one.retain(|member, _| !other.contains_key(member));
                } else if *name == "ZINTERSTORE" {
                    one.retain(|member, _| other.contains_key(member));
                    one.iter_mut().for_each(|(member, score)| *score = other[member].min(*score));
                } else {
                    for (member, score) in &mut one {
                        *score = other.remove(member).unwrap_or(*score).max(*score);
                    }
                    one.append(&mut other);
                }
                Ok(one)
            }
            other => panic!("not in the model: {other:?}"),
        }
    }

    fn hyperloglog(&mut self, db: usize, words: &[&str]) -> Result<Value, Value> {
        let expires = self.get(db, words[1]).and_then(|entry| entry.expires);
        let mut union = Members::new();
        match words {
            ["PFADD", key, elements @ ..] => {
                let there = self.get(db, key).is_some();
                let mut all = self.counted(db, key)?;
                let added = elements.iter().filter(|element| all.insert((**element).to_owned())).count();
                let changed = added > 0 || !there;
                if changed {
                    self.keep(db, key, Data::Counted(all), expires);
                }
                Ok(Value::Int(changed.into()))
            }
            [_, keys @ ..] => {
                for key in keys {
                    union.append(&mut self.counted(db, key)?);
                }
                if words[0] == "PFCOUNT" {
                    return Ok(Value::Int(union.len() as i64));
                }
                self.keep(db, keys[0], Data::Counted(union), expires);
                Ok(ok())
            }
            [] => unreachable!("a command has a name"),
        }
    }
}
