//! The background threads: they remove what has expired, free flushed databases, sync once a second, look after the
//! log, and watch the save points.

use super::durability::{Level, Phase};
use super::{Classes, Engine, EngineError, Over, StaleKeys, Table, Tx};
use crate::config::Settings;
use crate::effect::Effect;
use crate::env::{Instant, process};
use crate::log::scrub;
use crate::store::Holder;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// Does one round of background work. A panic ends only that round; otherwise nothing would expire or be synced from
/// then on, without any sign of it.
fn survive(round: impl FnOnce()) {
    // Unwinding leaves what any early return leaves: locks are given back, transactions are logged.
    if std::panic::catch_unwind(AssertUnwindSafe(round)).is_err() {
        tracing::error!("a round of background work was given up; the next one follows");
    }
}

/// The most entries that are removed while a shard is held once.
const HOLD: usize = 64;
/// The most expired items that are removed while the shards of their index entries are held too.
const HOLD_AFAR: usize = 8;
/// Microseconds of one turn of completing indexes.
const INDEX_MICROS: u64 = 1_000;
/// Microseconds of one turn of giving copies parts of their own.
const COPY_MICROS: u64 = 1_000;
/// Milliseconds between two turns of completing indexes and copies.
const INDEX_PAUSE_MILLIS: u64 = 1;
/// Milliseconds between two looks for tables whose lifting of hashes was interrupted.
const LIFT_MILLIS: u64 = 2_000;
/// Milliseconds after a failed checkpoint before the next try.
const RETRY_MILLIS: u64 = 5_000;
/// Bytes a second that the scrub reads.
const SCRUB_RATE: u64 = 16 << 20;
/// Microseconds that a tick spends on looking for what is due, times `active-expire-effort`. A few ticks look through a
/// store of a million keys with deadlines; each tick looks through a small one.
const TICK_MICROS: u64 = 2_000;
/// A tick evicts for at most this share of the time between two ticks.
const EVICTION_SHARE: u64 = 2;

impl Engine {
    /// Starts the background threads. They end after [`Engine::stop`].
    pub fn start_background(self: &Arc<Self>) -> Result<Vec<std::thread::JoinHandle<()>>, EngineError> {
        let spawn = |name: &str, work: fn(&Arc<Self>)| {
            let engine = Arc::clone(self);
            std::thread::Builder::new()
                .name(name.into())
                .spawn(move || work(&engine))
                .map_err(|error| EngineError::System { what: "starting a background thread", error })
        };
        Ok(vec![
            spawn("cycle", Self::cycle_thread)?,
            spawn("indexes", Self::index_thread)?,
            spawn("sync", Self::sync_thread)?,
            spawn("reaper", Self::reaper_thread)?,
            spawn("scrub", Self::scrub_thread)?,
        ])
    }

    /// Sleeps until the next tick or a nudge; false when the engine stops.
    fn rest(&self, millis: u64) -> bool {
        let mut stopping = self.stopping.lock();
        if !*stopping {
            self.wake.wait_for(&mut stopping, Duration::from_millis(millis));
        }
        !*stopping
    }

    fn cycle_thread(self: &Arc<Self>) {
        let (mut next_shard, mut next_lift) = (0, self.clock.instant());
        while self.rest(1000 / u64::from(self.settings().hz.max(1))) {
            survive(|| self.tick(&mut next_shard, &mut next_lift));
        }
    }

    /// Completes indexes that were added to tables with items, and copies that share parts with what they were copied
    /// from.
    fn index_thread(self: &Arc<Self>) {
        while self.rest(100) {
            let (mut record, mut more) = (Vec::new(), true);
            while more && self.rest(INDEX_PAUSE_MILLIS) {
                more = false;
                survive(|| more = self.index_round(&mut record) | self.copy_round());
            }
        }
    }

    /// Frees large values that were removed.
    fn reaper_thread(self: &Arc<Self>) {
        self.store.reaper.run_until(&|| *self.stopping.lock());
    }

    fn index_round(&self, record: &mut Vec<u8>) -> bool {
        let _upkeep = self.upkeep.lock();
        let Some(_permit) = self.works.permit() else { return false };
        // The walk over a table would read a closed shard.
        let may_walk = self.state().permits_work() && !self.store.has_closed();
        let settled = !may_walk || self.tables.unfinished().is_empty();
        !settled && self.make_room(&self.settings(), record) && self.build_indexes(INDEX_MICROS, record)
    }

    /// Gives copies parts of their own for a turn; whether some are left that share parts.
    fn copy_round(&self) -> bool {
        let Some(_permit) = self.works.permit().filter(|_| self.state().permits_work()) else { return false };
        let end = self.clock.monotonic_micros() + COPY_MICROS;
        while self.store.own_some(self.clock.now_ms()) {
            process::give_way();
            if self.clock.monotonic_micros() > end || self.works.revoked() {
                return true;
            }
        }
        false
    }

