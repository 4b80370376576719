//! The state of durability: the one answer to whether writes are accepted, whether they are logged, what a reply waits
//! for, and whether what memory holds is on disk.
//!
//! Invariants:
//!
//! - The state changes only while every shard is held exclusively. One shard held shared is enough for
//!   [`Event::GapClosed`], which permits nothing new. So the state stays as it is while any shard is held, and a
//!   transaction appends in the state in which it was accepted: there is no state in which a write is acknowledged and
//!   its record discarded.
//! - A log is complete when memory can be built from the checkpoints and the log. This is a fact and not a setting: a
//!   log that is switched on begins incomplete, and only a checkpoint that begins behind the gap's LSN makes it
//!   complete.
//! - A log that has failed stays failed until a restart.
//!
//! ARCHITECTURE.md has the table of the states, and a test compares it with this file.

use super::sync::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// What the engine is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Clients are served.
    Serving,
    /// The data folder is read for the first time.
    Recovering,
    /// Memory is brought to disk, emptied and read again (DEBUG RELOAD).
    Reloading,
    /// The log failed at `always`: memory is taken back to the durable records.
    FallingBack,
    /// Writes have stopped, and what must be kept is brought to disk.
    Ending,
    /// The log is closed.
    Ended,
}

/// Which part of the data the log has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogState {
    /// Nothing is logged.
    Off,
    /// Everything from the gap on is logged. A checkpoint that begins behind the gap is yet to be finished.
    Incomplete,
    /// Log and checkpoints together have everything.
    Complete,
    /// A write or sync failed while the log was complete.
    Failed,
    /// A write or sync failed while the log was incomplete: memory is the only copy.
    Stranded,
}

/// How durable a write is before it is acknowledged: `appendfsync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Level {
    /// The record was handed to the system, which writes it to the disk some time.
    No,
    /// The record was handed to the system, and is synced within a second or two.
    Everysec,
    /// The record is on disk.
    Always,
}

/// What a reply that shows a write waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyGate {
    /// Nothing.
    Open,
    /// The record was handed to the system.
    Written,
    /// The record is on disk.
    Synced,
}

/// An event that changes the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The data folder was read; the log begins in this state.
    Recovered(LogState),
    /// `appendonly yes`; the record of the gap is in the log.
    SwitchedOn,
    /// `appendonly no`; all logged records are on disk.
    SwitchedOff,
    /// `appendfsync` was set.
    LevelSet(Level),
    /// A checkpoint that began behind the gap has its name.
    GapClosed,
    /// A write or sync of the log failed for good.
    LogFailed,
    /// A reload begins.
    ReloadBegun,
    /// Memory was read again.
    ReloadDone,
    /// The reload failed before anything was taken away.
    ReloadGivenUp,
    /// Memory shows only what is durable.
    FellBack,
    /// The end begins.
    EndBegun,
    /// The end was refused.
    EndGivenUp,
    /// The log was closed.
    Closed,
}

/// The state, in a byte: phase, log and level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DurabilityState(u8);

const LOG_SHIFT: u8 = 2;
const PHASE_SHIFT: u8 = 5;

impl std::fmt::Debug for DurabilityState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{:?}/{:?}", self.phase(), self.log(), self.level())
    }
}

impl DurabilityState {
    /// A state. Any three parts can be combined, but not all combinations can be reached.
    pub const fn new(phase: Phase, log: LogState, level: Level) -> Self {
        Self((phase as u8) << PHASE_SHIFT | (log as u8) << LOG_SHIFT | level as u8)
    }

    /// What the engine is doing.
    #[inline]
    pub const fn phase(self) -> Phase {
        match self.0 >> PHASE_SHIFT {
            0 => Phase::Serving,
            1 => Phase::Recovering,
            2 => Phase::Reloading,
            3 => Phase::FallingBack,
            4 => Phase::Ending,
            _ => Phase::Ended,
        }
    }

    /// Which part of the data the log has.
    #[inline]
    pub const fn log(self) -> LogState {
        match self.0 >> LOG_SHIFT & 7 {
            0 => LogState::Off,
            1 => LogState::Incomplete,
            2 => LogState::Complete,
            3 => LogState::Failed,
            _ => LogState::Stranded,
        }
    }

    /// How durable a write is before it is acknowledged; for a failed log, the level at its failure.
    #[inline]
    pub const fn level(self) -> Level {
        match self.0 & 3 {
            0 => Level::No,
            1 => Level::Everysec,
            _ => Level::Always,
        }
    }

