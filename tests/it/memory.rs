//! Tests that eviction chooses the right keys in time, and that expired keys leave memory without a stall.

use crate::harness::{Client, Server, Value, on_both};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const MAXMEMORY: u64 = 12 << 20;

fn fill(client: &mut Client, prefix: &str, count: usize, value: &str, expire: Option<&str>) -> usize {
    let mut bytes = Vec::new();
    for n in 0..count {
        let key = format!("{prefix}:{n}");
        let mut command = vec!["SET", &key, value];
        command.extend(expire.map(|at| ["EX", at]).into_iter().flatten());
        bytes.extend(Client::encode(&command));
    }
    client.send_raw(&bytes).unwrap();
    (0..count).filter(|_| client.read().is_ok()).count()
}

/// The number of existing keys among `prefix:0` to `prefix:count - 1`. EXISTS does not count as use.
fn left(client: &mut Client, prefix: &str, count: usize) -> usize {
    let keys: Vec<String> = (0..count).map(|n| format!("{prefix}:{n}")).collect();
    let args: Vec<&str> = std::iter::once("EXISTS").chain(keys.iter().map(String::as_str)).collect();
    client.call(&args).int().unwrap() as usize
}

fn used(server: &Server) -> u64 {
    server.info("used_memory").parse().unwrap()
}

/// What counts against the limit.
fn counted(server: &Server) -> u64 {
    used(server) - server.info("mem_not_counted_for_evict").parse::<u64>().unwrap()
}

/// Fills half of the free memory with `prefix` keys, and returns their number.
fn fill_half(server: &Server, client: &mut Client, prefix: &str, expire: Option<&str>) -> usize {
    let goal = used(server) + (MAXMEMORY - used(server)) / 2;
    let value = "x".repeat(500);
    let mut count = 0;
    while used(server) < goal {
        for n in count..count + 200 {
            let key = format!("{prefix}:{n}");
            let mut command = vec!["SET", &key, &value];
            command.extend(expire.map(|at| ["EX", at]).into_iter().flatten());
            assert!(client.call(&command).is_ok());
        }
        count += 200;
    }
    count
}

fn flags(policy: &str) -> [&str; 6] {
    ["--maxmemory", "12mb", "--maxmemory-policy", policy, "--maxmemory-samples", "10"]
}

#[test]
fn the_limit_is_kept_under_load() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        on_both(&flags(policy), |server| {
            let mut client = server.client();
            let ok = fill(&mut client, "k", 40_000, &"x".repeat(500), Some("1000"));
            assert_eq!(ok, 40_000, "{policy}: a write was refused");
            let counted = counted(server);
            assert!(counted < MAXMEMORY + (2 << 20), "{policy}: {counted} bytes used");
            let kept = client.run("DBSIZE").int().unwrap();
            assert!((2_000..35_000).contains(&kept), "{policy}: {kept} keys kept");
            assert!(server.info("evicted_keys").parse::<u64>().unwrap() > 1000);
        });
    }
}

/// A value of many elements is evicted with its key, whatever its type, and what it held is free for the next ones.
#[test]
fn the_limit_is_kept_while_large_values_of_all_types_come() {
    const ELEMENTS: usize = 2000;
    const KEYS: usize = 250;
    type Element = fn(usize) -> String;
    let kinds: [(&str, Element); 4] = [
        ("RPUSH", |n| format!("element{n:0>30}")),
        ("SADD", |n| format!("member{n:0>30}")),
        ("ZADD", |n| format!("{n} member{n:0>30}")),
        ("HSET", |n| format!("field{n} value{n:0>30}")),
    ];
    on_both(&flags("allkeys-lru"), |server| {
        let mut client = server.client();
        for (command, element) in kinds {
            let elements = (0..ELEMENTS).map(element).collect::<Vec<_>>().join(" ");
            for n in 0..KEYS {
                let reply = client.run(&format!("{command} {command}:{n} {elements}"));
                assert_eq!(reply.int(), Some(ELEMENTS as i64), "{command}: {reply}");
                assert!(n % 10 > 0 || counted(server) < MAXMEMORY + (2 << 20), "{command}, {n} keys");
            }
            let kept = left(&mut client, command, KEYS);
            assert!((10..KEYS * 4 / 5).contains(&kept), "{command}: {kept} keys kept");
        }
    });
}

