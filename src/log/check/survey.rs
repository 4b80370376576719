//! Reads everything and notes what is wrong.

use super::findings::{Image, Run, Seen, Survey};
use super::plan::{self, KeptRun, Plan};
use super::report::{CheckReport, CheckpointCheck, Outlook, Problem, SegmentCheck};
use crate::env::Disk;
use crate::log::checkpoint::{self, CheckpointInfo};
use crate::log::file_log::{Place, SegmentScan, begin_from, diagnose, leftovers, scan_to_end, segments_in};
use crate::log::frame::find_alone;
use crate::log::manifest::{MANIFEST, Manifest};
use crate::log::segment::{SEGMENT_HEADER, SegmentHeader, segment_first, segment_name};
use crate::log::{Begun, LogError, LogId, LogOptions, Lsn};
use std::path::Path;

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
        let id = match &manifest {
            Some(manifest) => Some(manifest.id),
            None => id_of_files(disk, dir, &firsts)?,
        };
        report.log_id = id;
        let mut survey =
            Self { report, id, manifest, segments: Vec::new(), checkpoints: Vec::new(), foreign: None };
        let Some(id) = id else {
            if let Some(entry) = entries.iter().find(|entry| is_ours(&entry.name)) {
                let what = "neither it nor any other file tells which log this is";
                survey.problem(dir.join(&entry.name).display().to_string(), 0, what);
            }
            return Ok(survey);
        };
        let place = Place { disk, dir, id, options: LogOptions::default() };
        let trimmed = survey.manifest.as_ref().map_or(0, |manifest| manifest.trimmed);
        let (old, needed) = firsts.split_at(leftovers(&firsts, trimmed).min(firsts.len()));
        for (index, first) in firsts.iter().enumerate() {
            survey.segment(place, *first, firsts.get(index + 1).copied(), old.contains(first))?;
        }
        survey.images(place)?;
        if survey.is_new() {
            survey.new_log(place);
            return Ok(survey);
        }
        for first in old {
            survey.report.notes.push(format!("{} is a leftover of a trim", segment_name(*first)));
        }
        let manifest = dir.join(MANIFEST).display().to_string();
        match &survey.manifest {
            None if survey.report.problems.iter().all(|problem| problem.file != manifest) => {
                survey.problem(manifest, 0, "it is missing");
            }
            Some(found) if found.epoch == 0 => {
                survey.problem(manifest, 0, "it is that of a new log, and there are records");
            }
            _ => {}
        }
        survey.end(place, needed);
        survey.beginning(place);
        survey.outlook();
        Ok(survey)
    }

    fn problem(&mut self, file: String, offset: u64, what: impl Into<String>) {
        self.report.problems.push(Problem { file, offset, what: what.into() });
    }

    /// Verifies one segment by itself and that it continues the one before it. `next` is the one behind it.
    fn segment(
        &mut self,
        place: Place<'_>,
        first: Lsn,
        next: Option<Lsn>,
        leftover: bool,
    ) -> Result<(), LogError> {
        let known = self.report.problems.len();
        let mut seen = Seen {
            first,
            header: None,
            runs: Vec::new(),
            rubbish: false,
            marked: false,
            leftover,
            foreign: false,
        };
        let file = place.file(first);
        match place.open(first) {
            Ok(mut scan) => {
                seen.header = Some(scan.header);
                self.runs(place, &mut seen, &mut scan, next)?;
                self.continues(place, &seen);
            }
            Err(LogError::Corrupt { offset, what, .. }) => {
                self.problem(file.clone(), offset, what);
                seen.rubbish = true;
                // The records can be verified without the segment's header.
                if let Some(mut scan) = place.open_headless(first)? {
                    let before = self.segments.last().and_then(|seen| seen.runs.last());
                    let known = before.filter(|run| run.last + 1 == scan.cursor.next).map(|run| run.chain);
                    let known = known.or((scan.cursor.next == 1).then_some(scan.cursor.key));
                    scan.cursor.chain = known.unwrap_or(scan.cursor.chain);
                    self.runs(place, &mut seen, &mut scan, next)?;
                }
            }
            Err(error @ (LogError::UnknownVersion { .. } | LogError::Foreign { .. })) => {
                self.problem(file, 0, error.to_string());
                self.foreign.get_or_insert(error);
                seen.foreign = true;
            }
            Err(other) => return Err(other),
        }
        if leftover && self.foreign.is_none() {
            self.report.problems.truncate(known);
        }
        let (name, bytes, last) = (segment_name(first), seen.end(), seen.last());
        self.report.segments.push(SegmentCheck { name, first, last, bytes });
        self.segments.push(seen);
        Ok(())
    }

    /// Reads a segment to its end, over all damage.
    fn runs(
        &mut self,
        place: Place<'_>,
        seen: &mut Seen,
        scan: &mut SegmentScan,
        next: Option<Lsn>,
    ) -> Result<(), LogError> {
        loop {
            let (first, offset, before) = (scan.cursor.next, scan.offset, scan.cursor.chain);
            let headed = seen.header.is_some() && offset == SEGMENT_HEADER as u64;
            let lower = seen.header.filter(|_| headed).map_or(first, |header| header.last_before + 1);
            let ended = scan_to_end(scan, 0)?;
            let (last, end, chain) = (scan.cursor.next - 1, scan.offset, scan.cursor.chain);
            if headed || last >= first {
                seen.runs.push(Run { first, last, lower, offset, end, before, chain, headed });
            }
            seen.marked = ended.next.is_some();
            // Torn marks are no damage if the next segment continues this one: a power cut may have torn them.
            let harmless = ended.torn_marks && next.is_some_and(|next| place.continues(next, last, chain));
            let Some(what) = ended.what.filter(|_| !harmless) else {
                seen.rubbish = false;
                return Ok(());
            };
            self.problem(place.file(seen.first), end, what);
            seen.rubbish = true;
            if !scan.resume(1, Lsn::MAX)? {
                return Ok(());
            }
        }
    }

    /// Notes a problem when the segment before is whole and this one does not continue it.
    fn continues(&mut self, place: Place<'_>, seen: &Seen) {
        let Some((before, run)) = self.segments.last().and_then(|seen| Some((seen, seen.runs.last()?)))
        else {
            return;
        };
        let Some(next) = seen.runs.first() else { return };
        let first = KeptRun { seen: before, run };
        if before.leftover || before.rubbish || plan::follows(&first, &KeptRun { seen, run: next }) {
            return;
        }
        let (file, offset, expected) = (place.file(before.first), run.end, run.last + 1);
        let last = next.lower - 1;
        let what =
            format!("the record with LSN {expected} is missing: the next segment continues after LSN {last}");
        self.problem(file, offset, what);
    }

    fn images(&mut self, place: Place<'_>) -> Result<(), LogError> {
        for named in checkpoint::list(place.disk, place.dir)? {
            let path = place.dir.join(&named.name);
            let opened = checkpoint::open(place.disk, path.clone())
                .and_then(|file| checkpoint::Checkpoint::open(file, place.id, named.clone()));
            let verified = opened.and_then(|opened| opened.verify(2).map(|()| opened.info().clone()));
            let (sound, mut foreign) = (verified.is_ok(), false);
            let info = match verified {
                Ok(info) => info,
                Err(LogError::Corrupt { file, offset, what }) => {
                    self.problem(file, offset, what);
                    named
                }
                Err(error @ (LogError::UnknownVersion { .. } | LogError::Foreign { .. })) => {
                    self.problem(path.display().to_string(), 0, error.to_string());
                    self.foreign.get_or_insert(error);
                    foreign = true;
                    named
                }
                Err(other) => return Err(other),
            };
            let CheckpointInfo { name, start_lsn, last_lsn, chunks, bytes, .. } = info.clone();
            self.report.checkpoints.push(CheckpointCheck { name, start_lsn, last_lsn, chunks, bytes, sound });
            self.checkpoints.push(Image { info, sound, foreign });
        }
        Ok(())
    }

    /// True when no log was begun here yet: there is no record, and either no manifest or the manifest of an
    /// interrupted creation.
    fn is_new(&self) -> bool {
        match &self.manifest {
            Some(manifest) => {
                manifest.epoch == 0 && self.segments.iter().all(|seen| seen.last() < seen.first)
            }
            None => {
                self.segments.is_empty() && self.report.problems.iter().all(|p| !p.file.ends_with(MANIFEST))
            }
        }
    }

    /// Notes what a start would begin a new log from.
    fn new_log(&mut self, place: Place<'_>) {
        if self.manifest.is_some() {
            let segments: Vec<String> = self.segments.iter().map(|seen| place.file(seen.first)).collect();
            self.report.problems.retain(|problem| !segments.contains(&problem.file));
            self.report.notes.push("the log's creation was interrupted; a start creates it anew".to_owned());
        }
        let infos: Vec<_> = self.checkpoints.iter().map(|image| image.info.clone()).collect();
        if infos.is_empty() {
            return;
        }
        match begin_from(place.disk, place.dir, place.id, &infos) {
            Ok(CheckpointInfo { name, start_lsn: start, last_lsn: last, .. }) => {
                self.report.notes.push(Begun { name, start, last }.to_string());
            }
            Err(error) if self.report.problems.is_empty() => {
                self.problem(place.dir.display().to_string(), 0, error.to_string());
            }
            Err(_) => {}
        }
    }

    /// A log that does not begin at LSN 1 needs a checkpoint that reaches its beginning.
    fn beginning(&mut self, place: Place<'_>) {
        let Some(seen) = self.segments.iter().find(|seen| !seen.leftover) else { return };
        let first = seen.first;
        let begin = seen.runs.first().map_or(seen.first, |run| run.lower);
        let trimmed = self.manifest.as_ref().map_or(0, |manifest| manifest.trimmed);
        if begin > trimmed + 1 && self.manifest.is_some() {
            let what = format!("the records from LSN {} to {} are missing", trimmed + 1, begin - 1);
            self.problem(place.file(first), 0, what);
            return;
        }
        let reaches = |image: &Image| image.sound && image.info.start_lsn + 1 >= begin;
        if begin > 1 && !self.checkpoints.iter().any(reaches) {
            let what = format!("the log begins at LSN {begin}, and no sound checkpoint reaches so far");
            self.problem(place.file(first), 0, what);
        }
    }

    /// Asks what a start would say. A torn end that it would cut off is a note, not a problem.
    fn end(&mut self, place: Place<'_>, segments: &[Lsn]) {
        let Some(manifest) = self.manifest.clone().filter(|manifest| manifest.epoch > 0) else { return };
        match diagnose(place, &manifest, segments) {
            Ok(diagnosis) => {
                let tail = diagnosis.found.tail;
                // A start tries the checkpoints from the newest on, and is refused at one of another log or of an
                // unknown version.
                let newest = self.checkpoints.iter().rfind(|image| image.sound || image.foreign);
                let readable = plan::readable(self, newest.map(|image| image.info.start_lsn));
                let known = newest.is_none_or(|image| image.sound);
                let known = known && !self.segments.iter().any(|seen| seen.foreign);
                self.report.start = readable.filter(|readable| known && *readable >= tail).map(|_| tail);
                let Some(damage) = diagnosis.found.damage else { return };
                let index = segments.get(damage.segment).copied().unwrap_or(1);
                let file = place.file(index);
                self.report.problems.retain(|problem| {
                    // Problems behind the torn end follow from it.
                    let later =
                        segments.iter().skip(damage.segment + 1).any(|s| problem.file == place.file(*s));
                    !later && (problem.file != file || problem.offset < damage.offset)
                });
                self.report.notes.push(format!(
                    "the log has a torn end in {file} at offset {}: {}; a start cuts it off, keeps everything up to LSN \
                     {tail} and drops {} valid records behind it",
                    damage.offset, damage.what, diagnosis.records
                ));
            }
            Err(LogError::Corrupt { file, offset, what }) => {
                // The start's own words replace those found before for the same place.
                self.report.problems.retain(|problem| problem.file != file || problem.offset != offset);
                self.problem(file, offset, what);
                self.missing_last(place);
            }
            Err(error) => {
                self.missing_last(place);
                if self.report.problems.is_empty() {
                    self.problem(place.dir.display().to_string(), 0, error.to_string());
                }
            }
        }
    }

    /// Notes when marks name a segment that would be the last one and is not there.
    fn missing_last(&mut self, place: Place<'_>) {
        let Some(last) = self.segments.last().filter(|seen| seen.marked) else { return };
        let (file, next) = (place.file(last.first), segment_name(last.last() + 1));
        self.problem(file, last.end(), format!("it says that {next} was begun, and that one is missing"));
    }

    /// Says what a repair would keep.
    fn outlook(&mut self) {
        if self.report.is_sound() || self.foreign.is_some() {
            return;
        }
        let outlook = Plan::of(self).map(|plan| Outlook {
            tail: plan.tail,
            checkpoint: plan.base.map(|info| info.name.clone()),
            lost: plan.lost(self),
        });
        self.report.outlook = outlook;
    }
}

