//! The family's table.

use super::{expire, expiring, number, random, read, scan, view, write};
use crate::command::spec::*;

const READ: u64 = flag::READONLY;
const FAST_READ: u64 = flag::READONLY | flag::FAST;
const SHRINK: u64 = flag::WRITE | flag::FAST;
const WRITE: u64 = flag::WRITE | flag::DENYOOM | flag::FAST;

const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const EACH_FIELD: &str = "O(N) where N is the number of fields given.";
const WHOLE_HASH: &str = "O(N) where N is the size of the hash.";
const SECONDS: &str = "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]";
const MILLIS: &str = "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]";
const UNIX_SECONDS: &str = "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]";
const UNIX_MILLIS: &str = "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]";
const FIELDS: &str = "key FIELDS numfields field [field ...]";

in_group!(hash, "hash");

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    hash(
        spec("hset", -4, WRITE, write::hset).keys(UPDATE_KEY).element(2).on_view(view::hset),
        "2.0.0",
        "O(1) for each field.",
        "Sets fields of a hash, which is made if it does not exist, and returns how many are new.",
        "key field value [field value ...]",
    ),
    hash(
        spec("hmset", -4, WRITE, write::hmset).keys(UPDATE_KEY).element(2).on_view(view::hmset),
        "2.0.0",
        "O(1) for each field.",
        "Sets fields of a hash.",
        "key field value [field value ...]",
    ),
    hash(
        spec("hsetnx", 4, WRITE, write::hsetnx).keys(INSERT_KEY).element(2).on_view(view::hsetnx),
        "2.0.0",
        "O(1)",
        "Sets a field of a hash if the field does not exist.",
        "key field value",
    ),
    hash(
        spec("hget", 3, FAST_READ, read::hget).keys(READ_KEY).element(2),
        "2.0.0",
        "O(1)",
        "Returns the value of a field.",
        "key field",
    ),
    hash(
        spec("hmget", -3, FAST_READ, read::hmget).keys(READ_KEY).element(2),
        "2.0.0",
        EACH_FIELD,
        "Returns the values of fields, nil for those that do not exist.",
        "key field [field ...]",
    ),
    hash(
        spec("hgetall", 2, READ, read::hgetall).keys(READ_KEY).tips(ANY_ORDER),
        "2.0.0",
        WHOLE_HASH,
        "Returns all fields of a hash with their values.",
        "key",
    ),
    hash(
        spec("hkeys", 2, READ, read::hkeys).keys(READ_KEY).tips(ANY_ORDER),
        "2.0.0",
        WHOLE_HASH,
        "Returns the names of all fields of a hash.",
        "key",
    ),
    hash(
        spec("hvals", 2, READ, read::hvals).keys(READ_KEY).tips(ANY_ORDER),
        "2.0.0",
        WHOLE_HASH,
        "Returns the values of all fields of a hash.",
        "key",
    ),
    hash(
        spec("hlen", 2, FAST_READ, read::hlen).keys(META_KEY),
        "2.0.0",
        "O(1)",
        "Returns the number of fields of a hash.",
        "key",
    ),
    hash(
        spec("hstrlen", 3, FAST_READ, read::hstrlen).keys(META_KEY).element(2),
        "3.2.0",
        "O(1)",
        "Returns the length of the value of a field.",
        "key field",
    ),
    hash(
        spec("hexists", 3, FAST_READ, read::hexists).keys(META_KEY).element(2),
        "2.0.0",
        "O(1)",
        "Tells whether a field exists.",
        "key field",
    ),
    hash(
        spec("hdel", -3, SHRINK, write::hdel).keys(DELETE_KEY).element(2).on_view(view::hdel),
        "2.0.0",
        EACH_FIELD,
        "Removes fields, and the hash with its last one; returns how many there were.",
        "key field [field ...]",
    ),
    hash(
        spec("hincrby", 4, WRITE, number::hincrby).keys(ACCESS_UPDATE_KEY).element(2).on_view(view::hincrby),
        "2.0.0",
        "O(1)",
        "Adds an integer to a field, which counts as 0 if it does not exist.",
        "key field increment",
    ),
    hash(
        spec("hincrbyfloat", 4, WRITE, number::hincrbyfloat)
            .keys(ACCESS_UPDATE_KEY)
            .element(2)
            .on_view(view::hincrbyfloat),
        "2.6.0",
        "O(1)",
        "Adds a number to a field, which counts as 0 if it does not exist.",
        "key field increment",
    ),
    hash(
        spec("hrandfield", -2, READ, random::hrandfield).keys(READ_KEY).tips(ANY_OUTPUT),
        "6.2.0",
        "O(N) where N is the number of fields returned, and at most of all fields of the hash.",
        "Returns random fields: different ones, or with a negative count each drawn anew.",
        "key [count [WITHVALUES]]",
    ),
    hash(
        spec("hscan", -3, READ, scan::hscan).keys(READ_KEY).tips(ANY_OUTPUT),
        "2.8.0",
        "O(1) for each call, O(N) for a whole walk, where N is the size of the hash.",
        "Walks over the fields of a hash, some at each call.",
        "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    ),
    hash(
        spec("hexpire", -6, WRITE, expire::hexpire).keys(UPDATE_KEY).on_view(view::no_deadlines),
        "7.4.0",
        EACH_FIELD,
        "Sets how many seconds fields have to live.",
        SECONDS,
    ),
    hash(
        spec("hpexpire", -6, WRITE, expire::hpexpire).keys(UPDATE_KEY).on_view(view::no_deadlines),
        "7.4.0",
        EACH_FIELD,
        "Sets how many milliseconds fields have to live.",
        MILLIS,
    ),
    hash(
        spec("hexpireat", -6, WRITE, expire::hexpireat).keys(UPDATE_KEY).on_view(view::no_deadlines),
        "7.4.0",
        EACH_FIELD,
        "Sets the second at which fields expire.",
        UNIX_SECONDS,
    ),
    hash(
        spec("hpexpireat", -6, WRITE, expire::hpexpireat).keys(UPDATE_KEY).on_view(view::no_deadlines),
        "7.4.0",
        EACH_FIELD,
        "Sets the millisecond at which fields expire.",
        UNIX_MILLIS,
    ),
    hash(
        spec("httl", -5, FAST_READ, expire::httl).keys(READ_KEY).tips(ANY_OUTPUT),
        "7.4.0",
        EACH_FIELD,
        "Returns how many seconds fields have left.",
        FIELDS,
    ),
    hash(
        spec("hpttl", -5, FAST_READ, expire::hpttl).keys(READ_KEY).tips(ANY_OUTPUT),
        "7.4.0",
        EACH_FIELD,
        "Returns how many milliseconds fields have left.",
        FIELDS,
    ),
    hash(
        spec("hexpiretime", -5, FAST_READ, expire::hexpiretime).keys(READ_KEY),
        "7.4.0",
        EACH_FIELD,
        "Returns the second at which fields expire.",
        FIELDS,
    ),
    hash(
        spec("hpexpiretime", -5, FAST_READ, expire::hpexpiretime).keys(READ_KEY),
        "7.4.0",
        EACH_FIELD,
        "Returns the millisecond at which fields expire.",
        FIELDS,
    ),
    hash(
        spec("hpersist", -5, SHRINK, expire::hpersist).keys(UPDATE_KEY).on_view(view::hpersist),
        "7.4.0",
        EACH_FIELD,
        "Takes the deadline from fields.",
        FIELDS,
    ),
    hash(
        spec("hgetdel", -5, SHRINK, expiring::hgetdel).keys(ACCESS_DELETE_KEY).on_view(view::hgetdel),
        "8.0.0",
        EACH_FIELD,
        "Returns the values of fields and removes them.",
        FIELDS,
    ),
    hash(
        spec("hgetex", -5, SHRINK, expiring::hgetex).keys(ACCESS_UPDATE_KEY).on_view(view::hgetex),
        "8.0.0",
        EACH_FIELD,
        "Returns the values of fields and sets or takes their deadline.",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] \
         FIELDS numfields field [field ...]",
    ),
    hash(
        spec("hsetex", -6, WRITE, expiring::hsetex).keys(UPDATE_KEY).on_view(view::hsetex),
        "8.0.0",
        EACH_FIELD,
        "Sets fields together with their deadline, perhaps on a condition.",
        "key [NX | XX] [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
         PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]",
    ),
];