    const fn with_phase(self, phase: Phase) -> Self {
        Self::new(phase, self.log(), self.level())
    }

    const fn with_log(self, log: LogState) -> Self {
        Self::new(self.phase(), log, self.level())
    }

    /// Whether writes may begin. Room on the disk is another question.
    #[inline]
    pub const fn accepts_writes(self) -> bool {
        self.0 < Self::new(Phase::Serving, LogState::Failed, Level::No).0
    }

    /// Whether a transaction that was accepted in this state appends its record.
    #[inline]
    pub const fn appends(self) -> bool {
        matches!(self.log(), LogState::Incomplete | LogState::Complete)
    }

    /// Whether there is a log, in whatever state.
    #[inline]
    pub const fn has_log(self) -> bool {
        !matches!(self.log(), LogState::Off)
    }

    /// Whether the log has failed.
    #[inline]
    pub const fn has_failed(self) -> bool {
        matches!(self.log(), LogState::Failed | LogState::Stranded)
    }

    /// Whether the log has everything that memory has, or will have once it is written out.
    pub const fn is_complete(self) -> bool {
        matches!(self.log(), LogState::Complete)
    }

    /// Whether clients are answered LOADING.
    #[inline]
    pub const fn is_loading(self) -> bool {
        matches!(self.phase(), Phase::Recovering | Phase::Reloading | Phase::FallingBack)
    }

    /// Whether background work on the store may begin: expiry, eviction, index filling, lifting.
    pub const fn permits_work(self) -> bool {
        self.accepts_writes()
    }

    /// Whether an ordinary checkpoint may begin. A reload, an end and recovery write theirs in any state.
    pub const fn permits_checkpoint(self) -> bool {
        self.accepts_writes()
    }

    /// What a reply that shows a write waits for.
    #[inline]
    pub const fn gate(self) -> ReplyGate {
        match (self.log(), self.level()) {
            (LogState::Off, _) => ReplyGate::Open,
            (_, Level::Always) => ReplyGate::Synced,
            (_, Level::Everysec | Level::No) => ReplyGate::Written,
        }
    }

    /// Whether readers are shown only what is durable. If memory is the only copy, they are shown all of it.
    #[inline]
    pub const fn shows_only_durable(self) -> bool {
        matches!(
            (self.log(), self.level()),
            (LogState::Complete | LogState::Incomplete | LogState::Failed, Level::Always)
        )
    }

    /// Whether the process ends with exit code 0 if the log was closed in this state: everything that was to be on disk
    /// is there.
    pub const fn ends_well(self) -> bool {
        matches!(self.log(), LogState::Off | LogState::Complete)
    }

    /// The state's name, for INFO, the server's log and ARCHITECTURE.md.
    pub const fn name(self) -> &'static str {
        match (self.phase(), self.log()) {
            (Phase::Recovering, _) => "recovering",
            (Phase::Reloading, _) => "reloading",
            (Phase::FallingBack, _) => "falling-back",
            (Phase::Ending, _) => "ending",
            (Phase::Ended, _) => "ended",
            (Phase::Serving, LogState::Off) => "unlogged",
            (Phase::Serving, LogState::Incomplete) => "incomplete",
            (Phase::Serving, LogState::Complete) => "complete",
            (Phase::Serving, LogState::Failed) => "failed",
            (Phase::Serving, LogState::Stranded) => "stranded",
        }
    }

    /// The state after an event; `None` if the event cannot happen in this state.
    pub const fn next(self, event: Event) -> Option<Self> {
        let (phase, log) = (self.phase(), self.log());
        Some(match (event, phase, log) {
            (Event::Recovered(log), Phase::Recovering, _) => self.with_log(log).with_phase(Phase::Serving),
            (Event::SwitchedOn, Phase::Serving, LogState::Off) => self.with_log(LogState::Incomplete),
            (Event::SwitchedOff, Phase::Serving, LogState::Incomplete | LogState::Complete) => {
                self.with_log(LogState::Off)
            }
            // The level at which the log failed decides what readers may be shown, so it stays.
            (Event::LevelSet(_), _, LogState::Failed | LogState::Stranded) => self,
            (Event::LevelSet(level), _, log) => Self::new(phase, log, level),
            (Event::GapClosed, _, LogState::Incomplete) => self.with_log(LogState::Complete),
            (Event::LogFailed, _, LogState::Incomplete) => self.with_log(LogState::Stranded),
            (Event::LogFailed, _, LogState::Complete) => self.with_log(LogState::Failed).taken_back(),
            (
                Event::ReloadBegun,
                Phase::Serving,
                LogState::Off | LogState::Incomplete | LogState::Complete,
            ) => self.with_phase(Phase::Reloading),
            (Event::ReloadDone, Phase::Reloading, _) | (Event::FellBack, Phase::FallingBack, _) => {
                self.with_phase(Phase::Serving)
            }
            (Event::ReloadGivenUp, Phase::Reloading, _) | (Event::EndGivenUp, Phase::Ending, _) => {
                self.with_phase(Phase::Serving).taken_back()
            }
            (Event::EndBegun, Phase::Serving, _) => self.with_phase(Phase::Ending),
            (Event::Closed, ..) => self.with_phase(Phase::Ended),
            _ => return None,
        })
    }

    /// A log that failed at `always` makes memory fall back, unless a reload or an end is under way.
    const fn taken_back(self) -> Self {
        match (self.phase(), self.log(), self.level()) {
            (Phase::Serving, LogState::Failed, Level::Always) => self.with_phase(Phase::FallingBack),
            _ => self,
        }
    }
}

