//! Redis hashes: the packed form that lives inside an entry, the indexed form above the thresholds, and one view of
//! both.
//!
//! A field may have a deadline of its own. Both forms keep expired fields until they are removed by an effect; the view
//! shows live fields only, so that an expired field is gone for every reader at its millisecond.

mod big;
mod field;
mod packed;
mod part;
#[cfg(test)]
mod tests;
mod view;

pub use big::BigHash;
pub use field::FieldRef;
pub use packed::{
    PackedField, PackedFields, pack_field, packed_deadline, packed_fields, packed_find, packed_fits,
    same_name,
};
pub use part::{Field, HashPart};
pub use view::HashRef;

/// Whether a deadline (0 for none) has passed.
#[inline]
pub fn passed(expire: u64, now: u64) -> bool {
    expire != 0 && expire <= now
}
