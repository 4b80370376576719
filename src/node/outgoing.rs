//! Messages that transactions publish: they are queued at the commit and delivered once the shards are given back.

use super::key_messages::QueuedEvents;
use super::subscriptions::ChannelKind;
use super::tracking::Invalidation;
use crate::engine::AtCommit;
use crate::log::Lsn;
use parking_lot::{Mutex, MutexGuard};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
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

/// What clients are to get.
pub(super) enum Posted {
    /// A message on a channel.
    Message(Publication),
    /// What has happened to keys.
    Events(QueuedEvents),
    /// What clients that cache are told.
    Invalidation(Invalidation),
}

/// How many messages a thread may have queued that another one is to deliver.
const MOST_OWN: usize = 1024;
/// After so many messages the right to deliver goes to a thread that waits for it.
const TURN: usize = 256;

thread_local! {
    /// How many messages this thread has queued since it last had the right to deliver.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// The messages of transactions that have committed, in the order of their commits. A transaction queues its messages
/// while it holds its shards, and has them delivered once it has given them back.
///
/// One thread delivers at a time. Others leave their messages to it, unless these have become many. So no thread waits
/// for the messages of another's transaction, and the queue holds little beside what single transactions have queued.
#[derive(Default)]
pub(super) struct Outgoing {
    queue: Mutex<VecDeque<Posted>>,
    /// How many messages are queued or on their way to inboxes.
    pending: AtomicUsize,
    /// The lock of the thread that delivers.
    delivering: Mutex<()>,
}

impl Outgoing {
    /// Queues a message. Takes no shard and no lock of the roster.
    pub(super) fn put(&self, what: Posted) {
        let weight = match &what {
            Posted::Events(events) => events.count(),
            Posted::Message(_) | Posted::Invalidation(_) => 1,
        };
        self.pending.fetch_add(1, Relaxed);
        self.queue.lock().push_back(what);
        OWN.set(OWN.get() + weight);
    }

    /// Whether all messages that this thread has seen queued are in inboxes.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.load(Acquire) == 0
    }

    /// Takes the first message out. A queue that is empty keeps little memory.
    fn next(&self) -> Option<Posted> {
        let mut queue = self.queue.lock();
        let next = queue.pop_front();
        if queue.is_empty() && queue.capacity() > KEPT {
            *queue = VecDeque::new();
        }
        next
    }

    /// Calls `send` with all that is queued, and with how many messages of this turn are left, which it counts down. It
    /// gives back what it has no turn left for. When this returns, what this thread has queued is sent, or another
    /// thread is sending what is queued. The caller holds no shard.
    pub(super) fn deliver(&self, mut send: impl FnMut(Posted, &mut usize) -> Option<Posted>) {
        // With the fence below: the thread that gives the right back sees what was queued before this one asked for it.
        fence(SeqCst);
        while !self.is_empty() {
            let many = OWN.get() >= MOST_OWN;
            let right = if many { Some(self.delivering.lock()) } else { self.delivering.try_lock() };
            let Some(right) = right else { return };
            OWN.set(0);
            let mut turn = TURN;
            while turn > 0 {
                let Some(next) = self.next() else { break };
                match send(next, &mut turn) {
                    None => {
                        self.pending.fetch_sub(1, Release);
                    }
                    Some(rest) => self.queue.lock().push_front(rest),
                }
            }
            MutexGuard::unlock_fair(right);
            fence(SeqCst);
        }
    }
}

impl Publication {
    /// Has the message queued when a transaction commits.
    pub(super) fn at_commit(self, outgoing: &Arc<Outgoing>) -> AtCommit {
        let outgoing = Arc::clone(outgoing);
        Box::new(move |position| {
            let shows = self.shows.max(position.unwrap_or(0));
            outgoing.put(Posted::Message(Self { shows, ..self }));
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
            outgoing.deliver(|what, _| match what {
                Posted::Message(publication) => {
                    sent.push(publication.shows);
                    None
                }
                Posted::Events(_) | Posted::Invalidation(_) => panic!("nobody told of these"),
            });
            assert_eq!(sent, [shows]);
            outgoing.deliver(|_, _| panic!("it was delivered"));
        }
    }
}
