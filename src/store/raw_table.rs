//! One shard's table: the few operations that we need of the raw table inside DashMap.
#![allow(unsafe_code)]

use super::entry::Entry;
use crate::env::prefetch::prefetch;
use dashmap::SharedValue;
use hashbrown::raw::RawTable;

/// What DashMap keeps in a shard: the entry as the key, and a value of size zero.
pub(super) type Raw = RawTable<(Entry, SharedValue<()>)>;

/// The entry of a key. Its slot is prefetched before the control bytes have arrived. So a lookup that misses the cache
/// everywhere waits twice and not three times: for control bytes and slot together, then for the entry.
#[inline]
pub(super) fn find<'a>(table: &'a Raw, hash: u64, space: u32, key: &[u8]) -> Option<&'a Entry> {
    prefetch_group(table, hash);
    table.get(hash, |(e, _)| e.is(space, key)).map(|(e, _)| e)
}

/// As [`find`], for a change of the entry.
#[inline]
pub(super) fn find_mut<'a>(table: &'a mut Raw, hash: u64, space: u32, key: &[u8]) -> Option<&'a mut Entry> {
    prefetch_group(table, hash);
    table.get_mut(hash, |(e, _)| e.is(space, key)).map(|(e, _)| e)
}

/// The first entry with this hash for which `matches` is true.
pub(super) fn find_by(table: &Raw, hash: u64, matches: impl Fn(&Entry) -> bool) -> Option<&Entry> {
    table.get(hash, |(e, _)| matches(e)).map(|(e, _)| e)
}

/// As [`find_by`], for a change of the entry.
pub(super) fn find_by_mut(
    table: &mut Raw,
    hash: u64,
    matches: impl Fn(&Entry) -> bool,
) -> Option<&mut Entry> {
    table.get_mut(hash, |(e, _)| matches(e)).map(|(e, _)| e)
}

/// As [`find`], with the slot of the entry.
pub(super) fn find_slot<'a>(table: &'a Raw, hash: u64, space: u32, key: &[u8]) -> Option<(&'a Entry, usize)> {
    let bucket = table.find(hash, |(e, _)| e.is(space, key))?;
    // SAFETY: the bucket was just found in this table, so it is full.
    unsafe { Some((&bucket.as_ref().0, table.bucket_index(&bucket))) }
}

pub(super) fn remove(table: &mut Raw, hash: u64, space: u32, key: &[u8]) -> Option<Entry> {
    table.remove_entry(hash, |(e, _)| e.is(space, key)).map(|(e, _)| e)
}

/// Removes an entry, and returns it with the slot that it had.
pub(super) fn remove_from_slot(table: &mut Raw, hash: u64, space: u32, key: &[u8]) -> Option<(Entry, usize)> {
    let bucket = table.find(hash, |(e, _)| e.is(space, key))?;
    // SAFETY: the bucket was just found in this table, so it is full.
    unsafe {
        let index = table.bucket_index(&bucket);
        Some((table.remove(bucket).0.0, index))
    }
}

/// As [`insert`], for an entry that was removed; also returns the slot that it has now.
pub(super) fn put_back(
    table: &mut Raw,
    hash: u64,
    entry: Entry,
    hasher: impl Fn(&Entry) -> u64,
) -> (bool, usize) {
    let (grown, bucket) = match table.try_insert_no_grow(hash, (entry, SharedValue::new(()))) {
        Ok(bucket) => (false, bucket),
        Err(pair) => (true, table.insert(hash, pair, |(e, _)| hasher(e))),
    };
    // SAFETY: the bucket was just filled in this table.
    (grown, unsafe { table.bucket_index(&bucket) })
}

/// Inserts an entry whose key is not there. Returns whether the table was reorganised, so that slot numbers from before
/// are void.
pub(super) fn insert(table: &mut Raw, hash: u64, entry: Entry, hasher: impl Fn(&Entry) -> u64) -> bool {
    match table.try_insert_no_grow(hash, (entry, SharedValue::new(()))) {
        Ok(_) => false,
        Err(pair) => {
            // Growing asks every entry for its hash, which is in the entry's block. All blocks are prefetched, so that
            // the misses overlap.
            entries(table).for_each(|entry| prefetch(entry.address()));
            table.insert(hash, pair, |(e, _)| hasher(e));
            true
        }
    }
}

/// The entry in a slot, if the slot is taken. Slots are numbered from 0 to `table.buckets()`.
#[inline]
pub(super) fn slot(table: &Raw, index: usize) -> Option<&Entry> {
    if index >= table.buckets() {
        return None;
    }
    // SAFETY: the index is within the table, and a full bucket holds an initialised pair.
    unsafe { table.is_bucket_full(index).then(|| &table.bucket(index).as_ref().0) }
}

/// Walks all entries.
pub(super) fn entries(table: &Raw) -> impl Iterator<Item = &Entry> {
    (0..table.buckets()).filter_map(|i| slot(table, i))
}

/// Removes the entry in a slot.
pub(super) fn take_slot(table: &mut Raw, index: usize) -> Option<Entry> {
    if index >= table.buckets() {
        return None;
    }
    // SAFETY: the index is within the table, and the bucket is full when it is removed.
    unsafe { table.is_bucket_full(index).then(|| table.remove(table.bucket(index)).0.0) }
}

/// Prefetches the lines that a lookup of `hash` reads first: the control bytes of its group, and its home slot.
#[inline]
pub(super) fn prefetch_group(table: &Raw, hash: u64) {
    let home = hash as usize & (table.buckets() - 1);
    let control = table.data_end().as_ptr().cast::<u8>().cast_const();
    prefetch(control.wrapping_add(home));
    prefetch(control.wrapping_sub((home + 1) * size_of::<(Entry, SharedValue<()>)>()));
}

