//! Streams: an append-only sequence of entries, each a list of field and value pairs under an ascending identifier, and
//! groups of consumers that share the reading of it.
//!
//! Entries are packed into nodes of Redis's layout, so that trimming by whole nodes, the sizes in `XINFO` and the
//! serialisation of a stream are as in Redis. Nothing here knows the clock, keys or clients.

mod codec;
mod data;
mod group;
mod id;
mod inverse;
mod node;
mod progress;
mod range;
mod trim;

#[cfg(test)]
mod tests;

pub use data::{Stream, StreamMarks};
pub use group::{Consumer, ConsumerKey, Group, GroupPosition, Groups, Pending};
pub use id::{BadBound, NewId, StreamId};
pub use inverse::StreamInverse;
pub use node::{Fields, NodeLimits, StreamNode};
pub use range::{EntryRange, Lookups, RangeRev, StreamEntry};
pub use trim::{Trim, TrimBy, TrimPlan, default_trim_limit};
