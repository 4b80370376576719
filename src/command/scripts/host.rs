//! What a script reaches: commands, as parts of the transaction that the script is.

use super::super::acl::{Standing, check_standing, has_rights};
use super::super::record::fits;
use super::super::{
    Client, Command, Cx, Fail, Server, check_checkpoint, counts_lookups, fail, flag, is_write,
};
use crate::config::Settings;
use crate::engine::{Again, Tx};
use crate::env::memory;
use crate::lua::{Flags, Go, Host, LogLevel};
use crate::node::running::{Inside, LongScript, RunningScripts, StopRequest};
use crate::resp::Reply;
use smallvec::SmallVec;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A script that has run for so long on a worker is undone and run again on a thread of its own, so that the worker's
/// other clients need not wait for it.
pub(super) const MOVE_NANOS: u64 = 10_000_000;

/// A script whose thread has allocated so many bytes more than it has freed cannot be undone any more.
const MOST_KEPT: i64 = 256 << 20;

/// What a script may do.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Whether the script says what it does.
    pub(super) is_declared: bool,
    /// Whether it says that it writes nothing.
    pub(super) declared_no_writes: bool,
    /// Whether the command that runs it is one of those that only read.
    pub(super) only_reads: bool,
    /// Whether it runs when memory is short.
    pub(super) allows_oom: bool,
}

impl Rules {
    pub(super) fn of(flags: Flags, only_reads: bool) -> Self {
        Self {
            is_declared: flags.declared,
            declared_no_writes: flags.no_writes,
            only_reads,
            allows_oom: flags.allow_oom,
        }
    }
}

/// Why a script was abandoned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// The transaction is run again, with more shards or on another thread.
    Again,
    /// SCRIPT KILL.
    Killed,
    /// The server ends, and what was done cannot be undone.
    Ending,
    /// It is part of a transaction that is all or nothing, and takes too much memory.
    TooLarge,
}

/// A script's entry among those that run for long, until it is dropped: a command that panics ends the run too.
struct Entered<'s> {
    list: &'s RunningScripts,
    script: Arc<LongScript>,
}

impl Deref for Entered<'_> {
    type Target = LongScript;

    fn deref(&self) -> &LongScript {
        &self.script
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.list.leave(&self.script);
    }
}

/// The host of a run.
pub(super) struct ScriptHost<'h, 't> {
    tx: &'h mut Tx<'t>,
    client: &'h mut Client,
    server: &'h Server,
    settings: &'h Settings,
    rules: Rules,
    /// The command that runs the script, and the script's name.
    args: &'h [&'h [u8]],
    name: &'h dyn Fn() -> String,
    /// The client's database before, and whether the command is one of a transaction.
    db: usize,
    was_in_exec: bool,
    began: u64,
    /// What the thread had allocated when the script began, and how much of it for the transaction's record.
    bytes: i64,
    record: i64,
    /// When the last call began or ended.
    clock: u64,
    wrote: bool,
    /// Whether a command did something that cannot be undone. Then every shard is held.
    is_final: bool,
    inside: Box<Inside>,
    /// Its entry among those that run for long.
    running: Option<Entered<'h>>,
    why: Option<Why>,
}

const NOT_ALLOWED: Fail = Fail::new("ERR This Redis command is not allowed from script");
const READ_ONLY: Fail = Fail::new("ERR Write commands are not allowed from read-only scripts.");
const UNKNOWN: Fail = Fail::new("ERR Unknown Redis command called from script");
const WRONG_COUNT: Fail = Fail::new("ERR Wrong number of args calling Redis command from script");

