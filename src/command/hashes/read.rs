//! Commands that read fields.

use super::hash_at;
use crate::command::{Cx, Outcome};
use crate::value::hash::HashRef;

pub(super) fn hget(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    match hash_at(cx.tx, args[1])?.and_then(|hash| hash.get(args[2], now)) {
        Some(field) => cx.out.bulk(field.value),
        None => cx.out.null(),
    }
    Ok(())
}

pub(super) fn hmget(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    let hash = hash_at(cx.tx, args[1])?;
    cx.out.array(args.len() - 2);
    for name in &args[2..] {
        match hash.and_then(|hash| hash.get(name, now)) {
            Some(field) => cx.out.bulk(field.value),
            None => cx.out.null(),
        }
    }
    Ok(())
}

pub(super) fn hgetall(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    let out = &mut *cx.out;
    let Some(hash) = hash_at(cx.tx, args[1])? else {
        out.map(0);
        return Ok(());
    };
    if let HashRef::Big(big) = hash {
        out.map(big.live_len(now));
        hash.each_live(now, |field| {
            out.bulk(field.name);
            out.bulk(field.value);
        });
        return Ok(());
    }
    // The fields of a packed hash are counted while they are written.
    let begun = out.begin_deferred();
    let mut count = 0;
    hash.each_live(now, |field| {
        out.bulk(field.name);
        out.bulk(field.value);
        count += 1;
    });
    out.end_map(begun, count);
    Ok(())
}

pub(super) fn hkeys(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    one_of_each(cx, args[1], true)
}

pub(super) fn hvals(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    one_of_each(cx, args[1], false)
}

fn one_of_each(cx: &mut Cx<'_, '_>, key: &[u8], names: bool) -> Outcome {
    let now = cx.tx.now();
    let out = &mut *cx.out;
    let Some(hash) = hash_at(cx.tx, key)? else {
        out.array(0);
        return Ok(());
    };
    out.array(hash.live_len(now));
    hash.each_live(now, |field| out.bulk(if names { field.name } else { field.value }));
    Ok(())
}

pub(super) fn hlen(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    let hash = hash_at(cx.tx, args[1])?;
    cx.out.len_int(hash.map_or(0, |hash| hash.live_len(now)));
    Ok(())
}

pub(super) fn hstrlen(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    let field = hash_at(cx.tx, args[1])?.and_then(|hash| hash.get(args[2], now));
    cx.out.len_int(field.map_or(0, |field| field.value.len()));
    Ok(())
}

pub(super) fn hexists(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    let field = hash_at(cx.tx, args[1])?.and_then(|hash| hash.get(args[2], now));
    cx.out.int(i64::from(field.is_some()));
    Ok(())
}
