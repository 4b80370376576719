//! Records that were appended and not yet given to the store, and records that the store has and has not made durable.

use super::Lsn;
use super::frame::FRAME_HEADER;
use super::store::{Record, Records};
use super::tail::Tail;
use crate::env::memory::KeptBytes;
use parking_lot::Mutex;
use std::sync::atomic::AtomicU64;

/// Keeps its content on a cache line of its own, so that threads that use different fields do not disturb each other.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Padded<T>(pub(super) T);

/// Frames that were appended and not yet handed to the store.
#[derive(Debug)]
pub(super) struct PendingFrames {
    pub(super) bytes: Vec<u8>,
    pub(super) tail: Lsn,
    pub(super) chain: u32,
}

/// What was taken out of the pending buffer and is being written, and where the store's log ends.
#[derive(Debug)]
pub(super) struct Writer {
    /// Frames from the one behind `tail` up to `last`. Between calls the buffer is empty, unless the last write failed
    /// for want of room or descriptors.
    pub(super) bytes: Vec<u8>,
    pub(super) tail: Lsn,
    pub(super) last: Lsn,
    pub(super) chain: u32,
    /// The room of the pending buffer when it was last empty.
    pub(super) other_room: usize,
    /// What both buffers keep.
    pub(super) kept: KeptBytes,
}

impl Writer {
    pub(super) fn at(tail: Tail) -> Self {
        Self {
            bytes: Vec::new(),
            tail: tail.lsn,
            last: tail.lsn,
            chain: tail.chain,
            other_room: 0,
            kept: KeptBytes::default(),
        }
    }

    /// Empties the buffer after it was written, and frees it if it has more room than `most`.
    pub(super) fn clear(&mut self, most: usize) {
        self.bytes.clear();
        if self.bytes.capacity() > most {
            self.bytes = Vec::new();
        }
        self.kept.set(self.bytes.capacity() + self.other_room);
    }

    /// Drops the records up to `kept` from the front; returns their bytes.
    pub(super) fn drop_kept(&mut self, kept: Lsn) -> u64 {
        let len = |record: &Record<'_>| FRAME_HEADER + record.payload.len();
        let records = Records { left: &self.bytes };
        let done: usize = records.take_while(|record| record.lsn <= kept).map(|record| len(&record)).sum();
        self.bytes.drain(..done);
        self.tail = kept;
        done as u64
    }
}

/// When the oldest record was written that is not durable yet. Microseconds of the monotonic clock; 0 when every
/// written record is durable.
#[derive(Debug, Default)]
pub(super) struct WaitingSince {
    /// Held while `written` changes together with one of the two times below.
    pub(super) changing: Mutex<()>,
    /// The oldest record that the next sync covers.
    pub(super) next_sync: AtomicU64,
    /// The oldest record that the running sync covers.
    pub(super) running_sync: AtomicU64,
}
