//! The past of commands as COMMAND DOCS tells it: deprecated commands with their replacements, and what changed in
//! which version of Redis.

/// A deprecated command.
pub(super) struct Deprecated {
    /// The version that deprecated it.
    pub(super) since: &'static str,
    /// The replacement.
    pub(super) replaced_by: &'static str,
}

/// A version of Redis, and what changed in it.
pub(super) type Change = (&'static str, &'static str);

/// Deprecated commands by full name, with the version and the replacement.
static DEPRECATED: &[(&str, &str, &str)] = &[
    ("brpoplpush", "6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    ("cluster|slaves", "5.0.0", "`CLUSTER REPLICAS`"),
    ("cluster|slots", "7.0.0", "`CLUSTER SHARDS`"),
    ("georadius", "6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    ("georadius_ro", "6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    (
        "georadiusbymember",
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    ),
    ("georadiusbymember_ro", "6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    ("getset", "6.2.0", "`SET` with the `!GET` argument"),
    ("hmset", "4.0.0", "`HSET` with multiple field-value pairs"),
    ("psetex", "2.6.12", "`SET` with the `PX` argument"),
    ("quit", "7.2.0", "just closing the connection"),
    ("rpoplpush", "6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    ("setex", "2.6.12", "`SET` with the `EX` argument"),
    ("setnx", "2.6.12", "`SET` with the `NX` argument"),
    ("slaveof", "5.0.0", "`REPLICAOF`"),
    ("substr", "2.0.0", "`GETRANGE`"),
    ("zrangebylex", "6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    ("zrangebyscore", "6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    ("zrevrange", "6.2.0", "`ZRANGE` with the `REV` argument"),
    ("zrevrangebylex", "6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
    ("zrevrangebyscore", "6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
];

const CONDITIONS: &[Change] = &[("7.0.0", "NX, XX, GT and LT.")];
const FLUSHES: &[Change] = &[("4.0.0", "ASYNC."), ("6.2.0", "SYNC.")];
const UNITS: &[Change] = &[("7.0.0", "BYTE and BIT.")];
const FRACTIONS: &[Change] = &[("6.0.0", "Fractions of a second.")];
const UPPER_CASE: &[Change] = &[("7.0.0", "Units in upper case.")];
const COUNT_SINCE_6_2: &[Change] = &[("6.2.0", "A count.")];
const MORE_SINCE_2_4: &[Change] = &[("2.4.0", "More than one element.")];
const MORE_SINCE_4: &[Change] = &[("4.0.0", "More than one element.")];
const NO_KEY: &[Change] = &[("2.8.0", "-2 stands for a key that does not exist.")];
const OPEN_ENDS: &[Change] = &[("6.2.0", "Ranges that exclude their ends.")];

/// Changes of commands by full name.
static CHANGES: &[(&str, &[Change])] = &[
    ("acl|getuser", &[("6.2.0", "Patterns of channels."), ("7.0.0", "Selectors; patterns as rules.")]),
    ("acl|setuser", &[("6.2.0", "Patterns of channels."), ("7.0.0", "Selectors, permissions by key.")]),
    ("auth", &[("6.0.0", "A user's name before the password.")]),
    ("bgsave", &[("3.2.2", "SCHEDULE.")]),
    ("bitcount", UNITS),
    ("bitpos", UNITS),
    ("blpop", FRACTIONS),
    ("brpop", FRACTIONS),
    ("brpoplpush", FRACTIONS),
    ("bzpopmax", FRACTIONS),
    ("bzpopmin", FRACTIONS),
    (
        "client|kill",
        &[
            ("2.8.12", "Filters, among them ID and TYPE."),
            ("3.2.0", "Type master."),
            ("5.0.0", "Type replica; slave still means the same."),
            ("6.2.0", "LADDR."),
        ],
    ),
    (
        "client|list",
        &[
            ("2.8.12", "The id of each client."),
            ("5.0.0", "TYPE."),
            ("6.0.0", "The user of each client."),
            ("6.2.0", "ID, and the fields argv-mem, tot-mem, laddr and redir."),
            ("7.0.0", "The fields resp, multi-mem, rbs and rbp."),
            ("7.0.3", "The field ssub."),
        ],
    ),
    ("client|pause", &[("6.2.0", "WRITE and ALL.")]),
    ("cluster|meet", &[("4.0.0", "The port of the cluster's bus.")]),
    ("cluster|slots", &[("4.0.0", "Ids of nodes."), ("7.0.0", "More on how to reach a node.")]),
    ("command|info", &[("7.0.0", "Without names it tells of all commands.")]),
    ("config|get", &[("7.0.0", "More than one pattern.")]),
    ("config|set", &[("7.0.0", "More than one option.")]),
    ("exists", &[("3.0.3", "More than one key.")]),
    ("expire", CONDITIONS),
    ("expireat", CONDITIONS),
    ("flushall", FLUSHES),
    ("flushdb", FLUSHES),
    ("geoadd", &[("6.2.0", "CH, NX and XX.")]),
    ("georadius", &[("6.2.0", "ANY."), ("7.0.0", "Units in upper case.")]),
    ("georadius_ro", &[("6.2.0", "ANY.")]),
    ("georadiusbymember", UPPER_CASE),
    ("geosearch", UPPER_CASE),
    ("geosearchstore", UPPER_CASE),
    ("hdel", &[("2.4.0", "More than one field.")]),
    ("hello", &[("6.2.0", "Without a version it tells of the connection as it is.")]),
    ("hset", &[("4.0.0", "More than one field.")]),
    ("info", &[("7.0.0", "More than one section.")]),
    ("lpop", COUNT_SINCE_6_2),
    ("lpush", MORE_SINCE_2_4),
    ("lpushx", MORE_SINCE_4),
    (
        "monitor",
        &[
            ("6.0.0", "AUTH is not shown any more."),
            ("6.2.0", "RESET ends it."),
            ("7.0.0", "Commands of operators are shown again."),
        ],
    ),
    ("pexpire", CONDITIONS),
    ("pexpireat", CONDITIONS),
    ("pttl", NO_KEY),
    ("renamenx", &[("3.2.0", "Equal names are no error.")]),
    ("restore", &[("3.0.0", "REPLACE."), ("5.0.0", "ABSTTL."), ("5.0.0", "IDLETIME and FREQ.")]),
    ("rpop", COUNT_SINCE_6_2),
    ("rpush", MORE_SINCE_2_4),
    ("rpushx", MORE_SINCE_4),
    ("sadd", MORE_SINCE_2_4),
    ("scan", &[("6.0.0", "TYPE.")]),
    (
        "set",
        &[
            ("2.6.12", "EX, PX, NX and XX."),
            ("6.0.0", "KEEPTTL."),
            ("6.2.0", "GET, EXAT and PXAT."),
            ("7.0.0", "NX together with GET."),
        ],
    ),
    ("shutdown", &[("7.0.0", "NOW, FORCE and ABORT.")]),
    ("slowlog|get", &[("4.0.0", "The address and name of each client.")]),
    ("spop", &[("3.2.0", "A count.")]),
    ("srandmember", &[("2.6.0", "A count.")]),
    ("srem", MORE_SINCE_2_4),
    ("ttl", NO_KEY),
    ("xadd", &[("6.2.0", "NOMKSTREAM, MINID and LIMIT."), ("7.0.0", "Identifiers of the form `<ms>-*`.")]),
    ("xautoclaim", &[("7.0.0", "The reply names claimed entries that were deleted.")]),
    ("xgroup|create", &[("7.0.0", "ENTRIESREAD.")]),
    ("xgroup|setid", &[("7.0.0", "ENTRIESREAD.")]),
    ("xinfo|consumers", &[("7.2.0", "The field inactive.")]),
    ("xinfo|groups", &[("7.0.0", "The fields entries-read and lag.")]),
    (
        "xinfo|stream",
        &[
            ("6.0.0", "FULL."),
            ("7.0.0", "Figures of what was added and read, and of the first and the last deleted entry."),
            ("7.2.0", "When consumers were seen and active."),
        ],
    ),
    ("xpending", &[("6.2.0", "IDLE, and ranges that exclude their ends.")]),
    ("xrange", OPEN_ENDS),
    ("xrevrange", OPEN_ENDS),
    ("xsetid", &[("7.0.0", "ENTRIESADDED and MAXDELETEDID.")]),
    ("xtrim", &[("6.2.0", "MINID and LIMIT.")]),
    (
        "zadd",
        &[("2.4.0", "More than one element."), ("3.0.2", "XX, NX, CH and INCR."), ("6.2.0", "GT and LT.")],
    ),
    ("zrange", &[("6.2.0", "REV, BYSCORE, BYLEX and LIMIT.")]),
    ("zrangebyscore", &[("2.0.0", "WITHSCORES.")]),
    ("zrem", MORE_SINCE_2_4),
    ("zrevrangebyscore", &[("2.1.6", "Ranges that exclude their ends.")]),
];

/// The deprecation of a command; `None` if it is not deprecated.
pub(super) fn deprecated(full_name: &str) -> Option<Deprecated> {
    let found = DEPRECATED.iter().find(|(name, ..)| *name == full_name)?;
    Some(Deprecated { since: found.1, replaced_by: found.2 })
}

/// The changes of a command, oldest version first; empty if there were none.
pub(super) fn changes(full_name: &str) -> &'static [Change] {
    CHANGES.iter().find(|(name, _)| *name == full_name).map_or(&[], |(_, changes)| changes)
}

#[cfg(test)]
mod tests {
    use super::{CHANGES, DEPRECATED};
    use crate::command::Registry;

    #[test]
    fn only_commands_that_there_are_have_a_past() {
        let registry = Registry::get();
        let names = DEPRECATED.iter().map(|(name, ..)| *name).chain(CHANGES.iter().map(|(name, _)| *name));
        for name in names {
            assert!(registry.by_full_name(name.as_bytes()).is_some(), "{name}");
        }
    }
}
