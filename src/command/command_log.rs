//! SLOWLOG and COMMANDLOG: show the logs of commands.

use super::spec::*;
use super::{Cx, Fail, Outcome, eq, help::help};
use crate::node::command_log::Logged;
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

static LOG_SUBS: &[Spec] = &[
    server!(
        "get",
        4,
        ADMIN,
        get_of,
        "8.1.0",
        "O(N) where N is the number of entries returned",
        "Returns the newest entries of a log.",
        "count type"
    )
    .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    server!("help", 2, flag::LOADING | flag::STALE, help, "8.1.0", "O(1)", "Prints this help.", ""),
    server!("len", 3, ADMIN, len_of, "8.1.0", "O(1)", "Returns the number of entries of a log.", "type")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    server!(
        "reset",
        3,
        ADMIN,
        reset_of,
        "8.1.0",
        "O(N) where N is the number of entries in the commandlog",
        "Removes all entries of a log.",
        "type"
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    spec("commandlog", -2, 0, help)
        .doc(
            "server",
            "8.1.0",
            "Depends on subcommand.",
            "A container for commands about the logs of commands: slow ones, and those with large requests or replies.",
            "",
        )
        .subs(LOG_SUBS),
    spec("slowlog", -2, 0, help)
        .doc("server", "2.2.12", "Depends on subcommand.", "A container for commands about the slow log.", "")
        .subs(SUBS),
];

fn kind(word: &[u8]) -> Result<Logged, Fail> {
    let found = Logged::ALL.iter().find(|(name, _)| eq(word, name)).map(|(_, kind)| *kind);
    found.ok_or(Fail::new("ERR type should be one of the following: slow, large-request, large-reply"))
}

fn count(word: &[u8]) -> Result<i64, Fail> {
    let wrong = Fail::new("ERR count should be greater than or equal to -1");
    parse_i64_strict(word).filter(|count| *count >= -1).ok_or(wrong)
}

fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let most = match &args[2..] {
        [] => 10,
        [most] => count(most)?,
        _ => return Err(Fail::sub_syntax(args)),
    };
    show(cx, Logged::Slow, most);
    Ok(())
}

fn get_of(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let most = count(args[2])?;
    show(cx, kind(args[3])?, most);
    Ok(())
}

/// Shows entries of a log, the newest first: at most so many, or all if `most` is negative.
fn show(cx: &mut Cx<'_, '_>, kind: Logged, most: i64) {
    let log = cx.server.command_logs.of(kind).lock();
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(log.entries().len());
    cx.out.array(count);
    for entry in log.entries().take(count) {
        cx.out.array(6);
        cx.out.int(entry.id);
        cx.out.int(entry.time as i64);
        cx.out.int(entry.amount as i64);
        cx.out.array(entry.args.len());
        for arg in &entry.args {
            cx.out.bulk(arg);
        }
        cx.out.bulk(entry.addr.as_bytes());
        cx.out.bulk(&entry.name);
    }
}

fn len(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    tell_len(cx, Logged::Slow);
    Ok(())
}

fn len_of(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    tell_len(cx, kind(args[2])?);
    Ok(())
}

fn tell_len(cx: &mut Cx<'_, '_>, kind: Logged) {
    cx.out.len_int(cx.server.command_logs.of(kind).lock().entries().len());
}

fn reset(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    clear(cx, Logged::Slow);
    Ok(())
}

fn reset_of(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    clear(cx, kind(args[2])?);
    Ok(())
}

fn clear(cx: &mut Cx<'_, '_>, kind: Logged) {
    cx.server.command_logs.of(kind).lock().clear();
    cx.out.ok();
}
