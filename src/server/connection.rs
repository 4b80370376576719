//! One connection's task: read what is there, run all complete commands, write the replies once.

use super::local::{Local, Seat};
use super::shared::Shared;
use super::stream::{ReadHalf, WriteHalf};
use super::thread;
use crate::command::{Client, Fail};
use crate::env::Instant;
use crate::node::Kill;
use crate::node::handle::state;
use crate::resp::{Batch, Decoder, InputLimits, Proto, ProtocolError, Reply, Span};
use crate::session::{Stop, Worker};
use bytes::{Buf as _, BytesMut};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

/// The most commands of one turn; then the worker's other connections have theirs.
const TURN: usize = 512;
/// Bytes read at once into the connection's own buffer, which holds a command that came in pieces.
const CHUNK: usize = 16 * 1024;
/// The most bytes read at once for a large argument. The room for them is zeroed before each read, even if less
/// arrives.
const MOST: usize = 256 * 1024;
/// The most bytes of unprocessed input of a client that has not authenticated, as in Redis.
const UNAUTHENTICATED_INPUT: u64 = 1 << 20;
/// How many ms a command that no pause holds back waits before it passes its gates again.
const LOOK_AGAIN_MILLIS: u64 = 20;
/// How often a command that waits for its turn to have a thread looks whether a script keeps it waiting.
const LOOK_FOR_SCRIPTS: Duration = Duration::from_millis(100);

/// So many subscriptions of each kind a connection leaves at its end before other connections have their turn.
const SUBSCRIPTIONS: usize = 1024;

enum Event {
    /// Bytes were read: how many, and whether into the worker's scratch buffer (true) or the connection's own.
    Read(usize, bool),
    /// The socket takes bytes again, or another thread or task woke this one.
    Woken,
    /// The client or the network is gone.
    Gone,
}

/// One connection.
pub(super) struct Connection {
    pub(super) read: ReadHalf,
    pub(super) shared: Rc<Shared>,
    pub(super) client: Option<Client>,
    decoder: Decoder,
    /// Input that is not used up yet; empty between whole commands.
    pub(super) input: BytesMut,
    /// Bytes in front of `input` that are used up and still take memory.
    passed: usize,
    pub(super) local: Rc<Local>,
    /// The decoded commands, until all of them are done.
    batch: Batch,
    /// Whether the batch is not done yet. While it is not, `input` begins with the bytes of the batch.
    open: bool,
    /// Whether the client had yet to authenticate at the last batch.
    unauthenticated: bool,
    /// How many commands of the batch are done.
    pub(super) at: usize,
    /// The protocol error that ends the connection once the batch is done.
    fault: Option<ProtocolError>,
    /// Whether `input` may hold more complete commands than those of the batch.
    pub(super) again: bool,
    /// The client's seat among `maxclients`.
    _seat: Seat,
}

impl Connection {
    pub(super) fn new(
        read: ReadHalf,
        write: WriteHalf,
        client: Client,
        local: Rc<Local>,
        seat: Seat,
    ) -> Self {
        let shared = Shared {
            outbox: RefCell::default(),
            most: Cell::new(0),
            write,
            client: client.handle.clone(),
            draining: Cell::new(false),
            is_parked: Cell::new(false),
        };
        Self {
            read,
            shared: Rc::new(shared),
            client: Some(client),
            decoder: Decoder::default(),
            input: BytesMut::new(),
            passed: 0,
            local,
            batch: Batch::default(),
            open: false,
            unauthenticated: false,
            at: 0,
            fault: None,
            again: false,
            _seat: seat,
        }
    }

