//! Execution by batch: the complete commands of one read are looked up, their keys hashed and prefetched, then executed
//! in order into one output buffer.

use super::gate::{self, ENDING_MILLIS, Verdict};
use super::locks::{self, Ahead, Assumed, Only};
use super::{exec, observe};
use crate::command::blocking::{Parked, state};
use crate::command::client::{Kill, Queued, ReplyMode};
use crate::command::transactions::end_transaction;
use crate::command::{
    Client, Command, Cx, Fail, HEAVY_BYTES, Server, WorkerStats, counts_lookups, flag, is_write,
};
use crate::config::Settings;
use crate::engine::{Reach, Tx};
use crate::env::Instant;
use crate::env::memory::class_bytes;
use crate::log::Lsn;
use crate::resp::{Batch, ProtocolError, Reply};
use crate::store::{Mode, shown};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How many commands are prefetched together. More would push the first lines out of the cache again.
const GROUP: usize = 32;

/// After so many nanoseconds other connections of the same worker get their turn.
const TURN_NANOS: u64 = 2_000_000;
/// After so many bytes of replies they are sent.
const TURN_BYTES: usize = 256 * 1024;
/// A record's buffer that grew beyond this is given back once the record is in the log.
const KEEP_RECORD: usize = 64 * 1024;

/// Why a run of commands stopped before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The connection closes after its replies are sent.
    Close,
    /// The next command takes long and wants a thread of its own.
    Long,
    /// Enough was done in this turn: the replies are to be sent and others have their turn.
    Yield,
    /// The next command waits for the end of CLIENT PAUSE, or to learn whether the server ends, at the latest until
    /// this instant.
    Paused(Instant),
    /// The next command waits for keys: the client is to be parked in its `parked`, which has the command.
    Blocked,
}

/// How far a run of commands came.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The number of commands done.
    pub done: usize,
    /// Why it stopped, if it did.
    pub stop: Option<Stop>,
    /// Whether a command changed something.
    pub wrote: bool,
    /// The log's position up to which the replies show it; [`shown::EVERYTHING`] for all that it has.
    pub shows: Lsn,
}

/// What one worker thread executes commands with.
pub struct Worker {
    /// The server.
    pub server: Arc<Server>,
    /// This worker's counters.
    pub stats: Arc<WorkerStats>,
    pub(super) record: Vec<u8>,
    /// The command of the last lookup and its name as it was sent: pipelines repeat themselves.
    last: Option<(&'static Command, SmallVec<[u8; 24]>)>,
    hashes: Vec<Option<Only>>,
    /// What the hashes were looked up for.
    assumed: Assumed,
    /// The configuration as of the current batch.
    pub settings: Arc<Settings>,
    generation: u64,
    pub(super) wrote: bool,
    /// Commands that take so long in nanoseconds concern the slow log or the latency monitor.
    pub(super) slow_nanos: u64,
}

impl Worker {
    /// A worker that counts into the `index`-th set of counters.
    pub fn new(server: Arc<Server>, index: usize) -> Self {
        let stats = Arc::clone(&server.workers[index % server.workers.len()]);
        let generation = server.config.generation();
        let settings = server.config.snapshot();
        Self {
            slow_nanos: observe::slow_nanos(&settings),
            server,
            stats,
            record: Vec::with_capacity(4096),
            last: None,
            hashes: Vec::new(),
            assumed: Assumed { db: 0, tables: 0 },
            settings,
            generation,
            wrote: false,
        }
    }

    /// Takes over a changed configuration; called before each group of commands.
    pub fn refresh(&mut self) {
        let generation = self.server.config.generation();
        if generation != self.generation {
            self.generation = generation;
            self.settings = self.server.config.snapshot();
            self.slow_nanos = observe::slow_nanos(&self.settings);
        }
    }

    /// Runs the commands of `batch` from `from` on. `buf` is the buffer that was decoded.
    pub fn run(
        &mut self,
        client: &mut Client,
        buf: &[u8],
        batch: &Batch,
        from: usize,
        out: &mut Reply,
    ) -> Progress {
        self.wrote = false;
        shown::take();
        let progress = self.run_commands(client, buf, batch, from, out);
        Progress { wrote: self.wrote, shows: shown::take(), ..progress }
    }

