//! The gate before a shard's lock.
//!
//! The map's own lock lets a reader in while another reader has it, so a writer could wait for as long as readers
//! follow each other. Here a writer that cannot have the lock soon closes the gate. A thread that comes later waits at
//! the turnstile until the writer has the lock. So the writer waits only for the threads that came before it. A lock
//! that is held for less than a few microseconds, which is the usual case, closes no gate: a hot shard goes from thread
//! to thread without any of them sleeping.
//!
//! Only threads that wait for a shard wait at its gate. So where threads wait for shards in ascending order, they also
//! wait at gates in ascending order.

use super::sync::{AtomicBool, Mutex, Ordering::Relaxed, RwLock, RwLockReadGuard, RwLockWriteGuard, pause};

/// How often a thread tries to take a lock before it waits for it. Each pause is twice as long as the one before: some
/// microseconds in total.
const ROUNDS: u32 = 7;

/// The gate before one lock.
#[derive(Default)]
pub(super) struct Gate {
    /// Whether a writer waits at the lock. Relaxed is enough: it protects no data, and a reader that does not see it
    /// yet counts as having come before the writer.
    closed: AtomicBool,
    /// The thread that holds it gets the lock next, after those that came while the gate was open.
    turnstile: Mutex<()>,
}

/// Tries `take` again and again for a few microseconds.
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

    /// Waits for the lock and takes it shared.
    #[inline]
    pub(super) fn read<'a, T>(&self, lock: &'a RwLock<T>) -> RwLockReadGuard<'a, T> {
        if self.is_open() { lock.read() } else { self.read_in_turn(lock) }
    }

    #[cold]
    fn read_in_turn<'a, T>(&self, lock: &'a RwLock<T>) -> RwLockReadGuard<'a, T> {
        let _turn = self.turnstile.lock();
        lock.read()
    }

    /// Waits for the lock and takes it exclusively.
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

    /// Takes the lock shared, if that is possible at once and no writer waits for it.
    #[inline]
    pub(super) fn try_read<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockReadGuard<'a, T>> {
        if self.is_open() { lock.try_read() } else { None }
    }

    /// Takes the lock shared, if that is possible within a few microseconds.
    pub(super) fn read_soon<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockReadGuard<'a, T>> {
        self.try_read(lock).or_else(|| soon(|| self.try_read(lock)))
    }

    /// Takes the lock exclusively, if that is possible within a few microseconds and no other writer waits for it.
    pub(super) fn write_soon<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockWriteGuard<'a, T>> {
        let take = || if self.is_open() { lock.try_write() } else { None };
        take().or_else(|| soon(take))
    }
}

/// Locks shards, given in ascending order. `soon` takes a shard that no other thread holds for long; `wait` waits for
/// one.
///
/// If a shard is held for long, all others are given back and only that one is waited for; then `soon` takes the rest.
/// If that fails at another shard, all are given back, and both are waited for in ascending order; and so on. So a
/// thread that waits for a shard keeps no shard from others, except those that were held for long themselves.
pub(super) fn take_all<G>(
    shards: impl ExactSizeIterator<Item = usize> + Clone,
    soon: impl Fn(usize) -> Option<G>,
    wait: impl Fn(usize) -> G,
) -> Vec<(usize, G)> {
    let mut held = Vec::with_capacity(shards.len());
    // The shards that were held for long.
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
