//! Checkpoints: files of opaque chunks from which the state can be built without the old log.
//!
//! A checkpoint begins at its *start LSN*: every record up to it is reflected in the chunks. A chunk was read from its
//! shard at the chunk's LSN, which may be later; records after the start LSN are replayed, and for each shard
//! only those after its chunk's LSN apply.
//!
//! A checkpoint is written under a temporary name, synced, read back, and renamed; then the folder is synced. Two are
//! kept, and the log from the older one's start LSN on, so that a damaged one costs nothing but time. No checkpoint
//! reflects a record that is not durable in the log.
//!
//! `format.rs` owns the layout, `writer.rs` writes, `reader.rs` reads in parallel, `folder.rs` keeps the files.

mod folder;
mod format;
mod reader;
mod writer;

pub use folder::{Checkpoints, DamagedCheckpoint, Latest};
pub use format::CheckpointInfo;
pub use reader::{Checkpoint, Chunk, ReadError};
pub use writer::CheckpointWriter;

pub(super) use folder::{id_of, last_lsn, list, newest_sound};
pub(super) use format::is_temporary;