    fn run_commands(
        &mut self,
        client: &mut Client,
        buf: &[u8],
        batch: &Batch,
        from: usize,
        out: &mut Reply,
    ) -> Progress {
        let now = self.server.engine.clock.now_ms();
        let mut args: SmallVec<[&[u8]; 2 * GROUP]> = SmallVec::new();
        let mut commands: SmallVec<[Result<&'static Command, ()>; GROUP]> = SmallVec::new();
        let total = batch.commands.len();
        let mut done = from;
        let mut clock = self.server.engine.clock.monotonic_nanos();
        client.handle.last_active.store(Some(Instant::from_nanos(clock)));
        let (turn_end, begun) = (clock + TURN_NANOS, out.len());
        let (turn_begun, turn_now) = (clock, now);
        while done < total {
            self.refresh();
            let group = done..(done + GROUP).min(total);
            args.clear();
            commands.clear();
            for span in &batch.commands[group.clone()] {
                args.extend(batch.args[span.range()].iter().map(|s| s.of(buf)));
            }
            self.look_up(client.db, batch, group.clone(), &args, &mut commands);
            let mut at = 0;
            for (i, index) in group.enumerate() {
                let count = batch.commands[index].count as usize;
                let these = &args[at..at + count];
                at += count;
                // The clock was read when the command before it ended.
                let now = turn_now + clock.saturating_sub(turn_begun) / 1_000_000;
                let stop = self.step(
                    client,
                    commands[i],
                    self.hashes[i].and_then(|only| Ahead::of(only, self.assumed)),
                    these,
                    now,
                    &mut clock,
                    out,
                );
                if self.server.engine.store.has_ready() {
                    self.serve_ready();
                }
                let spent = clock >= turn_end || out.len() - begun > TURN_BYTES;
                if let Some(stop) = stop.or(spent.then_some(Stop::Yield)) {
                    let done = if stop == Stop::Close || stop == Stop::Yield { index + 1 } else { index };
                    return Progress { done, stop: Some(stop), wrote: false, shows: 0 };
                }
            }
            done = (done + GROUP).min(total);
        }
        Progress { done, stop: None, wrote: false, shows: 0 }
    }

    /// Finds the commands of a group and prefetches what their keys will need, in three passes so that each pass's
    /// memory accesses overlap.
    fn look_up(
        &mut self,
        db: usize,
        batch: &Batch,
        group: std::ops::Range<usize>,
        args: &[&[u8]],
        commands: &mut SmallVec<[Result<&'static Command, ()>; GROUP]>,
    ) {
        self.hashes.clear();
        self.assumed = Assumed { db, tables: self.server.engine.tables.generation() };
        let single = group.len() == 1;
        let mut at = 0;
        for index in group {
            let count = batch.commands[index].count as usize;
            let these = &args[at..at + count];
            at += count;
            let found = self.find(these);
            commands.push(found);
            let only =
                found.ok().and_then(|command| locks::only_key(&self.server.engine, command, these, db));
            if let (Some(only), false) = (only, single) {
                self.server.engine.store.prefetch_shard(only.at.hash);
            }
            self.hashes.push(only);
        }
        if single {
            return;
        }
        let store = &self.server.engine.store;
        store.prefetch(self.hashes.iter().flatten().map(|only| (only.at.hash, only.at.space)));
    }

    pub(super) fn find(&mut self, args: &[&[u8]]) -> Result<&'static Command, ()> {
        if let Some((command, name)) = &self.last
            && name.as_slice() == args[0]
        {
            return Ok(command);
        }
        let Ok(command) = self.server.registry.lookup(args) else { return Err(()) };
        if command.spec.subs.is_empty() && command.spec.name.as_bytes().eq_ignore_ascii_case(args[0]) {
            self.last = Some((command, SmallVec::from_slice(args[0])));
        }
        Ok(command)
    }

    #[allow(clippy::too_many_arguments)]
    fn step(
        &mut self,
        client: &mut Client,
        found: Result<&'static Command, ()>,
        ahead: Option<Ahead>,
        args: &[&[u8]],
        now: u64,
        clock: &mut u64,
        out: &mut Reply,
    ) -> Option<Stop> {
        let mark = out.len();
        // CLIENT LIST shows the last command that came, whatever becomes of it.
        client.handle.last_command.store(found.map_or(u32::MAX, |command| command.id as u32), Relaxed);
        let Ok(command) = found else {
            if is_foreign(args[0]) {
                tracing::warn!("client {} speaks another protocol and is closed", client.handle.id);
                client.handle.kill(Kill::Now);
                return Some(Stop::Close);
            }
            let fail = self.server.registry.lookup(args).err().unwrap_or(crate::command::fail::SYNTAX);
            self.refuse(client, None, &fail, out);
            return Self::after(client, out, mark);
        };
        match command.check_arity(args.len()).and_then(|()| gate::check(self, client, command, args)) {
            Ok(Verdict::Go) => {}
            Ok(Verdict::Wait(until)) => return Some(Stop::Paused(until)),
            Err(fail) => {
                self.refuse(client, Some(command), &fail, out);
                return Self::after(client, out, mark);
            }
        }
        if client.multi.is_some() && !command.has(flag::IN_MULTI) {
            if command.has(flag::ATOMIC) && client.multi.as_ref().is_some_and(|m| !m.queue.is_empty()) {
                self.refuse(client, Some(command), &crate::command::fail::NOT_FIRST, out);
                return Self::after(client, out, mark);
            }
            queue(client, command, args);
            out.queued();
            return Self::after(client, out, mark);
        }
        if command.has(flag::LONG | flag::HEAVY) && !client.in_exec && takes_long(command, args) {
            return Some(Stop::Long);
        }
        self.execute(client, command, args, ahead, now, clock, out);
        if std::mem::take(&mut client.postponed) {
            return Some(Stop::Paused(Instant::from_nanos(*clock).after_ms(ENDING_MILLIS)));
        }
        if client.parked.is_some() {
            return Some(Stop::Blocked);
        }
        Self::after(client, out, mark)
    }

    /// Runs one command outside MULTI: locks what it needs, runs it, commits, counts.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn execute(
        &mut self,
        client: &mut Client,
        command: &'static Command,
        args: &[&[u8]],
        ahead: Option<Ahead>,
        now: u64,
        clock: &mut u64,
        out: &mut Reply,
    ) {
        let mark = out.len();
        let outcome = if command.has(flag::SESSION) {
            exec::session_command(self, client, command, now, out)
        } else {
            self.transact(client, command, args, ahead, now, out)
        };
        if client.postponed {
            out.truncate(mark);
            return;
        }
        if client.parked.is_some() {
            // It is counted when its waiting ends. Whoever looks on sees it now.
            *clock = self.server.engine.clock.monotonic_nanos();
            self.show(client, command, args);
            return;
        }
        if command.has(flag::ADMIN | flag::SESSION) {
            // Whether CONFIG SET itself, alone or in a transaction, was slow is measured by what it has set, as in
            // Redis.
            self.refresh();
        }
        self.count(client, command, args, outcome, mark, clock, out);
        self.show(client, command, args);
    }

