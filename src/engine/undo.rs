//! Undoing. The store records the changes of a transaction that must be all or nothing, or that may turn out to lack
//! shards. Undoing takes the changes back in memory exactly; they never reach the log, and the counts that they changed
//! are changed back.

use super::Tx;
use super::aside::{Again, Undo};
use crate::item::ItemRef;

/// Shards that a unit of work turned out to need beyond those of its keys, because a change of an item changes
/// entries of indexes, or adds a record to a change stream, elsewhere. They are kept as hashes of keys, whatever
/// their spaces are, since only the hash chooses the shard. A round that lacked shards is undone, and the next
/// round locks these too. A thread does not wait for a shard while it holds one, so two transactions never wait for
/// each other. Each round asks for more shards, and the last one for all of them, so the rounds end.
#[derive(Default)]
pub struct Reach {
    hashes: Vec<u64>,
    rounds: u32,
}

/// After so many rounds that lacked shards, every shard is locked.
const ROUNDS: u32 = 4;

impl Reach {
    /// The hashes whose shards are needed beyond those of the keys.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Whether this is the first round, with nothing needed so far.
    #[inline]
    pub fn is_first(&self) -> bool {
        self.rounds == 0
    }

    /// Whether every shard must be locked.
    #[inline]
    pub fn is_everything(&self) -> bool {
        self.rounds >= ROUNDS
    }

    /// Whether a transaction lacked shards. Then this has undone it, and the caller must run it again from its
    /// beginning.
    #[inline]
    pub(super) fn exceeded(&mut self, tx: &mut Tx<'_>) -> bool {
        tx.undo.is_some() && self.take(tx)
    }

    #[cold]
    fn take(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(undo) = tx.undo.as_mut().filter(|undo| undo.is_to_be_done_again()) else { return false };
        self.hashes.append(&mut undo.lacking);
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.rounds = match undo.again {
            Some(Again::WithEverything) => ROUNDS,
            Some(Again::AsBefore) => self.rounds,
            None => self.rounds + 1,
        };
        tx.roll_back();
        true
    }
}

impl Undo {
    #[inline]
    fn is_to_be_done_again(&self) -> bool {
        !self.lacking.is_empty() || self.again.is_some()
    }
}

impl Tx<'_> {
    /// Makes the transaction all or nothing from now on: [`Tx::roll_back`] can undo every effect, except structural
    /// effects, which must not follow.
    pub fn begin_undo(&mut self) {
        self.expect_more_shards();
        if let Some(undo) = &mut *self.undo {
            undo.all_or_nothing = true;
        }
    }

    /// Records effects from now on, so that the transaction can be undone and run again if it lacks shards, see
    /// [`Reach`]. A transaction whose only change is that of a single item does not need it.
    pub fn expect_more_shards(&mut self) {
        debug_assert!(self.effects == 0, "what has happened cannot be undone any more");
        self.undo.get_or_insert_default();
        self.locked.record_changes();
    }

    /// Notes shards that the transaction needs and that others hold. The transaction changes nothing more after this.
    #[cold]
    pub(super) fn lacks(&mut self, hashes: Vec<u64>) {
        // Otherwise memory and log would differ; a panic logs what has happened so far.
        assert!(
            self.effects == 0 || self.undo.is_some(),
            "a change of items after effects that cannot be undone"
        );
        self.undo.get_or_insert_default().lacking.extend(hashes);
    }

    /// Whether the transaction lacks shards. It changes nothing more then, and is run again.
    #[inline]
    pub fn lacks_shards(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.is_to_be_done_again())
    }

    /// Takes the shards of some hashes that the transaction does not hold yet, as far as that is possible without
    /// waiting; false if some are held by others. Then the transaction lacks them: it changes nothing more, and is run
    /// again with them. `to_write`: exclusively; what is held shared already stays so otherwise.
    pub fn reach_for(&mut self, hashes: &[u64], to_write: bool) -> bool {
        let mut lacking = Vec::new();
        for hash in hashes {
            let held = if to_write { self.locked.owns(*hash) } else { self.locked.holds(*hash) };
            if !held && !self.extend(*hash) {
                lacking.push(*hash);
            }
        }
        if lacking.is_empty() {
            return true;
        }
        self.lacks(lacking);
        false
    }

    /// Keeps what has happened so far: it cannot be undone any more, nor what follows. The transaction holds every
    /// shard, so it lacks none.
    pub fn keep_so_far(&mut self) {
        debug_assert!(self.locked.holds_all() && !self.lacks_shards());
        self.undo.take();
        self.locked.keep_changes();
    }

    /// Has the transaction undone and run again. Its changes so far must be undoable, see
    /// [`Tx::expect_more_shards`].
    #[cold]
    pub fn run_again(&mut self, how: Again) {
        assert!(self.effects == 0 || self.undo.is_some(), "what cannot be undone is to be run again");
        self.undo.get_or_insert_default().again = Some(how);
    }

    /// Whether the transaction is all or nothing.
    pub fn undoable(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.all_or_nothing)
    }

    /// Notes that a condition did not hold on which the whole transaction depends.
    pub fn refuse(&mut self) {
        if let Some(undo) = &mut *self.undo {
            undo.refused = true;
        }
    }

    /// Whether a condition did not hold.
    pub fn refused(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.refused)
    }

    /// Notes by how much a change has changed the counts of a table or an index.
    pub(super) fn note_counts(&mut self, space: u32, items: i64, bytes: i64) {
        if let Some(undo) = &mut *self.undo {
            undo.counts.push((space, items, bytes));
        }
    }

    /// Undoes all effects. [`Tx::begin_undo`] was called before the first of them.
    pub fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        let (tables, now) = (&self.engine.tables, self.now());
        self.locked.take_back(&|space, item| {
            tables.by_id(space)?.deadline(&ItemRef::from_bytes_unchecked(item), now)
        });
        for (space, items, bytes) in undo.counts {
            tables.add_to(space, -items, -bytes);
        }
        self.record.clear();
        (self.effects, self.changes) = (0, 0);
        self.telling.forget();
        if let Some(aside) = &mut *self.aside {
            aside.index_writes.clear();
        }
    }
}
