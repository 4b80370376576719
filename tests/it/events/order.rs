//! Tests of the order and the positions of events, and of changes that are undone.

use super::heard::Ours;
use itemory::config::{AppendFsync, Settings};
use std::collections::HashMap;

#[test]
fn what_is_undone_tells_nothing() {
    let mut ours = Ours::in_memory();
    ours.run_line("TABLE.CREATE t PK id S");
    for line in [
        "MULTI",
        "ITEM.ATOMIC",
        "SET k v",
        "INCR n",
        "HSET h a b",
        "GET none",
        "ITEM.CHECK t 1 IF attribute_exists(id)",
    ] {
        assert_eq!(ours.run_line(line).1, Vec::<String>::new(), "{line}");
    }
    let (reply, told) = ours.run_line("EXEC");
    assert!(reply.is_error() && told.is_empty(), "{reply} {told:?}");
    for line in ["MULTI", "ITEM.ATOMIC", "SET k v"] {
        ours.run_line(line);
    }
    assert_eq!(ours.run_line("EXEC").1, ["0 new k", "0 set k"]);
}

#[test]
fn a_transaction_that_is_run_again_with_more_shards_tells_once() {
    let mut ours = Ours::in_memory();
    ours.run_line("TABLE.CREATE t PK id S KEYSPACE t:{id}");
    ours.run_line("TABLE.INDEX ADD t by_a PK a S");
    for n in 0..50 {
        let key = format!("t:{n}");
        assert_eq!(
            ours.run_line(&format!("HSET {key} a {n}")).1,
            [format!("0 new {key}"), format!("0 hset {key}")]
        );
        for line in ["MULTI".to_owned(), format!("INCR n{n}"), format!("HSET {key} a x{n}")] {
            ours.run_line(&line);
        }
        let told = ours.run_line("EXEC").1;
        assert_eq!(told, [format!("0 new n{n}"), format!("0 incrby n{n}"), format!("0 hset {key}")]);
    }
}

#[test]
fn two_changes_of_one_key_are_heard_in_their_order() {
    const KEYS: usize = 3;
    let ours = Ours::logged(Settings::default());
    std::thread::scope(|scope| {
        for thread in 1..=3 {
            let mut client = ours.beside(thread);
            scope.spawn(move || {
                for round in 0..600 {
                    let key = format!("k{}", (round + thread) % KEYS);
                    client.call(&["SETNX", &key, "v"]);
                    client.call(&["DEL", &key]);
                }
            });
        }
    });
    let mut last: HashMap<String, (u64, String)> = HashMap::new();
    let heard = ours.heard.take();
    for (position, event) in heard.iter().filter(|(_, event)| !event.contains(" new ")) {
        let (name, key) = event.split_once(" k").unwrap();
        let before = last.insert(key.to_owned(), (*position, name.to_owned()));
        let (earlier, named) = before.unwrap_or((0, "0 del".to_owned()));
        assert_ne!(named, name, "a key is set when it is not there, and deleted when it is");
        assert!(*position > earlier, "{position} after {earlier}");
    }
    assert!(heard.len() >= 2 * KEYS, "{}", heard.len());
}

#[test]
fn events_come_with_the_position_that_showing_them_waits_for() {
    let mut ours = Ours::logged(Settings { appendfsync: AppendFsync::Always, ..Settings::default() });
    let engine = std::sync::Arc::clone(&ours.server.engine);
    ours.call(&["SET", "k", "v"]);
    let heard = ours.heard.take();
    assert!(
        heard.iter().all(|(position, _)| *position == engine.tail() && *position > engine.settled()),
        "{heard:?}"
    );
    ours.call(&["GET", "none"]);
    let missed = ours.heard.take();
    assert_eq!(
        missed,
        [(engine.tail(), "0 keymiss none".to_owned())],
        "a deletion that is missed may not be durable yet"
    );
    engine.settle().unwrap();
    assert!(heard.iter().all(|(position, _)| *position <= engine.settled()));
}

#[test]
fn keys_fields_and_items_that_expire_are_told() {
    let mut ours = Ours::in_memory();
    for line in [
        "SET k v PX 5",
        "HSET h a 1 b 2 c 3",
        "HPEXPIRE h 5 FIELDS 2 a b",
        "HSET all a 1",
        "HPEXPIRE all 5 FIELDS 1 a",
        "TABLE.CREATE t PK id S TTL until KEYSPACE t:{id}",
        "ITEM.PUT t 1 SET 1 until:n 1700000001",
    ] {
        assert!(!ours.run_line(line).0.is_error(), "{line}");
    }
    ours.advance(2000);
    let engine = std::sync::Arc::clone(&ours.server.engine);
    let mut record = Vec::new();
    (0..engine.store.shard_count()).for_each(|shard| engine.expire_shard(shard, &mut record));
    let mut told: Vec<String> = ours.heard.take().into_iter().map(|(_, event)| event).collect();
    told.sort();
    assert_eq!(told, ["0 del all", "0 expired k", "0 expired t:1", "0 hexpired all", "0 hexpired h"]);
    for (line, told) in [
        ("ITEM.PUT t 1 SET 1 until:n 1700000003", &["0 new t:1", "0 hset t:1"][..]),
        ("HSET t:2 until 1700000003", &["0 new t:2", "0 hset t:2"]),
        ("HSET t:3 until 1700000003", &["0 new t:3", "0 hset t:3"]),
    ] {
        assert_eq!(ours.run_line(line).1, told, "{line}");
    }
    ours.advance(2000);
    for (line, told) in [
        ("ITEM.PUT t 1 SET 1 a b", &["0 expired t:1", "0 new t:1", "0 hset t:1"][..]),
        ("HSET t:2 a b", &["0 expired t:2", "0 new t:2", "0 hset t:2"]),
        ("HGET t:3 a", &["0 keymiss t:3"]),
    ] {
        assert_eq!(ours.run_line(line).1, told, "{line}");
    }
    let info = ours.run_line("INFO stats").0.text();
    for line in ["expired_keys:1\r", "expired_subkeys:3\r"] {
        assert!(info.contains(line), "{line} is not in {info}");
    }
}

