//! Streams: an append-only sequence of entries, each a list of field and value pairs under an identifier.

mod id;
mod node;

pub use id::StreamId;
pub use node::{Fields, NodeEntries, NodeEntry, StreamNode};
