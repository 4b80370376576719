//! SCRIPT and FUNCTION of a server that has no scripts and functions: none is known, and flushing them
//! succeeds. Test suites that clear a server flush scripts beside FLUSHALL.

use super::spec::*;
use super::{Cx, Fail, Outcome, eq, help::help};

const OWN: u64 = flag::NOSCRIPT;
const HELP: u64 = flag::LOADING | flag::STALE;
const FLUSH: &str = "O(N) where N is the number of functions deleted";
const EVERYWHERE: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const ON_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const ALL_KNOW: &[&str] = &["request_policy:all_shards", "response_policy:agg_logical_and"];

in_group!(of_scripting, "scripting");

static FUNCTION_SUBS: &[Spec] = &[
    of_scripting(
        spec("flush", -2, OWN | flag::WRITE, flush_functions),
        "7.0.0",
        FLUSH,
        "Deletes all libraries and functions.",
        "[ASYNC | SYNC]",
    )
    .tips(EVERYWHERE),
    of_scripting(spec("help", 2, HELP, help), "7.0.0", "O(1)", "Prints this help.", ""),
];

static SCRIPT_SUBS: &[Spec] = &[
    of_scripting(
        spec("exists", -3, OWN, exists),
        "2.6.0",
        "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
        "Tells which scripts the server knows.",
        "sha1 [sha1 ...]",
    )
    .tips(ALL_KNOW),
    of_scripting(
        spec("flush", -2, OWN, flush_scripts),
        "2.6.0",
        "O(N) with N being the number of scripts in cache",
        "Forgets all scripts.",
        "[ASYNC | SYNC]",
    )
    .tips(ON_NODES),
    of_scripting(spec("help", 2, HELP, help), "5.0.0", "O(1)", "Prints this help.", ""),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    of_scripting(
        spec("function", -2, 0, help),
        "7.0.0",
        "Depends on subcommand.",
        "A container for commands on functions, of which there are none yet.",
        "",
    )
    .subs(FUNCTION_SUBS),
    of_scripting(
        spec("script", -2, 0, help),
        "2.6.0",
        "Depends on subcommand.",
        "A container for commands on scripts, of which there are none yet.",
        "",
    )
    .subs(SCRIPT_SUBS),
];

fn is_mode(word: &[u8]) -> bool {
    eq(word, "SYNC") || eq(word, "ASYNC")
}

fn flush_functions(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match &args[2..] {
        [] => {}
        [mode] if is_mode(mode) => {}
        [_] => return Err(Fail::new("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")),
        _ => return Err(Fail::sub_syntax(args)),
    }
    cx.out.ok();
    Ok(())
}

fn flush_scripts(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match &args[2..] {
        [] => {}
        [mode] if is_mode(mode) => {}
        _ => return Err(Fail::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    }
    cx.out.ok();
    Ok(())
}

fn exists(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.out.array(args.len() - 2);
    for _ in &args[2..] {
        cx.out.int(0);
    }
    Ok(())
}
