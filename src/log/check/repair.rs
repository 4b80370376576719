//! Makes a damaged log open again.
//!
//! First the repair writes everything that needs room: copies, and segments and the manifest under temporary names. If
//! that fails, for example on a full disk, it removes them again and nothing has changed. Then it renames files, moves
//! files into the folder with the copies, and cuts segments.

use super::findings::{Run, Survey};
use super::plan::{KeptRun, Plan};
use super::report::RepairReport;
use crate::env::{Access, Disk, DiskFile};
use crate::log::file_log::Place;
use crate::log::manifest::{MANIFEST, Manifest};
use crate::log::mark::{MARKS, Marks, Next};
use crate::log::segment::{SEGMENT_HEADER, SegmentHeader, segment_name};
use crate::log::{LogError, LogOptions, Lsn};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes copied at once.
const COPY_STEP: usize = 1 << 20;
/// The new manifest's name until it takes the other one's place.
const NEW_MANIFEST: &str = "MANIFEST.repaired.tmp";

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
    let (Some(id), Some(plan)) = (survey.id, Plan::of(survey)) else {
        return Err(nothing_left(dir, survey));
    };
    let place = Place { disk, dir, id, options: LogOptions::default() };
    let folder = dir.join(format!("damaged-{now_ms}"));
    let mut work = Work { place, folder, now_ms, survey, plan: &plan, made: Vec::new() };
    if let Err(error) = work.prepare() {
        work.undo();
        return Err(error);
    }
    report.folder = work.folder.display().to_string();
    report.tail = plan.tail;
    report.lost = plan.lost(survey);
    work.apply(&mut report)?;
    Ok(report)
}

fn nothing_left(dir: &Path, survey: &Survey) -> LogError {
    let newest = survey.checkpoints.iter().rfind(|image| image.sound).map(|image| &image.info);
    let what = match newest {
        Some(info) => format!(
            "the newest sound checkpoint, {}, was read between LSN {} and {}, and the log of that time is lost, so that no \
             state can be built that ever was; restore the folder from a backup, or move the checkpoint alone into an empty \
             folder and start there",
            info.name, info.start_lsn, info.last_lsn
        ),
        None => "the log does not begin at LSN 1 and no sound checkpoint reaches its beginning: nothing can be built on it; \
                 restore the folder from a backup"
            .to_owned(),
    };
    LogError::MissingSegment { dir: dir.display().to_string(), after: 0, what }
}

struct Work<'a> {
    place: Place<'a>,
    /// Where copies and dropped files are kept.
    folder: PathBuf,
    now_ms: u64,
    survey: &'a Survey,
    plan: &'a Plan<'a>,
    /// Files that were created under temporary names.
    made: Vec<PathBuf>,
}

fn temporary(first: Lsn) -> String {
    format!("{}.tmp", segment_name(first))
}

