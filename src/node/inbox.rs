//! What others have sent a client and its connection has not taken over yet.

use crate::log::Lsn;
use bytes::{Bytes, BytesMut};

/// Messages to one client, in their order.
#[derive(Default)]
pub(super) struct Inbox {
    messages: Vec<Bytes>,
    /// The bytes that they take.
    bytes: usize,
    /// The position in the log of the last record that they show.
    shows: Lsn,
}

impl Inbox {
    /// Adds a message that shows the log up to `shows`. False if the messages would take more than `room` bytes: then
    /// all of them are dropped, because the client will be closed.
    pub(super) fn put(&mut self, message: Bytes, shows: Lsn, room: usize) -> bool {
        let bytes = self.bytes + message.len() + size_of::<Bytes>();
        if bytes > room {
            *self = Self::default();
            return false;
        }
        self.bytes = bytes;
        self.shows = self.shows.max(shows);
        self.messages.push(message);
        true
    }

    /// Rewrites the messages for another version of the protocol. The two forms of a message differ in their first byte
    /// only. What cannot be said in RESP2, a push that is no message of a channel, is dropped.
    pub(super) fn rewrite(&mut self, version: u8) {
        let (old, new) = if version == 3 { (b'*', b'>') } else { (b'>', b'*') };
        self.messages.retain_mut(|message| match message.first() {
            Some(first) if *first == old && version == 2 && message.starts_with(b">2\r\n") => false,
            Some(first) if *first == old => {
                let mut rewritten = BytesMut::from(&message[..]);
                rewritten[0] = new;
                *message = rewritten.freeze();
                true
            }
            _ => true,
        });
        self.bytes = self.messages.iter().map(|message| message.len() + size_of::<Bytes>()).sum();
    }

    /// The bytes that the messages take; 0 if there are none.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all messages out, with the position in the log of the last record that they show.
    pub(super) fn take(&mut self) -> (Vec<Bytes>, Lsn) {
        let Self { messages, shows, .. } = std::mem::take(self);
        (messages, shows)
    }
}
