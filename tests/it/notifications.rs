//! Keyspace notifications: any sequence of commands tells what a real redis-server tells, in its order.

use crate::harness::{Client, Random, Server, Value, on_both, until};

/// A server, and a subscriber to all its events.
struct Told {
    client: Client,
    subscriber: Client,
    _server: Server,
}

impl Told {
    fn by(server: Server) -> Self {
        let (client, mut subscriber) = (server.client(), server.client());
        subscriber.run("PSUBSCRIBE __key*");
        Self { client, subscriber, _server: server }
    }

    /// The reply, and what is told: on which channels, and what.
    fn run(&mut self, line: &str) -> (Value, Vec<String>) {
        let reply = self.client.run(line);
        self.client.run("PUBLISH __key end");
        let mut told = Vec::new();
        loop {
            let message = self.subscriber.read().items();
            let (channel, payload) = (message[2].text(), message[3].text());
            if channel == "__key" {
                return (reply, told);
            }
            told.push(format!("{channel} {payload}"));
        }
    }
}

/// Commands; `K` stands for any key, `N` for a small number, `M` for a member.
const LINES: &[&str] = &[
    "SET K M",
    "SET K M NX",
    "SET K N XX GET",
    "SETNX K M",
    "SETEX K 100 M",
    "PSETEX K 100000 M",
    "GETSET K M",
    "GETDEL K",
    "GETEX K EX 100",
    "GETEX K PERSIST",
    "GETEX K",
    "APPEND K M",
    "APPEND K M",
    "SETRANGE K N M",
    "INCR K",
    "DECR K",
    "INCRBY K N",
    "DECRBY K N",
    "INCRBYFLOAT K N.5",
    "MSET K M K M",
    "MSETNX K M K M",
    "SETBIT K N 1",
    "BITOP AND K K K",
    "BITOP NOT K K",
    "BITFIELD K SET u8 N 5",
    "BITFIELD K GET u8 0",
    "PFADD K M",
    "PFMERGE K K K",
    "PFCOUNT K",
    "LPUSH K M M",
    "RPUSH K M",
    "LPUSHX K M",
    "RPUSHX K M",
    "LPOP K",
    "RPOP K N",
    "LREM K N M",
    "LSET K N M",
    "LINSERT K BEFORE M M",
    "LTRIM K N N",
    "LMOVE K K LEFT RIGHT",
    "RPOPLPUSH K K",
    "LMPOP 2 K K LEFT COUNT N",
    "BLPOP K K 0.001",
    "BLMOVE K K LEFT LEFT 0.001",
    "BLMPOP 0.001 2 K K RIGHT",
    "SADD K M M",
    "SREM K M M",
    "SMOVE K K M",
    "SPOP K 1000",
    "SINTERSTORE K K K",
    "SUNIONSTORE K K K",
    "SDIFFSTORE K K K",
    "ZADD K N M N M",
    "ZADD K XX N M",
    "ZADD K GT CH N M",
    "ZADD K INCR N M",
    "ZINCRBY K N M",
    "ZREM K M M",
    "ZPOPMIN K",
    "ZPOPMAX K N",
    "ZMPOP 2 K K MIN COUNT N",
    "BZPOPMIN K K 0.001",
    "ZREMRANGEBYRANK K 0 N",
    "ZREMRANGEBYSCORE K 0 N",
    "ZREMRANGEBYLEX K - [M",
    "ZRANGESTORE K K 0 N",
    "ZUNIONSTORE K 2 K K",
    "ZINTERSTORE K 2 K K",
    "ZDIFFSTORE K 2 K K",
    "HSET K M N M N",
    "HMSET K M N",
    "HSETNX K M N",
    "HDEL K M M",
    "HINCRBY K M N",
    "HINCRBYFLOAT K M N.5",
    "XADD K * M N",
    "XADD K MAXLEN = N * M N",
    "XADD K NOMKSTREAM * M N",
    "XTRIM K MAXLEN = N",
    "XDEL K N-N",
    "XGROUP CREATE K M $",
    "XGROUP CREATE K M $ MKSTREAM",
    "XGROUP DESTROY K M",
    "XGROUP CREATECONSUMER K M M",
    "XGROUP DELCONSUMER K M M",
    "XGROUP SETID K M 0",
    "XSETID K 9999999999999-N",
    "DEL K K",
    "UNLINK K K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K",
    "COPY K K REPLACE",
    "COPY K K DB 1",
    "MOVE K 1",
    "EXPIRE K 100",
    "EXPIRE K 200 GT",
    "EXPIRE K 50 LT",
    "EXPIRE K 100 NX",
    "PEXPIRE K 100000",
    "EXPIRE K -1",
    "EXPIREAT K 9999999999",
    "PEXPIREAT K 1",
    "PERSIST K",
    "SORT K ALPHA STORE K",
    "SORT K BY nosort STORE K",
    "GET K",
    "EXISTS K K",
    "TTL K",
    "TYPE K",
    "STRLEN K",
    "LLEN K",
    "SCARD K",
    "ZCARD K",
    "HLEN K",
    "XLEN K",
    "LRANGE K 0 -1",
    "HGETALL K",
    "HGET K M",
    "SMEMBERS K",
    "SISMEMBER K M",
    "ZSCORE K M",
    "MGET K K",
    "DUMP K",
    "OBJECT ENCODING K",
    "TOUCH K K",
    "SELECT 0",
    "GEOADD K N N M",
    "GEOSEARCHSTORE K K FROMLONLAT 1 1 BYRADIUS 500 km",
];

