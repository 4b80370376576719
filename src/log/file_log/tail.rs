//! Where a log that was left behind ends, and what damage there means.
//!
//! A writer that dies, or a machine that loses power, may leave a torn record at the end. Those bytes may be cut if no
//! client can have been told that they were durable. These rules decide it:
//!
//! - Witnesses say which LSN was durable: every record, of the time when it was appended; every segment header; an
//!   orderly close; a trim; every checkpoint. Damage at or before any witnessed LSN is never cut.
//! - A killed process loses nothing that it wrote. So while the system and the mount are still the writer's, a valid
//!   record behind the damage proves that the bytes were once whole: they are never cut.
//! - After a power cut the unsynced sectors reached the disk in any order, so that valid records may follow a torn one.
//!   If no witness speaks against it, the log is cut at the first bad record. Two more things count as witnesses. The
//!   shape of the damage (`shape.rs`): bytes that never reached the disk read as zeros. And time: the system writes
//!   back bytes older than half a minute, synced or not.
//!
//! A checkpoint makes records before its start unnecessary; damage among these is passed over.

use super::scan::{Filled, SegmentScan};
use super::shape;
use crate::env::Disk;
use crate::log::frame::{FRAME_HEADER, find_alone};
use crate::log::mark::Next;
use crate::log::segment::{SEGMENT_HEADER, segment_name};
use crate::log::{LogError, LogId, LogOptions, Lsn, RecordRun};
use std::path::Path;

/// A disk writes each aligned block of this many bytes wholly or not at all.
const SECTOR: usize = 512;
/// The most that the time between two records counts for, so that setting the clock ahead counts for little.
const STEP_MS: u64 = 1000;

/// Where the valid records end.
#[derive(Debug)]
pub(in crate::log) struct Found {
    /// Index of the last segment with a readable header that continues the ones before.
    pub(in crate::log) segment: usize,
    /// The offset behind its last valid record.
    pub(in crate::log) offset: u64,
    pub(in crate::log) tail: Lsn,
    pub(in crate::log) chain: u32,
    /// The offset in the first verified segment up to which the bytes are known to be durable.
    pub(in crate::log) settled: u64,
    pub(in crate::log) damage: Option<Damage>,
    /// What the marks behind the last valid record say of a next segment. It is not there, or cannot be read.
    pub(in crate::log) next: Option<Next>,
}

/// How a segment ends.
#[derive(Debug)]
pub(in crate::log) struct Ended {
    /// What stands behind the last record if it is neither nothing, nor marks, nor zeros.
    pub(in crate::log) what: Option<String>,
    /// What the marks there say of a next segment.
    pub(in crate::log) next: Option<Next>,
    /// It lies where marks are written: a power cut may have torn them.
    pub(in crate::log) torn_marks: bool,
}

/// Something behind the valid records that should not be there.
#[derive(Debug)]
pub(in crate::log) struct Damage {
    /// Index of the segment in which it lies.
    pub(in crate::log) segment: usize,
    pub(in crate::log) offset: u64,
    pub(in crate::log) what: String,
    /// The segment is of an unknown version or of another log, so it must not be cut.
    pub(in crate::log) refuse: Option<LogError>,
}

/// What follows damage.
#[derive(Debug, Default)]
pub(super) struct Followers {
    pub(super) count: u64,
    /// File and offset of the first one.
    pub(super) first: Option<(String, u64)>,
    /// The greatest LSN that one of them says was durable.
    pub(super) durable: Lsn,
    /// Milliseconds from the first one to the last one.
    pub(super) span_ms: u64,
}

/// What the functions here need of the folder.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Place<'a> {
    pub(in crate::log) disk: &'a dyn Disk,
    pub(in crate::log) dir: &'a Path,
    pub(in crate::log) id: LogId,
    pub(in crate::log) options: LogOptions,
}

