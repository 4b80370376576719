//! What a survey found, in the form that a repair needs.

use super::report::CheckReport;
use crate::log::checkpoint::CheckpointInfo;
use crate::log::manifest::Manifest;
use crate::log::segment::SegmentHeader;
use crate::log::{LogError, LogId, Lsn};

/// What was found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) report: CheckReport,
    pub(super) id: Option<LogId>,
    pub(super) manifest: Option<Manifest>,
    pub(super) segments: Vec<Seen>,
    pub(super) checkpoints: Vec<Image>,
    /// A file of another log or an unknown version.
    pub(super) foreign: Option<LogError>,
}

/// One checkpoint.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) info: CheckpointInfo,
    pub(super) sound: bool,
    /// It is another log's or of an unknown version.
    pub(super) foreign: bool,
}

/// One segment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) first: Lsn,
    pub(super) header: Option<SegmentHeader>,
    /// The records that can be read, with damage between one run and the next.
    pub(super) runs: Vec<Run>,
    /// Something that is neither a record nor marks stands behind the last run.
    pub(super) rubbish: bool,
    /// Marks behind the last run name a next segment.
    pub(super) marked: bool,
    /// A trim has released the segment, so it may be damaged or missing.
    pub(super) leftover: bool,
    /// It is another log's or of an unknown version.
    pub(super) foreign: bool,
}

/// Records that follow each other without a gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) first: Lsn,
    /// The last LSN; `first - 1` when there is no record.
    pub(super) last: Lsn,
    /// The first LSN that the run covers. It is below `first` where a checkpoint stands for the records in between.
    pub(super) lower: Lsn,
    /// Where its records lie in the file.
    pub(super) offset: u64,
    pub(super) end: u64,
    /// The chain before the first record and after the last one.
    pub(super) before: u32,
    pub(super) chain: u32,
    /// It begins behind a sound header.
    pub(super) headed: bool,
}

impl Seen {
    /// The last LSN that can be read in it; below `first` when there is none.
    pub(super) fn last(&self) -> Lsn {
        self.runs.iter().map(|run| run.last).max().unwrap_or(self.first - 1)
    }

    pub(super) fn end(&self) -> u64 {
        self.runs.iter().map(|run| run.end).max().unwrap_or(0)
    }
}
