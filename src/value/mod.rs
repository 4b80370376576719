//! Redis values in their compact and large forms, as pure data structures: no keys, no locks, no clock.

pub mod hash;
pub mod packed;
