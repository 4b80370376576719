//! A connection whose command waits for keys: its client is parked where other threads can serve it. Meanwhile the
//! connection reads what the client sends ahead, and notices if the client goes.

use super::connection::{Connection, proto_of};
use super::local::Local;
use crate::command::{Client, Parked, Served};
use crate::engine::Phase;
use crate::node::Kill;
use crate::resp::Proto;
use crate::session::WaitEnd;
use crate::store::shown;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

/// How many lines a client leaves before other connections have their turn.
const LINES: usize = 1024;

/// What woke a waiting connection.
enum Event {
    /// The client was served.
    Served(Box<Served>),
    /// CLIENT UNBLOCK.
    Unblocked(WaitEnd),
    /// The waiting goes on: there are keys to serve, or a pause holds the client up.
    Woken,
    /// The client or the network is gone, or the client is to be closed.
    Gone,
}

/// Resolves at an instant; never if there is none.
async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Takes a client whose waiting is over out of many lines: in pieces, between which other connections have their turn.
/// Only one client of a worker does this at a time, so that all of them together delay a turn no longer than one does.
async fn leave_lines(local: &Local, parked: &Parked) {
    let (store, lines) = (&local.server.engine.store, parked.lines());
    // The semaphore is never closed.
    let _turn = local.leaving.acquire().await;
    for first in (0..lines).step_by(LINES) {
        parked.leave(store, first..lines.min(first + LINES));
        tokio::task::yield_now().await;
    }
}

impl Connection {
    /// Waits until the command is served or gives up; false if the connection is to be closed.
    pub(super) async fn wait_for_keys(&mut self) -> bool {
        let Some(mut client) = self.client.take() else { return false };
        let Some(parked) = client.parked.take() else {
            self.client = Some(client);
            return false;
        };
        let local = std::rc::Rc::clone(&self.local);
        let engine = &local.server.engine;
        self.shared.client.wait_bytes.store(parked.memory(), Relaxed);
        parked.park(&engine.store, client);
        let goes_on = self.wait_parked(&parked).await;
        let many = parked.lines() > LINES;
        if many {
            local.flush(&self.shared);
        }
        // The client's turn is over, so in each line in which a pause held it up the clients behind it have theirs.
        if parked.go_on(&engine.store) {
            local.worker.borrow_mut().serve_ready();
        }
        if many {
            self.sending(false, leave_lines(&local, &parked)).await;
        } else {
            parked.leave(&engine.store, 0..parked.lines());
        }
        goes_on
    }

    /// Waits until a parked client is served or gives up, and takes its state back; false if the connection is to be
    /// closed.
    async fn wait_parked(&mut self, parked: &Arc<Parked>) -> bool {
        let local = std::rc::Rc::clone(&self.local);
        let engine = &local.server.engine;
        let now = tokio::time::Instant::now();
        let deadline = parked.wait.until.map(|until| now + until.since(engine.clock.instant()));
        loop {
            if engine.store.has_ready() {
                local.worker.borrow_mut().serve_ready();
            }
            let held_up = parked.is_held_up();
            let event = tokio::select! {
                biased;
                event = self.wait_for_event(parked, held_up) => event,
                () = local.server.pause.ends_or_changes(&engine.clock), if held_up => {
                    parked.go_on(&engine.store);
                    Event::Woken
                }
                () = until(deadline), if !held_up => Event::Unblocked(WaitEnd::TimedOut),
            };
            match event {
                Event::Served(served) => return self.served(*served),
                Event::Unblocked(end) => {
                    // `None` if a thread is serving the client right now: then that thread decides.
                    if let Some(client) = parked.withdraw() {
                        return self.gave_up(client, parked, end);
                    }
                }
                Event::Woken => {}
                Event::Gone => {
                    self.client = parked.withdraw().or_else(|| Some(parked.take_served()?.client));
                    return false;
                }
            }
        }
    }

