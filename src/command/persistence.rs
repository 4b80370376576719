//! SAVE, BGSAVE, BGREWRITEAOF and LASTSAVE, which write and tell of checkpoints: the log needs no other rewrite. And
//! WAITAOF.

use super::spec::*;
use super::{Cx, Fail, Outcome, eq, fail};
use crate::engine::{EngineError, LogState};
use crate::node::Kill;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The pause between two looks of WAITAOF at whether the log is complete.
const WAIT_PAUSE: Duration = Duration::from_millis(5);

const ADMIN: u64 = flag::ADMIN | flag::NOSCRIPT | flag::NO_ASYNC_LOADING;

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    spec("save", 1, ADMIN | flag::NO_MULTI | flag::LONG, save).doc(
        "server",
        "1.0.0",
        "O(N) where N is the total number of keys in all databases",
        "Writes a checkpoint and waits for it. Other connections are served meanwhile.",
        "",
    ),
    spec("bgsave", -1, ADMIN, bgsave).doc(
        "server",
        "1.0.0",
        "O(1)",
        "Begins to write a checkpoint.",
        "[SCHEDULE]",
    ),
    spec("bgrewriteaof", 1, ADMIN, bgrewriteaof).doc(
        "server",
        "1.0.0",
        "O(1)",
        "Begins to write a checkpoint, after which the log before it is removed.",
        "",
    ),
    spec("lastsave", 1, flag::LOADING | flag::STALE | flag::FAST | flag::DANGEROUS | flag::TELLS, lastsave)
        .doc("server", "1.0.0", "O(1)", "Returns the time of the last checkpoint, in seconds since the epoch.", "")
        .categories(&["admin", "dangerous"])
        .tips(&["nondeterministic_output"]),
    spec("waitaof", 4, flag::TELLS | flag::LONG, waitaof)
        .doc(
            "generic",
            "7.2.0",
            "O(1)",
            "Waits until this connection's writes are on disk here, and on replicas, of which there are none.",
            "numlocal numreplicas timeout",
        )
        .categories(&["connection"])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

fn failed(error: &EngineError) -> Fail {
    match error {
        EngineError::Busy => Fail::new("ERR Background save already in progress"),
        other => Fail::text(format!("ERR {other}")),
    }
}

fn save(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.server.engine.save().map_err(|error| failed(&error))?;
    cx.out.ok();
    Ok(())
}

fn bgsave(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let may_wait = match &args[1..] {
        [] => false,
        [word] if eq(word, "SCHEDULE") => true,
        _ => return Err(fail::SYNTAX),
    };
    match cx.server.engine.start_save() {
        Ok(()) => cx.out.simple("Background saving started"),
        Err(EngineError::Busy) if may_wait => {
            cx.server.save_scheduled.store(true, Relaxed);
            cx.out.simple("Background saving scheduled");
        }
        Err(error) => return Err(failed(&error)),
    }
    Ok(())
}

fn bgrewriteaof(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    match cx.server.engine.start_save() {
        Ok(()) => cx.out.simple("Background append only file rewriting started"),
        Err(EngineError::Busy) => {
            cx.server.save_scheduled.store(true, Relaxed);
            cx.out.simple("Background append only file rewriting scheduled");
        }
        Err(error) => return Err(failed(&error)),
    }
    Ok(())
}

fn lastsave(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.int((cx.server.engine.save.last_save.load(Relaxed) / 1000) as i64);
    Ok(())
}

fn waitaof(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let local = crate::text::parse_i64_strict(args[1])
        .filter(|local| (0..=1).contains(local))
        .ok_or(Fail::new("ERR value is out of range, must be between 0 and 1"))?;
    let replicas = super::parse_int(args[2])?;
    if replicas < 0 {
        return Err(fail::NOT_POSITIVE);
    }
    let engine = &cx.server.engine;
    let timeout = super::admin::check_timeout(args[3])?;
    let logged = engine.state().log() != LogState::Off;
    if local == 1 && !logged {
        return Err(Fail::new("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
    }
    // In a transaction, which holds shards, WAITAOF does not sync: it answers with what is durable, as in Redis.
    if logged && !cx.client.in_exec {
        engine.sync().map_err(|error| match error {
            error if error.is_superseded() => Fail::refused(&error),
            error => Fail::text(format!("MISCONF {error}")),
        })?;
        if local == 1 {
            wait_for_complete_log(cx, timeout);
        }
    }
    cx.out.array(2);
    cx.out.int(i64::from(engine.state().is_complete() && engine.durable() >= cx.client.wrote_upto));
    cx.out.int(0);
    Ok(())
}

/// A log that was switched on is complete after its first checkpoint. Before that a sync makes nothing durable.
fn wait_for_complete_log(cx: &Cx<'_, '_>, timeout: u64) {
    let engine = &cx.server.engine;
    let begun = engine.clock.monotonic_micros();
    while engine.state().log() == LogState::Incomplete
        && cx.client.handle.killed() == Kill::No
        && (timeout == 0 || (engine.clock.monotonic_micros() - begun) / 1000 < timeout)
    {
        std::thread::sleep(WAIT_PAUSE);
    }
}
