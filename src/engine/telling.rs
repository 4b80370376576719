//! How a transaction tells the events that happen in it, see [`super::events`].

use super::events::{AtCommit, Classes, ItemsTell, KeyEvent};
use super::{Table, Tx};
use crate::effect::{Effect, HashChange, ListChange, SetChange, Structural, Subject, TOKENS, ZsetChange};
use crate::item::{ItemKeys, ItemRef};
use crate::log::Lsn;
use crate::store::Entry;

impl Tx<'_> {
    /// Whether a listener wants events of a class. Callers ask before they look up what only an event needs.
    #[inline]
    pub fn is_heard(&self, class: Classes) -> bool {
        self.telling.heard.have(class)
    }

    /// Whether a listener wants events of what commands do, other than of what they do not find.
    pub fn tells_changes(&self) -> bool {
        self.telling.heard.exceed(Classes::RARE.and(Classes::MISSED))
    }

    /// Tells what was done to a key of the current database. Costs one branch if no listener wants it.
    #[inline]
    pub fn tell(&self, class: Classes, name: &'static str, key: &[u8]) {
        self.tell_in(self.db as u32, class, name, key);
    }

    /// Tells what was done to a key of a database.
    #[inline]
    pub fn tell_in(&self, db: u32, class: Classes, name: &'static str, key: &[u8]) {
        if self.is_heard(class) {
            self.telling.push(KeyEvent::of_key(class, name, db, key), std::iter::empty());
        }
    }

    /// Tells what was done to fields of the hash at a key of the current database. `names` is not asked for its items
    /// unless a listener wants them.
    #[inline]
    pub fn tell_fields<'n>(&self, name: &'static str, key: &[u8], names: impl Iterator<Item = &'n [u8]>) {
        if self.is_heard(Classes::HASH) {
            self.push_of_fields(KeyEvent::of_key(Classes::HASH, name, self.db as u32, key), names);
        }
    }

    #[cold]
    fn push_of_fields<'n>(&self, event: KeyEvent<'_>, names: impl Iterator<Item = &'n [u8]>) {
        if self.is_heard(Classes::FIELD_NAMES) {
            self.telling.push(event, names);
        } else {
            self.telling.push(event, std::iter::empty());
        }
    }

    /// Tells which keys an effect changes. Called only if that is heard.
    #[cold]
    pub(super) fn tell_changed(&self, effect: &Effect<'_>) {
        if let Effect::Move { db, key, .. } = *effect {
            self.tell_changed_key(db, key);
        }
        match effect.subject() {
            Subject::Key(db, key) => self.tell_changed_key(db, key),
            Subject::Partition(space, stored) => {
                if let Some(name) = self.engine.tables.partition_text(space, stored) {
                    self.tell_changed_key(super::VIEW_DB as u32, &name);
                }
            }
            Subject::All => {
                if !matches!(effect, Effect::Structural(Structural::Gap | Structural::TablePut { .. })) {
                    self.tell_all_changed();
                }
            }
        }
    }

    fn tell_changed_key(&self, db: u32, key: &[u8]) {
        // Clients know change streams, which are in the server's database, by their names.
        if db != TOKENS {
            self.telling.told.borrow_mut().get_or_insert_default().events.push_changed(db, key);
        }
    }

    /// Tells that every key may have changed. FLUSHALL tells it even if there is no key.
    pub fn tell_all_changed(&self) {
        self.tell_in(0, Classes::CLEARED, "", b"");
    }

    /// Notes whose transaction this is: a client that does not want to be told of its own changes.
    #[cold]
    pub fn set_author(&mut self, client: u64) {
        self.telling.told.get_mut().get_or_insert_default().events.author = client;
    }

    /// Takes note that listeners may want other classes than before.
    pub fn listeners_changed(&mut self) {
        self.telling.heard = self.engine.listeners.heard();
    }

    /// As [`Locked::try_extend`](crate::store::Locked::try_extend). The transaction also takes note of classes that
    /// have a listener only now: a client that has read something there since then wants to hear of it.
    pub(super) fn extend(&mut self, hash: u64) -> bool {
        let held = self.locked.try_extend(hash);
        self.telling.heard = self.telling.heard.and(self.engine.listeners.heard());
        held
    }

    /// Tells that a key of a database was deleted, if it is gone because its last element is. If only expired fields of
    /// a hash are left, the end of the key is told behind theirs: when they are removed.
    #[inline]
    pub fn tell_if_gone(&self, db: u32, key: &[u8]) {
        if self.is_heard(Classes::GENERIC) && !self.exists_in(db as usize, key) {
            let space = self.engine.store.space(db as usize);
            if self.locked.peek(space, key, self.hash(key)).is_none() {
                self.tell_in(db, Classes::GENERIC, "del", key);
            }
        }
    }

    /// Tells that so many fields of a hash have expired.
    pub(super) fn tell_fields_expired<'n>(
        &self,
        db: u32,
        key: &[u8],
        fields: usize,
        names: impl Iterator<Item = &'n [u8]>,
    ) {
        let class = Classes::FIELDS_EXPIRED;
        if self.is_heard(class) {
            let event = KeyEvent { fields, ..KeyEvent::of_key(class, "hexpired", db, key) };
            self.push_of_fields(event, names);
        }
    }

    /// Tells that the entry at a key has expired. The caller is about to remove it.
    pub(super) fn tell_expired(&self, db: u32, entry: &Entry) {
        let key = entry.key();
        if entry.deadline_passed(self.now()) {
            self.tell_in(db, Classes::EXPIRED, "expired", key);
        } else {
            // All fields of the hash have expired.
            if let Some(hash) = entry.value().hash() {
                // At time 0 no field has expired, so this walks over all of them.
                self.tell_fields_expired(db, key, hash.stored_len(), hash.live(0).map(|field| field.name));
            }
            self.tell_in(db, Classes::GENERIC, "del", key);
        }
    }

    /// Sets whether lookups that find nothing tell it from now on, as those of most reading commands do.
    #[inline]
    pub fn set_tells_misses(&mut self, on: bool) {
        self.telling.misses = on;
    }

    /// Tells that a lookup found nothing.
    #[inline]
    pub(super) fn tell_missed(&self, db: usize, key: &[u8]) {
        if self.telling.misses {
            self.tell_in(db as u32, Classes::MISSED, "keymiss", key);
        }
    }

    /// Tells that a key is new, without looking at what was there before.
    pub fn tell_new(&self, db: u32, key: &[u8]) {
        self.tell_in(db, Classes::NEW, "new", key);
    }

    /// Looks at a key before an effect changes it. An expired value there is removed, so that its end is told before
    /// the change, as in Redis. Returns whether the key is absent, so that the effect may make it. Called only if
    /// [`Telling::looks`].
    #[cold]
    pub(super) fn look_before(&mut self, effect: &Effect<'_>, hash: u64) -> bool {
        let (Some(db), Some(key)) = (effect.db(), effect.shard_key()) else { return false };
        if matches!(
            effect,
            Effect::Delete { .. }
                | Effect::Hash { change: HashChange::Delete { .. }, .. }
                | Effect::Set { change: SetChange::Delete { .. }, .. }
                | Effect::List { change: ListChange::Pop { .. } | ListChange::Remove { .. }, .. }
                | Effect::Zset { change: ZsetChange::Delete { .. } | ZsetChange::DeleteRange { .. }, .. }
        ) {
            return false;
        }
        self.bury_expired(db, key, hash);
        !self.telling.replacing && self.locked.peek(self.engine.store.space(db as usize), key, hash).is_none()
    }

    /// Tells that a key is new if it is there after an effect. The caller has found it absent before the effect.
    #[cold]
    pub(super) fn look_after(&self, effect: &Effect<'_>, hash: u64) {
        let (Some(db), Some(key)) = (effect.db(), effect.shard_key()) else { return };
        if self.locked.peek(self.engine.store.space(db as usize), key, hash).is_some() {
            self.tell_new(db, key);
        }
    }

    /// Runs a command on keys that stand for items. The command itself tells what it does to these keys.
    pub fn naming_keys<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        self.items_telling(ItemsTell::Making, run)
    }

    /// Runs `run` with another rule for what changes of items tell.
    pub(super) fn items_telling<T>(&mut self, tell: ItemsTell, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.telling.items, tell);
        let done = run(self);
        self.telling.items = before;
        done
    }

    /// Tells, under the name of its view, that an item is about to be put or removed.
    #[cold]
    pub(super) fn tell_of_item(&self, table: &Table, keys: &ItemKeys, is_put: bool) {
        if self.is_heard(Classes::CHANGED)
            && let Some(key) = table.view_name(&keys.pk, &keys.sk)
        {
            self.tell_changed_key(super::VIEW_DB as u32, &key);
        }
        if !self.telling.looks() {
            return;
        }
        let tell = self.telling.items;
        if tell == ItemsTell::Nothing {
            return;
        }
        let Some(key) = table.view_name(&keys.pk, &keys.sk) else { return };
        let item = self.stored(table.id, keys).map(ItemRef::from_bytes_unchecked);
        let live = item.is_some_and(|item| !table.expired(&item, self.now()));
        let db = super::VIEW_DB as u32;
        if item.is_some() && !live {
            self.tell_in(db, Classes::ITEM_EXPIRED, "expired", &key);
        }
        if is_put && !live {
            self.tell_new(db, &key);
        }
        match tell {
            ItemsTell::Changes if is_put => self.tell_in(db, Classes::HASH, "hset", &key),
            ItemsTell::Changes if live => self.tell_in(db, Classes::GENERIC, "del", &key),
            _ => {}
        }
    }

    /// Hands the events over to the listeners. The shards are still held. If the transaction logged nothing, its events
    /// may be shown once the log's present tail is settled. Returns whether there was something to hand over.
    #[inline]
    pub(super) fn hand_over(&mut self, logged_at: Option<Lsn>) -> bool {
        let Some(told) = self.telling.told.get_mut().take() else { return false };
        let position = logged_at.unwrap_or_else(|| self.engine.tail());
        told.hand_over(&self.engine.listeners, position, logged_at);
        true
    }

    /// Has something done when the transaction commits, in the order of these calls and of what is told. It is not done
    /// if the transaction is undone. `bytes`: about how many bytes it takes until then.
    pub fn at_commit(&mut self, then: AtCommit, bytes: usize) {
        self.telling.told.get_mut().get_or_insert_default().at_commit(then, bytes);
    }

    /// About how many bytes the transaction keeps of what it tells and does when it commits.
    pub fn told_bytes(&self) -> usize {
        self.telling.told.borrow().as_ref().map_or(0, |told| told.memory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, KeyEvents, Listener};
    use crate::env::Clock;
    use crate::store::Mode;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;

    /// A listener to events of strings.
    #[derive(Default)]
    struct OfStrings(Mutex<Vec<(Lsn, String)>>);

    impl Listener for OfStrings {
        fn classes(&self) -> Classes {
            Classes::STRING
        }

        fn hear(&self, events: &Arc<KeyEvents>) {
            let show = |event: KeyEvent<'_>| format!("{} {:?}", event.name, event.key);
            self.0.lock().extend(events.of(self.classes()).map(|event| (events.position(), show(event))));
        }
    }

    fn tell_some(tx: &Tx<'_>) {
        tx.tell(Classes::STRING, "set", b"a");
        tx.tell(Classes::HASH, "hset", b"long");
        tx.tell(Classes::EXPIRED, "expired", b"b");
        tx.tell(Classes::STRING, "append", b"");
        tx.tell_in(crate::effect::SYSTEM, Classes::STRING, "set", b"own");
    }

    #[test]
    fn what_nobody_listens_to_is_not_kept() {
        let engine = Engine::in_memory(4, 1, Clock::manual(1));
        let mut record = Vec::new();
        let tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, 1), 0, &mut record);
        tx.tell(Classes::STRING, "set", b"a");
        assert!(tx.telling.told.borrow().is_none() && !tx.telling.looks());
        tell_some(&tx);
        let kept = tx.telling.told.borrow().as_ref().map(|told| told.events.of(Classes::ALL).count());
        assert_eq!(kept, Some(1), "what has expired is counted");
    }

    #[test]
    fn each_listener_hears_its_classes_when_the_transaction_commits() {
        let engine = Engine::in_memory(4, 1, Clock::manual(1));
        let heard = Arc::new(OfStrings::default());
        engine.listeners.add(Arc::clone(&heard) as Arc<dyn Listener>);
        let mut record = Vec::new();
        for commits in [false, true] {
            let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, 1), 0, &mut record);
            tx.begin_undo();
            tell_some(&tx);
            if !commits {
                tx.roll_back();
            }
            assert!(heard.0.lock().is_empty(), "not before, and nothing of what was undone");
            tx.commit();
        }
        assert_eq!(*heard.0.lock(), [(0, "set [97]".to_owned()), (0, "append []".to_owned())]);
        assert_eq!(engine.statistics.expired_keys.load(Relaxed), 1);
    }
}
