//! Secondary indexes: what a change of an item does to their entries.
//!
//! The entries of an index are items in a space of their own (`item/index.rs` draws them). They change by the same
//! effects, in the same record and under the same locks as the item. So the log, checkpoints and undoing know nothing
//! of indexes, and replay derives nothing.
//!
//! The entries of local indexes are in the item's own shard. Those of global indexes are in other shards, which are
//! locked when the change is worked out, before any of it happens. The transaction does not wait for them, because
//! other threads may wait for the shards that it holds. If it cannot have them it is undone and run again, see
//! [`super::Reach`].

use super::aside::IndexWrite;
use super::table::{Index, Table};
use super::{Engine, Tx};
use crate::effect::{EffectError, ItemChange, Structural};
use crate::item::{ItemKeys, ItemRef, entry_item};
use smallvec::SmallVec;

/// The change of an item's entry in one index.
struct Change {
    /// The index's number in its table.
    at: usize,
    old: Option<ItemKeys>,
    new: Option<ItemKeys>,
    /// Where the new entry's bytes begin and end.
    bytes: (usize, usize),
}

/// The changes of an item's entries in all indexes of its table.
#[derive(Default)]
pub(super) struct Changes {
    list: SmallVec<[Change; 4]>,
    bytes: Vec<u8>,
}

impl Changes {
    /// Works out how the change of an item from `old` to `new` changes its entries.
    fn of(table: &Table, keys: &ItemKeys, old: Option<ItemRef<'_>>, new: Option<ItemRef<'_>>) -> Self {
        let mut changes = Self::default();
        let mut scratch = Vec::new();
        for (at, index) in table.indexes.iter().enumerate() {
            let (schema, own) = (&index.schema, &table.schema.keys);
            let change = Change {
                at,
                old: old.and_then(|old| schema.possible_entry_keys(own, keys, &old)),
                new: new.and_then(|new| schema.entry_keys(own, keys, &new)),
                bytes: (changes.bytes.len(), changes.bytes.len()),
            };
            if change.old.is_none() && change.new.is_none() {
                continue;
            }
            changes.list.push(change);
            let Some(change) = changes.list.last_mut() else { continue };
            let (Some(new), Some(_)) = (new, &change.new) else { continue };
            put_entry(table, index, new, &mut changes.bytes);
            change.bytes.1 = changes.bytes.len();
            if let Some(old) = old.filter(|_| change.old == change.new) {
                scratch.clear();
                put_entry(table, index, old, &mut scratch);
                if changes.bytes[change.bytes.0..] == scratch[..] {
                    changes.bytes.truncate(change.bytes.0);
                    changes.list.pop();
                }
            }
        }
        changes
    }

    /// The partitions of the index whose shards are needed.
    fn partitions(&self) -> impl Iterator<Item = &[u8]> {
        self.list
            .iter()
            .flat_map(|change| change.old.iter().chain(&change.new))
            .map(|keys| keys.pk.as_slice())
    }
}

fn put_entry(table: &Table, index: &Index, item: ItemRef<'_>, out: &mut Vec<u8>) {
    index.schema.put_entry(&table.schema.keys, item, table.expiry(&item).unwrap_or(0), out);
}

impl Tx<'_> {
    /// Works out how a change of an item changes its entries, and locks their shards; `None` if one cannot be had now.
    pub(super) fn reach_indexes(
        &mut self,
        table: &Table,
        keys: &ItemKeys,
        new: Option<&[u8]>,
    ) -> Option<Changes> {
        let items = self.locked.peek(table.id, &keys.pk, self.hash(&keys.pk));
        let old = items.and_then(|entry| entry.value().items()?.get(&keys.sk));
        let item = |bytes| ItemRef::from_bytes_unchecked(bytes);
        let changes = Changes::of(table, keys, old.map(item), new.map(item));
        self.extend_to(&changes).then_some(changes)
    }

    fn extend_to(&mut self, changes: &Changes) -> bool {
        let mut all = true;
        for partition in changes.partitions() {
            all &= self.extend(self.engine.store.hash(partition));
        }
        if !all {
            self.lacks(changes.partitions().map(|partition| self.engine.store.hash(partition)).collect());
        }
        all
    }

    /// Carries out the changes that were worked out for a table's indexes.
    pub(super) fn change_indexes(&mut self, table: &Table, changes: &Changes) {
        for change in &changes.list {
            let Some(index) = table.indexes.get(change.at) else { continue };
            let bytes = changes.bytes.get(change.bytes.0..change.bytes.1).unwrap_or_default();
            if let Some(old) = change.old.as_ref().filter(|old| change.new.as_ref() != Some(old)) {
                self.change_entry(index, old, None);
            }
            if let Some(new) = &change.new {
                self.change_entry(index, new, Some(bytes));
            }
        }
    }

    /// Puts or removes an entry. While the index is being filled, an entry to be removed may be missing.
    fn change_entry(&mut self, index: &Index, keys: &ItemKeys, bytes: Option<&[u8]>) {
        let space = index.schema.space;
        let before = self.stored(space, keys).map(|entry| entry_item(entry).1.size());
        let after = bytes.map(|entry| entry_item(entry).1.size());
        let (partition, sort) = (keys.pk.as_slice(), keys.sk.as_slice());
        match bytes {
            Some(item) => self.apply(ItemChange::Put { sort, item }.on(space, partition)),
            None if before.is_some() => self.apply(ItemChange::Delete { sort }.on(space, partition)),
            None => return,
        }
        let [was, is] = [before, after].map(|size| (i64::from(size.is_some()), size.unwrap_or(0) as i64));
        index.counts.add(is.0 - was.0, is.1 - was.1);
        self.note_counts(space, is.0 - was.0, is.1 - was.1);
        self.aside
            .get_or_insert_default()
            .index_writes
            .push(IndexWrite { space, bytes: before.max(after).unwrap_or(0) });
    }

    /// Puts an item's entry into an index, unless the same entry is there. If the entry's shard cannot be had now,
    /// nothing changes, and the error is the hash of that shard.
    pub(super) fn enter(
        &mut self,
        table: &Table,
        index: &Index,
        keys: &ItemKeys,
        item: ItemRef<'_>,
    ) -> Result<(), u64> {
        let Some(entry) = index.schema.entry_keys(&table.schema.keys, keys, &item) else { return Ok(()) };
        let hash = self.engine.store.hash(&entry.pk);
        if !self.extend(hash) {
            return Err(hash);
        }
        let mut bytes = Vec::new();
        put_entry(table, index, item, &mut bytes);
        if self.stored(index.schema.space, &entry) != Some(bytes.as_slice()) {
            self.change_entry(index, &entry, Some(&bytes));
        }
        Ok(())
    }

    /// What changes of items have done to indexes since the last call.
    pub fn take_index_writes(&mut self) -> Vec<IndexWrite> {
        self.aside.as_mut().map(|aside| std::mem::take(&mut aside.index_writes)).unwrap_or_default()
    }
}

impl Engine {
    /// Applies the creation, change or removal of a table with its indexes' spaces, or of a library of functions. The
    /// caller holds all shards exclusively, or is recovery.
    pub(super) fn change_definitions(&self, change: &Structural<'_>) -> Result<(), EffectError> {
        self.libraries.apply(change);
        let gone = self.tables.apply(change)?;
        gone.into_iter().for_each(|space| self.store.give_up_partitions(space));
        if let Structural::TablePut { table, .. } = *change {
            let table = self.tables.by_id(table);
            let indexes = table.iter().flat_map(|table| &table.indexes);
            indexes.for_each(|index| self.store.note_space(index.schema.space));
        }
        Ok(())
    }
}
