//! Hands what was appended to the system, and makes it durable.

use super::buffers::{WaitingSince, Writer};
use super::front::{ACCEPTING, FAILED, FULL, Log};
use super::store::RecordBatch;
use super::submitted::Submitted;
use super::{LogError, Lsn};
use std::sync::atomic::Ordering;

/// A background sync that takes longer than this, in microseconds, counts as delayed.
const DELAYED_MICROS: u64 = 1_000_000;

impl Log {
    /// Hands everything up to `upto`, and what else is pending, to the operating system, on the calling thread. Returns
    /// at once when another thread has done so.
    ///
    /// # Errors
    /// An error that is not final ([`LogError::is_final`]) says that the disk is full or another resource is short.
    /// Nothing is lost: the records wait in memory, [`Log::reserve`] refuses more, and the next call of `write_out` or
    /// [`Log::maintain`] tries again.
    ///
    /// Where the store answers later everything is only handed over to be submitted, and the call does not wait.
    pub fn write_out(&self, upto: Lsn) -> Result<(), LogError> {
        if let Some(submitted) = &self.submitted {
            return self.hand_over(submitted);
        }
        if self.written() >= upto {
            return Ok(());
        }
        let mut writer = self.writer.lock();
        if self.written() >= upto {
            return Ok(());
        }
        self.check_failure()?;
        if !writer.bytes.is_empty() {
            self.write_batch(&mut writer)?;
        }
        {
            let mut pending = self.pending.0.lock();
            std::mem::swap(&mut pending.bytes, &mut writer.bytes);
            (writer.last, writer.chain, writer.other_room) =
                (pending.tail, pending.chain, pending.bytes.capacity());
        }
        if writer.last == writer.tail { Ok(()) } else { self.write_batch(&mut writer) }
    }

    /// Bounds the room that each of the two buffers keeps when it is empty, also of those that are empty now.
    pub fn keep_buffers(&self, bytes: u64) {
        let most = usize::try_from(bytes).unwrap_or(usize::MAX);
        if self.keep_bytes.swap(most, Ordering::Relaxed) <= most {
            return;
        }
        // A thread that is writing gives the room back itself when it is done.
        let Some(mut writer) = self.writer.try_lock() else { return };
        {
            let mut pending = self.pending.0.lock();
            if pending.bytes.is_empty() && pending.bytes.capacity() > most {
                pending.bytes = Vec::new();
                writer.other_room = 0;
            }
        }
        if writer.bytes.is_empty() {
            writer.clear(most);
        }
    }

    /// Hands everything that is pending over to be submitted.
    fn hand_over(&self, submitted: &Submitted) -> Result<(), LogError> {
        self.check_failure()?;
        submitted.hand_over(&self.pending.0);
        if submitted.is_short(self.pending_bytes()) && self.refusing.load(Ordering::Relaxed) == ACCEPTING {
            // An error concerns only later records, and `reserve` reports it.
            let _ = self.note_room();
        }
        Ok(())
    }

