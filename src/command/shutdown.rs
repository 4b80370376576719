//! SHUTDOWN, and the wish to end that signals share with it.

use super::spec::*;
use super::{Cx, Fail, Outcome, Server, eq, fail};
use crate::engine::EngineError;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;
use tokio::sync::Notify;

/// The wish to end. The server room waits for it, then stops accepting, lets commands finish, and closes the log.
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

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec(
    "shutdown",
    -1,
    flag::ADMIN
        | flag::NOSCRIPT
        | flag::LOADING
        | flag::STALE
        | flag::NO_MULTI
        | flag::ALLOW_BUSY
        | flag::LONG,
    shutdown,
)
.doc(
    "server",
    "1.0.0",
    "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
    "Ends the server after everything is on disk.",
    "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
)];

#[derive(Default, Clone, Copy)]
struct Options {
    save: bool,
    no_save: bool,
    force: bool,
    abort: bool,
}

impl Options {
    fn parse(args: &[&[u8]]) -> Result<Self, Fail> {
        let mut options = Self::default();
        // There are no replicas to wait for, hence NOW changes nothing.
        let mut now = false;
        for word in &args[1..] {
            match word {
                word if eq(word, "NOSAVE") => options.no_save = true,
                word if eq(word, "SAVE") => options.save = true,
                word if eq(word, "NOW") => now = true,
                word if eq(word, "FORCE") => options.force = true,
                word if eq(word, "ABORT") => options.abort = true,
                _ => return Err(fail::SYNTAX),
            }
        }
        let others = options.save || options.no_save || now || options.force;
        if (options.abort && others) || (options.save && options.no_save) {
            return Err(fail::SYNTAX);
        }
        Ok(options)
    }
}

/// Saves what would be lost at an end that nobody specified further. With the log there is nothing to save: it already holds
/// everything. Without it, save points say whether the data is worth a checkpoint, as in Redis.
pub fn save_at_end(server: &Server) -> Result<(), String> {
    let settings = server.config.snapshot();
    if settings.appendonly || settings.save.is_empty() || server.engine.loading.load(Relaxed) {
        return Ok(());
    }
    save(server)
}

/// Writes a checkpoint, after waiting for one that is being written.
fn save(server: &Server) -> Result<(), String> {
    loop {
        match server.engine.save() {
            // What is on disk is all there is, and what is in memory is only a part of it.
            Err(EngineError::Loading) => return Ok(()),
            Err(EngineError::Busy) => std::thread::sleep(Duration::from_millis(10)),
            outcome => return outcome.map_err(|error| error.to_string()),
        }
    }
}

fn shutdown(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = Options::parse(args)?;
    if options.abort {
        return Err(Fail::new("ERR No shutdown in progress."));
    }
    let saved = match (options.save, options.no_save) {
        (true, _) => save(cx.server),
        (false, true) => Ok(()),
        (false, false) => save_at_end(cx.server),
    };
    if let (Err(reason), false) = (saved, options.force) {
        tracing::warn!("SHUTDOWN is refused, because the data could not be saved: {reason}");
        return Err(Fail::new("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    tracing::info!("client {} asked for the shutdown", cx.client.handle.id);
    cx.client.closing = true;
    cx.server.shutdown.request();
    Ok(())
}
