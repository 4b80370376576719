//! The server's state: what its clients share, beside store and log.

use super::acl_log::AclLog;
use super::handle::ClientHandle;
use super::latency::LatencyMonitor;
use super::pause::Pause;
use super::rates::Rates;
use super::shutdown::Shutdown;
use super::slowlog::SlowLog;
use super::stats::{Histogram, WorkerStats};
use crate::config::{Changed, Config, Refusal, Settings};
use crate::engine::Engine;
use crate::env::{Instant, Random};
use crate::store::{Holder, Holds};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};
use std::sync::{Arc, OnceLock};

/// What happens seldom enough to be counted in one place by all threads.
#[derive(Default)]
pub struct Counts {
    /// Clients connected or about to be, as `maxclients` counts them.
    pub seats: AtomicUsize,
    /// The most clients that the process's limit of open files allows.
    pub most_clients: AtomicUsize,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: AtomicU64,
    /// Clients closed because all of them together took more than `maxmemory-clients`.
    pub evicted_clients: AtomicU64,
    /// Wrong passwords and unknown users.
    pub auth_failures: AtomicU64,
    /// Clients closed because they did not read their replies.
    pub output_limit_disconnections: AtomicU64,
    /// Clients closed because they sent more than `client-query-buffer-limit` ahead.
    pub query_limit_disconnections: AtomicU64,
}

/// What the server room does with a changed configuration: listening elsewhere, logging more. It may refuse.
pub type Reconfigured = Box<dyn Fn(&Changed) -> Result<(), Refusal> + Send + Sync>;

/// One server, with a command table of whatever kind.
pub struct Server<R: 'static> {
    /// Store and log.
    pub engine: Arc<Engine>,
    /// The configuration.
    pub config: Arc<Config>,
    /// The command table.
    pub registry: &'static R,
    /// All connected clients.
    pub clients: Mutex<BTreeMap<u64, Arc<ClientHandle>>>,
    /// What each worker counts.
    pub workers: Vec<Arc<WorkerStats>>,
    /// What is counted in one place.
    pub counts: Counts,
    /// When the server started, in ms since the epoch.
    pub started: u64,
    /// The same instant on this process's clock.
    pub started_at: Instant,
    /// Forty hexadecimal digits that are another at each start.
    pub run_id: String,
    /// The number of MONITOR clients.
    pub monitors: AtomicUsize,
    /// How long each command held its shards, by id; there once it held them for long.
    command_holds: Box<[OnceLock<Box<Holds>>]>,
    /// Slow commands.
    pub slow_log: Mutex<SlowLog>,
    /// What was refused to users.
    pub acl_log: Mutex<AclLog>,
    /// Slow events.
    pub latency: Arc<LatencyMonitor>,
    /// CLIENT PAUSE.
    pub pause: Pause,
    /// Held by the thread that serves clients which wait for keys. Taken before any shard.
    pub serving: Mutex<()>,
    /// Whether another checkpoint is to follow the one that is being written.
    pub save_scheduled: AtomicBool,
    /// Keys in memory after the data folder was read.
    pub loaded_keys: AtomicU64,
    /// SHUTDOWN and signals.
    pub shutdown: Shutdown,
    /// Speeds, sampled by the server room.
    pub rates: Mutex<Rates>,
    /// The most bytes of memory in use that were seen.
    pub memory_peak: AtomicU64,
    /// Bytes of memory in use when the server was made.
    pub memory_at_start: u64,
    /// The addresses that are listened on, for INFO.
    pub listening: Mutex<Vec<String>>,
    /// What the server room does with a changed configuration; set once it listens.
    pub reconfigured: OnceLock<Reconfigured>,
    next_client: AtomicU64,
    random: Mutex<Random>,
}

