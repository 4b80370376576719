//! FCALL and FCALL_RO.

use super::super::args::parse_int;
use super::super::{Cx, Fail, Outcome, Server};
use super::eval::{check, conclude, keys_and_args, move_away, no_interpreter};
use super::functions::{know_all, knows, load_time};
use super::host::{Rules, ScriptHost};
use crate::config::Settings;
use crate::engine::Again;
use crate::lua::{LoadTime, Program, with_vm};

/// A function that was moved to a thread of its own is begun there for so many calls more, before a worker tries it
/// again.
const MOVES: u8 = 16;

pub(super) fn fcall(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, false)
}

pub(super) fn fcall_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, true)
}

/// Has the thread's interpreter load the libraries. No shard is held. False if the called function may be in one that
/// is to be loaded on a thread for long commands.
pub fn has_function(server: &Server, settings: &Settings, args: &[&[u8]], has_own_thread: bool) -> bool {
    let found = with_vm(|vm| {
        know_all(vm, server, settings, load_time(has_own_thread));
        vm.knows_all() || args.get(1).is_some_and(|name| vm.function(name).is_some())
    });
    // The handler says why there is no interpreter.
    found.unwrap_or(true)
}

fn run(cx: &mut Cx<'_, '_>, args: &[&[u8]], only_reads: bool) -> Outcome {
    with_vm(|vm| {
        if !knows(vm, cx.server, cx.settings, load_time(cx.client.has_own_thread)) {
            if !cx.client.in_exec {
                // They were changed while the shards were waited for.
                cx.tx.run_again(Again::AsBefore);
                return Ok(());
            }
            // The transaction itself has changed them, or the limit of memory.
            know_all(vm, cx.server, cx.settings, LoadTime::Any);
        }
        let function = vm.function(args[1]).ok_or(Fail::new("ERR Function not found"))?;
        let count = parse_int(args[2]).map_err(|_| Fail::new("ERR Bad number of keys provided"))?;
        let (keys, rest) = keys_and_args(count, args)?;
        if !cx.client.has_own_thread && function.moves.get() > 0 {
            function.moves.set(function.moves.get() - 1);
            move_away(cx);
            return Ok(());
        }
        let rules = Rules::of(function.rules(), only_reads);
        check(cx, rules)?;
        let limit = cx.settings.lua_memory_limit as usize;
        let began = cx.server.engine.clock.monotonic_nanos();
        let name = || String::from_utf8_lossy(&function.name).into_owned();
        let (mut host, out) = ScriptHost::of(cx, args, rules, began, &name);
        let ended = vm.run(&mut host, Program::Function(&function), (keys, rest), limit, out);
        let why = host.end();
        if cx.client.takes_long {
            function.moves.set(MOVES);
        }
        conclude(cx, ended, why, &name)
    })
    .map_err(|why| no_interpreter(&why))?
}