/// The present state, and where the log's gap is.
pub(super) struct Machine {
    state: AtomicU8,
    /// The LSN before which changes may be missing from the log.
    gap: AtomicU64,
    /// How often the log was switched on or off.
    switches: AtomicU64,
    /// Whether a checkpoint is taking its images while the log is off. Writes are logged meanwhile, because images that
    /// were taken one after the other need the log to become one state. It changes while every shard is held.
    imaging: AtomicBool,
}

impl Machine {
    /// A machine in the phase of recovering.
    pub(super) fn new(level: Level) -> Self {
        Self {
            state: AtomicU8::new(DurabilityState::new(Phase::Recovering, LogState::Off, level).0),
            gap: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            imaging: AtomicBool::new(false),
        }
    }

    /// The state. It does not change while a shard is held, except that a gap may close.
    #[inline]
    pub(super) fn state(&self) -> DurabilityState {
        DurabilityState(self.state.load(Ordering::Acquire))
    }

    /// For tests: sets a phase without an event.
    #[cfg(test)]
    pub(super) fn pretend(&self, phase: Phase) {
        self.state.store(self.state().with_phase(phase).0, Ordering::Release);
    }

    /// Makes an event happen. The caller holds every shard exclusively. Returns the new state, or the present one as an
    /// error if the event cannot happen.
    pub(super) fn step(&self, event: Event) -> Result<DurabilityState, DurabilityState> {
        let step = |raw| DurabilityState(raw).next(event).map(|next| next.0);
        if matches!(event, Event::SwitchedOn | Event::SwitchedOff) {
            self.switches.fetch_add(1, Ordering::AcqRel);
        }
        match self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, step) {
            Ok(before) => DurabilityState(before).next(event).ok_or(DurabilityState(before)),
            Err(before) => Err(DurabilityState(before)),
        }
    }

    /// Switches the log on behind a gap. The caller holds every shard exclusively and has appended the record of the
    /// gap.
    pub(super) fn switch_on(&self, gap: u64) -> Result<DurabilityState, DurabilityState> {
        self.open_gap(gap);
        self.step(Event::SwitchedOn)
    }

    /// How often the log was switched on or off. A checkpoint during which that happened is invalid, because only a
    /// part of its writes was logged.
    pub(super) fn switches(&self) -> u64 {
        self.switches.load(Ordering::Acquire)
    }

    /// Whether writes are logged although the log is off.
    #[inline]
    pub(super) fn is_imaging(&self) -> bool {
        self.imaging.load(Ordering::Relaxed)
    }

    /// Begins or ends the logging of writes while the log is off.
    pub(super) fn set_imaging(&self, on: bool) {
        self.imaging.store(on, Ordering::Release);
    }

    /// Notes a gap: only a checkpoint whose start LSN is this one or later makes the log complete.
    pub(super) fn open_gap(&self, gap: u64) {
        self.gap.store(gap, Ordering::Release);
    }

    /// Notes that a checkpoint with this start LSN has its name, and closes the gap if the checkpoint began behind it.
    /// The caller holds a shard, so that the log cannot be switched off and on meanwhile, which would open another gap.
    pub(super) fn checkpoint_named(&self, start: u64) {
        if start >= self.gap.load(Ordering::Acquire) {
            let _ = self.step(Event::GapClosed);
        }
    }
}
