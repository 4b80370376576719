//! Undoing: a transaction that was asked to be all or nothing, or may turn out to need more shards than it holds, keeps, for
//! every effect, what would restore what was there.
//!
//! For items and for fields of hashes that is as small as the change; for other changes it is the whole value, once a key. To
//! undo, what was kept is applied from the last to the first, to memory only: the log never hears of either.

use super::streams::undo_of;
use super::{Engine, Tx};
use crate::effect::{self, Decoder, Effect, FieldExpire, List};
use crate::store::{Locked, Mode, ValueRef, key_effects};
use crate::value::hash::HashRef;
use ahash::AHashSet;

/// What a transaction keeps to undo its effects.
#[derive(Default)]
pub(super) struct Undo {
    /// One record of restoring effects for each effect that happened.
    steps: Vec<Vec<u8>>,
    /// Keys whose whole value is among the steps already.
    whole: AHashSet<(u32, Box<[u8]>)>,
    /// Whether it was asked to be all or nothing.
    all_or_nothing: bool,
    refused: bool,
    /// Hashes whose shards it needs and could not have. From then on nothing more happens in it.
    lacking: Vec<u64>,
}

/// Shards that a transaction turned out to need beyond those of its keys, because a change of an item changes entries of indexes
/// elsewhere. Who begins a transaction locks them too, runs it, and asks [`Reach::exceeded`]: if it lacked some even so,
/// it was undone, and is run again with these as well. Nobody waits for a shard while holding one, so that no two
/// transactions can wait for each other; each round asks for more, and the last for everything, so that there is an end.
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
    pub fn exceeded(&mut self, tx: &mut Tx<'_>) -> bool {
        tx.undo.is_some() && self.take(tx)
    }

    /// Takes note of a shard that a transaction needs which has changed nothing.
    pub(super) fn ask(&mut self, hash: u64) {
        self.hashes.push(hash);
        self.rounds += 1;
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

impl Engine {
    /// Locks the shards of some hashes exclusively, and those that a transaction over them has turned out to need.
    pub(super) fn lock_reach(&self, hashes: &[u64], reach: &Reach) -> Locked<'_> {
        let now = self.clock.now_ms();
        if reach.is_everything() {
            return self.store.lock_all(Mode::Write, now);
        }
        self.store.lock_many(&[hashes, reach.hashes()].concat(), Mode::Write, now)
    }
}

impl Tx<'_> {
    /// From now on the transaction is all or nothing: every effect can be undone by [`Tx::roll_back`]. Structural effects cannot,
    /// and must not follow.
    pub fn begin_undo(&mut self) {
        self.expect_more_shards();
        if let Some(undo) = &mut self.undo {
            undo.all_or_nothing = true;
        }
    }

    /// From now on every effect can be undone, so that the transaction can be run again if it lacks shards, see [`Reach`]. One that
    /// changes a single item, and nothing before that, needs no undoing.
    pub fn expect_more_shards(&mut self) {
        debug_assert!(self.effects == 0, "what has happened cannot be undone any more");
        self.undo.get_or_insert_default();
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
        if let Some(undo) = &mut self.undo {
            undo.refused = true;
        }
    }

    /// Whether a condition did not hold.
    pub fn refused(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.refused)
    }

    /// Keeps what would undo an effect that is about to happen; false if it must not happen, because shards are lacking.
    #[cold]
    pub(super) fn remember(&mut self, effect: &Effect<'_>, hash: u64) -> bool {
        if self.lacks_shards() {
            return false;
        }
        let Some(mut undo) = self.undo.take() else { return true };
        let mut step = vec![effect::VERSION];
        self.restoring(effect, hash, &mut undo.whole, &mut step);
        if step.len() > 1 {
            undo.steps.push(step);
        }
        self.undo = Some(undo);
        true
    }

    /// Appends the effects that restore what an effect changes.
    fn restoring(
        &self,
        effect: &Effect<'_>,
        hash: u64,
        whole: &mut AHashSet<(u32, Box<[u8]>)>,
        out: &mut Vec<u8>,
    ) {
        if let Effect::ItemPut { table, partition, sort, .. }
        | Effect::ItemDelete { table, partition, sort } = *effect
        {
            let items = self.locked.peek(table, partition, hash).and_then(|entry| entry.value().items());
            match items.and_then(|items| items.get(sort)) {
                Some(item) => Effect::ItemPut { table, partition, sort, item }.encode(out),
                None => Effect::ItemDelete { table, partition, sort }.encode(out),
            }
            return;
        }
        let (Some(db), Some(key)) = (effect.db(), effect.shard_key()) else { return };
        if whole.contains(&(db, Box::from(key))) {
            return;
        }
        let space = self.engine.store.space(db as usize);
        let before = self.locked.peek(space, key, hash).filter(|entry| !entry.expired(self.now()));
        let Some(entry) = before else {
            Effect::Delete { db, key }.encode(out);
            return;
        };
        match (*effect, entry.value()) {
            (Effect::Expire { .. }, _) => return Effect::Expire { db, key, at: entry.expire() }.encode(out),
            (Effect::Splice { at, bytes, .. }, ValueRef::Str(old)) => {
                if let Some(bytes) = old.get(at..at + bytes.len()) {
                    return Effect::Splice { db, key, at, bytes }.encode(out);
                }
            }
            (Effect::HashSet { pairs, .. }, value) => {
                if let Some(hash) = value.hash() {
                    return pairs.iter().step_by(2).for_each(|f| self.field(db, key, hash, f, out));
                }
            }
            (Effect::HashDelete { fields, .. } | Effect::HashExpire { fields, .. }, value) => {
                // A hash that loses its last field loses its own deadline too.
                if let Some(hash) = value.hash().filter(|hash| fields.len() < hash.stored_len()) {
                    return fields.iter().for_each(|f| self.field(db, key, hash, f, out));
                }
            }
            (Effect::Stream { ref change, .. }, value)
                if value.stream().is_none_or(|stream| undo_of(db, key, stream, change, out)) =>
            {
                return;
            }
            _ => {}
        }
        whole.insert((db, Box::from(key)));
        Effect::Delete { db, key }.encode(out);
        key_effects(db, key, entry, out);
    }

    fn field(&self, db: u32, key: &[u8], hash: HashRef<'_>, name: &[u8], out: &mut Vec<u8>) {
        let names = [name];
        let fields = List::Slices(&names);
        let Some(field) = hash.get(name, self.now()) else {
            return Effect::HashDelete { db, key, fields }.encode(out);
        };
        let expire = if field.expire == 0 { FieldExpire::Clear } else { FieldExpire::At(field.expire) };
        Effect::HashSet { db, key, pairs: List::Slices(&[name, field.value]), expire }.encode(out);
    }

    /// Undoes all effects since [`Tx::begin_undo`], which was called before the first.
    pub fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for step in undo.steps.iter().rev() {
            for effect in Decoder::new(step).into_iter().flatten().flatten() {
                self.restore(&effect);
            }
        }
        self.record.clear();
        (self.effects, self.changes) = (0, 0);
        self.index_writes.clear();
    }

    fn restore(&mut self, effect: &Effect<'_>) {
        let Some(key) = effect.shard_key() else { return };
        let hash = self.hash(key);
        match *effect {
            Effect::ItemPut { table, partition, sort, item } => {
                self.restore_item(table, partition, sort, Some(item));
            }
            Effect::ItemDelete { table, partition, sort } => self.restore_item(table, partition, sort, None),
            _ => drop(self.locked.apply(effect, hash)),
        }
    }
}
