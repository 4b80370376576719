//! The state of durability under an explorer of interleavings. The files that decide over it are built with the
//! explorer's locks and atomics. Appenders, a syncer, a failing disk, CONFIG SET, a checkpoint, a reload and an end of
//! the server are threads. The gates before the shards are tested in the same way, see `gates.rs`.
//!
//! `model.rs` replaces store, log and disk: a shard is a lock and the names that were written to it, a record is one
//! such name.
#![allow(missing_docs, dead_code, clippy::unwrap_used, unreachable_pub)]

#[path = "../../src/engine/durability.rs"]
mod durability;
#[path = "../../src/store/gate.rs"]
mod gate;
mod gates;
mod model;
mod sync;
#[path = "../../src/engine/works.rs"]
mod works;

use durability::Level;
use model::{Acknowledged, Server};
use shuttle::rand::Rng as _;
use std::sync::Arc;

/// The number of schedules that are tried for each scene.
const SCHEDULES: usize = 400;

fn explore(scene: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("ITEMORY_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(SCHEDULES);
    let mut config = shuttle::Config::default();
    config.stack_size = 128 << 10;
    let scheduler = shuttle::scheduler::RandomScheduler::new_from_seed(7, schedules);
    shuttle::Runner::new(scheduler, config).run(scene);
}

/// Runs several threads concurrently, each once, and waits for them.
fn beside(server: &Arc<Server>, threads: Vec<fn(&Arc<Server>)>) {
    let handles: Vec<_> = threads
        .into_iter()
        .map(|work| {
            let server = Arc::clone(server);
            shuttle::thread::spawn(move || work(&server))
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}

fn writes(server: &Arc<Server>) {
    for _ in 0..3 {
        server.write();
    }
}

fn reads(server: &Arc<Server>) {
    for shard in [0, 1, 0] {
        server.read(shard);
    }
}

fn switches(server: &Arc<Server>) {
    server.switch(false);
    server.switch(true);
}

fn fails(server: &Arc<Server>) {
    server.disk_fails();
}

fn saves(server: &Arc<Server>) {
    server.checkpoint();
}

fn reloads(server: &Arc<Server>) {
    server.reload();
}

fn ends(server: &Arc<Server>) {
    server.end(shuttle::rand::thread_rng().gen_bool(0.2));
}

fn relaxes(server: &Arc<Server>) {
    server.set_level(Level::Everysec);
    server.set_level(Level::Always);
}

fn scene(level: Level, threads: Vec<fn(&Arc<Server>)>) {
    explore(move || {
        let server = Arc::new(Server::new(level));
        server.write();
        beside(&server, threads.clone());
        server.finish();
    });
}

const LEVELS: [Level; 2] = [Level::Everysec, Level::Always];

#[test]
fn a_failing_disk_beside_writers_readers_and_a_checkpoint() {
    for level in LEVELS {
        scene(level, vec![writes, writes, reads, fails, saves]);
    }
}

#[test]
fn switching_beside_writers_checkpoints_and_a_failing_disk() {
    for level in LEVELS {
        scene(level, vec![writes, switches, saves]);
        scene(level, vec![writes, switches, fails]);
        scene(level, vec![writes, relaxes, fails]);
    }
}

#[test]
fn a_reload_beside_everything() {
    for level in LEVELS {
        scene(level, vec![writes, reloads, saves]);
        scene(level, vec![writes, reloads, fails]);
        scene(level, vec![writes, reloads, switches]);
    }
}

#[test]
fn an_end_beside_everything() {
    for level in LEVELS {
        scene(level, vec![writes, ends, saves]);
        scene(level, vec![writes, ends, fails]);
        scene(level, vec![writes, ends, switches]);
        scene(level, vec![writes, ends, reloads]);
        scene(level, vec![writes, ends, ends]);
    }
}

/// Tests the model: if a record is thrown away, the model notices it.
#[test]
fn a_lost_record_is_noticed() {
    let caught = std::panic::catch_unwind(|| {
        explore(|| {
            let server = Arc::new(Server::new(Level::Always));
            server.write();
            server.acknowledged.lock().push(Acknowledged { name: 99, promised: true });
            server.finish();
        });
    });
    assert!(caught.is_err());
}
