//! SADD, SREM and SMOVE.

use super::{delete_members, set_at};
use crate::command::{Cx, Outcome};
use crate::effect::{List, SetChange};
use crate::engine::Classes;

pub(super) fn sadd(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, members) = (args[1], &args[2..]);
    let set = set_at(cx.tx, key)?;
    let new = set.is_none_or(|set| members.iter().any(|member| !set.contains(member)));
    let added = if new { add(cx, key, members) } else { 0 };
    cx.out.len_int(added);
    Ok(())
}

fn add(cx: &mut Cx<'_, '_>, key: &[u8], members: &[&[u8]]) -> usize {
    let members = List::Slices(members);
    let added = cx.tx.apply_counted(SetChange::Add { members }.on(cx.db(), key));
    cx.tell(Classes::SET, "sadd", key);
    added
}

fn remove(cx: &mut Cx<'_, '_>, key: &[u8], members: &[&[u8]]) -> usize {
    let removed = delete_members(cx, key, members);
    cx.tell(Classes::SET, "srem", key);
    cx.tx.tell_if_gone(cx.db(), key);
    removed
}

pub(super) fn srem(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, members) = (args[1], &args[2..]);
    let set = set_at(cx.tx, key)?;
    let there = set.is_some_and(|set| members.iter().any(|member| set.contains(member)));
    let removed = if there { remove(cx, key, members) } else { 0 };
    cx.out.len_int(removed);
    Ok(())
}

pub(super) fn smove(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (from, to, members) = (args[1], args[2], &args[3..]);
    let member = args[3];
    let there = match set_at(cx.tx, from)? {
        None => false,
        Some(set) => {
            set_at(cx.tx, to)?;
            set.contains(member)
        }
    };
    if there && from != to {
        remove(cx, from, members);
        if set_at(cx.tx, to)?.is_none_or(|set| !set.contains(member)) {
            add(cx, to, members);
        }
    }
    cx.out.int(i64::from(there));
    Ok(())
}
