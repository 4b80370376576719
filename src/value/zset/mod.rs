//! Sorted sets: the packed form, which is part of an entry, the large form above the thresholds, and one view of both.
//!
//! Members are ordered by score and then by their bytes. A score is never NaN, and the two zeros are equal.

mod big;
mod cut;
mod index;
mod leaf;
mod leaves;
mod order;
mod packed;
#[cfg(test)]
mod tests;
mod view;

pub use big::{BigZset, ZsetInverse, ZsetSnapshot, ZsetWalk};
pub use cut::{Cut, compare};
pub use packed::{
    PackedZsetMember, check_packed, pack_all, pack_member, packed_find, packed_fits, packed_members,
};
pub use view::{ZsetMembers, ZsetRef};
