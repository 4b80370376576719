//! The sparse form: runs of registers.
//!
//! ```text
//! 00llllll            len 1 to 64 registers of zero
//! 01llllll llllllll   len 1 to 16384 registers of zero
//! 1vvvvvll            len 1 to 4 registers of value 1 to 32
//! ```

/// The runs do not cover the registers exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

/// The longest run of zeros in one byte.
const ZEROS: usize = 64;
/// The longest run of another value, and the greatest value that the form can hold.
const VALUES: usize = 4;
const GREATEST: u8 = 32;
/// The number of runs, from before a change on, that are examined for neighbours to be joined.
const LOOKED_AT: usize = 5;

/// A run, and its size in bytes.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) len: usize,
    pub(super) value: u8,
    pub(super) size: usize,
}

/// The outcome of raising a register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// The register had at least the value already.
    Unchanged,
    Changed,
    /// The sparse form cannot hold it.
    Full,
}

fn run_at(bytes: &[u8]) -> Result<Run, Corrupt> {
    let first = *bytes.first().ok_or(Corrupt)?;
    Ok(match first >> 6 {
        0 => Run { len: usize::from(first & 63) + 1, value: 0, size: 1 },
        1 => {
            let second = *bytes.get(1).ok_or(Corrupt)?;
            Run { len: (usize::from(first & 63) << 8 | usize::from(second)) + 1, value: 0, size: 2 }
        }
        _ => Run { len: usize::from(first & 3) + 1, value: (first >> 2 & 31) + 1, size: 1 },
    })
}

/// The runs, up to the first that is cut short.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Result<Run, Corrupt>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest.filter(|rest| !rest.is_empty())?;
        let run = run_at(bytes);
        rest = run.ok().and_then(|run| bytes.get(run.size..));
        Some(run)
    })
}

/// Appends a run of zeros, in one byte if it fits.
pub(super) fn put_zeros(out: &mut Vec<u8>, len: usize) {
    let count = len.wrapping_sub(1);
    match len {
        0 => {}
        1..=ZEROS => out.push(count as u8),
        _ => out.extend_from_slice(&[1 << 6 | (count >> 8) as u8 & 63, count as u8]),
    }
}

/// Appends a run of one to four registers with a value.
fn put_values(out: &mut Vec<u8>, value: u8, len: usize) {
    if len > 0 {
        out.push(1 << 7 | (value - 1) << 2 | (len - 1) as u8);
    }
}

/// Raises a register in the runs that begin at an offset, unless the string would become longer than `most` bytes. The
/// steps are Redis's, so the bytes are the same. O(runs).
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    begin: usize,
    (index, value): (usize, u8),
    most: usize,
) -> Result<Placed, Corrupt> {
    if value > GREATEST {
        return Ok(Placed::Full);
    }
    let (mut at, mut before, mut first) = (begin, begin, 0);
    let run = loop {
        let run = run_at(bytes.get(at..).unwrap_or_default())?;
        if index < first + run.len {
            break run;
        }
        before = at;
        at += run.size;
        first += run.len;
    };
    if run.value >= value {
        return Ok(Placed::Unchanged);
    }
    let mut runs = Vec::with_capacity(5);
    let (left, right) = (index - first, first + run.len - 1 - index);
    if run.value == 0 {
        put_zeros(&mut runs, left);
    } else {
        put_values(&mut runs, run.value, left);
    }
    put_values(&mut runs, value, 1);
    if run.value == 0 {
        put_zeros(&mut runs, right);
    } else {
        put_values(&mut runs, run.value, right);
    }
    if runs.len() > run.size && bytes.len() + runs.len() - run.size > most {
        return Ok(Placed::Full);
    }
    bytes.splice(at..at + run.size, runs);
    join(bytes, before);
    Ok(Placed::Changed)
}

/// Joins neighbouring runs of equal value among the next [`LOOKED_AT`] from an offset on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..LOOKED_AT {
        let Ok(run) = run_at(bytes.get(at..).unwrap_or_default()) else { return };
        let next = run_at(bytes.get(at + run.size..).unwrap_or_default());
        match next {
            Ok(next) if run.value != 0 && next.value == run.value && run.len + next.len <= VALUES => {
                let mut one = Vec::with_capacity(1);
                put_values(&mut one, run.value, run.len + next.len);
                bytes.splice(at..at + 2, one);
            }
            _ => at += run.size,
        }
    }
}
