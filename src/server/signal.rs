//! SIGTERM and SIGINT: the orderly end; a second SIGINT ends at once.

use crate::command::Server;
use std::io;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that concern the server.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A terminal that goes away is no reason to end.
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over. Needs a runtime.
    pub(super) fn take_over() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Turns signals into the wish to end, for ever.
    pub(super) async fn watch(mut self, server: Arc<Server>) {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hang_up.recv() => continue,
            };
            if server.shutdown.is_requested() {
                if name == "SIGINT" {
                    tracing::warn!("a second SIGINT: the server ends at once");
                    std::process::exit(1);
                }
                continue;
            }
            tracing::info!("received {name}, shutting down");
            let saving = Arc::clone(&server);
            let spawned = std::thread::Builder::new().name("end".into()).spawn(move || end(&saving));
            if spawned.is_err() {
                // Nobody else is to be looked after any more.
                end(&server);
            }
        }
    }
}

/// Brings to disk what must be there, and asks the server to end if that has worked.
fn end(server: &Arc<Server>) {
    match server.engine.end(None, false) {
        Ok(()) => server.shutdown.request(),
        Err(reason) => tracing::error!("the server goes on, because data would be lost: {reason}"),
    }
}
