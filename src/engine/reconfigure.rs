//! What CONFIG SET does to the engine: thresholds, eviction clock, and the switches of durability.

use super::durability::{Event, LogState};
use super::open_log::level_of;
use super::{Engine, EngineError};
use crate::config::Settings;
use crate::env::memory;
use crate::store::Locked;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// How often a changed `maxmemory` tries to make room at once; each time takes about half a millisecond.
const EVICTION_ROUNDS: usize = 40;

impl Engine {
    /// The settings that the background work goes by.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock())
    }

    /// Takes over changed settings: thresholds, eviction clock, durability. `held` is what the caller has locked: every
    /// shard exclusively if `appendonly` or `appendfsync` differ (see [`Engine::concerns_durability`]). Turning the log
    /// on is followed by a checkpoint, because what was not logged must be somewhere.
    ///
    /// # Errors
    /// When the log cannot be switched, or what it has not be synced; nothing has changed then.
    pub fn reconfigure(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
        held: &Locked<'_>,
    ) -> Result<(), EngineError> {
        let before = self.settings();
        self.switch_log(&before, settings, held)?;
        *self.settings.lock() = Arc::clone(settings);
        self.apply_settings(settings);
        if before.maxmemory_policy != settings.maxmemory_policy {
            self.pool.lock().clear();
        }
        if let (Some(log), true) = (self.journal.log(), before.disk_reserve != settings.disk_reserve) {
            // Where the disk cannot be measured now, it is soon, and by the new figure.
            let _ = log.set_keep_free_bytes(settings.disk_reserve);
        }
        Ok(())
    }

    /// Whether a change of these options changes the state of durability, for which every shard is held exclusively.
    pub fn concerns_durability(option: &[u8]) -> bool {
        option.eq_ignore_ascii_case(b"appendonly") || option.eq_ignore_ascii_case(b"appendfsync")
    }

    fn switch_log(
        self: &Arc<Self>,
        before: &Settings,
        settings: &Settings,
        held: &Locked<'_>,
    ) -> Result<(), EngineError> {
        let (Some(log), level) = (self.journal.log(), level_of(settings)) else { return Ok(()) };
        let off = before.appendonly && !settings.appendonly;
        if before.appendonly == settings.appendonly && level == level_of(before) {
            return Ok(());
        }
        assert!(held.holds_all(), "the state of durability changes under every lock only");
        let event = if off { Event::SwitchedOff } else { Event::SwitchedOn };
        if before.appendonly != settings.appendonly && self.state().next(event).is_none() {
            return Err(self.why_not(self.state()));
        }
        if self.state().appends() {
            // What was acknowledged under the old rule is settled before the new one is in force: where the rule is
            // relaxed, nobody syncs it any more; where it becomes stricter, memory would fall back behind it if a sync
            // failed. A log that answers later is not waited for under these locks, and need not be: at each level it
            // has kept what was acknowledged, or shown, and it gets the rest here.
            let tail = log.tail();
            let settled = if log.answers_later() { log.write_out(tail) } else { log.sync(tail) };
            settled.inspect_err(|error| self.note_failure_holding(error, Some(held)))?;
        }
        if settings.appendonly && !before.appendonly {
            log.reserve(0)?;
        }
        let _ = self.machine.step(Event::LevelSet(level));
        log.expect_frequent_syncs(settings.appendonly && level == super::durability::Level::Always);
        if off {
            self.machine.step(Event::SwitchedOff).map_err(|state| self.why_not(state))?;
            self.save.due.store(false, Release);
            // Replies that wait for a log that answers later wait for nothing now.
            self.journal.wake();
        } else if settings.appendonly && !before.appendonly {
            let gap = self.append_gap(log);
            self.machine.switch_on(gap).map_err(|state| self.why_not(state))?;
            // Until a checkpoint that begins from here on is finished, a start would stop at the gap. So one is due,
            // now or after the one that runs, and again as long as it fails. It takes its first image when the caller
            // gives the shards back.
            self.save.due.store(true, Release);
            let _ = self.start_save();
        }
        Ok(())
    }

    /// What the log is to be once the data folder was read. The caller holds every shard exclusively.
    pub(super) fn enter_service(&self, gap: bool) {
        let settings = self.settings();
        let log = match (settings.appendonly, gap) {
            (false, _) => LogState::Off,
            (true, true) => LogState::Incomplete,
            (true, false) => LogState::Complete,
        };
        let level = level_of(&settings);
        let _ = self.machine.step(Event::LevelSet(level));
        let _ = self.machine.step(Event::Recovered(log));
        if let Some(log) = self.journal.log() {
            log.expect_frequent_syncs(settings.appendonly && level == super::durability::Level::Always);
        }
    }

    /// Evicts for some milliseconds, so that a lowered `maxmemory` is kept to when CONFIG SET answers, unless there is
    /// much to evict; the cycle does the rest. The caller holds no lock, the configuration's neither.
    pub fn evict_at_once(&self) {
        let settings = self.settings();
        let mut record = Vec::new();
        for _ in 0..EVICTION_ROUNDS {
            let full = settings.maxmemory != 0 && memory::used_bytes() > settings.maxmemory;
            if !full || !self.make_room(&settings, &mut record) {
                return;
            }
        }
    }

    pub(super) fn apply_settings(&self, settings: &Settings) {
        self.store.thresholds.adopt(settings);
        self.store.lfu.store(settings.maxmemory_policy.counts_frequency(), Relaxed);
        self.store.lfu_log_factor.store(settings.lfu_log_factor, Relaxed);
        self.store.lfu_decay.store(settings.lfu_decay_time, Relaxed);
        self.max_unsynced_micros.store(settings.log_max_unsynced_ms.saturating_mul(1000), Relaxed);
        self.stream_retention.store(settings.table_stream_retention_ms, Relaxed);
    }
}
