//! Images of values: effects that build the values again.
//!
//! # The image of a shard
//! It shows the shard exactly as it was under one hold of it, with which a walk over its entries begins (`walk`). The
//! walk reads small values. It only registers large strings, hashes, sets, sorted sets, item collections and streams
//! with the shard, and they are read in pieces afterwards. Each piece is read under a hold of its own. From the
//! registration on
//! - a change of a part of a registered value first keeps that part for the reader as it is
//!   ([`Locked::keep_for_image`]), unless the part was read or kept before; the reader takes what was kept instead of
//!   what it finds, and skips what is new;
//! - what a stream loses as a whole, nodes or a group, is handed to the reader once the change can no longer be undone;
//! - a registered value that leaves the store as a whole, because its key is deleted or overwritten or its space is
//!   freed, is handed to the reader instead of being freed ([`Store::hand_over`]), and read to its end outside the
//!   store;
//! - a registered value that is moved to another key, perhaps in another shard, stays registered, and the reader
//!   follows it.
//!
//! A sorted set is registered with a snapshot that shares its parts, so its changes keep nothing. A large list is not
//! registered: it shares its nodes with copies, so the walk copies it, and the copy is read without a hold.
//!
//! So an image is independent of the effects that happen while it is read. Values are registered by the address of
//! their object, which does not change as long as the value lives, even if another entry holds it.
#![deny(clippy::wildcard_enum_match_arm)]

mod build;
mod walk;

pub use build::key_effects;

use super::imaged::{Imaged, ImagedName, ImagedValues, Owner, ShardWalk, SpaceOwners, Whereabouts};
use super::place::Place;
use super::reader::{Kept, PieceReader, ValueChange};
use super::types::{ListReading, put_deadline, put_kept};
use super::{Entry, Locked, Store, raw_table};
use crate::value::stream::StreamInverse;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The outcome of reading a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PieceEnd {
    /// The piece was read.
    Read,
    /// The value was moved to another shard, see [`ShardImage::next_shard`].
    Elsewhere,
    /// The store was emptied while the image was read, so there is no image.
    Lost,
}

/// A value that is read without a hold.
enum Left {
    /// A value that has left the store.
    Value(Box<dyn PieceReader>, Entry),
    /// The copy of a list.
    List(ListReading),
}

/// The image of a shard that is being read. Each of its values stays registered until it is read or the image is
/// dropped.
pub struct ShardImage<'s> {
    store: &'s Store,
    shard: usize,
    /// Whether the walk over the shard's entries goes on.
    walks: bool,
    /// Effects of small values that were read before the walk came to them.
    ahead: Vec<u8>,
    /// The addresses of the values that are left to be read.
    waiting: Vec<usize>,
    /// The value to which the last piece belongs, and what was kept of it.
    current: Option<(Arc<ImagedName>, Kept)>,
    /// Copies of lists, made under the hold in O(1) each, and read without a hold.
    lists: Vec<(Arc<ImagedName>, ListReading)>,
    /// The value that is being read without a hold.
    left: Option<Left>,
    /// A value that was read, to be freed without a hold.
    done: Option<Imaged>,
    /// Whether the last piece of `current` was read.
    ended: bool,
}

