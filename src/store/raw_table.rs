//! One shard's table: the few operations that we need of the raw table inside DashMap.
#![allow(unsafe_code)]

use super::entry::Entry;
use dashmap::SharedValue;
use hashbrown::raw::RawTable;

/// What DashMap keeps in a shard. The entry is the key; the value has no size.
pub(super) type Raw = RawTable<(Entry, SharedValue<()>)>;

#[inline]
pub(super) fn find<'a>(table: &'a Raw, hash: u64, space: u32, key: &[u8]) -> Option<&'a Entry> {
    table.get(hash, |(e, _)| e.is(space, key)).map(|(e, _)| e)
}

#[inline]
pub(super) fn find_mut<'a>(table: &'a mut Raw, hash: u64, space: u32, key: &[u8]) -> Option<&'a mut Entry> {
    table.get_mut(hash, |(e, _)| e.is(space, key)).map(|(e, _)| e)
}

/// The first entry with this hash that is the one.
pub(super) fn find_by(table: &Raw, hash: u64, matches: impl Fn(&Entry) -> bool) -> Option<&Entry> {
    table.get(hash, |(e, _)| matches(e)).map(|(e, _)| e)
}

/// As [`find_by`], to change the entry's value.
pub(super) fn find_by_mut(
    table: &mut Raw,
    hash: u64,
    matches: impl Fn(&Entry) -> bool,
) -> Option<&mut Entry> {
    table.get_mut(hash, |(e, _)| matches(e)).map(|(e, _)| e)
}

pub(super) fn remove(table: &mut Raw, hash: u64, space: u32, key: &[u8]) -> Option<Entry> {
    table.remove_entry(hash, |(e, _)| e.is(space, key)).map(|(e, _)| e)
}

/// Removes an entry; says in which slot it was.
pub(super) fn remove_from_slot(table: &mut Raw, hash: u64, space: u32, key: &[u8]) -> Option<(Entry, usize)> {
    let bucket = table.find(hash, |(e, _)| e.is(space, key))?;
    // SAFETY: the bucket was just found in this table, so it is full.
    unsafe {
        let index = table.bucket_index(&bucket);
        Some((table.remove(bucket).0.0, index))
    }
}

/// As [`insert`] for an entry that was removed; also says which slot it has now.
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

/// Inserts an entry whose key is not there. Returns whether the table was reorganised, which ends the validity of slot
/// numbers.
pub(super) fn insert(table: &mut Raw, hash: u64, entry: Entry, hasher: impl Fn(&Entry) -> u64) -> bool {
    match table.try_insert_no_grow(hash, (entry, SharedValue::new(()))) {
        Ok(_) => false,
        Err(pair) => {
            // Growing asks every entry for its hash, which is in its block: the misses overlap when all are asked for
            // first.
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

/// Asks the processor for a cache line. A hint only: it has no effect on what the program computes.
#[inline]
pub(super) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is allowed for any address, mapped or not.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for a cache line that will be written, so that it comes without being shared with other processors first. A
/// hint as [`prefetch`] is; a processor that does not know it does nothing.
#[inline]
pub(super) fn prefetch_to_write(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is allowed for any address, mapped or not, and changes nothing that a program can see.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    prefetch(address);
}

/// Asks for the lines that a lookup of `hash` reads first: the control bytes of its group and its home slot.
#[inline]
pub(super) fn prefetch_group(table: &Raw, hash: u64) {
    let home = hash as usize & (table.buckets() - 1);
    let control = table.data_end().as_ptr().cast::<u8>().cast_const();
    prefetch(control.wrapping_add(home));
    prefetch(control.wrapping_sub((home + 1) * size_of::<(Entry, SharedValue<()>)>()));
}

/// Asks for the block of the first entry whose tag matches `hash`.
#[inline]
pub(super) fn prefetch_entry(table: &Raw, hash: u64) {
    if let Some((entry, _)) = table.get(hash, |_| true) {
        prefetch(entry.address());
        prefetch(entry.address().wrapping_add(64));
    }
}
