//! Random commands are sent to our server and to the referee from several connections, with a kill and a restart of
//! both in between: every reply is the same, and so is all data at the end.

use crate::harness::{Client, Random, Server, Value};
use std::fmt::Write as _;

const CLIENTS: usize = 3;
const STEPS: usize = 4000;

const VALUES: [&str; 16] = [
    "",
    "a",
    "0",
    "1",
    "-1",
    "10",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
    "abc",
    "hello world",
    "01",
    "x\r\ny",
    "1e3",
    "12345678901234567890",
    "a-longer-value-that-does-not-fit-in-an-embedded-string-of-44-bytes",
];
const INTEGERS: [&str; 14] =
    ["0", "1", "-1", "2", "5", "-3", "100", "-100", "7", "a", "1.5", "9223372036854775807", "", "33"];
const FLOATS: [&str; 8] = ["0.5", "-1.25", "3", "1e2", "a", "0", "-7", "100.125"];
/// Times so far in the future that no run reaches them, or in the past.
const TIMES: [&str; 5] = ["33177117420", "33177117421", "1", "0", "33277117420"];

/// Templates: `k` a key, `v` a value, `i` a text that may be an integer, `n` an integer, `f` a field, `r` a float, `t`
/// a time, `b` a bit offset, `0` 0 or 1, `s` a stream, `l` a list, `y` a set, `p` a HyperLogLog, `m` a member, `z` a
/// sorted set, `e` a sorted set whose members have one score, `d` a digit, `u` a key that may be a view, `J` a new
/// identifier, `j` an identifier that may exist, any other word itself.
const COMMANDS: &[&str] = &[
    "SET k v",
    "SET k v",
    "SET k v NX",
    "SET k v XX",
    "SET k v GET",
    "SET k v KEEPTTL",
    "SET k v EXAT 33177117420",
    "SET k v NX GET",
    "GET k",
    "GET k",
    "GETSET k v",
    "GETDEL k",
    "GETEX k",
    "GETEX k PERSIST",
    "GETEX k EXAT t",
    "SETNX k v",
    "APPEND k v",
    "STRLEN k",
    "GETRANGE k i i",
    "SETRANGE k 5 v",
    "INCR k",
    "DECR k",
    "INCRBY k i",
    "DECRBY k i",
    "INCRBYFLOAT k r",
    "MGET k k k",
    "MSET k v k v",
    "MSETNX k v k v",
    "LCS k k",
    "LCS k k LEN",
    "SETBIT k b 0",
    "GETBIT k b",
    "BITCOUNT k",
    "BITCOUNT k n n",
    "BITCOUNT k n n BIT",
    "BITPOS k 0",
    "BITPOS k 0 n n",
    "BITOP AND k k k",
    "BITOP OR k k k",
    "BITOP XOR k k",
    "BITOP NOT k k",
    "BITFIELD k INCRBY i7 b 3 GET u5 b",
    "BITFIELD k OVERFLOW SAT GET u6 b",
    "BITFIELD_RO k GET i9 b",
    "HSET h f v",
    "HSET h f v f v",
    "HSETNX h f v",
    "HGET h f",
    "HMGET h f f f",
    "HGETALL h",
    "HKEYS h",
    "HVALS h",
    "HLEN h",
    "HDEL h f",
    "HDEL h f f",
    "HEXISTS h f",
    "HSTRLEN h f",
    "HINCRBY h f i",
    "HINCRBYFLOAT h f r",
    "HRANDFIELD h 100",
    "SADD y m",
    "SADD y m m m",
    "SADD y 1 2 3 4 5 6 7 8",
    "SADD y m v",
    "SREM y m",
    "SREM y m m m",
    "SMEMBERS y",
    "SISMEMBER y m",
    "SMISMEMBER y m m v",
    "SCARD y",
    "SPOP y 100000",
    "SRANDMEMBER y 100000",
    "SSCAN y 0 COUNT 100000",
    "SMOVE y y m",
    "SMOVE y k m",
    "SINTER y y",
    "SINTER y y y",
    "SINTERCARD 2 y y LIMIT 2",
    "SINTERSTORE y y y",
    "SUNION y y",
    "SUNIONSTORE y y y",
    "SDIFF y y",
    "SDIFFSTORE y y y",
    "SUNIONSTORE k y y",
    "PFADD p m m v",
    "PFADD p J",
    "PFADD p",
    "PFCOUNT p",
    "PFCOUNT p p",
    "PFMERGE p p p",
    "PFADD k m",
    "PFCOUNT k",
    "PFDEBUG ENCODING p",
    "PFDEBUG TODENSE p",
    "GET p",
    "APPEND p v",
    "DEL p",
    "LPUSH l v",
    "RPUSH l v v v",
    "RPUSH l v v",
    "LPUSHX l v",
    "RPUSHX l v v",
    "LPOP l",
    "RPOP l",
    "LPOP l i",
    "RPOP l d",
    "LLEN l",
    "LINDEX l n",
    "LSET l d v",
    "LSET l i v",
    "LINSERT l BEFORE v v",
    "LINSERT l AFTER v v",
    "LRANGE l 0 -1",
    "LRANGE l i i",
    "LREM l d v",
    "LREM l -1 v",
    "LTRIM l 0 -2",
    "LTRIM l 1 i",
    "LPOS l v",
    "LPOS l v RANK -2 COUNT 0",
    "LMOVE l l LEFT RIGHT",
    "LMOVE l l RIGHT RIGHT",
    "RPOPLPUSH l l",
    "LMPOP 2 l l RIGHT COUNT d",
    "BLPOP l l 0.001",
    "BLMOVE l l LEFT LEFT 0.001",
    "LPUSH k v",
    "GET l",
    "DEL l",
    "RENAME l l",
    "COPY l l REPLACE",
    "MOVE l 1",
    "EXPIREAT l t",
    "WATCH l k",
    "ZADD z d f",
    "ZADD z d f r f d f",
    "ZADD z NX d f",
    "ZADD z XX CH d f d f",
    "ZADD z GT CH d f",
    "ZADD z LT INCR d f",
    "ZADD z r v",
    "ZINCRBY z d f",
    "ZINCRBY z r f",
    "ZREM z f",
    "ZREM z f f v",
    "ZSCORE z f",
    "ZMSCORE z f v",
    "ZCARD z",
    "ZRANK z f",
    "ZREVRANK z f",
    "ZCOUNT z d r",
    "ZADD e 0 f 0 v",
    "ZREM e f",
    "ZLEXCOUNT e - [f",
    "ZRANGE z d -1 WITHSCORES",
    "ZRANGE z n n REV",
    "ZRANGE z (d 9 BYSCORE LIMIT d 3",
    "ZRANGEBYSCORE z r 9 WITHSCORES",
    "ZREVRANGEBYSCORE z 9 d",
    "ZRANGEBYLEX e [f +",
    "ZREMRANGEBYRANK z n d",
    "ZREMRANGEBYSCORE z d d",
    "ZREMRANGEBYLEX e [f [f",
    "ZPOPMIN z",
    "ZPOPMAX z d",
    "ZMPOP 2 z z MIN COUNT 2",
    "ZRANGESTORE z z 0 d",
    "ZUNION 2 z z WITHSCORES",
    "ZUNIONSTORE z 2 z y",
    "ZINTER 2 y z WITHSCORES",
    "ZUNIONSTORE z 2 z z WEIGHTS 1 2",
    "ZINTERSTORE z 2 z z AGGREGATE MAX",
    "ZDIFFSTORE z 2 z z",
    "ZINTERCARD 2 z z LIMIT d",
    "GEOADD z r r f",
    "GEOADD z CH 2.5 d f d n f",
    "GEODIST z f f",
    "GEOPOS z f f",
    "GEOHASH z f v",
    "GEOSEARCH z FROMMEMBER f BYRADIUS 300 km WITHDIST",
    "GEOSEARCHSTORE z z FROMLONLAT d d BYBOX 900 700 km",
    "GEORADIUS z d n 9000 mi COUNT 9 STORE z",
    "GEORADIUSBYMEMBER z f 100 km WITHHASH",
    "ZADD k d f",
    "GET z",
    "RENAME z z",
    "COPY z z REPLACE",
    "EXPIREAT z t",
    "MOVE z 1",
    "WATCH z",
    "XADD s J f v",
    "XADD s J f v f v",
    "XADD s J-* f v",
    "XADD s NOMKSTREAM J f v",
    "XADD s MAXLEN 6 J f v",
    "XADD s MINID j J f v",
    "XADD s j f v",
    "XLEN s",
    "XRANGE s - +",
    "XRANGE s j + COUNT 3",
    "XREVRANGE s + j",
    "XDEL s j",
    "XDEL s j j j",
    "XTRIM s MAXLEN 9",
    "XTRIM s MINID j",
    "XREAD COUNT 2 STREAMS s s j j",
    "XGROUP CREATE s group j",
    "XGROUP CREATE s group $ MKSTREAM",
    "XGROUP CREATE s other 0",
    "XGROUP SETID s group j",
    "XGROUP DESTROY s group",
    "XGROUP DELCONSUMER s group f",
    "XREADGROUP GROUP group f COUNT 2 STREAMS s >",
    "XREADGROUP GROUP group f COUNT 2 STREAMS s >",
    "XREADGROUP GROUP other f COUNT 1 STREAMS s >",
    "XREADGROUP GROUP group f NOACK COUNT 1 STREAMS s >",
    "XREADGROUP GROUP group f COUNT 3 STREAMS s 0",
    "XACK s group j j j",
    "XACK s other j j j",
    "XCLAIM s group f 0 j j JUSTID",
    "XCLAIM s group f 0 j FORCE RETRYCOUNT 3",
    "XAUTOCLAIM s group f 0 j COUNT 2 JUSTID",
    "XPENDING s group",
    "XPENDING s other",
    "XINFO STREAM s",
    "XADD k J f v",
    "GET s",
    "HSET k f v",
    "GET h",
    "DEL k",
    "DEL h",
    "DEL k k h",
    "DEL s",
    "DEL y",
    "RENAME y y",
    "COPY y y REPLACE",
    "EXPIREAT y t",
    "MOVE y 1",
    "GET y",
    "SADD k m",
    "SADD h m",
    "WATCH y",
    "UNLINK k h",
    "EXISTS k h k",
    "TOUCH k h",
    "TYPE k",
    "TYPE h",
    "RENAME k k",
    "RENAME h h",
    "RENAME s s",
    "RENAMENX k k",
    "COPY k k",
    "COPY h h REPLACE",
    "COPY s s REPLACE",
    "EXPIREAT s t",
    "COPY k k DB 1",
    "MOVE k 1",
    "MOVE s 1",
    "EXPIREAT k t",
    "EXPIREAT h t NX",
    "EXPIREAT k t XX",
    "EXPIREAT k t GT",
    "EXPIREAT k t LT",
    "PERSIST k",
    "EXPIRETIME k",
    "EXPIRETIME h",
    "KEYS *",
    "SELECT 0",
    "SELECT 1",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "WATCH h k",
    "WATCH s k",
    "UNWATCH",
    "NOSUCH k",
    "GET",
];
// The referee forgets consumers that got no entries when it restarts, so XGROUP CREATECONSUMER is left out. It also
// forgets that a BITFIELD that changes nothing has lengthened the string, so such BITFIELDs are left out.
/// Commands that are used rarely.
const RARE: [&str; 3] = ["FLUSHDB", "SWAPDB 0 1", "FLUSHALL"];

