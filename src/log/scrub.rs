//! Slowly re-reads the log and the checkpoints, so that damage is found while another checkpoint is still sound.

use super::checkpoint::Checkpoints;
use super::{Log, LogError, LogReader, Lsn, RecordRun};
use std::time::Duration;

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Bytes that were read and verified.
    pub bytes: u64,
    /// True when everything was read; false when `wait` stopped it.
    pub finished: bool,
    /// What is damaged. Each says file and offset.
    pub damage: Vec<LogError>,
}

/// Reads and verifies all records that were durable when it began and all checkpoints, at most `bytes_per_second` (0:
/// as fast as it can). After each read of at most some hundred KB, or of one chunk, it calls `wait` with the time to
/// rest, and stops when that returns false. Damaged checkpoints are marked and then do not count as kept ones.
///
/// To be called from a background thread, say once a day; it takes no lock that a writer waits for.
pub fn scrub(
    log: &Log,
    checkpoints: &Checkpoints,
    bytes_per_second: u64,
    mut wait: impl FnMut(Duration) -> bool,
) -> ScrubReport {
    let mut report = ScrubReport::default();
    let mut rest = |report: &mut ScrubReport, bytes: u64| {
        report.bytes += bytes;
        let micros = bytes.saturating_mul(1_000_000).checked_div(bytes_per_second).unwrap_or(0);
        wait(Duration::from_micros(micros))
    };
    report.finished =
        scrub_log(log, &mut report, &mut rest) && scrub_checkpoints(checkpoints, &mut report, &mut rest);
    report
}

/// Returns false when it was stopped.
fn scrub_log(
    log: &Log,
    report: &mut ScrubReport,
    rest: &mut impl FnMut(&mut ScrubReport, u64) -> bool,
) -> bool {
    let end = log.synced();
    let mut piece = RecordRun::new();
    let mut next: Lsn = 1;
    let mut reader: Option<Box<dyn LogReader>> = None;
    while next <= end {
        let read = if let Some(reader) = &mut reader {
            reader.next_piece(&mut piece)
        } else {
            next = next.max(log.store().stats().first);
            piece.clear();
            log.read_from(next).map(|opened| reader.replace(opened).is_none())
        };
        match read {
            Ok(true) => {
                next = next.max(piece.last() + 1);
                if !rest(report, piece.byte_len()) {
                    return false;
                }
            }
            Ok(false) => break,
            // The segment being read has been trimmed meanwhile.
            Err(_) if log.store().stats().first > next => reader = None,
            Err(error) => {
                report.damage.push(error);
                break;
            }
        }
    }
    true
}

/// Returns false when it was stopped.
fn scrub_checkpoints(
    checkpoints: &Checkpoints,
    report: &mut ScrubReport,
    rest: &mut impl FnMut(&mut ScrubReport, u64) -> bool,
) -> bool {
    let all = match checkpoints.list() {
        Ok(all) => all,
        Err(error) => {
            report.damage.push(error);
            return true;
        }
    };
    let mut buffer = Vec::new();
    for info in all {
        let mut index = 0;
        let done = checkpoints.open(&info).and_then(|checkpoint| {
            while checkpoint.verify_chunk(index, &mut buffer)? {
                index += 1;
                if !rest(report, buffer.len() as u64) {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        match done {
            Ok(true) => {}
            Ok(false) => return false,
            // The checkpoint has been replaced by a newer one meanwhile.
            Err(_)
                if checkpoints.list().is_ok_and(|now| !now.iter().any(|other| other.name == info.name)) => {}
            Err(error) => {
                checkpoints.mark_damaged(&info);
                report.damage.push(error);
            }
        }
    }
    true
}