/// Until a copy has parts of its own, what it shares with a value that is gone counts twice. No key is evicted for
/// that.
#[test]
fn nothing_is_evicted_for_what_a_copy_shared_with_a_value_that_is_gone() {
    const ELEMENTS: usize = 40_000;
    const SMALL: usize = 1000;
    let tenacity = ["--maxmemory-eviction-tenacity", "100"];
    let server = Server::start(&[&flags("allkeys-random")[..], &tenacity].concat());
    let mut client = server.client();
    for some in (0..ELEMENTS).collect::<Vec<_>>().chunks(1000) {
        let members = some.iter().map(|n| format!("member{n:0>60}")).collect::<Vec<_>>().join(" ");
        assert!(client.run(&format!("SADD set {members}")).int().is_some());
    }
    assert_eq!(fill(&mut client, "small", SMALL, "x", None), SMALL);
    let whole = client.run("MEMORY USAGE set").int().unwrap() as u64;
    let limit = used(&server) + whole / 2;
    assert!(client.run(&format!("CONFIG SET maxmemory {limit}")).is_ok());
    for round in 0..10 {
        let (from, to) = if round % 2 == 0 { ("set", "copy") } else { ("copy", "set") };
        let lines = ["MULTI".into(), format!("COPY {from} {to}"), format!("DEL {from}"), "EXEC".into()];
        client.send_raw(&lines.iter().flat_map(|line| encode(line)).collect::<Vec<_>>()).unwrap();
        (0..3).for_each(|_| assert!(!client.read().is_error()));
        assert_eq!(client.read().to_string(), "[:1 :1]");
        assert!(client.run("SET another x").is_ok());
        assert_eq!(server.info("evicted_keys"), "0", "round {round}");
    }
    assert!(counted(&server) < limit);
}

fn encode(line: &str) -> Vec<u8> {
    Client::encode(&line.split(' ').collect::<Vec<_>>())
}

#[test]
fn lru_keeps_what_is_used() {
    on_both(&flags("allkeys-lru"), |server| {
        let mut client = server.client();
        let hot = fill_half(server, &mut client, "hot", None);
        // The referee's clock of idle times counts seconds.
        std::thread::sleep(Duration::from_millis(1100));
        let value = "x".repeat(500);
        for n in 0..6000 {
            if n % 2 == 0 {
                client.run(&format!("GET hot:{}", n / 2 % hot));
            }
            assert!(client.call(&["SET", &format!("cold:{n}"), &value]).is_ok());
            if n % 1500 == 0 {
                std::thread::sleep(Duration::from_millis(1100));
                fill_gets(&mut client, "hot", hot);
            }
        }
        let (hot_left, cold_left) = (left(&mut client, "hot", hot), left(&mut client, "cold", 6000));
        assert!(hot_left * 2 > hot, "{hot_left} of {hot} hot keys left, {cold_left} cold ones");
    });
}

fn fill_gets(client: &mut Client, prefix: &str, count: usize) {
    for n in 0..count {
        client.send(&["GET", &format!("{prefix}:{n}")]).unwrap();
    }
    for _ in 0..count {
        client.read();
    }
}

#[test]
fn lfu_keeps_what_is_used_often() {
    on_both(&flags("allkeys-lfu"), |server| {
        let mut client = server.client();
        let hot = fill_half(server, &mut client, "hot", None);
        for _ in 0..30 {
            fill_gets(&mut client, "hot", hot);
        }
        fill(&mut client, "cold", 30_000, &"x".repeat(500), None);
        let hot_left = left(&mut client, "hot", hot);
        assert!(hot_left * 10 > hot * 8, "{hot_left} of {hot} hot keys left");
    });
}

