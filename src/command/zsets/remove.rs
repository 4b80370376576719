//! ZREM and ZREMRANGEBY*.

use super::bounds::Bounds;
use super::{delete_range, zset_at};
use crate::command::{Cx, Outcome};
use crate::effect::{List, ZsetChange};
use crate::engine::Classes;

pub(super) fn zrem(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let there =
        zset_at(cx.tx, key)?.is_some_and(|set| args[2..].iter().any(|name| set.score(name).is_some()));
    let mut removed = 0;
    if there {
        let (db, members) = (cx.db(), List::Slices(&args[2..]));
        removed = cx.tx.apply_counted(ZsetChange::Delete { members }.on(db, key));
        cx.tell(Classes::ZSET, "zrem", key);
        cx.tx.tell_if_gone(db, key);
    }
    cx.out.len_int(removed);
    Ok(())
}

pub(super) fn zremrangebyrank(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    remove(cx, args[1], &Bounds::ranks(args[2], args[3])?, "zremrangebyrank")
}

pub(super) fn zremrangebyscore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    remove(cx, args[1], &Bounds::scores(args[2], args[3])?, "zremrangebyscore")
}

pub(super) fn zremrangebylex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    remove(cx, args[1], &Bounds::members(args[2], args[3])?, "zremrangebylex")
}

fn remove(cx: &mut Cx<'_, '_>, key: &[u8], bounds: &Bounds<'_>, event: &'static str) -> Outcome {
    let Some(set) = zset_at(cx.tx, key)? else {
        cx.out.int(0);
        return Ok(());
    };
    let ((from, to), len) = (bounds.resolve(set, false), set.len());
    delete_range(cx, key, (from, to), len, event);
    cx.out.len_int(to - from);
    Ok(())
}
