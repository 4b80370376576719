//! Appends to segments, begins new ones, and makes them durable.
//!
//! Locks, in the order in which they may be taken: `syncing`, `active`, then one of the short ones (`unsynced`,
//! `prepared`, `Shared::segments`). `manifest` is never held together with `active`.

use super::Shared;
use super::reader::FileReader;
use super::scan::own_frame;
use super::take_over::TakeOver;
use crate::env::{DiskFile, FolderLock, Preallocate};
use crate::log::frame::{FRAME_HEADER, FrameHeader};
use crate::log::manifest::Manifest;
use crate::log::segment::{SEGMENT_HEADER, SegmentHeader, segment_first, segment_name};
use crate::log::store::{Batch, LogReader, LogStore, Room, StoreStats, Tail};
use crate::log::{LogError, LogId, Lsn};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The name of a segment that is made ready before it is needed.
const PREPARED: &str = "segment-next.tmp";
/// The name of a segment that is made when it is needed; another one, so that the two never touch each other's file.
const MADE_NOW: &str = "segment-now.tmp";
/// Zeros are written in steps of this size while a writer may be waiting.
const ZERO_STEP: u64 = 256 * 1024;

/// A log in the files of one folder, of which `docs/log-format.md` draws the bytes.
#[derive(Debug)]
pub struct FileLog {
    pub(super) shared: Arc<Shared>,
    #[allow(dead_code, reason = "the folder is locked as long as this lives")]
    pub(super) lock: Box<dyn FolderLock>,
    pub(super) manifest: Mutex<Manifest>,
    pub(super) epoch: AtomicU64,
    pub(super) active: Mutex<Active>,
    pub(super) unsynced: Mutex<Unsynced>,
    /// Held while files are synced, so that a sync never returns before one that took files from `unsynced`.
    pub(super) syncing: Mutex<()>,
    pub(super) prepared: Mutex<Option<Prepared>>,
    pub(super) frequent_syncs: AtomicBool,
    /// Securing room failed when it was last tried.
    pub(super) room_refused: AtomicBool,
    /// What must be done before the log may be written; `None` when it was done.
    pub(super) pending: Mutex<Option<TakeOver>>,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) first: Lsn,
    /// The offset behind the last record.
    pub(super) position: u64,
    /// The offset up to which room is secured, at least `position`.
    pub(super) allocated: u64,
    pub(super) tail: Lsn,
    pub(super) chain: u32,
}

/// What a sync has to cover.
#[derive(Debug)]
pub(super) struct Unsynced {
    /// Segments that were left behind since the last sync.
    pub(super) sealed: Vec<Arc<dyn DiskFile>>,
    pub(super) current: Arc<dyn DiskFile>,
    /// True when a segment got its name since the last sync.
    pub(super) folder: bool,
}

/// A file with secured room that becomes the next segment.
#[derive(Debug)]
pub(super) struct Prepared {
    file: Arc<dyn DiskFile>,
    allocated: u64,
}

impl FileLog {
    fn check_epoch(&self, epoch: u64) -> Result<(), LogError> {
        match self.epoch.load(Ordering::Acquire) {
            current if current == epoch => Ok(()),
            u64::MAX => Err(LogError::Closed),
            current => Err(LogError::Fenced { epoch, current }),
        }
    }

    fn how(&self) -> Preallocate {
        if self.frequent_syncs.load(Ordering::Relaxed) { Preallocate::Zeros } else { Preallocate::Reserve }
    }

    /// Secures room up to `end`. A refusal is noted, not returned: the write itself will tell.
    fn secure(&self, active: &mut Active, end: u64) {
        if end <= active.allocated {
            return;
        }
        let done = active.file.preallocate(active.allocated, end - active.allocated, self.how());
        self.room_refused.store(done.is_err(), Ordering::Relaxed);
        if done.is_ok() {
            active.allocated = end;
        }
    }

