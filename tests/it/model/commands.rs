//! Random commands of those that the model knows.

use crate::harness::Random;

/// Copies a value by its payload.
const BY_PAYLOAD: &str = "if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RESTORE', KEYS[2], ARGV[1], redis.call('DUMP', KEYS[1]), 'REPLACE') return 1";

/// Commands of lists, sets, sorted sets, places and HyperLogLogs: `l`, `y`, `z` and `p` are keys of these types or of
/// another one, `m` is a member, `n` a number, `@` a place.
const COLLECTIONS: &[&str] = &[
    "RPUSH l m m",
    "RPUSH l m",
    "LPUSH l m m m",
    "RPUSHX l m",
    "LPOP l",
    "RPOP l 2",
    "LRANGE l 0 -1",
    "LRANGE l 0 -1",
    "LINSERT l BEFORE m m",
    "LREM l 1 m",
    "LSET l 1 m",
    "LTRIM l 1 4",
    "LMOVE l l LEFT RIGHT",
    "LMOVE l l RIGHT LEFT",
    "BLPOP l 0.001",
    "BLMPOP 0.001 1 l RIGHT COUNT 2",
    "SADD y m m m",
    "SADD y m",
    "SREM y m m",
    "SMEMBERS y",
    "SMEMBERS y",
    "SISMEMBER y m",
    "SMOVE y y m",
    "SPOP y 100",
    "SINTERSTORE y y y",
    "SUNIONSTORE y y y",
    "SDIFFSTORE y y y",
    "ZADD z n m n m",
    "ZADD z NX n m",
    "ZADD z XX CH n m",
    "ZADD z GT CH n m",
    "ZADD z LT n m",
    "ZINCRBY z n m",
    "ZREM z m m",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZPOPMIN z",
    "ZRANK z m",
    "ZREMRANGEBYSCORE z n n",
    "ZRANGESTORE z z 0 2",
    "ZUNIONSTORE z 2 z y AGGREGATE MAX",
    "ZINTERSTORE z 2 z z AGGREGATE MIN",
    "ZDIFFSTORE z 2 z y",
    "BZPOPMIN z 0.001",
    "GEOADD z @ m",
    "GEOADD z @ m @ m",
    "GEOSEARCH z FROMLONLAT 15 37 BYRADIUS 200 km",
    "GEOSEARCHSTORE z z FROMLONLAT 15 37 BYRADIUS 100 km",
    "PFADD p m m",
    "PFADD p m",
    "PFCOUNT p p",
    "PFMERGE p p p",
];

/// A key: one of three that mostly have values of one type, or sometimes one of those that have all types. A
/// HyperLogLog's bytes are not in the model, so its keys are apart.
fn key_of(random: &mut Random, kind: &str) -> String {
    if kind == "k" || kind != "p" && random.one_in(6) {
        return format!("k{}", random.below(6));
    }
    format!("{kind}{}", random.below(3))
}

/// A key of any type.
fn any_key(random: &mut Random) -> String {
    let kind = random.pick(&["k", "k", "k", "l", "y", "z", "p"]);
    key_of(random, kind)
}

/// Two keys between which a value may pass.
fn two_keys(random: &mut Random) -> [String; 2] {
    let (from, mut to) = (any_key(random), any_key(random));
    if from.starts_with('p') != to.starts_with('p') {
        to = key_of(random, &from[..1]);
    }
    [from, to]
}

fn collection(random: &mut Random) -> Vec<String> {
    let mut out = Vec::new();
    for word in random.pick(COLLECTIONS).split(' ') {
        match word {
            "l" | "y" | "z" | "p" => out.push(key_of(random, word)),
            "m" if random.one_in(3) => out.push(random.below(6).to_string()),
            "m" => out.push(format!("m{}", random.below(5))),
            "n" => out.push((random.below(20) as i64 - 10).to_string()),
            "@" => out.extend(random.pick(&super::collections::PLACES).split(' ').map(str::to_owned)),
            other => out.push(other.to_owned()),
        }
    }
    out
}

