//! Where a log that was left behind ends, and what damage there means.
//!
//! A writer that dies, or a machine that loses power, may leave a torn record at the end. Those bytes may be cut
//! if nobody can have been told that they were durable. That is decided so:
//!
//! - Every record says which LSN was durable when it was appended, every segment header too; an orderly close, a trim
//!   and every checkpoint are further witnesses. Damage at or before any witnessed LSN is never cut.
//! - A killed process loses nothing that it wrote, so as long as the system and the mount are those that the writer
//!   ran under, a valid record behind the damage proves that the bytes were once whole: never cut.
//! - After a power cut the unsynced sectors reached the disk in any order, so that valid records may follow a torn
//!   one. If no witness speaks against it, the log is cut at the first bad record.

use super::scan::{Filled, SegmentScan};
use crate::env::Disk;
use crate::log::frame::{FRAME_HEADER, stands_alone};
use crate::log::mark::Next;
use crate::log::segment::{SEGMENT_HEADER, segment_name};
use crate::log::{LogError, LogId, LogOptions, Lsn, Piece};
use std::path::Path;

/// Disks write this many bytes, from a multiple of it on, wholly or not at all.
const SECTOR: usize = 512;

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
    pub(in crate::log) next: Option<Next>,
}

/// Something behind the valid records that should not be there.
#[derive(Debug)]
pub(in crate::log) struct Damage {
    /// Index of the segment in which it lies.
    pub(in crate::log) segment: usize,
    pub(in crate::log) offset: u64,
    pub(in crate::log) what: String,
    /// A segment of an unknown version or another log: nobody may cut that.
    pub(in crate::log) refuse: Option<LogError>,
}

/// What follows damage.
#[derive(Debug, Default)]
pub(super) struct Followers {
    pub(super) count: u64,
    /// File and offset of the first one.
    pub(super) first: Option<(String, u64)>,
    /// The last LSN that one of them witnesses to have been durable.
    pub(super) durable: Lsn,
}

/// The folder as the functions here need it.
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

    pub(in crate::log) fn file(&self, first: Lsn) -> String {
        self.dir.join(segment_name(first)).display().to_string()
    }
}

/// Verifies the segments from index `begin` on. `segments` are their first LSNs, in order and not empty.
/// The records up to LSN `durable` are known to be durable.
pub(super) fn find(
    place: Place<'_>,
    segments: &[Lsn],
    begin: usize,
    durable: Lsn,
) -> Result<Found, LogError> {
    let mut found: Option<Found> = None;
    let mut settled = 0;
    for (index, first) in segments.iter().enumerate().skip(begin) {
        let mut scan = match place.open(*first) {
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
            settled = offset_behind(&mut scan, durable)?;
        }
        let ended = scan_to_end(place, &mut scan, segments.get(index + 1).copied())?;
        let next = ended.next;
        let damage =
            ended.what.map(|what| Damage { segment: index, offset: scan.offset, what, refuse: None });
        let (tail, chain) = (scan.cursor.next - 1, scan.cursor.chain);
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
    // Without anything before it the first segment's own name says where the log must go on.
    let nothing =
        Found { segment: index, offset: 0, tail: first - 1, chain: 0, settled: 0, damage: None, next: None };
    let mut found = found.unwrap_or(nothing);
    found.damage = Some(Damage { segment: index, offset, what, refuse });
    Ok(found)
}

/// The offset behind the last record up to LSN `limit`.
fn offset_behind(scan: &mut SegmentScan, limit: Lsn) -> Result<u64, LogError> {
    let mut piece = Piece::new();
    while matches!(scan.fill(&mut piece, 0, limit)?, Filled::Piece) {}
    Ok(scan.offset)
}

/// Reads a segment to its end. `next` is the first LSN of the segment behind it, if there is one: if that one continues
/// this one, no record is missing, and marks that a power cut has torn are no damage.
pub(in crate::log) fn scan_to_end(
    place: Place<'_>,
    scan: &mut SegmentScan,
    next: Option<Lsn>,
) -> Result<Ended, LogError> {
    let mut piece = Piece::new();
    let bad = loop {
        match scan.fill(&mut piece, 0, Lsn::MAX)? {
            Filled::Piece => {}
            Filled::Bad(what) => break Some(what),
            Filled::End => break None,
        }
    };
    let behind = scan.behind()?;
    let what = bad.or_else(|| {
        (!behind.clean).then(|| "the bytes behind the last record are neither zeros nor marks".to_owned())
    });
    let (tail, chain) = (scan.cursor.next - 1, scan.cursor.chain);
    let continued =
        || next.is_some_and(|next| place.open(next).is_ok_and(|scan| continues(tail, chain, &scan)));
    let torn = what.is_some() && behind.torn_marks && continued();
    Ok(Ended { what: what.filter(|_| !torn), next: behind.next })
}

/// Looks for valid records behind the damage, in its segment and in all later ones.
pub(super) fn followers(
    place: Place<'_>,
    segments: &[Lsn],
    tail: Lsn,
    damage: &Damage,
) -> Result<Followers, LogError> {
    let mut all = Followers::default();
    for (index, first) in segments.iter().enumerate().skip(damage.segment) {
        let path = place.dir.join(segment_name(*first));
        let bytes = place.disk.read(&path).map_err(|error| LogError::io("read", &path, &error))?;
        let begin = if index == damage.segment { damage.offset as usize + 1 } else { SEGMENT_HEADER };
        // The damaged record itself is not asked again; LSNs beyond what the bytes can hold are chance.
        let end = tail.max(*first) + 2 + (bytes.len() / FRAME_HEADER) as u64;
        search(&bytes, begin, place.id.key(), &(tail + 1..end), |offset, lsn_durable| {
            all.count += 1;
            // Of a header that lies across sectors a power cut may have kept one part only. Where the payload is empty or
            // zeros its checksum does not tell, so such a header is no witness.
            if offset / SECTOR == (offset + FRAME_HEADER - 1) / SECTOR {
                all.durable = all.durable.max(lsn_durable);
            }
            if all.first.is_none() {
                all.first = Some((path.display().to_string(), offset as u64));
            }
        });
    }
    Ok(all)
}

/// Calls `hit` with offset and witnessed LSN of every record that is valid by itself.
fn search(
    bytes: &[u8],
    begin: usize,
    key: u32,
    range: &std::ops::Range<Lsn>,
    mut hit: impl FnMut(usize, Lsn),
) {
    let mut at = begin;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER) {
        match stands_alone(rest, key, range) {
            Some(frame) => {
                hit(at, frame.durable_before());
                at += FRAME_HEADER + frame.len as usize;
            }
            None => at += 1,
        }
    }
}
