//! Undoing: a transaction that was asked to be all or nothing, or may turn out to need more shards than it holds, has
//! the store record its changes. To undo, they are taken back in memory, exactly; the log never hears of them. What is
//! counted about them is counted back.

use super::Tx;
use crate::item::ItemRef;

/// Shards that a unit of work turned out to need beyond those of its keys, because a change of an item changes entries
/// of indexes elsewhere. A round that lacked some was undone, and the next one locks these as well. Nobody waits for a
/// shard while holding one, so no two transactions can wait for each other. Each round asks for more shards and the
/// last one for all of them, so the rounds end.
#[derive(Default)]
pub struct Reach {
    hashes: Vec<u64>,
    rounds: u32,
}

/// After so many rounds every shard is locked.
const ROUNDS: u32 = 4;

impl Reach {
    /// Hashes whose shards are needed beside those of the keys.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Whether this is the first round, with nothing needed so far.
    #[inline]
    pub fn is_first(&self) -> bool {
        self.rounds == 0
    }

    /// Whether every shard is to be locked.
    #[inline]
    pub fn is_everything(&self) -> bool {
        self.rounds >= ROUNDS
    }

    /// Whether a transaction lacked shards. It was undone then and is to be run again from its beginning.
    #[inline]
    pub(super) fn exceeded(&mut self, tx: &mut Tx<'_>) -> bool {
        tx.undo.is_some() && self.take(tx)
    }

    #[cold]
    fn take(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(undo) = tx.undo.as_mut().filter(|undo| !undo.lacking.is_empty()) else { return false };
        self.hashes.append(&mut undo.lacking);
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.rounds += 1;
        tx.roll_back();
        true
    }
}

impl Tx<'_> {
    /// From now on the transaction is all or nothing: every effect can be undone by [`Tx::roll_back`]. Structural
    /// effects cannot, and must not follow.
    pub fn begin_undo(&mut self) {
        self.expect_more_shards();
        if let Some(undo) = &mut *self.undo {
            undo.all_or_nothing = true;
        }
    }

    /// From now on every effect can be undone, so that the transaction can be run again if it lacks shards, see
    /// [`Reach`]. One that changes a single item, and nothing before that, needs no undoing.
    pub fn expect_more_shards(&mut self) {
        debug_assert!(self.effects == 0, "what has happened cannot be undone any more");
        self.undo.get_or_insert_default();
        self.locked.record_changes();
    }

    /// Takes note of shards that are needed and held by others. Nothing more happens in this transaction.
    #[cold]
    pub(super) fn lacks(&mut self, hashes: Vec<u64>) {
        // Going on would leave memory and log apart; a panic logs what has happened so far.
        assert!(
            self.effects == 0 || self.undo.is_some(),
            "a change of items after effects that cannot be undone"
        );
        self.undo.get_or_insert_default().lacking.extend(hashes);
    }

    /// Whether the transaction lacks shards, so that nothing more happens in it: it is run again.
    #[inline]
    pub fn lacks_shards(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| !undo.lacking.is_empty())
    }

    /// Whether the transaction is all or nothing.
    pub fn undoable(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.all_or_nothing)
    }

    /// Notes that a condition did not hold, on which all else in the transaction depends.
    pub fn refuse(&mut self) {
        if let Some(undo) = &mut *self.undo {
            undo.refused = true;
        }
    }

    /// Whether a condition did not hold.
    pub fn refused(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.refused)
    }

    /// Takes note of what a table or an index counts more, or less, by a change.
    pub(super) fn note_counts(&mut self, space: u32, items: i64, bytes: i64) {
        if let Some(undo) = &mut *self.undo {
            undo.counts.push((space, items, bytes));
        }
    }

    /// Undoes all effects since [`Tx::begin_undo`], which was called before the first.
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
