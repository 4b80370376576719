//! A small generator of pseudo-random numbers and texts, a nanosecond each. The load needs even distribution, not
//! secrecy.

const POOL_BYTES: usize = 1 << 16;

/// The generator (xorshift64*), with a pool of random letters and digits to cut values from.
pub(crate) struct Random {
    state: u64,
    pool: Vec<u8>,
}

impl Random {
    /// A generator whose whole sequence follows from `seed`.
    pub(crate) fn new(seed: u64) -> Random {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = Random { state, pool: Vec::new() };
        let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        random.pool = (0..POOL_BYTES * 2).map(|_| letters[(random.next() >> 58) as usize]).collect();
        random
    }

    /// The next 64 bits.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which must not be 0.
    #[inline]
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The multiply keeps the high bits, which are this generator's best.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    #[inline]
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// `length` random letters, digits, `-` and `_`; at most 64 KiB.
    #[inline]
    pub(crate) fn letters(&mut self, length: usize) -> &[u8] {
        let start = self.below(POOL_BYTES as u64) as usize;
        &self.pool[start..start + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_range_and_reach_its_ends() {
        let mut random = Random::new(7);
        let seen: Vec<u64> = (0..500).map(|_| random.between(3, 6)).collect();
        for wanted in 3..=6 {
            assert!(seen.contains(&wanted));
        }
        assert!(seen.iter().all(|number| (3..=6).contains(number)));
    }

    #[test]
    fn texts_differ() {
        let mut random = Random::new(7);
        let first = random.letters(64).to_vec();
        assert_eq!(first.len(), 64);
        assert_ne!(first, random.letters(64));
    }
}
