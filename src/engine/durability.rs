//! The state of durability: the one answer to whether writes are accepted, whether they are logged, what a reply waits
//! for, and whether what memory holds is on disk.
//!
//! Invariants:
//!
//! - The state changes only while every shard is held exclusively; for [`Event::GapClosed`], which permits nothing that
//!   was not permitted before, one shard held shared is enough. So whoever holds any shard knows the state, and what a
//!   transaction was accepted in still holds when it appends: there is no state in which a write is acknowledged and
//!   its record discarded.
//! - A log is complete when what is in memory can be built from the checkpoints and the log. That is no setting: a log
//!   that is switched on begins incomplete, and only a checkpoint that begins behind the gap's LSN makes it complete.
//! - A log that has failed stays failed until a restart.
//!
//! ARCHITECTURE.md has the table of the states, and a test compares it with this file.

use super::sync::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// What the engine is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Clients are served.
    Serving,
    /// The data folder is read for the first time.
    Recovering,
    /// Memory is written to disk, emptied and read again (DEBUG RELOAD).
    Reloading,
    /// The log failed at `always`: what memory shows beyond the durable records is taken back.
    FallingBack,
    /// Writes have stopped, and what must be on disk is brought there.
    Ending,
    /// The log is closed.
    Ended,
}

/// What the log has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogState {
    /// Nothing is logged.
    Off,
    /// Everything is logged from the gap on, and a checkpoint that begins behind the gap is yet to be finished.
    Incomplete,
    /// Log and checkpoints have everything.
    Complete,
    /// A write or sync failed while the log was complete.
    Failed,
    /// A write or sync failed while the log was incomplete: memory is the only copy.
    Stranded,
}

/// How durable a write is before it is acknowledged: `appendfsync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Level {
    /// It was handed to the system, which writes it to the disk some time.
    No,
    /// It was handed to the system, and is synced within a second or two.
    Everysec,
    /// It is on disk.
    Always,
}

/// What a reply that shows a write waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Nothing.
    Open,
    /// That the record was handed to the system.
    Written,
    /// That the record is on disk.
    Synced,
}

/// What changes the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The data folder was read; the log is to be in this state.
    Recovered(LogState),
    /// `appendonly yes`; the gap was noted in the log.
    SwitchedOn,
    /// `appendonly no`; what was logged is on disk.
    SwitchedOff,
    /// `appendfsync`.
    LevelSet(Level),
    /// A checkpoint that began behind the gap has its name.
    GapClosed,
    /// A write or sync of the log failed for good.
    LogFailed,
    /// A reload begins.
    ReloadBegun,
    /// Memory was read again.
    ReloadDone,
    /// The reload ends before anything was taken away.
    ReloadGivenUp,
    /// Memory shows nothing any more but what is durable.
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
pub struct State(u8);

const LOG_SHIFT: u8 = 2;
const PHASE_SHIFT: u8 = 5;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{:?}/{:?}", self.phase(), self.log(), self.level())
    }
}

impl State {
    /// A state. All parts are independent of each other, but not all states can be reached.
    pub const fn new(phase: Phase, log: LogState, level: Level) -> Self {
        Self((phase as u8) << PHASE_SHIFT | (log as u8) << LOG_SHIFT | level as u8)
    }

    /// What the engine is about.
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

    /// What the log has.
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

    /// How durable a write is before it is acknowledged, or was when the log failed.
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

    /// Whether writes may begin, as far as it is not for the room on the disk.
    #[inline]
    pub const fn accepts_writes(self) -> bool {
        self.0 < Self::new(Phase::Serving, LogState::Failed, Level::No).0
    }

    /// Whether a transaction that was accepted in this state appends its record.
    #[inline]
    pub const fn appends(self) -> bool {
        matches!(self.log(), LogState::Incomplete | LogState::Complete)
    }

    /// Whether there is a log, whatever it has.
    #[inline]
    pub const fn has_log(self) -> bool {
        !matches!(self.log(), LogState::Off)
    }

    /// Whether the log has failed.
    #[inline]
    pub const fn has_failed(self) -> bool {
        matches!(self.log(), LogState::Failed | LogState::Stranded)
    }

    /// Whether the log has everything that memory has, or will when it was written out.
    pub const fn is_complete(self) -> bool {
        matches!(self.log(), LogState::Complete)
    }

    /// Whether clients are answered LOADING.
    #[inline]
    pub const fn is_loading(self) -> bool {
        matches!(self.phase(), Phase::Recovering | Phase::Reloading | Phase::FallingBack)
    }

    /// Whether work on the store that nobody waits for may begin: expiry, eviction, index filling, lifting.
    pub const fn permits_work(self) -> bool {
        self.accepts_writes()
    }

    /// Whether a checkpoint may begin by itself. A reload, an end and the recovery write their own.
    pub const fn permits_checkpoint(self) -> bool {
        self.accepts_writes()
    }

