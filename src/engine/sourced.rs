//! Keys that are made from other keys: moved, copied, or combined.
//!
//! # What the log says of them
//! A record names the source keys, rather than the value, if every replay has the sources as they were. A replay begins
//! with a checkpoint whose shards were read one after the other, and applies a record to a shard only if the record is
//! newer than the shard's image. There are four cases for a record that takes something from one shard to another:
//! - It is newer than both images, or there is no checkpoint: the source is what it was just before the record.
//! - It is newer than the source's image only: the target's image shows the record already, and replay removes what was
//!   moved from the source.
//! - It is newer than neither image: both show it.
//! - It is newer than the target's image only: the source's image may not have the value any more, and the target's
//!   does not have it yet. Such a record must not name its sources. The case arises only if a checkpoint has read the
//!   target's shard and not yet the source's. A transaction that holds both shards knows that from
//!   `SaveState::shards_read`, which is set while the shard that is read is held. The record then holds the whole
//!   value, as effects on one key each.
//!
//! Small values are written as a whole too, so that reading a few shards again rarely needs other shards.

use super::recover::Images;
use super::{Classes, EFFECT_BYTES, Engine, EngineError, Tx};
use crate::effect::{self, Effect, EffectDecoder, EffectError, List, StringChange};
use crate::log::{LogError, Lsn};
use crate::store::{Entry, Mode, Object, ValueRef, key_effects};
use crate::value::bits::{BitOp, bitop};
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

/// Values of at most so many bytes are written as a whole; few bytes under test, so that most values are not.
const SMALL: usize = if cfg!(test) { 64 } else { 1024 };

fn is_small(entry: &Entry) -> bool {
    match entry.value() {
        ValueRef::Str(bytes)
        | ValueRef::Hash(bytes, _)
        | ValueRef::Set(bytes, _)
        | ValueRef::List(bytes)
        | ValueRef::Items(bytes)
        | ValueRef::Zset(bytes) => bytes.len() <= SMALL,
        ValueRef::Boxed(_) => false,
    }
}

