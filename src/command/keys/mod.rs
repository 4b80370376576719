//! Keys of any type: existence and removal (`basic`), walks (`walk`), deadlines (`expire`), copies and moves (`copy`),
//! OBJECT (`object`), DUMP and RESTORE (`dump`), and what the commands that write do to views of items (`view`).

mod basic;
mod copy;
mod dump;
mod expire;
mod object;
#[cfg(test)]
mod tests;
mod view;
mod walk;

pub use dump::serialised;
pub use object::encoding_of;

use super::spec::*;
use expire::Time;

const READ: u64 = flag::READONLY;
const FAST_READ: u64 = flag::READONLY | flag::FAST;
const WRITE: u64 = flag::WRITE;
const FAST_WRITE: u64 = flag::WRITE | flag::FAST;

const CONDITION: &str = "key seconds [NX | XX | GT | LT]";
const RENAME_KEYS: &[KeySpec] = &from_to(&["RW", "access", "delete"], &["OW", "update"]);
const RENAMENX_KEYS: &[KeySpec] = &from_to(&["RW", "access", "delete"], &["OW", "insert"]);
const COPY_KEYS: &[KeySpec] = &from_to(&["RO", "access"], &["OW", "update"]);
const OBJECT_KEY: &[KeySpec] = &[keys_at(2, 0, 1, &["RO"])];

/// The key specifications of a command that takes a value from its first key and puts it at its second.
const fn from_to(from: &'static [&'static str], to: &'static [&'static str]) -> [KeySpec; 2] {
    [keys_at(1, 0, 1, from), keys_at(2, 0, 1, to)]
}