/// A command of any family but those of items. `step` increases.
pub(crate) fn command(random: &mut Random, step: usize) -> Vec<Vec<u8>> {
    let template = if random.one_in(150) { random.pick(&RARE) } else { random.pick(COMMANDS) };
    filled(template, random, step)
}

/// A template with random arguments in its places.
pub(crate) fn filled(template: &str, random: &mut Random, step: usize) -> Vec<Vec<u8>> {
    let mut words = template.split(' ');
    let mut out = vec![words.next().unwrap().as_bytes().to_vec()];
    for word in words {
        let argument = match word {
            "k" => format!("key{}", random.below(8)),
            "h" => format!("hash{}", random.below(4)),
            "s" => format!("stream{}", random.below(3)),
            "p" => format!("hll{}", random.below(4)),
            "y" => format!("set{}", random.below(4)),
            "m" if random.one_in(2) => random.below(9).to_string(),
            "m" => format!("member{}", random.below(9)),
            "l" => format!("list{}", random.below(3)),
            "z" => format!("zset{}", random.below(3)),
            "e" => format!("lex{}", random.below(2)),
            "(d" => format!("({}", random.below(4)),
            "[f" => format!("[field{}", random.below(6)),
            "d" => random.below(4).to_string(),
            "u" => format!("user:{}", random.below(4)),
            "J" => format!("{step}-{}", random.below(2)),
            "J-*" => format!("{step}-*"),
            "j" => format!("{}-{}", step.saturating_sub(random.below(400)), random.below(2)),
            "v" => random.pick(&VALUES).to_owned(),
            "i" => random.pick(&INTEGERS).to_owned(),
            "n" => (random.below(200) as i64 - 100).to_string(),
            "f" => format!("field{}", random.below(6)),
            "r" => random.pick(&FLOATS).to_owned(),
            "t" => random.pick(&TIMES).to_owned(),
            "b" => random.below(200).to_string(),
            "0" if out[0] == b"SETBIT" || out[0] == b"BITPOS" => random.below(2).to_string(),
            other => other.to_owned(),
        };
        out.push(argument.into_bytes());
    }
    out
}