    /// Shows a command to MONITOR's clients.
    #[inline]
    pub(super) fn show(&self, client: &Client, command: &'static Command, args: &[&[u8]]) {
        if self.server.monitors.load(Relaxed) != 0 {
            observe::feed_monitors(&self.server, client, command, args);
        }
    }

    /// What follows the run of a command, also inside EXEC: its error is written, and it is counted and measured.
    #[allow(clippy::too_many_arguments)]
    #[inline]
    pub(super) fn count(
        &mut self,
        client: &Client,
        command: &'static Command,
        args: &[&[u8]],
        outcome: Result<(), Fail>,
        mark: usize,
        clock: &mut u64,
        out: &mut Reply,
    ) {
        if let Err(fail) = outcome {
            out.truncate(mark);
            out.error(&fail.0);
        }
        let failed = out.is_error_at(mark);
        if failed {
            self.stats.error(&out.scalar_at(mark)[1..]);
        }
        let end = self.server.engine.clock.monotonic_nanos();
        let nanos = end.saturating_sub(*clock);
        *clock = end;
        self.stats.ran(command.id, nanos, failed, self.settings.latency_tracking);
        // Whoever runs a client's command is the only one who counts for it.
        let commands = &client.handle.commands;
        commands.store(commands.load(Relaxed) + 1, Relaxed);
        if nanos >= self.slow_nanos {
            observe::slow(&self.server, &self.settings, client, command, args, nanos);
        }
    }

