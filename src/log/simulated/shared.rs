//! What the service, the processes that write to it and the thread that delivers share.

use super::network::Network;
use super::service::KeptLog;
use crate::env::Clock;
use crate::log::LogError;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A call of a process to its store before which a test can run a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimCall {
    /// Beginning to read the log.
    Read,
    /// Beginning an epoch.
    TakeOver,
}

/// A hook that runs before a call.
pub(super) struct Hook {
    pub(super) call: SimCall,
    pub(super) run: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("call", &self.call).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// A message was sent.
    pub(super) sent: Condvar,
    pub(super) clock: Clock,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) kept: KeptLog,
    pub(super) network: Network,
    /// The checkpoints by their names.
    pub(super) blobs: BTreeMap<String, Arc<Vec<u8>>>,
    pub(super) hooks: Vec<Hook>,
}

impl Shared {
    /// Runs the hooks for a call.
    pub(super) fn about_to(&self, call: SimCall) {
        let hooks: Vec<Hook> = self.state.lock().hooks.extract_if(.., |hook| hook.call == call).collect();
        hooks.into_iter().for_each(|hook| (hook.run)());
    }

    /// Lets a due message arrive. The watcher is told after the lock is released.
    pub(super) fn deliver_due(&self, due: u64) {
        let now = self.clock.monotonic_micros().max(due);
        let news = {
            let mut state = self.state.lock();
            let State { kept, network, .. } = &mut *state;
            network.deliver(now, kept)
        };
        if let Some((watcher, news)) = news {
            watcher.tell(news);
        }
    }
}

/// The error of a question that the service does not answer.
pub(super) fn unreachable() -> LogError {
    LogError::Unavailable {
        what: "asking the log service".to_owned(),
        cause: "it does not answer".to_owned(),
        full: false,
    }
}