/// Whether a command's reply has an order on which both servers must agree: that of lists, sorted sets and streams. The
/// order of hashes and sets, and of ZSCAN, may differ.
fn has_order_of_its_own(command: &[Vec<u8>]) -> bool {
    let name = command[0].to_ascii_uppercase();
    name != b"ZSCAN" && name.first().is_some_and(|first| b"LXZ".contains(first))
}

/// Every key of both databases with its type, value and deadline, as text.
pub(crate) fn contents(run: &mut dyn FnMut(&str) -> Value) -> String {
    let mut out = String::new();
    for database in 0..2 {
        run(&format!("SELECT {database}"));
        let mut keys = run("KEYS *").items();
        keys.sort();
        for key in keys {
            let key = key.text();
            let kind = run(&format!("TYPE {key}")).text();
            let value = match kind.as_str() {
                "hash" => run(&format!("HGETALL {key}")),
                "set" => run(&format!("SMEMBERS {key}")),
                "zset" => run(&format!("ZRANGE {key} 0 -1 WITHSCORES")),
                "stream" => {
                    for command in ["XINFO STREAM", "XPENDING"] {
                        let group = if command == "XPENDING" { " group" } else { "" };
                        writeln!(out, "{}", run(&format!("{command} {key}{group}"))).unwrap();
                    }
                    run(&format!("XRANGE {key} - +"))
                }
                "list" => Value::Bulk(run(&format!("LRANGE {key} 0 -1")).to_string().into_bytes()),
                _ => run(&format!("GET {key}")),
            };
            let time = run(&format!("PEXPIRETIME {key}"));
            writeln!(out, "{database} {key} {kind} {} {time}", value.sorted()).unwrap();
        }
    }
    out
}

