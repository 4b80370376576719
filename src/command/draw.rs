//! What commands that draw elements at random share.

use super::types::Outcome;
use super::{Fail, parse_int};
use crate::config::Settings;
use crate::env::Random;
use crate::resp::Reply;
use ahash::AHashSet;

/// Reads how many elements to draw: a positive count draws different elements, a negative one may repeat them.
pub(super) fn drawn_count(arg: &[u8]) -> Result<i64, Fail> {
    let count = parse_int(arg)?;
    if count == i64::MIN {
        return Err(Fail::text(format!(
            "ERR value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        )));
    }
    Ok(count)
}

/// The bound of a reply's bytes, `proto-max-bulk-len`. A negative count can ask for any number of elements.
pub(super) struct Bound {
    mark: usize,
    most: usize,
}

impl Bound {
    /// The bound of a reply that begins now.
    pub(super) fn of(settings: &Settings, out: &Reply) -> Self {
        Self { mark: out.len(), most: settings.proto_max_bulk_len as usize }
    }

    /// Checks the length of the reply.
    ///
    /// # Errors
    /// The reply is longer than its bound, or than the client's output limit.
    pub(super) fn check(&self, out: &Reply) -> Outcome {
        if out.overran() || out.len() - self.mark > self.most {
            return Err(Fail::new("ERR reply exceeds maximum allowed size (proto-max-bulk-len)"));
        }
        Ok(())
    }
}

/// Calls `visit` with `wanted` different numbers below `len`, every choice equally likely (Floyd's method). O(wanted).
pub(super) fn distinct(
    len: usize,
    wanted: usize,
    random: &mut Random,
    mut visit: impl FnMut(usize) -> Outcome,
) -> Outcome {
    let mut taken = AHashSet::with_capacity(wanted);
    for top in len - wanted..len {
        let draw = random.below(top as u64 + 1) as usize;
        let number = if taken.insert(draw) { draw } else { top };
        taken.insert(number);
        visit(number)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn choices_are_different_and_all_equally_likely() {
        let mut random = Random::seeded(7);
        let mut seen: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
        for _ in 0..60_000 {
            let mut choice = Vec::new();
            distinct(6, 3, &mut random, |i| {
                choice.push(i);
                Ok(())
            })
            .unwrap();
            choice.sort_unstable();
            *seen.entry(choice).or_default() += 1;
        }
        // 20 choices of 3000 each; six standard deviations are about 320.
        assert_eq!(seen.len(), 20);
        assert!(seen.values().all(|n| n.abs_diff(3000) < 320), "{seen:?}");
    }
}
