//! Commands that are sent together have the same replies and effects as commands that are sent one by one. Random
//! commands of every family go to one server singly, and to another in batches of one write each, with checkpoints,
//! kills and restarts of both.

use crate::harness::{Client, Random, Server, Value, until};
use crate::random::{command, contents, filled};
use std::fmt::Write as _;

/// The number of clients of each server. They take turns, so that their commands have one order.
const CLIENTS: usize = 3;
/// The number of batches between two kills.
const BATCHES: usize = 120;
/// The most commands of a batch: more than are looked up together.
const LONGEST: usize = 80;
/// The number of fields and items of large values: more than a checkpoint writes in one piece.
const LARGE: usize = 4500;

/// Templates as in `random.rs`: commands that change the meaning of keys, and commands on such keys.
const COMMANDS: &[&str] = &[
    "SELECT 0",
    "SELECT 0",
    "SELECT 1",
    "RESET",
    "SWAPDB 0 1",
    "FLUSHDB",
    "DBSIZE",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH u",
    "WATCH u k h",
    "HSET u f v",
    "HSET u f v a v",
    "HSET u f v f v",
    "HSETNX u f v",
    "HGETALL u",
    "HGET u f",
    "SADD u m",
    "SREM u m",
    "SUNIONSTORE y y y",
    "SMOVE y u m",
    "HLEN u",
    "HDEL u f a",
    "HINCRBY u f i",
    "GET u",
    "SET u v",
    "SET u v NX",
    "GETDEL u",
    "DEL u",
    "DEL u k h",
    "EXISTS u u k",
    "TYPE u",
    "MGET u k u",
    "PEXPIREAT u 33177117420000",
    "PEXPIREAT u 1000",
    "PEXPIRETIME k",
    "RENAME u k",
    "RENAME k u",
    "COPY h u REPLACE",
    "XADD u J f v",
    "HPEXPIREAT h 1000 FIELDS 1 f",
    "HPEXPIREAT h 33177117420000 FIELDS 2 f f",
    "HPEXPIRETIME h FIELDS 2 f f",
    "PEXPIREAT h 33177117420000",
    "HDEL h field0 field1 field2 field3 field4 field5",
    "ITEM.PUT users d SET 2 f v a f",
    "ITEM.PUT users d SET 1 a f IF attribute_not_exists(a)",
    "ITEM.GET users d",
    "ITEM.UPDATE users d SET 1 a f",
    "ITEM.UPDATE users d INCR 1 n 5 RETURN NEW",
    "ITEM.DEL users d RETURN OLD",
    "ITEM.CHECK users d IF attribute_exists(a)",
    "ITEM.QUERY users f INDEX by_a",
    "ITEM.SCAN users",
    "ITEM.ATOMIC",
    "ITEM.PUT orders f d SET 1 a v",
    "ITEM.PUT orders f d SET 1 a f",
    "ITEM.UPDATE orders f d INCR 1 n 2",
    "ITEM.GET orders f d",
    "ITEM.DEL orders f d",
    "ITEM.QUERY orders f",
    "ITEM.MGET orders 2 f d f d",
    "XLEN users@stream",
    "DEL users@stream",
    "TABLE.LIST",
];

/// Commands that Redis 7.0 does not have or has little of, and blocking ones, which here wait for a moment only.
const NEWER: &[&str] = &[
    "SET k v IFEQ v",
    "SET k v IFNE v GET",
    "DELEX k IFEQ v",
    "DELIFEQ k v",
    "INCREX k BYINT d",
    "MSETEX 2 k v k v NX",
    "MSETEX 2 k v k v EXAT 33177117420",
    "HSETEX h EXAT t FIELDS 2 f v f v",
    "HSETEX h FNX FIELDS 1 f v",
    "HGETEX h PERSIST FIELDS 1 f",
    "HGETEX h EXAT t FIELDS 2 f f",
    "HGETDEL h FIELDS 2 f f",
    "HPERSIST h FIELDS 1 f",
    "LMOVEM l l LEFT RIGHT COUNT 2 OBO",
    "LMOVEM l l RIGHT LEFT EXACTLY 2 BULK",
    "BLMOVEM l l LEFT LEFT 0.001 EXACTLY 3 BULK",
    "BLMPOP 0.001 2 l l LEFT COUNT d",
    "BRPOP l l 0.001",
    "BRPOPLPUSH l l 0.001",
    "BLMOVE l l RIGHT LEFT 0.001",
    "BZPOPMIN z z 0.001",
    "BZPOPMAX z 0.001",
    "BZMPOP 0.001 2 z z MAX COUNT 2",
    "XREAD BLOCK 1 COUNT 1 STREAMS s s j j",
    "XREADGROUP GROUP group f COUNT 1 BLOCK 1 STREAMS s >",
    "ZDIFF 2 z z WITHSCORES",
    "ZREVRANGE z 0 d WITHSCORES",
    "ZREVRANGEBYLEX e + [f",
    "ZRANGE e [f + BYLEX LIMIT 0 3",
    "SUNIONCARD 2 y y",
    "SDIFFCARD 3 y y y LIMIT 2",
    "SORT l ALPHA DESC STORE l",
    "SORT y ALPHA LIMIT 0 3",
    "SORT_RO z BY nosort GET # GET key*",
    "GEORADIUS_RO z d d 900 km ASC",
    "MOVE z 1 REPLACE",
    "XSETID s J",
    "XDELEX s ACKED IDS 2 j j",
    "XDELEX s DELREF IDS 1 j",
    "XACKDEL s group DELREF IDS 2 j j",
    "XTRIM s MAXLEN 5 ACKED",
    "XADD s MAXLEN 6 KEEPREF J f v",
    "SETRANGE p 20 v",
    "PUBLISH channel v",
];

