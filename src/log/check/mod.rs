//! Verifies and repairs a folder that no server uses.
//!
//! [`check`] reads every segment and every checkpoint to its end and changes nothing. [`repair`] makes the log open
//! again, with the newest state that the undamaged bytes still hold (`plan.rs`). Every file that it changes or removes
//! is kept in `damaged-<milliseconds>`.

mod findings;
mod plan;
mod repair;
mod report;
mod survey;

use super::LogError;
use crate::env::Disk;
use findings::Survey;
use std::io;
use std::path::Path;

pub use report::{CheckReport, CheckpointCheck, Lost, Outlook, Problem, RepairReport, SegmentCheck};

/// Verifies everything in `dir` and only reads. No server may use the folder. If the folder's lock cannot be read, the
/// check goes on and a note says that another process may use it.
///
/// # Errors
/// Only when the folder cannot be read or is in use; damage is reported, not returned.
pub fn check(disk: &dyn Disk, dir: &Path) -> Result<CheckReport, LogError> {
    disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
    let (_lock, unlocked) = match disk.lock_to_read(dir) {
        Ok(lock) => (Some(lock), None),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(in_use(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
        Err(error) => (None, Some(LogError::io("lock", dir, &error))),
    };
    let mut report = Survey::take(disk, dir)?.report;
    if let Some(why) = unlocked {
        report.notes.push(format!("it could not be seen whether a server uses the folder ({why})"));
    }
    Ok(report)
}

/// Repairs what [`check`] finds. The report says what was found before and what was dropped. `now_ms` names the folder
/// with the copies.
///
/// # Errors
/// As [`check`]; also when files of another log or of an unknown format version are in the way, when nothing is left to
/// build a log on, and when there is no room for the copies. In all these cases nothing has been changed.
pub fn repair(disk: &dyn Disk, dir: &Path, now_ms: u64) -> Result<CheckReport, LogError> {
    disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
    let _lock = disk.lock(dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => in_use(dir),
        _ => LogError::io("lock", dir, &error),
    })?;
    let survey = Survey::take(disk, dir)?;
    let mut report = survey.report.clone();
    report.repair = Some(repair::run(disk, dir, now_ms, &survey)?);
    Ok(report)
}

fn in_use(dir: &Path) -> LogError {
    LogError::Locked { dir: dir.display().to_string() }
}
