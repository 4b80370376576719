//! Checkpoints: opaque chunks from which the state can be built without the old log.
//!
//! A checkpoint begins at its *start LSN*: every record up to it is reflected in the chunks. Each chunk shows its shard
//! at the chunk's LSN, which may be later. Recovery replays the records after the start LSN, and applies to a shard
//! only those after its chunk's LSN.
//!
//! A checkpoint is written, made durable and read back before it gets its name. Two are kept, and the log from the
//! older one's start LSN on, so if the newer one is damaged, recovery from the older one loses nothing. No checkpoint
//! reflects a record that is not durable in the log.
//!
//! `format.rs` owns the layout, `store.rs` is the seam for places that keep checkpoints, `folder.rs` keeps them in
//! files. `writer.rs` writes, `reader.rs` reads in parallel, `kept.rs` decides which are used and kept.

mod folder;
mod format;
mod kept;
#[cfg(test)]
pub(crate) mod memory;
mod reader;
mod store;
mod writer;

pub use folder::CheckpointFolder;
pub use format::CheckpointInfo;
pub use kept::{Checkpoints, DamagedCheckpoint, Latest};
pub use reader::{Checkpoint, Chunk, ReadError};
pub use store::{Blob, BlobWriter, CheckpointStore, Stored};
pub use writer::CheckpointWriter;

pub(super) use folder::{id_of, last_lsn, list, newest_sound, open};
pub(super) use format::is_temporary;
