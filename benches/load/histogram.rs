//! Latencies in buckets whose width is at most 1/64 of their value.

const SUB_BITS: u32 = 6;
const SUBS: u64 = 1 << SUB_BITS;

/// Counts of latencies in nanoseconds.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    /// An empty histogram.
    pub(crate) fn new() -> Histogram {
        Histogram { counts: vec![0; bucket(u64::MAX) + 1], total: 0, max: 0 }
    }

    /// Counts `count` latencies of `nanos`.
    #[inline]
    pub(crate) fn record(&mut self, nanos: u64, count: u64) {
        self.counts[bucket(nanos)] += count;
        self.total += count;
        self.max = self.max.max(nanos);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.max = 0;
    }

    /// The latency that `share` (0 to 1) of all stay within, in nanoseconds.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return upper(index).min(self.max);
            }
        }
        self.max
    }

    /// The largest latency, exact, in nanoseconds.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }
}

#[inline]
fn bucket(nanos: u64) -> usize {
    if nanos < SUBS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - SUB_BITS;
    (u64::from(shift + 1) * SUBS + ((nanos >> shift) & (SUBS - 1))) as usize
}

fn upper(index: usize) -> u64 {
    let (block, sub) = (index as u64 / SUBS, index as u64 % SUBS);
    match block {
        0 => sub,
        _ => ((SUBS + sub) << (block - 1)) + ((1 << (block - 1)) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values() {
        for value in [0, 1, 63, 64, 65, 127, 128, 129, 1000, 123_456, 9_999_999_999, u64::MAX] {
            let index = bucket(value);
            assert!(upper(index) >= value, "{value}");
            assert!(u128::from(upper(index)) <= u128::from(value) * 65 / 64, "{value}");
            assert!(index == 0 || upper(index - 1) < value, "{value}");
        }
    }

    #[test]
    fn quantiles_count_from_below() {
        let mut histogram = Histogram::new();
        histogram.record(10, 98);
        histogram.record(50, 1);
        histogram.record(1_000_000, 1);
        assert_eq!(histogram.quantile(0.5), 10);
        assert_eq!(histogram.quantile(0.99), 50);
        assert_eq!(histogram.quantile(0.999), 1_000_000);
        assert_eq!(histogram.max(), 1_000_000);
        histogram.clear();
        assert_eq!(histogram.quantile(0.5), 0);
    }
}
