//! Freeing what takes long. A large value that was removed is freed by a thread of its own, so that neither its shard
//! nor the worker that removed it is held up; the entries of flushed databases are freed bit by bit by the cycle.

use super::{Entry, Store, ValueRef};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Values of more elements are freed by the thread.
const LARGE: usize = 64;
/// Strings of more bytes are freed by the thread.
const LARGE_BYTES: usize = 1 << 20;
/// When so many wait, whoever removes one frees it.
const MOST_WAITING: usize = 100_000;

/// What waits to be freed.
#[derive(Default)]
pub(super) struct Reaper {
    waiting: Mutex<Vec<Entry>>,
    wake: Condvar,
    /// Whether a thread frees what is handed over.
    works: AtomicBool,
    pending: AtomicU64,
    /// Keys of flushed databases that are not freed yet.
    flushed: AtomicU64,
    freed: AtomicU64,
}

impl Store {
    /// Hands a removed entry over to be freed; gives it back if that is not worth it, or nobody is there to do it.
    pub(super) fn reap(&self, entry: Entry) -> Option<Entry> {
        let reaper = &self.reaper;
        let large = match entry.value() {
            ValueRef::Boxed(object) => object.elements() > LARGE,
            ValueRef::Str(bytes) => bytes.len() > LARGE_BYTES,
            ValueRef::Hash(..)
            | ValueRef::Set(..)
            | ValueRef::Items(_)
            | ValueRef::List(_)
            | ValueRef::Zset(_) => false,
        };
        if !large || !reaper.works.load(Acquire) {
            return Some(entry);
        }
        let mut waiting = reaper.waiting.lock();
        if waiting.len() >= MOST_WAITING {
            return Some(entry);
        }
        waiting.push(entry);
        reaper.pending.fetch_add(1, Relaxed);
        reaper.wake.notify_one();
        None
    }

    /// Frees what is handed over, on the calling thread, until `stop` says so; it is asked after each wake-up.
    pub fn reap_until(&self, stop: &dyn Fn() -> bool) {
        let reaper = &self.reaper;
        reaper.works.store(true, Release);
        while !stop() {
            self.reap_waiting();
            let mut waiting = reaper.waiting.lock();
            if waiting.is_empty() && !stop() {
                reaper.wake.wait(&mut waiting);
            }
        }
        reaper.works.store(false, Release);
        self.reap_waiting();
    }

    /// Wakes the thread that frees, so that it looks whether to stop.
    pub fn wake_reaper(&self) {
        // Under its lock, so that the thread is either before its question or asleep already.
        let _waiting = self.reaper.waiting.lock();
        self.reaper.wake.notify_all();
    }

    /// Frees what waits; what the thread has begun with is waited for. For those who remove something to have the
    /// memory.
    pub fn reap_now(&self) {
        while self.reaper.pending.load(Acquire) > 0 {
            self.reap_waiting();
            std::thread::yield_now();
        }
    }

    fn reap_waiting(&self) {
        loop {
            let Some(entry) = self.reaper.waiting.lock().pop() else { return };
            drop(entry);
            self.reaper.freed.fetch_add(1, Relaxed);
            self.reaper.pending.fetch_sub(1, Release);
        }
    }

    /// Takes note that a database with so many keys was given up.
    pub(super) fn note_flushed(&self, keys: u64) {
        self.reaper.flushed.fetch_add(keys, Relaxed);
    }

    /// Takes note that so many entries of given-up spaces were freed; `last` if no others are left.
    pub(super) fn note_buried(&self, entries: u64, last: bool) {
        let before = self
            .reaper
            .flushed
            .fetch_update(Relaxed, Relaxed, |keys| Some(if last { 0 } else { keys.saturating_sub(entries) }));
        // Items of dropped tables are no keys.
        self.reaper.freed.fetch_add(entries.min(before.unwrap_or(0)), Relaxed);
    }

    /// Keys whose values wait to be freed.
    pub fn lazyfree_pending(&self) -> u64 {
        self.reaper.pending.load(Relaxed) + self.reaper.flushed.load(Relaxed)
    }

    /// Keys whose values were freed in the background.
    pub fn lazyfreed(&self) -> &AtomicU64 {
        &self.reaper.freed
    }
}
