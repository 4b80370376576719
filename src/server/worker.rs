//! Worker threads: a current-thread runtime each, connections dealt out in turn, one flusher.

use super::connection::Connection;
use super::parked::Parked;
use super::replies::Shared;
use super::spares::Spares;
use super::stream::{split_tcp, split_unix};
use crate::command::client::Kill;
use crate::command::transactions::end_transaction;
use crate::command::{Client, ClientHandle, Server, WorkerStats};
use crate::config::AppendFsync;
use crate::engine::Settling;
use crate::log::{LogError, Lsn};
use crate::resp::{Batch, Limits};
use crate::session::Worker;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, Semaphore, mpsc};

/// Bytes of a worker's read buffer, shared by its connections.
const SCRATCH: usize = 64 * 1024;

/// How long replies wait until a log that has no room is tried again.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(20);

/// How many commands of one worker's clients that do not work on the data, but wait for something, have a thread at a
/// time.
const WAITING_COMMANDS: usize = 256;

/// The least number of commands that work long on the data at a time: one alone does not keep all others waiting.
const LEAST_WORKING: usize = 2;

/// What the tasks of one worker share.
pub(super) struct Local {
    pub(super) server: Arc<Server>,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) worker: RefCell<Worker>,
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) spares: Spares,
    /// What connections decode into, unless one keeps it because its commands are not done.
    pub(super) batch: Cell<Batch>,
    waiting: RefCell<Vec<Rc<Shared>>>,
    /// Those that wait for a log that answers later. They may end meanwhile.
    parked: RefCell<Parked>,
    /// Wakes the flusher. A log that answers later does so from its own thread.
    flush: Arc<Notify>,
    /// The turns of commands that take long because they work on the data, of all workers' clients. Each has a thread
    /// of its own, and a reply that may be large.
    pub(super) working: Arc<Semaphore>,
    /// The turns of the other commands that take long.
    pub(super) waiting_long: Semaphore,
    connections: Cell<usize>,
    gone: Notify,
}