in_group!(key, "generic");

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    key(
        spec("del", -2, WRITE, basic::del).keys(REMOVE_KEYS).on_view(view::del),
        "1.0.0",
        "O(N) where N is the number of keys; for a large value also O(M) for its elements.",
        "Deletes keys.",
        "key [key ...]",
    )
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    key(
        spec("unlink", -2, FAST_WRITE, basic::del).keys(REMOVE_KEYS).on_view(view::del),
        "4.0.0",
        "O(1) for each key; the memory of large values is given back in the background.",
        "Deletes keys.",
        "key [key ...]",
    )
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    key(
        spec("exists", -2, FAST_READ, basic::exists).keys(META_KEYS),
        "1.0.0",
        "O(N) where N is the number of keys.",
        "Counts the keys that exist; a key named twice counts twice.",
        "key [key ...]",
    )
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    key(
        spec("touch", -2, FAST_READ, basic::touch).keys(META_KEYS),
        "3.2.1",
        "O(N) where N is the number of keys.",
        "Counts the keys that exist and notes an access to each.",
        "key [key ...]",
    )
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    key(
        spec("type", 2, FAST_READ, basic::type_command).keys(META_KEY),
        "1.0.0",
        "O(1)",
        "Tells the type of a key's value.",
        "key",
    ),
    key(
        spec("expire", -3, FAST_WRITE, |cx, args| expire::set(cx, args, Time::EXPIRE))
            .keys(UPDATE_KEY)
            .on_view(|cx, args| view::set_deadline(cx, args, Time::EXPIRE)),
        "1.0.0",
        "O(1)",
        "Sets a key's deadline in seconds from now.",
        CONDITION,
    ),
    key(
        spec("pexpire", -3, FAST_WRITE, |cx, args| expire::set(cx, args, Time::PEXPIRE))
            .keys(UPDATE_KEY)
            .on_view(|cx, args| view::set_deadline(cx, args, Time::PEXPIRE)),
        "2.6.0",
        "O(1)",
        "Sets a key's deadline in milliseconds from now.",
        "key milliseconds [NX | XX | GT | LT]",
    ),
    key(
        spec("expireat", -3, FAST_WRITE, |cx, args| expire::set(cx, args, Time::EXPIREAT))
            .keys(UPDATE_KEY)
            .on_view(|cx, args| view::set_deadline(cx, args, Time::EXPIREAT)),
        "1.2.0",
        "O(1)",
        "Sets a key's deadline to a Unix time in seconds.",
        "key unix-time-seconds [NX | XX | GT | LT]",
    ),
    key(
        spec("pexpireat", -3, FAST_WRITE, |cx, args| expire::set(cx, args, Time::PEXPIREAT))
            .keys(UPDATE_KEY)
            .on_view(|cx, args| view::set_deadline(cx, args, Time::PEXPIREAT)),
        "2.6.0",
        "O(1)",
        "Sets a key's deadline to a Unix time in milliseconds.",
        "key unix-time-milliseconds [NX | XX | GT | LT]",
    ),
    key(
        spec("persist", 2, FAST_WRITE, expire::persist).keys(UPDATE_KEY).on_view(view::persist),
        "2.2.0",
        "O(1)",
        "Removes a key's deadline.",
        "key",
    ),
    key(
        spec("ttl", 2, FAST_READ, expire::ttl).keys(READ_KEY),
        "1.0.0",
        "O(1)",
        "Tells the seconds until a key expires.",
        "key",
    )
    .tips(&["nondeterministic_output"]),
    key(
        spec("pttl", 2, FAST_READ, expire::pttl).keys(READ_KEY),
        "2.6.0",
        "O(1)",
        "Tells the milliseconds until a key expires.",
        "key",
    )
    .tips(&["nondeterministic_output"]),
    key(
        spec("expiretime", 2, FAST_READ, expire::expiretime).keys(READ_KEY),
        "7.0.0",
        "O(1)",
        "Tells the Unix time in seconds at which a key expires.",
        "key",
    ),
    key(
        spec("pexpiretime", 2, FAST_READ, expire::pexpiretime).keys(READ_KEY),
        "7.0.0",
        "O(1)",
        "Tells the Unix time in milliseconds at which a key expires.",
        "key",
    ),
    key(
        spec("rename", 3, WRITE, copy::rename).keys(RENAME_KEYS).on_view(view::rename),
        "1.0.0",
        "O(1), and O(N) to free the value it replaces where N is its size.",
        "Renames a key, replacing the new name's value.",
        "key newkey",
    ),
    key(
        spec("renamenx", 3, FAST_WRITE, copy::renamenx).keys(RENAMENX_KEYS).on_view(view::renamenx),
        "1.0.0",
        "O(1)",
        "Renames a key unless the new name is taken.",
        "key newkey",
    ),
    key(
        spec("copy", -3, flag::WRITE | flag::DENYOOM | flag::COUNTED | flag::SIZED, copy::copy)
            .keys(COPY_KEYS)
            .on_view(view::copy),
        "6.2.0",
        "O(N) where N is the size of the value.",
        "Copies a key's value and deadline to another key.",
        "source destination [DB destination-db] [REPLACE]",
    ),
    key(
        spec("move", 3, FAST_WRITE, copy::move_key).keys(ACCESS_DELETE_KEY).on_view(view::move_key),
        "1.0.0",
        "O(1)",
        "Moves a key to another database.",
        "key db",
    ),
    key(
        spec("randomkey", 1, READ | flag::WHOLE | flag::DESPITE_CLOSED, walk::randomkey),
        "1.0.0",
        "O(1)",
        "Names a random key.",
        "",
    )
    .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"]),
    key(
        spec("keys", 2, READ | flag::WHOLE | flag::LONG | flag::DANGEROUS | flag::DESPITE_CLOSED, walk::keys),
        "1.0.0",
        "O(N) where N is the number of keys in the store.",
        "Names all keys that match a pattern.",
        "pattern",
    )
    .categories(&["dangerous"])
    .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    key(
        spec("scan", -2, READ | flag::WHOLE | flag::DESPITE_CLOSED, walk::scan),
        "2.8.0",
        "O(1) for every call, O(N) for a whole walk over N keys.",
        "Walks over the keys of the database.",
        "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    )
    .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"]),
    key(
        spec("dump", 2, READ | flag::SIZED, dump::dump).keys(READ_KEY),
        "2.6.0",
        "O(N) where N is the size of the value.",
        "Serialises a key's value in Redis's format.",
        "key",
    )
    .tips(&["nondeterministic_output"]),
    key(
        spec("restore", -4, flag::WRITE | flag::DENYOOM | flag::HEAVY | flag::COMPRESSED, dump::restore)
            .keys(OVERWRITE_KEY)
            .prepare(dump::AHEAD)
            .on_view(view::restore),
        "2.6.0",
        "O(N) where N is the size of the value.",
        "Makes a key from what DUMP gave.",
        "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    )
    .categories(&["dangerous"]),
    key(
        spec("object", -2, 0, container),
        "2.2.3",
        "Depends on subcommand.",
        "Looks into how a key's value is kept.",
        "",
    )
    .subs(OBJECT),
];

/// A container's own handler is never reached: a call without a subcommand fails by its arity.
fn container(_cx: &mut super::Cx<'_, '_>, args: &[&[u8]]) -> super::Outcome {
    Err(super::Fail::unknown_sub("object", args.get(1).copied().unwrap_or_default()))
}

static OBJECT: &[Spec] = &[
    key(
        spec("encoding", 3, READ, object::encoding).keys(OBJECT_KEY),
        "2.2.3",
        "O(1)",
        "Names the form in which the value is kept.",
        "key",
    )
    .tips(&["nondeterministic_output"]),
    key(
        spec("freq", 3, READ, object::freq).keys(OBJECT_KEY),
        "4.0.0",
        "O(1)",
        "Tells the value's frequency counter.",
        "key",
    )
    .tips(&["nondeterministic_output"]),
    key(
        spec("idletime", 3, READ, object::idletime).keys(OBJECT_KEY),
        "2.2.3",
        "O(1)",
        "Tells the seconds since the value was last used.",
        "key",
    )
    .tips(&["nondeterministic_output"]),
    key(
        spec("refcount", 3, READ, object::refcount).keys(OBJECT_KEY),
        "2.2.3",
        "O(1)",
        "Tells how many share the value.",
        "key",
    )
    .tips(&["nondeterministic_output"]),
    key(
        spec("help", 2, flag::LOADING | flag::STALE, crate::command::help::help),
        "6.2.0",
        "O(1)",
        "Describes the subcommands.",
        "",
    ),
];
