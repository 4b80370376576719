//! RENAME, RENAMENX, MOVE and COPY: values that go to another key or database.

use crate::command::fail::{self, Fail};
use crate::command::views::refuse_claimed;
use crate::command::{Cx, Outcome, eq, parse_small_int};
use crate::engine::Classes;

pub(super) const SAME: Fail = Fail::new("ERR source and destination objects are the same");

pub(super) fn rename(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    rename_to(cx, args, true)?;
    cx.out.ok();
    Ok(())
}

pub(super) fn renamenx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let done = rename_to(cx, args, false)?;
    cx.out.int(i64::from(done));
    Ok(())
}

fn rename_to(cx: &mut Cx<'_, '_>, args: &[&[u8]], replace: bool) -> Result<bool, Fail> {
    let (from, to) = (args[1], args[2]);
    if !cx.tx.exists(from) {
        return Err(fail::NO_KEY);
    }
    if from == to {
        return Ok(replace);
    }
    if !replace && cx.tx.exists(to) {
        return Ok(false);
    }
    let db = cx.tx.db;
    let old = cx.replaced_type(db, to);
    cx.tx.move_key((db, from), (db, to))?;
    tell_renamed(cx, from, to);
    cx.tell_replaced_by_present(db, to, old);
    Ok(true)
}

pub(super) fn tell_renamed(cx: &Cx<'_, '_>, from: &[u8], to: &[u8]) {
    cx.tell(Classes::GENERIC, "rename_from", from);
    cx.tell(Classes::GENERIC, "rename_to", to);
}

/// Reads a database's number; Redis's errors if it is none.
fn database(cx: &Cx<'_, '_>, arg: &[u8]) -> Result<usize, Fail> {
    let number = parse_small_int(arg)?;
    usize::try_from(number).ok().filter(|db| *db < cx.tx.engine().store.databases()).ok_or(fail::DB_RANGE)
}

/// Reads COPY's options: the target's database, and whether COPY may replace the target.
pub(super) fn copy_options(cx: &Cx<'_, '_>, args: &[&[u8]]) -> Result<(usize, bool), Fail> {
    let (mut target, mut replace) = (cx.tx.db, false);
    let mut rest = &args[3..];
    while let Some(word) = rest.first() {
        if eq(word, "replace") {
            replace = true;
            rest = &rest[1..];
        } else if eq(word, "db") && rest.len() > 1 {
            target = database(cx, rest[1])?;
            rest = &rest[2..];
        } else {
            return Err(fail::SYNTAX);
        }
    }
    Ok((target, replace))
}

pub(super) fn copy(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (from, to) = (args[1], args[2]);
    let (target, replace) = copy_options(cx, args)?;
    if target == cx.tx.db && from == to {
        return Err(SAME);
    }
    let source = cx.tx.db;
    refuse_claimed(cx, target, to)?;
    if cx.tx.entry(from).is_none() || !replace && cx.tx.exists_in(target, to) {
        cx.out.int(0);
        return Ok(());
    }
    let (before, old) = (cx.tx.changes(), cx.replaced_type(target, to));
    cx.tx.copy_key((source, from), (target, to))?;
    cx.tx.count_changes(before, 1);
    cx.tx.tell_in(target as u32, Classes::GENERIC, "copy_to", to);
    cx.tell_replaced_by_present(target, to, old);
    cx.out.int(1);
    Ok(())
}

pub(super) fn move_key(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, source) = (args[1], cx.tx.db);
    let target = database(cx, args[2])?;
    if source == target {
        return Err(SAME);
    }
    refuse_claimed(cx, target, key)?;
    if !cx.tx.exists(key) || cx.tx.exists_in(target, key) {
        cx.out.int(0);
        return Ok(());
    }
    cx.tx.move_key((source, key), (target, key))?;
    cx.tell(Classes::GENERIC, "move_from", key);
    cx.tx.tell_in(target as u32, Classes::GENERIC, "move_to", key);
    cx.out.int(1);
    Ok(())
}
