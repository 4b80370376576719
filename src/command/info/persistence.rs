//! The section about the log and its checkpoints. Its lines have the names of Redis's for RDB and AOF.

use super::report::Report;
use crate::log::LogError;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

fn status(ok: bool) -> &'static str {
    if ok { "ok" } else { "err" }
}

pub(super) fn persistence(report: &mut Report<'_>) {
    let engine = &report.server.engine;
    let save = &engine.save;
    // A due checkpoint begins soon, or when the running one ends. It counts as running, so a client that polls until
    // the end waits for it too.
    let running = save.running.load(Acquire) || save.due.load(Acquire);
    let ok = status(save.last_ok.load(Relaxed));
    let last = match save.last_millis.load(Relaxed) {
        u64::MAX => -1,
        millis => (millis / 1000) as i64,
    };
    let so_far = save.started.load().map_or(0, |at| report.instant.since(at).as_secs() as i64);
    let current = if running { so_far } else { -1 };
    let count = save.count.load(Relaxed);
    report.line("loading", u8::from(engine.is_loading()));
    report.constant("async_loading:0");
    loading(report);
    report.constant(
        "current_cow_peak:0 current_cow_size:0 current_cow_size_age:0 current_fork_perc:0.00 \
         current_save_keys_processed:0 current_save_keys_total:0",
    );
    report.line("closed_shards", engine.store.closed_shards());
    report.line("rdb_changes_since_last_save", engine.unsaved.count());
    report.line("rdb_bgsave_in_progress", u8::from(running));
    report.line("rdb_last_save_time", save.last_save.load(Relaxed) / 1000);
    report.line("rdb_last_bgsave_status", ok);
    report.line("rdb_last_bgsave_time_sec", last);
    report.line("rdb_current_bgsave_time_sec", current);
    report.line("rdb_saves", count);
    report.constant("rdb_last_cow_size:0 rdb_last_load_keys_expired:0");
    report.line("rdb_last_load_keys_loaded", report.server.loaded_keys.load(Relaxed));
    report.line("aof_enabled", u8::from(report.settings.appendonly));
    report.line("aof_rewrite_in_progress", u8::from(running));
    report.line("aof_rewrite_scheduled", u8::from(report.server.save_scheduled.load(Relaxed)));
    report.line("aof_last_rewrite_time_sec", last);
    report.line("aof_current_rewrite_time_sec", current);
    report.line("aof_last_bgrewrite_status", ok);
    report.line("aof_rewrites", count);
    report.constant("aof_rewrites_consecutive_failures:0");
    let refused = engine.refusal(0).is_some();
    report.line("aof_last_write_status", status(!refused));
    report.constant("aof_last_cow_size:0 module_fork_in_progress:0 module_fork_last_cow_size:0");
    report.line("log_state", engine.state().name());
    report.line("log_complete", u8::from(engine.state().is_complete()));
    log(report);
}

/// The progress of loading.
fn loading(report: &mut Report<'_>) {
    let engine = &report.server.engine;
    if !engine.is_loading() {
        return;
    }
    let (done, total) = (engine.loading_done.load(Relaxed), engine.loading_total.load(Relaxed));
    let percent = if total == 0 { 0.0 } else { done as f64 * 100.0 / total as f64 };
    let seconds = report.instant.since(report.server.started_at).as_secs();
    let eta = (total.saturating_sub(done) * seconds).checked_div(done).unwrap_or(1);
    report.line("loading_start_time", report.server.started / 1000);
    report.line("loading_total_bytes", total);
    report.line("loading_rdb_used_mem", 0);
    report.line("loading_loaded_bytes", done);
    report.line("loading_loaded_perc", format_args!("{percent:.2}"));
    report.line("loading_eta_seconds", eta);
}

/// The lines about the log.
fn log(report: &mut Report<'_>) {
    if !report.settings.appendonly {
        return;
    }
    let engine = &report.server.engine;
    let Some(stats) = engine.journal_stats() else { return };
    let base = engine.save.report.lock().as_ref().map_or(0, |report| report.bytes);
    report.line("aof_current_size", stats.store.bytes + base);
    report.line("aof_base_size", base);
    report.constant("aof_pending_rewrite:0");
    report.line("aof_buffer_length", stats.pending_bytes);
    let (held, held_micros) = engine.held();
    report.line("aof_pending_bio_fsync", u8::from(stats.sync_running));
    report.line("aof_delayed_fsync", stats.syncs_delayed + held);
    report.line("log_unsynced_millis", stats.unsynced_micros / 1000);
    report.line("log_held_writers", held);
    report.line("log_held_micros_total", held_micros);
    report.line("log_tail_lsn", stats.tail);
    report.line("log_written_lsn", stats.written);
    report.line("log_synced_lsn", stats.synced);
    report.line("log_segments", stats.store.segments);
    report.line("log_appended_bytes", stats.appended_bytes);
    report.line("log_syncs", stats.syncs);
    report.line("log_sync_micros_total", stats.sync_micros_total);
    report.line("log_sync_micros_max", stats.sync_micros_max);
    report.line("log_disk_full", u8::from(stats.disk_full));
    if let Some(submitted) = stats.submitted {
        report.line("log_batches_in_flight", submitted.batches);
        report.line("log_bytes_in_flight", submitted.bytes);
        report.line("log_unknown_outcomes", submitted.unknown);
        report.line("log_resolving", u8::from(submitted.resolving));
        let superseded = stats.failure.as_ref().is_some_and(LogError::is_superseded);
        report.line("log_superseded", u8::from(superseded));
    }
    if let Some(failure) = stats.failure {
        report.line("log_failure", failure.to_string().replace(['\r', '\n'], " "));
    }
}
