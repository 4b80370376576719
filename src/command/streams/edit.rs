//! XDEL and XSETID.

use super::{parse_id, parse_ids, stream_at, value_fail};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::effect::{Ids, StreamChange};
use crate::engine::Classes;
use crate::value::ValueError;
use crate::value::stream::{StreamId, StreamMarks};

pub(super) fn xdel(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(stream) = stream_at(cx.tx, args[1])? else {
        cx.out.int(0);
        return Ok(());
    };
    let mut ids = parse_ids(&args[2..])?;
    ids.retain(|id| stream.get(*id).is_some());
    let mut deleted = 0;
    if !ids.is_empty() {
        deleted = cx.tx.change_stream(args[1], StreamChange::Delete { ids: Ids::Slice(&ids) });
        cx.tell(Classes::STREAM, "xdel", args[1]);
    }
    cx.out.len_int(deleted);
    Ok(())
}

pub(super) fn xsetid(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let mut marks = StreamMarks { last_id: parse_id(args[2])?, entries_added: None, max_deleted_id: None };
    let mut rest = &args[3..];
    while let Some(word) = rest.first() {
        match rest.get(1) {
            Some(number) if eq(word, "ENTRIESADDED") => {
                let added = u64::try_from(parse_int(number)?);
                marks.entries_added =
                    Some(added.map_err(|_| Fail::new("ERR entries_added must be positive"))?);
            }
            Some(id) if eq(word, "MAXDELETEDID") => {
                let deleted = parse_id(id)?;
                if marks.last_id < deleted {
                    return Err(value_fail(ValueError::StreamIdBelowDeleted));
                }
                marks.max_deleted_id = Some(deleted);
            }
            _ => return Err(fail::SYNTAX),
        }
        rest = &rest[2..];
    }
    let stream = stream_at(cx.tx, key)?.ok_or(fail::NO_KEY)?;
    stream.check_marks(marks).map_err(value_fail)?;
    let change = StreamChange::Marks {
        last_id: marks.last_id,
        entries_added: marks.entries_added.unwrap_or(stream.entries_added()),
        // As in Redis, 0-0 leaves the mark as it is.
        max_deleted_id: marks
            .max_deleted_id
            .filter(|id| *id != StreamId::MIN)
            .unwrap_or(stream.max_deleted_id()),
    };
    cx.tx.change_stream(key, change);
    cx.tell(Classes::STREAM, "xsetid", key);
    cx.out.ok();
    Ok(())
}
