//! Starts servers, and has a small client that shows every byte of a reply.

mod client;
mod fault;
pub(crate) mod memory;
mod random;
mod server;
mod value;

pub(crate) use client::Client;
pub(crate) use fault::{Fault, SmallDisk};
pub(crate) use random::Random;
pub(crate) use server::Server;
use std::time::{Duration, Instant};
pub(crate) use value::Value;

/// How long a test waits for a condition: far longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until a condition is true.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a test against the referee, which shows that the test is right, and then against our server.
pub(crate) fn on_both(flags: &[&str], test: impl Fn(&mut Server)) {
    test(&mut Server::referee(flags));
    test(&mut Server::start(flags));
}
