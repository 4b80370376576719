//! Undoing: a transaction that was asked to be all or nothing keeps, for every effect, what would restore what was there.
//!
//! For items and for fields of hashes that is as small as the change; for other changes it is the whole value, once a key. To
//! undo, what was kept is applied from the last to the first, to memory only: the log never hears of either.

use super::Tx;
use super::checkpoint::key_effects;
use super::streams::undo_of;
use crate::effect::{self, Decoder, Effect, FieldExpire, List};
use crate::item::{ItemKeys, KeyBytes};
use crate::store::ValueRef;
use crate::value::hash::HashRef;
use ahash::AHashSet;

/// What a transaction keeps to undo its effects.
#[derive(Default)]
pub(super) struct Undo {
    /// One record of restoring effects for each effect that happened.
    steps: Vec<Vec<u8>>,
    /// Keys whose whole value is among the steps already.
    whole: AHashSet<(u32, Box<[u8]>)>,
    refused: bool,
}

impl Tx<'_> {
    /// From now on every effect can be undone by [`Tx::roll_back`]. Structural effects cannot, and must not follow.
    pub fn begin_undo(&mut self) {
        self.undo = Some(Box::default());
    }

    /// Whether the transaction is all or nothing.
    pub fn undoable(&self) -> bool {
        self.undo.is_some()
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

    /// Keeps what would undo an effect that is about to happen.
    #[cold]
    pub(super) fn remember(&mut self, effect: &Effect<'_>, hash: u64) {
        let Some(mut undo) = self.undo.take() else { return };
        let mut step = vec![effect::VERSION];
        self.restoring(effect, hash, &mut undo.whole, &mut step);
        if step.len() > 1 {
            undo.steps.push(step);
        }
        self.undo = Some(undo);
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
            (Effect::Stream { ref change, .. }, value) => {
                if value.stream().is_none_or(|stream| undo_of(db, key, stream, change, out)) {
                    return;
                }
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
        self.effects = 0;
    }

    fn restore(&mut self, effect: &Effect<'_>) {
        let Some(key) = effect.shard_key() else { return };
        let (Effect::ItemPut { table, sort, .. } | Effect::ItemDelete { table, sort, .. }) = *effect else {
            let hash = self.hash(key);
            self.locked.apply(effect, hash);
            return;
        };
        let Some(table) = self.engine.tables.by_id(table) else { return };
        let keys = ItemKeys { pk: KeyBytes::from_slice(key), sk: KeyBytes::from_slice(sort) };
        match *effect {
            Effect::ItemPut { item, .. } => self.put_bytes(&table, &keys, item),
            _ => drop(self.delete_item(&table, &keys)),
        }
    }
}
