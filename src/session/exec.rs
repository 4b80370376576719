//! EXEC: all queued commands under the locks of all their keys, as one record of the log.

use super::atomic::{self, Token};
use super::batch::Worker;
use super::{gate, locks};
use crate::command::client::{Multi, Queued, Watched};
use crate::command::transactions::forget_watched;
use crate::command::{Client, Command, Cx, Fail, counts_lookups, flag, is_write};
use crate::engine::{Engine, Tx};
use crate::resp::Reply;
use crate::store::{Locked, Mode};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Runs a command that needs the session itself.
pub(super) fn session_command(
    worker: &mut Worker,
    client: &mut Client,
    _command: &Command,
    now: u64,
    out: &mut Reply,
) -> Result<(), Fail> {
    let Some(multi) = client.multi.take() else { return Err(Fail::new("ERR EXEC without MULTI")) };
    client.handle.multi.store(-1, Relaxed);
    client.handle.multi_bytes.store(0, Relaxed);
    let outcome = exec(worker, client, &multi, now, out);
    forget_watched(&worker.server.engine.store, client);
    outcome
}

fn exec(
    worker: &mut Worker,
    client: &mut Client,
    multi: &Multi,
    now: u64,
    out: &mut Reply,
) -> Result<(), Fail> {
    if multi.broken {
        return Err(Fail::new("EXECABORT Transaction discarded because of previous errors."));
    }
    let all_or_nothing = atomic::asked_for(&multi.queue)?;
    let server = Arc::clone(&worker.server);
    let mut record = std::mem::take(&mut worker.record);
    let locked = lock(&server.engine, client, &multi.queue, now);
    if server.engine.loading.load(Relaxed) && multi.queue.iter().any(|q| !q.command.has(flag::LOADING)) {
        // The data was taken away to be read again after the gates were passed.
        worker.record = record;
        return Err(gate::LOADING);
    }
    if client.watcher.load(Acquire) || client.watched.iter().any(|w| expired_since(w, now)) {
        out.null_array();
        return Ok(());
    }
    let mut tx = Tx::new(&server.engine, locked, client.db, &mut record);
    let token = if all_or_nothing { Token::of(&multi.queue, client.db) } else { None };
    let outcome = match token.as_ref().map(|token| token.replay(&tx, out)) {
        Some(Err(fail)) => Err(fail),
        Some(Ok(true)) => Ok(()),
        _ => {
            let begun = out.len();
            let ran = run(worker, client, &multi.queue, &mut tx, all_or_nothing, out);
            if let (Ok(()), Some(token)) = (&ran, &token) {
                token.remember(&mut tx, out.proto(), &out.buffer()[begun..]);
            }
            ran
        }
    };
    worker.wrote |= tx.effects() > 0;
    tx.commit();
    worker.record = record;
    outcome
}

/// Runs the commands in turn. One that is refused cancels them all where they are all or nothing.
fn run(
    worker: &mut Worker,
    client: &mut Client,
    queue: &[Queued],
    tx: &mut Tx<'_>,
    all_or_nothing: bool,
    out: &mut Reply,
) -> Result<(), Fail> {
    let (server, settings) = (Arc::clone(&worker.server), Arc::clone(&worker.settings));
    let (begun, db) = (out.len(), client.db);
    let mut cancelled = None;
    if all_or_nothing {
        tx.begin_undo();
    }
    client.in_exec = true;
    out.array(queue.len());
    let mut clock = server.engine.clock.monotonic_nanos();
    for (index, queued) in queue.iter().enumerate() {
        let args: SmallVec<[&[u8]; 8]> = queued.args.iter().map(|a| &**a).collect();
        let mark = out.len();
        tx.db = client.db;
        tx.set_no_touch(client.handle.no_touch.load(Relaxed));
        let (hits, misses) = (tx.hits(), tx.misses());
        let outcome = (queued.command.spec.run)(
            &mut Cx { tx, out, client, server: &server, settings: &settings },
            &args,
        );
        if counts_lookups(queued.command) {
            worker.stats.hits.add(tx.hits() - hits);
            worker.stats.misses.add(tx.misses() - misses);
        }
        worker.conclude(client, queued.command, &args, outcome, mark, &mut clock, out);
        if all_or_nothing && let Some(reason) = atomic::cancels(tx, &out.buffer()[mark..]) {
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
            client.db = db;
            client.handle.db.store(db as u32, Relaxed);
            Err(fail)
        }
    }
}

/// Locks the shards of all keys of all commands; every shard if one of them goes beyond its keys.
fn lock<'a>(engine: &'a Engine, client: &Client, queue: &[Queued], now: u64) -> Locked<'a> {
    let writes = queue.iter().any(|q| is_write(q.command));
    let mode = if writes { Mode::Write } else { Mode::Read };
    if queue.iter().any(|q| q.command.has(flag::WHOLE | flag::ALL_SHARDS)) {
        return engine.store.lock_all(mode, now);
    }
    let watched: SmallVec<[u64; 4]> = client.watched.iter().map(|w| engine.store.hash(&w.key)).collect();
    let args: Vec<SmallVec<[&[u8]; 8]>> =
        queue.iter().map(|q| q.args.iter().map(|a| &**a).collect()).collect();
    let commands: SmallVec<[(&Command, &[&[u8]]); 8]> =
        queue.iter().zip(&args).map(|(q, args)| (q.command, args.as_slice())).collect();
    locks::lock_keys(engine, &commands, &watched, client.db, mode, now)
}

/// Whether a watched key has expired since it was watched; removal by expiry counts as a change only then.
fn expired_since(watched: &Watched, now: u64) -> bool {
    watched.deadline.is_some_and(|at| at <= now)
}
