//! The log in files of one folder.
//!
//! `state.rs` holds its parts. `writer.rs` appends, `room.rs` secures room ahead, `syncer.rs` owns every sync.
//! `open.rs` finds the end of a log that was left behind and changes nothing, `diagnose.rs`, `tail.rs` and `shape.rs`
//! decide what a damaged end means, `take_over.rs` then makes the folder ready to be written. `reader.rs` reads.
//! `place.rs` is the folder with log and checkpoints as the engine knows it.

mod diagnose;
mod open;
mod place;
mod reader;
mod room;
mod scan;
mod shape;
mod state;
mod syncer;
mod tail;
mod take_over;
mod writer;

use super::frame::LogId;
use super::{LogOptions, Lsn};
use crate::env::{Clock, Disk};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use place::FolderPlace;
pub use state::FileLog;

pub(super) use diagnose::{diagnose, leftovers};
pub(super) use open::{begin_from, segments_in};
pub(super) use scan::SegmentScan;
pub(super) use tail::{Place, scan_to_end};

/// What writer and readers share.
#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    clock: Clock,
    options: LogOptions,
    id: LogId,
    /// The first LSNs of all segments, in order; the last one is being written.
    segments: Mutex<Vec<Lsn>>,
    /// A gap whose records are in a checkpoint: the first LSN of the segment behind the gap, and the last LSN before
    /// it.
    bridged: Option<(Lsn, Lsn)>,
    /// The last LSN that was handed to the system.
    tail: AtomicU64,
}

impl Shared {
    /// The first LSN from which the log can be read.
    fn first(&self) -> Lsn {
        let first = self.segments.lock().first().copied().unwrap_or(1);
        self.bridged.filter(|(behind, _)| *behind == first).map_or(first, |(_, before)| before + 1)
    }

    /// The first LSN of the segment that holds `lsn`.
    fn segment_of(&self, lsn: Lsn) -> Lsn {
        let segments = self.segments.lock();
        let behind = segments.partition_point(|first| *first <= lsn);
        segments.get(behind.saturating_sub(1)).copied().unwrap_or(1)
    }

    /// The segment behind the one that begins with `first`.
    fn segment_after(&self, first: Lsn) -> Option<Lsn> {
        let segments = self.segments.lock();
        segments.get(segments.partition_point(|other| *other <= first)).copied()
    }
}
