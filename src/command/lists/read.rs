//! LLEN, LINDEX and LRANGE: read by position.

use super::list_at;
use crate::command::element::element;
use crate::command::{Cx, Outcome, parse_int};

pub(super) fn llen(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let list = list_at(cx.tx, args[1])?;
    cx.out.len_int(list.map_or(0, |list| list.len()));
    Ok(())
}

/// The position of an index, which counts from the end if it is negative; `None` if it is outside of the list.
pub(super) fn position(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 { index + len as i64 } else { index };
    usize::try_from(at).ok().filter(|at| *at < len)
}

/// The first position and the number of the elements between two indexes, both included.
pub(super) fn span(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let absolute = |index: i64| if index < 0 { index.saturating_add(len as i64) } else { index };
    let (start, stop) = (absolute(start).max(0), absolute(stop).min(len as i64 - 1));
    if start > stop { (0, 0) } else { (start as usize, (stop - start + 1) as usize) }
}

pub(super) fn lindex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(list) = list_at(cx.tx, args[1])? else {
        cx.out.null();
        return Ok(());
    };
    let found = position(parse_int(args[2])?, list.len()).and_then(|at| list.get(at));
    match found {
        Some(found) => element(cx.out, found),
        None => cx.out.null(),
    }
    Ok(())
}

pub(super) fn lrange(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (start, stop) = (parse_int(args[2])?, parse_int(args[3])?);
    let Some(list) = list_at(cx.tx, args[1])? else {
        cx.out.array(0);
        return Ok(());
    };
    let (first, count) = span(start, stop, list.len());
    cx.out.array(count);
    list.iter_from(first).take(count).for_each(|found| element(cx.out, found));
    Ok(())
}
