//! Connections that have subscribed to a channel and read what comes.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// A thread that reads what subscribers get, until it is dropped.
pub(crate) struct Subscribers {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Subscribers {
    /// Subscribes `count` connections to `channel`.
    pub(crate) fn start(port: u16, count: usize) -> Result<Subscribers, String> {
        let fail = |error: std::io::Error| format!("subscriber: {error}");
        let mut poll = Poll::new().map_err(fail)?;
        let mut streams = Vec::new();
        for index in 0..count {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).map_err(fail)?;
            stream.write_all(b"*2\r\n$9\r\nSUBSCRIBE\r\n$7\r\nchannel\r\n").map_err(fail)?;
            let mut confirmed = [0; 64];
            stream.read(&mut confirmed).map_err(fail)?;
            stream.set_nonblocking(true).map_err(fail)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE).map_err(fail)?;
            streams.push(stream);
        }
        let done = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&done);
        let body = move || {
            let (mut events, mut buffer) = (Events::with_capacity(256), vec![0; 1 << 16]);
            while !shared.load(Ordering::Acquire) {
                match poll.poll(&mut events, Some(Duration::from_millis(100))) {
                    Err(error) if error.kind() != ErrorKind::Interrupted => return,
                    _ => {}
                }
                for event in &events {
                    while matches!(streams[event.token().0].read(&mut buffer), Ok(count) if count > 0) {}
                }
            }
        };
        let thread =
            std::thread::Builder::new().spawn(body).map_err(|error| format!("no thread: {error}"))?;
        Ok(Subscribers { done, thread: Some(thread) })
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A reader that panicked has nothing to tell but that.
            let _ = thread.join();
        }
    }
}
