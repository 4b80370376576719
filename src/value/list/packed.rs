//! The packed form: the number of elements in two bytes, little endian, then their entries.

use crate::value::listpack::{self, split_first, split_last};

/// The bytes before the entries.
const HEAD: usize = 2;

/// The number of elements of a packed list. O(1)
#[inline]
#[must_use]
pub fn packed_count(packed: &[u8]) -> usize {
    packed.first_chunk().map_or(0, |head| usize::from(u16::from_le_bytes(*head)))
}

/// The entries of a packed list.
#[inline]
#[must_use]
pub fn packed_entries(packed: &[u8]) -> &[u8] {
    packed.get(HEAD..).unwrap_or_default()
}

/// Writes the number of elements, which the limits of the form keep below 65,536.
pub fn put_count(packed: &mut [u8], count: usize) {
    debug_assert!(u16::try_from(count).is_ok());
    if let Some(head) = packed.first_chunk_mut() {
        *head = (count as u16).to_le_bytes();
    }
}

/// Makes a packed list of `count` entries.
#[must_use]
pub fn packed_of(entries: &[u8], count: usize) -> Vec<u8> {
    let mut packed = vec![0; HEAD];
    put_count(&mut packed, count);
    packed.extend_from_slice(entries);
    packed
}

/// The offset of an element's entry in a packed list, found from the nearer end; the end of the list for the number of
/// elements. O(elements)
#[must_use]
pub fn packed_offset(packed: &[u8], index: usize) -> usize {
    HEAD + offset_in(packed_entries(packed), packed_count(packed), index)
}

/// The same for bare entries, whose number is `count`.
pub(super) fn offset_in(entries: &[u8], count: usize, index: usize) -> usize {
    if index <= count / 2 {
        let mut at = 0;
        for _ in 0..index {
            at += split_first(entries.get(at..).unwrap_or_default()).map_or(0, |(_, size)| size);
        }
        return at;
    }
    let mut at = entries.len();
    for _ in index..count {
        at -= split_last(entries.get(..at).unwrap_or_default()).map_or(0, |(_, size)| size);
    }
    at
}

/// The size of an element's entry.
#[must_use]
pub fn encoded_len(element: &[u8]) -> usize {
    listpack::bytes_size(element)
}

/// The entries of some elements, one after the other.
#[must_use]
pub fn encode_all<'a>(elements: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let mut entries = Vec::with_capacity(elements.clone().map(encoded_len).sum());
    elements.for_each(|element| encode_next(&mut entries, element));
    entries
}

/// Appends the entry of an element.
pub fn encode_next(entries: &mut Vec<u8>, element: &[u8]) {
    listpack::push_bytes(entries, element);
}
