//! Scripts that never end beside commands of every family: each command is answered, if only by BUSY, and what ends the
//! script always gets through.

use crate::harness::{Client, Random, Server, Value, until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How a script comes to hold shards for ever: its words, whose number of keys follows the text.
const HOLDING: [(&str, &[&str]); 7] = [
    ("a declared key", &["while true do end", "1", "held"]),
    ("two declared keys", &["while true do redis.call('get', KEYS[2]) end", "2", "held", "other"]),
    ("no key", &["while true do end", "0"]),
    ("an undeclared key", &["redis.call('get', 'held') while true do end", "0"]),
    ("many undeclared keys", &["for n = 1, 60 do redis.call('get', 'key:'..n) end while true do end", "0"]),
    ("everything", &["redis.call('dbsize') while true do redis.pcall('get', 'held') end", "0"]),
    ("everything, for good", &["redis.call('slowlog', 'reset') while true do end", "1", "held"]),
];

/// What clients send meanwhile, one connection after the other: `k` stands for a key, `n` for a number.
const COMMANDS: &[&str] = &[
    "PING",
    "ECHO n",
    "GET k",
    "SET k n",
    "SET k n EX 100",
    "DEL k",
    "UNLINK k k",
    "INCR k",
    "MGET k k k",
    "MSET k n k n",
    "RENAME k k",
    "COPY k k REPLACE",
    "EXISTS k k",
    "EXPIRE k 1000",
    "HSET h:k f n",
    "HGETALL h:k",
    "SADD s:k n",
    "SUNIONSTORE s:k s:k s:k",
    "ZADD z:k n m",
    "RPUSH l:k n",
    "LMOVE l:k l:k LEFT RIGHT",
    "XADD x:k * f n",
    "SORT l:k",
    "BLPOP l:k 0.01",
    "BLMOVE l:k l:k LEFT RIGHT 0.01",
    "BZPOPMIN z:k 0.01",
    "XREAD BLOCK 10 STREAMS x:k $",
    "KEYS *",
    "SCAN 0 COUNT 100",
    "RANDOMKEY",
    "DBSIZE",
    "INFO",
    "INFO keyspace",
    "MEMORY USAGE k",
    "OBJECT ENCODING k",
    "DUMP k",
    "TOUCH k",
    "SWAPDB 0 1",
    "PUBLISH c n",
    "CONFIG SET maxmemory-samples 5",
    "CONFIG GET maxmemory",
    "CLIENT LIST",
    "CLIENT PAUSE 1 WRITE",
    "CLIENT NO-EVICT off",
    "CLIENT NO-TOUCH off",
    "SLOWLOG GET",
    "LATENCY HISTOGRAM",
    "COMMAND COUNT",
    "WAIT 0 1",
    "WATCH k",
    "UNWATCH",
    "DISCARD",
    "ITEM.PUT t k SET g k n n",
    "ITEM.UPDATE t k SET g k",
    "ITEM.GET t k",
    "ITEM.DEL t k",
    "ITEM.QUERY t k INDEX byg",
    "ITEM.SCAN t LIMIT 5",
    "ITEM.MGET t 2 k k",
    "ITEM.GET missing k",
    "ITEM.PUT missing k SET g n",
    "TABLE.DESCRIBE t",
    "TABLE.LIST",
    "TABLE.ALTER t TTL at",
    "TABLE.CREATE view PK id S KEYSPACE view:{id}",
    "TABLE.DROP view",
    "DDB ListTables {}",
    "DDB Scan {\"TableName\":\"t\"}",
    "DDB GetItem {\"TableName\":\"missing\",\"Key\":{\"id\":{\"S\":\"k\"}}}",
];

/// What clients run in several steps on one connection.
const SEQUENCES: &[&[&str]] = &[
    &["MULTI", "SET k n", "INCR k", "EXEC"],
    &["MULTI", "GET k", "DISCARD"],
    &["MULTI", "KEYS *", "EXEC"],
    &["MULTI", "ITEM.PUT t k SET g k", "SET k n", "EXEC"],
    &["MULTI", "ITEM.ATOMIC TOKEN n", "ITEM.PUT t k SET g k", "EXEC"],
    &["WATCH k k", "MULTI", "SET k n", "EXEC"],
    &["WATCH k", "GET k", "UNWATCH"],
    &["WATCH held", "MULTI", "PING", "EXEC"],
    &["MULTI", "EVAL return(1) 0", "EXEC"],
    &["MULTI", "SET k n", "EVAL return(redis.call('incr',KEYS[1])) 1 k", "EXEC"],
    &["EVAL return(1) 0"],
    &["EVAL return(redis.call('get',KEYS[1])) 1 k"],
    &["EVAL return(redis.call('set','k',1)) 0"],
    &["EVAL return(redis.call('get','held')) 1 key:1"],
    &["EVAL return(#redis.call('keys','*')) 0"],
    &["EVAL_RO return(redis.call('get',KEYS[1])) 1 k"],
    &["SCRIPT EXISTS 0123456789012345678901234567890123456789"],
];

/// A template with keys and numbers in the places of `k` and `n`.
fn filled(template: &str, random: &mut Random) -> Vec<String> {
    let mut key = || match random.below(6) {
        0 | 1 => "held".to_owned(),
        2 => "other".to_owned(),
        _ => format!("key:{}", random.below(100)),
    };
    let word = |word: &str| match word {
        "k" => key(),
        "n" => key().len().to_string(),
        word if word.ends_with(":k") => format!("{}{}", &word[..word.len() - 1], key()),
        word => word.replace("'k'", &format!("'{}'", key())),
    };
    template.split(' ').map(word).collect()
}

fn answer(client: &mut Client, random: &mut Random, template: &str, scene: &str) -> Value {
    let words = filled(template, random);
    let reply = client.call(&words);
    assert!(!matches!(reply, Value::Timeout | Value::Eof), "{scene}: {words:?}: {reply:?}");
    reply
}

/// Sends random commands until `done`, at least `steps`.
fn talk(server: &Server, mut random: Random, steps: usize, done: &AtomicBool, scene: &str) {
    let mut client = server.client();
    let mut step = 0;
    while step < steps || !done.load(Relaxed) {
        step += 1;
        if random.one_in(4) {
            let sequence = SEQUENCES[random.below(SEQUENCES.len())];
            for template in sequence {
                answer(&mut client, &mut random, template, scene);
            }
        } else {
            let template = COMMANDS[random.below(COMMANDS.len())];
            answer(&mut client, &mut random, template, scene);
        }
    }
}

fn is_busy(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with(b"BUSY ") || text.starts_with(b"EXECABORT"))
}

