//! EXEC: all queued commands under the locks of all their keys, as one record of the log.

use super::atomic::{self, Token};
use super::call::Call;
use super::locks::{self, How};
use super::worker::Worker;
use super::{gate, observe};
use crate::command::fail::{DB_RANGE, OUT_OF_MEMORY};
use crate::command::record::fits;
use crate::command::transactions::watches_hold;
use crate::command::{
    Client, Command, Cx, Fail, Multi, Server, check_rights, counts_lookups, flag, has_function, held_up,
    is_write,
};
use crate::engine::{Engine, NotNow, Reach, StaleKeys, Tx, UnitOfWork, VIEW_DB};
use crate::node::{MonitorLines, Queue, Queued, Watched, forget_watched};
use crate::resp::Reply;
use crate::store::{Lent, Locked, Mode, Patience, shown};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Runs EXEC, which needs the session itself.
pub(super) fn session_command(
    worker: &mut Worker,
    client: &mut Client,
    _command: &Command,
    now: u64,
    out: &mut Reply,
) -> Result<(), Fail> {
    let Some(mut multi) = client.multi.take() else { return Err(Fail::new("ERR EXEC without MULTI")) };
    let outcome = exec(worker, client, &mut multi, now, out);
    if client.postponed {
        // EXEC is run again later, so the client keeps the queue and its watched keys.
        client.multi = Some(multi);
        return outcome;
    }
    // CLIENT LIST shows the transaction until here, even when the transaction itself asks.
    client.handle.multi.store(-1, Relaxed);
    client.handle.multi_bytes.store(0, Relaxed);
    forget_watched(&worker.server.engine.store, client);
    worker.spare_queue = multi.queue.emptied();
    outcome
}

fn exec(
    worker: &mut Worker,
    client: &mut Client,
    multi: &mut Multi,
    now: u64,
    out: &mut Reply,
) -> Result<(), Fail> {
    if multi.broken {
        return Err(Fail::new("EXECABORT Transaction discarded because of previous errors."));
    }
    let server = Arc::clone(&worker.server);
    let mut record = std::mem::take(&mut worker.record);
    let mut args: SmallVec<[&[u8]; 64]> = SmallVec::with_capacity(multi.queue.count_args());
    multi.queue.iter().for_each(|(_, own)| args.extend(own));
    let mut run = Run {
        queue: &multi.queue,
        calls: calls(&multi.queue, &args),
        all_or_nothing: multi.is_atomic(),
        concluded: multi.concluded,
        monitored: std::mem::take(&mut multi.monitored),
        begun: out.len(),
        db: client.db,
        now,
        worker,
        client,
        server: &server,
        out,
    };
    let calls_admin = run.calls.iter().any(|call| call.command.has(flag::ADMIN));
    let ran = server.engine.transact(run.db, &mut record, &mut run);
    let Run { concluded, monitored, worker, client, .. } = run;
    // A transaction that was cancelled leaves everything as it was.
    if let Ok((Ok(()), _, Some(stale))) = &ran {
        shown::apart(|| server.engine.remove_expired(stale, &mut record));
    }
    worker.keep_record(record);
    if !client.postponed && calls_admin {
        // CONFIG SET may have left classes of events that nobody wants.
        server.engine.listeners.wants_changed();
    }
    let outcome = match ran {
        Ok((outcome, wrote, _)) => {
            if wrote {
                worker.wrote = true;
                client.wrote_upto = server.engine.tail();
            }
            outcome
        }
        Err(reason) => {
            let fail = held_up(client, &reason, &server, &worker.settings);
            Err(if let NotNow::Lent(_) = reason { fail.discards() } else { fail })
        }
    };
    if client.postponed {
        (multi.concluded, multi.monitored) = (concluded, monitored);
    } else if !monitored.is_empty() {
        monitored.show(&server);
    }
    outcome
}

