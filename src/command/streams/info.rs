//! XINFO.

use super::{no_group_for_key, reply, stream_at};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::resp::Reply;
use crate::value::stream::{Consumer, Group, Stream, StreamId};

/// The number of entries, and of pending entries, that FULL shows without COUNT.
const SHOWN: usize = 10;

fn named_int(out: &mut Reply, name: &str, value: u64) {
    out.bulk(name.as_bytes());
    out.int(value as i64);
}

fn named_id(out: &mut Reply, name: &str, id: StreamId) {
    out.bulk(name.as_bytes());
    reply::id(out, id);
}

fn time_or_minus_one(time: Option<u64>) -> i64 {
    time.map_or(-1, |time| time as i64)
}

pub(super) fn stream(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let stream = stream_at(cx.tx, args[2])?.ok_or(fail::NO_KEY)?;
    let full = match &args[3..] {
        [] => None,
        [word] if eq(word, "FULL") => Some(SHOWN),
        [word, count, number] if eq(word, "FULL") && eq(count, "COUNT") => {
            Some(usize::try_from(parse_int(number)?).unwrap_or(SHOWN))
        }
        _ => return Err(Fail::sub_syntax(args)),
    };
    let out = &mut *cx.out;
    out.map(if full.is_some() { 9 } else { 10 });
    named_int(out, "length", stream.len());
    named_int(out, "radix-tree-keys", stream.nodes().len() as u64);
    named_int(out, "radix-tree-nodes", stream.radix_tree_nodes());
    named_id(out, "last-generated-id", stream.last_id());
    named_id(out, "max-deleted-entry-id", stream.max_deleted_id());
    named_int(out, "entries-added", stream.entries_added());
    named_id(out, "recorded-first-entry-id", stream.first_id());
    if let Some(count) = full {
        out.bulk(b"entries");
        reply::entries(out, stream.range(StreamId::MIN, StreamId::MAX), count);
        out.bulk(b"groups");
        out.array(stream.groups().len());
        stream.groups().iter().for_each(|(name, group)| full_group(out, stream, name, group, count));
        return Ok(());
    }
    named_int(out, "groups", stream.groups().len() as u64);
    out.bulk(b"first-entry");
    match stream.range(StreamId::MIN, StreamId::MAX).next() {
        Some(entry) => reply::entry(out, &entry),
        None => out.null(),
    }
    out.bulk(b"last-entry");
    match stream.range_rev(StreamId::MIN, StreamId::MAX).next() {
        Some(entry) => reply::entry(out, &entry),
        None => out.null(),
    }
    Ok(())
}

fn progress(out: &mut Reply, stream: &Stream, group: &Group) {
    out.bulk(b"entries-read");
    reply::maybe_number(out, group.position.entries_read);
    out.bulk(b"lag");
    reply::maybe_number(out, stream.lag(group));
}

fn full_group(out: &mut Reply, stream: &Stream, name: &[u8], group: &Group, count: usize) {
    let count = if count == 0 { usize::MAX } else { count };
    out.map(7);
    out.bulk(b"name");
    out.bulk(name);
    named_id(out, "last-delivered-id", group.position.last_id);
    progress(out, stream, group);
    named_int(out, "pel-count", group.pending_len() as u64);
    out.bulk(b"pending");
    out.array(group.pending_len().min(count));
    for (id, pending) in group.pending(StreamId::MIN..=StreamId::MAX).take(count) {
        out.array(4);
        reply::id(out, id);
        out.bulk(group.consumer(pending.consumer).map_or(b"", Consumer::name));
        out.int(pending.delivered_at_ms as i64);
        out.int(pending.deliveries as i64);
    }
    out.bulk(b"consumers");
    out.array(group.consumers_len());
    for consumer in group.consumers() {
        out.map(5);
        out.bulk(b"name");
        out.bulk(consumer.name());
        named_int(out, "seen-time", consumer.seen_at_ms);
        out.bulk(b"active-time");
        out.int(time_or_minus_one(consumer.active_at_ms));
        named_int(out, "pel-count", consumer.pending_len() as u64);
        out.bulk(b"pending");
        out.array(consumer.pending_len().min(count));
        for id in consumer.pending(StreamId::MIN..=StreamId::MAX).take(count) {
            let pending = group.pending_entry(id);
            out.array(3);
            reply::id(out, id);
            out.int(pending.map_or(0, |pending| pending.delivered_at_ms as i64));
            out.int(pending.map_or(0, |pending| pending.deliveries as i64));
        }
    }
}

pub(super) fn groups(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let stream = stream_at(cx.tx, args[2])?.ok_or(fail::NO_KEY)?;
    let out = &mut *cx.out;
    out.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        out.map(6);
        out.bulk(b"name");
        out.bulk(name);
        named_int(out, "consumers", group.consumers_len() as u64);
        named_int(out, "pending", group.pending_len() as u64);
        named_id(out, "last-delivered-id", group.position.last_id);
        progress(out, stream, group);
    }
    Ok(())
}

pub(super) fn consumers(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    let stream = stream_at(cx.tx, args[2])?.ok_or(fail::NO_KEY)?;
    let group = stream.groups().get(args[3]).ok_or_else(|| no_group_for_key(args[2], args[3]))?;
    let out = &mut *cx.out;
    out.array(group.consumers_len());
    for consumer in group.consumers() {
        out.map(4);
        out.bulk(b"name");
        out.bulk(consumer.name());
        named_int(out, "pending", consumer.pending_len() as u64);
        named_int(out, "idle", now.saturating_sub(consumer.seen_at_ms));
        out.bulk(b"inactive");
        out.int(time_or_minus_one(consumer.active_at_ms.map(|at| now.saturating_sub(at))));
    }
    Ok(())
}
