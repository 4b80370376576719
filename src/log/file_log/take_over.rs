//! What a start changes in the folder, once nothing can refuse it any more.

use crate::env::{Access, Disk, DiskFile, Preallocate};
use crate::log::manifest::Manifest;
use crate::log::mark::{Marks, Next};
use crate::log::segment::{SegmentHeader, segment_name};
use crate::log::{LogError, Lsn};
use std::io;
use std::path::Path;

/// What is to be done. Every step may be repeated: after a step fails, for example on a full disk, all steps are tried
/// again from the first one. A failed sync is not tried again: the bytes that it should have made durable may be lost,
/// and only a new start can find out.
#[derive(Debug, Default)]
pub(super) struct TakeOver {
    /// Files that an interrupted step left behind.
    pub(super) remove: Vec<String>,
    /// A new log's manifest and first segment.
    pub(super) begin: Option<(Manifest, SegmentHeader)>,
    /// Segments behind the end, the last one first.
    pub(super) cut: Vec<Lsn>,
    /// The segment in which the log ends, and the offset at which it is cut off.
    pub(super) cut_at: Option<(Lsn, u64)>,
    /// The segment that replaces one with a torn header.
    pub(super) rewrite: Option<SegmentHeader>,
    /// Segments whose bytes in this range may not be durable.
    pub(super) durable: Vec<(Lsn, u64, u64)>,
    /// The marks of the last segment but one, and their offset. They are written last, once everything else here is
    /// durable.
    pub(super) marks: Option<(Lsn, u64, Marks)>,
}

impl TakeOver {
    pub(super) fn carry_out(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        for name in &self.remove {
            remove(disk, &dir.join(name))?;
        }
        if let Some((manifest, header)) = &self.begin {
            manifest.put(disk, dir)?;
            fsync_dir(disk, dir)?;
            write_empty(disk, dir, header)?;
        }
        // Later segments are removed first, from the last one on, so that an interrupted cut leaves a log with a torn
        // end again.
        for first in &self.cut {
            remove(disk, &dir.join(segment_name(*first)))?;
            fsync_dir(disk, dir)?;
        }
        if let Some(header) = &self.rewrite {
            write_empty(disk, dir, header)?;
        }
        if let Some((first, len)) = self.cut_at {
            let path = dir.join(segment_name(first));
            let failed = |what: &str, error: &io::Error| LogError::io(what, &path, error);
            let file = disk.open(&path, Access::ReadWrite).map_err(|error| failed("open", &error))?;
            file.set_len(len).map_err(|error| failed("cut", &error))?;
            fsync(&*file, &path)?;
        }
        for (first, from, to) in &self.durable {
            make_durable(disk, dir, *first, *from, *to)?;
        }
        fsync_dir(disk, dir)?;
        match &self.marks {
            Some((first, offset, marks)) => mark(disk, dir, *first, *offset, marks),
            None => Ok(()),
        }
    }
}

fn fsync(file: &dyn DiskFile, path: &Path) -> Result<(), LogError> {
    file.fsync().map_err(|error| LogError::io("fsync", path, &error).into_final())
}

fn fsync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let folder = disk.open_dir(dir).map_err(|error| LogError::io("open", dir, &error))?;
    folder.fsync().map_err(|error| LogError::io("fsync", dir, &error).into_final())
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Writes a segment without records, durably, in the place of one of the same name.
fn write_empty(disk: &dyn Disk, dir: &Path, header: &SegmentHeader) -> Result<(), LogError> {
    let path = dir.join(segment_name(header.first));
    remove(disk, &path)?;
    let file = disk.create(&path).map_err(|error| LogError::io("create", &path, &error))?;
    file.write_at(&header.encode(), 0).map_err(|error| LogError::io("write", &path, &error))?;
    fsync(&*file, &path)?;
    fsync_dir(disk, dir)
}

/// Makes a segment's bytes `from..to` durable. They are written again before they are synced: if a sync of the former
/// process failed, the system may have kept the bytes in memory and taken them for written, and would skip them now.
fn make_durable(disk: &dyn Disk, dir: &Path, first: Lsn, from: u64, to: u64) -> Result<(), LogError> {
    const STEP: u64 = 1 << 20;
    let path = dir.join(segment_name(first));
    let failed = |what: &str, error: &io::Error| LogError::io(what, &path, error);
    let file = disk.open(&path, Access::ReadWrite).map_err(|error| failed("open", &error))?;
    let mut buffer = Vec::new();
    let mut at = from;
    while at < to {
        buffer.resize((to - at).min(STEP) as usize, 0);
        let got = file.read_at(&mut buffer, at).map_err(|error| failed("read", &error))?;
        if got == 0 {
            break;
        }
        buffer.truncate(got);
        file.write_at(&buffer, at).map_err(|error| failed("write", &error))?;
        at += got as u64;
    }
    fsync(&*file, &path)
}

/// Marks that the segment behind this one is durable.
fn mark(disk: &dyn Disk, dir: &Path, first: Lsn, offset: u64, marks: &Marks) -> Result<(), LogError> {
    let path = dir.join(segment_name(first));
    let failed = |what: &str, error: &io::Error| LogError::io(what, &path, error);
    let file = disk.open(&path, Access::ReadWrite).map_err(|error| failed("open", &error))?;
    file.write_at(&marks.encode(Next::Durable), offset).map_err(|error| failed("write", &error))?;
    fsync(&*file, &path)
}

/// Stands for the file of the active segment until the log is taken over. Every call fails.
#[derive(Debug)]
pub(super) struct NotYet;

fn not_yet<T>() -> io::Result<T> {
    Err(io::Error::other("the log was opened for reading only"))
}

impl DiskFile for NotYet {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        not_yet()
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        not_yet()
    }

    fn len(&self) -> io::Result<u64> {
        not_yet()
    }

    fn is_linked(&self) -> io::Result<bool> {
        not_yet()
    }

    fn fdatasync(&self) -> io::Result<()> {
        not_yet()
    }

    fn fsync(&self) -> io::Result<()> {
        not_yet()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        not_yet()
    }

    fn preallocate(&self, _: u64, _: u64, _: Preallocate) -> io::Result<()> {
        not_yet()
    }
}
