//! Commands that walk over the data while a reload takes it away.

use crate::command::testing::Harness;
use crate::config::{ProtectedAction, Settings};
use crate::engine::Phase;
use crate::store::Mode;
use std::time::Duration;

const LINES: &[&str] = &[
    "KEYS *",
    "SCAN 0 COUNT 1000",
    "SCAN 0 COUNT 1000 TYPE string",
    "DBSIZE",
    "DEBUG DIGEST",
    "INFO keyspace",
    "ITEM.SCAN t",
    "TABLE.DESCRIBE t",
];

fn filled() -> Harness {
    let mut h = Harness::with(Settings { enable_debug_command: ProtectedAction::Yes, ..Settings::default() });
    h.run("TABLE.CREATE t PK id S");
    for n in 0..200 {
        h.run(&format!("SET k{n} 1"));
        h.run(&format!("ITEM.PUT t {n} SET 1 n 1"));
    }
    h
}

#[test]
fn a_walk_during_which_data_is_taken_away_shows_no_half_of_it() {
    for line in LINES {
        let h = filled();
        let store = &h.server.engine.store;
        let whole = h.beside().run(line);
        let mut other = h.beside();
        let middle = store.shard_count() / 2;
        let held = store.lock_shard(middle, Mode::Write, 0);
        let walk = std::thread::spawn(move || other.run(line));
        // The walk should have come to the middle by now. If it has not, the test passes without having tested
        // anything.
        std::thread::sleep(Duration::from_millis(50));
        h.server.engine.set_phase(Phase::Reloading);
        (middle + 1..store.shard_count()).for_each(|shard| store.clear_shard(shard));
        drop(held);
        let reply = walk.join().unwrap();
        assert!(reply.starts_with("-LOADING") || reply == whole, "{line}: {reply}");
        h.server.engine.set_phase(Phase::Serving);
    }
}
