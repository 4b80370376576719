//! The way back to what is durable, after the log failed at `always`: memory shows changes that will never be durable.
//!
//! Only shards that show such a change are taken back; the others are served meanwhile. What such shards held at the
//! last durable record is read into an engine of its own, which takes nothing but their keys, and only when that has
//! worked do they get it. If every shard is concerned, as after a change of a whole database or of the tables, memory
//! is emptied first, for it would be needed twice otherwise. Reading that fails is tried again after a second.
//!
//! A writer that took the log over may have trimmed it meanwhile and kept only checkpoints that show more. Then there
//! is nothing to go back to: the shards concerned answer LOADING until the process ends. To show them at a later state
//! beside the others would mix two, and to bring all of them there would be to follow a log that this process has lost.

use super::durability::{Event, Phase, State};
use super::only::Only;
use super::recover::{REREAD_PAUSE, RecoveryReport};
use super::{Engine, EngineError, NotNow};
use crate::log::{Log, Lsn};
use crate::store::{Locked, Mode};
use parking_lot::Mutex;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// Into how many groups the shards are divided that are taken back one after the other.
const GROUPS: usize = 8;

impl Engine {
    /// Has memory fall back if that is the state, on a thread of its own.
    pub(super) fn take_back_if_needed(self: &Arc<Self>, state: State) {
        if state.phase() != Phase::FallingBack {
            return;
        }
        let engine = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("fall-back".into()).spawn(move || engine.fall_back());
        if let Err(error) = spawned {
            // The background looks for it too.
            tracing::error!(%error, "a thread to go back to what is durable cannot be started");
        }
    }

    /// Brings memory back to what the failed log has made durable. Whoever works on the store gives up first, a
    /// checkpoint above all. Does nothing in any other state.
    pub(super) fn fall_back(&self) {
        let _alone = self.works.exclude();
        let (Some(log), Phase::FallingBack) = (self.journal.log(), self.state().phase()) else { return };
        self.store.raise_all();
        let durable = log.synced();
        // Whoever holds shards still commits what it began in another state.
        let all = self.store.lock_all(Mode::Read, self.clock.now_ms());
        let behind = self.store.shards_behind(durable);
        drop(all);
        let back = if behind.iter().all(|behind| *behind) {
            self.read_until_it_works(log, durable, false).is_some()
        } else {
            let shards: Vec<usize> = (0..behind.len()).filter(|shard| behind[*shard]).collect();
            // In groups, because what is read stands beside what there is.
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
        let mut only = vec![false; self.store.shard_count()];
        shards.iter().for_each(|shard| only[*shard] = true);
        let apart = loop {
            let mut apart = self.apart(log, &only);
            let mut report = RecoveryReport::default();
            apart.read_up_to(log, durable, &mut report)?;
            if report.gap {
                return Err(EngineError::Gap);
            }
            let lacks = apart.only.take().map(|only| only.lacks.into_inner()).unwrap_or_default();
            if lacks.is_empty() {
                break apart;
            }
            // What was moved here can only be had with the shards that it was moved from.
            lacks.into_iter().for_each(|shard| only[shard] = true);
        };
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

    /// An engine that takes only the keys of some shards, to read them from disk beside this one.
    fn apart(&self, log: &Arc<Log>, only: &[bool]) -> Self {
        let mut apart = Self::new(self.settings(), self.clock.clone(), self.place.clone());
        apart.only = Some(Only { takes: only.into(), lacks: Mutex::default() });
        apart.store.set_hash_key(&log.log_id().0);
        apart.journal.set_log(Arc::clone(log));
        apart
    }

    /// Whether this engine takes keys with a hash.
    #[inline]
    pub(super) fn takes(&self, hash: u64) -> bool {
        self.only.as_ref().is_none_or(|only| only.takes[self.store.shard_of(hash)])
    }

    /// Takes note that something was moved here from the shard of a hash, whose keys this engine does not take.
    pub(super) fn lacks_shard_of(&self, hash: u64) {
        if let Some(only) = &self.only {
            only.lacks.lock().insert(self.store.shard_of(hash));
        }
    }

    /// As [`Engine::admits`] for a command that looks at nothing but the shards that it holds. While memory falls back
    /// it may read them if they show nothing but what is durable.
    ///
    /// # Errors
    /// Why it cannot go on.
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
