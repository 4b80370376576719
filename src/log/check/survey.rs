//! Reads everything and notes what is wrong.

use super::{CheckReport, CheckpointCheck, Problem, SegmentCheck};
use crate::env::Disk;
use crate::log::checkpoint::{self, CheckpointInfo};
use crate::log::file_log::{Place, diagnose, leftovers, scan_to_end, segments_in};
use crate::log::manifest::{MANIFEST, Manifest};
use crate::log::mark::Next;
use crate::log::segment::{SegmentHeader, segment_name};
use crate::log::{LogError, LogId, LogOptions, Lsn};
use std::path::Path;

/// What was found, in the form that a repair needs.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) report: CheckReport,
    pub(super) id: Option<LogId>,
    pub(super) manifest: Option<Manifest>,
    pub(super) segments: Vec<Seen>,
    /// All checkpoints, and whether they are sound.
    pub(super) checkpoints: Vec<(CheckpointInfo, bool)>,
    /// A file of another log or an unknown version.
    pub(super) foreign: Option<LogError>,
}

/// One segment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) first: Lsn,
    pub(super) header: Option<SegmentHeader>,
    /// The last valid record, its end and its chain.
    pub(super) last: Lsn,
    pub(super) end: u64,
    pub(super) chain: u32,
    /// What the marks at its end say of a next segment.
    pub(super) next: Option<Next>,
    /// Something that is no record stands behind the last one, or the header cannot be read.
    pub(super) broken: bool,
    /// It does not continue the segment before it.
    pub(super) detached: bool,
}

impl Survey {
    pub(super) fn take(disk: &dyn Disk, dir: &Path) -> Result<Self, LogError> {
        let entries = disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
        let mut report = CheckReport::default();
        let manifest = match Manifest::load(disk, dir) {
            Ok(manifest) => manifest,
            Err(LogError::Corrupt { file, offset, what }) => {
                report.problems.push(Problem { file, offset, what });
                None
            }
            Err(other) => return Err(other),
        };
        let firsts = segments_in(&entries);
        let id = manifest.as_ref().map(|manifest| manifest.id).or_else(|| id_of_segments(disk, dir, &firsts));
        let mut survey =
            Self { report, id, manifest, segments: Vec::new(), checkpoints: Vec::new(), foreign: None };
        survey.report.log_id = id;
        let Some(id) = id else { return Ok(survey) };
        if survey.manifest.is_none() && survey.report.problems.is_empty() {
            survey.problem(dir.join(MANIFEST).display().to_string(), 0, "it is missing");
        }
        if survey.manifest.as_ref().is_some_and(|manifest| manifest.epoch == 0) {
            survey
                .report
                .notes
                .push("the log's creation was interrupted; a start creates it anew".to_owned());
            return Ok(survey);
        }
        let place = Place { disk, dir, id, options: LogOptions::default() };
        let trimmed = survey.manifest.as_ref().map_or(0, |manifest| manifest.trimmed);
        let (old, needed) = firsts.split_at(leftovers(&firsts, trimmed).min(firsts.len()));
        for first in old {
            survey.report.notes.push(format!("{} is a leftover of a trim", segment_name(*first)));
        }
        for (index, first) in needed.iter().enumerate() {
            survey.segment(place, *first, needed.get(index + 1).copied())?;
        }
        survey.checkpoints(place)?;
        survey.end(place, needed);
        survey.beginning(place);
        Ok(survey)
    }

    fn problem(&mut self, file: String, offset: u64, what: impl Into<String>) {
        self.report.problems.push(Problem { file, offset, what: what.into() });
    }

    /// Verifies one segment by itself and that it continues the one before it.
    fn segment(&mut self, place: Place<'_>, first: Lsn, next: Option<Lsn>) -> Result<(), LogError> {
        let mut seen = Seen {
            first,
            header: None,
            last: first.saturating_sub(1),
            end: 0,
            chain: 0,
            next: None,
            broken: true,
            detached: false,
        };
        let file = place.file(first);
        match place.open(first) {
            Ok(mut scan) => {
                let ended = scan_to_end(place, &mut scan, next)?;
                let stopped = ended.what;
                seen = Seen {
                    header: Some(scan.header),
                    last: scan.cursor.next - 1,
                    end: scan.offset,
                    chain: scan.cursor.chain,
                    next: ended.next,
                    broken: stopped.is_some(),
                    ..seen
                };
                seen.detached = !self.continues(place, &scan.header);
                if let Some(what) = stopped {
                    self.problem(file, scan.offset, what);
                }
            }
            Err(LogError::Corrupt { offset, what, .. }) => self.problem(file, offset, what),
            Err(error @ (LogError::UnknownVersion { .. } | LogError::Foreign { .. })) => {
                self.problem(file, 0, error.to_string());
                self.foreign.get_or_insert(error);
            }
            Err(other) => return Err(other),
        }
        let (name, bytes) = (segment_name(first), seen.end);
        self.report.segments.push(SegmentCheck { name, first, last: seen.last, bytes });
        self.segments.push(seen);
        Ok(())
    }

