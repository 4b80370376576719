//! The generator behind `math.random`: that of `drand48`, as in Redis. A script that gives `math.randomseed` a seed
//! draws the same numbers everywhere.

use std::cell::Cell;

const FACTOR: u64 = 0x5_DEEC_E66D;
const ADDEND: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;
/// What numbers are taken modulo, and divided by.
const MOST: i32 = i32::MAX;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Begins anew from a seed.
pub(super) fn seed(seed: i32) {
    STATE.set(u64::from(seed as u32) << 16 | 0x330E);
}

/// The next number from 0 to below 1.
pub(super) fn draw() -> f64 {
    let next = STATE.get().wrapping_mul(FACTOR).wrapping_add(ADDEND) & MASK;
    STATE.set(next);
    let drawn = (next >> 17) as i32;
    f64::from(drawn % MOST) / f64::from(MOST)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_numbers_are_those_of_redis() {
        super::seed(0);
        let drawn: Vec<String> = (0..3).map(|_| format!("{:.14}", super::draw())).collect();
        assert_eq!(drawn[..2], ["0.17082803611217", "0.74990198051087"]);
    }
}
