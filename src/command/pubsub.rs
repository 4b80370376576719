//! Publish and subscribe: messages on channels, by their names, by patterns, or by shard channels.
//!
//! Confirmations of subscribing go the way of messages, so that they stand in their order with these and come also if
//! the client wants no replies. EXEC's array has one element for each command: a command's first confirmation, as an
//! array, which the others follow behind the reply of EXEC.

use super::spec::*;
use super::{Cx, Fail, Outcome, acl, help::help};
use crate::node::{ChannelKind, Publication, Roster, output};
use crate::resp::{Proto, Reply};
use crate::store::shown;
use bytes::Bytes;
use std::sync::Arc;

const SUBSCRIBES: u64 =
    flag::PUBSUB | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::IN_SUBSCRIPTION | flag::SUBSCRIPTIONS;
const PUBLISHES: u64 = flag::PUBSUB | flag::LOADING | flag::STALE | flag::FAST | flag::MAY_REPLICATE;
const SHOWS: u64 = flag::PUBSUB | flag::LOADING | flag::STALE;
const SHARD_CHANNELS: &[KeySpec] = &[keys_at(1, -1, 1, &["not_key"])];
const SHARD_CHANNEL: &[KeySpec] = &[keys_at(1, 0, 1, &["not_key"])];

in_group!(of_pubsub, "pubsub");

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    of_pubsub(
        spec("subscribe", -2, SUBSCRIBES, |cx, args| subscribe(cx, ChannelKind::Channel, args)),
        "2.0.0",
        "O(N) where N is the number of channels to subscribe to.",
        "Has the messages of channels sent to the connection.",
        "channel [channel ...]",
    ),
    of_pubsub(
        spec("unsubscribe", -1, SUBSCRIBES, |cx, args| unsubscribe(cx, ChannelKind::Channel, args)),
        "2.0.0",
        "O(N) where N is the number of channels to unsubscribe.",
        "Ends subscriptions to channels, or to all of them.",
        "[channel [channel ...]]",
    ),
    of_pubsub(
        spec("psubscribe", -2, SUBSCRIBES, |cx, args| subscribe(cx, ChannelKind::Pattern, args)),
        "2.0.0",
        "O(N) where N is the number of patterns to subscribe to.",
        "Has the messages of all channels whose names match a pattern sent to the connection.",
        "pattern [pattern ...]",
    ),
    of_pubsub(
        spec("punsubscribe", -1, SUBSCRIBES, |cx, args| unsubscribe(cx, ChannelKind::Pattern, args)),
        "2.0.0",
        "O(N) where N is the number of patterns to unsubscribe.",
        "Ends subscriptions to patterns, or to all of them.",
        "[pattern [pattern ...]]",
    ),
    of_pubsub(
        spec("ssubscribe", -2, SUBSCRIBES, |cx, args| subscribe(cx, ChannelKind::Shard, args)),
        "7.0.0",
        "O(N) where N is the number of shard channels to subscribe to.",
        "Has the messages of shard channels sent to the connection.",
        "shardchannel [shardchannel ...]",
    )
    .channels(SHARD_CHANNELS),
    of_pubsub(
        spec("sunsubscribe", -1, SUBSCRIBES, |cx, args| unsubscribe(cx, ChannelKind::Shard, args)),
        "7.0.0",
        "O(N) where N is the number of shard channels to unsubscribe.",
        "Ends subscriptions to shard channels, or to all of them.",
        "[shardchannel [shardchannel ...]]",
    )
    .channels(SHARD_CHANNELS),
    of_pubsub(
        spec("publish", 3, PUBLISHES, |cx, args| publish(cx, ChannelKind::Channel, args)),
        "2.0.0",
        "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of \
         subscribed patterns (by any client).",
        "Sends a message to the subscribers of a channel.",
        "channel message",
    ),
    of_pubsub(
        spec("spublish", 3, PUBLISHES, |cx, args| publish(cx, ChannelKind::Shard, args)),
        "7.0.0",
        "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        "Sends a message to the subscribers of a shard channel.",
        "shardchannel message",
    )
    .channels(SHARD_CHANNEL),
    of_pubsub(
        spec("pubsub", -2, 0, help),
        "2.8.0",
        "Depends on subcommand.",
        "A container for commands about subscriptions.",
        "",
    )
    .subs(SUBS),
];

static SUBS: &[Spec] = &[
    of_pubsub(
        spec("channels", -2, SHOWS, |cx, args| channels(cx, ChannelKind::Channel, args)),
        "2.8.0",
        "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short \
         channels and patterns)",
        "Returns the channels that have subscribers.",
        "[pattern]",
    ),
    of_pubsub(spec("help", 2, flag::LOADING | flag::STALE, help), "6.2.0", "O(1)", "Prints this help.", ""),
    of_pubsub(
        spec("numpat", 2, SHOWS, count_patterns),
        "2.8.0",
        "O(1)",
        "Returns how many patterns have subscribers.",
        "",
    ),
    of_pubsub(
        spec("numsub", -2, SHOWS, |cx, args| count_subscribers(cx, ChannelKind::Channel, args)),
        "2.8.0",
        "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        "Returns how many clients have subscribed to each channel; patterns do not count.",
        "[channel [channel ...]]",
    ),
    of_pubsub(
        spec("shardchannels", -2, SHOWS, |cx, args| channels(cx, ChannelKind::Shard, args)),
        "7.0.0",
        "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively \
         short shard channels).",
        "Returns the shard channels that have subscribers.",
        "[pattern]",
    ),
    of_pubsub(
        spec("shardnumsub", -2, SHOWS, |cx, args| count_subscribers(cx, ChannelKind::Shard, args)),
        "7.0.0",
        "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
        "Returns how many clients have subscribed to each shard channel.",
        "[shardchannel [shardchannel ...]]",
    ),
];

