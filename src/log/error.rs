//! What can go wrong in the log.

use super::Lsn;
use crate::env::wants_resource;
use std::io;
use std::path::Path;

/// The log's errors. They are cheap to clone, because every call after the first failed write or sync returns that
/// error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A sync failed, or a write that will not succeed later. The log writes nothing until a restart. The call is not
    /// tried again, because a second sync may succeed although the bytes are lost.
    #[error("the log refuses writes until a restart, because {what} failed: {cause}")]
    Failed {
        /// The call that failed.
        what: String,
        /// The system's words for the error.
        cause: String,
    },
    /// The disk has too little room left. Nothing was written; writes are accepted again when there is room.
    #[error(
        "the disk is full: {free} bytes are free, {keep} of them are kept in reserve, {wanted} are wanted"
    )]
    DiskFull {
        /// Bytes free on the file system.
        free: u64,
        /// Bytes of them that the log keeps in reserve.
        keep: u64,
        /// Bytes that were asked for.
        wanted: u64,
    },
    /// Writes lack something other than room for now: descriptors, a folder that can be measured, a permission. Nothing
    /// was lost; writes are accepted again once it is there.
    #[error("writes are refused for now, because {what} failed: {cause}")]
    Unavailable {
        /// The call and the file.
        what: String,
        /// The system's words for the error.
        cause: String,
        /// True when the cause is that the disk has no room left.
        full: bool,
    },
    /// One record would be larger than the format allows.
    #[error("a record of {bytes} bytes is above log-max-record-size ({limit} bytes)")]
    TooLarge {
        /// The record's size.
        bytes: u64,
        /// The largest payload.
        limit: u64,
    },
    /// The system refused something other than a write of records.
    #[error("{what}: {cause}")]
    Io {
        /// The call and the file.
        what: String,
        /// The system's words for the error.
        cause: String,
        /// True when the cause is that the disk has no room left.
        full: bool,
    },
    /// Another process works in the folder.
    #[error("{dir} is in use by another process, which holds its lock")]
    Locked {
        /// The folder.
        dir: String,
    },
    /// The file was written by a version of the format that this build does not know.
    #[error("{file} has format version {version}, and this build reads version {known}")]
    UnknownVersion {
        /// The file.
        file: String,
        /// The version found.
        version: u32,
        /// The version that this build reads and writes.
        known: u32,
    },
    /// A file belongs to another log.
    #[error("{file} belongs to another log ({found}, where {expected} is expected)")]
    Foreign {
        /// The file.
        file: String,
        /// The log id in the file.
        found: String,
        /// The log id of this log.
        expected: String,
    },
    /// Bytes that had been durable, or that are followed by valid records, cannot be read.
    #[error("{file} is damaged at offset {offset}: {what}")]
    Corrupt {
        /// The file.
        file: String,
        /// The first byte that cannot be read.
        offset: u64,
        /// What was found there.
        what: String,
    },
    /// A segment that must exist is not there.
    #[error("{dir}: the segment with the records after LSN {after} is missing ({what})")]
    MissingSegment {
        /// The folder.
        dir: String,
        /// The last LSN before the gap.
        after: Lsn,
        /// How it was noticed.
        what: String,
    },
    /// A newer epoch was established: this writer must stop.
    #[error("epoch {epoch} was fenced by epoch {current}")]
    Fenced {
        /// The epoch of the caller.
        epoch: u64,
        /// The epoch now in force.
        current: u64,
    },
    /// This writer may not write any more.
    #[error("this server may not write to the log any more: {why}")]
    LeadershipLost {
        /// Why, in the words of the store.
        why: String,
    },
    /// The log does not end where the caller expected.
    #[error("the log ends at LSN {actual}, not at {expected}")]
    TailMoved {
        /// Where the caller expected the end.
        expected: Lsn,
        /// Where the log ends.
        actual: Lsn,
    },
    /// The caller asked for records that have been trimmed.
    #[error("the log begins at LSN {first}; records from {asked} were asked for")]
    Trimmed {
        /// The first LSN asked for.
        asked: Lsn,
        /// The first LSN there is.
        first: Lsn,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// The error for a failed call that is not a write of records.
    pub(super) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::Io {
            what: format!("{what} {}", path.display()),
            cause: cause_of(error),
            full: matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
        }
    }

    /// The error for a failed call that may be tried again if its cause may pass.
    pub(super) fn refused(what: &str, path: &Path, error: &io::Error) -> Self {
        let refused = Self::io(what, path, error);
        if wants_resource(error) { refused.into_passing() } else { refused }
    }

    /// True for an error after which this log never accepts a write again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Closed) || self.is_superseded()
    }

    /// True when this writer has lost the log: another one has taken it over, or this one may not write any more.
    pub fn is_superseded(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::LeadershipLost { .. } | Self::TailMoved { .. })
    }

    /// True for a refusal of writes that ends by itself when its cause is gone.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::DiskFull { .. })
    }

    /// True when the cause is that the disk has no room left.
    pub fn is_full(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { .. } | Self::Io { full: true, .. } | Self::Unavailable { full: true, .. }
        )
    }

    /// The error for a call that will be tried again.
    pub(super) fn into_passing(self) -> Self {
        match self {
            Self::Io { what, cause, full } => Self::Unavailable { what, cause, full },
            other => other,
        }
    }

    /// The system's words for the error ("No space left on device"), or the whole text where there are none.
    pub fn cause(&self) -> String {
        match self {
            Self::Failed { cause, .. } | Self::Io { cause, .. } | Self::Unavailable { cause, .. } => {
                cause.clone()
            }
            Self::DiskFull { .. } => "No space left on device".to_owned(),
            other => other.to_string(),
        }
    }

    /// The final error that a failed write or sync of records leaves.
    pub(super) fn into_final(self) -> Self {
        match self {
            Self::Io { what, cause, .. } | Self::Unavailable { what, cause, .. } => {
                Self::Failed { what, cause }
            }
            last if last.is_final() => last,
            other => Self::Failed { what: "an append".to_owned(), cause: other.to_string() },
        }
    }
}

/// The system's words without the number that std appends.
fn cause_of(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
