//! The options that have an effect.

use std::path::PathBuf;

use super::accepted::Accepted;
use super::choice::{
    AppendFsync, EvictionPolicy, LogFormat, LogLevel, NewUserChannels, ProtectedAction, Supervised,
};
use super::compound::{KeyspaceEvents, OutputLimit, OutputLimits, SavePoint, WorkerThreads};
use super::spec::options;
use super::value::{MemoryOrPercent, Secret, int, int_clamped, memory, octal};

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;
const I32: i128 = i32::MAX as i128;
const I64: i128 = i64::MAX as i128;

/// A command that `rename-command` renamed, or took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedCommand {
    /// The name it has by itself.
    pub from: Vec<u8>,
    /// The name it answers to instead; empty takes it away.
    pub to: Vec<u8>,
}

/// A `user` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDirective {
    /// The user's name.
    pub name: Vec<u8>,
    /// The rules, word for word.
    pub rules: Vec<Vec<u8>>,
}

options! {
    /// The value of every option at one moment.
    ///
    /// A worker keeps the `Arc` of a snapshot and asks for a new one only when the generation of
    /// [`Config`](super::Config) has changed.
    struct Settings {
        /// What `rename-command` lines ask for, in their order.
        renamed_commands: Vec<RenamedCommand> = Vec::new();
        /// The `user` lines, in their order.
        users: Vec<UserDirective> = Vec::new();
        /// Options that are known but have no effect.
        accepted: Accepted = Accepted::default();
    }

    section "Network", None => {
        /// The addresses to listen on; `*` and `-::*` stand for all of IPv4 and IPv6. An address after a minus sign may
        /// be missing on the machine.
        "bind" => bind: Vec<String> = vec!["127.0.0.1".to_owned(), "-::1".to_owned()], Live;
        /// The TCP port to listen on; 0 opens no TCP socket.
        "port" => port: u16 [int(0, 65535)] = 6379, Live;
        /// Refuses clients from other machines as long as no password is set.
        "protected-mode" => protected_mode: bool = true, Live;
        /// How many connections the kernel holds until they are accepted.
        "tcp-backlog" => tcp_backlog: u32 [int(0, I32)] = 511, Fixed;
        /// Seconds between the probes that find dead peers; 0 sends none.
        "tcp-keepalive" => tcp_keepalive: u32 [int(0, I32)] = 300, Live;
        /// Closes a client after this many idle seconds; 0 never does. Clients that subscribe or wait are spared.
        "timeout" => timeout: u32 [int(0, I32)] = 0, Live;
        /// The path of a unix socket to listen on beside TCP; empty opens none.
        "unixsocket" => unixsocket: String = String::new(), Fixed;
        /// The permissions of the unix socket, in octal; 0 lets only the server's own user connect.
        "unixsocketperm" => unixsocketperm: u32 [octal(0o777)] = 0, Fixed;
    }

    section "General", None => {
        /// The number of databases that SELECT can choose from.
        "databases" => databases: u32 [int(1, I32)] = 16, Fixed;
        /// How many threads execute commands. 0 stands for one per core, and CONFIG GET then reports their number.
        "io-threads" => io_threads: WorkerThreads = WorkerThreads::PER_CORE, Fixed;
        /// Tells the service manager when the server is ready and when it stops.
        "supervised" => supervised: Supervised = Supervised::Auto, Fixed;
        /// The file that holds the process id while the server runs; empty writes none.
        "pidfile" => pidfile: String = String::new(), Fixed;
        /// How much is logged.
        "loglevel" => loglevel: LogLevel = LogLevel::Notice, Live;
        /// The file that is logged to; empty logs to standard error.
        "logfile" => logfile: String = String::new(), Fixed;
        /// How log lines look: for people, or one JSON object per line.
        "log-format" => log_format: LogFormat = LogFormat::Pretty, Fixed;
        /// How many times a second the server looks after expired keys, idle clients and statistics; kept between 1 and
        /// 500.
        "hz" => hz: u32 [int_clamped(0, I32, 1, 500)] = 10, Live;
    }

    section "Durability", None => {
        /// The data folder, created if it is missing. It cannot change while the server runs.
        "dir" => dir: PathBuf = PathBuf::from("./data"), Guarded + NotWhileLoading;
        /// Whether writes are logged. Without the log, only checkpoints outlive the process.
        "appendonly" => appendonly: bool = true, Live + NotWhileLoading;
        /// When the log is forced to the disk: before a write is acknowledged, once a second, or when the operating
        /// system likes. A killed process loses nothing at any of them.
        "appendfsync" => appendfsync: AppendFsync = AppendFsync::Everysec, Live;
        /// At `appendfsync everysec`, how many milliseconds a write may be acknowledged and not yet on disk before
        /// writers wait for the disk; 0 never has them wait.
        "log-max-unsynced-ms" => log_max_unsynced_ms: u64 [int(0, I64)] = 2000, Live;
        /// Checkpoints when so many seconds have passed and so many changes were made since the last one; `""` turns
        /// them off.
        "save" => save: Vec<SavePoint> = vec![
            SavePoint { seconds: 3600, changes: 1 },
            SavePoint { seconds: 300, changes: 100 },
            SavePoint { seconds: 60, changes: 10000 },
        ], Live;
        /// Refuses writes with MISCONF after a checkpoint failed, until one succeeds.
        "stop-writes-on-bgsave-error" => stop_writes_on_bgsave_error: bool = true, Live;
        /// Checkpoints when the log has grown by this percentage since the last checkpoint; 0 never does.
        "auto-aof-rewrite-percentage" => auto_aof_rewrite_percentage: u32 [int(0, I32)] = 100, Live;
        /// The size below which the log's growth is no reason for a checkpoint.
        "auto-aof-rewrite-min-size" => auto_aof_rewrite_min_size: u64 [memory(0, I64)] = 64 * MB, Live;
        /// The size at which the log begins a new segment file.
        "log-segment-size" => log_segment_size: u64 [memory(16 * KB as i128, GB as i128)] = 64 * MB, Fixed;
        /// The largest change that one command or transaction may make, as bytes of its log record.
        "log-max-record-size" => log_max_record_size: u64 [memory(64 * KB as i128, 4 * GB as i128)] = 4 * GB, Fixed;
        /// How much of the disk the log secures ahead of what it writes.
        "log-preallocate-size" => log_preallocate_size: u64 [memory(0, GB as i128)] = 4 * MB, Fixed;
        /// The bytes of each of the log's two unused buffers that are kept for the next records; what is larger is
        /// given back.
        "log-keep-buffer-size" => log_keep_buffer_size: u64 [memory(0, GB as i128)] = 4 * MB, Live;
        /// Writes are refused while the disk of the data folder has less free space than this.
        "disk-reserve" => disk_reserve: u64 [memory(0, I64)] = 64 * MB, Live;
    }

    section "Memory", None => {
        /// The memory that data may take before keys are evicted or writes refused; 0 is no limit.
        "maxmemory" => maxmemory: u64 [memory(0, u64::MAX as i128)] = 0, Live;
        /// What happens at `maxmemory`: which keys are evicted, or none.
        "maxmemory-policy" => maxmemory_policy: EvictionPolicy = EvictionPolicy::Noeviction, Live;
        /// How many keys are looked at to choose one for eviction; more is more exact and slower.
        "maxmemory-samples" => maxmemory_samples: u32 [int(1, I32)] = 5, Live;
        /// How long one command may be held up by eviction, from 0 (least) to 100 (without limit).
        "maxmemory-eviction-tenacity" => maxmemory_eviction_tenacity: u32 [int(0, 100)] = 10, Live;
        /// The memory that all clients together may take before the largest are closed; 0 is no limit.
        "maxmemory-clients" => maxmemory_clients: MemoryOrPercent = MemoryOrPercent::Bytes(0), Live;
        /// The bytes of unused buffers that each worker keeps for the next replies, and for the next log records; what
        /// is larger is given back.
        "worker-keep-buffers-size" => worker_keep_buffers_size: u64 [memory(0, GB as i128)] = 256 * KB, Live;
        /// How many accesses raise a key's frequency counter: the higher, the slower it saturates.
        "lfu-log-factor" => lfu_log_factor: u32 [int(0, I32)] = 10, Live;
        /// Minutes after which a key's frequency counter is lowered by one; 0 never lowers it.
        "lfu-decay-time" => lfu_decay_time: u32 [int(0, I32)] = 1, Live;
        /// How much time is spent on removing expired keys, from 1 to 10. Readers never see them in any case.
        "active-expire-effort" => active_expire_effort: u32 [int(1, 10)] = 1, Live;
        /// The number of shards that the keys are spread over, rounded up to a power of two.
        "shards" => shards: u32 [int(1, 4096)] = 1024, Fixed;
    }

    section "Clients", None => {
        /// The most clients connected at once.
        "maxclients" => maxclients: u32 [int(1, u32::MAX as i128)] = 10000, Live;
        /// The most bytes a client may send ahead of the answer before it is closed.
        "client-query-buffer-limit" => client_query_buffer_limit: u64 [memory(MB as i128, I64)] = GB, Live;
        /// When a client that does not read its replies is closed: at the hard limit, or after so many seconds above
        /// the soft one; 0 is no limit. One line per class: `normal`, `replica`, `pubsub`.
        "client-output-buffer-limit" => client_output_buffer_limit: OutputLimits = OutputLimits {
            normal: OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
            replica: OutputLimit { hard_bytes: 256 * MB, soft_bytes: 64 * MB, soft_seconds: 60 },
            pubsub: OutputLimit { hard_bytes: 32 * MB, soft_bytes: 8 * MB, soft_seconds: 60 },
        }, Live;
        /// The largest single argument, and the largest string.
        "proto-max-bulk-len" => proto_max_bulk_len: u64 [memory(MB as i128, I64)] = 512 * MB, Live;
        /// The longest inline command, and the longest line with a count or a length.
        "proto-inline-max-size" => proto_inline_max_size: u64 [memory(KB as i128, 64 * MB as i128)] = 64 * KB, Live;
        /// The most arguments of one command.
        "proto-max-multibulk-len" => proto_max_multibulk_len: u32 [int(1024, I32)] = i32::MAX as u32, Live;
        /// How many keys that clients cache are remembered at most; those beyond are told to their clients as changed.
        /// 0 is no limit.
        "tracking-table-max-keys" => tracking_table_max_keys: u64 [int(0, I64)] = 1_000_000, Live;
    }

    section "Items", None => {
        /// The largest item that item commands take. The AWS interface has DynamoDB's limit of 400 kb.
        "item-max-size" => item_max_size: u64 [memory(KB as i128, GB as i128)] = 16 * MB, Live;
        /// How deep lists and maps of an item may lie in each other.
        "item-max-depth" => item_max_depth: u32 [int(1, 128)] = 32, Live;
        /// The longest partition key, in bytes.
        "item-max-partition-key-size" => item_max_partition_key_size: u64 [memory(1, 64 * KB as i128)] = 2048, Live;
        /// The longest sort key, in bytes.
        "item-max-sort-key-size" => item_max_sort_key_size: u64 [memory(1, 64 * KB as i128)] = 1024, Live;
        /// How many bytes of items one reply of a query or scan holds before it ends with a cursor. The AWS interface
        /// has DynamoDB's limit of 1 mb.
        "item-max-page-size" => item_max_page_size: u64 [memory(KB as i128, GB as i128)] = 64 * MB, Live;
        /// How long the item commands and AWS requests of one transaction may be together, as they are sent. They are
        /// read before anything is locked, and kept as they were read until EXEC ends.
        "item-max-transaction-size" => item_max_transaction_size: u64 [memory(KB as i128, GB as i128)] = 64 * MB, Live;
        /// The most memory that a transaction or script may take for what it publishes and tells when it commits, and
        /// for its lines of MONITOR, and that ITEM.ATOMIC may add beside its replies and its record in the log. Beyond
        /// it commands that would tell more are refused, MONITOR's clients are closed, and ITEM.ATOMIC is cancelled.
        "transaction-max-memory" => transaction_max_memory: u64 [memory(MB as i128, I64)] = 256 * MB, Live;
        /// How many milliseconds the change streams of tables keep their records.
        "table-stream-retention-ms" => table_stream_retention_ms: u64 [int(1000, I64)] = 86_400_000, Live;
    }

    section "Scripts", None => {
        /// Milliseconds after which those who need what a script works on are answered BUSY; 0 is never.
        "busy-reply-threshold" | "lua-time-limit" => busy_reply_threshold: u64 [int(0, I64)] = 5000, Live;
        /// The memory that each thread's interpreter may take while it runs a script; 0 is no limit.
        "lua-memory-limit" => lua_memory_limit: u64 [memory(0, I64)] = 1024 * MB, Live;
    }

    section "Security", None => {
        /// The password that clients must give with AUTH or HELLO; empty asks for none.
        "requirepass" => requirepass: Secret = Secret::default(), Live + Secret;
        /// The file of users; empty is none. A relative path begins at `dir`.
        "aclfile" => aclfile: String = String::new(), Fixed;
        /// The channels that new users may use: all, or none.
        "acl-pubsub-default" => acl_pubsub_default: NewUserChannels = NewUserChannels::None, Live;
        /// The most entries of ACL LOG; the oldest go first.
        "acllog-max-len" => acllog_max_len: u64 [int(0, I64)] = 128, Live;
        /// Who may use DEBUG.
        "enable-debug-command" => enable_debug_command: ProtectedAction = ProtectedAction::No, Fixed;
        /// Who may change the options that are protected (`dir`, `dbfilename`).
        "enable-protected-configs" => enable_protected_configs: ProtectedAction = ProtectedAction::No, Fixed;
    }

    section "Observation", None => {
        /// Microseconds that a command must take to enter the slow log; 0 logs all, -1 none.
        "slowlog-log-slower-than" | "commandlog-execution-slower-than" => slowlog_log_slower_than: i64 [int(-1, I64)] = 10000, Live;
        /// The most entries of the slow log; the oldest go first.
        "slowlog-max-len" | "commandlog-slow-execution-max-len" => slowlog_max_len: u64 [int(0, I64)] = 128, Live;
        /// Bytes that a command's arguments must have together for COMMANDLOG's large requests; 0 logs all, -1 none.
        "commandlog-request-larger-than" => commandlog_request_larger_than: i64 [int(-1, I64)] = 1 << 20, Live;
        /// The most entries of COMMANDLOG's large requests; the oldest go first.
        "commandlog-large-request-max-len" => commandlog_large_request_max_len: u64 [int(0, I64)] = 128, Live;
        /// Bytes that a command's reply must have for COMMANDLOG's large replies; 0 logs all, -1 none.
        "commandlog-reply-larger-than" => commandlog_reply_larger_than: i64 [int(-1, I64)] = 1 << 20, Live;
        /// The most entries of COMMANDLOG's large replies; the oldest go first.
        "commandlog-large-reply-max-len" => commandlog_large_reply_max_len: u64 [int(0, I64)] = 128, Live;
        /// Milliseconds that an event must take for LATENCY to keep it; 0 keeps none.
        "latency-monitor-threshold" => latency_monitor_threshold: u64 [int(0, I64)] = 0, Live;
        /// Whether a histogram of each command's duration is kept.
        "latency-tracking" => latency_tracking: bool = true, Live;
        /// The percentiles that INFO latencystats reports.
        "latency-tracking-info-percentiles" => latency_tracking_info_percentiles: Vec<f64> = vec![50.0, 99.0, 99.9], Live;
        /// Which key events are published, and how: `K` and `E` choose the channels, `S`, `T`, `I` and `V` those that
        /// name the fields of hashes, `A` stands for all events but `m`, `n`, `o` and `c`.
        "notify-keyspace-events" => notify_keyspace_events: KeyspaceEvents = KeyspaceEvents::default(), Live;
    }

    section "Encodings", None => {
        /// The most fields of a hash in the compact form.
        "hash-max-listpack-entries" | "hash-max-ziplist-entries" => hash_max_listpack_entries: u64 [int(0, I64)] = 512, Live;
        /// The longest field or value of a hash in the compact form, in bytes.
        "hash-max-listpack-value" | "hash-max-ziplist-value" => hash_max_listpack_value: u64 [memory(0, I64)] = 64, Live;
        /// The size of a list's compact form: a number of elements, or -1 to -5 for 4 kb to 64 kb.
        "list-max-listpack-size" | "list-max-ziplist-size" => list_max_listpack_size: i32 [int(i32::MIN as i128, I32)] = -2, Live;
        /// The most members of a set of integers in its compact form.
        "set-max-intset-entries" => set_max_intset_entries: u64 [int(0, I64)] = 512, Live;
        /// The most members of a set in the compact form.
        "set-max-listpack-entries" => set_max_listpack_entries: u64 [int(0, I64)] = 128, Live;
        /// The longest member of a set in the compact form, in bytes.
        "set-max-listpack-value" => set_max_listpack_value: u64 [int(0, I64)] = 64, Live;
        /// The most members of a sorted set in the compact form.
        "zset-max-listpack-entries" | "zset-max-ziplist-entries" => zset_max_listpack_entries: u64 [int(0, I64)] = 128, Live;
        /// The longest member of a sorted set in the compact form, in bytes.
        "zset-max-listpack-value" | "zset-max-ziplist-value" => zset_max_listpack_value: u64 [memory(0, I64)] = 64, Live;
        /// The most bytes of a HyperLogLog in the sparse form.
        "hll-sparse-max-bytes" => hll_sparse_max_bytes: u64 [memory(0, I64)] = 3000, Live;
        /// The most bytes of one node of a stream; 0 is no limit.
        "stream-node-max-bytes" => stream_node_max_bytes: u64 [memory(0, I64)] = 4096, Live;
        /// The most entries of one node of a stream; 0 is no limit.
        "stream-node-max-entries" => stream_node_max_entries: u64 [int(0, I64)] = 100, Live;
    }
}

impl AsRef<Self> for Settings {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsMut<Self> for Settings {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl AsRef<Accepted> for Settings {
    fn as_ref(&self) -> &Accepted {
        &self.accepted
    }
}

impl AsMut<Accepted> for Settings {
    fn as_mut(&mut self) -> &mut Accepted {
        &mut self.accepted
    }
}
