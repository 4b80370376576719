//! EVAL, EVALSHA and the variants that only read.

use super::super::args::parse_int;
use super::super::{Cx, Fail, Outcome, Server, fail};
use super::host::{MOVE_NANOS, Rules, ScriptHost, Why};
use super::words::{NO_SCRIPT, sha};
use crate::engine::Again;
use crate::lua::{Failure, Program, RunEnd, Script, Vm, sha_of, with_vm};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn eval(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, false, by_text)
}

pub(super) fn evalsha(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, false, by_sha)
}

pub(super) fn eval_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, true, by_text)
}

pub(super) fn evalsha_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, true, by_sha)
}

/// Splits what follows the number of keys, which is `count`, into keys and other arguments.
pub(super) fn keys_and_args<'a, 'b>(
    count: i64,
    args: &'a [&'b [u8]],
) -> Result<(&'a [&'b [u8]], &'a [&'b [u8]]), Fail> {
    let behind = &args[3..];
    match usize::try_from(count) {
        Err(_) => Err(Fail::new("ERR Number of keys can't be negative")),
        Ok(count) => behind
            .split_at_checked(count)
            .ok_or(Fail::new("ERR Number of keys can't be greater than number of args")),
    }
}

/// Finds the script that an argument names.
type Find = fn(&mut Vm, &Server, &[u8]) -> Result<Arc<Script>, Fail>;

fn by_text(vm: &mut Vm, server: &Server, body: &[u8]) -> Result<Arc<Script>, Fail> {
    let sha = sha_of(body);
    match vm.known(&sha) {
        Some(script) => Ok(script),
        None => add(vm, server, body, false),
    }
}

fn by_sha(vm: &mut Vm, server: &Server, arg: &[u8]) -> Result<Arc<Script>, Fail> {
    let sha = sha(arg).ok_or(NO_SCRIPT)?;
    vm.known(&sha).or_else(|| server.scripts.get(&sha)).ok_or(NO_SCRIPT)
}

/// Compiles a script and has the server know it.
fn add(vm: &mut Vm, server: &Server, body: &[u8], loaded: bool) -> Result<Arc<Script>, Fail> {
    let script = Script::new(sha_of(body), body).map_err(Fail::bytes)?;
    let script = Arc::new(script);
    vm.compile(&script).map_err(|why| not_compiled(&why))?;
    Ok(server.scripts.add(script, loaded, server.engine.clock.now_ms()))
}

fn not_compiled(why: &str) -> Fail {
    Fail::text(format!("ERR Error compiling script (new function): {why}"))
}

pub(super) fn no_interpreter(why: &str) -> Fail {
    Fail::text(format!("ERR there is no interpreter: {why}"))
}

/// As [`add`], with the thread's interpreter.
pub(super) fn compiled(server: &Server, body: &[u8], loaded: bool) -> Result<Arc<Script>, Fail> {
    with_vm(|vm| add(vm, server, body, loaded)).map_err(|why| no_interpreter(&why))?
}

fn run(cx: &mut Cx<'_, '_>, args: &[&[u8]], only_reads: bool, find: Find) -> Outcome {
    let (keys, rest) = keys_and_args(parse_int(args[2])?, args)?;
    with_vm(|vm| {
        let script = find(vm, cx.server, args[1])?;
        let function = vm.compile(&script).map_err(|why| not_compiled(&why))?;
        script.touch(cx.tx.now());
        if script.takes_long.load(Relaxed) && !cx.client.has_own_thread {
            move_away(cx);
            return Ok(());
        }
        let rules = Rules::of(script.flags, only_reads);
        check(cx, rules)?;
        let limit = cx.settings.lua_memory_limit as usize;
        let began = cx.server.engine.clock.monotonic_nanos();
        let name = || String::from_utf8_lossy(&script.sha).into_owned();
        let (mut host, out) = ScriptHost::of(cx, args, rules, began, &name);
        let ended = vm.run(&mut host, Program::Script(&function), (keys, rest), limit, out);
        let why = host.end();
        if cx.client.has_own_thread {
            let took = cx.server.engine.clock.monotonic_nanos().saturating_sub(began);
            script.takes_long.store(took > MOVE_NANOS / 2, Relaxed);
        }
        conclude(cx, ended, why, &name)
    })
    .map_err(|why| no_interpreter(&why))?
}

/// Has the command run again on a thread of its own. Nothing was changed, or it is undone.
pub(super) fn move_away(cx: &mut Cx<'_, '_>) {
    cx.client.takes_long = true;
    cx.tx.run_again(Again::AsBefore);
}

/// Refuses a script that may write where nothing may be written.
pub(super) fn check(cx: &Cx<'_, '_>, rules: Rules) -> Outcome {
    if !rules.is_declared || rules.declared_no_writes {
        return Ok(());
    }
    if cx.client.memory_is_short && !rules.allows_oom {
        return Err(fail::OUT_OF_MEMORY);
    }
    if rules.only_reads {
        return Err(Fail::new("ERR Can not execute a script with write flag using *_ro command."));
    }
    Ok(())
}

/// What becomes of a script that has ended.
pub(super) fn conclude(
    cx: &mut Cx<'_, '_>,
    ended: RunEnd,
    why: Option<Why>,
    name: &dyn Fn() -> String,
) -> Outcome {
    let counted = |cx: &mut Cx<'_, '_>| {
        if let Some(inside) = cx.client.inside.get_mut() {
            inside.is_counted = true;
        }
    };
    match (ended, why) {
        (RunEnd::Returned { counted: was_counted }, _) => {
            if was_counted {
                counted(cx);
            }
            Ok(())
        }
        (RunEnd::Failed(failure), _) => {
            if failure.counted {
                counted(cx);
            }
            Err(failed(failure, &name()))
        }
        (RunEnd::Abandoned, Some(Why::Killed)) => {
            Err(Fail::text(format!("ERR Script killed by user with SCRIPT KILL. script: {}.", name())))
        }
        (RunEnd::Abandoned, Some(Why::TooLarge)) => Err(Fail::too_large(cx.settings)),
        (RunEnd::Abandoned, Some(Why::Ending)) => Err(Fail::new("ERR the server is shutting down")),
        // The transaction is run again.
        (RunEnd::Abandoned, Some(Why::Again) | None) => Ok(()),
    }
}

fn failed(failure: Failure, name: &str) -> Fail {
    let Failure { mut text, place, .. } = failure;
    if let Some(place) = place {
        text.extend_from_slice(format!(" script: {name}, on {place}.").as_bytes());
    }
    Fail::bytes(text)
}
