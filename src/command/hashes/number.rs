//! Fields as numbers. A field keeps its deadline when its number changes.

use super::hash_at;
use crate::command::{Cx, Fail, Outcome, fail, parse_int};
use crate::effect::{FieldExpire, HashChange, List};
use crate::text::parse_i64_strict;
use crate::value::ValueError;
use crate::value::longdouble::{hash_incr_by_float, parse_hash_increment};

pub(super) fn hincrby(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let by = parse_int(args[3])?;
    let now = cx.tx.now();
    let old = match hash_at(cx.tx, args[1])?.and_then(|hash| hash.get(args[2], now)) {
        None => 0,
        Some(field) => parse_i64_strict(field.value).ok_or(Fail::new("ERR hash value is not an integer"))?,
    };
    let new = old.checked_add(by).ok_or(fail::OVERFLOW)?;
    let mut text = itoa::Buffer::new();
    set(cx, args[1], args[2], text.format(new).as_bytes());
    cx.tell_fields("hincrby", args[1], std::iter::once(args[2]));
    cx.out.int(new);
    Ok(())
}

pub(super) fn hincrbyfloat(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let failed = |error: ValueError| Fail::text(error.to_string());
    let by = parse_hash_increment(args[3]).map_err(failed)?;
    let now = cx.tx.now();
    let field = hash_at(cx.tx, args[1])?.and_then(|hash| hash.get(args[2], now));
    let sum = hash_incr_by_float(field.map(|field| field.value), by).map_err(failed)?;
    set(cx, args[1], args[2], sum.as_bytes());
    cx.tell_fields("hincrbyfloat", args[1], std::iter::once(args[2]));
    cx.out.bulk(sum.as_bytes());
    Ok(())
}

fn set(cx: &mut Cx<'_, '_>, key: &[u8], name: &[u8], value: &[u8]) {
    let pairs = List::Slices(&[name, value]);
    cx.tx.apply(HashChange::Set { pairs, expire: FieldExpire::Keep }.on(cx.db(), key));
}
