//! Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH. The session runs EXEC, because it owns the locks.

use super::spec::*;
use super::views::Subject;
use super::{Cx, Fail, Outcome};
use crate::node::{Multi, Watched, WatchedItem, end_transaction, forget_watched};
use crate::store::Entry;
use std::sync::atomic::Ordering::Relaxed;

const ALWAYS: u64 =
    flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY | flag::IN_MULTI;

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    spec("multi", 1, ALWAYS, multi).doc("transactions", "1.2.0", "O(1)", "Starts a transaction.", ""),
    spec(
        "exec",
        1,
        flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::SKIP_SLOWLOG | flag::IN_MULTI | flag::SESSION,
        exec,
    )
    .doc(
        "transactions",
        "1.2.0",
        "Depends on commands in the transaction",
        "Executes all commands in a transaction.",
        "",
    ),
    spec("discard", 1, ALWAYS, discard).doc(
        "transactions",
        "2.0.0",
        "O(N), when N is the number of queued commands",
        "Discards a transaction.",
        "",
    ),
    spec("watch", -2, ALWAYS, watch).keys(META_KEYS).on_view(watch).doc(
        "transactions",
        "2.2.0",
        "O(1) for every key.",
        "Makes the next EXEC depend on keys staying as they are.",
        "key [key ...]",
    ),
    spec("unwatch", 1, ALWAYS & !flag::IN_MULTI, unwatch).doc(
        "transactions",
        "2.2.0",
        "O(1)",
        "Forgets the watched keys.",
        "",
    ),
];

fn multi(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if cx.client.multi.is_some() {
        return Err(Fail::new("ERR MULTI calls can not be nested"));
    }
    cx.client.multi = Some(Multi::default());
    cx.client.handle.multi.store(0, Relaxed);
    cx.out.ok();
    Ok(())
}

/// The session runs EXEC if a transaction is open, so this handler answers only without one.
fn exec(_cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    Err(Fail::new("ERR EXEC without MULTI"))
}

fn discard(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if cx.client.multi.is_none() {
        return Err(Fail::new("ERR DISCARD without MULTI"));
    }
    end_transaction(&cx.tx.engine().store, cx.client);
    cx.out.ok();
    Ok(())
}

fn watch(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if cx.client.multi.is_some() {
        return Err(Fail::new("ERR WATCH inside MULTI is not allowed"));
    }
    let store = &cx.server.engine.store;
    let db = cx.tx.db;
    for key in &args[1..] {
        if let Some(subject) = Subject::find(cx, key)? {
            watch_view(cx, key, &subject);
            continue;
        }
        let hash = cx.tx.hash(key);
        let entry = live_entry(cx, db, key, hash);
        let (live, field_deadline) =
            (entry.is_some(), entry.and_then(|e| next_field_deadline(e, cx.tx.now())));
        if store.watch(db, key, hash, &cx.client.watcher) {
            let key = Box::from(*key);
            note_watched(cx, Watched { db, key, hash, item: None, live, field_deadline });
        }
    }
    cx.out.ok();
    Ok(())
}

fn note_watched(cx: &mut Cx<'_, '_>, watched: Watched) {
    let handle = &cx.client.handle;
    handle.watch_bytes.fetch_add(watched.memory(), Relaxed);
    handle.watching.fetch_add(1, Relaxed);
    cx.client.watched.push(watched);
}

/// Watches the item of which a key is a view.
fn watch_view(cx: &mut Cx<'_, '_>, key: &[u8], subject: &Subject) {
    let (table, keys) = (&subject.table, subject.keys.clone());
    let hash = cx.tx.hash(&keys.pk);
    let live = cx.tx.item(table, &keys).is_some();
    let table = table.id;
    if cx.tx.engine().store.watch_item(table, (&keys.pk, &keys.sk), hash, &cx.client.watcher) {
        let item = Some(WatchedItem { table, keys });
        let (db, key) = (cx.tx.db, Box::from(key));
        note_watched(cx, Watched { db, key, hash, item, live, field_deadline: None });
    }
}

/// The live entry of a key; `None` if there is none, or if it has expired.
fn live_entry<'t>(cx: &'t Cx<'_, '_>, db: usize, key: &[u8], hash: u64) -> Option<&'t Entry> {
    let engine = cx.tx.engine();
    let space = engine.store.space(engine.tables.home(db, key));
    cx.tx.locked().peek(space, key, hash).filter(|entry| !entry.expired(cx.tx.now()))
}

/// The earliest deadline among the live fields of a hash. O(1) if no field has a deadline, else O(fields).
fn next_field_deadline(entry: &Entry, now: u64) -> Option<u64> {
    let hash = entry.value().hash().filter(|_| entry.has_deadline())?;
    hash.live(now).map(|field| field.expire).filter(|at| *at != 0).min()
}

/// Whether every watched key still has the state that it had when WATCH ran, as far as expiry and table definitions
/// decide it; any other change raises the client's flag. The caller holds the shards of the keys and of the items of
/// which they are views.
pub fn watches_hold(cx: &Cx<'_, '_>) -> bool {
    cx.client.watched.iter().all(|watched| holds(cx, watched))
}

fn holds(cx: &Cx<'_, '_>, watched: &Watched) -> bool {
    let Ok(subject) = Subject::find_in(cx, watched.db, &watched.key) else { return false };
    match (&watched.item, &subject) {
        (None, None) => {
            let due = watched.field_deadline.is_some_and(|at| at <= cx.tx.now());
            !due && live_entry(cx, watched.db, &watched.key, watched.hash).is_some() == watched.live
        }
        (Some(item), Some(subject)) => {
            let same = item.table == subject.table.id && item.keys == subject.keys;
            same && subject.item(cx).is_some() == watched.live
        }
        // The template of a table claims the key since WATCH, or claims it no more.
        _ => false,
    }
}

fn unwatch(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    forget_watched(&cx.tx.engine().store, cx.client);
    cx.out.ok();
    Ok(())
}
