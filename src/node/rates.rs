//! Moving averages of what happens per second, for INFO.

/// How many samples the average covers.
const SAMPLES: usize = 16;

/// The average of the newest samples of a counter's speed.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    samples: [f64; SAMPLES],
    next: usize,
    last: Option<(u64, u64)>,
}

impl Rate {
    /// Takes a sample: the counter's value at a time in µs of a clock that never goes back.
    pub fn sample(&mut self, value: u64, micros: u64) {
        if let Some((before, then)) = self.last
            && micros > then
        {
            let speed = value.saturating_sub(before) as f64 * 1e6 / (micros - then) as f64;
            self.samples[self.next % SAMPLES] = speed;
            self.next += 1;
        }
        self.last = Some((value, micros));
    }

    /// The average.
    pub fn per_second(&self) -> f64 {
        self.samples.iter().sum::<f64>() / SAMPLES as f64
    }
}

/// The speeds that INFO shows.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// Commands.
    pub commands: Rate,
    /// Bytes from clients.
    pub input: Rate,
    /// Bytes to clients.
    pub output: Rate,
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn a_steady_counter_has_its_speed() {
        let mut rate = Rate::default();
        for step in 0..=16 {
            rate.sample(step * 100, step * 100_000);
        }
        assert!((rate.per_second() - 1000.0).abs() < 0.001);
        // A counter that was reset does not count backwards.
        rate.sample(0, 1_700_000);
        assert!((rate.per_second() - 937.5).abs() < 0.001);
    }
}
