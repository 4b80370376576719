//! The seam: what a place that keeps checkpoints must offer. It is a small store of blobs with names.
//!
//! The first implementation is files in a folder ([`super::CheckpointFolder`]); an object store is to be the second.
//! Nothing above this trait may assume files. The code above it decides what the bytes mean, which checkpoints are
//! sound and which are kept, in the same way for every place.

use crate::log::LogError;
use std::fmt::Debug;
use std::sync::Arc;

/// A place that keeps the checkpoints of one log, as the writer of one epoch sees it.
///
/// One writer writes at a time. A place without a lock refuses writers of former epochs, and writers that may not write
/// any more: it begins, names and removes nothing for them, and the error says so ([`LogError::is_superseded`]). A
/// place compares the epoch and carries the call out as one step, because a writer may be superseded at any time and
/// notice it late.
pub trait CheckpointStore: Debug + Send + Sync {
    /// The finished checkpoints, in any order.
    fn list(&self) -> Result<Vec<Stored>, LogError>;

    /// Opens one of them to be read.
    fn open(&self, name: &str) -> Result<Arc<dyn Blob>, LogError>;

    /// Begins a checkpoint that will be called `name`. It is not found before [`BlobWriter::finish`]. Two writers that
    /// begin the same name write two separate blobs.
    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter + '_>, LogError>;

    /// Removes finished checkpoints, durably. After an error some of them may be gone.
    fn remove(&self, names: &[&str]) -> Result<(), LogError>;

    /// Whether the checkpoints lie in the log's own folder. Then the log syncs the folder after [`BlobWriter::finish`]
    /// and [`CheckpointStore::remove`]: the system reports a failed sync of a folder once, and the failure may concern
    /// a segment's name.
    fn is_named_by_log(&self) -> bool {
        false
    }

    /// Removes the remains of writers that were neither finished nor dropped. Not to be called while a checkpoint is
    /// written.
    fn remove_unfinished(&self) -> Result<(), LogError>;
}

/// What [`CheckpointStore::list`] says of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// A blob, open to be read by several threads at once. Its bytes do not change. After it is removed it may or may not
/// still be readable.
pub trait Blob: Debug + Send + Sync {
    /// Where it lies, for error messages: a file's path, say.
    fn place(&self) -> String;

    /// Its length in bytes.
    fn size(&self) -> Result<u64, LogError>;

    /// Reads up to `bytes.len()` bytes at `offset`; fewer only at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, LogError>;
}

/// A blob that is being written, from its beginning to its end. If it is dropped before it is finished,
/// [`CheckpointStore::list`] never shows it.
pub trait BlobWriter: Debug + Send {
    /// Appends bytes. As a rule they come in pieces of some hundred KB, and a large chunk in one piece.
    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError>;

    /// Makes everything durable and opens the blob to be read back, before it has its name. Nothing may be written
    /// afterwards.
    fn seal(&mut self) -> Result<Arc<dyn Blob>, LogError>;

    /// Gives the sealed blob its name, durably and atomically: from then on it is found, and it is whole.
    ///
    /// # Errors
    /// After an error the blob may or may not have its name, durably or not. A superseded writer's blob does not have
    /// it.
    fn finish(self: Box<Self>) -> Result<(), LogError>;
}
