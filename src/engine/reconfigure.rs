//! What CONFIG SET does to the engine: thresholds, eviction clock, and the switches of durability.

use super::durability::{Event, LogState};
use super::open_log::level_of;
use super::{Engine, EngineError};
use crate::config::Settings;
use crate::store::Locked;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// How often a changed `maxmemory` tries at once to make room; each try takes about half a millisecond.
const EVICTION_ROUNDS: usize = 40;

impl Engine {
    /// The settings of the background work.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock())
    }

    /// Takes over changed settings: thresholds, eviction clock, durability. `held` is the caller's lock: every shard,
    /// exclusively, if `appendonly` or `appendfsync` differ (see [`Engine::concerns_durability`]). After the log was
    /// switched on a checkpoint is started, because what was not logged must be kept somewhere.
    ///
    /// # Errors
    /// The log cannot be switched, or its records cannot be synced. Nothing has changed then.
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
            // If the disk cannot be measured now, the next measurement uses the new figure.
            let _ = log.set_keep_free_bytes(settings.disk_reserve);
        }
        if let Some(log) = self.journal.log() {
            log.keep_buffers(settings.log_keep_buffer_size);
        }
        Ok(())
    }

    /// Whether a change of this option changes the state of durability. Such a change needs every shard held
    /// exclusively.
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
            // What was acknowledged under the old rule is settled before the new rule is in force. If the rule is
            // relaxed, no thread would sync those records any more; if it becomes stricter, a failed sync would make
            // memory fall back behind them. A log that answers later is only given its records here. It need not be
            // waited for under these locks, because at every level it has kept whatever was acknowledged or shown.
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
            // Replies that waited for a log that answers later need not wait any more.
            self.journal.wake();
        } else if settings.appendonly && !before.appendonly {
            let gap = self.append_gap(log);
            self.machine.switch_on(gap).map_err(|state| self.why_not(state))?;
            // Until a checkpoint that begins from here on is finished, a start would stop at the gap. So a checkpoint
            // is due: now or after the running one, and again while it fails. It takes its first image when the caller
            // gives the shards back.
            self.save.due.store(true, Release);
            let _ = self.start_save();
        }
        Ok(())
    }

    /// Sets the state of the log after the data folder was read. The caller holds every shard exclusively.
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

    /// Evicts for some milliseconds, so that memory is below a lowered `maxmemory` when CONFIG SET answers, unless
    /// there is much to evict; the background evicts the rest. The caller holds no lock, not even that of the
    /// configuration.
    pub fn evict_at_once(&self) {
        let settings = self.settings();
        let mut record = Vec::new();
        for _ in 0..EVICTION_ROUNDS {
            if !self.is_full(&settings) || !self.make_room(&settings, &mut record) {
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
