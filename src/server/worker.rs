//! Worker threads: a current-thread runtime each, connections dealt out in turn, one flusher.

use super::connection::{Connection, Shared};
use super::stream::{split_tcp, split_unix};
use crate::command::{Client, ClientHandle, Server, WorkerStats};
use crate::resp::Limits;
use crate::session::Worker;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};

/// Bytes of a worker's read buffer, shared by its connections.
const SCRATCH: usize = 64 * 1024;

/// What the tasks of one worker share.
pub(super) struct Local {
    pub(super) server: Arc<Server>,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) worker: RefCell<Worker>,
    pub(super) scratch: RefCell<Box<[u8]>>,
    waiting: RefCell<Vec<Rc<Shared>>>,
    flush: Notify,
}

impl Local {
    fn new(server: Arc<Server>, index: usize) -> Self {
        let worker = Worker::new(Arc::clone(&server), index);
        Self {
            stats: Arc::clone(&worker.stats),
            server,
            worker: RefCell::new(worker),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            waiting: RefCell::default(),
            flush: Notify::new(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let worker = self.worker.borrow();
        Limits { max_bulk: worker.settings.proto_max_bulk_len as usize, ..Limits::default() }
    }

    /// Has the flusher settle the log and then send the connection's replies, once per tick for all connections that became
    /// ready in it: the flusher's task is queued behind theirs.
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
            let engine = &self.server.engine;
            let settled = engine.settle().is_ok();
            for shared in waiting {
                if settled {
                    shared.outbox.borrow_mut().release(engine.settled());
                } else if !shared.outbox.borrow_mut().release_failed() {
                    shared.client.kill(crate::command::client::Kill::Now);
                    continue;
                }
                shared.flush(&self);
                if shared.outbox.borrow().wants_write() {
                    shared.client.waker.wake();
                }
            }
        }
    }

    pub(super) fn disconnected(&self, client: Option<Client>) {
        if let Some(client) = client {
            self.server.clients.lock().remove(&client.handle.id);
        }
    }
}

enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Serves on a listener with one thread per worker until the process ends.
pub fn run(server: &Arc<Server>, listener: std::net::TcpListener) -> io::Result<()> {
    let mut senders = Vec::new();
    for index in 0..server.workers.len() {
        let (sender, receiver) = mpsc::channel::<Accepted>(1024);
        let server = Arc::clone(server);
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || work(server, index, receiver))?;
        senders.push(sender);
    }
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        let mut next = 0;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let stream = stream.into_std()?;
            next = (next + 1) % senders.len();
            let _ = senders[next].send(Accepted::Tcp(stream)).await;
        }
    })
}

fn work(server: Arc<Server>, index: usize, mut receiver: mpsc::Receiver<Accepted>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let set = tokio::task::LocalSet::new();
    set.block_on(&runtime, async move {
        let local = Rc::new(Local::new(server, index));
        tokio::task::spawn_local(Rc::clone(&local).flusher());
        while let Some(accepted) = receiver.recv().await {
            let _ = open(&local, accepted);
        }
    });
}

fn open(local: &Rc<Local>, accepted: Accepted) -> io::Result<()> {
    let server = &local.server;
    let (addr, laddr, unix, (read, write)) = match accepted {
        Accepted::Tcp(stream) => {
            let stream = TcpStream::from_std(stream)?;
            (stream.peer_addr()?.to_string(), stream.local_addr()?.to_string(), false, split_tcp(stream))
        }
        Accepted::Unix(stream) => {
            let stream = UnixStream::from_std(stream)?;
            (String::new(), String::new(), true, split_unix(stream))
        }
    };
    let id = server.next_client_id();
    let handle = Arc::new(ClientHandle::new(id, addr, laddr, unix, server.engine.clock.now_ms()));
    server.clients.lock().insert(id, Arc::clone(&handle));
    let connection = Connection::new(read, write, Client::new(handle, true), Rc::clone(local));
    tokio::task::spawn_local(connection.serve());
    Ok(())
}
