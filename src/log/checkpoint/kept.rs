//! The checkpoints of one log: which exist, which can be used, which are kept.

use super::folder::CheckpointFolder;
use super::format::{CheckpointInfo, checkpoint_name};
use super::reader::Checkpoint;
use super::store::{BlobWriter, CheckpointStore};
use crate::env::Disk;
use crate::log::{Log, LogError, LogId, Lsn};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// How many sound checkpoints are kept.
const KEPT: usize = 2;

/// The checkpoints of a log.
#[derive(Debug)]
pub struct Checkpoints {
    store: Arc<dyn CheckpointStore>,
    id: LogId,
    /// The names of those that were found damaged.
    damaged: Mutex<BTreeSet<String>>,
}

/// The newest checkpoint that can be used.
#[derive(Debug)]
pub struct Latest {
    /// `None` when there is none.
    pub checkpoint: Option<Checkpoint>,
    /// Newer ones that are damaged.
    pub damaged: Vec<DamagedCheckpoint>,
}

/// A checkpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedCheckpoint {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub error: LogError,
}

impl Checkpoints {
    /// The checkpoints in the folder `dir` of the log with this id. The folder must be locked by the log.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, id: LogId) -> Self {
        Self::over(Arc::new(CheckpointFolder::beside_log(disk, dir)), id)
    }

    /// The checkpoints of the log with this id in any store. Only the log's writer may write checkpoints.
    pub fn over(store: Arc<dyn CheckpointStore>, id: LogId) -> Self {
        Self { store, id, damaged: Mutex::new(BTreeSet::new()) }
    }

    pub(super) fn id(&self) -> LogId {
        self.id
    }

    /// All checkpoints, the oldest first. Only the names are read.
    pub fn list(&self) -> Result<Vec<CheckpointInfo>, LogError> {
        let stored = self.store.list()?.into_iter();
        let mut all: Vec<_> =
            stored.filter_map(|found| CheckpointInfo::named(found.name, found.bytes)).collect();
        all.sort_by_key(CheckpointInfo::age);
        Ok(all)
    }

    /// As [`Checkpoints::latest_up_to`] without a bound.
    pub fn latest(&self) -> Result<Latest, LogError> {
        self.latest_up_to(Lsn::MAX)
    }

    /// The newest checkpoint whose structure is sound and that shows no record after `upto`, and the damaged
    /// checkpoints that are newer. If reading it shows damage in a chunk, call [`Checkpoints::mark_damaged`] and ask
    /// again.
    pub fn latest_up_to(&self, upto: Lsn) -> Result<Latest, LogError> {
        let mut latest = Latest { checkpoint: None, damaged: Vec::new() };
        for info in self.list()?.into_iter().rev() {
            if self.damaged.lock().contains(&info.name) {
                continue;
            }
            match self.open(&info) {
                Ok(checkpoint) if checkpoint.info().last_lsn > upto => {}
                Ok(checkpoint) => {
                    latest.checkpoint = Some(checkpoint);
                    break;
                }
                Err(error) if !matches!(error, LogError::Corrupt { .. }) => return Err(error),
                Err(error) => {
                    self.damaged.lock().insert(info.name.clone());
                    latest.damaged.push(DamagedCheckpoint { name: info.name, error });
                }
            }
        }
        Ok(latest)
    }

    /// Opens one of [`Checkpoints::list`] and verifies its structure.
    pub fn open(&self, info: &CheckpointInfo) -> Result<Checkpoint, LogError> {
        Checkpoint::open(self.store.open(&info.name)?, self.id, info.clone())
    }

    /// Marks a checkpoint as damaged: it is not used again, and does not count as one of the kept checkpoints.
    pub fn mark_damaged(&self, info: &CheckpointInfo) {
        self.damaged.lock().insert(info.name.clone());
    }

    /// Removes what was left behind by writers that were not finished. Not to be called while a checkpoint is written.
    pub fn remove_unfinished(&self) -> Result<(), LogError> {
        self.store.remove_unfinished()
    }

    /// What a new checkpoint is called.
    pub(super) fn next_info(&self, start_lsn: Lsn, ms: u64) -> Result<CheckpointInfo, LogError> {
        let number = self.list()?.iter().map(|info| info.number).max().unwrap_or(0) + 1;
        let name = checkpoint_name(number, start_lsn);
        Ok(CheckpointInfo { number, name, start_lsn, last_lsn: start_lsn, ms, chunks: 0, bytes: 0 })
    }

    pub(super) fn create(&self, info: &CheckpointInfo) -> Result<Box<dyn BlobWriter + '_>, LogError> {
        self.store.create(&info.name)
    }

    /// Makes created and removed names durable, if the log has to do it for the store.
    pub(super) fn names_durable(&self, log: &Log) -> Result<(), LogError> {
        if self.store.is_named_by_log() { log.sync_names() } else { Ok(()) }
    }

    /// Removes all but the newest sound checkpoints, and the log before the oldest that stays. While fewer than
    /// [`KEPT`] checkpoints are sound, nothing is removed. `verified` was read back just now; every other checkpoint is
    /// read to its end before it counts as sound.
    pub(super) fn prune(&self, log: &Log, verified: &CheckpointInfo) -> Result<(), LogError> {
        let all = self.list()?;
        let sound = |info: &&CheckpointInfo| {
            info.name == verified.name
                || (!self.damaged.lock().contains(&info.name)
                    && self.open(info).is_ok_and(|found| found.verify(1).is_ok()))
        };
        let kept: Vec<&CheckpointInfo> = all.iter().rev().filter(sound).take(KEPT).collect();
        if kept.len() < KEPT {
            return Ok(());
        }
        let old = all.iter().filter(|info| !kept.iter().any(|kept| kept.name == info.name));
        let old: Vec<&str> = old.map(|info| info.name.as_str()).collect();
        if !old.is_empty() {
            log.confirm()?;
            log.heed(self.store.remove(&old))?;
            self.names_durable(log)?;
        }
        if let Some(start) = kept.iter().map(|info| info.start_lsn).min() {
            log.trim_to(start)?;
        }
        Ok(())
    }
}
