//! Counters of rare events.

use std::sync::atomic::{AtomicU64, AtomicUsize};

/// Counters of rare events: all threads count them in one place.
#[derive(Default)]
pub struct Counts {
    /// Clients that are connected or about to be; `maxclients` bounds them.
    pub seats: AtomicUsize,
    /// The most clients that the process's limit of open files allows.
    pub most_clients: AtomicUsize,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: AtomicU64,
    /// Clients closed because all of them together took more than `maxmemory-clients`.
    pub evicted_clients: AtomicU64,
    /// Wrong passwords and unknown users.
    pub auth_failures: AtomicU64,
    /// Commands that a user may not run.
    pub denied_commands: AtomicU64,
    /// Commands with a key that their user may not use.
    pub denied_keys: AtomicU64,
    /// Commands with a channel that their user may not use.
    pub denied_channels: AtomicU64,
    /// Clients closed because they did not read their replies.
    pub output_limit_disconnections: AtomicU64,
    /// Clients closed because their unprocessed input exceeded `client-query-buffer-limit`.
    pub query_limit_disconnections: AtomicU64,
}
