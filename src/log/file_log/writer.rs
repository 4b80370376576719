//! Appends to segments and begins new ones.

use super::Shared;
use super::reader::FileReader;
use super::scan::own_frame;
use super::state::{Active, FileLog, NextFile};
use crate::env::Access;
use crate::log::frame::{FRAME_HEADER, FrameHeader};
use crate::log::manifest::Manifest;
use crate::log::mark::{MARKS, Marks, Next};
use crate::log::segment::{SEGMENT_HEADER, SegmentHeader, segment_first, segment_name};
use crate::log::store::{LogReader, LogStore, RecordBatch, Room, StoreStats};
use crate::log::tail::Tail;
use crate::log::{LogError, LogId, Lsn};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Sealed segments that may stay open for want of a sync; above it the upkeep syncs them.
const SEALED_OPEN: usize = 16;
/// The device failed.
const EIO: i32 = 5;
/// The file system was made read-only, as it is after an error.
const EROFS: i32 = 30;
/// Above this number the writing thread syncs them, because the upkeep does not keep up.
const SEALED_OPEN_MOST: usize = 64;

impl FileLog {
    /// Carries out what opening found to be necessary; only then may the log be written.
    fn take_over(&self) -> Result<(), LogError> {
        let mut pending = self.pending.lock();
        let Some(plan) = &*pending else { return Ok(()) };
        self.syncer.check()?;
        let (disk, dir) = (&*self.shared.disk, self.shared.dir.as_path());
        let done = plan.carry_out(disk, dir);
        done.map_err(|error| if error.is_final() { self.syncer.fail(error) } else { error })?;
        let mut active = self.active.lock();
        let path = dir.join(segment_name(active.first));
        let file =
            disk.open(&path, Access::ReadWrite).map_err(|error| LogError::io("open", &path, &error))?;
        let len = file.len().map_err(|error| LogError::io("measure", &path, &error))?;
        active.allocated = len.max(active.position);
        active.file = Arc::clone(&file);
        self.syncer.begin_with(file);
        *pending = None;
        Ok(())
    }

    fn check_epoch(&self, epoch: u64) -> Result<(), LogError> {
        match self.epoch.load(Ordering::Acquire) {
            current if current == epoch => Ok(()),
            u64::MAX => Err(LogError::Closed),
            current => Err(LogError::Fenced { epoch, current }),
        }
    }

    /// Writes frames of whole records behind the last one.
    fn write(&self, active: &mut Active, bytes: &[u8], last: Lsn, chain: u32) -> Result<(), LogError> {
        let end = active.position + bytes.len() as u64;
        self.secure_in_flight(active, end);
        let path = || self.shared.dir.join(segment_name(active.first));
        active
            .file
            .write_at(bytes, active.position)
            .map_err(|error| LogError::refused("write", &path(), &error))?;
        active.position = end;
        active.allocated = active.allocated.max(end);
        active.tail = last;
        active.chain = chain;
        // Release: a reader that sees the tail finds the bytes in the file.
        self.shared.tail.store(last, Ordering::Release);
        Ok(())
    }

    /// Leaves the active segment behind and begins the next one with the record after the tail. After an error that
    /// passes it goes on where it stopped.
    fn rotate(&self, active: &mut Active, durable: Lsn, epoch: u64) -> Result<(), LogError> {
        let mut next = match active.next.take() {
            Some(next) => next,
            None => self.next_file().map_err(|error| self.not_begun(active, "create a file in", &error))?,
        };
        let marks = Marks { key: self.shared.id.key(), next: active.tail + 1, chain: active.chain };
        let begun = self.begin(active, &mut next, durable, epoch).and_then(|()| {
            // This writes zeros in the second mark's place, so that the second mark needs no room later.
            let done = active.file.write_at(&marks.encode(Next::Begun), active.position);
            done.map_err(|error| LogError::refused("write of a mark in", &self.shared.dir, &error))
        });
        if let Err(error) = begun {
            // A file without a name is not used again.
            active.next = Some(next).filter(|next| next.file.is_linked().unwrap_or(true));
            return Err(error);
        }
        self.syncer.seal(active.position, marks, Arc::clone(&next.file));
        self.shared.segments.lock().push(marks.next);
        active.first = marks.next;
        active.file = next.file;
        active.position = SEGMENT_HEADER as u64;
        active.allocated = next.allocated.max(active.position);
        Ok(())
    }

