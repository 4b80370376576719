//! Serving clients that wait for keys: after a command that changed such a key, before anything else runs on this thread.

use super::batch::Worker;
use super::gate;
use crate::command::blocking::{Parked, Served, Slot, state};
use crate::command::client::Kill;
use crate::command::{Client, Fail, output};
use crate::engine::Phase;
use crate::resp::{Proto, Reply};
use crate::store::{Mode, shown};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// What ends a client's waiting when nobody served it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitEnd {
    /// Its time is up, or CLIENT UNBLOCK says so.
    TimedOut,
    /// CLIENT UNBLOCK ... ERROR.
    Unblocked,
}

const UNBLOCKED: Fail = Fail::new("UNBLOCKED client unblocked via CLIENT UNBLOCK");

/// The protocol that a client speaks.
fn proto_of(client: &Client) -> Proto {
    if client.handle.resp.load(Relaxed) == 3 { Proto::V3 } else { Proto::V2 }
}

/// What became of the turn of a client that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It was served, or waits on and leaves the key to the next one.
    Taken,
    /// It is to have its turn later, and so are those behind it.
    Postponed,
}

impl Worker {
    /// Serves those who wait for keys that have changed. One thread does at a time, so that the first who waits for a key is the
    /// first who gets something; others that come upon such keys wait for it to be done. No shard is held here.
    #[cold]
    pub fn serve_ready(&mut self) {
        let server = Arc::clone(&self.server);
        let store = &server.engine.store;
        let _serving = server.serving.lock();
        while server.engine.state().phase() == Phase::Serving {
            let Some((db, key)) = store.take_ready() else { return };
            for who in store.waiting(db, &key, store.hash(&key)) {
                if let Ok(parked) = who.as_any().downcast::<Parked>()
                    && self.serve_surely(&parked, db, &key) == Turn::Postponed
                {
                    // Those behind it wait as it does: the key is among the ready ones again.
                    break;
                }
            }
            store.served();
        }
    }

    /// Whether a key is such that a client that waits for it should look at it.
    fn concerns(&self, parked: &Parked, db: usize, key: &[u8]) -> bool {
        let engine = &self.server.engine;
        let hash = engine.store.hash(key);
        let mut locked = engine.store.lock_one(hash, Mode::Read, engine.clock.now_ms());
        locked.now = engine.store.moment(locked.now, || engine.clock.now_ms());
        let home = engine.tables.home(db, key);
        let entry = locked.peek(engine.store.space(home), key, hash);
        parked.wait.on_absence
            || entry.is_some_and(|entry| !entry.expired(locked.now) && parked.wait.awaited.fits(entry))
    }

    /// Serves a waiting client. A panic of its command costs its connection: neither this one, which only came by, nor the others
    /// who wait.
    pub(super) fn serve_surely(&mut self, parked: &Parked, db: usize, key: &[u8]) -> Turn {
        let wrote = self.wrote;
        let served = std::panic::catch_unwind(AssertUnwindSafe(|| self.serve(parked, db, key)));
        served.unwrap_or_else(|_| {
            self.wrote = wrote;
            parked.unregister(&self.server.engine.store);
            parked.handle.kill(Kill::Now);
            Turn::Taken
        })
    }

    /// Runs a waiting client's command again, in its place.
    fn serve(&mut self, parked: &Parked, db: usize, key: &[u8]) -> Turn {
        if !self.concerns(parked, db, key) {
            return Turn::Taken;
        }
        let Some(mut slot) = parked.claim() else { return Turn::Taken };
        let Slot::Waiting(mut client) = std::mem::replace(&mut *slot, Slot::Elsewhere) else {
            return Turn::Taken;
        };
        let began = self.server.engine.state();
        let wrote_before = std::mem::take(&mut self.wrote);
        let mut out = Reply::limited(proto_of(&client), output::most(&self.settings, true));
        let (served, shows) = shown::apart(|| self.run_again(&mut client, parked, &mut out));
        let wrote = std::mem::replace(&mut self.wrote, wrote_before);
        if !served {
            let turn = if std::mem::take(&mut client.postponed) { Turn::Postponed } else { Turn::Taken };
            *slot = Slot::Waiting(client);
            parked.handle.blocked.store(state::WAITING, Release);
            return turn;
        }
        parked.unregister(&self.server.engine.store);
        *slot = Slot::Done(Box::new(Served { client: *client, reply: out.take(), wrote, shows, began }));
        parked.handle.blocked.store(state::NO, Release);
        drop(slot);
        parked.handle.waker.wake();
        Turn::Taken
    }

    /// Runs the command of a client that waits; false if it waits on.
    fn run_again(&mut self, client: &mut Client, parked: &Parked, out: &mut Reply) -> bool {
        let now = self.server.engine.clock.now_ms();
        let mut clock = self.server.engine.clock.monotonic_nanos();
        let args: Vec<&[u8]> = parked.wait.args.iter().map(|arg| &**arg).collect();
        let mut again = args.clone();
        for (at, arg) in &parked.wait.worked_out {
            again[*at] = arg;
        }
        let outcome = gate::check(self, client, parked.command, &again, now)
            .and_then(|_| self.transact(client, parked.command, &again, None, now, out));
        if client.postponed {
            // What it waits for is there, and is looked at again if the server does not end.
            parked.look_again(&self.server.engine.store);
            return false;
        }
        if outcome.is_ok() && client.wait.take().is_some() {
            return false;
        }
        client.wait = None;
        self.count(client, parked.command, &args, outcome, 0, &mut clock, out);
        Self::after(client, out, 0);
        true
    }

    /// Answers a client whose waiting has ended without its being served.
    pub fn end_wait(&mut self, client: &mut Client, parked: &Parked, end: WaitEnd, out: &mut Reply) {
        let mark = out.len();
        let mut clock = self.server.engine.clock.monotonic_nanos();
        let args: Vec<&[u8]> = parked.wait.args.iter().map(|arg| &**arg).collect();
        let outcome = match end {
            WaitEnd::TimedOut => {
                (parked.wait.reply_on_timeout)(out);
                Ok(())
            }
            WaitEnd::Unblocked => Err(UNBLOCKED),
        };
        self.count(client, parked.command, &args, outcome, mark, &mut clock, out);
        Self::after(client, out, mark);
    }
}
