//! Wall-clock and monotonic time, from the system or moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The moment from which the system's monotonic time is counted: the first use in this process.
static ANCHOR: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The processor's cycle counter where it runs steadily, else the system's monotonic clock; and its reading at first use.
static COUNTER: LazyLock<(quanta::Clock, u64)> = LazyLock::new(|| {
    let clock = quanta::Clock::new();
    let begun = clock.raw();
    (clock, begun)
});

/// Where the time comes from. Cheap to clone; clones of a manual clock share one time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The operating system's clocks.
    #[default]
    System,
    /// A clock that stands still until it is moved, for tests.
    Manual(Arc<ManualClock>),
}

impl Clock {
    /// A clock that stands at `now_ms` (milliseconds since the Unix epoch) until it is moved through
    /// [`ManualClock`].
    pub fn manual(now_ms: u64) -> Self {
        Self::Manual(Arc::new(ManualClock::new(now_ms)))
    }

    /// Milliseconds since the Unix epoch. It may step backwards when an administrator sets the system's clock.
    pub fn now_ms(&self) -> u64 {
        self.now_micros() / 1000
    }

    /// Microseconds since the Unix epoch.
    pub fn now_micros(&self) -> u64 {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64),
            Self::Manual(clock) => clock.wall_micros.load(Ordering::Acquire),
        }
    }

    /// Microseconds since an arbitrary moment; it never goes backwards. For durations.
    pub fn monotonic_micros(&self) -> u64 {
        match self {
            Self::System => ANCHOR.elapsed().as_micros() as u64,
            Self::Manual(clock) => clock.monotonic_micros.load(Ordering::Acquire),
        }
    }

    /// Nanoseconds since an arbitrary moment, for durations of single commands: read twice as fast as the others. Where a
    /// system's processors disagree it may go backwards a little between threads.
    #[inline]
    pub fn monotonic_nanos(&self) -> u64 {
        match self {
            Self::System => {
                let (clock, begun) = &*COUNTER;
                clock.delta_as_nanos(*begun, clock.raw())
            }
            Self::Manual(clock) => clock.monotonic_micros.load(Ordering::Acquire) * 1000,
        }
    }

    /// The hand-moved clock behind this one, if it is one.
    pub fn as_manual(&self) -> Option<&ManualClock> {
        match self {
            Self::System => None,
            Self::Manual(clock) => Some(clock),
        }
    }
}

/// A time that moves only by hand.
#[derive(Debug)]
pub struct ManualClock {
    wall_micros: AtomicU64,
    monotonic_micros: AtomicU64,
}

impl ManualClock {
    /// A clock at `now_ms` milliseconds since the Unix epoch.
    pub fn new(now_ms: u64) -> Self {
        Self { wall_micros: AtomicU64::new(now_ms * 1000), monotonic_micros: AtomicU64::new(0) }
    }

    /// Moves wall-clock and monotonic time forward together.
    pub fn advance_ms(&self, ms: u64) {
        self.advance_micros(ms * 1000);
    }

    /// Moves wall-clock and monotonic time forward together.
    pub fn advance_micros(&self, micros: u64) {
        self.wall_micros.fetch_add(micros, Ordering::AcqRel);
        self.monotonic_micros.fetch_add(micros, Ordering::AcqRel);
    }

    /// Sets the wall clock, backwards too, as an administrator may; monotonic time stays.
    pub fn set_ms(&self, now_ms: u64) {
        self.wall_micros.store(now_ms * 1000, Ordering::Release);
    }
}
