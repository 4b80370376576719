//! Notes the copies that share parts with their originals, see [`crate::store::copies`].

use crate::store::copies::CopySpot;
use crate::store::place::Place;
use crate::store::{Entry, Holder, Mode, Patience, Store};

/// A copy of fewer bytes is given parts of its own at once.
const SMALL_BYTES: usize = if cfg!(test) { 512 } else { 64 << 10 };
/// Elements that are looked at to know what a copy takes.
const SAMPLES: usize = 512;

fn spot(place: Place<'_>) -> CopySpot {
    CopySpot { shard: place.shard, space: place.space, key: place.key.into() }
}

impl Store {
    /// The bytes that copies will take in addition to what is allocated, once they share nothing any more.
    #[inline]
    pub fn shared_bytes(&self) -> u64 {
        self.copies.bytes()
    }

    /// Takes note of a copy that is about to be put in a place. A small one is given parts of its own. The caller holds
    /// the shard exclusively.
    pub(super) fn note_copied(&self, to: Place<'_>, copy: &mut Entry) {
        let (Some(address), Some(object)) = (copy.object_address(), copy.object_mut()) else { return };
        if !object.shares_with_copies() {
            return;
        }
        let bytes = object.memory(SAMPLES);
        if bytes >= SMALL_BYTES {
            return self.copies.add(address, spot(to), bytes as u64);
        }
        let mut next = Some(0);
        while let Some(from) = next {
            next = object.own(from).next;
        }
    }

    /// Takes note that a twin of an entry is in its place, while the entry itself may come back.
    pub(in crate::store) fn note_twin(&self, of: &Entry, twin: &Entry) {
        if let (false, Some(of), Some(twin)) =
            (self.copies.are_none(), of.object_address(), twin.object_address())
        {
            self.copies.add_twin(of, twin);
        }
    }

    /// Takes note that an entry is moved. The caller holds both shards exclusively.
    pub(in crate::store) fn note_copy_moved(&self, to: Place<'_>, entry: &Entry) {
        if let (false, Some(address)) = (self.copies.are_none(), entry.object_address()) {
            self.copies.follow(address, spot(to));
        }
    }

    /// Takes note that an entry has left the store.
    #[inline]
    pub(in crate::store) fn note_copy_gone(&self, entry: &Entry) {
        if let (false, Some(address)) = (self.copies.are_none(), entry.object_address()) {
            self.copies.forget(address);
        }
    }

    /// Gives a copy some parts of its own, under one hold of its shard; returns whether copies are left that share
    /// parts and whose shard is not lent. No lock is held by the caller.
    pub fn own_some(&self, now: u64) -> bool {
        let Some(address) = self.copies.any() else { return false };
        let Some((CopySpot { shard, .. }, _)) = self.copies.get(address) else { return true };
        let Ok(locked) = self.lock_shard_within(Patience::Short, shard, Mode::Write, now) else {
            return false;
        };
        let mut locked = locked.timed(Holder::Copying);
        let Some((CopySpot { space, key, .. }, next)) = self.copies.get(address) else { return true };
        let hash = Self::place(self.hash(&key), space);
        let found = locked.find(Place { shard, hash, space, db: None, key: &key });
        let object =
            found.filter(|entry| entry.object_address() == Some(address)).and_then(Entry::object_mut);
        self.copies.note_step(address, shard, object.map(|object| object.own(next)));
        !self.copies.are_none()
    }
}
