//! What the tasks of one worker share, and the worker's flusher, which settles the log for all of them at once.

use super::outbox::Outbox;
use super::parked::ParkedConnections;
use super::shared::Shared;
use super::spares::Spares;
use crate::command::{Client, Server};
use crate::config::AppendFsync;
use crate::engine::Settling;
use crate::log::{LogError, Lsn};
use crate::node::{ClientHandle, Kill, WorkerStats, end_transaction, output};
use crate::resp::{Batch, InputLimits, Proto, Reply};
use crate::session::Worker;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Bytes of a worker's read buffer, shared by its connections.
const SCRATCH: usize = 64 * 1024;

/// How long the flusher waits before it tries again, when the log has no room.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(20);

/// Of one worker's long commands that wait for something rather than work on the data, so many may have a thread at a
/// time.
const WAITING_COMMANDS: usize = 256;

/// What the tasks of one worker share.
pub(super) struct Local {
    pub(super) server: Arc<Server>,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) worker: RefCell<Worker>,
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) spares: Spares,
    /// The batch that connections decode into. A connection whose commands are not done keeps a batch of its own.
    pub(super) batch: Cell<Batch>,
    waiting: RefCell<Vec<Rc<Shared>>>,
    /// Connections whose replies wait for a log that answers later. A connection may end meanwhile.
    parked: RefCell<ParkedConnections>,
    /// Wakes the flusher. A log that answers later does so from its own thread.
    wake_flusher: Arc<Notify>,
    /// One permit for each long command that may work on the data at a time, for the clients of all workers: each such
    /// command has a thread of its own, and a reply that may be large.
    pub(super) working: Arc<Semaphore>,
    /// One permit for each other long command that may run at a time.
    pub(super) waiting_long: Semaphore,
    /// The permit of the one client that may be leaving many lines.
    pub(super) leaving: Semaphore,
    connections: Cell<usize>,
    gone: Notify,
}

impl Local {
    pub(super) fn new(server: Arc<Server>, index: usize, working: Arc<Semaphore>) -> Self {
        let worker = Worker::new(Arc::clone(&server), index);
        let wake_flusher = Arc::new(Notify::new());
        let waker = Arc::clone(&wake_flusher);
        server.engine.wake_when_settled(Box::new(move || waker.notify_one()));
        Self {
            stats: Arc::clone(&worker.stats),
            server,
            worker: RefCell::new(worker),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            spares: Spares::default(),
            batch: Cell::default(),
            waiting: RefCell::default(),
            parked: RefCell::default(),
            wake_flusher,
            working,
            waiting_long: Semaphore::new(WAITING_COMMANDS),
            leaving: Semaphore::new(1),
            connections: Cell::new(0),
            gone: Notify::new(),
        }
    }

    pub(super) fn limits(&self) -> InputLimits {
        let worker = self.worker.borrow();
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        InputLimits {
            max_bulk: size(worker.settings.proto_max_bulk_len),
            max_multibulk: worker.settings.proto_max_multibulk_len as usize,
            max_inline: size(worker.settings.proto_inline_max_size),
            authenticated: true,
        }
    }

    /// Whether clients need no password.
    pub(super) fn is_open(&self) -> bool {
        self.server.users.is_open()
    }

    /// Takes note of the limit for what a client does not read, which depends on the client's class.
    pub(super) fn refresh_limit(&self, shared: &Shared, authenticated: bool) {
        let mut worker = self.worker.borrow_mut();
        worker.refresh();
        shared.most.set(output::most(&worker.settings, &shared.client, authenticated));
    }

    /// Whether a connection holds more replies than its limit allows. Then the client is closed and gets none of them.
    fn is_above_limit(&self, shared: &Shared) -> bool {
        let most = shared.most.get();
        let above = most != 0 && shared.outbox.borrow().held() > most;
        if above {
            output::close(&self.server.counts, &shared.client);
        }
        above
    }

    /// The sink for a connection's next replies: they follow those that wait to be sent.
    pub(super) fn sink(&self, shared: &Shared, outbox: &mut Outbox, proto: Proto) -> Reply {
        let mut chain = outbox.take();
        chain.set_most(shared.most.get());
        chain.offer_room(|| self.spares.take());
        Reply::onto(chain, proto)
    }

    /// Sends what may be sent. If the socket fails, the connection ends.
    pub(super) fn flush(&self, shared: &Shared) {
        if shared.client.killed() == Kill::Now || self.is_above_limit(shared) {
            return;
        }
        let flushed = {
            let mut outbox = shared.outbox.borrow_mut();
            let flushed = outbox.flush(&shared.write);
            shared.client.output_bytes.store(outbox.held(), Relaxed);
            if outbox.is_empty() {
                self.spares.give(outbox.take_room(), self.worker.borrow().keeps());
            }
            flushed
        };
        match flushed {
            Ok(0) => {}
            Ok(n) => {
                self.stats.bytes_out.add(n as u64);
                self.stats.writes.add(1);
                shared.client.bytes_out.fetch_add(n as u64, Relaxed);
            }
            Err(_) => shared.client.kill(Kill::Now),
        }
    }

