//! Who waits for a key: the table of waiters, first come first served, and the keys that have changed for them.
//!
//! Waiters register while they hold the key's shard (shared is enough), after they found nothing; whoever changes the
//! key holds it exclusively. So a change is missed by nobody, however many threads there are. The store only notes that
//! a key has changed for somebody. Who runs commands serves the waiters once its own command is done, see
//! [`Store::take_ready`].
//!
//! Those who wait for the same in a key stand in one line, by their tickets. What is there for a line is known without
//! asking those in it: so to serve a line costs as much as is given away, however long it is.

use super::names::Names;
use super::{Entry, Store};
use crate::effect::SYSTEM;
use crate::env::memory::class_bytes;
use crate::value::stream::{Group, Stream, StreamId};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Somebody who waits.
pub trait Waiting: Send + Sync {
    /// Whether its waiting is over: it may still be registered for some keys, and is passed over there.
    fn is_over(&self) -> bool;
    /// Tells its own thread that there are keys that have changed and nobody serves yet.
    fn wake(&self);
    /// For whoever made it.
    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// What somebody waits for in a key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Awaited {
    /// An element of a list. What one gets is gone for the others.
    Elements,
    /// A member of a sorted set. What one gets is gone for the others.
    Members,
    /// Entries of a stream, behind an identifier of one's own. All get them.
    Entries,
    /// Entries of a stream that no consumer of this group has got. What one gets is gone for the others.
    NewTo(Arc<[u8]>),
}

impl Awaited {
    /// Whether it is also to be told when the key is gone or holds something else.
    fn on_absence(&self) -> bool {
        matches!(self, Self::NewTo(_))
    }

    /// About how many bytes it takes beside its own: a group's name.
    pub fn memory(&self) -> usize {
        match self {
            Self::Elements | Self::Members | Self::Entries => 0,
            Self::NewTo(group) => class_bytes(group.len() + 2 * size_of::<usize>()),
        }
    }

    /// Whether one who finds nothing knows that nobody in the line would find anything.
    pub fn is_for_one(&self) -> bool {
        matches!(self, Self::Elements | Self::Members | Self::NewTo(_))
    }

    /// What a key's entry may have for those in the line: something for all who wait behind a lesser identifier than
    /// this. Nobody else would find anything.
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
                // If the group is gone they are told.
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

/// Somebody in a line.
#[derive(Clone)]
pub struct Waiter {
    /// From [`Store::next_ticket`]: the order of those in a line.
    pub ticket: u64,
    /// The identifier behind which entries are awaited; [`StreamId::MIN`] where that is the same for all.
    pub behind: StreamId,
    /// Which of its keys it is.
    pub number: usize,
    /// Who it is.
    pub who: Arc<dyn Waiting>,
}

impl Waiter {
    /// About how many bytes of the table it takes to be in a line, beside the key's name: those of the key's place, and
    /// of a line's queue, which it may need for itself.
    pub const MEMORY: usize = Names::<Waiters>::PLACE + FIRST_ROOM * size_of::<Self>();
}

/// How many have room in the queue of a line once there is somebody in it.
const FIRST_ROOM: usize = 4;

/// Those who wait for the same in one key, by ticket.
struct Line {
    awaited: Awaited,
    queue: VecDeque<Waiter>,
}

/// Those who wait for one key.
#[derive(Default)]
pub(super) struct Waiters {
    /// Whether the key is among the ready ones.
    ready: bool,
    /// By what they wait for; none is empty.
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
        // Tickets are taken before the line is locked: nearly always it goes to the end.
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

/// Keys that have changed for those who wait for them.
#[derive(Default)]
pub(super) struct Ready {
    /// Each of them once.
    queue: parking_lot::Mutex<VecDeque<Name>>,
    /// How many keys are not served to their end. One load tells that there is nothing to do.
    unserved: std::sync::atomic::AtomicUsize,
    /// The last ticket that was given out.
    tickets: std::sync::atomic::AtomicU64,
}

impl Ready {
    /// Notes that a key has changed for those who wait for it. Their table is locked.
    pub(super) fn note(&self, db: usize, key: &[u8], waiters: &mut Waiters) {
        if !std::mem::replace(&mut waiters.ready, true) {
            self.unserved.fetch_add(1, AcqRel);
            self.queue.lock().push_back((db, key.into()));
        }
    }
}

impl Store {
    /// A place in the order of those who wait, behind all others.
    pub fn next_ticket(&self) -> u64 {
        self.ready.tickets.fetch_add(1, Relaxed) + 1
    }

