//! What a thread has locked, and lookups in it.

use super::lent::{Lent, Turn};
use super::raw_table::{self, Raw};
use super::recording::Recording;
use super::seldom::Seldom;
use super::shown::KeyClasses;
use super::{Entry, Store, shown};
use dashmap::{RwLockReadGuard, RwLockWriteGuard};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Shared or exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Readers share the shard.
    Read,
    /// One writer has the shard.
    Write,
}

impl Mode {
    /// The mode that gives what both give.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Write { self } else { other }
    }
}

/// The lock of a shard, as it is held.
pub(super) enum Guard<'a> {
    Read(RwLockReadGuard<'a, Raw>),
    Write(RwLockWriteGuard<'a, Raw>),
}

impl Guard<'_> {
    #[inline]
    fn is_exclusive(&self) -> bool {
        matches!(self, Self::Write(_))
    }

    #[inline]
    fn raw(&self) -> &Raw {
        match self {
            Self::Read(g) => g,
            Self::Write(g) => g,
        }
    }

    #[inline]
    fn raw_mut(&mut self) -> Option<&mut Raw> {
        match self {
            Self::Read(_) => None,
            Self::Write(g) => Some(g),
        }
    }
}

/// Kept small, because it is moved into each transaction, and nearly every transaction holds one shard.
pub(super) enum Held<'a> {
    None,
    One(usize, Guard<'a>),
    Many(Vec<(usize, Guard<'a>)>),
}

/// Entries that were removed.
#[derive(Default)]
pub struct Garbage(pub(super) Vec<Entry>, pub(super) Vec<Doubtful<Entry>>);

/// Something that may be half changed, so that freeing it may panic. Then the rest of it is not freed.
pub(super) struct Doubtful<T>(Option<T>);

impl<T> Doubtful<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Drop for Doubtful<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
            tracing::error!(
                "a value that a fault of the program left half changed cannot be freed as a whole"
            );
        }
    }
}

/// Locked shards, and the time for which lookups are made. All lookups of commands go through this.
pub struct Locked<'a> {
    pub(super) store: &'a Store,
    pub(super) held: Held<'a>,
    /// The turns of the shards, if they may be held for long. Dropped after the guards.
    pub(super) turn: Seldom<Turn<'a>>,
    /// Removed entries that may be large. They are freed after the locks are given back, so that no thread waits for
    /// it.
    pub(super) garbage: Seldom<Garbage>,
    /// The recorded changes, while changes are recorded.
    pub(super) recording: Seldom<Recording>,
    /// The classes of keys that were changed.
    pub(super) changed: KeyClasses,
    /// The classes of keys for which this thread has noted the position in every shard that it holds.
    pub(super) noted: KeyClasses,
    /// A shard that a walk did not wait for.
    pub(super) lacks: Cell<Option<Lent>>,
    /// The time in ms since the epoch. What has a deadline up to it has expired.
    pub now: u64,
    /// Whether lookups leave the access clock as it is (CLIENT NO-TOUCH, OBJECT, background work).
    pub no_touch: bool,
}

impl Store {
    /// Notes that this thread has seen the last change of the hash's class. The shard is locked.
    #[inline]
    pub(super) fn note_shown(&self, hash: u64) {
        shown::note(self.sides[self.shard_of(hash)].positions.of(hash));
    }
}

impl<'a> Locked<'a> {
    /// The store.
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// Notes that a walk did not wait for a shard.
    pub fn note_lack(&self, lent: Lent) {
        self.lacks.set(Some(lent));
    }

    /// The shard that a walk did not wait for. Then the walk has not seen everything.
    #[inline]
    pub fn lacks(&self) -> Option<Lent> {
        self.lacks.get()
    }

    /// The removed entries that may be large, to be freed once the shards are given back.
    #[inline]
    pub(crate) fn take_garbage(&mut self) -> Seldom<Garbage> {
        std::mem::take(&mut self.garbage)
    }

    /// Frees an entry that was removed from a shard, at once if it is small. If an image has registered the entry, the
    /// image's reader gets it instead.
    #[inline]
    pub(super) fn discard(&mut self, shard: usize, entry: Entry) {
        if entry.kind().is_apart() {
            let free = self.store.hand_over(shard, entry).and_then(|entry| self.store.reaper.take(entry));
            if let Some(entry) = free {
                self.garbage.get_or_insert_default().0.push(entry);
            }
        }
    }

    /// Whether no shard is locked.
    #[inline]
    pub fn holds_none(&self) -> bool {
        matches!(self.held, Held::None)
    }

