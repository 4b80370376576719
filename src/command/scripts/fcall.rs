//! FCALL and FCALL_RO.

use super::super::args::parse_int;
use super::super::{Cx, Fail, Outcome};
use super::eval::{check, conclude, keys_and_args, move_away, no_interpreter};
use super::functions::know_all;
use super::host::{Rules, ScriptHost};
use crate::lua::{Program, with_vm};

/// A function that was moved to a thread of its own is begun there for so many calls more, before a worker tries it
/// again.
const MOVES: u8 = 16;

pub(super) fn fcall(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, false)
}

pub(super) fn fcall_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, true)
}

fn run(cx: &mut Cx<'_, '_>, args: &[&[u8]], only_reads: bool) -> Outcome {
    with_vm(|vm| {
        know_all(vm, cx.server, cx.settings);
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
