//! Group commit: many threads append, few writes and syncs follow.
//!
//! This file is the log's state and the append; `commit.rs` writes out and syncs, `reserve.rs` accepts and refuses.
//!
//! Locks, in the order in which they may be taken: `syncing`, `writer`, `held`, that of `submitted`, `pending`,
//! `waiting`. An appender takes only `pending`, holds it for one memory copy, and may hold shard locks meanwhile. No
//! thread takes a shard lock while it holds one of these locks. The store's own locks come after them.
//!
//! Memory ordering: `tail`, `written` and `synced` are stored with Release after the copy, write or sync and loaded
//! with Acquire, so a thread that loads an LSN also sees everything done before it was stored. The bytes themselves
//! travel through the locks. `refusing` and the counters are hints and relaxed: a stale value costs one slow check.

use super::buffers::{Padded, PendingFrames, WaitingSince, Writer};
use super::figures::{LogStats, SyncFigures};
use super::frame::{FrameHeader, MAX_PAYLOAD, payload_checksum};
use super::store::{LogReader, LogStore};
use super::submitted::Submitted;
use super::tail::Tail;
use super::{LogError, LogId, LogOptions, Lsn};
use crate::env::Clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Stands for the epoch before one is established.
pub(super) const NO_EPOCH: u64 = 0;

/// Writes are accepted.
pub(super) const ACCEPTING: u8 = 0;
/// The disk was too full when it was last measured, or could not be measured, or records wait to be written.
pub(super) const FULL: u8 = 1;
/// A write or sync failed, or the log was closed.
pub(super) const FAILED: u8 = 2;

/// The log as the engine uses it; shared by all threads.
#[derive(Debug)]
pub struct Log {
    pub(super) store: Arc<dyn LogStore>,
    pub(super) clock: Clock,
    /// The epoch that this writer established; [`NO_EPOCH`] as long as the disk is too full for that.
    pub(super) epoch: AtomicU64,
    /// The log was opened to be read and [`Log::take_over`] has not succeeded yet.
    pub(super) looking: AtomicBool,
    key: u32,
    pub(super) keep_free_bytes: AtomicU64,
    pub(super) keep_bytes: AtomicUsize,
    pub(super) max_record_bytes: u64,
    pub(super) pending: Padded<Mutex<PendingFrames>>,
    appended: Padded<Appended>,
    pub(super) synced: Padded<AtomicU64>,
    pub(super) written: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) refusing: AtomicU8,
    /// Free bytes beyond the reserve, as estimated: the measured value less what was written since.
    pub(super) room: AtomicI64,
    pub(super) writer: Mutex<Writer>,
    pub(super) syncing: Mutex<()>,
    /// Why records, or the beginning of the epoch, could not be written; `None` once they are. Held records are written
    /// before others.
    pub(super) held: Mutex<Option<LogError>>,
    pub(super) waiting: WaitingSince,
    pub(super) failure: Arc<OnceLock<LogError>>,
    pub(super) syncs: SyncFigures,
    /// What was submitted, if the store takes batches and answers later. Its watermark stands for `written` and
    /// `synced`.
    pub(super) submitted: Option<Submitted>,
}

/// Changed by every append, under the lock of `pending`.
#[derive(Debug, Default)]
struct Appended {
    tail: AtomicU64,
    bytes: AtomicU64,
}

impl Log {
    /// A log over any store; begins a new epoch, which fences all other writers. Where the disk is too full for that
    /// the log can be read, refuses writes, and [`Log::maintain`] tries again. A folder that cannot be measured counts
    /// as full.
    pub fn over(store: Arc<dyn LogStore>, clock: Clock, options: LogOptions) -> Result<Self, LogError> {
        let log = Self::read_only(store, clock, options);
        log.take_over()?;
        Ok(log)
    }

    /// A log over any store that is only read as long as [`Log::take_over`] has not begun its epoch.
    pub(super) fn read_only(store: Arc<dyn LogStore>, clock: Clock, options: LogOptions) -> Self {
        let (epoch, tail) = (NO_EPOCH, store.tail());
        let cause = "the log is only looked at".to_owned();
        let held = Some(LogError::Unavailable { what: "beginning an epoch".to_owned(), cause, full: false });
        let failure = Arc::new(OnceLock::new());
        let submitted = store
            .submission()
            .map(|submit| Submitted::new(submit, tail, options.submit, clock.clone(), Arc::clone(&failure)));
        Self {
            key: store.log_id().key(),
            store,
            clock,
            epoch: AtomicU64::new(epoch),
            keep_free_bytes: AtomicU64::new(options.keep_free_bytes),
            keep_bytes: AtomicUsize::new(usize::try_from(options.keep_buffer_bytes).unwrap_or(usize::MAX)),
            max_record_bytes: options.max_record_bytes.min(MAX_PAYLOAD),
            pending: Padded(Mutex::new(PendingFrames {
                bytes: Vec::new(),
                tail: tail.lsn,
                chain: tail.chain,
            })),
            appended: Padded(Appended { tail: AtomicU64::new(tail.lsn), bytes: AtomicU64::new(0) }),
            synced: Padded(AtomicU64::new(tail.lsn)),
            written: AtomicU64::new(tail.lsn),
            written_bytes: AtomicU64::new(0),
            looking: AtomicBool::new(true),
            refusing: AtomicU8::new(FULL),
            room: AtomicI64::new(0),
            writer: Mutex::new(Writer::at(tail)),
            syncing: Mutex::new(()),
            held: Mutex::new(held),
            waiting: WaitingSince::default(),
            failure,
            syncs: SyncFigures::default(),
            submitted,
        }
    }

