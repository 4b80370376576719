//! DEBUG: what tests need to look inside and to make rare things happen. Only where `enable-debug-command` allows it.

use super::spec::*;
use super::{Cx, Fail, Outcome, fail, parse_int};
use crate::effect::Effect;
use crate::store::Mode;
use crate::text::parse_i64_strict;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const FLAGS: u32 = flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::PROTECTED;
const LONG: u32 = FLAGS | flag::LONG;

macro_rules! sub {
    ($name:literal, $arity:literal, $flags:expr, $run:expr, $summary:literal, $syntax:literal) => {
        spec($name, $arity, $flags, $run).doc("server", "1.0.0", "Depends on subcommand.", $summary, $syntax)
    };
}

static SUBS: &[Spec] = &[
    sub!("aof-flush-sleep", 3, FLAGS, accept, "Is accepted without effect.", "microsec"),
    sub!("change-repl-id", 2, FLAGS, accept, "Is accepted without effect.", ""),
    sub!("dict-resizing", 3, FLAGS, accept, "Is accepted without effect.", "<0 | 1>"),
    sub!("error", 3, FLAGS, error, "Answers with the given error.", "string"),
    sub!("help", 2, FLAGS, super::help::help, "Prints this help.", ""),
    sub!("listpack", 3, FLAGS, accept, "Is accepted without effect.", "key"),
    sub!("log", 3, FLAGS, log, "Writes a message into the server's log.", "message"),
    sub!("pause-cron", 3, FLAGS, accept, "Is accepted without effect.", "<0 | 1>"),
    sub!(
        "populate",
        -3,
        LONG | flag::WRITE | flag::DENYOOM | flag::WHOLE,
        populate,
        "Creates string keys called key:<number>, those that are there already aside.",
        "count [prefix] [size]"
    ),
    sub!("protocol", 3, FLAGS, protocol, "Answers with a value of the given type.", "type"),
    sub!("quicklist-packed-threshold", 3, FLAGS, packed_threshold, "Is accepted without effect.", "size"),
    sub!("replicate", -3, FLAGS, accept, "Is accepted without effect.", "string"),
    sub!("replybuffer", -3, FLAGS, accept, "Is accepted without effect.", "option value"),
    sub!(
        "set-active-expire",
        3,
        FLAGS,
        set_active_expire,
        "Whether expired keys are removed in the background.",
        "<0 | 1>"
    ),
    sub!("set-disable-deny-scripts", 3, FLAGS, accept, "Is accepted without effect.", "<0 | 1>"),
    sub!("set-skip-checksum-validation", 3, FLAGS, accept, "Is accepted without effect.", "<0 | 1>"),
    sub!("sleep", 3, LONG, sleep, "Waits.", "seconds"),
    sub!("stringmatch-len", 4, FLAGS, accept, "Is accepted without effect.", "pattern string"),
    sub!("stringmatch-test", 2, FLAGS, stringmatch_test, "Is accepted without effect.", ""),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("debug", -2, FLAGS | flag::HIDDEN_SUBS, unknown)
    .doc("server", "1.0.0", "Depends on subcommand.", "A container for commands that help testing.", "")
    .subs(SUBS)];

/// Reached when no subcommand fits the name and the number of arguments.
fn unknown(_cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let name: String = String::from_utf8_lossy(args[1]).chars().take(128).collect();
    Err(Fail::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
    )))
}

fn accept(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.ok();
    Ok(())
}

fn stringmatch_test(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.simple("Apparently Itemory did not crash: test passed");
    Ok(())
}

fn packed_threshold(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match crate::text::parse_memory(args[2]) {
        Some(size) if size < 4 << 30 => cx.out.ok(),
        _ => return Err(Fail::new("ERR argument must be a memory value bigger than 1 and smaller than 4gb")),
    }
    Ok(())
}

fn error(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.out.error(args[2]);
    Ok(())
}

fn log(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args[2]));
    cx.out.ok();
    Ok(())
}

fn sleep(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    // As C's strtod: what is no number is no time.
    let seconds = crate::text::parse_f64(args[2]).filter(|s| s.is_finite() && *s > 0.0).unwrap_or(0.0);
    std::thread::sleep(Duration::from_secs_f64(seconds.min(1e6)));
    cx.out.ok();
    Ok(())
}

fn set_active_expire(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    // As C's atoi: what is no number is 0.
    let on = args[2].first().is_some_and(u8::is_ascii_digit) && args[2] != b"0";
    cx.server.engine.active_expire.store(on, Relaxed);
    cx.out.ok();
    Ok(())
}

fn protocol(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let out = &mut *cx.out;
    match args[2].to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.int(12345),
        b"double" => out.double(3141.0 / 1000.0),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|i| out.int(i));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|i| out.int(i));
        }
        b"map" => {
            out.map(3);
            for i in 0..3 {
                out.int(i);
                out.bool(i == 1);
            }
        }
        b"attrib" => {
            if out.is_resp3() {
                out.raw(b"|1\r\n");
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.int(90);
            }
            out.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if !out.is_resp3() {
                return Err(Fail::new("ERR RESP2 is not supported by this command"));
            }
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.int(42);
            out.bulk(b"Some real reply following the push reply");
        }
        b"bignum" => out.big_number("1234567999999999999999999999999999999"),
        b"true" => out.bool(true),
        b"false" => out.bool(false),
        b"verbatim" => out.verbatim("txt", b"This is a verbatim\nstring"),
        _ => {
            return Err(Fail::new(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// Each key is its own transaction, so that no shard is held for long; inside EXEC all are locked already.
fn populate(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args.len() > 5 {
        return unknown(cx, args);
    }
    let out_of_range = Fail::new("ERR value is out of range, must be positive");
    let count = parse_int(args[2])?;
    let count = u64::try_from(count).map_err(|_| out_of_range.clone())?;
    let prefix = args.get(3).copied().unwrap_or(b"key");
    let size = match args.get(4) {
        None => 0,
        Some(size) => {
            let size = parse_i64_strict(size).ok_or(fail::NOT_INTEGER)?;
            usize::try_from(size).map_err(|_| out_of_range)?
        }
    };
    if size as u64 > cx.settings.proto_max_bulk_len {
        return Err(fail::TOO_LONG);
    }
    let mut record = Vec::new();
    for number in 0..count {
        let mut key = prefix.to_vec();
        key.push(b':');
        key.extend_from_slice(number.to_string().as_bytes());
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        let effect = Effect::SetString { db: cx.db(), key: &key, value: &value, expire: None };
        if cx.tx.locked().holds_all() {
            if !cx.tx.exists(&key) {
                cx.tx.apply(effect);
            }
            continue;
        }
        let engine = &cx.server.engine;
        let locked = engine.store.lock_one(engine.store.hash(&key), Mode::Write, cx.tx.now());
        let mut tx = crate::engine::Tx::new(engine, locked, cx.tx.db, &mut record);
        if !tx.exists(&key) {
            tx.apply(effect);
        }
        tx.commit();
    }
    cx.out.ok();
    Ok(())
}
