//! Where a log and its checkpoints are kept, and what opening the log finds.

use super::checkpoint::CheckpointStore;
use super::store::LogStore;
use super::{LogError, LogId, LogOptions, Lsn};
use crate::env::Clock;
use std::fmt::Debug;
use std::sync::Arc;

/// Where a log and its checkpoints are kept. The engine opens the log and finds its checkpoints only through this
/// trait, and does not know whether they are files.
///
/// The first implementation is a folder ([`super::FolderPlace`]).
pub trait LogPlace: Debug + Send + Sync {
    /// Keeps other writers out from now on, as far as the place can, and reads nothing. Without it [`look`](Self::look)
    /// claims the place.
    ///
    /// # Errors
    /// Somebody else uses the place.
    fn claim(&self) -> Result<(), LogError> {
        Ok(())
    }

    /// Opens the log to be read. It may create the place and changes nothing else. The store keeps other writers out as
    /// far as the place can. [`LogStore::establish_epoch`] makes the cuts and removals that the report lists.
    ///
    /// # Errors
    /// Damage that cannot be a torn end is refused, and so is a log that another process uses.
    fn look(&self, clock: &Clock, options: LogOptions) -> Result<(Arc<dyn LogStore>, OpenReport), LogError>;

    /// The checkpoints of the log with this identity, for the writer of an epoch. Epoch 0 stands for a process that
    /// only reads. The call itself does not access the place.
    fn checkpoints(&self, id: LogId, epoch: u64) -> Arc<dyn CheckpointStore>;
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The log was created.
    pub created: bool,
    /// The former writer closed the log in order.
    pub closed_in_order: bool,
    /// The system or the mount has changed, so what the former writer did not sync may be lost. Always false in a place
    /// that keeps all that it has accepted.
    pub restarted: bool,
    /// Segments there are; 0 in a place that has none.
    pub segments: usize,
    /// The first LSN that can be read.
    pub first: Lsn,
    /// The last LSN; 0 in an empty log.
    pub tail: Lsn,
    /// What was cut off at the end, if anything. Only files have a torn end.
    pub cut: Option<TornEnd>,
    /// Files that are removed because an interrupted step left them.
    pub removed: Vec<String>,
    /// The checkpoint from which a new log continues, because the place held only checkpoints.
    pub begun_from: Option<Begun>,
}

/// The checkpoint with which a log begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The checkpoint's name.
    pub name: String,
    /// Every record up to this LSN is in it.
    pub start: Lsn,
    /// Parts of it show records up to this LSN.
    pub last: Lsn,
}

impl std::fmt::Display for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, start, last } = self;
        write!(f, "the folder holds checkpoints without a log: a new log goes on from {name}")?;
        if last > start {
            write!(
                f,
                "; its parts were read between LSN {start} and {last}, so of a transaction of that time a part may be missing"
            )?;
        }
        Ok(())
    }
}

/// A torn end that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornEnd {
    /// The file in which the valid records end.
    pub file: String,
    /// The offset at which it was cut.
    pub offset: u64,
    /// The LSN that the first record cut off had or would have had.
    pub lsn: Lsn,
    /// Bytes cut off, later segments included; secured room is not counted.
    pub bytes: u64,
    /// Valid records among them. They were never durable; they cannot be kept because one before them is missing.
    pub records: u64,
    /// What was found there.
    pub what: String,
}

impl std::fmt::Display for TornEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, offset, lsn, bytes, records, what } = self;
        let last = lsn - 1;
        write!(
            f,
            "{file} at offset {offset}: the log ends after LSN {last}; {bytes} bytes with {records} valid records were \
             dropped ({what})"
        )
    }
}
