//! How many bytes of replies are held for a client before it is closed.

use super::handle::{ClientHandle, Kill};
use super::server::Server;
use crate::config::Settings;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of replies that are held for a client whatever the limits are, as in Redis.
const OWN_BUFFER: usize = 16 * 1024;
/// The limit of a client that has yet to authenticate, as in Redis.
const UNAUTHENTICATED: u64 = 1024;

/// The bytes of replies that count against `client-output-buffer-limit`. As in Redis, the first 16 KiB do not count.
pub fn counted(held: usize) -> u64 {
    held.saturating_sub(OWN_BUFFER) as u64
}

/// The most bytes of replies that may be held for a client; 0 if any number may.
pub fn most(settings: &Settings, authenticated: bool) -> usize {
    let hard = settings.client_output_buffer_limit.normal.hard_bytes;
    let limit = match hard {
        _ if authenticated => hard,
        0 => UNAUTHENTICATED,
        hard => hard.min(UNAUTHENTICATED),
    };
    if limit == 0 { 0 } else { usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(OWN_BUFFER) }
}

/// Closes a client whose unread replies exceed its limit. The client gets none of them.
#[cold]
pub fn close<R>(server: &Server<R>, client: &ClientHandle) {
    if client.killed() == Kill::Now {
        return;
    }
    server.counts.output_limit_disconnections.fetch_add(1, Relaxed);
    tracing::warn!("client {} is closed: it does not read its replies", client.id);
    client.kill(Kill::Now);
}
