//! Strings: whole values (`set`, `many`), options that several commands share (`options`), parts of values (`edit`),
//! counters (`number`, `bounded`), commands that depend on the value (`compare`), and the longest common subsequence
//! (`lcs`).

mod bounded;
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

/// The greatest length of a 64-bit integer's text: 19 digits and a sign.
const MAX_INT_TEXT: usize = 20;

/// The longest string that Redis allocates together with its header.
const MAX_EMBEDDED: usize = 44;

/// Redis's name of a string's encoding. `raw` says that the string was edited in place ([`Entry::is_raw`]).
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

/// The string of an entry.
///
/// # Errors
/// The entry holds another type.
#[inline]
pub(super) fn str_of(entry: &Entry) -> Result<&[u8], Fail> {
    match entry.value() {
        ValueRef::Str(bytes) => Ok(bytes),
        _ => Err(fail::WRONG_TYPE),
    }
}

/// The greatest length in bytes of a string that commands may make.
#[inline]
pub(super) fn max_len(cx: &Cx<'_, '_>) -> u64 {
    cx.settings.proto_max_bulk_len.min(MAX_STRING as u64)
}

/// Checks that a string of `at` plus `more` bytes is not too long.
pub(super) fn check_len(cx: &Cx<'_, '_>, at: u64, more: usize) -> Result<(), Fail> {
    match at.checked_add(more as u64) {
        Some(total) if total <= max_len(cx) => Ok(()),
        _ => Err(fail::TOO_LONG),
    }
}

/// Sets a string. `given` is the deadline of the command; if it has passed, the key is deleted instead. Then it is told
/// as in Redis, which sets the string and removes it at once or soon after.
#[inline]
fn put(cx: &mut Cx<'_, '_>, key: &[u8], value: &[u8], given: Option<u64>) {
    if given.is_some_and(|at| at <= cx.tx.now()) {
        let old = cx.replaced_type(cx.tx.db, key);
        if cx.tx.exists(key) {
            cx.tx.apply(Effect::Delete { db: cx.db(), key });
        }
        cx.tell_replaced(cx.tx.db, key, old, "string");
        cx.tell(Classes::STRING, "set", key);
        cx.tell(Classes::GENERIC, "expire", key);
        cx.tell(Classes::EXPIRED, "expired", key);
        return;
    }
    set_to(cx, key, value, given);
    if given.is_some() {
        cx.tell(Classes::GENERIC, "expire", key);
    }
}

/// Sets a string with a deadline that the key may have had before.
#[inline]
fn set_to(cx: &mut Cx<'_, '_>, key: &[u8], value: &[u8], expire: Option<u64>) {
    let old = cx.replaced_type(cx.tx.db, key);
    cx.tx.apply(StringChange::Set { value, expire }.on(cx.db(), key));
    cx.tell_replaced(cx.tx.db, key, old, "string");
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
