//! Wall-clock and monotonic time, from the system or moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The moment from which the system's monotonic time is counted: the first use in this process.
static ANCHOR: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// The processor's cycle counter where it runs steadily, else the system's monotonic clock; and its reading at first
/// use.
static COUNTER: LazyLock<(quanta::Clock, u64)> = LazyLock::new(|| {
    let clock = quanta::Clock::new();
    let begun = clock.raw();
    (clock, begun)
});

/// A point of time within this process, on the clock of [`Clock::monotonic_nanos`]. Spans of time are measured between
/// two instants, because the system's clock may be set, even backwards. Wall-clock time is a plain number of
/// milliseconds, so the types cannot be confused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Instant(u64);

impl Instant {
    /// The instant at which [`Clock::monotonic_nanos`] returns this number.
    #[inline]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant so many milliseconds later, or the last one there is.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// The time since an earlier instant; none if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same in whole milliseconds.
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.since(earlier).as_millis() as u64
    }
}

/// An optional instant that threads share.
#[derive(Debug, Default)]
pub struct AtomicInstant(AtomicU64);

impl AtomicInstant {
    /// A cell that holds an instant.
    pub fn new(at: Instant) -> Self {
        let cell = Self::default();
        cell.store(Some(at));
        cell
    }

    /// The instant in it, if any.
    #[inline]
    pub fn load(&self) -> Option<Instant> {
        self.0.load(Ordering::Acquire).checked_sub(1).map(Instant)
    }

    /// Sets the instant, or removes it.
    #[inline]
    pub fn store(&self, at: Option<Instant>) {
        self.0.store(at.map_or(0, Self::packed), Ordering::Release);
    }

    /// Sets the instant, unless a later one is set.
    pub fn extend(&self, at: Instant) {
        self.0.fetch_max(Self::packed(at), Ordering::AcqRel);
    }

    /// Zero stands for none.
    #[inline]
    fn packed(at: Instant) -> u64 {
        at.0.saturating_add(1)
    }
}

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

    /// Nanoseconds since an arbitrary moment, for durations of single commands: read twice as fast as the others. If
    /// the processors' counters differ, it may go backwards a little between threads.
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

    /// This instant.
    #[inline]
    pub fn instant(&self) -> Instant {
        Instant(self.monotonic_nanos())
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
