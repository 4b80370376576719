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
//!
//! A thread that may hold a lock for long, because it runs a script, has the lock lent before it takes it. While a lock
//! is lent, no other thread waits for it: [`Gate::read_unless_lent`] and [`Gate::write_unless_lent`] give up. Lending
//! waits for the threads that wait already. So each wait through these functions ends soon, whatever scripts do.

use super::sync::{
    AtomicBool, AtomicU32, Mutex,
    Ordering::{Relaxed, SeqCst},
    RwLock, RwLockReadGuard, RwLockWriteGuard, pause, rest,
};

/// How often a thread tries to take a lock before it waits for it. Each pause is twice as long as the one before: some
/// microseconds in total.
const ROUNDS: u32 = 7;

/// The gate before one lock.
#[derive(Default)]
pub(super) struct Gate {
    /// Whether a writer waits at the lock. Relaxed is enough: it protects no data, and a reader that does not see it
    /// yet counts as having come before the writer.
    closed: AtomicBool,
    /// The thread that holds the turnstile gets the lock next, after all threads that came while the gate was open.
    turnstile: Mutex<()>,
    /// How many threads wait for the lock through functions that give up once it is lent.
    waiting: AtomicU32,
    /// Whether the lock is lent.
    lent: AtomicBool,
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

    /// As [`Gate::read`]; `None` if the lock is lent.
    pub(super) fn read_unless_lent<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockReadGuard<'a, T>> {
        self.unless_lent(|| self.read(lock))
    }

    /// As [`Gate::write`]; `None` if the lock is lent.
    pub(super) fn write_unless_lent<'a, T>(&self, lock: &'a RwLock<T>) -> Option<RwLockWriteGuard<'a, T>> {
        self.unless_lent(|| self.write(lock))
    }

    fn unless_lent<G>(&self, wait: impl FnOnce() -> G) -> Option<G> {
        if self.lent.load(Relaxed) {
            return None;
        }
        self.waiting.fetch_add(1, SeqCst);
        // A thread that lends marks the lock first, and then looks who waits. So either this thread sees the mark, or
        // that one waits for this thread.
        let guard = (!self.lent.load(SeqCst)).then(wait);
        self.waiting.fetch_sub(1, SeqCst);
        guard
    }

    /// Lends the lock to this thread, which takes it next, with [`Gate::read`] or [`Gate::write`]. Waits until the
    /// threads that wait for the lock have had it. The lock is lent to one thread at a time.
    pub(super) fn lend(&self) {
        while !self.try_lend() {
            rest();
        }
    }

    /// As [`Gate::lend`], but false if threads wait for the lock. Then the lock is lent, but must not be taken.
    pub(super) fn try_lend(&self) -> bool {
        self.lent.store(true, SeqCst);
        self.waiting.load(SeqCst) == 0
    }

    /// Ends the lending. The thread has given the lock back.
    pub(super) fn take_back(&self) {
        self.lent.store(false, SeqCst);
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
/// one, and gives `None` for one that it does not wait for: then that shard's number is the error.
///
/// If a shard is held for long, all others are given back and only that one is waited for; then `soon` takes the rest.
/// If that fails at another shard, all are given back, and both are waited for in ascending order; and so on. So a
/// thread that waits for a shard keeps no shard from others, except those that were held for long themselves.
pub(super) fn take_all<G>(
    shards: impl ExactSizeIterator<Item = usize> + Clone,
    soon: impl Fn(usize) -> Option<G>,
    wait: impl Fn(usize) -> Option<G>,
) -> Result<Vec<(usize, G)>, usize> {
    let mut held = Vec::with_capacity(shards.len());
    // The shards that were held for long.
    let mut busy: Vec<usize> = Vec::new();
    loop {
        for shard in &busy {
            held.push((*shard, wait(*shard).ok_or(*shard)?));
        }
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
    Ok(held)
}
