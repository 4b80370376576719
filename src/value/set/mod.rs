//! Redis sets: the compact forms, which are part of an entry (integers, and members one after the other), the indexed
//! form above the thresholds, and one view of all.

mod big;
mod ints;
mod members;
#[cfg(test)]
mod tests;
mod view;

pub use big::BigSet;
pub use ints::{Ints, empty_ints, fill_int};
pub use members::{MemberName, Members};
pub use view::{Member, PackedMember, SetRef, packed_member, packed_members};
