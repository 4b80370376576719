//! Streams: adding and trimming (`add`), deleting and XSETID (`edit`), references
//! to what is removed (`references`), ranges (`range`), reading and waiting (`read`,
//! `read_group`), groups (`group`), claiming (`claim`), XPENDING (`pending`) and XINFO (`info`).

mod add;
mod claim;
mod edit;
mod group;
mod info;
mod pending;
mod range;
mod read;
mod read_group;
mod references;
mod reply;
mod table;
#[cfg(test)]
mod tests;

pub(super) use table::COMMANDS;

use super::fail::{self, Fail};
use crate::engine::Tx;
use crate::store::Entry;
use crate::value::stream::{BadBound, Group, Stream, StreamId};

/// The stream at a key; `None` if there is no key.
#[inline]
fn stream_at<'t>(tx: &'t Tx<'_>, key: &[u8]) -> Result<Option<&'t Stream>, Fail> {
    match tx.entry(key).map(Entry::value) {
        None => Ok(None),
        Some(value) => value.stream().map(Some).ok_or(fail::WRONG_TYPE),
    }
}

/// A group of the stream at a key; `None` if there is no such key or group.
fn group_at<'t>(tx: &'t Tx<'_>, key: &[u8], group: &[u8]) -> Result<Option<(&'t Stream, &'t Group)>, Fail> {
    Ok(stream_at(tx, key)?.and_then(|stream| Some((stream, stream.groups().get(group)?))))
}

/// A group of the stream at a key.
///
/// # Errors
/// There is no such key or group.
fn known_group<'t>(tx: &'t Tx<'_>, key: &[u8], group: &[u8]) -> Result<(&'t Stream, &'t Group), Fail> {
    group_at(tx, key, group)?.ok_or_else(|| no_group(key, group, ""))
}

#[cold]
fn no_group(key: &[u8], group: &[u8], context: &str) -> Fail {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    Fail::text(format!("NOGROUP No such key '{key}' or consumer group '{group}'{context}"))
}

#[cold]
fn no_group_for_key(key: &[u8], group: &[u8]) -> Fail {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    Fail::text(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

const BAD_ID: Fail = Fail::new("ERR Invalid stream ID specified as stream command argument");

/// Reads the identifier of one entry; a missing sequence number is 0.
fn parse_id(arg: &[u8]) -> Result<StreamId, Fail> {
    StreamId::parse_strict(arg, 0).ok_or(BAD_ID)
}

fn parse_ids(args: &[&[u8]]) -> Result<Vec<StreamId>, Fail> {
    args.iter().map(|arg| parse_id(arg)).collect()
}

fn parse_start(arg: &[u8]) -> Result<StreamId, Fail> {
    StreamId::parse_start(arg).map_err(|error| match error {
        BadBound::Invalid => BAD_ID,
        BadBound::Empty => Fail::new("ERR invalid start ID for the interval"),
    })
}

fn parse_end(arg: &[u8]) -> Result<StreamId, Fail> {
    StreamId::parse_end(arg).map_err(|error| match error {
        BadBound::Invalid => BAD_ID,
        BadBound::Empty => Fail::new("ERR invalid end ID for the interval"),
    })
}

/// The error of a command for an error of a value.
#[cold]
fn value_fail(error: crate::value::ValueError) -> Fail {
    Fail::text(error.to_string())
}
