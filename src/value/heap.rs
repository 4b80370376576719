//! How many bytes the standard library's structures take on the heap, in the allocator's size classes.

use crate::env::memory::{class_bytes, thread_bytes};
use std::fmt;
use std::ops::Deref;

/// The bytes of an allocation of `size` bytes; 0 for 0.
pub fn block(size: usize) -> usize {
    if size == 0 { 0 } else { class_bytes(size) }
}

/// The bytes of a hash table with room for so many elements. The table is at most 7/8 full. It has a power of two of
/// slots, a control byte for each slot, and one more group of control bytes.
pub fn table<T>(capacity: usize) -> usize {
    match capacity {
        0 => 0,
        _ => block((capacity * 8).div_ceil(7).next_power_of_two() * (size_of::<T>() + 1) + 16),
    }
}

/// The bytes of a `BTreeMap` of `len` elements that came in ascending order. In another order the tree takes up to a
/// fifth less. That matters little if the elements have much more on the heap; otherwise use [`Measured`], which is
/// exact.
pub const fn btree<K, V>(len: usize) -> usize {
    /// Elements of a full node.
    const FULL: usize = 11;
    /// How many elements a growing tree adds for each new node: a node that is split at its end keeps six, and one
    /// moves up.
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
        // The elements between the nodes of a row are in the nodes of the row above.
        row = nodes(row - 1);
        bytes += row * class_bytes(inner);
    }
    bytes
}

/// A tree of the standard library that measures the bytes of its nodes; how full nodes are depends on the order of
/// insertions and removals. It uses the allocator's count, so it reports 0 if
/// [`Allocator`](crate::env::memory::Allocator) is not the allocator.
pub struct Measured<T> {
    tree: T,
    bytes: i64,
}

impl<T> Measured<T> {
    /// The tree that `make` returns. What `make` allocates for the elements counts as the tree's.
    pub fn made(make: impl FnOnce() -> T) -> Self {
        let before = thread_bytes();
        let tree = make();
        Self { tree, bytes: thread_bytes() - before }
    }

    /// Changes the tree. The function must not allocate or free anything else, such as the elements that it adds or
    /// removes.
    #[inline]
    pub fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let before = thread_bytes();
        let result = change(&mut self.tree);
        self.bytes += thread_bytes() - before;
        result
    }

    /// The bytes of the tree's nodes.
    pub fn memory(&self) -> usize {
        self.bytes.max(0) as usize
    }
}

impl<T> Deref for Measured<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.tree
    }
}

impl<T: Default> Default for Measured<T> {
    fn default() -> Self {
        Self::made(T::default)
    }
}

impl<T: Clone> Clone for Measured<T> {
    fn clone(&self) -> Self {
        Self::made(|| self.tree.clone())
    }
}

impl<T: PartialEq> PartialEq for Measured<T> {
    fn eq(&self, other: &Self) -> bool {
        self.tree == other.tree
    }
}

impl<T: Eq> Eq for Measured<T> {}

impl<T: fmt::Debug> fmt::Debug for Measured<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

// Under miri the allocator does not count.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::{Measured, block, btree};
    use crate::env::memory::thread_bytes;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// The bytes that are freed when a value is dropped.
    fn given_back<T>(it: T) -> usize {
        let before = thread_bytes();
        drop(it);
        (before - thread_bytes()) as usize
    }

    #[test]
    fn a_block_is_what_the_allocator_gives() {
        for size in [0, 1, 8, 9, 100, 129, 5000] {
            assert_eq!(given_back(Vec::<u8>::with_capacity(size)), block(size), "{size}");
        }
    }

    #[test]
    fn a_tree_that_grew_in_order_takes_what_is_told() {
        for len in [0, 1, 11, 12, 100, 5000] {
            let tree: Vec<u64> = (0..len).collect();
            let mut map = BTreeMap::new();
            tree.into_iter().for_each(|n| map.extend([(n, [n; 3])]));
            let told = btree::<u64, [u64; 3]>(len as usize) as f64;
            let taken = given_back(map) as f64;
            assert!((taken * 0.99..=taken * 1.01).contains(&told), "{len}: {told} for {taken}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16),
        Remove(u16),
        /// Elements in their order, and how far they are apart.
        Ascending(u16, u16),
        Below(u16),
        Copy,
        Collect,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u16>().prop_map(Step::Insert),
            2 => any::<u16>().prop_map(Step::Remove),
            2 => (any::<u16>(), 1u16..50).prop_map(|(from, step)| Step::Ascending(from, step)),
            1 => any::<u16>().prop_map(Step::Below),
            1 => Just(Step::Copy),
            1 => Just(Step::Collect),
        ]
    }

    proptest! {
        #[test]
        fn a_measured_tree_knows_what_it_takes_in_any_order(steps in prop::collection::vec(step(), 1..60)) {
            let mut tree = Measured::<BTreeSet<(u64, usize)>>::default();
            let mut model = BTreeSet::new();
            for step in steps {
                let element = |n: u16| (u64::from(n), usize::from(n));
                match step {
                    Step::Insert(n) => {
                        let new = tree.change(|tree| tree.insert(element(n)));
                        prop_assert_eq!(new, model.insert(element(n)));
                    }
                    Step::Remove(n) => {
                        let first = tree.range(element(n)..).next().copied();
                        prop_assert_eq!(first, model.range(element(n)..).next().copied());
                        first.map(|first| (tree.change(|tree| tree.remove(&first)), model.remove(&first)));
                    }
                    Step::Ascending(from, apart) => {
                        for n in (from..=u16::MAX).step_by(apart.into()).take(300) {
                            tree.change(|tree| tree.insert(element(n)));
                            model.insert(element(n));
                        }
                    }
                    Step::Below(n) => {
                        tree.change(|tree| *tree = tree.split_off(&element(n)));
                        model = model.split_off(&element(n));
                    }
                    Step::Copy => tree = tree.clone(),
                    Step::Collect => tree = Measured::made(|| tree.iter().copied().collect()),
                }
                prop_assert!(*tree == model);
            }
            let told = tree.memory();
            prop_assert_eq!(told, given_back(tree));
        }
    }
}
