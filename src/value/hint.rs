//! Hints of where elements of large values probably are. A lookup that is known to come is made in two steps, many
//! lookups at a time, so that their cache misses overlap. Each step prefetches what the next one, and then the lookup
//! itself, will read.

/// Where an element probably is in a value.
#[derive(Clone, Copy)]
pub struct ElementHint {
    /// The part of the value.
    pub(super) part: usize,
    /// The position in the part, or the number of the leaf.
    pub(super) at: usize,
}