impl Locked<'_> {
    /// Begins the image of a locked shard with the first piece of the walk over its entries; `owners` tells whose the
    /// spaces are.
    pub fn begin_image<'s>(
        &self,
        store: &'s Store,
        shard: usize,
        owners: SpaceOwners,
        out: &mut Vec<u8>,
    ) -> ShardImage<'s> {
        let mut image = ShardImage {
            store,
            shard,
            walks: true,
            ahead: Vec::new(),
            waiting: Vec::new(),
            lists: Vec::new(),
            current: None,
            left: None,
            done: None,
            ended: false,
        };
        store.images.lock().walks.insert(shard, ShardWalk { shard, owners, ..ShardWalk::default() });
        store.sides[shard].imaged.store(true, Relaxed);
        image.walk(self, out);
        image
    }

    /// Has a walk over the shard read what is under a key that is about to change. One relaxed load if there is none.
    #[inline]
    pub(super) fn read_before_change(&self, place: Place<'_>) {
        if self.store.is_imaged(place.shard) {
            self.read_for_walk(place);
        }
    }

    #[cold]
    fn read_for_walk(&self, place: Place<'_>) {
        let mut registry = self.store.images.lock();
        let ImagedValues { large, walks } = &mut *registry;
        if let (Some(walk), Some(raw)) = (walks.get_mut(&place.shard), self.raw(place.shard)) {
            let found = raw_table::find_slot(raw, place.hash, place.space, place.key);
            walk.before_change((place.space, place.key), found, large);
        }
    }

    /// Has a walk over a shard read all that is left if one more entry would have the shard's table reorganised.
    #[inline]
    pub(super) fn read_before_growth(&self, shard: usize) {
        if self.store.is_imaged(shard) && self.raw(shard).is_some_and(|raw| raw.len() == raw.capacity()) {
            self.finish_walk(shard);
        }
    }

    /// Has the walks over all shards read all that is left; whose the spaces are is about to change.
    pub(super) fn finish_walks(&self) {
        (0..self.store.shard_count()).filter(|shard| self.store.is_imaged(*shard)).for_each(|shard| {
            self.finish_walk(shard);
        });
    }

    #[cold]
    fn finish_walk(&self, shard: usize) {
        let mut registry = self.store.images.lock();
        let ImagedValues { large, walks } = &mut *registry;
        if let (Some(walk), Some(raw)) = (walks.get_mut(&shard), self.raw(shard)) {
            walk.finish(raw, large);
        }
    }

    /// Keeps what is about to change for the reader of an image, if the value is registered. One relaxed load if no
    /// value is.
    #[inline]
    pub(super) fn keep_for_image(&self, place: Place<'_>, change: ValueChange<'_, '_>) {
        if self.store.is_imaged(place.shard) {
            self.keep_registered(place, change);
        }
    }

    #[cold]
    fn keep_registered(&self, place: Place<'_>, change: ValueChange<'_, '_>) {
        let Some(entry) = self.look(place) else { return };
        let Some(address) = entry.object_address() else { return };
        let mut registry = self.store.images.lock();
        let Some(large) = registry.large.get_mut(&address) else { return };
        large.reading.keep(entry.value(), change);
    }
}

impl Store {
    /// Clears the shards' flags if no value is registered.
    fn note_struck(&self, registry: &ImagedValues) {
        if registry.large.is_empty() && registry.walks.is_empty() {
            self.sides.iter().for_each(|side| side.imaged.store(false, Relaxed));
        }
    }

    /// Notes that an entry is moved, if its value is registered. The caller holds both shards exclusively.
    pub(super) fn note_moved(&self, from: Place<'_>, to: Place<'_>, entry: &Entry) {
        self.note_copy_moved(to, entry);
        if !self.is_imaged(from.shard) {
            return;
        }
        let mut registry = self.images.lock();
        if let Some(large) = entry.object_address().and_then(|address| registry.large.get_mut(&address)) {
            large.now = Whereabouts { shard: to.shard, space: to.space, key: to.key.into() };
            self.sides[to.shard].imaged.store(true, Relaxed);
        }
    }

    /// Hands a value that left the store to the reader of the shard's image; gives it back if it is not registered. The
    /// caller holds the shard exclusively.
    #[inline]
    pub(super) fn hand_over(&self, shard: usize, entry: Entry) -> Option<Entry> {
        self.note_copy_gone(&entry);
        if !self.is_imaged(shard) {
            return Some(entry);
        }
        let mut registry = self.images.lock();
        let Some(large) = entry.object_address().and_then(|address| registry.large.get_mut(&address)) else {
            return Some(entry);
        };
        large.left = Some(entry);
        None
    }

    /// Whether values that are or were in a shard may be registered. One relaxed load.
    #[inline]
    pub(super) fn is_imaged(&self, shard: usize) -> bool {
        self.sides[shard].imaged.load(Relaxed)
    }

    /// Hands what a change removed from a stream to the reader of an image, if the stream is registered. `address` is
    /// that of the stream's object. The caller holds the shard exclusively, calls in the order of the stream's changes,
    /// and only once the change can no longer be undone.
    pub(super) fn hand_over_of_stream(&self, shard: usize, address: Option<usize>, left: StreamInverse) {
        self.with_reader(shard, address, |reading| reading.take_over(left));
    }

    /// Tells the reader of an image that a change of a stream, and all later ones, are undone.
    pub(super) fn is_taken_back(&self, shard: usize, address: Option<usize>, change: &StreamInverse) {
        self.with_reader(shard, address, |reading| reading.is_taken_back(change));
    }

    fn with_reader(&self, shard: usize, address: Option<usize>, then: impl FnOnce(&mut dyn PieceReader)) {
        if !self.is_imaged(shard) {
            return;
        }
        let mut registry = self.images.lock();
        if let Some(imaged) = address.and_then(|address| registry.large.get_mut(&address)) {
            then(&mut *imaged.reading);
        }
    }