    fn tick(self: &Arc<Self>, next_shard: &mut usize, next_lift: &mut Instant) {
        if self.state().phase() == Phase::FallingBack {
            self.fall_back();
        }
        self.look_after_store(next_shard);
        let share = 1_000_000 / EVICTION_SHARE / u64::from(self.settings().hz.max(1));
        self.evict_in_rounds(self.clock.monotonic_micros() + share, &mut Vec::new());
        self.store.hand_over_ready();
        let now = self.clock.instant();
        if *next_lift <= now {
            *next_lift = now.after_ms(LIFT_MILLIS);
            self.lift_interrupted();
        }
        self.maintain_log();
        self.check_save_points();
    }

    /// Does what is due in the store, unless the works are excluded or the state forbids it.
    fn look_after_store(&self, next_shard: &mut usize) {
        let _upkeep = self.upkeep.lock();
        let Some(_permit) = self.works.permit().filter(|_| self.state().permits_work()) else { return };
        let mut record = Vec::new();
        let now = self.clock.now_ms();
        self.store.bury_some(now, HOLD * 4);
        self.follow_tables();
        self.trim_streams(&mut record);
        if self.active_expire.load(Relaxed) && !self.keeps_all() {
            self.expire_some(next_shard, &mut record);
        }
    }

    fn expire_some(&self, next_shard: &mut usize, record: &mut Vec<u8>) {
        let settings = self.settings();
        let began = self.clock.monotonic_micros();
        self.expire_until(
            began + TICK_MICROS * u64::from(settings.active_expire_effort.max(1)),
            next_shard,
            record,
        );
        self.note_work(&settings, "expire-cycle", began);
    }

    fn expire_until(&self, end: u64, next_shard: &mut usize, record: &mut Vec<u8>) {
        for i in 0..self.store.shard_count() {
            self.expire_shard(*next_shard, record);
            *next_shard = (*next_shard + 1) % self.store.shard_count();
            if i % 16 == 15 {
                process::give_way();
                if self.clock.monotonic_micros() > end || self.works.revoked() {
                    return;
                }
            }
        }
    }

    /// Syncs the log once a second, counted from the beginning of a sync: a sync that took longer than a second is
    /// followed by the next at once.
    fn sync_thread(self: &Arc<Self>) {
        let mut took = 0;
        while self.rest(1000_u64.saturating_sub(took).max(1)) {
            let began = self.clock.monotonic_micros();
            survive(|| self.sync_second());
            took = (self.clock.monotonic_micros() - began) / 1000;
        }
    }

    fn sync_second(self: &Arc<Self>) {
        let Some(log) = self.journal.log() else { return };
        let state = self.state();
        if state.appends() && state.level() == Level::Everysec {
            let _ = log.write_out(log.tail());
            if let Err(error) = log.sync_written() {
                self.note_failure(&error);
            }
        }
    }

    /// Reads old segments and checkpoints again once a day, slowly, so that damage is found before the data is needed.
    fn scrub_thread(self: &Arc<Self>) {
        while self.rest_for(Duration::from_hours(24)) {
            let (Some(log), Some(checkpoints)) = (self.journal.log(), self.checkpoints()) else { continue };
            survive(|| {
                let Some(_permit) = self.works.permit() else { return };
                let goes_on = |time| !self.works.revoked() && self.rest_for(time);
                let report = scrub(log, &checkpoints, SCRUB_RATE, goes_on);
                for error in &report.damage {
                    tracing::error!("the scrub found damage: {error}");
                }
                tracing::info!(bytes = report.bytes, "scrub done");
            });
        }
    }

    /// Sleeps for `time` even if nudged; false when the engine stops.
    pub(super) fn rest_for(&self, time: Duration) -> bool {
        let end = std::time::Instant::now() + time;
        let mut stopping = self.stopping.lock();
        while !*stopping {
            if self.wake.wait_until(&mut stopping, end).timed_out() {
                break;
            }
        }
        !*stopping
    }

    /// Whether expiry and eviction must not remove anything now (CLIENT PAUSE).
    pub(super) fn keeps_all(&self) -> bool {
        self.kept_until.load().is_some_and(|until| until > self.clock.instant())
    }

    /// Removes those of the keys that have expired, as Redis does when a command comes upon them. The caller holds no
    /// lock.
    pub fn remove_expired(&self, keys: &StaleKeys, record: &mut Vec<u8>) {
        if self.refusal(0).is_some() || self.keeps_all() {
            return;
        }
        for (db, key) in &keys.0 {
            let (db, hash) = (*db, self.store.hash(key));
            let removed = self.transact_over(Holder::Expiry, Over::Hashes(&[hash]), db, record, |tx| {
                let there = tx.locked().peek(self.store.space(db), key, hash);
                if let Some(gone) = there.filter(|entry| entry.expired(tx.now())) {
                    tx.tell_expired(db as u32, gone);
                    tx.apply(Effect::Delete { db: db as u32, key });
                }
            });
            // While the data is being read, a later record may still change the deadline that a key shows.
            if removed.is_err() {
                return;
            }
        }
    }

