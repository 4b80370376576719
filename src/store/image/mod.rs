//! Images of values: the effects that build them again.
//!
//! # The image of a shard
//! It shows the shard exactly as it was under one hold of it. Small values are read under that hold. Large strings,
//! hashes, sets, item collections and streams are only registered with the shard then, and read in pieces afterwards,
//! each under a hold of its own. From the registration on
//! - whoever is about to change a part of a registered value keeps it for the reader as it is
//!   ([`Locked::keep_for_image`]), unless that part was read or kept before; the reader takes what was kept in place of
//!   what it finds, and passes over what is new;
//! - what a stream loses as a whole, nodes or a group, is handed to the reader once nobody can take the change back;
//! - a registered value that leaves the store as a whole, because its key is deleted or overwritten or its space is
//!   freed, is handed to the reader instead of being freed ([`Store::hand_over`]), and read to its end outside the
//!   store;
//! - one that is moved to another key, which may be in another shard, stays registered, and the reader follows it.
//!
//! A large list is not registered: its nodes are shared by its copies, so it is copied under the hold, and read without
//! one.
//!
//! So an image needs nothing of the effects that happen while it is read. Values are registered by the address of their
//! object, which stays the same as long as the value lives, whatever happens to the entry that holds it.
#![deny(clippy::wildcard_enum_match_arm)]

mod build;

pub use build::key_effects;

use super::apply::Place;
use super::types::item::item_effects;
use super::types::{Change, Kept, Reading, list, put_deadline, put_kept, stream};
use super::{Entry, Locked, Object, Store, ValueRef};
use crate::value::stream::Inverse;
use ahash::AHashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Whose an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A key of a database.
    Database(u32),
    /// A partition of a table or of an index.
    Table(u32),
}

impl Owner {
    fn number(self) -> u32 {
        match self {
            Self::Database(number) | Self::Table(number) => number,
        }
    }
}

/// What a registered value was at the hold.
struct Name {
    owner: Owner,
    key: Box<[u8]>,
    expire: Option<u64>,
}

/// Where a registered value is now.
struct Whereabouts {
    shard: usize,
    space: u32,
    key: Box<[u8]>,
}

/// A registered value.
struct Large {
    name: Arc<Name>,
    /// Where it is found.
    now: Whereabouts,
    reading: Reading,
    /// The value itself, once it is not in the store any more.
    left: Option<Entry>,
}

/// The large values of a shard whose image is being read, by the address of their object. `Side::imaged` is set of
/// every shard in which one of them is or was, until there are none.
#[derive(Default)]
pub(super) struct Registry(AHashMap<usize, Large>);

/// How a piece ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// It is read.
    Read,
    /// Its value was moved to another shard, see [`ShardImage::next_shard`].
    Elsewhere,
    /// The store was emptied under the reader, so that there is no image.
    Lost,
}

/// A value that is read without a hold.
enum Left {
    /// One that left the store.
    Value(Reading, Entry),
    /// A list, of which there is a copy.
    List(list::Reading),
}

/// The image of a shard that is being read. Its values are registered until it is dropped, or they are read.
pub struct ShardImage<'s> {
    store: &'s Store,
    shard: usize,
    /// What is left to be read, by address.
    waiting: Vec<usize>,
    /// The value that the last piece is of, and what was kept of it.
    current: Option<(Arc<Name>, Kept)>,
    /// Lists are copied under the hold, for that takes no time, and read without it.
    lists: Vec<(Arc<Name>, list::Reading)>,
    /// What is read without a hold.
    left: Option<Left>,
    /// What was read of a value, to be freed without a hold.
    done: Option<Large>,
    /// Whether the last piece of the current value was read.
    ended: bool,
}

