//! All gates, in the order in which a command passes them.

use super::atomic;
use super::call::Call;
use super::worker::Worker;
use crate::command::fail::{LOADING, OUT_OF_MEMORY};
use crate::command::record::record_bytes;
use crate::command::{
    Client, Command, Fail, Multi, Server, check_checkpoint, check_rights, declares_no_writes, flag, is_write,
};
use crate::config::Settings;
use crate::engine::{Engine, NotNow, Phase};
use crate::env::Instant;
use crate::node::Queue;
use crate::node::handle::state;
use crate::store::{Locked, shown};
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

/// What becomes of a command that no gate refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It runs now, or is queued.
    Go,
    /// It waits for the end of CLIENT PAUSE, at the latest until this instant.
    Wait(Instant),
}

const NO_DEBUG: Fail = Fail::new(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
     local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);
/// The flags of commands that a pause of writes holds back.
const PAUSABLE: u64 = flag::WRITE | flag::MAY_REPLICATE | flag::CACHES;
/// How many ms a command waits, if the server may be ending, before it asks again whether the end was refused.
const ENDING_MILLIS: u64 = 20;
/// How many ms a command waits for a script that holds its shards before it asks again.
const SCRIPT_MILLIS: u64 = 5;

/// Until when a command waits that was postponed under its locks; `now` is given in nanoseconds.
#[cold]
pub(super) fn wait_of_postponed(client: &mut Client, now: u64) -> Instant {
    let millis = if client.lacks.take().is_some() { SCRIPT_MILLIS } else { ENDING_MILLIS };
    Instant::from_nanos(now).after_ms(millis)
}

/// Whether a command may go on under its locks. The state of durability may have changed since the command passed its
/// gates; while its locks are held the state stays as it is. If an end of the server has begun, the command is
/// postponed, like the commands that come to the gates later.
#[inline]
pub(super) fn check_locked(engine: &Engine, locked: &Locked<'_>, command: &Command) -> Result<(), NotNow> {
    if engine.state().accepts_writes() && !engine.store.has_closed() {
        return Ok(());
    }
    check_slowly(engine, locked, command)
}

/// Whether CLIENT PAUSE lets a command go on under its locks that passed its gates before the pause began. CLIENT PAUSE
/// holds every shard when it begins, so once it is answered no command that it forbids changes anything. `is_held`: a
/// pause of writes holds the command back.
#[inline]
pub(super) fn check_pause(server: &Server, is_held: impl FnOnce() -> bool) -> Result<(), NotNow> {
    match pause_of(server, is_held) {
        Some(_) => Err(NotNow::Paused),
        None => Ok(()),
    }
}

#[inline]
fn pause_of(server: &Server, is_held: impl FnOnce() -> bool) -> Option<Instant> {
    server.pause.until(true, &server.engine.clock)?;
    server.pause.until(is_held(), &server.engine.clock)
}

/// Whether a pause of writes holds a command back. It does not hold back a script that declares that it writes nothing.
#[cold]
pub(super) fn is_pausable(server: &Server, command: &Command, args: &[&[u8]]) -> bool {
    command.has(PAUSABLE) && !(command.has(flag::SCRIPT) && declares_no_writes(server, command, args))
}

#[cold]
fn check_slowly(engine: &Engine, locked: &Locked<'_>, command: &Command) -> Result<(), NotNow> {
    // A command with this flag looks at more shards than it holds.
    let outcome = if command.has(flag::WHOLE) {
        engine.admits(is_write(command))
    } else {
        engine.admits_under(locked, is_write(command))
    };
    let meets_closed = locked.holds_closed() || command.has(flag::WHOLE) && engine.store.has_closed();
    if meets_closed && !command.has(flag::DESPITE_CLOSED) {
        return Err(NotNow::Closed);
    }
    match outcome {
        Err(NotNow::Loading) if command.has(flag::LOADING) => Ok(()),
        outcome => outcome,
    }
}

/// Whether the client may run the command, and the open transaction may contain it.
#[inline]
fn check_client(
    server: &Server,
    settings: &Settings,
    client: &mut Client,
    command: &Command,
    args: &[&[u8]],
) -> Result<(), Fail> {
    if command.has(flag::PROTECTED) && !settings.enable_debug_command.allows(client.handle.is_local()) {
        return Err(NO_DEBUG);
    }
    if !client.authenticated && !command.has(flag::NO_AUTH) && !server.users.is_open() {
        return Err(Fail::new("NOAUTH Authentication required."));
    }
    if let Some(multi) = &client.multi {
        check_queued(multi, command)?;
    }
    check_rights(server, settings, client, command, args)?;
    if let Some(multi) = &client.multi {
        check_bodies(multi, command, args, settings)?;
    }
    Ok(())
}

