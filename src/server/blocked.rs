//! A connection whose command waits for keys: its client lies where others can serve it. Meanwhile it takes note of
//! input that comes ahead, and of the end of the connection.

use super::connection::{Connection, proto_of};
use crate::command::Client;
use crate::command::blocking::{Parked, Served};
use crate::command::client::Kill;
use crate::engine::Phase;
use crate::resp::Proto;
use crate::session::WaitEnd;
use crate::store::shown;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

/// What woke a connection that waits.
enum Event {
    /// The client was served.
    Served(Box<Served>),
    /// CLIENT UNBLOCK.
    Unblocked(WaitEnd),
    /// Something to do that does not end the waiting: bytes to send or to take over, keys to serve.
    Woken,
    /// The client or the network is gone, or the client is to be closed.
    Gone,
}

impl Connection {
    /// Waits until the command that waits for keys is served or gives up; false if the connection is to be closed.
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
        let now = tokio::time::Instant::now();
        let deadline = parked.wait.until.map(|until| now + until.since(engine.clock.instant()));
        loop {
            if engine.store.has_ready() {
                local.worker.borrow_mut().serve_ready();
            }
            let event = match deadline {
                None => self.wait_for_event(&parked).await,
                Some(deadline) => {
                    match tokio::time::timeout_at(deadline, self.wait_for_event(&parked)).await {
                        Ok(event) => event,
                        Err(_) => Event::Unblocked(WaitEnd::TimedOut),
                    }
                }
            };
            match event {
                Event::Served(served) => return self.served(*served),
                Event::Unblocked(end) => {
                    // Whoever serves it right now is faster.
                    if let Some(client) = parked.withdraw(&engine.store) {
                        return self.gave_up(client, &parked, end);
                    }
                }
                Event::Woken => {
                    self.take_pushed();
                    self.shared.flush(&local);
                }
                Event::Gone => {
                    self.client = parked
                        .withdraw(&engine.store)
                        .or_else(|| Some(parked.take_served(&engine.store)?.client));
                    return false;
                }
            }
        }
    }

    async fn wait_for_event(&mut self, parked: &Arc<Parked>) -> Event {
        poll_fn(|cx| {
            self.shared.client.waker.register(cx.waker());
            let engine = &self.local.server.engine;
            if let Some(served) = parked.take_served(&engine.store) {
                return Poll::Ready(Event::Served(served));
            }
            if self.shared.client.killed() != Kill::No {
                return Poll::Ready(Event::Gone);
            }
            if let Some(with_error) = parked.unblocked() {
                let end = if with_error { WaitEnd::Unblocked } else { WaitEnd::TimedOut };
                return Poll::Ready(Event::Unblocked(end));
            }
            // While data is read from disk nobody is served.
            let to_serve = engine.store.has_ready() && engine.state().phase() == Phase::Serving;
            if to_serve || self.shared.client.pushed_bytes() > 0 {
                return Poll::Ready(Event::Woken);
            }
            if self.shared.outbox.borrow().wants_write() && self.shared.write.poll_writable(cx).is_ready() {
                return Poll::Ready(Event::Woken);
            }
            self.read_ahead(cx)
        })
        .await
    }

    /// Resolves when the client goes or is to be closed while its command waits; takes over what it sends until then.
    pub(super) async fn end_while_waiting(&mut self) {
        poll_fn(|cx| {
            self.shared.client.waker.register(cx.waker());
            if self.shared.client.killed() == Kill::No {
                self.read_ahead(cx).map(drop)
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Takes over what the client sends while it waits.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            // Who waits keeps no room for what may never come.
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
                    // It is looked at once the waiting is over: nothing else may come to bring the connection to it.
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
        let mut reply = self.shared.sink(&self.local, &mut outbox, Proto::V2);
        reply.append(replies);
        self.answer(outbox, reply, wrote, shows, began);
        !closing
    }

    fn gave_up(&mut self, mut client: Client, parked: &Parked, end: WaitEnd) -> bool {
        let mut outbox = self.shared.outbox.borrow_mut();
        let mut reply = self.shared.sink(&self.local, &mut outbox, proto_of(&client));
        self.local.worker.borrow_mut().end_wait(&mut client, parked, end, &mut reply);
        let closing = client.closing;
        self.shared.client.wait_bytes.store(0, Relaxed);
        self.client = Some(client);
        self.at += 1;
        // Nothing came: that is as true as all that the log has.
        self.answer(outbox, reply, false, shown::EVERYTHING, self.local.server.engine.state());
        !closing
    }
}
