//! Bit operations on strings. Bits are numbered from 0, the most significant bit of the first byte.

mod field;
mod op;
mod scan;

pub use field::{FieldOverflow, FieldType, parse_bit_offset, read_field, write_field};
pub use op::{BitOp, bitop};
pub use scan::{BitUnit, bitcount, bitpos};
