//! The one owner of every sync of a segment and of the folder.
//!
//! The system reports a failed write-back once, to the next sync, and counts the bytes as written from then on. So once
//! the log is taken over, only the syncer syncs segments and the folder, in which the checkpoints lie too. Syncs follow
//! one another, and the first error is kept: no sync succeeds after it.
//!
//! Locks, in the order in which they may be taken: `syncing`, `unsynced`.

use crate::env::{DiskFile, OpenFolder};
use crate::log::LogError;
use crate::log::mark::{Marks, Next};
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Makes segments and their names durable.
#[derive(Debug)]
pub(super) struct Syncer {
    dir: PathBuf,
    folder: Box<dyn OpenFolder>,
    /// How many files are synced at the same time.
    threads: usize,
    unsynced: Mutex<Unsynced>,
    /// Held while files are synced, so that a sync never returns before one that took files from `unsynced`.
    syncing: Mutex<()>,
    failure: OnceLock<LogError>,
}

/// What a sync has to cover.
#[derive(Debug)]
struct Unsynced {
    /// Segments that were sealed since the last sync, the oldest first.
    sealed: Vec<Sealed>,
    current: Arc<dyn DiskFile>,
    /// True when a segment got its name since the last sync.
    folder: bool,
}

/// A segment that was left behind.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) file: Arc<dyn DiskFile>,
    /// The offset behind its last record.
    pub(super) end: u64,
    pub(super) marks: Marks,
}

impl Syncer {
    pub(super) fn new(
        dir: PathBuf,
        folder: Box<dyn OpenFolder>,
        threads: usize,
        current: Arc<dyn DiskFile>,
    ) -> Self {
        let unsynced = Unsynced { sealed: Vec::new(), current, folder: false };
        let (unsynced, syncing) = (Mutex::new(unsynced), Mutex::new(()));
        Self { dir, folder, threads, unsynced, syncing, failure: OnceLock::new() }
    }

    /// Fails for good after a failed sync.
    pub(super) fn check(&self) -> Result<(), LogError> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// The file that is written, once the log was taken over.
    pub(super) fn begin_with(&self, current: Arc<dyn DiskFile>) {
        self.unsynced.lock().current = current;
    }

    /// Seals the current segment at offset `end`. The writer goes on in `next`, which has its name.
    pub(super) fn seal(&self, end: u64, marks: Marks, next: Arc<dyn DiskFile>) {
        let mut unsynced = self.unsynced.lock();
        let file = std::mem::replace(&mut unsynced.current, next);
        unsynced.sealed.push(Sealed { file, end, marks });
        unsynced.folder = true;
    }

    /// How many segments are held open only because they were not synced.
    pub(super) fn sealed(&self) -> usize {
        self.unsynced.lock().sealed.len()
    }

    /// Makes everything durable that was written before the call.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        let _syncing = self.syncing.lock();
        self.sync_all()
    }

    /// As [`Syncer::sync`], but does nothing when another sync is running.
    pub(super) fn sync_unless_busy(&self) -> Result<(), LogError> {
        self.syncing.try_lock().map_or(Ok(()), |_syncing| self.sync_all())
    }

    /// Makes durable what one segment holds besides records: its length and its zeros.
    pub(super) fn sync_room(&self, file: &dyn DiskFile) -> Result<(), LogError> {
        let _syncing = self.syncing.lock();
        self.check()?;
        file.fdatasync().map_err(|error| self.fail_sync(&error))
    }

    /// Makes the folder's names durable.
    pub(super) fn sync_folder(&self) -> Result<(), LogError> {
        let _syncing = self.syncing.lock();
        self.check()?;
        self.folder_durable()
    }

    /// Fails for good when the segment that is being written has lost its name: a start would not find its records.
    pub(super) fn check_linked(&self) -> Result<(), LogError> {
        let current = Arc::clone(&self.unsynced.lock().current);
        self.linked(&*current)
    }

    fn sync_all(&self) -> Result<(), LogError> {
        self.check()?;
        let (sealed, current, folder) = {
            let mut unsynced = self.unsynced.lock();
            let sealed = std::mem::take(&mut unsynced.sealed);
            (sealed, Arc::clone(&unsynced.current), std::mem::take(&mut unsynced.folder))
        };
        let done = self.make_durable(&sealed, &current, folder);
        if done.as_ref().is_err_and(|error| !error.is_final()) {
            let mut unsynced = self.unsynced.lock();
            unsynced.sealed.splice(..0, sealed);
            unsynced.folder |= folder;
        }
        done
    }

    /// The newest sealed segment is synced last, together with its second mark. After that all records are durable. The
    /// second marks of the earlier sealed segments are written then, and become durable some time later.
    fn make_durable(
        &self,
        sealed: &[Sealed],
        current: &Arc<dyn DiskFile>,
        folder: bool,
    ) -> Result<(), LogError> {
        let (newest, earlier) = match sealed.split_last() {
            Some((newest, earlier)) => (Some(newest), earlier),
            None => (None, sealed),
        };
        let files: Vec<&dyn DiskFile> =
            std::iter::once(&**current).chain(earlier.iter().map(|sealed| &*sealed.file)).collect();
        together(&files, self.threads).map_err(|error| self.fail_sync(&error))?;
        self.linked(&**current)?;
        if folder {
            self.folder_durable()?;
        }
        let Some(newest) = newest else { return Ok(()) };
        self.mark(newest)?;
        newest.file.fdatasync().map_err(|error| self.fail_sync(&error))?;
        for sealed in earlier {
            // All records are durable already. Without this mark a start may not notice that the next segment is
            // missing.
            self.mark(sealed).or_else(|error| if error.is_final() { Err(error) } else { Ok(()) })?;
        }
        Ok(())
    }

    /// Marks that what follows a sealed segment is durable.
    fn mark(&self, sealed: &Sealed) -> Result<(), LogError> {
        let done = sealed.file.write_at(&sealed.marks.encode(Next::Durable), sealed.end);
        done.map_err(|error| {
            let error = LogError::refused("write of a mark in", &self.dir, &error);
            if error.is_final() { self.fail(error) } else { error }
        })
    }

    fn folder_durable(&self) -> Result<(), LogError> {
        let failed = |error: io::Error| self.fail(LogError::io("fsync", &self.dir, &error));
        self.folder.fsync().map_err(failed)
    }

    fn linked(&self, file: &dyn DiskFile) -> Result<(), LogError> {
        // An error of `is_linked` itself is passed over, because the sync that follows reports what is wrong.
        if file.is_linked().unwrap_or(true) {
            return Ok(());
        }
        let what = format!("the segment that is being written in {}", self.dir.display());
        Err(self.fail(LogError::Failed { what, cause: "it was deleted".to_owned() }))
    }

    fn fail_sync(&self, error: &io::Error) -> LogError {
        self.fail(LogError::io("fdatasync of a segment in", &self.dir, error))
    }

    /// Keeps the first failure and returns it.
    pub(super) fn fail(&self, error: LogError) -> LogError {
        self.failure.get_or_init(|| error.into_final()).clone()
    }
}

/// Syncs all files, several at the same time, and returns the first error. Every file is synced even so.
fn together(files: &[&dyn DiskFile], threads: usize) -> io::Result<()> {
    if let [only] = files {
        return only.fdatasync();
    }
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(Ok(()));
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = file.fdatasync() {
                let mut failure = failure.lock();
                if failure.is_ok() {
                    *failure = Err(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(files.len()) {
            // Where no thread can be had, this one does its part.
            let _ = std::thread::Builder::new().name("sync".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    failure.into_inner()
}
