//! A folder with a log and its checkpoints.

use super::FileLog;
use crate::env::{Clock, Disk, FolderLock};
use crate::log::checkpoint::{CheckpointFolder, CheckpointStore};
use crate::log::{LogError, LogId, LogOptions, LogPlace, LogStore, OpenReport};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder that holds a log's segments and its checkpoints side by side.
#[derive(Debug)]
pub struct FolderPlace {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The lock, from the claim until the log is opened. Then the log holds it.
    claimed: Mutex<Option<Box<dyn FolderLock>>>,
}

impl FolderPlace {
    /// The folder `dir`, which need not exist yet.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_path_buf(), claimed: Mutex::default() }
    }
}

impl LogPlace for FolderPlace {
    fn claim(&self) -> Result<(), LogError> {
        *self.claimed.lock() = Some(FileLog::lock(&*self.disk, &self.dir)?);
        Ok(())
    }

    fn look(&self, clock: &Clock, options: LogOptions) -> Result<(Arc<dyn LogStore>, OpenReport), LogError> {
        let claimed = self.claimed.lock().take();
        let lock = claimed.map_or_else(|| FileLog::lock(&*self.disk, &self.dir), Ok)?;
        let (store, report) = FileLog::open(Arc::clone(&self.disk), clock.clone(), &self.dir, options, lock)?;
        Ok((Arc::new(store), report))
    }

    /// A folder holds the checkpoints of one log. A checkpoint of another log is noticed when it is opened. The
    /// folder's lock keeps other writers out.
    fn checkpoints(&self, _: LogId, _: u64) -> Arc<dyn CheckpointStore> {
        Arc::new(CheckpointFolder::beside_log(Arc::clone(&self.disk), &self.dir))
    }
}
