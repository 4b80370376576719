//! Which threads wait for shards that another thread holds for long, and how a thread gets shards that it may hold for
//! long itself.
//!
//! What runs scripts may hold shards for as long as a script runs. It has these shards lent (`gate`), in its turn
//! (`turns`), before it locks them. A thread that serves clients does not wait for a shard that is lent: it gets an
//! error and turns to other clients. A thread of the background waits for its turn, and holds no shard meanwhile.

use super::lines::KeyAt;
use super::shards::Store;
use super::turns::Shards;
use std::cell::Cell;

/// How long a thread waits for shards.
#[derive(Clone, Copy)]
pub enum Patience<'p> {
    /// It does not wait for one that is lent. All other waits end soon.
    Short,
    /// It may hold the shards for long itself, and has them lent. It waits for its turn; every few milliseconds it is
    /// asked, with the number of a missing shard, whether it gives up.
    Lends(&'p dyn Fn(usize) -> bool),
}

/// A shard is lent, by its number, so it was not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent(pub usize);

/// The turns of some shards, and perhaps the shards lent. Dropped once the shards are given back.
pub(super) struct Turn<'a> {
    store: &'a Store,
    shards: Shards,
    is_lent: bool,
}

impl<'a> Turn<'a> {
    /// Waits for the turns of shards, given in ascending order.
    pub(super) fn take(
        store: &'a Store,
        shards: Shards,
        gives_up: &dyn Fn(usize) -> bool,
    ) -> Result<Self, Lent> {
        store.turns.take(&shards, gives_up).map_err(Lent)?;
        Ok(Self { store, shards, is_lent: false })
    }

    /// Has the shards lent. The thread holds none of them yet.
    pub(super) fn lend(&mut self) {
        self.is_lent = true;
        self.shards.iter().for_each(|shard| self.store.sides[*shard].gate.lend());
    }

    /// Has another shard lent, if that is possible without waiting. If it is not, the thread must give back all shards
    /// before it tries again.
    pub(super) fn try_add(&mut self, shard: usize) -> bool {
        if !self.store.turns.try_take(shard) {
            return false;
        }
        self.shards.push(shard);
        self.store.sides[shard].gate.try_lend()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_lent {
            self.shards.iter().for_each(|shard| self.store.sides[*shard].gate.take_back());
        }
        for (db, key) in self.store.turns.give_back(&self.shards) {
            self.store.signal_again(KeyAt { db, key: &key, hash: self.store.hash(&key) });
        }
    }
}

impl Store {
    /// Serves a key's waiting clients later: when a shard that they lack is given back, or at once if that happened
    /// meanwhile.
    pub fn put_off(&self, at: KeyAt<'_>, Lent(shard): Lent) {
        if !self.turns.put_off(shard, at.db, at.key) {
            self.signal_again(at);
        }
    }
}

thread_local! {
    static SERVES_CLIENTS: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread serves clients, so that it must never wait without bound for a shard. Debug builds check it.
pub fn serves_clients() {
    SERVES_CLIENTS.set(true);
}

/// Whether this thread may wait for a shard that is lent.
pub(super) fn may_wait() -> bool {
    !SERVES_CLIENTS.get()
}
