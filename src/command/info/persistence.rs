//! The section about the log and its checkpoints, under the names that Redis gives its files.

use super::Report;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn persistence(report: &mut Report<'_>) {
    let server = report.server;
    report.line("loading", 0);
    report.constant(
        "async_loading:0 current_cow_peak:0 current_cow_size:0 current_cow_size_age:0 current_fork_perc:0.00 \
         current_save_keys_processed:0 current_save_keys_total:0",
    );
    report.line("rdb_changes_since_last_save", server.engine.dirty.load(Relaxed));
    report.constant("rdb_bgsave_in_progress:0");
    report.line("rdb_last_save_time", server.started / 1000);
    report.constant(
        "rdb_last_bgsave_status:ok rdb_last_bgsave_time_sec:-1 rdb_current_bgsave_time_sec:-1 rdb_saves:0 \
         rdb_last_cow_size:0 rdb_last_load_keys_expired:0 rdb_last_load_keys_loaded:0",
    );
    report.line("aof_enabled", u8::from(report.settings.appendonly));
    report.constant(
        "aof_rewrite_in_progress:0 aof_rewrite_scheduled:0 aof_last_rewrite_time_sec:-1 \
         aof_current_rewrite_time_sec:-1 aof_last_bgrewrite_status:ok aof_rewrites:0 \
         aof_rewrites_consecutive_failures:0 aof_last_write_status:ok aof_last_cow_size:0 \
         module_fork_in_progress:0 module_fork_last_cow_size:0",
    );
}
