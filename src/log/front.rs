//! Group commit: many threads append, few writes and syncs follow.
//!
//! Locks, in the order in which they may be taken: `syncing`, `writer`, `pending`. An appender takes only `pending`,
//! and holds it for one memory copy; it may hold shard locks meanwhile. Nobody takes a shard lock while holding one
//! of these. The store's own locks come after them.
//!
//! Memory ordering: `tail`, `written` and `synced` are stored with Release after the deed (copied, written, synced)
//! and loaded with Acquire, so that who sees an LSN there also sees everything that led to it. The bytes themselves
//! travel through the locks. `refusing` and the counters are hints and relaxed: a stale one costs one slow check.

use super::figures::{LogStats, SyncFigures};
use super::frame::{FrameHeader, MAX_PAYLOAD, payload_checksum};
use super::store::{Batch, LogReader, LogStore};
use super::{FileLog, LogError, LogId, LogOptions, Lsn, OpenReport};
use crate::env::{Clock, Disk};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

/// Records of at least this size reserve their room exactly instead of leaving it to the reserve that is kept free.
const LARGE: u64 = 256 << 10;
/// Bytes that are written before the room is measured again.
const BELIEVED: i64 = 2 << 20;
/// A pending buffer that grew beyond this is given back after it was written.
const KEEP_CAPACITY: usize = 4 << 20;
/// A background sync that takes longer than this, in microseconds, counts as delayed.
const DELAYED_MICROS: u64 = 1_000_000;

/// Stands for the epoch before one is established.
const NO_EPOCH: u64 = 0;

/// Nothing stands against a write.
const ACCEPTING: u8 = 0;
/// The disk was too full when it was last measured.
const FULL: u8 = 1;
/// A write or sync failed, or the log was closed.
const FAILED: u8 = 2;

/// The log as the engine uses it; shared by all threads.
#[derive(Debug)]
pub struct Log {
    store: Arc<dyn LogStore>,
    clock: Clock,
    /// The epoch that this writer established; [`NO_EPOCH`] as long as the disk is too full for that.
    epoch: AtomicU64,
    /// The log was not taken over yet, and may not be.
    looking: AtomicBool,
    key: u32,
    keep_free_bytes: AtomicU64,
    max_record_bytes: u64,
    pending: Padded<Mutex<Pending>>,
    appended: Padded<Appended>,
    synced: Padded<AtomicU64>,
    written: AtomicU64,
    written_bytes: AtomicU64,
    refusing: AtomicU8,
    /// Free bytes beyond the reserve, as far as known: measured, less what was written since.
    room: AtomicI64,
    writer: Mutex<Writer>,
    syncing: Mutex<()>,
    failure: OnceLock<LogError>,
    syncs: SyncFigures,
}

/// Keeps its content on a cache line of its own, so that threads that use different fields do not disturb each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded<T>(T);

/// Changed by every append, under the lock of `pending`.
#[derive(Debug, Default)]
struct Appended {
    tail: AtomicU64,
    bytes: AtomicU64,
}

/// Frames that were appended and not yet handed to the store.
#[derive(Debug)]
struct Pending {
    bytes: Vec<u8>,
    tail: Lsn,
    chain: u32,
}

/// The other buffer, and where the store's log ends.
#[derive(Debug)]
struct Writer {
    bytes: Vec<u8>,
    tail: Lsn,
}