fn all(server: &Server) -> String {
    let mut client = server.client();
    contents(&mut |line| client.run(line))
}

fn random_commands(mut ours: Server, mut theirs: Server, proto: u8) {
    let mut random = Random::from_environment("random commands");
    let connect =
        |server: &Server| -> Vec<Client> { (0..CLIENTS).map(|_| server.client_with(proto)).collect() };
    let (mut our_clients, mut their_clients) = (connect(&ours), connect(&theirs));
    let mut history = Vec::new();
    for step in 0..STEPS {
        if random.one_in(800) {
            ours.crash();
            theirs.crash();
            (our_clients, their_clients) = (connect(&ours), connect(&theirs));
            history.push("-- killed and started again".to_owned());
            let (our, their) = (all(&ours), all(&theirs));
            assert_eq!(
                our,
                their,
                "after a new start\n{}",
                history[history.len().saturating_sub(100)..].join("\n")
            );
            continue;
        }
        let who = random.below(CLIENTS);
        let command = command(&mut random, step);
        let (our, their) = (our_clients[who].call(&command), their_clients[who].call(&command));
        let shown = Value::Array(command.iter().cloned().map(Value::Bulk).collect());
        history.push(format!("[{who}] {shown} -> {their}"));
        let same = if has_order_of_its_own(&command) { our == their } else { our.sorted() == their.sorted() };
        assert!(
            same,
            "step {step}: ours {our}\nreferee {their}\n{}",
            history[history.len().saturating_sub(100)..].join("\n")
        );
    }
    assert_eq!(all(&ours), all(&theirs));
}

