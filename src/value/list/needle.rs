//! An element that is searched for.

use crate::text::parse_i64_strict;
use crate::value::listpack::ListpackEntry;

/// A searched element in the form in which lists store elements, so that many can be compared with it.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a>(ListpackEntry<'a>);

impl<'a> Needle<'a> {
    /// The needle for these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(parse_i64_strict(bytes).map_or(ListpackEntry::Str(bytes), ListpackEntry::Int))
    }

    /// Whether an element equals the needle.
    #[inline]
    #[must_use]
    pub fn is(&self, element: ListpackEntry<'_>) -> bool {
        self.0 == element
    }
}
