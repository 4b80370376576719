//! What the command table says of scripts and functions.

use super::super::help::help;
use super::super::spec::*;
use super::super::types::{Begin, Find};
use super::{eval, fcall, functions, script};

const OWN: u64 = flag::NOSCRIPT;
const HELP: u64 = flag::LOADING | flag::STALE;
const RUN: u64 = flag::NOSCRIPT
    | flag::SKIP_MONITOR
    | flag::NO_MANDATORY_KEYS
    | flag::STALE
    | flag::MOVABLE_KEYS
    | flag::SCRIPT;
/// A script may write, so the locks and the admission are those of a write.
const WRITES: u64 = RUN | flag::CACHES;
const READS: u64 = RUN | flag::READONLY;
const FLUSH: &str = "O(N) where N is the number of functions deleted";
const EVERYWHERE: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const ON_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const ALL_KNOW: &[&str] = &["request_policy:all_shards", "response_policy:agg_logical_and"];
const ONE_DOES: &[&str] = &["request_policy:all_shards", "response_policy:one_succeeded"];
const RUNS: &str = "Depends on the script that is executed.";

const fn counted_keys(flags: &'static [&'static str]) -> KeySpec {
    KeySpec { begin: Begin::Index(2), find: Find::Number { at: 0, first: 1, step: 1 }, flags }
}

const WRITTEN_KEYS: &[KeySpec] = &[counted_keys(&["RW", "access", "update"])];
const ONLY_READ_KEYS: &[KeySpec] = &[counted_keys(&["RO", "access"])];
const BY_TEXT: &str = "script numkeys [key [key ...]] [arg [arg ...]]";
const OF_FUNCTION: &str = "Depends on the function that is executed.";
const BY_NAME: &str = "function numkeys [key [key ...]] [arg [arg ...]]";
const BY_SHA: &str = "sha1 numkeys [key [key ...]] [arg [arg ...]]";

in_group!(of_scripting, "scripting");

/// A command that changes the libraries. It locks every shard itself, unless it is part of a transaction.
const CHANGES: u64 = OWN | flag::WRITE | flag::WHOLE | flag::LONG;

static FUNCTION_SUBS: &[Spec] = &[
    of_scripting(
        spec("delete", 3, CHANGES, functions::delete),
        "7.0.0",
        "O(1)",
        "Deletes a library and its functions.",
        "library-name",
    )
    .tips(EVERYWHERE),
    of_scripting(
        spec("dump", 2, OWN, functions::dump),
        "7.0.0",
        "O(N) where N is the number of functions",
        "Dumps all libraries into a serialized binary payload.",
        "",
    ),
    of_scripting(
        spec("flush", -2, CHANGES, functions::flush),
        "7.0.0",
        FLUSH,
        "Deletes all libraries and functions.",
        "[ASYNC | SYNC]",
    )
    .tips(EVERYWHERE),
    of_scripting(spec("help", 2, HELP, help), "7.0.0", "O(1)", "Prints this help.", ""),
    of_scripting(
        spec("kill", 2, OWN | flag::ALLOW_BUSY, functions::kill),
        "7.0.0",
        "O(1)",
        "Ends the functions that run for long, unless they have written.",
        "",
    )
    .tips(ONE_DOES),
    of_scripting(
        spec("list", -2, OWN, functions::list),
        "7.0.0",
        "O(N) where N is the number of functions",
        "Tells of all libraries and their functions.",
        "[LIBRARYNAME library-name-pattern] [WITHCODE]",
    )
    .tips(&["nondeterministic_output_order"]),
    of_scripting(
        spec("load", -3, CHANGES | flag::DENYOOM, functions::load),
        "7.0.0",
        "O(1) (considering compilation time is redundant)",
        "Creates a library.",
        "[REPLACE] function-code",
    )
    .tips(EVERYWHERE),
    of_scripting(
        spec("restore", -3, CHANGES | flag::DENYOOM, functions::restore),
        "7.0.0",
        "O(N) where N is the number of functions on the payload",
        "Restores all libraries from a payload.",
        "serialized-value [FLUSH | APPEND | REPLACE]",
    )
    .tips(EVERYWHERE),
    of_scripting(
        spec("stats", 2, OWN | flag::ALLOW_BUSY, functions::stats),
        "7.0.0",
        "O(1)",
        "Tells of the function that runs for long, and of the engines.",
        "",
    )
    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
];

