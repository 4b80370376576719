//! Periodic tasks of the server: speeds for INFO, and the look at clients that are idle, slow or too large.

use crate::command::Server;
use crate::config::{MemoryOrPercent, Settings};
use crate::env::process;
use crate::node::{ClientHandle, Kill, TRACKING_PARTS, output};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);
/// Ticks between two looks at the clients.
const CLIENT_TICKS: u64 = 10;

/// Runs the periodic tasks for ever.
pub(super) async fn watch(server: Arc<Server>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for count in 0u64.. {
        ticks.tick().await;
        sample(&server);
        server.start_scheduled_save();
        let settings = server.config.snapshot();
        look_after_tracking(&server, &settings).await;
        if count % CLIENT_TICKS == 0 {
            look_after_clients(&server, &settings);
        }
        let limit = match settings.maxmemory_clients {
            MemoryOrPercent::Bytes(bytes) => bytes,
            MemoryOrPercent::Percent(percent) => settings.maxmemory / 100 * u64::from(percent),
        };
        if limit > 0 {
            evict_clients(&server, limit);
        }
    }
}

/// How many tracked keys are forgotten at most at a tick if the limit was lowered.
const TRACKED_KEYS: usize = 4096;

/// Takes what clients have read that do not cache any more out of the table of tracked keys, and keeps it below its
/// limit.
async fn look_after_tracking(server: &Server, settings: &Settings) {
    let tracking = &server.broker.tracking;
    if tracking.take_has_left() {
        for part in 0..TRACKING_PARTS {
            tracking.sweep(part);
            tokio::task::yield_now().await;
        }
    }
    tracking.trim(usize::try_from(settings.tracking_table_max_keys).unwrap_or(usize::MAX), TRACKED_KEYS);
}

fn sample(server: &Server) {
    let micros = server.engine.clock.monotonic_micros();
    let mut rates = server.rates.lock();
    rates.commands.sample(server.sum(|w| w.processed.get()), micros);
    rates.input.sample(server.sum(|w| w.bytes_in.get()), micros);
    rates.output.sample(server.sum(|w| w.bytes_out.get()), micros);
    server.memory_peak.fetch_max(server.engine.used_memory(), Relaxed);
}

fn clients_of(server: &Server) -> Vec<Arc<ClientHandle>> {
    server.clients.lock().values().filter(|client| client.killed() == Kill::No).cloned().collect()
}

fn look_after_clients(server: &Server, settings: &Settings) {
    let now = server.engine.clock.instant();
    for client in clients_of(server) {
        let limit = output::limit_of(settings, &client);
        let idle = client.age_and_idle(now).1.as_secs();
        let spared =
            client.monitor.load(Relaxed) || client.blocked.load(Relaxed) != 0 || client.is_subscriber();
        if settings.timeout > 0 && idle > u64::from(settings.timeout) && !spared {
            tracing::debug!("client {} is closed: it was idle for {idle} s", client.id);
            client.kill(Kill::Now);
            continue;
        }
        let waiting = output::counted(client.output_bytes.load(Relaxed) + client.pushed_bytes());
        let above_hard = limit.hard_bytes > 0 && waiting > limit.hard_bytes;
        let above_soft = limit.soft_bytes > 0 && waiting > limit.soft_bytes;
        let since = above_soft.then(|| client.slow_since.load().unwrap_or(now));
        client.slow_since.store(since);
        let too_long = since.is_some_and(|since| now.since(since) > Duration::from_secs(limit.soft_seconds));
        if above_hard || too_long {
            output::close(&server.counts, &client);
        }
    }
}

/// Closes the largest clients until the remaining ones together are below the limit.
fn evict_clients(server: &Server, limit: u64) {
    let mut clients: Vec<(usize, Arc<ClientHandle>)> =
        clients_of(server).into_iter().map(|client| (client.memory(), client)).collect();
    let mut total: u64 = clients.iter().map(|(bytes, _)| *bytes as u64).sum();
    if total <= limit {
        return;
    }
    clients.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    for (bytes, client) in clients {
        if total <= limit {
            break;
        }
        if client.no_evict.load(Relaxed) {
            continue;
        }
        server.counts.evicted_clients.fetch_add(1, Relaxed);
        tracing::warn!(
            "client {} is closed: all clients together take more than maxmemory-clients",
            client.id
        );
        client.kill(Kill::Now);
        total -= bytes as u64;
    }
}

/// How many open files are not clients: those of the log, listening sockets, and some for each worker.
fn own_files(server: &Server) -> u64 {
    64 + 4 * server.workers.len() as u64
}

/// Raises the process's limit of open files to what its clients need, as far as the system allows.
pub(super) fn raise_file_limit(server: &Server, settings: &Settings) {
    let own = own_files(server);
    let wanted = u64::from(settings.maxclients) + own;
    let granted = process::raise_file_limit(wanted);
    if granted < wanted {
        tracing::warn!(
            "the system allows {granted} open files, so that at most {} of maxclients {} can connect",
            granted.saturating_sub(own),
            settings.maxclients
        );
    }
    server.counts.most_clients.store(granted.saturating_sub(own).max(1) as usize, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::{Kill, look_after_clients};
    use crate::command::testing::{Harness, START};
    use crate::config::Settings;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn idle_and_slow_clients_have_their_time_whatever_the_clock_is_set_to() {
        for set_to in [START, START - 86_400_000, START + 86_400_000] {
            let mut h = Harness::new();
            let slow = h.connect();
            let mut settings = Settings { timeout: 10, ..Settings::default() };
            settings.client_output_buffer_limit.normal.soft_bytes = 1000;
            settings.client_output_buffer_limit.normal.soft_seconds = 5;
            let clock = h.server.engine.clock.clone();
            let killed = |h: &Harness| -> Vec<bool> {
                look_after_clients(&h.server, &settings);
                h.server.clients.lock().values().map(|client| client.killed() != Kill::No).collect()
            };
            h.run_as(slow, "PING");
            h.server.clients.lock().values().last().unwrap().output_bytes.store(1 << 20, Relaxed);
            assert_eq!(killed(&h), [false, false]);
            clock.as_manual().unwrap().set_ms(set_to);
            h.advance(5000);
            assert_eq!(killed(&h), [false, false], "{set_to}");
            h.advance(1000);
            assert_eq!(killed(&h), [false, true], "{set_to}");
            h.advance(4000);
            assert_eq!(killed(&h), [false, true], "{set_to}");
            h.advance(1000);
            assert_eq!(killed(&h), [true, true], "{set_to}");
        }
    }
}