    /// Removes what is due in a shard, a few entries for each hold, so that no command waits long. The background calls
    /// it, and so do tests that own time.
    pub fn expire_shard(&self, shard: usize, record: &mut Vec<u8>) {
        // What cannot be logged is not removed. Readers do not see it anyway.
        while self.refusal(0).is_none() {
            let swept =
                self.transact_over(Holder::Expiry, Over::Shard(shard), 0, record, |tx| self.sweep(tx, shard));
            let Ok((mut more, afar)) = swept else { return };
            for (table, partition) in afar {
                more |= self.expire_afar(&table, &partition, HOLD_AFAR, record);
            }
            if !more {
                return;
            }
            process::give_way();
        }
    }

    /// Removes some of what is due in a shard that is held. Returns whether there is more, and the partitions with
    /// expired items whose entries are in other shards.
    fn sweep(&self, tx: &mut Tx<'_>, shard: usize) -> (bool, Vec<(Arc<Table>, Vec<u8>)>) {
        let sweep = tx.locked().due(shard, HOLD);
        let mut more = sweep.more;
        let mut afar = Vec::new();
        for (space, partition) in sweep.partitions {
            match self.tables.by_id(space) {
                Some(table) if table.reaches_afar() => afar.push((table, partition)),
                Some(table) => more |= self.expire_items(tx, &table, &partition, HOLD),
                None => {}
            }
        }
        for due in &sweep.due {
            match &due.fields {
                None => {
                    tx.tell_in(due.db, Classes::EXPIRED, "expired", &due.key);
                    tx.apply(Effect::Delete { db: due.db, key: &due.key });
                }
                Some(fields) => {
                    let (hash, fields) = (tx.hash(&due.key), fields.iter().map(Vec::as_slice));
                    tx.bury_expired_fields(due.db, &due.key, hash, fields);
                    tx.tell_if_gone(due.db, &due.key);
                }
            }
        }
        tx.locked_mut().shrink(shard);
        (more, afar)
    }

    pub(super) fn maintain_log(self: &Arc<Self>) {
        let Some(log) = self.journal.log() else { return };
        if self.state().has_failed() {
            return;
        }
        // A log that is off is looked after too, so that it can be switched on once a full disk has room again. The
        // maintenance runs even if writing fails for lack of room, because it may free what the write needs.
        for outcome in [log.write_out(log.tail()), log.maintain()] {
            outcome.unwrap_or_else(|error| self.note_failure(&error));
        }
    }

    pub(super) fn check_save_points(self: &Arc<Self>) {
        if self.save.running.load(Acquire)
            || !self.state().permits_checkpoint()
            || self.journal.log().is_none()
        {
            return;
        }
        let settings = self.settings();
        let now = self.clock.instant();
        let tried = |last| now.ms_since(last) < RETRY_MILLIS;
        let rests = !self.save.last_ok.load(Relaxed) && self.save.last_try.load().is_some_and(tried);
        if !rests && self.save_wanted(&settings, now) {
            let _ = self.start_save();
        }
    }

    fn save_wanted(&self, settings: &Settings, now: Instant) -> bool {
        // A failed checkpoint is tried again, whatever asked for it, because writes may be refused until one succeeds.
        let failed = !self.save.last_ok.load(Relaxed) && !settings.save.is_empty();
        failed
            || self.save.due.load(Relaxed)
            || self.save_point_reached(settings, now)
            || self.log_has_grown(settings)
    }

    fn save_point_reached(&self, settings: &Settings, now: Instant) -> bool {
        let unsaved = self.unsaved.count();
        let age = self.save.saved_at.load().map_or(0, |at| now.since(at).as_secs());
        settings.save.iter().any(|point| unsaved >= point.changes && age > point.seconds)
    }

    /// Whether the log has grown beyond the minimum, and by `auto-aof-rewrite-percentage` of the last checkpoint's
    /// size.
    fn log_has_grown(&self, settings: &Settings) -> bool {
        let (Some(stats), true) = (self.journal_stats(), settings.auto_aof_rewrite_percentage > 0) else {
            return false;
        };
        let grown = stats.appended_bytes - self.save.log_bytes.load(Relaxed).min(stats.appended_bytes);
        let base = self.save.report.lock().as_ref().map_or(0, |r| r.bytes);
        grown >= settings.auto_aof_rewrite_min_size
            && grown * 100 >= base * u64::from(settings.auto_aof_rewrite_percentage)
    }
}
