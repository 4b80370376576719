//! The estimate from the registers' histogram: O. Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", 2017.

use super::hash::{INDEX_BITS, REGISTERS};

/// The number of bits of a hash that do not choose the register. A register's value is at most one more.
const BITS: usize = (u64::BITS - INDEX_BITS) as usize;
/// The greatest estimate, as in Redis, which takes it as a signed number.
const MOST: u64 = 1 << 63;
/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The number of registers with each value. Values that no hash can give are counted, but have no part in the estimate.
pub(super) struct RegisterCounts([usize; 64]);

impl Default for RegisterCounts {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl RegisterCounts {
    pub(super) fn add(&mut self, value: u8, registers: usize) {
        if let Some(count) = self.0.get_mut(usize::from(value)) {
            *count += registers;
        }
    }

    fn at(&self, value: usize) -> f64 {
        self.0.get(value).copied().unwrap_or(0) as f64
    }

    pub(super) fn estimate(&self) -> u64 {
        let all = REGISTERS as f64;
        let mut z = all * tau((all - self.at(BITS + 1)) / all);
        for value in (1..=BITS).rev() {
            z = (z + self.at(value)) * 0.5;
        }
        z += all * sigma(self.at(0) / all);
        let estimate = (ALPHA * all * all / z).round();
        // No set of elements fills the registers so far, but bytes that were made up do.
        if estimate < MOST as f64 { estimate as u64 } else { MOST }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}
