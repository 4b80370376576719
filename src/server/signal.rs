//! SIGTERM and SIGINT end the server in order; a second SIGINT ends it at once. Scripts that run on are undone.

use crate::command::Server;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the server handles.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// SIGHUP is ignored: a terminal that goes away does not end the server.
    hang_up: Signal,
}

impl Signals {
    /// Installs the handlers of the signals. Must be called inside a runtime.
    pub(super) fn take_over() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Turns signals into requests to end, for ever.
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
                // Without a thread this task does it itself, and keeps the accepting of connections waiting.
                end(&server);
            }
        }
    }
}

/// Scripts have so long to end by themselves. After that they are undone.
const FOR_SCRIPTS: Duration = Duration::from_secs(1);

/// Brings to disk what must not be lost, and then asks the server to end. If that fails the server goes on.
fn end(server: &Arc<Server>) {
    let clock = &server.engine.clock;
    let until = clock.instant().after_ms(FOR_SCRIPTS.as_millis() as u64);
    while server.running.any() && clock.instant() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.running.stop_all();
    match server.engine.end(None, false) {
        Ok(()) => server.shutdown.request(),
        Err(reason) => {
            server.running.go_on();
            tracing::error!("the server goes on, because data would be lost: {reason}");
        }
    }
}
