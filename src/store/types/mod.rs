//! The store's part of each type: how effects change values, how changes are undone, and how values are written into an
//! image. Each type has a folder; what all types share is in `apply`, `undo` and `image`.
//!
//! A type is added by a folder here, a file in `effect`, and an arm in each match over
//! [`Effect`](crate::effect::Effect), [`ValueRef`](super::ValueRef) and [`Object`](super::Object), and over the sums in
//! `any`. None of these matches has an arm for all others.
#![deny(clippy::wildcard_enum_match_arm)]

mod any;
mod built;
pub(super) mod hash;
pub(super) mod item;
pub(super) mod list;
mod reading;
pub(super) mod set;
pub(super) mod stream;
pub(super) mod string;
mod walked;
pub(super) mod zset;

pub use built::Built;

pub(super) use any::{put_kept, reader_of};
pub(super) use list::ListReading;
pub(super) use reading::put_deadline;
