//! The checks of PFSELFTEST.

use super::bytes::{Encoding, Hll, HllRef};
use super::dense::{dense_at, set_dense};
use super::hash::REGISTERS;

/// The number of elements that are added.
const ELEMENTS: u64 = 100_000;
/// The size in bytes above which the sparse form becomes dense.
const MOST: usize = 3000;

/// Checks that registers keep their values, that both forms agree, and that estimates are as exact as they should be.
///
/// # Errors
/// A description of the failure.
pub fn self_test() -> Result<(), String> {
    let mut body = vec![0; REGISTERS * 6 / 8];
    let value_of = |index: usize, round: usize| (index * 7 + round) as u8 & 63;
    for round in 0..3 {
        (0..REGISTERS).for_each(|index| set_dense(&mut body, index, value_of(index, round)));
        if let Some(index) = (0..REGISTERS).find(|index| dense_at(&body, *index) != value_of(*index, round)) {
            return Err(format!("register {index} does not keep its value"));
        }
    }
    let corrupt = |_| "a HyperLogLog became corrupt".to_owned();
    let (mut sparse, mut dense) = (Hll::empty(MOST), Hll::empty(MOST));
    dense.make_dense().map_err(corrupt)?;
    let mut next = 1;
    for n in 1..=ELEMENTS {
        let element = n.to_le_bytes();
        let raised = [sparse.add(&element).map_err(corrupt)?, dense.add(&element).map_err(corrupt)?];
        if raised[0] != raised[1] {
            return Err(format!("the forms disagree about element {n}"));
        }
        if n != next {
            continue;
        }
        next *= 10;
        let count = |hll: &Hll| HllRef::of(hll.bytes()).map_or(Ok(0), |hll| hll.count()).map_err(corrupt);
        let (of_sparse, of_dense) = (count(&sparse)?, count(&dense)?);
        // Four standard deviations, and one element more for small numbers.
        let allowed = n as f64 * 4.0 * 1.04 / (REGISTERS as f64).sqrt() + 1.0;
        if of_sparse != of_dense || of_sparse.abs_diff(n) as f64 > allowed {
            return Err(format!("{n} elements are estimated as {of_sparse} and {of_dense}"));
        }
    }
    let became = HllRef::of(sparse.bytes()).map(|hll| hll.encoding());
    if became == Some(Encoding::Dense) { Ok(()) } else { Err("the sparse form was never left".to_owned()) }
}
