//! BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP and BLMOVEM: commands that wait for elements.

use super::End;
use super::move_many::Moving;
use super::moves::{Taking, move_one, take_one};
use crate::command::waiting::{Alone, Form, one_of_several, only_key, timeout, wait};
use crate::command::{Cx, Outcome};
use crate::node::{AwaitedKey, Wait};
use crate::resp::Reply;
use crate::store::Awaited;
use std::borrow::Cow;

const fn elements(alone: Alone, reply_at_once: fn(&mut Reply)) -> Form {
    Form { awaited: Awaited::Elements(1), alone, reply_at_once }
}

const POP: Form = elements(only_key, Reply::null_array);
const POP_MANY: Form = elements(one_of_several, Reply::null_array);
const MOVE: Form = elements(as_it_is, Reply::null);

pub(super) fn blpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Left)
}

pub(super) fn brpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Right)
}

fn pop(cx: &mut Cx<'_, '_>, args: &[&[u8]], end: End) -> Outcome {
    let [_, keys @ .., last] = args else { return Ok(()) };
    let timeout = timeout(cx, last)?;
    if !take_one(cx, keys, end)? {
        wait(cx, args, (1, keys.len()), timeout, &POP);
    }
    Ok(())
}

pub(super) fn blmove(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
    let timeout = timeout(cx, args[5])?;
    move_or_wait(cx, args, (from, to), timeout)
}

pub(super) fn brpoplpush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let timeout = timeout(cx, args[3])?;
    move_or_wait(cx, args, (End::Right, End::Left), timeout)
}

fn move_or_wait(
    cx: &mut Cx<'_, '_>,
    args: &[&[u8]],
    (from, to): (End, End),
    timeout: Option<u64>,
) -> Outcome {
    if !move_one(cx, (args[1], from), (args[2], to))? {
        wait(cx, args, (1, 1), timeout, &MOVE);
    }
    Ok(())
}

fn as_it_is<'a>(wait: &'a Wait, _: &'a AwaitedKey) -> Vec<Cow<'a, [u8]>> {
    wait.args.iter().map(|arg| Cow::Borrowed(&**arg)).collect()
}

pub(super) fn blmpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let taking = Taking::parse(&args[2..])?;
    let timeout = timeout(cx, args[1])?;
    if !taking.take(cx)? {
        wait(cx, args, (3, taking.keys.len()), timeout, &POP_MANY);
    }
    Ok(())
}

pub(super) fn blmovem(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let moving = Moving::parse(args, &args[6..])?;
    let timeout = timeout(cx, args[5])?;
    if !moving.run(cx)? {
        let least = moving.amount.least() as u64;
        let form =
            Form { awaited: Awaited::Elements(least), alone: as_it_is, reply_at_once: Reply::null_array };
        wait(cx, args, (1, 1), timeout, &form);
    }
    Ok(())
}
