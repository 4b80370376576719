//! What happened, as events: a change tells its class and name where it is made, and listeners hear of it when the
//! transaction commits.
//!
//! Events are kept only for classes that somebody listens to, and are forgotten with whatever is undone. They are
//! handed over in their order while the shards of the transaction are still held, so of two changes of one key every
//! listener hears in the order in which they happened. A listener gets the log's position up to which the log must be
//! settled before anybody may be shown them ([`Engine::settled`](super::Engine::settled)).
//!
//! Names and order are Redis's. Keys of the server's own databases tell nothing. An item tells under the name of its
//! view, if it has one (docs/adr/0009).

use crate::effect::is_own;
use crate::log::Lsn;
use crate::store::Seldom;
use parking_lot::RwLock;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Classes of events, a bit each. Redis's letters stand for one or two of them.
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
    /// An item has expired that a key stands for (`x` too).
    pub const ITEM_EXPIRED: Self = Self(1 << 6);
    /// A key was removed because memory was short (`e`).
    pub const EVICTED: Self = Self(1 << 7);
    /// A command read a key that is not there (`m`).
    pub const MISSED: Self = Self(1 << 8);
    /// There is a key that was not there (`n`).
    pub const NEW: Self = Self(1 << 9);
    /// What commands on sets do (`s`).
    pub const SET: Self = Self(1 << 10);
    /// What commands on lists do (`l`).
    pub const LIST: Self = Self(1 << 11);
    /// What commands on sorted sets do (`z`).
    pub const ZSET: Self = Self(1 << 12);
    /// Those that tell of no command. While nobody listens to others, nothing is looked up for the sake of an event.
    pub const RARE: Self = Self::FIELDS_EXPIRED.and(Self::EXPIRED).and(Self::EVICTED);
    /// All of them.
    pub const ALL: Self = Self((1 << 13) - 1);

    /// These and others.
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether any of some classes is among them.
    #[inline]
    pub const fn have(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether others than some are among them.
    #[inline]
    const fn exceed(self, some: Self) -> bool {
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
    /// How many fields have expired; 0 where it is about nothing of the kind.
    pub fields: usize,
}

struct Head {
    class: Classes,
    name: &'static str,
    db: u32,
    /// Where the key ends among the keys' bytes.
    end: usize,
    fields: usize,
}

/// What a transaction tells, in its order.
#[derive(Default)]
pub struct KeyEvents {
    pub(super) position: Lsn,
    heads: Vec<Head>,
    keys: Vec<u8>,
}

impl KeyEvents {
    fn push(&mut self, event: KeyEvent<'_>) {
        let KeyEvent { class, name, db, key, fields } = event;
        self.keys.extend_from_slice(key);
        self.heads.push(Head { class, name, db, end: self.keys.len(), fields });
    }

    /// The position that the log must be settled up to before anybody is shown them.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// Those of some classes.
    pub fn of(&self, classes: Classes) -> impl Iterator<Item = KeyEvent<'_>> {
        let mut from = 0;
        let all = self.heads.iter().map(move |head| {
            let key = self.keys.get(std::mem::replace(&mut from, head.end)..head.end).unwrap_or_default();
            KeyEvent { class: head.class, name: head.name, db: head.db, key, fields: head.fields }
        });
        all.filter(move |event| classes.have(event.class))
    }
}

/// Somebody who wants to hear of events.
pub trait Listener: Send + Sync {
    /// The classes that it wants to hear of.
    fn classes(&self) -> Classes;
    /// Hears what a transaction told, events that others listen to included. The shards of the transaction are held:
    /// it neither waits nor takes a shard, and what it keeps has a bound. It shows nobody what it heard before the
    /// log is settled up to the position.
    fn hear(&self, events: &KeyEvents);
}

/// All who listen.
#[derive(Default)]
pub struct Listeners {
    heard: AtomicU32,
    list: RwLock<Vec<Arc<dyn Listener>>>,
}

impl Listeners {
    /// Adds somebody. It hears of every transaction that locks its shards from here on.
    pub fn add(&self, listener: Arc<dyn Listener>) {
        let mut list = self.list.write();
        self.heard.fetch_or(listener.classes().0, Relaxed);
        list.push(listener);
    }

    /// What anybody listens to. A transaction asks once, when it holds its shards.
    #[inline]
    fn heard(&self) -> Classes {
        Classes(self.heard.load(Relaxed))
    }

    #[cold]
    pub(super) fn hand_over(&self, events: &KeyEvents) {
        self.list.read().iter().for_each(|listener| listener.hear(events));
    }
}

/// What changes of items tell under the names of their views.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ItemsTell {
    /// That a key is new or has expired, that a hash was set, or a key deleted.
    #[default]
    Changes,
    /// That a key is new or has expired; the command that is running tells the rest, for it names the key.
    Making,
    /// Nothing: a key goes on as something else.
    Nothing,
}

/// What a transaction tells.
pub(super) struct Telling {
    pub(super) heard: Classes,
    pub(super) told: RefCell<Seldom<KeyEvents>>,
    /// Whether lookups tell what they miss.
    pub(super) misses: bool,
    /// Whether what is made next takes the place of another value, so that the key is not new.
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

    /// Forgets what was told, because it is undone.
    pub(super) fn forget(&mut self) {
        self.told.get_mut().take();
    }

    /// Whether somebody listens to what may have to be looked up.
    #[inline]
    pub(super) fn looks(&self) -> bool {
        self.heard.exceed(Classes::RARE)
    }

    #[cold]
    pub(super) fn push(&self, event: KeyEvent<'_>) {
        if !is_own(event.db) {
            self.told.borrow_mut().get_or_insert_default().push(event);
        }
    }
}
