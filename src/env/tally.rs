//! Counters for many threads: each thread adds in its own place, so that no two threads share a cache line.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The number of threads with a place of their own; further threads share the last one.
pub(super) const PLACES: usize = 64;

/// The place of all threads that do something [`apart`].
pub(super) const APART: usize = PLACES;

static NEXT: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    /// The thread's place plus one; 0 before its first use. It has no destructor, so the allocator may use it.
    static MINE: Cell<usize> = const { Cell::new(0) };
}

/// This thread's place: from 0 to [`PLACES`] less one, or [`APART`].
#[inline]
pub(super) fn place() -> usize {
    MINE.with(|mine| {
        if mine.get() == 0 {
            mine.set(NEXT.fetch_add(1, Relaxed).min(PLACES));
        }
        mine.get() - 1
    })
}

/// Whether several threads have a place.
#[inline]
pub(super) const fn is_shared(place: usize) -> bool {
    place >= PLACES - 1
}

/// Does some work during which this thread's place is [`APART`].
pub(super) fn apart<T>(work: impl FnOnce() -> T) -> T {
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            MINE.set(self.0);
        }
    }
    let _back = Back(MINE.replace(APART + 1));
    work()
}

/// A number that only grows.
pub struct Tally([Place; PLACES]);

#[derive(Default)]
#[repr(align(128))]
struct Place(AtomicU64);

impl Default for Tally {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Place::default()))
    }
}

impl Tally {
    /// Adds, in O(1): a load and a store where the place is this thread's own.
    #[inline]
    pub fn add(&self, n: u64) {
        // A tally has no place for work that is done apart, so that adds where many threads do.
        let place = place().min(PLACES - 1);
        let Some(Place(count)) = self.0.get(place) else { return };
        if is_shared(place) {
            count.fetch_add(n, Relaxed);
        } else {
            count.store(count.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }

    /// The sum, in O(`PLACES`). It may include an addition of one thread and miss an earlier addition of another.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|place| place.0.load(Relaxed)).fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::{PLACES, Tally, apart};

    #[test]
    fn nothing_is_lost_where_more_threads_add_than_have_a_place() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..PLACES + 8 {
                scope.spawn(|| (0..1000).for_each(|_| tally.add(1)));
                scope.spawn(|| apart(|| (0..1000).for_each(|_| tally.add(1))));
            }
        });
        assert_eq!(tally.sum(), 2 * (PLACES as u64 + 8) * 1000);
    }
}