impl<'h, 't> ScriptHost<'h, 't> {
    /// A host over what the command that runs the script works with, and that command's reply.
    pub(super) fn of(
        cx: &'h mut Cx<'_, 't>,
        args: &'h [&'h [u8]],
        rules: Rules,
        began: u64,
        name: &'h dyn Fn() -> String,
    ) -> (Self, &'h mut Reply) {
        let Cx { tx, out, client, server, settings, .. } = cx;
        let mut inside = client.inside.take().unwrap_or_default();
        inside.clear();
        let (db, was_in_exec) = (client.db, client.in_exec);
        client.in_exec = true;
        let mut host = Self {
            record: tx.record_room() as i64,
            tx,
            client,
            server,
            settings,
            rules,
            args,
            name,
            db,
            was_in_exec,
            began,
            bytes: memory::thread_bytes(),
            clock: began,
            wrote: false,
            is_final: false,
            inside,
            running: None,
            why: None,
        };
        if host.client.has_own_thread {
            host.enter();
        }
        (host, out)
    }

    /// Ends the run: the client is as it was, and nobody waits for the script any more. Gives why it was abandoned, if
    /// it was.
    pub(super) fn end(self) -> Option<Why> {
        self.client.in_exec = self.was_in_exec;
        self.client.select(self.db);
        self.tx.db = self.db;
        self.client.inside.set(Some(self.inside));
        self.why
    }

    /// Enters the script among those that run for long.
    #[cold]
    fn enter(&mut self) {
        let since = crate::env::Instant::from_nanos(self.began);
        let is_function = self.args[0].first().is_some_and(|letter| letter.eq_ignore_ascii_case(&b'f'));
        let running = Arc::new(LongScript::new((self.name)(), self.args, is_function, since));
        running.wrote.store(self.wrote, Relaxed);
        // Its shards are noted first: who finds it among the running ones can tell at once whether it is in the way.
        let list = &self.server.running;
        self.running = Some(Entered { list, script: Arc::clone(&running) });
        self.note_shards();
        list.enter(running);
    }

    /// Notes the shards that the script holds, for those who would wait for them.
    #[cold]
    fn note_shards(&mut self) {
        let Some(running) = &self.running else { return };
        let locked = self.tx.locked();
        running.hold(
            (0..self.server.engine.store.shard_count()).map(|shard| locked.holds_shard(shard)).collect(),
        );
    }

    fn abandon(&mut self, why: Why) -> Go {
        self.why = Some(why);
        Go::Abandon
    }

    /// Has the transaction run again, holding every shard. That is done on a thread of its own, because nobody knows
    /// for how long all shards will be held.
    #[cold]
    fn with_everything(&mut self) -> Go {
        if !self.client.has_own_thread {
            self.client.takes_long = true;
        }
        self.tx.run_again(Again::WithEverything);
        self.abandon(Why::Again)
    }

    /// Has the transaction run again on a thread of its own.
    #[cold]
    fn move_away(&mut self) -> Go {
        self.client.takes_long = true;
        self.tx.run_again(Again::AsBefore);
        self.abandon(Why::Again)
    }

    /// What time asks for, `now` being the time.
    #[inline]
    fn at(&mut self, now: u64) -> Go {
        if self.running.is_none() && now.saturating_sub(self.began) < MOVE_NANOS {
            Go::On
        } else {
            self.late()
        }
    }

    #[cold]
    fn late(&mut self) -> Go {
        let Some(running) = &self.running else { return self.move_away() };
        match running.stop() {
            StopRequest::Forced if self.is_final => self.abandon(Why::Ending),
            StopRequest::Forced => {
                // It is run again if the end is refused.
                self.tx.run_again(Again::AsBefore);
                self.abandon(Why::Again)
            }
            StopRequest::Killed if !self.wrote => self.abandon(Why::Killed),
            StopRequest::Killed | StopRequest::No => Go::On,
        }
    }

    /// Stops keeping what the script can be undone by, because it may take much memory. Such a script holds every
    /// shard, so it is never run again for lack of one.
    #[cold]
    fn keep_less(&mut self) -> Go {
        // What is all or nothing must be undoable to the end.
        if self.is_final || self.tx.undoable() {
            return Go::On;
        }
        if !self.tx.locked().holds_all() || !self.client.has_own_thread {
            return self.with_everything();
        }
        self.is_final = true;
        self.tx.keep_so_far();
        Go::On
    }

    /// Finds a command that a script may call with such arguments.
    fn find(&self, args: &[&[u8]]) -> Result<&'static Command, Fail> {
        let command: &'static Command = self.server.registry.lookup(args).map_err(|_| UNKNOWN)?;
        command.check_arity(args.len()).map_err(|_| WRONG_COUNT)?;
        if command.has(flag::NOSCRIPT | flag::SESSION | flag::ATOMIC | flag::NO_MULTI)
            || !command.subs.is_empty()
        {
            return Err(NOT_ALLOWED);
        }
        Ok(command)
    }

    /// Whether the script may call the command now.
    fn check(&mut self, command: &Command, args: &[&[u8]]) -> Result<(), Fail> {
        if !self.client.rights.are_unlimited(&self.server.users) {
            let call = (command, args);
            check_standing(self.server, self.settings, self.client, call, Standing::InScript)?;
        }
        // What a script publishes goes out at the commit.
        if self.tx.undoable() && !command.is_undoable() && !command.has(flag::PUBSUB) {
            let name = &command.full_name;
            return Err(Fail::text(format!("ERR {name} cannot be undone, so ITEM.ATOMIC does not allow it")));
        }
        let writes = command.has(flag::WRITE);
        let reads_only = self.rules.only_reads || self.rules.declared_no_writes;
        if reads_only && (is_write(command) || command.has(flag::MAY_REPLICATE)) {
            return Err(READ_ONLY);
        }
        fits(self.tx, self.settings, command, args)?;
        if writes && !self.wrote {
            self.check_first_write(command)?;
        }
        Ok(())
    }

    /// A script that has written goes on when memory is short, since half of what it does helps nobody.
    #[cold]
    fn check_first_write(&mut self, command: &Command) -> Result<(), Fail> {
        let short = self.client.memory_is_short && !self.rules.allows_oom;
        if short && command.has(flag::DENYOOM) {
            return Err(fail::OUT_OF_MEMORY);
        }
        if self.server.engine.state().has_log() {
            self.tx.ask(0)?;
        }
        check_checkpoint(self.server, self.settings)
    }

    /// Makes sure that the shards are held in which the command's keys are.
    fn reach(&mut self, command: &Command, args: &[&[u8]]) -> Go {
        if self.tx.locked().holds_all() {
            // What cannot be undone is done on a thread of its own, since the script may go on for long after it.
            let moves = !self.client.has_own_thread && acts_for_good(command);
            return if moves { self.move_away() } else { Go::On };
        }
        let beyond = command.is_keyless() && !command.has(flag::TELLS | flag::PUBSUB);
        let whole = command.has(flag::WHOLE | flag::ALL_SHARDS | flag::ADMIN);
        if beyond || whole || command.spec.alone.is_some_and(|is_alone| is_alone(args)) {
            return self.with_everything();
        }
        let engine = self.tx.engine();
        let mut hashes: SmallVec<[u64; 8]> = SmallVec::new();
        command.each_key(&engine.tables, args, &mut |_, key| hashes.push(engine.store.hash(key)));
        let to_write = is_write(command) || engine.tables.any_lifting();
        let held =
            |hash: &u64| if to_write { self.tx.locked().owns(*hash) } else { self.tx.locked().holds(*hash) };
        if hashes.iter().all(held) {
            return Go::On;
        }
        if !self.tx.reach_for(&hashes, to_write) {
            return self.abandon(Why::Again);
        }
        self.note_shards();
        Go::On
    }

    /// Runs the command.
    fn carry_out(&mut self, command: &Command, args: &[&[u8]], out: &mut Reply) -> Go {
        if !self.is_final && acts_for_good(command) {
            self.is_final = true;
            self.tx.keep_so_far();
        }
        if command.has(flag::WRITE) && !self.wrote {
            self.wrote = true;
            if let Some(running) = &self.running {
                running.wrote.store(true, Relaxed);
            }
        }
        self.tx.db = self.client.db;
        let (hits, misses) = (self.tx.hits(), self.tx.misses());
        let outcome = {
            let Self { tx, client, server, settings, .. } = self;
            super::super::run(
                command,
                &mut Cx { tx, out, client, server, settings, prepared: &mut None },
                args,
            )
        };
        if self.tx.lacks_shards() {
            return self.abandon(Why::Again);
        }
        let taken = memory::thread_bytes() - self.bytes;
        if taken > MOST_KEPT && self.keep_less() == Go::Abandon {
            return Go::Abandon;
        }
        let of_record = self.tx.record_room() as i64 - self.record;
        if self.tx.undoable() && taken - of_record > self.settings.transaction_max_memory as i64 {
            return self.abandon(Why::TooLarge);
        }
        if counts_lookups(command) {
            self.inside.lookups.0 += self.tx.hits() - hits;
            self.inside.lookups.1 += self.tx.misses() - misses;
        }
        if let Err(fail) = outcome {
            out.truncate(0);
            out.error(&fail.0);
        }
        let failed = out.is_error_at(0);
        if failed {
            self.inside.erred(&out.scalar_at(0)[1..]);
        }
        let now = self.server.engine.clock.monotonic_nanos();
        self.inside.called(command.id, now.saturating_sub(self.clock), failed);
        self.clock = now;
        self.at(now)
    }
}

