//! EXISTS, TOUCH, TYPE, DEL and UNLINK.

use crate::command::{Cx, Outcome};
use crate::effect::Effect;
use crate::engine::Classes;
use crate::store::Entry;

pub(super) fn del(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut removed = 0;
    for key in &args[1..] {
        if cx.tx.exists(key) {
            cx.tx.apply(Effect::Delete { db: cx.db(), key });
            cx.tell(Classes::GENERIC, "del", key);
            removed += 1;
        }
    }
    cx.out.int(removed);
    Ok(())
}

pub(super) fn exists(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    // Redis counts EXISTS as a hit or a miss, but not as an access.
    cx.tx.set_no_touch(true);
    let count = args[1..].iter().filter(|key| cx.tx.entry(key).is_some()).count();
    cx.out.int(count as i64);
    Ok(())
}

pub(super) fn touch(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.tx.set_no_touch(false);
    let count = args[1..].iter().filter(|key| cx.tx.entry(key).is_some()).count();
    cx.out.int(count as i64);
    Ok(())
}

pub(super) fn type_command(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.tx.set_no_touch(true);
    let kind = cx.tx.entry(args[1]).map_or("none", Entry::type_name);
    cx.out.simple(kind);
    Ok(())
}