fn line(random: &mut Random) -> String {
    let form = LINES[random.below(LINES.len())];
    let mut any = |letter: char| match letter {
        'K' => format!("k{}", random.below(4)),
        'N' => random.below(4).to_string(),
        'M' => format!("m{}", random.below(4)),
        other => other.to_string(),
    };
    let words = form.split(' ').map(|word| match word.trim_end_matches(".5") {
        "K" | "N" | "M" => any(word.chars().next().unwrap_or_default()) + &word[1..],
        "[M" => format!("[{}", any('M')),
        "N-N" => format!("{}-{}", any('N'), any('N')),
        "9999999999999-N" => format!("9999999999999-{}", any('N')),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn any_commands_tell_what_redis_tells() {
    let flags = ["--notify-keyspace-events", "KEAnm", "--save", ""];
    let (mut ours, mut referee) = (Told::by(Server::start(&flags)), Told::by(Server::referee(&flags)));
    for seed in 0..20 {
        let mut random = Random::seeded(seed);
        let mut lines = Vec::new();
        for flush in ["SELECT 0", "FLUSHALL"] {
            assert_eq!(ours.run(flush), referee.run(flush));
        }
        for _ in 0..300 {
            lines.push(line(&mut random));
            let last = lines.last().unwrap();
            let ((our_reply, told), (reply, right)) = (ours.run(last), referee.run(last));
            assert_eq!(told, right, "seed {seed}: {our_reply} for {reply}, after {lines:#?}");
        }
    }
}

/// What was removed because memory was short is told as evicted and not as expired or deleted.
#[test]
fn an_evicted_key_is_told_as_evicted() {
    on_both(&["--notify-keyspace-events", "EA", "--save", ""], |server| {
        let (mut client, mut subscriber) = (server.client(), server.client());
        for n in 0..200 {
            assert!(client.call(&["SET", &format!("k{n}"), &"x".repeat(1000), "EX", "1000"]).is_ok());
        }
        subscriber.run("PSUBSCRIBE __keyevent@0__:*");
        assert!(client.run("CONFIG SET maxmemory-policy allkeys-lru").is_ok());
        assert!(client.run("CONFIG SET maxmemory 1").is_ok());
        until("keys are left", || client.run("DBSIZE") == Value::Int(0));
        let mut told: Vec<String> = (0..200)
            .map(|_| {
                let message = subscriber.read().items();
                assert_eq!(message[2].text(), "__keyevent@0__:evicted");
                message[3].text()
            })
            .collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 200);
    });
}

/// A client that is told of the end of a key does not find the key.
#[test]
fn who_is_told_that_a_key_has_expired_does_not_find_it() {
    on_both(&["--notify-keyspace-events", "Ex", "--save", ""], |server| {
        let (mut client, mut subscriber) = (server.client(), server.client_with(3));
        subscriber.run("PSUBSCRIBE __keyevent@0__:expired");
        for n in 0..50 {
            assert!(client.call(&["SET", &format!("k{n}"), "v", "PX", &format!("{}", 1 + n)]).is_ok());
        }
        for _ in 0..50 {
            let key = subscriber.read().items()[3].text();
            assert!(client.call(&["GET", &key]).is_null());
        }
    });
}

/// Redis 8.2 tells these; the referee is older. SET and what stores a result tell them first, others last.
#[test]
fn a_value_that_takes_the_place_of_another_is_told() {
    let mut told = Told::by(Server::start(&["--notify-keyspace-events", "KAoc"]));
    let mut check = |line: &str, right: &[&str]| {
        let right: Vec<String> = right.iter().map(|event| format!("__keyspace@0__:{event}")).collect();
        assert_eq!(told.run(line).1, right, "{line}");
    };
    for (line, right) in [
        ("SET k v", &["k set"][..]),
        ("SET k v", &["k overwritten", "k set"]),
        ("RPUSH l a", &["l rpush"]),
        ("SET l v", &["l overwritten", "l type_changed", "l set"]),
        ("SETNX l v", &[]),
        ("GETSET l v", &["l overwritten", "l set"]),
        ("SETEX l 100 v", &["l overwritten", "l set", "l expire"]),
        ("MSET k v n v", &["k overwritten", "k set", "n set"]),
        ("APPEND k x", &["k append"]),
        ("SETRANGE k 0 y", &["k setrange"]),
        ("SADD s a b", &["s sadd"]),
        ("COPY s new", &["new copy_to"]),
        ("COPY s k REPLACE", &["k copy_to", "k overwritten", "k type_changed"]),
        ("RENAME n new", &["n rename_from", "new rename_to", "new overwritten", "new type_changed"]),
        ("SUNIONSTORE k s", &["k overwritten", "k sunionstore"]),
        ("SUNIONSTORE new s", &["new overwritten", "new type_changed", "new sunionstore"]),
        ("ZADD z 1 a", &["z zadd"]),
        ("ZUNIONSTORE k 1 z", &["k overwritten", "k type_changed", "k zunionstore"]),
        ("ZRANGESTORE k z 0 -1", &["k overwritten", "k zrangestore"]),
        ("SORT s ALPHA STORE k", &["k overwritten", "k type_changed", "k sortstore"]),
        ("BITOP NOT k l", &["k overwritten", "k type_changed", "k set"]),
        ("SET k v PXAT 1", &["k overwritten", "k set", "k expire", "k expired"]),
        ("SINTERSTORE s none", &["s del"]),
        ("DEL new", &["new del"]),
    ] {
        check(line, right);
    }
    let Value::Bulk(payload) = told.client.run("DUMP z") else { panic!("no payload") };
    told.client.call(&[b"RESTORE".as_slice(), b"l", b"0", &payload, b"REPLACE"]);
    let right = ["restore", "overwritten", "type_changed"].map(|event| format!("__keyspace@0__:l {event}"));
    assert_eq!(told.run("PING").1, right);
    let shown = told.client.run("CONFIG GET notify-keyspace-events").items();
    assert_eq!(shown[1].text(), "AKoc");
}
