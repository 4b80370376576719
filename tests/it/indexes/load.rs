//! Several clients write through the same partitions of global indexes, while indexes are added and dropped,
//! checkpoints are written and the server is killed.

use super::{check, member, scan};
use crate::harness::{Client, Random, Server, Value};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const WRITERS: usize = 5;

fn item(random: &mut Random) -> String {
    format!(
        "SET 4 a a{} b:n {} c c{} e:n {}",
        random.below(3),
        random.below(50),
        random.below(2),
        random.below(100_000)
    )
}

/// A transaction of AWS's API on two items.
fn transact(random: &mut Random) -> String {
    let first = random.below(399);
    let put = |n: usize, random: &mut Random| {
        format!(
            r#"{{"Put":{{"TableName":"t","Item":{{"id":{{"S":"p{n}"}},"a":{{"S":"a{}"}},"b":{{"N":"{}"}}}}}}}}"#,
            random.below(3),
            random.below(50)
        )
    };
    let puts = [put(first, random), put(first + 1, random)].join(",");
    format!(r#"DDB TransactWriteItems {{"TransactItems":[{puts}]}}"#)
}

/// Commands that change items, one line each; with `brief`, some items expire soon.
fn change(random: &mut Random, brief: bool) -> Vec<String> {
    let mut one = || {
        let key = format!("t p{}", random.below(400));
        match random.below(6) {
            0 if brief => format!("ITEM.PUT {key} {} PX 50", item(random)),
            0..=2 => format!("ITEM.PUT {key} {}", item(random)),
            3 => format!("ITEM.UPDATE {key} SET 1 a a{}", random.below(3)),
            4 => format!("ITEM.UPDATE {key} REMOVE 1 {}", random.pick(&["a", "b"])),
            _ => format!("ITEM.DEL {key}"),
        }
    };
    let mut lines = vec![one()];
    if random.one_in(6) {
        lines = vec![transact(random)];
    }
    if random.one_in(4) {
        lines = vec!["MULTI".into()];
        lines.extend(random.one_in(2).then(|| "ITEM.ATOMIC".into()));
        for _ in 0..=random.below(4) {
            let key = format!("t p{}", random.below(400));
            lines.push(format!("ITEM.PUT {key} {}", item(random)));
        }
        lines.push("INCR writes".into());
        lines.push("EXEC".into());
    }
    lines
}

/// Sends changes until `stop` is set or the server is gone.
fn write(mut client: Client, mut random: Random, brief: bool, stop: &AtomicBool, done: &AtomicUsize) {
    while !stop.load(Relaxed) {
        let lines: Vec<String> = (0..4).flat_map(|_| change(&mut random, brief)).collect();
        let bytes: Vec<u8> =
            lines.iter().flat_map(|line| Client::encode(&line.split(' ').collect::<Vec<_>>())).collect();
        if client.send_raw(&bytes).is_err() {
            return;
        }
        for line in &lines {
            match client.read() {
                Value::Eof => return,
                Value::Timeout => panic!("no reply to {line}"),
                reply => assert!(!reply.is_error(), "{line}: {reply}"),
            }
        }
        done.fetch_add(1, Relaxed);
    }
}

/// Reads indexes, which keeps writers from their shards, and checks that every page is in order.
fn read(mut client: Client, mut random: Random, stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        let line = format!("ITEM.QUERY t a{} INDEX ab SK >= {} COUNT", random.below(3), random.below(50));
        match client.run(&line) {
            Value::Eof | Value::Timeout => return,
            reply => assert!(reply.int().is_some(), "{line}: {reply}"),
        }
    }
}

/// Adds and drops an index, and writes checkpoints.
fn maintain(mut client: Client, mut random: Random, stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        let line = random.pick(&[
            "TABLE.INDEX ADD t bc PK b N SK c S PROJECT KEYS",
            "TABLE.INDEX DROP t bc",
            "BGSAVE",
        ]);
        if client.run(line) == Value::Eof {
            return;
        }
        std::thread::sleep(Duration::from_millis(random.below(30) as u64));
    }
}

fn wait_until_active(client: &mut Client) {
    for _ in 0..1000 {
        if !client.run("TABLE.DESCRIBE t").to_string().contains("CREATING") {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("an index was never complete: {}", client.run("TABLE.DESCRIBE t"));
}

/// Waits until the items that were written with `PX 50` have expired and are removed.
fn wait_until_removed(client: &mut Client) {
    // The TTL attribute is in whole seconds, rounded up.
    std::thread::sleep(Duration::from_millis(1050));
    for _ in 0..1000 {
        let counted = member(&client.run("TABLE.DESCRIBE t"), "items").int().unwrap();
        if counted == scan(&mut |command| client.call(command), "t").len() as i64 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("what has expired is still counted: {}", client.run("TABLE.DESCRIBE t"));
}

fn under_load(shards: &str, rounds: usize) {
    let mut random = Random::from_environment("indexes under load");
    let flags = ["--appendonly", "yes", "--appendfsync", "everysec", "--shards", shards];
    let mut server = Server::start(&flags);
    let table = "TABLE.CREATE t PK id S TTL until INDEX ab PK a S SK b N INDEX c PK c S SK e N PROJECT KEYS";
    assert!(server.client().run(table).is_ok());
    let done = AtomicUsize::new(0);
    for round in 0..rounds {
        let stop = AtomicBool::new(false);
        let brief = round + 2 >= rounds;
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                let (client, random) = (server.client(), random.fork());
                scope.spawn(|| write(client, random, brief, &stop, &done));
            }
            let (client, fork) = (server.client(), random.fork());
            scope.spawn(|| read(client, fork, &stop));
            let (client, fork) = (server.client(), random.fork());
            scope.spawn(|| maintain(client, fork, &stop));
            std::thread::sleep(Duration::from_millis(300 + random.below(300) as u64));
            if round % 2 == 0 {
                server.kill9();
            }
            stop.store(true, Relaxed);
        });
        if round % 2 == 0 {
            server.up();
        }
        let mut client = server.client();
        wait_until_active(&mut client);
        if brief {
            wait_until_removed(&mut client);
        }
        let indexes = check(&mut |command| client.call(command), "t", true);
        assert!(indexes >= 2, "{indexes} indexes");
        assert!(!server.log().contains("given up"), "{}", server.log());
    }
    let done = done.load(Relaxed);
    eprintln!("{done} batches of writes in {rounds} rounds over {shards} shards");
    assert!(done > rounds, "there was no load: {done}");
}

#[test]
fn indexes_are_complete_after_contention_over_few_shards() {
    under_load("2", 6);
}

#[test]
fn indexes_are_complete_after_contention_over_many_shards() {
    under_load("1024", 6);
}
