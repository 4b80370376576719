//! Serving clients that wait for keys. It follows a command that changed such a key, before anything else runs on this
//! thread.

use super::gate::{self, Verdict};
use super::worker::Worker;
use crate::command::{Client, Fail, Parked};
use crate::engine::Phase;
use crate::node::handle::state;
use crate::node::{Served, StateSlot, end_transaction, output};
use crate::resp::{Proto, Reply};
use crate::store::{Awaited, KeyAt, Lent, Mode, Patience, shown};
use crate::value::stream::StreamId;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// Why a client's waiting ended without its being served.
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

/// The outcome of a waiting client's turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// The client was served, or does not wait.
    Over,
    /// The client found nothing and goes on waiting.
    Missed,
    /// The server may be ending: this client, and those behind it in the line, have their turn once the end was
    /// refused.
    Postponed,
    /// CLIENT PAUSE holds the client's command up; the clients behind it in the line wait too.
    HeldUp,
    /// A script has a shard that the client's command needs: this client, and those behind it in the line, have their
    /// turn once the shard is given back.
    Lent(Lent),
}

impl Worker {
    /// Serves the clients that wait for keys which have changed. Only one thread serves at a time, so that the client
    /// which has waited longest for a key is served first; another thread that has changed such keys waits until this
    /// one is done. The caller holds no shard.
    #[cold]
    pub fn serve_ready(&mut self) {
        let server = Arc::clone(&self.server);
        let store = &server.engine.store;
        let _serving = server.serving.lock();
        while server.engine.state().phase() == Phase::Serving {
            let Some((db, key)) = store.take_ready() else { return };
            let at = KeyAt { db, key: &key, hash: store.hash(&key) };
            for awaited in store.lines(at) {
                // The clients of the key's other lines wait as well: the key is looked at again.
                match self.serve_line(at, &awaited) {
                    Turn::Postponed => break,
                    Turn::Lent(lent) => {
                        store.put_off(at, lent);
                        break;
                    }
                    Turn::Over | Turn::Missed | Turn::HeldUp => {}
                }
            }
            store.served();
        }
    }

    /// Serves the clients in a line as long as the key has something for them.
    fn serve_line(&mut self, at: KeyAt<'_>, awaited: &Awaited) -> Turn {
        let server = Arc::clone(&self.server);
        // A client with a later ticket has looked at the key already.
        let (mut behind, upto) = (0, server.engine.store.last_ticket());
        loop {
            let reached = match self.reached(at, awaited) {
                Ok(Some(reached)) => reached,
                Ok(None) => break,
                Err(lent) => return Turn::Lent(lent),
            };
            let next = server.engine.store.next_waiter(at, awaited, (behind, upto), reached);
            let Some(next) = next else { break };
            behind = next.ticket;
            let Ok(parked) = next.who.as_any().downcast::<Parked>() else { continue };
            match self.serve(&parked, next.number) {
                turn @ (Turn::Postponed | Turn::HeldUp | Turn::Lent(_)) => return turn,
                Turn::Missed if awaited.is_for_one() => break,
                Turn::Missed | Turn::Over => {}
            }
        }
        Turn::Over
    }

    /// What a key has for a line. This look does not count for what this thread's replies show.
    fn reached(&self, at: KeyAt<'_>, awaited: &Awaited) -> Result<Option<StreamId>, Lent> {
        let engine = &self.server.engine;
        let look = || {
            let now = engine.clock.now_ms();
            let mut locked = engine.store.lock_one_within(Patience::Short, at.hash, Mode::Read, now)?;
            locked.now = engine.store.moment(locked.now, || engine.clock.now_ms());
            let home = engine.tables.home(at.db, at.key);
            let entry = locked.peek(engine.store.space(home), at.key, at.hash);
            Ok(awaited.reached(entry.filter(|entry| !entry.expired(locked.now))))
        };
        shown::apart(look).0
    }

    /// Runs a waiting client's command again, in the client's place, for one of its keys. If the command panics, only
    /// the client's own connection is lost: not the one whose command this thread has just run, nor those of the other
    /// waiting clients.
    pub(super) fn serve(&mut self, parked: &Parked, number: usize) -> Turn {
        let Some(mut slot) = parked.claim(number) else { return Turn::Over };
        let StateSlot::Waiting(mut client) = std::mem::replace(&mut *slot, StateSlot::Gone) else {
            return Turn::Over;
        };
        let began = self.server.engine.state();
        let wrote_before = std::mem::take(&mut self.wrote);
        let mut out = Reply::limited(proto_of(&client), output::most(&self.settings, &client.handle, true));
        let run = || self.run_again(&mut client, parked, number, &mut out);
        let (ran, shows) = shown::apart(|| catch_unwind(AssertUnwindSafe(run)));
        let wrote = std::mem::replace(&mut self.wrote, wrote_before);
        let Ok(turn) = ran else {
            end_transaction(&self.server.engine.store, &mut client);
            drop(slot);
            parked.give_up();
            return Turn::Over;
        };
        client.postponed = false;
        match turn {
            Turn::Over => {}
            Turn::Missed | Turn::Postponed | Turn::Lent(_) => {
                parked.wait_on(slot, client);
                return turn;
            }
            Turn::HeldUp => {
                parked.hold_up(slot, client, number);
                return turn;
            }
        }
        parked.end();
        *slot = StateSlot::Done(Box::new(Served { client: *client, reply: out.take(), wrote, shows, began }));
        parked.handle.blocked.store(state::NO, Release);
        drop(slot);
        parked.handle.waker.wake();
        Turn::Over
    }

    /// Runs the command of a waiting client for one of its keys.
    fn run_again(&mut self, client: &mut Client, parked: &Parked, number: usize, out: &mut Reply) -> Turn {
        let Some((_, key)) = parked.key(number) else { return Turn::Missed };
        let now = self.server.engine.clock.now_ms();
        let mut clock = self.server.engine.clock.monotonic_nanos();
        let alone: Vec<Cow<'_, [u8]>> = (parked.wait.alone)(&parked.wait, key);
        let again: Vec<&[u8]> = alone.iter().map(|arg| &**arg).collect();
        let outcome = match gate::check(self, client, parked.command, &again) {
            // If the server may be ending, the command goes on and is postponed under its locks.
            Ok(Verdict::Wait(_)) if self.server.engine.state().phase() != Phase::Ending => {
                return Turn::HeldUp;
            }
            Ok(_) => self.transact(client, parked.command, &again, None, now, out),
            Err(fail) => Err(fail),
        };
        if let Some(lent) = client.lacks.take() {
            return Turn::Lent(lent);
        }
        if client.postponed && self.server.engine.state().phase() != Phase::Ending {
            // A pause began after the command had passed its gates.
            return Turn::HeldUp;
        }
        if client.postponed {
            // The key has an element for the client. The shutdown may still be refused, so the client looks again.
            parked.look_again(&self.server.engine.store, number);
            return Turn::Postponed;
        }
        if outcome.is_ok() && client.wait.take().is_some() {
            return Turn::Missed;
        }
        client.wait = None;
        let args: Vec<&[u8]> = parked.wait.args.iter().map(|arg| &**arg).collect();
        self.count(client, parked.command, &args, outcome, 0, &mut clock, out);
        client.end_caching_given();
        Self::after(client, out, 0);
        Turn::Over
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
        client.end_caching_given();
        Self::after(client, out, mark);
    }
}
