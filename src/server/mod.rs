//! Sockets, worker threads and shutdown.

mod connection;
mod outbox;
mod stream;
mod worker;

pub use worker::run;
