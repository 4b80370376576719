//! One connection's task: read what is there, run all complete commands, write the replies once.

use super::outbox::Outbox;
use super::stream::{ReadHalf, WriteHalf};
use super::worker::Local;
use crate::command::Client;
use crate::command::client::Kill;
use crate::resp::{Batch, Decoder, Limits, Proto, Reply};
use crate::session::Stop;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

/// Commands run before other connections of the same worker get their turn.
const TURN: usize = 512;
/// Bytes read at once into the connection's own buffer, when a command came in pieces.
const CHUNK: usize = 16 * 1024;

/// What the task and the flusher share of a connection.
pub(super) struct Shared {
    pub(super) outbox: RefCell<Outbox>,
    pub(super) write: WriteHalf,
    pub(super) client: std::sync::Arc<crate::command::ClientHandle>,
}

impl Shared {
    /// Sends what may be sent. A failed socket ends the connection.
    pub(super) fn flush(&self, local: &Local) {
        match self.outbox.borrow_mut().flush(&self.write) {
            Ok(0) => {}
            Ok(n) => {
                local.stats.bytes_out.add(n as u64);
                local.stats.writes.add(1);
                self.client.bytes_out.fetch_add(n as u64, Relaxed);
            }
            Err(_) => self.client.kill(Kill::Now),
        }
    }
}

enum Event {
    /// Bytes were read: how many, and whether into the worker's scratch buffer rather than the connection's own.
    Read(usize, bool),
    /// The socket takes bytes again, or someone woke the task.
    Woken,
    /// The client or the network is gone.
    Gone,
}

/// One connection.
pub(super) struct Connection {
    read: ReadHalf,
    shared: Rc<Shared>,
    client: Option<Client>,
    decoder: Decoder,
    /// Input that is not decoded yet; empty between whole commands.
    input: Vec<u8>,
    local: Rc<Local>,
    batch: Batch,
}

impl Connection {
    pub(super) fn new(read: ReadHalf, write: WriteHalf, client: Client, local: Rc<Local>) -> Self {
        let shared = Shared { outbox: RefCell::default(), write, client: client.handle.clone() };
        Self {
            read,
            shared: Rc::new(shared),
            client: Some(client),
            decoder: Decoder::default(),
            input: Vec::new(),
            local,
            batch: Batch::default(),
        }
    }

    /// Serves the client until either side ends it.
    pub(super) async fn serve(mut self) {
        loop {
            let event = self.next().await;
            if self.shared.client.killed() == Kill::Now {
                break;
            }
            match event {
                Event::Gone => break,
                Event::Woken => self.take_pushed(),
                Event::Read(n, scratch) => {
                    self.local.stats.reads.add(1);
                    self.local.stats.bytes_in.add(n as u64);
                    self.shared.client.bytes_in.fetch_add(n as u64, Relaxed);
                    if !self.process(n, scratch).await {
                        break;
                    }
                }
            }
            self.shared.flush(&self.local);
        }
        self.drain().await;
        self.local.disconnected(self.client.take());
    }

    /// Waits for input, for room in the socket, or to be woken.
    async fn next(&mut self) -> Event {
        let Self { read, shared, input, decoder, local, .. } = self;
        poll_fn(|cx| {
            shared.client.waker.register(cx.waker());
            if shared.client.killed() != Kill::No || !shared.client.pushed.lock().is_empty() {
                return Poll::Ready(Event::Woken);
            }
            let polled = if input.is_empty() {
                read.poll_read(cx, &mut local.scratch.borrow_mut()).map(|r| (r, true))
            } else {
                let old = input.len();
                input.resize(old + CHUNK.max(decoder.wants()), 0);
                let polled = read.poll_read(cx, &mut input[old..]);
                let got = if let Poll::Ready(Ok(n)) = polled { n } else { 0 };
                input.truncate(old + got);
                polled.map(|r| (r, false))
            };
            if let Poll::Ready((result, scratch)) = polled {
                return Poll::Ready(match result {
                    Ok(0) | Err(_) => Event::Gone,
                    Ok(n) => Event::Read(n, scratch),
                });
            }
            if shared.outbox.borrow().wants_write() && shared.write.poll_writable(cx).is_ready() {
                return Poll::Ready(Event::Woken);
            }
            Poll::Pending
        })
        .await
    }

