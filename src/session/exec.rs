//! EXEC: all queued commands under the locks of all their keys, as one record of the log.

use super::atomic::{self, Token};
use super::batch::{Worker, give_back};
use super::{gate, locks, observe};
use crate::command::client::{Multi, Queued, Watched};
use crate::command::fail::{DB_RANGE, OUT_OF_MEMORY};
use crate::command::transactions::{forget_watched, watches_hold};
use crate::command::{Client, Command, Cx, Fail, Server, counts_lookups, flag, is_write};
use crate::config::Settings;
use crate::engine::{Engine, Reach, Tx, VIEW_DB};
use crate::resp::Reply;
use crate::store::{Locked, Mode, shown};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// How often an item may stand in a record: itself, in each of as many indexes as DynamoDB's tables have, and twice, as
/// text, in its table's change stream.
const COPIES: u64 = 34;

/// Runs a command that needs the session itself.
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
        // It is still to come, with what it watches.
        client.multi = Some(multi);
        return outcome;
    }
    // Until here CLIENT LIST, inside the transaction too, shows it.
    client.handle.multi.store(-1, Relaxed);
    client.handle.multi_bytes.store(0, Relaxed);
    forget_watched(&worker.server.engine.store, client);
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
    let mut run = Run {
        queue: &multi.queue,
        all_or_nothing: multi.is_atomic(),
        concluded: multi.concluded,
        reach: Reach::default(),
        monitored: std::mem::take(&mut multi.monitored),
    };
    let outcome = loop {
        if let Some(outcome) = run.once(worker, client, &server, &mut record, now, out) {
            break outcome;
        }
    };
    give_back(&mut record);
    worker.record = record;
    let Run { concluded, monitored, .. } = run;
    if client.postponed {
        (multi.concluded, multi.monitored) = (concluded, monitored);
    } else if !monitored.is_empty() {
        observe::show_monitors(&server, &monitored);
    }
    outcome
}

/// The run of a transaction's commands.
struct Run<'q> {
    queue: &'q [Queued],
    all_or_nothing: bool,
    /// How many of the commands were counted and observed. A run that is repeated does not do it again.
    concluded: usize,
    reach: Reach,
    /// What the clients of MONITOR are to see of it once it is in the log.
    monitored: String,
}

impl Run<'_> {
    /// Locks, runs and commits; `None` if that took more shards than were locked, so that all is to be done again.
    fn once(
        &mut self,
        worker: &mut Worker,
        client: &mut Client,
        server: &Server,
        record: &mut Vec<u8>,
        now: u64,
        out: &mut Reply,
    ) -> Option<Result<(), Fail>> {
        let seen = shown::so_far();
        let mut locked = lock(&server.engine, client, self.queue, &self.reach, now);
        let admitted = |q: &Queued| gate::check_locked(&server.engine, &locked, client, q.command);
        if let Err(fail) = self.queue.iter().try_for_each(admitted) {
            shown::back_to(seen);
            return Some(Err(fail));
        }
        // What is watched may have expired while the shards were waited for.
        locked.now = server.engine.clock.now_ms();
        let (begun, db) = (out.len(), client.db);
        let whole = locked.holds_all();
        let mut tx = Tx::new(&server.engine, locked, db, record);
        let settings = &*worker.settings;
        if client.watcher.load(Acquire)
            || !watches_hold(&Cx { tx: &mut tx, out: &mut *out, client: &mut *client, server, settings })
        {
            out.null_array();
            return Some(Ok(()));
        }
        if !whole && self.queue.iter().any(|q| locks::changes_items(&server.engine, q.command)) {
            tx.expect_more_shards();
        }
        let token = if self.all_or_nothing { Token::of(self.queue, db) } else { None };
        let outcome = match token.as_ref().map(|token| token.replay(&tx, db, out)) {
            Some(Err(fail)) => Err(fail),
            // There may be fewer databases than when it was carried out.
            Some(Ok(Some(left))) if left >= server.engine.store.databases() => Err(DB_RANGE),
            Some(Ok(Some(left))) => {
                client.select(left);
                Ok(())
            }
            _ if client.memory_is_short && self.queue.iter().any(|q| q.command.has(flag::DENYOOM)) => {
                let reason = &OUT_OF_MEMORY.0;
                Err(Fail::bytes([b"EXECABORT Transaction discarded because of: ", &**reason].concat()))
            }
            _ => {
                let ran = self.commands(worker, client, server, &mut tx, out);
                ran.and_then(|()| match &token {
                    Some(token) => {
                        let left = Some(client.db).filter(|left| *left != db);
                        token.remember(&mut tx, left, out.proto(), &out.since(begun))
                    }
                    None => Ok(()),
                })
                .inspect_err(|_| {
                    tx.roll_back();
                    out.truncate(begun);
                    client.select(db);
                })
            }
        };
        if self.reach.exceeded(&mut tx) {
            out.truncate(begun);
            client.select(db);
            // No one else could change the watched keys until here, where their shards are given back.
            client.watcher.store(false, Release);
            return None;
        }
        let wrote = tx.effects() > 0;
        worker.wrote |= wrote;
        tx.commit();
        if wrote {
            client.wrote_upto = server.engine.tail();
        }
        Some(outcome)
    }

    /// Runs the commands in turn. One that is refused cancels them all where they are all or nothing.
    fn commands(
        &mut self,
        worker: &mut Worker,
        client: &mut Client,
        server: &Server,
        tx: &mut Tx<'_>,
        out: &mut Reply,
    ) -> Result<(), Fail> {
        let mut settings = Arc::clone(&worker.settings);
        let (begun, db) = (out.len(), client.db);
        let mut cancelled = None;
        if self.all_or_nothing {
            tx.begin_undo();
        }
        client.in_exec = true;
        out.array(self.queue.len());
        let mut clock = server.engine.clock.monotonic_nanos();
        for (index, queued) in self.queue.iter().enumerate() {
            let args: SmallVec<[&[u8]; 8]> = queued.args.iter().map(|a| &**a).collect();
            let mark = out.len();
            let beyond_keys = queued.command.is_keyless() || queued.command.has(flag::WHOLE);
            if beyond_keys && !tx.locked().holds_all() && queued.command.may_show_data() {
                shown::note_everything();
            }
            tx.db = client.db;
            tx.set_no_touch(client.handle.no_touch.load(Relaxed));
            let (hits, misses) = (tx.hits(), tx.misses());
            let outcome = fits(tx, &settings, queued.command, &args).and_then(|()| {
                let mut cx = Cx { tx, out, client, server, settings: &settings };
                crate::command::run(queued.command, &mut cx, &args)
            });
            if queued.command.has(flag::ADMIN) {
                worker.refresh();
                settings = Arc::clone(&worker.settings);
            }
            if tx.lacks_shards() {
                break;
            }
            if index < self.concluded {
                if let Err(fail) = outcome {
                    out.truncate(mark);
                    out.error(&fail.0);
                }
            } else {
                if counts_lookups(queued.command) {
                    worker.stats.hits.add(tx.hits() - hits);
                    worker.stats.misses.add(tx.misses() - misses);
                }
                worker.count(client, queued.command, &args, outcome, mark, &mut clock, out);
                if server.monitors.load(Relaxed) != 0 {
                    self.monitored.extend(observe::monitor_line(server, client, queued.command, &args));
                }
                self.concluded = index + 1;
            }
            if self.all_or_nothing
                && let Some(reason) = atomic::cancels(tx, out, mark)
            {
                cancelled = Some(Fail::text(format!("TXCANCELLED {index}:{reason}")));
                break;
            }
        }
        client.in_exec = false;
        match cancelled {
            None => Ok(()),
            Some(fail) => {
                tx.roll_back();
                out.truncate(begun);
                client.select(db);
                Err(fail)
            }
        }
    }
}

