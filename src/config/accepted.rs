//! The options of Redis that are known and reported, but have no effect. Each section says why.

use super::choice::{SignalFlags, Word};
use super::compound::{OomScores, Upstream};
use super::spec::options;
use super::value::{Secret, Text, int, memory};

const MB: u64 = 1 << 20;
const I32: i128 = i32::MAX as i128;
const I64: i128 = i64::MAX as i128;

fn dbfilename_fault(name: &str) -> Option<&'static str> {
    name.contains('/').then_some("dbfilename can't be a path, just a filename")
}

fn appendfilename_fault(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("appendfilename can't be empty"),
        name if name.contains('/') => Some("appendfilename can't be a path, just a filename"),
        _ => None,
    }
}

fn appenddirname_fault(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("appenddirname can't be empty"),
        name if name.contains('/') => Some("appenddirname can't be a path, just a dirname"),
        _ => None,
    }
}

fn proc_title_fault(template: &str) -> Option<&'static str> {
    const FAULT: &str = "template format is invalid or contains unknown variables";
    const VARIABLES: [&str; 7] =
        ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            // A doubled brace stands for itself.
            rest = after;
            continue;
        }
        let Some((variable, after)) = rest.split_once('}') else { return Some(FAULT) };
        if !VARIABLES.contains(&variable) {
            return Some(FAULT);
        }
        rest = after;
    }
    None
}

