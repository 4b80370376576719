//! The engine's side of the log: appending, how durable a record must be before a reply shows it, and changes of that.

use super::durability::{DurabilityState, Event, Level, LogState, ReplyGate};
use super::open_log::SettledWaker;
use super::{Engine, EngineError};
use crate::effect::{self, Effect, Structural};
use crate::log::{Log, LogError, LogStats, Lsn};
use crate::store::{Holder, Lent, Locked, Mode, Patience};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// The log's figures for INFO.
pub type JournalStats = LogStats;

/// How far the log has come when [`Engine::settle`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// Every record appended before the call is as durable as `appendfsync` asks.
    Done,
    /// Not yet. The wakers ([`Engine::wake_when_settled`]) are called when the records are durable, or when the log
    /// fails.
    Pending,
}

/// Why a command may not go on under its locks: the state of durability changed after the command passed its gates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// The data is being read from disk.
    Loading,
    /// The log cannot be written.
    Refused(LogError),
    /// A shard is closed because a change of it panicked.
    Closed,
    /// The server ends.
    Ending,
    /// CLIENT PAUSE holds back commands of this kind.
    Paused,
    /// The unit of work is to be run on a thread of its own.
    TakesLong,
    /// A script has this shard.
    Lent(Lent),
}

impl From<Lent> for NotNow {
    #[cold]
    fn from(lent: Lent) -> Self {
        Self::Lent(lent)
    }
}

impl Engine {
    /// The state of durability. It does not change while a shard is held.
    #[inline]
    pub fn state(&self) -> DurabilityState {
        self.machine.state()
    }

    /// Whether clients are answered LOADING.
    #[inline]
    pub fn is_loading(&self) -> bool {
        self.state().is_loading()
    }

    /// Whether a command that writes (`writes`) or only reads may go on under its locks.
    ///
    /// # Errors
    /// Why it may not.
    #[inline]
    pub fn admits(&self, writes: bool) -> Result<(), NotNow> {
        let state = self.state();
        if state.accepts_writes() { Ok(()) } else { self.admits_slowly(state, writes) }
    }

    #[cold]
    fn admits_slowly(&self, state: DurabilityState, writes: bool) -> Result<(), NotNow> {
        if state.is_loading() {
            return Err(NotNow::Loading);
        }
        if !writes {
            return Ok(());
        }
        Err(if state.has_failed() { NotNow::Refused(self.failure()) } else { NotNow::Ending })
    }

    /// The error with which the log failed.
    pub(super) fn failure(&self) -> LogError {
        self.journal.log().and_then(|log| log.failure().cloned()).unwrap_or(LogError::Closed)
    }

    /// Makes an event happen while every shard is held exclusively; `held` is that lock, if the caller has it already.
    pub(super) fn step(
        &self,
        event: Event,
        held: Option<&Locked<'_>>,
    ) -> Result<DurabilityState, DurabilityState> {
        let _all = match held {
            Some(held) if held.holds_all() => None,
            _ => Some(self.store.lock_all(Mode::Write, self.clock.now_ms()).timed(Holder::State)),
        };
        let outcome = self.machine.step(event);
        if let Ok(state) = outcome {
            tracing::debug!(?event, ?state, "the state of durability");
        }
        outcome
    }

    /// Appends a record under the locks of the shards that it changed. `accepted` is the state in which its transaction
    /// was accepted; it decides whether the record is logged. Returns the record's position if so.
    #[inline]
    pub(super) fn append(
        &self,
        accepted: DurabilityState,
        now: u64,
        record: &[u8],
        changes: u64,
    ) -> Option<Lsn> {
        self.unsaved.add(changes);
        if (accepted.appends() || self.machine.is_imaging())
            && let Some(log) = self.journal.log()
        {
            return Some(log.append(now, record));
        }
        None
    }