impl Tx<'_> {
    /// Moves the value of a live key to another key, or to the same key of another database, in place of what is there.
    /// Deadlines and access figures move too, and the move counts as an access. Both shards are locked exclusively.
    /// O(1); O(size of the value) if a running checkpoint has read the target's shard and not yet the key's.
    ///
    /// # Errors
    /// Those of [`Tx::ask`]; nothing was changed then.
    pub fn move_key(&mut self, from: (usize, &[u8]), to: (usize, &[u8])) -> Result<(), LogError> {
        let effect = Effect::Move { db: from.0 as u32, key: from.1, to_db: to.0 as u32, to: to.1 };
        if self.locked.get(self.engine.store.space(from.0), from.1, self.hash(from.1)).is_none() {
            return Ok(());
        }
        let logged = self.logged_move(&effect);
        self.ask(logged.len() + EFFECT_BYTES)?;
        self.carry_out_move(&effect, &logged);
        Ok(())
    }

    /// Applies a move and adds its effects to the record.
    pub(super) fn apply_move(&mut self, effect: &Effect<'_>) {
        let logged = self.logged_move(effect);
        self.carry_out_move(effect, &logged);
    }

    fn carry_out_move(&mut self, effect: &Effect<'_>, logged: &[u8]) {
        let Effect::Move { key, to_db, to, .. } = *effect else { return };
        if self.lacks_shards() || logged.is_empty() {
            return;
        }
        let (hash_from, hash) = (self.hash(key), self.hash(to));
        let owned = self.locked.owns(hash_from) && self.locked.owns(hash);
        assert!(owned, "a move between shards that are not held exclusively");
        if self.telling.looks() {
            self.bury_expired(to_db, to, hash);
            self.tell_new(to_db, to);
        }
        if self.is_heard(Classes::CHANGED) {
            self.tell_changed(effect);
        }
        self.note_encoded(logged);
        self.locked.apply(effect, hash);
        self.carried_out();
        self.changes += 1;
    }

    /// The effects that stand for a move in the log; empty if there is nothing to move.
    fn logged_move(&self, effect: &Effect<'_>) -> Vec<u8> {
        let (mut out, store) = (Vec::new(), &self.engine.store);
        let Effect::Move { db, key, to_db, to } = *effect else { return out };
        let (hash_from, hash) = (self.hash(key), self.hash(to));
        let Some(entry) = self.locked.peek(store.space(db as usize), key, hash_from) else { return out };
        if !is_small(entry) && self.replays(effect) {
            effect.encode(&mut out);
            return out;
        }
        if self.locked.peek(store.space(to_db as usize), to, hash).is_some() {
            Effect::Delete { db: to_db, key: to }.encode(&mut out);
        }
        key_effects(to_db, to, entry, &mut out);
        Effect::Delete { db, key }.encode(&mut out);
        out
    }

    /// Copies the value and deadline of a live key to another key, or to the same key of another database, in place of
    /// what is there. Both shards are locked exclusively. O(size of the value), but O(1) for large lists.
    ///
    /// # Errors
    /// Those of [`Tx::ask`]; nothing was changed then.
    pub fn copy_key(&mut self, from: (usize, &[u8]), to: (usize, &[u8])) -> Result<(), LogError> {
        let mut record = vec![effect::VERSION];
        let store = &self.engine.store;
        let Some(entry) = self.locked.peek(store.space(from.0), from.1, self.hash(from.1)) else {
            return Ok(());
        };
        let effect = Effect::Copy { db: from.0 as u32, key: from.1, to_db: to.0 as u32, to: to.1 };
        let stays_large = match entry.value() {
            ValueRef::Boxed(Object::Hash(big)) => big.len() > store.thresholds.hash_entries.load(Relaxed),
            ValueRef::Boxed(Object::Set(big)) => big.len() > store.thresholds.set_entries.load(Relaxed),
            ValueRef::Boxed(Object::Zset(set)) => set.len() > store.thresholds.zset_entries.load(Relaxed),
            ValueRef::Boxed(Object::Items(_) | Object::Stream(_) | Object::List(_))
            | ValueRef::List(_)
            | ValueRef::Str(_)
            | ValueRef::Hash(..)
            | ValueRef::Set(..)
            | ValueRef::Items(_)
            | ValueRef::Zset(_) => !is_small(entry),
        };
        if stays_large && self.replays(&effect) {
            self.ask(from.1.len() + to.1.len() + EFFECT_BYTES)?;
            if self.exists_in(to.0, to.1) {
                self.tell_new(to.0 as u32, to.1);
            }
            self.apply(effect);
            return Ok(());
        }
        key_effects(to.0 as u32, to.1, entry, &mut record);
        self.ask(record.len() + from.1.len() + to.1.len() + EFFECT_BYTES)?;
        if self.exists_in(to.0, to.1) {
            self.apply(Effect::Delete { db: to.0 as u32, key: to.1 });
        }
        for effect in EffectDecoder::new(&record).into_iter().flatten().flatten() {
            self.apply(effect);
        }
        Ok(())
    }

    /// Combines the live strings at some keys, puts the result in place of what is at the key `to`, and returns its
    /// length. An empty result deletes `to`. All shards are locked exclusively. O(sum of the lengths).
    ///
    /// # Errors
    /// Those of [`Tx::ask`]; nothing was changed then.
    pub fn combine(&mut self, op: BitOp, to: &[u8], keys: &[&[u8]]) -> Result<usize, LogError> {
        let (db, before) = (self.db as u32, self.changes());
        let effect = Effect::Combine { op, db, to, keys: List::Slices(keys) };
        let strings = keys.iter().map(|key| match self.look(key).map(Entry::value) {
            Some(ValueRef::Str(bytes)) => bytes,
            _ => &[],
        });
        let sources: SmallVec<[&[u8]; 8]> = strings.collect();
        let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let named = len > SMALL && self.replays(&effect);
        let result = if named { Vec::new() } else { bitop(op, &sources) };
        drop(sources);
        if named {
            // The record may name each key twice: once more for its removal, if it has expired.
            self.ask(keys.iter().chain([&to]).map(|key| 2 * (key.len() + EFFECT_BYTES)).sum())?;
            // Expired keys are removed first, so that a replay does not find them either.
            for key in keys {
                self.bury_expired(db, key, self.hash(key));
            }
            self.apply(effect);
        } else if len > 0 {
            self.ask(len + 2 * (to.len() + EFFECT_BYTES))?;
            self.apply(StringChange::Set { value: &result, expire: None }.on(db, to));
            // As in Redis, the result has the encoding of an edited string, even if a better one exists: a splice of no
            // bytes gives it that.
            self.apply(StringChange::Splice { at: 0, bytes: b"" }.on(db, to));
        } else if self.exists(to) {
            self.apply(Effect::Delete { db, key: to });
        }
        self.count_changes(before, u64::from(self.changes() != before));
        Ok(len)
    }

    /// Whether every replay of an effect that happens now will have its sources. The shards of sources and target are
    /// held exclusively.
    pub(super) fn replays(&self, effect: &Effect<'_>) -> bool {
        let (read, store) = (self.engine.save.shards_read.load(Relaxed), &self.engine.store);
        let Some(to) = effect.shard_key() else { return true };
        store.shard_of(self.hash(to)) >= read
            || effect.sources().all(|(_, key)| store.shard_of(self.hash(key)) < read)
    }

    /// Asserts that an effect with sources can be applied and logged.
    pub(super) fn check_sources(&self, effect: &Effect<'_>) {
        let owned = effect.sources().all(|(_, key)| self.locked.owns(self.hash(key)));
        assert!(owned, "a change made from a key whose shard is not held exclusively");
        assert!(self.replays(effect), "a change made from what a replay would not have");
    }
}

impl Engine {
    /// Replays an effect with sources on those of its shards whose images are older. `hash` is that of the target key.
    ///
    /// # Errors
    /// A source that the effect needs is not there any more.
    pub(super) fn replay_with_source(
        &self,
        lsn: Lsn,
        effect: &Effect<'_>,
        hash: u64,
        images: &Images,
    ) -> Result<(), EngineError> {
        let now = self.clock.now_ms();
        let mut hashes: SmallVec<[u64; 8]> = effect.sources().map(|(_, key)| self.store.hash(key)).collect();
        if images.older(hash, lsn) {
            if !hashes.iter().all(|from| images.older(*from, lsn)) {
                let place = format!("log record {lsn}");
                return Err(EngineError::Effect { place, error: EffectError::Sourceless });
            }
            hashes.iter().for_each(|from| self.note_move(*from, hash));
            if self.takes(hash) {
                if hashes.iter().all(|from| self.takes(*from)) {
                    hashes.push(hash);
                    self.store.lock_many(&hashes, Mode::Write, now).apply(effect, hash);
                }
                return Ok(());
            }
        }
        // The target's image shows the move already, or another engine takes the target: only the source is removed.
        if let Effect::Move { db, key, .. } = *effect {
            let from = self.store.hash(key);
            if images.older(from, lsn) && self.takes(from) {
                self.store.lock_one(from, Mode::Write, now).apply(&Effect::Delete { db, key }, from);
            }
        }
        Ok(())
    }
}
