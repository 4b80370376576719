//! A connection's replies: written to its outbox, sent, and bounded.

use super::connection::Connection;
use super::outbox::Outbox;
use super::stream::WriteHalf;
use super::worker::Local;
use crate::engine::State;
use crate::log::Lsn;
use crate::node::{ClientHandle, Kill, output};
use crate::resp::{Proto, Reply};
use crate::store::shown;
use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What the task and the flusher share of a connection.
pub(super) struct Shared {
    pub(super) outbox: RefCell<Outbox>,
    /// The most bytes of replies that may be held, as of the last commands; any number if it is 0.
    pub(super) most: Cell<usize>,
    pub(super) write: WriteHalf,
    pub(super) client: Arc<ClientHandle>,
    /// Whether the connection only waits until its last replies are sent.
    pub(super) draining: Cell<bool>,
    /// Whether it is among the worker's parked connections.
    pub(super) is_parked: Cell<bool>,
}

impl Shared {
    /// Whether more replies are held than the limit allows: then the client is closed, and gets none of them.
    fn is_above_limit(&self, local: &Local) -> bool {
        let most = self.most.get();
        let above = most != 0 && self.outbox.borrow().held() > most;
        if above {
            output::close(&local.server, &self.client);
        }
        above
    }

    /// Where the client's next replies are written to: behind those that wait.
    pub(super) fn sink(&self, local: &Local, outbox: &mut Outbox, proto: Proto) -> Reply {
        let mut chain = outbox.take();
        chain.set_most(self.most.get());
        chain.offer_room(|| local.spares.take());
        Reply::onto(chain, proto)
    }

    /// Sends what may be sent. A failed socket ends the connection.
    pub(super) fn flush(&self, local: &Local) {
        if self.client.killed() == Kill::Now || self.is_above_limit(local) {
            return;
        }
        let flushed = {
            let mut outbox = self.outbox.borrow_mut();
            let flushed = outbox.flush(&self.write);
            self.client.output_bytes.store(outbox.held(), Relaxed);
            if outbox.is_empty() {
                local.spares.give(outbox.take_room());
            }
            flushed
        };
        match flushed {
            Ok(0) => {}
            Ok(n) => {
                local.stats.bytes_out.add(n as u64);
                local.stats.writes.add(1);
                self.client.bytes_out.fetch_add(n as u64, Relaxed);
            }
            Err(_) => self.client.kill(Kill::Now),
        }
    }
}

impl Connection {
    /// Takes over what others push. It may show writes, and waits for them as replies do.
    pub(super) fn take_pushed(&mut self) {
        if self.shared.client.pushed_bytes() > 0 {
            let (pushed, shows) = self.shared.client.take_pushed();
            let mut outbox = self.shared.outbox.borrow_mut();
            let mut reply = self.shared.sink(&self.local, &mut outbox, Proto::V2);
            reply.append(pushed);
            self.hand_over(outbox, reply, false, shows);
        }
    }

    /// Hands replies over to be sent once what they show is durable: the log up to `shows`. `began` is what durability
    /// was before their commands ran.
    pub(super) fn answer(
        &self,
        outbox: RefMut<'_, Outbox>,
        reply: Reply,
        wrote: bool,
        shows: Lsn,
        began: State,
    ) {
        let engine = &self.local.server.engine;
        let shows = if shows == shown::EVERYTHING { engine.everything_since(began) } else { shows };
        self.hand_over(outbox, reply, wrote, shows);
    }

    /// The same, where the log's position is known. A client for which more would have to be held than it may is
    /// closed.
    fn hand_over(&self, mut outbox: RefMut<'_, Outbox>, mut reply: Reply, wrote: bool, shows: Lsn) {
        if reply.overran() {
            output::close(&self.local.server, &self.shared.client);
        }
        let waits = outbox.put_back(reply.take(), shows, self.local.server.engine.settled(), wrote);
        drop(outbox);
        if waits {
            self.local.flush_later(&self.shared);
        }
    }
}