    /// Gives the file of the next segment its header and its name.
    fn begin(&self, active: &Active, next: &mut NextFile, durable: Lsn, epoch: u64) -> Result<(), LogError> {
        if next.named {
            return Ok(());
        }
        let shared = &self.shared;
        let header = SegmentHeader {
            id: shared.id,
            first: active.tail + 1,
            last_before: active.tail,
            previous_first: active.first,
            durable,
            epoch,
            ms: shared.clock.now_ms(),
            chain: active.chain,
            previous_end: active.position,
        };
        let done = next.file.write_at(&header.encode(), 0);
        done.map_err(|error| LogError::refused("write", &next.path, &error))?;
        let path = shared.dir.join(segment_name(header.first));
        let done = shared.disk.rename(&next.path, &path);
        done.map_err(|error| self.not_begun(active, "rename to", &error))?;
        next.named = true;
        Ok(())
    }

    /// The error for a next segment that could not be created. It is not final while the active segment is sound: no
    /// record was lost, and a missing folder or permission may come back.
    fn not_begun(&self, active: &Active, what: &str, error: &io::Error) -> LogError {
        let broken = matches!(error.raw_os_error(), Some(EIO | EROFS));
        let lost = !active.file.is_linked().unwrap_or(true);
        let error = LogError::io(what, &self.shared.dir, error);
        if broken || lost { error.into_final() } else { error.into_passing() }
    }

    /// Puts a manifest in place durably. The syncer syncs the folder.
    fn store_manifest(&self, next: Manifest, manifest: &mut Manifest) -> Result<(), LogError> {
        next.put(&*self.shared.disk, &self.shared.dir)?;
        self.syncer.sync_folder()?;
        *manifest = next;
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
            self.store_manifest(next, &mut manifest)?;
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
        self.syncer.sync_folder()?;
        Ok(freed)
    }
}

fn file_len(shared: &Shared, path: &Path) -> u64 {
    shared.disk.open(path, Access::Read).and_then(|file| file.len()).unwrap_or(0)
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
        self.store_manifest(next, &mut manifest)?;
        self.epoch.store(manifest.epoch, Ordering::Release);
        drop(manifest);
        self.syncer.sync()?;
        Ok(self.tail())
    }

    fn tail(&self) -> Tail {
        let active = self.active.lock();
        Tail { epoch: self.epoch.load(Ordering::Acquire), lsn: active.tail, chain: active.chain }
    }

    fn append(&self, epoch: u64, expected_tail: Lsn, batch: &RecordBatch<'_>) -> Result<Lsn, LogError> {
        self.syncer.check()?;
        if self.syncer.sealed() > SEALED_OPEN_MOST {
            self.syncer.sync()?;
        }
        let mut active = self.active.lock();
        self.check_epoch(epoch)?;
        if active.tail != expected_tail || batch.first != expected_tail + 1 {
            return Err(LogError::TailMoved { expected: expected_tail, actual: active.tail });
        }
        let mut bytes = batch.bytes;
        while !bytes.is_empty() {
            let limit = self.shared.options.segment_bytes.saturating_sub(MARKS as u64);
            let room = limit.saturating_sub(active.position);
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
        self.syncer.sync()
    }

    fn sync_names(&self) -> Result<(), LogError> {
        self.syncer.sync_folder()
    }

    fn read_from(&self, from: Lsn) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(FileReader::new(Arc::clone(&self.shared), from)?))
    }

    fn trim_to(&self, epoch: u64, upto: Lsn) -> Result<u64, LogError> {
        self.check_epoch(epoch)?;
        self.trim(upto)
    }

    fn room(&self) -> Result<Room, LogError> {
        if self.is_short() {
            let mut active = self.active.lock();
            let end = active.position;
            self.secure_in_flight(&mut active, end);
        }
        let dir = &self.shared.dir;
        let free = self.shared.disk.free_space(dir).map_err(|error| LogError::io("statvfs", dir, &error))?;
        Ok(Room { free, refused: self.shortage.lock().clone() })
    }

    fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    fn expect_frequent_syncs(&self, frequent: bool) {
        self.frequent_syncs.store(frequent, Ordering::Relaxed);
    }

    fn maintain(&self, epoch: u64) -> Result<(), LogError> {
        self.check_epoch(epoch)?;
        self.syncer.check()?;
        self.syncer.check_linked()?;
        self.secure_ahead()?;
        let sealed = self.syncer.sealed();
        // Where descriptors are short, those of sealed segments are given back early.
        if sealed > SEALED_OPEN || (sealed > 0 && self.is_short()) {
            self.syncer.sync_unless_busy()?;
        }
        Ok(())
    }

    fn close(&self, epoch: u64) -> Result<(), LogError> {
        self.check_epoch(epoch)?;
        self.syncer.sync()?;
        let tail = {
            let active = self.active.lock();
            self.epoch.store(u64::MAX, Ordering::Release);
            active.tail
        };
        let mut manifest = self.manifest.lock();
        let next = Manifest { closed: Some(tail), ..manifest.clone() };
        self.store_manifest(next, &mut manifest)
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
