//! Tests kill -9 under load: every acknowledged write is there afterwards, and no half transaction.

mod queues;

use crate::harness::{Random, Server};
use crate::writers::{NEVER, Writer, accounts_sum};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WRITERS: usize = 4;
const ROUNDS: usize = 20;
/// The least number of writes that are acknowledged in a round, however slow the machine is, before the server is
/// killed.
const LOAD: usize = 20;

/// Puts a server under load, kills it and verifies its data, round after round on the same data.
fn kill_under_load(mut server: Server, rounds: usize) {
    let mut random = Random::from_environment("kill under load");
    let items = server
        .client()
        .run("TABLE.CREATE crash PK id S INDEX n PK n N INDEX ids PK id S PROJECT KEYS")
        .is_ok();
    let mut writers = Writer::several(WRITERS, &mut random, items, NEVER);
    let (acknowledged, never) = (AtomicUsize::new(0), AtomicBool::new(false));
    for round in 0..rounds {
        let before = acknowledged.load(Relaxed);
        std::thread::scope(|scope| {
            for writer in &mut writers {
                let (client, acknowledged, never) = (server.client(), &acknowledged, &never);
                scope.spawn(move || writer.run(client, acknowledged, never));
            }
            let deadline = Instant::now() + Duration::from_mins(1);
            while acknowledged.load(Relaxed) < before + LOAD && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(20 + random.below(200) as u64));
            if random.one_in(3) {
                let reply = server.client().run(random.pick(&["BGSAVE", "BGREWRITEAOF"]));
                assert!(!reply.is_error(), "{reply}");
                std::thread::sleep(Duration::from_millis(random.below(50) as u64));
            }
            server.kill9();
        });
        server.up();
        let mut client = server.client();
        for writer in &mut writers {
            writer.verify(&mut client);
        }
        assert_eq!(accounts_sum(&mut client), 0, "a transfer was halved in round {round}");
        if items {
            crate::indexes::check(&mut |command| client.call(command), "crash", true);
        }
    }
    let done = acknowledged.load(Relaxed);
    eprintln!("{done} acknowledged writes in {rounds} rounds");
    assert!(done >= rounds * LOAD, "there was no load: {done} writes");
    let stopped = server.stop();
    assert!(stopped.success(), "{stopped}: {}", server.log());
    server.up();
    let mut client = server.client();
    for writer in &mut writers {
        writer.verify(&mut client);
    }
}

fn itemory(appendfsync: &str) {
    kill_under_load(Server::start(&["--appendonly", "yes", "--appendfsync", appendfsync]), ROUNDS);
}

#[test]
fn nothing_acknowledged_is_lost_at_always() {
    itemory("always");
}

#[test]
fn nothing_acknowledged_is_lost_at_everysec() {
    itemory("everysec");
}

#[test]
fn nothing_acknowledged_is_lost_at_no() {
    itemory("no");
}

/// The referee passes the same load and the same checks, so the test is sound.
#[test]
fn the_referee_passes_too() {
    kill_under_load(Server::referee(&["--appendonly", "yes", "--appendfsync", "always"]), 3);
}
