//! The family's table.

use super::{add, block, combine, pop, random, range, read, remove, scan};
use crate::command::spec::*;

const READ: u64 = flag::READONLY;
const FAST_READ: u64 = flag::READONLY | flag::FAST;
const SHRINK: u64 = flag::WRITE;
const FAST_SHRINK: u64 = flag::WRITE | flag::FAST;
const STORE: u64 = flag::WRITE | flag::DENYOOM;
const FAST_WRITE: u64 = flag::WRITE | flag::DENYOOM | flag::FAST;

const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const LOG: &str = "O(log N) where N is the number of members.";
const LOG_AND_SHOWN: &str = "O(log N + M) where N is the number of members and M of those that are returned.";
const LOG_AND_GONE: &str = "O(log N + M) where N is the number of members and M of those that are removed.";
const COMBINED: &str =
    "O(N + M log M) where N is the number of members of all sources and M of those of the result.";
const INTERSECTED: &str = "O(N K + M log M) where N is the number of members of the smallest source, K of sources and M of members of the \
     result.";

const fn numbered(begin: usize, flags: &'static [&'static str]) -> KeySpec {
    KeySpec { begin: Begin::Index(begin), find: Find::Number { at: 0, first: 1, step: 1 }, flags }
}
const SOURCES: &[KeySpec] = &[numbered(1, &["RO", "access"])];
const TARGET_AND_SOURCES: &[KeySpec] = &[keys_at(1, 0, 1, &["OW", "update"]), numbered(2, &["RO", "access"])];
const TARGET_AND_SOURCE: &[KeySpec] =
    &[keys_at(1, 0, 1, &["OW", "update"]), keys_at(2, 0, 1, &["RO", "access"])];
const WAITED: &[KeySpec] = &[keys_at(1, -2, 1, &["RW", "access", "delete"])];
const POPPED_BEHIND: &[KeySpec] = &[numbered(2, &["RW", "access", "delete"])];
const POPPED: &[KeySpec] = &[numbered(1, &["RW", "access", "delete"])];

