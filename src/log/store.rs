//! The seam: what a place that keeps records must offer.
//!
//! Files in a folder ([`super::FileLog`]) keep records at once, by [`LogStore::append`] and [`LogStore::sync`]. A place
//! that is not on this machine takes batches and tells later that they are durable ([`LogStore::submission`]).
//! Nothing above this trait may assume files. Records reach the store framed (see `frame.rs`), because the frame, its
//! checksums and its chain are the same wherever the bytes lie.

use super::frame::{FRAME_HEADER, FrameHeader, LogId};
use super::submit::Submit;
use super::tail::Tail;
use super::{LogError, Lsn};
use std::fmt::Debug;
use std::sync::Arc;

/// A run of framed records, ready to be kept.
#[derive(Clone, Copy, Debug)]
pub struct RecordBatch<'a> {
    /// The LSN of the first record.
    pub first: Lsn,
    /// The LSN of the last record.
    pub last: Lsn,
    /// The chain of the last record.
    pub chain: u32,
    /// The last LSN known to be durable.
    pub durable: Lsn,
    /// The frames.
    pub bytes: &'a [u8],
}

/// Room for more records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are free beyond what the log has secured for itself.
    pub free: u64,
    /// Why the store failed to secure room for the records in flight when it last tried.
    pub refused: Option<LogError>,
}

/// Figures about the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Segments there are.
    pub segments: u64,
    /// Bytes of all segments: headers, records and secured room.
    pub bytes: u64,
    /// The first LSN that can be read.
    pub first: Lsn,
    /// The last LSN that can be read.
    pub last: Lsn,
}

/// A place that keeps records in order.
pub trait LogStore: Debug + Send + Sync {
    /// The log's identity.
    fn log_id(&self) -> LogId;

    /// Begins a new epoch, durably, and says where its writer continues. Writers of all former epochs are refused from
    /// then on.
    fn establish_epoch(&self) -> Result<Tail, LogError>;

    /// Where the log ends. It is stable only for a writer that has established an epoch.
    fn tail(&self) -> Tail;

    /// The way to submit batches, for a store that answers later; then [`LogStore::append`] and [`LogStore::sync`] are
    /// not called. `None` for a store that keeps records at once.
    fn submission(&self) -> Option<Arc<dyn Submit>> {
        None
    }

    /// Keeps a batch whose first record must follow `expected_tail`, and returns the new tail. It is not yet durable.
    ///
    /// # Errors
    /// After an error the batch may have been kept in part; [`LogStore::tail`] says how far. [`LogError::Unavailable`]
    /// and [`LogError::DiskFull`] say that the rest may be given again. Every other error is final.
    fn append(&self, epoch: u64, expected_tail: Lsn, batch: &RecordBatch<'_>) -> Result<Lsn, LogError>;

    /// Makes everything durable that was appended before the call. It may run beside appends. Errors are as those of
    /// [`LogStore::append`]; after a failed sync every later one fails with the same error.
    fn sync(&self, epoch: u64) -> Result<(), LogError>;

    /// Makes the names of the files beside the records durable. Errors are as those of [`LogStore::sync`], because the
    /// system reports a failed sync of the shared folder only once.
    fn sync_names(&self) -> Result<(), LogError> {
        Ok(())
    }

    /// Records from LSN `from` on. The reader sees the tail move.
    fn read_from(&self, from: Lsn) -> Result<Box<dyn LogReader>, LogError>;

    /// Allows records up to LSN `upto` to be dropped, and returns how many bytes were freed. Never drops the records
    /// after it.
    ///
    /// # Errors
    /// A writer of a former epoch, or one that may not write any more, drops nothing, because another writer needs the
    /// records. Its error is final, as from [`LogStore::append`]. After any other error some records may be gone, and
    /// the call may be tried again.
    fn trim_to(&self, epoch: u64, upto: Lsn) -> Result<u64, LogError>;

    /// How much room there is.
    fn room(&self) -> Result<Room, LogError>;

    /// True when the last attempt to secure room for the records in flight failed. Cheap.
    fn is_short(&self) -> bool {
        false
    }

    /// Says whether a sync follows every append from now on, which decides how room is best secured.
    fn expect_frequent_syncs(&self, frequent: bool);

    /// The store's upkeep: secures room and makes sealed segments durable. To be called about ten times a second.
    fn maintain(&self, epoch: u64) -> Result<(), LogError>;

    /// Notes durably that the log ended in order. The epoch ends.
    fn close(&self, epoch: u64) -> Result<(), LogError>;

    /// Figures for operators.
    fn stats(&self) -> StoreStats;
}

/// Reads records in order.
pub trait LogReader: Send {
    /// Fills `piece` with the next verified records, at most up to the tail at the time of the call. False: there are
    /// none (yet).
    fn next_piece(&mut self, piece: &mut RecordRun) -> Result<bool, LogError>;
}

/// One record, borrowed from a [`RecordRun`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The record's position.
    pub lsn: Lsn,
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// What was appended.
    pub payload: &'a [u8],
}

/// A run of verified records in one buffer. Reuse it for the next read: its memory is kept.
#[derive(Debug, Default)]
pub struct RecordRun {
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) last: Lsn,
}

impl RecordRun {
    /// An empty piece.
    pub fn new() -> Self {
        Self::default()
    }

    /// The LSN of the last record in it; 0 when it is empty.
    pub fn last(&self) -> Lsn {
        self.last
    }

    /// Bytes of the records in it, headers included.
    pub fn byte_len(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// The records, in order, without copying.
    pub fn records(&self) -> Records<'_> {
        Records { left: self.bytes.get(self.start..self.end).unwrap_or_default() }
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end, self.last) = (0, 0, 0);
    }
}

/// Iterates over the records of a [`RecordRun`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    pub(super) left: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let header = FrameHeader::decode(self.left)?;
        let (frame, left) = self.left.split_at_checked(FRAME_HEADER + header.len as usize)?;
        self.left = left;
        Some(Record { lsn: header.lsn, ms: header.ms, payload: &frame[FRAME_HEADER..] })
    }
}
