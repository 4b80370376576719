//! Execution by batch: the complete commands of one read are looked up, their keys hashed and prefetched, then executed
//! in order into one output buffer.

use super::call::Call;
use super::gate::{self, Verdict};
use super::locks::{self, Assumed, LookedUp, Only};
use super::worker::{Progress, Stop, Worker};
use crate::command::{Client, Command, HEAVY_BYTES, MANY_ELEMENTS, flag};
use crate::env::Instant;
use crate::node::{Kill, ReplyMode};
use crate::resp::{Batch, CommandSpan, Reply};
use crate::store::holds::take_waited;
use crate::store::{ElementLookup, Mode, Patience, ValueRef, shown};
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

/// How many commands are prefetched together. With more, the first lines would have left the cache before they are
/// used.
const GROUP: usize = 32;
/// A group with at most so many arguments needs no allocation.
const ARGS: usize = 4 * GROUP;

/// So many bytes of a string take as long as an element of another value, about a tenth of a microsecond.
const BYTES_AN_ELEMENT: usize = 256;

/// After so many nanoseconds the worker turns to its other connections.
const TURN_NANOS: u64 = 2_000_000;
/// Once a turn has written so many bytes of replies, they are sent.
const TURN_BYTES: usize = 256 * 1024;

impl Worker {
    /// Runs the commands of `batch` from number `from` on. `buf` is the buffer that was decoded.
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
        let mut args: SmallVec<[&[u8]; ARGS]> = SmallVec::new();
        let total = batch.commands.len();
        let mut done = from;
        let mut clock = self.server.engine.clock.monotonic_nanos();
        client.handle.last_active.store(Some(Instant::from_nanos(clock)));
        let (turn_end, begun) = (clock + TURN_NANOS, out.len());
        let (turn_begun, turn_now) = (clock, now);
        while done < total {
            self.refresh();
            let group = &batch.commands[done..(done + GROUP).min(total)];
            args.clear();
            args.extend(batch.args_of_all(group).iter().map(|span| span.of(buf)));
            self.look_up(client.db, group, &args);
            let mut rest = &args[..];
            for (i, span) in group.iter().enumerate() {
                let (these, behind) = rest.split_at(span.count as usize);
                rest = behind;
                let found = self.looked_up[i];
                // `clock` was read when the command before this one ended.
                let now = turn_now + clock.saturating_sub(turn_begun) / 1_000_000;
                let stop = if client.reply_mode == ReplyMode::On {
                    self.step(client, found, these, now, &mut clock, out)
                } else {
                    self.step_unheard(client, found, these, now, &mut clock, out)
                };
                if client.caching_given {
                    note_done(client, found, stop);
                }
                if self.server.engine.store.has_ready() {
                    self.serve_ready();
                    // The time for serving, and for waiting for shards meanwhile, does not count for the next command.
                    clock = self.server.engine.clock.monotonic_nanos();
                    take_waited();
                }
                if client.handle.pushed_bytes() > 0 && !client.closing {
                    take_pushed(client, out);
                }
                let spent = clock >= turn_end || out.len() - begun > TURN_BYTES;
                if let Some(stop) = stop.or(spent.then_some(Stop::Yield)) {
                    let is_done = matches!(stop, Stop::Close | Stop::Yield);
                    let done = done + i + usize::from(is_done);
                    return Progress { done, stop: Some(stop), wrote: false, shows: 0 };
                }
            }
            done += group.len();
        }
        Progress { done, stop: None, wrote: false, shows: 0 }
    }

    /// Finds the commands of a group and prefetches what their keys will need, in three passes so that each pass's
    /// memory accesses overlap.
    fn look_up(&mut self, db: usize, group: &[CommandSpan], args: &[&[u8]]) {
        self.looked_up.clear();
        self.assumed = Assumed { db, tables: self.server.engine.tables.generation() };
        let single = group.len() == 1;
        let (mut rest, mut elements) = (args, SmallVec::<[ElementLookup<'_>; GROUP]>::new());
        for span in group {
            let (these, behind) = rest.split_at(span.count as usize);
            rest = behind;
            let command = self.find(these);
            let engine = &self.server.engine;
            let only = command.ok().and_then(|command| locks::only_key(engine, command, these, db));
            if let (Some(only), false) = (only, single) {
                engine.store.prefetch_shard(only.at.hash);
                elements.extend(command.ok().and_then(|command| element_of(command, only, these)));
            }
            self.looked_up.push(LookedUp { command, only });
        }
        if single {
            return;
        }
        let keys = self.looked_up.iter().filter_map(|looked_up| looked_up.only);
        self.server.engine.store.prefetch(keys.map(|only| (only.at.hash, only.at.space)));
        if !elements.is_empty() {
            self.server.engine.store.prefetch_elements(elements.into_iter());
        }
    }

    /// Makes a step whose reply the client may not want. If replies have a limit, the reply is written into a sink of
    /// its own first.
    #[cold]
    #[allow(clippy::too_many_arguments)]
    fn step_unheard(
        &mut self,
        client: &mut Client,
        found: LookedUp,
        args: &[&[u8]],
        now: u64,
        clock: &mut u64,
        out: &mut Reply,
    ) -> Option<Stop> {
        let Some(mut apart) = out.apart() else {
            return self.step(client, found, args, now, clock, out);
        };
        let stop = self.step(client, found, args, now, clock, &mut apart);
        out.set_proto(apart.proto());
        out.append(apart.take());
        stop
    }

    /// Runs or queues one command, or says why it does not run yet. Inlined into the caller that makes nearly all
    /// steps.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, clippy::inline_always)]
    fn step(
        &mut self,
        client: &mut Client,
        found: LookedUp,
        args: &[&[u8]],
        now: u64,
        clock: &mut u64,
        out: &mut Reply,
    ) -> Option<Stop> {
        let mark = out.len();
        // CLIENT LIST shows the last command that came, even if it is refused.
        client
            .handle
            .last_command
            .store(found.command.map_or(u32::MAX, |command| command.id as u32), Relaxed);
        let Ok(command) = found.command else {
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
            self.queue(client, command, found.only, args);
            out.queued();
            return Self::after(client, out, mark);
        }
        if command.has(flag::LONG | flag::HEAVY | flag::SESSION) && takes_long(client, command, args)
            || command.has(flag::SIZED) && self.has_many_elements(client.db, command, args)
            || command.has(flag::SUBSCRIPTIONS) && changes_many_subscriptions(client, args.len())
        {
            return Some(Stop::Long);
        }
        self.execute(client, command, args, found.only, now, clock, out);
        if std::mem::take(&mut client.postponed) {
            if std::mem::take(&mut client.takes_long) {
                return Some(Stop::Long);
            }
            return Some(Stop::Paused(gate::wait_of_postponed(client, *clock)));
        }
        if client.parked.is_some() {
            return Some(Stop::Blocked);
        }
        Self::after(client, out, mark)
    }

    /// Queues a command in the open transaction. `only` is its only key, if that was looked up.
    fn queue(&mut self, client: &mut Client, command: &'static Command, only: Option<Only>, args: &[&[u8]]) {
        let Some(multi) = &mut client.multi else { return };
        if multi.queue.is_empty() {
            multi.queue = std::mem::take(&mut self.spare_queue);
        }
        let foreseen = only.and_then(|only| only.foreseen(command, self.assumed));
        let bytes = multi.queue.push(command, foreseen, args);
        multi.body_bytes += Call::body_bytes(command, bytes);
        multi.kept_bytes += Call::kept_bytes(command, bytes);
        client.handle.multi_bytes.store(multi.queue.memory(), Relaxed);
        client.handle.multi.store(multi.queue.len() as i32, Relaxed);
    }
}

/// The first element that a call looks up in the value at its only key.
#[inline]
fn element_of<'a>(command: &Command, only: Only, args: &[&'a [u8]]) -> Option<ElementLookup<'a>> {
    // The value at a view's key is an item.
    let element = command.first_element(args).filter(|_| only.own_name)?;
    let key = args.get(command.only_key)?;
    Some(ElementLookup { hash: only.at.hash, space: only.at.space, key, element })
}

