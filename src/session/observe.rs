//! What observes commands: the command logs, the latency monitor, and MONITOR's clients.

use crate::command::{Client, Command, Server, flag, redact};
use crate::config::Settings;
use crate::node;
use crate::node::command_log::{self, Logged, LoggedCommand};
use crate::node::hot_keys::Spent;

/// From where on a command is for a log or the latency monitor.
#[derive(Clone, Copy)]
pub(super) struct LogThresholds {
    nanos: u64,
    request_bytes: u64,
    reply_bytes: u64,
}

/// What a command has taken.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) nanos: u64,
    pub(super) request_bytes: u64,
    pub(super) reply_bytes: u64,
}

impl LogThresholds {
    pub(super) fn of(settings: &Settings) -> Self {
        // A negative threshold logs nothing.
        let or_never = |threshold: i64| u64::try_from(threshold).unwrap_or(u64::MAX);
        let slow_log = or_never(settings.slowlog_log_slower_than).saturating_mul(1000);
        let latency = match settings.latency_monitor_threshold {
            0 => u64::MAX,
            millis => millis.saturating_mul(1_000_000),
        };
        Self {
            nanos: slow_log.min(latency),
            request_bytes: or_never(settings.commandlog_request_larger_than),
            reply_bytes: or_never(settings.commandlog_reply_larger_than),
        }
    }

    /// Whether a command has reached one of them.
    #[inline]
    pub(super) fn are_reached(&self, taken: Taken) -> bool {
        taken.nanos >= self.nanos
            || taken.request_bytes >= self.request_bytes
            || taken.reply_bytes >= self.reply_bytes
    }
}

/// Enters a command into the command logs and the latency monitor, each by its own threshold.
#[cold]
pub(super) fn log(
    server: &Server,
    settings: &Settings,
    client: &Client,
    command: &Command,
    args: &[&[u8]],
    taken: Taken,
) {
    let second = server.engine.clock.now_ms() / 1000;
    let (micros, millis) = (taken.nanos / 1000, taken.nanos / 1_000_000);
    let latency = settings.latency_monitor_threshold;
    if latency > 0 && millis >= latency {
        let event = if command.has(flag::FAST) { "fast-command" } else { "command" };
        server.latency.record(event, second, millis);
    }
    if command.has(flag::SKIP_SLOWLOG) {
        return;
    }
    for (kind, amount, threshold) in [
        (Logged::Slow, micros, settings.slowlog_log_slower_than),
        (Logged::LargeRequest, taken.request_bytes, settings.commandlog_request_larger_than),
        (Logged::LargeReply, taken.reply_bytes, settings.commandlog_reply_larger_than),
    ] {
        if u64::try_from(threshold).is_ok_and(|threshold| amount >= threshold) {
            let args = command_log::clip(&redact::shown(command, args));
            let name = command_log::clip_arg(&client.handle.names.lock().name);
            let addr = client.handle.addr.clone();
            let entry = LoggedCommand { id: 0, time: second, amount, args, addr, name };
            server.command_logs.of(kind).lock().add(entry);
        }
    }
}

/// Counts what a command has taken for its keys, as HOTKEYS asks.
#[cold]
pub(super) fn count_keys(server: &Server, command: &Command, args: &[&[u8]], taken: Taken) {
    let spent = Spent { nanos: taken.nanos, bytes: taken.request_bytes + taken.reply_bytes };
    let positions = command.key_positions(args).unwrap_or_default();
    let keys = &mut |each: &mut dyn FnMut(&[u8])| {
        positions.iter().filter_map(|at| args.get(*at)).for_each(|key| each(key));
    };
    server.hot_keys.count(spent, server.engine.clock.instant(), server.random(), keys);
}

/// Shows a command to the clients of MONITOR. What the command wrote is in the log already, so they see the command
/// once that is durable.
#[cold]
pub(super) fn feed_monitors(server: &Server, client: &Client, command: &Command, args: &[&[u8]]) {
    if let Some(line) = monitor_line(server, client, command, args) {
        node::show_monitors(server, line);
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
