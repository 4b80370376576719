//! How long shards are held, by what holds them. A hold of less than [`SHORT_NANOS`] is not counted. So a command pays
//! one comparison, and background work reads the clock twice for each hold.

use crate::env::Clock;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A hold of at least so many nanoseconds is counted.
pub const SHORT_NANOS: u64 = 1 << SHORT_BITS;
const SHORT_BITS: u32 = 17;
/// How many doublings are counted from there on; the last one has no upper end.
const OCTAVES: usize = 16;

/// What holds shards, besides commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// Removing what has expired.
    Expiry,
    /// Removing keys because memory is short.
    Eviction,
    /// Entering items into an index that was added later.
    Indexing,
    /// Making items of hashes.
    Lifting,
    /// Removing old records of change streams.
    Trimming,
    /// Changes of tables that hold every shard.
    Tables,
    /// Changes of libraries of functions.
    Libraries,
    /// Walks over the data that look at one shard at a time, such as KEYS, SCAN and Scan.
    Walk,
    /// A checkpoint, for one piece.
    Checkpoint,
    /// Changes of the state of durability.
    State,
    /// DEBUG POPULATE, for one key.
    Populating,
    /// Giving a copy parts of its own.
    Copying,
    /// Computing when items expire, after a table's TTL attribute has changed.
    Retiming,
}

impl Holder {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Expiry,
        Self::Eviction,
        Self::Indexing,
        Self::Lifting,
        Self::Trimming,
        Self::Tables,
        Self::Libraries,
        Self::Walk,
        Self::Checkpoint,
        Self::State,
        Self::Populating,
        Self::Copying,
        Self::Retiming,
    ];

    /// How INFO and LATENCY name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Eviction => "eviction",
            Self::Indexing => "indexing",
            Self::Lifting => "lifting",
            Self::Trimming => "trimming",
            Self::Tables => "tables",
            Self::Libraries => "libraries",
            Self::Walk => "walk",
            Self::Checkpoint => "checkpoint",
            Self::State => "state",
            Self::Populating => "populating",
            Self::Copying => "copying",
            Self::Retiming => "retiming",
        }
    }
}

/// The long holds of one holder. They are rare, so all threads share the counters.
#[derive(Default)]
pub struct Holds {
    octaves: [AtomicU64; OCTAVES],
    longest: AtomicU64,
}

impl Holds {
    /// Counts a hold, unless it was short.
    #[inline]
    pub fn note(&self, nanos: u64) {
        if nanos >= SHORT_NANOS {
            self.note_long(nanos);
        }
    }

    #[cold]
    fn note_long(&self, nanos: u64) {
        let octave = ((nanos.ilog2() - SHORT_BITS) as usize).min(OCTAVES - 1);
        self.octaves[octave].fetch_add(1, Relaxed);
        self.longest.fetch_max(nanos, Relaxed);
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.octaves.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// The longest in microseconds, 0 if there was none.
    pub fn longest_micros(&self) -> u64 {
        self.longest.load(Relaxed) / 1000
    }

    /// The holds by size: the least microseconds of a size, which ends at twice as many, and the number of holds.
    pub fn by_size(&self) -> impl Iterator<Item = (u64, u64)> {
        let from = |octave: usize| (SHORT_NANOS << octave) / 1000;
        let counts = self.octaves.iter().enumerate().map(move |(at, count)| (from(at), count.load(Relaxed)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// Forgets them.
    pub fn reset(&self) {
        self.octaves.iter().chain([&self.longest]).for_each(|counter| counter.store(0, Relaxed));
    }
}

/// The holds of all holders that are no commands.
#[derive(Default)]
pub struct HoldsByHolder([Holds; Holder::ALL.len()]);

impl HoldsByHolder {
    /// Those of one.
    pub fn of(&self, holder: Holder) -> &Holds {
        &self.0[holder as usize]
    }

    /// Measures a hold that begins now.
    pub fn timer(&self, holder: Holder) -> Timer<'_> {
        Timer { holds: self.of(holder), begun: nanos() }
    }
}

fn nanos() -> u64 {
    Clock::System.monotonic_nanos()
}

/// Measures a hold from when it is made to when it is dropped.
pub struct Timer<'a> {
    holds: &'a Holds,
    begun: u64,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.holds.note(nanos().saturating_sub(self.begun));
    }
}

thread_local! {
    static WAITED: Cell<u64> = const { Cell::new(0) };
}

/// Runs `work`, during which the thread holds no shard, such as waiting for one. Its time does not count as holding.
#[cold]
pub fn outside<T>(work: impl FnOnce() -> T) -> T {
    let begun = nanos();
    let done = work();
    WAITED.set(WAITED.get().saturating_add(nanos().saturating_sub(begun)));
    done
}

/// For how many nanoseconds this thread has run work through [`outside`] since the last call.
#[inline]
pub fn take_waited() -> u64 {
    let waited = WAITED.get();
    if waited != 0 {
        WAITED.set(0);
    }
    waited
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Store};
    use super::*;

    #[test]
    fn holds_are_counted_by_size_from_the_shortest_on() {
        let holds = Holds::default();
        for nanos in [0, SHORT_NANOS - 1, SHORT_NANOS, 2 * SHORT_NANOS - 1, 2 * SHORT_NANOS, u64::MAX] {
            holds.note(nanos);
        }
        assert_eq!(holds.by_size().collect::<Vec<_>>(), [(131, 2), (262, 1), (4_294_967, 1)]);
        assert_eq!((holds.total(), holds.longest_micros()), (4, u64::MAX / 1000));
        holds.reset();
        assert_eq!((holds.total(), holds.longest_micros(), holds.by_size().count()), (0, 0, 0));
    }

    #[test]
    fn every_holder_has_a_place_of_its_own() {
        let all = HoldsByHolder::default();
        for (at, holder) in Holder::ALL.into_iter().enumerate() {
            assert_eq!(holder as usize, at);
            all.of(holder).note(SHORT_NANOS);
        }
        assert!(Holder::ALL.iter().all(|holder| all.of(*holder).total() == 1));
    }

    #[test]
    fn waiting_for_a_shard_is_no_hold() {
        const LONG: std::time::Duration = std::time::Duration::from_millis(2);
        let store = Store::new(1, 1);
        let walks = || store.holds.of(Holder::Walk).total();
        for mode in [Mode::Read, Mode::Write] {
            let before = walks();
            let held = store.lock_one(0, Mode::Write, 0).timed(Holder::Walk);
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| {
                    take_waited();
                    drop(store.lock_one(0, mode, 0));
                    (take_waited(), take_waited())
                });
                // A writer that waits closes the gate; a reader is given some time to begin to wait.
                while mode == Mode::Write && !store.has_writer_waiting(0) {
                    std::thread::yield_now();
                }
                std::thread::sleep(LONG);
                drop(held);
                let (waited, then) = waits.join().unwrap();
                assert!(mode == Mode::Read || waited >= 1_000_000, "{waited}");
                assert_eq!(then, 0);
            });
            assert_eq!(walks(), before + 1);
            assert!(store.holds.of(Holder::Walk).longest_micros() >= 2000);
        }
    }
}