    /// Serves the client until the client or the server ends the connection.
    pub(super) async fn serve(mut self) {
        loop {
            let event = self.next().await;
            self.take_pushed();
            if self.shared.client.killed() != Kill::No {
                break;
            }
            match event {
                Event::Gone => break,
                Event::Woken => {}
                Event::Read(n, scratch) => {
                    self.local.stats.reads.add(1);
                    self.local.stats.bytes_in.add(n as u64);
                    self.shared.client.bytes_in.fetch_add(n as u64, Relaxed);
                    if !self.process(n, scratch).await {
                        break;
                    }
                }
            }
            self.local.flush(&self.shared);
            if self.shared.client.pushed_bytes() > 0 {
                // Others send without pause, and the worker's other connections have their turn nevertheless.
                tokio::task::yield_now().await;
            }
        }
        self.drain().await;
        // In pieces, between which other connections have their turn. There may be millions.
        while self.local.server.broker.roster.leave_some(&self.shared.client, SUBSCRIPTIONS) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits for input, for room in the socket, or to be woken.
    async fn next(&mut self) -> Event {
        let Self { read, shared, input, decoder, local, .. } = self;
        poll_fn(|cx| {
            shared.client.waker.register(cx.waker());
            if shared.client.killed() != Kill::No {
                return Poll::Ready(Event::Woken);
            }
            let polled = if input.is_empty() {
                read.poll_read(cx, &mut local.scratch.borrow_mut()).map(|r| (r, true))
            } else {
                let old = input.len();
                input.reserve(decoder.wants());
                input.resize(old + decoder.wants().clamp(CHUNK, MOST), 0);
                let polled = read.poll_read(cx, &mut input[old..]);
                let got = if let Poll::Ready(Ok(n)) = polled { n } else { 0 };
                input.truncate(old + got);
                shared.client.query_room.store(input.capacity() - input.len() + decoder.held(), Relaxed);
                polled.map(|r| (r, false))
            };
            if let Poll::Ready((result, scratch)) = polled {
                return Poll::Ready(match result {
                    Ok(0) => Event::Gone,
                    Ok(n) => Event::Read(n, scratch),
                    Err(_) => {
                        // The client is gone, so the last replies are not sent.
                        shared.client.kill(Kill::Now);
                        Event::Gone
                    }
                });
            }
            if shared.client.pushed_bytes() > 0
                || shared.outbox.borrow().wants_write() && shared.write.poll_writable(cx).is_ready()
            {
                return Poll::Ready(Event::Woken);
            }
            Poll::Pending
        })
        .await
    }

    /// Decodes and runs what was read; false if the connection is to be closed.
    async fn process(&mut self, n: usize, scratch: bool) -> bool {
        let local = Rc::clone(&self.local);
        let mut more = if scratch {
            // All of the scratch buffer is used up or copied to `input` before any other task can run.
            let mut buf = local.scratch.borrow_mut();
            let (used, more) = self.turn(&mut buf[..n]);
            self.input.extend_from_slice(&buf[used..n]);
            more
        } else {
            self.turn_of_input()
        };
        loop {
            if matches!(more, More::Long | More::Blocked | More::Paused(_)) {
                self.note_held();
            }
            match more {
                More::No => return self.note_input(),
                More::Close => return false,
                More::Yes => {
                    local.flush(&self.shared);
                    tokio::task::yield_now().await;
                }
                More::Long => {
                    local.flush(&self.shared);
                    if !self.run_long().await {
                        return false;
                    }
                }
                More::Blocked => {
                    local.flush(&self.shared);
                    if !self.wait_for_keys().await {
                        return false;
                    }
                }
                More::Paused(_) if self.shared.client.killed() != Kill::No => return false,
                More::Paused(until) => {
                    local.flush(&self.shared);
                    if !self.wait_for_pause(until).await {
                        return false;
                    }
                }
            }
            if self.shared.client.killed() == Kill::Now {
                return false;
            }
            more = self.turn_of_input();
        }
    }

    fn turn_of_input(&mut self) -> More {
        let mut input = std::mem::take(&mut self.input);
        let (used, more) = self.turn(&mut input);
        input.advance(used);
        self.passed += used;
        // The rest is moved to a new buffer once it is shorter than what was used up. So all moves together cost no
        // more than the reads, and a large buffer is not kept for little. An idle connection keeps no buffer.
        if input.is_empty() {
            (input, self.passed) = (BytesMut::new(), 0);
        } else if used > 0 && input.len() <= self.passed {
            (input, self.passed) = (BytesMut::from(&input[..]), 0);
        }
        self.input = input;
        more
    }

    /// Publishes how much memory the client's input takes.
    pub(super) fn note_held(&self) {
        let spans = self.batch.args.capacity() * size_of::<Span>() + self.decoder.held();
        let room = self.input.capacity() - self.input.len() + self.passed + spans;
        self.shared.client.query_bytes.store(self.input.len(), Relaxed);
        self.shared.client.query_room.store(room, Relaxed);
    }

    /// Publishes how much input waits; false if it exceeds the limit.
    pub(super) fn note_input(&self) -> bool {
        self.note_held();
        let limit = self.local.worker.borrow().settings.client_query_buffer_limit;
        let limit = if self.unauthenticated { limit.min(UNAUTHENTICATED_INPUT) } else { limit };
        if (self.input.len() as u64) <= limit {
            return true;
        }
        let server = &self.local.server;
        server.counts.query_limit_disconnections.fetch_add(1, Relaxed);
        tracing::warn!(
            "client {} is closed: it sent more than client-query-buffer-limit ahead",
            self.shared.client.id
        );
        false
    }

    /// One turn: runs what is left of the decoded commands; if nothing is left, decodes up to [`TURN`] commands from
    /// `buf` and runs them. Returns the bytes used up: none before all decoded commands are done, because these are
    /// ranges of `buf`.
    fn turn(&mut self, buf: &mut [u8]) -> (usize, More) {
        let Some(client) = &mut self.client else { return (0, More::Close) };
        if !self.open {
            self.local.worker.borrow_mut().refresh();
            let limits = InputLimits {
                authenticated: client.authenticated || self.local.is_open(),
                ..self.local.limits()
            };
            self.batch = self.local.batch.take();
            self.local.refresh_limit(&self.shared, limits.authenticated);
            self.fault = self.decoder.decode(buf, &limits, &mut self.batch, TURN).err();
            (self.at, self.open, self.unauthenticated) = (0, true, !limits.authenticated);
            self.again = self.batch.commands.len() == TURN
                || (!limits.authenticated && !self.batch.commands.is_empty());
        }
        let began = self.local.server.engine.state();
        let mut outbox = self.shared.outbox.borrow_mut();
        let mut reply = self.local.sink(&self.shared, &mut outbox, proto_of(client));
        let progress = self.local.worker.borrow_mut().run(client, buf, &self.batch, self.at, &mut reply);
        self.at = progress.done;
        let done = self.at == self.batch.commands.len();
        self.open = !done;
        let mut more = match progress.stop {
            Some(Stop::Close) => More::Close,
            Some(Stop::Long) => More::Long,
            Some(Stop::Paused(until)) => More::Paused(until),
            Some(Stop::Blocked) => More::Blocked,
            Some(Stop::Yield) if !done => More::Yes,
            Some(Stop::Yield) | None if self.again => More::Yes,
            Some(Stop::Yield) | None => More::No,
        };
        if let (Some(error), true, false) = (&self.fault, done, more == More::Close) {
            self.local.worker.borrow().refuse_input(client, error, &mut reply);
            more = More::Close;
        }
        self.answer(outbox, reply, progress.wrote, progress.shows, began);
        if !done {
            return (0, more);
        }
        let mut batch = std::mem::take(&mut self.batch);
        let consumed = batch.consumed;
        batch.clear();
        self.local.batch.set(batch);
        (consumed, more)
    }

    /// Waits until the next decoded command may have a thread of its own, and runs it there while this worker serves
    /// other connections; false if the connection is to be closed.
    async fn run_long(&mut self) -> bool {
        let Some(command) = self.batch.commands.get(self.at).copied() else { return false };
        let local = Rc::clone(&self.local);
        let works = {
            let args: SmallVec<[&[u8]; 8]> =
                self.batch.args_of(command).iter().map(|span| span.of(&self.input)).collect();
            local.worker.borrow_mut().works_on_data(&args)
        };
        let turns = if works { &*local.working } else { &local.waiting_long };
        let mut turn = pin!(turns.acquire());
        // The semaphores are never closed. If the client goes while it waits, its command is not run.
        let _turn = loop {
            tokio::select! {
                biased;
                turn = &mut turn => break turn,
                () = self.end_while_waiting() => return false,
                () = tokio::time::sleep(LOOK_FOR_SCRIPTS), if works => {}
            }
            let busy = local.worker.borrow_mut().is_busy();
            if let Some(busy) = busy {
                return self.refuse_long(&busy);
            }
        };
        let Some(client) = self.client.take() else { return false };
        // The arguments are copied only now, so that a command which waits for its turn holds them once.
        let args: Vec<Vec<u8>> =
            self.batch.args_of(command).iter().map(|span| span.of(&self.input).to_vec()).collect();
        let server = std::sync::Arc::clone(&self.local.server);
        let began = server.engine.state();
        let most = self.shared.most.get();
        let (give, given) = oneshot::channel();
        let work = move || {
            let mut client = given.blocking_recv().ok()?;
            let mut worker = Worker::for_long_command(server);
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            let mut reply = Reply::limited(proto_of(&client), most);
            // A panic costs the connection, which forgets what the client watches as after any other.
            let ran = catch_unwind(AssertUnwindSafe(|| worker.run_long(&mut client, &args, &mut reply)));
            Some((client, reply.take(), ran.ok(), worker.stats))
        };
        let result = match thread::run_command(work) {
            Ok(result) => result,
            Err(error) => {
                self.client = Some(client);
                let text = format!("ERR no thread can be started for the command: {error}");
                return self.refuse_long(&Fail::text(text));
            }
        };
        let _ = give.send(client);
        let Ok(Some((client, replies, ran, stats))) = self.sending(works, result).await else { return false };
        self.client = Some(client);
        self.local.stats.absorb(&stats);
        let Some(progress) = ran else { return false };
        self.at += progress.done;
        {
            let mut outbox = self.shared.outbox.borrow_mut();
            let mut reply = self.local.sink(&self.shared, &mut outbox, Proto::V2);
            reply.append(replies);
            self.answer(outbox, reply, progress.wrote, progress.shows, began);
        }
        match progress.stop {
            Some(Stop::Close) => false,
            Some(Stop::Paused(until)) => self.wait_for_pause(until).await,
            _ => true,
        }
    }

    /// Answers the next decoded command, which takes long, when it cannot be run; false if the connection is to be
    /// closed.
    fn refuse_long(&mut self, fail: &Fail) -> bool {
        let Some(client) = &mut self.client else { return false };
        let mut outbox = self.shared.outbox.borrow_mut();
        let mut reply = self.local.sink(&self.shared, &mut outbox, proto_of(client));
        let command = self.batch.commands[self.at];
        let args: SmallVec<[&[u8]; 8]> =
            self.batch.args_of(command).iter().map(|span| span.of(&self.input)).collect();
        let stop = self.local.worker.borrow_mut().refuse_long(client, &args, fail, &mut reply);
        self.at += 1;
        self.answer(outbox, reply, false, 0, self.local.server.engine.state());
        stop != Some(Stop::Close)
    }

    /// Waits until CLIENT PAUSE ends or changes, at most until an instant. If no pause is in force, a command was
    /// postponed because the server may be ending: then a moment is waited, after which the command is tried again.
    /// False if the connection is to be closed, because its socket was, or its client was killed.
    async fn wait_for_pause(&mut self, until: Instant) -> bool {
        let local = Rc::clone(&self.local);
        let handle = std::sync::Arc::clone(&self.shared.client);
        handle.blocked.store(state::PAUSED, Relaxed);
        let now = local.server.engine.clock.instant();
        let pause = &local.server.pause;
        // Without a pause in force, the command waits for the outcome of an end of the server, or for nothing.
        let (paused, until) = match pause.state(now) {
            Some(_) => (true, until),
            None => (false, until.min(now.after_ms(LOOK_AGAIN_MILLIS))),
        };
        let goes_on = tokio::select! {
            () = pause.over_or_changed(now), if paused => true,
            () = tokio::time::sleep(until.since(now)) => true,
            () = self.end_while_waiting() => false,
        };
        handle.blocked.store(state::NO, Relaxed);
        goes_on
    }

    /// Sends the last replies of a connection that is to be closed.
    async fn drain(&mut self) {
        if self.shared.client.killed() == Kill::Now {
            return;
        }
        self.shared.draining.set(true);
        let shared = Rc::clone(&self.shared);
        let flushed = poll_fn(|cx| {
            shared.client.waker.register(cx.waker());
            if shared.client.killed() == Kill::Now {
                return Poll::Ready(Err(io::ErrorKind::Other.into()));
            }
            shared.outbox.borrow_mut().flush(&shared.write)?;
            if shared.outbox.borrow().is_empty() {
                return Poll::Ready(Ok::<(), io::Error>(()));
            }
            if shared.outbox.borrow().wants_write() {
                let _ = shared.write.poll_writable(cx)?;
            }
            Poll::Pending
        });
        let _ = tokio::time::timeout(Duration::from_secs(10), flushed).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A panic may have lost the chain of replies and left its gates, so nothing may be sent.
        self.shared.client.kill(Kill::Now);
        self.local.disconnected(&self.shared.client, self.client.take());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    /// Everything that can be done is done.
    No,
    /// There is more to do, after the other connections had their turn.
    Yes,
    /// The next command needs a thread of its own.
    Long,
    /// The next command waits until this instant at the latest: for the end of CLIENT PAUSE, or for an end of the
    /// server that may yet be refused.
    Paused(Instant),
    /// The next command waits for keys.
    Blocked,
    /// The connection is to be closed.
    Close,
}

pub(super) fn proto_of(client: &Client) -> Proto {
    if client.handle.resp.load(Relaxed) == 3 { Proto::V3 } else { Proto::V2 }
}
