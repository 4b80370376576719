//! KEYS, SCAN and RANDOMKEY: walks over a database.

use crate::command::cursor::{ScanOptions, parse_cursor};
use crate::command::{Cx, Outcome};
use crate::engine::{StaleKeys, VIEW_DB};
use crate::env::Random;
use crate::store::{Entry, cursor_of, position_of};
use crate::text::glob_match;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn randomkey(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if cx.tx.db == VIEW_DB && random_view(cx) {
        return Ok(());
    }
    let Cx { tx, out, .. } = cx;
    let (store, db, now) = (&tx.engine().store, tx.db, tx.now());
    let found = store.random(tx.locked(), store.space(db), &mut |entry| {
        let live = !entry.expired(now);
        if live {
            out.bulk(entry.key());
        } else {
            tx.note_stale(db, entry.key());
        }
        live
    });
    if !found {
        cx.out.null();
    }
    Ok(())
}

/// Answers with a random view, with a probability equal to the share of views among all keys; false if the caller must
/// name a key.
fn random_view(cx: &mut Cx<'_, '_>) -> bool {
    let engine = cx.tx.engine();
    let mut random = Random::seeded(cx.server.random());
    let (keys, views) = (engine.store.db_size(VIEW_DB).0, engine.view_count());
    let mut draw = random.below((keys + views).max(1));
    if draw >= views {
        return false;
    }
    for table in engine.tables.with_templates() {
        let items = table.counts.items.load(Relaxed);
        if draw >= items {
            draw -= items;
            continue;
        }
        let (mut names, now) = (Vec::new(), cx.tx.now());
        engine.store.random(cx.tx.locked(), table.id, &mut |partition| {
            table.each_view_name(partition, now, &mut |name| names.push(name));
            true
        });
        if !names.is_empty() {
            cx.out.bulk(&names[random.below(names.len() as u64) as usize]);
            return true;
        }
    }
    false
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
    if cx.tx.db == VIEW_DB && cx.tx.engine().tables.have_views() {
        cx.tx.engine().walk_views(cx.tx.locked(), 0, usize::MAX, &mut |name| {
            if all || glob_match(pattern, name) {
                out.bulk(name);
                count += 1;
            }
        });
    }
    cx.out.end_array(begun, count);
    Ok(())
}

pub(super) fn scan(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let cursor = parse_cursor(args[1])?;
    let options = ScanOptions::parse_keys(&args[2..])?;
    let named = |entry: &Entry| options.pattern.is_none_or(|pattern| glob_match(pattern, entry.key()));
    let kind_fits = |entry: &Entry| {
        options.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(entry.type_name().as_bytes()))
    };
    let store = &cx.tx.engine().store;
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut expired = StaleKeys::default();
    let (db, now) = (cx.tx.db, cx.tx.now());
    let views = cx.tx.db == VIEW_DB && cx.tx.engine().tables.have_views();
    if let Some(position) = position_of(cursor) {
        let mut found = Vec::new();
        let next = if views { scan_views(cx, position, &options, &mut found) } else { 0 };
        return show(cx, next, &found);
    }
    let mut next = store.scan(cx.tx.locked(), store.space(cx.tx.db), cursor, options.count, &mut |entry| {
        if !named(entry) {
            return;
        }
        if entry.expired(now) {
            expired.0.push((db, entry.key().into()));
        } else if kind_fits(entry) {
            found.push(entry.key().to_vec());
        }
    });
    if cx.tx.locked().holds_all() {
        // EXEC holds the shards, and has the expired keys removed once it has given them back.
        expired.0.iter().for_each(|(db, key)| cx.tx.note_stale(*db, key));
    } else if !expired.0.is_empty() {
        cx.server.engine.remove_expired(&expired, &mut Vec::new());
    }
    if next == 0 && views {
        // The views follow the keys: in this call if it found few keys, else in the next.
        next =
            if found.len() < options.count { scan_views(cx, 0, &options, &mut found) } else { cursor_of(0) };
    }
    show(cx, next, &found)
}

fn show(cx: &mut Cx<'_, '_>, next: u64, found: &[Vec<u8>]) -> Outcome {
    cx.out.array(2);
    cx.out.bulk_fmt(next);
    cx.out.array(found.len());
    found.iter().for_each(|key| cx.out.bulk(key));
    Ok(())
}

/// Adds names of views from a position on to `found`, and returns the next cursor.
fn scan_views(cx: &Cx<'_, '_>, position: u64, options: &ScanOptions<'_>, found: &mut Vec<Vec<u8>>) -> u64 {
    let kind_fits = options.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(b"hash"));
    let next = cx.tx.engine().walk_views(cx.tx.locked(), position, options.count, &mut |name| {
        if kind_fits && options.pattern.is_none_or(|pattern| glob_match(pattern, name)) {
            found.push(name.to_vec());
        }
    });
    next.map_or(0, cursor_of)
}
