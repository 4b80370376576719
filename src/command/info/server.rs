//! The sections about the process, its clients and its data.

use super::report::Report;
use crate::engine::VIEW_DB;
use crate::env::process;
use crate::text::REDIS_VERSION;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn server(report: &mut Report<'_>) {
    let uptime = report.instant.since(report.server.started_at).as_secs();
    report.line("redis_version", REDIS_VERSION);
    report.line("itemory_version", env!("CARGO_PKG_VERSION"));
    report.constant("redis_git_sha1:00000000 redis_git_dirty:0 redis_build_id:0 redis_mode:standalone");
    report.line("os", process::system_name());
    report.line("arch_bits", usize::BITS);
    report.line("monotonic_clock", "POSIX clock_gettime");
    report.constant("multiplexing_api:epoll atomicvar_api:rust gcc_version:0.0.0");
    report.line("process_id", std::process::id());
    report.line("process_supervised", if process::is_supervised() { "systemd" } else { "no" });
    report.line("run_id", report.server.run_id.clone());
    report.line("tcp_port", report.settings.port);
    report.line("server_time_usec", report.server.engine.clock.now_micros());
    report.line("uptime_in_seconds", uptime);
    report.line("uptime_in_days", uptime / 86_400);
    report.line("hz", report.settings.hz);
    report.line("configured_hz", report.settings.hz);
    report.line("lru_clock", (report.now / 1000) & 0xff_ffff);
    report.line("executable", process::executable());
    let file = report.server.config.file().map(|file| file.display().to_string());
    report.line("config_file", file.unwrap_or_default());
    report.line("io_threads_active", u8::from(report.server.workers.len() > 1));
    for (number, address) in report.server.listening.lock().clone().iter().enumerate() {
        let shown = match address.parse::<SocketAddr>() {
            Ok(address) => format!("name=tcp,bind={},port={}", address.ip(), address.port()),
            Err(_) => format!("name=unix,bind={address}"),
        };
        report.line(&format!("listener{number}"), shown);
    }
}

pub(super) fn clients(report: &mut Report<'_>) {
    let (mut connected, mut subscribers, mut blocked, mut timed) = (0, 0, 0, 0);
    let (mut watching, mut keys, mut input, mut output) = (0, 0, 0, 0);
    for client in report.server.clients.lock().values() {
        connected += 1;
        let waits = client.blocked.load(Relaxed) != 0;
        blocked += usize::from(waits);
        timed += usize::from(waits && client.waits_until.load().is_some());
        let watched = client.watching.load(Relaxed);
        watching += usize::from(watched > 0);
        subscribers += usize::from(client.is_subscriber());
        keys += watched as usize;
        input = input.max(client.query_bytes.load(Relaxed));
        output = output.max(client.output_bytes.load(Relaxed));
    }
    report.line("connected_clients", connected);
    report.line("cluster_connections", 0);
    report.line("maxclients", report.settings.maxclients);
    report.line("client_recent_max_input_buffer", input);
    report.line("client_recent_max_output_buffer", output);
    report.line("blocked_clients", blocked);
    report.line("tracking_clients", report.server.broker.tracking.clients());
    report.line("pubsub_clients", subscribers);
    report.line("watching_clients", watching);
    report.line("clients_in_timeout_table", timed);
    report.line("total_watched_keys", keys);
    let (waited_for, on_absence) = report.server.engine.store.waited_for();
    report.line("total_blocking_keys", waited_for);
    report.line("total_blocking_keys_on_nokey", on_absence);
    if let Some((all, left)) = report.server.pause.state(report.instant) {
        report.line("paused_reason", "client_pause");
        report.line("paused_actions", if all { "all" } else { "write" });
        report.line("paused_timeout_milliseconds", left);
    }
}

pub(super) fn replication(report: &mut Report<'_>) {
    report.constant("role:master connected_slaves:0 master_failover_state:no-failover");
    report.line("master_replid", report.server.run_id.clone());
    report.line("master_replid2", "0".repeat(40));
    report.constant(
        "master_repl_offset:0 second_repl_offset:-1 repl_backlog_active:0 repl_backlog_size:1048576 \
         repl_backlog_first_byte_offset:0 repl_backlog_histlen:0",
    );
}

pub(super) fn cpu(report: &mut Report<'_>) {
    let used = process::cpu_time();
    report.line("used_cpu_sys", format_args!("{:.6}", used.system));
    report.line("used_cpu_user", format_args!("{:.6}", used.user));
    report.constant("used_cpu_sys_children:0.000000 used_cpu_user_children:0.000000");
    report.line("used_cpu_sys_main_thread", format_args!("{:.6}", used.system));
    report.line("used_cpu_user_main_thread", format_args!("{:.6}", used.user));
}

pub(super) fn cluster(report: &mut Report<'_>) {
    report.line("cluster_enabled", 0);
}

/// The number of keys from which the average time to live is estimated.
const TTL_SAMPLES: u64 = 128;

pub(super) fn keyspace(report: &mut Report<'_>) {
    let store = &report.server.engine.store;
    for db in 0..store.databases() {
        let (mut keys, expires) = store.db_size(db);
        if db == VIEW_DB {
            keys += report.server.engine.view_count();
        }
        if keys > 0 {
            let subexpires = store.subexpires(db);
            let ttl = if expires > 0 { store.sample_ttl(db, TTL_SAMPLES, report.now) } else { 0 };
            report.line(
                &format!("db{db}"),
                format_args!("keys={keys},expires={expires},avg_ttl={ttl},subexpiry={subexpires}"),
            );
        }
    }
}
