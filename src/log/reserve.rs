//! Accepts and refuses writes, by how much room there is and whether the log has failed.

use super::LogError;
use super::front::{ACCEPTING, FULL, Log, NO_EPOCH};
use super::store::Room;
use super::submitted::Submitted;
use super::tail::Tail;
use std::sync::atomic::Ordering;

/// Records of at least this size reserve their room exactly; smaller ones use the room that is secured for what is in
/// flight.
const LARGE: u64 = 256 << 10;
/// Bytes that are written before the room is measured again.
const BELIEVED: i64 = 2 << 20;

impl Log {
    /// Asks whether `bytes` of payload may be appended. Call it before taking any lock. While writes are accepted, a
    /// small record costs one relaxed load. Room for records under 256 KB is secured in advance; larger records reserve
    /// exactly their size.
    ///
    /// # Errors
    /// [`LogError::Failed`] for good after a failed write or sync; [`LogError::DiskFull`] as long as the disk is too
    /// full; [`LogError::Unavailable`] as long as something else is short or the room cannot be measured;
    /// [`LogError::TooLarge`] above the format's limit.
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
        let accepting = self.refusing.load(Ordering::Relaxed) == ACCEPTING && self.submitted.is_none();
        if accepting && self.room.fetch_sub(bytes as i64, Ordering::Relaxed) > bytes as i64 {
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
        if let Some(submitted) = &self.submitted {
            return self.measure_memory(submitted, wanted);
        }
        let measured = self.store.room();
        // While records are held, writes are refused. The lock is taken so that no thread accepts writes at the moment
        // at which records become held.
        let held = self.held.lock();
        let (left, refusal) = match measured {
            Ok(Room { free, refused }) => {
                let keep = self.keep_free_bytes.load(Ordering::Relaxed);
                let left = free as i64 - keep as i64 - self.pending_bytes() as i64 - wanted as i64;
                let refusal = held.clone().or(refused);
                let full = left < 0 || refusal.as_ref().is_some_and(LogError::is_full);
                (left, if full { Some(LogError::DiskFull { free, keep, wanted }) } else { refusal })
            }
            // Counts as full, so the next `reserve` measures again.
            Err(error) => (0, Some(error.into_passing())),
        };
        // Other processes fill the disk too, so the estimate is kept small and soon measured again.
        self.room.store(left.min(BELIEVED), Ordering::Relaxed);
        self.refuse_or_accept(if refusal.is_some() { FULL } else { ACCEPTING });
        drop(held);
        refusal.map_or_else(|| self.check_failure(), Err)
    }

    /// Where the store answers later, room is the memory in which records wait to be durable.
    fn measure_memory(&self, submitted: &Submitted, wanted: u64) -> Result<(), LogError> {
        let held = self.held.lock();
        let refusal = held.clone().or_else(|| submitted.refusal(self.pending_bytes(), wanted));
        self.refuse_or_accept(if refusal.is_some() { FULL } else { ACCEPTING });
        drop(held);
        self.check_failure()?;
        refusal.map_or(Ok(()), Err)
    }

    /// Measures the room. A full disk is no error here; [`Log::reserve`] reports it.
    pub(super) fn note_room(&self) -> Result<(), LogError> {
        self.measure_room(0).or_else(|error| if error.is_final() { Err(error) } else { Ok(()) })
    }

    /// The log's upkeep; call it about ten times a second from a background thread. It secures room ahead, measures the
    /// disk and writes out held records, so that writes are refused in time and accepted again. It does not sync the
    /// records that it writes out.
    ///
    /// # Errors
    /// Only final errors.
    pub fn maintain(&self) -> Result<(), LogError> {
        self.check_failure()?;
        if self.epoch() == NO_EPOCH {
            if self.looking.load(Ordering::Acquire) {
                return Ok(());
            }
            if !self.try_epoch()? {
                return self.note_room();
            }
        }
        self.store.maintain(self.epoch()).or_else(|error| self.only_final(error))?;
        if self.submitted.is_some() || self.held.lock().is_some() {
            self.write_out(self.tail()).or_else(|error| self.only_final(error))?;
        }
        self.note_room()
    }

    /// Keeps an error that is final, and forgets one that may pass.
    fn only_final(&self, error: LogError) -> Result<(), LogError> {
        if error.is_final() { Err(self.fail(error)) } else { Ok(()) }
    }

    /// Begins a new epoch of a log that was opened to be read. See [`Log::over`]. Where the store answers later, the
    /// writer before may have appended since the log was opened; afterwards [`Log::tail`] is the log's real end.
    pub fn take_over(&self) -> Result<(), LogError> {
        self.check_failure()?;
        if self.epoch() == NO_EPOCH {
            match self.store.establish_epoch() {
                Ok(tail) => self.begin_epoch(tail)?,
                Err(error) if error.is_full() => *self.held.lock() = Some(error),
                Err(error) if error.is_final() => return Err(self.fail(error)),
                Err(error) => return Err(error),
            }
        }
        self.looking.store(false, Ordering::Release);
        self.note_room()
    }

    /// Tries again to begin the epoch; false if that still fails.
    fn try_epoch(&self) -> Result<bool, LogError> {
        let tail = match self.store.establish_epoch() {
            Ok(tail) => tail,
            Err(error) if error.is_final() => return Err(self.fail(error)),
            Err(error) => {
                *self.held.lock() = Some(error.into_passing());
                return Ok(false);
            }
        };
        self.begin_epoch(tail)?;
        Ok(true)
    }

    fn begin_epoch(&self, tail: Tail) -> Result<(), LogError> {
        let moved = LogError::TailMoved { expected: self.tail(), actual: tail.lsn };
        match &self.submitted {
            // The writer before may have appended until now.
            Some(submitted) if tail.lsn >= self.tail() => {
                self.adopt_tail(tail);
                submitted.begin(tail)?;
            }
            // No writer could append meanwhile, so the tail is unchanged.
            None if tail.lsn == self.tail() => {}
            _ => return Err(self.fail(moved)),
        }
        self.epoch.store(tail.epoch, Ordering::Release);
        *self.held.lock() = None;
        Ok(())
    }

    /// Changes how many bytes must stay free on the disk ([`super::LogOptions::keep_free_bytes`]); it applies at once.
    pub fn set_keep_free_bytes(&self, bytes: u64) -> Result<(), LogError> {
        self.keep_free_bytes.store(bytes, Ordering::Relaxed);
        self.note_room()
    }
}
