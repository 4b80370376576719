//! SORT and SORT_RO: the elements of a list, a set or a sorted set, ordered by themselves or by values of other keys,
//! whose names contain the elements (`pattern`). The elements or such values are shown.

mod options;
mod order;
mod pattern;

use super::spec::*;
use super::{Cx, Outcome, fail};
use crate::effect::{Effect, ListChange};
use crate::engine::{Classes, EFFECT_BYTES, Tx};
use crate::store::Entry;
use crate::value::list::{encode_all, encode_next};
use crate::value::set::Member;
use options::SortOptions;
use pattern::look_up;
use std::borrow::Cow;

const SYNTAX: &str =
    "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]";
const SYNTAX_STORE: &str = "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]";
const COMPLEXITY: &str = "O(N log N) where N is the number of elements, O(N) where they are not ordered.";
const CATEGORIES: &[&str] = &["set", "sortedset", "list"];

const SORTED: KeySpec = keys_at(1, 0, 1, &["RO", "access"]);
/// As in Redis, the last STORE counts.
const STORED: KeySpec = KeySpec {
    begin: Begin::LastOption(
        "STORE",
        2,
        &[("BY", 1), ("LIMIT", 2), ("GET", 1), ("ASC", 0), ("DESC", 0), ("ALPHA", 0), ("STORE", 1)],
    ),
    find: Find::Range { last: 0, step: 1, limit: 0 },
    flags: &["OW", "update"],
};

in_group!(generic, "generic");

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    generic(
        spec(
            "sort",
            -2,
            flag::WRITE | flag::DENYOOM | flag::MOVABLE_KEYS | flag::COUNTED | flag::DANGEROUS,
            sort,
        )
        .keys(&[SORTED, STORED])
        .alone(reaches_others)
        .categories(CATEGORIES),
        "1.0.0",
        COMPLEXITY,
        "Returns or stores the elements of a list, a set or a sorted set in an order.",
        SYNTAX_STORE,
    ),
    generic(
        spec("sort_ro", -2, flag::READONLY | flag::MOVABLE_KEYS | flag::DANGEROUS, sort_ro)
            .keys(&[SORTED])
            .alone(reaches_others)
            .categories(CATEGORIES),
        "7.0.0",
        COMPLEXITY,
        "Returns the elements of a list, a set or a sorted set in an order.",
        SYNTAX,
    ),
];

/// Whether a call reads keys whose names contain elements.
fn reaches_others(args: &[&[u8]]) -> bool {
    SortOptions::parse(args, true).is_ok_and(|options| options.reaches_others())
}

fn sort(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, true)
}

fn sort_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, false)
}

/// The elements of a value in the value's own order; `None` if the value's type cannot be sorted.
fn elements_of(entry: &Entry) -> Option<Vec<Cow<'_, [u8]>>> {
    let value = entry.value();
    if let Some(list) = value.list() {
        return Some(list.iter_from(0).map(|element| element.bytes()).collect());
    }
    if let Some(set) = value.set() {
        return Some(set.iter().map(Member::bytes).collect());
    }
    value.zset().map(|zset| zset.iter().map(|(member, _)| Cow::Borrowed(member)).collect())
}

fn run(cx: &mut Cx<'_, '_>, args: &[&[u8]], may_store: bool) -> Outcome {
    let mut options = SortOptions::parse(args, may_store)?;
    let tx: &Tx<'_> = cx.tx;
    let elements = match tx.entry(args[1]) {
        None => Vec::new(),
        Some(entry) => elements_of(entry).ok_or(fail::WRONG_TYPE)?,
    };
    if options.store.is_some() && tx.look(args[1]).is_some_and(|entry| entry.value().set().is_some()) {
        options.order_members();
    }
    let ordered = order::ordered(tx, elements, &options)?;
    if let Some(target) = options.store {
        let entries = entries_of(tx, &ordered, &options.get);
        let count = ordered.len() * options.get.len().max(1);
        return store(cx, target, count, &entries);
    }
    if options.get.is_empty() {
        cx.out.array(ordered.len());
        ordered.iter().for_each(|element| cx.out.bulk(element));
        return Ok(());
    }
    cx.out.array(ordered.len() * options.get.len());
    for element in &ordered {
        if cx.out.overran() {
            break;
        }
        for pattern in &options.get {
            match look_up(tx, pattern, element) {
                Some(value) => cx.out.bulk(value),
                None => cx.out.null(),
            }
        }
    }
    Ok(())
}

/// The packed entries of the list that is stored. A missing value becomes an empty element.
fn entries_of(tx: &Tx<'_>, ordered: &[Cow<'_, [u8]>], get: &[&[u8]]) -> Vec<u8> {
    if get.is_empty() {
        return encode_all(ordered.iter().map(|element| &**element));
    }
    // Each value is looked up only once, because lookups are counted.
    let mut entries = Vec::new();
    for element in ordered {
        for pattern in get {
            encode_next(&mut entries, look_up(tx, pattern, element).unwrap_or_default());
        }
    }
    entries
}

/// Puts a list at a key, in place of any value there; removes the key if the list is empty.
fn store(cx: &mut Cx<'_, '_>, key: &[u8], count: usize, entries: &[u8]) -> Outcome {
    let (db, before) = (cx.db(), cx.tx.changes());
    if count == 0 {
        if cx.tx.exists(key) {
            cx.tx.apply(Effect::Delete { db, key });
            cx.tell(Classes::GENERIC, "del", key);
        }
    } else {
        cx.tx.ask(entries.len() + key.len() + EFFECT_BYTES)?;
        cx.tx.apply(ListChange::Put { payload: entries, expire: None }.on(db, key));
        cx.tx.count_changes(before, count as u64);
        cx.tell(Classes::LIST, "sortstore", key);
    }
    cx.out.len_int(count);
    Ok(())
}
