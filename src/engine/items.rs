//! Items within a transaction. All changes of items go through here, so that what a table counts is exact.

use super::{Engine, Table, Tx};
use crate::effect::Effect;
use crate::item::{Item, ItemKeys, ItemRef, KeyBytes};
use crate::store::Mode;
use crate::store::collection::ItemsRef;
use std::sync::atomic::Ordering::Relaxed;

impl Tx<'_> {
    /// The items of one partition key, expired ones included; notes the access.
    #[inline]
    pub fn items(&self, table: &Table, partition: &[u8]) -> Option<ItemsRef<'_>> {
        self.partition(table.id, partition)?.value().items()
    }

    /// The item with these keys, if it is there and has not expired.
    #[inline]
    pub fn item(&self, table: &Table, keys: &ItemKeys) -> Option<ItemRef<'_>> {
        let item = ItemRef::from_bytes_unchecked(self.items(table, &keys.pk)?.get(&keys.sk)?);
        (!table.expired(&item, self.now())).then_some(item)
    }

    /// Puts an item in place of the one with its keys.
    pub fn put_item(&mut self, table: &Table, keys: &ItemKeys, item: &Item) {
        self.put_bytes(table, keys, item.as_bytes());
    }

    pub(super) fn put_bytes(&mut self, table: &Table, keys: &ItemKeys, item: &[u8]) {
        let before = self.stored_size(table, keys);
        self.apply(Effect::ItemPut { table: table.id, partition: &keys.pk, sort: &keys.sk, item });
        let item = ItemRef::from_bytes_unchecked(item);
        table.counts.add(i64::from(before.is_none()), item.size() as i64 - before.unwrap_or(0));
        if let Some(at) = table.deadline(&item, self.now()) {
            let hash = self.hash(&keys.pk);
            self.locked_mut().note_item_deadline(table.id, &keys.pk, hash, &keys.sk, at);
        }
    }

    /// Removes the item with these keys, expired or not; returns whether there was one.
    pub fn delete_item(&mut self, table: &Table, keys: &ItemKeys) -> bool {
        let Some(before) = self.stored_size(table, keys) else { return false };
        self.apply(Effect::ItemDelete { table: table.id, partition: &keys.pk, sort: &keys.sk });
        table.counts.add(-1, -before);
        true
    }

    fn stored_size(&self, table: &Table, keys: &ItemKeys) -> Option<i64> {
        let item = self.items(table, &keys.pk)?.get(&keys.sk)?;
        Some(ItemRef::from_bytes_unchecked(item).size() as i64)
    }
}

impl Engine {
    /// Removes items of a partition that have expired, at most `limit`; returns whether there may be more.
    pub(super) fn expire_items(&self, tx: &mut Tx<'_>, space: u32, partition: &[u8], limit: usize) -> bool {
        let Some(table) = self.tables.by_id(space) else { return false };
        let (now, hash) = (tx.now(), tx.hash(partition));
        let deadline_of = |item: &[u8]| table.deadline(&ItemRef::from_bytes_unchecked(item), now);
        let due = tx.locked_mut().expired_items(space, partition, hash, limit, &deadline_of);
        for sort in &due {
            let keys = ItemKeys { pk: KeyBytes::from_slice(partition), sk: KeyBytes::from_slice(sort) };
            tx.delete_item(&table, &keys);
        }
        self.store.expired_items.fetch_add(due.len() as u64, Relaxed);
        due.len() == limit
    }

    /// Works out afresh when the items of a table expire, shard by shard.
    pub(super) fn retime(&self, table: &Table) {
        let now = self.clock.now_ms();
        let deadline_of = |item: &[u8]| table.deadline(&ItemRef::from_bytes_unchecked(item), now);
        for shard in 0..self.store.shard_count() {
            self.store.lock_shard(shard, Mode::Write, now).retime_items(shard, table.id, &deadline_of);
        }
    }

    /// Follows changes of TTL attributes: done in the background, and callable by tests that own time.
    pub fn follow_tables(&self) {
        for table in self.tables.take_retimed() {
            self.retime(&table);
        }
    }
}
