//! Clients that wait for keys, in lines: first come first served; and the keys that have changed for them.
//!
//! The clients that wait for the same in a key stand in one line, ordered by their tickets. The key's entry alone says
//! what it has for a line. So serving a line costs as much as is given away, even if the line is long.

use super::Entry;
use super::names::Names;
use crate::env::memory::class_bytes;
use crate::value::stream::{Group, Stream, StreamId};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

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
    /// A list of at least so many elements. Each element is given to one waiter.
    Elements(u64),
    /// A member of a sorted set. Each member is given to one waiter.
    Members,
    /// Entries of a stream behind an identifier, which each waiter has for itself. Each entry is given to all of them.
    Entries,
    /// Entries of a stream that no consumer of this group has got. Each entry is given to one waiter.
    NewTo(Arc<[u8]>),
}

impl Awaited {
    /// Whether the waiters are also told when the key is gone or holds something else.
    pub(super) fn on_absence(&self) -> bool {
        matches!(self, Self::NewTo(_))
    }

    /// About how many bytes it takes besides its own size: those of a group's name.
    pub fn memory(&self) -> usize {
        match self {
            Self::Elements(_) | Self::Members | Self::Entries => 0,
            Self::NewTo(group) => class_bytes(group.len() + 2 * size_of::<usize>()),
        }
    }

    /// Whether one waiter that finds nothing shows that no other in the line would find anything.
    pub fn is_for_one(&self) -> bool {
        matches!(self, Self::Elements(_) | Self::Members | Self::NewTo(_))
    }

    /// What an entry may have for a line: there may be something for each waiter whose `behind` is less than the
    /// result, and there is nothing for the others.
    pub fn reached(&self, entry: Option<&Entry>) -> Option<StreamId> {
        let stream = entry.and_then(|entry| entry.value().stream());
        match self {
            Self::Elements(least) => {
                let list = entry.and_then(|entry| entry.value().list());
                list.filter(|list| list.len() as u64 >= *least).map(|_| StreamId::MAX)
            }
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
    /// From [`Store::next_ticket`](super::Store::next_ticket). A line is ordered by tickets.
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
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What is waited for: one for each line.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &Awaited> {
        self.lines.iter().map(|line| &line.awaited)
    }

    /// Notes that the key is taken from the ready ones.
    pub(super) fn is_taken(&mut self) {
        self.ready = false;
    }

    fn find(&self, awaited: &Awaited) -> Result<usize, usize> {
        self.lines.binary_search_by(|line| line.awaited.cmp(awaited))
    }

    pub(super) fn add(&mut self, awaited: &Awaited, waiter: Waiter) {
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

    pub(super) fn remove(&mut self, awaited: &Awaited, ticket: u64) {
        let Ok(at) = self.find(awaited) else { return };
        let queue = &mut self.lines[at].queue;
        if let Ok(place) = queue.binary_search_by_key(&ticket, |waiter| waiter.ticket) {
            queue.remove(place);
        }
        if queue.is_empty() {
            self.lines.remove(at);
        }
    }

    /// See [`Store::next_waiter`](super::Store::next_waiter).
    pub(super) fn next(
        &mut self,
        awaited: &Awaited,
        behind: u64,
        upto: u64,
        reached: StreamId,
    ) -> Option<Waiter> {
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

    pub(super) fn alive(&self) -> impl Iterator<Item = (&Awaited, &Waiter)> {
        let all = self.lines.iter().flat_map(|line| line.queue.iter().map(|waiter| (&line.awaited, waiter)));
        all.filter(|(_, waiter)| !waiter.who.is_over())
    }
}

/// A key of a database.
pub(super) type KeyName = (usize, Box<[u8]>);

/// The keys that have changed for their waiters.
#[derive(Default)]
pub(super) struct Ready {
    /// Each key is in it once.
    queue: Mutex<VecDeque<KeyName>>,
    /// How many keys are not served to their end. While it is zero, one load tells that there is nothing to do.
    unserved: AtomicUsize,
    /// The last ticket that was given out.
    tickets: AtomicU64,
}

impl Ready {
    /// A ticket behind all others.
    pub(super) fn next_ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Relaxed) + 1
    }

    /// The last ticket that was given out.
    pub(super) fn last_ticket(&self) -> u64 {
        self.tickets.load(Relaxed)
    }

    /// Whether a key is not served to its end.
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        self.unserved.load(Acquire) != 0
    }

    /// Takes the first key.
    pub(super) fn take(&self) -> Option<KeyName> {
        self.queue.lock().pop_front()
    }

    /// Says that a key that was taken is served.
    pub(super) fn served(&self) {
        self.unserved.fetch_sub(1, AcqRel);
    }

    /// The keys that nobody has taken.
    pub(super) fn names(&self) -> Vec<KeyName> {
        self.queue.lock().iter().cloned().collect()
    }

    /// Notes that a key has changed for its waiters. The caller holds the lock of their table.
    pub(super) fn note(&self, db: usize, key: &[u8], waiters: &mut Waiters) {
        if !std::mem::replace(&mut waiters.ready, true) {
            self.unserved.fetch_add(1, AcqRel);
            self.queue.lock().push_back((db, key.into()));
        }
    }
}
