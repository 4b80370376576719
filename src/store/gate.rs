//! The gate before a shard's lock.
//!
//! The map's own lock lets readers in as long as a reader has it: a writer would wait for as long as readers follow
//! upon each other. Here a writer that cannot have the lock soon closes the gate. Who comes then waits at the
//! turnstile, until the writer has got what it waits for: so it waits for those who were there before it, and for
//! nobody else. What is held for less than a few microseconds, as nearly always, closes no gate: a hot shard is handed
//! from thread to thread without any of them sleeping.
//!
//! At a gate those wait who wait for its shard. So where shards are waited for in ascending order, gates are as well.

use super::sync::{AtomicBool, Mutex, Ordering::Relaxed, RwLock, RwLockReadGuard, RwLockWriteGuard, pause};

/// How often a lock is tried before somebody waits for it. Each pause is twice as long as the one before: some
/// microseconds in all.
const ROUNDS: u32 = 7;

/// The gate before one lock.
#[derive(Default)]
pub(super) struct Gate {
    /// Whether a writer waits at the lock. Relaxed: it protects nothing, and who does not see it yet came before it.
    closed: AtomicBool,
    /// Whoever holds it is the next one to get the lock, but for those who came when the gate was open.
    turnstile: Mutex<()>,
}

/// Tries again and again for a few microseconds.
fn soon<G>(take: impl Fn() -> Option<G>) -> Option<G> {
    (0..ROUNDS).find_map(|round| {
        pause(round);
        take()
    })
}

impl Gate {
    /// Whether no writer waits at the lock.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Relaxed)
    }

    /// Waits for the lock, to share it.
    #[inline]
    pub(super) fn read<'a, T>(&self, lock: &'a RwLock<T>) -> RwLockReadGuard<'a, T> {
        if self.is_open() { lock.read() } else { self.read_in_turn(lock) }
    }

    #[cold]
    fn read_in_turn<'a, T>(&self, lock: &'a RwLock<T>) -> RwLockReadGuard<'a, T> {
        let _turn = self.turnstile.lock();
        lock.read()
    }

    /// Waits for the lock, to have it alone.
    #[inline]
    pub(super) fn write<'a, T>(&self, lock: &'a RwLock<T>) -> RwLockWriteGuard<'a, T> {
        lock.try_write().unwrap_or_else(|| self.write_in_turn(lock))
    }

    #[cold]
    fn write_in_turn<'a, T>(&self, lock: &'a RwLock<T>) -> RwLockWriteGuard<'a, T> {
        if let Some(guard) = soon(|| lock.try_write()) {
            return guard;
        }
        let _turn = self.turnstile.lock();
        self.closed.store(true, Relaxed);
        let guard = lock.write();
        self.closed.store(false, Relaxed);
        guard
    }

    /// The lock, to share it, if it can be had at once and no writer waits for it.
    #[inline]
    pub(super) fn try_read<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockReadGuard<'a, T>> {
        if self.is_open() { lock.try_read() } else { None }
    }

    /// The lock, to share it, if it can be had within a few microseconds.
    pub(super) fn read_soon<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockReadGuard<'a, T>> {
        self.try_read(lock).or_else(|| soon(|| self.try_read(lock)))
    }

    /// The lock, to have it alone, if it can be had within a few microseconds and no other writer waits for it.
    pub(super) fn write_soon<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockWriteGuard<'a, T>> {
        let take = || if self.is_open() { lock.try_write() } else { None };
        take().or_else(|| soon(take))
    }
}

/// Locks shards, which are named in ascending order: `soon` takes one that nobody else has for long, `wait` waits for
/// it.
///
/// A shard that is held for long is waited for alone, and then the rest is taken if that goes without waiting; if not,
/// all are given back and one more is waited for. So nobody is kept from a shard by somebody who waits for another one,
/// unless both are held for long. What is waited for is waited for in ascending order.
pub(super) fn take_all<G>(
    shards: impl ExactSizeIterator<Item = usize> + Clone,
    soon: impl Fn(usize) -> Option<G>,
    wait: impl Fn(usize) -> G,
) -> Vec<(usize, G)> {
    let mut held = Vec::with_capacity(shards.len());
    // Those that are held for long.
    let mut busy: Vec<usize> = Vec::new();
    loop {
        held.extend(busy.iter().map(|shard| (*shard, wait(*shard))));
        let mut others = shards.clone().filter(|shard| busy.binary_search(shard).is_err());
        let missing = others.find(|shard| soon(*shard).map(|guard| held.push((*shard, guard))).is_none());
        let Some(missing) = missing else { break };
        held.clear();
        busy.push(missing);
        busy.sort_unstable();
    }
    if !busy.is_empty() {
        held.sort_unstable_by_key(|(shard, _)| *shard);
    }
    held
}