    /// Writes what the writer holds. After an error that may pass, the records that were not written stay in `writer`.
    fn write_batch(&self, writer: &mut Writer) -> Result<(), LogError> {
        let Writer { bytes, tail, last, chain, .. } = &*writer;
        let batch =
            RecordBatch { first: tail + 1, last: *last, chain: *chain, durable: self.synced(), bytes };
        match self.store.append(self.epoch(), *tail, &batch) {
            Ok(_) => {
                let (bytes, last) = (writer.bytes.len() as u64, writer.last);
                writer.clear(self.keep_bytes.load(Ordering::Relaxed));
                writer.tail = last;
                self.note_written(bytes, last);
                self.note_spent(bytes);
                Ok(())
            }
            Err(error) if error.is_passing() => {
                let kept = self.store.tail().lsn.clamp(writer.tail, writer.last);
                let bytes = writer.drop_kept(kept);
                self.note_written(bytes, kept);
                Err(self.hold(error))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Takes note of records that were written up to `last`.
    fn note_written(&self, bytes: u64, last: Lsn) {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        let now = self.clock.monotonic_micros().max(1);
        let _changing = self.waiting.changing.lock();
        let _ = self.waiting.next_sync.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        self.written.store(last, Ordering::Release);
    }

    /// Subtracts what was written from the room that is believed to be free.
    fn note_spent(&self, bytes: u64) {
        let released = self.held.lock().take().is_some();
        let left = self.room.fetch_sub(bytes as i64, Ordering::Relaxed) - bytes as i64;
        let doubtful = left < 0 || self.store.is_short();
        if released || (doubtful && self.refusing.load(Ordering::Relaxed) == ACCEPTING) {
            // These records are written. An error concerns only later ones, and `reserve` reports it.
            let _ = self.note_room();
        }
    }

    /// Refuses writes from now on, because of an error that may pass. Records that wait to be written go on waiting.
    fn hold(&self, error: LogError) -> LogError {
        let mut held = self.held.lock();
        *held = Some(error.clone());
        self.refuse_or_accept(FULL);
        error
    }

    /// Sets [`ACCEPTING`] or [`FULL`]. [`FAILED`] stays.
    pub(super) fn refuse_or_accept(&self, state: u8) {
        let replaced = |now| (now != FAILED).then_some(state);
        let _ = self.refusing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replaced);
    }

    /// Makes everything up to `upto` durable, on the calling thread: writes out what is pending and syncs once for all
    /// threads that wait meanwhile. Returns at once when `upto` is durable already. Errors are those of
    /// [`Log::write_out`]; a failed sync is final.
    ///
    /// Where the store answers later this waits for its answer, and fails with [`LogError::Unavailable`] as long as a
    /// record has been waiting for longer than [`super::SubmitOptions::patience_ms`].
    pub fn sync(&self, upto: Lsn) -> Result<(), LogError> {
        if self.synced() >= upto {
            return Ok(());
        }
        if let Some(submitted) = &self.submitted {
            self.hand_over(submitted)?;
            return submitted.wait(upto).or_else(|error| self.check_failure().and(Err(error)));
        }
        let _syncing = self.syncing.lock();
        if self.synced() >= upto {
            return Ok(());
        }
        let written = self.write_out(upto);
        if self.synced() < self.written() {
            // Even if some records could not be written, those that were written become durable.
            self.sync_now()?;
        }
        written
    }

    /// Makes durable what was written out so far, without holding up other threads in [`Log::write_out`]: for the
    /// background thread of `appendfsync everysec`. Where the store answers later it only reports a failure.
    pub fn sync_written(&self) -> Result<(), LogError> {
        if self.submitted.is_some() {
            return self.check_failure();
        }
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
        let WaitingSince { changing, next_sync, running_sync } = &self.waiting;
        // The sync covers everything written before it begins.
        let written = {
            let _changing = changing.lock();
            running_sync.store(next_sync.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            self.written()
        };
        let begin = self.clock.monotonic_micros();
        self.syncs.running.store(true, Ordering::Relaxed);
        let done = self.store.sync(self.epoch());
        self.syncs.running.store(false, Ordering::Relaxed);
        self.syncs.note(self.clock.monotonic_micros() - begin);
        match done {
            Ok(()) => {
                running_sync.store(0, Ordering::Relaxed);
                self.synced.0.store(written, Ordering::Release);
                Ok(())
            }
            Err(error) if error.is_passing() => {
                let _changing = changing.lock();
                next_sync.store(running_sync.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                Err(error)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// For how long the oldest record that was written out and is not durable has been waiting, in microseconds; 0 when
    /// there is none. Costs a few loads, and the clock when one waits.
    pub fn unsynced_micros(&self) -> u64 {
        if let Some(submitted) = &self.submitted {
            return submitted.waiting_micros();
        }
        if self.synced() >= self.written() {
            return 0;
        }
        let running = self.waiting.running_sync.load(Ordering::Relaxed);
        let since = if running > 0 { running } else { self.waiting.next_sync.load(Ordering::Relaxed) };
        if since > 0 { self.clock.monotonic_micros().saturating_sub(since) } else { 0 }
    }
}
