//! The checkpoints of one folder.

use super::format::{
    BLOCK, Block, CheckpointInfo, END_PAYLOAD, HEADER, Header, Totals, checkpoint_name, parse_name,
};
use super::reader::Checkpoint;
use crate::env::{Access, Disk};
use crate::log::frame::payload_checksum;
use crate::log::{Log, LogError, LogId, Lsn};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many sound checkpoints are kept.
const KEPT: usize = 2;

/// The checkpoints that lie beside a log.
#[derive(Debug)]
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    id: LogId,
    /// The numbers of those that were found damaged.
    damaged: Mutex<BTreeSet<u64>>,
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
    /// The file's name.
    pub name: String,
    /// What is wrong with it.
    pub error: LogError,
}

pub(super) fn path_of(folder: &Checkpoints, name: &str) -> PathBuf {
    folder.dir.join(name)
}

impl Checkpoints {
    /// The checkpoints in `dir` of the log with this id. The folder must be locked by the log.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, id: LogId) -> Self {
        Self { disk, dir: dir.to_path_buf(), id, damaged: Mutex::new(BTreeSet::new()) }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(super) fn id(&self) -> LogId {
        self.id
    }

    /// All checkpoints, the oldest first, as far as their names tell.
    pub fn list(&self) -> Result<Vec<CheckpointInfo>, LogError> {
        list(&*self.disk, &self.dir)
    }

    /// The newest checkpoint whose structure is sound, and the damaged ones that were passed over. If reading it shows
    /// damage in a chunk, call [`Checkpoints::mark_damaged`] and ask again.
    pub fn latest(&self) -> Result<Latest, LogError> {
        let mut latest = Latest { checkpoint: None, damaged: Vec::new() };
        for info in self.list()?.into_iter().rev() {
            if self.damaged.lock().contains(&info.number) {
                continue;
            }
            match self.open(&info) {
                Ok(checkpoint) => {
                    latest.checkpoint = Some(checkpoint);
                    break;
                }
                Err(error) if !matches!(error, LogError::Corrupt { .. }) => return Err(error),
                Err(error) => {
                    self.damaged.lock().insert(info.number);
                    latest.damaged.push(DamagedCheckpoint { name: info.name, error });
                }
            }
        }
        Ok(latest)
    }

    /// Opens one of [`Checkpoints::list`] and verifies its structure.
    pub fn open(&self, info: &CheckpointInfo) -> Result<Checkpoint, LogError> {
        Checkpoint::open(&*self.disk, &self.dir.join(&info.name), self.id, info.clone())
    }

    /// Excludes a checkpoint from use, and from being counted among those that are kept.
    pub fn mark_damaged(&self, info: &CheckpointInfo) {
        self.damaged.lock().insert(info.number);
    }

    /// What a new checkpoint is called.
    pub(super) fn next_info(&self, start_lsn: Lsn, ms: u64) -> Result<CheckpointInfo, LogError> {
        let number = self.list()?.last().map_or(1, |last| last.number + 1);
        let name = checkpoint_name(number, start_lsn);
        Ok(CheckpointInfo { number, name, start_lsn, last_lsn: start_lsn, ms, chunks: 0, bytes: 0 })
    }

    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.disk.fsync_dir(&self.dir).map_err(|error| LogError::io("fsync", &self.dir, &error))
    }

    /// Removes all but the newest sound checkpoints, and the log before the oldest that stays. As long as there are
    /// fewer sound ones than are to be kept, nothing is removed. `verified` was read back just now; the others are read
    /// to their end before anything is removed on their account.
    pub(super) fn prune(&self, log: &Log, verified: &CheckpointInfo) -> Result<(), LogError> {
        let all = self.list()?;
        let sound = |info: &&CheckpointInfo| {
            info.number == verified.number
                || (!self.damaged.lock().contains(&info.number)
                    && self.open(info).is_ok_and(|found| found.verify(1).is_ok()))
        };
        let kept: Vec<&CheckpointInfo> = all.iter().rev().filter(sound).take(KEPT).collect();
        if kept.len() < KEPT {
            return Ok(());
        }
        for info in all.iter().filter(|info| !kept.iter().any(|kept| kept.number == info.number)) {
            let path = self.dir.join(&info.name);
            self.disk.remove_file(&path).map_err(|error| LogError::io("remove", &path, &error))?;
        }
        self.sync()?;
        if let Some(start) = kept.iter().map(|info| info.start_lsn).min() {
            log.trim_to(start)?;
        }
        Ok(())
    }
}

/// All checkpoints in a folder, the oldest first, as far as their names tell.
pub(in crate::log) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<CheckpointInfo>, LogError> {
    let entries = disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
    let named = entries.into_iter().filter_map(|entry| {
        let (number, start_lsn) = parse_name(&entry.name)?;
        let (name, bytes) = (entry.name, entry.len);
        Some(CheckpointInfo { number, name, start_lsn, last_lsn: start_lsn, ms: 0, chunks: 0, bytes })
    });
    Ok(named.collect())
}

/// The greatest LSN that any finished checkpoint of this log reflects: the log was durable up to it.
pub(in crate::log) fn last_lsn(disk: &dyn Disk, dir: &Path, id: LogId) -> Result<Option<Lsn>, LogError> {
    Ok(list(disk, dir)?.iter().filter_map(|info| peek(disk, &dir.join(&info.name), id)).max())
}

/// The newest checkpoint of this log that is sound to its last byte.
pub(in crate::log) fn newest_sound(
    disk: &dyn Disk,
    dir: &Path,
    id: LogId,
) -> Result<Option<CheckpointInfo>, LogError> {
    for named in list(disk, dir)?.into_iter().rev() {
        let opened = Checkpoint::open(disk, &dir.join(&named.name), id, named);
        match opened.and_then(|found| found.verify(2).map(|()| found.info().clone())) {
            Ok(info) => return Ok(Some(info)),
            Err(LogError::Corrupt { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

/// The log that a checkpoint belongs to, if its header can be read.
pub(in crate::log) fn id_of(disk: &dyn Disk, path: &Path) -> Option<LogId> {
    let mut header = [0; HEADER];
    let got = disk.open(path, Access::Read).ok()?.read_at(&mut header, 0).ok()?;
    Header::decode(header.get(..got)?).ok().map(|(header, _)| header.id)
}

/// The last LSN from a checkpoint's end, if header and end are sound and of this log.
fn peek(disk: &dyn Disk, path: &Path, id: LogId) -> Option<Lsn> {
    let file = disk.open(path, Access::Read).ok()?;
    let len = file.len().ok()?;
    let read =
        |bytes: &mut [u8], offset| -> io::Result<bool> { Ok(file.read_at(bytes, offset)? == bytes.len()) };
    let mut header = [0; HEADER];
    let sound =
        read(&mut header, 0).ok()? && Header::decode(&header).is_ok_and(|(header, _)| header.id == id);
    let mut end = [0; BLOCK + END_PAYLOAD];
    let at = len.checked_sub(end.len() as u64)?;
    if !sound || !read(&mut end, at).ok()? {
        return None;
    }
    let (block, payload) = (end.first_chunk()?, end.last_chunk()?);
    let totals = Totals::decode(payload);
    let (block, _) = Block::decode(block, id.key(), totals.previous)?;
    let whole =
        block.end && totals.file_len == len && payload_checksum(id.key(), &[payload]) == block.checksum;
    whole.then_some(block.lsn)
}
