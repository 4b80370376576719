//! Running one command outside MULTI as a unit of work over the shards of its keys.

use super::call::{Call, KnownHash};
use super::locks::{self, Ahead, How, Only};
use super::worker::Worker;
use super::{exec, gate};
use crate::command::{
    Client, Command, Cx, Fail, Parked, Server, counts_lookups, flag, has_function, held_up, is_write,
};
use crate::config::Settings;
use crate::engine::{Engine, NotNow, Reach, StaleKeys, Tx, UnitOfWork};
use crate::node::WorkerStats;
use crate::node::handle::state;
use crate::resp::Reply;
use crate::store::{Locked, Mode, Patience, shown};
use std::sync::atomic::Ordering::Relaxed;

/// One command of a client.
struct OneCommand<'c> {
    call: Call<'c>,
    /// What was worked out ahead about the command's only key.
    ahead: Option<Ahead>,
    /// The hash of the only key, if the shard was locked by that hash.
    known_hash: Option<KnownHash>,
    now: u64,
    /// [`Store::clears`](crate::store::Store::clears) before the command locked its shards.
    clears: u64,
    /// The length of the replies before the command's own.
    mark: usize,
    client: &'c mut Client,
    server: &'c Server,
    settings: &'c Settings,
    stats: &'c WorkerStats,
    out: &'c mut Reply,
}

/// What the run of a command leaves to be done once its shards are given back.
struct Ran {
    outcome: Result<(), Fail>,
    wrote: bool,
    /// Expired keys that it came upon.
    stale: Option<Box<StaleKeys>>,
}

impl UnitOfWork for OneCommand<'_> {
    type Done = Ran;

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn lock<'e>(&mut self, engine: &'e Engine, reach: &Reach) -> Result<Locked<'e>, NotNow> {
        if self.client.takes_long {
            return Err(NotNow::TakesLong);
        }
        if self.call.command.has(flag::WHOLE) {
            self.clears = engine.store.clears();
        }
        let db = self.client.db;
        let mode = if is_write(self.call.command) { Mode::Write } else { Mode::Read };
        let ahead = self.ahead.filter(|ahead| reach.is_first() && ahead.is_of(db));
        self.known_hash = ahead.and_then(|ahead| ahead.known_hash(self.call.command));
        self.call.prepare(engine, self.settings, self.now);
        if self.call.command.has(flag::FUNCTION)
            && !has_function(self.server, self.settings, self.call.args, self.client.has_own_thread)
        {
            self.client.takes_long = true;
            return Err(NotNow::TakesLong);
        }
        if let Some(hint) = ahead
            && let Some(locked) = locks::lock_ahead(engine, hint, mode, self.now)?
        {
            return Ok(locked);
        }
        self.known_hash = None;
        let gives_up = locks::gives_up(self.server, self.settings.busy_reply_threshold);
        let mut patience = Patience::Short;
        if self.client.has_own_thread && self.call.command.has(flag::SCRIPT) {
            locks::may_begin(self.server)?;
            patience = Patience::Lends(&gives_up);
        }
        let how = How { patience, mode, now: self.now };
        Ok(locks::lock_command(engine, self.settings, &mut self.call, db, reach, how)?)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn admit(&self, engine: &Engine, locked: &Locked<'_>) -> Result<(), NotNow> {
        let command = self.call.command;
        gate::check_locked(engine, locked, command)?;
        gate::check_pause(self.server, || gate::is_pausable(self.server, command, self.call.args))
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn run(&mut self, tx: &mut Tx<'_>) -> Ran {
        let (command, args, engine) = (self.call.command, self.call.args, tx.engine());
        if tx.locked().holds_none() && command.may_show_data() {
            shown::note_everything();
        }
        // A script can also be undone because it takes long, or because the server ends.
        let may_lack = locks::may_lack_shards(engine, command);
        if may_lack && (command.has(flag::SCRIPT) || !tx.locked().holds_all()) {
            tx.expect_more_shards();
        }
        if let Some(known) = self.known_hash {
            known.tell(tx, command, args);
        }
        if self.client.handle.no_touch.load(Relaxed) {
            tx.set_no_touch(true);
        }
        let mut cx = Cx {
            tx,
            out: self.out,
            client: self.client,
            server: self.server,
            settings: self.settings,
            prepared: &mut self.call.prepared,
        };
        let mut outcome = crate::command::run(command, &mut cx, args);
        if tx.lacks_shards() {
            return Ran { outcome, wrote: false, stale: None };
        }
        if command.has(flag::WHOLE) && !is_write(command) && engine.store.clears() != self.clears {
            // The data was taken away while the command walked over it.
            outcome = Err(crate::command::fail::LOADING);
        }
        if counts_lookups(command) {
            self.stats.hits.add(tx.hits());
            self.stats.misses.add(tx.misses());
        }
        if self.client.wait.is_some() && self.client.handle.blocked.load(Relaxed) == state::NO {
            // The client is not waiting already. The keys are still locked, so a change after this is not missed.
            let wait = self.client.wait.take();
            self.client.parked = wait.map(|wait| Parked::register(engine, self.client, command, wait));
        }
        let wrote = tx.effects() > 0 || tx.acknowledges();
        Ran { outcome, wrote, stale: tx.take_stale() }
    }

    fn undone(&mut self) {
        self.out.truncate(self.mark);
        self.client.wait = None;
        self.client.inside.set(None);
    }
}

