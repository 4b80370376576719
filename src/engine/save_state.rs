//! What is known of checkpoints.

use crate::env::{AtomicInstant, Clock, Tally};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What a checkpoint did.
#[derive(Clone, Debug)]
pub struct CheckpointReport {
    /// The checkpoint shows every record up to this one.
    pub start_lsn: u64,
    /// Bytes written.
    pub bytes: u64,
    /// How long it took, in ms.
    pub millis: u64,
    /// The longest time a shard was held, in microseconds.
    pub longest_hold: u64,
}

/// The state of checkpoints, for INFO and the save points.
pub struct SaveState {
    /// Whether a checkpoint is being written.
    pub running: AtomicBool,
    /// Whether a checkpoint must be written, whatever the save points say.
    pub due: AtomicBool,
    /// When the running one began.
    pub started: AtomicInstant,
    /// When the last checkpoint succeeded, in ms since the epoch; before the first, when the server started.
    pub last_save: AtomicU64,
    /// The same instant on this process's clock.
    pub saved_at: AtomicInstant,
    /// Whether the last one succeeded.
    pub last_ok: AtomicBool,
    /// How long the last one took, in ms; `u64::MAX` before the first.
    pub last_millis: AtomicU64,
    /// When a checkpoint was last tried; none before the first.
    pub last_try: AtomicInstant,
    /// How many shards the running checkpoint has begun to read, in ascending order. It changes while the shard that is
    /// being begun is held.
    pub(super) shards_read: AtomicUsize,
    /// Checkpoints finished since the start.
    pub count: AtomicU64,
    /// Log bytes appended when the last checkpoint began.
    pub log_bytes: AtomicU64,
    /// What the last one reported.
    pub report: Mutex<Option<CheckpointReport>>,
}

/// Changes that no checkpoint holds yet.
#[derive(Default)]
pub struct Unsaved {
    made: Tally,
    saved: AtomicU64,
}

impl Unsaved {
    /// Counts changes.
    #[inline]
    pub(super) fn add(&self, changes: u64) {
        self.made.add(changes);
    }

    /// The number of all changes so far, for [`Unsaved::note_saved`].
    pub(super) fn made(&self) -> u64 {
        self.made.sum()
    }

    /// Notes that the first `made` changes are saved.
    pub(super) fn note_saved(&self, made: u64) {
        self.saved.fetch_max(made, Relaxed);
    }

    /// How many changes are not saved.
    pub fn count(&self) -> u64 {
        self.made().saturating_sub(self.saved.load(Relaxed))
    }
}

impl SaveState {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            running: AtomicBool::new(false),
            due: AtomicBool::new(false),
            started: AtomicInstant::default(),
            last_save: AtomicU64::new(clock.now_ms()),
            saved_at: AtomicInstant::new(clock.instant()),
            last_ok: AtomicBool::new(true),
            last_millis: AtomicU64::new(u64::MAX),
            last_try: AtomicInstant::default(),
            shards_read: AtomicUsize::new(0),
            count: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            report: Mutex::new(None),
        }
    }

    /// Notes that memory is saved as of now.
    pub(super) fn note_saved(&self, clock: &Clock) {
        self.last_save.store(clock.now_ms(), Relaxed);
        self.saved_at.store(Some(clock.instant()));
    }
}
