//! What the service keeps, and which batches it takes.

use crate::log::cursor::Cursor;
use crate::log::frame::{FRAME_HEADER, FrameHeader, LogId, Step};
use crate::log::store::{RecordRun, StoreStats};
use crate::log::submit::{News, Submission};
use crate::log::tail::Tail;
use crate::log::{LogError, Lsn};
use bytes::Bytes;
use std::collections::VecDeque;

/// A batch that is kept.
#[derive(Debug)]
struct Stored {
    first: Lsn,
    last: Lsn,
    bytes: Bytes,
}

/// The log as it is kept.
#[derive(Debug)]
pub(super) struct KeptLog {
    id: LogId,
    batches: VecDeque<Stored>,
    /// With the epoch in force.
    tail: Tail,
    /// The first LSN that can be read.
    first: Lsn,
    bytes: u64,
    /// Whether the last writer ended in order, and no writer has begun since.
    closed: bool,
    /// Epochs up to this one have lost the leadership, for this reason.
    deposed: (u64, String),
}

impl KeptLog {
    pub(super) fn new(id: LogId) -> Self {
        let tail = Tail { epoch: 0, lsn: 0, chain: 0 };
        Self {
            id,
            batches: VecDeque::new(),
            tail,
            first: 1,
            bytes: 0,
            closed: false,
            deposed: (0, String::new()),
        }
    }

    pub(super) fn id(&self) -> LogId {
        self.id
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// Begins a new epoch.
    pub(super) fn begin_epoch(&mut self) -> Tail {
        self.tail.epoch += 1;
        self.closed = false;
        self.tail
    }

    /// Takes the leadership away from the epoch in force, which is returned.
    pub(super) fn depose(&mut self, why: &str) -> u64 {
        self.deposed = (self.tail.epoch, why.to_owned());
        self.tail.epoch
    }

    /// Why a writer may not write.
    pub(super) fn check(&self, epoch: u64) -> Result<(), LogError> {
        let current = self.tail.epoch;
        if epoch != current {
            return Err(LogError::Fenced { epoch, current });
        }
        let (deposed, why) = &self.deposed;
        if epoch <= *deposed { Err(LogError::LeadershipLost { why: why.clone() }) } else { Ok(()) }
    }

    /// Keeps a batch, or says why not.
    pub(super) fn keep(&mut self, epoch: u64, batch: &Submission) -> News {
        match self.check(epoch) {
            Ok(()) => {}
            Err(LogError::LeadershipLost { why }) => return News::LeadershipLost { why },
            Err(_) => return News::Fenced { by: self.tail.epoch },
        }
        if batch.expected_tail != self.tail.lsn || !self.continues(batch) {
            return News::Rejected(batch.expected_tail);
        }
        self.bytes += batch.bytes.len() as u64;
        let (first, last) = (batch.expected_tail + 1, batch.last);
        self.batches.push_back(Stored { first, last, bytes: batch.bytes.clone() });
        (self.tail.lsn, self.tail.chain) = (last, batch.chain);
        News::Durable(last)
    }

    /// Whether a batch holds the records that it says, each behind the one before.
    fn continues(&self, batch: &Submission) -> bool {
        let mut cursor = Cursor { key: self.id.key(), next: self.tail.lsn + 1, chain: self.tail.chain };
        let mut rest = &batch.bytes[..];
        while let Step::Record(header) = cursor.step(rest) {
            rest = rest.get(header.frame_len() as usize..).unwrap_or_default();
        }
        rest.is_empty() && (cursor.next, cursor.chain) == (batch.last + 1, batch.chain)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn first(&self) -> Lsn {
        self.first
    }

    /// Drops batches whose records are all at or before `upto`; returns their bytes.
    pub(super) fn trim_to(&mut self, upto: Lsn) -> u64 {
        let before = self.bytes;
        while let Some(old) = self.batches.pop_front_if(|batch| batch.last <= upto) {
            self.bytes -= old.bytes.len() as u64;
            self.first = old.last + 1;
        }
        before - self.bytes
    }

    /// Copies records from LSN `from` on into a piece, about `most` bytes; false if there are none.
    pub(super) fn read(&self, from: Lsn, most: usize, piece: &mut RecordRun) -> Result<bool, LogError> {
        piece.clear();
        if from < self.first {
            return Err(LogError::Trimmed { asked: from, first: self.first });
        }
        let at = self.batches.partition_point(|batch| batch.last < from);
        piece.bytes.clear();
        for batch in self.batches.range(at..) {
            if !piece.bytes.is_empty() && piece.bytes.len() + batch.bytes.len() > most {
                break;
            }
            let skipped = if batch.first < from { offset_of(&batch.bytes, from) } else { 0 };
            piece.bytes.extend_from_slice(batch.bytes.get(skipped..).unwrap_or_default());
            piece.last = batch.last;
        }
        piece.end = piece.bytes.len();
        Ok(piece.end > 0)
    }

    pub(super) fn stats(&self) -> StoreStats {
        let segments = self.batches.len() as u64;
        StoreStats { segments, bytes: self.bytes, first: self.first, last: self.tail.lsn }
    }
}

/// Where the record with an LSN begins.
fn offset_of(bytes: &[u8], lsn: Lsn) -> usize {
    let mut at = 0;
    while let Some(header) = bytes.get(at..).and_then(FrameHeader::decode).filter(|header| header.lsn < lsn) {
        at += FRAME_HEADER + header.len as usize;
    }
    at
}
