//! Reads records across segments, while the log is being written.

use super::Shared;
use super::scan::{Filled, SegmentScan};
use crate::log::{LogError, LogReader, Lsn, RecordRun};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A reader of the log's records.
#[derive(Debug)]
pub(super) struct FileReader {
    shared: Arc<Shared>,
    /// The next LSN to give out.
    next: Lsn,
    scan: Option<SegmentScan>,
}

impl FileReader {
    pub(super) fn new(shared: Arc<Shared>, from: Lsn) -> Result<Self, LogError> {
        let first = shared.first();
        if from < first {
            return Err(LogError::Trimmed { asked: from, first });
        }
        Ok(Self { shared, next: from, scan: None })
    }

    /// The scan to read on from. If there is none, it opens the segment that holds the next LSN.
    fn scan(&mut self) -> Result<&mut SegmentScan, LogError> {
        let scan = if let Some(scan) = self.scan.take() {
            scan
        } else {
            let (shared, first) = (&self.shared, self.shared.segment_of(self.next));
            let bytes = shared.options.piece_bytes;
            // Records before the next LSN are not needed, so they may be damaged.
            SegmentScan::open_from(&*shared.disk, &shared.dir, first, bytes, shared.id, self.next)?
        };
        // The records before the first segment may exist only in a checkpoint.
        self.next = self.next.max(scan.header.first);
        Ok(self.scan.insert(scan))
    }

    fn open(&self, first: Lsn) -> Result<SegmentScan, LogError> {
        let shared = &self.shared;
        let scan = SegmentScan::open(&*shared.disk, &shared.dir, first, shared.options.piece_bytes)?;
        scan.check_log(shared.id)?;
        Ok(scan)
    }

    /// Moves to the segment behind a finished one, if it continues it.
    fn advance(&mut self) -> Result<(), LogError> {
        let Some(done) = self.scan.take() else { return Ok(()) };
        let corrupt = |what: String| LogError::Corrupt {
            file: done.path.display().to_string(),
            offset: done.offset,
            what,
        };
        let Some(first) = self.shared.segment_after(done.header.first) else {
            return Err(corrupt(format!("the record with LSN {} is missing", done.cursor.next)));
        };
        let scan = self.open(first)?;
        if scan.header.last_before != done.cursor.next - 1 || scan.header.chain != done.cursor.chain {
            let what = format!(
                "the record with LSN {} is missing; the next segment continues after LSN {}",
                done.cursor.next, scan.header.last_before
            );
            return Err(corrupt(what));
        }
        self.next = self.next.max(scan.header.first);
        self.scan = Some(scan);
        Ok(())
    }
}

impl LogReader for FileReader {
    fn next_piece(&mut self, piece: &mut RecordRun) -> Result<bool, LogError> {
        piece.clear();
        // Pairs with the store after the write: bytes of records up to `limit` are in the file.
        let limit = self.shared.tail.load(Ordering::Acquire);
        while self.next <= limit {
            self.scan()?;
            let from = self.next;
            let Some(scan) = self.scan.as_mut().filter(|_| from <= limit) else { break };
            match scan.fill(piece, from, limit)? {
                Filled::Piece => {
                    self.next = piece.last + 1;
                    return Ok(true);
                }
                Filled::End => self.advance()?,
                Filled::Bad(what) => {
                    let (file, offset) = (scan.path.display().to_string(), scan.offset);
                    // Bytes behind a segment's last record are harmless if the next segment continues it: then no
                    // record is missing.
                    self.advance().map_err(|error| match error {
                        LogError::Corrupt { .. } => LogError::Corrupt { file, offset, what },
                        other => other,
                    })?;
                }
            }
        }
        Ok(false)
    }
}
