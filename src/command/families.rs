//! All families of commands, the registry that they make up, and servers with that registry.

use super::registry::MAX_NAME;
use super::types::{Registry, Server, Spec};
use super::{
    acl, admin, bitmaps, client_modes, cluster, command_log, config, connection, ddb, debug, geo, hashes,
    hll, hot_keys, info, introspect, items, keys, latency, lists, memory, persistence, pubsub, scripts, sets,
    shutdown, sort, streams, strings, tables, transactions, zsets,
};
use crate::config::{Config, RenamedCommand};
use crate::engine::Engine;
use std::sync::{Arc, OnceLock};

/// All families.
static FAMILIES: &[&[Spec]] = &[
    acl::COMMANDS,
    admin::COMMANDS,
    bitmaps::COMMANDS,
    client_modes::COMMANDS,
    cluster::COMMANDS,
    command_log::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    ddb::COMMANDS,
    debug::COMMANDS,
    geo::COMMANDS,
    hashes::COMMANDS,
    hll::COMMANDS,
    hot_keys::COMMANDS,
    info::COMMANDS,
    introspect::COMMANDS,
    items::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    lists::COMMANDS,
    memory::COMMANDS,
    persistence::COMMANDS,
    pubsub::COMMANDS,
    scripts::COMMANDS,
    sets::COMMANDS,
    shutdown::COMMANDS,
    sort::COMMANDS,
    streams::COMMANDS,
    strings::COMMANDS,
    tables::COMMANDS,
    transactions::COMMANDS,
    zsets::COMMANDS,
];

impl Registry {
    /// The registry of all families.
    pub fn get() -> &'static Self {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        REGISTRY.get_or_init(|| Self::of(FAMILIES))
    }

    /// A registry in which `rename-command` has given commands other names or removed them. It is leaked, so it lives
    /// as long as the process.
    ///
    /// # Errors
    /// There is no such command, or the new name is too long or taken.
    pub fn renamed(renames: &[RenamedCommand]) -> Result<&'static Self, String> {
        if renames.is_empty() {
            return Ok(Self::get());
        }
        let mut registry = Self::of(FAMILIES);
        for RenamedCommand { from, to } in renames {
            let fault = |what: &str| {
                // The error does not show the new name: operators use it as a secret.
                format!("rename-command {} ...: {what}", crate::text::quoted(from))
            };
            let command = registry
                .by_name
                .remove(from.to_ascii_lowercase().as_slice())
                .ok_or_else(|| fault("there is no such command"))?;
            if to.len() > MAX_NAME {
                return Err(fault(&format!("the new name has more than {MAX_NAME} bytes")));
            }
            let taken =
                !to.is_empty() && registry.by_name.insert(to.to_ascii_lowercase().into(), command).is_some();
            if taken {
                return Err(fault("there is a command of the new name"));
            }
        }
        Ok(Box::leak(Box::new(registry)))
    }
}

impl Server {
    /// A server over an engine, with the registry of all families.
    pub fn new(engine: Arc<Engine>, config: Arc<Config>) -> Self {
        Self::with_registry(engine, config, Registry::get())
    }

    /// As [`Server::new`], with a registry of its own.
    pub fn with_registry(engine: Arc<Engine>, config: Arc<Config>, registry: &'static Registry) -> Self {
        Self::over(engine, config, registry, registry.count())
    }
}
