//! MEMORY: the memory of keys and of the server.

use super::info::Figures;
use super::spec::*;
use super::{Cx, Outcome, fail, help::help, parse_int};
use crate::env::memory;
use crate::store::{Entry, Object, ValueRef};

const SHARDS_SPECIAL: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];
const KEY: &[KeySpec] =
    &[KeySpec { begin: Begin::Index(2), find: Find::Range { last: 0, step: 1, limit: 0 }, flags: &["RO"] }];

macro_rules! sub {
    ($name:literal, $arity:literal, $flags:expr, $run:expr, $complexity:literal, $summary:literal, $syntax:literal) => {
        spec($name, $arity, $flags, $run).doc("server", "4.0.0", $complexity, $summary, $syntax)
    };
}

static SUBS: &[Spec] = &[
    sub!("doctor", 2, 0, doctor, "O(1)", "Returns a report on memory for people.", "").tips(SHARDS_SPECIAL),
    sub!("help", 2, flag::LOADING | flag::STALE, help, "O(1)", "Prints this help.", ""),
    sub!(
        "malloc-stats",
        2,
        0,
        malloc_stats,
        "Depends on how much memory is allocated, could be slow",
        "Returns the allocator's own report.",
        ""
    )
    .tips(SHARDS_SPECIAL),
    sub!(
        "purge",
        2,
        flag::LONG,
        purge,
        "Depends on how much memory is allocated, could be slow",
        "Has the allocator give unused pages back to the system.",
        ""
    )
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    sub!("stats", 2, 0, stats, "O(1)", "Returns figures about memory.", "").tips(SHARDS_SPECIAL),
    sub!(
        "usage",
        -3,
        flag::READONLY,
        usage,
        "O(N) where N is the number of samples.",
        "Returns the bytes that a key and its value take.",
        "key [SAMPLES count]"
    )
    .keys(KEY),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("memory", -2, 0, help)
    .doc("server", "4.0.0", "Depends on subcommand.", "A container for commands about memory.", "")
    .subs(SUBS)];

/// The bytes of an entry: its block, what it owns, its slot in the table and the slot's control byte.
fn bytes_of(entry: &Entry, samples: usize) -> usize {
    let owned = match entry.value() {
        ValueRef::Boxed(object) => Object::memory(object, samples),
        _ => entry.far_bytes(),
    };
    entry.block_size() + owned + size_of::<Entry>() + 1
}

fn usage(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut samples = 5;
    for pair in args[3..].chunks(2) {
        let [word, count] = pair else { return Err(fail::SYNTAX) };
        if !super::eq(word, "SAMPLES") {
            return Err(fail::SYNTAX);
        }
        samples = usize::try_from(parse_int(count)?).map_err(|_| fail::SYNTAX)?;
    }
    match cx.tx.look(args[2]) {
        Some(entry) => cx.out.len_int(bytes_of(entry, samples)),
        None => cx.out.null(),
    }
    Ok(())
}

fn purge(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    memory::purge();
    cx.out.ok();
    Ok(())
}

fn malloc_stats(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.verbatim("txt", memory::allocator_report().as_bytes());
    Ok(())
}

/// A figure of MEMORY STATS.
enum Figure {
    Int(i64),
    Double(f64),
}

