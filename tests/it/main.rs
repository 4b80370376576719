//! The tests from outside. They talk to a running server over a socket, run the server's code in their own process, or
//! read the repository.
//!
//! `ITEMORY_TEST_SERVER=host:port` points the behaviour scripts at another server.
//! `ITEMORY_TEST_CASE=text` runs only the script cases whose name or file contains the text.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

mod behaviour;
mod bits;
mod blocking;
mod budgets;
mod changes;
mod cli;
mod command_table;
mod compatibility;
mod configuration;
mod crash;
mod crowds;
mod damage;
mod digests;
mod documentation;
mod endless;
mod events;
mod examples;
mod failing_calls;
mod fairness;
mod faults;
mod fixture;
mod floats;
mod functions;
mod harness;
mod held;
mod held_up;
mod holds;
mod indexes;
mod limits;
mod linear;
mod list_waiting;
mod looking;
mod memory;
mod model;
mod notifications;
mod observation;
mod pipelined;
mod process;
mod pubsub;
mod random;
mod redis_rs;
mod repair;
mod replies;
mod scanning;
mod script;
mod scripting;
mod serialisation;
mod streams;
mod structure;
mod subkeys;
mod survival;
mod switching;
mod tracking;
mod transfers;
mod usage;
mod users;
mod views;
mod writers;
mod zset_waiting;
