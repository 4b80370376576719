//! SPOP.

use super::random::{ByNumber, any};
use super::{delete_members, set_at};
use crate::command::draw::distinct;
use crate::command::{Cx, Fail, Outcome, fail};
use crate::effect::Effect;
use crate::engine::{Classes, EFFECT_BYTES};
use crate::env::Random;
use crate::text::parse_i64_strict;
use crate::value::packed::varint_len;

pub(super) fn spop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match args {
        [_, key] => one(cx, key),
        [_, key, count] => several(cx, key, count),
        _ => Err(fail::SYNTAX),
    }
}

fn one(cx: &mut Cx<'_, '_>, key: &[u8]) -> Outcome {
    let mut random = Random::seeded(cx.server.random());
    let drawn = set_at(cx.tx, key)?.and_then(|set| any(set, &mut random));
    let Some(member) = drawn.map(|member| member.bytes().into_owned()) else {
        cx.out.null();
        return Ok(());
    };
    cx.tx.ask(member.len() + key.len() + EFFECT_BYTES)?;
    delete_members(cx, key, &[&member]);
    tell(cx, key);
    cx.out.bulk(&member);
    Ok(())
}

fn tell(cx: &Cx<'_, '_>, key: &[u8]) {
    cx.tell(Classes::SET, "spop", key);
    cx.tx.tell_if_gone(cx.db(), key);
}

/// Removes several random members. The log gets their names, or only the key if the whole set is removed.
fn several(cx: &mut Cx<'_, '_>, key: &[u8], count: &[u8]) -> Outcome {
    const NOT_POSITIVE: Fail = Fail::new("ERR value is out of range, must be positive");
    let wanted = parse_i64_strict(count).and_then(|n| usize::try_from(n).ok()).ok_or(NOT_POSITIVE)?;
    let Some(set) = set_at(cx.tx, key)?.filter(|_| wanted != 0) else {
        cx.out.set(0);
        return Ok(());
    };
    let (before, len) = (cx.tx.changes(), set.len());
    if wanted >= len {
        cx.out.set(len);
        set.iter().for_each(|member| member.with(|name| cx.out.bulk(name)));
        cx.tx.apply(Effect::Delete { db: cx.db(), key });
    } else {
        let members = ByNumber::of(set);
        let mut random = Random::seeded(cx.server.random());
        let mut drawn = Vec::with_capacity(wanted);
        distinct(len, wanted, &mut random, |number| {
            drawn.extend(members.at(number).map(|member| member.bytes().into_owned()));
            Ok(())
        })?;
        drop(members);
        let names: Vec<&[u8]> = drawn.iter().map(Vec::as_slice).collect();
        let bytes: usize = names.iter().map(|name| name.len() + varint_len(name.len())).sum();
        cx.tx.ask(bytes + key.len() + EFFECT_BYTES)?;
        delete_members(cx, key, &names);
        cx.out.set(names.len());
        names.iter().for_each(|name| cx.out.bulk(name));
    }
    cx.tx.count_changes(before, 1);
    tell(cx, key);
    Ok(())
}
