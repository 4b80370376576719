//! Prefetching what lookups will read, so that the cache misses of many keys overlap. It is only a hint.

use super::raw_table::{self, Raw};
use super::{Locked, Object, Store, ValueRef};
use crate::env::prefetch::{prefetch, prefetch_to_write};
use crate::value::ElementHint;
use dashmap::RwLockReadGuard;
use smallvec::SmallVec;

/// How many lookups lie between prefetching a slot and prefetching the entry that it points to.
const AHEAD: usize = 8;

/// How many lookups are prefetched together.
const PREFETCH_GROUP: usize = 32;
/// The most keys of one command that are prefetched.
const MOST_PREFETCHED: usize = 1024;

/// The lookup of an element of the value at a key.
#[derive(Clone, Copy)]
pub struct ElementLookup<'a> {
    /// The key's hash.
    pub hash: u64,
    /// The key's space.
    pub space: u32,
    /// The key.
    pub key: &'a [u8],
    /// The element's name.
    pub element: &'a [u8],
}

impl Store {
    /// Stage one of a lookup that is known to come: prefetches the shard's lock and table header. The line is fetched
    /// for writing, because readers too write the lock.
    #[inline]
    pub fn prefetch_shard(&self, hash: u64) {
        let shard = self.shard_of(hash);
        let lock: *const dashmap::RwLock<Raw> = self.raw(shard);
        prefetch_to_write(lock);
        prefetch(self.sides[shard].positions.address_of(hash));
    }

    /// Stages two and three of lookups that are known to come, given as `(hash, space)`: prefetches the tables' control
    /// bytes and slots, and some lookups later, when those have arrived, the entries' blocks. It skips a shard that a
    /// writer has or waits for, and holds the others for the time of a few lookups.
    #[inline]
    pub fn prefetch(&self, lookups: impl Iterator<Item = (u64, u32)>) {
        let mut ahead: [Option<(RwLockReadGuard<'_, Raw>, u64)>; AHEAD] = [const { None }; AHEAD];
        let mut at = 0;
        for (hash, space) in lookups {
            let place = Self::place(hash, space);
            let shard = self.shard_of(hash);
            let next = self.sides[shard].gate.try_read(self.raw(shard));
            if let Some(guard) = &next {
                raw_table::prefetch_group(guard, place);
            }
            if let Some((guard, place)) = std::mem::replace(&mut ahead[at], next.map(|guard| (guard, place)))
            {
                raw_table::prefetch_entry(&guard, place);
            }
            at = (at + 1) % AHEAD;
        }
        for (guard, place) in ahead.into_iter().flatten() {
            raw_table::prefetch_entry(&guard, place);
        }
    }
}

/// Stages four and five, for elements of large values.
impl Store {
    /// Prefetches elements that will be looked up, where the shard's lock can be had at once. If the first one is not
    /// in a large value, the others are left out too, so that a group of lookups in small values costs one lookup more.
    /// The shards are held for the time of a few lookups.
    pub fn prefetch_elements<'a>(&self, lookups: impl Iterator<Item = ElementLookup<'a>>) {
        // The values in turn, and the elements that are looked up in each. A batch often has one value.
        let mut held: SmallVec<[(RwLockReadGuard<'_, Raw>, ElementLookup<'a>); 4]> = SmallVec::new();
        let mut elements: SmallVec<[(usize, &[u8]); PREFETCH_GROUP]> = SmallVec::new();
        for lookup in lookups {
            if !held.last().is_some_and(|(_, last)| last.is_of_same_value(&lookup)) {
                let shard = self.shard_of(lookup.hash);
                // The value of a closed shard may be half changed.
                if self.is_closed(shard) {
                    continue;
                }
                let Some(guard) = self.sides[shard].gate.try_read(self.raw(shard)) else { continue };
                if held.is_empty() && object_of(&guard, &lookup).is_none_or(Object::is_near) {
                    return;
                }
                held.push((guard, lookup));
            }
            elements.push((held.len() - 1, lookup.element));
        }
        let objects: SmallVec<[Option<&Object>; 4]> =
            held.iter().map(|(guard, lookup)| object_of(guard, lookup)).collect();
        let mut hints: SmallVec<[(&Object, ElementHint); PREFETCH_GROUP]> = SmallVec::new();
        for (value, element) in elements {
            let Some(object) = objects[value] else { continue };
            hints.extend(object.foresee(element).map(|hint| (object, hint)));
        }
        hints.iter().for_each(|(object, hint)| object.prefetch(*hint));
    }
}

impl ElementLookup<'_> {
    fn is_of_same_value(&self, other: &Self) -> bool {
        (self.hash, self.space, self.key) == (other.hash, other.space, other.key)
    }
}

