//! One view of a list's forms.

use super::{Backward, BigList, Forward, packed_count, packed_entries};
use crate::value::listpack::ListpackEntry;

/// A list in any of its forms. It is never empty.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    /// Packed.
    Packed(&'a [u8]),
    /// A tree of nodes.
    Big(&'a BigList),
}

impl<'a> ListRef<'a> {
    /// The number of elements. O(1)
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match *self {
            Self::Packed(packed) => packed_count(packed),
            Self::Big(big) => big.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at a position. O(log n), in the packed form O(n).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<ListpackEntry<'a>> {
        self.iter_from(index).next()
    }

    /// The elements from a position to the end.
    #[must_use]
    pub fn iter_from(&self, index: usize) -> Forward<'a> {
        match *self {
            Self::Packed(packed) => Forward::packed(packed, index),
            Self::Big(big) => big.iter_from(index),
        }
    }

    /// The elements from a position back to the front; from the last element on if there is no such position.
    #[must_use]
    pub fn iter_back_from(&self, index: usize) -> Backward<'a> {
        match *self {
            Self::Packed(packed) => Backward::packed(packed, index),
            Self::Big(big) => big.iter_back_from(index),
        }
    }

    /// Calls `visit` with bare entries and their number, piece by piece from the front.
    pub fn each_piece(&self, visit: &mut dyn FnMut(&[u8], usize)) {
        match *self {
            Self::Packed(packed) => visit(packed_entries(packed), packed_count(packed)),
            Self::Big(big) => big.each_leaf_from(0, &mut |entries, count| {
                visit(entries, count);
                true
            }),
        }
    }

    /// Redis's name of the form.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Big(_) => "quicklist",
        }
    }
}
