//! Effects: the only mutations that exist, and their versioned bytes.
//!
//! A command works out final values and absolute times; what it changes is a list of effects, each about one key (or
//! one whole database or table). The log holds effects, checkpoints hold effects, and the store applies them through
//! one function, live and in recovery alike. An effect depends only on the state of its own key. The exceptions are
//! effects with [`Effect::sources`]: no checkpoint holds one, and the log holds one only if its sources are available
//! when it is replayed.
//!
//! The changes of one type of values, and their bytes, are in one file. A type is added by such a file, and by one arm
//! in each match over [`Effect`].
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
mod zset;

pub use any::{Effect, Subject};
pub use codec::{EffectError, VERSION};
pub use hash::{FieldExpire, HashChange};
pub use item::ItemChange;
pub use list::{ListChange, Runs, RunsWriter};
pub use own::{OWN, SYSTEM, TOKENS, is_own};
pub use parts::{List, ListIter};
pub use record::EffectDecoder;
pub use set::SetChange;
pub use stream::{Ids, StreamChange};
pub use string::{MAX_STRING, StringChange};
pub use structural::Structural;
pub use zset::{ZsetChange, score_bytes};
