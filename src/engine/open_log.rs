//! The log that recovery opens, as the engine holds it.

use super::durability::Level;
use crate::config::{AppendFsync, Settings};
use crate::log::Log;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// Called when replies may have become sendable. It returns at once.
pub type SettledWaker = Box<dyn Fn() + Send + Sync>;

/// The log, once recovery has opened it.
#[derive(Default)]
pub(super) struct Journal {
    log: OnceLock<Arc<Log>>,
    /// The wakers for a log that answers later.
    pub(super) wakers: Arc<Mutex<Vec<SettledWaker>>>,
}

impl Journal {
    pub(super) fn log(&self) -> Option<&Arc<Log>> {
        self.log.get()
    }

    pub(super) fn set_log(&self, log: Arc<Log>) {
        let wakers = Arc::clone(&self.wakers);
        log.wake_by(Box::new(move || wake_all(&wakers)));
        let _ = self.log.set(log);
    }

    /// Calls the wakers.
    pub(super) fn wake(&self) {
        wake_all(&self.wakers);
    }
}

fn wake_all(wakers: &Mutex<Vec<SettledWaker>>) {
    wakers.lock().iter().for_each(|wake| wake());
}

pub(super) fn level_of(settings: &Settings) -> Level {
    match settings.appendfsync {
        AppendFsync::Always => Level::Always,
        AppendFsync::Everysec => Level::Everysec,
        AppendFsync::No => Level::No,
    }
}
