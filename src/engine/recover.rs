//! Recovery: the newest sound checkpoint, then the log behind it.
//!
//! The shards of a checkpoint were read at different LSNs. Recovery applies a record up to the greatest of these to a
//! shard only if the record is newer than the shard's image. It applies records behind it to all shards.

use super::checkpoint::{PROLOGUE_VERSION, PROLOGUE_VERSION_OF_PIECES, PROLOGUE_VERSION_OF_WHOLE_SHARDS};
use super::durability::{DurabilityState, Event, LogState, Phase};
use super::{Engine, EngineError};
use crate::effect::{self, Effect, EffectDecoder, EffectError, Structural, Subject};
use crate::env::memory;
use crate::log::checkpoint::{Checkpoint, ReadError};
use crate::log::{Begun, Log, LogError, LogOptions, LogReader, Lsn, ReadAhead, RecordRun, TornEnd};
use crate::store::{Mode, Store};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// What recovery found.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// The name and size of the checkpoint that was read.
    pub checkpoint: Option<(String, u64)>,
    /// Checkpoints that were passed over because they are damaged.
    pub damaged: Vec<String>,
    /// Records replayed.
    pub records: u64,
    /// What was cut off the log's end.
    pub cut: Option<TornEnd>,
    /// The checkpoint with which a new log begins, if there was no log.
    pub begun_from: Option<Begun>,
    /// The last LSN of the log.
    pub tail: Lsn,
    /// Whether the former process closed the log in order.
    pub closed_in_order: bool,
    /// Whether replay stopped at a place where the log had been off.
    pub gap: bool,
    /// Keys and partitions in memory afterwards.
    pub keys: u64,
    /// How long it took, in ms.
    pub millis: u64,
}

/// How many pieces of the log are read and verified ahead of their replay.
const PIECES_AHEAD: usize = 4;

/// The pause after a failed reading before it is tried again.
pub(super) const REREAD_PAUSE: Duration = Duration::from_secs(1);

/// The LSNs of a checkpoint's shards.
pub(super) struct Images {
    lsns: Vec<Lsn>,
    last: Lsn,
}

/// How far the data was read.
pub(super) struct Read {
    /// The LSN up to which the data was read: that of the log's last record, or that with which the checkpoint begins.
    pub(super) upto: Lsn,
    pub(super) images: Images,
}

impl Images {
    fn none() -> Self {
        Self { lsns: Vec::new(), last: 0 }
    }

    /// Whether the image of the hash's shard is older than a record. The shard is that of the checkpoint's number of
    /// shards.
    pub(super) fn older(&self, hash: u64, lsn: Lsn) -> bool {
        lsn > self.last || self.lsns[Store::shard_among(hash, self.lsns.len())] < lsn
    }
}

impl Engine {
    /// Keeps other processes away from the data. [`Engine::recover`] does so too, but a server claims before it opens
    /// what others see of it, such as sockets.
    ///
    /// # Errors
    /// Another process uses the data.
    pub fn claim(&self) -> Result<(), EngineError> {
        self.place.as_ref().map_or(Ok(()), |place| place.claim()).map_err(EngineError::from)
    }

    /// Reads checkpoints and log. The engine is loading until this returns.
    pub fn recover(&self) -> Result<RecoveryReport, EngineError> {
        let began = self.clock.monotonic_micros();
        let Some(place) = &self.place else { return Ok(RecoveryReport::default()) };
        let settings = self.settings();
        let options = LogOptions {
            segment_bytes: settings.log_segment_size,
            keep_free_bytes: settings.disk_reserve,
            keep_buffer_bytes: settings.log_keep_buffer_size,
            secure_bytes: settings.log_preallocate_size,
            max_record_bytes: settings.log_max_record_size,
            ..LogOptions::default()
        };
        let (log, opened) = Log::look_at(&**place, self.clock.clone(), options)?;
        let log = Arc::new(log);
        self.store.set_hash_key(&log.log_id().0);
        self.journal.set_log(Arc::clone(&log));
        let mut report = RecoveryReport {
            cut: opened.cut,
            begun_from: opened.begun_from,
            tail: opened.tail,
            closed_in_order: opened.closed_in_order,
            ..RecoveryReport::default()
        };
        let (read, seen) = self.read_while_others_write(&log, &mut report)?;
        // A refusal up to here leaves the data as it was; from here on the data changes.
        log.take_over()?;
        self.catch_up(&log, &read, &seen, &mut report)?;
        self.everything_is_read();
        report.keys = self.store.len() as u64;
        report.millis = (self.clock.monotonic_micros() - began) / 1000;
        self.unsaved.note_saved(self.unsaved.made());
        self.save.note_saved(&self.clock);
        let closed = !report.gap || self.close_found_gap(&log)?;
        let all = self.store.lock_all(Mode::Write, self.clock.now_ms());
        self.enter_service(!closed);
        drop(all);
        Ok(report)
    }

