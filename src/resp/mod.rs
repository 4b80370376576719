//! The wire and nothing above it: decoding what clients send, and writing replies in RESP2 or RESP3.
//!
//! - [`Decoder`] finds complete commands in a read buffer. It is a hand-written, resumable fast lane for what clients
//!   send: arrays of bulk strings and inline commands, with Redis's limits and errors. `benches/resp.rs` measures it
//!   against the general decoder of the `redis-protocol` crate, and [`oracle`] proves it equal to that crate.
//! - [`Reply`] writes replies straight into the connection's output buffer, a [`Chain`] of chunks.
//! - [`Value`] and [`ReplyDecoder`] are the client's side: any RESP2 or RESP3 reply as an owned tree.
//!
//! This room does not know what a command is.

mod chain;
mod decode;
mod error;
mod inline;
mod line;
pub mod oracle;
mod reply;
#[cfg(test)]
mod tests;
mod value;

pub use crate::text::{format_f64, parse_i64_strict, write_f64};
pub use chain::Chain;
pub use decode::{Batch, CommandSpan, Decoder};
pub use error::{ProtocolError, ReplyError};
pub use line::{InputLimits, Span};
pub use reply::{Deferred, Proto, Reply};
pub use value::{ReplyDecoder, Value};
