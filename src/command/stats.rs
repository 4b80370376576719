//! What each worker counts. A worker writes its own numbers, with plain loads and stores; INFO adds up all workers'.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter that one thread writes and others read.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning worker calls this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Back to zero (CONFIG RESETSTAT). An addition at the same instant may survive.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// The number of buckets of a latency histogram: powers of two of nanoseconds from 1 µs to about 1 s.
pub const BUCKETS: usize = 22;

/// What is counted for each command.
#[derive(Default)]
pub struct CommandStats {
    /// Calls that ran.
    pub calls: Counter,
    /// Their time in nanoseconds.
    pub nanos: Counter,
    /// Calls refused by a gate.
    pub rejected: Counter,
    /// Calls that ran and answered with an error.
    pub failed: Counter,
    /// Calls by duration: bucket i counts those below 1024 << i nanoseconds.
    pub histogram: [Counter; BUCKETS],
}

/// What one worker counts.
pub struct WorkerStats {
    /// By command id.
    pub commands: Box<[CommandStats]>,
    /// Commands run.
    pub processed: Counter,
    /// Lookups that found a key.
    pub hits: Counter,
    /// Lookups that did not.
    pub misses: Counter,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes written to clients.
    pub bytes_out: Counter,
    /// Reads from clients' sockets.
    pub reads: Counter,
    /// Writes to clients' sockets.
    pub writes: Counter,
    /// Error replies.
    pub errors: Counter,
}

impl WorkerStats {
    /// Zeros for `commands` commands.
    pub fn new(commands: usize) -> Self {
        Self {
            commands: (0..commands).map(|_| CommandStats::default()).collect(),
            processed: Counter::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            errors: Counter::default(),
        }
    }

    /// Counts a call that ran.
    #[inline]
    pub fn ran(&self, id: usize, nanos: u64, failed: bool) {
        self.processed.add(1);
        let Some(c) = self.commands.get(id) else { return };
        c.calls.add(1);
        c.nanos.add(nanos);
        if failed {
            c.failed.add(1);
        }
        let bucket = (u64::BITS - (nanos >> 10).leading_zeros()) as usize;
        c.histogram[bucket.min(BUCKETS - 1)].add(1);
    }
}