/// Prefetches the block of the first entry whose tag matches `hash`.
#[inline]
pub(super) fn prefetch_entry(table: &Raw, hash: u64) {
    if let Some((entry, _)) = table.get(hash, |_| true) {
        prefetch(entry.address());
        prefetch(entry.address().wrapping_add(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::{Kind, Parts};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Put(u16, u8),
        Change(u16, u8),
        Remove(u16),
        MoveToOther(u16),
        TakeSlot(usize),
        Replace(u16, Vec<u8>),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Keys meet often.
        let key = || 0u16..60;
        prop_oneof![
            6 => (key(), any::<u8>()).prop_map(|(key, byte)| Step::Put(key, byte)),
            2 => (key(), any::<u8>()).prop_map(|(key, byte)| Step::Change(key, byte)),
            2 => key().prop_map(Step::Remove),
            2 => key().prop_map(Step::MoveToOther),
            1 => any::<usize>().prop_map(Step::TakeSlot),
            1 => (key(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(key, v)| Step::Replace(key, v)),
        ]
    }

    /// Few hashes, so that entries of one hash stand beside each other.
    fn hash_of(key: &[u8]) -> u64 {
        u64::from(key[0] % 7).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn hasher(entry: &Entry) -> u64 {
        hash_of(entry.key())
    }

    fn entry(key: u16, byte: u8) -> Entry {
        let (name, payload) = (key.to_le_bytes(), [byte; 20]);
        if byte.is_multiple_of(4) {
            return Entry::far(1, &name, None, payload.to_vec(), 0);
        }
        Entry::new(&Parts { space: 1, key: &name, expire: None, kind: Kind::Str, payload: &payload }, 0)
    }

    fn bytes(entry: &Entry) -> Vec<u8> {
        match entry.value() {
            crate::store::ValueRef::Str(bytes) => bytes.to_vec(),
            _ => panic!("a string"),
        }
    }

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn check(table: &Raw, model: &Model) {
        let seen: Model = entries(table).map(|entry| (entry.key().to_vec(), bytes(entry))).collect();
        assert_eq!(&seen, model);
        assert_eq!(table.len(), model.len());
        assert!(slot(table, table.buckets()).is_none() && slot(table, usize::MAX).is_none());
    }

    proptest! {
        #[test]
        fn a_table_holds_what_a_map_holds(steps in prop::collection::vec(step(), 1..200)) {
            let mut tables = [Raw::new(), Raw::new()];
            let mut models = [Model::new(), Model::new()];
            for step in &steps {
                let [table, other] = &mut tables;
                let [model, other_model] = &mut models;
                let key = match step {
                    Step::Put(key, _) | Step::Change(key, _) | Step::Remove(key) => *key,
                    Step::MoveToOther(key) | Step::Replace(key, _) => *key,
                    Step::TakeSlot(_) => 0,
                };
                let name = key.to_le_bytes();
                let hash = hash_of(&name);
                match step {
                    Step::Put(_, byte) if !model.contains_key(&name[..]) => {
                        insert(table, hash, entry(key, *byte), hasher);
                        model.insert(name.to_vec(), vec![*byte; 20]);
                    }
                    Step::Put(..) => {}
                    Step::Change(_, byte) => {
                        let found = find_by_mut(table, hash, |entry| entry.is(1, &name));
                        prop_assert_eq!(found.is_some(), model.contains_key(&name[..]));
                        found.into_iter().for_each(|entry| entry.string_mut().fill(*byte));
                        model.get_mut(&name[..]).into_iter().for_each(|bytes| bytes.fill(*byte));
                    }
                    Step::Replace(_, value) => {
                        let found = find_mut(table, hash, 1, &name);
                        found.into_iter().for_each(|entry| entry.replace(Kind::Str, None, value));
                        model.get_mut(&name[..]).into_iter().for_each(|bytes| bytes.clone_from(value));
                    }
                    Step::Remove(_) => {
                        let gone = remove(table, hash, 1, &name).as_ref().map(bytes);
                        prop_assert_eq!(gone, model.remove(&name[..]));
                    }
                    Step::MoveToOther(_) => {
                        let Some((entry, from)) = remove_from_slot(table, hash, 1, &name) else { continue };
                        prop_assert!(slot(table, from).is_none());
                        remove(other, hash, 1, &name);
                        let (_, to) = put_back(other, hash, entry, hasher);
                        prop_assert!(slot(other, to).is_some_and(|entry| entry.is(1, &name)));
                        model.remove(&name[..]).map(|bytes| other_model.insert(name.to_vec(), bytes));
                    }
                    Step::TakeSlot(at) => {
                        let at = at % (table.buckets() + 1);
                        let there = slot(table, at).map(|entry| entry.key().to_vec());
                        let taken = take_slot(table, at);
                        prop_assert_eq!(taken.as_ref().map(|entry| entry.key().to_vec()), there);
                        taken.map(|entry| model.remove(entry.key()));
                    }
                }
                // Hints may name any hash.
                prefetch_group(table, hash);
                prefetch_entry(table, hash);
                check(table, model);
                check(other, other_model);
                prop_assert_eq!(find(table, hash, 1, &name).is_some(), find_by(table, hash, |e| e.is(1, &name)).is_some());
                prop_assert!(find(table, hash, 2, &name).is_none());
            }
        }
    }
}
