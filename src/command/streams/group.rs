//! XGROUP and XACK.

use super::{group_at, no_group_for_key, parse_id, parse_ids, stream_at};
use crate::command::{Cx, Fail, Outcome, eq, parse_int};
use crate::effect::{Ids, StreamChange};
use crate::engine::Classes;
use crate::value::stream::{GroupPosition, Stream, StreamId};

const NO_KEY: Fail = Fail::new(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option \
     to create an empty stream automatically.",
);

/// The options after the identifier in CREATE and SETID.
#[derive(Default)]
struct Options {
    make: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: &[&[u8]], creates: bool) -> Result<Self, Fail> {
        let mut options = Self::default();
        let mut rest = &args[5..];
        while let Some(word) = rest.first() {
            rest = if creates && eq(word, "MKSTREAM") {
                options.make = true;
                &rest[1..]
            } else if let Some(number) = rest.get(1).filter(|_| eq(word, "ENTRIESREAD")) {
                options.entries_read = match parse_int(number)? {
                    -1 => None,
                    read => Some(
                        u64::try_from(read)
                            .map_err(|_| Fail::new("ERR value for ENTRIESREAD must be positive or -1"))?,
                    ),
                };
                &rest[2..]
            } else {
                return Err(Fail::sub_syntax(args));
            };
        }
        Ok(options)
    }
}

/// The position of a group. Only SETID takes `-` and `+`, as in Redis.
fn position_id(stream: Option<&Stream>, arg: &[u8], ends: bool) -> Result<StreamId, Fail> {
    match arg {
        b"$" => Ok(stream.map_or(StreamId::MIN, Stream::last_id)),
        b"-" if ends => Ok(StreamId::MIN),
        b"+" if ends => Ok(StreamId::MAX),
        arg => parse_id(arg),
    }
}

pub(super) fn create(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = Options::parse(args, true)?;
    let (key, group) = (args[2], args[3]);
    let stream = stream_at(cx.tx, key)?;
    if stream.is_none() && !options.make {
        return Err(NO_KEY);
    }
    let last_id = position_id(stream, args[4], false)?;
    match stream {
        Some(stream) if stream.groups().get(group).is_some() => {
            return Err(Fail::new("BUSYGROUP Consumer Group name already exists"));
        }
        Some(_) => {}
        None => {
            let (last_id, max_deleted_id) = (StreamId::MIN, StreamId::MIN);
            cx.tx.change_stream(key, StreamChange::Marks { last_id, max_deleted_id, entries_added: 0 });
        }
    }
    let position = GroupPosition { last_id, entries_read: options.entries_read };
    cx.tx.change_stream(key, StreamChange::Group { group, position });
    cx.tell(Classes::STREAM, "xgroup-create", key);
    cx.out.ok();
    Ok(())
}

pub(super) fn setid(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = Options::parse(args, false)?;
    let (key, group) = (args[2], args[3]);
    let stream = existing(cx, key, Some(group))?;
    let last_id = position_id(Some(stream), args[4], true)?;
    let position = GroupPosition { last_id, entries_read: options.entries_read };
    cx.tx.change_stream(key, StreamChange::Group { group, position });
    cx.tell(Classes::STREAM, "xgroup-setid", key);
    cx.out.ok();
    Ok(())
}

/// The stream at a key.
///
/// # Errors
/// There is none, or it has no group of this name.
fn existing<'c>(cx: &'c Cx<'_, '_>, key: &[u8], group: Option<&[u8]>) -> Result<&'c Stream, Fail> {
    let stream = stream_at(cx.tx, key)?.ok_or(NO_KEY)?;
    match group {
        Some(group) if stream.groups().get(group).is_none() => Err(no_group_for_key(key, group)),
        _ => Ok(stream),
    }
}

pub(super) fn destroy(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, group) = (args[2], args[3]);
    let there = existing(cx, key, None)?.groups().get(group).is_some();
    if there {
        cx.tx.change_stream(key, StreamChange::GroupDelete { group });
        cx.tell(Classes::STREAM, "xgroup-destroy", key);
    }
    cx.out.int(i64::from(there));
    Ok(())
}

pub(super) fn create_consumer(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, group, consumer) = (args[2], args[3], args[4]);
    let stream = existing(cx, key, Some(group))?;
    let known = stream.groups().get(group).is_some_and(|group| group.find_consumer(consumer).is_some());
    if !known {
        let seen_at_ms = cx.tx.now();
        cx.tx.change_stream(key, StreamChange::Consumer { group, consumer, seen_at_ms, active_at_ms: None });
        cx.tell(Classes::STREAM, "xgroup-createconsumer", key);
    }
    cx.out.int(i64::from(!known));
    Ok(())
}

pub(super) fn delete_consumer(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, group, consumer) = (args[2], args[3], args[4]);
    let stream = existing(cx, key, Some(group))?;
    let known = stream.groups().get(group).is_some_and(|group| group.find_consumer(consumer).is_some());
    let mut pending = 0;
    if known {
        pending = cx.tx.change_stream(key, StreamChange::ConsumerDelete { group, consumer });
        cx.tell(Classes::STREAM, "xgroup-delconsumer", key);
    }
    cx.out.len_int(pending);
    Ok(())
}

pub(super) fn xack(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, group) = (args[1], args[2]);
    let Some((_, known)) = group_at(cx.tx, key, group)? else {
        cx.out.int(0);
        return Ok(());
    };
    let mut ids = parse_ids(&args[3..])?;
    ids.retain(|id| known.pending_entry(*id).is_some());
    let acknowledged = if ids.is_empty() {
        0
    } else {
        cx.tx.change_stream(key, StreamChange::Acknowledge { group, ids: Ids::Slice(&ids) })
    };
    cx.out.len_int(acknowledged);
    Ok(())
}
