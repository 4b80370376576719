//! LSET, LINSERT, LREM and LTRIM: change elements within a list.

use super::list_at;
use super::read::{position, span};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::effect::{ListChange, Runs, RunsWriter};
use crate::engine::{Classes, EFFECT_BYTES};
use crate::value::list::{ListRef, Needle};

pub(super) fn lset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let list = list_at(cx.tx, key)?.ok_or(fail::NO_KEY)?;
    let at = position(parse_int(args[2])?, list.len()).ok_or(Fail::new("ERR index out of range"))?;
    cx.tx.apply(ListChange::Set { at, value: args[3] }.on(cx.db(), key));
    cx.tell(Classes::LIST, "lset", key);
    cx.out.ok();
    Ok(())
}

pub(super) fn linsert(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, pivot, value) = (args[1], Needle::new(args[3]), args[4]);
    let behind = match args[2] {
        word if eq(word, "before") => 0,
        word if eq(word, "after") => 1,
        _ => return Err(fail::SYNTAX),
    };
    let Some(list) = list_at(cx.tx, key)? else {
        cx.out.int(0);
        return Ok(());
    };
    let len = list.len();
    let Some(at) = list.iter_from(0).position(|found| pivot.is(found)) else {
        cx.out.int(-1);
        return Ok(());
    };
    cx.tx.apply(ListChange::Insert { at: at + behind, value }.on(cx.db(), key));
    cx.tell(Classes::LIST, "linsert", key);
    cx.out.len_int(len + 1);
    Ok(())
}

/// The elements that are `needle`, as the bytes of runs: at most so many from the front, from the end if `count` is
/// negative, all if it is 0.
fn runs_of(list: ListRef<'_>, needle: Needle<'_>, count: i64) -> Vec<u8> {
    let most = match count.unsigned_abs() {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    let len = list.len();
    let mut first = 0;
    if count < 0 {
        let all = (0..len).rev().zip(list.iter_back_from(usize::MAX)).filter(|(_, found)| needle.is(*found));
        // The runs are written from the front, so the first one is looked for before.
        first = all.take(most).last().map_or(len, |(at, _)| at);
    }
    let mut runs = RunsWriter::default();
    let all = (first..len).zip(list.iter_from(first)).filter(|(_, found)| needle.is(*found));
    all.take(most).for_each(|(at, _)| runs.remove(at));
    runs.finish()
}

pub(super) fn lrem(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, count) = (args[1], parse_int(args[2])?);
    let runs = list_at(cx.tx, key)?.map_or_else(Vec::new, |list| runs_of(list, Needle::new(args[3]), count));
    if runs.is_empty() {
        cx.out.int(0);
        return Ok(());
    }
    cx.tx.ask(runs.len() + key.len() + EFFECT_BYTES)?;
    let (db, runs) = (cx.db(), Runs::Packed(&runs));
    let removed = cx.tx.apply_counted(ListChange::Remove { runs }.on(db, key));
    cx.tell(Classes::LIST, "lrem", key);
    cx.tx.tell_if_gone(db, key);
    cx.out.len_int(removed);
    Ok(())
}

pub(super) fn ltrim(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, db) = (args[1], cx.db());
    let (start, stop) = (parse_int(args[2])?, parse_int(args[3])?);
    let Some(len) = list_at(cx.tx, key)?.map(|list| list.len()) else {
        cx.out.ok();
        return Ok(());
    };
    let (first, count) = span(start, stop, len);
    // If no element stays, all are removed from the front.
    let (before, behind) = if count == 0 { (len, 0) } else { (first, len - first - count) };
    for (front, count) in [(true, before), (false, behind)] {
        if count > 0 {
            cx.tx.apply(ListChange::Pop { front, count }.on(db, key));
        }
    }
    cx.tell(Classes::LIST, "ltrim", key);
    cx.tx.tell_if_gone(db, key);
    cx.out.ok();
    Ok(())
}
