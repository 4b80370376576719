//! Reads the bounds of ranges.

use crate::command::{Fail, parse_int};
use crate::text::parse_strtod;
use crate::value::zset::{Cut, ZsetRef};

/// The bounds of a range.
#[derive(Clone, Copy)]
pub(super) enum Bounds<'a> {
    /// By rank, both included; a negative rank counts from the end.
    Ranks(i64, i64),
    /// By places in the order.
    Cuts(Cut<'a>, Cut<'a>),
}

impl<'a> Bounds<'a> {
    pub(super) fn ranks(start: &[u8], stop: &[u8]) -> Result<Self, Fail> {
        Ok(Self::Ranks(parse_int(start)?, parse_int(stop)?))
    }

    pub(super) fn scores(low: &[u8], high: &[u8]) -> Result<Self, Fail> {
        score_bounds(low, high).map(|(low, high)| Self::Cuts(low, high))
    }

    pub(super) fn members(low: &'a [u8], high: &'a [u8]) -> Result<Self, Fail> {
        lex_bounds(low, high).map(|(low, high)| Self::Cuts(low, high))
    }

    /// The first rank of the range, and the rank after its last. If `backward` is set, the ranks of the bounds count
    /// from the greatest member.
    pub(super) fn resolve(&self, set: ZsetRef<'_>, backward: bool) -> (usize, usize) {
        match self {
            Self::Ranks(start, stop) => {
                let len = set.len();
                let rank = |at: i64| {
                    let from_end =
                        len.saturating_sub(usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX));
                    if at < 0 { (from_end, at.unsigned_abs() > len as u64) } else { (at as usize, false) }
                };
                let ((start, _), (stop, before_all)) = (rank(*start), rank(*stop));
                let end = if before_all { 0 } else { stop.saturating_add(1).min(len) };
                let start = start.min(end);
                if backward { (len - end, len - start) } else { (start, end) }
            }
            Self::Cuts(low, high) => {
                let start = set.partition(low);
                (start, set.partition(high).max(start))
            }
        }
    }
}

/// Reads a bound by score, as C's `strtod` does. `(` before it excludes it; the result says whether it is included.
fn score_bound(arg: &[u8]) -> Result<(f64, bool), Fail> {
    let (text, included) = match arg {
        [b'(', rest @ ..] => (rest, false),
        _ => (arg, true),
    };
    let score = parse_strtod(text).filter(|score| !score.is_nan());
    score.map(|score| (score, included)).ok_or(Fail::new("ERR min or max is not a float"))
}

/// The places at which a range by score begins and ends.
pub(super) fn score_bounds(low: &[u8], high: &[u8]) -> Result<(Cut<'static>, Cut<'static>), Fail> {
    let low = match score_bound(low)? {
        (score, true) => Cut::BeforeScore(score),
        (score, false) => Cut::BehindScore(score),
    };
    let high = match score_bound(high)? {
        (score, true) => Cut::BehindScore(score),
        (score, false) => Cut::BeforeScore(score),
    };
    Ok((low, high))
}

/// The places at which a range by member begins and ends.
pub(super) fn lex_bounds<'a>(low: &'a [u8], high: &'a [u8]) -> Result<(Cut<'a>, Cut<'a>), Fail> {
    Ok((lex_bound(low, true)?, lex_bound(high, false)?))
}

fn lex_bound(arg: &[u8], is_low: bool) -> Result<Cut<'_>, Fail> {
    match arg {
        // A zero byte ends the word, as in C.
        [b'-'] | [b'-', 0, ..] => Ok(Cut::Start),
        [b'+'] | [b'+', 0, ..] => Ok(Cut::End),
        [b'[', member @ ..] if is_low => Ok(Cut::BeforeMember(member)),
        [b'[', member @ ..] => Ok(Cut::BehindMember(member)),
        [b'(', member @ ..] if is_low => Ok(Cut::BehindMember(member)),
        [b'(', member @ ..] => Ok(Cut::BeforeMember(member)),
        _ => Err(Fail::new("ERR min or max not valid string range item")),
    }
}