    /// The log's identity.
    pub fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    /// The place that keeps the records.
    pub fn store(&self) -> &Arc<dyn LogStore> {
        &self.store
    }

    /// Appends one record and returns its position. It is only a copy in memory: nothing is durable, or even safe from
    /// the death of this process, before [`Log::write_out`] or [`Log::sync`] covered the position.
    ///
    /// It cannot fail. If the log has failed, [`Log::write_out`] and [`Log::sync`] return the failure.
    #[inline]
    pub fn append(&self, now_ms: u64, payload: &[u8]) -> Lsn {
        self.append_parts(now_ms, &[payload])
    }

    /// Like [`Log::append`], with the payload in parts that are joined.
    #[inline]
    pub fn append_parts(&self, now_ms: u64, parts: &[&[u8]]) -> Lsn {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len as u64 > MAX_PAYLOAD {
            return self.too_large(len as u64);
        }
        // All that does not depend on the position is done before the lock.
        let checksum = payload_checksum(self.key, parts);
        // Relaxed: an older value only witnesses a smaller durable LSN.
        let synced = match &self.submitted {
            None => self.synced.0.load(Ordering::Relaxed),
            Some(submitted) => submitted.durable(),
        };
        let mut pending = self.pending.0.lock();
        let lsn = pending.tail + 1;
        let header = FrameHeader::new(len as u32, checksum, lsn, now_ms, lsn - synced.min(lsn));
        let (header, chain) = header.encode(self.key, pending.chain);
        pending.bytes.extend_from_slice(&header);
        for part in parts {
            pending.bytes.extend_from_slice(part);
        }
        pending.tail = lsn;
        pending.chain = chain;
        let appended = self.appended.0.bytes.load(Ordering::Relaxed) + (header.len() + len) as u64;
        // Plain stores suffice, because only the holder of the lock changes these two.
        self.appended.0.bytes.store(appended, Ordering::Relaxed);
        self.appended.0.tail.store(lsn, Ordering::Release);
        lsn
    }

    /// A record that the format cannot hold makes the log fail, because leaving it out would lose a change.
    #[cold]
    fn too_large(&self, bytes: u64) -> Lsn {
        self.fail(LogError::TooLarge { bytes, limit: MAX_PAYLOAD });
        Lsn::MAX
    }

    /// The last LSN appended.
    #[inline]
    pub fn tail(&self) -> Lsn {
        self.appended.0.tail.load(Ordering::Acquire)
    }

    /// The last LSN handed to the operating system: the death of this process does not lose it. Where the store answers
    /// later, it is the last LSN known to be durable.
    #[inline]
    pub fn written(&self) -> Lsn {
        match &self.submitted {
            None => self.written.load(Ordering::Acquire),
            Some(submitted) => submitted.durable(),
        }
    }

    /// The last LSN known to be durable: a power cut does not lose it.
    #[inline]
    pub fn synced(&self) -> Lsn {
        match &self.submitted {
            None => self.synced.0.load(Ordering::Acquire),
            Some(submitted) => submitted.durable(),
        }
    }

    /// Whether the store takes batches and tells later that they are durable: then [`Log::write_out`] does not wait,
    /// and a thread that must not wait reads [`Log::synced`] after [`Log::wake_by`]'s callback.
    #[inline]
    pub fn answers_later(&self) -> bool {
        self.submitted.is_some()
    }

    /// Sets a callback for a log whose store answers later. It is called when more records are durable or the log has
    /// failed, from any thread, and must return at once. Only the first callback is kept.
    pub fn wake_by(&self, waker: Box<dyn Fn() + Send + Sync>) {
        if let Some(submitted) = &self.submitted {
            submitted.wake_by(waker);
        }
    }

    /// Bytes appended and not yet handed to the system, or not yet durable where the store answers later. Write out
    /// when it passes a few MB.
    #[inline]
    pub fn pending_bytes(&self) -> u64 {
        let written = match &self.submitted {
            None => self.written_bytes.load(Ordering::Relaxed),
            Some(submitted) => submitted.durable_bytes(),
        };
        self.appended.0.bytes.load(Ordering::Relaxed).saturating_sub(written)
    }