    /// Writes frames of whole records behind the last one.
    fn write(&self, active: &mut Active, bytes: &[u8], last: Lsn, chain: u32) -> Result<(), LogError> {
        let end = active.position + bytes.len() as u64;
        let options = &self.shared.options;
        let zeros = self.how() == Preallocate::Zeros;
        let step = if zeros { ZERO_STEP.min(options.secure_bytes) } else { options.secure_bytes };
        // Half a step stays secured behind every write, so that a disk that fills up suddenly is noticed before a
        // write needs the room.
        if step > 0 && end + step / 2 > active.allocated {
            self.secure(active, end.max((end + step).min(options.segment_bytes)));
        }
        let path = || self.shared.dir.join(segment_name(active.first));
        active
            .file
            .write_at(bytes, active.position)
            .map_err(|error| LogError::io("write", &path(), &error))?;
        active.position = end;
        active.allocated = active.allocated.max(end);
        active.tail = last;
        active.chain = chain;
        // Release: a reader that sees the tail finds the bytes in the file.
        self.shared.tail.store(last, Ordering::Release);
        Ok(())
    }

    /// Leaves the active segment behind and begins the next one with the record after the tail.
    fn rotate(&self, active: &mut Active, durable: Lsn, epoch: u64) -> Result<(), LogError> {
        let shared = &self.shared;
        let ready = self.prepared.lock().take();
        let (next, name) = match ready {
            Some(next) => (next, PREPARED),
            None => (Prepared { file: self.create_temp(MADE_NOW)?, allocated: 0 }, MADE_NOW),
        };
        let header = SegmentHeader {
            id: shared.id,
            first: active.tail + 1,
            last_before: active.tail,
            previous_first: active.first,
            durable,
            epoch,
            ms: shared.clock.now_ms(),
            chain: active.chain,
        };
        let temp = shared.dir.join(name);
        next.file.write_at(&header.encode(), 0).map_err(|error| LogError::io("write", &temp, &error))?;
        let path = shared.dir.join(segment_name(header.first));
        shared.disk.rename(&temp, &path).map_err(|error| LogError::io("rename to", &path, &error))?;
        {
            let mut unsynced = self.unsynced.lock();
            let sealed = std::mem::replace(&mut unsynced.current, Arc::clone(&next.file));
            unsynced.sealed.push(sealed);
            unsynced.folder = true;
        }
        shared.segments.lock().push(header.first);
        active.first = header.first;
        active.file = next.file;
        active.position = SEGMENT_HEADER as u64;
        active.allocated = next.allocated.max(active.position);
        Ok(())
    }

