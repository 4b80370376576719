//! Items within a transaction. Every change of an item goes through this file, so that the counts of its table are
//! exact, and its indexes and change stream have what they should.

use super::{Classes, Engine, Over, Table, Tx};
use crate::effect::ItemChange;
use crate::item::{Item, ItemKeys, ItemRef, KeyBytes};
use crate::store::collection::ItemsRef;
use crate::store::{Holder, Lent, Mode, Patience, RetimePlace};
use std::sync::atomic::Ordering::Relaxed;

/// By how much a change of an item changes the counts of its table.
#[derive(Clone, Copy, Default)]
pub struct Growth {
    /// The number of items.
    pub items: i64,
    /// Their size in bytes, by DynamoDB's rules.
    pub bytes: i64,
}

impl Growth {
    /// That of an item which is put in place of another one, expired or not, or of none.
    pub fn by_put(before: Option<ItemRef<'_>>, item: &Item) -> Self {
        let bytes = item.view().size() as i64 - before.map_or(0, |item| item.size() as i64);
        Self { items: i64::from(before.is_none()), bytes }
    }
}

impl Tx<'_> {
    /// The items of one partition key, expired ones included; notes the access.
    #[inline]
    pub fn items(&self, table: &Table, partition: &[u8]) -> Option<ItemsRef<'_>> {
        self.collection(table.id, partition)
    }

    /// What a table's or an index's space holds under one partition key, expired ones included; notes the access.
    #[inline]
    pub fn collection(&self, space: u32, partition: &[u8]) -> Option<ItemsRef<'_>> {
        self.partition(space, partition)?.value().items()
    }

    /// The item with these keys, if it is there, expired or not; notes the access.
    #[inline]
    pub fn stored_item(&self, table: &Table, keys: &ItemKeys) -> Option<ItemRef<'_>> {
        Some(ItemRef::from_bytes_unchecked(self.items(table, &keys.pk)?.get(&keys.sk)?))
    }

    /// The item with these keys, if it is there and has not expired; notes the access.
    #[inline]
    pub fn item(&self, table: &Table, keys: &ItemKeys) -> Option<ItemRef<'_>> {
        self.stored_item(table, keys).filter(|item| !table.expired(item, self.now()))
    }

    /// Puts an item, in place of the one with its keys if there is one.
    pub fn put_item(&mut self, table: &Table, keys: &ItemKeys, item: &Item) {
        let growth = Growth::by_put(self.stored_item(table, keys), item);
        self.put_item_over(table, keys, item, growth);
    }

    /// As [`Tx::put_item`], for callers that have looked at what is there.
    pub fn put_item_over(&mut self, table: &Table, keys: &ItemKeys, item: &Item, growth: Growth) {
        self.change_item(table, keys, Some(item.as_bytes()), growth);
    }

    /// Removes the item with these keys, expired or not.
    pub fn delete_item(&mut self, table: &Table, keys: &ItemKeys) {
        let before = self.stored_item(table, keys);
        let growth =
            before.map_or(Growth::default(), |item| Growth { items: -1, bytes: -(item.size() as i64) });
        self.change_item(table, keys, None, growth);
    }

    /// The one place where an item changes, with its entries in indexes and its record in the stream. Nothing changes
    /// if the transaction lacks shards for it, see [`Reach`].
    fn change_item(&mut self, table: &Table, keys: &ItemKeys, item: Option<&[u8]>, growth: Growth) {
        if self.lacks_shards() {
            return;
        }
        if table.indexes.is_empty() && table.schema.streams.is_empty() {
            return self.change_own(table, keys, item, growth);
        }
        let Some(changes) = self.reach_indexes(table, keys, item) else { return };
        let Some(records) = self.reach_stream(table, keys, item) else { return };
        self.change_own(table, keys, item, growth);
        self.change_indexes(table, &changes);
        self.append_records(table, &records);
    }

    /// Changes an item and the counts of its table.
    #[inline]
    fn change_own(&mut self, table: &Table, keys: &ItemKeys, item: Option<&[u8]>, growth: Growth) {
        if self.telling.looks() || self.is_heard(Classes::CHANGED) {
            self.tell_of_item(table, keys, item.is_some());
        }
        let (partition, sort) = (keys.pk.as_slice(), keys.sk.as_slice());
        let Growth { items, bytes } = growth;
        match item {
            Some(item) => self.apply(ItemChange::Put { sort, item }.on(table.id, partition)),
            None if items == 0 => return,
            None => self.apply(ItemChange::Delete { sort }.on(table.id, partition)),
        }
        table.counts.add(items, bytes);
        self.note_counts(table.id, items, bytes);
        let item = item.map(ItemRef::from_bytes_unchecked);
        if let Some(at) = item.and_then(|item| table.deadline(&item, self.now())) {
            let hash = self.hash(&keys.pk);
            self.locked_mut().note_item_deadline(table.id, &keys.pk, hash, &keys.sk, at);
        }
    }

    /// The bytes under some keys of a space, without noting an access.
    pub(super) fn stored(&self, space: u32, keys: &ItemKeys) -> Option<&[u8]> {
        let entry = self.locked.peek(space, &keys.pk, self.engine.store.hash(&keys.pk))?;
        entry.value().items()?.get(&keys.sk)
    }
}

