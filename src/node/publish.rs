//! Messages on channels: how they look, and how they get to their subscribers.
//!
//! A message is encoded once for each version of the protocol, and all subscribers share these bytes. Nobody who
//! publishes waits for a subscriber: a message is put into each one's inbox, and who does not read is closed at the
//! limit of its class.

use super::handle::ClientHandle;
use super::outgoing::Publication;
use super::output;
use super::server::Server;
use super::subscriptions::ChannelKind;
use crate::log::Lsn;
use bytes::Bytes;

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

/// Sends a message to all subscribers of a channel; returns how many it goes to. Those who get it see it once the log
/// is settled up to `shows`. O(subscribers + patterns).
pub fn publish<R>(
    server: &Server<R>,
    kind: ChannelKind,
    channel: &[u8],
    payload: &[u8],
    shows: Lsn,
) -> usize {
    let most = output::most_of_subscribers(&server.config.snapshot());
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
            output::close(server, client);
        }
    };
    server.roster.each_receiver(kind, channel, send)
}

/// Delivers the messages of transactions that have committed. When it returns, those of this thread's transactions are
/// in the inboxes. The caller holds no shard.
pub fn deliver_outgoing<R>(server: &Server<R>) {
    server.outgoing.deliver(|Publication { kind, channel, payload, shows }| {
        publish(server, kind, &channel, &payload, shows);
    });
}
