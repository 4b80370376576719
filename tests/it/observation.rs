//! What operators see: latency events, average times to live, memory freed in the background.

use crate::harness::{Client, Server, Value};
use std::time::{Duration, Instant};

/// Waits until INFO or LATENCY says something.
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