impl Log {
    /// Opens or creates the log in the folder `dir` and begins a new epoch. See [`FileLog::open`] for what is refused.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Clock,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), LogError> {
        let (log, report) = Self::look(disk, clock, dir, options)?;
        log.take_over()?;
        Ok((log, report))
    }

    /// Opens the log in the folder `dir` to be read, and changes nothing there but for creating it. [`Log::take_over`] begins
    /// the epoch, once nothing can refuse the start any more.
    pub fn look(
        disk: Arc<dyn Disk>,
        clock: Clock,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), LogError> {
        let (store, report) = FileLog::open(disk, clock.clone(), dir, options)?;
        Ok((Self::read_only(Arc::new(store), clock, options), report))
    }

    /// A log over any store; begins a new epoch, which fences all other writers. Where the disk is too full for that the log
    /// can be read, refuses writes, and [`Log::maintain`] tries again.
    pub fn over(store: Arc<dyn LogStore>, clock: Clock, options: LogOptions) -> Result<Self, LogError> {
        let log = Self::read_only(store, clock, options);
        log.take_over()?;
        Ok(log)
    }

    /// Begins a new epoch of a log that was only looked at. See [`Log::over`].
    pub fn take_over(&self) -> Result<(), LogError> {
        self.check_failure()?;
        if self.epoch() == NO_EPOCH {
            self.try_epoch()?;
        }
        self.looking.store(false, Ordering::Release);
        self.note_room()
    }

    fn read_only(store: Arc<dyn LogStore>, clock: Clock, options: LogOptions) -> Self {
        let (epoch, tail) = (NO_EPOCH, store.tail());
        Self {
            key: store.log_id().key(),
            store,
            clock,
            epoch: AtomicU64::new(epoch),
            keep_free_bytes: AtomicU64::new(options.keep_free_bytes),
            max_record_bytes: options.max_record_bytes.min(MAX_PAYLOAD),
            pending: Padded(Mutex::new(Pending { bytes: Vec::new(), tail: tail.lsn, chain: tail.chain })),
            appended: Padded(Appended { tail: AtomicU64::new(tail.lsn), bytes: AtomicU64::new(0) }),
            synced: Padded(AtomicU64::new(tail.lsn)),
            written: AtomicU64::new(tail.lsn),
            written_bytes: AtomicU64::new(0),
            looking: AtomicBool::new(true),
            refusing: AtomicU8::new(FULL),
            room: AtomicI64::new(0),
            writer: Mutex::new(Writer { bytes: Vec::new(), tail: tail.lsn }),
            syncing: Mutex::new(()),
            failure: OnceLock::new(),
            syncs: SyncFigures::default(),
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

    /// Asks whether `bytes` of payload may be appended; call it before any lock is taken. One relaxed load when all is
    /// well. Room for records under 256 KB comes out of the reserve that is kept free; for larger ones it is counted
    /// off exactly.
    ///
    /// # Errors
    /// [`LogError::Failed`] for good after a failed write or sync; [`LogError::DiskFull`] as long as the disk is too
    /// full; [`LogError::TooLarge`] above the format's limit.
    #[inline]
    pub fn reserve(&self, bytes: usize) -> Result<(), LogError> {
        let bytes = bytes as u64;
        if self.refusing.load(Ordering::Relaxed) == ACCEPTING && bytes < LARGE.min(self.max_record_bytes) {
            return Ok(());
        }
        self.reserve_slowly(bytes)
    }

    #[cold]
    fn reserve_slowly(&self, bytes: u64) -> Result<(), LogError> {
        self.check_failure()?;
        self.check_size(bytes)?;
        if bytes >= LARGE && self.room.fetch_sub(bytes as i64, Ordering::Relaxed) > bytes as i64 {
            return Ok(());
        }
        self.measure_room(bytes)
    }

    /// Whether a record may hold so many bytes of payload: [`LogError::TooLarge`] if not.
    pub fn check_size(&self, bytes: u64) -> Result<(), LogError> {
        let limit = self.max_record_bytes;
        if bytes > limit { Err(LogError::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    /// Asks the store how much room there is and accepts or refuses writes accordingly.
    fn measure_room(&self, wanted: u64) -> Result<(), LogError> {
        let room = self.store.room()?;
        let pending = self.pending_bytes();
        let keep = self.keep_free_bytes.load(Ordering::Relaxed);
        let left = room.free as i64 - keep as i64 - pending as i64 - wanted as i64;
        // Others fill the disk too: what is believed is spent soon, and then measured again.
        self.room.store(left.min(BELIEVED), Ordering::Relaxed);
        let full = left < 0 || room.refused || self.epoch() == NO_EPOCH;
        let state = if full { FULL } else { ACCEPTING };
        // A failure stays: only the two other states replace each other.
        let _ = self
            .refusing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now != FAILED).then_some(state));
        if full {
            return Err(LogError::DiskFull { free: room.free, keep, wanted });
        }
        self.check_failure()
    }

    /// Appends one record and returns its position. It is only a copy in memory: nothing is durable, or even safe from
    /// the death of this process, before [`Log::write_out`] or [`Log::sync`] covered the position.
    ///
    /// It cannot fail. If [`Log::reserve`] was not asked and the log had failed, the waits fail.
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
        // Relaxed: an older value only says less about what is durable.
        let synced = self.synced.0.load(Ordering::Relaxed);
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

    /// A record that the format cannot hold ends the log: to leave it out silently would lose a change.
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

    /// The last LSN handed to the operating system: the death of this process does not lose it.
    #[inline]
    pub fn written(&self) -> Lsn {
        self.written.load(Ordering::Acquire)
    }

    /// The last LSN known to be durable: a power cut does not lose it.
    #[inline]
    pub fn synced(&self) -> Lsn {
        self.synced.0.load(Ordering::Acquire)
    }

    /// Bytes appended and not yet handed to the system. Write out when it passes a few MB.
    #[inline]
    pub fn pending_bytes(&self) -> u64 {
        let written = self.written_bytes.load(Ordering::Relaxed);
        self.appended.0.bytes.load(Ordering::Relaxed).saturating_sub(written)
    }

    /// Hands everything up to `upto`, and what else is pending, to the operating system, on the calling thread. Returns
    /// at once when another thread has done so.
    pub fn write_out(&self, upto: Lsn) -> Result<(), LogError> {
        if self.written() >= upto {
            return Ok(());
        }
        let mut writer = self.writer.lock();
        if self.written() >= upto {
            return Ok(());
        }
        self.check_failure()?;
        let (last, chain) = {
            let mut pending = self.pending.0.lock();
            std::mem::swap(&mut pending.bytes, &mut writer.bytes);
            (pending.tail, pending.chain)
        };
        if last == writer.tail {
            return Ok(());
        }
        let batch =
            Batch { first: writer.tail + 1, last, chain, durable: self.synced(), bytes: &writer.bytes };
        let done = self.store.append(self.epoch(), writer.tail, &batch);
        let bytes = writer.bytes.len() as u64;
        if writer.bytes.capacity() > KEEP_CAPACITY {
            writer.bytes = Vec::new();
        } else {
            writer.bytes.clear();
        }
        if let Err(error) = done {
            return Err(self.fail(error));
        }
        writer.tail = last;
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.written.store(last, Ordering::Release);
        let left = self.room.fetch_sub(bytes as i64, Ordering::Relaxed) - bytes as i64;
        if left < 0 && self.refusing.load(Ordering::Relaxed) == ACCEPTING {
            // The records are safe; this is about the next ones, and `reserve` tells their writers.
            let _ = self.note_room();
        }
        Ok(())
    }

    /// Makes everything up to `upto` durable, on the calling thread: writes out what is pending and syncs once for all
    /// who wait meanwhile. Returns at once when it is covered.
    pub fn sync(&self, upto: Lsn) -> Result<(), LogError> {
        if self.synced() >= upto {
            return Ok(());
        }
        let _syncing = self.syncing.lock();
        if self.synced() >= upto {
            return Ok(());
        }
        self.write_out(upto)?;
        self.sync_now()
    }

    /// Makes durable what was written out so far, without holding up anybody who writes out: for the background thread
    /// of `appendfsync everysec`.
    pub fn sync_written(&self) -> Result<(), LogError> {
        if self.syncs.running.load(Ordering::Relaxed) {
            self.syncs.delayed.fetch_add(1, Ordering::Relaxed);
        }
        let _syncing = self.syncing.lock();
        if self.synced() >= self.written() {
            return Ok(());
        }
        self.sync_now()?;
        if self.syncs.last_micros.load(Ordering::Relaxed) > DELAYED_MICROS {
            self.syncs.delayed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// One sync of the store; `syncing` is held.
    fn sync_now(&self) -> Result<(), LogError> {
        self.check_failure()?;
        // What is written before the sync begins is covered by it.
        let written = self.written();
        let begin = self.clock.monotonic_micros();
        self.syncs.running.store(true, Ordering::Relaxed);
        let done = self.store.sync(self.epoch());
        self.syncs.running.store(false, Ordering::Relaxed);
        self.syncs.note(self.clock.monotonic_micros() - begin);
        match done {
            Ok(()) => {
                self.synced.0.store(written, Ordering::Release);
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Does what need not be done while somebody waits; call it about ten times a second from a background thread:
    /// secures room ahead and measures the disk, so that writes are refused in time and accepted again.
    pub fn maintain(&self) -> Result<(), LogError> {
        self.check_failure()?;
        if self.epoch() == NO_EPOCH && (self.looking.load(Ordering::Acquire) || !self.try_epoch()?) {
            return Ok(());
        }
        match self.store.maintain(self.epoch()) {
            Err(error @ LogError::Failed { .. }) => return Err(self.fail(error)),
            other => other?,
        }
        self.note_room()
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Begins the epoch that could not be begun on a full disk; false if it still cannot.
    fn try_epoch(&self) -> Result<bool, LogError> {
        let tail = match self.store.establish_epoch() {
            Ok(tail) => tail,
            Err(LogError::Io { full: true, .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        // Nobody was allowed to append meanwhile, here or elsewhere.
        if tail.lsn != self.tail() {
            return Err(self.fail(LogError::TailMoved { expected: self.tail(), actual: tail.lsn }));
        }
        self.epoch.store(tail.epoch, Ordering::Release);
        Ok(true)
    }

    /// Measures the room; a full disk is no error here, [`Log::reserve`] tells it to those who want to write.
    fn note_room(&self) -> Result<(), LogError> {
        match self.measure_room(0) {
            Err(LogError::DiskFull { .. }) => Ok(()),
            other => other,
        }
    }

    /// Says whether a sync follows every write from now on (`appendfsync always`): room is then secured in the way that
    /// makes syncs cheapest.
    pub fn expect_frequent_syncs(&self, frequent: bool) {
        self.store.expect_frequent_syncs(frequent);
    }

    /// Changes how many bytes must stay free on the disk ([`LogOptions::keep_free_bytes`]); writes are refused or accepted
    /// accordingly at once.
    pub fn set_keep_free_bytes(&self, bytes: u64) -> Result<(), LogError> {
        self.keep_free_bytes.store(bytes, Ordering::Relaxed);
        self.note_room()
    }

    /// Reads records from LSN `from` on, up to what has been written out.
    pub fn read_from(&self, from: Lsn) -> Result<Box<dyn LogReader>, LogError> {
        self.store.read_from(from)
    }

    /// Allows records up to LSN `upto`, as far as they are durable, to be removed; whole segments go. Returns the bytes
    /// freed.
    pub fn trim_to(&self, upto: Lsn) -> Result<u64, LogError> {
        self.store.trim_to(upto.min(self.synced()))
    }

    /// Syncs everything and notes an orderly end; fails if the log had failed. Writes are refused from then on.
    pub fn close(&self) -> Result<(), LogError> {
        self.check_failure()?;
        self.sync(self.tail())?;
        match self.store.close(self.epoch()) {
            // All is durable; the next start only looks for the end as after a crash.
            Ok(()) | Err(LogError::Io { full: true, .. }) => {}
            Err(_) if self.epoch() == NO_EPOCH => {}
            Err(error) => return Err(error),
        }
        // Whatever is appended from now on is told that it came too late.
        let _ = self.failure.set(LogError::Closed);
        self.refusing.store(FAILED, Ordering::Release);
        Ok(())
    }

    /// The sticky failure, if there was one.
    pub fn failure(&self) -> Option<&LogError> {
        self.failure.get()
    }

    fn check_failure(&self) -> Result<(), LogError> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Notes the first failure, which is final, and returns it.
    #[cold]
    fn fail(&self, error: LogError) -> LogError {
        let failure = self.failure.get_or_init(|| error.into_final()).clone();
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
            disk_full: self.refusing.load(Ordering::Relaxed) == FULL,
            ..LogStats::default()
        };
        self.syncs.fill(&mut stats);
        stats
    }
}