    /// Whether a value is registered, or a shard's flag says so.
    #[cfg(test)]
    pub(crate) fn images_are_registered(&self) -> bool {
        let images = self.images.lock();
        let is_read = !images.large.is_empty() || !images.walks.is_empty();
        is_read || (0..self.shard_count()).any(|shard| self.is_imaged(shard))
    }

    /// Forgets the registered values of a shard that is emptied without handing its values over.
    pub(super) fn lose_images(&self, shard: usize) {
        let mut registry = self.images.lock();
        registry.walks.remove(&shard);
        let lost: Vec<Imaged> =
            registry.large.extract_if(|_, large| large.now.shard == shard).map(|(_, large)| large).collect();
        self.note_struck(&registry);
        drop(registry);
        drop(lost);
    }
}

impl ShardImage<'_> {
    /// Whether values are left to be read.
    pub fn has_more(&self) -> bool {
        self.walks || !self.waiting.is_empty() || !self.lists.is_empty()
    }

    /// Reads the next piece of the walk over the shard's entries.
    fn walk(&mut self, locked: &Locked<'_>, out: &mut Vec<u8>) -> PieceEnd {
        let mut registry = self.store.images.lock();
        let ImagedValues { large, walks } = &mut *registry;
        let (Some(walk), Some(raw)) = (walks.get_mut(&self.shard), locked.raw(self.shard)) else {
            return PieceEnd::Lost;
        };
        walk.read(raw, large, out);
        let ended;
        (self.ahead, ended) = walk.take_ahead();
        if ended {
            let ShardWalk { waiting, lists, .. } = walks.remove(&self.shard).unwrap_or_default();
            (self.waiting, self.walks) = (waiting, false);
            self.lists = lists.iter().map(|(name, list)| (Arc::clone(name), ListReading::of(list))).collect();
            self.store.note_struck(&registry);
        }
        PieceEnd::Read
    }

    /// Begins with a copied list, which needs no hold, and returns whether there was one; if so,
    /// [`ShardImage::complete`] must follow.
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
        let next = self.waiting.last().and_then(|address| registry.large.get(address));
        next.map_or(self.shard, |large| large.now.shard)
    }

    /// Reads the next piece under a hold of `shard`. After the hold [`ShardImage::complete`] must follow, unless the
    /// outcome is [`PieceEnd::Elsewhere`] or [`PieceEnd::Lost`].
    pub fn piece(&mut self, locked: &Locked<'_>, shard: usize, out: &mut Vec<u8>) -> PieceEnd {
        if self.walks {
            return self.walk(locked, out);
        }
        let Some(address) = self.waiting.last().copied() else { return PieceEnd::Read };
        let mut registry = self.store.images.lock();
        let Some(large) = registry.large.get_mut(&address) else { return PieceEnd::Lost };
        let name = Arc::clone(&large.name);
        if large.left.is_none() && large.now.shard != shard {
            return PieceEnd::Elsewhere;
        }
        if large.left.is_some() {
            let large = registry.large.remove(&address);
            self.left = large.and_then(|large| Some(Left::Value(large.reading, large.left?)));
            self.ended = true;
        } else {
            let Whereabouts { space, key, .. } = &large.now;
            let found = locked.peek(*space, key, self.store.hash(key));
            let Some(entry) = found.filter(|entry| entry.object_address() == Some(address)) else {
                return PieceEnd::Lost;
            };
            let reader = &mut large.reading;
            self.ended = reader.read(entry.value(), name.owner.number(), &name.key, out);
            self.current = Some((Arc::clone(&name), reader.take_kept()));
            if self.ended {
                self.done = registry.large.remove(&address);
            }
        }
        if self.ended {
            self.waiting.pop();
            self.store.note_struck(&registry);
        }
        self.current.get_or_insert((name, Kept::Nothing));
        PieceEnd::Read
    }

    /// Appends what needs no hold: what was kept, the next piece of a value that is read without a hold, and after the
    /// last piece the deadline. Returns true if there are more pieces to read without a hold; then it must be called
    /// again.
    pub fn complete(&mut self, out: &mut Vec<u8>) -> bool {
        self.done = None;
        out.append(&mut self.ahead);
        let Some((name, mut kept)) = self.current.take() else { return false };
        let number = name.owner.number();
        self.left = match self.left.take() {
            Some(Left::Value(mut reading, entry)) => {
                kept = reading.take_kept();
                let ended = reading.read(entry.value(), number, &name.key, out);
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
        let walk = registry.walks.remove(&self.shard);
        self.waiting.extend(walk.into_iter().flat_map(|walk| walk.waiting));
        let lost: Vec<_> = self.waiting.iter().filter_map(|address| registry.large.remove(address)).collect();
        self.store.note_struck(&registry);
        drop(registry);
        drop(lost);
    }
}
