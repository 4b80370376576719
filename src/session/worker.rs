//! A worker: what one thread needs to run commands, and what follows every command.

use super::locks::{Assumed, LookedUp};
use super::names::Names;
use super::observe::{self, LogThresholds, Taken};
use crate::command::{Client, Command, Fail, Server, flag};
use crate::config::Settings;
use crate::env::Instant;
use crate::env::memory::KeptBytes;
use crate::log::Lsn;
use crate::node::{Queue, ReplyMode, WorkerStats, end_transaction};
use crate::resp::{ProtocolError, Reply};
use crate::store::holds::{SHORT_NANOS, take_waited};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Why a run of commands stopped before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The connection closes after its replies are sent.
    Close,
    /// The next command takes long and must run on a thread of its own.
    Long,
    /// The turn is used up: the replies are to be sent, and other connections have their turn.
    Yield,
    /// The next command waits, at the latest until this instant: for the end of CLIENT PAUSE, or for the outcome of an
    /// end of the server that may yet be refused.
    Paused(Instant),
    /// The next command waits for keys: the connection is to park the client in `Client::parked`, which has the
    /// command.
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
    /// The position in the log of the last record that the replies show;
    /// [`EVERYTHING`](crate::store::shown::EVERYTHING) if they may show the whole log.
    pub shows: Lsn,
}

/// What one worker thread executes commands with.
pub struct Worker {
    /// The server.
    pub server: Arc<Server>,
    /// This worker's counters.
    pub stats: Arc<WorkerStats>,
    pub(super) record: Vec<u8>,
    kept_record: KeptBytes,
    names: Names,
    /// An empty queue for the next transaction. Its memory is that of an earlier one.
    pub(super) spare_queue: Queue<Command>,
    /// What was looked up for the present group of commands.
    pub(super) looked_up: Vec<LookedUp>,
    /// The state for which the keys of the group were looked up.
    pub(super) assumed: Assumed,
    /// The configuration as of the current batch.
    pub settings: Arc<Settings>,
    generation: u64,
    pub(super) wrote: bool,
    /// From where on a command is for a log or the latency monitor.
    thresholds: LogThresholds,
}

impl Worker {
    /// A worker that counts into the `index`-th set of counters.
    pub fn new(server: Arc<Server>, index: usize) -> Self {
        let stats = Arc::clone(&server.workers[index % server.workers.len()]);
        let generation = server.config.generation();
        let settings = server.config.snapshot();
        Self {
            thresholds: LogThresholds::of(&settings),
            server,
            stats,
            record: Vec::with_capacity(4096),
            kept_record: KeptBytes::default(),
            names: Names::default(),
            spare_queue: Queue::default(),
            looked_up: Vec::new(),
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
            self.thresholds = LogThresholds::of(&self.settings);
            self.bound_record();
        }
    }

    /// The most bytes of unused buffers of one purpose that the worker keeps.
    pub fn keeps(&self) -> usize {
        usize::try_from(self.settings.worker_keep_buffers_size).unwrap_or(usize::MAX)
    }

    /// Takes the record's buffer back once the record is in the log. No shard is held.
    #[inline]
    pub(super) fn keep_record(&mut self, record: Vec<u8>) {
        self.record = record;
        if self.record.capacity() != self.kept_record.bytes() {
            self.bound_record();
        }
    }

    /// Counts the record's buffer, and frees it if it has grown large.
    #[cold]
    fn bound_record(&mut self) {
        if self.record.capacity() > self.keeps() {
            self.record = Vec::new();
        }
        self.kept_record.set(self.record.capacity());
    }

