//! Events: each change tells its class and name where it is made, and listeners receive them when the transaction
//! commits.
//!
//! Events are kept only for classes that have a listener, and are dropped if their change is undone. They are handed
//! over in their order while the shards of the transaction are still held, so every listener receives the events of one
//! key in the order of its changes. With the events a listener gets a position in the log. It must not pass them on to
//! a client before the log is settled up to this position ([`Engine::settled`](super::Engine::settled)).
//!
//! Names and order are Redis's. Keys of the server's own databases have no events. An item's events have the name of
//! its view, if it has one (docs/adr/0009).

use crate::effect::is_own;
use crate::log::Lsn;
use crate::store::Seldom;
use ahash::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// A set of classes of events, a bit each. Each of Redis's letters stands for one or two of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Classes(u32);

impl Classes {
    /// What commands on keys of any type do (`g`).
    pub const GENERIC: Self = Self(1);
    /// What commands on strings do (`$`).
    pub const STRING: Self = Self(1 << 1);
    /// What commands on hashes do (`h`).
    pub const HASH: Self = Self(1 << 2);
    /// Fields of a hash have expired (`h` too).
    pub const FIELDS_EXPIRED: Self = Self(1 << 3);
    /// What commands on streams do (`t`).
    pub const STREAM: Self = Self(1 << 4);
    /// A key has expired (`x`).
    pub const EXPIRED: Self = Self(1 << 5);
    /// An item that a key stands for has expired (`x` too).
    pub const ITEM_EXPIRED: Self = Self(1 << 6);
    /// A key was removed because memory was short (`e`).
    pub const EVICTED: Self = Self(1 << 7);
    /// A command read a key that is not there (`m`).
    pub const MISSED: Self = Self(1 << 8);
    /// A key is there that was not there before (`n`).
    pub const NEW: Self = Self(1 << 9);
    /// What commands on sets do (`s`).
    pub const SET: Self = Self(1 << 10);
    /// What commands on lists do (`l`).
    pub const LIST: Self = Self(1 << 11);
    /// What commands on sorted sets do (`z`).
    pub const ZSET: Self = Self(1 << 12);
    /// Another value took the place of a key's (`o`).
    pub const OVERWRITTEN: Self = Self(1 << 13);
    /// That value is of another type (`c`).
    pub const TYPE_CHANGED: Self = Self(1 << 14);
    /// The classes that no command causes. While no listener wants others, nothing is looked up for an event's sake.
    pub const RARE: Self = Self::FIELDS_EXPIRED.and(Self::EXPIRED).and(Self::EVICTED);
    /// All classes of events that have a name.
    pub const ALL: Self = Self((1 << 15) - 1);
    /// What is at a key may have changed, whatever the command calls it. Its events have no name. They have the keys of
    /// commands: of an item, its partition key as text, and the name of its view. Change streams have them, too.
    pub const CHANGED: Self = Self(1 << 15);
    /// Every key may have changed. Its events have neither a name nor a key.
    pub const CLEARED: Self = Self(1 << 16);
    /// Not a class of events: a listener that asks for it beside [`Self::HASH`] is told which fields an event is about.
    pub const FIELD_NAMES: Self = Self(1 << 17);
    /// The classes for which nothing is looked up.
    const SIMPLE: Self = Self::RARE.and(Self::CHANGED).and(Self::CLEARED);

    /// These classes and others.
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether this set has any class of `any`.
    #[inline]
    pub const fn have(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether this set has a class that `some` lacks.
    #[inline]
    pub(super) const fn exceed(self, some: Self) -> bool {
        self.0 & !some.0 != 0
    }
}

/// Something that happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyEvent<'a> {
    /// Its class.
    pub class: Classes,
    /// Its name, as Redis calls it.
    pub name: &'static str,
    /// The key's database.
    pub db: u32,
    /// The key.
    pub key: &'a [u8],
    /// How many fields have expired; 0 for other events.
    pub fields: usize,
    /// The fields of a hash that it is about, if a listener wants [`Classes::FIELD_NAMES`].
    pub names: FieldNames<'a>,
}

impl<'a> KeyEvent<'a> {
    /// An event that is about no fields.
    pub(super) fn of_key(class: Classes, name: &'static str, db: u32, key: &'a [u8]) -> Self {
        Self { class, name, db, key, fields: 0, names: FieldNames::default() }
    }
}