    fn take_pushed(&mut self) {
        let pushed = std::mem::take(&mut *self.shared.client.pushed.lock());
        if !pushed.is_empty() {
            let mut outbox = self.shared.outbox.borrow_mut();
            let mut buf = outbox.take();
            buf.extend_from_slice(&pushed);
            outbox.put_back(buf, 0, 0, false);
        }
    }

    /// Decodes and runs what was read; false if the connection is to be closed.
    async fn process(&mut self, n: usize, scratch: bool) -> bool {
        let local = Rc::clone(&self.local);
        if scratch {
            // All but the rest of an incomplete command is used up before any other task can run.
            let mut buf = local.scratch.borrow_mut();
            let (used, more) = self.run(&mut buf[..n]);
            self.input.extend_from_slice(&buf[used..n]);
            drop(buf);
            match more {
                More::No => return true,
                More::Close => return false,
                More::Yes | More::Long => {
                    if !self.pause(more).await {
                        return false;
                    }
                }
            }
        }
        loop {
            let mut input = std::mem::take(&mut self.input);
            let (used, more) = self.run(&mut input);
            input.drain(..used);
            if input.is_empty() && input.capacity() > 4 * CHUNK {
                input = Vec::new();
            }
            self.input = input;
            match more {
                More::No => return true,
                More::Close => return false,
                More::Yes | More::Long => {
                    if !self.pause(more).await {
                        return false;
                    }
                }
            }
        }
    }

    async fn pause(&mut self, more: More) -> bool {
        self.shared.flush(&self.local);
        if more == More::Long {
            return self.run_long().await;
        }
        tokio::task::yield_now().await;
        self.shared.client.killed() != Kill::Now
    }

    /// One turn: decodes up to [`TURN`] commands from `buf` and runs them. Returns the bytes used up.
    fn run(&mut self, buf: &mut [u8]) -> (usize, More) {
        let Some(client) = &mut self.client else { return (0, More::Close) };
        let limits = Limits { authenticated: client.authenticated, ..self.local.limits() };
        let decoded = self.decoder.decode(buf, &limits, &mut self.batch, TURN);
        let mut outbox = self.shared.outbox.borrow_mut();
        let proto = if client.handle.resp.load(Relaxed) == 3 { Proto::V3 } else { Proto::V2 };
        let mut reply = Reply::with_buffer(outbox.take(), proto);
        let mut worker = self.local.worker.borrow_mut();
        let progress = worker.run(client, buf, &self.batch, 0, &mut reply);
        let mut more = match progress.stop {
            Some(Stop::Close) => More::Close,
            Some(Stop::Long) => More::Long,
            None if self.batch.commands.len() == TURN => More::Yes,
            None if !limits.authenticated && !self.batch.commands.is_empty() => More::Yes,
            None => More::No,
        };
        if let (Err(error), None) = (&decoded, progress.stop) {
            reply.error(error.to_string());
            more = More::Close;
        }
        let engine = &self.local.server.engine;
        let waits = outbox.put_back(reply.take(), engine.tail(), engine.settled(), progress.wrote);
        drop(outbox);
        if waits {
            self.local.flush_later(&self.shared);
        }
        (self.batch.consumed, more)
    }

    async fn run_long(&mut self) -> bool {
        true
    }

    /// Sends the last replies of a connection that is to be closed.
    async fn drain(&mut self) {
        if self.shared.client.killed() == Kill::Now {
            return;
        }
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
        let _ = tokio::time::timeout(std::time::Duration::from_secs(10), flushed).await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    No,
    Yes,
    Long,
    Close,
}