impl Work<'_> {
    /// Writes all new files. The log's own files do not change.
    fn prepare(&mut self) -> Result<(), LogError> {
        let Place { disk, dir, .. } = self.place;
        disk.create_dir_all(&self.folder).map_err(|error| LogError::io("create", &self.folder, &error))?;
        for name in self.changed() {
            self.copy(&name)?;
        }
        let mut before: Option<KeptRun<'_>> = None;
        for kept in self.plan.kept.iter().copied() {
            if kept.is_written_anew() {
                self.write_segment(kept, before)?;
            }
            before = Some(kept);
        }
        if self.plan.kept.is_empty() {
            let header = SegmentHeader::beginning(self.place.id, self.plan.tail + 1, self.now_ms);
            let file = self.create(&dir.join(temporary(header.first)))?;
            self.write(&*file, &header.encode(), 0)?;
        }
        let file = self.create(&dir.join(NEW_MANIFEST))?;
        self.write(&*file, self.manifest().encode().as_bytes(), 0)?;
        for path in [&self.folder, dir] {
            disk.fsync_dir(path).map_err(|error| LogError::io("fsync", path, &error))?;
        }
        Ok(())
    }

    /// Removes what [`Work::prepare`] created. Errors here are ignored: the error of `prepare` is the one reported.
    fn undo(&self) {
        let disk = self.place.disk;
        for path in &self.made {
            let _ = disk.remove_file(path);
        }
        let _ = disk.remove_dir(&self.folder);
        let _ = disk.fsync_dir(self.place.dir);
    }

    /// Files whose content changes under the same name.
    fn changed(&self) -> Vec<String> {
        let cut = |kept: &&KeptRun<'_>| {
            if kept.is_written_anew() { kept.run.first == kept.seen.first } else { self.plan.is_cut(kept) }
        };
        let mut names: Vec<String> =
            self.plan.kept.iter().filter(cut).map(|kept| segment_name(kept.seen.first)).collect();
        if self.place.disk.exists(&self.place.dir.join(MANIFEST)) {
            names.push(MANIFEST.to_owned());
        }
        names
    }

    /// Creates a file, in the place of one that an interrupted repair left.
    fn create(&mut self, path: &Path) -> Result<Arc<dyn DiskFile>, LogError> {
        // If the removal fails, the creation below fails too and reports the error.
        let _ = self.place.disk.remove_file(path);
        let file = self.place.disk.create(path).map_err(|error| LogError::io("create", path, &error))?;
        self.made.push(path.to_path_buf());
        Ok(file)
    }

    fn write(&self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> Result<(), LogError> {
        let failed = |what: &str, error: &std::io::Error| {
            LogError::io(what, self.made.last().map_or(self.place.dir, PathBuf::as_path), error)
        };
        file.write_at(bytes, offset).map_err(|error| failed("write", &error))?;
        file.fsync().map_err(|error| failed("fsync", &error))
    }

    fn copy(&mut self, name: &str) -> Result<(), LogError> {
        let from = self.place.dir.join(name);
        let target = self.create(&self.folder.join(name))?;
        self.copy_range(&from, 0..u64::MAX, &*target, 0)
    }

    /// Copies bytes of one file to an offset of another, which is synced.
    fn copy_range(
        &self,
        from: &Path,
        range: std::ops::Range<u64>,
        target: &dyn DiskFile,
        mut to: u64,
    ) -> Result<(), LogError> {
        let failed = |what: &str, error: &std::io::Error| LogError::io(what, from, error);
        let source = self.place.disk.open(from, Access::Read).map_err(|error| failed("open", &error))?;
        let mut buffer = vec![0; COPY_STEP];
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(COPY_STEP as u64) as usize;
            let part = buffer.get_mut(..len).unwrap_or_default();
            let got = source.read_at(part, at).map_err(|error| failed("read", &error))?;
            if got == 0 {
                break;
            }
            let part = buffer.get(..got).unwrap_or_default();
            target.write_at(part, to).map_err(|error| failed("copy", &error))?;
            at += got as u64;
            to += got as u64;
        }
        target.fsync().map_err(|error| failed("fsync a copy of", &error))
    }

    /// Writes a run's records into a segment of their own.
    fn write_segment(&mut self, kept: KeptRun<'_>, before: Option<KeptRun<'_>>) -> Result<(), LogError> {
        let KeptRun { seen, run } = kept;
        let header = SegmentHeader {
            id: self.place.id,
            first: run.first,
            last_before: run.lower - 1,
            previous_first: before.map_or(0, |before| name_of(&before)),
            durable: run.lower - 1,
            epoch: self.epoch(),
            ms: self.now_ms,
            chain: run.before,
            previous_end: before.map_or(0, |before| end_of(&before)),
        };
        let file = self.create(&self.place.dir.join(temporary(run.first)))?;
        let bytes = header.encode();
        self.write(&*file, &bytes, 0)?;
        let source = self.place.dir.join(segment_name(seen.first));
        self.copy_range(&source, run.offset..run.end, &*file, bytes.len() as u64)?;
        match self.marks(&kept) {
            Some(marks) => self.write(&*file, &marks, end_of(&kept)),
            None => Ok(()),
        }
    }

    /// The marks behind a kept run: they name what is kept behind it.
    fn marks(&self, kept: &KeptRun<'_>) -> Option<[u8; MARKS]> {
        let (key, next, chain) = (self.place.id.key(), kept.run.last + 1, kept.run.chain);
        self.plan.after(kept).map(|_| Marks { key, next, chain }.encode(Next::Durable))
    }

    fn epoch(&self) -> u64 {
        let headers = self.survey.segments.iter().filter_map(|seen| seen.header);
        let named = self.survey.manifest.as_ref().map(|manifest| manifest.epoch);
        headers.map(|header| header.epoch).chain(named).max().unwrap_or(0).max(1)
    }

    fn manifest(&self) -> Manifest {
        let (id, epoch) = (self.place.id, self.epoch());
        let trimmed = self.plan.kept.first().map_or(self.plan.tail, |kept| kept.run.lower - 1);
        match &self.survey.manifest {
            Some(old) => Manifest { epoch, trimmed, closed: None, ..old.clone() },
            None => Manifest { id, epoch, incarnation: 0, trimmed, closed: None },
        }
    }

    /// Carries the plan out. If it is interrupted at any step, the folder can be repaired again.
    fn apply(&self, report: &mut RepairReport) -> Result<(), LogError> {
        let plan = self.plan;
        report.copies = self.changed();
        for seen in plan.later.iter().rev() {
            let name = segment_name(seen.first);
            self.set_aside(&name, report)?;
            report.actions.push(format!("{name} was dropped with {}", plan.lost_in(seen)));
        }
        for kept in plan.kept.iter().filter(|kept| !kept.is_written_anew() && plan.is_cut(kept)) {
            self.cut(kept, report)?;
        }
        for (info, why) in &plan.dropped {
            self.set_aside(&info.name, report)?;
            report.actions.push(format!("{} was dropped: {why}", info.name));
        }
        for kept in plan.kept.iter().filter(|kept| kept.is_written_anew()) {
            self.put_in_place(kept, report)?;
        }
        if plan.kept.is_empty() {
            self.rename(&temporary(plan.tail + 1), &segment_name(plan.tail + 1))?;
            report.actions.push(format!("the log goes on with LSN {}", plan.tail + 1));
        }
        self.rename(NEW_MANIFEST, MANIFEST)?;
        for seen in &plan.old {
            let name = segment_name(seen.first);
            // If nothing is kept, the new segment may have replaced an old one without records that had the same name.
            if plan.kept.is_empty() && seen.first == plan.tail + 1 {
                continue;
            }
            self.set_aside(&name, report)?;
            report.actions.push(format!("{name} was dropped; a checkpoint holds what it held"));
        }
        let base = plan.base.map_or_else(|| "no checkpoint".to_owned(), |info| info.name.clone());
        report.actions.push(format!("the log now ends with LSN {}, a start begins with {base}", plan.tail));
        report.actions.push(format!("{} were dropped in all", report.lost));
        Ok(())
    }

    fn cut(&self, kept: &KeptRun<'_>, report: &mut RepairReport) -> Result<(), LogError> {
        let KeptRun { seen, run } = kept;
        let (name, end) = (segment_name(seen.first), run.end);
        let path = self.place.dir.join(&name);
        let failed = |what: &str, error: &std::io::Error| LogError::io(what, &path, error);
        let file = self.place.disk.open(&path, Access::ReadWrite).map_err(|error| failed("open", &error))?;
        file.set_len(end).map_err(|error| failed("cut", &error))?;
        if let Some(marks) = self.marks(kept) {
            file.write_at(&marks, end).map_err(|error| failed("write", &error))?;
        }
        file.fsync().map_err(|error| failed("fsync", &error))?;
        let lost = self.plan.lost_in(seen);
        report.actions.push(format!("{name} was cut at offset {end}, after LSN {}, with {lost}", run.last));
        Ok(())
    }

    /// Gives a segment that was written anew its name, and moves the damaged one away.
    fn put_in_place(&self, kept: &KeptRun<'_>, report: &mut RepairReport) -> Result<(), LogError> {
        let KeptRun { seen, run } = kept;
        let (old, new) = (segment_name(seen.first), segment_name(run.first));
        self.rename(&temporary(run.first), &new)?;
        if old != new {
            self.set_aside(&old, report)?;
        }
        let lost = self.plan.lost_in(seen);
        report.actions.push(format!(
            "{old} was written anew as {new} with LSN {} to {}, without what was damaged and {lost}",
            run.first, run.last
        ));
        Ok(())
    }

    /// Moves a file into the folder with the copies.
    fn set_aside(&self, name: &str, report: &mut RepairReport) -> Result<(), LogError> {
        let (from, to) = (self.place.dir.join(name), self.folder.join(name));
        self.place.disk.rename(&from, &to).map_err(|error| LogError::io("move", &from, &error))?;
        self.sync(&self.folder)?;
        self.sync(self.place.dir)?;
        report.copies.push(name.to_owned());
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), LogError> {
        let to = self.place.dir.join(to);
        let done = self.place.disk.rename(&self.place.dir.join(from), &to);
        done.map_err(|error| LogError::io("rename to", &to, &error))?;
        self.sync(self.place.dir)
    }

    fn sync(&self, dir: &Path) -> Result<(), LogError> {
        self.place.disk.fsync_dir(dir).map_err(|error| LogError::io("fsync", dir, &error))
    }
}

/// The offset behind a kept run in the segment that will hold it.
fn end_of(kept: &KeptRun<'_>) -> u64 {
    let Run { offset, end, .. } = *kept.run;
    if kept.is_written_anew() { SEGMENT_HEADER as u64 + end - offset } else { end }
}

/// The first LSN in the name that a kept segment will have.
fn name_of(kept: &KeptRun<'_>) -> Lsn {
    if kept.is_written_anew() { kept.run.first } else { kept.seen.first }
}