/// Names of fields, in the order of the command.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct FieldNames<'a>(&'a [u8]);

impl<'a> FieldNames<'a> {
    /// Appends a name.
    fn put(name: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&name.len().to_le_bytes());
        out.extend_from_slice(name);
    }

    /// These names, as [`FieldNames::as_bytes`] gives them.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes by which the names can be kept.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The names, so many together, and fewer at the end.
    pub fn chunks(self, count: usize) -> impl Iterator<Item = Self> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let taken: usize = rest.each().take(count).map(|name| size_of::<usize>() + name.len()).sum();
            let (some, others) = rest.0.split_at_checked(taken).filter(|_| taken > 0)?;
            rest = Self(others);
            Some(Self(some))
        })
    }

    /// The names.
    pub fn each(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first_chunk()?;
            let (name, behind) = behind.split_at_checked(usize::from_le_bytes(*len))?;
            rest = behind;
            Some(name)
        })
    }
}

struct Head {
    class: Classes,
    name: &'static str,
    db: u32,
    /// Where the key ends in the bytes of all events, and where the names of fields behind it do.
    ends: (usize, usize),
    fields: usize,
}

/// Of the first so many events only neighbours are compared, so that small transactions need no table.
const FEW: usize = 32;

/// The numbers of the events that what is at a key has changed, by their keys; those of the first events are not there.
#[derive(Default)]
struct Changed {
    hasher: RandomState,
    numbers: HashTable<usize>,
}

/// The events of a transaction, in their order.
#[derive(Default)]
pub struct KeyEvents {
    pub(super) position: Lsn,
    pub(super) author: u64,
    heads: Vec<Head>,
    /// Each event's key, and behind it the names of its fields.
    bytes: Vec<u8>,
    changed: Option<Box<Changed>>,
}

/// The key of an event among others, and what the event is.
fn key_of<'b>(heads: &[Head], bytes: &'b [u8], number: usize) -> Option<(&'b [u8], Classes)> {
    let before = number.checked_sub(1).and_then(|at| heads.get(at)).map_or(0, |head| head.ends.1);
    let head = heads.get(number)?;
    Some((bytes.get(before..head.ends.0)?, head.class))
}

/// A list that takes more bytes than this grows by a quarter.
const LARGE: usize = 1 << 20;

/// Makes room for so many elements more, so that a large list has little room to spare.
fn make_room<T>(list: &mut Vec<T>, more: usize) {
    let len = list.len();
    if len * size_of::<T>() > LARGE && list.capacity() - len < more {
        list.reserve_exact(more.max(len / 4));
    }
}

impl KeyEvents {
    fn push<'n>(&mut self, event: KeyEvent<'_>, names: impl Iterator<Item = &'n [u8]>) {
        let KeyEvent { class, name, db, key, fields, .. } = event;
        make_room(&mut self.bytes, key.len());
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        names.for_each(|name| {
            make_room(&mut self.bytes, size_of::<usize>() + name.len());
            FieldNames::put(name, &mut self.bytes);
        });
        make_room(&mut self.heads, 1);
        self.heads.push(Head { class, name, db, ends: (key_end, self.bytes.len()), fields });
    }

    /// About how many bytes it takes.
    fn memory(&self) -> usize {
        let numbers = self.changed.as_ref().map_or(0, |changed| changed.numbers.len());
        self.heads.len() * size_of::<Head>() + self.bytes.len() + 2 * numbers * size_of::<usize>()
    }

    /// The log must be settled up to this position before a client gets the events.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// The client whose transaction this is, if it does not want to be told of its own changes; otherwise 0.
    pub fn author(&self) -> u64 {
        self.author
    }

    /// Adds that what is at a key has changed, unless it was added already.
    pub(super) fn push_changed(&mut self, db: u32, key: &[u8]) {
        let Self { heads, bytes, changed, .. } = self;
        let number = heads.len();
        let is_that = |other: usize| key_of(heads, bytes, other) == Some((key, Classes::CHANGED));
        if number.checked_sub(1).is_some_and(is_that) {
            return;
        }
        if number >= FEW {
            let Changed { hasher, numbers } = &mut **changed.get_or_insert_default();
            let hash = hasher.hash_one(key);
            if numbers.find(hash, |other| is_that(*other)).is_some() {
                return;
            }
            let hash_of = |other: &usize| hasher.hash_one(key_of(heads, bytes, *other).unwrap_or_default().0);
            numbers.insert_unique(hash, number, hash_of);
        }
        self.push(KeyEvent::of_key(Classes::CHANGED, "", db, key), std::iter::empty());
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.heads.len()
    }

    /// The event of a number, counted from 0.
    pub fn event(&self, number: usize) -> Option<KeyEvent<'_>> {
        let (key, _) = key_of(&self.heads, &self.bytes, number)?;
        let Head { class, name, db, ends, fields } = *self.heads.get(number)?;
        let names = FieldNames(self.bytes.get(ends.0..ends.1)?);
        Some(KeyEvent { class, name, db, key, fields, names })
    }

    /// The events of some classes.
    pub fn of(&self, classes: Classes) -> impl Iterator<Item = KeyEvent<'_>> {
        let all = (0..self.count()).filter_map(|number| self.event(number));
        all.filter(move |event| classes.have(event.class))
    }
}

