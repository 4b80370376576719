//! SORT and SORT_RO: the elements of a list, a set or a sorted set, ordered by themselves or by values of other keys,
//! whose names contain the elements (`pattern`). The elements or such values are shown.

mod options;
mod order;
mod pattern;

use super::spec::*;
use super::{Cx, Fail, Outcome, acl, fail};
use crate::config::Settings;
use crate::effect::{Effect, ListChange};
use crate::engine::{Classes, EFFECT_BYTES, Tx};
use crate::env::memory;
use crate::store::Entry;
use crate::value::list::{encode_next, encoded_len};
use crate::value::set::Member;
use options::SortOptions;
use pattern::{ITSELF, look_up};
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
            flag::WRITE | flag::DENYOOM | flag::MOVABLE_KEYS | flag::COUNTED | flag::DANGEROUS | flag::SIZED,
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
        spec("sort_ro", -2, flag::READONLY | flag::MOVABLE_KEYS | flag::DANGEROUS | flag::SIZED, sort_ro)
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
    SortOptions::parse(args, true, false).is_ok_and(|options| options.reaches_others())
}

fn sort(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, true)
}

fn sort_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, false)
}

/// What of a value is sorted, in the value's own order; nothing of one that cannot be. Where that order stays, it is
/// what is wanted alone. As in Redis, a set has one order, and DESC does not turn it.
fn elements_of<'t>(entry: &'t Entry, options: &SortOptions<'_>) -> Option<Vec<Cow<'t, [u8]>>> {
    let value = entry.value();
    let turned = options.unordered && options.descending;
    if let Some(list) = value.list() {
        let len = list.len();
        let taken = options.taken(len);
        return Some(if taken.is_empty() {
            Vec::new()
        } else if turned {
            let back = list.iter_back_from(len - 1 - taken.start);
            back.take(taken.len()).map(|element| element.bytes()).collect()
        } else {
            list.iter_from(taken.start).take(taken.len()).map(|element| element.bytes()).collect()
        });
    }
    if let Some(set) = value.set() {
        let taken = options.taken(set.len());
        return Some(set.iter().skip(taken.start).take(taken.len()).map(Member::bytes).collect());
    }
    let zset = value.zset()?;
    let (len, taken) = (zset.len(), options.taken(zset.len()));
    let first = if turned { len.saturating_sub(1 + taken.start) } else { taken.start };
    let members = zset.range(first, taken.len(), turned);
    Some(members.map(|(member, _)| Cow::Borrowed(member)).collect())
}

fn run(cx: &mut Cx<'_, '_>, args: &[&[u8]], may_store: bool) -> Outcome {
    let named_only = !acl::may_read_every_key(cx, args);
    let mut options = SortOptions::parse(args, may_store, named_only)?;
    let tx: &Tx<'_> = cx.tx;
    let entry = tx.entry(args[1]);
    if options.store.is_some() && entry.is_some_and(|entry| entry.value().set().is_some()) {
        options.order_members();
    }
    let elements = match entry {
        None => Vec::new(),
        Some(entry) => elements_of(entry, &options).ok_or(fail::WRONG_TYPE)?,
    };
    let ordered = order::ordered(tx, elements, &options)?;
    if let Some(target) = options.store {
        let entries = entries_of(tx, cx.settings, &ordered, &options.get)?;
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

/// How many bytes of a result are made before it is asked again whether there is room for it.
const STEP: usize = 64 << 10;

/// The entries of a list of the result. What is not there is an empty element. A result may have many times the bytes
/// of what it is made of, so it is asked for while it grows.
fn entries_of(
    tx: &Tx<'_>,
    settings: &Settings,
    ordered: &[Cow<'_, [u8]>],
    get: &[&[u8]],
) -> Result<Vec<u8>, Fail> {
    let get = if get.is_empty() { &[ITSELF] } else { get };
    let (mut entries, mut asked) = (Vec::new(), 0);
    for element in ordered {
        for pattern in get {
            // Each is looked up once, because look-ups are counted.
            let value = look_up(tx, pattern, element).unwrap_or_default();
            let needed = entries.len() + encoded_len(value);
            if needed > asked {
                asked = needed + STEP;
                tx.ask_record(asked)?;
                let most = settings.maxmemory;
                if most != 0 && memory::used_bytes() + encoded_len(value) as u64 > most {
                    return Err(fail::OUT_OF_MEMORY);
                }
            }
            encode_next(&mut entries, value);
        }
    }
    Ok(entries)
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
        let old = cx.replaced_type(cx.tx.db, key);
        cx.tx.apply(ListChange::Put { payload: entries, expire: None }.on(db, key));
        cx.tx.count_changes(before, count as u64);
        cx.tell_replaced(cx.tx.db, key, old, "list");
        cx.tell(Classes::LIST, "sortstore", key);
    }
    cx.out.len_int(count);
    Ok(())
}
