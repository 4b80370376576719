//! The engine joins store and log: transactions, commits, recovery, checkpoints, and background work.
//!
//! Invariants: an effect is applied to memory and appended to the log under the same shard locks, so the log's order is
//! memory's order, key by key. A reply that shows a write waits until [`Engine::settled`] says that the write is as
//! durable as `appendfsync` asks.

mod apart;
mod aside;
mod backfill;
mod background;
mod build;
mod catch_up;
mod changes;
mod checkpoint;
mod durability;
mod ending;
mod events;
mod evict;
mod fall_back;
mod image;
mod indexes;
mod items;
mod journal;
mod libraries;
mod lift;
mod only;
mod open_log;
mod panicked;
mod pool;
mod reconfigure;
mod recover;
mod replace;
mod restored;
mod save_state;
mod sourced;
mod stale;
mod statistics;
mod streams;
mod sync;
mod table;
mod tables;
mod telling;
#[cfg(test)]
mod tests;
mod transact;
mod tx;
mod undo;
mod views;
mod works;

pub use aside::{Again, IndexWrite, StaleKeys};
pub use build::Build;
pub use durability::{DurabilityState, Event, Level, LogState, Phase, ReplyGate};
pub use events::{AtCommit, Classes, FieldNames, KeyEvent, KeyEvents, Listener, Listeners};
pub use items::Growth;
pub use journal::{JournalStats, NotNow, Settling};
pub use libraries::{FunctionInfo, Libraries, Library, LibraryFigures};
pub use lift::{LiftError, item_of_hash};
pub use open_log::SettledWaker;
pub use recover::RecoveryReport;
pub use replace::Renewal;
pub use save_state::{CheckpointReport, SaveState, Unsaved};
pub use statistics::Statistics;
pub use table::{Index, ReadSource, Table, TableCounts};
pub use tables::{LocalTable, STREAM_SUFFIX, Tables};
pub use transact::{Over, UnitOfWork};
pub use tx::{EFFECT_BYTES, Tx};
pub use undo::Reach;
pub use views::{ItemView, VIEW_DB};

use crate::config::Settings;
use crate::env::{AtomicInstant, Clock, Disk, Random};
use crate::log::{FolderPlace, LogError, LogPlace};
use crate::store::Store;
use durability::Machine;
use open_log::Journal;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use works::Works;

/// Errors of an engine as a whole. Commands see [`Engine::refusal`] instead.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An error of the log or of a checkpoint.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The bytes of a record or chunk are no list of effects.
    #[error("{place}: {error}")]
    Effect {
        /// The record or chunk.
        place: String,
        /// What is wrong.
        error: crate::effect::EffectError,
    },
    /// A checkpoint's description of itself cannot be read.
    #[error("{place}: {what}")]
    Prologue {
        /// The file.
        place: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The data uses a database that `databases` does not allow for.
    #[error(
        "{place}: database {db} is in use, but the option databases is {databases}; start with a larger number"
    )]
    Databases {
        /// The record or chunk.
        place: String,
        /// The database's number.
        db: u32,
        /// How many databases there are.
        databases: usize,
    },
    /// The data is being read from disk, so memory holds nothing sound that could be written.
    #[error("the data is being read from disk")]
    Loading,
    /// A value in memory may be half changed, so it must not be written, and there is no complete log from which its
    /// shard could be read.
    #[error(
        "a fault of the program interrupted a change, so a part of the data is closed, and no checkpoint is written \
         while there is no complete log; a restart (SHUTDOWN NOSAVE or FORCE) or DEBUG RELOAD NOSAVE goes back to the \
         last checkpoint"
    )]
    Closed,
    /// What a checkpoint needs of closed shards takes much memory beside the data.
    #[error(
        "a fault of the program interrupted a change, so a part of the data is closed, and to take it from the log for a \
         checkpoint needs more than {megabytes} MB beside the data; nothing is lost: a restart (SHUTDOWN NOSAVE) or \
         DEBUG RELOAD NOSAVE reads it again"
    )]
    LargeApart {
        /// How much a checkpoint may take, in MB.
        megabytes: u64,
    },
    /// Another checkpoint is being written.
    #[error("a checkpoint is in progress already")]
    Busy,
    /// The server ends.
    #[error("the server is shutting down")]
    Ending,
    /// The checkpoint was given up because the data is taken away or the server ends.
    #[error("the checkpoint was given up for a reload, an end, or a log that failed")]
    Revoked,
    /// What was written while the log was off is in no checkpoint yet.
    #[error("the log was switched on, and the checkpoint that makes it complete is not finished")]
    Gap,
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// The action that failed.
        what: &'static str,
        /// The system's error.
        error: std::io::Error,
    },
}

