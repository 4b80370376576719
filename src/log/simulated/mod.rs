//! A log service in memory that behaves as badly as a real one may: it is slow, loses requests and answers, answers
//! late and twice, is out of reach, lets another writer take over, or takes the leadership away.
//!
//! A [`SimService`] outlives the processes that write to it. Each process has a [`SimWriter`] of its own, which is the
//! store of its [`super::Log`]. Requests and answers of one writer travel in order, each with its own delay; only late
//! ones arrive out of order. The service runs in real time on a thread of its own ([`SimService::new`]), or a test
//! delivers each message itself ([`SimService::stepped`]), with the same rules.
//!
//! `service.rs` holds the service's log and its decisions, `network.rs` the messages under way, `options.rs` the
//! chances of faults, `shared.rs` the state shared by all. `writer.rs` is a process's side, `blobs.rs` holds the
//! checkpoints.

mod blobs;
mod network;
mod options;
mod service;
mod shared;
mod writer;

use super::checkpoint::CheckpointStore;
use super::frame::LogId;
use super::store::LogStore;
use super::{LogError, LogOptions, LogPlace, Lsn, OpenReport};
use crate::env::Clock;
use blobs::SimBlobs;
#[cfg(test)]
pub(in crate::log) use blobs::{MemoryBlob, absent};
use network::Network;
use parking_lot::{Condvar, Mutex};
use service::KeptLog;
use shared::{Hook, Shared, State};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub use options::{SimFault, SimOptions};
pub use shared::SimCall;
pub use writer::SimWriter;

/// The service. Clones share one.
#[derive(Clone, Debug)]
pub struct SimService(Arc<Shared>);

/// The place of a service's log and checkpoints. Each time it is opened counts as a new process.
#[derive(Clone, Debug)]
pub struct SimPlace {
    service: SimService,
}

impl SimPlace {
    /// The place of a service's log and checkpoints.
    pub fn new(service: &SimService) -> Self {
        Self { service: service.clone() }
    }
}

impl LogPlace for SimPlace {
    fn look(
        &self,
        _clock: &Clock,
        _options: LogOptions,
    ) -> Result<(Arc<dyn LogStore>, OpenReport), LogError> {
        let store = self.service.writer();
        let (tail, first) = (store.tail(), store.stats().first);
        let report = OpenReport {
            created: tail.epoch == 0,
            closed_in_order: store.is_closed(),
            first,
            tail: tail.lsn,
            ..OpenReport::default()
        };
        Ok((store, report))
    }

    fn checkpoints(&self, _id: LogId, epoch: u64) -> Arc<dyn CheckpointStore> {
        Arc::new(SimBlobs::new(Arc::clone(&self.service.0), epoch))
    }
}

/// How often the service's thread looks whether the service is still there.
const LOOK: Duration = Duration::from_millis(50);

impl SimService {
    /// A service that runs in real time on a thread of its own, until the last clone and the last writer are dropped.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn new(options: SimOptions) -> std::io::Result<Self> {
        let service = Self::with_clock(options, Clock::System);
        let weak = Arc::downgrade(&service.0);
        std::thread::Builder::new()
            .name("log-service".to_owned())
            .spawn(move || deliver_until_gone(&weak))?;
        Ok(service)
    }

    /// A service that does nothing by itself: each message arrives when [`SimService::deliver`] is called.
    pub fn stepped(options: SimOptions) -> Self {
        Self::with_clock(options, Clock::manual(0))
    }

    fn with_clock(options: SimOptions, clock: Clock) -> Self {
        let mut id = [0; 16];
        crate::env::Random::seeded(options.seed).fill(&mut id);
        let (kept, network) = (KeptLog::new(LogId(id)), Network::new(&options));
        let state = Mutex::new(State { kept, network, blobs: BTreeMap::new(), hooks: Vec::new() });
        Self(Arc::new(Shared { state, sent: Condvar::new(), clock }))
    }

    /// The store of a new process.
    pub fn writer(&self) -> Arc<SimWriter> {
        let link = self.0.state.lock().network.connect();
        Arc::new(SimWriter::new(Arc::clone(&self.0), link))
    }

    /// Lets the next message under way arrive; false if there is none.
    pub fn deliver(&self) -> bool {
        let due = self.0.state.lock().network.next_due();
        let Some(due) = due else { return false };
        if let Some(clock) = self.0.clock.as_manual() {
            clock.advance_micros(due.saturating_sub(self.0.clock.monotonic_micros()));
        }
        self.0.deliver_due(due);
        true
    }

    /// Messages under way, and timers of writers that wait for an answer.
    pub fn under_way(&self) -> usize {
        self.0.state.lock().network.under_way()
    }

    /// Messages that have arrived so far, and timers that have run out.
    pub fn events(&self) -> u64 {
        self.0.state.lock().network.events()
    }

    /// Batches that were submitted so far, by all writers.
    pub fn submissions(&self) -> u64 {
        self.0.state.lock().network.submissions()
    }

    /// Applies a fault to the `nth` batch that is submitted from now on; 1 is the next one.
    pub fn fail(&self, nth: u64, fault: SimFault) {
        self.0.state.lock().network.script(nth, fault);
    }

    /// Runs `hook` just before the next call of a kind, on the thread that makes the call, so that a test can act
    /// between two steps of another process.
    pub fn before(&self, call: SimCall, hook: impl FnOnce() + Send + 'static) {
        self.0.state.lock().hooks.push(Hook { call, run: Box::new(hook) });
    }

    /// Puts the service out of reach: requests, answers and questions are lost until it is put back.
    pub fn set_down(&self, down: bool) {
        self.0.state.lock().network.down = down;
    }

    /// Takes the leadership away from the present writer and tells it so. A new epoch can be established.
    pub fn depose(&self, why: &str) {
        let told = {
            let mut state = self.0.state.lock();
            let epoch = state.kept.depose(why);
            state.network.watchers_of(epoch)
        };
        for watcher in told {
            watcher.tell(super::News::LeadershipLost { why: why.to_owned() });
        }
    }

    /// Kills the process that writes when event number `n` is about to happen, counted from the service's beginning: no
    /// message of its connection arrives any more, in either direction. The process is told that it lost the
    /// leadership, so that its threads end.
    pub fn kill_at(&self, n: u64) {
        self.0.state.lock().network.kill_at = Some(n);
    }

    /// Whether the kill that was set has happened.
    pub fn has_killed(&self) -> bool {
        self.0.state.lock().network.killed
    }

    /// Where the log ends.
    pub fn tail(&self) -> Lsn {
        self.0.state.lock().kept.tail().lsn
    }
}

/// The thread of a service in real time.
fn deliver_until_gone(service: &Weak<Shared>) {
    while let Some(shared) = service.upgrade() {
        let now = shared.clock.monotonic_micros();
        let mut state = shared.state.lock();
        match state.network.next_due() {
            Some(due) if due <= now => {
                drop(state);
                shared.deliver_due(due);
            }
            due => {
                let left = due.map_or(LOOK, |due| Duration::from_micros(due - now).min(LOOK));
                shared.sent.wait_for(&mut state, left);
            }
        }
    }
}
