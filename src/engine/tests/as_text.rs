//! The contents of a store as text, so that two stores can be compared and a difference can be read.

use super::*;
use crate::store::{Entry, Object};
use crate::value::stream::{Stream, StreamId};
use std::fmt::Write as _;

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// All properties of a stream.
fn show_stream(stream: &Stream) -> String {
    let mut out = String::new();
    for entry in stream.range(StreamId::MIN, StreamId::MAX) {
        let fields = entry.fields.map(|(name, value)| text(&name.bytes()) + "=" + &text(&value.bytes()));
        write!(out, "{:?} {:?} ", entry.id, fields.collect::<Vec<_>>()).unwrap();
    }
    write!(out, "{:?} {:?} {}", stream.last_id(), stream.max_deleted_id(), stream.entries_added()).unwrap();
    for (name, group) in stream.groups().iter() {
        write!(out, " group {} {:?}", text(name), group.position).unwrap();
        for consumer in group.consumers() {
            let (name, seen, active) = (text(consumer.name()), consumer.seen_at_ms, consumer.active_at_ms);
            write!(out, " {name} {seen} {active:?} {}", consumer.pending_len()).unwrap();
        }
        for (id, pending) in group.pending(StreamId::MIN..=StreamId::MAX) {
            let owner = text(group.consumer(pending.consumer).unwrap().name());
            write!(out, " {id:?} {owner} {} {}", pending.delivered_at_ms, pending.deliveries).unwrap();
        }
    }
    out
}

/// The names of a hash's fields or a set's members, sorted.
pub(super) fn names_of(entry: &Entry) -> Vec<Vec<u8>> {
    let value = entry.value();
    let fields = value.hash().into_iter().flat_map(|hash| hash.live(0)).map(|f| f.name.to_vec());
    let members = value.set().into_iter().flat_map(|set| set.iter()).map(|m| m.bytes().into_owned());
    fields.chain(members).collect()
}

/// All properties of a value, independent of its form.
pub(super) fn show_value(entry: &Entry) -> String {
    match entry.value() {
        ValueRef::Str(value) => text(value),
        ValueRef::Boxed(Object::Stream(stream)) => show_stream(stream),
        ValueRef::Set(..) | ValueRef::Boxed(Object::Set(_)) => {
            let mut members: Vec<_> = names_of(entry).iter().map(|name| text(name)).collect();
            members.sort();
            format!("members {members:?}")
        }
        ValueRef::List(_) | ValueRef::Boxed(Object::List(_)) => {
            let elements = entry.value().list().unwrap().iter_from(0);
            format!("{:?}", elements.map(|element| text(&element.bytes())).collect::<Vec<_>>())
        }
        value if value.zset().is_some() => {
            let members = value.zset().into_iter().flat_map(|set| set.iter());
            format!("{:?}", members.map(|(member, score)| (text(member), score)).collect::<Vec<_>>())
        }
        value => match (value.hash(), value.items()) {
            (Some(hash), _) => {
                let mut fields: Vec<_> =
                    hash.live(0).map(|f| (text(f.name), text(f.value), f.expire)).collect();
                fields.sort();
                format!("{fields:?}")
            }
            (_, Some(items)) => {
                let items: Vec<_> = items.iter().map(|(sort, item)| (text(sort), text(item))).collect();
                format!("{items:?}")
            }
            _ => String::new(),
        },
    }
}

pub(super) fn show_shard(engine: &Engine, shard: usize, out: &mut Vec<String>) {
    let locked = engine.store.lock_shard(shard, Mode::Read, START);
    for entry in locked.entries(shard) {
        let db = (0..16).find(|db| engine.store.space(*db) == entry.space());
        let (key, value) = (text(entry.key()), show_value(entry));
        if let Some(db) = db {
            out.push(format!("database {db} {key} {:?} {value}", entry.expire()));
        } else if engine.tables.spaces().contains(&entry.space()) {
            out.push(format!("table {} {key} {value}", entry.space()));
        }
    }
    out.sort();
}

/// All contents of a store, sorted.
pub(super) fn show(engine: &Engine) -> Vec<String> {
    let mut all = Vec::new();
    (0..engine.store.shard_count()).for_each(|shard| show_shard(engine, shard, &mut all));
    assert_counted(engine);
    all
}

/// Each database's counters equal what they count.
fn assert_counted(engine: &Engine) {
    let store = &engine.store;
    for db in 0..store.databases() {
        let locked = store.lock_all(Mode::Read, START);
        let all = (0..store.shard_count()).flat_map(|shard| locked.entries(shard));
        let (mut keys, mut expires, mut subexpires) = (0, 0, 0);
        for entry in all.filter(|entry| entry.space() == store.space(db)) {
            keys += 1;
            expires += u64::from(entry.expire().is_some());
            let fields = entry.value().hash().into_iter().flat_map(|hash| hash.live(0));
            subexpires += u64::from(fields.filter(|field| field.expire != 0).count() > 0);
        }
        drop(locked);
        let counted = (store.db_size(db), store.subexpires(db));
        assert_eq!(counted, ((keys, expires), subexpires), "database {db}");
    }
}

#[track_caller]
pub(super) fn assert_shown(found: &[String], expected: &[String], what: &str) {
    let short = |line: &String| line.chars().take(3000).collect::<String>();
    let only =
        |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).map(short).collect::<Vec<_>>();
    let (surplus, missing) = (only(found, expected), only(expected, found));
    assert!(surplus.is_empty() && missing.is_empty(), "{what}\nsurplus {surplus:#?}\nmissing {missing:#?}");
}
