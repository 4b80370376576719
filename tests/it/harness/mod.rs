//! Starting servers, and a small client that shows every byte of a reply.

mod client;
mod random;
mod server;
mod value;

pub(crate) use client::Client;
pub(crate) use random::Random;
pub(crate) use server::{Fault, Server};
pub(crate) use value::Value;

/// The one switch: whether the `itemory` binary serves yet. While it is false, tests that need the binary return
/// at once and say so, and only the referee is run against itself.
pub(crate) const ITEMORY_SERVES: bool = false;

/// True when tests may start the `itemory` binary; says so on standard error otherwise.
pub(crate) fn itemory_serves() -> bool {
    if !ITEMORY_SERVES {
        eprintln!("switched off: harness::ITEMORY_SERVES is false");
    }
    ITEMORY_SERVES
}
