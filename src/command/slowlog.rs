//! SLOWLOG: shows the slow log.

use super::spec::*;
use super::{Cx, Fail, Outcome, help::help};
use crate::text::parse_i64_strict;

const ADMIN: u64 = flag::ADMIN | flag::LOADING | flag::STALE;

static SUBS: &[Spec] = &[
    server!(
        "get",
        -2,
        ADMIN,
        get,
        "2.2.12",
        "O(N) where N is the number of entries returned",
        "Returns the newest entries.",
        "[count]"
    )
    .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    server!("help", 2, flag::LOADING | flag::STALE, help, "6.2.0", "O(1)", "Prints this help.", ""),
    server!("len", 2, ADMIN, len, "2.2.12", "O(1)", "Returns the number of entries.", "").tips(&[
        "request_policy:all_nodes",
        "response_policy:agg_sum",
        "nondeterministic_output",
    ]),
    server!(
        "reset",
        2,
        ADMIN,
        reset,
        "2.2.12",
        "O(N) where N is the number of entries in the slowlog",
        "Removes all entries.",
        ""
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("slowlog", -2, 0, help)
    .doc("server", "2.2.12", "Depends on subcommand.", "A container for commands about the slow log.", "")
    .subs(SUBS)];

fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let count = match &args[2..] {
        [] => 10,
        [count] => {
            let wrong = Fail::new("ERR count should be greater than or equal to -1");
            parse_i64_strict(count).filter(|count| *count >= -1).ok_or(wrong)?
        }
        _ => return Err(Fail::sub_syntax(args)),
    };
    let log = cx.server.slow_log.lock();
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(log.entries().len());
    cx.out.array(count);
    for entry in log.entries().take(count) {
        cx.out.array(6);
        cx.out.int(entry.id);
        cx.out.int(entry.time as i64);
        cx.out.int(entry.micros as i64);
        cx.out.array(entry.args.len());
        for arg in &entry.args {
            cx.out.bulk(arg);
        }
        cx.out.bulk(entry.addr.as_bytes());
        cx.out.bulk(&entry.name);
    }
    Ok(())
}

fn len(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.len_int(cx.server.slow_log.lock().entries().len());
    Ok(())
}

fn reset(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.server.slow_log.lock().clear();
    cx.out.ok();
    Ok(())
}
