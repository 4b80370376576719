//! Messages that transactions publish: they are queued at the commit and delivered once the shards are given back.

use super::subscriptions::ChannelKind;
use crate::engine::AtCommit;
use crate::log::Lsn;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// An empty queue with room for more messages than this frees its memory.
const KEPT: usize = 1024;

/// A message that a transaction publishes when it commits.
pub struct Publication {
    /// The kind of channel.
    pub kind: ChannelKind,
    /// The channel.
    pub channel: Box<[u8]>,
    /// The message.
    pub payload: Box<[u8]>,
    /// The position in the log of the last record that the message shows.
    pub shows: Lsn,
}

/// The messages of transactions that have committed, in the order of their commits. A transaction queues its messages
/// while it holds its shards, and delivers what is queued once it has given them back. So the queue holds no more than
/// what the transactions have published that are just ending.
#[derive(Default)]
pub(super) struct Outgoing {
    queue: Mutex<VecDeque<Publication>>,
    /// How many messages are queued or on their way to inboxes.
    pending: AtomicUsize,
    /// The lock of the thread that delivers.
    delivering: Mutex<()>,
}

impl Outgoing {
    /// Queues a message. Takes no shard and no lock of the roster.
    pub(super) fn put(&self, publication: Publication) {
        self.pending.fetch_add(1, Relaxed);
        self.queue.lock().push_back(publication);
    }
}

impl Outgoing {
    /// Takes the first message out. A queue that is empty keeps little memory.
    fn next(&self) -> Option<Publication> {
        let mut queue = self.queue.lock();
        let next = queue.pop_front();
        if queue.is_empty() && queue.capacity() > KEPT {
            *queue = VecDeque::new();
        }
        next
    }

    /// Calls `send` with each message. When it returns, those that this thread has queued are sent. The caller holds no
    /// shard.
    pub(super) fn deliver(&self, mut send: impl FnMut(Publication)) {
        if self.pending.load(Acquire) == 0 {
            return;
        }
        let _delivering = self.delivering.lock();
        loop {
            let Some(publication) = self.next() else { return };
            send(publication);
            self.pending.fetch_sub(1, Release);
        }
    }
}

impl Publication {
    /// Has the message queued when a transaction commits.
    pub(super) fn at_commit(self, outgoing: &Arc<Outgoing>) -> AtCommit {
        let outgoing = Arc::clone(outgoing);
        Box::new(move |position| {
            let shows = self.shows.max(position.unwrap_or(0));
            outgoing.put(Self { shows, ..self });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_what_its_client_wrote_before_and_in_the_transaction() {
        for (before, position, shows) in [(0, None, 0), (7, None, 7), (7, Some(9), 9), (7, Some(3), 7)] {
            let outgoing = Arc::default();
            let (channel, payload) = (Box::from(&b"a"[..]), Box::from(&b"x"[..]));
            let publication = Publication { kind: ChannelKind::Channel, channel, payload, shows: before };
            publication.at_commit(&outgoing)(position);
            let mut sent = Vec::new();
            outgoing.deliver(|publication| sent.push(publication.shows));
            assert_eq!(sent, [shows]);
            outgoing.deliver(|_| panic!("it was delivered"));
        }
    }
}
