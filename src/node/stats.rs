//! What each worker counts. A worker writes its own numbers, with plain loads and stores; INFO adds up all workers'.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::OnceLock;
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

/// Doublings of a histogram, from 1024 ns on.
pub const OCTAVES: usize = 24;
/// Buckets of equal width in a doubling, which makes a percentile exact to about 6 %.
const PARTS: usize = 8;
/// One bucket for what took less than 1024 ns, then those of the doublings.
const BUCKETS: usize = 1 + OCTAVES * PARTS;

#[inline]
fn bucket_of(nanos: u64) -> usize {
    if nanos < 1024 {
        return 0;
    }
    let octave = nanos.ilog2() as usize - 10;
    let part = (nanos >> (octave + 7)) as usize & (PARTS - 1);
    (1 + octave * PARTS + part).min(BUCKETS - 1)
}

/// The nanoseconds at which a bucket begins.
fn bucket_start(bucket: usize) -> u64 {
    match bucket.checked_sub(1) {
        None => 0,
        Some(at) => ((PARTS + at % PARTS) as u64) << (at / PARTS + 7),
    }
}

/// The microseconds that LATENCY HISTOGRAM shows as the end of doubling number `octave`. They are Redis's numbers,
/// which come from the buckets of its histogram.
pub fn octave_micros(octave: usize) -> u64 {
    let bound = 1024u64 << octave;
    (bound + bound / 128 - 1) / 1000
}

/// Durations by size, summed up over workers.
pub struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; BUCKETS])
    }
}

impl Histogram {
    /// How many durations there are.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many durations are below `1024 << octave` ns; all of them from the last octave on.
    pub fn below_octave(&self, octave: usize) -> u64 {
        let end = if octave >= OCTAVES { BUCKETS } else { 1 + octave * PARTS };
        self.0[..end].iter().sum()
    }

    /// The duration in microseconds below which `percent` of all are; 0 if there are none.
    pub fn percentile_micros(&self, percent: f64) -> f64 {
        let wanted = (self.total() as f64 * percent / 100.0).ceil().max(1.0);
        let mut before = 0.0;
        for (bucket, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if before + count >= wanted {
                let start = bucket_start(bucket) as f64;
                let width = bucket_start(bucket + 1) as f64 - start;
                return (start + width * (wanted - before) / count) / 1000.0;
            }
            before += count;
        }
        0.0
    }

    fn add(&mut self, counters: &[Counter; BUCKETS]) {
        for (sum, counter) in self.0.iter_mut().zip(counters) {
            *sum += counter.get();
        }
    }
}

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
    /// Calls by duration; there once the command was called.
    histogram: OnceLock<Box<[Counter; BUCKETS]>>,
}

impl CommandStats {
    /// Adds this worker's durations to a sum.
    pub fn add_histogram(&self, sum: &mut Histogram) {
        if let Some(counters) = self.histogram.get() {
            sum.add(counters);
        }
    }

    fn absorb(&self, other: &Self) {
        self.calls.add(other.calls.get());
        self.nanos.add(other.nanos.get());
        self.failed.add(other.failed.get());
        if let Some(theirs) = other.histogram.get() {
            for (own, theirs) in self.counters().iter().zip(theirs.iter()) {
                own.add(theirs.get());
            }
        }
    }

    fn counters(&self) -> &[Counter; BUCKETS] {
        self.histogram.get_or_init(|| Box::new([const { Counter(AtomicU64::new(0)) }; BUCKETS]))
    }

    fn reset(&self) {
        for counter in [&self.calls, &self.nanos, &self.rejected, &self.failed] {
            counter.reset();
        }
        self.histogram.get().into_iter().flat_map(|counters| counters.iter()).for_each(Counter::reset);
    }
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
    /// Error replies by their code word.
    error_codes: Mutex<BTreeMap<String, u64>>,
}

