//! BZPOPMIN, BZPOPMAX and BZMPOP: wait for members.

use super::pop::{End, Many, PopReply as Shown, take};
use crate::command::waiting::{Form, one_of_several, only_key, timeout, wait};
use crate::command::{Cx, Outcome};
use crate::resp::Reply;
use crate::store::Awaited;

const POP: Form = Form { awaited: Awaited::Members, alone: only_key, reply_at_once: Reply::null_array };
const POP_MANY: Form =
    Form { awaited: Awaited::Members, alone: one_of_several, reply_at_once: Reply::null_array };

pub(super) fn bzpopmin(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Min)
}

pub(super) fn bzpopmax(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Max)
}

fn pop(cx: &mut Cx<'_, '_>, args: &[&[u8]], end: End) -> Outcome {
    let [_, keys @ .., last] = args else { return Ok(()) };
    let timeout = timeout(cx, last)?;
    if !take(cx, keys, end, 1, Shown::KeyAndOne)? {
        wait(cx, args, (1, keys.len()), timeout, &POP);
    }
    Ok(())
}

pub(super) fn bzmpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Many { keys, end, count } = Many::read(&args[2..])?;
    let timeout = timeout(cx, args[1])?;
    if !take(cx, keys, end, count, Shown::KeyAndPairs)? {
        wait(cx, args, (3, keys.len()), timeout, &POP_MANY);
    }
    Ok(())
}