/// Whether the record of the transaction has room for what a command may add to it. Copies before it may have filled
/// it.
fn fits(tx: &Tx<'_>, settings: &Settings, command: &Command, args: &[&[u8]]) -> Result<(), Fail> {
    if !is_write(command) {
        return Ok(());
    }
    // An update logs the whole item, and what indexes and change streams show of it.
    let whole = (settings.item_max_size * COPIES).min(settings.log_max_record_size / 4);
    let items = command.spec.item_keys.is_some() || tx.engine().tables.have_views();
    let item = if items { whole as usize } else { 0 };
    Ok(tx.ask_record(gate::record_bytes(args) + item)?)
}

/// Locks the shards of all keys of all commands; every shard if one of them goes beyond its keys.
/// So it is if one of them reaches beyond the store, and therefore must not be run twice.
fn lock<'a>(engine: &'a Engine, client: &Client, queue: &[Queued], reach: &Reach, now: u64) -> Locked<'a> {
    loop {
        let generation = engine.tables.generation();
        let locked = lock_now(engine, client, queue, reach, now);
        // What has to be locked depends on the tables. They do not change while a shard is locked.
        if engine.tables.generation() == generation {
            return locked;
        }
    }
}

fn lock_now<'a>(
    engine: &'a Engine,
    client: &Client,
    queue: &[Queued],
    reach: &Reach,
    now: u64,
) -> Locked<'a> {
    let alone = |q: &Queued| {
        let args: SmallVec<[&[u8]; 8]> = q.args.iter().map(|a| &**a).collect();
        q.command.spec.alone.is_some_and(|is_alone| is_alone(&args))
    };
    if queue.iter().any(alone) {
        return locks::lock_whole(engine, Mode::Write, now);
    }
    let writes = queue.iter().any(|q| is_write(q.command));
    let mode = if writes { Mode::Write } else { Mode::Read };
    let whole = |q: &Queued| q.command.has(flag::WHOLE | flag::ALL_SHARDS);
    let once = |q: &Queued| q.command.has(flag::PUBSUB | flag::ADMIN);
    let again = queue.iter().any(|q| locks::changes_items(engine, q.command));
    if reach.is_everything() || queue.iter().any(|q| whole(q) || (again && once(q))) {
        return locks::lock_whole(engine, mode, now);
    }
    let mut others: SmallVec<[u64; 4]> = SmallVec::new();
    client.watched.iter().for_each(|watched| watched_hashes(engine, watched, &mut others));
    others.extend_from_slice(reach.hashes());
    let args: Vec<SmallVec<[&[u8]; 8]>> =
        queue.iter().map(|q| q.args.iter().map(|a| &**a).collect()).collect();
    let commands: SmallVec<[(&Command, &[&[u8]]); 8]> =
        queue.iter().zip(&args).map(|(q, args)| (q.command, args.as_slice())).collect();
    locks::lock_keys(engine, &commands, &others, client.db, mode, now)
}

/// The hashes whose shards tell whether a watched key is what it was: that of the key, and that of the item that it has
/// stood for or stands for now.
fn watched_hashes(engine: &Engine, watched: &Watched, hashes: &mut SmallVec<[u64; 4]>) {
    hashes.push(watched.hash);
    if watched.db == VIEW_DB && (watched.item.is_some() || engine.tables.have_views()) {
        hashes.push(engine.store.hash(&watched.key));
        hashes.extend(
            engine.tables.view_place(&watched.key).map(|(_, partition)| engine.store.hash(&partition)),
        );
    }
}
