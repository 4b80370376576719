//! Access clocks: when an entry was last used (LRU), or how often (LFU).

use super::{Entry, Store};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

thread_local! {
    static NOISE: Cell<u64> = const { Cell::new(0x2545_F491_4F6C_DD1D) };
}

/// A cheap random number for sampling. Its quality affects only which keys are looked at first.
pub(super) fn noise() -> u64 {
    NOISE.with(|n| {
        let mut x = n.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        n.set(x);
        x.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

impl Store {
    /// The access clock of a fresh entry.
    #[inline]
    pub fn fresh_clock(&self, now: u64) -> u32 {
        if self.lfu.load(Relaxed) {
            ((now / 60_000) as u32 & 0xffff) << 8 | 5
        } else {
            (now / 1000) as u32 & 0xff_ffff
        }
    }

    #[inline]
    pub(super) fn note_access(&self, entry: &Entry, now: u64) {
        if self.lfu.load(Relaxed) {
            let minutes = (now / 60_000) as u32 & 0xffff;
            entry.set_clock(minutes << 8 | self.lfu_increment(self.lfu_count(entry.clock(), now)));
        } else {
            entry.set_clock((now / 1000) as u32 & 0xff_ffff);
        }
    }

    /// The decayed frequency counter in an LFU access clock.
    pub fn lfu_count(&self, clock: u32, now: u64) -> u32 {
        let idle_minutes = ((now / 60_000) as u32 & 0xffff).wrapping_sub(clock >> 8) & 0xffff;
        let count = clock & 0xff;
        match idle_minutes.checked_div(self.lfu_decay.load(Relaxed)) {
            Some(periods) => count.saturating_sub(periods),
            None => count,
        }
    }

    fn lfu_increment(&self, count: u32) -> u32 {
        if count >= 255 {
            return 255;
        }
        // The chance falls with the count, so that eight bits can tell keys with millions of hits apart.
        let chance =
            1.0 / (f64::from(count.saturating_sub(5)) * f64::from(self.lfu_log_factor.load(Relaxed)) + 1.0);
        let draw = (noise() >> 11) as f64 / (1u64 << 53) as f64;
        count + u32::from(draw < chance)
    }
}