    /// Whether the shard of a hash is held exclusively, so that it may be changed.
    #[inline]
    pub fn owns(&self, hash: u64) -> bool {
        self.owns_shard(self.store.shard_of(hash))
    }

    /// Whether a shard is held exclusively.
    #[inline]
    pub(super) fn owns_shard(&self, shard: usize) -> bool {
        match &self.held {
            Held::None => false,
            Held::One(held, guard) => *held == shard && guard.is_exclusive(),
            Held::Many(guards) => guards
                .binary_search_by_key(&shard, |(held, _)| *held)
                .is_ok_and(|at| guards[at].1.is_exclusive()),
        }
    }

    /// Whether the shard of a hash is held, exclusively or not.
    pub fn holds(&self, hash: u64) -> bool {
        self.holds_shard(self.store.shard_of(hash))
    }

    /// Whether a shard is held, exclusively or not.
    pub fn holds_shard(&self, shard: usize) -> bool {
        match &self.held {
            Held::None => false,
            Held::One(held, _) => *held == shard,
            Held::Many(guards) => guards.binary_search_by_key(&shard, |(held, _)| *held).is_ok(),
        }
    }

    /// Whether every shard is held exclusively, so that databases and tables may be changed.
    pub fn owns_all(&self) -> bool {
        self.holds_all()
            && matches!(&self.held, Held::Many(guards) if guards.iter().all(|(_, guard)| guard.is_exclusive()))
    }

    /// Notes the position of the record of what was changed in these shards. A thread that reads a changed class from
    /// now on has seen that record.
    #[inline]
    pub fn recorded_at(&self, position: u64) {
        let raise = |shard: usize, guard: &Guard<'_>| {
            if guard.is_exclusive() {
                self.store.sides[shard].positions.set(self.changed, position);
            }
        };
        match &self.held {
            Held::None => {}
            Held::One(shard, guard) => raise(*shard, guard),
            Held::Many(guards) => guards.iter().for_each(|(shard, guard)| raise(*shard, guard)),
        }
        shown::note(position);
    }

    /// The position in the log of the last record that changed any of these shards; `None` if no shard is held.
    pub fn position(&self) -> Option<u64> {
        let of = |shard: usize| self.store.sides[shard].positions.greatest();
        match &self.held {
            Held::None => None,
            Held::One(shard, _) => Some(of(*shard)),
            Held::Many(guards) => guards.iter().map(|(shard, _)| of(*shard)).max(),
        }
    }

    /// Whether every shard is locked.
    pub fn holds_all(&self) -> bool {
        matches!(&self.held, Held::Many(guards) if guards.len() == self.store.shard_count())
    }

    #[inline]
    pub(super) fn raw(&self, shard: usize) -> Option<&Raw> {
        let found = match &self.held {
            Held::None => None,
            Held::One(s, guard) => (*s == shard).then(|| guard.raw()),
            Held::Many(guards) => {
                guards.binary_search_by_key(&shard, |(s, _)| *s).ok().map(|at| guards[at].1.raw())
            }
        };
        debug_assert!(found.is_some(), "a handler touched a key that its spec does not declare");
        found
    }

    #[inline]
    pub(super) fn raw_mut(&mut self, shard: usize) -> Option<&mut Raw> {
        let found = match &mut self.held {
            Held::None => None,
            Held::One(s, guard) => (*s == shard).then(|| guard.raw_mut()).flatten(),
            Held::Many(guards) => match guards.binary_search_by_key(&shard, |(s, _)| *s) {
                Ok(at) => guards[at].1.raw_mut(),
                Err(_) => None,
            },
        };
        debug_assert!(found.is_some(), "a handler changed a key that its spec does not declare as written");
        found
    }

    /// The entry of a key, if it is there and has not expired; notes the access.
    #[inline]
    pub fn get(&self, space: u32, key: &[u8], hash: u64) -> Option<&Entry> {
        let entry = self.peek(space, key, hash)?;
        if entry.expired(self.now) {
            return None;
        }
        if !self.no_touch {
            if let Some(recording) = &*self.recording {
                recording.note_clock(entry, hash);
            }
            self.store.note_access(entry, self.now);
        }
        Some(entry)
    }

    /// The entry of a key even if it has expired; does not note the access.
    #[inline]
    pub fn peek(&self, space: u32, key: &[u8], hash: u64) -> Option<&Entry> {
        if !self.noted.contains(KeyClasses::of(hash)) {
            self.store.note_shown(hash);
        }
        let table = self.raw(self.store.shard_of(hash))?;
        raw_table::find(table, Store::place(hash, space), space, key)
    }
}
