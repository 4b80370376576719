//! The engine joins store and log: transactions, commits, recovery, checkpoints, and what runs in the background.
//!
//! Invariants: an effect is applied to memory and appended to the log under the same shard locks, so the log's order
//! is memory's order, key by key. A reply that shows a write waits until [`Engine::settled`] says that the write is as durable
//! as `appendfsync` asks.

mod tx;

pub use tx::Tx;

use crate::env::Clock;
use crate::store::Store;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The engine. Shared by all workers.
pub struct Engine {
    /// The sharded store.
    pub store: Store,
    /// Where the time comes from.
    pub clock: Clock,
    /// Effects since the last checkpoint.
    pub dirty: AtomicU64,
}

impl Engine {
    /// An engine without a log.
    pub fn in_memory(shards: usize, databases: usize, clock: Clock) -> Self {
        Self { store: Store::new(shards, databases), clock, dirty: AtomicU64::new(0) }
    }

    /// The LSN of the last appended record.
    #[inline]
    pub fn tail(&self) -> u64 {
        0
    }

    /// The LSN up to which records are as durable as `appendfsync` asks.
    #[inline]
    pub fn settled(&self) -> u64 {
        0
    }

    /// Makes all that was appended so far as durable as `appendfsync` asks.
    pub fn settle(&self) -> Result<(), String> {
        Ok(())
    }

    #[inline]
    fn append(&self, _now: u64, _record: &[u8], effects: u64) {
        self.dirty.fetch_add(effects, Relaxed);
    }
}
