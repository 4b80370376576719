//! Effects: the only mutations that exist, and their versioned bytes.
//!
//! A command works out final values and absolute times; what it changes is a list of effects, each about one key (or
//! one whole database or table). The log holds effects, checkpoints hold effects, and the store applies them through
//! one function, live and in recovery alike. An effect depends on nothing but the state of its own key, but for those
//! with [`Effect::sources`], which are in no checkpoint, and in the log only where their sources can be had when it is
//! replayed.
//!
//! What can happen to values of one type stands in one file, with its bytes. A type is added by such a file, and by one
//! arm in each match over [`Effect`].
#![deny(clippy::wildcard_enum_match_arm)]

mod any;
mod codec;
mod hash;
mod item;
mod list;
mod own;
mod parts;
mod record;
mod set;
mod stream;
mod string;
mod structural;
#[cfg(test)]
mod tests;

pub use any::{Effect, Subject};
pub use codec::{EffectError, VERSION};
pub use hash::{FieldExpire, HashChange};
pub use item::ItemChange;
pub use list::{ListChange, Runs};
pub use own::{SYSTEM, TOKENS, is_own};
pub use parts::{List, ListIter};
pub use record::Decoder;
pub use set::SetChange;
pub use stream::{Ids, StreamChange};
pub use string::{MAX_STRING, StringChange};
pub use structural::Structural;