fn prepared(flags: &[&str]) -> Server {
    let server = Server::start(
        &[&["--save", "", "--io-threads", "2", "--busy-reply-threshold", "20"], flags].concat(),
    );
    let mut client = server.client();
    assert!(client.run("TABLE.CREATE t PK id S TTL at").is_ok());
    assert!(client.run("TABLE.INDEX ADD t byg PK g S").is_ok());
    for n in 0..100 {
        assert!(client.run(&format!("SET key:{n} {n}")).is_ok());
    }
    assert!(client.run("SET held 1").is_ok() && client.run("SET other 1").is_ok());
    server
}

/// Sends a script that does not end, alone or in a transaction.
fn begin(runner: &mut Client, script: &[&str], in_transaction: bool) {
    let words = [&["EVAL"], script].concat();
    if in_transaction {
        assert!(runner.run("MULTI").is_ok());
        // If memory is short it is not queued, and EXEC tells so.
        runner.call(&words);
        runner.send(&["EXEC"]).unwrap();
    } else {
        runner.send(&words).unwrap();
    }
}

fn was_killed(reply: &Value) -> bool {
    match reply {
        Value::Error(text) => text.starts_with(b"ERR Script killed by user"),
        Value::Array(replies) => replies.last().is_some_and(was_killed),
        _ => false,
    }
}

/// What is asked while a script holds shards is answered, by a reply or by BUSY, and then the script is killed.
#[test]
fn every_command_is_answered_beside_an_endless_script() {
    let mut random = Random::from_environment("every_command_is_answered_beside_an_endless_script");
    let server = prepared(&[]);
    for (scene, script) in HOLDING {
        for in_transaction in [false, true] {
            let (mut runner, mut client) = (server.client(), server.client());
            begin(&mut runner, script, in_transaction);
            until(scene, || is_busy(&client.run("DBSIZE")));
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let talks: Vec<_> = (0..6)
                    .map(|_| {
                        let (random, server, done) = (Random::seeded(random.next()), &server, &done);
                        scope.spawn(move || talk(server, random, 25, done, scene))
                    })
                    .collect();
                let end = End(&done);
                for _ in 0..50 {
                    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()), "{scene}");
                }
                drop(end);
                talks.into_iter().for_each(|talk| talk.join().unwrap());
            });
            assert!(is_busy(&client.run("DBSIZE")), "{scene}: it still runs");
            assert_eq!(client.run("SCRIPT KILL"), Value::Simple(b"OK".to_vec()), "{scene}");
            let reply = runner.read();
            assert!(was_killed(&reply), "{scene}: {reply:?}");
            assert!(client.run("SET held 1").is_ok(), "{scene}");
        }
    }
}

