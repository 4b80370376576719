//! OBJECT: how values are stored.

use crate::command::strings::string_encoding;
use crate::command::{Cx, Fail, Outcome};
use crate::store::{Entry, Object, ValueRef};
use std::sync::atomic::Ordering::Relaxed;

/// Redis's name of the form in which a value is stored.
pub fn encoding_of(entry: &Entry) -> &'static str {
    match entry.value() {
        ValueRef::Str(bytes) => string_encoding(bytes, entry.is_raw()),
        ValueRef::Items(_) => "packed",
        ValueRef::Zset(_) => "listpack",
        ValueRef::Boxed(Object::Zset(_)) => "skiplist",
        ValueRef::Boxed(Object::Stream(_)) => "stream",
        value => match (value.hash(), value.set(), value.list()) {
            (Some(hash), ..) => hash.encoding(),
            (_, Some(set), _) => set.encoding(),
            (.., Some(list)) => list.encoding(),
            _ => "btree",
        },
    }
}

/// Makes lookups count neither as accesses nor, if there is no key, as `keymiss` events.
fn only_look(cx: &mut Cx<'_, '_>) {
    cx.tx.set_no_touch(true);
    cx.tx.set_tells_misses(false);
}

pub(super) fn encoding(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    only_look(cx);
    match cx.tx.entry(args[2]) {
        Some(entry) => cx.out.bulk(encoding_of(entry).as_bytes()),
        None => cx.out.null(),
    }
    Ok(())
}

pub(super) fn refcount(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    only_look(cx);
    match cx.tx.entry(args[2]) {
        // Redis shares the objects of small integers and reports the largest number as their reference count.
        Some(entry) if is_small_integer(entry) => cx.out.int(i64::from(i32::MAX)),
        Some(_) => cx.out.int(1),
        None => cx.out.null(),
    }
    Ok(())
}

fn is_small_integer(entry: &Entry) -> bool {
    let ValueRef::Str(bytes) = entry.value() else { return false };
    encoding_of(entry) == "int"
        && crate::text::parse_i64_strict(bytes).is_some_and(|n| (0..10_000).contains(&n))
}

pub(super) fn idletime(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    only_look(cx);
    let store = &cx.tx.engine().store;
    let Some(entry) = cx.tx.entry(args[2]) else {
        cx.out.null();
        return Ok(());
    };
    if store.lfu.load(Relaxed) {
        return Err(Fail::new(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    cx.out.int(store.idle_seconds(entry, cx.tx.now()) as i64);
    Ok(())
}

pub(super) fn freq(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    only_look(cx);
    let store = &cx.tx.engine().store;
    let Some(entry) = cx.tx.entry(args[2]) else {
        cx.out.null();
        return Ok(());
    };
    if !store.lfu.load(Relaxed) {
        return Err(Fail::new(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    cx.out.int(i64::from(store.lfu_count(entry.clock(), cx.tx.now())));
    Ok(())
}