/// Whether the command may run now (or be queued). The order is Redis's: protected commands, authentication, the rules
/// of the open transaction, those of the user, MONITOR, memory, the state of log and checkpoints, subscriptions, the
/// state of the server.
pub(super) fn check(
    worker: &mut Worker,
    client: &mut Client,
    command: &Command,
    args: &[&[u8]],
) -> Result<Verdict, Fail> {
    let server = &*worker.server;
    let settings = &*worker.settings;
    check_client(server, settings, client, command, args)?;
    if client.handle.monitor.load(Relaxed) && command.has(flag::READONLY | flag::WRITE | flag::MAY_REPLICATE)
    {
        // Redis counts a client of MONITOR among the replicas.
        return Err(Fail::new("ERR Replica can't interact with the keyspace"));
    }
    client.memory_is_short =
        settings.maxmemory != 0 && !shown::apart(|| server.engine.make_room(settings, &mut worker.record)).0;
    // A client that waits was let in when its command came. As in Redis it is served then: what it moves is there.
    let waits = client.handle.blocked.load(Relaxed) != state::NO;
    if client.memory_is_short && !waits && needs_memory(client, command, args) {
        return Err(OUT_OF_MEMORY);
    }
    // EXEC has the flags of its queued commands.
    let queue = client.multi.as_ref().filter(|_| command.has(flag::SESSION)).map(|multi| &multi.queue);
    let queued = queue.map_or(&[][..], Queue::commands);
    let all_flags = queued.iter().fold(command.spec.flags, |flags, queued| flags | queued.command.spec.flags);
    let touches = |bits: u64| all_flags & bits != 0;
    let lacks = |bits: u64| queued.iter().any(|queued| !queued.command.has(bits));
    let durability = server.engine.state();
    if touches(flag::WRITE | flag::PROBE) {
        if durability.has_log()
            && let Some(reason) = server.engine.refusal(bytes_of(queue, args))
        {
            return Err(Fail::refused(&reason));
        }
        check_saved(server, settings, command)?;
    }
    if client.subscriber && !command.has(flag::IN_SUBSCRIPTION) && client.handle.resp.load(Relaxed) == 2 {
        return Err(only_in_subscription(command));
    }
    if durability.is_loading() && (!command.has(flag::LOADING) || lacks(flag::LOADING)) {
        // While the server falls back, a read is refused under its locks only, where it is known whether its shards are
        // affected.
        if durability.phase() != Phase::FallingBack || touches(flag::WRITE) {
            return Err(LOADING);
        }
    }
    if durability.phase() == Phase::Ending && touches(flag::WRITE) {
        return Ok(Verdict::Wait(server.engine.clock.instant().after_ms(ENDING_MILLIS)));
    }
    let held = || {
        let mut all = queue.into_iter().flat_map(Queue::iter);
        is_pausable(server, command, args)
            || all.any(|(queued, own)| is_pausable(server, queued, &own.collect::<SmallVec<[&[u8]; 8]>>()))
    };
    if let Some(until) = pause_of(server, held) {
        return Ok(Verdict::Wait(until));
    }
    Ok(Verdict::Go)
}

/// As [`check_checkpoint`]. While a shard is closed no checkpoint may be possible, so what makes the shard sound is let
/// in.
fn check_saved(server: &Server, settings: &Settings, command: &Command) -> Result<(), Fail> {
    if command.has(flag::DESPITE_CLOSED) && server.engine.store.has_closed() {
        return Ok(());
    }
    check_checkpoint(server, settings)
}

/// A connection in RESP2 that has a subscription carries messages only.
#[cold]
fn only_in_subscription(command: &Command) -> Fail {
    Fail::text(format!(
        "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context",
        command.full_name
    ))
}

/// Whether the gate refuses a command because memory is short.
#[cold]
fn needs_memory(client: &Client, command: &Command, args: &[&[u8]]) -> bool {
    let Some(multi) = &client.multi else {
        return command.has(flag::DENYOOM) && !command.has(flag::WEIGHS);
    };
    // A transaction with a token may have been carried out before; EXEC finds that out, and asks for memory only if
    // not.
    if atomic::has_token(&multi.queue, command, args) {
        return false;
    }
    // Queuing any command takes memory. EXEC is refused if one of the queued commands needs memory.
    !command.has(flag::IN_MULTI)
        || command.has(flag::SESSION)
            && multi.queue.commands().iter().any(|queued| queued.command.has(flag::DENYOOM))
}

/// Whether a transaction may contain a command. One that is all or nothing may contain only commands that can be
/// undone.
fn check_queued(multi: &Multi, command: &Command) -> Result<(), Fail> {
    if command.has(flag::NO_MULTI) {
        return Err(Fail::new("ERR Command not allowed inside a transaction"));
    }
    if multi.is_atomic() && !command.has(flag::IN_MULTI) && !command.is_undoable() {
        let name = &command.full_name;
        return Err(Fail::text(format!("ERR '{name}' cannot be undone, which ITEM.ATOMIC asks for")));
    }
    Ok(())
}

/// Whether a transaction may contain a command with a body that takes time to read. Such requests are kept as they were
/// read until EXEC has run, so their total size is bounded.
fn check_bodies(multi: &Multi, command: &Command, args: &[&[u8]], settings: &Settings) -> Result<(), Fail> {
    let bytes = Call::kept_bytes(command, args.iter().map(|arg| arg.len()).sum());
    let most = settings.item_max_transaction_size;
    if bytes == 0 || (multi.kept_bytes + bytes) as u64 <= most {
        return Ok(());
    }
    Err(Fail::text(format!(
        "VALIDATION the requests of a transaction may have {most} bytes together (item-max-transaction-size)"
    )))
}

/// About how many bytes a command may add to the log: its own arguments, and those of the queued writes if it is EXEC.
fn bytes_of(queue: Option<&Queue<Command>>, args: &[&[u8]]) -> usize {
    let queued = queue.into_iter().flat_map(Queue::iter).filter(|(command, _)| is_write(command));
    record_bytes(args.iter().copied()) + queued.map(|(_, args)| record_bytes(args)).sum::<usize>()
}
