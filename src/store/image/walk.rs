//! The walk over a shard's entries, piece by piece, that shows them as they were when it began.
//!
//! The walk goes from slot to slot. A change of a key that the walk has not reached first has the key's entry read, and
//! the walk skips that key from then on. A change that would reorganise the shard's table, or that changes the owner of
//! a space, first has all entries read that are left. So no entry changes its slot or its owner during the walk.

use super::build::key_effects;
use crate::store::imaged::{Imaged, ImagedName, Owner, ShardWalk, Whereabouts};
use crate::store::raw_table::{self, Raw};
use crate::store::types::item::item_effects;
use crate::store::types::reader_of;
use crate::store::{Entry, Object, ValueRef};
use ahash::AHashMap;
use std::sync::Arc;

/// Entries of one piece, and slots for each of them; a few under test, so that there are always several pieces.
const ENTRIES: usize = if cfg!(test) { 4 } else { 1024 };
const SLOTS: usize = 8;
/// Bytes after which a piece ends: it has no more than these and one entry.
const BYTES: usize = 256 << 10;

impl ShardWalk {
    /// Reads the next piece: appends the effects that build its small values, and registers the others.
    pub(super) fn read(&mut self, raw: &Raw, large: &mut AHashMap<usize, Imaged>, out: &mut Vec<u8>) {
        if self.ended {
            // The table may have been reorganised since, so its slots may show entries that were read already.
            return;
        }
        let (mut entries, end) = (0, self.slot.saturating_add(ENTRIES * SLOTS).min(raw.buckets()));
        let most = out.len() + BYTES;
        while self.slot < end && entries < ENTRIES && out.len() < most {
            if let Some(entry) = raw_table::slot(raw, self.slot)
                && !self.passes_over(entry.space(), entry.key())
            {
                self.entry(entry, large, out);
                entries += 1;
            }
            self.slot += 1;
        }
        self.ended |= self.slot >= raw.buckets();
    }

    fn passes_over(&self, space: u32, key: &[u8]) -> bool {
        self.changed.get(&space).is_some_and(|keys| keys.contains(key))
    }

    fn entry(&mut self, entry: &Entry, large: &mut AHashMap<usize, Imaged>, out: &mut Vec<u8>) {
        let (space, key) = (entry.space(), entry.key());
        let Some(owner) = self.owners.0.get(&space).copied() else { return };
        let name = || Arc::new(ImagedName { owner, key: key.into(), expire: entry.expire() });
        let reading = reader_of(entry, owner.number());
        if let (Some(reading), Some(address)) = (reading, entry.object_address()) {
            let now = Whereabouts { shard: self.shard, space, key: key.into() };
            large.insert(address, Imaged { name: name(), now, reading, left: None });
            self.waiting.push(address);
        } else if let ValueRef::Boxed(Object::List(list)) = entry.value() {
            self.lists.push((name(), list.clone()));
        } else {
            match owner {
                Owner::Database(db) => key_effects(db, key, entry, out),
                Owner::Table(table) => item_effects(table, entry, out),
            }
        }
    }

    /// Reads what is under a key that is about to change, unless the walk has come to it or it has changed before.
    /// `found` is its entry and the slot.
    pub(super) fn before_change(
        &mut self,
        (space, key): (u32, &[u8]),
        found: Option<(&Entry, usize)>,
        large: &mut AHashMap<usize, Imaged>,
    ) {
        if self.ended || !self.changed.entry(space).or_default().insert(key.into()) {
            return;
        }
        if let Some((entry, slot)) = found
            && slot >= self.slot
        {
            let mut ahead = std::mem::take(&mut self.ahead);
            self.entry(entry, large, &mut ahead);
            self.ahead = ahead;
        }
    }

    /// Reads all that is left.
    pub(super) fn finish(&mut self, raw: &Raw, large: &mut AHashMap<usize, Imaged>) {
        let mut ahead = std::mem::take(&mut self.ahead);
        while !self.ended {
            self.read(raw, large, &mut ahead);
        }
        self.ahead = ahead;
    }

    /// Takes what was read ahead, and whether the walk has come to its end.
    pub(super) fn take_ahead(&mut self) -> (Vec<u8>, bool) {
        (std::mem::take(&mut self.ahead), self.ended)
    }
}
