//! The engine's side of the log: appending, and how durable an append has to be before a reply shows it.

use super::{Engine, EngineError};
use crate::config::{AppendFsync, Settings};
use crate::effect::{self, Effect};
use crate::log::{Log, LogError, LogStats, Lsn};
use crate::store::Mode;
use std::sync::atomic::{AtomicU8, Ordering::*};
use std::sync::{Arc, OnceLock};

/// When a write counts as settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Durability {
    /// At once: nothing is logged.
    Unlogged = 0,
    /// When it was handed to the operating system.
    Written = 1,
    /// When it is on disk.
    Synced = 2,
    /// The log has failed: nothing is written any more, and what is read is what was durable.
    Failed = 3,
}

impl Durability {
    /// What the settings ask for.
    pub fn of(settings: &Settings) -> Self {
        match (settings.appendonly, settings.appendfsync) {
            (false, _) => Self::Unlogged,
            (true, AppendFsync::Always) => Self::Synced,
            (true, _) => Self::Written,
        }
    }
}

/// What INFO says of the log.
pub type JournalStats = LogStats;

/// The log, once recovery has opened it.
#[derive(Default)]
pub(super) struct Journal {
    log: OnceLock<Arc<Log>>,
    durability: AtomicU8,
}

impl Journal {
    pub(super) fn log(&self) -> Option<&Arc<Log>> {
        self.log.get()
    }

    pub(super) fn set_log(&self, log: Arc<Log>) {
        let _ = self.log.set(log);
    }

    pub(super) fn set_durability(&self, durability: Durability) {
        let Some(log) = self.log.get() else { return };
        // A failure that comes at this moment stays.
        let failed = Durability::Failed as u8;
        let set =
            self.durability.fetch_update(AcqRel, Acquire, |now| (now != failed).then_some(durability as u8));
        if set.is_ok() {
            log.expect_frequent_syncs(durability == Durability::Synced);
        }
    }

    #[inline]
    pub(super) fn durability(&self) -> Durability {
        match self.durability.load(Relaxed) {
            0 => Durability::Unlogged,
            1 => Durability::Written,
            2 => Durability::Synced,
            _ => Durability::Failed,
        }
    }

    /// The log is not written any more.
    pub(super) fn fail(&self) {
        self.durability.store(Durability::Failed as u8, Release);
    }

    /// Marks the place before which changes may be missing from the log. Recovery does not go beyond it unless a checkpoint
    /// begins behind it.
    pub(super) fn open_gap(&self, now: u64) {
        if let Some(log) = self.log.get() {
            let mut record = vec![effect::VERSION];
            Effect::Gap.encode(&mut record);
            log.append(now, &record);
        }
    }
}

impl Engine {
    /// Appends a record under the locks of the shards that it changed; returns its position, if it is logged.
    #[inline]
    pub(super) fn append(&self, now: u64, record: &[u8], changes: u64) -> Option<Lsn> {
        self.dirty.fetch_add(changes, Relaxed);
        if matches!(self.journal.durability(), Durability::Written | Durability::Synced)
            && let Some(log) = self.journal.log()
        {
            return Some(log.append(now, record));
        }
        None
    }

    /// The LSN of the last appended record.
    #[inline]
    pub fn tail(&self) -> Lsn {
        match self.journal.log() {
            Some(log) => log.tail(),
            None => 0,
        }
    }

    /// The LSN up to which records are as durable as `appendfsync` asks. After the log has failed nothing more becomes
    /// durable, and reads are answered all the same.
    #[inline]
    pub fn settled(&self) -> Lsn {
        let Some(log) = self.journal.log() else { return Lsn::MAX };
        match self.journal.durability() {
            Durability::Unlogged | Durability::Failed => Lsn::MAX,
            Durability::Written => log.written(),
            Durability::Synced => log.synced(),
        }
    }

