//! Effects that build an item collection, and the reader of a large one.

use crate::effect::ItemChange;
use crate::store::collection::{Collection, ItemsRef};
use crate::store::reader::{PieceReader, ValueChange};
use crate::store::types::reading::{BYTES, PIECE, is_large};
use crate::store::{Entry, Object, ValueRef};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// How far a collection was read, in the order of sort keys.
#[derive(Default)]
pub(in crate::store) struct ItemsReading {
    /// All items up to and with this sort key were read.
    behind: Option<Box<[u8]>>,
    /// Items after it that have changed since the hold, as they were; `None` for an item that did not exist.
    before: BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
}

impl ItemsReading {
    /// `None` if the collection is small.
    pub(in crate::store) fn of(items: &Collection) -> Option<Self> {
        let sizes = ItemsRef::Big(items).iter().map(|(sort, item)| sort.len() + item.len());
        is_large(sizes).then(Self::default)
    }

    /// Keeps an item that is about to change.
    fn keep_item(&mut self, items: &Collection, sort: &[u8]) {
        let read = self.behind.as_deref().is_some_and(|behind| sort <= behind);
        if !read && !self.before.contains_key(sort) {
            self.before.insert(sort.into(), items.get(sort).map(Box::from));
        }
    }

    /// Reads the next piece. Returns whether it was the last.
    fn read_items(&mut self, items: &Collection, table: u32, partition: &[u8], out: &mut Vec<u8>) -> bool {
        let behind = self.behind.take();
        let low = behind.as_deref().map_or(Unbounded, Excluded);
        let mut now = ItemsRef::Big(items).range(low, Unbounded, false).peekable();
        let begin = out.len();
        for _ in 0..PIECE {
            if out.len() - begin >= BYTES {
                return false;
            }
            let mut put =
                |sort: &[u8], item: &[u8]| ItemChange::Put { sort, item }.on(table, partition).encode(out);
            let changed = self.before.first_key_value().map(|(sort, _)| &**sort);
            let present = now.peek().map(|(sort, _)| *sort);
            let changed_first = match (changed, present) {
                (None, None) => return true,
                (Some(changed), Some(present)) => changed <= present,
                (changed, _) => changed.is_some(),
            };
            if changed_first {
                now.next_if(|(sort, _)| Some(*sort) == changed);
                let Some((sort, item)) = self.before.pop_first() else { return true };
                item.iter().for_each(|item| put(&sort, item));
                self.behind = Some(sort);
            } else if let Some((sort, item)) = now.next() {
                put(sort, item);
                self.behind = Some(sort.into());
            }
        }
        false
    }
}

impl PieceReader for ItemsReading {
    fn keep(&mut self, value: ValueRef<'_>, change: ValueChange<'_, '_>) {
        if let (ValueRef::Boxed(Object::Items(items)), ValueChange::Item(change)) = (value, change) {
            self.keep_item(items, change.sort());
        }
    }

    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let ValueRef::Boxed(Object::Items(items)) = value else { return true };
        self.read_items(items, number, key, out)
    }
}

/// Appends the effects that build a partition's items from nothing.
pub fn item_effects(table: u32, entry: &Entry, out: &mut Vec<u8>) {
    let partition = entry.key();
    for (sort, item) in entry.value().items().into_iter().flat_map(ItemsRef::iter) {
        ItemChange::Put { sort, item }.on(table, partition).encode(out);
    }
}
