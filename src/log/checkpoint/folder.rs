//! Checkpoints as files of one folder.
//!
//! A file is written under its name with `.tmp` behind it and synced on the way. When all of it is durable it is
//! renamed, and then the folder is synced. In the log's own folder the log does that sync.

use super::format::{CheckpointInfo, is_temporary};
use super::reader::{self, Checkpoint};
use super::store::{Blob, BlobWriter, CheckpointStore, Stored};
use crate::env::{Access, Disk, DiskFile};
use crate::log::{LogError, LogId, Lsn};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes after which the file is synced on the way, so that no sync at the end competes with the log's for long. A sync
/// of a MiB takes the processor for about a millisecond.
const SYNC_STEP: u64 = 1 << 20;

/// The checkpoints in a folder. Other files may lie there.
#[derive(Debug)]
pub struct CheckpointFolder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    beside_log: bool,
}

impl CheckpointFolder {
    /// The checkpoints in `dir`, which holds no log.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_path_buf(), beside_log: false }
    }

    /// The checkpoints in a log's folder. The log makes their names durable.
    pub fn beside_log(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { beside_log: true, ..Self::new(disk, dir) }
    }

    fn sync(&self) -> Result<(), LogError> {
        if self.beside_log {
            return Ok(());
        }
        self.disk.fsync_dir(&self.dir).map_err(|error| LogError::io("fsync", &self.dir, &error))
    }

    fn remove_file(&self, name: &str) -> Result<(), LogError> {
        let path = self.dir.join(name);
        self.disk.remove_file(&path).map_err(|error| LogError::io("remove", &path, &error))
    }
}

impl CheckpointStore for CheckpointFolder {
    fn list(&self) -> Result<Vec<Stored>, LogError> {
        let all = list(&*self.disk, &self.dir)?.into_iter();
        Ok(all.map(|info| Stored { name: info.name, bytes: info.bytes }).collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Blob>, LogError> {
        open(&*self.disk, self.dir.join(name))
    }

    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter + '_>, LogError> {
        let (path, temp) = (self.dir.join(name), self.dir.join(format!("{name}.tmp")));
        let file = self.disk.create(&temp).map_err(|error| LogError::io("create", &temp, &error))?;
        Ok(Box::new(Unfinished { folder: self, file, path, temp, written: 0, synced: 0, named: false }))
    }

    fn remove(&self, names: &[&str]) -> Result<(), LogError> {
        names.iter().try_for_each(|name| self.remove_file(name))?;
        self.sync()
    }

    fn is_named_by_log(&self) -> bool {
        self.beside_log
    }

    fn remove_unfinished(&self) -> Result<(), LogError> {
        let entries = self.disk.list(&self.dir).map_err(|error| LogError::io("list", &self.dir, &error))?;
        let mut left = entries.iter().filter(|entry| !entry.is_dir && is_temporary(&entry.name));
        left.try_for_each(|entry| self.remove_file(&entry.name))
    }
}

/// A file that is open to be read.
#[derive(Debug)]
struct File {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
}

impl Blob for File {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn size(&self) -> Result<u64, LogError> {
        self.file.len().map_err(|error| LogError::io("measure", &self.path, &error))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, LogError> {
        self.file.read_at(bytes, offset).map_err(|error| LogError::io("read", &self.path, &error))
    }
}

/// A file that is being written. If it is dropped before it has its name, it is removed.
#[derive(Debug)]
struct Unfinished<'a> {
    folder: &'a CheckpointFolder,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    temp: PathBuf,
    written: u64,
    synced: u64,
    named: bool,
}

impl BlobWriter for Unfinished<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        let done = self.file.write_at(bytes, self.written);
        done.map_err(|error| LogError::io("write", &self.temp, &error))?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNC_STEP {
            self.file.fdatasync().map_err(|error| LogError::io("fdatasync", &self.temp, &error))?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<Arc<dyn Blob>, LogError> {
        self.file.fsync().map_err(|error| LogError::io("fsync", &self.temp, &error))?;
        open(&*self.folder.disk, self.temp.clone())
    }

    fn finish(mut self: Box<Self>) -> Result<(), LogError> {
        let done = self.folder.disk.rename(&self.temp, &self.path);
        done.map_err(|error| LogError::io("rename to", &self.path, &error))?;
        self.named = true;
        self.folder.sync()
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.named {
            // A leftover is removed at the next start, and before the next checkpoint.
            let _ = self.folder.disk.remove_file(&self.temp);
        }
    }
}

/// Opens a checkpoint's file to be read.
pub(in crate::log) fn open(disk: &dyn Disk, path: PathBuf) -> Result<Arc<dyn Blob>, LogError> {
    let file = disk.open(&path, Access::Read).map_err(|error| LogError::io("open", &path, &error))?;
    Ok(Arc::new(File { file, path }))
}

/// All checkpoints in a folder, the oldest first. Only the names are read.
pub(in crate::log) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<CheckpointInfo>, LogError> {
    let entries = disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
    let named = entries.into_iter().filter_map(|entry| CheckpointInfo::named(entry.name, entry.len));
    let mut all: Vec<_> = named.collect();
    all.sort_by_key(CheckpointInfo::age);
    Ok(all)
}

/// The greatest LSN that any finished checkpoint of this log reflects: the log was durable up to it.
pub(in crate::log) fn last_lsn(disk: &dyn Disk, dir: &Path, id: LogId) -> Result<Option<Lsn>, LogError> {
    let files = list(disk, dir)?.into_iter().map(|info| dir.join(info.name));
    Ok(files.filter_map(|path| reader::last_lsn(&*open(disk, path).ok()?, id)).max())
}

/// The newest checkpoint of this log that is sound to its last byte.
pub(in crate::log) fn newest_sound(
    disk: &dyn Disk,
    dir: &Path,
    id: LogId,
) -> Result<Option<CheckpointInfo>, LogError> {
    for named in list(disk, dir)?.into_iter().rev() {
        let opened = open(disk, dir.join(&named.name)).and_then(|file| Checkpoint::open(file, id, named));
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
    reader::log_id(&*open(disk, path.to_path_buf()).ok()?)
}
