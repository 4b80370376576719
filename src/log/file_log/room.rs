//! Room for records, secured before it is needed, and the file of the next segment.
//!
//! Records in flight (reserved and not yet written) have their room in the segment that is being written and, if that
//! one ends soon, in the prepared one. If that room cannot be secured, [`FileLog::is_short`] says so at once.

use super::state::{Active, FileLog, NextFile};
use crate::env::Preallocate;
use crate::log::segment::SEGMENT_HEADER;
use crate::log::{LogError, LogStore};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Zeros are written in steps of this size while a writer may be waiting.
const ZERO_STEP: u64 = 256 << 10;
/// Zeros that are synced at once, while a record's sync may be waiting.
const ZERO_SYNC: u64 = 1 << 20;
/// Bytes of records that may be in flight between [`crate::log::Log::reserve`] and the write: the pending ones, and one
/// record of each worker that did not reserve its room exactly. If more is in flight when the disk fills up, the rest
/// waits for room.
const IN_FLIGHT_BYTES: u64 = 2 << 20;
/// Names that are tried for a new file. Only files that a former process left can have one of them.
const NAMES: usize = 1_000;

impl FileLog {
    fn how(&self) -> Preallocate {
        if self.frequent_syncs.load(Ordering::Relaxed) { Preallocate::Zeros } else { Preallocate::Reserve }
    }

    fn in_flight(&self) -> u64 {
        IN_FLIGHT_BYTES.min(self.shared.options.secure_bytes)
    }

    /// Secures room up to `end`.
    fn secure(&self, active: &mut Active, end: u64) -> io::Result<()> {
        if end > active.allocated {
            active.file.preallocate(active.allocated, end - active.allocated, self.how())?;
            active.allocated = end;
        }
        Ok(())
    }

    /// Secures room for the records in flight behind the offset `end`, and notes whether that succeeded.
    pub(super) fn secure_in_flight(&self, active: &mut Active, end: u64) {
        let options = &self.shared.options;
        let needed = end + self.in_flight();
        if options.secure_bytes == 0 {
            return;
        }
        let step = match self.how() {
            Preallocate::Zeros => ZERO_STEP.min(options.secure_bytes),
            Preallocate::Reserve => options.secure_bytes,
        };
        let mut done = Ok(());
        if needed.min(options.segment_bytes) > active.allocated {
            // Secures one step more than needed, so that not every write has to secure room. If the disk has less, only
            // what is needed is secured.
            done = self.secure(active, (needed + step).min(options.segment_bytes).max(end));
            if done.is_err() {
                done = self.secure(active, needed.min(options.segment_bytes).max(end));
            }
        }
        if done.is_ok() && needed > options.segment_bytes && active.next.is_none() {
            done = self.prepare(false);
        }
        self.note_secured(done);
    }

    /// Takes note of whether room could be secured.
    fn note_secured(&self, done: io::Result<()>) {
        let short =
            done.map_err(|error| LogError::refused("securing room in", &self.shared.dir, &error)).err();
        if short.is_some() || self.is_short() {
            let mut shortage = self.shortage.lock();
            self.short.store(short.is_some(), Ordering::Relaxed);
            *shortage = short.map(LogError::into_passing);
        }
    }

    /// Secures room further ahead while no writer waits. If that fails, the log has not failed.
    pub(super) fn secure_ahead(&self) -> Result<(), LogError> {
        let options = &self.shared.options;
        let mut unsynced = 0;
        while !self.short.load(Ordering::Relaxed) {
            // The lock is given back after each step, so that a writer waits for one step at most.
            let mut active = self.active.lock();
            let ahead = active.position + options.secure_bytes + self.in_flight();
            let ahead = ahead.min(options.segment_bytes);
            let zeros = self.how() == Preallocate::Zeros;
            let before = active.allocated;
            if before < ahead {
                let end = if zeros { ahead.min(before + ZERO_STEP) } else { ahead };
                let done = self.secure(&mut active, end);
                self.note_secured(done);
                unsynced += active.allocated - before;
            }
            let (file, grows) = (Arc::clone(&active.file), active.allocated < ahead);
            let full = active.allocated >= options.segment_bytes;
            drop(active);
            if zeros && unsynced > 0 && (!grows || unsynced >= ZERO_SYNC) {
                // The new length is made durable here, so that the next sync of a record need not do it.
                self.syncer.sync_room(&*file)?;
                unsynced = 0;
            }
            if !grows {
                if full {
                    self.prepare_next();
                }
                break;
            }
        }
        Ok(())
    }

    /// Makes the next segment's file ready before a thread has to wait for it.
    pub(in crate::log) fn prepare_next(&self) {
        let done = self.prepare(true);
        self.note_secured(done);
    }

    /// Makes a file for the next segment with room for what is in flight, if there is none.
    fn prepare(&self, whole: bool) -> io::Result<()> {
        let options = &self.shared.options;
        // Only one thread prepares a file; others return at once. The preparing thread holds no lock that a writer
        // needs.
        let Some(_preparing) = self.preparing.try_lock() else { return Ok(()) };
        if options.secure_bytes == 0 || self.prepared.lock().is_some() {
            return Ok(());
        }
        let mut next = self.create_next()?;
        let bytes = if whole { options.secure_bytes } else { 0 };
        let bytes = (bytes.max(self.in_flight()) + SEGMENT_HEADER as u64).min(options.segment_bytes);
        let done = next.file.preallocate(0, bytes, self.how());
        // No other thread uses the file yet, so it can be synced here. Without this sync the segment's first sync takes
        // longer.
        let done = done.and_then(|()| if whole { next.file.fsync() } else { Ok(()) });
        if let Err(error) = done {
            // A leftover is removed at the next start too.
            let _ = self.shared.disk.remove_file(&next.path);
            return Err(error);
        }
        next.allocated = bytes;
        *self.prepared.lock() = Some(next);
        Ok(())
    }

    /// The file for the next segment: the prepared one, or a new one.
    pub(super) fn next_file(&self) -> io::Result<NextFile> {
        let prepared = self.prepared.lock().take();
        prepared.map_or_else(|| self.create_next(), Ok)
    }

    /// Creates a file under a name that never existed, so that no other step can take or remove it.
    fn create_next(&self) -> io::Result<NextFile> {
        let mut taken = io::ErrorKind::AlreadyExists.into();
        for _ in 0..NAMES {
            let number = self.names.fetch_add(1, Ordering::Relaxed);
            let path = self.shared.dir.join(format!("segment-next-{number}.tmp"));
            match self.shared.disk.create(&path) {
                Ok(file) => return Ok(NextFile { file, path, allocated: 0, named: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }
}
