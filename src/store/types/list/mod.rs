//! Effects on lists. A packed list is changed in place. It becomes a large one when it exceeds its limits, and a packed
//! one again when it is far below them, as in Redis.
//!
//! A large list shares its nodes with copies of it. The reader of an image and the undo record each have a copy, so
//! changes of the list keep nothing for them.

mod image;
#[cfg(test)]
mod tests;

pub(in crate::store) use image::{ListReading, list_effects};

use crate::effect::{List, ListChange, Runs};
use crate::store::entry::{Entry, Kind, Parts};
use crate::store::object::Object;
use crate::store::place::Place;
use crate::store::{Locked, ValueRef};
use crate::value::list::{
    BigList, ListLimits, Removed, RemovedRun, encode_all, keep, packed_count, packed_entries, packed_of,
    packed_offset, put_count,
};
use std::sync::atomic::Ordering::Relaxed;

/// The most bytes of a packed list's entries, whatever the limits are: the limits do not count an element's overhead.
pub const MOST_PACKED: usize = 1 << 16;

impl Locked<'_> {
    /// Applies a change of a list. Returns how many elements were removed.
    pub(in crate::store) fn list(&mut self, place: Place<'_>, change: &ListChange<'_>) -> usize {
        let limits = ListLimits::of_option(self.store.thresholds.list_size.load(Relaxed).into());
        if let ListChange::Put { payload, expire } = *change {
            self.list_put(place, payload, expire, limits);
            return 0;
        }
        // Undoing restores a copy of the list, which is recorded here.
        self.records_within(place);
        match *change {
            ListChange::Put { .. } => {}
            ListChange::Push { front, values } => self.list_push(place, front, values, limits),
            ListChange::Set { at, value } => self.list_edit(place, at, 1, value, limits),
            ListChange::Insert { at, value } => self.list_edit(place, at, 0, value, limits),
            ListChange::Pop { front, count } => {
                let len =
                    self.look(place).and_then(|entry| entry.value().list()).map_or(0, |list| list.len());
                let removed = count.min(len);
                let passed = if front { 0 } else { len - removed };
                return self.list_remove(place, Runs::Slice(&[RemovedRun { passed, removed }]), limits);
            }
            ListChange::Remove { runs } => return self.list_remove(place, runs, limits),
        }
        0
    }

    fn list_put(&mut self, place: Place<'_>, payload: &[u8], expire: Option<u64>, limits: ListLimits) {
        let big = BigList::from_entries(payload);
        if payload.len() <= MOST_PACKED && limits.allow(payload.len(), big.len()) {
            return self.put(place, Kind::List, expire, &packed_of(payload, big.len()));
        }
        let (object, clock) = (Box::new(Object::List(big)), self.clock_over(place));
        self.put_entry(place, Entry::boxed(place.space, place.key, expire, object, clock));
    }

    fn list_push(&mut self, place: Place<'_>, front: bool, values: List<'_>, limits: ListLimits) {
        if let Some(entry) = self.find(place) {
            push(entry, front, values, limits);
        } else {
            let (space, key, clock) = (place.space, place.key, self.store.fresh_clock(self.now));
            let parts = Parts { space, key, expire: None, kind: Kind::List, payload: &packed_of(b"", 0) };
            let mut entry = Entry::new(&parts, clock);
            push(&mut entry, front, values, limits);
            self.insert(place, entry);
        }
        self.changed(place);
    }

    /// Replaces `remove` elements, one or none, by another element.
    fn list_edit(&mut self, place: Place<'_>, at: usize, remove: usize, value: &[u8], limits: ListLimits) {
        let Some(entry) = self.find(place) else { return };
        if entry.value().list().is_none_or(|list| at + remove > list.len()) {
            return;
        }
        edit(entry, at, remove, value, limits);
        if remove > 0 {
            make_packed(entry, limits);
        }
        self.changed(place);
    }

    /// Removes elements, and the list with its last one.
    fn list_remove(&mut self, place: Place<'_>, runs: Runs<'_>, limits: ListLimits) -> usize {
        let Some(entry) = self.find(place) else { return 0 };
        let Some(before) = entry.value().list().map(|list| list.len()) else { return 0 };
        let removed = runs.removed();
        let reached = runs.iter().map(|run| run.passed).sum::<usize>() + removed;
        if removed == 0 || reached > before {
            return 0;
        }
        if removed == before {
            self.delete(place);
            return removed;
        }
        if let Some(Object::List(list)) = entry.object_mut() {
            let gone = list.remove_runs(runs.iter());
            make_packed(entry, limits);
            self.free_nodes(place, gone);
        } else {
            remove_packed(entry, runs);
        }
        self.changed(place);
        removed
    }

    /// Frees nodes of a list. If they are many, the background frees them, as it does removed values.
    fn free_nodes(&mut self, place: Place<'_>, gone: Removed) {
        if gone.is_large() {
            let object = Box::new(Object::List(BigList::of_removed(gone)));
            self.discard(place.shard, Entry::boxed(place.space, place.key, None, object, 0));
        }
    }
}

