//! A transaction: locked shards, and the effects that happen under these locks as one record of the log.

use super::Engine;
use super::aside::{Aside, StaleKeys, Undo};
use super::durability::DurabilityState;
use super::events::{Classes, Telling};
use crate::effect::{self, Effect, HashChange, ListChange, Structural, Subject, ZsetChange};
use crate::env::memory::class_bytes;
use crate::log::{LogError, Lsn};
use crate::store::{Entry, Locked, Seldom};
use std::cell::{Cell, RefCell};

/// An upper bound for the bytes of an effect besides its keys and values.
pub const EFFECT_BYTES: usize = 64;

/// A unit of work's view of the store, made by [`Engine::transact`]. Its commit appends what happened to the log while
/// the shards are still locked.
pub struct Tx<'a> {
    pub(super) engine: &'a Engine,
    pub(super) locked: Locked<'a>,
    pub(super) record: &'a mut Vec<u8>,
    /// The state in which the transaction was accepted. It does not change while a shard is held.
    accepted: DurabilityState,
    /// The length of the record up to the end of the last effect that was carried out in memory.
    pub(super) whole: usize,
    pub(super) effects: u64,
    /// How many changes since the last save the effects count as, by Redis's rules.
    pub(super) changes: u64,
    pub(super) undo: Seldom<Undo>,
    hint: (usize, usize, u64),
    /// The hash of the partition key of the only item that the command names.
    partition: Option<u64>,
    /// Whether the reply also acknowledges writes that other transactions made for the command.
    acknowledges: bool,
    /// What most transactions do not need.
    pub(super) aside: Seldom<Aside>,
    /// The events, for listeners.
    pub(super) telling: Telling,
    hits: Cell<u64>,
    misses: Cell<u64>,
    /// Expired keys that lookups came upon, with their databases.
    pub(super) stale: RefCell<Seldom<StaleKeys>>,
    /// The database the command works on.
    pub db: usize,
}

impl<'a> Tx<'a> {
    /// Starts a transaction over locked shards. `record` is a scratch buffer.
    pub(super) fn new(
        engine: &'a Engine,
        mut locked: Locked<'a>,
        db: usize,
        record: &'a mut Vec<u8>,
    ) -> Self {
        record.clear();
        locked.now = engine.store.moment(locked.now, || engine.clock.now_ms());
        Self {
            engine,
            locked,
            record,
            accepted: engine.state(),
            whole: 0,
            effects: 0,
            changes: 0,
            undo: Seldom::NONE,
            hint: (0, 0, 0),
            partition: None,
            acknowledges: false,
            aside: Seldom::NONE,
            telling: Telling::to(&engine.listeners),
            hits: Cell::new(0),
            misses: Cell::new(0),
            stale: RefCell::new(Seldom::NONE),
            db,
        }
    }

    /// Sets the known hash of a key, so that it is not computed again.
    #[inline]
    pub fn hint(&mut self, key: &[u8], hash: u64) {
        self.hint = (key.as_ptr() as usize, key.len(), hash);
    }

    /// Sets the known hash of the partition key of the only item that the command names.
    #[inline]
    pub fn hint_partition(&mut self, hash: u64) {
        self.partition = Some(hash);
    }

    /// Forgets the known hashes, before another command.
    #[inline]
    pub fn forget_hashes(&mut self) {
        (self.hint, self.partition) = ((0, 0, 0), None);
    }

    /// Runs `body`, which needs the hash of a partition key many times: the hash is known, or computed once. If the
    /// command names only one item, it is that item's key.
    #[inline]
    pub fn with_hash_of<T>(&mut self, key: &[u8], body: impl FnOnce(&mut Self) -> T) -> T {
        let hash = self.partition.unwrap_or_else(|| self.engine.store.hash(key));
        debug_assert_eq!(hash, self.engine.store.hash(key), "the command names only one item");
        let hint = (key.as_ptr() as usize, key.len(), hash);
        let before = std::mem::replace(&mut self.hint, hint);
        let done = body(self);
        // The hint goes by the key's address, at which another key may lie later.
        self.hint = before;
        done
    }