fn hostname_fault(name: &str) -> Option<&'static str> {
    if name.len() >= 256 {
        Some("Hostnames must be less than 256 characters")
    } else if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
        None
    } else {
        Some("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}

fn nodename_fault(name: &str) -> Option<&'static str> {
    let printable = |byte: u8| byte.is_ascii_graphic() && !b"!#$%&()*+:;<>?@[]^`{|}~,=/\\\"'".contains(&byte);
    if name.len() >= 256 {
        Some("Node names must be less than 256 characters")
    } else if name.bytes().all(printable) {
        None
    } else {
        Some("Node names may only contain alphanumeric characters, hyphens or dots")
    }
}

options! {
    /// The options that are accepted and reported back without an effect.
    struct Accepted {}

    section "TLS", Some("Connections are not encrypted; put a TLS proxy in front, or use the unix socket.") => {
        /// The port for TLS connections.
        "tls-port" => tls_port: u16 [int(0, 65535)] = 0, Live;
        /// The server's certificate.
        "tls-cert-file" => tls_cert_file: String = String::new(), Live;
        /// The key of the server's certificate.
        "tls-key-file" => tls_key_file: String = String::new(), Live;
        /// The password of that key.
        "tls-key-file-pass" => tls_key_file_pass: Secret = Secret::default(), Live + Secret;
        /// The certificate shown to other servers.
        "tls-client-cert-file" => tls_client_cert_file: String = String::new(), Live;
        /// The key of that certificate.
        "tls-client-key-file" => tls_client_key_file: String = String::new(), Live;
        /// The password of that key.
        "tls-client-key-file-pass" => tls_client_key_file_pass: Secret = Secret::default(), Live + Secret;
        /// Diffie-Hellman parameters.
        "tls-dh-params-file" => tls_dh_params_file: String = String::new(), Live;
        /// The authorities that clients are checked against.
        "tls-ca-cert-file" => tls_ca_cert_file: String = String::new(), Live;
        /// A folder of such authorities.
        "tls-ca-cert-dir" => tls_ca_cert_dir: String = String::new(), Live;
        /// Whether clients need a certificate.
        "tls-auth-clients" => tls_auth_clients: Word [&["no", "yes", "optional"]] = Word("yes"), Live;
        /// TLS towards the primary.
        "tls-replication" => tls_replication: bool = false, Live;
        /// TLS on the cluster bus.
        "tls-cluster" => tls_cluster: bool = false, Live;
        /// The versions of TLS.
        "tls-protocols" => tls_protocols: String = String::new(), Live;
        /// The ciphers up to TLS 1.2.
        "tls-ciphers" => tls_ciphers: String = String::new(), Live;
        /// The ciphers of TLS 1.3.
        "tls-ciphersuites" => tls_ciphersuites: String = String::new(), Live;
        /// The server chooses the cipher.
        "tls-prefer-server-ciphers" => tls_prefer_server_ciphers: bool = false, Live;
        /// TLS sessions are cached.
        "tls-session-caching" => tls_session_caching: bool = true, Live;
        /// The number of cached TLS sessions.
        "tls-session-cache-size" => tls_session_cache_size: u32 [int(0, I32)] = 20480, Live;
        /// Seconds that a TLS session is cached.
        "tls-session-cache-timeout" => tls_session_cache_timeout: u32 [int(0, I32)] = 300, Live;
    }

    section "Replication", Some("There are no replicas yet: every server is a primary.") => {
        /// The primary to copy.
        "replicaof" | "slaveof" => replicaof: Upstream = Upstream::default(), Fixed;
        /// The password for the primary.
        "masterauth" => masterauth: Secret = Secret::default(), Live + Secret;
        /// The user for the primary.
        "masteruser" => masteruser: Secret = Secret::default(), Live + Secret;
        /// A replica answers while it is cut off.
        "replica-serve-stale-data" | "slave-serve-stale-data" => replica_serve_stale_data: bool = true, Live;
        /// A replica refuses writes.
        "replica-read-only" | "slave-read-only" => replica_read_only: bool = true, Live;
        /// A full copy goes straight to the socket.
        "repl-diskless-sync" => repl_diskless_sync: bool = true, Live;
        /// Seconds to wait for more replicas before a full copy.
        "repl-diskless-sync-delay" => repl_diskless_sync_delay: u32 [int(0, I32)] = 5, Live;
        /// Replicas that end that wait.
        "repl-diskless-sync-max-replicas" => repl_diskless_sync_max_replicas: u32 [int(0, I32)] = 0, Live;
        /// A replica loads a full copy straight from the socket.
        "repl-diskless-load" => repl_diskless_load: Word [&["disabled", "on-empty-db", "swapdb"]] = Word("disabled"), Live + NotWhileLoading;
        /// Seconds between pings to replicas.
        "repl-ping-replica-period" | "repl-ping-slave-period" => repl_ping_replica_period: u32 [int(1, I32)] = 10, Live;
        /// Seconds after which the other side counts as lost.
        "repl-timeout" => repl_timeout: u32 [int(1, I32)] = 60, Live;
        /// Fewer, larger packets to replicas.
        "repl-disable-tcp-nodelay" => repl_disable_tcp_nodelay: bool = false, Live;
        /// What is kept for a partial copy.
        "repl-backlog-size" => repl_backlog_size: u64 [memory(1, I64)] = MB, Live;
        /// Seconds that it is kept without replicas.
        "repl-backlog-ttl" => repl_backlog_ttl: u64 [int(0, I64)] = 3600, Live;
        /// A replica's rank for Sentinel.
        "replica-priority" | "slave-priority" => replica_priority: u32 [int(0, I32)] = 100, Live;
        /// What a replica does when it cannot apply a command.
        "propagation-error-behavior" => propagation_error_behavior: Word [&["ignore", "panic", "panic-on-replicas"]] = Word("ignore"), Live;
        /// A replica goes on although its disk fails.
        "replica-ignore-disk-write-errors" => replica_ignore_disk_write_errors: bool = false, Live;
        /// Sentinel shows the replica.
        "replica-announced" => replica_announced: bool = true, Live;
        /// The replicas that must be connected for writes.
        "min-replicas-to-write" | "min-slaves-to-write" => min_replicas_to_write: u32 [int(0, I32)] = 0, Live;
        /// The lag up to which such a replica counts, in seconds.
        "min-replicas-max-lag" | "min-slaves-max-lag" => min_replicas_max_lag: u32 [int(0, I32)] = 10, Live;
        /// The address a replica says it has.
        "replica-announce-ip" | "slave-announce-ip" => replica_announce_ip: String = String::new(), Live;
        /// The port a replica says it has.
        "replica-announce-port" | "slave-announce-port" => replica_announce_port: u16 [int(0, 65535)] = 0, Live;
        /// A replica evicts nothing by itself.
        "replica-ignore-maxmemory" | "slave-ignore-maxmemory" => replica_ignore_maxmemory: bool = true, Live;
        /// A replica frees its old data in the background.
        "replica-lazy-flush" | "slave-lazy-flush" => replica_lazy_flush: bool = false, Live;
        /// Synchronisation files are removed.
        "rdb-del-sync-files" => rdb_del_sync_files: bool = false, Live;
    }

    section "Cluster", Some("There is no cluster mode: one server holds all slots.") => {
        /// Cluster mode.
        "cluster-enabled" => cluster_enabled: bool = false, Fixed;
        /// The file with the state of the cluster.
        "cluster-config-file" => cluster_config_file: String = "nodes.conf".to_owned(), Fixed;
        /// Milliseconds after which a node counts as failing.
        "cluster-node-timeout" => cluster_node_timeout: u64 [int(0, I64)] = 15000, Live;
        /// The port of the cluster bus.
        "cluster-port" => cluster_port: u16 [int(0, 65535)] = 0, Fixed;
        /// How old the data of a replica may be for a failover.
        "cluster-replica-validity-factor" | "cluster-slave-validity-factor" => cluster_replica_validity_factor: u32 [int(0, I32)] = 10, Live;
        /// The replicas a primary keeps when others move.
        "cluster-migration-barrier" => cluster_migration_barrier: u32 [int(0, I32)] = 1, Live;
        /// Replicas move to primaries that have none.
        "cluster-allow-replica-migration" => cluster_allow_replica_migration: bool = true, Live;
        /// The cluster stops when a slot has no node.
        "cluster-require-full-coverage" => cluster_require_full_coverage: bool = true, Live;
        /// The replica never takes over by itself.
        "cluster-replica-no-failover" | "cluster-slave-no-failover" => cluster_replica_no_failover: bool = false, Live;
        /// Reads while the cluster is down.
        "cluster-allow-reads-when-down" => cluster_allow_reads_when_down: bool = false, Live;
        /// Sharded publishing while the cluster is down.
        "cluster-allow-pubsubshard-when-down" => cluster_allow_pubsubshard_when_down: bool = true, Live;
        /// The memory of one link of the cluster bus.
        "cluster-link-sendbuf-limit" => cluster_link_sendbuf_limit: u64 [memory(0, u64::MAX as i128)] = 0, Live;
        /// The host name shown to clients.
        "cluster-announce-hostname" => cluster_announce_hostname: String [Text { fault: Some(hostname_fault) }] = String::new(), Live;
        /// A name of the node for people.
        "cluster-announce-human-nodename" => cluster_announce_human_nodename: String [Text { fault: Some(nodename_fault) }] = String::new(), Live;
        /// What clients are told to connect to.
        "cluster-preferred-endpoint-type" => cluster_preferred_endpoint_type: Word [&["ip", "hostname", "unknown-endpoint"]] = Word("ip"), Live;
        /// The address shown to clients.
        "cluster-announce-ip" => cluster_announce_ip: String = String::new(), Live;
        /// The port shown to clients.
        "cluster-announce-port" => cluster_announce_port: u16 [int(0, 65535)] = 0, Live;
        /// The TLS port shown to clients.
        "cluster-announce-tls-port" => cluster_announce_tls_port: u16 [int(0, 65535)] = 0, Live;
        /// The port of the cluster bus shown to others.
        "cluster-announce-bus-port" => cluster_announce_bus_port: u16 [int(0, 65535)] = 0, Live;
    }

    section "Modules", Some("There are no modules.") => {
        /// Who may load modules.
        "enable-module-command" => enable_module_command: Word [&["no", "yes", "local"]] = Word("no"), Fixed;
    }

    section "Files", Some("The log and its checkpoints have names, checksums and a format of their own, and are written without a fork.") => {
        /// The name of the snapshot.
        "dbfilename" => dbfilename: String [Text { fault: Some(dbfilename_fault) }] = "dump.rdb".to_owned(), Guarded;
        /// Strings in the snapshot are compressed.
        "rdbcompression" => rdbcompression: bool = true, Live;
        /// The snapshot ends in a checksum.
        "rdbchecksum" => rdbchecksum: bool = true, Fixed;
        /// Payloads of RESTORE are checked in full. Here they always are.
        "sanitize-dump-payload" => sanitize_dump_payload: Word [&["no", "yes", "clients"]] = Word("no"), Live;
        /// The snapshot is synced piece by piece.
        "rdb-save-incremental-fsync" => rdb_save_incremental_fsync: bool = true, Live;
        /// Microseconds of delay per key while saving.
        "rdb-key-save-delay" => rdb_key_save_delay: i32 [int(i32::MIN as i128, I32)] = 0, Live + Hidden;
        /// Microseconds of delay per key while loading.
        "key-load-delay" => key_load_delay: i32 [int(i32::MIN as i128, I32)] = 0, Live + Hidden;
        /// How often events are looked after while loading, in bytes.
        "loading-process-events-interval-bytes" => loading_process_events_interval_bytes: u32 [memory(1024, I32)] = 2 << 20, Live + Hidden;
        /// The base name of the log's files.
        "appendfilename" => appendfilename: String [Text { fault: Some(appendfilename_fault) }] = "appendonly.aof".to_owned(), Fixed;
        /// The folder of the log's files.
        "appenddirname" => appenddirname: String [Text { fault: Some(appenddirname_fault) }] = "appendonlydir".to_owned(), Fixed;
        /// No sync while a snapshot is written.
        "no-appendfsync-on-rewrite" => no_appendfsync_on_rewrite: bool = false, Live;
        /// A torn tail is cut at start. Here it always is, and reported.
        "aof-load-truncated" => aof_load_truncated: bool = true, Live;
        /// The log begins with a snapshot.
        "aof-use-rdb-preamble" => aof_use_rdb_preamble: bool = true, Live;
        /// The log holds times. Here every record does.
        "aof-timestamp-enabled" => aof_timestamp_enabled: bool = false, Live;
        /// The rewritten log is synced piece by piece.
        "aof-rewrite-incremental-fsync" => aof_rewrite_incremental_fsync: bool = true, Live;
        /// Old files of the log stay.
        "aof-disable-auto-gc" => aof_disable_auto_gc: bool = false, Live;
    }

    section "Process", Some("The server stays in the foreground under its service manager, which sets priorities, processors and names; see `supervised`.") => {
        /// Runs in the background.
        "daemonize" => daemonize: bool = false, Fixed;
        /// Logs to syslog.
        "syslog-enabled" => syslog_enabled: bool = false, Fixed;
        /// The name in syslog.
        "syslog-ident" => syslog_ident: String = "redis".to_owned(), Fixed;
        /// The facility of syslog.
        "syslog-facility" => syslog_facility: Word [&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]] = Word("local0"), Fixed;
        /// A report when the process crashes.
        "crash-log-enabled" => crash_log_enabled: bool = true, Live;
        /// A memory test when the process crashes.
        "crash-memcheck-enabled" => crash_memcheck_enabled: bool = true, Live;
        /// Exits instead of aborting.
        "use-exit-on-panic" => use_exit_on_panic: bool = false, Live + Hidden;
        /// Milliseconds after which a stall is reported.
        "watchdog-period" => watchdog_period: u32 [int(0, I32)] = 0, Live + Hidden;
        /// A logo at start.
        "always-show-logo" => always_show_logo: bool = false, Fixed;
        /// The process changes its title.
        "set-proc-title" => set_proc_title: bool = true, Fixed;
        /// The title of the process.
        "proc-title-template" => proc_title_template: String [Text { fault: Some(proc_title_fault) }] = "{title} {listen-addr} {server-mode}".to_owned(), Live;
        /// The locale by which strings are compared.
        "locale-collate" => locale_collate: String = String::new(), Live;
        /// The out-of-memory killer is told what to spare.
        "oom-score-adj" => oom_score_adj: Word [&["no", "yes", "relative", "absolute"]] = Word("no"), Live;
        /// What it is told, for primary, replica and child.
        "oom-score-adj-values" => oom_score_adj_values: OomScores = OomScores([0, 200, 800]), Live;
        /// Transparent huge pages are turned off.
        "disable-thp" => disable_thp: bool = true, Fixed;
        /// The processors of the server's threads.
        "server_cpulist" | "server-cpulist" => server_cpulist: String = String::new(), Fixed;
        /// The processors of background threads.
        "bio_cpulist" | "bio-cpulist" => bio_cpulist: String = String::new(), Fixed;
        /// The processors of the log's rewrite.
        "aof_rewrite_cpulist" | "aof-rewrite-cpulist" => aof_rewrite_cpulist: String = String::new(), Fixed;
        /// The processors of the snapshot.
        "bgsave_cpulist" | "bgsave-cpulist" => bgsave_cpulist: String = String::new(), Fixed;
        /// Warnings that do not prevent the start.
        "ignore-warnings" => ignore_warnings: String = String::new(), Live;
        /// Seconds to wait for replicas at shutdown.
        "shutdown-timeout" => shutdown_timeout: u32 [int(0, I32)] = 10, Live;
        /// What SIGINT does. Here it always finishes, syncs and exits.
        "shutdown-on-sigint" => shutdown_on_sigint: SignalFlags = SignalFlags(Vec::new()), Live;
        /// What SIGTERM does. Here it always finishes, syncs and exits.
        "shutdown-on-sigterm" => shutdown_on_sigterm: SignalFlags = SignalFlags(Vec::new()), Live;
        /// The address that connections to other servers come from.
        "bind-source-addr" => bind_source_addr: String = String::new(), Live;
        /// A mark on the sockets.
        "socket-mark-id" => socket_mark_id: u32 [int(0, u32::MAX as i128)] = 0, Fixed;
    }

    section "Tuning", Some("The threads and structures that it tunes in Redis do not exist here; the work is bounded in other ways.") => {
        /// The other threads read too.
        "io-threads-do-reads" => io_threads_do_reads: bool = false, Fixed;
        /// New connections accepted in one turn.
        "max-new-connections-per-cycle" => max_new_connections_per_cycle: u32 [int(1, 1000)] = 10, Live;
        /// New TLS connections accepted in one turn.
        "max-new-tls-connections-per-cycle" => max_new_tls_connections_per_cycle: u32 [int(1, 1000)] = 1, Live;
        /// Tables are rehashed between commands.
        "activerehashing" => activerehashing: bool = true, Live;
        /// `hz` rises with the number of clients.
        "dynamic-hz" => dynamic_hz: bool = true, Live;
        /// Evicted values are freed in the background.
        "lazyfree-lazy-eviction" => lazyfree_lazy_eviction: bool = false, Live;
        /// Expired values are freed in the background.
        "lazyfree-lazy-expire" => lazyfree_lazy_expire: bool = false, Live;
        /// Overwritten values are freed in the background.
        "lazyfree-lazy-server-del" => lazyfree_lazy_server_del: bool = false, Live;
        /// DEL does what UNLINK does.
        "lazyfree-lazy-user-del" => lazyfree_lazy_user_del: bool = false, Live;
        /// FLUSHALL does what FLUSHALL ASYNC does.
        "lazyfree-lazy-user-flush" => lazyfree_lazy_user_flush: bool = false, Live;
        /// The ends of a list that are not compressed.
        "list-compress-depth" => list_compress_depth: u32 [int(0, I32)] = 0, Live;
        /// Memory is defragmented while running.
        "activedefrag" => activedefrag: bool = false, Live;
        /// The waste below which nothing is defragmented.
        "active-defrag-ignore-bytes" => active_defrag_ignore_bytes: u64 [memory(1, I64)] = 100 * MB, Live;
        /// The percentage of waste at which it begins.
        "active-defrag-threshold-lower" => active_defrag_threshold_lower: u32 [int(0, 1000)] = 10, Live;
        /// The percentage of waste at which it works hardest.
        "active-defrag-threshold-upper" => active_defrag_threshold_upper: u32 [int(0, 1000)] = 100, Live;
        /// The least processor time for it, in percent.
        "active-defrag-cycle-min" => active_defrag_cycle_min: u32 [int(1, 99)] = 1, Live;
        /// The most processor time for it, in percent.
        "active-defrag-cycle-max" => active_defrag_cycle_max: u32 [int(1, 99)] = 25, Live;
        /// The fields of a value beyond which it is defragmented apart.
        "active-defrag-max-scan-fields" => active_defrag_max_scan_fields: u64 [int(1, I64)] = 1000, Live;
        /// The allocator's own background thread.
        "jemalloc-bg-thread" => jemalloc_bg_thread: bool = true, Live;
    }
}
