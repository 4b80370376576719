//! The family's table.

use super::{add, claim, edit, group, info, pending, range, read, read_group, references};
use crate::command::help::help;
use crate::command::spec::*;

const READ: u64 = flag::READONLY;
const WRITE: u64 = flag::WRITE;
const FAST_WRITE: u64 = flag::WRITE | flag::FAST;
const ADD: u64 = flag::WRITE | flag::DENYOOM | flag::FAST;
const MAKE: u64 = flag::WRITE | flag::DENYOOM;

const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const SUB_READ_KEY: &[KeySpec] = &[keys_at(2, 0, 1, &["RO", "access"])];
const SUB_INSERT_KEY: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "insert"])];
const SUB_UPDATE_KEY: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "update"])];
const SUB_DELETE_KEY: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "delete"])];

const fn streams_from(from: i32) -> KeySpec {
    let find = Find::Range { last: -1, step: 1, limit: 2 };
    let begin = Begin::Option(
        "STREAMS",
        from,
        &[("COUNT", 1), ("BLOCK", 1), ("GROUP", 2), ("CLAIM", 1), ("NOACK", 0)],
    );
    KeySpec { begin, find, flags: &["RO", "access"] }
}

const READ_STREAMS: &[KeySpec] = &[streams_from(1)];
const GROUP_STREAMS: &[KeySpec] = &[streams_from(4)];