/// A receiver of events.
pub trait Listener: Send + Sync {
    /// The classes that the listener receives.
    fn classes(&self) -> Classes;
    /// Whether the listener receives these classes only while [`Listeners::audience`] is not 0.
    fn needs_audience(&self) -> bool {
        false
    }
    /// Receives the events of a transaction, including events that only other listeners want. The shards of the
    /// transaction are held, so this must neither wait nor take a shard, and what it keeps must be bounded; it may keep
    /// the events themselves. The
    /// listener must not pass the events on before the log is settled up to their position.
    fn hear(&self, events: &Arc<KeyEvents>);
    /// Called once a transaction that told something has given back its shards. The thread holds no shard.
    fn released(&self) {}
}

/// All listeners.
#[derive(Default)]
pub struct Listeners {
    heard: AtomicU32,
    /// What is heard beside that while there is an audience.
    heard_by_audience: AtomicU32,
    audience: Arc<AtomicUsize>,
    list: RwLock<Vec<Arc<dyn Listener>>>,
}

impl Listeners {
    /// Adds a listener. It hears of every transaction that locks its shards from here on.
    pub fn add(&self, listener: Arc<dyn Listener>) {
        self.list.write().push(listener);
        self.wants_changed();
    }

    /// How many there are to whom listeners pass on what they hear. Who counts itself there before it looks at a key
    /// hears of each later change of the key.
    pub fn audience(&self) -> &Arc<AtomicUsize> {
        &self.audience
    }

    /// Takes note that listeners want other classes than before. Transactions that lock their shards from here on ask
    /// for these.
    pub fn wants_changed(&self) {
        // Exclusively, so that what is worked out last is stored last.
        let list = self.list.write();
        let of = |with: bool| {
            let some = list.iter().filter(|listener| listener.needs_audience() == with);
            some.fold(0, |all, listener| all | listener.classes().0)
        };
        self.heard.store(of(false), Relaxed);
        self.heard_by_audience.store(of(true), Relaxed);
    }

    /// Tells that every key may have changed for another reason than effects. The message shows nothing that is in the
    /// log. The caller holds no shard.
    pub(super) fn all_changed(&self) {
        if self.heard().have(Classes::CLEARED) {
            let mut events = KeyEvents::default();
            events.push(KeyEvent::of_key(Classes::CLEARED, "", 0, b""), std::iter::empty());
            self.hand_over(&Arc::new(events));
            self.released();
        }
    }

    /// All classes that a listener wants. A transaction asks when it holds its shards, and again when it has taken
    /// more.
    #[inline]
    pub(super) fn heard(&self) -> Classes {
        let (heard, passed_on) = (self.heard.load(Relaxed), self.heard_by_audience.load(Relaxed));
        let has_audience = passed_on != 0 && self.audience.load(Relaxed) > 0;
        Classes(if has_audience { heard | passed_on } else { heard })
    }

    #[cold]
    fn hand_over(&self, events: &Arc<KeyEvents>) {
        self.list.read().iter().for_each(|listener| listener.hear(events));
    }

    #[cold]
    pub(super) fn released(&self) {
        self.list.read().iter().for_each(|listener| listener.released());
    }
}

