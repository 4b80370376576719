//! CLIENT: the table of its subcommands, and those that name a connection or change its modes.

use super::connection::{check_name, is_printable};
use super::spec::*;
use super::{Cx, Fail, Outcome, client_list, eq, fail, help::help, parse_timeout_ms, tracking};
use crate::node::ReplyMode;
use std::sync::atomic::Ordering::Relaxed;

const OWN: u64 = flag::NOSCRIPT | flag::LOADING | flag::STALE;
const ADMIN: u64 = OWN | flag::ADMIN;
const TELLS: u64 = OWN | flag::TELLS;

macro_rules! sub {
    ($name:literal, $arity:literal, $flags:expr, $run:expr, $since:literal, $complexity:literal, $summary:literal, $syntax:literal) => {
        spec($name, $arity, $flags, $run).doc("connection", $since, $complexity, $summary, $syntax)
    };
}

static SUBS: &[Spec] = &[
    sub!(
        "caching",
        3,
        OWN,
        tracking::caching,
        "6.0.0",
        "O(1)",
        "Whether the keys of the next command are tracked, in the modes OPTIN and OPTOUT.",
        "<YES | NO>"
    ),
    sub!(
        "capa",
        -3,
        OWN,
        capabilities,
        "8.0.0",
        "O(1)",
        "Declares what the client can handle; no capability changes anything here.",
        "capability [capability ...]"
    ),
    sub!("getname", 2, TELLS, get_name, "2.6.9", "O(1)", "Returns the name of this connection.", ""),
    sub!(
        "getredir",
        2,
        OWN,
        tracking::redirection,
        "6.0.0",
        "O(1)",
        "Returns the client that this connection's invalidation messages go to.",
        ""
    ),
    sub!("help", 2, flag::LOADING | flag::STALE, help, "5.0.0", "O(1)", "Prints this help.", ""),
    sub!("id", 2, TELLS, client_list::id, "5.0.0", "O(1)", "Returns the number of this connection.", ""),
    sub!("info", 2, TELLS, client_list::info, "6.2.0", "O(1)", "Returns what is known of this connection.", "")
        .tips(&["nondeterministic_output"]),
    sub!(
        "kill",
        -3,
        ADMIN,
        client_list::kill,
        "2.4.0",
        "O(N) where N is the number of client connections",
        "Closes connections: the one of an address, or all that fit every option.",
        "<ip:port | <[ID client-id [client-id ...]] | [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] | [USER username] | \
         [ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage]> [...]>"
    ),
    sub!(
        "list",
        -2,
        ADMIN | flag::TELLS,
        client_list::list,
        "2.4.0",
        "O(N) where N is the number of client connections",
        "Returns a line for each connection.",
        "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]] [USER username] [ADDR ip:port] \
         [LADDR ip:port] [SKIPME <YES | NO>] [MAXAGE maxage]"
    )
    .tips(&["nondeterministic_output"]),
    sub!(
        "no-evict",
        3,
        ADMIN,
        no_evict,
        "7.0.0",
        "O(1)",
        "Whether this connection is spared when connections take too much memory.",
        "<ON | OFF>"
    ),
    sub!(
        "no-touch",
        3,
        OWN,
        no_touch,
        "7.2.0",
        "O(1)",
        "Whether this connection's commands leave the access times of keys alone.",
        "<ON | OFF>"
    ),
    sub!(
        "pause",
        -3,
        ADMIN | flag::ALL_SHARDS | flag::DESPITE_CLOSED,
        pause,
        "3.0.0",
        "O(1)",
        "Lets the commands of all connections, or those that write, wait.",
        "timeout [WRITE | ALL]"
    ),
    sub!(
        "reply",
        3,
        OWN | flag::NO_MULTI,
        reply,
        "3.2.0",
        "O(1)",
        "Whether this connection's commands are answered.",
        "<ON | OFF | SKIP>"
    ),
    sub!(
        "setinfo",
        4,
        OWN,
        set_info,
        "7.2.0",
        "O(1)",
        "Tells the client library's name or version.",
        "<LIB-NAME libname | LIB-VER libver>"
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    sub!("setname", 3, OWN, set_name, "2.6.9", "O(1)", "Names this connection.", "connection-name"),
    sub!(
        "tracking",
        -3,
        OWN,
        tracking::switch,
        "6.0.0",
        "O(1). Some options may introduce additional complexity.",
        "Whether the server tells when keys that were read change.",
        "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"
    ),
    sub!(
        "trackinginfo",
        2,
        OWN,
        tracking::info,
        "6.2.0",
        "O(1)",
        "Returns how this connection's keys are tracked.",
        ""
    ),
    sub!(
        "unblock",
        -3,
        ADMIN,
        unblock,
        "5.0.0",
        "O(log N) where N is the number of client connections",
        "Ends the waiting of a connection in a blocking command.",
        "client-id [TIMEOUT | ERROR]"
    ),
    sub!(
        "unpause",
        2,
        ADMIN,
        unpause,
        "6.2.0",
        "O(N) Where N is the number of paused clients",
        "Lets waiting commands go on.",
        ""
    ),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("client", -2, 0, help)
    .doc(
        "connection",
        "2.4.0",
        "Depends on subcommand.",
        "A container for commands about client connections.",
        "",
    )
    .subs(SUBS)];

fn on_off(word: &[u8]) -> Result<bool, Fail> {
    match word {
        word if eq(word, "ON") => Ok(true),
        word if eq(word, "OFF") => Ok(false),
        _ => Err(fail::SYNTAX),
    }
}

fn set_name(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    check_name(args[2])?;
    cx.client.handle.names.lock().name = args[2].to_vec();
    cx.out.ok();
    Ok(())
}

fn get_name(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let names = cx.client.handle.names.lock();
    if names.name.is_empty() {
        cx.out.null();
    } else {
        cx.out.bulk(&names.name);
    }
    Ok(())
}

fn set_info(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let is_name = eq(args[2], "LIB-NAME");
    if !is_name && !eq(args[2], "LIB-VER") {
        return Err(Fail::about("ERR Unrecognized option '", args[2], "'"));
    }
    if !is_printable(args[3]) {
        let option = if is_name { "lib-name" } else { "lib-ver" };
        return Err(Fail::text(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        )));
    }
    let mut names = cx.client.handle.names.lock();
    let target = if is_name { &mut names.lib_name } else { &mut names.lib_ver };
    *target = args[3].to_vec();
    cx.out.ok();
    Ok(())
}