/// The calls of a queue; `args` are the arguments of all its commands, one command after the other.
fn calls<'q>(queue: &Queue<Command>, mut args: &'q [&'q [u8]]) -> Vec<Call<'q>> {
    let call = |queued: &Queued<Command>| {
        let (own, behind) = args.split_at(queued.count_args());
        args = behind;
        Call::queued(queued.command, own, queued.foreseen)
    };
    queue.commands().iter().map(call).collect()
}

/// The run of a transaction's commands.
struct Run<'q> {
    queue: &'q Queue<Command>,
    calls: Vec<Call<'q>>,
    all_or_nothing: bool,
    /// How many of the commands were counted and observed. A repeated run does not count these again.
    concluded: usize,
    /// The lines that the clients of MONITOR are to see once the transaction is in the log.
    monitored: MonitorLines,
    /// The length of the replies before the transaction's own, and the client's database before it.
    begun: usize,
    db: usize,
    now: u64,
    worker: &'q mut Worker,
    client: &'q mut Client,
    server: &'q Server,
    out: &'q mut Reply,
}

impl UnitOfWork for Run<'_> {
    /// The outcome, whether the transaction changed something, and expired keys that it came upon.
    type Done = (Result<(), Fail>, bool, Option<Box<StaleKeys>>);

    fn lock<'e>(&mut self, engine: &'e Engine, reach: &Reach) -> Result<Locked<'e>, NotNow> {
        if self.client.takes_long {
            return Err(NotNow::TakesLong);
        }
        let server = self.server;
        let gives_up = locks::gives_up(server, self.worker.settings.busy_reply_threshold);
        let mut patience = Patience::Short;
        if self.client.has_own_thread && self.calls.iter().any(|call| call.command.has(flag::SCRIPT)) {
            locks::may_begin(server)?;
            patience = Patience::Lends(&gives_up);
        }
        let mut locked = self.lock_knowing_functions(engine, reach, patience)?;
        // Watched keys may have expired while the shards were waited for.
        locked.now = engine.clock.now_ms();
        Ok(locked)
    }

    fn admit(&self, engine: &Engine, locked: &Locked<'_>) -> Result<(), NotNow> {
        let queue = self.queue.commands();
        queue.iter().try_for_each(|queued| gate::check_locked(engine, locked, queued.command))?;
        gate::check_pause(self.server, || {
            self.calls.iter().any(|call| gate::is_pausable(self.server, call.command, call.args))
        })
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Self::Done {
        let settings = Arc::clone(&self.worker.settings);
        let Self { client, server, out, .. } = self;
        let settings = &settings;
        if client.watcher.load(Acquire)
            || !watches_hold(&Cx { tx, out, client, server, settings, prepared: &mut None })
        {
            out.null_array();
            return (Ok(()), false, None);
        }
        let engine = tx.engine();
        let may_lack = |queued: &Queued<Command>| locks::may_be_run_again(engine, queued.command);
        if !tx.locked().holds_all() && self.queue.commands().iter().any(may_lack) {
            tx.expect_more_shards();
        }
        let outcome = self.replay_or_run(tx);
        (outcome, tx.effects() > 0, tx.take_stale())
    }

    fn undone(&mut self) {
        self.out.truncate(self.begun);
        self.client.select(self.db);
        // The shards of the watched keys are still held, so only this transaction itself can have raised the flag.
        self.client.watcher.store(false, Release);
    }
}