impl<R> Server<R> {
    /// A server over an engine, whose table has `commands` commands; the configuration says how many workers it has.
    pub fn over(engine: Arc<Engine>, config: Arc<Config>, registry: &'static R, commands: usize) -> Self {
        let settings = config.snapshot();
        let (started, started_at) = (engine.clock.now_ms(), engine.clock.instant());
        let mut random = Random::from_os().unwrap_or_else(|_| Random::seeded(started));
        let (high, low) = (random.next_u64(), random.next_u64());
        let run_id = format!("{high:016x}{low:016x}{:08x}", random.next_u64() as u32);
        let latency = Arc::new(LatencyMonitor::default());
        let (monitor, clock) = (Arc::clone(&latency), engine.clock.clone());
        let record = move |kind, millis| monitor.record(kind, clock.now_ms() / 1000, millis);
        // An engine belongs to one server.
        let _ = engine.slow_work.set(Box::new(record));
        let server = Self {
            random: Mutex::new(random),
            engine,
            config,
            registry,
            clients: Mutex::default(),
            workers: (0..settings.io_threads.count()).map(|_| Arc::new(WorkerStats::new(commands))).collect(),
            counts: Counts::default(),
            started,
            started_at,
            run_id,
            monitors: AtomicUsize::new(0),
            command_holds: (0..commands).map(|_| OnceLock::new()).collect(),
            slow_log: Mutex::default(),
            acl_log: Mutex::default(),
            latency,
            pause: Pause::default(),
            serving: Mutex::default(),
            save_scheduled: AtomicBool::new(false),
            loaded_keys: AtomicU64::new(0),
            shutdown: Shutdown::default(),
            rates: Mutex::default(),
            memory_peak: AtomicU64::new(0),
            memory_at_start: crate::env::memory::used_bytes(),
            listening: Mutex::default(),
            reconfigured: OnceLock::new(),
            next_client: AtomicU64::new(1),
        };
        server.configure(&settings);
        server
    }

    /// Sets what the observers read without looking at the configuration; called at start, too.
    pub fn configure(&self, settings: &Settings) {
        self.slow_log.lock().set_capacity(settings.slowlog_max_len);
    }

    /// A random number for choosing elements and seeding.
    pub fn random(&self) -> u64 {
        self.random.lock().next_u64()
    }

    /// A number for the next client.
    pub fn next_client_id(&self) -> u64 {
        self.next_client.fetch_add(1, Relaxed)
    }

    /// Counts how long a command held its shards.
    pub fn note_hold(&self, id: usize, nanos: u64) {
        if let Some(holds) = self.command_holds.get(id) {
            holds.get_or_init(Box::default).note(nanos);
        }
    }

    /// The long holds of a command, if there were any.
    pub fn holds_of(&self, id: usize) -> Option<&Holds> {
        let holds = self.command_holds.get(id)?.get()?;
        (holds.total() > 0).then_some(holds)
    }

    /// CONFIG RESETSTAT.
    pub fn reset_statistics(&self) {
        self.workers.iter().for_each(|worker| worker.reset());
        self.command_holds.iter().filter_map(OnceLock::get).for_each(|holds| holds.reset());
        Holder::ALL.into_iter().for_each(|holder| self.engine.store.holds.of(holder).reset());
        let counts = &self.counts;
        let statistics = &self.engine.statistics;
        for counter in [
            &counts.connections,
            &counts.rejected_connections,
            &counts.evicted_clients,
            &counts.auth_failures,
            &counts.output_limit_disconnections,
            &counts.query_limit_disconnections,
            &statistics.expired_keys,
            &statistics.expired_fields,
            &statistics.evicted_keys,
            self.engine.store.lazyfreed(),
        ] {
            counter.store(0, Relaxed);
        }
    }

    /// Begins the checkpoint that was asked for while another one was being written.
    pub fn start_scheduled_save(&self) {
        if self.save_scheduled.load(Relaxed) && !self.engine.save.running.load(Acquire) {
            self.save_scheduled.store(false, Relaxed);
            if let Err(error) = self.engine.start_save() {
                tracing::error!(%error, "the scheduled checkpoint cannot be written");
            }
        }
    }

    /// All workers' sum of a counter.
    pub fn sum(&self, of: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.workers.iter().map(|worker| of(worker)).sum()
    }

    /// All workers' durations of a command.
    pub fn histogram(&self, id: usize) -> Histogram {
        let mut sum = Histogram::default();
        for stats in self.workers.iter().filter_map(|worker| worker.commands.get(id)) {
            stats.add_histogram(&mut sum);
        }
        sum
    }

    /// The error replies so far, by code word.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        self.workers.iter().for_each(|worker| worker.add_errors(&mut sum));
        sum
    }
}