/// Whether a call goes through so much data that it takes long.
fn reads_much(command: &Command, args: &[&[u8]]) -> bool {
    command.has(flag::READONLY | flag::WRITE) && command.takes_long(args)
}

/// Whether a command does what cannot be undone. What is published goes out at the commit.
fn acts_for_good(command: &Command) -> bool {
    let acts =
        command.is_keyless() && !command.has(flag::TELLS | flag::READONLY | flag::WRITE | flag::PUBSUB);
    let changes_all = command.has(flag::WHOLE | flag::ALL_SHARDS) && is_write(command);
    acts || changes_all || command.has(flag::ADMIN)
}

impl Host for ScriptHost<'_, '_> {
    fn call(&mut self, args: &[&[u8]], out: &mut Reply) -> Go {
        let found = self.find(args).and_then(|command| self.check(command, args).map(|()| command));
        match found {
            Err(fail) => {
                self.inside.erred(&fail.0);
                out.error(&fail.0);
                Go::On
            }
            // It runs to its end once it has begun, so it must not begin where other clients wait.
            Ok(command) if !self.client.has_own_thread && reads_much(command, args) => self.move_away(),
            Ok(command) => match self.reach(command, args) {
                Go::On => self.carry_out(command, args, out),
                Go::Abandon => Go::Abandon,
            },
        }
    }

    fn may_call(&mut self, args: &[&[u8]]) -> Option<bool> {
        let command = self.server.registry.lookup(args).ok()?;
        Some(has_rights(self.server, self.client, command, args))
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.inside.log(level, text);
    }

    fn tick(&mut self) -> Go {
        let now = self.server.engine.clock.monotonic_nanos();
        self.clock = now;
        self.at(now)
    }
}