/// A renamed key keeps its frequency, and renaming counts as a use. With a log factor of 0, each use counts.
#[test]
fn how_often_a_key_was_used_goes_along_with_it() {
    let flags = ["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0", "--lfu-decay-time", "0"];
    on_both(&flags, |server| {
        let mut client = server.client();
        let big = "x".repeat(300_000);
        client.call(&["SET", "key", &big]);
        client.run("HSET hash a 1 b 2");
        client.run("XADD stream 1-1 a b");
        for (key, read) in [("key", "STRLEN key"), ("hash", "HLEN hash"), ("stream", "XLEN stream")] {
            (0..50).for_each(|_| drop(client.run(read)));
            let freq =
                |client: &mut Client, key: &str| client.run(&format!("OBJECT FREQ {key}")).int().unwrap();
            assert_eq!(freq(&mut client, key), 55, "{key}");
            assert!(client.run(&format!("RENAME {key} other")).is_ok());
            assert_eq!(freq(&mut client, "other"), 56, "{key}");
            assert_eq!(client.run(&format!("RENAMENX other {key}")), Value::Int(1));
            assert_eq!(freq(&mut client, key), 57, "{key}");
            assert_eq!(client.run(&format!("MOVE {key} 1")), Value::Int(1));
            client.run("SELECT 1");
            assert_eq!(freq(&mut client, key), 58, "{key}");
            client.run("SELECT 0");
        }
    });
}

/// The types, each with the commands that make a value of it in small and in large, and those that replace a value of
/// any type by one of it.
type Replaced = (&'static str, [&'static str; 2], fn(&str) -> String);

const REPLACED: [Replaced; 6] = [
    ("string", ["SET {k} v", "SETRANGE {k} 300000 v"], |from| format!("BITOP NOT target {from}")),
    ("set", ["SADD {k} a b", "SADD {k} {many}"], |from| format!("SUNIONSTORE target {from}")),
    ("list", ["RPUSH {k} a b", "RPUSH {k} {many}"], |from| format!("SORT {from} ALPHA STORE target")),
    ("sorted set", ["ZADD {k} 1 a 2 b", "ZADD {k} {scored}"], |from| format!("ZUNIONSTORE target 1 {from}")),
    ("places", ["GEOADD {k} 1 1 a", "GEOADD {k} 1 1 a"], |from| {
        format!("GEOSEARCHSTORE target {from} FROMLONLAT 1 1 BYRADIUS 100 km")
    }),
    ("hash", ["HSET {k} a 1", "HSET {k} {many}"], |from| format!("COPY {from} target REPLACE")),
];

/// What is stored over a key has the key's frequency, whatever the types and sizes of both. A copy and a restored value
/// begin anew.
#[test]
fn a_value_that_replaces_another_keeps_the_frequency_unless_it_is_a_copy_or_restored() {
    let flags = ["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0", "--lfu-decay-time", "0"];
    let many = (0..600).map(|n| format!("e{n}")).collect::<Vec<_>>().join(" ");
    let scored = (0..600).map(|n| format!("{n} e{n}")).collect::<Vec<_>>().join(" ");
    let fill = |line: &str, key: &str| {
        line.replace("{k}", key).replace("{many}", &many).replace("{scored}", &scored)
    };
    let run = |client: &mut Client, line: &str| {
        let reply = client.run(line);
        assert!(!reply.is_error(), "{line:.60}: {reply}");
        reply
    };
    on_both(&flags, |server| {
        let mut client = server.client();
        for (kind, lines, replace) in REPLACED {
            for (from, over) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let begin = |client: &mut Client| {
                    run(client, "DEL from target");
                    run(client, &fill(lines[from], "from"));
                    run(client, &fill(lines[over], "target"));
                    (0..50).for_each(|_| drop(run(client, "TOUCH target")));
                };
                begin(&mut client);
                run(&mut client, &replace("from"));
                let freq = run(&mut client, "OBJECT FREQ target").int().unwrap();
                let copied = kind == "hash";
                assert_eq!(freq < 55, copied, "{kind}: {freq}, {from} over {over}");
                begin(&mut client);
                let payload = run(&mut client, "DUMP from").bytes().unwrap();
                let restore: [&[u8]; 5] = [b"RESTORE", b"target", b"0", &payload, b"REPLACE"];
                assert!(client.call(&restore).is_ok());
                let freq = run(&mut client, "OBJECT FREQ target").int().unwrap();
                assert!(freq < 10, "{kind}: {freq}, {from} restored over {over}");
            }
        }
    });
}