/// A command on streams and their groups.
fn stream(random: &mut Random, step: usize) -> Vec<String> {
    let key = key_of(random, "k");
    let id = format!("{}-0", (step + 1).saturating_sub(random.below(200)));
    let consumer = format!("f{}", random.below(4));
    let line = match random.below(10) {
        0..=3 => format!("XADD {key} {}-0 f {step}", step + 1),
        4 => format!("XDEL {key} {id}"),
        5 => format!("XTRIM {key} MAXLEN {}", random.below(9)),
        6 => format!("XRANGE {key} - +"),
        7 if random.one_in(3) => format!("XGROUP DESTROY {key} g"),
        7 => format!("XGROUP CREATE {key} g 0 MKSTREAM"),
        8 => format!("XREADGROUP GROUP g {consumer} COUNT 2 STREAMS {key} >"),
        _ if random.one_in(2) => format!("XACK {key} g {id}"),
        _ => format!("XPENDING {key} g"),
    };
    line.split(' ').map(str::to_owned).collect()
}

/// A command on a string or a hash.
fn plain(random: &mut Random, now: u64, movable: bool) -> String {
    let key = key_of(random, "k");
    let (number, field) = (random.below(20) as i64 - 10, format!("f{}", random.below(4)));
    match random.below(18) {
        0..=3 => format!("SET {key} {}", random.below(100)),
        4 => format!("SET {key} text {}", random.pick(&["NX", "XX", "KEEPTTL", "GET"])),
        // The deadline is always in the future: a SET with a passed deadline does not count as a change of a missing
        // key here, but it does in the referee.
        5 => {
            let at = if movable { now + 1 + random.below(200) as u64 } else { 33_177_117_420_050 };
            format!("SET {key} timed PXAT {at}")
        }
        6..=8 => format!("GET {key}"),
        9 | 10 => format!("INCRBY {key} {number}"),
        11 => format!("APPEND {key} {}", random.below(10)),
        12 | 13 => format!("HSET {key} {field} {}", random.below(50)),
        14 => format!("HDEL {key} {field}"),
        15 | 16 => format!("HGETALL {key}"),
        _ => format!("HINCRBY {key} {field} {number}"),
    }
}

/// A command on a key of any type.
fn on_any_key(random: &mut Random, now: u64, movable: bool) -> String {
    let key = any_key(random);
    let [from, to] = two_keys(random);
    match random.below(12) {
        0 => format!("DEL {key} {from}"),
        // If the clock cannot be advanced, only times far in the future or in the past have a certain effect.
        1..=3 => {
            let at = match (movable, random.below(4)) {
                (true, 0 | 1) => now + random.below(200) as u64,
                (_, 2) => 1 + random.below(1000) as u64,
                _ => 33_177_117_420_000 + random.below(100) as u64,
            };
            format!("PEXPIREAT {key} {at}")
        }
        4 => format!("PERSIST {key}"),
        5 => format!("PEXPIRETIME {key}"),
        6 => format!("RENAME {from} {to}"),
        7 => format!("EXISTS {key} {from}"),
        8 => format!("TYPE {key}"),
        9 | 10 => format!("COPY {from} {to} REPLACE"),
        _ => format!("MOVE {key} 1"),
    }
}

/// A random command of those that the model knows. `movable` says whether the clock can be advanced.
pub(super) fn command(random: &mut Random, step: usize, now: u64, movable: bool) -> Vec<String> {
    let line = match random.below(64) {
        0..=13 => plain(random, now, movable),
        14..=21 => return stream(random, step),
        22..=43 => return collection(random),
        44..=52 => on_any_key(random, now, movable),
        53 => {
            let millis = if movable { random.pick(&["0", "150"]) } else { "0" };
            let words = ["EVAL", BY_PAYLOAD, "2"].map(str::to_owned);
            return [&words[..], &two_keys(random), &[millis.to_owned()]].concat();
        }
        54 => format!("SELECT {}", random.below(2)),
        55 | 56 => "MULTI".into(),
        57..=59 => "EXEC".into(),
        60 => random.pick(&["DISCARD", "UNWATCH", "DISCARD"]).into(),
        61 | 62 => format!("WATCH {} {}", any_key(random), any_key(random)),
        _ if random.one_in(20) => "FLUSHDB".into(),
        _ => format!("EXISTS {}", any_key(random)),
    };
    line.split(' ').map(str::to_owned).collect()
}
