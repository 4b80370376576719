//! XPENDING.

use super::{known_group, parse_end, parse_start, reply};
use crate::command::{Cx, Outcome, eq, fail, parse_int};
use crate::resp::Reply;
use crate::value::stream::{Group, Pending, StreamId};

pub(super) fn xpending(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args.len() == 3 {
        let (_, group) = known_group(cx.tx, args[1], args[2])?;
        summary(cx.out, group);
        return Ok(());
    }
    if !(6..=9).contains(&args.len()) {
        return Err(fail::SYNTAX);
    }
    let (mut at, mut min_idle) = (3, 0);
    if eq(args[3], "IDLE") {
        min_idle = parse_int(args[4])?;
        if args.len() < 8 {
            return Err(fail::SYNTAX);
        }
        at = 5;
    }
    let count = usize::try_from(parse_int(args[at + 2])?).unwrap_or(0);
    let (start, end) = (parse_start(args[at])?, parse_end(args[at + 1])?);
    let (_, group) = known_group(cx.tx, args[1], args[2])?;
    let now = cx.tx.now() as i64;
    let idle_enough = |pending: &Pending| min_idle == 0 || now - pending.delivered_at_ms as i64 >= min_idle;
    let consumer = args.get(at + 3).map(|name| group.find_consumer(name).and_then(|key| group.consumer(key)));
    let begun = cx.out.begin_deferred();
    let mut len = 0;
    // The pending entries of the named consumer, or of all consumers if none is named.
    let own = consumer.flatten().into_iter().flat_map(|consumer| consumer.pending(start..=end));
    let own = own.filter_map(|id| Some((id, group.pending_entry(id)?)));
    let all = consumer.is_none().then(|| group.pending(start..=end)).into_iter().flatten();
    for (id, pending) in own.chain(all).filter(|(_, pending)| idle_enough(pending)).take(count) {
        line(cx.out, group, id, pending, now);
        len += 1;
    }
    cx.out.end_array(begun, len);
    Ok(())
}

fn summary(out: &mut Reply, group: &Group) {
    out.array(4);
    out.len_int(group.pending_len());
    let mut all = group.pending(StreamId::MIN..=StreamId::MAX);
    let Some((first, _)) = all.next() else {
        out.null();
        out.null();
        out.null_array();
        return;
    };
    reply::id(out, first);
    reply::id(out, all.next_back().map_or(first, |(last, _)| last));
    let owners = || group.consumers().filter(|consumer| consumer.pending_len() > 0);
    out.array(owners().count());
    for consumer in owners() {
        out.array(2);
        out.bulk(consumer.name());
        out.bulk_int(consumer.pending_len() as i64);
    }
}

fn line(out: &mut Reply, group: &Group, id: StreamId, pending: Pending, now: i64) {
    out.array(4);
    reply::id(out, id);
    out.bulk(group.consumer(pending.consumer).map_or(b"", |consumer| consumer.name()));
    out.int((now - pending.delivered_at_ms as i64).max(0));
    out.int(pending.deliveries as i64);
}