    /// Continues behind the records that another writer appended since this log was opened to be read. This log has
    /// appended nothing.
    pub(super) fn adopt_tail(&self, tail: Tail) {
        let mut pending = self.pending.0.lock();
        (pending.tail, pending.chain) = (tail.lsn, tail.chain);
        self.appended.0.tail.store(tail.lsn, Ordering::Release);
    }

    /// The epoch that this writer established; 0 before that.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Says whether a sync follows every write from now on (`appendfsync always`): room is then secured in the way that
    /// makes syncs cheapest.
    pub fn expect_frequent_syncs(&self, frequent: bool) {
        self.store.expect_frequent_syncs(frequent);
    }

    /// Reads records from LSN `from` on, up to what has been written out.
    pub fn read_from(&self, from: Lsn) -> Result<Box<dyn LogReader>, LogError> {
        self.store.read_from(from)
    }

    /// Allows records up to LSN `upto`, as far as they are durable, to be removed; whole segments go. Returns the bytes
    /// freed.
    pub fn trim_to(&self, upto: Lsn) -> Result<u64, LogError> {
        self.heed(self.store.trim_to(self.epoch(), upto.min(self.synced())))
    }

    /// Makes the names of the checkpoints in the log's folder durable. A failure is final for the log, because it may
    /// concern a segment's name.
    pub(super) fn sync_names(&self) -> Result<(), LogError> {
        self.heed(self.store.sync_names())
    }

    /// Syncs everything and notes an orderly end; fails if the log had failed. Writes are refused from then on. After
    /// an error that is not final ([`LogError::is_final`]) the log is still open, and it may be tried again.
    pub fn close(&self) -> Result<(), LogError> {
        self.check_failure()?;
        self.sync(self.tail())?;
        match self.store.close(self.epoch()) {
            // All records are durable. The next start only has to look for the end as after a crash.
            Ok(()) => {}
            Err(error) if error.is_full() => {}
            Err(_) if self.epoch() == NO_EPOCH => {}
            Err(error) if error.is_final() => return Err(self.fail(error)),
            Err(error) => return Err(error),
        }
        // From now on `reserve` fails with `LogError::Closed`.
        self.fail(LogError::Closed);
        Ok(())
    }

    /// The sticky failure, if there was one.
    pub fn failure(&self) -> Option<&LogError> {
        self.failure.get()
    }

    pub(super) fn check_failure(&self) -> Result<(), LogError> {
        let Some(failure) = self.failure.get() else { return Ok(()) };
        // A store that answers later fails on its own thread, which does not set this.
        self.refusing.store(FAILED, Ordering::Release);
        Err(failure.clone())
    }

    /// Makes the log fail if `done` is a final error of the place or of the checkpoints. Returns `done`.
    pub fn heed<T>(&self, done: Result<T, LogError>) -> Result<T, LogError> {
        done.map_err(|error| if error.is_final() { self.fail(error) } else { error })
    }

    /// Asks a store that answers later whether this writer may still write. Where a lock keeps other writers out, it
    /// asks nothing.
    ///
    /// # Errors
    /// The log's failure, which is final, or that the store does not answer.
    pub fn confirm(&self) -> Result<(), LogError> {
        self.check_failure()?;
        match &self.submitted {
            Some(submitted) => self.heed(submitted.confirm(self.epoch())),
            None => Ok(()),
        }
    }

    /// Notes the first failure, which is final, and returns it. After the failure can be seen, no more records become
    /// durable.
    #[cold]
    pub(super) fn fail(&self, error: LogError) -> LogError {
        let error = error.into_final();
        let failure = match &self.submitted {
            None => self.failure.get_or_init(|| error).clone(),
            Some(submitted) => submitted.fail(error),
        };
        self.refusing.store(FAILED, Ordering::Release);
        failure
    }

    /// Figures for INFO and metrics.
    pub fn stats(&self) -> LogStats {
        let mut stats = LogStats {
            tail: self.tail(),
            written: self.written(),
            synced: self.synced(),
            appended_bytes: self.appended.0.bytes.load(Ordering::Relaxed),
            pending_bytes: self.pending_bytes(),
            store: self.store.stats(),
            failure: self.failure().cloned(),
            unsynced_micros: self.unsynced_micros(),
            disk_full: self.refusing.load(Ordering::Relaxed) == FULL,
            submitted: self.submitted.as_ref().map(|submitted| submitted.stats(self.pending_bytes())),
            ..LogStats::default()
        };
        let syncs = self.submitted.as_ref().map_or(&self.syncs, Submitted::figures);
        syncs.fill(&mut stats);
        stats
    }
}
