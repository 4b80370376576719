//! Tests what operators see: latency events, average times to live, memory that is freed in the background.

use crate::harness::{Client, Server, Value};
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// Waits until the reply to INFO or LATENCY contains a text.
fn until(client: &mut Client, command: &str, wanted: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let reply = client.run(command);
        let text = match &reply {
            Value::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
            other => other.to_string(),
        };
        if text.contains(wanted) {
            return text;
        }
        assert!(Instant::now() < deadline, "{command} never says {wanted}: {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn hash(client: &mut Client, key: &str, fields: usize) {
    for from in (0..fields).step_by(1000) {
        let mut call = vec!["HSET".to_owned(), key.to_owned()];
        for n in from..(from + 1000).min(fields) {
            call.extend([format!("field:{n}"), "v".repeat(100)]);
        }
        assert!(!client.call(&call).is_error());
    }
}

#[test]
fn large_values_are_freed_in_the_background() {
    let server = Server::start(&["--appendonly", "no"]);
    let mut client = server.client();
    for command in ["UNLINK big", "DEL big", "SET big small"] {
        client.run("CONFIG RESETSTAT");
        hash(&mut client, "big", 20_000);
        assert!(!client.run(command).is_error());
        until(&mut client, "INFO memory", "lazyfreed_objects:1\r");
        until(&mut client, "INFO memory", "lazyfree_pending_objects:0\r");
        client.run("DEL big");
    }
    client.run("CONFIG RESETSTAT");
    client.run("MSET a 1 b 2 c 3");
    client.run("FLUSHALL ASYNC");
    until(&mut client, "INFO memory", "lazyfreed_objects:3\r");
    until(&mut client, "INFO memory", "lazyfree_pending_objects:0\r");
}

#[test]
fn long_holds_are_shown_by_what_held_the_shards() {
    let server = Server::start(&[]);
    let mut client = server.client();
    hash(&mut client, "big", 20_000);
    client.run("CONFIG RESETSTAT");
    assert_eq!(client.run("LATENCY HOLDS hgetall ping").to_string(), "[]");
    client.run("HGETALL big");
    client.run("PING");
    let shown = client.run("LATENCY HOLDS hgetall ping").to_string();
    assert!(shown.contains("hgetall") && !shown.contains("ping"), "{shown}");
    let info = until(&mut client, "INFO holdstats", "hold_hgetall:holds=1,longest_usec=");
    assert!(info.starts_with("# Holdstats"), "{info}");
    // A transaction holds all shards that its commands need; they hold none of their own.
    for command in ["MULTI", "HGETALL big", "EXEC"] {
        client.run(command);
    }
    let info = until(&mut client, "INFO holdstats", "hold_exec:holds=1,");
    assert!(info.contains("hold_hgetall:holds=1,"), "{info}");
    assert!(client.run("INFO").to_string().find("# Holdstats").is_none());
    client.run("CONFIG RESETSTAT");
    assert_eq!(client.run("LATENCY HOLDS hgetall exec").to_string(), "[]");
}

#[test]
fn slow_background_work_is_a_latency_event() {
    let flags =
        ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru", "--maxmemory-eviction-tenacity", "100"];
    let server = Server::start(
        &[&flags[..], &["--latency-monitor-threshold", "1", "--enable-debug-command", "yes"]].concat(),
    );
    let mut client = server.client();
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    for n in 0..20_000 {
        let key = n.to_string();
        client.send(&["SET", &key, "v", "PX", "1"]).unwrap();
    }
    for _ in 0..20_000 {
        assert!(client.read().is_ok());
    }
    client.run("DEBUG SET-ACTIVE-EXPIRE 1");
    until(&mut client, "LATENCY LATEST", "expire-cycle");
    let used: u64 = server.info("used_memory").parse().unwrap();
    hash(&mut client, "big", 100_000);
    assert!(client.run(&format!("CONFIG SET maxmemory {}", used + (1 << 20))).is_ok());
    let text = until(&mut client, "LATENCY LATEST", "eviction-cycle");
    assert!(text.contains("eviction-del"), "{text}");
    assert_eq!(client.run("EXISTS big"), Value::Int(0));
}

#[test]
fn the_average_time_to_live_is_guessed() {
    let server = Server::start(&["--appendonly", "no"]);
    let mut client = server.client();
    client.run("SET forever 1");
    assert_eq!(server.info("db0"), "keys=1,expires=0,avg_ttl=0,subexpiry=0");
    for n in 0..1000 {
        client.run(&format!("SET {n} v PX {}", 1_000_000 + n));
    }
    client.run("SELECT 3");
    client.run("SET k v PX 5000000");
    let average =
        |db: &str| -> u64 { server.info(db).split(&['=', ','][..]).nth(5).unwrap().parse().unwrap() };
    assert!((900_000..=1_001_000).contains(&average("db0")), "{}", average("db0"));
    assert!((4_900_000..=5_000_000).contains(&average("db3")), "{}", average("db3"));
}

#[test]
fn the_hashes_of_which_fields_expire_are_counted() {
    let mut server = Server::start(&["--appendonly", "yes"]);
    let mut client = server.client();
    let counted = |server: &Server, db: &str| server.info(db).rsplit_once("subexpiry=").unwrap().1.to_owned();
    client.run("SET there 1");
    for (line, expected) in [
        ("HSET a f v g w", "0"),
        ("HEXPIRE a 1000 FIELDS 1 f", "1"),
        ("HEXPIRE a 1000 FIELDS 1 g", "1"),
        ("EXPIRE a 1000", "1"),
        ("HPERSIST a FIELDS 1 f", "1"),
        ("HDEL a g", "0"),
        ("HEXPIRE a 1000 FIELDS 1 f", "1"),
        ("COPY a b", "2"),
        ("RENAME a c", "2"),
        ("RENAME b c", "1"),
        ("HSETEX d EX 1000 FIELDS 1 f v", "2"),
        ("HDEL d f", "1"),
        ("HSETEX d EX 1000 FIELDS 1 f v", "2"),
        ("SET d v", "1"),
        ("HSETEX e EX 1000 FIELDS 1 f v", "2"),
        ("HSET e f v", "1"),
        ("HSETEX e EX 1000 FIELDS 1 f v", "2"),
        ("DEL e", "1"),
    ] {
        assert!(!client.run(line).is_error(), "{line}");
        assert_eq!(counted(&server, "db0"), expected, "{line}");
    }
    server.restart();
    assert_eq!(counted(&server, "db0"), "1");
    let mut client = server.client();
    client.run("HSETEX short PX 1 FIELDS 1 f v");
    until(&mut client, "EXISTS short", "0");
    until(&mut client, "INFO keyspace", "subexpiry=1");
    client.run("SELECT 1");
    client.run("SET there 1");
    client.run("SWAPDB 0 1");
    assert_eq!((counted(&server, "db0"), counted(&server, "db1")), ("0".to_owned(), "1".to_owned()));
    client.run("FLUSHDB");
    client.run("SET there 1");
    assert_eq!(counted(&server, "db1"), "0");
}

/// The same commands count as lookups of keys as in Redis.
#[test]
fn hits_and_misses_are_counted_as_in_redis() {
    const SETUP: &str = "SET s abc | SET n 5 | HSET h f v g w | SET e x PX 100000 | SETBIT b 7 1 | SET d 1 | SET d2 1 | SET d3 1";
    const COMMANDS: &str = "GET s | GET no | MGET s no n | EXISTS s no s | TOUCH s no | TTL s | TTL no | PTTL e | \
     EXPIRETIME e | PEXPIRETIME no | TYPE s | TYPE no | STRLEN s | STRLEN no | GETRANGE s 0 1 | \
     GETRANGE no 0 1 | SUBSTR s 0 1 | GETBIT b 7 | GETBIT no 7 | BITCOUNT b | BITCOUNT no | \
     BITPOS b 1 | BITPOS no 1 | BITFIELD b GET u8 0 | BITFIELD_RO b GET u8 0 | \
     BITFIELD_RO no GET u8 0 | BITFIELD b SET u8 0 1 | BITFIELD no GET u8 0 | BITOP AND t s no | \
     BITOP NOT t s | HGET h f | HGET h no | HGET no f | HMGET h f no | HMGET no f | HGETALL h | \
     HGETALL no | HKEYS h | HVALS no | HLEN h | HLEN no | HEXISTS h f | HEXISTS no f | HSTRLEN h f | \
     HSTRLEN no f | HRANDFIELD h | HRANDFIELD no | HRANDFIELD h 2 | HSCAN h 0 | HSCAN no 0 | \
     DUMP s | DUMP no | OBJECT ENCODING s | OBJECT ENCODING no | OBJECT IDLETIME s | \
     OBJECT REFCOUNT no | MEMORY USAGE s | MEMORY USAGE no | LCS s n | LCS s no | SET s abc | \
     SET s abc GET | SET no2 abc GET | SET s abc NX | SET no3 x XX | SETNX s 1 | SETNX no4 1 | \
     GETSET s abc | GETSET no5 x | GETDEL d | GETDEL no | GETEX s | GETEX s EX 100 | \
     GETEX no EX 10 | GETEX s PERSIST | APPEND s a | APPEND no6 a | INCR n | INCR no7 | \
     INCRBYFLOAT n 1 | SETRANGE s 0 b | SETRANGE no8 0 b | DEL d2 | DEL no | UNLINK d3 no | \
     EXPIRE s 100 | EXPIRE no 100 | PERSIST s | PERSIST no | RENAME s s2 | RENAME s2 s | \
     RENAME no x | RENAMENX s n | COPY s s3 | COPY no x | COPY s n | MOVE n 1 | MOVE no 1 | \
     HSET h f v | HSET no9 f v | HDEL h nofield | HDEL no f | HINCRBY h c 1 | HSETNX h f 1 | \
     HINCRBYFLOAT h c 1 | SETBIT b 3 1 | SETBIT no10 3 1 | SETEX s 100 a | PSETEX s 10000 a | \
     MSET s a n 5 | MSETNX s a n 5 | MSETNX no11 a | DEBUG OBJECT s | SELECT 0 | GETSET h x | \
     GET h | HGET s f | INCR h | APPEND h x | EXPIRE h 1000 NX | OBJECT FREQ s | DBSIZE | \
     PEXPIREAT e 99999999999999 | EXPIREAT no 1";
    counted_as_in_redis(["keyspace_hits", "keyspace_misses"], SETUP, COMMANDS);
}

/// Checks that each command changes these figures of INFO by as much as in Redis.
fn counted_as_in_redis<const N: usize>(names: [&str; N], setup: &str, commands: &str) {
    let flags = ["--appendonly", "no", "--enable-debug-command", "yes"];
    let counts = |server: &Server| -> Vec<(String, [u64; N])> {
        let mut client = server.client();
        setup.split(" | ").for_each(|command| drop(client.run(command)));
        let figures = || names.map(|name| server.info(name).parse::<u64>().unwrap());
        let mut before = figures();
        let count = |command: &str| {
            client.run(command);
            let after = figures();
            let moved = std::array::from_fn(|i| after[i] - before[i]);
            before = after;
            (command.to_owned(), moved)
        };
        commands.split(" | ").map(count).collect()
    };
    let expected = counts(&Server::referee(&flags));
    assert_eq!(counts(&Server::start(&flags)), expected);
}

/// Each command counts as as many changes for save points as in Redis.
#[test]
fn changes_are_counted_as_in_redis() {
    const COMMANDS: &str = "SET s abc | SET s abc | SET s x NX | SET s x GET | GETSET s y | APPEND s z | SETRANGE s 0 a | \
     SETRANGE s 0  | MSET a 1 b 2 c 3 | MSETNX d 1 e 2 | MSETNX d 1 f 2 | INCR a | INCRBY a 0 | INCRBYFLOAT a 1.5 | \
     SETBIT bits 0 0 | SETBIT bits 0 0 | SETBIT bits 0 1 | SETBIT bits 0 1 | BITFIELD bf SET i5 0 11 | \
     BITFIELD bf SET i5 0 11 | BITFIELD bf SET i5 0 0 | BITFIELD bf INCRBY i5 0 0 | BITFIELD bf INCRBY i5 0 11 | \
     BITFIELD new SET u8 100 0 | BITFIELD new INCRBY u8 0 0 SET u8 8 3 INCRBY u8 0 1 | BITFIELD new GET u8 0 | \
     BITOP AND t s a | BITOP OR t none | BITOP OR t none | \
     HSET h f v | HSET h f v g w | HSET h f v g w i x | HMSET h a 1 b 2 | HSETNX h a 1 | HSETNX h z 1 | \
     HDEL h a b none | HDEL h none | HINCRBY h n 0 | HINCRBYFLOAT h n 1 | RENAME h h | RENAME h h2 | COPY h2 h3 | \
     COPY h2 h3 | COPY h2 h3 REPLACE | RENAMENX h2 h3 | RENAME h2 h3 | MOVE h3 1 | EXPIRE s 100 | EXPIRE s 100 NX | \
     PERSIST s | PERSIST s | GETEX s EX 100 | GETEX s PERSIST | GETEX s PERSIST | GETEX s | EXPIRE s -1 | GETDEL b | \
     GETDEL none | SETEX s 100 v | DEL s none c | UNLINK d e | GET a | SWAPDB 0 1 | SWAPDB 0 1 | TOUCH a | FLUSHDB | FLUSHDB | SET q 1 | FLUSHALL | FLUSHALL";
    counted_as_in_redis(["rdb_changes_since_last_save"], "FLUSHALL", COMMANDS);
}

/// MONITOR shows the commands of a transaction when EXEC runs them, in Redis's order.
#[test]
fn a_monitor_sees_transactions_in_the_order_of_redis() {
    let shown = |server: &Server| -> Vec<String> {
        let (mut monitor, mut client) = (server.client(), server.client());
        assert!(monitor.run("MONITOR").is_ok());
        for command in [
            "SET k 1",
            "MULTI",
            "INCR k",
            "NOSUCH",
            "DISCARD",
            "MULTI",
            "INCR k",
            "HSET k f v",
            "CONFIG GET hz",
            "EXEC",
            "WATCH k",
            "SET k 2",
            "MULTI",
            "PING",
            "EXEC",
            "GET k",
            "ECHO end",
        ] {
            client.run(command);
        }
        let mut lines = Vec::new();
        loop {
            // Time, database and address precede the words.
            let line = monitor.read().text();
            let words = line.split_once("] ").map_or(line.as_str(), |(_, words)| words).to_owned();
            lines.push(words);
            if lines.last().is_some_and(|line| line.contains("end")) {
                return lines;
            }
        }
    };
    assert_eq!(shown(&Server::start(&[])), shown(&Server::referee(&[])));
}

/// Without a password, a server that listens on all addresses serves only this machine; with a password it serves all
/// clients.
#[test]
fn protected_mode_refuses_other_addresses() {
    // No packet is sent: to connect a datagram socket only chooses the local address.
    let own = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let Some(own) =
        own.ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
    else {
        eprintln!(
            "\n*** NOT TESTED: protected mode, because this machine has no address but its loopback ***"
        );
        return;
    };
    let answer = |server: &Server, request: &[u8]| -> String {
        let address = SocketAddr::new(own, server.address().port());
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        drop(std::io::Write::write_all(&mut stream, request));
        let mut bytes = vec![0; 64];
        let got = stream.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..got]).into_owned()
    };
    let everywhere = ["--bind", "0.0.0.0", "--appendonly", "no"];
    let server = Server::start(&everywhere);
    assert!(answer(&server, b"PING\r\n").starts_with("-DENIED "), "{}", answer(&server, b"PING\r\n"));
    let mut local = server.client();
    assert!(!local.run("PING").is_error());
    assert!(local.run("CONFIG SET protected-mode no").is_ok());
    assert_eq!(answer(&server, b"PING\r\n"), "+PONG\r\n");
    assert!(local.run("CONFIG SET protected-mode yes requirepass secret").is_ok());
    assert!(answer(&server, b"PING\r\n").starts_with("-NOAUTH "));
}