    /// Notes that the command wrote in transactions of its own, which its reply acknowledges too.
    pub fn acknowledge(&mut self) {
        self.acknowledges = true;
    }

    /// Whether the command wrote in transactions of its own.
    pub fn acknowledges(&self) -> bool {
        self.acknowledges
    }

    /// The engine.
    pub fn engine(&self) -> &'a Engine {
        self.engine
    }

    /// The locked shards.
    pub fn locked(&self) -> &Locked<'a> {
        &self.locked
    }

    /// The locked shards, to maintain them.
    pub fn locked_mut(&mut self) -> &mut Locked<'a> {
        &mut self.locked
    }

    /// The time of the transaction in ms since the epoch.
    #[inline]
    pub fn now(&self) -> u64 {
        self.locked.now
    }

    /// Sets whether lookups leave the access clock as it is.
    pub fn set_no_touch(&mut self, on: bool) {
        self.locked.no_touch = on;
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        if (key.as_ptr() as usize, key.len()) == (self.hint.0, self.hint.1) {
            return self.hint.2;
        }
        self.engine.store.hash(key)
    }

    /// The space in which a key of a database is kept.
    #[inline]
    fn space_of(&self, db: usize, key: &[u8]) -> u32 {
        self.engine.store.space(self.engine.tables.home(db, key))
    }

    /// The live entry of a key in the current database; notes the access.
    #[inline]
    pub fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.entry_in(self.db, key)
    }

    /// The live entry of a key in a database; notes the access.
    #[inline]
    pub fn entry_in(&self, db: usize, key: &[u8]) -> Option<&Entry> {
        if let Some(found) = self.stand_in_of(key).filter(|_| db == self.db) {
            let found = found.entry.as_ref();
            self.count_lookup(db, key, found.is_some());
            return found;
        }
        let (space, hash) = (self.space_of(db, key), self.hash(key));
        let found = self.locked.get(space, key, hash);
        if found.is_none() && self.locked.peek(space, key, hash).is_some() {
            self.note_stale(db, key);
        }
        self.count_lookup(db, key, found.is_some());
        found
    }

    #[inline]
    fn count_lookup(&self, db: usize, key: &[u8], hit: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.set(counter.get() + 1);
        if !hit {
            self.tell_missed(db, key);
        }
    }

    /// The live entry of a key in the current database, without noting an access or counting a lookup.
    pub fn look(&self, key: &[u8]) -> Option<&Entry> {
        if let Some(found) = self.stand_in_of(key) {
            return found.entry.as_ref();
        }
        let found = self.locked.peek(self.space_of(self.db, key), key, self.hash(key))?;
        let live = !found.expired(self.now());
        if !live {
            self.note_stale(self.db, key);
        }
        live.then_some(found)
    }

    /// Lookups that found a live key.
    #[inline]
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// Lookups that found no live key.
    #[inline]
    pub fn misses(&self) -> u64 {
        self.misses.get()
    }

    /// The live partition of a table.
    pub fn partition(&self, table: u32, partition: &[u8]) -> Option<&Entry> {
        self.locked.get(table, partition, self.hash(partition))
    }

    /// The live entry at a plain key of a database, without noting an access.
    pub fn peek_in(&self, db: usize, key: &[u8]) -> Option<&Entry> {
        let found = self.locked.peek(self.space_of(db, key), key, self.hash(key));
        found.filter(|entry| !entry.expired(self.now()))
    }

    /// Whether a key exists in the current database, without noting an access.
    pub fn exists(&self, key: &[u8]) -> bool {
        self.exists_in(self.db, key)
    }

    /// Whether a key exists in a database, without noting an access.
    pub fn exists_in(&self, db: usize, key: &[u8]) -> bool {
        if let Some(found) = self.stand_in_of(key).filter(|_| db == self.db) {
            return found.entry.is_some();
        }
        let space = self.space_of(db, key);
        let found = self.locked.peek(space, key, self.hash(key));
        let live = found.is_some_and(|e| !e.expired(self.now()));
        if found.is_some() && !live {
            self.note_stale(db, key);
        }
        live
    }

    /// Checks that a change may add so many bytes to the record. A handler calls it before the first effect of a change
    /// that is larger than the command's arguments.
    ///
    /// # Errors
    /// Those of [`Engine::refusal`].
    pub fn ask(&self, bytes: usize) -> Result<(), LogError> {
        self.engine.refusal(self.record.len() + bytes).map_or(Ok(()), Err)
    }

    /// Checks that the record has room for so many bytes more, without asking the disk: for the commands of a
    /// transaction that passed its gates.
    ///
    /// # Errors
    /// [`LogError::TooLarge`].
    #[inline]
    pub fn ask_record(&self, bytes: usize) -> Result<(), LogError> {
        self.engine.too_large(self.record.len() + bytes).map_or(Ok(()), Err)
    }

    /// How many bytes of memory the record takes.
    pub fn record_room(&self) -> usize {
        class_bytes(self.record.capacity())
    }

    /// Applies an effect and adds it to the record. If the effect builds on what is at its key, an expired value there
    /// is removed first, so that nothing of it comes back. So are expired fields that the effect sets or removes. That
    /// they have expired is told and counted.
    #[inline]
    pub fn apply<'e>(&mut self, effect: impl Into<Effect<'e>>) {
        self.apply_counted(effect);
    }

    /// As [`Tx::apply`]; returns how many elements of a container were added or removed, see [`Locked::apply`].
    #[inline]
    pub fn apply_counted<'e>(&mut self, effect: impl Into<Effect<'e>>) -> usize {
        let effect = effect.into();
        if let Effect::Structural(change) = effect {
            self.apply_structural(&change);
            return 0;
        }
        let Some(key) = effect.shard_key() else { return 0 };
        let hash = self.hash(key);
        if self.lacks_shards() {
            return 0;
        }
        // If it were in the record and not applied, memory and log would differ. This panic leaves both as they are.
        assert!(self.locked.owns(hash), "a change of a key whose shard is not held exclusively");
        let is_new = self.telling.looks() && self.look_before(&effect, hash);
        let timed = match (effect.builds_on_value(), effect.subject()) {
            (true, Subject::Key(db, key)) => self.bury_expired(db, key, hash),
            _ => false,
        };
        match effect {
            Effect::Hash { db, key, change: HashChange::Set { pairs, .. } } if timed => {
                self.bury_expired_fields(db, key, hash, pairs.iter().step_by(2));
            }
            Effect::Hash { db, key, change: HashChange::Delete { fields } } => {
                self.bury_expired_fields(db, key, hash, fields.iter());
            }
            Effect::Move { .. } => {
                self.apply_move(&effect);
                return 0;
            }
            Effect::Copy { .. } | Effect::Combine { .. } => self.check_sources(&effect),
            Effect::String { .. }
            | Effect::Hash { .. }
            | Effect::Set { .. }
            | Effect::Stream { .. }
            | Effect::List { .. }
            | Effect::Zset { .. }
            | Effect::Item { .. }
            | Effect::Delete { .. }
            | Effect::Expire { .. }
            | Effect::Restore { .. }
            | Effect::Structural(_) => {}
        }
        self.note(&effect);
        let counted = self.locked.apply(&effect, hash);
        self.carried_out();
        if is_new {
            self.look_after(&effect, hash);
        }
        self.changes += changes_of(&effect, counted as u64);
        counted
    }

    fn apply_structural(&mut self, change: &Structural<'_>) {
        assert!(self.locked.owns_all(), "a change of databases or tables without all shards");
        self.note(&Effect::Structural(*change));
        self.changes += match *change {
            Structural::FlushDb { db, .. } => self.engine.store.db_size(db as usize).0,
            Structural::SwapDb { .. }
            | Structural::TablePut { .. }
            | Structural::TableDrop { .. }
            | Structural::LibraryPut { .. }
            | Structural::LibraryDrop { .. }
            | Structural::Gap => 1,
        };
        self.locked.apply_structural(change);
        self.carried_out();
        // This cannot fail: the schema was just encoded.
        let _ = self.engine.change_definitions(change);
    }

    /// The changes counted so far, for [`Tx::count_changes`].
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Counts all changes since there were `before` as `changes`, for commands with several effects.
    pub fn count_changes(&mut self, before: u64, changes: u64) {
        self.changes = before + changes;
    }

    #[inline]
    pub(super) fn note(&mut self, effect: &Effect<'_>) {
        self.begin_record();
        if self.is_heard(Classes::CHANGED) {
            self.tell_changed(effect);
        }
        effect.encode(self.record);
        self.effects += 1;
    }

    /// Notes that all effects in the record are carried out in memory.
    #[inline]
    pub(super) fn carried_out(&mut self) {
        self.whole = self.record.len();
    }

    /// As [`Tx::note`], for effects that are encoded already and that one effect carries out in memory.
    pub(super) fn note_encoded(&mut self, effects: &[u8]) {
        self.begin_record();
        self.record.extend_from_slice(effects);
        self.effects += 1;
    }

    #[inline]
    fn begin_record(&mut self) {
        if self.effects == 0 {
            // In another state the change would not be logged and so lost, or would alter data that is being read from
            // disk.
            assert!(self.accepted.accepts_writes(), "a change in the state {:?}", self.accepted);
            self.record.push(effect::VERSION);
        }
    }

    /// How many effects happened so far.
    #[inline]
    pub fn effects(&self) -> u64 {
        self.effects
    }

    /// Appends the record to the log and hands the events over. The caller drops the transaction next, which gives the
    /// shards back. `self` is not taken by value, because that would copy it. Returns whether the transaction told
    /// something: then the caller calls `Listeners::released` after that.
    #[inline]
    pub(super) fn commit_in_place(&mut self) -> bool {
        let position = if self.effects == 0 { None } else { self.append() };
        self.locked.keep_changes();
        self.hand_over(position)
    }

    fn append(&mut self) -> Option<Lsn> {
        let position = self.engine.append(self.accepted, self.locked.now, self.record, self.changes);
        if let Some(position) = position {
            self.locked.recorded_at(position);
        }
        (self.effects, self.changes) = (0, 0);
        position
    }
}