    /// Appends the record of a gap, before which changes may be missing from the log, and returns its LSN. Recovery
    /// does not replay beyond a gap, unless it begins with a checkpoint that starts there or later. The caller holds
    /// every shard.
    pub(super) fn append_gap(&self, log: &Log) -> Lsn {
        let mut record = vec![effect::VERSION];
        Effect::Structural(Structural::Gap).encode(&mut record);
        log.append(self.clock.now_ms(), &record)
    }

    /// The LSN of the last appended record.
    #[inline]
    pub fn tail(&self) -> Lsn {
        match self.journal.log() {
            Some(log) => log.tail(),
            None => 0,
        }
    }

    /// The LSN up to which records are as durable as `appendfsync` asks. If the log has failed: the LSN at its failure.
    #[inline]
    pub fn settled(&self) -> Lsn {
        let Some(log) = self.journal.log() else { return Lsn::MAX };
        match self.state().gate() {
            ReplyGate::Open => Lsn::MAX,
            ReplyGate::Written => log.written(),
            ReplyGate::Synced => log.synced(),
        }
    }

    /// The last LSN known to be durable, whatever `appendfsync` says; 0 without a log. Does not wait.
    pub fn durable(&self) -> Lsn {
        self.journal.log().map_or(0, |log| log.synced())
    }

    /// The last LSN that a reply can show if its command began in the state `began`. Once the log has failed (and
    /// memory has fallen back, if it must), that is no more than what was settled.
    #[inline]
    pub fn everything_since(&self, began: DurabilityState) -> Lsn {
        if began.has_failed() { self.settled() } else { self.tail() }
    }

    /// Makes all records that were appended so far as durable as `appendfsync` asks, those of all threads together. The
    /// calling thread writes and syncs a log in files. A log that answers later is only given the records that it
    /// lacks, and the call does not wait for it.
    pub fn settle(&self) -> Result<Settling, LogError> {
        let Some(log) = self.journal.log() else { return Ok(Settling::Done) };
        let state = self.state();
        match state.gate() {
            ReplyGate::Open => {}
            // The callers' replies have waited since before the failure.
            _ if state.has_failed() => return Err(self.failure()),
            _ if log.answers_later() => {
                let tail = log.tail();
                log.write_out(tail)?;
                return Ok(if log.synced() >= tail { Settling::Done } else { Settling::Pending });
            }
            ReplyGate::Written => {
                log.write_out(log.tail())?;
                if state.level() == Level::Everysec {
                    self.hold_writers(log)?;
                }
            }
            ReplyGate::Synced => log.sync(log.tail())?,
        }
        Ok(Settling::Done)
    }

    /// Whether [`Engine::settle`] waits for a disk. Then a call should cover as many writes as it can.
    pub fn settles_on_disk(&self) -> bool {
        matches!(self.state().gate(), ReplyGate::Synced)
            && self.journal.log().is_some_and(|log| !log.answers_later())
    }

    /// Adds a waker for a log that [`Engine::settle`] does not wait for. It is called when that log has become more
    /// durable or has failed, from any thread, sometimes without need, and for as long as the engine exists.
    pub fn wake_when_settled(&self, waker: SettledWaker) {
        self.journal.wakers.lock().push(waker);
    }

    /// At `everysec`: makes writers wait for the disk when it falls behind, so that acknowledged writes are on disk
    /// soon even if the disk is slow.
    #[inline]
    fn hold_writers(&self, log: &Log) -> Result<(), LogError> {
        let bound = self.max_unsynced_micros.load(Relaxed);
        if bound == 0 || log.unsynced_micros() <= bound {
            return Ok(());
        }
        let began = self.clock.monotonic_micros();
        let done = log.sync(log.written());
        self.held_micros.fetch_add(self.clock.monotonic_micros() - began, Relaxed);
        self.held.fetch_add(1, Relaxed);
        done
    }

