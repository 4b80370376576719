//! Makes a damaged log open again.

use super::survey::{Seen, Survey};
use super::{LogError, RepairReport};
use crate::env::{Access, Disk};
use crate::log::checkpoint::CheckpointInfo;
use crate::log::file_log::{Place, write_empty};
use crate::log::manifest::{MANIFEST, Manifest};
use crate::log::segment::{SegmentHeader, segment_name};
use crate::log::{LogId, LogOptions, Lsn};
use std::path::Path;

/// Bytes copied at once.
const COPY_STEP: usize = 1 << 20;

/// What is kept and what goes.
#[derive(Debug)]
struct Plan<'a> {
    /// Segments at the beginning that a sound checkpoint makes unnecessary.
    old: &'a [Seen],
    kept: &'a [Seen],
    /// The last kept segment ends behind its last valid record; what follows there is cut off.
    cut: bool,
    /// Segments behind the cut.
    later: &'a [Seen],
    checkpoints: Vec<&'a CheckpointInfo>,
    dropped_checkpoints: Vec<&'a CheckpointInfo>,
    /// The last LSN that a kept checkpoint reflects though the log ends before it.
    gap_to: Option<Lsn>,
}

/// Repairs what the survey found.
pub(super) fn run(
    disk: &dyn Disk,
    dir: &Path,
    now_ms: u64,
    survey: &Survey,
) -> Result<RepairReport, LogError> {
    let mut report = RepairReport::default();
    if survey.report.is_sound() {
        report.actions.push("nothing to do".to_owned());
        return Ok(report);
    }
    if let Some(foreign) = &survey.foreign {
        return Err(foreign.clone());
    }
    let Some(id) = survey.id else { return Err(nothing_left(dir)) };
    let plan = plan(survey).ok_or_else(|| nothing_left(dir))?;
    let place = Place { disk, dir, id, options: LogOptions::default() };
    keep_copies(place, now_ms, &plan, &mut report)?;
    apply(place, now_ms, survey, &plan, &mut report)?;
    Ok(report)
}

fn nothing_left(dir: &Path) -> LogError {
    LogError::MissingSegment {
        dir: dir.display().to_string(),
        after: 0,
        what: "the log does not begin at LSN 1 and no sound checkpoint reaches its beginning: nothing can be built on \
               it; restore the folder from a backup"
            .to_owned(),
    }
}

/// Decides what to keep. The newest sound checkpoint says from which LSN on the log is needed; the log is kept from
/// there up to the first damage.
fn plan(survey: &Survey) -> Option<Plan<'_>> {
    let newest = survey.checkpoints.iter().rfind(|(_, sound)| *sound).map(|(info, _)| info);
    let needed = newest.map_or(0, |info| info.start_lsn) + 1;
    let all = survey.segments.as_slice();
    // The segment that holds the first needed record, if the log reaches back so far.
    let begin = all.iter().rposition(|seen| seen.first <= needed);
    if begin.is_none() && newest.is_none() {
        return None;
    }
    // Segments before it stay as long as they are whole and continued.
    let (old, rest) = all.split_at_checked(begin.unwrap_or(all.len()))?;
    let whole = rest.first().is_some_and(|seen| !seen.detached)
        && old.iter().all(|seen| !seen.broken && !seen.detached);
    let (old, rest) = if whole { (&[][..], all) } else { (old, rest) };
    let detached = |index: usize, seen: &Seen| index > 0 && seen.detached;
    let bad = rest.iter().enumerate().find(|(index, seen)| seen.broken || detached(*index, seen));
    let (keep, cut) = match bad {
        None => (rest.len(), false),
        Some((index, seen)) if seen.header.is_some() && !detached(index, seen) => (index + 1, true),
        Some((index, _)) => (index, false),
    };
    let (kept, later) = rest.split_at_checked(keep)?;
    // Marks of a segment that is not there, or goes, must go too.
    let cut = cut || kept.last().is_some_and(|seen| seen.next.is_some());
    if kept.is_empty() && newest.is_none() && later.first().is_some_and(|seen| seen.first > 1) {
        return None;
    }
    let tail = kept.last().map_or(0, |seen| seen.last);
    let gap_to = newest.map(|info| info.last_lsn).filter(|last| *last > tail);
    let begin = kept.first().map_or(Lsn::MAX, |seen| seen.first);
    let stays = |info: &CheckpointInfo, sound: bool| {
        let newest = newest.is_some_and(|newest| newest.number == info.number);
        // Behind a gap an older checkpoint could not be brought up to date.
        newest || (sound && gap_to.is_none() && info.start_lsn + 1 >= begin)
    };
    let (checkpoints, dropped): (Vec<_>, Vec<_>) =
        survey.checkpoints.iter().partition(|(info, sound)| stays(info, *sound));
    Some(Plan {
        old,
        kept,
        cut,
        later,
        checkpoints: checkpoints.into_iter().map(|(info, _)| info).collect(),
        dropped_checkpoints: dropped.into_iter().map(|(info, _)| info).collect(),
        gap_to,
    })
}