    /// Writes a checkpoint behind a gap that recovery found in the log, so that the next recovery does not stop there.
    /// False if the disk is too full for it; then a checkpoint is due.
    fn close_found_gap(&self, log: &Log) -> Result<bool, EngineError> {
        match self.claim_save_alone().and_then(|running| self.run_save(&running)) {
            Ok(()) => Ok(true),
            Err(EngineError::Log(error)) if error.is_full() => {
                tracing::warn!(%error, "the checkpoint that makes the log complete again must wait");
                self.machine.open_gap(log.tail());
                self.save.due.store(true, Release);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets everything in memory and reads it again from disk. First it writes a checkpoint, if `save` is set or the
    /// log is incomplete. Clients are answered LOADING from before the checkpoint on, so that every acknowledged write
    /// is read again; a command that passed its gates just before is refused under its locks. `Busy` if a checkpoint is
    /// being written. Nothing is taken away before everything is on disk. Failed reading is tried again until the
    /// server ends.
    ///
    /// # Errors
    /// Nothing was taken away.
    pub fn reload(self: &Arc<Self>, save: bool) -> Result<RecoveryReport, EngineError> {
        let began = self.clock.monotonic_micros();
        let Some(log) = self.journal.log() else { return Ok(RecoveryReport::default()) };
        let running = self.claim_save_alone()?;
        let state = self.step(Event::ReloadBegun, None).map_err(|state| self.why_not(state))?;
        let _alone = self.works.exclude();
        let save = save || state.log() == LogState::Incomplete;
        let saved = if save { self.run_save(&running) } else { Ok(()) };
        if let Err(error) = saved.and_then(|()| Ok(log.sync(log.tail())?)) {
            if let EngineError::Log(error) = &error {
                self.note_failure(error);
            }
            if let Ok(state) = self.step(Event::ReloadGivenUp, None) {
                self.take_back_if_needed(state);
            }
            return Err(error);
        }
        // Watched keys count as changed, except those that are absent.
        self.store.lock_all(Mode::Read, self.clock.now_ms()).touch_all();
        self.listeners.all_changed();
        // Everything that is to be kept is on disk, so an end need not wait for the reading.
        self.emptied.store(true, Release);
        let may_miss = state.log() == LogState::Off && !save;
        let report = self.read_until_it_works(log, log.tail(), may_miss);
        self.emptied.store(false, Release);
        let mut report = report.ok_or(EngineError::Ending)?;
        report.millis = (self.clock.monotonic_micros() - began) / 1000;
        let _ = self.step(Event::ReloadDone, None);
        Ok(report)
    }

    fn everything_is_read(&self) {
        (0..self.store.shard_count()).for_each(|shard| self.store.shard_is_read(shard));
    }

    /// Empties memory and reads it up to an LSN. A failed reading is tried again after a second, and so is one that
    /// stops at a gap unless `gap` is set. `None` if the server ends before a reading works.
    pub(super) fn read_until_it_works(&self, log: &Log, upto: Lsn, gap: bool) -> Option<RecoveryReport> {
        self.forget_all();
        // The freed pages belong to other threads' arenas, so without this the thread that reads would allocate new
        // ones. Another attempt to read uses the pages of this thread.
        memory::purge();
        loop {
            self.store.set_rereading(true);
            let mut report = RecoveryReport { tail: log.tail(), ..RecoveryReport::default() };
            let read = AssertUnwindSafe(|| self.read_up_to(log, upto, &mut report));
            let outcome = std::panic::catch_unwind(read);
            self.store.set_rereading(false);
            report.keys = self.store.len() as u64;
            match outcome {
                Ok(Ok(())) if gap || !report.gap => {
                    self.everything_is_read();
                    return Some(report);
                }
                Ok(outcome) => {
                    let error = outcome.err().unwrap_or(EngineError::Gap);
                    tracing::error!(%error, "the data cannot be read from disk; it is tried again in a second");
                }
                Err(_) => tracing::error!("reading the data panicked; it is tried again in a second"),
            }
            if !self.rest_for(REREAD_PAUSE) {
                return None;
            }
            self.forget_all();
        }
    }

    /// Why an event cannot happen in a state.
    pub(super) fn why_not(&self, state: DurabilityState) -> EngineError {
        match state.phase() {
            _ if state.has_failed() => self.failure().into(),
            Phase::Ending | Phase::Ended => EngineError::Ending,
            _ => EngineError::Loading,
        }
    }

    pub(super) fn forget_all(&self) {
        self.reading(|| {
            self.store.clear();
            self.tables.clear();
            self.libraries.clear();
        });
    }

    /// Reads the data up to an LSN into an empty memory. A checkpoint that shows later records is passed over (another
    /// writer may have finished it meanwhile), because some shards would be at a later state.
    pub(super) fn read_up_to(
        &self,
        log: &Log,
        upto: Lsn,
        report: &mut RecoveryReport,
    ) -> Result<(), EngineError> {
        self.read_from_checkpoint(log, upto, upto, report).map(drop)
    }

    /// Reads the newest checkpoint that shows nothing behind `shown`, and the log behind it up to `upto`.
    pub(super) fn read_from_checkpoint(
        &self,
        log: &Log,
        upto: Lsn,
        shown: Lsn,
        report: &mut RecoveryReport,
    ) -> Result<Read, EngineError> {
        let (start, images) = self.load_newest(shown, report)?;
        self.replay(log, start, upto, &images, report)?;
        self.reading(|| self.count_items());
        Ok(Read { upto: start.max(upto), images })
    }

    fn load_newest(&self, shown: Lsn, report: &mut RecoveryReport) -> Result<(Lsn, Images), EngineError> {
        let Some(checkpoints) = self.checkpoints() else { return Ok((0, Images::none())) };
        loop {
            let latest = checkpoints.latest_up_to(shown)?;
            report.damaged.extend(latest.damaged.iter().map(|d| format!("{}: {}", d.name, d.error)));
            let Some(checkpoint) = latest.checkpoint else { return Ok((0, Images::none())) };
            match self.load(&checkpoint, report) {
                Ok(images) => return Ok((checkpoint.info().start_lsn, images)),
                Err(LoadError::Damaged(error)) => {
                    report.damaged.push(format!("{}: {error}", checkpoint.info().name));
                    checkpoints.mark_damaged(checkpoint.info());
                    self.forget_all();
                }
                Err(LoadError::Fatal(error)) => return Err(error),
            }
        }
    }

    fn load(&self, checkpoint: &Checkpoint, report: &mut RecoveryReport) -> Result<Images, LoadError> {
        let info = checkpoint.info();
        let place = || info.name.clone();
        let prologue = checkpoint.prologue();
        let bad = |what| LoadError::Fatal(EngineError::Prologue { place: place(), what });
        let [version, bits, a, b, c, d, tables @ ..] = prologue else {
            return Err(bad("the prologue is too short"));
        };
        let known = [PROLOGUE_VERSION, PROLOGUE_VERSION_OF_WHOLE_SHARDS, PROLOGUE_VERSION_OF_PIECES];
        if !known.contains(version) {
            return Err(bad("the checkpoint was written by a newer version"));
        }
        self.store.note_space(u32::from_le_bytes([*a, *b, *c, *d]).saturating_sub(1));
        let of = |error| LoadError::Fatal(EngineError::Effect { place: place(), error });
        for effect in EffectDecoder::new(tables).map_err(of)? {
            if let Effect::Structural(change) = effect.map_err(of)? {
                self.reading(|| self.change_definitions(&change)).map_err(of)?;
            }
        }
        let lsns = parking_lot::Mutex::new(vec![info.start_lsn; 1 << (*bits).min(16)]);
        self.loading_total.store(info.bytes, Relaxed);
        let outcome = checkpoint.read(2, |chunk| {
            if let Some(lsn) = lsns.lock().get_mut(chunk.shard as usize) {
                *lsn = (*lsn).max(chunk.lsn);
            }
            self.loading_done.fetch_add(chunk.payload.len() as u64, Relaxed);
            self.reading(|| self.load_chunk(chunk.payload)).map_err(|error| error.at(&info.name))?;
            self.may_read_on()
        });
        match outcome {
            Ok(()) => {}
            Err(ReadError::Log(error @ LogError::Corrupt { .. })) => return Err(LoadError::Damaged(error)),
            Err(ReadError::Log(error)) => return Err(LoadError::Fatal(error.into())),
            Err(ReadError::Sink(error)) => return Err(LoadError::Fatal(error)),
        }
        report.checkpoint = Some((info.name.clone(), info.bytes));
        let lsns = lsns.into_inner();
        Ok(Images { lsns, last: info.last_lsn })
    }

    pub(super) fn load_chunk(&self, record: &[u8]) -> Result<(), Unfit> {
        let now = self.clock.now_ms();
        for effect in EffectDecoder::new(record)? {
            let effect = effect?;
            self.check_database(&effect)?;
            if effect.has_sources() {
                // The image of a shard must not take anything from other keys.
                return Err(EffectError::Sourceless.into());
            }
            if let Some(key) = effect.shard_key() {
                let hash = self.store.hash(key);
                if self.takes(hash) {
                    self.store.lock_one(hash, Mode::Write, now).apply(&effect, hash);
                }
            }
        }
        Ok(())
    }

    /// Refuses an effect on a database that does not exist: its keys would be in memory where no client sees them, and
    /// would be missing from the next checkpoint.
    #[inline]
    fn check_database(&self, effect: &Effect<'_>) -> Result<(), Unfit> {
        let databases = self.store.databases();
        let (db, other) = match *effect {
            Effect::Structural(Structural::SwapDb { a, b }) => (Some(a), Some(b)),
            Effect::Move { db, to_db, .. } | Effect::Copy { db, to_db, .. } => (Some(db), Some(to_db)),
            _ => (effect.db(), None),
        };
        let is_missing = |db: &u32| *db as usize >= databases && !effect::is_own(*db);
        match db.into_iter().chain(other).find(is_missing) {
            // Emptying a database that does not exist is harmless.
            Some(db) if !matches!(effect, Effect::Delete { .. }) => Err(Unfit::Database { db, databases }),
            _ => Ok(()),
        }
    }

    pub(super) fn replay(
        &self,
        log: &Log,
        start: Lsn,
        upto: Lsn,
        images: &Images,
        report: &mut RecoveryReport,
    ) -> Result<(), EngineError> {
        self.loading_total.store(upto.saturating_sub(start), Relaxed);
        self.loading_done.store(0, Relaxed);
        if upto <= start {
            return Ok(());
        }
        let mut reader = ReadAhead::new(log.read_from(start + 1)?, PIECES_AHEAD)?;
        let mut piece = RecordRun::new();
        while reader.next_piece(&mut piece)? {
            let mut batch = Vec::with_capacity(4096);
            for record in piece.records().take_while(|record| record.lsn <= upto) {
                let of = |error| EngineError::Effect { place: format!("log record {}", record.lsn), error };
                for effect in EffectDecoder::new(record.payload).map_err(of)? {
                    batch.push((record.lsn, effect.map_err(of)?));
                }
                report.records += 1;
            }
            self.may_read_on()?;
            if !self.reading(|| self.replay_batch(&batch, images))? {
                report.gap = true;
                return Ok(());
            }
            self.loading_done.store(piece.last().saturating_sub(start), Relaxed);
            if piece.last() >= upto {
                break;
            }
        }
        Ok(())
    }

    /// Applies effects in order, and prefetches in groups what their keys need. False at a gap.
    fn replay_batch(&self, batch: &[(Lsn, Effect<'_>)], images: &Images) -> Result<bool, EngineError> {
        const GROUP: usize = 32;
        let now = self.clock.now_ms();
        let mut hashes = [0; GROUP];
        for group in batch.chunks(GROUP) {
            for ((_, effect), hash) in group.iter().zip(&mut hashes) {
                if let Some(key) = effect.shard_key() {
                    *hash = self.store.hash(key);
                    self.store.prefetch_shard(*hash);
                }
            }
            let lookups = group.iter().zip(&hashes);
            self.store.prefetch(lookups.map(|((_, effect), hash)| (*hash, self.space_of(effect))));
            for ((lsn, effect), hash) in group.iter().zip(&hashes) {
                if *effect == Effect::Structural(Structural::Gap) {
                    return Ok(false);
                }
                self.check_database(effect).map_err(|error| error.at(&format!("log record {lsn}")))?;
                if let Effect::Structural(change) = effect {
                    self.replay_structural(*lsn, change, images)?;
                } else if effect.has_sources() {
                    self.replay_with_source(*lsn, effect, *hash, images)?;
                } else if images.older(*hash, *lsn) && self.takes(*hash) {
                    self.store.lock_one(*hash, Mode::Write, now).apply(effect, *hash);
                }
            }
        }
        Ok(true)
    }

    /// The space in which an effect looks up its key or item.
    fn space_of(&self, effect: &Effect<'_>) -> u32 {
        match effect.subject() {
            Subject::Key(db, _) => self.store.space(db as usize),
            Subject::Partition(table, _) => table,
            Subject::All => 0,
        }
    }

    fn replay_structural(
        &self,
        lsn: Lsn,
        change: &Structural<'_>,
        images: &Images,
    ) -> Result<(), EngineError> {
        let of = |error| EngineError::Effect { place: format!("log record {lsn}"), error };
        self.change_definitions(change).map_err(of)?;
        let mut all = self.store.lock_all(Mode::Write, self.clock.now_ms());
        if lsn <= images.last {
            // Some shards' images show this change already; it is carried out entry by entry in the others.
            all.apply_structural_where(change, &|hash| images.older(hash, lsn));
        } else {
            all.apply_structural(change);
        }
        Ok(())
    }

    /// Counts items and their sizes again, and computes their deadlines.
    pub(super) fn count_items(&self) {
        self.tables.clear_counts();
        if self.tables.list().is_empty() {
            return;
        }
        for shard in 0..self.store.shard_count() {
            let locked = self.store.lock_shard(shard, Mode::Read, 0);
            locked.entries(shard).for_each(|entry| self.tables.count(entry));
        }
        self.tables.take_retimed();
        for table in self.tables.list().iter().filter(|table| table.schema.ttl.is_some()) {
            if self.retime(table).is_err() {
                self.tables.retime_later(table.id);
            }
        }
    }
}

/// Why an effect cannot be applied here.
#[derive(Debug)]
pub(super) enum Unfit {
    Effect(EffectError),
    Database { db: u32, databases: usize },
}

impl From<EffectError> for Unfit {
    fn from(error: EffectError) -> Self {
        Self::Effect(error)
    }
}

impl Unfit {
    pub(super) fn at(self, place: &str) -> EngineError {
        let place = place.to_owned();
        match self {
            Self::Effect(error) => EngineError::Effect { place, error },
            Self::Database { db, databases } => EngineError::Databases { place, db, databases },
        }
    }
}

enum LoadError {
    /// The checkpoint cannot be trusted. An older one may be sound.
    Damaged(crate::log::LogError),
    /// The checkpoint is sound but cannot be understood.
    Fatal(EngineError),
}
