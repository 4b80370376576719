//! Redis sets: the forms that live inside an entry (integers, and members one behind the other), the indexed form above
//! the thresholds, and one view of all.

mod big;
mod ints;
mod members;
#[cfg(test)]
mod tests;
mod view;

pub use big::BigSet;
pub use ints::{Ints, empty_ints, fill_int};
pub use members::{Members, Name};
pub use view::{Member, PackedMember, SetRef, packed_member, packed_members};
