//! Redis values in their compact and large forms, as pure data structures: no keys, no locks, no clock.
//!
//! - `bits`: bit operations on strings.
//! - `digest`: digests of values (`DEBUG DIGEST`, `DIGEST`).
//! - `heap`: how many bytes structures take on the heap.
//! - `parted`: elements in parts; large hashes and sets use it.
//! - `geo`: positions on the earth as scores.
//! - `hint`: hints of where elements are, for lookups that are known to come.
//! - `hll`: HyperLogLogs.
//! - `list`: lists.
//! - `rdb`: Redis's own serialisation of a value (`DUMP` and `RESTORE`), both ways.
//! - `set`: sets.
//! - `shared`: parts that a value shares with its copies.
//! - `stream`: streams.
//! - `lcs`: the longest common subsequence of two strings.
//! - `longdouble`: the arithmetic of INCRBYFLOAT.
//! - `listpack`: Redis's packed sequence of strings and integers.
//! - `zset`: sorted sets.

pub mod bits;
pub mod digest;
mod error;
pub mod geo;
pub mod hash;
pub mod heap;
mod hint;
pub mod hll;
pub mod lcs;
pub mod list;
pub mod listpack;
pub mod longdouble;
pub mod packed;
pub mod parted;
pub mod rdb;
pub mod set;
pub mod shared;
pub mod stream;
pub mod zset;

pub use error::ValueError;
pub use hint::ElementHint;
