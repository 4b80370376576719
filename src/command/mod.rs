//! The Redis surface: one file per family of commands, and the registry that lists them.
//!
//! A handler is synchronous, runs to completion and answers into the reply sink. It never waits, never touches a socket
//! and never reads the clock. It touches only the keys that its spec declares; debug builds assert it.

// All handlers have one type, also those that cannot fail.
#![allow(clippy::unnecessary_wraps)]

mod acl;
mod acl_log;
mod admin;
mod args;
mod bitmaps;
pub mod blocking;
mod changes;
pub mod client;
mod client_list;
mod client_modes;
mod cluster;
pub mod config;
mod connection;
mod cursor;
mod ddb;
mod debug;
mod docs;
pub mod fail;
mod hashes;
mod help;
mod history;
mod info;
mod introspect;
mod items;
pub mod keys;
mod latency;
mod memory;
pub mod output;
mod pause;
pub mod persistence;
mod rates;
pub mod redact;
mod registry;
mod scripts;
mod server;
#[cfg(test)]
mod server_tests;
pub mod shutdown;
pub mod slowlog;
pub mod spec;
mod stats;
mod streams;
pub mod strings;
pub mod syntax;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
pub mod transactions;
mod views;

pub use args::{eq, parse_float, parse_int, parse_small_int};
pub use client::{Client, ClientHandle};
pub use cursor::{ScanOptions, parse_cursor};
pub use fail::Fail;
pub use items::token_key;
pub use rates::Rates;
pub use registry::{Command, Registry, counts_lookups, is_write};
pub use server::{Reconfigured, Server};
pub use spec::{HEAVY_BYTES, ItemKey, OnView, Spec, flag};
pub use stats::WorkerStats;
pub use views::run;

use crate::config::Settings;
use crate::engine::Tx;
use crate::resp::Reply;
use crate::store::ValueRef;

/// All families.
static FAMILIES: &[&[Spec]] = &[
    acl::COMMANDS,
    admin::COMMANDS,
    bitmaps::COMMANDS,
    client_modes::COMMANDS,
    cluster::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    ddb::COMMANDS,
    debug::COMMANDS,
    hashes::COMMANDS,
    info::COMMANDS,
    introspect::COMMANDS,
    items::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    memory::COMMANDS,
    persistence::COMMANDS,
    scripts::COMMANDS,
    shutdown::COMMANDS,
    slowlog::COMMANDS,
    streams::COMMANDS,
    strings::COMMANDS,
    tables::COMMANDS,
    transactions::COMMANDS,
];

/// What a handler returns: its reply is in the sink, or an error that is written for it.
pub type Outcome = Result<(), Fail>;

/// What a handler works with.
pub struct Cx<'a, 't> {
    /// The transaction: locked keys, effects, time.
    pub tx: &'a mut Tx<'t>,
    /// The reply.
    pub out: &'a mut Reply,
    /// The connection's state.
    pub client: &'a mut Client,
    /// The server's state.
    pub server: &'a Server,
    /// The configuration as of this batch of commands.
    pub settings: &'a Settings,
}

impl Cx<'_, '_> {
    /// The database's number as effects carry it.
    #[inline]
    pub fn db(&self) -> u32 {
        self.tx.db as u32
    }

    /// Refuses a command that needs memory where there is none, for those that find out by themselves that they do.
    ///
    /// # Errors
    /// [`fail::OUT_OF_MEMORY`].
    pub fn need_memory(&self) -> Outcome {
        if self.client.memory_is_short { Err(fail::OUT_OF_MEMORY) } else { Ok(()) }
    }

    /// Whether the command may wait for keys. Inside a transaction it takes what there is.
    pub fn may_wait(&self) -> bool {
        !self.client.in_exec
    }

    /// Has the command wait: it is run again when one of the keys changes. There must be no reply.
    pub fn wait(&mut self, wait: blocking::Wait) {
        debug_assert!(self.may_wait());
        self.client.wait = Some(wait);
    }

    /// The string at a key.
    #[inline]
    pub fn string(&self, key: &[u8]) -> Result<Option<&[u8]>, Fail> {
        match self.tx.entry(key).map(crate::store::Entry::value) {
            None => Ok(None),
            Some(ValueRef::Str(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(fail::WRONG_TYPE),
        }
    }
}
