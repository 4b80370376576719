//! How many bytes of replies are held for a client before it is closed.

use super::counts::Counts;
use super::handle::{ClientHandle, Kill};
use crate::config::{OutputLimit, Settings};
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of replies that are held for a client whatever the limits are, as in Redis.
const OWN_BUFFER: usize = 16 * 1024;
/// The limit of a client that has yet to authenticate, as in Redis.
const UNAUTHENTICATED: u64 = 1024;

/// The bytes of replies that count against `client-output-buffer-limit`. As in Redis, the first 16 KiB do not count.
pub fn counted(held: usize) -> u64 {
    held.saturating_sub(OWN_BUFFER) as u64
}

/// The limits of a client's class.
pub fn limit_of<'s>(settings: &'s Settings, client: &ClientHandle) -> &'s OutputLimit {
    let limits = &settings.client_output_buffer_limit;
    if client.is_subscriber() { &limits.pubsub } else { &limits.normal }
}

/// The most bytes of replies that may be held for a client; 0 if any number may.
pub fn most(settings: &Settings, client: &ClientHandle, authenticated: bool) -> usize {
    let hard = limit_of(settings, client).hard_bytes;
    most_under(match hard {
        _ if authenticated => hard,
        0 => UNAUTHENTICATED,
        hard => hard.min(UNAUTHENTICATED),
    })
}

/// The most bytes that may be held for a subscriber; 0 if any number may.
pub fn most_of_subscribers(settings: &Settings) -> usize {
    most_under(settings.client_output_buffer_limit.pubsub.hard_bytes)
}

fn most_under(limit: u64) -> usize {
    if limit == 0 { 0 } else { usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(OWN_BUFFER) }
}

/// Closes a client whose unread replies exceed its limit. The client gets none of them.
#[cold]
pub fn close(counts: &Counts, client: &ClientHandle) {
    if client.killed() == Kill::Now {
        return;
    }
    counts.output_limit_disconnections.fetch_add(1, Relaxed);
    tracing::warn!("client {} is closed: it does not read its replies", client.id);
    client.kill(Kill::Now);
}
