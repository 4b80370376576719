//! Says, without changing anything, where a log that was left behind ends and whether it may be opened.

use super::tail::{self, Damage, Found, Place};
use crate::log::checkpoint;
use crate::log::manifest::Manifest;
use crate::log::mark::Next;
use crate::log::segment::{SegmentHeader, segment_name};
use crate::log::{LogError, Lsn};

/// What to do about damage, for error messages.
pub(in crate::log) const ADVICE: &str =
    "`itemory check DIR` shows all damage, `itemory check --repair DIR` cuts it out and keeps a copy";

/// Bytes that were written longer ago than this are on the disk even without a sync: Linux writes back unsynced bytes
/// after 30 seconds (`vm.dirty_expire_centisecs`), and this allows four times as long.
const WRITTEN_BACK_MS: u64 = 120_000;

/// A log that may be opened.
#[derive(Debug)]
pub(in crate::log) struct Diagnosis {
    /// The system or the mount differs from the last writer's.
    pub(in crate::log) restarted: bool,
    /// Index of the first segment that was verified.
    pub(in crate::log) begin: usize,
    /// The end; damage in it is a torn end, to be cut off.
    pub(in crate::log) found: Found,
    /// Valid records behind the torn one.
    pub(in crate::log) records: u64,
}

/// How many of the first segments an interrupted trim has released and not removed.
pub(in crate::log) fn leftovers(segments: &[Lsn], trimmed: Lsn) -> usize {
    segments.partition_point(|first| *first <= trimmed.saturating_add(1)).saturating_sub(1)
}

/// Finds the end of the log. `segments` are without leftovers. If damage makes the whole log unusable, only the part
/// from the newest sound checkpoint on is examined: the records before it are not needed.
pub(in crate::log) fn diagnose(
    place: Place<'_>,
    manifest: &Manifest,
    segments: &[Lsn],
) -> Result<Diagnosis, LogError> {
    let whole = diagnose_from(place, manifest, segments, 0);
    let Err(LogError::Corrupt { .. } | LogError::MissingSegment { .. }) = whole else { return whole };
    let Some(base) = checkpoint::newest_sound(place.disk, place.dir, place.id)? else { return whole };
    let needed = base.start_lsn.saturating_add(1);
    let Some(before) = segments.iter().rposition(|first| *first <= needed) else { return whole };
    let later = segments.get(before..).unwrap_or_default();
    let mut diagnosis = diagnose_from(place, manifest, later, base.start_lsn)?;
    diagnosis.begin += before;
    diagnosis.found.segment += before;
    if let Some(damage) = &mut diagnosis.found.damage {
        damage.segment += before;
    }
    Ok(diagnosis)
}

/// Finds the end of the log. The records up to LSN `covered` are not needed.
fn diagnose_from(
    place: Place<'_>,
    manifest: &Manifest,
    segments: &[Lsn],
    covered: Lsn,
) -> Result<Diagnosis, LogError> {
    let Place { disk, dir, .. } = place;
    let incarnation = disk.incarnation(dir).map_err(|error| LogError::io("identify", dir, &error))?;
    let restarted = incarnation != manifest.incarnation;
    let headers = check_order(place, manifest.trimmed.max(covered), segments)?;
    let witnessed = [
        Some(manifest.trimmed),
        manifest.closed,
        headers.iter().flatten().map(|header| header.durable).max(),
        checkpoint::last_lsn(disk, dir, place.id)?,
    ];
    let durable = witnessed.into_iter().flatten().max().unwrap_or(0);
    check_gaps(place, durable, segments, &headers)?;
    // Segments that end at or before the durable LSN were whole once; the replay verifies them as it reads them.
    let mut begin = segments.partition_point(|first| *first <= durable.saturating_add(1)).saturating_sub(1);
    while begin > 0 && headers.get(begin).is_none_or(Option::is_none) {
        begin -= 1;
    }
    let mut found = tail::find(place, segments, begin, durable, covered)?;
    let mut records = 0;
    if let Some(damage) = &found.damage {
        records = judge(place, segments, &found, damage, durable, !restarted)?;
    }
    check_next(place, segments, &mut found, !restarted)?;
    if found.tail < durable {
        let (file, offset) = (place.file(segments.get(found.segment).copied().unwrap_or(1)), found.offset);
        let what =
            format!("the log ends at LSN {}, but LSN {durable} had been durable; {ADVICE}", found.tail);
        return Err(LogError::Corrupt { file, offset, what });
    }
    Ok(Diagnosis { restarted, begin, found, records })
}

