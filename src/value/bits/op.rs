//! Combining strings bit by bit: `BITOP`.

/// The operations of `BITOP`. Shorter strings count as filled up with zeros. The numbers are part of the log's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BitOp {
    /// Set in all.
    And = 0,
    /// Set in any.
    Or = 1,
    /// Set in an odd number of them.
    Xor = 2,
    /// The complement of the only string.
    Not = 3,
    /// Set in the first and in no other (Redis 8.2).
    Diff = 4,
    /// Set in any but not in the first (Redis 8.2).
    Diff1 = 5,
    /// Set in the first and in any other (Redis 8.2).
    AndOr = 6,
    /// Set in exactly one (Redis 8.2).
    One = 7,
}

const NAMES: [(&str, BitOp); 8] = [
    ("AND", BitOp::And),
    ("OR", BitOp::Or),
    ("XOR", BitOp::Xor),
    ("NOT", BitOp::Not),
    ("DIFF", BitOp::Diff),
    ("DIFF1", BitOp::Diff1),
    ("ANDOR", BitOp::AndOr),
    ("ONE", BitOp::One),
];

impl BitOp {
    /// The operation of a name in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, op)| *op)
    }

    /// The operation of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        NAMES.iter().map(|(_, op)| *op).find(|op| *op as u8 == number)
    }

    /// What Redis answers if the operation does not take this many strings.
    pub fn check_sources(self, count: usize) -> Result<(), &'static str> {
        match self {
            Self::Not if count != 1 => Err("ERR BITOP NOT must be called with a single source key."),
            Self::Diff if count < 2 => Err("ERR BITOP DIFF must be called with at least two source keys."),
            Self::Diff1 if count < 2 => Err("ERR BITOP DIFF1 must be called with at least two source keys."),
            Self::AndOr if count < 2 => Err("ERR BITOP ANDOR must be called with at least two source keys."),
            _ => Ok(()),
        }
    }
}

/// Merges `source` into as many bytes of `target`.
fn merge(target: &mut [u8], source: &[u8], step: impl Fn(u8, u8) -> u8) {
    for (to, from) in target.iter_mut().zip(source) {
        *to = step(*to, *from);
    }
}

fn any_of(sources: &[&[u8]], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    for source in sources {
        merge(&mut out, source, |a, b| a | b);
    }
    out
}

/// The combination. It is as long as the longest source; a missing key counts as an empty string. O(sum of the
/// lengths).
pub fn bitop(op: BitOp, sources: &[&[u8]]) -> Vec<u8> {
    let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let Some((first, others)) = sources.split_first() else { return Vec::new() };
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(first);
    out.resize(len, 0);
    match op {
        BitOp::Not => {
            for byte in &mut out {
                *byte = !*byte;
            }
        }
        BitOp::And => {
            for source in others {
                merge(&mut out, source, |a, b| a & b);
                out.get_mut(source.len()..).unwrap_or_default().fill(0);
            }
        }
        BitOp::Or => {
            for source in others {
                merge(&mut out, source, |a, b| a | b);
            }
        }
        BitOp::Xor => {
            for source in others {
                merge(&mut out, source, |a, b| a ^ b);
            }
        }
        BitOp::Diff => merge(&mut out, &any_of(others, len), |a, b| a & !b),
        BitOp::Diff1 => merge(&mut out, &any_of(others, len), |a, b| !a & b),
        BitOp::AndOr => merge(&mut out, &any_of(others, len), |a, b| a & b),
        BitOp::One => {
            let mut several = vec![0; len];
            for source in others {
                for ((once, several), byte) in out.iter_mut().zip(&mut several).zip(*source) {
                    *several |= *once & byte;
                    *once |= byte;
                }
            }
            merge(&mut out, &several, |once, several| once & !several);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model(op: BitOp, sources: &[&[u8]]) -> Vec<u8> {
        let len = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let bit = |source: &[u8], at: usize| source.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        let mut out = vec![0u8; len];
        for at in 0..len * 8 {
            let first = bit(sources[0], at);
            let all = sources.iter().filter(|source| bit(source, at)).count();
            let others = all - usize::from(first);
            let set = match op {
                BitOp::And => all == sources.len(),
                BitOp::Or => all > 0,
                BitOp::Xor => all % 2 == 1,
                BitOp::Not => !first,
                BitOp::Diff => first && others == 0,
                BitOp::Diff1 => !first && others > 0,
                BitOp::AndOr => first && others > 0,
                BitOp::One => all == 1,
            };
            out[at / 8] |= u8::from(set) << (at % 8);
        }
        out
    }

    fn op() -> impl Strategy<Value = BitOp> {
        use BitOp::*;
        proptest::sample::select(vec![And, Or, Xor, Not, Diff, Diff1, AndOr, One])
    }

    #[test]
    fn names() {
        assert_eq!(BitOp::parse(b"aNdOr"), Some(BitOp::AndOr));
        assert_eq!(BitOp::parse(b"nand"), None);
        assert!(BitOp::Not.check_sources(2).is_err());
        assert!(BitOp::Diff1.check_sources(1).is_err());
        assert!(BitOp::One.check_sources(1).is_ok());
    }

    proptest! {
        #[test]
        fn every_operation(
            op in op(), sources in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
        ) {
            let mut sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            if op == BitOp::Not {
                sources.truncate(1);
            }
            prop_assert_eq!(bitop(op, &sources), model(op, &sources));
        }
    }
}
