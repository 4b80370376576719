//! What the log counts.

use super::store::StoreStats;
use super::{LogError, Lsn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Figures for INFO and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// The last LSN appended.
    pub tail: Lsn,
    /// The last LSN handed to the system.
    pub written: Lsn,
    /// The last LSN known to be durable.
    pub synced: Lsn,
    /// Bytes appended since the start, frames included.
    pub appended_bytes: u64,
    /// Bytes appended and not yet handed to the system.
    pub pending_bytes: u64,
    /// Segments, sizes and the first LSN.
    pub store: StoreStats,
    /// The sticky failure, if there was one.
    pub failure: Option<LogError>,
    /// For how long the oldest record that was written out and is not durable has been waiting, in microseconds.
    pub unsynced_micros: u64,
    /// Writes are refused because the disk is too full, or something else is short for now.
    pub disk_full: bool,
    /// Syncs done.
    pub syncs: u64,
    /// Microseconds spent in syncs, in all.
    pub sync_micros_total: u64,
    /// The longest sync in microseconds.
    pub sync_micros_max: u64,
    /// The last sync in microseconds.
    pub sync_micros_last: u64,
    /// Background syncs that took above a second or found another one still running.
    pub syncs_delayed: u64,
    /// A sync is running.
    pub sync_running: bool,
    /// What was submitted, if the store takes batches and answers later. Then each move of the watermark counts as a
    /// sync, and takes as long as the oldest of its records has waited.
    pub submitted: Option<SubmitStats>,
}

/// Figures about what was submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubmitStats {
    /// Batches in flight.
    pub batches: usize,
    /// Bytes in flight.
    pub bytes: usize,
    /// Bytes that wait to be durable, those in flight included.
    pub kept_bytes: u64,
    /// How often the fate of batches was unknown or the store rejected one.
    pub unknown: u64,
    /// Whether the store is being asked where the log ends.
    pub resolving: bool,
}

/// Counters of syncs. All accesses are relaxed, because the figures are independent.
#[derive(Debug, Default)]
pub(super) struct SyncFigures {
    count: AtomicU64,
    total_micros: AtomicU64,
    max_micros: AtomicU64,
    pub(super) last_micros: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) running: AtomicBool,
}

impl SyncFigures {
    /// Counts a sync that took so many microseconds.
    pub(super) fn note(&self, micros: u64) {
        self.count.fetch_add(1, Relaxed);
        self.total_micros.fetch_add(micros, Relaxed);
        self.max_micros.fetch_max(micros, Relaxed);
        self.last_micros.store(micros, Relaxed);
    }

    pub(super) fn fill(&self, stats: &mut LogStats) {
        stats.syncs = self.count.load(Relaxed);
        stats.sync_micros_total = self.total_micros.load(Relaxed);
        stats.sync_micros_max = self.max_micros.load(Relaxed);
        stats.sync_micros_last = self.last_micros.load(Relaxed);
        stats.syncs_delayed = self.delayed.load(Relaxed);
        stats.sync_running = self.running.load(Relaxed);
    }
}
