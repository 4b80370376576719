//! How many bytes structures of the standard library take on the heap, in the allocator's size classes.

use crate::env::memory::class_bytes;

/// The bytes of an allocation of `size` bytes; nothing is allocated for none.
pub fn block(size: usize) -> usize {
    if size == 0 { 0 } else { class_bytes(size) }
}

/// The bytes of a `BTreeMap` or `BTreeSet` of `len` elements that came in ascending order, as identifiers, deadlines
/// and positions mostly do. Of another order it takes up to a fifth less.
pub const fn btree<K, V>(len: usize) -> usize {
    /// Elements of a full node.
    const FULL: usize = 11;
    /// Elements by which a tree grows until there is one more node: a node that is split at its end keeps six, and one
    /// goes up.
    const A_NODE: usize = 7;
    const fn nodes(elements: usize) -> usize {
        1 + elements.saturating_sub(FULL).div_ceil(A_NODE)
    }
    if len == 0 {
        return 0;
    }
    let parent = size_of::<usize>() + 2 * size_of::<u16>();
    let leaf = (FULL * (size_of::<K>() + size_of::<V>()) + parent).next_multiple_of(align_of::<usize>());
    let inner = leaf + (FULL + 1) * size_of::<usize>();
    let mut row = nodes(len);
    let mut bytes = row * class_bytes(leaf);
    while row > 1 {
        // What stands between the nodes of a row stands in those of the row above.
        row = nodes(row - 1);
        bytes += row * class_bytes(inner);
    }
    bytes
}