#[test]
fn a_clients_bytes_forge_no_line_of_the_log() {
    for format in ["pretty", "json"] {
        let server = Server::start(&["--enable-debug-command", "yes", "--log-format", format]);
        let mut client = server.client();
        let forged = "a\n2026-01-01T00:00:00.000000Z  INFO forged\r\u{1b}[2J\u{9b}2J\u{7f}\0b";
        assert!(client.call(&["DEBUG", "LOG", forged]).is_ok());
        let before = server.log().len();
        assert!(client.call(&["DEBUG", "LOG", &"x".repeat(1 << 20)]).is_ok());
        let log = server.log();
        assert!(log.len() - before < 4096, "{} bytes of one message", log.len() - before);
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("forged")).collect();
        assert!(lines.len() == 1 && lines[0].contains("DEBUG LOG: a"), "{lines:?}");
        assert!(!log.contains(|c: char| c < ' ' && c != '\n'), "{log:?}");
        let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(format == "pretty" || log.lines().all(is_json), "{log}");
    }
}

#[test]
fn histories_cut_what_a_client_calls_itself() {
    let server = Server::start(&["--slowlog-log-slower-than", "0", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    let long = "x".repeat(1 << 20);
    assert!(client.call(&["CLIENT", "SETNAME", &long]).is_ok());
    for option in ["LIB-NAME", "LIB-VER"] {
        assert!(client.call(&["CLIENT", "SETINFO", option, &long]).is_ok());
    }
    assert!(client.call(&["AUTH", &long, &long]).is_error());
    assert!(client.call(&[&long, &long]).is_error());
    assert!(client.call(&["DEBUG", "ERROR", &long]).is_error());
    for history in ["SLOWLOG GET 100", "ACL LOG 100", "INFO everything", "LATENCY LATEST"] {
        let shown = client.run(history).to_string();
        assert!(!shown.contains(&long[..200]), "{history} shows {} bytes", shown.len());
    }
    assert!(client.run("CLIENT GETNAME").text() == long, "the name itself stays whole");
}

#[test]
fn an_errors_code_ends_no_line_of_info() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    for error in ["A:count=1\r\nforged:1 x", "NOBLANK", "A#B c"] {
        assert!(client.call(&["DEBUG", "ERROR", error]).is_error());
    }
    let text = client.run("INFO errorstats").text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        lines,
        ["# Errorstats", "errorstat_A_B:count=1", "errorstat_A_count=1:count=1", "errorstat_ERR:count=1"]
    );
}
