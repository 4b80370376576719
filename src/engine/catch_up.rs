//! A start while another writer still has the log. It reads while the other process writes, trims and names
//! checkpoints; then it fences the other process and catches up.

use super::recover::{Read, RecoveryReport};
use super::{Engine, EngineError};
use crate::log::{Log, Lsn};

/// How often a start tries to read the data if another process changes it meanwhile.
const READS_BESIDE_A_WRITER: u32 = 5;

/// What another process changes when it finishes a checkpoint: the first LSN of the log, and the checkpoints' names.
#[derive(PartialEq)]
pub(super) struct Seen {
    first: Lsn,
    names: Vec<String>,
}

impl Engine {
    /// Reads the data before the log is taken over. Another process may still write the log and remove what is being
    /// read; then the data is read again, a few times. The checkpoint may show records that the log did not have when
    /// it was opened: they are replayed after the other writer was fenced.
    pub(super) fn read_while_others_write(
        &self,
        log: &Log,
        report: &mut RecoveryReport,
    ) -> Result<(Read, Seen), EngineError> {
        let mut tries = 1;
        loop {
            let seen = self.look_around(log)?;
            let read = self.read_from_checkpoint(log, log.tail(), Lsn::MAX, report);
            match read {
                Ok(read) => return Ok((read, seen)),
                Err(_) if tries < READS_BESIDE_A_WRITER && self.look_around(log)? != seen => tries += 1,
                Err(error) => return Err(error),
            }
            self.begin_again(report);
        }
    }

    /// Replays what another writer has appended between the opening of the log and the fence. If that writer also
    /// finished checkpoints, the data is read again where it is needed: because replay stopped at a gap, or what it
    /// needs was trimmed. In a folder, which is locked, nothing has changed.
    pub(super) fn catch_up(
        &self,
        log: &Log,
        read: &Read,
        seen: &Seen,
        report: &mut RecoveryReport,
    ) -> Result<(), EngineError> {
        let opened = std::mem::replace(&mut report.tail, log.tail());
        let mut outcome = Ok(());
        if report.tail > opened && !report.gap {
            outcome = self.replay(log, read.upto, report.tail, &read.images, report);
            self.count_items();
        }
        if (outcome.is_ok() && !report.gap) || self.look_around(log)? == *seen {
            return outcome;
        }
        self.begin_again(report);
        // The other writer is fenced: it appends nothing, trims nothing and names no checkpoint any more.
        self.read_up_to(log, report.tail, report)
    }

    /// Forgets what was read, because another process has changed the data meanwhile.
    fn begin_again(&self, report: &mut RecoveryReport) {
        self.forget_all();
        report.damaged.clear();
        (report.checkpoint, report.records, report.gap) = (None, 0, false);
    }

    /// What another writer changes when it finishes a checkpoint.
    fn look_around(&self, log: &Log) -> Result<Seen, EngineError> {
        let all = self.checkpoints().map_or_else(|| Ok(Vec::new()), |checkpoints| checkpoints.list())?;
        let names = all.into_iter().map(|info| info.name).collect();
        Ok(Seen { first: log.stats().store.first, names })
    }
}
