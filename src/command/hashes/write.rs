//! Commands that write fields.

use super::{delete_fields, hash_at};
use crate::command::{Cx, Fail, Outcome};
use crate::effect::{FieldExpire, HashChange, List};

pub(super) fn hset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let created = set_pairs(cx, args, "hset")?;
    cx.out.len_int(created);
    Ok(())
}

pub(super) fn hmset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    set_pairs(cx, args, "hmset")?;
    cx.out.ok();
    Ok(())
}

#[inline]
fn set_pairs(cx: &mut Cx<'_, '_>, args: &[&[u8]], command: &str) -> Result<usize, Fail> {
    if !args.len().is_multiple_of(2) {
        return Err(Fail::arity(command));
    }
    let key = args[1];
    hash_at(cx.tx, key)?;
    let pairs = List::Slices(&args[2..]);
    let created = cx.tx.apply_counted(HashChange::Set { pairs, expire: FieldExpire::Clear }.on(cx.db(), key));
    cx.tell_fields("hset", key, args[2..].iter().step_by(2).copied());
    Ok(created)
}

pub(super) fn hsetnx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, now) = (args[1], cx.tx.now());
    let there = hash_at(cx.tx, key)?.is_some_and(|hash| hash.get(args[2], now).is_some());
    if !there {
        let pairs = List::Slices(&args[2..]);
        cx.tx.apply(HashChange::Set { pairs, expire: FieldExpire::Clear }.on(cx.db(), key));
        cx.tell_fields("hset", key, std::iter::once(args[2]));
    }
    cx.out.int(i64::from(!there));
    Ok(())
}

pub(super) fn hdel(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, now) = (args[1], cx.tx.now());
    let there =
        hash_at(cx.tx, key)?.is_some_and(|hash| args[2..].iter().any(|name| hash.get(name, now).is_some()));
    let removed = if there { delete_fields(cx, key, &args[2..]) } else { 0 };
    cx.out.len_int(removed);
    Ok(())
}
