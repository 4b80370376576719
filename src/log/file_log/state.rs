//! The parts of a log in files. `writer.rs` and `room.rs` hold what it does.
//!
//! Locks, in the order in which they may be taken: `active`, `preparing`, then one of the short ones (`prepared`,
//! `Shared::segments`). The syncer's locks come after all but these short ones. `manifest` is never held together with
//! `active`.

use super::Shared;
use super::syncer::Syncer;
use super::take_over::TakeOver;
use crate::env::{DiskFile, FolderLock};
use crate::log::manifest::Manifest;
use crate::log::{LogError, Lsn};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// A log in the files of one folder, of which `docs/log-format.md` draws the bytes.
#[derive(Debug)]
pub struct FileLog {
    pub(super) shared: Arc<Shared>,
    #[allow(dead_code, reason = "the folder is locked as long as this lives")]
    pub(super) lock: Box<dyn FolderLock>,
    pub(super) manifest: Mutex<Manifest>,
    pub(super) epoch: AtomicU64,
    pub(super) active: Mutex<Active>,
    pub(super) syncer: Syncer,
    /// Held while the next segment's file is prepared.
    pub(super) preparing: Mutex<()>,
    pub(super) prepared: Mutex<Option<NextFile>>,
    /// Numbers the names of new files.
    pub(super) names: AtomicU64,
    pub(super) frequent_syncs: AtomicBool,
    /// Room for what is in flight could not be secured when it was last tried.
    pub(super) short: AtomicBool,
    /// Why it could not be.
    pub(super) shortage: Mutex<Option<LogError>>,
    /// What must be done before the log may be written; `None` once it is done.
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
    /// The next segment's file, if an error that may pass interrupted the attempt to begin it.
    pub(super) next: Option<NextFile>,
}

/// A file that becomes the next segment. Only this value knows its name.
#[derive(Debug)]
pub(super) struct NextFile {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    /// Room is secured up to this offset.
    pub(super) allocated: u64,
    /// It has got its segment's header and name.
    pub(super) named: bool,
}
