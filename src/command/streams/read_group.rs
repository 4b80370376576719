//! XREADGROUP.

use super::read::{ReadOptions, Streams};
use super::{group_at, no_group, parse_id, reply};
use crate::command::{Cx, Fail, Outcome};
use crate::effect::{Ids, StreamChange};
use crate::engine::Classes;
use crate::resp::Reply;
use crate::store::Awaited;
use crate::value::stream::{Group, GroupPosition, StreamEntry, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is read of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// `>`: the entries that were not delivered to any consumer.
    New,
    /// The consumer's pending entries after an identifier.
    History(StreamId),
}

pub(super) fn xreadgroup(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = ReadOptions::parse(args, true, cx.tx.now())?;
    let Some((group, consumer)) = options.group else {
        return Err(Fail::new("ERR Missing GROUP option for XREADGROUP"));
    };
    let mut from = Vec::with_capacity(options.keys);
    for number in 0..options.keys {
        let (key, id) = options.key(args, number);
        if group_at(cx.tx, key, group)?.is_none() {
            return Err(no_group(key, group, " in XREADGROUP with GROUP option"));
        }
        from.push(match args[id] {
            b">" => From::New,
            b"$" => return Err(meaningless('$')),
            b"+" => return Err(meaningless('+')),
            text => match parse_id(text)? {
                // In Redis the greatest identifier means the same as `>`.
                StreamId::MAX => From::New,
                id => From::History(id),
            },
        });
    }
    let mut streams = Streams::new();
    for (number, from) in from.into_iter().enumerate() {
        let key = options.key(args, number).0;
        let name = Name { key, group, consumer };
        match from {
            From::New => read_new(cx, name, &options, &mut streams)?,
            From::History(id) => read_history(cx, name, id, options.count, &mut streams)?,
        }
    }
    if !streams.end(cx.out) {
        // A key with an identifier always gets an answer, so if none did, all keys have `>`.
        let group: Arc<[u8]> = group.into();
        options.wait(cx, args, |_| (Awaited::NewTo(Arc::clone(&group)), StreamId::MIN));
    }
    Ok(())
}

#[cold]
fn meaningless(id: char) -> Fail {
    Fail::text(format!(
        "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
         specifying a proper ID, or use the > ID to get new messages. The {id} ID would just return an empty result set."
    ))
}

/// A consumer of a group of a stream.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) key: &'a [u8],
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
}

/// Notes that a consumer was seen, and with `active` that it got entries. Creates the consumer if it does not exist.
pub(super) fn note_consumer(cx: &mut Cx<'_, '_>, name: Name<'_>, active: bool) -> Result<(), Fail> {
    let Name { key, group, consumer } = name;
    let known =
        group_at(cx.tx, key, group)?.is_some_and(|(_, group)| group.find_consumer(consumer).is_some());
    if known && !active {
        cx.tx.note_seen(key, group, consumer);
        return Ok(());
    }
    let now = cx.tx.now();
    let active_at_ms = active.then_some(now);
    cx.tx.change_stream(key, StreamChange::Consumer { group, consumer, seen_at_ms: now, active_at_ms });
    if !known {
        cx.tell(Classes::STREAM, "xgroup-createconsumer", key);
    }
    Ok(())
}

fn read_new(
    cx: &mut Cx<'_, '_>,
    name: Name<'_>,
    options: &ReadOptions<'_>,
    streams: &mut Streams,
) -> Outcome {
    let Name { key, group, consumer } = name;
    let mut ids = Vec::new();
    let mut position = GroupPosition::default();
    if let Some((stream, known)) = group_at(cx.tx, key, group)? {
        position = known.position;
        let count = if options.count == 0 { usize::MAX } else { options.count };
        let start = position.last_id.next();
        let mut found =
            start.into_iter().flat_map(|start| stream.range(start, StreamId::MAX)).take(count).peekable();
        if found.peek().is_some() {
            streams.next(cx.out, key);
            let begun = cx.out.begin_deferred();
            for entry in found {
                position = stream.advance(position, entry.id);
                ids.push(entry.id);
                reply::entry(cx.out, &entry);
            }
            cx.out.end_array(begun, ids.len());
        }
    }
    note_consumer(cx, name, !ids.is_empty() && !options.no_ack)?;
    if ids.is_empty() {
        return Ok(());
    }
    cx.tx.change_stream(key, StreamChange::Group { group, position });
    if !options.no_ack {
        let (delivered_at_ms, ids) = (cx.tx.now(), Ids::Slice(&ids));
        cx.tx.change_stream(
            key,
            StreamChange::Pending { group, consumer, delivered_at_ms, deliveries: 1, ids },
        );
    }
    Ok(())
}

/// Reads the consumer's pending entries. Each entry that is shown counts as delivered once more.
fn read_history(
    cx: &mut Cx<'_, '_>,
    name: Name<'_>,
    behind: StreamId,
    count: usize,
    streams: &mut Streams,
) -> Outcome {
    let Name { key, group, consumer } = name;
    note_consumer(cx, name, false)?;
    let Some((stream, known)) = group_at(cx.tx, key, group)? else { return Ok(()) };
    let pending = pending_of(known, consumer, behind, count);
    streams.next(cx.out, key);
    cx.out.array(pending.len());
    let mut again: BTreeMap<u64, Vec<StreamId>> = BTreeMap::new();
    let mut entries = stream.lookups();
    for id in pending {
        if show_pending(cx.out, entries.get(id).as_ref(), id) {
            let deliveries = known.pending_entry(id).map_or(0, |pending| pending.deliveries);
            again.entry(deliveries.saturating_add(1)).or_default().push(id);
        }
    }
    let delivered_at_ms = cx.tx.now();
    for (deliveries, ids) in again {
        let ids = Ids::Slice(&ids);
        cx.tx.change_stream(key, StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids });
    }
    Ok(())
}

fn pending_of(group: &Group, consumer: &[u8], behind: StreamId, count: usize) -> Vec<StreamId> {
    let consumer = group.find_consumer(consumer).and_then(|key| group.consumer(key));
    let (Some(consumer), Some(start)) = (consumer, behind.next()) else { return Vec::new() };
    consumer.pending(start..=StreamId::MAX).take(if count == 0 { usize::MAX } else { count }).collect()
}

/// Writes an entry, or only its identifier if it was deleted. Returns whether the entry exists.
fn show_pending(out: &mut Reply, found: Option<&StreamEntry<'_>>, id: StreamId) -> bool {
    if let Some(entry) = found {
        reply::entry(out, entry);
    } else {
        out.array(2);
        reply::id(out, id);
        out.null_array();
    }
    found.is_some()
}
