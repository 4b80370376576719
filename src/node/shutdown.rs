//! The request to end, which SHUTDOWN and signals share.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use tokio::sync::Notify;

/// The request to end. The server room waits for it, then stops accepting, lets commands finish, and closes the log.
#[derive(Default)]
pub struct Shutdown {
    wanted: AtomicBool,
    changed: Notify,
}

impl Shutdown {
    /// Asks the server to end.
    pub fn request(&self) {
        self.wanted.store(true, Release);
        self.changed.notify_waiters();
    }

    /// Whether the server was asked to end.
    pub fn is_requested(&self) -> bool {
        self.wanted.load(Acquire)
    }

    /// Resolves once the server was asked to end.
    pub async fn requested(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_requested() {
                return;
            }
            changed.await;
        }
    }
}
