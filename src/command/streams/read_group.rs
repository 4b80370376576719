//! XREADGROUP.

use super::read::{ReadOptions, Streams};
use super::{group_at, no_group, parse_id, reply};
use crate::command::{Cx, Fail, Outcome};
use crate::effect::{Ids, StreamChange};
use crate::engine::Classes;
use crate::resp::Reply;
use crate::store::Awaited;
use crate::value::stream::{Group, GroupPosition, Pending, Stream, StreamEntry, StreamId};
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

/// Reads entries that were not delivered to any consumer; with CLAIM, before them those that have been pending for
/// long.
fn read_new(
    cx: &mut Cx<'_, '_>,
    name: Name<'_>,
    options: &ReadOptions<'_>,
    streams: &mut Streams,
) -> Outcome {
    let Name { key, group, consumer } = name;
    let now = cx.tx.now();
    let mut ids = Vec::new();
    let mut idle = Idle::default();
    let mut position = GroupPosition::default();
    if let Some((stream, known)) = group_at(cx.tx, key, group)? {
        position = known.position;
        let count = if options.count == 0 { usize::MAX } else { options.count };
        if let Some(least) = options.claim {
            idle = Idle::of(stream, known, now, least, count);
        }
        let start = position.last_id.next();
        let new = start.into_iter().flat_map(|start| stream.range(start, StreamId::MAX));
        let mut found = new.take(count - idle.found.len()).peekable();
        if found.peek().is_some() || !idle.found.is_empty() {
            streams.next(cx.out, key);
            let begun = cx.out.begin_deferred();
            for (id, pending) in &idle.found {
                if let Some(entry) = stream.get(*id) {
                    let idle_ms = now.saturating_sub(pending.delivered_at_ms);
                    reply::claimed(cx.out, &entry, idle_ms, pending.deliveries);
                }
            }
            for entry in found {
                position = stream.advance(position, entry.id);
                ids.push(entry.id);
                reply::entry(cx.out, &entry);
            }
            cx.out.end_array(begun, idle.found.len() + ids.len());
        }
    }
    let keeps_new = !ids.is_empty() && !options.no_ack;
    note_consumer(cx, name, keeps_new || !idle.found.is_empty())?;
    idle.take_over(cx, name);
    if !ids.is_empty() {
        cx.tx.change_stream(key, StreamChange::Group { group, position });
    }
    if keeps_new {
        let (delivered_at_ms, ids) = (now, Ids::Slice(&ids));
        let pending = StreamChange::Pending { group, consumer, delivered_at_ms, deliveries: 1, ids };
        cx.tx.change_stream(key, pending);
    }
    Ok(())
}

/// Pending entries of a group that have been idle for long, whoever has them.
#[derive(Default)]
struct Idle {
    /// Those to read, the longest idle first.
    found: Vec<(StreamId, Pending)>,
    /// Those that no longer exist.
    gone: Vec<StreamId>,
}

impl Idle {
    /// At most `count` entries that have been idle for at least so many ms. O(pending entries of the group).
    fn of(stream: &Stream, group: &Group, now: u64, least: u64, count: usize) -> Self {
        let is_idle = |pending: &Pending| now.saturating_sub(pending.delivered_at_ms) >= least;
        let all = group.pending(StreamId::MIN..=StreamId::MAX).filter(|(_, pending)| is_idle(pending));
        let (mut found, gone): (Vec<_>, Vec<_>) = all.partition(|(id, _)| stream.get(*id).is_some());
        found.sort_by_key(|(id, pending)| (pending.delivered_at_ms, *id));
        found.truncate(count);
        Self { found, gone: gone.into_iter().map(|(id, _)| id).collect() }
    }

    /// Gives the entries to a consumer, each with one delivery more. What no longer exists is not pending any longer.
    fn take_over(self, cx: &mut Cx<'_, '_>, Name { key, group, consumer }: Name<'_>) {
        if !self.gone.is_empty() {
            cx.tx.change_stream(key, StreamChange::Acknowledge { group, ids: Ids::Slice(&self.gone) });
        }
        let mut again: BTreeMap<u64, Vec<StreamId>> = BTreeMap::new();
        for (id, pending) in self.found {
            again.entry(pending.deliveries.saturating_add(1)).or_default().push(id);
        }
        deliver_again(cx, Name { key, group, consumer }, again);
    }
}

/// Notes entries as delivered to a consumer now, by their numbers of deliveries.
fn deliver_again(cx: &mut Cx<'_, '_>, name: Name<'_>, again: BTreeMap<u64, Vec<StreamId>>) {
    let Name { key, group, consumer } = name;
    let delivered_at_ms = cx.tx.now();
    for (deliveries, ids) in again {
        let ids = Ids::Slice(&ids);
        cx.tx.change_stream(key, StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids });
    }
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
    deliver_again(cx, name, again);
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