    /// True when a segment with this header continues the one before it, or that one's end is not known.
    fn continues(&mut self, place: Place<'_>, header: &SegmentHeader) -> bool {
        let Some(before) = self.segments.last() else { return true };
        if before.broken || (header.last_before == before.last && header.chain == before.chain) {
            return true;
        }
        let (file, offset, next) = (place.file(before.first), before.end, before.last + 1);
        let last = header.last_before;
        let what =
            format!("the record with LSN {next} is missing: the next segment continues after LSN {last}");
        self.problem(file, offset, what);
        false
    }

    fn checkpoints(&mut self, place: Place<'_>) -> Result<(), LogError> {
        for named in checkpoint::list(place.disk, place.dir)? {
            let path = place.dir.join(&named.name);
            let opened = checkpoint::Checkpoint::open(place.disk, &path, place.id, named.clone());
            let verified = opened.and_then(|opened| opened.verify(2).map(|()| opened.info().clone()));
            let sound = verified.is_ok();
            let info = match verified {
                Ok(info) => info,
                Err(LogError::Corrupt { file, offset, what }) => {
                    self.problem(file, offset, what);
                    named
                }
                Err(error @ (LogError::UnknownVersion { .. } | LogError::Foreign { .. })) => {
                    self.problem(path.display().to_string(), 0, error.to_string());
                    self.foreign.get_or_insert(error);
                    named
                }
                Err(other) => return Err(other),
            };
            let CheckpointInfo { name, start_lsn, last_lsn, chunks, bytes, .. } = info.clone();
            self.report.checkpoints.push(CheckpointCheck { name, start_lsn, last_lsn, chunks, bytes, sound });
            self.checkpoints.push((info, sound));
        }
        Ok(())
    }

    /// A log that does not begin at LSN 1 needs a checkpoint that reaches its beginning.
    fn beginning(&mut self, place: Place<'_>) {
        let Some(first) = self.segments.first().map(|seen| seen.first).filter(|first| *first > 1) else {
            return;
        };
        if !self.checkpoints.iter().any(|(info, sound)| *sound && info.start_lsn + 1 >= first) {
            let what = format!("the log begins at LSN {first}, and no sound checkpoint reaches so far");
            self.problem(place.file(first), 0, what);
        }
    }

    /// Asks what a start would say. A torn end that it would cut off is a note, not a problem.
    fn end(&mut self, place: Place<'_>, segments: &[Lsn]) {
        let Some(manifest) = self.manifest.clone() else { return };
        match diagnose(place, &manifest, segments) {
            Ok(diagnosis) => {
                let Some(damage) = diagnosis.found.damage else { return };
                let (tail, what) = (diagnosis.found.tail, &damage.what);
                let index = segments.get(damage.segment).copied().unwrap_or(1);
                let file = place.file(index);
                self.report.problems.retain(|problem| {
                    // Problems of later segments follow from the torn end.
                    let later =
                        segments.iter().skip(damage.segment + 1).any(|s| problem.file == place.file(*s));
                    !later && problem.file != file
                });
                self.report.notes.push(format!(
                    "the log has a torn end in {file} at offset {}: {what}; a start cuts it off after LSN {tail}",
                    damage.offset
                ));
            }
            Err(LogError::Corrupt { file, offset, what }) => {
                let known = |problem: &Problem| problem.file == file && problem.offset == offset;
                if !self.report.problems.iter().any(known) {
                    self.problem(file, offset, what);
                }
            }
            Err(error) => {
                if self.report.problems.is_empty() {
                    self.problem(place.dir.display().to_string(), 0, error.to_string());
                }
            }
        }
    }
}

/// The log id that the first readable header tells.
fn id_of_segments(disk: &dyn Disk, dir: &Path, firsts: &[Lsn]) -> Option<LogId> {
    let header = |first: &Lsn| {
        let bytes = disk.read(&dir.join(segment_name(*first))).ok()?;
        SegmentHeader::decode(&bytes).ok()
    };
    firsts.iter().find_map(header).map(|header| header.id)
}