    /// The last ticket that was given out.
    pub fn last_ticket(&self) -> u64 {
        self.ready.tickets.load(Relaxed)
    }

    /// Registers a waiter for a key. The caller holds the key's shard. O(1) for the newest one.
    pub fn wait(&self, at: KeyAt<'_>, awaited: &Awaited, waiter: Waiter) {
        let side = &self.sides[self.shard_of(at.hash)];
        let mut table = side.watch.lock();
        table.waiting.with(at.db, at.key, |waiters| waiters.add(awaited, waiter));
        side.watched.store(table.len(), Relaxed);
    }

    /// Does something with those who wait for a key, if there are any.
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

    /// Removes a waiter from a key. Nobody else in the line is looked at but those that a search by ticket meets.
    pub fn stop_waiting(&self, at: KeyAt<'_>, awaited: &Awaited, ticket: u64) {
        self.with_waiters(at, |waiters| waiters.remove(awaited, ticket));
    }

    /// What is waited for in a key.
    pub fn lines(&self, at: KeyAt<'_>) -> Vec<Awaited> {
        let lines = self.with_waiters(at, |waiters| {
            waiters.lines.iter().map(|line| line.awaited.clone()).collect::<Vec<_>>()
        });
        lines.unwrap_or_default()
    }

    /// The first one in a line with a ticket above `behind` and up to `upto` who waits behind a lesser identifier than
    /// `reached`. Those whose waiting is over are taken out on the way.
    pub fn next_waiter(
        &self,
        at: KeyAt<'_>,
        awaited: &Awaited,
        (behind, upto): (u64, u64),
        reached: StreamId,
    ) -> Option<Waiter> {
        self.with_waiters(at, |waiters| waiters.next(awaited, behind, upto, reached)).flatten()
    }

    /// How many keys are waited for, and for how many of them somebody waits who wants to know when they are gone.
    /// O(shards + keys that are waited for).
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

    /// Notes that a key has changed for those who wait for it, though not for those who watch it.
    pub(super) fn signal(&self, shard: usize, db: usize, key: &[u8]) {
        if self.sides[shard].watched.load(Relaxed) != 0 {
            let mut table = self.sides[shard].watch.lock();
            if db == SYSTEM as usize {
                // Clients know a key of the server's own database by its name in whatever database they are.
                table.waiting.everywhere(key).for_each(|(db, waiters)| self.ready.note(db, key, waiters));
            } else if let Some(waiters) = table.waiting.get_mut(db, key) {
                self.ready.note(db, key, waiters);
            }
        }
    }

    /// Notes that all keys of a database, or of all, have changed for those who wait for them.
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

    /// Has a key be looked at again for those who wait for it: one of them may have missed a change.
    pub fn signal_again(&self, at: KeyAt<'_>) {
        self.signal(self.shard_of(at.hash), at.db, at.key);
    }

    /// Whether there are keys that have changed for somebody who was not served yet.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.ready.unserved.load(Acquire) != 0
    }

    /// A key that has changed for those who wait for it. Once they are served the caller says so by [`Store::served`].
    pub fn take_ready(&self) -> Option<(usize, Box<[u8]>)> {
        let (db, key) = self.ready.queue.lock().pop_front()?;
        // What changes from here on is not seen by whoever is about to look: it makes the key ready again.
        self.with_waiters(KeyAt { db, key: &key, hash: self.hash(&key) }, |waiters| waiters.ready = false);
        Some((db, key))
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
