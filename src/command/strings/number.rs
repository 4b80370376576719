//! INCR, INCRBYFLOAT and their relatives: strings as numbers.

use super::str_of;
use crate::command::fail::{self, Fail};
use crate::command::{Cx, Outcome, parse_int};
use crate::effect::StringChange;
use crate::engine::Classes;
use crate::store::Entry;
use crate::value::longdouble::incr_by_float;

pub(super) fn incr(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    add(cx, args[1], 1)
}

pub(super) fn decr(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    add(cx, args[1], -1)
}

pub(super) fn incrby(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let by = parse_int(args[2])?;
    add(cx, args[1], by)
}

pub(super) fn decrby(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let by = parse_int(args[2])?;
    let by = by.checked_neg().ok_or(Fail::new("ERR decrement would overflow"))?;
    add(cx, args[1], by)
}

#[inline]
fn add(cx: &mut Cx<'_, '_>, key: &[u8], by: i64) -> Outcome {
    let (old, expire) = match cx.tx.entry(key) {
        None => (0, None),
        Some(entry) => (parse_int(str_of(entry)?)?, entry.expire()),
    };
    let new = old.checked_add(by).ok_or(fail::OVERFLOW)?;
    let mut text = itoa::Buffer::new();
    let value = text.format(new).as_bytes();
    cx.tx.apply(StringChange::Set { value, expire }.on(cx.db(), key));
    cx.tell(Classes::STRING, "incrby", key);
    cx.out.int(new);
    Ok(())
}

pub(super) fn incrbyfloat(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let entry = cx.tx.entry(key);
    let current = entry.map(str_of).transpose()?;
    let sum = incr_by_float(current, args[2]).map_err(|error| Fail::text(error.to_string()))?;
    let expire = entry.and_then(Entry::expire);
    let value = sum.as_bytes();
    cx.tx.apply(StringChange::Set { value, expire }.on(cx.db(), key));
    cx.tell(Classes::STRING, "incrbyfloat", key);
    cx.out.bulk(value);
    Ok(())
}