/// Reads all headers and refuses a log with a segment missing. Headers that cannot be read are `None`; `judge` decides
/// about them as about all other damage.
fn check_order(
    place: Place<'_>,
    trimmed: Lsn,
    segments: &[Lsn],
) -> Result<Vec<Option<SegmentHeader>>, LogError> {
    let missing = |after: Lsn, what: String| LogError::MissingSegment {
        dir: place.dir.display().to_string(),
        after,
        what: format!("{what}; {ADVICE}"),
    };
    match segments.first() {
        None => return Err(missing(trimmed, "there is no segment at all".to_owned())),
        Some(first) if *first > trimmed.saturating_add(1) => {
            return Err(missing(trimmed, format!("{} is the first one", segment_name(*first))));
        }
        Some(_) => {}
    }
    let mut headers = Vec::with_capacity(segments.len());
    for first in segments {
        match place.open(*first) {
            Ok(scan) => headers.push(Some(scan.header)),
            Err(LogError::Corrupt { .. }) => headers.push(None),
            Err(other) => return Err(other),
        }
    }
    Ok(headers)
}

/// Refuses a log from the middle of which a segment with durable records is missing. What is missing behind the durable
/// LSN is judged as damage at the end.
fn check_gaps(
    place: Place<'_>,
    durable: Lsn,
    segments: &[Lsn],
    headers: &[Option<SegmentHeader>],
) -> Result<(), LogError> {
    for (before, header) in segments.iter().zip(headers.iter().skip(1)) {
        let Some(header) = header else { continue };
        // A repair may have cut off the beginning of the segment before. Its name then has a later LSN than this header
        // says.
        if header.previous_first > *before && header.last_before <= durable {
            return Err(LogError::MissingSegment {
                dir: place.dir.display().to_string(),
                after: *before,
                what: format!(
                    "{} continues {}; {ADVICE}",
                    segment_name(header.first),
                    segment_name(header.previous_first)
                ),
            });
        }
    }
    Ok(())
}

/// Refuses a log whose last segment existed and now is missing or cannot be read. If the power failed before the
/// segment was durable, the marks that name it are cut off with the torn end.
fn check_next(
    place: Place<'_>,
    segments: &[Lsn],
    found: &mut Found,
    same_system: bool,
) -> Result<(), LogError> {
    let Some(next) = found.next else { return Ok(()) };
    let there = segments.get(found.segment + 1).is_some_and(|first| *first == found.tail + 1);
    if found.damage.is_none() && there {
        return Ok(());
    }
    let (last, name) =
        (place.file(segments.get(found.segment).copied().unwrap_or(1)), segment_name(found.tail + 1));
    if next < Next::Durable && !same_system {
        let what = format!("{name} was begun and was not on disk yet");
        let torn = Damage { segment: found.segment, offset: found.offset, what, refuse: None };
        found.damage.get_or_insert(torn);
        return Ok(());
    }
    Err(match &found.damage {
        Some(damage) if there => LogError::Corrupt {
            file: place.file(found.tail + 1),
            offset: if damage.segment > found.segment { damage.offset } else { 0 },
            what: format!("{}, and {last} says that the segment was whole; {ADVICE}", damage.what),
        },
        _ => LogError::MissingSegment {
            dir: place.dir.display().to_string(),
            after: found.tail,
            what: format!("{last} says that {name} was begun; {ADVICE}"),
        },
    })
}

/// Decides whether damage may be cut off; returns how many valid records would go with it.
fn judge(
    place: Place<'_>,
    segments: &[Lsn],
    found: &Found,
    damage: &Damage,
    durable: Lsn,
    same_system: bool,
) -> Result<u64, LogError> {
    if let Some(refuse) = &damage.refuse {
        return Err(refuse.clone());
    }
    let followers = tail::followers(place, segments, found.tail, damage)?;
    let durable = durable.max(followers.durable);
    let why = if durable > found.tail {
        Some(format!("the records up to LSN {durable} had been durable"))
    } else if followers.count == 0 {
        None
    } else if same_system {
        Some("no power cut has happened that could have torn it".to_owned())
    } else if followers.span_ms > WRITTEN_BACK_MS {
        Some(format!("{} s of writes follow, more than the system keeps in memory", followers.span_ms / 1000))
    } else if !tail::may_be_torn(place, segments, found, damage)? {
        Some("no write was torn there: bytes have changed that were on the disk".to_owned())
    } else {
        None
    };
    let Some(why) = why else { return Ok(followers.count) };
    let follow = match (followers.first, followers.count) {
        (Some((file, offset)), count) => {
            format!("; {count} valid records follow, the first one in {file} at offset {offset}")
        }
        (None, _) => String::new(),
    };
    let next = found.tail + 1;
    let what = format!("{} where LSN {next} is expected, and {why}{follow}; {ADVICE}", damage.what);
    Err(LogError::Corrupt {
        file: place.file(segments.get(damage.segment).copied().unwrap_or(1)),
        offset: damage.offset,
        what,
    })
}
