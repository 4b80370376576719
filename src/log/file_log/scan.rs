//! Reads the frames of one segment in large pieces.

use crate::env::{Access, Disk, DiskFile};
use crate::log::cursor::Cursor;
use crate::log::frame::{FRAME_HEADER, FrameHeader, Step, chain_before, find_alone};
use crate::log::mark::Behind;
use crate::log::segment::{SEGMENT_HEADER, SegmentHeader, segment_name};
use crate::log::{LogError, LogId, Lsn, RecordRun};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A position in a segment, and the file to read on from.
#[derive(Debug)]
pub(in crate::log) struct SegmentScan {
    file: Arc<dyn DiskFile>,
    pub(in crate::log) path: PathBuf,
    pub(in crate::log) header: SegmentHeader,
    /// The offset of the next frame.
    pub(in crate::log) offset: u64,
    pub(in crate::log) cursor: Cursor,
    piece_bytes: usize,
}

/// What a read found.
#[derive(Debug)]
pub(super) enum Filled {
    /// At least one record is in the piece.
    Piece,
    /// No more records: the end of the file, a header of zeros, or the limit.
    End,
    /// Something that is not the next record.
    Bad(String),
}

impl SegmentScan {
    /// Opens the segment whose first LSN is `first` and verifies its header.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        first: Lsn,
        piece_bytes: usize,
    ) -> Result<Self, LogError> {
        let path = dir.join(segment_name(first));
        let file = disk.open(&path, Access::Read).map_err(|error| LogError::io("open", &path, &error))?;
        let mut bytes = [0; SEGMENT_HEADER];
        let got = file.read_at(&mut bytes, 0).map_err(|error| LogError::io("read", &path, &error))?;
        let name = path.display().to_string();
        let header = SegmentHeader::decode(bytes.get(..got).unwrap_or_default())
            .map_err(|fault| SegmentHeader::fault(&name, fault))?;
        if header.first != first {
            let what = format!("the header names LSN {} as the first one", header.first);
            return Err(LogError::Corrupt { file: name, offset: 0, what });
        }
        let (offset, cursor) = (SEGMENT_HEADER as u64, header.cursor());
        Ok(Self { file, path, header, offset, cursor, piece_bytes })
    }

    /// Opens a segment of the log `id`. If its header is damaged, it is still opened when it holds a valid record with
    /// an LSN up to `from`, because the records before `from` are not needed.
    pub(super) fn open_from(
        disk: &dyn Disk,
        dir: &Path,
        first: Lsn,
        piece_bytes: usize,
        id: LogId,
        from: Lsn,
    ) -> Result<Self, LogError> {
        match Self::open(disk, dir, first, piece_bytes) {
            Ok(scan) => scan.check_log(id).map(|()| scan),
            Err(damaged @ LogError::Corrupt { .. }) if first < from => {
                let path = dir.join(segment_name(first));
                let file =
                    disk.open(&path, Access::Read).map_err(|error| LogError::io("open", &path, &error))?;
                let header = SegmentHeader::beginning(id, first, 0);
                let (offset, cursor) = (SEGMENT_HEADER as u64, header.cursor());
                let mut scan = Self { file, path, header, offset, cursor, piece_bytes };
                if scan.resume(0, from)? { Ok(scan) } else { Err(damaged) }
            }
            Err(error) => Err(error),
        }
    }

    /// Moves past damage, at least `skip` bytes ahead: behind the record if only its payload is damaged, otherwise to
    /// the next record up to LSN `upto` that is valid by itself. Returns false, and does not move, if there is none.
    pub(in crate::log) fn resume(&mut self, skip: usize, upto: Lsn) -> Result<bool, LogError> {
        let bytes = self.rest()?;
        let key = self.cursor.key;
        if let Some(header) = FrameHeader::decode(&bytes).filter(|_| skip > 0) {
            let whole = header.follows(&bytes, key, self.cursor.chain) && header.lsn == self.cursor.next;
            if whole && header.frame_len() <= bytes.len() as u64 && header.lsn < upto {
                self.offset += header.frame_len();
                self.cursor.next += 1;
                self.cursor.chain = header.chain;
                return Ok(true);
            }
        }
        // The bytes cannot hold records with greater LSNs, so such a match is chance.
        let end = (self.cursor.next + 2 + (bytes.len() / FRAME_HEADER) as u64).min(upto.saturating_add(1));
        let Some((at, frame)) = find_alone(&bytes, skip, key, &(self.cursor.next..end)) else {
            return Ok(false);
        };
        self.offset += at as u64;
        self.cursor.next = frame.lsn;
        self.cursor.chain = bytes.get(at..).and_then(|rest| chain_before(rest, key)).unwrap_or(0);
        Ok(true)
    }

    /// Fails when the segment belongs to another log.
    pub(super) fn check_log(&self, id: LogId) -> Result<(), LogError> {
        if self.header.id == id {
            return Ok(());
        }
        let file = self.path.display().to_string();
        Err(LogError::Foreign { file, found: self.header.id.to_string(), expected: id.to_string() })
    }

    /// Fills `piece` with the next records from LSN `from` up to `limit`. Damage before `from` is passed over.
    pub(super) fn fill(&mut self, piece: &mut RecordRun, from: Lsn, limit: Lsn) -> Result<Filled, LogError> {
        let mut wanted = self.piece_bytes.max(FRAME_HEADER);
        loop {
            piece.clear();
            if self.cursor.next > limit {
                return Ok(Filled::End);
            }
            if piece.bytes.len() != wanted {
                piece.bytes.resize(wanted, 0);
            }
            let got = self.file.read_at(&mut piece.bytes, self.offset);
            let got = got.map_err(|error| LogError::io("read", &self.path, &error))?;
            let (used, stop) = self.parse(piece, got, from, limit);
            self.offset += used as u64;
            if piece.last != 0 {
                return Ok(Filled::Piece);
            }
            match stop {
                // Only records before `from` were in this piece.
                _ if used > 0 => wanted = self.piece_bytes.max(FRAME_HEADER),
                Step::NeedMore(bytes) if (bytes as usize) > wanted && got == wanted => {
                    wanted = bytes as usize;
                }
                _ if self.cursor.next < from && self.cursor.next <= limit && self.resume(1, from)? => {
                    wanted = self.piece_bytes.max(FRAME_HEADER);
                }
                Step::NeedMore(_) => return Ok(Filled::Bad("the record is incomplete".to_owned())),
                Step::Bad(bad) => return Ok(Filled::Bad(bad.to_string())),
                Step::End | Step::Record(_) => return Ok(Filled::End),
            }
        }
    }

    /// Steps over the records in the piece's first `got` bytes; returns how many bytes they take and what stopped it.
    fn parse(&mut self, piece: &mut RecordRun, got: usize, from: Lsn, limit: Lsn) -> (usize, Step) {
        let RecordRun { bytes, start, end, last } = piece;
        let bytes = bytes.get(..got).unwrap_or_default();
        let mut at = 0;
        let stop = loop {
            if self.cursor.next > limit {
                break Step::End;
            }
            match self.cursor.step(bytes.get(at..).unwrap_or_default()) {
                Step::Record(header) => {
                    at += FRAME_HEADER + header.len as usize;
                    if header.lsn < from {
                        *start = at;
                    } else {
                        *last = header.lsn;
                    }
                }
                other => break other,
            }
        };
        *end = at;
        (at, stop)
    }

    /// Reads what follows the last record. The scan must have ended there.
    pub(super) fn behind(&self) -> Result<Behind, LogError> {
        Ok(Behind::read(&self.rest()?, &self.cursor))
    }

    /// All bytes from the current offset on.
    fn rest(&self) -> Result<Vec<u8>, LogError> {
        let failed = |error| LogError::io("read", &self.path, &error);
        let len = self.file.len().map_err(failed)?;
        let mut bytes = vec![0; len.saturating_sub(self.offset) as usize];
        let got = self.file.read_at(&mut bytes, self.offset).map_err(failed)?;
        bytes.truncate(got);
        Ok(bytes)
    }
}

/// The header of the frame at the beginning of `bytes`, which a writer of this process made.
pub(super) fn own_frame(bytes: &[u8]) -> Option<FrameHeader> {
    FrameHeader::decode(bytes)
}