/// The most code words that are counted apart. A script can make up any number of them.
const MOST_CODES: usize = 128;

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
            error_codes: Mutex::default(),
        }
    }

    /// Counts a call that ran; its duration only enters the histogram if `track`.
    #[inline]
    pub fn ran(&self, id: usize, nanos: u64, failed: bool, track: bool) {
        self.processed.add(1);
        let Some(c) = self.commands.get(id) else { return };
        c.calls.add(1);
        c.nanos.add(nanos);
        if failed {
            c.failed.add(1);
        }
        if track {
            c.counters()[bucket_of(nanos)].add(1);
        }
    }

    /// Counts an error reply; `text` is what follows the minus sign. As in Redis, a text without a blank near its
    /// beginning counts as `ERR`. Bytes that INFO gives a meaning become `_` in the code.
    #[cold]
    pub fn error(&self, text: &[u8]) {
        /// The code's blank stands within so many bytes.
        const NEAR: usize = 31;
        self.errors.add(1);
        let code =
            text.iter().take(NEAR).position(|byte| *byte == b' ').map_or(&b"ERR"[..], |end| &text[..end]);
        let code = String::from_utf8_lossy(code).replace(['#', ':', '\r', '\n'], "_");
        let mut codes = self.error_codes.lock();
        if let Some(count) = codes.get_mut(&code) {
            *count += 1;
        } else if codes.len() < MOST_CODES {
            codes.insert(code, 1);
        }
    }

    /// Adds the counters of a long command's worker to this one's; only the owning worker calls this.
    pub fn absorb(&self, other: &Self) {
        for (own, other) in self.commands.iter().zip(&other.commands) {
            if other.calls.get() > 0 {
                own.absorb(other);
            }
        }
        for (own, other) in [
            (&self.processed, &other.processed),
            (&self.hits, &other.hits),
            (&self.misses, &other.misses),
            (&self.errors, &other.errors),
        ] {
            own.add(other.get());
        }
        for (code, count) in &*other.error_codes.lock() {
            *self.error_codes.lock().entry(code.clone()).or_default() += count;
        }
    }

    /// Adds this worker's errors to a sum by code word.
    pub fn add_errors(&self, sum: &mut BTreeMap<String, u64>) {
        for (code, count) in &*self.error_codes.lock() {
            *sum.entry(code.clone()).or_default() += count;
        }
    }

    /// Sets all counters back to zero.
    pub fn reset(&self) {
        self.commands.iter().for_each(CommandStats::reset);
        let own = [
            &self.processed,
            &self.hits,
            &self.misses,
            &self.bytes_in,
            &self.bytes_out,
            &self.reads,
            &self.writes,
            &self.errors,
        ];
        own.into_iter().for_each(Counter::reset);
        self.error_codes.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_meet_without_gaps() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(bucket_start(bucket)), bucket);
            assert_eq!(bucket_of(bucket_start(bucket + 1) - 1), bucket);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_histogram_knows_its_percentiles() {
        let stats = WorkerStats::new(1);
        for micros in 1..=1000 {
            stats.ran(0, micros * 1000, false, true);
        }
        let mut sum = Histogram::default();
        stats.commands[0].add_histogram(&mut sum);
        assert_eq!(sum.total(), 1000);
        assert_eq!(sum.below_octave(OCTAVES), 1000);
        // 1 µs is below 1024 ns; 2 to 16 µs are below 16384 ns.
        assert_eq!((sum.below_octave(0), sum.below_octave(4)), (1, 16));
        for (percent, micros) in [(50.0, 500.0), (99.0, 990.0), (10.0, 100.0)] {
            let found = sum.percentile_micros(percent);
            assert!((found - micros).abs() < micros * 0.07, "{percent}: {found}");
        }
        stats.reset();
        let mut sum = Histogram::default();
        stats.commands[0].add_histogram(&mut sum);
        assert_eq!((sum.total(), sum.percentile_micros(50.0) as u64), (0, 0));
    }

    #[test]
    fn octaves_are_shown_as_redis_shows_them() {
        let shown: Vec<u64> = (0..11).map(octave_micros).collect();
        assert_eq!(shown, [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056]);
    }

    #[test]
    fn errors_are_counted_by_their_code() {
        let stats = WorkerStats::new(0);
        stats.error(b"ERR syntax error\r\n");
        stats.error(b"ERR other");
        stats.error(b"NOAUTH Authentication required.");
        stats.error(&[b'x'; 100]);
        stats.error(b"a:b#\nc d");
        let mut sum = BTreeMap::new();
        stats.add_errors(&mut sum);
        assert_eq!(
            sum.into_iter().collect::<Vec<_>>(),
            [("ERR".into(), 3), ("NOAUTH".into(), 1), ("a_b__c".into(), 1)]
        );
    }
}
