//! The Redis surface: one file per family of commands, and the registry that lists them.
//!
//! A handler is synchronous, runs to completion and answers into the reply sink. It never touches a socket, and takes
//! the time from its transaction. Only handlers of `LONG` commands, and of some DEBUG commands, may sleep or wait. A
//! handler touches only the keys that its spec declares; debug builds assert it.

// All handlers have one type, so those that cannot fail return a result too.
#![allow(clippy::unnecessary_wraps)]

mod acl;
mod admin;
mod args;
mod bitmaps;
mod changes;
mod client_list;
mod client_modes;
mod cluster;
mod command_log;
pub mod config;
mod connection;
mod cursor;
mod ddb;
mod debug;
mod docs;
mod draw;
mod element;
pub mod fail;
mod families;
mod geo;
mod hashes;
mod help;
mod history;
mod hll;
mod hot_keys;
mod info;
mod introspect;
mod items;
mod key_uses;
pub mod keys;
mod latency;
mod lists;
mod memory;
mod persistence;
mod prepared;
mod pubsub;
pub mod record;
pub mod redact;
mod registry;
mod scripts;
#[cfg(test)]
mod server_tests;
mod sets;
mod shutdown;

mod sort;
pub mod spec;
mod streams;
pub mod strings;
pub mod syntax;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
mod tracking;
pub mod transactions;
mod types;
mod views;
mod waiting;
mod zsets;

pub use acl::{check_rights, load_users};
pub use args::{eq, parse_float, parse_int, parse_small_int, parse_timeout_ms, parse_timeout_seconds};
pub use cursor::{ScanOptions, parse_cursor};
pub use fail::Fail;
pub use items::token_key;
pub use registry::{counts_lookups, is_write};
pub use scripts::{declares_no_writes, find_functions, has_function};
pub use spec::{COMPRESSED_BYTES, HEAVY_BYTES, MANY_ELEMENTS, flag};
pub use types::{
    Client, Command, Cx, ItemKey, Multi, OnView, Outcome, Parked, Preparation, Prepared, Reading, Registry,
    Served, Server, Spec, check_checkpoint, held_up,
};
pub use views::run;
