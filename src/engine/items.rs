//! Items within a transaction. All changes of items go through here, so that what a table counts is exact.

use super::{Table, Tx};
use crate::effect::Effect;
use crate::item::{Item, ItemKeys, ItemRef};
use crate::store::collection::ItemsRef;

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
        let before = self.stored_size(table, keys);
        self.apply(Effect::ItemPut {
            table: table.id,
            partition: &keys.pk,
            sort: &keys.sk,
            item: item.as_bytes(),
        });
        let size = item.view().size() as i64;
        table.counts.add(i64::from(before.is_none()), size - before.unwrap_or(0));
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
