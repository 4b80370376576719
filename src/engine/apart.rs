//! An engine that takes the keys of some shards only: with it the data of these shards is read from disk again, beside
//! what memory holds.
//!
//! If something was moved into these shards, the keys that it came from are taken too, and those that went before them,
//! but nothing else of their shards. A first reading finds the moves, a second one takes the keys.

use super::only::{Limits, Only};
use super::recover::RecoveryReport;
use super::works::Works;
use super::{Engine, EngineError};
use crate::env::memory;
use crate::log::{Log, Lsn};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// For a checkpoint at least so many bytes may be read apart, however little memory there is.
const LEAST_APART: u64 = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// An engine that has read some shards. Its memory is counted apart, see [`memory::apart`].
pub(super) struct Apart(Option<Engine>);

impl Deref for Apart {
    type Target = Engine;

    #[expect(clippy::expect_used, reason = "only the destructor takes the engine")]
    fn deref(&self) -> &Engine {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        memory::apart(|| drop(self.0.take()));
    }
}

impl Engine {
    /// A second engine that has read some shards as they were at an LSN up to which everything is on disk.
    ///
    /// # Errors
    /// The log is not complete up to there, or cannot be read.
    pub(super) fn read_apart(
        &self,
        log: &Arc<Log>,
        upto: Lsn,
        shards: &[usize],
    ) -> Result<Apart, EngineError> {
        self.read_within(log, upto, shards, &Limits { most: u64::MAX, works: None })
    }

    /// As [`Engine::read_apart`], of the closed shards for a checkpoint. If `works` are given, it is given up when they
    /// are revoked.
    ///
    /// # Errors
    /// [`EngineError::LargeApart`] if that takes more memory than a quarter of `maxmemory`, or without such a limit of
    /// what is in use; [`EngineError::Revoked`]; and those of the reading.
    pub(super) fn read_closed(
        &self,
        log: &Arc<Log>,
        upto: Lsn,
        closed: &[usize],
        works: Option<Arc<Works>>,
    ) -> Result<Apart, EngineError> {
        tracing::warn!(shards = closed.len(), "the checkpoint takes closed shards from the log");
        log.sync(upto)?;
        let all = match self.settings().maxmemory {
            0 => memory::used_bytes(),
            most => most,
        };
        self.read_within(log, upto, closed, &Limits { most: (all / 4).max(LEAST_APART), works })
    }

    fn read_within(
        &self,
        log: &Arc<Log>,
        upto: Lsn,
        shards: &[usize],
        limits: &Limits,
    ) -> Result<Apart, EngineError> {
        let mut takes = vec![false; self.store.shard_count()];
        shards.iter().for_each(|shard| takes[*shard] = true);
        let mut keys = HashSet::new();
        loop {
            let apart = memory::apart(|| self.apart(log, &takes, keys, limits));
            let mut report = RecoveryReport::default();
            apart.read_up_to(log, upto, &mut report)?;
            if report.gap {
                return Err(EngineError::Gap);
            }
            let before = memory::apart(|| apart.keys_before());
            if before.is_empty() {
                return Ok(apart);
            }
            keys = before;
            memory::apart(|| keys.extend(apart.only.iter().flat_map(|only| &only.keys)));
        }
    }

    fn apart(&self, log: &Arc<Log>, takes: &[bool], keys: HashSet<u64>, limits: &Limits) -> Apart {
        let mut apart = Self::new(self.settings(), self.clock.clone(), self.place.clone());
        let (shards, limits) = (takes.into(), limits.clone());
        apart.only = Some(Only { shards, keys, moves: Mutex::default(), bytes: AtomicI64::new(0), limits });
        apart.store.set_hash_key(&log.log_id().0);
        apart.journal.set_log(Arc::clone(log));
        Apart(Some(apart))
    }

    /// The hashes of the keys that must be taken too: those from which something was moved, over any number of keys,
    /// into what this engine takes. O(m log m) for m moves. None of a reading that took such keys, which knows all.
    fn keys_before(&self) -> HashSet<u64> {
        let mut keys = HashSet::new();
        let Some(only) = &self.only else { return keys };
        let mut moves = std::mem::take(&mut *only.moves.lock());
        moves.sort_unstable();
        moves.dedup();
        let mut reached: Vec<u64> =
            moves.iter().filter(|(to, _)| self.takes(*to)).map(|(_, from)| *from).collect();
        while let Some(hash) = reached.pop() {
            if keys.insert(hash) {
                let first = moves.partition_point(|(to, _)| *to < hash);
                reached
                    .extend(moves[first..].iter().take_while(|(to, _)| *to == hash).map(|(_, from)| *from));
            }
        }
        keys
    }

    /// Whether this engine takes the keys with this hash.
    #[inline]
    pub(super) fn takes(&self, hash: u64) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.shards[self.store.shard_of(hash)] || only.keys.contains(&hash))
    }

    /// Notes that something was moved between keys with these hashes.
    pub(super) fn note_move(&self, from: u64, to: u64) {
        if let Some(only) = &self.only
            && !self.takes(from)
            && (only.keys.is_empty() || self.takes(to))
        {
            only.moves.lock().push((to, from));
        }
    }

    /// Does a piece of a reading. If this engine reads apart, its memory is counted apart.
    pub(super) fn reading<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(only) = &self.only else { return work() };
        memory::apart(|| {
            let before = memory::thread_bytes();
            let done = work();
            only.bytes.fetch_add(memory::thread_bytes() - before, Relaxed);
            done
        })
    }

    /// Whether a reading may go on, asked between two pieces of it.
    ///
    /// # Errors
    /// Why the reading is given up.
    pub(super) fn may_read_on(&self) -> Result<(), EngineError> {
        let Some(Only { bytes, limits: Limits { most, works }, .. }) = &self.only else { return Ok(()) };
        if works.as_ref().is_some_and(|works| works.revoked()) {
            return Err(EngineError::Revoked);
        }
        if u64::try_from(bytes.load(Relaxed)).is_ok_and(|bytes| bytes > *most) {
            return Err(EngineError::LargeApart { megabytes: most >> 20 });
        }
        Ok(())
    }
}
