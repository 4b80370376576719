//! Walks over a database.

use super::object::type_of;
use crate::command::cursor::{ScanOptions, parse_cursor};
use crate::command::{Cx, Outcome};
use crate::store::Entry;
use crate::text::glob_match;

pub(super) fn randomkey(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let store = &cx.tx.engine().store;
    let out = &mut *cx.out;
    let found = store.random(cx.tx.locked(), store.space(cx.tx.db), &mut |entry| out.bulk(entry.key()));
    if !found {
        cx.out.null();
    }
    Ok(())
}

pub(super) fn keys(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let store = &cx.tx.engine().store;
    let (pattern, all) = (args[1], args[1] == b"*");
    let begun = cx.out.begin_deferred();
    let mut count = 0;
    let out = &mut *cx.out;
    store.for_each(cx.tx.locked(), store.space(cx.tx.db), &mut |entry| {
        if all || glob_match(pattern, entry.key()) {
            out.bulk(entry.key());
            count += 1;
        }
    });
    cx.out.end_array(begun, count);
    Ok(())
}

pub(super) fn scan(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let cursor = parse_cursor(args[1])?;
    let options = ScanOptions::parse_keys(&args[2..])?;
    let named = |entry: &Entry| options.pattern.is_none_or(|pattern| glob_match(pattern, entry.key()));
    let kind_fits = |entry: &Entry| {
        options.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(type_of(&entry.value()).as_bytes()))
    };
    let store = &cx.tx.engine().store;
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut expired: Vec<Vec<u8>> = Vec::new();
    let now = cx.tx.now();
    let next = store.scan(cx.tx.locked(), store.space(cx.tx.db), cursor, options.count, &mut |entry| {
        if !named(entry) {
            return;
        }
        if entry.expired(now) {
            expired.push(entry.key().to_vec());
        } else if kind_fits(entry) {
            found.push(entry.key().to_vec());
        }
    });
    // Inside EXEC the shards are locked: the cycle removes them then.
    if !expired.is_empty() && !cx.tx.locked().holds_all() {
        cx.server.engine.remove_expired(cx.tx.db, expired.iter().map(Vec::as_slice), &mut Vec::new());
    }
    cx.out.array(2);
    cx.out.bulk_fmt(next);
    cx.out.array(found.len());
    found.iter().for_each(|key| cx.out.bulk(key));
    Ok(())
}