    /// What a reply waits for that shows a write.
    #[inline]
    pub const fn gate(self) -> Gate {
        match (self.log(), self.level()) {
            (LogState::Off, _) => Gate::Open,
            (_, Level::Always) => Gate::Synced,
            (_, Level::Everysec | Level::No) => Gate::Written,
        }
    }

    /// Whether readers are shown nothing that is not durable. Where memory is the only copy they are shown what there
    /// is.
    #[inline]
    pub const fn shows_only_durable(self) -> bool {
        matches!(
            (self.log(), self.level()),
            (LogState::Complete | LogState::Incomplete | LogState::Failed, Level::Always)
        )
    }

    /// Whether the process ends with exit code 0 after the log was closed in this state: nothing is missing on disk
    /// that was to be there.
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

    /// The state that an event leads to; `None` where it cannot happen or changes nothing that is possible.
    pub const fn next(self, event: Event) -> Option<Self> {
        let (phase, log) = (self.phase(), self.log());
        Some(match (event, phase, log) {
            (Event::Recovered(log), Phase::Recovering, _) => self.with_log(log).with_phase(Phase::Serving),
            (Event::SwitchedOn, Phase::Serving, LogState::Off) => self.with_log(LogState::Incomplete),
            (Event::SwitchedOff, Phase::Serving, LogState::Incomplete | LogState::Complete) => {
                self.with_log(LogState::Off)
            }
            // What readers may be shown of a failed log is decided by the level at which it failed.
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

    /// A log that failed at `always` has memory fall back, unless somebody else is about to decide over memory.
    const fn taken_back(self) -> Self {
        match (self.phase(), self.log(), self.level()) {
            (Phase::Serving, LogState::Failed, Level::Always) => self.with_phase(Phase::FallingBack),
            _ => self,
        }
    }
}

/// The state in force, and where the log's gap is.
pub(super) struct Machine {
    state: AtomicU8,
    /// The LSN before which changes may be missing from the log.
    gap: AtomicU64,
    /// How often the log was switched on or off.
    switches: AtomicU64,
    /// Whether a checkpoint of what is not logged is taking its images. What is written meanwhile is logged, for only
    /// the log makes one state of images that were taken one after the other. It changes while every shard is held.
    imaging: AtomicBool,
}

impl Machine {
    /// A machine that is recovering.
    pub(super) fn new(level: Level) -> Self {
        Self {
            state: AtomicU8::new(State::new(Phase::Recovering, LogState::Off, level).0),
            gap: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            imaging: AtomicBool::new(false),
        }
    }

    /// The state. Who holds a shard knows that it stays as it is, but for a gap that closes.
    #[inline]
    pub(super) fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// Pretends a phase, without anything that leads to it.
    #[cfg(test)]
    pub(super) fn pretend(&self, phase: Phase) {
        self.state.store(self.state().with_phase(phase).0, Ordering::Release);
    }

    /// Has an event happen; the caller holds every shard exclusively. The new state, or an error with the present one
    /// where the event cannot happen.
    pub(super) fn step(&self, event: Event) -> Result<State, State> {
        let step = |raw| State(raw).next(event).map(|next| next.0);
        if matches!(event, Event::SwitchedOn | Event::SwitchedOff) {
            self.switches.fetch_add(1, Ordering::AcqRel);
        }
        match self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, step) {
            Ok(before) => State(before).next(event).ok_or(State(before)),
            Err(before) => Err(State(before)),
        }
    }

    /// Switches the log on behind a gap; the caller holds every shard exclusively and has appended the record of the
    /// gap.
    pub(super) fn switch_on(&self, gap: u64) -> Result<State, State> {
        self.open_gap(gap);
        self.step(Event::SwitchedOn)
    }

    /// How often the log was switched. A checkpoint during which it was is none: a part of it was logged and a part
    /// not.
    pub(super) fn switches(&self) -> u64 {
        self.switches.load(Ordering::Acquire)
    }

    /// Whether what is written is logged although the log is off.
    #[inline]
    pub(super) fn is_imaging(&self) -> bool {
        self.imaging.load(Ordering::Relaxed)
    }

    /// Begins or ends to log what is written although the log is off.
    pub(super) fn set_imaging(&self, on: bool) {
        self.imaging.store(on, Ordering::Release);
    }

    /// Notes that only a checkpoint with this start LSN or a later one makes the log complete.
    pub(super) fn open_gap(&self, gap: u64) {
        self.gap.store(gap, Ordering::Release);
    }

    /// Notes that a checkpoint with this start LSN has its name. It closes the gap if it began behind it. The caller
    /// holds a shard, so that the log is not switched off and on meanwhile, which opens another gap.
    pub(super) fn checkpoint_named(&self, start: u64) {
        if start >= self.gap.load(Ordering::Acquire) {
            let _ = self.step(Event::GapClosed);
        }
    }
}
