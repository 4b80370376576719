//! A log service in memory that behaves as badly as a real one may: it is slow, loses requests and answers, answers
//! late and twice, is out of reach, lets another writer take over, or takes the leadership away.
//!
//! A [`SimService`] outlives the processes that write to it. Each process has a [`SimWriter`] of its own, which is the
//! store of its [`super::Log`]. Requests and answers of one writer travel in order, each with a delay of its own; what
//! is late comes out of order. The service runs in real time on a thread of its own ([`SimService::new`]), or a test
//! delivers each message itself ([`SimService::stepped`]), with the same rules.
//!
//! `service.rs` is what the service keeps and decides, `network.rs` the messages under way, `writer.rs` a process's
//! side, `blobs.rs` the checkpoints.

mod blobs;
mod network;
mod service;
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
use service::Kept;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub use writer::SimWriter;

/// How slow and how bad the service is. The chances are in a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimOptions {
    /// Decides over all that happens by chance.
    pub seed: u64,
    /// The shortest and the longest time that a request is under way, in microseconds.
    pub request_micros: (u64, u64),
    /// The shortest and the longest time that an answer is under way, in microseconds.
    pub answer_micros: (u64, u64),
    /// Microseconds after which a writer gives up waiting for an answer: the outcome is unknown to it.
    pub timeout_micros: u64,
    /// Requests that are lost.
    pub lost_requests: u64,
    /// Requests that arrive after the writer has given up waiting.
    pub late_requests: u64,
    /// Answers that are lost.
    pub lost_answers: u64,
    /// Answers that come after the writer has given up waiting.
    pub late_answers: u64,
    /// Answers that come twice.
    pub double_answers: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            request_micros: (0, 0),
            answer_micros: (0, 0),
            timeout_micros: 1_000_000,
            lost_requests: 0,
            late_requests: 0,
            lost_answers: 0,
            late_answers: 0,
            double_answers: 0,
        }
    }
}

impl SimOptions {
    /// A sound service whose answers come after about so many microseconds, a fifth of them jitter.
    pub fn round_trip(micros: u64) -> Self {
        let way = (micros * 2 / 5, micros * 3 / 5);
        Self { request_micros: way, answer_micros: way, ..Self::default() }
    }
}

/// What can be made to happen to a batch that is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimFault {
    /// The request is lost.
    LostRequest,
    /// The request arrives after the writer has given up waiting.
    LateRequest,
    /// The batch is kept and the answer lost.
    LostAnswer,
    /// The batch is kept and the answer comes after the writer has given up waiting.
    LateAnswer,
    /// The answer comes twice.
    DoubleAnswer,
}

/// A call of a process to its store before which a test can have something happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimCall {
    /// Beginning to read the log.
    Read,
    /// Beginning an epoch.
    TakeOver,
}

/// What is to happen before a call.
struct Hook {
    call: SimCall,
    run: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("call", &self.call).finish_non_exhaustive()
    }
}

/// The service. Clones share one.
#[derive(Clone, Debug)]
pub struct SimService(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// A message was sent.
    sent: Condvar,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    kept: Kept,
    network: Network,
    /// The checkpoints by their names.
    blobs: BTreeMap<String, Arc<Vec<u8>>>,
    hooks: Vec<Hook>,
}

/// The place of a service's log and checkpoints: whoever opens it is another process.
#[derive(Clone, Debug)]
pub struct SimPlace {
    service: SimService,
}

impl SimPlace {
    /// The place of what a service keeps.
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
        let (kept, network) = (Kept::new(LogId(id)), Network::new(&options));
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

    /// Has something happen to the `nth` batch that is submitted from now on; 1 is the next one.
    pub fn fail(&self, nth: u64, fault: SimFault) {
        self.0.state.lock().network.script(nth, fault);
    }

    /// Runs `hook` on the calling thread just before the next call of a kind, so that a test decides what happens
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

    /// Kills the process that writes when event number `n` is about to happen, counted from the service's beginning:
    /// nothing of its connection arrives any more, in either direction. It is told that it lost the leadership, so that
    /// its threads come to an end.
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

impl Shared {
    /// Runs what is to happen before a call.
    fn about_to(&self, call: SimCall) {
        let hooks: Vec<Hook> = self.state.lock().hooks.extract_if(.., |hook| hook.call == call).collect();
        hooks.into_iter().for_each(|hook| (hook.run)());
    }

    /// Lets a message arrive that is due. Whom it concerns is told without the lock.
    fn deliver_due(&self, due: u64) {
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

/// The error of a question that nobody answers.
fn unreachable() -> LogError {
    LogError::Unavailable {
        what: "asking the log service".to_owned(),
        cause: "it does not answer".to_owned(),
        full: false,
    }
}