const fn stream(
    command: Spec,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> Spec {
    command.doc("stream", since, complexity, summary, syntax)
}

const HELP: Spec = stream(
    spec("help", 2, flag::LOADING | flag::STALE, help),
    "5.0.0",
    "O(1)",
    "Describes the subcommands.",
    "",
);

static GROUP: &[Spec] = &[
    stream(
        spec("create", -5, MAKE, group::create).keys(SUB_INSERT_KEY),
        "5.0.0",
        "O(1)",
        "Makes a consumer group that has read up to an entry.",
        "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
    ),
    stream(
        spec("createconsumer", 5, MAKE, group::create_consumer).keys(SUB_INSERT_KEY),
        "6.2.0",
        "O(1)",
        "Makes a consumer in a group.",
        "key group consumer",
    ),
    stream(
        spec("delconsumer", 5, WRITE, group::delete_consumer).keys(SUB_DELETE_KEY),
        "5.0.0",
        "O(N) where N is the number of the consumer's pending entries.",
        "Removes a consumer from a group with all that is pending for it, and returns how much that was.",
        "key group consumer",
    ),
    stream(
        spec("destroy", 4, WRITE, group::destroy).keys(SUB_DELETE_KEY),
        "5.0.0",
        "O(N) where N is the number of the group's pending entries.",
        "Removes a consumer group.",
        "key group",
    ),
    HELP,
    stream(
        spec("setid", -5, WRITE, group::setid).keys(SUB_UPDATE_KEY),
        "5.0.0",
        "O(1)",
        "Sets the entry up to which a group has read.",
        "key group <id | $> [ENTRIESREAD entriesread]",
    ),
];

static INFO: &[Spec] = &[
    stream(
        spec("consumers", 4, READ, info::consumers).keys(SUB_READ_KEY),
        "5.0.0",
        "O(N) where N is the number of consumers.",
        "Returns what is known of a group's consumers.",
        "key group",
    )
    .tips(ANY_OUTPUT),
    stream(
        spec("groups", 3, READ, info::groups).keys(SUB_READ_KEY),
        "5.0.0",
        "O(N) where N is the number of groups.",
        "Returns what is known of a stream's consumer groups.",
        "key",
    ),
    HELP,
    stream(
        spec("stream", -3, READ, info::stream).keys(SUB_READ_KEY),
        "5.0.0",
        "O(N) where N is the number of entries, groups, consumers and pending entries shown.",
        "Returns what is known of a stream, with FULL also its groups.",
        "key [FULL [COUNT count]]",
    ),
];

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    stream(
        spec("xack", -4, FAST_WRITE, group::xack).keys(UPDATE_KEY),
        "5.0.0",
        "O(1) for each entry.",
        "Removes entries from those that are pending in a group, and returns how many were.",
        "key group id [id ...]",
    ),
    stream(
        spec("xackdel", -6, FAST_WRITE, references::xackdel)
            .keys(&[keys_at(1, 0, 1, &["RW", "update", "delete"])]),
        "8.2.0",
        "O(1) for each entry.",
        "Acknowledges entries for a group and deletes them, perhaps only those that no group needs any longer.",
        "key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
    ),
    stream(
        spec("xadd", -5, ADD, add::xadd).keys(UPDATE_KEY),
        "5.0.0",
        "O(1) for the entry, O(N) where N is the number of entries that are trimmed.",
        "Adds an entry to a stream, which is made if it does not exist, and returns the entry's identifier.",
        "key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
    )
    .tips(ANY_OUTPUT),
    stream(
        spec("xautoclaim", -6, FAST_WRITE, claim::xautoclaim)
            .keys(&[keys_at(1, 0, 1, &["RW", "access", "delete"])]),
        "6.2.0",
        "O(1) if COUNT is small.",
        "Gives pending entries that nobody has worked on for some time to a consumer, and returns them.",
        "key group consumer min-idle-time start [COUNT count] [JUSTID]",
    )
    .tips(ANY_OUTPUT),
    stream(
        spec("xclaim", -6, FAST_WRITE, claim::xclaim).keys(UPDATE_KEY),
        "5.0.0",
        "O(log N) for each entry, where N is the number of the group's pending entries.",
        "Gives pending entries to a consumer, and returns them.",
        "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] \
         [FORCE] [JUSTID] [LASTID lastid]",
    )
    .tips(ANY_OUTPUT),
    stream(
        spec("xdel", -3, FAST_WRITE, edit::xdel).keys(DELETE_KEY),
        "5.0.0",
        "O(1) for each entry.",
        "Deletes entries, and returns how many were there.",
        "key id [id ...]",
    ),
    stream(
        spec("xdelex", -5, FAST_WRITE, references::xdelex).keys(DELETE_KEY),
        "8.2.0",
        "O(1) for each entry.",
        "Deletes entries, perhaps only those that no group needs any longer, and says of each what became of it.",
        "key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
    ),
    stream(
        spec("xgroup", -2, 0, help),
        "5.0.0",
        "Depends on subcommand.",
        "A container for commands about consumer groups.",
        "",
    )
    .subs(GROUP),
    stream(
        spec("xinfo", -2, 0, help),
        "5.0.0",
        "Depends on subcommand.",
        "A container for commands that describe a stream.",
        "",
    )
    .subs(INFO),
    stream(
        spec("xlen", 2, READ | flag::FAST, range::xlen).keys(META_KEY),
        "5.0.0",
        "O(1)",
        "Returns the number of entries.",
        "key",
    ),
    stream(
        spec("xpending", -3, READ, pending::xpending).keys(READ_KEY),
        "5.0.0",
        "O(N) where N is the number of entries shown, or of consumers.",
        "Returns what is pending in a group: a summary, or entry by entry.",
        "key group [[IDLE min-idle-time] start end count [consumer]]",
    )
    .tips(ANY_OUTPUT),
    stream(
        spec("xrange", -4, READ, range::xrange).keys(READ_KEY),
        "5.0.0",
        "O(N) where N is the number of entries returned.",
        "Returns the entries between two identifiers.",
        "key start end [COUNT count]",
    ),
    stream(
        spec("xread", -4, READ | flag::BLOCKING | flag::MOVABLE_KEYS, read::xread).keys(READ_STREAMS),
        "5.0.0",
        "O(N) where N is the number of entries returned.",
        "Returns the entries behind an identifier in each of several streams, and waits for some if there are none.",
        "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    ),
    stream(
        spec("xreadgroup", -7, WRITE | flag::BLOCKING | flag::MOVABLE_KEYS, read_group::xreadgroup)
            .keys(GROUP_STREAMS),
        "5.0.0",
        "O(N) where N is the number of entries returned.",
        "Returns entries that no consumer of a group has got yet, and waits for some if there are none; or those that are \
         pending for this consumer.",
        "GROUP group consumer [COUNT count] [BLOCK milliseconds] [CLAIM min-idle-time] [NOACK] STREAMS key [key ...] id [id ...]",
    ),
    stream(
        spec("xrevrange", -4, READ, range::xrevrange).keys(READ_KEY),
        "5.0.0",
        "O(N) where N is the number of entries returned.",
        "Returns the entries between two identifiers, the last one first.",
        "key end start [COUNT count]",
    ),
    stream(
        spec("xsetid", -3, ADD, edit::xsetid).keys(UPDATE_KEY),
        "5.0.0",
        "O(1)",
        "Sets the largest identifier that a stream has given, and its other marks.",
        "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    ),
    stream(
        spec("xtrim", -4, WRITE, add::xtrim).keys(DELETE_KEY),
        "5.0.0",
        "O(N) where N is the number of entries that are trimmed.",
        "Removes the oldest entries, and returns how many they were.",
        "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]",
    )
    .tips(ANY_OUTPUT),
];
