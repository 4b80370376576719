//! What counts as a command's hold of its shards.

use crate::command::testing::Harness;
use crate::config::Settings;
use crate::env::Clock;
use crate::store::Mode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// A transaction's hold of its shards is at most the time that it took, less the time for which another thread held
/// them while it waited. The test measures both, so a slow machine does not matter.
#[test]
fn waiting_for_shards_is_no_hold_of_a_transaction() {
    let mut h = Harness::on(Clock::System, Settings::default());
    let engine = Arc::clone(&h.server.engine);
    let (held, is_held) = channel();
    let holder = std::thread::spawn(move || {
        let store = &engine.store;
        let hash = store.hash(b"key");
        let locked = store.lock_one(hash, Mode::Read, 0);
        held.send(()).unwrap();
        while !store.has_writer_waiting(hash) {
            std::thread::yield_now();
        }
        let waits_since = Instant::now();
        std::thread::sleep(Duration::from_millis(20));
        let waited = waits_since.elapsed();
        drop(locked);
        waited
    });
    is_held.recv().unwrap();
    h.run("MULTI");
    h.run("SET key 1");
    let begun = Instant::now();
    assert_eq!(h.run("EXEC"), "[+OK]");
    let taken = begun.elapsed();
    let waited = holder.join().unwrap();
    let exec = h.server.registry.lookup(&[b"EXEC"]).unwrap();
    let longest = h.server.holds_of(exec.id).map_or(0, |holds| holds.longest_micros());
    assert!(
        u128::from(longest) <= taken.saturating_sub(waited).as_micros(),
        "{longest} of {taken:?} less {waited:?}"
    );
}