impl Run<'_> {
    /// As [`Run::lock_all_calls`]. If a command calls a function, the thread's interpreter has loaded the libraries
    /// before. They do not change while a shard is locked, unless the transaction itself changes them.
    fn lock_knowing_functions<'e>(
        &mut self,
        engine: &'e Engine,
        reach: &Reach,
        patience: Patience<'_>,
    ) -> Result<Locked<'e>, Lent> {
        if !self.calls.iter().any(|call| call.command.has(flag::FUNCTION)) {
            return self.lock_all_calls(engine, reach, patience);
        }
        loop {
            let version = engine.libraries.version();
            has_function(self.server, &self.worker.settings, &[], true);
            let locked = self.lock_all_calls(engine, reach, patience)?;
            if engine.libraries.version() == version {
                return Ok(locked);
            }
        }
    }

    /// Locks the shards of all keys of all commands, or every shard if a command looks beyond its keys. Every shard is
    /// locked, too, if one command may lack shards and another acts beyond the store: a run that acts beyond the store
    /// must not be repeated.
    fn lock_all_calls<'e>(
        &mut self,
        engine: &'e Engine,
        reach: &Reach,
        patience: Patience<'_>,
    ) -> Result<Locked<'e>, Lent> {
        loop {
            let generation = engine.tables.generation();
            let locked = self.lock_for_tables_as_they_are(engine, reach, patience)?;
            // Which shards must be locked depends on the tables, and the tables do not change while a shard is locked.
            if engine.tables.generation() == generation {
                return Ok(locked);
            }
        }
    }

    fn lock_for_tables_as_they_are<'e>(
        &mut self,
        engine: &'e Engine,
        reach: &Reach,
        patience: Patience<'_>,
    ) -> Result<Locked<'e>, Lent> {
        let settings = &self.worker.settings;
        // A raised flag is not lowered before EXEC has answered, so the requests of a transaction that will not run
        // need not be read.
        if !self.client.watcher.load(Acquire) {
            locks::prepare(engine, settings, &mut self.calls, self.now);
        }
        let calls = &mut self.calls;
        let writes = calls.iter().any(|call| is_write(call.command));
        let mode = if writes { Mode::Write } else { Mode::Read };
        let how = How { patience, mode, now: self.now };
        let alone = calls.iter().filter_map(|call| locks::alone(call.command, call.args));
        if let Some(needed) = alone.reduce(Mode::or) {
            return locks::lock_whole(engine, How { mode: mode.or(needed), ..how });
        }
        let whole = |call: &Call<'_>| call.command.has(flag::WHOLE | flag::ALL_SHARDS);
        let once =
            |call: &Call<'_>| call.command.has(flag::PUBSUB | flag::ADMIN) && !call.command.is_undoable();
        let again = calls.iter().any(|call| locks::may_be_run_again(engine, call.command));
        if reach.is_everything() || calls.iter().any(|call| whole(call) || (again && once(call))) {
            return locks::lock_whole(engine, how);
        }
        let mut others: SmallVec<[u64; 4]> = SmallVec::new();
        self.client.watched.iter().for_each(|watched| watched_hashes(engine, watched, &mut others));
        others.extend_from_slice(reach.hashes());
        locks::lock_keys(engine, settings, calls, &others, self.db, how)
    }

    /// If a transaction with this token was carried out before, writes that one's reply again; otherwise runs the
    /// commands.
    fn replay_or_run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fail> {
        let db = self.db;
        let token = if self.all_or_nothing { Token::of(self.queue, db) } else { None };
        if token.is_some() {
            // Its reply may be that of an earlier transaction, of whose commands none is run again.
            self.check_all_rights()?;
        }
        if let Some(token) = &token
            && let Some(left) = token.replay(tx, db, self.out)?
        {
            // The server may have fewer databases now than it had then.
            if left >= self.server.engine.store.databases() {
                self.out.truncate(self.begun);
                return Err(DB_RANGE);
            }
            self.client.select(left);
            return Ok(());
        }
        let needs_memory = |q: &Queued<Command>| q.command.has(flag::DENYOOM);
        if self.client.memory_is_short && self.queue.commands().iter().any(needs_memory) {
            return Err(OUT_OF_MEMORY.discards());
        }
        let remembered = self.commands(tx).and_then(|()| match &token {
            Some(token) if !tx.lacks_shards() => {
                let left = Some(self.client.db).filter(|left| *left != db);
                token.remember(tx, left, self.out.proto(), &self.out.since(self.begun))
            }
            _ => Ok(()),
        });
        remembered.inspect_err(|_| self.take_back(tx))
    }

    /// Refuses a transaction of which the client's user may not run every command.
    fn check_all_rights(&mut self) -> Result<(), Fail> {
        let Self { worker, client, server, calls, .. } = self;
        let mut denied =
            calls.iter().map(|call| check_rights(server, &worker.settings, client, call.command, call.args));
        denied.find_map(Result::err).map_or(Ok(()), |fail| Err(fail.discards()))
    }

    /// Undoes the effects of the commands and removes their replies.
    fn take_back(&mut self, tx: &mut Tx<'_>) {
        tx.roll_back();
        self.out.truncate(self.begun);
        self.client.select(self.db);
    }

    /// Runs the commands in turn. In a transaction that is all or nothing, one refused command cancels all.
    fn commands(&mut self, tx: &mut Tx<'_>) -> Result<(), Fail> {
        let Self { worker, client, server, out, .. } = self;
        let mut settings = Arc::clone(&worker.settings);
        let mut cancelled = None;
        // The requests were read ahead with the settings from before the transaction, and are used only as long as
        // these hold.
        let mut settings_hold = true;
        if self.all_or_nothing {
            tx.begin_undo();
        }
        client.in_exec = true;
        out.array(self.queue.len());
        let mut clock = server.engine.clock.monotonic_nanos();
        let bytes = atomic::allocated(tx, out);
        for (index, queued) in self.calls.iter_mut().enumerate() {
            tx.forget_hashes();
            if let Some(known) = queued.known_hash(&server.engine.tables) {
                known.tell(tx, queued.command, queued.args);
            }
            let mut nothing = None;
            let (args, prepared) =
                (queued.args, if settings_hold { &mut queued.prepared } else { &mut nothing });
            let mark = out.len();
            note_what_is_shown(tx, queued.command);
            tx.db = client.db;
            tx.set_no_touch(client.handle.no_touch.load(Relaxed));
            let (hits, misses) = (tx.hits(), tx.misses());
            let outcome = fits(tx, &settings, queued.command, args).and_then(|()| {
                let mut cx = Cx { tx, out, client, server, settings: &settings, prepared };
                crate::command::run(queued.command, &mut cx, args)
            });
            if queued.command.has(flag::ADMIN | flag::PUBSUB) {
                tx.listeners_changed();
            }
            if queued.command.has(flag::ADMIN) {
                worker.refresh();
                settings = Arc::clone(&worker.settings);
                settings_hold = false;
            }
            if tx.lacks_shards() {
                break;
            }
            if index < self.concluded {
                client.inside.set(None);
                if let Err(fail) = outcome {
                    out.truncate(mark);
                    out.error(&fail.0);
                }
            } else {
                if counts_lookups(queued.command) {
                    worker.stats.hits.add(tx.hits() - hits);
                    worker.stats.misses.add(tx.misses() - misses);
                }
                worker.count(client, queued.command, args, outcome, mark, &mut clock, out);
                if server.monitors.load(Relaxed) != 0 {
                    let line = || observe::monitor_line(server, client, queued.command, args);
                    self.monitored.add(settings.transaction_max_memory, line);
                }
                self.concluded = index + 1;
            }
            if self.all_or_nothing
                && let Some(reason) = atomic::cancels(tx, out, mark, (bytes, &*settings))
            {
                cancelled = Some(Fail::text(format!("TXCANCELLED {index}:{reason}")));
                break;
            }
        }
        client.in_exec = false;
        cancelled.map_or(Ok(()), Err)
    }
}

/// Notes that a command may show any data, if it may show other than that of its keys.
fn note_what_is_shown(tx: &Tx<'_>, command: &Command) {
    let beyond_keys = command.is_keyless() || command.has(flag::WHOLE);
    if beyond_keys && !tx.locked().holds_all() && command.may_show_data() {
        shown::note_everything();
    }
}

/// The hashes of the shards that decide whether a watched key has changed: the shard of the key, of the item that the
/// key stood for when it was watched, and of the item that it stands for now.
fn watched_hashes(engine: &Engine, watched: &Watched, hashes: &mut SmallVec<[u64; 4]>) {
    hashes.push(watched.hash);
    if watched.db == VIEW_DB && (watched.item.is_some() || engine.tables.have_views()) {
        hashes.push(engine.store.hash(&watched.key));
        hashes.extend(
            engine.tables.view_place(&watched.key).map(|(_, partition)| engine.store.hash(&partition)),
        );
    }
}
