//! Randomness that can be repeated after a failure: the seed is printed, and `ITEMORY_TEST_SEED` sets it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A small generator (xorshift64*).
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The seed of the environment, or one from the clock. It is printed on standard error, which is shown when a test
    /// fails.
    pub(crate) fn from_environment(what: &str) -> Random {
        let seed =
            std::env::var("ITEMORY_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
                u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos())
            });
        eprintln!("{what}: ITEMORY_TEST_SEED={seed}");
        Self::seeded(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A new generator for a thread.
    pub(crate) fn fork(&mut self) -> Random {
        Random::seeded(self.next())
    }
}