    fn create_temp(&self, name: &str) -> Result<Arc<dyn DiskFile>, LogError> {
        let temp = self.shared.dir.join(name);
        match self.shared.disk.remove_file(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LogError::io("remove", &temp, &error));
            }
            _ => {}
        }
        self.shared.disk.create(&temp).map_err(|error| LogError::io("create", &temp, &error))
    }

    /// Makes the next segment ready while nobody waits. Failing to do so is no failure of the log: a writer that needs
    /// the segment tries itself.
    fn prepare_next(&self) {
        let bytes = self.shared.options.secure_bytes.min(self.shared.options.segment_bytes);
        if bytes == 0 || self.prepared.lock().is_some() {
            return;
        }
        let file = self.create_temp(PREPARED).ok().filter(|file| {
            let done = file.preallocate(0, bytes, self.how()).and_then(|()| file.fsync());
            self.room_refused.store(done.is_err(), Ordering::Relaxed);
            done.is_ok()
        });
        *self.prepared.lock() = file.map(|file| Prepared { file, allocated: bytes });
    }

    fn sync_files(&self) -> Result<(), LogError> {
        let syncing = self.syncing.lock();
        let (sealed, current, folder) = {
            let mut unsynced = self.unsynced.lock();
            let sealed = std::mem::take(&mut unsynced.sealed);
            (sealed, Arc::clone(&unsynced.current), std::mem::take(&mut unsynced.folder))
        };
        let dir = &self.shared.dir;
        let failed = |error: io::Error| LogError::io("fdatasync of a segment in", dir, &error);
        for file in &sealed {
            file.fdatasync().map_err(failed)?;
        }
        current.fdatasync().map_err(failed)?;
        if folder {
            self.shared.disk.fsync_dir(dir).map_err(|error| LogError::io("fsync", dir, &error))?;
        }
        drop(syncing);
        Ok(())
    }

    /// Removes the segments whose records are all at or before `upto`. The manifest names the new beginning first, so
    /// that segments that come back after a crash are known to be leftovers.
    fn trim(&self, upto: Lsn) -> Result<u64, LogError> {
        let shared = &self.shared;
        let upto = upto.min(shared.tail.load(Ordering::Acquire));
        let old: Vec<Lsn> = {
            let segments = shared.segments.lock();
            let needed = segments.partition_point(|first| *first <= upto.saturating_add(1)).saturating_sub(1);
            segments.iter().take(needed).copied().collect()
        };
        if old.is_empty() {
            return Ok(0);
        }
        {
            let mut manifest = self.manifest.lock();
            let next = Manifest { trimmed: manifest.trimmed.max(upto), ..manifest.clone() };
            next.store(&*shared.disk, &shared.dir)?;
            *manifest = next;
        }
        shared.segments.lock().retain(|first| !old.contains(first));
        let mut freed = 0;
        for first in old {
            let path = shared.dir.join(segment_name(first));
            freed += file_len(shared, &path);
            match shared.disk.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LogError::io("remove", &path, &error));
                }
                _ => {}
            }
        }
        shared.disk.fsync_dir(&shared.dir).map_err(|error| LogError::io("fsync", &shared.dir, &error))?;
        Ok(freed)
    }
}

fn file_len(shared: &Shared, path: &Path) -> u64 {
    shared.disk.open(path, crate::env::Access::Read).and_then(|file| file.len()).unwrap_or(0)
}

/// The part of a batch's frames that fits into `room`: its bytes, last LSN and chain.
fn fitting(bytes: &[u8], room: u64) -> Option<(usize, Lsn, u32)> {
    let mut fits = None;
    let mut at = 0;
    while let Some(frame) = bytes.get(at..).and_then(own_frame) {
        at += FRAME_HEADER + frame.len as usize;
        if at as u64 > room {
            break;
        }
        fits = Some((at, frame.lsn, frame.chain));
    }
    fits
}

/// A batch's first frame by itself.
fn alone(frame: FrameHeader) -> Option<(usize, Lsn, u32)> {
    Some((usize::try_from(frame.frame_len()).ok()?, frame.lsn, frame.chain))
}

impl LogStore for FileLog {
    fn log_id(&self) -> LogId {
        self.shared.id
    }

    fn establish_epoch(&self) -> Result<Tail, LogError> {
        self.take_over()?;
        let incarnation = self.shared.disk.incarnation(&self.shared.dir);
        let incarnation = incarnation.map_err(|error| LogError::io("identify", &self.shared.dir, &error))?;
        let mut manifest = self.manifest.lock();
        let next = Manifest { epoch: manifest.epoch + 1, incarnation, closed: None, ..manifest.clone() };
        next.store(&*self.shared.disk, &self.shared.dir)?;
        *manifest = next;
        self.epoch.store(manifest.epoch, Ordering::Release);
        drop(manifest);
        self.sync_files()?;
        Ok(self.tail())
    }

    fn tail(&self) -> Tail {
        let active = self.active.lock();
        Tail { epoch: self.epoch.load(Ordering::Acquire), lsn: active.tail, chain: active.chain }
    }

