//! The thread that submits, and the calls that wait for it.
//!
//! One lock (`inner`) covers the window and the driver's mode. While it is held, only the lock of the log's pending
//! buffer may be taken. The store is called without it, because the store may tell its news from within a call.

use super::window::{Misfit, Point, Window};
use crate::env::Clock;
use crate::log::SubmitOptions;
use crate::log::buffers::PendingFrames;
use crate::log::figures::{SubmitStats, SyncFigures};
use crate::log::submit::{BatchObserver, News, Submit};
use crate::log::tail::Tail;
use crate::log::{LogError, Lsn};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The shortest and the longest rest before the driver asks again where the log ends, if nothing became durable since
/// the last question. Each rest is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(500));
/// How often a waiting call checks whether it has waited too long.
const LOOK: Duration = Duration::from_millis(20);

/// Is called when the watermark has moved or the log has failed; it returns at once.
pub(in crate::log) type Waker = Box<dyn Fn() + Send + Sync>;

/// The log's side of a store that takes batches. The thread ends when this is dropped.
#[derive(Debug)]
pub(in crate::log) struct Submitted {
    submit: Arc<dyn Submit>,
    shared: Arc<Shared>,
}

struct Shared {
    options: SubmitOptions,
    clock: Clock,
    inner: Mutex<Inner>,
    /// Signalled when the driver has something to do.
    work: Condvar,
    /// Signalled when the watermark has moved or will never move again.
    moved: Condvar,
    /// The watermark. It changes under `inner`, before waiting calls are woken.
    durable: AtomicU64,
    /// Bytes of all records up to it that this process appended.
    durable_bytes: AtomicU64,
    /// When the oldest record that is not durable was handed over; 0 if every record is durable.
    oldest: AtomicU64,
    /// The log's failure.
    failure: Arc<OnceLock<LogError>>,
    waker: OnceLock<Waker>,
    figures: SyncFigures,
}

#[derive(Debug)]
struct Inner {
    window: Window,
    mode: Mode,
    /// The epoch that the batches are submitted in.
    epoch: u64,
    /// How often the fate of batches was unknown.
    unknown: u64,
    /// Why, the last time.
    cause: String,
}

/// What the driver is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// No epoch was established yet.
    Idle,
    /// Batches are submitted.
    Submitting,
    /// The fate of batches is unknown.
    Resolving,
    /// The log has failed, was closed or dropped.
    Ended,
}

impl Submitted {
    pub(in crate::log) fn new(
        submit: Arc<dyn Submit>,
        tail: Tail,
        options: SubmitOptions,
        clock: Clock,
        failure: Arc<OnceLock<LogError>>,
    ) -> Self {
        let window = Window::new(tail, options);
        let inner = Inner { window, mode: Mode::Idle, epoch: 0, unknown: 0, cause: String::new() };
        let shared = Shared {
            options,
            clock,
            inner: Mutex::new(inner),
            work: Condvar::new(),
            moved: Condvar::new(),
            durable: AtomicU64::new(tail.lsn),
            durable_bytes: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
            failure,
            waker: OnceLock::new(),
            figures: SyncFigures::default(),
        };
        Self { submit, shared: Arc::new(shared) }
    }