impl Place<'_> {
    pub(in crate::log) fn open(&self, first: Lsn) -> Result<SegmentScan, LogError> {
        let scan = SegmentScan::open(self.disk, self.dir, first, self.options.piece_bytes)?;
        scan.check_log(self.id)?;
        Ok(scan)
    }

    /// As [`Place::open`], but also opens a segment with a damaged header if only records before `from` are lost by it.
    fn open_from(&self, first: Lsn, from: Lsn) -> Result<SegmentScan, LogError> {
        SegmentScan::open_from(self.disk, self.dir, first, self.options.piece_bytes, self.id, from)
    }

    /// Opens a segment whose header is damaged, at its first record that can be read.
    pub(in crate::log) fn open_headless(&self, first: Lsn) -> Result<Option<SegmentScan>, LogError> {
        match self.open_from(first, Lsn::MAX) {
            Ok(scan) => Ok(Some(scan)),
            Err(LogError::Corrupt { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Whether a segment's header can be read and continues the record with this LSN and chain.
    pub(in crate::log) fn continues(&self, first: Lsn, tail: Lsn, chain: u32) -> bool {
        self.open(first).is_ok_and(|scan| continues(tail, chain, &scan))
    }

    pub(in crate::log) fn file(&self, first: Lsn) -> String {
        self.dir.join(segment_name(first)).display().to_string()
    }
}

/// Verifies the segments from index `begin` on. `segments` are their first LSNs, in order and not empty.
/// The records up to LSN `durable` are known to be durable, and those up to `covered` are not needed.
pub(super) fn find(
    place: Place<'_>,
    segments: &[Lsn],
    begin: usize,
    durable: Lsn,
    covered: Lsn,
) -> Result<Found, LogError> {
    let needed = covered.saturating_add(1);
    let mut found: Option<Found> = None;
    let mut settled = 0;
    for (index, first) in segments.iter().enumerate().skip(begin) {
        let opened = if index == begin { place.open_from(*first, needed) } else { place.open(*first) };
        let mut scan = match opened {
            Ok(scan) => scan,
            Err(error) => return unreadable(found, index, *first, error),
        };
        if let Some(found) = found.as_mut().filter(|found| !continues(found.tail, found.chain, &scan)) {
            let (next, last) = (found.tail + 1, scan.header.last_before);
            let what =
                format!("the record with LSN {next} is missing: the next segment continues after LSN {last}");
            found.damage = Some(Damage { segment: found.segment, offset: found.offset, what, refuse: None });
            break;
        }
        if index == begin && *first <= durable {
            settled = offset_behind(&mut scan, durable, needed)?;
        }
        let Ended { what: stopped, next, torn_marks } = scan_to_end(&mut scan, needed)?;
        let (tail, chain) = (scan.cursor.next - 1, scan.cursor.chain);
        // Bytes behind a segment's last record are harmless if the next segment continues it: then no record is
        // missing. Torn marks show that the next segment was begun, even if it cannot be read; its own damage is judged
        // later.
        let goes_on =
            |first: &Lsn| place.continues(*first, tail, chain) || (torn_marks && *first == tail + 1);
        let stopped = stopped.filter(|_| !segments.get(index + 1).is_some_and(goes_on));
        let damage = stopped.map(|what| Damage { segment: index, offset: scan.offset, what, refuse: None });
        let ended = damage.is_some();
        found = Some(Found { segment: index, offset: scan.offset, tail, chain, settled, damage, next });
        if ended {
            break;
        }
    }
    found.ok_or_else(|| LogError::MissingSegment {
        dir: place.dir.display().to_string(),
        after: 0,
        what: "there is no segment".to_owned(),
    })
}

/// True when the opened segment begins where the one before it ended.
fn continues(tail: Lsn, chain: u32, scan: &SegmentScan) -> bool {
    scan.header.last_before == tail && scan.header.chain == chain
}

/// A segment whose header cannot be read.
fn unreadable(found: Option<Found>, index: usize, first: Lsn, error: LogError) -> Result<Found, LogError> {
    let (offset, what, refuse) = match error {
        LogError::Corrupt { offset, what, .. } => (offset, what, None),
        refuse @ (LogError::UnknownVersion { .. } | LogError::Foreign { .. }) => {
            (0, refuse.to_string(), Some(refuse))
        }
        other => return Err(other),
    };
    // Nothing comes before the first segment, so its name says where the log must continue.
    let nothing =
        Found { segment: index, offset: 0, tail: first - 1, chain: 0, settled: 0, damage: None, next: None };
    let mut found = found.unwrap_or(nothing);
    found.damage = Some(Damage { segment: index, offset, what, refuse });
    Ok(found)
}

/// The offset behind the last record up to LSN `limit`. The records before `needed` may be damaged.
fn offset_behind(scan: &mut SegmentScan, limit: Lsn, needed: Lsn) -> Result<u64, LogError> {
    let mut piece = RecordRun::new();
    while matches!(scan.fill(&mut piece, needed, limit)?, Filled::Piece) {}
    Ok(scan.offset)
}

/// Reads a segment to its end. The records before `needed` may be damaged.
pub(in crate::log) fn scan_to_end(scan: &mut SegmentScan, needed: Lsn) -> Result<Ended, LogError> {
    let mut piece = RecordRun::new();
    let bad = loop {
        match scan.fill(&mut piece, needed, Lsn::MAX)? {
            Filled::Piece => {}
            Filled::Bad(what) => break Some(what),
            Filled::End => break None,
        }
    };
    let behind = scan.behind()?;
    let what = bad.or_else(|| {
        (!behind.clean).then(|| "the bytes behind the last record are neither zeros nor marks".to_owned())
    });
    Ok(Ended { what, next: behind.next, torn_marks: behind.torn_marks })
}

/// Looks for valid records behind the damage, in its segment and in all later ones.
pub(super) fn followers(
    place: Place<'_>,
    segments: &[Lsn],
    tail: Lsn,
    damage: &Damage,
) -> Result<Followers, LogError> {
    let mut all = Followers::default();
    let mut last_ms = None;
    for (index, first) in segments.iter().enumerate().skip(damage.segment) {
        let path = place.dir.join(segment_name(*first));
        let bytes = place.disk.read(&path).map_err(|error| LogError::io("read", &path, &error))?;
        // The search begins behind the damaged record's first byte.
        let mut at = if index == damage.segment { damage.offset as usize + 1 } else { SEGMENT_HEADER };
        // The bytes cannot hold records with greater LSNs, so such a match is chance.
        let end = tail.max(*first) + 2 + (bytes.len() / FRAME_HEADER) as u64;
        while let Some((offset, frame)) = find_alone(&bytes, at, place.id.key(), &(tail + 1..end)) {
            at = offset + FRAME_HEADER + frame.len as usize;
            all.count += 1;
            all.span_ms += frame.ms.saturating_sub(last_ms.unwrap_or(frame.ms)).min(STEP_MS);
            last_ms = Some(frame.ms);
            // A power cut may keep only one part of a header that lies across two sectors. The payload's checksum does
            // not reveal that if the payload is empty or zeros, so such a header is no witness.
            if offset / SECTOR == (offset + FRAME_HEADER - 1) / SECTOR {
                all.durable = all.durable.max(frame.durable_before());
            }
            if all.first.is_none() {
                all.first = Some((path.display().to_string(), offset as u64));
            }
        }
    }
    Ok(all)
}

/// Whether the damage may be what a power cut leaves of a write that was not synced.
pub(super) fn may_be_torn(
    place: Place<'_>,
    segments: &[Lsn],
    found: &Found,
    damage: &Damage,
) -> Result<bool, LogError> {
    // No record follows whole marks in a segment, so the next segment, or its name, never reached the disk.
    if damage.segment == found.segment && found.next.is_some() {
        return Ok(true);
    }
    let Some(first) = segments.get(damage.segment) else { return Ok(true) };
    let path = place.dir.join(segment_name(*first));
    let bytes = place.disk.read(&path).map_err(|error| LogError::io("read", &path, &error))?;
    if damage.segment != found.segment || damage.offset < SEGMENT_HEADER as u64 {
        return Ok(shape::header_may_be_torn(&bytes));
    }
    Ok(shape::record_may_be_torn(&bytes, damage.offset as usize, place.id.key(), found.chain))
}
