//! Compares two replies to the same command.

use crate::harness::Value;
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Types and bytes must be equal.
    Exact,
    /// The same, regardless of the order in lists, sets and maps.
    Unordered,
    /// Types and lengths must be equal.
    Shape,
    /// Both must be errors with the same first word.
    ErrorWord,
    /// Types and bytes must be equal, but integers may differ by this much, except for the count at the end of an entry
    /// of XPENDING.
    Near(i64),
    /// Types and bytes must be equal, but times left in seconds may differ by a busy machine's delay.
    TimeLeft,
    /// The names in lines of `name:value` or words of `name=value` must be equal.
    Names,
    /// Any replies are accepted.
    Ignored,
}

impl Mode {
    pub(crate) fn parse(word: &str) -> Option<Mode> {
        Some(match word {
            "~" => Mode::Unordered,
            "?" => Mode::Shape,
            "?err" => Mode::ErrorWord,
            "?keys" => Mode::Names,
            ".." => Mode::Ignored,
            _ => Mode::Near(word.strip_prefix('%')?.parse().ok()?),
        })
    }

    /// Whether the reply `ours` is accepted beside `theirs`.
    pub(crate) fn same(&self, theirs: &Value, ours: &Value) -> bool {
        match self {
            Mode::Exact => theirs == ours,
            Mode::Unordered => theirs.sorted() == ours.sorted(),
            Mode::Shape => theirs.shape() == ours.shape(),
            Mode::ErrorWord => theirs.is_error() && theirs.shape() == ours.shape(),
            Mode::Near(tolerance) => near(theirs, ours, &|_| *tolerance),
            Mode::TimeLeft => near(theirs, ours, &slack),
            Mode::Names => names(theirs).is_subset(&names(ours)),
            Mode::Ignored => true,
        }
    }
}

impl Mode {
    /// The names that our reply lacks, if names are compared.
    pub(crate) fn missing(&self, theirs: &Value, ours: &Value) -> Option<String> {
        let ours_names = names(ours);
        let missing: Vec<String> = names(theirs).into_iter().filter(|n| !ours_names.contains(n)).collect();
        (*self == Mode::Names && !ours.is_error()).then(|| missing.join(" "))
    }
}

/// The commands that reply with times left in seconds.
pub(crate) const TIME_LEFT: [&str; 2] = ["TTL", "HTTL"];

/// How many seconds may pass between setting a deadline `seconds` away and reading the time left. Zero and negative
/// numbers are no times: the key has no deadline, or does not exist.
pub(crate) fn slack(seconds: i64) -> i64 {
    if seconds <= 0 { 0 } else { (seconds / 10).clamp(1, 5) }
}

fn near(theirs: &Value, ours: &Value, tolerance: &dyn Fn(i64) -> i64) -> bool {
    match (theirs, ours) {
        (Value::Int(a), Value::Int(b)) => a.abs_diff(*b) <= tolerance(*a.max(b)).unsigned_abs(),
        (Value::Array(a), Value::Array(b)) => {
            let delivered = matches!(a[..], [Value::Bulk(_), Value::Bulk(_), Value::Int(_), Value::Int(_)]);
            let alike = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b, tolerance));
            alike && (!delivered || a.last() == b.last())
        }
        (a, b) => a == b,
    }
}

/// The names before `=` in words, or before `:` in lines.
fn names(value: &Value) -> BTreeSet<String> {
    let text = value.text();
    let words = text.split_whitespace().filter_map(|w| w.split_once('='));
    let lines = text.lines().filter(|l| !l.contains('=')).filter_map(|l| l.split_once(':'));
    words.chain(lines).map(|(name, _)| name.to_owned()).collect()
}
