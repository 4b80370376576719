//! Sockets, worker threads, signals and the orderly end.

mod blocked;
mod connection;
mod cron;
mod listen;
mod local;
pub mod logging;
mod notify;
mod outbox;
mod parked;
mod replies;
mod run;
mod shared;
mod signal;
mod spares;
mod stream;
#[cfg(test)]
mod tests;
mod thread;
mod worker;

pub use run::{ServerError, run};