/// Scripts and functions. Keys that they declare are not always those that they use.
const SCRIPTS: &[&str] = &[
    "EVAL return(redis.call(unpack(ARGV))) 1 k SET k v",
    "EVAL return(redis.call(unpack(ARGV))) 1 k INCR k",
    "EVAL return(redis.call(unpack(ARGV))) 0 RPUSH l v v",
    "EVAL return(redis.call(unpack(ARGV))) 0 LMOVE l l LEFT RIGHT",
    "EVAL return(redis.call(unpack(ARGV))) 0 BLPOP l 0",
    "EVAL return(redis.call(unpack(ARGV))) 0 SMOVE y y m",
    "EVAL return(redis.call(unpack(ARGV))) 0 ZUNIONSTORE z 2 z z",
    "EVAL return(redis.call(unpack(ARGV))) 0 PFMERGE p p p",
    "EVAL return(redis.call(unpack(ARGV))) 0 GEOADD z r r f",
    "EVAL return(redis.call(unpack(ARGV))) 0 XADD s J f v",
    "EVAL return(redis.call(unpack(ARGV))) 0 RENAME k k",
    "EVAL return(redis.call(unpack(ARGV))) 0 HSET u f v",
    "EVAL return(redis.call(unpack(ARGV))) 0 ITEM.UPDATE users d INCR 1 n 5",
    "EVAL return(redis.call(unpack(ARGV))) 0 ITEM.GET users d",
    "EVAL redis.call('SET',KEYS[1],'half')redis.call('LPUSH',KEYS[1],'x') 1 k",
    "EVAL redis.call('RPUSH',KEYS[1],'half')error('stop') 1 l",
    "EVAL redis.call('SADD',KEYS[1],ARGV[1])redis.call('SADD',KEYS[2],ARGV[2]) 2 y y m m",
    "EVAL_RO return(redis.call('GET',KEYS[1])) 1 k",
    "EVAL_RO return(redis.call('SET',KEYS[1],'x')) 1 k",
    "SCRIPT LOAD return(7)",
    "SCRIPT FLUSH",
    "EVALSHA SHA 1 k",
    "FCALL any 1 k SET k v",
    "FCALL any 0 LPUSH l v",
    "FCALL any 0 ZINCRBY z d f",
    "FCALL any 0 ITEM.PUT users d SET 1 a f",
    "FCALL_RO read 1 k",
    "FCALL_RO any 1 k GET k",
];

/// Two functions: one that runs any command, and one that only reads.
const LIBRARY: &str = "#!lua name=functions
redis.register_function('any', function(keys, args) return redis.call(unpack(args)) end)
redis.register_function{
    function_name = 'read', callback = function(keys) return redis.call('GET', keys[1]) end, flags = {'no-writes'}
}";

/// The digest of `return(7)`.
const SEVEN: &str = "bc70ae583496ef68242126e5f723b4224435af02";