    /// Begins to submit in the epoch of `tail`, behind it.
    pub(in crate::log) fn begin(&self, tail: Tail) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        {
            let mut inner = shared.inner.lock();
            inner.window = Window::new(tail, shared.options);
            (inner.epoch, inner.mode) = (tail.epoch, Mode::Submitting);
            shared.durable.store(tail.lsn, Ordering::Release);
        }
        self.submit.watch(Arc::clone(&self.shared) as Arc<dyn BatchObserver>);
        let submit = Arc::clone(&self.submit);
        let work = move || {
            if std::panic::catch_unwind(AssertUnwindSafe(|| shared.drive(&*submit))).is_err() {
                let cause = "it panicked".to_owned();
                shared.fail(LogError::Failed { what: "submitting to the log".to_owned(), cause });
            }
        };
        let spawned = std::thread::Builder::new().name("log-submit".to_owned()).spawn(work);
        spawned.map(drop).map_err(|error| LogError::Io {
            what: "start a thread that submits to the log".to_owned(),
            cause: error.to_string(),
            full: false,
        })
    }

    /// Asks the store whether the writer of an epoch may still write. Waits for the answer.
    pub(in crate::log) fn confirm(&self, epoch: u64) -> Result<(), LogError> {
        let current = self.submit.resolve(epoch)?.epoch;
        if current == epoch { Ok(()) } else { Err(LogError::Fenced { epoch, current }) }
    }

    /// Hands over what is pending; it is submitted as soon as the window has room.
    pub(in crate::log) fn hand_over(&self, pending: &Mutex<PendingFrames>) {
        let shared = &self.shared;
        let now = shared.now();
        let mut inner = shared.inner.lock();
        if inner.mode == Mode::Ended {
            return;
        }
        {
            let mut pending = pending.lock();
            if pending.tail == inner.window.end() {
                return;
            }
            let end = Point { lsn: pending.tail, chain: pending.chain };
            inner.window.hand_over(&mut pending.bytes, end, now);
        }
        shared.note_oldest(&inner);
        let wake = inner.mode == Mode::Submitting && inner.window.has_next();
        drop(inner);
        if wake {
            shared.work.notify_one();
        }
    }

    /// Waits until the records up to `upto`, which were handed over, are durable.
    ///
    /// # Errors
    /// The log's failure, or [`LogError::Unavailable`] if a record has been waiting for too long.
    pub(in crate::log) fn wait(&self, upto: Lsn) -> Result<(), LogError> {
        let shared = &self.shared;
        let mut inner = shared.inner.lock();
        loop {
            if self.durable() >= upto {
                return Ok(());
            }
            if inner.mode == Mode::Ended {
                return Err(shared.failure.get().cloned().unwrap_or(LogError::Closed));
            }
            if self.is_late() {
                return Err(inner.late());
            }
            shared.moved.wait_for(&mut inner, LOOK);
        }
    }

    /// The last LSN known to be durable.
    #[inline]
    pub(in crate::log) fn durable(&self) -> Lsn {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Bytes of all records up to it that this process appended.
    #[inline]
    pub(in crate::log) fn durable_bytes(&self) -> u64 {
        self.shared.durable_bytes.load(Ordering::Relaxed)
    }

    /// For how many microseconds the oldest record that is not durable has waited since it was handed over; 0 if there
    /// is none.
    pub(in crate::log) fn waiting_micros(&self) -> u64 {
        let since = self.shared.oldest.load(Ordering::Relaxed);
        if since > 0 { self.shared.now().saturating_sub(since) } else { 0 }
    }

    /// Whether a record has been waiting for longer than is tolerated.
    fn is_late(&self) -> bool {
        self.waiting_micros() > self.shared.options.patience_ms.saturating_mul(1000)
    }

    /// Whether further records are refused for now, while `kept` bytes wait to be durable. Cheap.
    #[inline]
    pub(in crate::log) fn is_short(&self, kept: u64) -> bool {
        kept > self.shared.options.kept_bytes || self.is_late()
    }

    /// Why a record of so many bytes may not be appended for now, while `kept` bytes wait to be durable.
    pub(in crate::log) fn refusal(&self, kept: u64, wanted: u64) -> Option<LogError> {
        if self.is_late() {
            return Some(self.shared.inner.lock().late());
        }
        // A record that is larger than the bound passes when nothing else waits.
        let bound = self.shared.options.kept_bytes;
        (kept > 0 && kept.saturating_add(wanted) > bound).then(|| LogError::Unavailable {
            what: "keeping a record until it is durable".to_owned(),
            cause: format!("{kept} bytes wait for the log already, of {bound} that may"),
            full: false,
        })
    }

    /// Sets the callback for when the watermark has moved or the log has failed. Only the first callback is kept.
    pub(in crate::log) fn wake_by(&self, waker: Waker) {
        let _ = self.shared.waker.set(waker);
    }

    /// Notes the log's first failure, which is final, and returns it. The driver ends.
    pub(in crate::log) fn fail(&self, error: LogError) -> LogError {
        self.shared.fail(error)
    }

    /// Ends the driver: the watermark does not move any more. Its thread ends once it is back from the store.
    fn end(&self) {
        self.shared.end(&mut self.shared.inner.lock());
        self.shared.wake_all();
    }

    pub(in crate::log) fn figures(&self) -> &SyncFigures {
        &self.shared.figures
    }

    pub(in crate::log) fn stats(&self, kept_bytes: u64) -> SubmitStats {
        let inner = self.shared.inner.lock();
        let (batches, bytes) = inner.window.in_flight();
        let resolving = inner.mode == Mode::Resolving;
        SubmitStats { batches, bytes, kept_bytes, unknown: inner.unknown, resolving }
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl BatchObserver for Shared {
    fn tell(&self, news: News) {
        let mut inner = self.inner.lock();
        if !matches!(inner.mode, Mode::Submitting | Mode::Resolving) {
            return;
        }
        match news {
            News::Durable(upto) => self.advance(&mut inner, upto),
            // Old news: the batch behind `after` was submitted again, and at least its first record is durable.
            News::Rejected(after) if after < inner.window.durable() => return,
            News::Rejected(after) => inner.doubt(format!("the log does not end at LSN {after}")),
            News::Unknown { cause, .. } => inner.doubt(cause),
            News::Fenced { by } => {
                let epoch = inner.epoch;
                drop(inner);
                self.fail(LogError::Fenced { epoch, current: by });
                return;
            }
            News::LeadershipLost { why } => {
                drop(inner);
                self.fail(LogError::LeadershipLost { why });
                return;
            }
        }
        drop(inner);
        self.wake_all();
    }
}

impl Inner {
    /// Notes that the fate of the batches in flight is unknown. Does nothing if no batch is in flight.
    fn doubt(&mut self, cause: String) {
        if self.mode == Mode::Submitting && self.window.in_flight().0 > 0 {
            self.mode = Mode::Resolving;
            self.unknown += 1;
            self.cause = cause;
        }
    }

    /// The error for a record that has waited longer than is tolerated.
    fn late(&self) -> LogError {
        let cause = if self.cause.is_empty() { "its answers are late" } else { self.cause.as_str() };
        let what = "waiting for the log to be durable".to_owned();
        LogError::Unavailable { what, cause: cause.to_owned(), full: false }
    }
}

impl Shared {
    /// Microseconds of the monotonic clock, never 0.
    fn now(&self) -> u64 {
        self.clock.monotonic_micros().max(1)
    }

    fn note_oldest(&self, inner: &Inner) {
        self.oldest.store(inner.window.oldest(), Ordering::Relaxed);
    }

    /// Moves the watermark.
    fn advance(&self, inner: &mut Inner, upto: Lsn) {
        let oldest = inner.window.oldest();
        let freed = inner.window.advance(upto);
        self.note_freed(inner, freed, oldest);
    }

    fn note_freed(&self, inner: &Inner, freed: usize, oldest: u64) {
        if freed > 0 {
            self.figures.note(self.now().saturating_sub(oldest));
            self.durable_bytes.fetch_add(freed as u64, Ordering::Relaxed);
        }
        self.note_oldest(inner);
        self.durable.store(inner.window.durable(), Ordering::Release);
    }

    /// Wakes the driver and all threads that wait for it. The lock is not held.
    fn wake_all(&self) {
        self.work.notify_one();
        self.moved.notify_all();
        if let Some(wake) = self.waker.get() {
            wake();
        }
    }

    /// From here on the watermark does not move.
    fn end(&self, inner: &mut Inner) {
        inner.mode = Mode::Ended;
        inner.window.give_up();
        self.note_oldest(inner);
    }

    /// Notes the first failure, which is final, and returns it. Once the failure can be seen, the watermark does not
    /// move any more.
    fn fail(&self, error: LogError) -> LogError {
        let failure = {
            let mut inner = self.inner.lock();
            let failure = self.failure.get_or_init(|| error).clone();
            self.end(&mut inner);
            failure
        };
        self.wake_all();
        failure
    }

    /// Submits and resolves until the end.
    fn drive(&self, submit: &dyn Submit) {
        let mut rest = Rest::default();
        let mut inner = self.inner.lock();
        loop {
            let epoch = inner.epoch;
            match inner.mode {
                Mode::Ended => return,
                Mode::Idle => self.work.wait(&mut inner),
                Mode::Submitting => match inner.window.next() {
                    Some(batch) => MutexGuard::unlocked(&mut inner, || submit.submit(epoch, batch)),
                    None => self.work.wait(&mut inner),
                },
                Mode::Resolving => {
                    if let Some(pause) = rest.before_asking(inner.window.durable()) {
                        // News that arrive meanwhile do not shorten the rest.
                        MutexGuard::unlocked(&mut inner, || std::thread::sleep(pause));
                        if inner.mode != Mode::Resolving {
                            continue;
                        }
                    }
                    let asked = inner.window.durable();
                    let answer = MutexGuard::unlocked(&mut inner, || submit.resolve(epoch));
                    self.resolved(&mut inner, asked, answer);
                }
            }
        }
    }

    /// Takes the store's answer about the log's end, if the mode is still [`Mode::Resolving`].
    fn resolved(&self, inner: &mut MutexGuard<'_, Inner>, asked: Lsn, answer: Result<Tail, LogError>) {
        if inner.mode != Mode::Resolving {
            return;
        }
        let epoch = inner.epoch;
        let failure = match answer {
            Ok(tail) => {
                let oldest = inner.window.oldest();
                let fits = inner.window.resolved(asked, tail);
                if let Ok(freed) = fits {
                    self.note_freed(inner, freed, oldest);
                }
                match fits {
                    // Our records that the log holds stay durable, and no more of ours will be kept.
                    Ok(_) | Err(Misfit::Foreign) if tail.epoch > epoch => {
                        LogError::Fenced { epoch, current: tail.epoch }
                    }
                    Ok(_) => {
                        inner.mode = Mode::Submitting;
                        inner.cause.clear();
                        return MutexGuard::unlocked(inner, || self.wake_all());
                    }
                    Err(Misfit::Foreign | Misfit::Missing) => {
                        LogError::TailMoved { expected: inner.window.durable(), actual: tail.lsn }
                    }
                }
            }
            Err(error @ (LogError::Fenced { .. } | LogError::LeadershipLost { .. })) => error,
            Err(error) => {
                inner.cause = error.cause();
                return;
            }
        };
        MutexGuard::unlocked(inner, || self.fail(failure));
    }
}

/// How long to rest before the store is asked where the log ends, so that a store that answers and keeps nothing is not
/// asked without pause.
#[derive(Debug, Default)]
struct Rest {
    /// What was durable when it was asked last.
    asked: Option<Lsn>,
    pause: Duration,
}

impl Rest {
    /// The pause before the next question, if the records up to `durable` are durable.
    fn before_asking(&mut self, durable: Lsn) -> Option<Duration> {
        if self.asked.is_none_or(|asked| asked < durable) {
            (self.asked, self.pause) = (Some(durable), PAUSES.0);
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        Some(pause)
    }
}

#[cfg(test)]
mod tests;
