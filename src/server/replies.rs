//! A connection's replies: they are written to its outbox, which holds them until what they show is durable.

use super::connection::Connection;
use super::outbox::Outbox;
use crate::engine::DurabilityState;
use crate::log::Lsn;
use crate::node::output;
use crate::resp::{Proto, Reply};
use crate::store::shown;
use std::cell::RefMut;

impl Connection {
    /// Takes over what other clients have sent this one. It may show writes, so it waits for them as replies do.
    pub(super) fn take_pushed(&mut self) {
        if self.shared.client.pushed_bytes() > 0 {
            let (messages, shows) = self.shared.client.take_pushed();
            self.local.refresh_limit(&self.shared, true);
            let mut outbox = self.shared.outbox.borrow_mut();
            let mut reply = self.local.sink(&self.shared, &mut outbox, Proto::V2);
            messages.into_iter().for_each(|message| reply.share(message));
            self.hand_over(outbox, reply, false, shows);
        }
    }

    /// Hands replies over, to be sent once what they show, the log up to `shows`, is durable. `began` is the state of
    /// durability before their commands ran.
    pub(super) fn answer(
        &self,
        outbox: RefMut<'_, Outbox>,
        reply: Reply,
        wrote: bool,
        shows: Lsn,
        began: DurabilityState,
    ) {
        let engine = &self.local.server.engine;
        let shows = if shows == shown::EVERYTHING { engine.everything_since(began) } else { shows };
        self.hand_over(outbox, reply, wrote, shows);
    }

    /// Hands replies over, to be sent once the log up to `shows` is durable. A client whose replies exceed its limit is
    /// closed.
    fn hand_over(&self, mut outbox: RefMut<'_, Outbox>, mut reply: Reply, wrote: bool, shows: Lsn) {
        if reply.overran() {
            output::close(&self.local.server.counts, &self.shared.client);
        }
        let waits = outbox.put_back(reply.take(), shows, self.local.server.engine.settled(), wrote);
        drop(outbox);
        if waits {
            self.local.flush_later(&self.shared);
        }
    }
}