    async fn wait_for_event(&mut self, parked: &Arc<Parked>, held_up: bool) -> Event {
        poll_fn(|cx| {
            self.shared.client.waker.register(cx.waker());
            // A message that tells of a change behind the reply must not be sent before the reply: so nobody serves the
            // client while messages are taken.
            if let Some(served) = parked.take_served_or(|| self.take_pushed()) {
                return Poll::Ready(Event::Served(served));
            }
            let engine = &self.local.server.engine;
            if self.shared.client.killed() != Kill::No {
                return Poll::Ready(Event::Gone);
            }
            if let Some(with_error) = parked.unblocked() {
                let end = if with_error { WaitEnd::Unblocked } else { WaitEnd::TimedOut };
                return Poll::Ready(Event::Unblocked(end));
            }
            // No client is served while the data is read from disk.
            let to_serve = engine.store.has_ready() && engine.state().phase() == Phase::Serving;
            if to_serve || parked.is_held_up() != held_up {
                return Poll::Ready(Event::Woken);
            }
            self.send_replies(cx);
            self.read_ahead(cx)
        })
        .await
    }

    /// Resolves when the client goes or must be closed while its command waits. Until then it sends the client what is
    /// due, and reads what the client sends ahead.
    pub(super) async fn end_while_waiting(&mut self) {
        poll_fn(|cx| {
            self.shared.client.waker.register(cx.waker());
            self.send_meanwhile(cx);
            if self.shared.client.killed() == Kill::No {
                self.read_ahead(cx).map(drop)
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Waits for something else, and meanwhile sends the client what is due. `works`: a command of the client works on
    /// the data. Then what others send the client waits for the command's reply, because it may tell of a change of
    /// what that reply shows.
    pub(super) async fn sending<T>(&mut self, works: bool, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|cx| {
            self.shared.client.waker.register(cx.waker());
            if works {
                self.send_replies(cx);
            } else {
                self.send_meanwhile(cx);
            }
            other.as_mut().poll(cx)
        })
        .await
    }

    /// Sends earlier replies and what other clients push, as far as the socket takes them. The task is woken when the
    /// socket takes more.
    fn send_meanwhile(&mut self, cx: &mut Context<'_>) {
        self.take_pushed();
        self.send_replies(cx);
    }

    /// Sends what is in the outbox, as far as the socket takes it. The task is woken when the socket takes more.
    fn send_replies(&mut self, cx: &mut Context<'_>) {
        while self.shared.client.killed() == Kill::No
            && self.shared.outbox.borrow().wants_write()
            && self.shared.write.poll_writable(cx).is_ready()
        {
            self.local.flush(&self.shared);
        }
    }

    /// Reads what the client sends ahead while it waits.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            // The worker's scratch buffer is read into, so that a waiting connection keeps no room for input that may
            // never come.
            let polled = {
                let mut scratch = self.local.scratch.borrow_mut();
                let polled = self.read.poll_read(cx, &mut scratch);
                if let Poll::Ready(Ok(n)) = polled {
                    self.input.extend_from_slice(&scratch[..n]);
                }
                polled
            };
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Event::Gone),
                Poll::Ready(Ok(_)) if !self.note_input() => return Poll::Ready(Event::Gone),
                Poll::Ready(Ok(n)) => {
                    // This input is decoded when the waiting is over, even if the client sends nothing more.
                    self.again = true;
                    self.local.stats.bytes_in.add(n as u64);
                    self.shared.client.bytes_in.fetch_add(n as u64, Relaxed);
                }
            }
        }
    }

    fn served(&mut self, served: Served) -> bool {
        let Served { client, reply: replies, wrote, shows, began } = served;
        let closing = client.closing;
        self.shared.client.wait_bytes.store(0, Relaxed);
        self.client = Some(client);
        self.at += 1;
        let mut outbox = self.shared.outbox.borrow_mut();
        let mut reply = self.local.sink(&self.shared, &mut outbox, Proto::V2);
        reply.append(replies);
        self.answer(outbox, reply, wrote, shows, began);
        !closing
    }

    fn gave_up(&mut self, mut client: Client, parked: &Parked, end: WaitEnd) -> bool {
        let mut outbox = self.shared.outbox.borrow_mut();
        let mut reply = self.local.sink(&self.shared, &mut outbox, proto_of(&client));
        self.local.worker.borrow_mut().end_wait(&mut client, parked, end, &mut reply);
        let closing = client.closing;
        self.shared.client.wait_bytes.store(0, Relaxed);
        self.client = Some(client);
        self.at += 1;
        // The reply says that nothing came, so it shows everything that is in the log.
        self.answer(outbox, reply, false, shown::EVERYTHING, self.local.server.engine.state());
        !closing
    }
}