/// Called with a kind of work, in the words of Redis's latency monitor, and the ms that it took.
pub type SlowWork = Box<dyn Fn(&'static str, u64) + Send + Sync>;

/// The engine. Shared by all workers.
pub struct Engine {
    /// The sharded store.
    pub store: Store,
    /// Where the time comes from.
    pub clock: Clock,
    /// The tables of items.
    pub tables: Tables,
    /// The libraries of functions.
    pub libraries: Libraries,
    /// The listeners to events.
    pub listeners: Listeners,
    /// Counts of expiry and eviction.
    pub statistics: Arc<Statistics>,
    /// Effects since the last checkpoint.
    pub unsaved: Unsaved,
    /// Progress of loading, for INFO: bytes or records done.
    pub loading_done: AtomicU64,
    /// Progress of loading: the total, as far as it is known.
    pub loading_total: AtomicU64,
    /// Whether the background removes expired keys (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: AtomicBool,
    /// Until when expiry and eviction remove nothing (CLIENT PAUSE).
    pub kept_until: AtomicInstant,
    /// Whether RESTORE accepts payloads with any checksum (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    pub skip_checksums: AtomicBool,
    /// Checkpoints: the last one's outcome and the running one.
    pub save: SaveState,
    /// Called for background work that took at least `latency-monitor-threshold` ms.
    pub slow_work: OnceLock<SlowWork>,
    /// The settings of the background work.
    settings: Mutex<Arc<Settings>>,
    /// Where log and checkpoints are kept; `None` if the data is in memory alone.
    place: Option<Arc<dyn LogPlace>>,
    journal: Journal,
    machine: Machine,
    works: Arc<Works>,
    /// The shards whose keys this engine takes, if it reads for another engine; otherwise it takes all.
    only: Option<only::Only>,
    /// Whether the log's failure was handled already.
    failing: AtomicBool,
    /// At `everysec`: the most microseconds for which a record may be written and not synced; 0 means no limit.
    max_unsynced_micros: AtomicU64,
    /// How often writers have waited for `max_unsynced_micros`, and for how many microseconds in total.
    held: AtomicU64,
    held_micros: AtomicU64,
    /// The lock of the thread that ends the engine.
    ending: Mutex<()>,
    /// Whether a reload, after it brought everything to disk, has emptied memory and still reads.
    emptied: AtomicBool,
    /// How long change streams keep their records, in ms.
    stream_retention: AtomicU64,
    /// When the change streams are trimmed next.
    next_trim: AtomicInstant,
    /// Candidates for eviction.
    pool: Mutex<pool::Pool>,
    stopping: Mutex<bool>,
    wake: Condvar,
    /// The lock for work on the store beside the commands, whose holder has a permit of `works`. It is taken before any
    /// shard.
    upkeep: Mutex<()>,
    /// The lock for lifting hashes; taken before `upkeep`.
    lifting: Mutex<()>,
}

impl Engine {
    /// An engine whose data is in memory alone.
    pub fn in_memory(shards: usize, databases: usize, clock: Clock) -> Self {
        let settings = Settings {
            shards: shards as u32,
            databases: databases as u32,
            appendonly: false,
            ..Settings::default()
        };
        let engine = Self::new(Arc::new(settings), clock, None);
        engine.enter_service(false);
        let mut secret = [0; 16];
        if Random::fill_secret(&mut secret).is_ok() {
            engine.store.set_hash_key(&secret);
        }
        engine
    }

    /// An engine over the data folder that the settings name. It is empty and answers LOADING until [`Engine::recover`]
    /// is done.
    pub fn on_disk(settings: Arc<Settings>, clock: Clock, disk: Arc<dyn Disk>) -> Self {
        let place = FolderPlace::new(disk, &settings.dir);
        Self::over(settings, clock, Arc::new(place))
    }

    /// As [`Engine::on_disk`] over any place that keeps a log and its checkpoints.
    pub fn over(settings: Arc<Settings>, clock: Clock, place: Arc<dyn LogPlace>) -> Self {
        Self::new(settings, clock, Some(place))
    }

    fn new(settings: Arc<Settings>, clock: Clock, place: Option<Arc<dyn LogPlace>>) -> Self {
        let engine = Self {
            store: Store::new(settings.shards as usize, settings.databases as usize),
            tables: Tables::default(),
            libraries: Libraries::default(),
            listeners: Listeners::default(),
            statistics: Arc::default(),
            unsaved: Unsaved::default(),
            loading_done: AtomicU64::new(0),
            loading_total: AtomicU64::new(0),
            active_expire: AtomicBool::new(true),
            kept_until: AtomicInstant::default(),
            skip_checksums: AtomicBool::new(false),
            save: SaveState::new(&clock),
            slow_work: OnceLock::new(),
            journal: Journal::default(),
            machine: Machine::new(open_log::level_of(&settings)),
            works: Arc::default(),
            only: None,
            failing: AtomicBool::new(false),
            max_unsynced_micros: AtomicU64::new(0),
            held: AtomicU64::new(0),
            held_micros: AtomicU64::new(0),
            ending: Mutex::new(()),
            emptied: AtomicBool::new(false),
            stream_retention: AtomicU64::new(0),
            next_trim: AtomicInstant::default(),
            pool: Mutex::default(),
            settings: Mutex::new(Arc::clone(&settings)),
            place,
            clock,
            stopping: Mutex::new(false),
            wake: Condvar::new(),
            upkeep: Mutex::new(()),
            lifting: Mutex::new(()),
        };
        engine.listeners.add(Arc::clone(&engine.statistics) as Arc<dyn Listener>);
        engine.apply_settings(&settings);
        engine
    }

    /// Reports work that began at `began`, in microseconds of the monotonic clock, if it was slow.
    fn note_work(&self, settings: &Settings, kind: &'static str, began: u64) {
        let threshold = settings.latency_monitor_threshold;
        if threshold == 0 {
            return;
        }
        let millis = (self.clock.monotonic_micros() - began) / 1000;
        if let (true, Some(tell)) = (millis >= threshold, self.slow_work.get()) {
            tell(kind, millis);
        }
    }

    /// Stops the background work; the caller joins its threads.
    pub fn stop(&self) {
        *self.stopping.lock() = true;
        self.wake.notify_all();
        self.store.reaper.wake();
    }

    /// Makes the background work look for something to do at once.
    pub fn nudge(&self) {
        self.wake.notify_all();
    }
}
