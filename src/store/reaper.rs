//! Freeing that takes long. A thread of its own frees large values that were removed, so that neither their shard nor
//! the worker that removed them is held up. The background frees the entries of flushed databases bit by bit.

use super::{Entry, ValueRef};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The thread frees values of more elements than this.
const LARGE: usize = 64;
/// The thread frees strings of more bytes than this.
const LARGE_BYTES: usize = 1 << 20;
/// If so many values wait to be freed, the thread that removes another one frees it itself.
const MOST_WAITING: usize = 100_000;

/// The values that wait to be freed, and the thread that frees them.
#[derive(Default)]
pub struct Reaper {
    waiting: Mutex<Vec<Entry>>,
    wake: Condvar,
    /// Whether a thread frees the waiting values.
    works: AtomicBool,
    pending: AtomicU64,
    /// How many keys of flushed databases are not freed yet.
    flushed: AtomicU64,
    freed: AtomicU64,
}

impl Reaper {
    /// Hands a removed entry over to the thread that frees. Gives it back if it is small, if too many wait, or if no
    /// thread frees.
    pub(super) fn take(&self, entry: Entry) -> Option<Entry> {
        let large = match entry.value() {
            ValueRef::Boxed(object) => object.elements() > LARGE,
            ValueRef::Str(bytes) => bytes.len() > LARGE_BYTES,
            ValueRef::Hash(..)
            | ValueRef::Set(..)
            | ValueRef::Items(_)
            | ValueRef::List(_)
            | ValueRef::Zset(_) => false,
        };
        if !large || !self.works.load(Acquire) {
            return Some(entry);
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST_WAITING {
            return Some(entry);
        }
        waiting.push(entry);
        self.pending.fetch_add(1, Relaxed);
        self.wake.notify_one();
        None
    }

    /// Frees the waiting values on the calling thread, until `stop` returns true; it is asked after each wake-up.
    pub fn run_until(&self, stop: &dyn Fn() -> bool) {
        self.works.store(true, Release);
        while !stop() {
            self.free_waiting();
            let mut waiting = self.waiting.lock();
            if waiting.is_empty() && !stop() {
                self.wake.wait(&mut waiting);
            }
        }
        self.works.store(false, Release);
        self.free_waiting();
    }

    /// Wakes the thread that frees, so that it asks whether to stop.
    pub fn wake(&self) {
        // Under the lock, so that the thread either has not asked yet or is asleep already.
        let _waiting = self.waiting.lock();
        self.wake.notify_all();
    }

    /// Frees the waiting values, and waits for those that the thread is freeing. For callers that remove values to have
    /// their memory.
    pub fn finish(&self) {
        while self.pending.load(Acquire) > 0 {
            self.free_waiting();
            std::thread::yield_now();
        }
    }

    fn free_waiting(&self) {
        loop {
            let Some(entry) = self.waiting.lock().pop() else { return };
            drop(entry);
            self.freed.fetch_add(1, Relaxed);
            self.pending.fetch_sub(1, Release);
        }
    }

    /// Notes that a database with so many keys was given up.
    pub(super) fn note_flushed(&self, keys: u64) {
        self.flushed.fetch_add(keys, Relaxed);
    }

    /// Notes that so many entries of dead spaces were freed; `last` if there are no others.
    pub(super) fn note_buried(&self, entries: u64, last: bool) {
        let before = self
            .flushed
            .fetch_update(Relaxed, Relaxed, |keys| Some(if last { 0 } else { keys.saturating_sub(entries) }));
        // Entries of dropped tables do not count as keys.
        self.freed.fetch_add(entries.min(before.unwrap_or(0)), Relaxed);
    }

    /// How many keys' values wait to be freed.
    pub fn pending(&self) -> u64 {
        self.pending.load(Relaxed) + self.flushed.load(Relaxed)
    }

    /// How many keys' values were freed in the background.
    pub fn freed(&self) -> &AtomicU64 {
        &self.freed
    }
}