/// What CLIENT CACHING was given for is over, if a command is done that is none of CLIENT.
#[cold]
fn note_done(client: &mut Client, found: LookedUp, stop: Option<Stop>) {
    let is_done = !matches!(stop, Some(Stop::Long | Stop::Paused(_) | Stop::Blocked));
    if is_done && !found.command.is_ok_and(|command| command.full_name.starts_with("client")) {
        client.end_caching_given();
    }
}

/// Takes over what others have sent the client, and what it sent itself, behind its last reply.
#[cold]
fn take_pushed(client: &Client, out: &mut Reply) {
    let (messages, shows) = client.handle.take_pushed();
    shown::note(shows);
    messages.into_iter().for_each(|message| out.share(message));
}

impl Worker {
    /// Whether there is much at the keys of a command. They may change before the command runs.
    #[cold]
    fn has_many_elements(&self, db: usize, command: &Command, args: &[&[u8]]) -> bool {
        let engine = &self.server.engine;
        let mut elements = 0;
        let look = |key: &[u8]| {
            let hash = engine.store.hash(key);
            let now = engine.clock.now_ms();
            // If a script has the shard, the command is postponed when it wants the shard itself.
            let Ok(locked) = engine.store.lock_one_within(Patience::Short, hash, Mode::Read, now) else {
                return 0;
            };
            let found = locked.peek(engine.store.space(engine.tables.home(db, key)), key, hash);
            // Another value in the compact form has few.
            found.map_or(0, |entry| match entry.value() {
                ValueRef::Boxed(object) => object.elements(),
                ValueRef::Str(bytes) => bytes.len() / BYTES_AN_ELEMENT,
                _ => 0,
            })
        };
        // This look does not count for what this thread's replies show.
        shown::apart(|| command.each_key(&engine.tables, args, &mut |_, key| elements += look(key)));
        elements > MANY_ELEMENTS
    }
}

/// Whether this call of a command that may take long does take long. EXEC does if its commands have much to read, or if
/// one of them may take long.
fn takes_long(client: &Client, command: &Command, args: &[&[u8]]) -> bool {
    let Some(multi) = client.multi.as_ref().filter(|_| command.has(flag::SESSION)) else {
        return command.takes_long(args);
    };
    // Neither scripts nor commands that go through much data must take a worker for long, and in a transaction they
    // cannot be moved any more.
    multi.body_bytes > HEAVY_BYTES
        || multi.queue.commands().iter().any(|queued| {
            queued.command.has(flag::SCRIPT)
                || queued.command.has(flag::LONG) && queued.command.has(flag::READONLY | flag::WRITE)
                || queued.command.has(flag::SUBSCRIPTIONS)
                    && changes_many_subscriptions(client, queued.count_args())
        })
}

/// Whether a command with so many arguments, its name included, begins or ends many subscriptions. One without others
/// ends all.
#[cold]
fn changes_many_subscriptions(client: &Client, args: usize) -> bool {
    let named = args - 1;
    (if named == 0 { client.handle.subscriptions() } else { named }) > MANY_ELEMENTS
}

/// Whether a command's name is the beginning of a line of HTTP. Such a client is closed: a web page may have made a
/// browser talk to this port.
fn is_foreign(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}
