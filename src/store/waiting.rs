//! Clients that wait for keys: the table of waiters, first come first served, and the keys that have changed for them.
//!
//! A waiter registers, after it found nothing, while it holds the key's shard (shared is enough). A thread that changes
//! the key holds the shard exclusively. So no waiter misses a change. The store only notes that a key has changed for
//! its waiters. A thread that runs commands serves the waiters once its own command is done, see [`Store::take_ready`].
//!
//! The clients that wait for the same in a key stand in one line, ordered by their tickets. The key's entry alone says
//! what it has for a line. So serving a line costs as much as is given away, even if the line is long.

use super::names::Names;
use super::{Entry, Store};
use crate::effect::SYSTEM;
use crate::env::memory::class_bytes;
use crate::value::stream::{Group, Stream, StreamId};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// A client that waits.
pub trait Waiting: Send + Sync {
    /// Whether its waiting is over. It may still be registered for some keys, and is passed over there.
    fn is_over(&self) -> bool;
    /// Tells the waiter's own thread that keys have changed and no thread serves them yet.
    fn wake(&self);
    /// For a caller that knows the type of the waiter.
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// What a client waits for in a key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Awaited {
    /// An element of a list. Each element is given to one waiter.
    Elements,
    /// A member of a sorted set. Each member is given to one waiter.
    Members,
    /// Entries of a stream behind an identifier, which each waiter has for itself. Each entry is given to all of them.
    Entries,
    /// Entries of a stream that no consumer of this group has got. Each entry is given to one waiter.
    NewTo(Arc<[u8]>),
}

impl Awaited {
    /// Whether the waiters are also told when the key is gone or holds something else.
    fn on_absence(&self) -> bool {
        matches!(self, Self::NewTo(_))
    }

    /// About how many bytes it takes besides its own size: those of a group's name.
    pub fn memory(&self) -> usize {
        match self {
            Self::Elements | Self::Members | Self::Entries => 0,
            Self::NewTo(group) => class_bytes(group.len() + 2 * size_of::<usize>()),
        }
    }

    /// Whether one waiter that finds nothing shows that no other in the line would find anything.
    pub fn is_for_one(&self) -> bool {
        matches!(self, Self::Elements | Self::Members | Self::NewTo(_))
    }

    /// What an entry may have for a line: there may be something for each waiter whose `behind` is less than the
    /// result, and there is nothing for the others.
    pub fn reached(&self, entry: Option<&Entry>) -> Option<StreamId> {
        let stream = entry.and_then(|entry| entry.value().stream());
        match self {
            Self::Elements => entry.and_then(|entry| entry.value().list()).map(|_| StreamId::MAX),
            Self::Members => entry.and_then(|entry| entry.value().zset()).map(|_| StreamId::MAX),
            Self::Entries => stream.filter(|stream| !stream.is_empty()).map(Stream::last_id),
            Self::NewTo(group) => {
                let there = stream.and_then(|stream| Some((stream, stream.groups().get(group)?)));
                let is_behind = |(stream, group): (&Stream, &Group)| {
                    !stream.is_empty() && stream.last_id() > group.position.last_id
                };
                // If the group is gone, its waiters are told.
                there.is_none_or(is_behind).then_some(StreamId::MAX)
            }
        }
    }
}

/// A key of a database, and its hash.
#[derive(Clone, Copy)]
pub struct KeyAt<'a> {
    /// The database in which it is kept.
    pub db: usize,
    /// The key.
    pub key: &'a [u8],
    /// Its hash.
    pub hash: u64,
}

/// A place in a line.
#[derive(Clone)]
pub struct Waiter {
    /// From [`Store::next_ticket`]. A line is ordered by tickets.
    pub ticket: u64,
    /// The waiter waits for entries behind this identifier; [`StreamId::MIN`] where that is the same for all.
    pub behind: StreamId,
    /// The number of the key among the waiter's keys.
    pub number: usize,
    /// The waiting client.
    pub who: Arc<dyn Waiting>,
}

impl Waiter {
    /// About how many bytes of the table one place in a line takes, besides the key's name: those of the key's place in
    /// the table and of a line's queue, which this waiter may be the only one to need.
    pub const MEMORY: usize = Names::<Waiters>::PLACE + FIRST_ROOM * size_of::<Self>();
}

/// For how many waiters the queue of a line has room once it has one.
const FIRST_ROOM: usize = 4;

/// The clients that wait for the same in one key, by ticket.
struct Line {
    awaited: Awaited,
    queue: VecDeque<Waiter>,
}

/// The clients that wait for one key.
#[derive(Default)]
pub(super) struct Waiters {
    /// Whether the key is among the ready ones.
    ready: bool,
    /// One line for each thing that is waited for; none is empty.
    lines: SmallVec<[Line; 1]>,
}