    /// Has the flusher settle the log and then send the connection's replies. The flusher's task is queued behind the
    /// connections that are ready, so it settles once for all of them.
    pub(super) fn flush_later(&self, shared: &Rc<Shared>) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.wake_flusher.notify_one();
        }
        waiting.push(Rc::clone(shared));
    }

    /// Settles the log and sends replies, for ever.
    pub(super) async fn flusher(self: Rc<Self>) {
        loop {
            self.wake_flusher.notified().await;
            if self.server.engine.settles_on_disk() && self.waiting.borrow().len() < self.connections.get() {
                // Connections are polled once more, so that writes which have just arrived share the sync.
                tokio::task::yield_now().await;
            }
            let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
            let outcome = self.settle();
            for shared in waiting {
                match &outcome {
                    Ok(Settling::Pending) => self.parked.borrow_mut().park(&shared),
                    Err(error) if error.is_final() => self.send_failed(&shared),
                    Ok(Settling::Done) | Err(_) => {
                        // Some replies still wait: the log has no room, or `appendfsync` became stricter after the log
                        // was settled.
                        if self.send_settled(&shared) {
                            self.flush_later(&shared);
                        }
                    }
                }
            }
            let failed = outcome.as_ref().is_err_and(LogError::is_final);
            self.send_parked(failed);
            if outcome.is_err() && !failed {
                tokio::time::sleep(WAIT_FOR_ROOM).await;
            }
        }
    }

    /// Settles the log, and tells the engine if that fails.
    fn settle(&self) -> Result<Settling, LogError> {
        let engine = &self.server.engine;
        let began = engine.clock.monotonic_micros();
        let outcome = engine.settle();
        self.note_settling(engine.clock.monotonic_micros() - began);
        if let Err(error) = &outcome {
            engine.note_failure(error);
        }
        outcome
    }

    /// Sends those of a connection's replies that are settled; returns whether others still wait.
    fn send_settled(self: &Rc<Self>, shared: &Shared) -> bool {
        let waits = shared.outbox.borrow_mut().release(self.server.engine.settled());
        self.send(shared);
        waits
    }

    /// After the log has failed: sends what may still be sent, or closes the connection.
    fn send_failed(self: &Rc<Self>, shared: &Shared) {
        let engine = &self.server.engine;
        let strict = engine.shows_only_durable();
        if shared.outbox.borrow_mut().release_failed(engine.settled(), strict) {
            self.send(shared);
        } else {
            shared.client.kill(Kill::Now);
        }
    }

    fn send(self: &Rc<Self>, shared: &Shared) {
        self.flush(shared);
        if shared.outbox.borrow().wants_write() || shared.draining.get() {
            shared.client.waker.wake();
        }
    }

    /// For a log that answers later: sends the parked replies that have become durable, or, after it has failed, those
    /// that may still be sent.
    fn send_parked(self: &Rc<Self>, failed: bool) {
        let upto = if failed { Lsn::MAX } else { self.server.engine.settled() };
        loop {
            // The borrow ends with this line, so none is held while bytes are sent.
            let Some(shared) = self.parked.borrow_mut().next(upto) else { return };
            if failed {
                self.send_failed(&shared);
            } else if self.send_settled(&shared) {
                self.parked.borrow_mut().park(&shared);
            }
        }
    }

    /// Tells the latency monitor how long settling the log took.
    fn note_settling(&self, micros: u64) {
        let worker = self.worker.borrow();
        let threshold = worker.settings.latency_monitor_threshold;
        if threshold > 0 && micros / 1000 >= threshold {
            let event = match worker.settings.appendfsync {
                AppendFsync::Always => "aof-fsync-always",
                AppendFsync::Everysec | AppendFsync::No => "aof-write",
            };
            self.server.latency.record(event, self.server.engine.clock.now_ms() / 1000, micros / 1000);
        }
    }

    /// Counts a connection that begins; [`Local::disconnected`] counts it out.
    pub(super) fn connected(&self) {
        self.connections.set(self.connections.get() + 1);
    }

    /// Resolves once there are no connections.
    pub(super) async fn all_gone(&self) {
        while self.connections.get() > 0 {
            self.gone.notified().await;
        }
    }

    /// Forgets a client whose connection has ended. There is no state if it was lost in a panic of a command.
    pub(super) fn disconnected(&self, handle: &Arc<ClientHandle>, client: Option<Client>) {
        self.connections.set(self.connections.get() - 1);
        self.gone.notify_one();
        self.server.clients.lock().remove(&handle.id);
        self.server.broker.roster.leave(handle);
        self.server.stop_tracking(handle);
        if handle.monitor.swap(false, Relaxed) {
            self.server.monitors.fetch_sub(1, Relaxed);
        }
        if let Some(mut client) = client {
            end_transaction(&self.server.engine.store, &mut client);
        }
    }
}

/// One of the `maxclients` seats for clients; dropping it gives it back.
pub(super) struct Seat(Arc<Server>);

impl Seat {
    /// A seat, unless `most` are taken.
    pub(super) fn take(server: &Arc<Server>, most: usize) -> Option<Self> {
        if server.counts.seats.fetch_add(1, Relaxed) >= most {
            server.counts.seats.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Self(Arc::clone(server)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.counts.seats.fetch_sub(1, Relaxed);
    }
}
