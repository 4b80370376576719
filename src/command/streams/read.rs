//! XREAD, and the arguments that it shares with XREADGROUP.

use super::{parse_id, reply, stream_at};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int, parse_timeout_ms};
use crate::node::{AwaitedKey, Wait};
use crate::resp::Reply;
use crate::store::Awaited;
use crate::value::stream::{Stream, StreamId};
use std::borrow::Cow;

/// The options of XREAD and XREADGROUP, and the position of the keys.
#[derive(Default)]
pub(super) struct ReadOptions<'a> {
    /// Whether BLOCK was given.
    waits: bool,
    /// How long it waits, in ms; `None` to wait for ever.
    timeout: Option<u64>,
    /// COUNT; 0 for all entries.
    pub(super) count: usize,
    /// GROUP: the group and the consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// CLAIM: for how many ms a pending entry must have been idle to be read again; `None` leaves pending entries.
    pub(super) claim: Option<u64>,
    /// NOACK.
    pub(super) no_ack: bool,
    /// The position of the first key.
    pub(super) first: usize,
    /// The number of keys. As many identifiers follow them.
    pub(super) keys: usize,
}

impl<'a> ReadOptions<'a> {
    pub(super) fn parse(args: &[&'a [u8]], in_group: bool, now: u64) -> Result<Self, Fail> {
        let mut options = Self::default();
        let mut at = 1;
        while let Some(word) = args.get(at) {
            let more = args.len() - 1 - at;
            if more > 0 && eq(word, "BLOCK") {
                at += 1;
                (options.waits, options.timeout) = (true, parse_timeout_ms(args[at], now)?);
            } else if more > 0 && eq(word, "COUNT") {
                at += 1;
                options.count = usize::try_from(parse_int(args[at])?).unwrap_or(0);
            } else if more > 0 && eq(word, "STREAMS") {
                options.first = at + 1;
                options.keys = more / 2;
                if !more.is_multiple_of(2) {
                    return Err(unbalanced(in_group));
                }
                break;
            } else if more > 1 && eq(word, "GROUP") {
                if !in_group {
                    return Err(only_in_group("GROUP"));
                }
                options.group = Some((args[at + 1], args[at + 2]));
                at += 2;
            } else if more > 0 && eq(word, "CLAIM") {
                if !in_group {
                    return Err(only_in_group("CLAIM"));
                }
                at += 1;
                options.claim = Some(
                    u64::try_from(parse_int(args[at])?)
                        .map_err(|_| Fail::new("ERR Invalid min-idle-time argument for XREADGROUP"))?,
                );
            } else if eq(word, "NOACK") {
                if !in_group {
                    return Err(only_in_group("NOACK"));
                }
                options.no_ack = true;
            } else {
                return Err(fail::SYNTAX);
            }
            at += 1;
        }
        if options.first == 0 { Err(fail::SYNTAX) } else { Ok(options) }
    }

    /// The key with this number, and the position of its identifier.
    pub(super) fn key(&self, args: &[&'a [u8]], number: usize) -> (&'a [u8], usize) {
        (args[self.first + number], self.first + self.keys + number)
    }

    /// Waits for entries in one of the keys; if the command may not wait, answers as after a timeout. `awaited` says
    /// for each key what the client waits for, and after which identifier.
    pub(super) fn wait(
        &self,
        cx: &mut Cx<'_, '_>,
        args: &[&[u8]],
        awaited: impl Fn(usize) -> (Awaited, StreamId),
    ) {
        if !self.waits || !cx.may_wait() {
            cx.out.null_array();
            return;
        }
        let now = cx.server.engine.clock.instant();
        let key = |number| {
            let (awaited, behind) = awaited(number);
            AwaitedKey { key: self.key(args, number).0.into(), awaited, behind }
        };
        cx.wait(Wait {
            keys: (0..self.keys).map(key).collect(),
            until: self.timeout.map(|ms| now.after_ms(ms)),
            args: args.iter().map(|arg| Box::from(*arg)).collect(),
            first_key: self.first,
            alone,
            reply_on_timeout: Reply::null_array,
        });
    }
}

/// The arguments of the command with one of its keys only.
fn alone<'a>(wait: &'a Wait, key: &'a AwaitedKey) -> Vec<Cow<'a, [u8]>> {
    let id = match &key.awaited {
        Awaited::Entries => Cow::Owned(key.behind.to_string().into_bytes()),
        Awaited::NewTo(_) | Awaited::Elements(_) | Awaited::Members => Cow::Borrowed(&b">"[..]),
    };
    let before = wait.args.iter().take(wait.first_key).map(|arg| Cow::Borrowed(&**arg));
    before.chain([Cow::Borrowed(&*key.key), id]).collect()
}

#[cold]
fn only_in_group(option: &str) -> Fail {
    Fail::text(format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."))
}

#[cold]
fn unbalanced(in_group: bool) -> Fail {
    let (name, mark) = if in_group { ("xreadgroup", '>') } else { ("xread", '$') };
    Fail::text(format!(
        "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{mark}' must be specified."
    ))
}

/// Writes the replies of several streams: a map, in RESP2 an array of pairs.
pub(super) struct Streams {
    begun: Option<crate::resp::Deferred>,
    len: usize,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { begun: None, len: 0 }
    }

    /// Begins the reply of the next stream.
    pub(super) fn next(&mut self, out: &mut Reply, key: &[u8]) {
        if self.begun.is_none() {
            self.begun = Some(out.begin_deferred());
        }
        self.len += 1;
        if !out.is_resp3() {
            out.array(2);
        }
        out.bulk(key);
    }

    /// Ends the reply. Returns false if there was no stream; then nothing was written.
    pub(super) fn end(self, out: &mut Reply) -> bool {
        let Some(begun) = self.begun else { return false };
        if out.is_resp3() {
            out.end_map(begun, self.len);
        } else {
            out.end_array(begun, self.len);
        }
        true
    }
}

/// The identifier after which a stream is read.
fn behind(stream: Option<&Stream>, text: &[u8]) -> Result<StreamId, Fail> {
    let last_id = stream.map_or(StreamId::MIN, Stream::last_id);
    match text {
        b"$" => Ok(last_id),
        b"+" => {
            let last = stream.and_then(|stream| stream.range_rev(StreamId::MIN, StreamId::MAX).next());
            Ok(last.and_then(|entry| entry.id.prev()).unwrap_or(last_id))
        }
        b">" => Err(Fail::new(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        text => parse_id(text),
    }
}

pub(super) fn xread(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = ReadOptions::parse(args, false, cx.tx.now())?;
    let mut ids = Vec::with_capacity(options.keys);
    for number in 0..options.keys {
        let (key, id) = options.key(args, number);
        ids.push(behind(stream_at(cx.tx, key)?, args[id])?);
    }
    let mut streams = Streams::new();
    for (number, id) in ids.iter().enumerate() {
        let key = options.key(args, number).0;
        let (Some(stream), Some(start)) = (stream_at(cx.tx, key)?, id.next()) else { continue };
        let mut found = stream.range(start, StreamId::MAX).peekable();
        if found.peek().is_some() {
            streams.next(cx.out, key);
            reply::entries(cx.out, found, options.count);
        }
    }
    if !streams.end(cx.out) {
        // The client waits for entries after the resolved identifiers, not after `$` as it is when the command runs
        // again.
        options.wait(cx, args, |number| (Awaited::Entries, ids[number]));
    }
    Ok(())
}
