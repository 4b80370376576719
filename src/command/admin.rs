//! The server as a whole: its databases, its time, its role, and MONITOR.

use super::spec::*;
use super::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::effect::Structural;
use crate::engine::VIEW_DB;
use crate::text::parse_i64_strict;
use std::sync::atomic::Ordering::Relaxed;

const DBS: u64 = flag::WRITE | flag::ALL_SHARDS;
const ALL_SHARDS_SUCCEED: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

/// The family.
pub(super) static COMMANDS: &[Spec] =
    &[
        spec("dbsize", 1, flag::READONLY | flag::FAST | flag::ALL_SHARDS | flag::DESPITE_CLOSED, dbsize)
            .doc("server", "1.0.0", "O(1)", "Returns the number of keys in the database.", "")
            .categories(&["keyspace"])
            .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
        spec("flushdb", -1, DBS | flag::DANGEROUS, flush_db)
            .doc(
                "server",
                "1.0.0",
                "O(N) where N is the number of keys in the selected database",
                "Removes all keys of the database.",
                "[ASYNC | SYNC]",
            )
            .categories(&["keyspace"])
            .tips(ALL_SHARDS_SUCCEED),
        spec("flushall", -1, DBS | flag::DANGEROUS | flag::DESPITE_CLOSED, flush_all)
            .doc(
                "server",
                "1.0.0",
                "O(N) where N is the total number of keys in all databases",
                "Removes all keys of all databases.",
                "[ASYNC | SYNC]",
            )
            .categories(&["keyspace"])
            .tips(ALL_SHARDS_SUCCEED),
        spec("swapdb", 3, DBS | flag::FAST | flag::DANGEROUS, swap_db)
            .doc(
                "server",
                "4.0.0",
                "O(N) where N is the count of clients watching or blocking on keys from both databases.",
                "Exchanges two databases at once.",
                "index1 index2",
            )
            .categories(&["keyspace"]),
        spec("time", 1, flag::LOADING | flag::STALE | flag::FAST | flag::TELLS, time)
            .doc("server", "2.6.0", "O(1)", "Returns the server's time: seconds and microseconds.", "")
            .tips(&["nondeterministic_output"]),
        spec("role", 1, flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::DANGEROUS, role)
            .doc("server", "2.8.12", "O(1)", "Returns the server's role in replication.", "")
            .categories(&["admin", "dangerous"]),
        spec("replicaof", 3, flag::ADMIN | flag::NOSCRIPT | flag::STALE | flag::NO_ASYNC_LOADING, replica_of)
            .doc(
                "server",
                "5.0.0",
                "O(1)",
                "Makes the server a primary, which it always is.",
                "<host port | NO ONE>",
            ),
        spec("slaveof", 3, flag::ADMIN | flag::NOSCRIPT | flag::STALE | flag::NO_ASYNC_LOADING, replica_of)
            .doc("server", "1.0.0", "O(1)", "The old name of REPLICAOF.", "<host port | NO ONE>"),
        spec("wait", 3, flag::TELLS, wait)
            .doc(
                "generic",
                "3.0.0",
                "O(1)",
                "Returns how many replicas have this connection's writes: none, for there are none.",
                "numreplicas timeout",
            )
            .categories(&["connection"])
            .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
        spec("lolwut", -1, flag::READONLY | flag::FAST, lolwut).doc(
            "server",
            "5.0.0",
            "O(1)",
            "Draws a picture, and tells the version.",
            "[VERSION version]",
        ),
        spec("monitor", 1, flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE, monitor).doc(
            "server",
            "1.0.0",
            "O(1)",
            "Shows this connection every command that the server runs.",
            "",
        ),
    ];

fn dbsize(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let engine = &cx.server.engine;
    let views = if cx.tx.db == VIEW_DB { engine.view_count() } else { 0 };
    cx.out.int((engine.store.db_size(cx.tx.db).0 + views) as i64);
    Ok(())
}

/// Checks the options of FLUSHDB and FLUSHALL. SYNC and ASYNC do the same: entries are freed in the background.
fn check_flush(args: &[&[u8]]) -> Result<(), Fail> {
    match &args[1..] {
        [] => Ok(()),
        [word] if eq(word, "SYNC") || eq(word, "ASYNC") => Ok(()),
        _ => Err(fail::SYNTAX),
    }
}

