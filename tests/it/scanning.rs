//! Tests SCAN's guarantee: a full iteration returns each key that exists from its beginning to its end, whatever other
//! keys are added and removed, and never a key that did not exist.

use crate::harness::{Client, Random, on_both};
use std::collections::HashSet;

/// Makes one full iteration and returns what was returned. `disturb` is called between the calls.
fn full_scan(
    client: &mut Client,
    command: &[&str],
    rest: &[&str],
    mut disturb: impl FnMut(&mut Client, usize),
) -> Vec<String> {
    let mut cursor = "0".to_owned();
    let mut found = Vec::new();
    for turn in 0.. {
        let args: Vec<&str> =
            command.iter().copied().chain([cursor.as_str()]).chain(rest.iter().copied()).collect();
        let reply = client.call(&args);
        let parts = reply.items();
        assert_eq!(parts.len(), 2, "{reply}");
        found.extend(parts[1].items().iter().map(crate::harness::Value::text));
        cursor = parts[0].text();
        if cursor == "0" {
            return found;
        }
        assert!(turn < 100_000, "the iteration does not end");
        disturb(client, turn);
    }
    unreachable!()
}

#[test]
fn keys_that_stay_are_returned() {
    on_both(&[], |server| {
        let mut random = Random::from_environment("scan");
        let mut client = server.client();
        for count in ["1", "7", "10", "100", "1000"] {
            client.run("FLUSHALL");
            for n in 0..1000 {
                client.run(&format!("SET stay:{n} 1"));
            }
            let found = full_scan(&mut client, &["SCAN"], &["COUNT", count], |client, _| {
                for _ in 0..random.below(30) {
                    client.run(&format!("SET temporary:{} 1", random.below(2000)));
                }
                for _ in 0..random.below(30) {
                    client.run(&format!("DEL temporary:{}", random.below(2000)));
                }
            });
            let unique: HashSet<&str> = found.iter().map(String::as_str).collect();
            let missed: Vec<usize> =
                (0..1000).filter(|n| !unique.contains(format!("stay:{n}").as_str())).collect();
            assert!(missed.is_empty(), "COUNT {count} missed {missed:?}");
            assert!(unique.iter().all(|k| k.starts_with("stay:") || k.starts_with("temporary:")));
        }
    });
}

#[test]
fn tables_that_shrink_and_grow() {
    on_both(&[], |server| {
        let mut client = server.client();
        for n in 0..20_000 {
            client.send(&["SET", &format!("{}:{n}", if n % 100 == 0 { "stay" } else { "go" }), "1"]).unwrap();
        }
        (0..20_000).for_each(|_| assert!(client.read().is_ok()));
        let found = full_scan(&mut client, &["SCAN"], &["COUNT", "50"], |client, turn| {
            for n in (turn * 100..(turn + 1) * 100).filter(|n| n % 100 != 0 && *n < 20_000) {
                client.run(&format!("DEL go:{n}"));
            }
        });
        let unique: HashSet<&str> = found.iter().map(String::as_str).collect();
        assert!((0..200).all(|n| unique.contains(format!("stay:{}", n * 100).as_str())));
    });
}

#[test]
fn an_undisturbed_scan_returns_each_key() {
    on_both(&[], |server| {
        let mut client = server.client();
        for n in 0..500 {
            client.run(&format!("SET k{n} 1"));
            client.run(&format!("HSET h{n} f v"));
        }
        let scan = |client: &mut Client, rest: &[&str]| {
            let found = full_scan(client, &["SCAN"], rest, |_, _| {});
            found.into_iter().collect::<HashSet<_>>().len()
        };
        assert_eq!(scan(&mut client, &[]), 1000);
        assert_eq!(scan(&mut client, &["TYPE", "hash"]), 500);
        assert_eq!(scan(&mut client, &["MATCH", "k1*", "COUNT", "3"]), 111);
        assert_eq!(scan(&mut client, &["MATCH", "h1*", "TYPE", "string"]), 0);
        client.run("SELECT 1");
        assert_eq!(scan(&mut client, &[]), 0);
    });
}

#[test]
fn fields_that_stay_are_returned() {
    on_both(&[], |server| {
        let mut client = server.client();
        for n in 0..2000 {
            client.run(&format!("HSET h stay:{n} 1"));
        }
        let mut temporary = 0;
        let found = full_scan(&mut client, &["HSCAN", "h"], &["COUNT", "10"], |client, _| {
            for _ in 0..20 {
                temporary += 1;
                client.run(&format!("HSET h temporary:{temporary} 1"));
            }
            client.run(&format!("HDEL h temporary:{}", temporary / 2));
        });
        let unique: HashSet<&str> = found.iter().map(String::as_str).collect();
        assert!((0..2000).all(|n| unique.contains(format!("stay:{n}").as_str())));
    });
}