/// Whether a file of this name is a segment or a checkpoint.
fn is_ours(name: &str) -> bool {
    segment_first(name).is_some() || checkpoint::is_temporary(&format!("{name}.tmp"))
}

/// The log id that the first readable header of a segment tells, or else that of a checkpoint.
fn id_of_files(disk: &dyn Disk, dir: &Path, firsts: &[Lsn]) -> Result<Option<LogId>, LogError> {
    let header = |first: &Lsn| {
        let bytes = disk.read(&dir.join(segment_name(*first))).ok()?;
        SegmentHeader::decode(&bytes).ok()
    };
    if let Some(header) = firsts.iter().find_map(header) {
        return Ok(Some(header.id));
    }
    let checkpoints = checkpoint::list(disk, dir)?;
    let of_checkpoint =
        checkpoints.iter().rev().find_map(|info| checkpoint::id_of(disk, &dir.join(&info.name)));
    let damaged = |first: &Lsn| {
        let bytes = disk.read(&dir.join(segment_name(*first))).ok()?;
        id_of_damaged(&bytes, *first)
    };
    Ok(of_checkpoint.or_else(|| firsts.iter().find_map(damaged)))
}

/// The log id in a damaged header, if the segment's first record bears it out: its checksum begins from the id's.
fn id_of_damaged(bytes: &[u8], first: Lsn) -> Option<LogId> {
    let id = LogId(*bytes.get(16..)?.first_chunk()?);
    find_alone(bytes, SEGMENT_HEADER, id.key(), &(first..first + 1)).map(|_| id)
}