/// Templates that are used rarely.
const RARE: &[&str] = &[
    "TABLE.CREATE users PK id S KEYSPACE user:{id} INDEX by_a PK a S STREAM NEW",
    "TABLE.CREATE users PK id S KEYSPACE user:{id} INDEX by_a PK a S STREAM NEW",
    "TABLE.CREATE users PK id S INDEX by_a PK a S",
    "TABLE.ALTER users KEYSPACE user:{id}",
    "TABLE.ALTER users NOKEYSPACE",
    "TABLE.ALTER users STREAM BOTH",
    "TABLE.ALTER users NOSTREAM",
    "TABLE.DROP users",
    "TABLE.CREATE orders PK id S SK no N",
    "TABLE.CREATE orders PK id S SK no N INDEX by_a PK a S",
    "TABLE.DROP orders",
    "CONFIG SET hash-max-listpack-entries 4",
    "CONFIG SET hash-max-listpack-entries 512",
    "CONFIG SET set-max-listpack-entries 4",
    "CONFIG SET set-max-listpack-entries 128",
    "CONFIG SET zset-max-listpack-entries 2",
    "CONFIG SET zset-max-listpack-entries 128",
    "CONFIG SET list-max-listpack-size 2",
    "CONFIG SET list-max-listpack-size -2",
    "EVAL return(redis.call('FLUSHDB')) 0",
    "FUNCTION LOAD LIBRARY",
    "FUNCTION LOAD REPLACE LIBRARY",
    "FUNCTION LOAD REPLACE LIBRARY",
    "FUNCTION DELETE functions",
];

/// A command to which both servers reply alike; random fields of a large hash are excluded.
pub(crate) fn any(random: &mut Random, step: usize) -> Vec<Vec<u8>> {
    loop {
        let mut command = match random.below(24) {
            0..=9 => command(random, step),
            10..=17 => filled(random.pick(COMMANDS), random, step),
            18..=20 => filled(random.pick(NEWER), random, step),
            21..=22 => filled(random.pick(SCRIPTS), random, step),
            _ => filled(random.pick(RARE), random, step),
        };
        for word in &mut command {
            match word.as_slice() {
                b"LIBRARY" => *word = LIBRARY.into(),
                b"SHA" => *word = SEVEN.into(),
                _ => {}
            }
        }
        if command[0] != b"HRANDFIELD" {
            return command;
        }
    }
}

/// Commands that make a value large, that empty it, or that empty and refill it.
fn large(random: &mut Random) -> Vec<Vec<Vec<u8>>> {
    let words = |line: String| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let key = format!("hash{}", random.below(4));
    let fields: Vec<String> = (0..LARGE).map(|n| format!("large{n}")).collect();
    let fill = || words(format!("HSET {key} {} v", fields.join(" v ")));
    let empty = || words(format!("HDEL {key} {}", fields[1..].join(" ")));
    let expire = words(format!("PEXPIREAT {key} 33177117420000"));
    let set = format!("set{}", random.below(4));
    let members = |from: usize| (from..LARGE).map(|n| format!("large{n}")).collect::<Vec<_>>().join(" ");
    let refill_set = vec![
        words("MULTI".into()),
        words(format!("SADD {set} {}", members(0))),
        words(format!("SREM {set} {}", members(1))),
        words(format!("SADD {set} other")),
        words("EXEC".into()),
        words(format!("SADD {set} {}", members(9))),
    ];
    let item = |n: &usize| words(format!("ITEM.PUT orders large {n} SET 1 a {n}"));
    let refill = |from: usize| {
        vec![
            words("MULTI".into()),
            empty(),
            words(format!("HSET {key} p {from}")),
            words(format!("HDEL {key} large0")),
            words("EXEC".into()),
        ]
    };
    match random.below(5) {
        4 => refill_set,
        0 => vec![words(format!("DEL {key}")), fill(), expire],
        1 => refill(random.below(100)),
        2 => [refill(1), vec![fill(), empty(), fill()]].concat(),
        _ => {
            let from = random.below(LARGE);
            (0..LARGE).collect::<Vec<_>>()[from..(from + LONGEST).min(LARGE)].iter().map(item).collect()
        }
    }
}

/// Sends commands in one write and reads their replies.
fn together(client: &mut Client, commands: &[Vec<Vec<u8>>]) -> Vec<Value> {
    let bytes: Vec<u8> = commands.iter().flat_map(|command| Client::encode(command)).collect();
    client.send_raw(&bytes).unwrap();
    commands.iter().map(|_| client.read()).collect()
}

/// All keys, tables and items.
fn everything(server: &Server) -> String {
    let client = &mut server.client();
    let mut out = contents(&mut |line| client.run(line));
    for line in [
        "TABLE.LIST",
        "ITEM.SCAN users",
        "ITEM.SCAN orders",
        "ITEM.QUERY orders large COUNT",
        "FUNCTION LIST WITHCODE",
    ] {
        writeln!(out, "{line} {}", client.run(line).sorted()).unwrap();
    }
    for database in 0..2 {
        client.run(&format!("SELECT {database}"));
        writeln!(out, "DBSIZE {}", client.run("DBSIZE")).unwrap();
    }
    writeln!(out, "DIGEST {}", client.run("DEBUG DIGEST")).unwrap();
    out
}

