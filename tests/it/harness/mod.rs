//! Starting servers, and a small client that shows every byte of a reply.

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
pub(crate) use value::Value;

/// Runs a test against the referee, which shows that the test is right, and then against ours.
pub(crate) fn on_both(flags: &[&str], test: impl Fn(&mut Server)) {
    test(&mut Server::referee(flags));
    test(&mut Server::start(flags));
}
