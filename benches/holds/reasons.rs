//! The holders that may exceed the budget, with the reason, and the commands that are not measured.

/// How long, in microseconds, shards may be held without a reason.
pub(crate) const BUDGET_MICROS: u64 = 2_000;

/// Commands that are not run, and why.
pub(crate) const NOT_CALLED: &[(&str, &str)] = &[
    ("client|reply", "its reply may not come"),
    ("monitor", "the connection gets what others do from there on"),
    ("quit", "it ends the connection"),
    ("shutdown", "it ends the server; nobody is served beside it"),
];

/// Holders that may hold shards longer, and why.
pub(crate) const EXCEPTIONS: &[(&[&str], &str)] = &[
    (
        &["get", "getdel", "getex", "getrange", "substr"],
        "The reply has all bytes that were asked for, as of one moment.",
    ),
    (
        &["hgetall", "hkeys", "hvals", "hrandfield", "hscan"],
        "The reply has all fields that were asked for, as of one moment; HSCAN with a small COUNT splits the work.",
    ),
    (
        &["smembers", "srandmember", "sscan"],
        "The reply has all members that were asked for, as of one moment; SSCAN with a small COUNT splits the work.",
    ),
    (
        &[
            "sinter",
            "sunion",
            "sdiff",
            "sinterstore",
            "sunionstore",
            "sdiffstore",
            "sintercard",
            "sunioncard",
            "sdiffcard",
        ],
        "All members of the sets are looked up as of one moment, and what is stored is logged as a whole. LIMIT bounds what is counted.",
    ),
    (&["spop"], "What is drawn in one command goes together."),
    (
        &[
            "hset",
            "hmset",
            "hsetex",
            "hdel",
            "hgetdel",
            "hgetex",
            "hexpire",
            "hexpireat",
            "hpexpire",
            "hpexpireat",
            "hpersist",
            "sadd",
            "srem",
        ],
        "A thousand elements named in one command change together. Right after a COPY, until the background has given the copy parts of its own, each part that they are in is copied first, 1,700 elements at a time.",
    ),
    (
        &["lrange", "lpop", "rpop", "lmpop", "blmpop", "lmovem", "blmovem"],
        "The reply has all elements that were asked for, as of one moment.",
    ),
    (
        &["lpos", "linsert", "lrem", "ltrim"],
        "A list is searched from an end of it, as of one moment; LREM of more than a few elements makes it anew. MAXLEN bounds what LPOS looks at.",
    ),
    (
        &["sort", "sort_ro"],
        "All elements are ordered as of one moment, with BY and GET every shard is held; LIMIT splits the work only where their own order stays (BY nosort).",
    ),
    (
        &[
            "zrange",
            "zrevrange",
            "zrangebyscore",
            "zrevrangebyscore",
            "zrangebylex",
            "zrevrangebylex",
            "zrandmember",
            "zscan",
        ],
        "The reply has all members that were asked for, as of one moment; LIMIT, or ZSCAN with a small COUNT, splits the work.",
    ),
    (
        &[
            "zunion",
            "zinter",
            "zdiff",
            "zunionstore",
            "zinterstore",
            "zdiffstore",
            "zintercard",
            "zrangestore",
        ],
        "All members of the sources are gone through as of one moment.",
    ),
    (
        &[
            "geosearch",
            "geosearchstore",
            "georadius",
            "georadius_ro",
            "georadiusbymember",
            "georadiusbymember_ro",
        ],
        "All members in the cells around the shape are looked at as of one moment; COUNT with ANY bounds how many.",
    ),
    (
        &[
            "zadd",
            "zrem",
            "zremrangebyrank",
            "zremrangebyscore",
            "zremrangebylex",
            "zpopmin",
            "zpopmax",
            "zmpop",
            "bzmpop",
        ],
        "A thousand members named in one command change together; a range is removed member by member, since the index has to follow.",
    ),
    (
        &["xrange", "xrevrange", "xread", "xreadgroup", "xinfo|stream"],
        "The reply has all entries that were asked for, as of one moment; COUNT splits the work.",
    ),
    (
        &["item.query", "ddb|query"],
        "A page of one partition, or a figure about it, is of one moment; LIMIT splits the work, and so does `item-max-page-size`.",
    ),
    (
        &["bitcount", "bitop", "digest", "lcs", "delex", "delifeq"],
        "All bytes of the strings are read as of one moment.",
    ),
    (
        &["set", "setex", "psetex", "setnx", "getset", "setrange", "append"],
        "A long value is copied into memory and into the log's record while its shard is held; a long string without spare room is moved when it is lengthened.",
    ),
    (
        &["copy", "dump", "restore"],
        "COPY of a large string or stream copies it, and DUMP writes any large value down, while its shard is held. RESTORE builds the value before, but copies a long payload into the log's record.",
    ),
    (
        &["xautoclaim", "xclaim", "xdel", "xdelex", "xackdel"],
        "A thousand entries named in one command change together.",
    ),
    (
        &["xtrim", "xadd"],
        "With ACKED or DELREF, all entries before the limit are looked up in the groups at once.",
    ),
    (
        &["xgroup|delconsumer", "xgroup|destroy", "xpending"],
        "All pending entries of a consumer or a group are gone through at once.",
    ),
    (&["exec"], "A transaction holds what its commands need until the last of them is done."),
    (&["memory|usage"], "With SAMPLES 0 it measures every element of a value at once."),
    (&["debug"], "A tool for tests; DIGEST, DIGEST-VALUE and OBJECT go through all elements at once."),
    (
        &["walk", "ddb|scan"],
        "A page of a scan reads a partition without giving its shard back; LIMIT splits the work.",
    ),
    (
        &["expiry", "eviction", "indexing", "populating", "copying", "retiming"],
        "They work in small pieces. A few of thousands of holds took longer, up to 20 ms, with more threads at work than processors; whether all of these are threads that the system interrupted is not known.",
    ),
    (
        &["checkpoint"],
        "It reads in pieces of less than a millisecond of work, and rests before each of them. With more busy threads than processors the system still interrupts a few: of a million keys beside two busy workers and their clients on two processors the longest piece took 2.6 ms.",
    ),
];