in_group!(zset, "sorted-set");

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    zset(
        spec("zadd", -4, FAST_WRITE, add::zadd).keys(UPDATE_KEY).element(-1),
        "1.2.0",
        "O(log N) for each member, where N is the number of members.",
        "Gives members of a sorted set scores, perhaps on a condition, and returns how many are new.",
        "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
    ),
    zset(
        spec("zincrby", 4, FAST_WRITE, add::zincrby).keys(ACCESS_UPDATE_KEY).element(3),
        "1.2.0",
        LOG,
        "Adds a number to a member's score, which counts as 0 if there is no such member.",
        "key increment member",
    ),
    zset(
        spec("zrem", -3, FAST_SHRINK, remove::zrem).keys(DELETE_KEY).element(2),
        "1.2.0",
        "O(M log N) where N is the number of members and M of those given.",
        "Removes members, and the sorted set with its last one; returns how many there were.",
        "key member [member ...]",
    ),
    zset(
        spec("zremrangebyrank", 4, SHRINK, remove::zremrangebyrank).keys(DELETE_KEY),
        "2.0.0",
        LOG_AND_GONE,
        "Removes the members of a range of ranks; returns how many there were.",
        "key start stop",
    ),
    zset(
        spec("zremrangebyscore", 4, SHRINK, remove::zremrangebyscore).keys(DELETE_KEY),
        "1.2.0",
        LOG_AND_GONE,
        "Removes the members of a range of scores; returns how many there were.",
        "key min max",
    ),
    zset(
        spec("zremrangebylex", 4, SHRINK, remove::zremrangebylex).keys(DELETE_KEY),
        "2.8.9",
        LOG_AND_GONE,
        "Removes a range of members that have one score; returns how many there were.",
        "key min max",
    ),
    zset(
        spec(
            "zunionstore",
            -4,
            STORE | flag::COUNTED | flag::MOVABLE_KEYS | flag::SIZED,
            combine::zunionstore,
        )
        .keys(TARGET_AND_SOURCES),
        "2.0.0",
        COMBINED,
        "Stores the members of any of some sorted sets under a key; returns how many there are.",
        "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>]",
    ),
    zset(
        spec("zinterstore", -4, STORE | flag::COUNTED | flag::MOVABLE_KEYS, combine::zinterstore)
            .keys(TARGET_AND_SOURCES),
        "2.0.0",
        INTERSECTED,
        "Stores the members that some sorted sets have in common under a key; returns how many there are.",
        "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>]",
    ),
    zset(
        spec("zdiffstore", -4, STORE | flag::COUNTED | flag::MOVABLE_KEYS, combine::zdiffstore)
            .keys(TARGET_AND_SOURCES),
        "6.2.0",
        INTERSECTED,
        "Stores the members of a sorted set that others do not have under a key; returns how many there are.",
        "destination numkeys key [key ...]",
    ),
    zset(
        spec("zunion", -3, READ | flag::MOVABLE_KEYS | flag::SIZED, combine::zunion).keys(SOURCES),
        "6.2.0",
        COMBINED,
        "Returns the members of any of some sorted sets.",
        "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>] [WITHSCORES]",
    ),
    zset(
        spec("zinter", -3, READ | flag::MOVABLE_KEYS, combine::zinter).keys(SOURCES),
        "6.2.0",
        INTERSECTED,
        "Returns the members that some sorted sets have in common.",
        "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>] [WITHSCORES]",
    ),
    zset(
        spec("zintercard", -3, READ | flag::MOVABLE_KEYS, combine::zintercard).keys(SOURCES),
        "7.0.0",
        "O(N K) where N is the number of members of the smallest source and K of sources.",
        "Returns how many members some sorted sets have in common, up to a limit.",
        "numkeys key [key ...] [LIMIT limit]",
    ),
    zset(
        spec("zdiff", -3, READ | flag::MOVABLE_KEYS, combine::zdiff).keys(SOURCES),
        "6.2.0",
        INTERSECTED,
        "Returns the members of a sorted set that others do not have.",
        "numkeys key [key ...] [WITHSCORES]",
    ),
    zset(
        spec("zrange", -4, READ, range::zrange).keys(READ_KEY),
        "1.2.0",
        LOG_AND_SHOWN,
        "Returns a range of members by rank, score or member.",
        "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    ),
    zset(
        spec("zrangestore", -5, STORE | flag::COUNTED, range::zrangestore).keys(TARGET_AND_SOURCE),
        "6.2.0",
        "O(log N + M) where N is the number of members and M of those that are stored.",
        "Stores a range of members by rank, score or member under another key; returns how many there are.",
        "destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
    ),
    zset(
        spec("zrangebyscore", -4, READ, range::zrangebyscore).keys(READ_KEY),
        "1.0.5",
        LOG_AND_SHOWN,
        "Returns the members of a range of scores.",
        "key min max [WITHSCORES] [LIMIT offset count]",
    ),
    zset(
        spec("zrevrangebyscore", -4, READ, range::zrevrangebyscore).keys(READ_KEY),
        "2.2.0",
        LOG_AND_SHOWN,
        "Returns the members of a range of scores, from the highest to the lowest.",
        "key max min [WITHSCORES] [LIMIT offset count]",
    ),
    zset(
        spec("zrangebylex", -4, READ, range::zrangebylex).keys(READ_KEY),
        "2.8.9",
        LOG_AND_SHOWN,
        "Returns a range of members that have one score.",
        "key min max [LIMIT offset count]",
    ),
    zset(
        spec("zrevrangebylex", -4, READ, range::zrevrangebylex).keys(READ_KEY),
        "2.8.9",
        LOG_AND_SHOWN,
        "Returns a range of members that have one score, from the last to the first.",
        "key max min [LIMIT offset count]",
    ),
    zset(
        spec("zcount", 4, FAST_READ, read::zcount).keys(READ_KEY),
        "2.0.0",
        LOG,
        "Returns how many members have scores in a range.",
        "key min max",
    ),
    zset(
        spec("zlexcount", 4, FAST_READ, read::zlexcount).keys(READ_KEY),
        "2.8.9",
        LOG,
        "Returns how many members are in a range of those that have one score.",
        "key min max",
    ),
    zset(
        spec("zrevrange", -4, READ, range::zrevrange).keys(READ_KEY),
        "1.2.0",
        LOG_AND_SHOWN,
        "Returns the members of a range of ranks, from the highest score to the lowest.",
        "key start stop [WITHSCORES]",
    ),
    zset(
        spec("zcard", 2, FAST_READ, read::zcard).keys(META_KEY),
        "1.2.0",
        "O(1)",
        "Returns the number of members.",
        "key",
    ),
    zset(
        spec("zscore", 3, FAST_READ, read::zscore).keys(READ_KEY).element(2),
        "1.2.0",
        "O(1)",
        "Returns the score of a member.",
        "key member",
    ),
    zset(
        spec("zmscore", -3, FAST_READ, read::zmscore).keys(READ_KEY).element(2),
        "6.2.0",
        "O(N) where N is the number of members given.",
        "Returns the scores of members, nil for those that do not exist.",
        "key member [member ...]",
    ),
    zset(
        spec("zrank", -3, FAST_READ, read::zrank).keys(READ_KEY).element(2),
        "2.0.0",
        LOG,
        "Returns the rank of a member, counted from the lowest score.",
        "key member [WITHSCORE]",
    ),
    zset(
        spec("zrevrank", -3, FAST_READ, read::zrevrank).keys(READ_KEY).element(2),
        "2.0.0",
        LOG,
        "Returns the rank of a member, counted from the highest score.",
        "key member [WITHSCORE]",
    ),
    zset(
        spec("zscan", -3, READ, scan::zscan).keys(READ_KEY).tips(ANY_OUTPUT),
        "2.8.0",
        "O(1) for each call, O(N) for a whole walk, where N is the number of members.",
        "Walks over the members of a sorted set, some at each call.",
        "key cursor [MATCH pattern] [COUNT count]",
    ),
    zset(
        spec("zpopmin", -2, FAST_SHRINK, pop::zpopmin).keys(ACCESS_DELETE_KEY),
        "5.0.0",
        LOG_AND_GONE,
        "Removes and returns the members with the lowest scores.",
        "key [count]",
    ),
    zset(
        spec("zpopmax", -2, FAST_SHRINK, pop::zpopmax).keys(ACCESS_DELETE_KEY),
        "5.0.0",
        LOG_AND_GONE,
        "Removes and returns the members with the highest scores.",
        "key [count]",
    ),
    zset(
        spec("zmpop", -4, SHRINK | flag::MOVABLE_KEYS, pop::zmpop).keys(POPPED),
        "7.0.0",
        "O(K + log N + M) where K is the number of keys, N of members and M of those that are removed.",
        "Removes and returns members with the lowest or highest scores of the first of some sorted sets that exists.",
        "numkeys key [key ...] <MIN | MAX> [COUNT count]",
    ),
    zset(
        spec("bzpopmin", -3, FAST_SHRINK | flag::BLOCKING, block::bzpopmin).keys(WAITED),
        "5.0.0",
        LOG,
        "Removes and returns the member with the lowest score of the first of some sorted sets that has any; waits \
         for one.",
        "key [key ...] timeout",
    ),
    zset(
        spec("bzpopmax", -3, FAST_SHRINK | flag::BLOCKING, block::bzpopmax).keys(WAITED),
        "5.0.0",
        LOG,
        "Removes and returns the member with the highest score of the first of some sorted sets that has any; waits \
         for one.",
        "key [key ...] timeout",
    ),
    zset(
        spec("bzmpop", -5, SHRINK | flag::BLOCKING | flag::MOVABLE_KEYS, block::bzmpop).keys(POPPED_BEHIND),
        "7.0.0",
        "O(K + log N + M) where K is the number of keys, N of members and M of those that are removed.",
        "Removes and returns members with the lowest or highest scores of the first of some sorted sets that has \
         any; waits for one.",
        "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
    ),
    zset(
        spec("zrandmember", -2, READ, random::zrandmember).keys(READ_KEY).tips(ANY_OUTPUT),
        "6.2.0",
        "O(M log N) where N is the number of members and M of those that are returned.",
        "Returns random members: different ones, or with a negative count each drawn anew.",
        "key [count [WITHSCORES]]",
    ),
];