/// Copies every file that will be changed or removed.
fn keep_copies(
    place: Place<'_>,
    now_ms: u64,
    plan: &Plan<'_>,
    report: &mut RepairReport,
) -> Result<(), LogError> {
    let changed = plan.kept.last().filter(|_| plan.cut);
    let segments = plan.old.iter().chain(changed).chain(plan.later).map(|seen| segment_name(seen.first));
    let checkpoints = plan.dropped_checkpoints.iter().map(|info| info.name.clone());
    let mut names: Vec<String> = segments.chain(checkpoints).collect();
    if place.disk.exists(&place.dir.join(MANIFEST)) {
        names.push(MANIFEST.to_owned());
    }
    let folder = place.dir.join(format!("damaged-{now_ms}"));
    let failed = |what: &str, error: &std::io::Error| LogError::io(what, &folder, error);
    place.disk.create_dir_all(&folder).map_err(|error| failed("create", &error))?;
    for name in &names {
        copy(place.disk, &place.dir.join(name), &folder.join(name))?;
    }
    place.disk.fsync_dir(&folder).map_err(|error| failed("fsync", &error))?;
    place.disk.fsync_dir(place.dir).map_err(|error| failed("fsync", &error))?;
    report.folder = folder.display().to_string();
    report.copies = names;
    Ok(())
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), LogError> {
    let source = disk.open(from, Access::Read).map_err(|error| LogError::io("open", from, &error))?;
    let target = disk.create(to).map_err(|error| LogError::io("create", to, &error))?;
    let mut buffer = vec![0; COPY_STEP];
    let mut offset = 0;
    loop {
        let got = source.read_at(&mut buffer, offset).map_err(|error| LogError::io("read", from, &error))?;
        if got == 0 {
            break;
        }
        let part = buffer.get(..got).unwrap_or_default();
        target.write_at(part, offset).map_err(|error| LogError::io("write", to, &error))?;
        offset += got as u64;
    }
    target.fsync().map_err(|error| LogError::io("fsync", to, &error))
}

/// Carries the plan out, in an order that leaves a log that can be repaired again if it is interrupted.
fn apply(
    place: Place<'_>,
    now_ms: u64,
    survey: &Survey,
    plan: &Plan<'_>,
    report: &mut RepairReport,
) -> Result<(), LogError> {
    let Place { disk, dir, id, .. } = place;
    let tail = plan.kept.last().map_or(0, |seen| seen.last);
    for seen in plan.later.iter().rev() {
        remove(place, &segment_name(seen.first))?;
        let records = (seen.last + 1).saturating_sub(seen.first);
        let name = segment_name(seen.first);
        report
            .actions
            .push(format!("{name} was dropped with {records} valid records from LSN {}", seen.first));
    }
    if let Some(seen) = plan.kept.last().filter(|_| plan.cut) {
        let path = dir.join(segment_name(seen.first));
        let file =
            disk.open(&path, Access::ReadWrite).map_err(|error| LogError::io("open", &path, &error))?;
        file.set_len(seen.end).map_err(|error| LogError::io("cut", &path, &error))?;
        file.fsync().map_err(|error| LogError::io("fsync", &path, &error))?;
        let (name, end) = (segment_name(seen.first), seen.end);
        report.actions.push(format!("{name} was cut at offset {end}, after LSN {}", seen.last));
    }
    for info in &plan.dropped_checkpoints {
        remove(place, &info.name)?;
        report.actions.push(format!("{} was dropped", info.name));
    }
    let next = plan.gap_to.unwrap_or(tail) + 1;
    let begin = plan.kept.first().map_or(next, |seen| seen.first);
    let manifest = new_manifest(survey, id, begin - 1);
    if plan.kept.is_empty() || plan.gap_to.is_some() {
        write_gap(place, now_ms, &manifest, plan.kept.last(), next)?;
        report.actions.push(format!("the log goes on with LSN {next}"));
    }
    manifest.store(disk, dir)?;
    for seen in plan.old {
        remove(place, &segment_name(seen.first))?;
        let name = segment_name(seen.first);
        report.actions.push(format!("{name} was dropped; the newest sound checkpoint holds what it held"));
    }
    let records = plan.checkpoints.last().map_or(0, |info| info.start_lsn);
    report.actions.push(format!("the log now ends with LSN {}, checkpoint at LSN {records}", next - 1));
    Ok(())
}

fn remove(place: Place<'_>, name: &str) -> Result<(), LogError> {
    let path = place.dir.join(name);
    place.disk.remove_file(&path).map_err(|error| LogError::io("remove", &path, &error))?;
    place.disk.fsync_dir(place.dir).map_err(|error| LogError::io("fsync", place.dir, &error))
}

fn new_manifest(survey: &Survey, id: LogId, trimmed: Lsn) -> Manifest {
    let epoch = survey.segments.iter().filter_map(|seen| seen.header).map(|header| header.epoch).max();
    let epoch = epoch.unwrap_or(0).max(1);
    match &survey.manifest {
        Some(old) => Manifest { epoch: old.epoch.max(epoch), trimmed, closed: None, ..old.clone() },
        None => Manifest { id, epoch, incarnation: 0, trimmed, closed: None },
    }
}

/// A segment without records that continues the last kept one, at an LSN that no kept checkpoint has passed.
fn write_gap(
    place: Place<'_>,
    ms: u64,
    manifest: &Manifest,
    before: Option<&Seen>,
    first: Lsn,
) -> Result<(), LogError> {
    let header = SegmentHeader {
        id: place.id,
        first,
        last_before: before.map_or(first - 1, |seen| seen.last),
        previous_first: before.map_or(0, |seen| seen.first),
        durable: first - 1,
        epoch: manifest.epoch,
        ms,
        chain: before.map_or(place.id.key(), |seen| seen.chain),
        previous_end: 0,
    };
    write_empty(place, &header)
}
