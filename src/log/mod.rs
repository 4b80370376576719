//! The append-only log: opaque batches of bytes with positions, and checkpoints of opaque chunks.
//!
//! This room does not know what a record means. It promises this:
//!
//! - [`Log::append`] copies bytes under a short lock and never waits for the disk. Callers call [`Log::reserve`] first,
//!   before they take any lock.
//! - [`Log::write_out`] hands what was appended to the system, [`Log::sync`] makes it durable; many callers share one
//!   write and one sync.
//! - The first failed sync is final, and so is a write that failed because something broke. A write that lacks room or
//!   descriptors is tried again, and new writes are refused meanwhile ([`LogError::is_final`]).
//! - [`Log::open`] either finds all records that [`Log::sync`] covered, in order and unchanged, or refuses to open.
//!
//! `place.rs`, `store.rs`, `submit.rs` and `checkpoint/store.rs` are the traits for places other than a folder: the
//! place of log and checkpoints, a store that keeps records at once, one that answers later, and a store of
//! checkpoints. `file_log/` and `checkpoint/folder.rs` keep them in files, `simulated/` is a log service in memory for
//! tests and benches. `frame.rs`, `segment.rs`, `mark.rs` and `manifest.rs` own the format (drawn there and in
//! docs/log-format.md). `front.rs`, `open.rs`, `buffers.rs`, `commit.rs` and `reserve.rs` are the group commit,
//! `submitted/` is the part of it for a store that answers later.

mod buffers;
pub mod check;
pub mod checkpoint;
mod commit;
mod cursor;
mod error;
mod figures;
mod file_log;
mod frame;
mod front;
mod manifest;
mod mark;
mod open;
mod options;
mod place;
mod read_ahead;
mod reserve;
mod scrub;
mod segment;
pub mod simulated;
mod store;
mod submit;
mod submitted;
mod tail;
#[cfg(test)]
mod tests;

pub use error::LogError;
pub use figures::{LogStats, SubmitStats};
pub use file_log::{FileLog, FolderPlace};
pub use frame::LogId;
pub use front::Log;
pub use options::{LogOptions, SubmitOptions};
pub use place::{Begun, LogPlace, OpenReport, TornEnd};
pub use read_ahead::ReadAhead;
pub use scrub::{ScrubReport, scrub};
pub use segment::{FORMAT_VERSION, HeaderFault, SegmentSummary, parse_segment};
pub use store::{LogReader, LogStore, Record, RecordBatch, RecordRun, Records, Room, StoreStats};
pub use submit::{BatchObserver, News, Submission, Submit};
pub use tail::Tail;

/// A log sequence number: 1 for a log's first record, one more for each record after it. 0 stands before all.
pub type Lsn = u64;
