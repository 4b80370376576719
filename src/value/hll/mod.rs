//! HyperLogLogs: strings that estimate how many different elements were added to them, in Redis's bytes.
//!
//! ```text
//! "HYLL" | encoding u8: 0 dense, 1 sparse | 3 bytes not used | estimate u64 LE, its highest bit set where it is stale
//! dense: 16384 registers of 6 bits, from the lowest bit of the first byte on
//! sparse: runs of registers, see `sparse`
//! ```
//! An element's hash chooses a register by 14 bits; the register holds the greatest number of zeros, plus one, that the
//! other bits ended with.
#![deny(clippy::indexing_slicing)]

mod bytes;
mod check;
mod dense;
mod estimate;
mod hash;
mod sparse;
#[cfg(test)]
mod tests;

pub use bytes::{Encoding, Hll, HllRef, Registers, estimate_bytes, stale_change};
pub use check::self_test;
pub use sparse::Corrupt;
