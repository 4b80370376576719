//! Who waits for a key: the table of waiters, first come first served, and the keys that have changed for them.
//!
//! Waiters register while they hold the key's shard (shared is enough), after they found nothing; whoever changes the key holds it
//! exclusively. So a change is missed by nobody, however many threads there are. The store only notes that a key has
//! changed for somebody. Who runs commands serves the waiters once its own command is done, see [`Store::take_ready`].

use super::Store;
use super::watch::give_back;
use crate::effect::SYSTEM;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Somebody who waits.
pub trait Waiting: Send + Sync {
    /// A number of its own.
    fn id(&self) -> u64;
    /// Whether it also wants to know when the key is gone or holds another type.
    fn on_absence(&self) -> bool;
    /// Tells its own thread that there are keys that have changed and nobody serves yet.
    fn wake(&self);
    /// For whoever made it.
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// A key of a database.
pub(super) type Name = (usize, Box<[u8]>);

/// Keys that have changed for those who wait for them.
#[derive(Default)]
pub(super) struct Ready {
    queue: parking_lot::Mutex<VecDeque<Name>>,
    /// How many keys are not served to their end. One load tells that there is nothing to do.
    unserved: std::sync::atomic::AtomicUsize,
}

impl Store {
    /// Registers a waiter for a key of a database, behind those who are there. The caller holds the key's shard.
    pub fn wait(&self, db: usize, key: &[u8], hash: u64, who: Arc<dyn Waiting>) {
        let side = &self.sides[self.shard_of(hash)];
        let mut table = side.watch.lock();
        table.waiting.entry((db, key.into())).or_default().push_back(who);
        side.watched.store(table.len(), Relaxed);
    }

    /// Removes a waiter from a key.
    pub fn stop_waiting(&self, db: usize, key: &[u8], hash: u64, id: u64) {
        let side = &self.sides[self.shard_of(hash)];
        let mut table = side.watch.lock();
        let name = (db, Box::from(key));
        if let Some(waiting) = table.waiting.get_mut(&name) {
            waiting.retain(|who| who.id() != id);
            if waiting.is_empty() {
                table.waiting.remove(&name);
                give_back(&mut table.waiting);
            }
        }
        side.watched.store(table.len(), Relaxed);
    }

    /// Those who wait for a key, the first one first.
    pub fn waiting(&self, db: usize, key: &[u8], hash: u64) -> Vec<Arc<dyn Waiting>> {
        let table = self.sides[self.shard_of(hash)].watch.lock();
        table.waiting.get(&(db, Box::from(key))).into_iter().flatten().cloned().collect()
    }

    /// How many keys are waited for, and for how many of them somebody waits who wants to know when they are gone. O(shards + keys
    /// that are waited for).
    pub fn waited_for(&self) -> (usize, usize) {
        let mut all = (0, 0);
        for side in self.sides.iter().filter(|side| side.watched.load(Relaxed) != 0) {
            let table = side.watch.lock();
            all.0 += table.waiting.len();
            all.1 += table.waiting.values().filter(|who| who.iter().any(|who| who.on_absence())).count();
        }
        all
    }

    /// Notes that a key has changed, if somebody waits for it.
    pub(super) fn signal_if(&self, there: bool, name: Name) {
        if there {
            self.ready.unserved.fetch_add(1, AcqRel);
            self.ready.queue.lock().push_back(name);
        }
    }

    /// Notes that a key has changed for those who wait for it, though not for those who watch it.
    pub(super) fn signal(&self, shard: usize, db: usize, key: &[u8]) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            if db == SYSTEM as usize {
                return self.signal_everywhere(shard, key);
            }
            let name = (db, Box::from(key));
            let there = self.sides[shard].watch.lock().waiting.contains_key(&name);
            self.signal_if(there, name);
        }
    }

    /// The same for a key of the server's own database, which clients know by its name in whatever database they are.
    pub(super) fn signal_everywhere(&self, shard: usize, key: &[u8]) {
        let table = self.sides[shard].watch.lock();
        for name in table.waiting.keys().filter(|(_, name)| **name == *key) {
            self.signal_if(true, name.clone());
        }
    }

    /// Notes that all keys of a database, or of all, have changed for those who wait for them.
    pub(super) fn signal_database(&self, shard: usize, db: Option<usize>) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            let table = self.sides[shard].watch.lock();
            for name in table.waiting.keys().filter(|(of, _)| db.is_none_or(|db| *of == db)) {
                self.signal_if(true, name.clone());
            }
        }
    }

    /// Has a waiter of a key looked at again: it may have missed a change.
    pub fn signal_again(&self, db: usize, key: &[u8]) {
        self.signal(self.shard_of(self.hash(key)), db, key);
    }

    /// Whether there are keys that have changed for somebody who was not served yet.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.ready.unserved.load(Acquire) != 0
    }

    /// A key that has changed for those who wait for it. Once they are served the caller says so by [`Store::served`].
    pub fn take_ready(&self) -> Option<(usize, Box<[u8]>)> {
        self.ready.queue.lock().pop_front()
    }

    /// The waiters of a key that was taken are served.
    pub fn served(&self) {
        self.ready.unserved.fetch_sub(1, AcqRel);
    }

    /// Wakes those who wait for keys that have changed, so that they see to it. For threads that run no commands.
    pub fn hand_over_ready(&self) {
        if !self.has_ready() {
            return;
        }
        let names: Vec<Name> = self.ready.queue.lock().iter().cloned().collect();
        for (db, key) in names {
            if let Some(who) = self.waiting(db, &key, self.hash(&key)).first() {
                who.wake();
            }
        }
    }
}
