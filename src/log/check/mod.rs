//! Verifies a folder that no server uses, and repairs it.
//!
//! [`check`] reads every segment and every checkpoint to its end and changes nothing. [`repair`] makes the log open
//! again: it cuts the log at the first damage that matters, or gives up old segments that a sound checkpoint makes
//! unnecessary. A copy of every file that it changes or removes is kept in `damaged-<milliseconds>`.

mod repair;
mod survey;

use super::{LogError, LogId, Lsn};
use crate::env::Disk;
use std::fmt;
use std::path::Path;
use survey::Survey;

/// What a check found, and what a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The log's identity, if anything tells it.
    pub log_id: Option<LogId>,
    /// The segments, in order.
    pub segments: Vec<SegmentCheck>,
    /// The checkpoints, the oldest first.
    pub checkpoints: Vec<CheckpointCheck>,
    /// Everything that is wrong. Empty: the log is sound.
    pub problems: Vec<Problem>,
    /// What a start would put in order by itself, such as a torn end.
    pub notes: Vec<String>,
    /// What the repair did.
    pub repair: Option<RepairReport>,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentCheck {
    /// The file's name.
    pub name: String,
    /// The LSN of its first record.
    pub first: Lsn,
    /// The LSN of its last valid record; below `first` when there is none.
    pub last: Lsn,
    /// Bytes up to the end of that record.
    pub bytes: u64,
}

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointCheck {
    /// The file's name.
    pub name: String,
    /// Replay begins after this LSN.
    pub start_lsn: Lsn,
    /// The greatest LSN that a chunk reflects.
    pub last_lsn: Lsn,
    /// Number of chunks.
    pub chunks: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Everything in it was verified.
    pub sound: bool,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, with its folder.
    pub file: String,
    /// The first byte that is wrong.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// The folder with the copies; empty when nothing had to be done.
    pub folder: String,
    /// The files copied there.
    pub copies: Vec<String>,
    /// What was done and dropped, in words.
    pub actions: Vec<String>,
}

impl CheckReport {
    /// True when nothing is wrong (a torn end that a start cuts off is not).
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.log_id {
            Some(id) => writeln!(f, "log {id}")?,
            None => writeln!(f, "no log was found")?,
        }
        for segment in &self.segments {
            let SegmentCheck { name, first, last, bytes } = segment;
            if last < first {
                writeln!(f, "segment {name}: no records, {bytes} bytes")?;
            } else {
                writeln!(f, "segment {name}: LSN {first} to {last}, {bytes} bytes")?;
            }
        }
        for checkpoint in &self.checkpoints {
            let CheckpointCheck { name, start_lsn, last_lsn, chunks, bytes, sound } = checkpoint;
            if *sound {
                let lsns = format!("LSN {start_lsn} to {last_lsn}");
                writeln!(f, "checkpoint {name}: {lsns}, {chunks} chunks, {bytes} bytes")?;
            } else {
                writeln!(f, "checkpoint {name}: damaged")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for Problem { file, offset, what } in &self.problems {
            writeln!(f, "PROBLEM: {file} at offset {offset}: {what}")?;
        }
        if let Some(RepairReport { folder, copies, actions }) = &self.repair {
            for action in actions {
                writeln!(f, "repair: {action}")?;
            }
            if !copies.is_empty() {
                writeln!(f, "repair: copies of {} are kept in {folder}", copies.join(", "))?;
            }
        } else if self.is_sound() {
            writeln!(f, "no damage was found")?;
        }
        Ok(())
    }
}

/// Verifies everything in `dir`, which is locked meanwhile, and changes nothing.
///
/// # Errors
/// Only when the folder cannot be read or is in use; damage is reported, not returned.
pub fn check(disk: &dyn Disk, dir: &Path) -> Result<CheckReport, LogError> {
    let _lock = lock(disk, dir)?;
    Ok(Survey::take(disk, dir)?.report)
}

/// Repairs what [`check`] finds. The report says what was found before and what was dropped. `now_ms` names the folder
/// with the copies.
///
/// # Errors
/// As [`check`]; also when files of another log or of an unknown format version are in the way, and when nothing is
/// left that a log could be built on.
pub fn repair(disk: &dyn Disk, dir: &Path, now_ms: u64) -> Result<CheckReport, LogError> {
    let _lock = lock(disk, dir)?;
    let survey = Survey::take(disk, dir)?;
    let mut report = survey.report.clone();
    report.repair = Some(repair::run(disk, dir, now_ms, &survey)?);
    Ok(report)
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn crate::env::FolderLock>, LogError> {
    disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
    disk.lock(dir).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => LogError::Locked { dir: dir.display().to_string() },
        _ => LogError::io("lock", dir, &error),
    })
}
