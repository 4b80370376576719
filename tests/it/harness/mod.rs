//! Starting servers, and a small client that shows every byte of a reply.

mod client;
mod fault;
mod random;
mod server;
mod value;

pub(crate) use client::Client;
pub(crate) use fault::{Fault, SmallDisk};
pub(crate) use random::Random;
pub(crate) use server::Server;
pub(crate) use value::Value;

/// Whether the `itemory` binary serves yet. While it is false, tests that need the binary return at once and say so,
/// and only the referee is run against itself.
pub(crate) const ITEMORY_SERVES: bool = true;

/// Whether what the binary serves survives its end; switches on the tests that kill it and damage its files.
pub(crate) const ITEMORY_IS_DURABLE: bool = true;

/// True when tests may start the `itemory` binary; says so on standard error otherwise.
pub(crate) fn itemory_serves() -> bool {
    if !ITEMORY_SERVES {
        eprintln!("switched off: harness::ITEMORY_SERVES is false");
    }
    ITEMORY_SERVES
}

/// True when tests may kill the binary and expect its data back; says so on standard error otherwise.
pub(crate) fn itemory_is_durable() -> bool {
    if !ITEMORY_IS_DURABLE {
        eprintln!("switched off: harness::ITEMORY_IS_DURABLE is false");
    }
    ITEMORY_IS_DURABLE
}

/// Runs a test against the referee, which shows that the test is right, and then against ours.
pub(crate) fn on_both(flags: &[&str], test: impl Fn(&mut Server)) {
    test(&mut Server::referee(flags));
    if itemory_serves() {
        test(&mut Server::start(flags));
    }
}

/// The same for a test that kills the server.
pub(crate) fn on_both_with_kills(flags: &[&str], test: impl Fn(&mut Server)) {
    test(&mut Server::referee(flags));
    if itemory_is_durable() {
        test(&mut Server::start(flags));
    }
}
