//! XLEN, XRANGE and XREVRANGE.

use super::{parse_end, parse_start, reply, stream_at};
use crate::command::{Cx, Outcome, eq, fail, parse_int};
use crate::value::stream::Stream;

pub(super) fn xlen(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let len = stream_at(cx.tx, args[1])?.map_or(0, Stream::len);
    cx.out.int(len as i64);
    Ok(())
}

pub(super) fn xrange(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, false)
}

pub(super) fn xrevrange(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, true)
}

fn range(cx: &mut Cx<'_, '_>, args: &[&[u8]], reverse: bool) -> Outcome {
    let (start, end) = if reverse { (args[3], args[2]) } else { (args[2], args[3]) };
    let (start, end) = (parse_start(start)?, parse_end(end)?);
    let mut count = None;
    let mut rest = &args[4..];
    while let Some(word) = rest.first() {
        let Some(number) = rest.get(1).filter(|_| eq(word, "COUNT")) else { return Err(fail::SYNTAX) };
        count = Some(usize::try_from(parse_int(number)?).unwrap_or(0));
        rest = &rest[2..];
    }
    let Some(stream) = stream_at(cx.tx, args[1])? else {
        cx.out.array(0);
        return Ok(());
    };
    match (count, reverse) {
        (Some(0), _) => cx.out.null_array(),
        (count, false) => reply::entries(cx.out, stream.range(start, end), count.unwrap_or(0)),
        (count, true) => reply::entries(cx.out, stream.range_rev(start, end), count.unwrap_or(0)),
    }
    Ok(())
}