/// A reply in a fixed order. If several keys refuse a command, each server may name another one.
pub(crate) fn plain(value: &Value) -> Value {
    match value.sorted() {
        Value::Error(text) if text.starts_with(b"VALIDATION key ") => {
            Value::Error(b"VALIDATION key".to_vec())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()).sorted(),
        other => other,
    }
}

struct Pair {
    single: Server,
    batched: Server,
    clients: Vec<(Client, Client)>,
    history: Vec<String>,
}

impl Pair {
    fn new(flags: &[&str]) -> Self {
        let (single, batched) = (Server::start(flags), Server::start(flags));
        let mut pair = Self { single, batched, clients: Vec::new(), history: Vec::new() };
        pair.connect();
        pair
    }

    fn connect(&mut self) {
        self.clients = (0..CLIENTS).map(|_| (self.single.client(), self.batched.client())).collect();
    }

    fn last(&self) -> String {
        self.history[self.history.len().saturating_sub(150)..].join("\n")
    }

    /// Runs commands on both servers.
    fn run(&mut self, who: usize, commands: &[Vec<Vec<u8>>]) {
        let (single, batched) = &mut self.clients[who];
        let expected: Vec<Value> = commands.iter().map(|command| single.call(command)).collect();
        let came = together(batched, commands);
        for ((command, expected), came) in commands.iter().zip(expected).zip(came) {
            let shown: Vec<_> = command.iter().take(12).map(|word| String::from_utf8_lossy(word)).collect();
            self.history.push(format!("[{who}] {} -> {:.300}", shown.join(" "), expected.to_string()));
            assert!(plain(&came) == plain(&expected), "in a batch: {came:.2000}\n{}", self.last());
        }
        self.history.push("--".into());
    }

    fn compare(&self) {
        let (single, batched) = (everything(&self.single), everything(&self.batched));
        assert!(single == batched, "one by one:\n{single}\nin batches:\n{batched}\n{}", self.last());
    }

    fn crash(&mut self) {
        self.compare();
        let before = everything(&self.batched);
        self.single.crash();
        self.batched.crash();
        self.history.push("-- killed and started again".into());
        self.compare();
        let after = everything(&self.batched);
        assert!(before == after, "before:\n{before}\nafter:\n{after}\n{}", self.last());
        self.connect();
    }
}

fn pipelined_equals_single(threads: &str, fsync: &str) {
    let mut random = Random::from_environment("pipelined");
    let flags = [
        ["--appendonly", "yes"],
        ["--appendfsync", fsync],
        ["--io-threads", threads],
        ["--enable-debug-command", "yes"],
    ];
    let mut pair = Pair::new(flags.as_flattened());
    let setup: Vec<_> = [RARE[0], RARE[9]].map(|line| filled(line, &mut random, 0)).into();
    pair.run(0, &setup);
    let mut step = 0;
    for round in 0..3 {
        for _ in 0..BATCHES {
            let commands = if random.one_in(12) {
                large(&mut random)
            } else {
                let longest = if random.one_in(3) { LONGEST } else { 8 };
                let length = 1 + random.below(longest);
                (0..length).map(|n| any(&mut random, step + n)).collect()
            };
            step += commands.len();
            pair.run(random.below(CLIENTS), &commands);
            if random.one_in(if round == 0 { 1000 } else { 20 }) {
                // A checkpoint that is already being written is as good.
                pair.single.client().run("BGSAVE");
                pair.batched.client().run("BGSAVE");
            }
        }
        pair.crash();
    }
}

#[test]
fn batches_are_as_single_commands_with_one_worker_thread() {
    pipelined_equals_single("1", "everysec");
}

#[test]
fn batches_are_as_single_commands_with_two_worker_threads() {
    pipelined_equals_single("2", "everysec");
}

#[test]
fn batches_are_as_single_commands_at_always() {
    pipelined_equals_single("2", "always");
}

/// More of a reply than the sockets hold is sent although the connection's next command takes long.
#[test]
fn the_rest_of_a_large_reply_is_sent_while_the_next_command_takes_long() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    let value = "x".repeat(40 << 20);
    assert!(client.call(&["SET", "big", &value]).is_ok());
    let pipeline = [Client::encode(&["GET", "big"]), Client::encode(&["DEBUG", "SLEEP", "100000"])].concat();
    client.send_raw(&pipeline).unwrap();
    let mut other = server.client();
    let sleeps = || other.run("CLIENT LIST").text().contains(" cmd=debug ");
    until("the command is under way", sleeps);
    assert_eq!(client.read().bytes().unwrap().len(), value.len());
}
