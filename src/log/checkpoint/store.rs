//! The seam: what a place that keeps checkpoints must offer. It is a small store of blobs with names.
//!
//! The first implementation is files in a folder ([`super::CheckpointFolder`]); an object store is to be the second.
//! Nothing above this trait may assume files. What the bytes mean, which checkpoints are sound and which are kept is
//! decided above it, the same wherever they lie.

use crate::log::LogError;
use std::fmt::Debug;
use std::sync::Arc;

/// A place that keeps the checkpoints of one log, as the writer of one epoch sees it.
///
/// One writer writes at a time. Where others are not kept out by a lock the place refuses those of former epochs, and
/// those that may not write any more: nothing is begun, named or removed for them, and the error says so
/// ([`LogError::is_superseded`]). A place compares the epoch and carries the call out as one step, for a writer may be
/// superseded at any time and learn of it late.
pub trait CheckpointStore: Debug + Send + Sync {
    /// The checkpoints that are there under their names, in any order; none that is not finished.
    fn list(&self) -> Result<Vec<Stored>, LogError>;

    /// Opens one of them to be read.
    fn open(&self, name: &str) -> Result<Arc<dyn Blob>, LogError>;

    /// Begins one that is to be called `name`. Nobody finds it before [`BlobWriter::finish`]. What two writers begin
    /// under one name are two blobs.
    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter + '_>, LogError>;

    /// Removes finished ones, durably. After an error some may be gone.
    fn remove(&self, names: &[&str]) -> Result<(), LogError>;

    /// Whether it lies in the log's own folder. Then the log makes its names durable, after [`BlobWriter::finish`] and
    /// [`CheckpointStore::remove`]: a folder tells a failure once, and it may have been about a segment's name.
    fn is_named_by_log(&self) -> bool {
        false
    }

    /// Removes what writers left behind that neither finished nor were dropped. Not to be called while one writes.
    fn remove_unfinished(&self) -> Result<(), LogError>;
}

/// What a list tells of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// A blob, open to be read by several threads at once. Its bytes do not change. One that is removed meanwhile may go on
/// being readable or not.
pub trait Blob: Debug + Send + Sync {
    /// Where it lies, for error messages: a file's path, say.
    fn place(&self) -> String;

    /// Its length in bytes.
    fn size(&self) -> Result<u64, LogError>;

    /// Reads up to `bytes.len()` bytes at `offset`; fewer only at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, LogError>;
}

/// A blob that is being written, from its beginning to its end. Dropped before it was finished it leaves nothing that
/// is found again.
pub trait BlobWriter: Debug + Send {
    /// Appends bytes. As a rule they come in pieces of some hundred KB, and a large chunk in one piece.
    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError>;

    /// Makes everything durable and opens it to be read back, before it has its name. Nothing is written afterwards.
    fn seal(&mut self) -> Result<Arc<dyn Blob>, LogError>;

    /// Gives the blob, which was sealed, its name, durably and atomically: from then on it is found, and whole.
    ///
    /// # Errors
    /// It may have got its name, durably or not, or not have got it. For a superseded writer it has not.
    fn finish(self: Box<Self>) -> Result<(), LogError>;
}