impl Locked<'_> {
    /// Begins the image of a locked shard: appends the effects that build its small values, and registers the others.
    /// `owner_of` tells whose a space is, if its entries are part of the image.
    pub fn begin_image<'s>(
        &self,
        store: &'s Store,
        shard: usize,
        owner_of: &dyn Fn(u32) -> Option<Owner>,
        out: &mut Vec<u8>,
    ) -> ShardImage<'s> {
        let mut image = ShardImage {
            store,
            shard,
            waiting: Vec::new(),
            lists: Vec::new(),
            current: None,
            left: None,
            done: None,
            ended: false,
        };
        let mut registry = store.images.lock();
        for entry in self.entries(shard) {
            let (space, key) = (entry.space(), entry.key());
            let Some(owner) = owner_of(space) else { continue };
            let reading = Reading::of(entry, owner.number());
            if let (Some(reading), Some(address)) = (reading, entry.object_address()) {
                let name = Arc::new(Name { owner, key: key.into(), expire: entry.expire() });
                let now = Whereabouts { shard, space, key: key.into() };
                registry.0.insert(address, Large { name, now, reading, left: None });
                image.waiting.push(address);
            } else if let ValueRef::Boxed(Object::List(list)) = entry.value() {
                let name = Arc::new(Name { owner, key: key.into(), expire: entry.expire() });
                image.lists.push((name, list::Reading::of(list)));
            } else {
                match owner {
                    Owner::Database(db) => key_effects(db, key, entry, out),
                    Owner::Table(table) => item_effects(table, entry, out),
                }
            }
        }
        if !image.waiting.is_empty() {
            store.sides[shard].imaged.store(true, Relaxed);
        }
        drop(registry);
        image
    }

    /// Keeps what is about to change for the reader of an image, if the value is registered. One relaxed load if none
    /// is.
    #[inline]
    pub(super) fn keep_for_image(&self, place: Place<'_>, change: Change<'_, '_>) {
        if self.store.is_imaged(place.shard) {
            self.keep_registered(place, change);
        }
    }

    #[cold]
    fn keep_registered(&self, place: Place<'_>, change: Change<'_, '_>) {
        let Some(entry) = self.look(place) else { return };
        let Some(address) = entry.object_address() else { return };
        let mut registry = self.store.images.lock();
        let Some(large) = registry.0.get_mut(&address) else { return };
        large.reading.reader().keep(entry.value(), change);
    }
}

impl Store {
    /// Takes note that values are not registered any more.
    fn note_struck(&self, registry: &Registry) {
        if registry.0.is_empty() {
            self.sides.iter().for_each(|side| side.imaged.store(false, Relaxed));
        }
    }

    /// Takes note that an entry is moved, whose value may be registered. The caller holds both shards exclusively.
    pub(super) fn note_moved(&self, from: Place<'_>, to: Place<'_>, entry: &Entry) {
        if !self.is_imaged(from.shard) {
            return;
        }
        let mut registry = self.images.lock();
        if let Some(large) = entry.object_address().and_then(|address| registry.0.get_mut(&address)) {
            large.now = Whereabouts { shard: to.shard, space: to.space, key: to.key.into() };
            self.sides[to.shard].imaged.store(true, Relaxed);
        }
    }

    /// Hands a value that left the store to the reader of the shard's image; gives it back if it is not registered. The
    /// caller holds the shard exclusively.
    #[inline]
    pub(super) fn hand_over(&self, shard: usize, entry: Entry) -> Option<Entry> {
        if !self.is_imaged(shard) {
            return Some(entry);
        }
        let mut registry = self.images.lock();
        let Some(large) = entry.object_address().and_then(|address| registry.0.get_mut(&address)) else {
            return Some(entry);
        };
        large.left = Some(entry);
        None
    }

    /// Whether values that are or were in a shard are registered. One relaxed load.
    #[inline]
    pub(super) fn is_imaged(&self, shard: usize) -> bool {
        self.sides[shard].imaged.load(Relaxed)
    }

    /// Hands what a change took out of a stream, by the address of its object, to the reader of an image, if the stream
    /// is registered; nobody takes the change back any more. Changes of a stream come in their order. The caller holds
    /// the shard exclusively.
    pub(super) fn hand_over_of_stream(&self, shard: usize, address: Option<usize>, left: Inverse) {
        self.with_stream(shard, address, |reading| reading.take_over(left));
    }

    /// Tells the reader of an image that a change of a stream is taken back, and so are all later ones.
    pub(super) fn is_taken_back(&self, shard: usize, address: Option<usize>, change: &Inverse) {
        self.with_stream(shard, address, |reading| reading.is_taken_back(change));
    }

    fn with_stream(&self, shard: usize, address: Option<usize>, then: impl FnOnce(&mut stream::Reading)) {
        if !self.is_imaged(shard) {
            return;
        }
        let mut registry = self.images.lock();
        let large = address.and_then(|address| registry.0.get_mut(&address));
        if let Some(Large { reading: Reading::Stream(reading), .. }) = large {
            then(reading);
        }
    }

