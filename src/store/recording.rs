//! What is kept of a transaction's changes, so that they can be taken back.

use super::Entry;
use super::inverse::Inverse;
use super::place::Place;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};

/// A key; short ones need no allocation.
pub(super) type ShortKey = SmallVec<[u8; 24]>;

/// The owned place of an entry.
pub(super) struct Home {
    pub(super) shard: usize,
    pub(super) hash: u64,
    pub(super) space: u32,
    pub(super) db: Option<usize>,
    pub(super) key: ShortKey,
}

impl Home {
    pub(super) fn of(place: Place<'_>) -> Self {
        let Place { shard, hash, space, db, key } = place;
        Self { shard, hash, space, db, key: ShortKey::from_slice(key) }
    }

    fn is(&self, place: Place<'_>) -> bool {
        self.space == place.space && *self.key == *place.key
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place { shard: self.shard, hash: self.hash, space: self.space, db: self.db, key: &self.key }
    }
}

/// The slot in its shard's table that an entry had.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) generation: u32,
}

/// How one change is taken back.
pub(super) enum Step {
    /// The change inserted an entry where there was none.
    Inserted,
    Removed(Entry, Slot),
    Replaced(Entry),
    /// The change moved the entry here, from that place and slot.
    Moved(Box<Home>, Slot),
    Deadline(Option<u64>),
    /// The change was within the entry's value.
    Within(Inverse),
}

/// Whom a change is told.
pub(super) enum Told {
    Watchers { shard: usize, db: usize, key: Box<[u8]> },
    WatchersOfItem { shard: usize, table: u32, partition: Box<[u8]>, sort: Box<[u8]> },
    Waiting { shard: usize, db: usize, key: Box<[u8]> },
}

/// The changes since the recording began.
#[derive(Default)]
pub(super) struct Recording {
    pub(super) steps: Vec<(Home, Step)>,
    /// The numbers of the steps that put a whole value back, by the hashes of their places: the first of each key.
    /// Later changes within such a value need no steps.
    covered: HashTable<usize>,
    pub(super) told: Vec<Told>,
    pub(super) used: RefCell<Vec<Used>>,
}

/// An entry that was used, with its access clock before that.
pub(super) struct Used {
    /// How many steps had been recorded before the use.
    pub(super) steps: usize,
    pub(super) space: u32,
    pub(super) key: ShortKey,
    pub(super) hash: u64,
    pub(super) clock: u32,
}

/// An entry whose use is among the last so many is not noted again.
const LOOKED_BACK: usize = 8;

/// A recording of more changes than this frees its memory at its end.
const KEPT: usize = 64;

thread_local! {
    /// An empty recording that this thread can use next.
    static SPARE: Cell<Option<Box<Recording>>> = const { Cell::new(None) };
}

impl Recording {
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "the box is what a thread keeps for its next recording"
    )]
    pub(super) fn begin() -> Box<Self> {
        SPARE.take().unwrap_or_default()
    }

    /// Keeps the memory of a recording that has ended for the next one, unless it is large.
    pub(super) fn end(mut self: Box<Self>) {
        let used = self.used.get_mut();
        let rooms = [self.steps.capacity(), self.covered.capacity(), self.told.capacity(), used.capacity()];
        if rooms.into_iter().all(|room| room <= KEPT) {
            self.steps.clear();
            self.covered.clear();
            self.told.clear();
            used.clear();
            SPARE.set(Some(self));
        }
    }

    /// Adds a step that puts a whole value back.
    pub(super) fn cover(&mut self, place: Place<'_>, step: Step) {
        let is_first = !self.covers(place);
        let steps = &mut self.steps;
        steps.push((Home::of(place), step));
        if is_first {
            self.covered.insert_unique(place.hash, steps.len() - 1, |step| steps[*step].0.hash);
        }
    }

    pub(super) fn covers(&self, place: Place<'_>) -> bool {
        self.covered.find(place.hash, |step| self.steps[*step].0.is(place)).is_some()
    }

    /// Notes the access clock of an entry before the entry is used. `hash` is that of its key.
    #[cold]
    pub(super) fn note_clock(&self, entry: &Entry, hash: u64) {
        let (steps, space, clock) = (self.steps.len(), entry.space(), entry.clock());
        let mut used = self.used.borrow_mut();
        // A script that looks at the same few entries again and again needs no memory for each look.
        let is_same = |other: &Used| {
            other.steps == steps && other.space == space && other.hash == hash && *other.key == *entry.key()
        };
        if used.iter().rev().take(LOOKED_BACK).any(is_same) {
            return;
        }
        used.push(Used { steps, space, key: ShortKey::from_slice(entry.key()), hash, clock });
    }

    /// Has later changes at a place recorded, even if its whole value was kept before.
    pub(super) fn uncover(&mut self, place: Place<'_>) {
        let steps = &self.steps;
        if let Ok(covered) = self.covered.find_entry(place.hash, |step| steps[*step].0.is(place)) {
            covered.remove();
        }
    }
}
