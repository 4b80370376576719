//! The sections with counters, commands, errors and durations.

use super::report::Report;
use crate::command::Command;
use crate::command::latency::all_holds;
use crate::command::spec::flag;
use crate::node::ChannelKind;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn stats(report: &mut Report<'_>) {
    let server = report.server;
    let (counts, removed) = (&server.counts, &server.engine.statistics);
    let rates = server.rates.lock().clone();
    report.line("total_connections_received", counts.connections.load(Relaxed));
    report.line("total_commands_processed", server.sum(|w| w.processed.get()));
    report.line("instantaneous_ops_per_sec", rates.commands.per_second() as u64);
    report.line("total_net_input_bytes", server.sum(|w| w.bytes_in.get()));
    report.line("total_net_output_bytes", server.sum(|w| w.bytes_out.get()));
    report.constant("total_net_repl_input_bytes:0 total_net_repl_output_bytes:0");
    report.line("instantaneous_input_kbps", format_args!("{:.2}", rates.input.per_second() / 1024.0));
    report.line("instantaneous_output_kbps", format_args!("{:.2}", rates.output.per_second() / 1024.0));
    report.constant("instantaneous_input_repl_kbps:0.00 instantaneous_output_repl_kbps:0.00");
    report.line("rejected_connections", counts.rejected_connections.load(Relaxed));
    report.constant("sync_full:0 sync_partial_ok:0 sync_partial_err:0");
    report.line("expired_subkeys", removed.expired_fields.load(Relaxed));
    report.line("expired_keys", removed.expired_keys.load(Relaxed));
    report
        .constant("expired_stale_perc:0.00 expired_time_cap_reached_count:0 expire_cycle_cpu_milliseconds:0");
    report.line("evicted_keys", removed.evicted_keys.load(Relaxed));
    report.line("evicted_clients", counts.evicted_clients.load(Relaxed));
    report.line("evicted_scripts", report.server.scripts.figures().2);
    report.constant("total_eviction_exceeded_time:0 current_eviction_exceeded_time:0");
    report.line("keyspace_hits", server.sum(|w| w.hits.get()));
    report.line("keyspace_misses", server.sum(|w| w.misses.get()));
    report.line("pubsub_channels", server.broker.roster.count(ChannelKind::Channel));
    report.line("pubsub_patterns", server.broker.roster.count(ChannelKind::Pattern));
    report.line("pubsubshard_channels", server.broker.roster.count(ChannelKind::Shard));
    report.constant(
        "latest_fork_usec:0 total_forks:0 migrate_cached_sockets:0 slave_expires_tracked_keys:0 active_defrag_hits:0 active_defrag_misses:0 \
         active_defrag_key_hits:0 active_defrag_key_misses:0 total_active_defrag_time:0 \
         current_active_defrag_time:0",
    );
    let (keys, items, prefixes) = server.broker.tracking.totals();
    report.line("tracking_total_keys", keys);
    report.line("tracking_total_items", items);
    report.line("tracking_total_prefixes", prefixes);
    report.line("unexpected_error_replies", 0);
    report.line("total_error_replies", server.sum(|w| w.errors.get()));
    report.constant("dump_payload_sanitizations:0");
    report.line("total_reads_processed", server.sum(|w| w.reads.get()));
    report.line("total_writes_processed", server.sum(|w| w.writes.get()));
    report.constant(
        "io_threaded_reads_processed:0 io_threaded_writes_processed:0 reply_buffer_shrinks:0 reply_buffer_expands:0",
    );
    report.line("client_query_buffer_limit_disconnections", counts.query_limit_disconnections.load(Relaxed));
    report
        .line("client_output_buffer_limit_disconnections", counts.output_limit_disconnections.load(Relaxed));
    report.line("acl_access_denied_auth", counts.auth_failures.load(Relaxed));
    report.line("acl_access_denied_cmd", counts.denied_commands.load(Relaxed));
    report.line("acl_access_denied_key", counts.denied_keys.load(Relaxed));
    report.line("acl_access_denied_channel", counts.denied_channels.load(Relaxed));
}

/// All commands with statistics of their own, by name.
fn counted<'r>(report: &Report<'r>) -> Vec<&'r Command> {
    let registry = report.server.registry;
    let mut commands: Vec<&Command> = registry.commands().collect();
    for command in registry.commands().filter(|command| !command.has(flag::HIDDEN_SUBS)) {
        commands.extend(command.subs.values());
    }
    commands.sort_by(|a, b| a.full_name.cmp(&b.full_name));
    commands
}

pub(super) fn command_stats(report: &mut Report<'_>) {
    for command in counted(report) {
        let (mut calls, mut nanos, mut rejected, mut failed) = (0, 0, 0, 0);
        for stats in report.server.workers.iter().filter_map(|w| w.commands.get(command.id)) {
            calls += stats.calls.get();
            nanos += stats.nanos.get();
            rejected += stats.rejected.get();
            failed += stats.failed.get();
        }
        if calls + rejected + failed == 0 {
            continue;
        }
        let per_call = if calls == 0 { 0.0 } else { nanos as f64 / 1000.0 / calls as f64 };
        report.line(
            &format!("cmdstat_{}", command.full_name),
            format_args!(
                "calls={calls},usec={},usec_per_call={per_call:.2},rejected_calls={rejected},failed_calls={failed}",
                nanos / 1000
            ),
        );
    }
}

pub(super) fn error_stats(report: &mut Report<'_>) {
    for (code, count) in report.server.errors() {
        report.line(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn latency_stats(report: &mut Report<'_>) {
    if !report.settings.latency_tracking {
        return;
    }
    for command in counted(report) {
        let histogram = report.server.histogram(command.id);
        if histogram.total() == 0 {
            continue;
        }
        let percentiles: Vec<String> = report
            .settings
            .latency_tracking_info_percentiles
            .iter()
            .map(|percent| format!("p{percent}={:.3}", histogram.percentile_micros(*percent)))
            .collect();
        report.line(&format!("latency_percentiles_usec_{}", command.full_name), percentiles.join(","));
    }
}

/// One line for each holder of shards, command or background job: how many long holds it had, the longest in
/// microseconds, and the number of holds from each size on.
pub(super) fn hold_stats(r: &mut Report<'_>) {
    let server = r.server;
    for (name, holds) in all_holds(server) {
        let sizes: Vec<String> = holds.by_size().map(|(micros, count)| format!("{micros}:{count}")).collect();
        let (total, longest) = (holds.total(), holds.longest_micros());
        let value = format!("holds={total},longest_usec={longest},from_usec={}", sizes.join(";"));
        r.line(&format!("hold_{name}"), value);
    }
}
