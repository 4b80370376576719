//! Strings: whole values (`set`, `many`), options that several commands share (`options`), parts of values (`edit`),
//! counters (`number`), changes that depend on the value (`compare`), and the longest common subsequence (`lcs`).

mod compare;
mod edit;
mod lcs;
mod many;
mod number;
mod options;
mod set;
mod table;

pub(super) use table::COMMANDS;

use super::Cx;
use super::fail::{self, Fail};
use crate::effect::{Effect, MAX_STRING, StringChange};
use crate::engine::Classes;
use crate::store::{Entry, ValueRef};
use crate::text::parse_i64_strict;

/// Longer texts are never integers: 19 digits and a sign.
const MAX_INT_TEXT: usize = 20;

/// Longer strings do not share an allocation with their header in Redis.
const MAX_EMBEDDED: usize = 44;

/// What OBJECT ENCODING calls a string. `raw` says that it was edited in place ([`Entry::is_raw`]).
pub fn string_encoding(bytes: &[u8], raw: bool) -> &'static str {
    if raw {
        "raw"
    } else if bytes.len() <= MAX_INT_TEXT && parse_i64_strict(bytes).is_some() {
        "int"
    } else if bytes.len() <= MAX_EMBEDDED {
        "embstr"
    } else {
        "raw"
    }
}

/// The string in an entry.
#[inline]
pub(super) fn str_of(entry: &Entry) -> Result<&[u8], Fail> {
    match entry.value() {
        ValueRef::Str(bytes) => Ok(bytes),
        _ => Err(fail::WRONG_TYPE),
    }
}

/// The longest string in bytes that commands may make.
#[inline]
pub(super) fn max_len(cx: &Cx<'_, '_>) -> u64 {
    cx.settings.proto_max_bulk_len.min(MAX_STRING as u64)
}

/// Checks that a string may become `at` plus `more` bytes long.
pub(super) fn check_len(cx: &Cx<'_, '_>, at: u64, more: usize) -> Result<(), Fail> {
    match at.checked_add(more as u64) {
        Some(total) if total <= max_len(cx) => Ok(()),
        _ => Err(fail::TOO_LONG),
    }
}

/// Sets a string with a deadline that the command gives, if it does; one that has passed deletes the key instead.
#[inline]
fn put(cx: &mut Cx<'_, '_>, key: &[u8], value: &[u8], given: Option<u64>) {
    if given.is_some_and(|at| at <= cx.tx.now()) {
        if cx.tx.exists(key) {
            cx.tx.apply(Effect::Delete { db: cx.db(), key });
            cx.tell(Classes::GENERIC, "del", key);
        }
        return;
    }
    set_to(cx, key, value, given);
    if given.is_some() {
        cx.tell(Classes::GENERIC, "expire", key);
    }
}

/// Sets a string with a deadline that it may have had before.
#[inline]
fn set_to(cx: &mut Cx<'_, '_>, key: &[u8], value: &[u8], expire: Option<u64>) {
    cx.tx.apply(StringChange::Set { value, expire }.on(cx.db(), key));
    cx.tell(Classes::STRING, "set", key);
}

#[cfg(test)]
mod tests {
    use super::string_encoding;

    #[test]
    fn encodings_follow_redis() {
        for (text, raw, name) in [
            ("0", false, "int"),
            ("-9223372036854775808", false, "int"),
            ("9223372036854775808", false, "embstr"),
            ("01", false, "embstr"),
            ("", false, "embstr"),
            (&"x".repeat(44), false, "embstr"),
            (&"x".repeat(45), false, "raw"),
            ("1", true, "raw"),
        ] {
            assert_eq!(string_encoding(text.as_bytes(), raw), name, "{text}");
        }
    }
}
