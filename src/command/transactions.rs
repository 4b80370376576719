//! Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH. EXEC itself is run by the session, which owns the locks.

use super::client::{Multi, Watched, WatchedItem};
use super::spec::*;
use super::views::Subject;
use super::{Cx, Fail, Outcome};
use crate::store::Store;
use std::sync::atomic::Ordering::{Relaxed, Release};

const ALWAYS: u32 =
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

/// Only reached where no session runs the command, hence without an open transaction.
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
    let (db, space) = (cx.tx.db, store.space(cx.tx.db));
    for key in &args[1..] {
        if let Some(subject) = Subject::find(cx, key)? {
            watch_view(cx, key, &subject);
            continue;
        }
        let hash = cx.tx.hash(key);
        let entry = cx.tx.locked().peek(space, key, hash).filter(|e| !e.expired(cx.tx.now()));
        let deadline = entry.and_then(crate::store::Entry::expire);
        if store.watch(db, key, hash, &cx.client.watcher) {
            cx.client.watched.push(Watched { db, key: Box::from(*key), hash, item: None, deadline });
        }
    }
    cx.client.handle.watching.store(cx.client.watched.len() as u32, Relaxed);
    cx.out.ok();
    Ok(())
}

/// Watches the item that a key stands for.
fn watch_view(cx: &mut Cx<'_, '_>, key: &[u8], subject: &Subject) {
    let (table, keys) = (&subject.table, subject.keys.clone());
    let hash = cx.tx.hash(&keys.pk);
    let deadline = cx.tx.item(table, &keys).and_then(|item| table.deadline(&item, cx.tx.now()));
    let table = table.id;
    if cx.tx.engine().store.watch_item(table, (&keys.pk, &keys.sk), hash, &cx.client.watcher) {
        let item = Some(WatchedItem { table, keys });
        cx.client.watched.push(Watched { db: cx.tx.db, key: Box::from(key), hash, item, deadline });
    }
}

fn unwatch(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    forget_watched(&cx.tx.engine().store, cx.client);
    cx.out.ok();
    Ok(())
}

/// Ends an open transaction without running it, and forgets the watched keys.
pub fn end_transaction(store: &Store, client: &mut super::Client) {
    client.multi = None;
    client.handle.multi.store(-1, Relaxed);
    client.handle.multi_bytes.store(0, Relaxed);
    forget_watched(store, client);
}

/// Forgets all watched keys.
pub fn forget_watched(store: &Store, client: &mut super::Client) {
    for w in client.watched.drain(..) {
        match &w.item {
            Some(WatchedItem { table, keys }) => {
                store.unwatch_item(*table, (&keys.pk, &keys.sk), w.hash, &client.watcher);
            }
            None => store.unwatch(w.db, &w.key, w.hash, &client.watcher),
        }
    }
    client.watcher.store(false, Release);
    client.handle.watching.store(0, Relaxed);
}
