//! Commands that read members.

use super::set_at;
use crate::command::{Cx, Outcome};

pub(super) fn smembers(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let out = &mut *cx.out;
    let Some(set) = set_at(cx.tx, args[1])? else {
        out.set(0);
        return Ok(());
    };
    out.set(set.len());
    set.iter().for_each(|member| member.with(|name| out.bulk(name)));
    Ok(())
}

pub(super) fn sismember(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let there = set_at(cx.tx, args[1])?.is_some_and(|set| set.contains(args[2]));
    cx.out.int(i64::from(there));
    Ok(())
}

pub(super) fn smismember(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let set = set_at(cx.tx, args[1])?;
    cx.out.array(args.len() - 2);
    for name in &args[2..] {
        cx.out.int(i64::from(set.is_some_and(|set| set.contains(name))));
    }
    Ok(())
}

pub(super) fn scard(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let set = set_at(cx.tx, args[1])?;
    cx.out.len_int(set.map_or(0, |set| set.len()));
    Ok(())
}
