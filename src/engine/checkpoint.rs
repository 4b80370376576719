//! Checkpoints: an image of every shard with the LSN that it reflects. Each image is taken under its shard's shared
//! lock, while the other shards take writes. There is no fork and no second copy of the data.
//!
//! ```text
//! prologue  version u8 (3), log2 of the number of shards u8, next space u32le, then a record with the effects that
//!           make tables and libraries
//! chunk     shard, LSN, and a record of effects; those of a shard build its entries, in their order
//! ```
//!
//! What a closed shard holds in memory is not written. While the log is complete, its image is made of what checkpoints
//! and log say of it, which is exact. Otherwise no checkpoint is written: the last one has the shard only as it was
//! then, and beside the other shards of today that would be a state that never was, in which a key that was moved into
//! the shard is lost, and indexes lack their entries.

use super::durability::LogState;
use super::journal::NotNow;
use super::save_state::CheckpointReport;
use super::works::Works;
use super::{Engine, EngineError};
use crate::effect;
use crate::env::process;
use crate::log::Log;
use crate::log::checkpoint::{CheckpointWriter, Checkpoints};
use crate::store::{Holder, Mode};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// The version of the prologue.
pub(super) const PROLOGUE_VERSION: u8 = 3;
/// Checkpoints of this version have one chunk a shard.
pub(super) const PROLOGUE_VERSION_OF_WHOLE_SHARDS: u8 = 2;
/// Checkpoints of this version show large values at different times, all between the chunk's LSN and the checkpoint's
/// last LSN. Replaying effects over a value that shows them already does no harm.
pub(super) const PROLOGUE_VERSION_OF_PIECES: u8 = 1;

/// The right to write a checkpoint. If its thread panics, the checkpoint counts as failed.
pub(super) struct Running<'a> {
    engine: &'a Engine,
    /// Whether it holds a permit of `works`, which a thread that takes the data away revokes.
    permitted: bool,
}

impl Running<'_> {
    /// Whether the checkpoint must be given up.
    fn is_revoked(&self) -> bool {
        self.permitted && self.engine.works.revoked()
    }

    /// The works that revoke it.
    fn works(&self) -> Option<Arc<Works>> {
        self.permitted.then(|| Arc::clone(&self.engine.works))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.engine.save.last_ok.store(false, Relaxed);
            if self.engine.state().log() == LogState::Incomplete {
                self.engine.save.due.store(true, Release);
            }
        }
        self.engine.save.shards_read.store(0, Relaxed);
        self.engine.save.running.store(false, Release);
        if self.permitted {
            self.engine.works.leave();
        }
    }
}

/// The beginning of a checkpoint.
struct Beginning<'a> {
    start_lsn: u64,
    prologue: Vec<u8>,
    /// The shards that are closed, each with what tells this closing from a later one.
    closed: Vec<(usize, u32)>,
    /// How often the log had been switched on or off when the checkpoint began.
    switches: u64,
    imaging: Option<Imaging<'a>>,
}

/// While this exists, writes are logged although the log is off.
struct Imaging<'a>(&'a Engine);

impl Drop for Imaging<'_> {
    fn drop(&mut self) {
        let _all = self.0.store.lock_all(Mode::Write, self.0.clock.now_ms()).timed(Holder::Checkpoint);
        self.0.machine.set_imaging(false);
    }
}

impl Engine {
    pub(super) fn checkpoints(&self) -> Option<Checkpoints> {
        let (place, log) = (self.place.as_ref()?, self.journal.log()?);
        Some(Checkpoints::over(place.checkpoints(log.log_id(), log.epoch()), log.log_id()))
    }

    /// Writes a checkpoint on the calling thread. `Busy` if one is being written, `Loading` if memory holds nothing
    /// sound.
    pub fn save(&self) -> Result<(), EngineError> {
        self.run_save(&self.claim_save()?)
    }

