//! What a check found and what a repair did, and the words for both.

use crate::log::{LogId, Lsn};
use std::fmt;

/// What a check found, and what a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The log's identity, if a file says it.
    pub log_id: Option<LogId>,
    /// The segments, in order.
    pub segments: Vec<SegmentCheck>,
    /// The checkpoints, the oldest first.
    pub checkpoints: Vec<CheckpointCheck>,
    /// Everything that is wrong. Empty: the log is sound.
    pub problems: Vec<Problem>,
    /// What a start repairs by itself, such as a torn end.
    pub notes: Vec<String>,
    /// The last LSN of the log that a start would go on with; `None`: it would be refused, or begin a log.
    pub start: Option<Lsn>,
    /// What a repair would keep; `None`: there is nothing to repair, or it would be refused.
    pub outlook: Option<Outlook>,
    /// What the repair did.
    pub repair: Option<RepairReport>,
}

/// The state that a repair leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The last LSN that is kept.
    pub tail: Lsn,
    /// The checkpoint that a start would begin from.
    pub checkpoint: Option<String>,
    /// What would be dropped.
    pub lost: Lost,
}

/// Valid records that are dropped because one before them is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub records: u64,
    /// The least LSN among them.
    pub first: Lsn,
    /// The greatest one.
    pub last: Lsn,
}

impl Lost {
    /// Counts the records from LSN `first` to `last`.
    pub(super) fn add(&mut self, first: Lsn, last: Lsn) {
        self.first = if self.records == 0 { first } else { self.first.min(first) };
        self.last = self.last.max(last);
        self.records += last + 1 - first;
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { records: 0, .. } => write!(f, "0 valid records"),
            Self { records, first, last } => {
                write!(f, "{records} valid records between LSN {first} and {last}")
            }
        }
    }
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
    /// The last LSN of the log.
    pub tail: Lsn,
    /// Valid records that were dropped.
    pub lost: Lost,
}

impl CheckReport {
    /// True when there are no problems. A torn end that a start cuts off is a note, not a problem.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Writes what a start and a repair would do about damage.
    fn say_outlook(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Some(tail) => writeln!(f, "a start goes on all the same, with everything up to LSN {tail}")?,
            None => writeln!(f, "a start would be refused")?,
        }
        match &self.outlook {
            Some(Outlook { tail, checkpoint, lost }) => {
                let base = checkpoint.as_ref().map(|name| format!(", from {name} on")).unwrap_or_default();
                writeln!(f, "a repair would keep everything up to LSN {tail}{base}, and drop {lost}")
            }
            None => writeln!(f, "a repair would be refused"),
        }
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
        if let Some(RepairReport { folder, copies, actions, .. }) = &self.repair {
            for action in actions {
                writeln!(f, "repair: {action}")?;
            }
            if !copies.is_empty() {
                writeln!(f, "repair: copies of {} are kept in {folder}", copies.join(", "))?;
            }
        } else if self.is_sound() {
            writeln!(f, "no damage was found")?;
        } else {
            self.say_outlook(f)?;
        }
        Ok(())
    }
}