fn push(entry: &mut Entry, front: bool, values: List<'_>, limits: ListLimits) {
    if let ValueRef::List(packed) = entry.value() {
        let (bytes, count) = (packed_entries(packed).len(), packed_count(packed) + values.len());
        let lengths = values.iter().map(<[u8]>::len).sum::<usize>();
        if limits.allow(bytes.saturating_add(lengths), count) {
            let entries = if front {
                let mut slices: Vec<&[u8]> = values.iter().collect();
                slices.reverse();
                encode_all(slices.iter().copied())
            } else {
                encode_all(values.iter())
            };
            if bytes + entries.len() <= MOST_PACKED {
                let at = packed.len() - if front { bytes } else { 0 };
                entry.splice(at, 0, entries.len()).copy_from_slice(&entries);
                put_count(entry.payload_mut(), count);
                return;
            }
        }
        make_big(entry);
    }
    if let Some(Object::List(list)) = entry.object_mut() {
        values.iter().for_each(|value| list.push(front, value));
    }
}

fn edit(entry: &mut Entry, at: usize, remove: usize, value: &[u8], limits: ListLimits) {
    if let ValueRef::List(packed) = entry.value() {
        let (bytes, count) = (packed_entries(packed).len(), packed_count(packed));
        let encoded = encode_all(std::iter::once(value));
        // As in Redis, the element that is replaced counts too.
        let fits = limits.allow(bytes.saturating_add(value.len()), count + 1);
        if fits && bytes + encoded.len() <= MOST_PACKED {
            let (from, to) = (packed_offset(packed, at), packed_offset(packed, at + remove));
            entry.splice(from, to - from, encoded.len()).copy_from_slice(&encoded);
            put_count(entry.payload_mut(), count + 1 - remove);
            return;
        }
        make_big(entry);
    }
    if let Some(Object::List(list)) = entry.object_mut() {
        if remove > 0 { list.set(at, value) } else { list.insert(at, value) }
    }
}

/// Removes some elements of a packed list, which are not all that it has.
fn remove_packed(entry: &mut Entry, runs: Runs<'_>) {
    let ValueRef::List(packed) = entry.value() else { return };
    let count = packed_count(packed);
    let mut each = runs.iter();
    if let (Some(RemovedRun { passed, removed }), None) = (each.next(), each.next()) {
        let (from, to) = (packed_offset(packed, passed), packed_offset(packed, passed + removed));
        put_count(entry.payload_mut(), count - removed);
        entry.splice(from, to - from, 0);
        return;
    }
    let (mut entries, mut left) = (Vec::with_capacity(packed.len()), 0);
    keep(runs.iter())(packed_entries(packed), count, &mut |some, number| {
        entries.extend_from_slice(some);
        left += number;
    });
    let expire = entry.expire();
    entry.replace(Kind::List, expire, &packed_of(&entries, left));
}

fn make_big(entry: &mut Entry) {
    let ValueRef::List(packed) = entry.value() else { return };
    let big = Box::new(Object::List(BigList::from_entries(packed_entries(packed))));
    *entry = Entry::boxed(entry.space(), entry.key(), entry.expire(), big, entry.clock());
}

/// Converts a large list that has become small to the packed form.
fn make_packed(entry: &mut Entry, limits: ListLimits) {
    let ValueRef::Boxed(Object::List(list)) = entry.value() else { return };
    let Some(entries) = list.only_leaf().filter(|entries| limits.allow_again(entries.len(), list.len()))
    else {
        return;
    };
    let (packed, expire) = (packed_of(entries, list.len()), entry.expire());
    entry.replace(Kind::List, expire, &packed);
}