/// The words of the confirmations of subscribing and of its end.
fn words(kind: ChannelKind) -> [&'static str; 2] {
    match kind {
        ChannelKind::Channel => ["subscribe", "unsubscribe"],
        ChannelKind::Pattern => ["psubscribe", "punsubscribe"],
        ChannelKind::Shard => ["ssubscribe", "sunsubscribe"],
    }
}

/// Begins or ends one subscription, or confirms, without a name, that there is none to end. `is_first`: this is the
/// command's first confirmation.
fn change(cx: &mut Cx<'_, '_>, kind: ChannelKind, name: Option<&[u8]>, subscribes: bool, is_first: bool) {
    let Cx { client, server, settings, out, .. } = cx;
    let handle = Arc::clone(&client.handle);
    let confirm = |out: &mut Reply| {
        let [begins, ends] = words(kind);
        let count = match kind {
            ChannelKind::Shard => handle.subscribed(ChannelKind::Shard),
            ChannelKind::Channel | ChannelKind::Pattern => {
                handle.subscribed(ChannelKind::Channel) + handle.subscribed(ChannelKind::Pattern)
            }
        };
        out.bulk(if subscribes { begins } else { ends }.as_bytes());
        match name {
            Some(name) => out.bulk(name),
            None => out.null(),
        }
        out.len_int(count);
    };
    let mut then = || {
        if client.in_exec && is_first {
            out.array(3);
            return confirm(out);
        }
        let encoded = |version| {
            let mut reply = Reply::new(if version == 3 { Proto::V3 } else { Proto::V2 });
            reply.push(3);
            confirm(&mut reply);
            Bytes::from(reply.since(0).into_owned())
        };
        if !handle.push(encoded, 0, output::most(settings, &handle, true)) {
            output::close(&server.counts, &handle);
        }
    };
    match name {
        Some(name) => server.broker.roster.change(kind, name, &client.handle, subscribes, then),
        None => then(),
    }
    client.subscriber = client.handle.is_subscriber();
}

fn subscribe(cx: &mut Cx<'_, '_>, kind: ChannelKind, args: &[&[u8]]) -> Outcome {
    args[1..].iter().enumerate().for_each(|(at, name)| change(cx, kind, Some(name), true, at == 0));
    acl::subscribed(cx);
    Ok(())
}

fn unsubscribe(cx: &mut Cx<'_, '_>, kind: ChannelKind, args: &[&[u8]]) -> Outcome {
    args[1..].iter().enumerate().for_each(|(at, name)| change(cx, kind, Some(name), false, at == 0));
    if args.len() == 1 {
        let names = Roster::names_of(&cx.client.handle, kind);
        names.iter().enumerate().for_each(|(at, name)| change(cx, kind, Some(name), false, at == 0));
        if names.is_empty() {
            change(cx, kind, None, false, true);
        }
    }
    Ok(())
}

/// A message may tell of what its client has written before. So it is sent once that is durable; inside a transaction,
/// once the transaction is. A script may publish what it has read, so its message waits for that, too.
fn publish(cx: &mut Cx<'_, '_>, kind: ChannelKind, args: &[&[u8]]) -> Outcome {
    let (channel, payload, shows) = (args[1], args[2], cx.client.wrote_upto);
    let receivers = if cx.client.in_exec {
        let receivers = cx.server.broker.roster.each_receiver(kind, channel, |_, _| ());
        if receivers > 0 {
            let more = channel.len() + payload.len();
            if (cx.tx.told_bytes() + more) as u64 > cx.settings.transaction_max_memory {
                return Err(Fail::tells_too_much(cx.settings));
            }
            let seen = match shown::so_far() {
                shown::EVERYTHING => cx.tx.engine().tail(),
                seen => seen,
            };
            let shows = shows.max(seen);
            let publication = Publication { kind, channel: channel.into(), payload: payload.into(), shows };
            cx.tx.at_commit(cx.server.broker.at_commit(publication), more);
        }
        receivers
    } else {
        cx.server.broker.publish(kind, channel, payload, shows)
    };
    cx.out.len_int(receivers);
    Ok(())
}

fn channels(cx: &mut Cx<'_, '_>, kind: ChannelKind, args: &[&[u8]]) -> Outcome {
    let pattern: &[u8] = match &args[2..] {
        [] => b"*",
        [pattern] => pattern,
        _ => return Err(Fail::sub_syntax(args)),
    };
    let names = cx.server.broker.roster.names(kind, pattern);
    cx.out.array(names.len());
    names.iter().for_each(|name| cx.out.bulk(name));
    Ok(())
}

fn count_subscribers(cx: &mut Cx<'_, '_>, kind: ChannelKind, args: &[&[u8]]) -> Outcome {
    cx.out.array(2 * (args.len() - 2));
    for name in &args[2..] {
        cx.out.bulk(name);
        cx.out.len_int(cx.server.broker.roster.subscribers(kind, name));
    }
    Ok(())
}

fn count_patterns(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.len_int(cx.server.broker.roster.count(ChannelKind::Pattern));
    Ok(())
}
