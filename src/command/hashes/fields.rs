//! `FIELDS numfields field ...`, times in arguments, and fields that are named twice.

use crate::command::{Fail, eq, parse_int};
use crate::text::parse_i64_strict;
use smallvec::SmallVec;

/// The latest time at which a field may expire, in ms since the epoch: 46 bits, the year 4199, as in Redis.
const LATEST: u64 = (1 << 46) - 1;

/// Names of fields that a command found or changed.
pub(super) type Names<'a> = SmallVec<[&'a [u8]; 16]>;

pub(super) const NO_FIELDS: Fail =
    Fail::new("ERR Mandatory argument FIELDS is missing or not at the right position");
pub(super) const FIELDS_MISMATCH: Fail =
    Fail::new("ERR The `numfields` parameter must match the number of arguments");
pub(super) const NUMBER_NOT_POSITIVE: Fail = Fail::new("ERR Number of fields must be a positive integer");

/// Reads `FIELDS numfields field ...`, which must be the last arguments, and returns the names.
pub(super) fn only_fields<'a, 'b>(args: &'a [&'b [u8]]) -> Result<&'a [&'b [u8]], Fail> {
    let [word, number, names @ ..] = args else { return Err(NO_FIELDS) };
    if !eq(word, "fields") {
        return Err(NO_FIELDS);
    }
    let count = field_count(number, &NUMBER_NOT_POSITIVE)?;
    if count == names.len() { Ok(names) } else { Err(FIELDS_MISMATCH) }
}

/// Reads `numfields field ...` and returns the fields and the arguments after them.
///
/// # Errors
/// `wrong` if the number is not above zero.
pub(super) fn counted_fields<'a, 'b>(
    args: &'a [&'b [u8]],
    wrong: &Fail,
) -> Result<(&'a [&'b [u8]], &'a [&'b [u8]]), Fail> {
    let [number, rest @ ..] = args else { return Err(NO_FIELDS) };
    rest.split_at_checked(field_count(number, wrong)?).ok_or(FIELDS_MISMATCH)
}

/// Reads `numfields`.
///
/// # Errors
/// `wrong` if it is not above zero.
pub(super) fn field_count(arg: &[u8], wrong: &Fail) -> Result<usize, Fail> {
    let count = parse_i64_strict(arg).filter(|n| *n > 0).and_then(|n| usize::try_from(n).ok());
    count.ok_or_else(|| wrong.clone())
}

/// The unit of a time, and whether the time is absolute or relative to the present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FieldTtlUnit {
    pub(super) seconds: bool,
    pub(super) absolute: bool,
}

impl FieldTtlUnit {
    pub(super) const SECONDS: Self = Self { seconds: true, absolute: false };
    pub(super) const MILLIS: Self = Self { seconds: false, absolute: false };
    pub(super) const UNIX_SECONDS: Self = Self { seconds: true, absolute: true };
    pub(super) const UNIX_MILLIS: Self = Self { seconds: false, absolute: true };

    /// The unit for the word of an option.
    pub(super) fn of_word(word: &[u8]) -> Option<Self> {
        let words = [
            ("ex", Self::SECONDS),
            ("px", Self::MILLIS),
            ("exat", Self::UNIX_SECONDS),
            ("pxat", Self::UNIX_MILLIS),
        ];
        words.into_iter().find(|(w, _)| eq(word, w)).map(|(_, unit)| unit)
    }

    /// Reads a time as a deadline in ms since the epoch, which may have passed. Errors name `command`.
    pub(super) fn deadline(self, arg: &[u8], now: u64, command: &str) -> Result<u64, Fail> {
        let given =
            u64::try_from(parse_int(arg)?).map_err(|_| Fail::new("ERR invalid expire time, must be >= 0"))?;
        let ms = if self.seconds { given.saturating_mul(1000) } else { given };
        let at = ms.saturating_add(if self.absolute { 0 } else { now });
        if at > LATEST { Err(Fail::invalid_expire(command)) } else { Ok(at) }
    }
}

/// Splits names into parts of which none names a field twice. A command whose effect on a field shows in the reply for
/// its next mention handles one part after the other. There is one part unless a name repeats. O(n log n).
pub(super) fn each_once<'a, 'b>(names: &'a [&'b [u8]]) -> std::slice::Chunks<'a, &'b [u8]> {
    let twice = if names.len() <= 8 {
        names.iter().enumerate().any(|(i, name)| names[..i].contains(name))
    } else {
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    };
    names.chunks(if twice { 1 } else { names.len().max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_given_twice_are_taken_one_by_one() {
        let parts = |names: &[&str]| {
            let names: Vec<&[u8]> = names.iter().map(|n| n.as_bytes()).collect();
            each_once(&names).count()
        };
        assert_eq!(parts(&["a", "b", "c"]), 1);
        assert_eq!(parts(&["a", "b", "a"]), 3);
        let many: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(parts(&many), 1);
        many.push("7");
        assert_eq!(parts(&many), 21);
    }

    #[test]
    fn times_have_bounds() {
        let now = 1_700_000_000_000;
        let deadline = |unit: FieldTtlUnit, arg: &str| unit.deadline(arg.as_bytes(), now, "x").ok();
        assert_eq!(deadline(FieldTtlUnit::SECONDS, "1"), Some(now + 1000));
        assert_eq!(deadline(FieldTtlUnit::MILLIS, "0"), Some(now));
        assert_eq!(deadline(FieldTtlUnit::UNIX_SECONDS, "0"), Some(0));
        assert_eq!(deadline(FieldTtlUnit::UNIX_MILLIS, "70368744177663"), Some(LATEST));
        assert_eq!(deadline(FieldTtlUnit::UNIX_MILLIS, "70368744177664"), None);
        assert_eq!(deadline(FieldTtlUnit::UNIX_SECONDS, "70368744177"), Some(70_368_744_177_000));
        assert_eq!(deadline(FieldTtlUnit::UNIX_SECONDS, "70368744178"), None);
        assert_eq!(deadline(FieldTtlUnit::MILLIS, "68668744177663"), Some(LATEST));
        assert_eq!(deadline(FieldTtlUnit::MILLIS, "68668744177664"), None);
        assert_eq!(deadline(FieldTtlUnit::SECONDS, "9223372036854775807"), None);
        assert_eq!(deadline(FieldTtlUnit::SECONDS, "-1"), None);
    }
}
