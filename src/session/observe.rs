//! What observes commands: the slow log, the latency monitor, and MONITOR's clients.

use crate::command::{Client, Command, Server, flag, redact};
use crate::config::Settings;
use crate::node::{self, slowlog};

/// A command that takes at least so many nanoseconds is for the slow log or the latency monitor.
pub(super) fn slow_nanos(settings: &Settings) -> u64 {
    let slow_log = match u64::try_from(settings.slowlog_log_slower_than) {
        Ok(micros) => micros.saturating_mul(1000),
        Err(_) => u64::MAX,
    };
    let latency = match settings.latency_monitor_threshold {
        0 => u64::MAX,
        millis => millis.saturating_mul(1_000_000),
    };
    slow_log.min(latency)
}

/// Enters a slow command into the slow log and the latency monitor, each by its own threshold.
#[cold]
pub(super) fn slow(
    server: &Server,
    settings: &Settings,
    client: &Client,
    command: &Command,
    args: &[&[u8]],
    nanos: u64,
) {
    let second = server.engine.clock.now_ms() / 1000;
    let (micros, millis) = (nanos / 1000, nanos / 1_000_000);
    let latency = settings.latency_monitor_threshold;
    if latency > 0 && millis >= latency {
        let event = if command.has(flag::FAST) { "fast-command" } else { "command" };
        server.latency.record(event, second, millis);
    }
    let Ok(threshold) = u64::try_from(settings.slowlog_log_slower_than) else { return };
    if micros < threshold || command.has(flag::SKIP_SLOWLOG) {
        return;
    }
    let args = slowlog::clip(&redact::shown(command, args));
    let name = slowlog::clip_arg(&client.handle.names.lock().name);
    let addr = client.handle.addr.clone();
    server.slow_log.lock().add(slowlog::SlowEntry { id: 0, time: second, micros, args, addr, name });
}

/// Shows a command to the clients of MONITOR. What the command wrote is in the log already, so they see the command
/// once that is durable.
#[cold]
pub(super) fn feed_monitors(server: &Server, client: &Client, command: &Command, args: &[&[u8]]) {
    if let Some(line) = monitor_line(server, client, command, args) {
        node::show_monitors(server, &line);
    }
}

/// The line that the clients of MONITOR see for a command; none for commands of administrators.
#[cold]
pub(super) fn monitor_line(
    server: &Server,
    client: &Client,
    command: &Command,
    args: &[&[u8]],
) -> Option<String> {
    if command.has(flag::ADMIN | flag::SKIP_MONITOR) {
        return None;
    }
    let shown = redact::shown(command, args);
    let micros = server.engine.clock.now_micros();
    let handle = &client.handle;
    Some(node::monitor_line(micros, client.db, &handle.addr, handle.unix, &shown))
}
