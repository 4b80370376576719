//! Strings.

use super::fail;
use super::spec::*;
use super::{Cx, Outcome, parse_int};
use crate::effect::Effect;

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    spec("get", 2, flag::READONLY | flag::FAST, get).keys(READ_KEY),
    spec("set", -3, flag::WRITE | flag::DENYOOM, set).keys(OVERWRITE_KEY),
    spec("incr", 2, flag::WRITE | flag::DENYOOM | flag::FAST, incr).keys(ACCESS_UPDATE_KEY),
    spec("ping", -1, flag::FAST, ping),
];

fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match cx.tx.entry(args[1]).map(crate::store::Entry::value) {
        None => cx.out.null(),
        Some(crate::store::ValueRef::Str(bytes)) => cx.out.bulk(bytes),
        Some(_) => return Err(fail::WRONG_TYPE),
    }
    Ok(())
}

fn set(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.tx.apply(Effect::SetString { db: cx.db(), key: args[1], value: args[2], expire: None });
    cx.out.ok();
    Ok(())
}

fn incr(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let old = cx.string(args[1])?.map_or(Ok(0), parse_int)?;
    let new = old.checked_add(1).ok_or(fail::OVERFLOW)?;
    let expire = cx.tx.entry(args[1]).and_then(crate::store::Entry::expire);
    let mut text = itoa::Buffer::new();
    let value = text.format(new).as_bytes();
    cx.tx.apply(Effect::SetString { db: cx.db(), key: args[1], value, expire });
    cx.out.int(new);
    Ok(())
}

fn ping(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match args {
        [_] => cx.out.pong(),
        [_, text] => cx.out.bulk(text),
        _ => return Err(super::Fail::arity("ping")),
    }
    Ok(())
}
