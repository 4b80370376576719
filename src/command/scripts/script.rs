//! SCRIPT.

use super::super::{Cx, Fail, Outcome, eq};
use super::eval;
use super::words::{NO_SCRIPT, is_mode, sha};
use crate::node::running::KillOutcome;

/// The text for a kill that comes when nothing runs.
const NOT_BUSY: Fail = Fail::new("NOTBUSY No scripts in execution right now.");

pub(super) fn flush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match &args[2..] {
        [] => {}
        [mode] if is_mode(mode) => {}
        _ => return Err(Fail::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    }
    cx.server.scripts.clear();
    cx.out.ok();
    Ok(())
}

pub(super) fn exists(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.out.array(args.len() - 2);
    for arg in &args[2..] {
        let known = sha(arg).and_then(|sha| cx.server.scripts.get(&sha));
        cx.out.int(known.is_some().into());
    }
    Ok(())
}

pub(super) fn load(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let script = eval::compiled(cx.server, args[2], true)?;
    cx.out.bulk(&script.sha);
    Ok(())
}

pub(super) fn show(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let script = sha(args[2]).and_then(|sha| cx.server.scripts.get(&sha)).ok_or(NO_SCRIPT)?;
    cx.out.bulk(&script.body);
    Ok(())
}

pub(super) fn kill(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    end_long(cx, false)
}

/// Ends what runs for long: functions, or scripts.
pub(super) fn end_long(cx: &mut Cx<'_, '_>, functions: bool) -> Outcome {
    match cx.server.running.kill(functions) {
        KillOutcome::Asked => cx.out.ok(),
        KillOutcome::None => return Err(NOT_BUSY),
        KillOutcome::OtherKind => {
            return Err(Fail::text(format!(
                "BUSY Redis is busy running a script. You can only call {} KILL or SHUTDOWN NOSAVE.",
                if functions { "SCRIPT" } else { "FUNCTION" }
            )));
        }
        KillOutcome::Unkillable => {
            return Err(Fail::new(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait \
                 the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
    }
    Ok(())
}

/// There is no debugger, so only to switch it off does something: nothing.
pub(super) fn debug(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if eq(args[2], "NO") {
        cx.out.ok();
        Ok(())
    } else if eq(args[2], "YES") || eq(args[2], "SYNC") {
        Err(Fail::new("ERR there is no debugger for scripts"))
    } else {
        Err(Fail::new("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
    }
}
