//! Waiting for keys: who waits registers, who changes a key notes it, and a thread that runs commands serves.
//!
//! A waiter registers, after it found nothing, while it holds the key's shard (shared is enough). A thread that changes
//! the key holds the shard exclusively. So no waiter misses a change. The store only notes that a key has changed for
//! its waiters. A thread that runs commands serves the waiters once its own command is done, see [`Store::take_ready`].

use super::Store;
use super::lines::{Awaited, KeyAt, Waiter, Waiters};
use crate::effect::SYSTEM;
use crate::value::stream::StreamId;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Store {
    /// A ticket behind all others.
    pub fn next_ticket(&self) -> u64 {
        self.ready.next_ticket()
    }

    /// The last ticket that was given out.
    pub fn last_ticket(&self) -> u64 {
        self.ready.last_ticket()
    }

    /// Registers a waiter for a key. The caller holds the key's shard. O(1) for the waiter with the newest ticket.
    pub fn wait(&self, at: KeyAt<'_>, awaited: &Awaited, waiter: Waiter) {
        let side = &self.sides[self.shard_of(at.hash)];
        let mut table = side.watch.lock();
        table.waiting.with(at.db, at.key, |waiters| waiters.add(awaited, waiter));
        side.watched.store(table.len(), Relaxed);
    }

    /// Calls `change` with the waiters of a key, if there are any.
    fn with_waiters<R>(&self, at: KeyAt<'_>, change: impl FnOnce(&mut Waiters) -> R) -> Option<R> {
        let side = &self.sides[self.shard_of(at.hash)];
        let mut table = side.watch.lock();
        let waiters = table.waiting.get_mut(at.db, at.key)?;
        let result = change(waiters);
        if waiters.is_empty() {
            table.waiting.remove(at.db, at.key);
            side.watched.store(table.len(), Relaxed);
        }
        Some(result)
    }

    /// Removes a waiter from a key. The search by ticket looks at no other waiters than those that it meets.
    pub fn stop_waiting(&self, at: KeyAt<'_>, awaited: &Awaited, ticket: u64) {
        self.with_waiters(at, |waiters| waiters.remove(awaited, ticket));
    }

    /// What clients wait for in a key: one for each line.
    pub fn lines(&self, at: KeyAt<'_>) -> Vec<Awaited> {
        self.with_waiters(at, |waiters| waiters.awaited().cloned().collect()).unwrap_or_default()
    }

    /// The first waiter in a line whose ticket is above `behind` and at most `upto`, and whose own `behind` is less
    /// than `reached`. Waiters whose waiting is over are removed on the way.
    pub fn next_waiter(
        &self,
        at: KeyAt<'_>,
        awaited: &Awaited,
        (behind, upto): (u64, u64),
        reached: StreamId,
    ) -> Option<Waiter> {
        self.with_waiters(at, |waiters| waiters.next(awaited, behind, upto, reached)).flatten()
    }

    /// How many keys are waited for, and for how many of them a waiter wants to know when the key is gone. O(shards +
    /// keys that are waited for).
    pub fn waited_for(&self) -> (usize, usize) {
        let mut all = (0, 0);
        for side in self.sides.iter().filter(|side| side.watched.load(Relaxed) != 0) {
            let table = side.watch.lock();
            for (_, _, waiters) in table.waiting.iter() {
                all.0 += usize::from(waiters.alive().next().is_some());
                all.1 += usize::from(waiters.alive().any(|(awaited, _)| awaited.on_absence()));
            }
        }
        all
    }

    /// Notes that a key has changed for its waiters. Its watchers are not told.
    pub(super) fn signal(&self, shard: usize, db: usize, key: &[u8]) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            let mut table = self.sides[shard].watch.lock();
            if db == SYSTEM as usize {
                // Clients know a key of the server's own database by its name, in every database.
                table.waiting.everywhere(key).for_each(|(db, waiters)| self.ready.note(db, key, waiters));
            } else if let Some(waiters) = table.waiting.get_mut(db, key) {
                self.ready.note(db, key, waiters);
            }
        }
    }

    /// Notes that all keys of a database (of every database if `None`) have changed for their waiters.
    pub(super) fn signal_database(&self, shard: usize, db: Option<usize>) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            let mut table = self.sides[shard].watch.lock();
            for (of, key, waiters) in
                table.waiting.iter_mut().filter(|(of, ..)| db.is_none_or(|db| *of == db))
            {
                self.ready.note(of, key, waiters);
            }
        }
    }

    /// Makes a key ready again, because a waiter may have missed a change.
    pub fn signal_again(&self, at: KeyAt<'_>) {
        self.signal(self.shard_of(at.hash), at.db, at.key);
    }

    /// Whether a key has changed for a waiter and was not served yet.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.ready.is_any()
    }

    /// Takes a key that has changed for its waiters. The caller calls [`Store::served`] once it has served them.
    pub fn take_ready(&self) -> Option<(usize, Box<[u8]>)> {
        let (db, key) = self.ready.take()?;
        // From here on, a change makes the key ready again, because the caller may look at the key before that change.
        self.with_waiters(KeyAt { db, key: &key, hash: self.hash(&key) }, |waiters| waiters.is_taken());
        Some((db, key))
    }

    /// Says that the waiters of a key that was taken are served.
    pub fn served(&self) {
        self.ready.served();
    }

    /// For threads that run no commands: wakes a waiter of each changed key, whose thread then serves the key.
    pub fn hand_over_ready(&self) {
        if !self.has_ready() {
            return;
        }
        for (db, key) in self.ready.names() {
            let at = KeyAt { db, key: &key, hash: self.hash(&key) };
            let first = self.with_waiters(at, |waiters| {
                waiters.alive().map(|(_, waiter)| Arc::clone(&waiter.who)).next()
            });
            if let Some(who) = first.flatten() {
                who.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests;