    /// As [`Engine::settled`] for what was done by a command that began when [`Engine::durability`] was `began`. If the log has failed
    /// since then, it may show, or acknowledge, what will never be durable.
    #[inline]
    pub fn settled_since(&self, began: Durability) -> Lsn {
        if began != Durability::Failed && self.durability() == Durability::Failed {
            return self.settled_at_failure();
        }
        self.settled()
    }

    /// Makes all that was appended so far as durable as `appendfsync` asks, together with everybody else's.
    pub fn settle(&self) -> Result<(), LogError> {
        let Some(log) = self.journal.log() else { return Ok(()) };
        match self.journal.durability() {
            Durability::Unlogged => Ok(()),
            // Whoever waits has waited since before the failure.
            Durability::Failed => Err(log.failure().cloned().unwrap_or(LogError::Closed)),
            Durability::Written => log.write_out(log.tail()),
            Durability::Synced => log.sync(log.tail()),
        }
    }

    /// The LSN that was settled when the log failed.
    pub fn settled_at_failure(&self) -> Lsn {
        self.journal
            .log()
            .map_or(0, |log| if self.shows_only_durable() { log.synced() } else { log.written() })
    }

    /// Whether the log failed at `always`, where nobody may be shown what is not durable.
    pub fn shows_only_durable(&self) -> bool {
        self.failed_at_always.load(Acquire) || self.durability() == Durability::Synced
    }

    /// Makes everything durable, whatever `appendfsync` says.
    pub fn sync(&self) -> Result<(), LogError> {
        match self.journal.log() {
            Some(log) => log.sync(log.tail()),
            None => Ok(()),
        }
    }

    /// Takes note of the log's failure, which is final. At `always` memory shows changes that will never be durable and that
    /// nobody was shown; it goes back to what is durable, on a thread of its own, while clients are answered LOADING.
    pub fn note_failure(self: &Arc<Self>, error: &LogError) {
        if self.failing.swap(true, AcqRel) {
            return;
        }
        tracing::error!(%error, "the log has failed; writes are refused until a restart");
        if self.durability() != Durability::Synced {
            self.journal.fail();
            return;
        }
        self.failed_at_always.store(true, Release);
        let all = self.store.lock_all(Mode::Write, self.clock.now_ms());
        self.loading.store(true, Release);
        drop(all);
        let engine = Arc::clone(self);
        let back = move || match engine.fall_back() {
            Ok(()) => tracing::warn!("memory is back at what is durable"),
            Err(error) => tracing::error!(%error, "what is durable cannot be read again; restart the server"),
        };
        if let Err(error) = std::thread::Builder::new().name("fall-back".into()).spawn(back) {
            tracing::error!(%error, "memory cannot go back to what is durable; restart the server");
        }
    }

    /// Why writes are refused at present: the log has failed for good, or the disk is full. One relaxed load when all is well.
    #[inline]
    pub fn refusal(&self, bytes: usize) -> Option<LogError> {
        if self.journal.durability() == Durability::Unlogged {
            return None;
        }
        self.journal.log().and_then(|log| log.reserve(bytes).err())
    }

    /// Why one record cannot hold so many bytes, if it cannot.
    #[inline]
    pub(super) fn too_large(&self, bytes: usize) -> Option<LogError> {
        if self.journal.durability() == Durability::Unlogged {
            return None;
        }
        self.journal.log().and_then(|log| log.check_size(bytes as u64).err())
    }

    /// What INFO says of the log.
    pub fn journal_stats(&self) -> Option<JournalStats> {
        self.journal.log().map(|log| log.stats())
    }

    /// What happens to a write before it is acknowledged.
    pub fn durability(&self) -> Durability {
        self.journal.durability()
    }

    /// Ends the log in order: everything is on disk and the next start knows it.
    pub fn close(&self) -> Result<(), EngineError> {
        self.sync()?;
        if let Some(log) = self.journal.log() {
            log.close()?;
        }
        Ok(())
    }
}