/// Removes what is due, and returns what is told of it.
fn sweep(ours: &Ours) -> Vec<String> {
    let engine = std::sync::Arc::clone(&ours.server.engine);
    let mut record = Vec::new();
    (0..engine.store.shard_count()).for_each(|shard| engine.expire_shard(shard, &mut record));
    ours.heard.take().into_iter().map(|(_, event)| event).collect()
}

/// A server with packed hashes, and one with large ones.
fn both_forms(test: impl Fn(&mut Ours)) {
    for entries in ["512", "0"] {
        let mut ours = Ours::in_memory();
        assert!(ours.run_line(&format!("CONFIG SET hash-max-listpack-entries {entries}")).0.is_ok());
        test(&mut ours);
    }
}

#[test]
fn a_field_that_has_expired_is_told_before_what_removes_or_overwrites_it() {
    let cases = [
        ("HDEL h a b", &["0 hexpired h", "0 hdel h"][..]),
        ("HSETEX h PXAT 1 FIELDS 2 a 1 b 1", &["0 hexpired h", "0 hdel h"]),
        ("HSET h a 1 b 1 a 2", &["0 hexpired h", "0 hset h"]),
        ("HMSET h a 1", &["0 hexpired h", "0 hset h"]),
        ("HSETNX h a 1", &["0 hexpired h", "0 hset h"]),
        ("HINCRBY h a 1", &["0 hexpired h", "0 hincrby h"]),
        ("HSETEX h FIELDS 1 a 1", &["0 hexpired h", "0 hset h"]),
        ("HSETEX h KEEPTTL FIELDS 1 a 1", &["0 hexpired h", "0 hset h"]),
        ("HSETEX h EX 100 FIELDS 1 a 1", &["0 hexpired h", "0 hset h", "0 hexpire h"]),
        // These leave it to the background.
        ("HGETDEL h FIELDS 2 a b", &["0 hdel h", "0 hexpired h"]),
        ("HDEL h a", &["0 hexpired h"]),
        ("HPEXPIRE h 0 FIELDS 2 a b", &["0 hdel h", "0 hexpired h"]),
    ];
    both_forms(|ours| {
        for (number, (line, right)) in (1..).zip(cases) {
            for setup in ["FLUSHALL", "HSET h a 1 b 2 keep 3", "HPEXPIRE h 5 FIELDS 1 a"] {
                ours.run_line(setup);
            }
            ours.advance(5);
            let mut told = ours.run_line(line).1;
            told.extend(sweep(ours));
            assert_eq!(told, right, "{line}");
            let info = ours.run_line("INFO stats").0.text();
            assert!(info.contains(&format!("expired_subkeys:{number}\r")), "{line}: {info}");
        }
    });
}

/// Redis looks at the fields only in commands that name them. What is renamed takes them along.
#[test]
fn a_hash_that_is_removed_or_replaced_tells_nothing_of_fields_that_have_expired() {
    let cases = [
        ("DEL h", &["0 del h"][..]),
        ("UNLINK h", &["0 del h"]),
        ("SET h v", &["0 set h"]),
        ("COPY other h REPLACE", &["0 new h", "0 copy_to h"]),
        ("RENAME other h", &["0 new h", "0 rename_from other", "0 rename_to h"]),
        ("FLUSHALL", &[]),
        ("RENAME h to", &["0 new to", "0 rename_from h", "0 rename_to to", "0 hexpired to"]),
    ];
    both_forms(|ours| {
        for (line, right) in cases {
            for setup in ["FLUSHALL", "HSET h a 1 keep 3", "HPEXPIRE h 5 FIELDS 1 a", "SET other v"] {
                ours.run_line(setup);
            }
            ours.advance(5);
            let mut told = ours.run_line(line).1;
            told.extend(sweep(ours));
            assert_eq!(told, right, "{line}");
        }
    });
}

#[test]
fn the_end_of_a_hash_of_which_only_expired_fields_are_left_is_told_once_and_last() {
    let last = ["0 hdel e", "0 hexpired e", "0 del e"];
    both_forms(|ours| {
        let set_up = |ours: &mut Ours| {
            for line in ["FLUSHALL", "HSET e a 1 b 2", "HPEXPIRE e 5 FIELDS 1 a"] {
                ours.run_line(line);
            }
            ours.advance(5);
        };
        for line in [
            "HDEL e b",
            "HDEL e a b",
            "HGETDEL e FIELDS 1 b",
            "HPEXPIRE e 0 FIELDS 1 b",
            "HGETEX e PXAT 1 FIELDS 1 b",
            "HSETEX e PXAT 1 FIELDS 1 b 1",
        ] {
            set_up(ours);
            let mut told = ours.run_line(line).1;
            told.extend(sweep(ours));
            let right = if line == "HDEL e a b" { ["0 hexpired e", "0 hdel e", "0 del e"] } else { last };
            assert_eq!(told, right, "{line}");
        }
        set_up(ours);
        for line in ["MULTI", "HDEL e b", "HSET e c 1"] {
            ours.run_line(line);
        }
        assert_eq!(ours.run_line("EXEC").1, [&last[..], &["0 new e", "0 hset e"]].concat());
    });
}
