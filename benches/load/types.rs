//! The data sets and workloads of Redis's other types, of messages and of scripts.

use crate::reply::Expect;
use crate::workload::{Dataset, Workload, both};

/// A script of two commands, and the SHA-1 of its text.
const LOAD_SCRIPT: &str =
    "SCRIPT LOAD \"redis.call('set',KEYS[1],ARGV[1]) return redis.call('get',KEYS[1])\"";
const LOAD_LIBRARY: &str = "FUNCTION LOAD REPLACE \"#!lua name=bench\\nredis.register_function('set_get', function(keys, args) \
                            redis.call('set',keys[1],args[1]) return redis.call('get',keys[1]) end)\"";

/// The data sets.
pub(crate) const TYPE_DATASETS: &[Dataset] = &[
    Dataset { name: "queue", setup: &[], fill: "RPUSH queue {value:16}", expect: Expect::Integer },
    Dataset {
        name: "lists",
        setup: &[],
        fill: "RPUSH list:{collection:11} {value:16}",
        expect: Expect::Integer,
    },
    Dataset {
        name: "numbers",
        setup: &[],
        fill: "RPUSH numbers:{collection:11} 1{digits:7}",
        expect: Expect::Integer,
    },
    Dataset { name: "set", setup: &[], fill: "SADD set member-{id:9}", expect: Expect::Integer },
    Dataset {
        name: "sets",
        setup: &[],
        fill: "SADD set:{collection:11} member-{member:9}",
        expect: Expect::Integer,
    },
    Dataset {
        name: "ranking",
        setup: &[],
        fill: "ZADD ranking 1{digits:6} player-{id:9}",
        expect: Expect::Integer,
    },
    Dataset {
        name: "rankings",
        setup: &[],
        fill: "ZADD ranking:{collection:11} 1{digits:6} player-{member:9}",
        expect: Expect::Integer,
    },
    Dataset {
        name: "streams",
        setup: &[],
        fill: "XADD stream:{collection:11} * field {value:16}",
        expect: Expect::Bulk,
    },
    Dataset { name: "channels", setup: &[], fill: "SET key:{id:12} {value}", expect: Expect::Ok },
    Dataset {
        name: "scripts",
        setup: &[LOAD_SCRIPT, LOAD_LIBRARY],
        fill: "SET key:{id:12} {value}",
        expect: Expect::Ok,
    },
];

/// The workloads. Those of one data set run in this order, so what reads comes before what adds.
pub(crate) const TYPE_WORKLOADS: &[Workload] = &[
    both(
        "lpush-rpop",
        "queue",
        &[(1, "LPUSH queue {value:16}", Expect::Integer), (1, "RPOP queue", Expect::Bulk)],
    ),
    both("lrange-100", "lists", &[(1, "LRANGE list:{collection:11} 0 99", Expect::Array(100))]),
    both("sort-100", "numbers", &[(1, "SORT numbers:{collection:11}", Expect::Array(100))]),
    both("sismember", "set", &[(1, "SISMEMBER set member-{id:9}", Expect::Integer)]),
    both(
        "sadd-srem",
        "set",
        &[
            (1, "SADD set member-{digits:7}", Expect::Integer),
            (1, "SREM set member-{digits:7}", Expect::Integer),
        ],
    ),
    both("sinter-100", "sets", &[(1, "SINTER set:{collection:11} set:{collection:11}", Expect::Array(100))]),
    both("zrank", "ranking", &[(1, "ZRANK ranking player-{id:9}", Expect::Integer)]),
    both(
        "zrange-10",
        "ranking",
        &[(1, "ZRANGE ranking 1{digits:6} +inf BYSCORE LIMIT 0 10", Expect::AtMost(10))],
    ),
    both("zadd", "ranking", &[(1, "ZADD ranking 1{digits:6} player-{id:9}", Expect::Integer)]),
    both("zincrby", "ranking", &[(1, "ZINCRBY ranking 1 player-{id:9}", Expect::Bulk)]),
    both("xread-10", "streams", &[(1, "XREAD COUNT 10 STREAMS stream:{collection:11} 0", Expect::Array(1))]),
    both("xadd", "streams", &[(1, "XADD stream:{collection:11} * field {value:16}", Expect::Bulk)]),
    Workload {
        subscribers: 1,
        ..both("publish-1", "channels", &[(1, "PUBLISH channel {value}", Expect::Integer)])
    },
    Workload {
        subscribers: 100,
        ..both("publish-100", "channels", &[(1, "PUBLISH channel {value}", Expect::Integer)])
    },
    both(
        "evalsha",
        "scripts",
        &[(1, "EVALSHA 11d0e1a7e31eed4b48b2f3da22d294cb0647766b 1 key:{id:12} {value}", Expect::Bulk)],
    ),
    both("fcall", "scripts", &[(1, "FCALL set_get 1 key:{id:12} {value}", Expect::Bulk)]),
];