fn flush(cx: &mut Cx<'_, '_>, db: usize) {
    let store = &cx.server.engine.store;
    // While a shard is closed, the log may have keys that are not counted.
    if store.db_size(db).0 > 0 || store.has_closed() {
        let space = store.fresh_space(1);
        cx.tx.apply(Structural::FlushDb { db: db as u32, space });
    }
}

fn flush_db(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    check_flush(args)?;
    flush(cx, cx.tx.db);
    cx.tx.tell_all_changed();
    cx.out.ok();
    Ok(())
}

fn flush_all(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    check_flush(args)?;
    let engine = &cx.server.engine;
    let opens = engine.store.has_closed();
    // Items of tables and the server's own keys stay, so a shard that may have some is not sound afterwards.
    if opens && (!engine.tables.list().is_empty() || cx.tx.locked().closed_have_own_keys()) {
        return Err(fail::CLOSED);
    }
    for db in 0..engine.store.databases() {
        flush(cx, db);
    }
    if opens {
        cx.tx.locked_mut().open_emptied();
    }
    cx.tx.tell_all_changed();
    cx.out.ok();
    Ok(())
}

fn swap_db(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let index = |arg: &[u8], wrong: &'static str| {
        parse_i64_strict(arg).and_then(|db| i32::try_from(db).ok()).ok_or(Fail::new(wrong))
    };
    let a = index(args[1], "ERR invalid first DB index")?;
    let b = index(args[2], "ERR invalid second DB index")?;
    let databases = cx.server.engine.store.databases();
    let in_range = |db: i32| u32::try_from(db).ok().filter(|db| (*db as usize) < databases);
    let (Some(a), Some(b)) = (in_range(a), in_range(b)) else { return Err(fail::DB_RANGE) };
    if a != b && (a.min(b) as usize) == VIEW_DB && cx.tx.engine().tables.have_views() {
        return Err(Fail::new(
            "ERR database 0 cannot be swapped while a table has KEYSPACE: its keys are views of items",
        ));
    }
    if a != b {
        cx.tx.apply(Structural::SwapDb { a, b });
    }
    cx.out.ok();
    Ok(())
}

/// Reads the clock, not the time of the transaction, because the reply has microseconds.
fn time(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    // Time does not move within a transaction, but a command alone tells it exactly.
    let exact = cx.server.engine.clock.now_micros();
    let micros = if cx.client.in_exec { cx.tx.now() * 1000 } else { exact };
    cx.out.array(2);
    cx.out.bulk_int((micros / 1_000_000) as i64);
    cx.out.bulk_int((micros % 1_000_000) as i64);
    Ok(())
}

fn role(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.array(3);
    cx.out.bulk(b"master");
    cx.out.int(0);
    cx.out.array(0);
    Ok(())
}

fn replica_of(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if !(eq(args[1], "NO") && eq(args[2], "ONE")) {
        let port = parse_i64_strict(args[2]).filter(|port| (0..=65535).contains(port));
        if port.is_none() {
            return Err(Fail::new("ERR Invalid master port"));
        }
        return Err(Fail::new("ERR replication is not supported: this server is always a primary"));
    }
    cx.out.ok();
    Ok(())
}

fn wait(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    parse_int(args[1])?;
    check_timeout(args[2])?;
    cx.out.int(0);
    Ok(())
}

/// Reads a time to wait in milliseconds; 0 waits for ever.
pub(super) fn check_timeout(arg: &[u8]) -> Result<u64, Fail> {
    match parse_i64_strict(arg) {
        None => Err(Fail::new("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(Fail::new("ERR timeout is negative")),
        Some(millis) => Ok(millis.unsigned_abs()),
    }
}

fn lolwut(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if let [_, word, version, ..] = args
        && eq(word, "VERSION")
    {
        parse_int(version)?;
    }
    let mut text = String::new();
    for row in 0..8u64 {
        // Each row is a shelf of the store, filled at random.
        let bits = cx.server.random();
        let shelf = (0..32).map(|at| if bits >> (at * 2) & 3 > row % 4 { '▓' } else { '·' });
        text.extend(shelf);
        text.push('\n');
    }
    text += concat!("\nEvery item in its place. Itemory ver. ", env!("CARGO_PKG_VERSION"), "\n");
    cx.out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn monitor(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if cx.client.in_exec {
        return Err(Fail::new("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if !cx.client.handle.monitor.swap(true, Relaxed) {
        cx.server.monitors.fetch_add(1, Relaxed);
    }
    cx.out.ok();
    Ok(())
}