    /// Takes the right to write a checkpoint; no other one is written until the result is dropped.
    pub(super) fn claim_save(&self) -> Result<Running<'_>, EngineError> {
        let state = self.state();
        if self.store.has_closed() && !state.is_complete() {
            // Save points ask again and again; only the first refusal is logged.
            if self.save.last_ok.swap(false, Relaxed) {
                tracing::error!("no checkpoint can be written: {}", EngineError::Closed);
            }
            return Err(EngineError::Closed);
        }
        if !state.permits_checkpoint() || !self.works.enter() {
            return Err(match self.admits(true) {
                Err(NotNow::Refused(error)) => error.into(),
                Err(NotNow::Ending) => EngineError::Ending,
                Err(NotNow::Closed) => EngineError::Closed,
                Err(NotNow::Loading | NotNow::Paused | NotNow::TakesLong | NotNow::Lent(_)) | Ok(()) => {
                    EngineError::Loading
                }
            });
        }
        if self.save.running.swap(true, AcqRel) {
            self.works.leave();
            return Err(EngineError::Busy);
        }
        Ok(Running { engine: self, permitted: true })
    }

    /// As [`Engine::claim_save`], but in any state and irrevocable: for threads that exclude the works or recover.
    /// `Busy` if a checkpoint is being written.
    pub(super) fn claim_save_alone(&self) -> Result<Running<'_>, EngineError> {
        if self.save.running.swap(true, AcqRel) {
            return Err(EngineError::Busy);
        }
        Ok(Running { engine: self, permitted: false })
    }

    /// Starts writing a checkpoint on a thread of its own.
    pub fn start_save(self: &Arc<Self>) -> Result<(), EngineError> {
        // The claim is handed over to the new thread, so that no other checkpoint begins in between.
        std::mem::forget(self.claim_save()?);
        self.save.started.store(Some(self.clock.instant()));
        let engine = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("checkpoint".into()).spawn(move || {
            let running = Running { engine: &engine, permitted: true };
            match engine.run_save(&running) {
                Ok(()) => {}
                Err(EngineError::Revoked) => tracing::warn!("the checkpoint was given up"),
                Err(error) => tracing::error!(%error, "the checkpoint failed"),
            }
        });
        if let Err(error) = spawned {
            drop(Running { engine: self, permitted: true });
            return Err(EngineError::System { what: "starting a thread for the checkpoint", error });
        }
        Ok(())
    }

    pub(super) fn run_save(&self, running: &Running<'_>) -> Result<(), EngineError> {
        let due = self.save.due.swap(false, AcqRel);
        let start = self.clock.instant();
        self.save.started.store(Some(start));
        self.save.last_try.store(Some(start));
        let begun_at = self.unsaved.made();
        let mut outcome = self.write_checkpoint(running);
        // A shard that was closed, or emptied and opened, while the checkpoint was written: the next try knows of it.
        while matches!(outcome, Err(EngineError::Closed)) && self.state().is_complete() {
            outcome = self.write_checkpoint(running);
        }
        self.save.last_millis.store(self.clock.instant().ms_since(start), Relaxed);
        if !matches!(outcome, Err(EngineError::Revoked)) {
            self.save.last_ok.store(outcome.is_ok(), Relaxed);
        }
        if let Ok(report) = &outcome {
            self.save.note_saved(&self.clock);
            self.save.count.fetch_add(1, Relaxed);
            self.unsaved.note_saved(begun_at);
            if let Some(report) = report {
                tracing::info!(
                    bytes = report.bytes,
                    millis = report.millis,
                    longest_hold_micros = report.longest_hold,
                    "checkpoint written"
                );
            }
            self.save.report.lock().clone_from(report);
        } else if due {
            self.save.due.store(true, Release);
        }
        outcome.map(drop)
    }

    fn write_checkpoint(&self, running: &Running<'_>) -> Result<Option<CheckpointReport>, EngineError> {
        let Some(checkpoints) = self.checkpoints() else { return Ok(None) };
        let Some(log) = self.journal.log() else { return Ok(None) };
        let began = self.clock.monotonic_micros();
        self.save.log_bytes.store(log.stats().appended_bytes, Relaxed);
        let Beginning { start_lsn, prologue, closed, switches, imaging } = self.begin_images(log)?;
        // Confirms that no other process writes to the log. In this process the claim keeps others from writing a
        // checkpoint.
        log.confirm()?;
        if let Err(error) = log.heed(checkpoints.remove_unfinished()) {
            if error.is_final() {
                return Err(error.into());
            }
            tracing::warn!(%error, "what a checkpoint that was not finished left behind cannot be removed");
        }
        let mut apart = None;
        if !closed.is_empty() {
            let shards: Vec<usize> = closed.iter().map(|(shard, _)| *shard).collect();
            apart = Some(self.read_closed(log, start_lsn, &shards, running.works())?);
        }
        let writer = CheckpointWriter::new(&checkpoints, start_lsn, self.clock.now_ms(), &prologue);
        let mut writer = log.heed(writer)?;
        let mut longest_hold = 0;
        for shard in 0..self.store.shard_count() {
            if running.is_revoked() {
                return Err(EngineError::Revoked);
            }
            // An empty shard has a chunk too, because its LSN matters.
            let sink = &mut |lsn, record: &[u8]| {
                process::give_way();
                Ok(writer.chunk(shard as u32, lsn, record)?)
            };
            let closing = closed.iter().find(|(closed, _)| *closed == shard);
            let held = match (&apart, closing) {
                (Some(apart), Some(closing)) => self.image_of_closed(apart, *closing, sink)?,
                _ => self.image(shard, sink)?,
            };
            longest_hold = longest_hold.max(held);
        }
        if let Some(imaging) = imaging {
            drop(imaging);
            writer.reflects(log.tail());
        }
        let held = self.store.lock_shard(0, Mode::Read, self.clock.now_ms()).timed(Holder::Checkpoint);
        let switched = self.machine.switches() != switches;
        drop(held);
        if switched {
            return Err(EngineError::Revoked);
        }
        let bytes = writer.bytes();
        let named = writer.finish(log);
        if let Some(failure) = log.failure() {
            // The failure decides what happens to memory, so it is returned whatever became of the file.
            return Err(failure.clone().into());
        }
        named?;
        {
            let _held = self.store.lock_shard(0, Mode::Read, self.clock.now_ms()).timed(Holder::Checkpoint);
            self.machine.checkpoint_named(start_lsn);
        }
        let millis = (self.clock.monotonic_micros() - began) / 1000;
        Ok(Some(CheckpointReport { start_lsn, bytes, millis, longest_hold }))
    }

    /// The LSN with which the checkpoint begins, and its prologue. All shards are held for an instant, so that no
    /// change of the tables is under way.
    ///
    /// If the log is off, the checkpoint shows changes that the log will never have. So it begins with the record of a
    /// gap: an older checkpoint with the log behind it must not be taken for the same state.
    fn begin_images(&self, log: &Log) -> Result<Beginning<'_>, EngineError> {
        log.reserve(0)?;
        let all = self.store.lock_all(Mode::Read, self.clock.now_ms()).timed(Holder::Checkpoint);
        let closing = |shard| self.store.closing_of(shard).map(|closing| (shard, closing));
        let closed: Vec<(usize, u32)> = self.store.which_closed().into_iter().filter_map(closing).collect();
        if !closed.is_empty() && !self.state().is_complete() {
            return Err(EngineError::Closed);
        }
        let (mut start_lsn, mut imaging) = (log.tail(), None);
        if !self.state().appends() {
            start_lsn = self.append_gap(log);
            self.machine.set_imaging(true);
            imaging = Some(Imaging(self));
        }
        let switches = self.machine.switches();
        let mut prologue = vec![PROLOGUE_VERSION, self.store.shard_count().trailing_zeros() as u8];
        prologue.extend_from_slice(&self.store.next_space().to_le_bytes());
        prologue.push(effect::VERSION);
        self.tables.encode(&mut prologue);
        self.libraries.encode(&mut prologue);
        drop(all);
        Ok(Beginning { start_lsn, prologue, closed, switches, imaging })
    }
}