impl Waiters {
    fn find(&self, awaited: &Awaited) -> Result<usize, usize> {
        self.lines.binary_search_by(|line| line.awaited.cmp(awaited))
    }

    fn add(&mut self, awaited: &Awaited, waiter: Waiter) {
        let at = self.find(awaited).unwrap_or_else(|at| {
            let line = Line { awaited: awaited.clone(), queue: VecDeque::with_capacity(FIRST_ROOM) };
            self.lines.insert(at, line);
            at
        });
        let queue = &mut self.lines[at].queue;
        // A ticket is taken before the line is locked, so another waiter may have come first; nearly always the place
        // is the end.
        let place = queue.partition_point(|other| other.ticket < waiter.ticket);
        queue.insert(place, waiter);
    }

    fn remove(&mut self, awaited: &Awaited, ticket: u64) {
        let Ok(at) = self.find(awaited) else { return };
        let queue = &mut self.lines[at].queue;
        if let Ok(place) = queue.binary_search_by_key(&ticket, |waiter| waiter.ticket) {
            queue.remove(place);
        }
        if queue.is_empty() {
            self.lines.remove(at);
        }
    }

    /// See [`Store::next_waiter`].
    fn next(&mut self, awaited: &Awaited, behind: u64, upto: u64, reached: StreamId) -> Option<Waiter> {
        let at = self.find(awaited).ok()?;
        let queue = &mut self.lines[at].queue;
        let mut place = queue.partition_point(|waiter| waiter.ticket <= behind);
        let mut found = None;
        while let Some(waiter) = queue.get(place).filter(|waiter| waiter.ticket <= upto) {
            if waiter.who.is_over() {
                queue.remove(place);
            } else if waiter.behind < reached {
                found = Some(waiter.clone());
                break;
            } else {
                place += 1;
            }
        }
        if queue.is_empty() {
            self.lines.remove(at);
        }
        found
    }

    fn alive(&self) -> impl Iterator<Item = (&Awaited, &Waiter)> {
        let all = self.lines.iter().flat_map(|line| line.queue.iter().map(|waiter| (&line.awaited, waiter)));
        all.filter(|(_, waiter)| !waiter.who.is_over())
    }
}

/// A key of a database.
type Name = (usize, Box<[u8]>);

/// The keys that have changed for their waiters.
#[derive(Default)]
pub(super) struct Ready {
    /// Each key is in it once.
    queue: parking_lot::Mutex<VecDeque<Name>>,
    /// How many keys are not served to their end. While it is zero, one load tells that there is nothing to do.
    unserved: std::sync::atomic::AtomicUsize,
    /// The last ticket that was given out.
    tickets: std::sync::atomic::AtomicU64,
}

impl Ready {
    /// Notes that a key has changed for its waiters. The caller holds the lock of their table.
    pub(super) fn note(&self, db: usize, key: &[u8], waiters: &mut Waiters) {
        if !std::mem::replace(&mut waiters.ready, true) {
            self.unserved.fetch_add(1, AcqRel);
            self.queue.lock().push_back((db, key.into()));
        }
    }
}

impl Store {
    /// A ticket behind all others.
    pub fn next_ticket(&self) -> u64 {
        self.ready.tickets.fetch_add(1, Relaxed) + 1
    }

    /// The last ticket that was given out.
    pub fn last_ticket(&self) -> u64 {
        self.ready.tickets.load(Relaxed)
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
        if waiters.lines.is_empty() {
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
        let lines = self.with_waiters(at, |waiters| {
            waiters.lines.iter().map(|line| line.awaited.clone()).collect::<Vec<_>>()
        });
        lines.unwrap_or_default()
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
        self.ready.unserved.load(Acquire) != 0
    }

    /// Takes a key that has changed for its waiters. The caller calls [`Store::served`] once it has served them.
    pub fn take_ready(&self) -> Option<(usize, Box<[u8]>)> {
        let (db, key) = self.ready.queue.lock().pop_front()?;
        // From here on, a change makes the key ready again, because the caller may look at the key before that change.
        self.with_waiters(KeyAt { db, key: &key, hash: self.hash(&key) }, |waiters| waiters.ready = false);
        Some((db, key))
    }

    /// Says that the waiters of a key that was taken are served.
    pub fn served(&self) {
        self.ready.unserved.fetch_sub(1, AcqRel);
    }

    /// For threads that run no commands: wakes a waiter of each changed key, whose thread then serves the key.
    pub fn hand_over_ready(&self) {
        if !self.has_ready() {
            return;
        }
        let names: Vec<Name> = self.ready.queue.lock().iter().cloned().collect();
        for (db, key) in names {
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