/// At `everysec` the referee may delay writes while it syncs, and a kill then loses them.
const REFEREE_FLAGS: [&str; 6] =
    ["--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"];
const FLAGS: [&str; 4] = ["--appendonly", "yes", "--enable-debug-command", "yes"];

#[test]
fn the_same_replies_in_resp2() {
    random_commands(Server::start(&FLAGS), Server::referee(&REFEREE_FLAGS), 2);
}

#[test]
fn the_same_replies_in_resp3() {
    random_commands(Server::start(&FLAGS), Server::referee(&REFEREE_FLAGS), 3);
}

#[test]
fn the_referee_twice() {
    random_commands(Server::referee(&REFEREE_FLAGS), Server::referee(&REFEREE_FLAGS), 2);
}

/// Templates that add an element of some KB, which stands for `X`.
const LARGE: [&str; 7] =
    ["RPUSH l X", "SADD y X", "ZADD z d X", "HSET h f X", "SET k X", "XADD s J f X", "GEOADD z r r X"];

/// Keys of every type are evicted between other commands and while checkpoints are written.
#[test]
fn what_was_evicted_is_not_there_after_a_restart() {
    let mut random = Random::from_environment("evicted");
    let mut server = Server::start(&FLAGS);
    for policy in ["allkeys-random", "allkeys-lru", "volatile-ttl", "volatile-lfu"] {
        let mut client = server.client();
        let used: u64 = server.info("used_memory").parse().unwrap();
        assert!(
            client
                .run(&format!("CONFIG SET maxmemory-policy {policy} maxmemory {}", used + (1 << 19)))
                .is_ok()
        );
        for step in 0..3000 {
            let mut command = command(&mut random, step);
            if random.one_in(3) {
                command = filled(random.pick(&LARGE), &mut random, step);
                let element = format!("{step:09}").repeat(600).into_bytes();
                command.iter_mut().filter(|word| *word == b"X").for_each(|word| word.clone_from(&element));
            }
            client.call(&command);
            if random.one_in(400) {
                // A checkpoint that is already being written is as good.
                server.client().run("BGSAVE");
            }
        }
        // There may be no key with a deadline when memory is short.
        let evicts = policy.starts_with("allkeys");
        assert!(!evicts || server.info("evicted_keys") != "0", "{policy}");
        assert!(server.client().run("CONFIG SET maxmemory 0").is_ok());
        let before = all(&server);
        if random.one_in(2) {
            server.crash();
        } else {
            server.restart();
        }
        assert_eq!(all(&server), before, "{policy}");
        assert!(server.client().run("FLUSHALL").is_ok());
    }
}
