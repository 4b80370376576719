//! An item collection: all items of one partition key, ordered by their encoded sort key.
//!
//! Small collections are packed into the entry's block as `(varint length, sort key, varint length, item)` in order
//! (`packed`); larger ones are a tree of such packed chunks (`tree`). [`ItemsRef`] reads both alike.

mod packed;
mod range;
#[cfg(test)]
mod tests;
mod tree;

pub use packed::{PackedItem, pack_item, pack_item_into, packed_find, packed_items, packed_len};
pub use range::{Items, ItemsRef};
pub(in crate::store) use tree::Separator;
pub use tree::{Collection, DeadlineOf, ItemInverse, sort_out};
