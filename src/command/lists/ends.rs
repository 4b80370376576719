//! Commands that add or remove elements at the ends of a list.

use super::{End, drop_some, list_at, outermost, push, show_some};
use crate::command::element::element;
use crate::command::{Cx, Fail, Outcome, parse_int};

pub(super) fn lpush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    push_all(cx, args, End::Left, true)
}

pub(super) fn rpush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    push_all(cx, args, End::Right, true)
}

pub(super) fn lpushx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    push_all(cx, args, End::Left, false)
}

pub(super) fn rpushx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    push_all(cx, args, End::Right, false)
}

#[inline]
fn push_all(cx: &mut Cx<'_, '_>, args: &[&[u8]], end: End, makes: bool) -> Outcome {
    let (key, values) = (args[1], &args[2..]);
    let before = list_at(cx.tx, key)?.map(|list| list.len());
    if before.is_none() && !makes {
        cx.out.int(0);
        return Ok(());
    }
    push(cx, key, end, values);
    cx.out.len_int(before.unwrap_or(0) + values.len());
    Ok(())
}

pub(super) fn lpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Left, "lpop")
}

pub(super) fn rpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Right, "rpop")
}

#[inline]
fn pop(cx: &mut Cx<'_, '_>, args: &[&[u8]], end: End, command: &str) -> Outcome {
    let key = args[1];
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(parse_count(count)?),
        _ => return Err(Fail::arity(command)),
    };
    let Some(list) = list_at(cx.tx, key)? else {
        if count.is_some() {
            cx.out.null_array();
        } else {
            cx.out.null();
        }
        return Ok(());
    };
    let count = match count {
        None => {
            outermost(list, end).into_iter().for_each(|found| element(cx.out, found));
            1
        }
        Some(count) => {
            let count = count.min(list.len());
            show_some(cx.out, list, end, count);
            count
        }
    };
    if count > 0 {
        drop_some(cx, key, end, count);
    }
    Ok(())
}

fn parse_count(arg: &[u8]) -> Result<usize, Fail> {
    let wrong = Fail::new("ERR value is out of range, must be positive");
    usize::try_from(parse_int(arg).map_err(|_| wrong.clone())?).map_err(|_| wrong)
}
