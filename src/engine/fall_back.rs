//! The way back to what is durable, after the log failed at `always`: memory then shows changes that will never be
//! durable.
//!
//! Only the shards that show such a change are taken back; the others are served meanwhile. An engine of its own reads
//! from disk what these shards held at the last durable record. Only when that has worked do the shards get it. If
//! every shard shows such a change, as after a change of a whole database or of the tables, memory is emptied before it
//! is read, because there may not be room for both copies. A failed reading is tried again after a second.
//!
//! A writer that took the log over may have trimmed it meanwhile, and may have kept only checkpoints that show later
//! records. Then nothing can be read back: the affected shards answer LOADING until the process ends. They may not be
//! shown at a later state, because memory would mix two states; nor may all shards go to the later state, because this
//! process would then follow a log that it has lost.

use super::durability::{DurabilityState, Event, Phase};
use super::recover::REREAD_PAUSE;
use super::{Engine, EngineError, NotNow};
use crate::log::{Log, Lsn};
use crate::store::{Locked, Mode};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// The shards are taken back in so many groups, one after the other.
const GROUPS: usize = 8;

impl Engine {
    /// If the state is falling back, starts a thread that has memory fall back.
    pub(super) fn take_back_if_needed(self: &Arc<Self>, state: DurabilityState) {
        if state.phase() != Phase::FallingBack {
            return;
        }
        let engine = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("fall-back".into()).spawn(move || engine.fall_back());
        if let Err(error) = spawned {
            // The background thread starts it at its next round.
            tracing::error!(%error, "a thread to go back to what is durable cannot be started");
        }
    }

    /// Brings memory back to what the failed log has made durable. All work on the store gives up first, above all a
    /// checkpoint. Does nothing in any other state.
    pub(super) fn fall_back(&self) {
        let _alone = self.works.exclude();
        let (Some(log), Phase::FallingBack) = (self.journal.log(), self.state().phase()) else { return };
        self.store.raise_all();
        self.listeners.all_changed();
        let durable = log.synced();
        // Transactions that were accepted before still commit; holding every shard waits for them.
        let all = self.store.lock_all(Mode::Read, self.clock.now_ms());
        let behind = self.store.shards_behind(durable);
        drop(all);
        let back = if behind.iter().all(|behind| *behind) {
            self.read_until_it_works(log, durable, false).is_some()
        } else {
            let shards: Vec<usize> = (0..behind.len()).filter(|shard| behind[*shard]).collect();
            // In groups, because what is read takes memory beside what is there.
            shards
                .chunks((behind.len() / GROUPS).max(1))
                .all(|group| self.take_shards_back(log, durable, group))
        };
        if back && self.step(Event::FellBack, None).is_ok() {
            tracing::warn!("memory is back at what is durable");
        }
    }

    /// Takes some shards back; false if the server ends before that works.
    fn take_shards_back(&self, log: &Arc<Log>, durable: Lsn, shards: &[usize]) -> bool {
        loop {
            match std::panic::catch_unwind(AssertUnwindSafe(|| self.read_shards(log, durable, shards))) {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => {
                    tracing::error!(%error, "what is durable cannot be read; it is tried again in a second");
                }
                Err(_) => tracing::error!("reading what is durable panicked; it is tried again in a second"),
            }
            if !self.rest_for(REREAD_PAUSE) {
                return false;
            }
        }
    }

    fn read_shards(&self, log: &Arc<Log>, durable: Lsn, shards: &[usize]) -> Result<(), EngineError> {
        let apart = self.read_apart(log, durable, shards)?;
        for shard in shards.iter().copied() {
            self.store.clear_shard(shard);
            self.store.set_rereading(true);
            let loaded = apart.image(shard, &mut |_, record| {
                self.load_chunk(record).map_err(|error| error.at("what was read again"))
            });
            self.store.set_rereading(false);
            loaded?;
        }
        self.count_items();
        shards.iter().for_each(|shard| self.store.shard_is_read(*shard));
        Ok(())
    }

    /// As [`Engine::admits`], for a command that looks only at the shards that it holds. While memory falls back, such
    /// a command may read the shards if everything that they show is durable.
    ///
    /// # Errors
    /// Why the command may not go on.
    #[inline]
    pub fn admits_under(&self, locked: &Locked<'_>, writes: bool) -> Result<(), NotNow> {
        match self.admits(writes) {
            Err(NotNow::Loading) if !writes && self.state().phase() == Phase::FallingBack => {
                let shown = locked.position().filter(|position| *position <= self.settled());
                shown.map(drop).ok_or(NotNow::Loading)
            }
            outcome => outcome,
        }
    }
}