    pub(super) fn transact(
        &mut self,
        client: &mut Client,
        command: &'static Command,
        args: &[&[u8]],
        ahead: Option<Ahead>,
        now: u64,
        out: &mut Reply,
    ) -> Result<(), Fail> {
        let server = &*self.server;
        let mark = out.len();
        let mut reach = Reach::default();
        loop {
            let ahead = ahead.filter(|ahead| reach.is_first() && ahead.is_of(client.db));
            let (seen, clears) = (shown::so_far(), server.engine.store.clears());
            let mode = if is_write(command) { Mode::Write } else { Mode::Read };
            let mut name_hash = ahead.and_then(Ahead::name_hash);
            let by_hint = ahead.and_then(|hint| locks::lock_ahead(&server.engine, hint, mode, now));
            let locked = if let Some(locked) = by_hint {
                locked
            } else {
                name_hash = None;
                locks::lock_command(&server.engine, command, args, client.db, &reach, now)
            };
            // Of shards that a refused command has locked it shows nothing.
            gate::check_locked(&server.engine, &locked, client, command)
                .inspect_err(|_| shown::back_to(seen))?;
            if locked.holds_none() && command.may_show_data() {
                shown::note_everything();
            }
            let undoable = locks::may_lack_shards(&server.engine, command) && !locked.holds_all();
            let mut tx = Tx::new(&server.engine, locked, client.db, &mut self.record);
            if undoable {
                tx.expect_more_shards();
            }
            if let Some(hash) = name_hash {
                tx.hint(args[command.only_key], hash);
            }
            if client.handle.no_touch.load(Relaxed) {
                tx.set_no_touch(true);
            }
            let mut cx = Cx { tx: &mut tx, out, client, server, settings: &self.settings };
            let outcome = crate::command::run(command, &mut cx, args);
            if reach.exceeded(&mut tx) {
                out.truncate(mark);
                client.wait = None;
                continue;
            }
            if command.has(flag::WHOLE) && !is_write(command) && server.engine.store.clears() != clears {
                // The data was taken away while it was walked over.
                out.truncate(mark);
                tx.commit();
                return Err(crate::command::fail::LOADING);
            }
            if counts_lookups(command) {
                self.stats.hits.add(tx.hits());
                self.stats.misses.add(tx.misses());
            }
            if client.wait.is_some() && client.handle.blocked.load(Relaxed) == state::NO {
                // It does not wait yet. From here on, where the keys are still locked, no change is missed.
                client.parked =
                    client.wait.take().map(|wait| Parked::register(&server.engine, client, command, wait));
            }
            let wrote = tx.effects() > 0 || tx.acknowledges();
            self.wrote |= wrote;
            let came_upon_expired = tx.came_upon_expired();
            let db = tx.db;
            tx.commit();
            if wrote {
                client.wrote_upto = server.engine.tail();
            }
            if came_upon_expired {
                let positions = command.key_positions(args).unwrap_or_default();
                let keys = positions.iter().filter_map(|p| args.get(*p).copied());
                shown::apart(|| server.engine.remove_expired(db, keys, &mut self.record));
            }
            give_back(&mut self.record);
            return outcome;
        }
    }

    pub(super) fn refuse(
        &self,
        client: &mut Client,
        command: Option<&Command>,
        fail: &Fail,
        out: &mut Reply,
    ) {
        let mut fail = Cow::Borrowed(fail);
        if command.is_some_and(|c| c.has(flag::SESSION)) {
            end_transaction(&self.server.engine.store, client);
            let reason = fail.0.strip_prefix(b"ERR ").unwrap_or(&fail.0);
            fail =
                Cow::Owned(Fail::bytes([b"EXECABORT Transaction discarded because of: ", reason].concat()));
        }
        if let Some(multi) = &mut client.multi {
            multi.broken = true;
        }
        if let Some(stats) = command.and_then(|c| self.stats.commands.get(c.id)) {
            stats.rejected.add(1);
        }
        self.stats.error(&fail.0);
        out.error(&fail.0);
    }

    /// Answers input that is no command, after which the connection is closed.
    pub fn refuse_input(&self, client: &mut Client, error: &ProtocolError, out: &mut Reply) {
        let mark = out.len();
        self.refuse(client, None, &Fail::text(format!("ERR {error}")), out);
        Self::after(client, out, mark);
    }

    /// What follows every command: CLIENT REPLY's silence, and the wish to close. A client whose reply is too large is
    /// closed before the next one.
    pub(super) fn after(client: &mut Client, out: &mut Reply, mark: usize) -> Option<Stop> {
        if client.reply_mode != ReplyMode::On {
            out.truncate(mark);
            client.reply_mode = match client.reply_mode {
                ReplyMode::Skip => ReplyMode::SkipThis,
                ReplyMode::SkipThis | ReplyMode::On => ReplyMode::On,
                ReplyMode::Off => ReplyMode::Off,
            };
        }
        (client.closing || out.overran()).then_some(Stop::Close)
    }
}

/// Gives back what a large record took. No shard is held.
#[inline]
pub(super) fn give_back(record: &mut Vec<u8>) {
    if record.capacity() > KEEP_RECORD {
        *record = Vec::new();
    }
}

/// Whether a command that may take long does so.
fn takes_long(command: &Command, args: &[&[u8]]) -> bool {
    command.has(flag::LONG) || args.iter().any(|arg| arg.len() > HEAVY_BYTES)
}

/// Whether a command's name is a line of HTTP: a web page that makes a browser talk to this port must not get a word
/// in.
fn is_foreign(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}

fn queue(client: &mut Client, command: &'static Command, args: &[&[u8]]) {
    let Some(multi) = &mut client.multi else { return };
    let bytes: usize = args.iter().map(|a| class_bytes(a.len()) + size_of::<Box<[u8]>>()).sum();
    multi.bytes += bytes + size_of::<Queued>();
    client.handle.multi_bytes.store(multi.bytes, Relaxed);
    multi.queue.push(Queued { command, args: args.iter().map(|a| Box::from(*a)).collect() });
    client.handle.multi.store(multi.queue.len() as i32, Relaxed);
}
