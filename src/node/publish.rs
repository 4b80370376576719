//! Messages on channels: how they look, and how they get to their subscribers.
//!
//! A message is encoded once for each version of the protocol, and all subscribers share these bytes. Nobody who
//! publishes waits for a subscriber: a message is put into each one's inbox, and who does not read is closed at the
//! limit of its class.

use super::counts::Counts;
use super::handle::ClientHandle;
use super::outgoing::{Outgoing, Posted, Publication};
use super::output;
use super::roster::Roster;
use super::subscriptions::ChannelKind;
use super::tracking::Tracking;
use crate::config::Config;
use crate::engine::AtCommit;
use crate::log::Lsn;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// The bytes of a message that has these parts, in a version of the protocol.
fn encoded(version: u8, parts: &[&[u8]]) -> Bytes {
    /// The length of a part's or the message's header at most.
    const HEADER: usize = 24;
    let room: usize = parts.iter().map(|part| part.len() + HEADER + 2).sum();
    let mut out = Vec::with_capacity(room + HEADER);
    let header = |mark: u8, len: usize, out: &mut Vec<u8>| {
        out.push(mark);
        out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    header(if version == 3 { b'>' } else { b'*' }, parts.len(), &mut out);
    for part in parts {
        header(b'$', part.len(), &mut out);
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    Bytes::from(out)
}

/// A message on its way to the subscribers that get it in the same form.
#[derive(Default)]
struct Forms([Option<Bytes>; 2]);

impl Forms {
    fn of(&mut self, version: u8, parts: &[&[u8]]) -> Bytes {
        let form = &mut self.0[usize::from(version == 3)];
        form.get_or_insert_with(|| encoded(version, parts)).clone()
    }
}

/// Channels and their messages, and clients that cache.
pub struct Broker {
    /// Who has subscribed to what.
    pub roster: Roster,
    /// Who caches what.
    pub tracking: Tracking,
    outgoing: Arc<Outgoing>,
    config: Arc<Config>,
    counts: Arc<Counts>,
}

impl Broker {
    /// Counts the subscriptions to channels and patterns in `subscriptions`.
    pub(super) fn new(config: Arc<Config>, counts: Arc<Counts>, subscriptions: Arc<AtomicUsize>) -> Self {
        let tracking = Tracking::new(Arc::clone(&config), Arc::clone(&counts));
        let roster = Roster::counting(subscriptions);
        Self { roster, tracking, outgoing: Arc::default(), config, counts }
    }

    /// Sends a message to all subscribers of a channel; returns how many it goes to. Those who get it see it once the
    /// log is settled up to `shows`. It follows the messages of transactions that have committed before. The caller
    /// holds no shard. O(subscribers + patterns).
    pub fn publish(&self, kind: ChannelKind, channel: &[u8], payload: &[u8], shows: Lsn) -> usize {
        if self.outgoing.is_empty() {
            return self.send(kind, channel, payload, shows);
        }
        let receivers = self.roster.each_receiver(kind, channel, |_, _| ());
        if receivers > 0 {
            let (channel, payload) = (channel.into(), payload.into());
            self.queue(Posted::Message(Publication { kind, channel, payload, shows }));
            self.deliver();
        }
        receivers
    }

    /// Puts a message into the inboxes of all subscribers of a channel; returns how many these are.
    fn send(&self, kind: ChannelKind, channel: &[u8], payload: &[u8], shows: Lsn) -> usize {
        let most = output::most_of_subscribers(&self.config.snapshot());
        let name: &[u8] = if kind == ChannelKind::Shard { b"smessage" } else { b"message" };
        let mut plain = Forms::default();
        let mut by_pattern = (Vec::new(), Forms::default());
        let send = |pattern: Option<&[u8]>, client: &ClientHandle| {
            let taken = match pattern {
                None => client.push(|version| plain.of(version, &[name, channel, payload]), shows, most),
                Some(pattern) => {
                    if by_pattern.0 != pattern {
                        by_pattern = (pattern.to_vec(), Forms::default());
                    }
                    let parts = [b"pmessage", pattern, channel, payload];
                    client.push(|version| by_pattern.1.of(version, &parts), shows, most)
                }
            };
            if !taken {
                output::close(&self.counts, client);
            }
        };
        self.roster.each_receiver(kind, channel, send)
    }

    /// Queues a message of a transaction that commits. Takes no shard and no lock of the roster.
    pub(super) fn queue(&self, what: Posted) {
        self.outgoing.put(what);
    }

    /// Publishes a message when a transaction commits.
    pub fn at_commit(&self, publication: Publication) -> AtCommit {
        publication.at_commit(&self.outgoing)
    }

    /// Delivers what transactions that have committed have queued. When it returns, what this thread's transactions
    /// have queued is in the inboxes, or another thread is about to put it there. The caller holds no shard.
    pub(super) fn deliver(&self) {
        self.outgoing.deliver(|what, turn| {
            match what {
                Posted::Message(Publication { kind, channel, payload, shows }) => {
                    self.send(kind, &channel, &payload, shows);
                }
                Posted::Events(mut events) => {
                    let mut send = |channel: &[u8], payload: &[u8], shows| {
                        self.send(ChannelKind::Channel, channel, payload, shows);
                    };
                    let all = events.tell(&self.roster, turn, &mut send);
                    return if all { None } else { Some(Posted::Events(events)) };
                }
                Posted::Invalidation(what) => self.tracking.tell(what),
            }
            *turn -= 1;
            None
        });
    }
}
