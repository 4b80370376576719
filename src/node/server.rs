//! The server's state: what its clients share, besides the store and the log.

use super::acl_log::AclLog;
use super::command_log::{CommandLogs, Logged};
use super::counts::Counts;
use super::handle::ClientHandle;
use super::hot_keys::HotKeys;
use super::invalidations::Invalidations;
use super::latency::LatencyMonitor;
use super::notifications::Notifications;
use super::pause::Pause;
use super::publish::Broker;
use super::rates::Rates;
use super::running::RunningScripts;
use super::shutdown::Shutdown;
use super::stats::{Histogram, WorkerStats};
use super::tracking::TrackingRequest;
use super::users::Users;
use crate::config::{Changed, Config, Refusal, Settings};
use crate::engine::{AtCommit, Engine, Listener};
use crate::env::{Instant, Random};
use crate::lua::Scripts;
use crate::store::{Holder, Holds};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};
use std::sync::{Arc, OnceLock};

/// Applies a changed configuration in the server room, such as the addresses and the log level. It may refuse.
pub type Reconfigured = Box<dyn Fn(&Changed) -> Result<(), Refusal> + Send + Sync>;

/// One server, generic over its command table.
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
    pub counts: Arc<Counts>,
    /// When the server started, in ms since the epoch.
    pub started: u64,
    /// The same instant on this process's clock.
    pub started_at: Instant,
    /// Forty hexadecimal digits, drawn anew at each start.
    pub run_id: String,
    /// The number of MONITOR clients.
    pub monitors: AtomicUsize,
    /// Channels and their messages.
    pub broker: Arc<Broker>,
    /// Keyspace notifications.
    notifications: Arc<Notifications>,
    /// How long each command held its shards, by the command's id. An entry is made at the first long hold.
    command_holds: Box<[OnceLock<Box<Holds>>]>,
    /// Commands that took long, or had large requests or replies.
    pub command_logs: CommandLogs,
    /// HOTKEYS.
    pub hot_keys: HotKeys,
    /// The users.
    pub users: Box<Users>,
    /// What was refused to users.
    pub acl_log: Mutex<AclLog>,
    /// Slow events of the latency monitor.
    pub latency: Arc<LatencyMonitor>,
    /// CLIENT PAUSE.
    pub pause: Pause,
    /// The scripts that EVALSHA finds.
    pub scripts: Scripts,
    /// The scripts that run for long.
    pub running: RunningScripts,
    /// The lock of the thread that serves clients waiting for keys. It is taken before any shard.
    pub serving: Mutex<()>,
    /// Whether another checkpoint is to be written after the one in progress.
    pub save_scheduled: AtomicBool,
    /// How many keys were in memory when the data folder had been read.
    pub loaded_keys: AtomicU64,
    /// SHUTDOWN and signals.
    pub shutdown: Shutdown,
    /// Speeds, sampled by the server room.
    pub rates: Mutex<Rates>,
    /// The greatest number of bytes of memory in use that was measured.
    pub memory_peak: AtomicU64,
    /// Bytes of memory in use when the server was made.
    pub memory_at_start: u64,
    /// The addresses that are listened on, for INFO.
    pub listening: Mutex<Vec<String>>,
    /// Applies a changed configuration in the server room; set once the server listens.
    pub reconfigured: OnceLock<Reconfigured>,
    next_client: AtomicU64,
    random: Mutex<Random>,
}

impl<R> Server<R> {
    /// A server over an engine. `commands` is the size of its command table; the configuration gives the number of
    /// workers.
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
        let counts = Arc::<Counts>::default();
        let broker = Arc::new(Broker::new(
            Arc::clone(&config),
            Arc::clone(&counts),
            Arc::clone(engine.listeners.audience()),
        ));
        let notifications = Arc::new(Notifications::through(Arc::clone(&broker)));
        engine.listeners.add(Arc::clone(&notifications) as Arc<dyn Listener>);
        engine.listeners.add(Arc::new(Invalidations::through(Arc::clone(&broker))));
        let server = Self {
            random: Mutex::new(random),
            engine,
            config,
            registry,
            clients: Mutex::default(),
            workers: (0..settings.io_threads.count()).map(|_| Arc::new(WorkerStats::new(commands))).collect(),
            counts,
            started,
            started_at,
            run_id,
            monitors: AtomicUsize::new(0),
            broker,
            notifications,
            command_holds: (0..commands).map(|_| OnceLock::new()).collect(),
            command_logs: CommandLogs::default(),
            hot_keys: HotKeys::default(),
            users: Box::new(Users::new(commands)),
            acl_log: Mutex::default(),
            latency,
            pause: Pause::default(),
            scripts: Scripts::default(),
            running: RunningScripts::default(),
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
        server.notify_as_configured();
        server
    }

    /// Copies the settings that are read without the configuration. Called at the start and after each change.
    pub fn configure(&self, settings: &Settings) {
        for (kind, capacity) in [
            (Logged::Slow, settings.slowlog_max_len),
            (Logged::LargeRequest, settings.commandlog_large_request_max_len),
            (Logged::LargeReply, settings.commandlog_large_reply_max_len),
        ] {
            self.command_logs.of(kind).lock().set_capacity(capacity);
        }
        self.users.configure(settings.requirepass.as_bytes());
        self.notifications.choose(settings.notify_keyspace_events);
        self.engine.listeners.wants_changed();
    }

    /// Has keyspace events told as the configuration says now.
    pub fn notify_as_configured(&self) {
        self.notifications.put_chosen_in_force();
        self.engine.listeners.wants_changed();
    }

    /// The same when a transaction commits: what it has told before is told as it was configured then. If it does not
    /// commit, it happens as soon as that is known. A later choice that is in force by then stays.
    pub fn notify_at_commit(&self) -> AtCommit {
        let pending = self.notifications.pending(&self.engine);
        Box::new(move |_| drop(pending))
    }

    /// Begins to track the keys of a client, or changes how they are tracked. What the client reads from here on
    /// counts.
    pub fn track(&self, client: &Arc<ClientHandle>, wanted: TrackingRequest<'_>) {
        self.broker.tracking.begin(client, wanted);
        self.engine.listeners.wants_changed();
    }

    /// Ends the tracking of a client's keys.
    pub fn stop_tracking(&self, client: &ClientHandle) {
        if self.broker.tracking.end(client) {
            self.engine.listeners.wants_changed();
        }
    }

    /// A random number for choosing elements and seeding.
    pub fn random(&self) -> u64 {
        self.random.lock().next_u64()
    }

    /// The id for the next client.
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
            &counts.denied_commands,
            &counts.denied_keys,
            &counts.denied_channels,
            &counts.output_limit_disconnections,
            &counts.query_limit_disconnections,
            &statistics.expired_keys,
            &statistics.expired_fields,
            &statistics.evicted_keys,
            self.engine.store.reaper.freed(),
        ] {
            counter.store(0, Relaxed);
        }
    }

    /// Begins the checkpoint that was asked for while another one was being written, if one was.
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
