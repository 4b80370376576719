//! The family's table.

use super::{bounded, compare, edit, lcs, many, number, set};
use crate::command::spec::*;

const INSERT_OVER: &[KeySpec] = &[keys_at(1, 0, 1, &["OW", "insert"])];
const INSERT_PAIRS: &[KeySpec] = &[keys_at(1, -1, 2, &["OW", "insert"])];
const SET_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "access", "update", "variable_flags"])];
const DELEX_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "delete", "variable_flags"])];
const TWO_KEYS: &[KeySpec] = &[keys_at(1, 1, 1, &["RO", "access"])];
const COUNTED_PAIRS: &[KeySpec] = &[KeySpec {
    begin: Begin::Index(1),
    find: Find::Number { at: 0, first: 1, step: 2 },
    flags: &["OW", "update"],
}];

const WRITE: u64 = flag::WRITE | flag::DENYOOM;
const FAST_WRITE: u64 = WRITE | flag::FAST;

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    spec("get", 2, flag::READONLY | flag::FAST, set::get).keys(READ_KEY).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Returns the string of a key.",
        "key",
    ),
    spec("set", -3, WRITE | flag::COUNTED, set::set).keys(SET_KEY).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Sets the string of a key, whatever it held before, perhaps on a condition and with a deadline.",
        "key value [NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest] [GET] \
         [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    ),
    spec("setnx", 3, FAST_WRITE, set::setnx).keys(INSERT_OVER).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Sets the string of a key that does not exist.",
        "key value",
    ),
    spec("setex", 4, WRITE, set::setex).keys(OVERWRITE_KEY).doc(
        "string",
        "2.0.0",
        "O(1)",
        "Sets the string of a key and its time to live in seconds.",
        "key seconds value",
    ),
    spec("psetex", 4, WRITE, set::psetex).keys(OVERWRITE_KEY).doc(
        "string",
        "2.6.0",
        "O(1)",
        "Sets the string of a key and its time to live in milliseconds.",
        "key milliseconds value",
    ),
    spec("getset", 3, FAST_WRITE | flag::COUNTED, set::getset).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Sets the string of a key and returns the one before.",
        "key value",
    ),
    spec("getex", -2, flag::WRITE | flag::FAST | flag::COUNTED, set::getex).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "6.2.0",
        "O(1)",
        "Returns the string of a key and changes or removes its deadline.",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    ),
    spec("getdel", 2, flag::WRITE | flag::FAST | flag::COUNTED, set::getdel).keys(ACCESS_DELETE_KEY).doc(
        "string",
        "6.2.0",
        "O(1)",
        "Returns the string of a key and deletes the key.",
        "key",
    ),
    spec("mget", -2, flag::READONLY | flag::FAST, many::mget)
        .keys(READ_KEYS)
        .tips(&["request_policy:multi_shard"])
        .doc(
            "string",
            "1.0.0",
            "O(N) where N is the number of keys to retrieve.",
            "Returns the strings of several keys, as of one moment.",
            "key [key ...]",
        ),
    spec("mset", -3, WRITE, many::mset)
        .keys(OVERWRITE_PAIRS)
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .doc(
            "string",
            "1.0.1",
            "O(N) where N is the number of keys to set.",
            "Sets the strings of several keys at once.",
            "key value [key value ...]",
        ),
    spec("msetnx", -3, WRITE, many::msetnx)
        .keys(INSERT_PAIRS)
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .doc(
            "string",
            "1.0.1",
            "O(N) where N is the number of keys to set.",
            "Sets the strings of several keys at once if none of them exists.",
            "key value [key value ...]",
        ),
    spec("msetex", -4, WRITE | flag::MOVABLE_KEYS, many::msetex)
        .keys(COUNTED_PAIRS)
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .doc(
            "string",
            "8.4.0",
            "O(N) where N is the number of keys to set.",
            "Sets the strings of several keys at once, perhaps on a condition and with one deadline.",
            "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | \
             EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        ),
    spec("append", 3, FAST_WRITE, edit::append).keys(INSERT_KEY).doc(
        "string",
        "2.0.0",
        "O(N) where N is the length of the appended value, amortised.",
        "Appends to the string of a key, creating it if it does not exist.",
        "key value",
    ),
    spec("strlen", 2, flag::READONLY | flag::FAST, edit::strlen).keys(META_KEY).doc(
        "string",
        "2.2.0",
        "O(1)",
        "Returns the length of a key's string in bytes.",
        "key",
    ),
    spec("getrange", 4, flag::READONLY, edit::getrange).keys(READ_KEY).doc(
        "string",
        "2.4.0",
        "O(N) where N is the length of the returned string.",
        "Returns a part of a key's string.",
        "key start end",
    ),
    spec("substr", 4, flag::READONLY, edit::getrange).keys(READ_KEY).doc(
        "string",
        "1.0.0",
        "O(N) where N is the length of the returned string.",
        "Returns a part of a key's string; the old name of GETRANGE.",
        "key start end",
    ),
    spec("setrange", 4, WRITE, edit::setrange).keys(UPDATE_KEY).doc(
        "string",
        "2.2.0",
        "O(N) where N is the length of the value, plus the zeros in front of it.",
        "Overwrites a part of a key's string, padding it with zeros if it is too short.",
        "key offset value",
    ),
    spec("incr", 2, FAST_WRITE, number::incr).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Adds one to the integer of a key; a missing key counts as 0.",
        "key",
    ),
    spec("decr", 2, FAST_WRITE, number::decr).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Takes one from the integer of a key; a missing key counts as 0.",
        "key",
    ),
    spec("incrby", 3, FAST_WRITE, number::incrby).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Adds to the integer of a key; a missing key counts as 0.",
        "key increment",
    ),
    spec("decrby", 3, FAST_WRITE, number::decrby).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "1.0.0",
        "O(1)",
        "Takes from the integer of a key; a missing key counts as 0.",
        "key decrement",
    ),
    spec("increx", -2, FAST_WRITE, bounded::increx).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "8.8.0",
        "O(1)",
        "Adds to the number of a key within bounds, and may set the key's deadline.",
        "key [BYFLOAT increment | BYINT increment] [LBOUND lowerbound] [UBOUND upperbound] [SATURATE] \
         [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]",
    ),
    spec("incrbyfloat", 3, FAST_WRITE, number::incrbyfloat).keys(ACCESS_UPDATE_KEY).doc(
        "string",
        "2.6.0",
        "O(1)",
        "Adds to the number of a key, fractions allowed; a missing key counts as 0.",
        "key increment",
    ),
    spec("lcs", -3, flag::READONLY | flag::LONG, lcs::lcs).keys(TWO_KEYS).doc(
        "string",
        "7.0.0",
        "O(N*M) where N and M are the lengths of the two strings, 64 steps at a time.",
        "Finds the longest common subsequence of two strings.",
        "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    ),
    spec("delifeq", 3, flag::WRITE | flag::FAST, compare::delifeq).keys(DELETE_KEY).doc(
        "string",
        "9.0.0",
        "O(1)",
        "Deletes a key if its string equals a value.",
        "key value",
    ),
    spec("delex", -2, flag::WRITE | flag::FAST, compare::delex).keys(DELEX_KEY).doc(
        "string",
        "8.4.0",
        "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
        "Deletes a key, perhaps depending on its string or the digest of that.",
        "key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]",
    ),
    spec("digest", 2, flag::READONLY | flag::FAST, compare::digest).keys(READ_KEY).doc(
        "string",
        "8.4.0",
        "O(N) where N is the length of the string value.",
        "Returns the XXH3 digest of a key's string in hexadecimal.",
        "key",
    ),
];
