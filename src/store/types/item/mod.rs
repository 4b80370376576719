//! Effects on item collections.

mod image;

pub(super) use image::ItemsReading;
pub use image::item_effects;

use crate::effect::ItemChange;
use crate::store::Locked;
use crate::store::ValueRef;
use crate::store::collection::{self, Collection, ItemInverse};
use crate::store::entry::{Entry, Kind, Parts};
use crate::store::object::Object;
use crate::store::place::Place;
use crate::store::reader::ValueChange;
use std::sync::atomic::Ordering::Relaxed;

/// Gives the deadline of an item of a space in ms since the epoch.
pub type DeadlineIn<'f> = &'f dyn Fn(u32, &[u8]) -> Option<u64>;

impl Locked<'_> {
    /// Applies a change of an item of a partition.
    pub(in crate::store) fn item(&mut self, place: Place<'_>, change: &ItemChange<'_>) {
        self.keep_for_image(place, ValueChange::Item(change));
        if self.records_within(place) {
            self.record_item(place, change.sort());
        }
        match *change {
            ItemChange::Put { sort, item } => self.item_put(place, sort, item),
            ItemChange::Delete { sort } => self.item_delete(place, sort),
        }
    }

    fn item_put(&mut self, place: Place<'_>, sort: &[u8], item: &[u8]) {
        let clock = self.store.fresh_clock(self.now);
        let limit = self.store.thresholds.items_bytes.load(Relaxed);
        if let Some(entry) = self.find(place) {
            put_item(entry, sort, item, limit);
        } else {
            let mut payload = Vec::with_capacity(sort.len() + item.len() + 10);
            collection::pack_item(sort, item, &mut payload);
            let parts = Parts {
                space: place.space,
                key: place.key,
                expire: None,
                kind: Kind::Items,
                payload: &payload,
            };
            self.insert(place, Entry::new(&parts, clock));
        }
        self.tell_of_item(place, sort);
    }

    fn item_delete(&mut self, place: Place<'_>, sort: &[u8]) {
        let Some(entry) = self.find(place) else { return };
        let empty = if let Some(Object::Items(items)) = entry.object_mut() {
            items.remove(sort);
            items.is_empty()
        } else {
            let ValueRef::Items(packed) = entry.value() else { return };
            let (start, end, _) = collection::packed_find(packed, sort);
            let all = end - start == packed.len();
            if !all {
                entry.splice(start, end - start, 0);
            }
            all
        };
        if empty {
            self.delete(place);
        }
        self.tell_of_item(place, sort);
    }

    /// Records an item that is about to change.
    fn record_item(&mut self, place: Place<'_>, sort: &[u8]) {
        let Some(Object::Items(items)) = self.find(place).and_then(Entry::object_mut) else { return };
        let inverse = items.undo_of(sort);
        self.record_within(place, inverse);
    }

    pub(super) fn take_item_back(
        &mut self,
        place: Place<'_>,
        inverse: &ItemInverse,
        deadline_of: DeadlineIn<'_>,
    ) {
        let Some(Object::Items(items)) = self.find(place).and_then(Entry::object_mut) else { return };
        items.revert(inverse);
        if let Some(at) = inverse.item.as_deref().and_then(|item| deadline_of(place.space, item)) {
            self.note_deadline_of_item(place, &inverse.sort, at);
        }
    }
}

fn put_item(entry: &mut Entry, sort: &[u8], item: &[u8], limit: usize) {
    if let Some(Object::Items(items)) = entry.object_mut() {
        items.put(sort, item);
        return;
    }
    let ValueRef::Items(packed) = entry.value() else { return };
    let (start, end, _) = collection::packed_find(packed, sort);
    let alone = end - start == packed.len();
    let need = collection::packed_len(sort, item);
    if !alone && packed.len() - (end - start) + need > limit {
        let mut items = Collection::from_packed(packed, entry.expire());
        items.put(sort, item);
        let big = Box::new(Object::Items(items));
        *entry = Entry::boxed(entry.space(), entry.key(), entry.expire(), big, entry.clock());
        return;
    }
    collection::pack_item_into(sort, item, entry.splice(start, end - start, need));
}