fn no_evict(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.client.handle.no_evict.store(on_off(args[2])?, Relaxed);
    cx.out.ok();
    Ok(())
}

/// Valkey's only capability is to be sent from a replica to its primary, and there are no replicas. It ignores others.
fn capabilities(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.ok();
    Ok(())
}

fn no_touch(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.client.handle.no_touch.store(on_off(args[2])?, Relaxed);
    cx.out.ok();
    Ok(())
}

fn pause(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let all = match &args[3..] {
        [] => true,
        [mode] if eq(mode, "ALL") => true,
        [mode] if eq(mode, "WRITE") => false,
        [_] => return Err(Fail::new("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(Fail::sub_syntax(args)),
    };
    let timeout = parse_timeout_ms(args[2], cx.tx.now())?.unwrap_or(0);
    let (pause, engine) = (&cx.server.pause, &cx.server.engine);
    let now = engine.clock.instant();
    pause.begin(now.after_ms(timeout), all, now);
    engine.kept_until.store(pause.until(true, &engine.clock));
    cx.out.ok();
    Ok(())
}

fn unpause(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.server.pause.end();
    cx.server.engine.kept_until.store(None);
    cx.out.ok();
    Ok(())
}

fn reply(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match args[2] {
        word if eq(word, "ON") => {
            cx.client.set_reply_mode(ReplyMode::On);
            cx.out.ok();
        }
        word if eq(word, "OFF") => cx.client.set_reply_mode(ReplyMode::Off),
        word if eq(word, "SKIP") => {
            if cx.client.reply_mode != ReplyMode::Off {
                cx.client.set_reply_mode(ReplyMode::Skip);
            }
        }
        _ => return Err(fail::SYNTAX),
    }
    Ok(())
}

fn unblock(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let with_error = match &args[3..] {
        [] => false,
        [word] if eq(word, "TIMEOUT") => false,
        [word] if eq(word, "ERROR") => true,
        [_] => return Err(Fail::new("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Err(Fail::sub_syntax(args)),
    };
    let id = super::parse_int(args[2])?;
    let client = u64::try_from(id).ok().and_then(|id| cx.server.clients.lock().get(&id).cloned());
    let unblocked = client.is_some_and(|client| client.unblock(with_error));
    cx.out.int(i64::from(unblocked));
    Ok(())
}