/// The large value that an element is looked up in, if it is in one.
fn object_of<'g>(guard: &'g RwLockReadGuard<'_, Raw>, lookup: &ElementLookup<'_>) -> Option<&'g Object> {
    let place = Store::place(lookup.hash, lookup.space);
    match raw_table::find(guard, place, lookup.space, lookup.key)?.value() {
        ValueRef::Boxed(object) => Some(object),
        _ => None,
    }
}

impl Locked<'_> {
    /// Prefetches the memory that lookups of these hashes in a space will read, so that the cache misses of many keys
    /// overlap. It is only a hint.
    pub fn prefetch(&self, hashes: &[u64], space: u32) {
        // With larger groups the first lines would leave the near cache before they are used.
        for group in hashes.get(..MOST_PREFETCHED).unwrap_or(hashes).chunks(PREFETCH_GROUP) {
            for hash in group {
                if let Some(table) = self.raw(self.store.shard_of(*hash)) {
                    raw_table::prefetch_group(table, Store::place(*hash, space));
                }
            }
            for hash in group {
                if let Some(table) = self.raw(self.store.shard_of(*hash)) {
                    raw_table::prefetch_entry(table, Store::place(*hash, space));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ElementLookup, Store};
    use crate::effect::{Effect, List, SetChange, StringChange};
    use crate::store::Mode;

    fn apply(store: &Store, effect: &Effect<'_>, key: &[u8]) {
        let hash = store.hash(key);
        store.lock_one(hash, Mode::Write, 0).apply(effect, hash);
    }

    /// A set in parts, a compact set and a string, each in another shard.
    fn filled() -> (Store, Vec<Vec<u8>>) {
        let store = Store::new(8, 1);
        let mut shards = Vec::new();
        let keys = (0..).map(|n: u32| n.to_string().into_bytes()).filter(|key| {
            let shard = store.shard_of(store.hash(key));
            let is_new = !shards.contains(&shard);
            shards.push(shard);
            is_new
        });
        let keys: Vec<Vec<u8>> = keys.take(3).collect();
        for (key, members) in keys.iter().zip([3000, 3]) {
            let names: Vec<Vec<u8>> = (0..members).map(|n| format!("member {n}").into_bytes()).collect();
            let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
            apply(&store, &SetChange::Add { members: List::Slices(&names) }.on(0, key), key);
        }
        apply(&store, &StringChange::Set { value: b"v", expire: None }.on(0, &keys[2]), &keys[2]);
        (store, keys)
    }

    fn prefetch(store: &Store, keys: &[&[u8]]) {
        for element in [&b"member 7"[..], b"none", b""] {
            let lookup = |key| ElementLookup { hash: store.hash(key), space: store.space(0), key, element };
            store.prefetch_elements(keys.iter().map(|key| lookup(key)));
        }
    }

    #[test]
    fn elements_are_prefetched_whatever_is_there_and_the_shards_are_free_afterwards() {
        let (store, keys) = filled();
        let [large, compact, text] = [0, 1, 2].map(|n| keys[n].as_slice());
        let missing = b"nothing is here".as_slice();
        for keys in
            [&[large; 32][..], &[large, compact, text, missing], &[text, large], &[missing, large], &[]]
        {
            prefetch(&store, keys);
            let _all = store.lock_all(Mode::Write, 0);
        }
    }

    #[test]
    fn prefetching_elements_neither_waits_for_a_shard_nor_looks_into_a_closed_one() {
        let (store, keys) = filled();
        let [large, compact, text] = [0, 1, 2].map(|n| keys[n].as_slice());
        {
            let _written = store.lock_one(store.hash(large), Mode::Write, 0);
            prefetch(&store, &[large, compact, large, text]);
        }
        store.lock_one(store.hash(large), Mode::Write, 0).close(store.hash(large));
        prefetch(&store, &[large, compact, large, text]);
    }
}