fn stats(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    use Figure::{Double, Int};
    let store = &cx.server.engine.store;
    let figures = Figures::now(cx.server);
    let sizes: Vec<(usize, u64, u64)> = (0..store.databases())
        .map(|db| (db, store.db_size(db)))
        .filter(|(_, (keys, _))| *keys > 0)
        .map(|(db, (keys, expires))| (db, keys, expires))
        .collect();
    let keys: u64 = sizes.iter().map(|(_, keys, _)| keys).sum();
    let allocator = figures.allocator;
    let int = |n: u64| Int(n as i64);
    let less = |a: u64, b: u64| Int(a as i64 - b as i64);
    let ratio = |a: u64, b: u64| Double(if b == 0 { 0.0 } else { a as f64 / b as f64 });
    let before: [(&str, Figure); 10] = [
        ("peak.allocated", int(figures.peak)),
        ("total.allocated", int(figures.used)),
        ("startup.allocated", int(figures.startup)),
        ("replication.backlog", Int(0)),
        ("clients.slaves", Int(0)),
        ("clients.normal", int(figures.clients)),
        ("cluster.links", Int(0)),
        ("aof.buffer", Int(0)),
        ("lua.caches", int(crate::lua::memory_in_use() as u64)),
        ("functions.caches", Int(0)),
    ];
    let after: [(&str, Figure); 17] = [
        ("overhead.total", int(figures.overhead)),
        ("keys.count", int(keys)),
        ("keys.bytes-per-key", int((figures.used - figures.startup).checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", int(figures.dataset)),
        ("dataset.percentage", Double(figures.dataset_percent())),
        ("peak.percentage", Double(figures.used as f64 * 100.0 / figures.peak.max(1) as f64)),
        ("allocator.allocated", int(allocator.allocated)),
        ("allocator.active", int(allocator.active)),
        ("allocator.resident", int(allocator.resident)),
        ("allocator.muzzy", Int(0)),
        ("allocator-fragmentation.ratio", ratio(allocator.active, allocator.allocated)),
        ("allocator-fragmentation.bytes", less(allocator.active, allocator.allocated)),
        ("allocator-rss.ratio", ratio(allocator.resident, allocator.active)),
        ("allocator-rss.bytes", less(allocator.resident, allocator.active)),
        ("rss-overhead.ratio", ratio(figures.rss, allocator.resident)),
        ("rss-overhead.bytes", less(figures.rss, allocator.resident)),
        ("fragmentation", ratio(figures.rss, figures.used)),
    ];
    let place = size_of::<Entry>() as u64 + 1;
    cx.out.map(before.len() + sizes.len() + after.len() + 1);
    reply_figures(cx, &before);
    for (db, keys, expires) in sizes {
        cx.out.bulk(format!("db.{db}").as_bytes());
        cx.out.map(2);
        reply_figures(
            cx,
            &[
                ("overhead.hashtable.main", int(keys * place)),
                ("overhead.hashtable.expires", int(expires * size_of::<u64>() as u64)),
            ],
        );
    }
    reply_figures(cx, &after);
    reply_figures(cx, &[("fragmentation.bytes", less(figures.rss, figures.used))]);
    Ok(())
}

fn reply_figures(cx: &mut Cx<'_, '_>, figures: &[(&str, Figure)]) {
    for (name, figure) in figures {
        cx.out.bulk(name.as_bytes());
        match figure {
            Figure::Int(n) => cx.out.int(*n),
            Figure::Double(n) => cx.out.double(*n),
        }
    }
}

/// With fewer bytes in use than this, MEMORY DOCTOR draws no conclusions.
const TOO_LITTLE: u64 = 5 << 20;

fn doctor(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let text = diagnosis(&Figures::now(cx.server), cx.settings.maxmemory);
    cx.out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn diagnosis(figures: &Figures, limit: u64) -> String {
    if figures.used < TOO_LITTLE {
        return "Less than 5 MB are in use: too little to say anything about.\n".to_owned();
    }
    let mut found = Vec::new();
    if figures.peak as f64 > figures.used as f64 * 1.5 {
        found.push(
            "At its peak the server used more than one and a half times the memory of now. The allocator gives pages back \
             with a delay; MEMORY PURGE does it at once.",
        );
    }
    if figures.allocator.active as f64 > figures.allocator.allocated as f64 * 1.4 {
        found.push(
            "The allocator's pages are used badly: more than 40 % of them is lost to fragmentation. Overwriting values of \
             very different sizes does that; it goes as keys are rewritten.",
        );
    }
    if figures.clients > 100 << 20 {
        found.push(
            "Clients take more than 100 MB: CLIENT LIST shows in omem and qbuf whose, and maxmemory-clients and \
             client-output-buffer-limit bound it.",
        );
    }
    if limit > 0 && figures.used > limit / 100 * 95 {
        found.push(
            "More than 95 % of maxmemory is in use: keys are about to be evicted or writes to be refused.",
        );
    }
    if found.is_empty() {
        return "Nothing about the memory stands out.\n".to_owned();
    }
    let lines: Vec<String> = found.iter().map(|text| format!("* {text}\n")).collect();
    lines.concat()
}
