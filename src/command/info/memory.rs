//! The section about memory.

use super::report::Report;
use crate::engine::LibraryFigures;
use crate::env::memory::{allocator_stats, kept_bytes};
use crate::env::process;
use std::sync::atomic::Ordering::Relaxed;

/// A number of bytes in Redis's form for people, such as `1.50M`.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

fn ratio(one: u64, other: u64) -> f64 {
    if other == 0 { 0.0 } else { one as f64 / other as f64 }
}

/// The figures that INFO and MEMORY STATS share.
#[derive(Clone, Copy)]
pub(in crate::command) struct Figures {
    pub(in crate::command) used: u64,
    pub(in crate::command) peak: u64,
    pub(in crate::command) startup: u64,
    pub(in crate::command) clients: u64,
    pub(in crate::command) overhead: u64,
    pub(in crate::command) dataset: u64,
    pub(in crate::command) allocator: crate::env::memory::AllocatorStats,
    pub(in crate::command) rss: u64,
}

impl Figures {
    /// Measures the figures.
    pub(in crate::command) fn now(server: &crate::command::Server) -> Self {
        let used = server.engine.used_memory();
        let peak = server.memory_peak.fetch_max(used, Relaxed).max(used);
        let startup = server.memory_at_start.min(used);
        let clients: u64 = server.clients.lock().values().map(|client| client.memory() as u64).sum();
        let overhead = (startup + clients + server.engine.store.table_bytes() as u64).min(used);
        Self {
            used,
            peak,
            startup,
            clients,
            overhead,
            dataset: used - overhead,
            allocator: allocator_stats(),
            rss: process::resident_bytes(),
        }
    }

    /// The share of the dataset in all memory that was added since the start, in percent.
    pub(in crate::command) fn dataset_percent(&self) -> f64 {
        ratio(self.dataset, self.used - self.startup).min(1.0) * 100.0
    }
}

pub(super) fn memory(report: &mut Report<'_>) {
    let figures = Figures::now(report.server);
    let Figures { used, peak, startup, clients, overhead, dataset, allocator, rss } = figures;
    let total = process::total_memory();
    report.line("used_memory", used);
    report.line("used_memory_human", human(used));
    report.line("used_memory_rss", rss);
    report.line("used_memory_rss_human", human(rss));
    report.line("used_memory_peak", peak);
    report.line("used_memory_peak_human", human(peak));
    report.line("used_memory_peak_perc", format_args!("{:.2}%", ratio(used, peak) * 100.0));
    report.line("used_memory_overhead", overhead);
    report.line("used_memory_startup", startup);
    report.line("used_memory_dataset", dataset);
    report.line("used_memory_dataset_perc", format_args!("{:.2}%", figures.dataset_percent()));
    report.line("allocator_allocated", allocator.allocated);
    report.line("allocator_active", allocator.active);
    report.line("allocator_resident", allocator.resident);
    report.constant("allocator_muzzy:0");
    report.line("total_system_memory", total);
    report.line("total_system_memory_human", human(total));
    scripts(report);
    report.line("maxmemory", report.settings.maxmemory);
    report.line("maxmemory_human", human(report.settings.maxmemory));
    report.line("maxmemory_policy", report.settings.maxmemory_policy.name());
    fragmentation(report, &figures);
    report.line("mem_not_counted_for_evict", kept_bytes());
    report.constant("mem_replication_backlog:0 mem_total_replication_buffers:0");
    report.constant("mem_clients_slaves:0");
    report.line("mem_clients_normal", clients);
    report.line("mem_shared_by_copies", report.server.engine.store.shared_bytes());
    report.constant(
        "mem_cluster_links:0 mem_aof_buffer:0 mem_allocator:jemalloc \
         mem_overhead_db_hashtable_rehashing:0 active_defrag_running:0",
    );
    let store = &report.server.engine.store;
    report.line("lazyfree_pending_objects", store.reaper.pending());
    report.line("lazyfreed_objects", store.reaper.freed().load(Relaxed));
}

/// What scripts take. All interpreters are counted as those of EVAL.
fn scripts(report: &mut Report<'_>) {
    let interpreters = crate::lua::memory_in_use() as u64;
    let (count, bytes, _) = report.server.scripts.figures();
    report.line("used_memory_lua", interpreters);
    report.line("used_memory_vm_eval", interpreters);
    report.line("used_memory_lua_human", human(interpreters));
    report.line("used_memory_scripts_eval", bytes);
    report.line("number_of_cached_scripts", count);
    let LibraryFigures { libraries, functions, bytes: texts } = report.server.engine.libraries.figures();
    report.line("number_of_functions", functions);
    report.line("number_of_libraries", libraries);
    report.constant("used_memory_vm_functions:0");
    report.line("used_memory_vm_total", interpreters);
    report.line("used_memory_vm_total_human", human(interpreters));
    report.line("used_memory_functions", texts);
    report.line("used_memory_scripts", bytes + texts);
    report.line("used_memory_scripts_human", human((bytes + texts) as u64));
}

fn fragmentation(report: &mut Report<'_>, figures: &Figures) {
    let Figures { used, allocator, rss, .. } = *figures;
    let less = |one: u64, other: u64| one as i64 - other as i64;
    report.line("allocator_frag_ratio", format_args!("{:.2}", ratio(allocator.active, allocator.allocated)));
    report.line("allocator_frag_bytes", less(allocator.active, allocator.allocated));
    report.line("allocator_rss_ratio", format_args!("{:.2}", ratio(allocator.resident, allocator.active)));
    report.line("allocator_rss_bytes", less(allocator.resident, allocator.active));
    report.line("rss_overhead_ratio", format_args!("{:.2}", ratio(rss, allocator.resident)));
    report.line("rss_overhead_bytes", less(rss, allocator.resident));
    report.line("mem_fragmentation_ratio", format_args!("{:.2}", ratio(rss, used)));
    report.line("mem_fragmentation_bytes", less(rss, used));
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn bytes_are_shown_for_people() {
        for (bytes, shown) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1_237_456, "1.18M"), (25_276_502_016, "23.54G")]
        {
            assert_eq!(human(bytes), shown);
        }
    }
}