    fn append(&self, epoch: u64, expected_tail: Lsn, batch: &Batch<'_>) -> Result<Lsn, LogError> {
        let mut active = self.active.lock();
        self.check_epoch(epoch)?;
        if active.tail != expected_tail || batch.first != expected_tail + 1 {
            return Err(LogError::TailMoved { expected: expected_tail, actual: active.tail });
        }
        let mut bytes = batch.bytes;
        while !bytes.is_empty() {
            let room = self.shared.options.segment_bytes.saturating_sub(active.position);
            if bytes.len() as u64 <= room {
                self.write(&mut active, bytes, batch.last, batch.chain)?;
                break;
            }
            // A record that is larger than a segment gets an empty one of its own.
            let empty = active.position == SEGMENT_HEADER as u64;
            let part = fitting(bytes, room).or_else(|| own_frame(bytes).filter(|_| empty).and_then(alone));
            if let Some((end, last, chain)) = part {
                let (now, later) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
                self.write(&mut active, now, last, chain)?;
                bytes = later;
            } else if empty {
                return Err(LogError::TailMoved { expected: batch.last, actual: active.tail });
            }
            if !bytes.is_empty() {
                self.rotate(&mut active, batch.durable, epoch)?;
            }
        }
        Ok(active.tail)
    }

    fn sync(&self, epoch: u64) -> Result<(), LogError> {
        self.check_epoch(epoch)?;
        self.sync_files()
    }

    fn read_from(&self, from: Lsn) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(FileReader::new(Arc::clone(&self.shared), from)?))
    }

    fn trim_to(&self, upto: Lsn) -> Result<u64, LogError> {
        self.trim(upto)
    }

    fn room(&self) -> Result<Room, LogError> {
        if self.room_refused.load(Ordering::Relaxed) {
            let mut active = self.active.lock();
            let end = active.allocated + ZERO_STEP.min(self.shared.options.secure_bytes);
            self.secure(&mut active, end);
        }
        let dir = &self.shared.dir;
        let free = self.shared.disk.free_space(dir).map_err(|error| LogError::io("statvfs", dir, &error))?;
        let refused = self.room_refused.load(Ordering::Relaxed);
        Ok(Room { free, refused })
    }

    fn expect_frequent_syncs(&self, frequent: bool) {
        self.frequent_syncs.store(frequent, Ordering::Relaxed);
    }

    fn maintain(&self, epoch: u64) -> Result<(), LogError> {
        self.check_epoch(epoch)?;
        let options = &self.shared.options;
        let mut grown = None;
        loop {
            // The lock is given back after each step, so that a writer waits for one step at most.
            let mut active = self.active.lock();
            let ahead = (active.position + options.secure_bytes).min(options.segment_bytes);
            if active.allocated >= ahead || self.room_refused.load(Ordering::Relaxed) {
                let full = active.allocated >= options.segment_bytes;
                drop(active);
                if full {
                    self.prepare_next();
                }
                break;
            }
            let step = (active.allocated + ZERO_STEP).min(ahead);
            let end = if self.how() == Preallocate::Zeros { step } else { ahead };
            self.secure(&mut active, end);
            grown = Some(Arc::clone(&active.file));
        }
        if let (Some(file), Preallocate::Zeros) = (grown, self.how()) {
            // The new length is made durable here, so that the next sync of a record need not do it.
            let failed =
                |error| LogError::io("fdatasync of a segment in", &self.shared.dir, &error).into_final();
            file.fdatasync().map_err(failed)?;
        }
        Ok(())
    }

    fn close(&self, epoch: u64) -> Result<(), LogError> {
        self.check_epoch(epoch)?;
        self.sync_files()?;
        let tail = {
            let active = self.active.lock();
            self.epoch.store(u64::MAX, Ordering::Release);
            active.tail
        };
        let mut manifest = self.manifest.lock();
        let next = Manifest { closed: Some(tail), ..manifest.clone() };
        next.store(&*self.shared.disk, &self.shared.dir)?;
        *manifest = next;
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        let entries = self.shared.disk.list(&self.shared.dir).unwrap_or_default();
        let files = entries.iter().filter(|entry| segment_first(&entry.name).is_some());
        let segments = self.shared.segments.lock().len() as u64;
        StoreStats {
            segments,
            bytes: files.map(|entry| entry.len).sum(),
            first: self.shared.first(),
            last: self.shared.tail.load(Ordering::Acquire),
        }
    }
}