impl Worker {
    /// Runs one command outside MULTI, and counts it.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn execute(
        &mut self,
        client: &mut Client,
        command: &'static Command,
        args: &[&[u8]],
        only: Option<Only>,
        now: u64,
        clock: &mut u64,
        out: &mut Reply,
    ) {
        let mark = out.len();
        let outcome = if command.has(flag::SESSION) {
            exec::session_command(self, client, command, now, out)
        } else {
            self.transact(client, command, args, only, now, out)
        };
        if client.postponed {
            out.truncate(mark);
            return;
        }
        if client.parked.is_some() {
            // The command is counted when its waiting ends. The clients of MONITOR see it now.
            *clock = self.server.engine.clock.monotonic_nanos();
            self.show(client, command, args);
            return;
        }
        if command.has(flag::ADMIN | flag::SESSION) {
            // As in Redis, the thresholds that CONFIG SET has just set (alone or in EXEC) decide whether it was slow
            // itself.
            self.refresh();
        }
        self.count(client, command, args, outcome, mark, clock, out);
        self.show(client, command, args);
    }

    /// Runs a command as a transaction, and writes its reply or returns an error. `only` is its only key, if that was
    /// looked up ahead. It is inlined into [`Worker::execute`], which makes nearly all calls.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(super) fn transact(
        &mut self,
        client: &mut Client,
        command: &'static Command,
        args: &[&[u8]],
        only: Option<Only>,
        now: u64,
        out: &mut Reply,
    ) -> Result<(), Fail> {
        let server = &*self.server;
        let ahead = only.and_then(|only| Ahead::of(only, self.assumed));
        let mut unit = OneCommand {
            call: Call::new(command, args),
            ahead,
            known_hash: None,
            now,
            clears: 0,
            mark: out.len(),
            client,
            server,
            settings: &self.settings,
            stats: &self.stats,
            out,
        };
        let ran = server.engine.transact(unit.client.db, &mut self.record, &mut unit);
        let Ran { outcome, wrote, stale } =
            ran.map_err(|reason| held_up(client, &reason, server, &self.settings))?;
        if wrote {
            self.wrote = true;
            client.wrote_upto = server.engine.tail();
        }
        if let Some(stale) = stale {
            shown::apart(|| server.engine.remove_expired(&stale, &mut self.record));
        }
        let record = std::mem::take(&mut self.record);
        self.keep_record(record);
        outcome
    }
}