    /// Whether anything is registered, or a shard taken for one that has something registered.
    #[cfg(test)]
    pub(crate) fn images_are_registered(&self) -> bool {
        !self.images.lock().0.is_empty() || (0..self.shard_count()).any(|shard| self.is_imaged(shard))
    }

    /// Forgets what is registered of a shard that is emptied without anything being handed over.
    pub(super) fn lose_images(&self, shard: usize) {
        let mut registry = self.images.lock();
        let lost: Vec<Large> =
            registry.0.extract_if(|_, large| large.now.shard == shard).map(|(_, large)| large).collect();
        self.note_struck(&registry);
        drop(registry);
        drop(lost);
    }
}

impl ShardImage<'_> {
    /// Whether something is left to be read.
    pub fn has_more(&self) -> bool {
        !self.waiting.is_empty() || !self.lists.is_empty()
    }

    /// Begins with what needs no hold, if anything is left of it; [`ShardImage::complete`] must follow then.
    pub fn begin_without_hold(&mut self) -> bool {
        let Some((name, list)) = self.lists.pop() else { return false };
        self.left = Some(Left::List(list));
        self.current = Some((name, Kept::Nothing));
        self.ended = true;
        true
    }

    /// The shard to hold for the next piece.
    pub fn next_shard(&self) -> usize {
        let registry = self.store.images.lock();
        let next = self.waiting.last().and_then(|address| registry.0.get(address));
        next.map_or(self.shard, |large| large.now.shard)
    }

    /// Reads the next piece under a hold of a shard. [`ShardImage::complete`] must follow when the hold has ended and
    /// the piece is read.
    pub fn piece(&mut self, locked: &Locked<'_>, shard: usize, out: &mut Vec<u8>) -> Piece {
        let Some(address) = self.waiting.last().copied() else { return Piece::Read };
        let mut registry = self.store.images.lock();
        let Some(large) = registry.0.get_mut(&address) else { return Piece::Lost };
        let name = Arc::clone(&large.name);
        if large.left.is_none() && large.now.shard != shard {
            return Piece::Elsewhere;
        }
        if large.left.is_some() {
            let large = registry.0.remove(&address);
            self.left = large.and_then(|large| Some(Left::Value(large.reading, large.left?)));
            self.ended = true;
        } else {
            let Whereabouts { space, key, .. } = &large.now;
            let found = locked.peek(*space, key, self.store.hash(key));
            let Some(entry) = found.filter(|entry| entry.object_address() == Some(address)) else {
                return Piece::Lost;
            };
            let reader = large.reading.reader();
            self.ended = reader.read(entry.value(), name.owner.number(), &name.key, out);
            self.current = Some((Arc::clone(&name), reader.take_kept()));
            if self.ended {
                self.done = registry.0.remove(&address);
            }
        }
        if self.ended {
            self.waiting.pop();
            self.store.note_struck(&registry);
        }
        self.current.get_or_insert((name, Kept::Nothing));
        Piece::Read
    }

    /// Adds what needs no hold: what was kept, the next piece of what is read without one, and the deadline behind the
    /// last piece. Whether there is more of what is read without a hold, so that it must be called again.
    pub fn complete(&mut self, out: &mut Vec<u8>) -> bool {
        self.done = None;
        let Some((name, mut kept)) = self.current.take() else { return false };
        let number = name.owner.number();
        self.left = match self.left.take() {
            Some(Left::Value(mut reading, entry)) => {
                kept = reading.reader().take_kept();
                let ended = reading.reader().read(entry.value(), number, &name.key, out);
                (!ended).then_some(Left::Value(reading, entry))
            }
            Some(Left::List(mut reading)) => {
                let ended = reading.read(number, &name.key, out);
                (!ended).then_some(Left::List(reading))
            }
            None => None,
        };
        put_kept(&kept, number, &name.key, out);
        if self.left.is_some() {
            self.current = Some((name, Kept::Nothing));
            return true;
        }
        if let (true, Owner::Database(db)) = (std::mem::take(&mut self.ended), name.owner) {
            put_deadline(db, &name.key, name.expire, out);
        }
        false
    }
}

impl Drop for ShardImage<'_> {
    fn drop(&mut self) {
        let mut registry = self.store.images.lock();
        let lost: Vec<_> = self.waiting.iter().filter_map(|address| registry.0.remove(address)).collect();
        self.store.note_struck(&registry);
        drop(registry);
        drop(lost);
    }
}
