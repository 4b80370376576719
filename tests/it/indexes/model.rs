//! Random changes of items and indexes on a simulated disk, with restarts, checkpoints and a clock that advances.

use super::check;
use crate::harness::Random;
use crate::model::in_process::InProcess;
use crate::model::{Reopen, Subject};
use itemory::config::AppendFsync;

const DEFINITIONS: [(&str, &str); 6] = [
    ("g1", "PK a S SK b N"),
    ("g2", "PK b N PROJECT KEYS"),
    ("g3", "PK a S PK c S SK b N SK d S PROJECT 1 e"),
    ("g4", "PK d S SK k N PROJECT 2 a until"),
    ("l1", "SK b N PROJECT KEYS LOCAL"),
    ("l2", "SK a S SK c S LOCAL"),
];

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Attributes and values for SET. Some of the names are keys of indexes, and there are only a few values, so that items
/// share them.
fn pairs(random: &mut Random, now: u64) -> String {
    let mut pairs = Vec::new();
    for name in ["a", "c", "d"] {
        if random.one_in(2) {
            pairs.push(format!("{name} {name}{}", random.below(3)));
        }
    }
    if random.one_in(2) {
        pairs.push(format!("b:n {}", random.below(5) as i64 - 2));
    }
    if random.one_in(3) {
        pairs.push(format!("e:n {}", random.below(1000)));
    }
    if random.one_in(8) {
        pairs.push(format!("long {}", "x".repeat(random.below(1500))));
    }
    if random.one_in(4) {
        let at = now / 1000 + random.below(20) as u64;
        pairs.push(format!("{}:n {at}", random.pick(&["until", "other"])));
    }
    if pairs.is_empty() {
        pairs.push("e:n 1".into());
    }
    format!("SET {} {}", pairs.len(), pairs.join(" "))
}

fn write(random: &mut Random, now: u64) -> String {
    let key = format!("t p{} {}", random.below(3), random.below(30));
    match random.below(10) {
        0..=3 => format!("ITEM.PUT {key} {}", pairs(random, now)),
        4..=6 => format!("ITEM.UPDATE {key} {}", pairs(random, now)),
        7 => format!("ITEM.UPDATE {key} REMOVE 2 {} {}", random.pick(&["a", "c"]), random.pick(&["b", "d"])),
        8 => format!("ITEM.PUT {key} {} IF attribute_not_exists(a)", pairs(random, now)),
        _ => format!("ITEM.DEL {key}"),
    }
}

/// Does the work of a server's background threads.
fn background(subject: &InProcess, random: &mut Random, whole: bool) {
    let engine = subject.engine();
    let mut record = Vec::new();
    engine.follow_tables();
    if whole || random.one_in(2) {
        (0..engine.store.shard_count()).for_each(|shard| engine.expire_shard(shard, &mut record));
    }
    engine.store.bury_some(engine.clock.now_ms(), 100);
    while engine.build_indexes(0, &mut record) && (whole || !random.one_in(4)) {}
}

fn step(subject: &mut InProcess, random: &mut Random) {
    let now = subject.now();
    let mut send = |line: String| {
        let reply = subject.call(0, &words(&line));
        assert!(!reply.is_error() || !line.starts_with("ITEM"), "{line}: {reply}");
    };
    match random.below(100) {
        0..=69 => send(write(random, now)),
        70..=79 => {
            send("MULTI".into());
            if random.one_in(2) {
                send("ITEM.ATOMIC".into());
            }
            for _ in 0..=random.below(5) {
                send(write(random, now));
            }
            if random.one_in(3) {
                send("ITEM.CHECK t p0 1 IF attribute_exists(a)".into());
            }
            send("EXEC".into());
        }
        80..=82 => {
            let (name, clauses) = DEFINITIONS[random.below(DEFINITIONS.len())];
            send(format!("TABLE.INDEX ADD t {name} {clauses}"));
        }
        83 | 84 => send(format!("TABLE.INDEX DROP t {}", DEFINITIONS[random.below(DEFINITIONS.len())].0)),
        85 => send(format!("TABLE.ALTER t {}", random.pick(&["TTL until", "TTL other", "NOTTL"]))),
        86..=90 => drop(subject.advance(random.below(4000) as u64)),
        91 | 92 => subject.checkpoint(),
        93 => subject.reopen(if random.one_in(2) { Reopen::Kill } else { Reopen::Orderly }),
        _ => background(subject, random, false),
    }
}

fn compare(fsync: AppendFsync, steps: usize) {
    let mut random = Random::from_environment("indexes");
    let mut subject = InProcess::new(fsync, 1);
    subject.call(0, &words("TABLE.CREATE t PK id S SK k N TTL until INDEX g1 PK a S SK b N"));
    let mut seen = 0;
    for n in 0..steps {
        step(&mut subject, &mut random);
        if n % 7 == 0 {
            // After the TTL attribute was changed, the background must walk over the items to find their deadlines.
            background(&subject, &mut random, true);
            seen += check(&mut |command| subject.call(0, command), "t", true);
        }
    }
    assert!(seen > steps / 10, "hardly any index was looked at: {seen}");
}

#[test]
fn every_index_is_as_rebuilt_at_always() {
    compare(AppendFsync::Always, 2500);
}

#[test]
fn every_index_is_as_rebuilt_at_everysec() {
    compare(AppendFsync::Everysec, 2500);
}
