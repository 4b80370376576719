//! Worker threads: each has a runtime, a flusher, and the connections that are dealt to it in turn.

use super::connection::Connection;
use super::local::{Local, Seat};
use super::stream::{split_tcp, split_unix};
use crate::command::{Client, Server};
use crate::node::{ClientHandle, Kill};
use crate::store::serves_clients;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, mpsc};

/// At least so many long commands may work on the data at a time, so that one of them alone does not keep the others
/// waiting.
const LEAST_WORKING: usize = 2;

/// A connection that was just accepted.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    /// A connection by the unix socket, with the socket's path.
    Unix(std::os::unix::net::UnixStream, String),
}

/// How long connections may take to send their last replies when the server ends.
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
                .stack_size(super::thread::STACK)
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

    /// Lets each worker end once its connections have ended, and waits for the workers.
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
    serves_clients();
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker cannot start");
            server.shutdown.request();
            return;
        }
    };
    runtime.block_on(async move {
        let local = Rc::new(Local::new(server, index, working));
        tokio::task::spawn_local(Rc::clone(&local).flusher());
        while let Some((accepted, seat)) = receiver.recv().await {
            if let Err(error) = open(&local, accepted, seat) {
                tracing::debug!(%error, "a connection was lost before it began");
            }
        }
        let _ = tokio::time::timeout(FAREWELL, local.all_gone()).await;
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
    let client = Client::new(handle, &server.users);
    let connection = Connection::new(read, write, client, Rc::clone(local), seat);
    local.connected();
    tokio::task::spawn_local(connection.serve());
    Ok(())
}

/// An address as CLIENT LIST shows it: an IPv4 address that came by an IPv6 socket is shown as IPv4.
fn shown(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}
