//! The server's state that commands see.

use super::client::ClientHandle;
use super::registry::Registry;
use super::stats::WorkerStats;
use crate::config::Config;
use crate::engine::Engine;
use crate::env::Random;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// One server.
pub struct Server {
    /// Store and log.
    pub engine: Arc<Engine>,
    /// The configuration.
    pub config: Arc<Config>,
    /// The command table.
    pub registry: &'static Registry,
    /// All connected clients.
    pub clients: Mutex<BTreeMap<u64, Arc<ClientHandle>>>,
    /// What each worker counts.
    pub workers: Vec<Arc<WorkerStats>>,
    /// When the server started, in ms since the epoch.
    pub started: u64,
    /// The number of MONITOR clients.
    pub monitors: AtomicUsize,
    next_client: AtomicU64,
    random: Mutex<Random>,
}

impl Server {
    /// A server over an engine; the configuration says how many workers it has.
    pub fn new(engine: Arc<Engine>, config: Arc<Config>) -> Self {
        let settings = config.snapshot();
        let workers = settings.io_threads.count();
        engine.store.thresholds.adopt(&settings);
        let registry = Registry::get();
        let started = engine.clock.now_ms();
        Self {
            random: Mutex::new(Random::from_os().unwrap_or_else(|_| Random::seeded(started))),
            engine,
            config,
            registry,
            clients: Mutex::default(),
            workers: (0..workers).map(|_| Arc::new(WorkerStats::new(registry.count()))).collect(),
            started,
            monitors: AtomicUsize::new(0),
            next_client: AtomicU64::new(1),
        }
    }

    /// A random number for choosing elements and seeding.
    pub fn random(&self) -> u64 {
        self.random.lock().next_u64()
    }

    /// A number for the next client.
    pub fn next_client_id(&self) -> u64 {
        self.next_client.fetch_add(1, Relaxed)
    }
}