#[cfg(test)]
impl Tx<'_> {
    /// Commits, and gives the shards back.
    pub(super) fn commit(mut self) {
        self.commit_in_place();
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if self.effects != 0 && std::thread::panicking() {
            self.end_in_panic();
        }
    }
}

/// As how many changes an effect counts in the statistics. `counted` is what [`Locked::apply`] returned for it.
fn changes_of(effect: &Effect<'_>, counted: u64) -> u64 {
    match *effect {
        Effect::Hash { change: HashChange::Set { pairs, .. }, .. } => pairs.len() as u64 / 2,
        Effect::Hash { change: HashChange::Delete { .. }, .. }
        | Effect::Set { .. }
        | Effect::List { change: ListChange::Pop { .. } | ListChange::Remove { .. }, .. } => counted,
        Effect::List { change: ListChange::Push { values, .. }, .. } => values.len() as u64,
        Effect::Zset { change: ZsetChange::Set { pairs }, .. } => pairs.len() as u64 / 2,
        Effect::Zset { change: ZsetChange::Delete { .. } | ZsetChange::DeleteRange { .. }, .. } => counted,
        Effect::Zset { change: ZsetChange::Put { .. }, .. }
        | Effect::Hash { change: HashChange::Put { .. } | HashChange::Expire { .. }, .. }
        | Effect::String { .. }
        | Effect::Stream { .. }
        | Effect::List {
            change: ListChange::Set { .. } | ListChange::Insert { .. } | ListChange::Put { .. },
            ..
        }
        | Effect::Item { .. }
        | Effect::Delete { .. }
        | Effect::Expire { .. }
        | Effect::Restore { .. }
        | Effect::Move { .. }
        | Effect::Copy { .. }
        | Effect::Combine { .. }
        | Effect::Structural(_) => 1,
    }
}