    pub(super) fn find(&mut self, args: &[&[u8]]) -> Result<&'static Command, ()> {
        if let Some(command) = self.names.get(args[0]) {
            return Ok(command);
        }
        let Ok(command) = self.server.registry.lookup(args) else { return Err(()) };
        if command.spec.subs.is_empty() && command.spec.name.as_bytes().eq_ignore_ascii_case(args[0]) {
            self.names.remember(args[0], command);
        }
        Ok(command)
    }

    /// Shows a command to MONITOR's clients.
    #[inline]
    pub(super) fn show(&self, client: &Client, command: &'static Command, args: &[&[u8]]) {
        if self.server.monitors.load(Relaxed) != 0 {
            observe::feed_monitors(&self.server, client, command, args);
        }
    }

    /// What follows the run of a command, also inside EXEC: its error is written, and the command is counted and
    /// measured. It is inlined into [`Worker::execute`], which makes nearly all calls.
    #[allow(clippy::too_many_arguments, clippy::inline_always)]
    #[inline(always)]
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
        let is_counted = command.has(flag::SCRIPT) && self.count_inside(client);
        if failed && !is_counted {
            self.stats.error(&out.scalar_at(mark)[1..]);
        }
        let end = self.server.engine.clock.monotonic_nanos();
        let nanos = end.saturating_sub(*clock);
        *clock = end;
        if !client.in_exec {
            let waited = take_waited();
            if nanos >= SHORT_NANOS {
                self.note_hold(command, args, nanos.saturating_sub(waited));
            }
        }
        self.stats.ran(command.id, nanos, failed, self.settings.latency_tracking);
        // A load and a store are enough: only the thread that runs the client's command changes this counter.
        let commands = &client.handle.commands;
        commands.store(commands.load(Relaxed) + 1, Relaxed);
        let request_bytes = args.iter().map(|arg| arg.len() as u64).sum();
        let taken = Taken { nanos, request_bytes, reply_bytes: out.len().saturating_sub(mark) as u64 };
        if self.server.hot_keys.is_active() {
            observe::count_keys(&self.server, command, args, taken);
        }
        if self.thresholds.are_reached(taken) {
            observe::log(&self.server, &self.settings, client, command, args, taken);
        }
    }

    /// Counts what a script has called, and shows what it had to say. Gives whether that counts the script's own error.
    #[inline(never)]
    fn count_inside(&self, client: &Client) -> bool {
        let Some(mut inside) = client.inside.take() else { return false };
        for calls in &inside.calls {
            let nanos = calls.nanos / calls.count.max(1);
            for at in 0..calls.count {
                self.stats.ran(calls.id, nanos, at < calls.failed, self.settings.latency_tracking);
            }
        }
        self.stats.hits.add(inside.lookups.0);
        self.stats.misses.add(inside.lookups.1);
        inside.errors.iter().for_each(|text| self.stats.error(text));
        inside.log.iter().for_each(|(level, text)| level.write(text));
        let is_counted = inside.is_counted;
        inside.clear();
        client.inside.set(Some(inside));
        is_counted
    }

    /// Counts how long a command held its shards; `nanos` is its time without the time for which it waited for shards.
    /// Commands inside a transaction are not counted here, and a command that walks over the data is counted piece by
    /// piece.
    #[cold]
    fn note_hold(&self, command: &Command, args: &[&[u8]], nanos: u64) {
        let of_its_keys = !command.is_keyless() && !command.has(flag::WHOLE);
        let holds = of_its_keys
            || command.has(flag::ALL_SHARDS | flag::SESSION)
            || command.spec.alone.is_some_and(|is_alone| is_alone(args));
        if holds {
            self.server.note_hold(command.id, nanos);
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
            fail = Cow::Owned(fail.discards());
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

    /// Answers input that is no command. The connection is closed after that.
    pub fn refuse_input(&self, client: &mut Client, error: &ProtocolError, out: &mut Reply) {
        let mark = out.len();
        self.refuse(client, None, &Fail::text(format!("ERR {error}")), out);
        Self::after(client, out, mark);
    }

    /// What follows every command: CLIENT REPLY may drop its reply, and the client may have to be closed. A client
    /// whose reply is too large is closed before its next command.
    pub(super) fn after(client: &mut Client, out: &mut Reply, mark: usize) -> Option<Stop> {
        if client.reply_mode != ReplyMode::On {
            out.disown(mark);
            client.reply_mode = match client.reply_mode {
                ReplyMode::Skip => ReplyMode::SkipThis,
                ReplyMode::SkipThis | ReplyMode::On => ReplyMode::On,
                ReplyMode::Off => ReplyMode::Off,
            };
        }
        (client.closing || out.overran()).then_some(Stop::Close)
    }
}