impl Engine {
    /// Removes items of a partition that have expired, at most `limit`; returns whether there may be more.
    pub(super) fn expire_items(
        &self,
        tx: &mut Tx<'_>,
        table: &Table,
        partition: &[u8],
        limit: usize,
    ) -> bool {
        let (now, hash) = (tx.now(), tx.hash(partition));
        let deadline_of = |item: &[u8]| table.deadline(&ItemRef::from_bytes_unchecked(item), now);
        let due = tx.locked_mut().expired_items(table.id, partition, hash, limit, &deadline_of);
        for sort in &due {
            let keys = ItemKeys { pk: KeyBytes::from_slice(partition), sk: KeyBytes::from_slice(sort) };
            tx.delete_item(table, &keys);
        }
        if tx.lacks_shards() {
            // Items that were not removed are still due.
            due.iter()
                .for_each(|sort| tx.locked_mut().note_item_deadline(table.id, partition, hash, sort, now));
            return true;
        }
        self.store.expired_items.fetch_add(due.len() as u64, Relaxed);
        due.len() == limit
    }

    /// Removes expired items of a partition in a transaction of its own, for tables whose changes reach into other
    /// shards.
    pub(super) fn expire_afar(
        &self,
        table: &Table,
        partition: &[u8],
        limit: usize,
        record: &mut Vec<u8>,
    ) -> bool {
        let hash = self.store.hash(partition);
        let more = self.transact_over(Holder::Expiry, Over::Hashes(&[hash]), 0, record, |tx| {
            // Since the lookup the table may have been dropped, another may have its name, or its TTL attribute may be
            // another.
            let Some(table) = self.tables.by_id(table.id) else { return false };
            tx.expect_more_shards();
            self.expire_items(tx, &table, partition, limit)
        });
        more.unwrap_or(false)
    }

    /// Computes the deadlines of all items of a table again, shard by shard, and a shard in steps.
    ///
    /// # Errors
    /// A shard is lent, and was not waited for.
    pub(super) fn retime(&self, table: &Table) -> Result<(), Lent> {
        let now = self.clock.now_ms();
        let deadline_of = |item: &[u8]| table.deadline(&ItemRef::from_bytes_unchecked(item), now);
        (0..self.store.shard_count()).try_for_each(|shard| {
            let mut next = Some(RetimePlace::default());
            while let Some(from) = next {
                let locked = self.store.lock_shard_within(Patience::Short, shard, Mode::Write, now)?;
                next = locked.timed(Holder::Retiming).retime_items(shard, table.id, &from, &deadline_of);
            }
            Ok(())
        })
    }

    /// Computes deadlines again for tables whose TTL attribute has changed. The background calls it, and so do tests
    /// that own time.
    pub fn follow_tables(&self) {
        for table in self.tables.take_retimed() {
            if self.retime(&table).is_err() {
                // A script holds keys; the next round begins again.
                self.tables.retime_later(table.id);
            }
        }
    }
}