impl Local {
    fn new(server: Arc<Server>, index: usize, working: Arc<Semaphore>) -> Self {
        let worker = Worker::new(Arc::clone(&server), index);
        let flush = Arc::new(Notify::new());
        let waker = Arc::clone(&flush);
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
            flush,
            working,
            waiting_long: Semaphore::new(WAITING_COMMANDS),
            connections: Cell::new(0),
            gone: Notify::new(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let worker = self.worker.borrow();
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Limits {
            max_bulk: size(worker.settings.proto_max_bulk_len),
            max_multibulk: worker.settings.proto_max_multibulk_len as usize,
            max_inline: size(worker.settings.proto_inline_max_size),
            authenticated: true,
        }
    }

    /// Whether clients need no password.
    pub(super) fn is_open(&self) -> bool {
        self.worker.borrow().settings.requirepass.is_empty()
    }

    /// Has the flusher settle the log and then send the connection's replies, once per tick for all connections that
    /// became ready in it: the flusher's task is queued behind theirs.
    pub(super) fn flush_later(&self, shared: &Rc<Shared>) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.flush.notify_one();
        }
        waiting.push(Rc::clone(shared));
    }

    async fn flusher(self: Rc<Self>) {
        loop {
            self.flush.notified().await;
            let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
            let outcome = self.settle();
            for shared in waiting {
                match &outcome {
                    Ok(Settling::Pending) => self.parked.borrow_mut().park(&shared),
                    Err(error) if error.is_final() => self.send_failed(&shared),
                    Ok(Settling::Done) | Err(_) => {
                        // The log waits for room, or `appendfsync` has just become stricter than what it was settled
                        // by.
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

    /// Settles the log and takes note of its failure.
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

    /// Sends what is settled of a connection's replies; returns whether others wait.
    fn send_settled(self: &Rc<Self>, shared: &Shared) -> bool {
        let waits = shared.outbox.borrow_mut().release(self.server.engine.settled());
        self.send(shared);
        waits
    }

    /// Sends what may be sent after the log has failed, or closes the connection.
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
        shared.flush(self);
        if shared.outbox.borrow().wants_write() || shared.draining.get() {
            shared.client.waker.wake();
        }
    }

    /// Sends what the log, which answers later, has meanwhile made durable, or what may be sent after it has failed.
    fn send_parked(self: &Rc<Self>, failed: bool) {
        let upto = if failed { Lsn::MAX } else { self.server.engine.settled() };
        loop {
            // Not held while bytes are sent.
            let Some(shared) = self.parked.borrow_mut().next(upto) else { return };
            if failed {
                self.send_failed(&shared);
            } else if self.send_settled(&shared) {
                self.parked.borrow_mut().park(&shared);
            }
        }
    }

    /// Tells the latency monitor how long the log took.
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

    /// Forgets a client whose connection has ended. Its state is missing if a command was lost with it.
    pub(super) fn disconnected(&self, handle: &ClientHandle, client: Option<Client>) {
        self.connections.set(self.connections.get() - 1);
        self.gone.notify_one();
        self.server.clients.lock().remove(&handle.id);
        if handle.monitor.swap(false, Relaxed) {
            self.server.monitors.fetch_sub(1, Relaxed);
        }
        if let Some(mut client) = client {
            end_transaction(&self.server.engine.store, &mut client);
        }
    }
}

/// One of the places for clients, of which there are `maxclients`; given back when it is dropped.
pub(super) struct Seat(Arc<Server>);

impl Seat {
    /// A place, unless there are `most` clients already.
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

/// A fresh connection.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    /// With the socket's path.
    Unix(std::os::unix::net::UnixStream, String),
}

/// Seconds that connections have to send their last replies when the server ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// The worker threads and the way to hand them connections.
pub(super) struct Workers {
    senders: Vec<mpsc::Sender<(Accepted, Seat)>>,
    threads: Vec<JoinHandle<()>>,
    next: AtomicUsize,
}

impl Workers {
    /// Starts one thread per set of counters.
    pub(super) fn start(server: &Arc<Server>) -> io::Result<Self> {
        let mut workers = Self { senders: Vec::new(), threads: Vec::new(), next: AtomicUsize::new(0) };
        let working = Arc::new(Semaphore::new(server.workers.len().max(LEAST_WORKING)));
        for index in 0..server.workers.len() {
            let (sender, receiver) = mpsc::channel::<(Accepted, Seat)>(1024);
            let (server, working) = (Arc::clone(server), Arc::clone(&working));
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || work(server, index, working, receiver))?;
            workers.senders.push(sender);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Gives a connection to the worker whose turn it is.
    pub(super) async fn hand_over(&self, accepted: Accepted, seat: Seat) {
        let next = self.next.fetch_add(1, Relaxed) % self.senders.len();
        let _ = self.senders[next].send((accepted, seat)).await;
    }

    /// Lets the workers end once their connections have, and waits for them.
    pub(super) fn join(self) {
        drop(self.senders);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn work(
    server: Arc<Server>,
    index: usize,
    working: Arc<Semaphore>,
    mut receiver: mpsc::Receiver<(Accepted, Seat)>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker cannot start");
            server.shutdown.request();
            return;
        }
    };
    let set = tokio::task::LocalSet::new();
    set.block_on(&runtime, async move {
        let local = Rc::new(Local::new(server, index, working));
        tokio::task::spawn_local(Rc::clone(&local).flusher());
        while let Some((accepted, seat)) = receiver.recv().await {
            if let Err(error) = open(&local, accepted, seat) {
                tracing::debug!(%error, "a connection was lost before it began");
            }
        }
        let all_gone = async {
            while local.connections.get() > 0 {
                local.gone.notified().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, all_gone).await;
    });
}

fn open(local: &Rc<Local>, accepted: Accepted, seat: Seat) -> io::Result<()> {
    let server = &local.server;
    let (addr, laddr, unix, fd, (read, write)) = match accepted {
        Accepted::Tcp(stream) => {
            let stream = TcpStream::from_std(stream)?;
            let (peer, own) = (stream.peer_addr()?, stream.local_addr()?);
            (shown(peer), shown(own), false, stream.as_raw_fd(), split_tcp(stream))
        }
        Accepted::Unix(stream, path) => {
            let stream = UnixStream::from_std(stream)?;
            let name = format!("{path}:0");
            (name.clone(), name, true, stream.as_raw_fd(), split_unix(stream))
        }
    };
    let id = server.next_client_id();
    let handle = Arc::new(ClientHandle::new(id, addr, laddr, unix, server.engine.clock.instant()));
    handle.fd.store(fd, Relaxed);
    server.clients.lock().insert(id, Arc::clone(&handle));
    if server.shutdown.is_requested() {
        handle.kill(Kill::Now);
    }
    let is_open = server.config.snapshot().requirepass.is_empty();
    let client = Client::new(handle, is_open);
    let connection = Connection::new(read, write, client, Rc::clone(local), seat);
    local.connections.set(local.connections.get() + 1);
    tokio::task::spawn_local(connection.serve());
    Ok(())
}

/// An address as CLIENT LIST shows it: IPv4 also where it came by an IPv6 socket.
fn shown(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}