    /// How often writers at `everysec` have waited for the disk, and for how many microseconds in total.
    pub fn held(&self) -> (u64, u64) {
        (self.held.load(Relaxed), self.held_micros.load(Relaxed))
    }

    /// Whether readers may be shown only what is durable.
    pub fn shows_only_durable(&self) -> bool {
        self.state().shows_only_durable()
    }

    /// Makes everything durable, whatever `appendfsync` says.
    pub fn sync(&self) -> Result<(), LogError> {
        match self.journal.log() {
            Some(log) => log.sync(log.tail()),
            None => Ok(()),
        }
    }

    /// Handles an error of the log. A final error means that the log has failed: at `always`, memory then shows changes
    /// that will never be durable and that no reply has shown, so a thread brings memory back to what is durable. Other
    /// errors change nothing. The caller holds no shard.
    pub fn note_failure(self: &Arc<Self>, error: &LogError) {
        self.note_failure_holding(error, None);
    }

    /// As [`Engine::note_failure`]; `held` is the caller's lock on every shard, `None` if it holds no shard.
    pub(super) fn note_failure_holding(self: &Arc<Self>, error: &LogError, held: Option<&Locked<'_>>) {
        if !error.is_final() || self.failing.swap(true, AcqRel) {
            return;
        }
        tracing::error!(%error, "the log has failed; writes are refused until a restart");
        if held.is_some_and(Locked::holds_all) {
            return self.log_failed(held);
        }
        match self.store.lock_all_within(Patience::Short, Mode::Write, self.clock.now_ms()) {
            Ok(all) => {
                let all = all.timed(Holder::State);
                self.log_failed(Some(&all));
            }
            Err(_) => self.log_failed_later(),
        }
    }

    /// As [`Engine::log_failed`], on a thread of its own, which may wait for a script that holds shards.
    fn log_failed_later(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        let later =
            std::thread::Builder::new().name("log-failed".into()).spawn(move || engine.log_failed(None));
        if later.is_err() {
            // The next error of the log, which comes with the next attempt to write, is handled in its place.
            self.failing.store(false, Release);
        }
    }

    fn log_failed(self: &Arc<Self>, held: Option<&Locked<'_>>) {
        let Ok(state) = self.step(Event::LogFailed, held) else { return };
        if state.log() == LogState::Stranded {
            tracing::error!("what was written while the log was off is nowhere but in memory");
        }
        self.take_back_if_needed(state);
    }

    /// Why writes are refused at present: the log has failed for good, or the disk has no room for `bytes`. Costs one
    /// relaxed load if writes are accepted.
    #[inline]
    pub fn refusal(&self, bytes: usize) -> Option<LogError> {
        if self.state().log() == LogState::Off {
            return None;
        }
        self.journal.log().and_then(|log| log.reserve(bytes).err())
    }

    /// The error if one record cannot hold so many bytes.
    #[inline]
    pub(super) fn too_large(&self, bytes: usize) -> Option<LogError> {
        if self.state().log() == LogState::Off {
            return None;
        }
        self.journal.log().and_then(|log| log.check_size(bytes as u64).err())
    }

    /// The log's figures for INFO; `None` without a log.
    pub fn journal_stats(&self) -> Option<JournalStats> {
        self.journal.log().map(|log| log.stats())
    }

    /// Closes the log in order: everything is on disk, and the next start can tell. An error means that something is
    /// missing on disk that was to be kept.
    pub fn close(&self) -> Result<(), EngineError> {
        let Some(log) = self.journal.log() else { return Ok(()) };
        let outcome = log.sync(log.tail()).and_then(|()| log.close());
        let state = self.step(Event::Closed, None).unwrap_or_else(|state| state);
        match outcome {
            Ok(()) if state.ends_well() => Ok(()),
            Ok(()) => Err(EngineError::Gap),
            Err(error) if state.log() == LogState::Off => {
                tracing::warn!(%error, "the log, which is off, cannot be closed");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