/// What a change of an item tells under the name of its view.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ItemsTell {
    /// That the key is new, has expired or was deleted, or that the hash was set.
    #[default]
    Changes,
    /// That the key is new or has expired. The running command names the key, so it tells the rest itself.
    Making,
    /// Nothing: the key stays, and only what it stands for changes its form.
    Nothing,
}

/// Called when a transaction commits, with the position of its record in the log, or `None` if it logged nothing. The
/// transaction's shards are still held, so this must neither wait nor take a shard.
pub type AtCommit = Box<dyn FnOnce(Option<Lsn>)>;

/// What a transaction has told so far.
#[derive(Default)]
pub(super) struct Told {
    /// What is to be done at the commit, and in front of each the events that were told before it.
    before: Vec<(KeyEvents, AtCommit)>,
    /// The events since then.
    pub(super) events: KeyEvents,
    /// About how many bytes `before` takes.
    bytes_before: usize,
}

impl Told {
    /// `bytes`: about how many bytes it takes.
    pub(super) fn at_commit(&mut self, then: AtCommit, bytes: usize) {
        self.bytes_before += self.events.memory() + bytes + size_of::<(KeyEvents, AtCommit)>();
        let next = KeyEvents { author: self.events.author, ..KeyEvents::default() };
        self.before.push((std::mem::replace(&mut self.events, next), then));
    }

    /// About how many bytes it takes.
    pub(super) fn memory(&self) -> usize {
        self.bytes_before + self.events.memory()
    }

    /// Hands everything over in its order, at the position up to which the log must be settled before clients see it.
    pub(super) fn hand_over(self, listeners: &Listeners, position: Lsn, logged_at: Option<Lsn>) {
        let tell = |mut events: KeyEvents| {
            if !events.heads.is_empty() {
                events.position = position;
                events.changed = None;
                listeners.hand_over(&Arc::new(events));
            }
        };
        for (events, then) in self.before {
            tell(events);
            then(logged_at);
        }
        tell(self.events);
    }
}

/// What a transaction has told so far, and the rules for telling.
pub(super) struct Telling {
    pub(super) heard: Classes,
    pub(super) told: RefCell<Seldom<Told>>,
    /// Whether a lookup that finds nothing tells it.
    pub(super) misses: bool,
    /// Whether the next value takes the place of another, so that its key is not new.
    pub(super) replacing: bool,
    pub(super) items: ItemsTell,
}

impl Telling {
    #[inline]
    pub(super) fn to(listeners: &Listeners) -> Self {
        let heard = listeners.heard();
        let told = RefCell::new(Seldom::NONE);
        Self { heard, told, misses: false, replacing: false, items: ItemsTell::default() }
    }

    /// Forgets the events, because their changes are undone.
    pub(super) fn forget(&mut self) {
        self.told.get_mut().take();
    }

    /// Whether a listener wants events for which keys must be looked up.
    #[inline]
    pub(super) fn looks(&self) -> bool {
        self.heard.exceed(Classes::SIMPLE)
    }

    #[cold]
    pub(super) fn push<'n>(&self, event: KeyEvent<'_>, names: impl Iterator<Item = &'n [u8]>) {
        if !is_own(event.db) {
            self.told.borrow_mut().get_or_insert_default().events.push(event, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_key_is_kept_once() {
        let mut events = KeyEvents::default();
        for n in 0..10_000 {
            events.push_changed(0, format!("k{}", n % 100).as_bytes());
        }
        let keys: Vec<_> = events.of(Classes::CHANGED).map(|event| event.key).collect();
        assert!((100..=100 + FEW).contains(&keys.len()), "{}", keys.len());
        assert!((0..100).all(|n| keys.contains(&format!("k{n}").as_bytes())));
    }

    #[test]
    fn names_of_fields_are_dealt_to_chunks() {
        let mut bytes = Vec::new();
        [&b"a"[..], b"", b"ccc"].iter().for_each(|name| FieldNames::put(name, &mut bytes));
        let chunks: Vec<Vec<&[u8]>> =
            FieldNames::from_bytes(&bytes).chunks(2).map(|chunk| chunk.each().collect()).collect();
        assert_eq!(chunks, [vec![&b"a"[..], b""], vec![b"ccc"]]);
        assert_eq!(FieldNames::default().chunks(2).count(), 0);
    }
}