static SCRIPT_SUBS: &[Spec] = &[
    of_scripting(
        spec("debug", 3, OWN, script::debug),
        "3.2.0",
        "O(1)",
        "Sets the debug mode of server-side Lua scripts.",
        "YES | SYNC | NO",
    ),
    of_scripting(
        spec("exists", -3, OWN, script::exists),
        "2.6.0",
        "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
        "Tells which scripts the server knows.",
        "sha1 [sha1 ...]",
    )
    .tips(ALL_KNOW),
    of_scripting(
        spec("flush", -2, OWN, script::flush),
        "2.6.0",
        "O(N) with N being the number of scripts in cache",
        "Forgets all scripts.",
        "[ASYNC | SYNC]",
    )
    .tips(ON_NODES),
    of_scripting(spec("help", 2, HELP, help), "5.0.0", "O(1)", "Prints this help.", ""),
    of_scripting(
        spec("kill", 2, OWN | flag::ALLOW_BUSY, script::kill),
        "2.6.0",
        "O(1)",
        "Ends the scripts that run for long, unless they have written.",
        "",
    )
    .tips(ONE_DOES),
    of_scripting(
        spec("load", 3, OWN | flag::STALE, script::load),
        "2.6.0",
        "O(N) with N being the length in bytes of the script body.",
        "Keeps a script for EVALSHA without running it.",
        "script",
    )
    .tips(ON_NODES),
    of_scripting(
        spec("show", 3, OWN, script::show),
        "8.0.0",
        "O(1).",
        "Shows the text of a script.",
        "sha1",
    ),
];

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    of_scripting(
        spec("eval", -3, WRITES, eval::eval).keys(WRITTEN_KEYS),
        "2.6.0",
        RUNS,
        "Executes a server-side Lua script.",
        BY_TEXT,
    ),
    of_scripting(
        spec("evalsha", -3, WRITES, eval::evalsha).keys(WRITTEN_KEYS),
        "2.6.0",
        RUNS,
        "Executes a server-side Lua script by SHA1 digest.",
        BY_SHA,
    ),
    of_scripting(
        spec("eval_ro", -3, READS, eval::eval_ro).keys(ONLY_READ_KEYS),
        "7.0.0",
        RUNS,
        "Executes a read-only server-side Lua script.",
        BY_TEXT,
    ),
    of_scripting(
        spec("evalsha_ro", -3, READS, eval::evalsha_ro).keys(ONLY_READ_KEYS),
        "7.0.0",
        RUNS,
        "Executes a read-only server-side Lua script by SHA1 digest.",
        BY_SHA,
    ),
    of_scripting(
        spec("fcall", -3, WRITES | flag::FUNCTION, fcall::fcall).keys(WRITTEN_KEYS),
        "7.0.0",
        OF_FUNCTION,
        "Invokes a function.",
        BY_NAME,
    ),
    of_scripting(
        spec("fcall_ro", -3, READS | flag::FUNCTION, fcall::fcall_ro).keys(ONLY_READ_KEYS),
        "7.0.0",
        OF_FUNCTION,
        "Invokes a read-only function.",
        BY_NAME,
    ),
    of_scripting(
        spec("function", -2, 0, help),
        "7.0.0",
        "Depends on subcommand.",
        "A container for commands on functions.",
        "",
    )
    .subs(FUNCTION_SUBS),
    of_scripting(
        spec("script", -2, 0, help),
        "2.6.0",
        "Depends on subcommand.",
        "A container for Lua scripts management commands.",
        "",
    )
    .subs(SCRIPT_SUBS),
];