/// Ends the talks, also if the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Scripts begin and are killed while commands run, so that all races between them come up.
fn beside_scripts_that_come_and_go(flags: &[&str], what: &str) {
    let mut random = Random::from_environment(what);
    let server = prepared(flags);
    if !flags.is_empty() {
        let mut client = server.client();
        let used = client.run("INFO memory").text();
        let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        let most = used.trim().parse::<usize>().unwrap() + 200_000;
        assert!(client.run(&format!("CONFIG SET maxmemory {most}")).is_ok());
        for n in 0..2000 {
            assert!(client.call(&["SET", &format!("filler:{n}"), &"x".repeat(500)]).is_ok());
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let (random, server, done) = (Random::seeded(random.next()), &server, &done);
            scope.spawn(move || talk(server, random, 0, done, what));
        }
        let _end = End(&done);
        let mut client = server.client();
        for _ in 0..40 {
            let (scene, script) = HOLDING[random.below(HOLDING.len())];
            let mut runner = server.client();
            begin(&mut runner, script, random.one_in(2));
            let pause = random.below(30) as u64;
            std::thread::sleep(std::time::Duration::from_millis(pause));
            assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()), "{scene}");
            // The script may have to wait, and may not be run at all: for the memory, or BUSY.
            let reply = std::thread::scope(|scope| {
                let reads = scope.spawn(|| runner.read());
                until(scene, || {
                    let reply = client.run("SCRIPT KILL");
                    assert!(!matches!(reply, Value::Timeout | Value::Eof), "{scene}: {reply:?}");
                    reads.is_finished()
                });
                reads.join().unwrap()
            });
            let refused = matches!(&reply, Value::Error(text) if !text.starts_with(b"ERR"));
            assert!(was_killed(&reply) || refused, "{scene}: {reply:?}");
        }
    });
    assert!(matches!(server.client().run("DEL held"), Value::Int(_)));
}

#[test]
fn every_command_is_answered_beside_scripts_that_come_and_go() {
    beside_scripts_that_come_and_go(&[], "every_command_is_answered_beside_scripts_that_come_and_go");
}

#[test]
fn every_command_is_answered_beside_scripts_when_memory_is_short() {
    let flags = ["--maxmemory-policy", "allkeys-lru"];
    beside_scripts_that_come_and_go(&flags, "every_command_is_answered_beside_scripts_when_memory_is_short");
}

/// A client that waits for a key goes on waiting while a script holds the key, and is served when the script has ended.
#[test]
fn a_client_that_waits_is_served_once_a_script_gives_its_key_back() {
    let server = prepared(&[]);
    let (mut waiter, mut runner, mut client) = (server.client(), server.client(), server.client());
    // The element comes to `source`, which is free; where it is to go is held.
    waiter.send(&["BLMOVE", "source", "held:list", "LEFT", "LEFT", "0"]).unwrap();
    until("it waits", || client.run("INFO clients").text().contains("blocked_clients:1"));
    begin(&mut runner, &["while true do end", "1", "held:list"], false);
    until("it is held", || is_busy(&client.run("LLEN held:list")));
    assert_eq!(client.run("RPUSH source a"), Value::Int(1));
    assert!(client.run("INFO clients").text().contains("blocked_clients:1"), "it waits on");
    assert!(client.run("SCRIPT KILL").is_ok());
    assert_eq!(waiter.read(), Value::Bulk(b"a".to_vec()));
    assert_eq!(client.run("LRANGE held:list 0 -1"), Value::Array(vec![Value::Bulk(b"a".to_vec())]));
    assert!(was_killed(&runner.read()));
}

/// A transaction is all there or not at all, whenever the server ends.
#[test]
fn an_end_leaves_no_half_of_a_transaction_with_a_script() {
    for (ends, signal) in [("SHUTDOWN NOSAVE", false), ("SIGTERM", true)] {
        let mut server = prepared(&[]);
        let (mut runner, mut client) = (server.client(), server.client());
        for line in ["MULTI", "SET first 1"] {
            runner.run(line);
        }
        runner.call(&["EVAL", "redis.call('set', KEYS[1], '1') while true do end", "1", "second"]);
        runner.run("SET third 1");
        runner.send(&["EXEC"]).unwrap();
        until(ends, || is_busy(&client.run("GET second")));
        if signal {
            server.stop();
        } else {
            client.send(&["SHUTDOWN", "NOSAVE"]).unwrap();
            server.wait();
        }
        server.up();
        let mut client = server.client();
        assert_eq!(client.run("EXISTS first second third"), Value::Int(0), "{ends}");
        assert_eq!(client.run("EXISTS held"), Value::Int(1), "{ends}");
    }
}