#[test]
fn ttl_takes_what_ends_soonest() {
    on_both(&flags("volatile-ttl"), |server| {
        let mut client = server.client();
        let late = fill_half(server, &mut client, "late", Some("100000"));
        fill(&mut client, "soon", 30_000, &"x".repeat(500), Some("500"));
        let late_left = left(&mut client, "late", late);
        assert!(late_left * 10 > late * 8, "{late_left} of {late} late keys left");
    });
}

#[test]
fn volatile_policies_leave_other_keys_alone() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        on_both(&flags(policy), |server| {
            let mut client = server.client();
            let lasting = fill_half(server, &mut client, "lasting", None);
            fill(&mut client, "volatile", 20_000, &"x".repeat(500), Some("1000"));
            assert_eq!(left(&mut client, "lasting", lasting), lasting, "{policy}");
            // If no volatile key is left, writes are refused.
            let value = "x".repeat(500);
            let refused = (0..60_000).any(|n| {
                let reply = client.call(&["SET", &format!("more:{n}"), &value]);
                matches!(reply, Value::Error(e) if e.starts_with(b"OOM"))
            });
            assert!(refused, "{policy}");
            assert_eq!(left(&mut client, "lasting", lasting), lasting, "{policy}");
        });
    }
}

#[test]
fn expired_keys_leave_memory_without_a_stall() {
    const COUNT: usize = 100_000;
    on_both(&["--enable-debug-command", "yes"], |server| {
        let mut client = server.client();
        let before = used(server);
        let mut bytes = Vec::new();
        for n in 0..COUNT {
            let ttl = (500 + n % 1000).to_string();
            bytes.extend(Client::encode(&["SET", &format!("k{n}"), "some value", "PX", &ttl]));
        }
        // Writes all keys, waits until they are gone, and returns the longest time that a reader waited meanwhile.
        let mut round = || {
            client.run("CONFIG RESETSTAT");
            let gone = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let (mut reader, gone) = (server.client(), &gone);
                let longest = scope.spawn(move || {
                    let mut longest = Duration::ZERO;
                    while !gone.load(Relaxed) {
                        let sent = Instant::now();
                        reader.run("PING");
                        longest = longest.max(sent.elapsed());
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    longest
                });
                client.send_raw(&bytes).unwrap();
                let written = (0..COUNT).filter(|_| client.read().is_ok()).count();
                let deadline = Instant::now() + Duration::from_mins(1);
                while client.run("DBSIZE").int() != Some(0) && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(20));
                }
                gone.store(true, Relaxed);
                assert_eq!((written, client.run("DBSIZE")), (COUNT, Value::Int(0)));
                longest.join().unwrap()
            })
        };
        // A busy machine may stall sometimes; a server that stalls does so each time.
        assert!((0..3).any(|_| round() < Duration::from_millis(500)), "each time a stall of half a second");
        assert_eq!(server.info("expired_keys"), COUNT.to_string());
        assert!(used(server) < before + (8 << 20), "{} before, {} after", before, used(server));
    });
}

#[test]
fn lookups_that_tell_what_they_found_are_counted_as_hits_and_misses() {
    on_both(&[], |server| {
        let mut client = Client::connect(server.address()).unwrap();
        for command in [
            "SET k v",
            "GET k",
            "GET missing",
            "GETEX k",
            "GETEX missing",
            "GETSET k w",
            "GETSET n w",
            "GETDEL n",
            "GETDEL missing",
            "MULTI",
            "GET k",
            "SET k x",
            "HGET missing f",
            "EXEC",
        ] {
            client.run(command);
        }
        assert_eq!(server.info("keyspace_hits"), "5");
        assert_eq!(server.info("keyspace_misses"), "5");
    });
}
