//! Spans of time within the process do not change when an administrator sets the system's clock.

use crate::command::testing::{Harness, START};

/// Steps of the system's clock in ms.
const STEPS: [i64; 5] = [0, -120_000, 120_000, -86_400_000, 86_400_000];

/// Moves the system's clock by `by` ms; the monotonic clock is not affected.
fn set_clock(h: &Harness, by: i64) {
    let clock = &h.server.engine.clock;
    clock.as_manual().unwrap().set_ms(clock.now_ms().saturating_add_signed(by));
}

/// Runs `scene` once for each of [`STEPS`], with the clock set by that step in its middle. The result must be the same
/// each time.
fn whatever_the_clock<T: PartialEq + std::fmt::Debug>(scene: impl Fn(&mut Harness, &dyn Fn(&Harness)) -> T) {
    let outcome = |by: i64| scene(&mut Harness::new(), &|h| set_clock(h, by));
    let usual = outcome(0);
    for by in STEPS {
        assert_eq!(outcome(by), usual, "the clock was set by {by} ms");
    }
}

fn lines_of(text: &str, names: &[&str]) -> Vec<String> {
    let chosen = |line: &&str| names.iter().any(|name| line.starts_with(name));
    text.split("\\r\\n").filter(chosen).map(str::to_owned).collect()
}

#[test]
fn a_pause_lasts_as_long_as_was_said() {
    whatever_the_clock(|h, step| {
        let mut seen = Vec::new();
        h.run("CLIENT PAUSE 200");
        seen.push(h.is_held_up("GET k"));
        h.advance(100);
        step(h);
        seen.push(h.is_held_up("GET k"));
        h.advance(99);
        seen.push(h.is_held_up("GET k"));
        h.advance(1);
        seen.push(h.is_held_up("GET k"));
        step(h);
        seen.push(h.is_held_up("GET k"));
        assert_eq!(seen, [true, true, true, false, false]);
        seen
    });
}

#[test]
fn a_pause_that_is_over_is_not_begun_again_and_another_one_is_not_longer() {
    whatever_the_clock(|h, step| {
        h.run("CLIENT PAUSE 200 ALL");
        h.advance(300);
        step(h);
        assert!(!h.is_held_up("GET k"));
        h.run("CLIENT PAUSE 100 WRITE");
        let seen = (h.is_held_up("GET k"), h.is_held_up("SET k v"));
        h.advance(100);
        assert_eq!((seen, h.is_held_up("SET k v")), ((false, true), false));
    });
}

#[test]
fn what_has_expired_stays_as_long_as_writers_are_paused() {
    whatever_the_clock(|h, step| {
        let engine = std::sync::Arc::clone(&h.server.engine);
        let gone = |h: &Harness| {
            engine
                .remove_expired(&crate::engine::StaleKeys(vec![(0, Box::from(&b"k"[..]))]), &mut Vec::new());
            h.server.engine.store.db_size(0).0 == 0
        };
        h.run("SET k v PX 10");
        h.run("CLIENT PAUSE 1000 WRITE");
        h.advance(500);
        set_clock(h, 200_000);
        step(h);
        let kept = !gone(h);
        h.advance(500);
        set_clock(h, 200_000_000);
        assert_eq!((kept, gone(h)), (true, true));
    });
}

#[test]
fn ages_and_idle_times_are_spans() {
    whatever_the_clock(|h, step| {
        let other = h.connect();
        h.run("CLIENT PAUSE 20000 WRITE");
        h.advance(5000);
        step(h);
        h.run_as(other, "PING");
        h.advance(2000);
        let list = h.run("CLIENT LIST");
        let mut seen: Vec<String> = list
            .split(' ')
            .filter(|w| w.starts_with("age=") || w.starts_with("idle="))
            .map(str::to_owned)
            .collect();
        assert_eq!(seen, ["age=7", "idle=0", "age=7", "idle=2"]);
        seen.extend(lines_of(&h.run("INFO all"), &["uptime_in_seconds", "paused_timeout_milliseconds"]));
        assert_eq!(seen[4..], ["uptime_in_seconds:7", "paused_timeout_milliseconds:13000"]);
        seen.push(h.run("CLIENT KILL MAXAGE 8"));
        seen.push(h.run("CLIENT KILL MAXAGE 7"));
        seen
    });
}

#[test]
fn failed_logins_within_a_minute_are_one_entry_and_have_an_age() {
    whatever_the_clock(|h, step| {
        h.run("AUTH nobody x");
        h.advance(50_000);
        step(h);
        h.run("AUTH nobody x");
        h.advance(70_000);
        h.run("AUTH nobody x");
        h.advance(3000);
        let log = h.run("ACL LOG");
        let words: Vec<&str> = log.split(' ').collect();
        let after = |name: &str| -> Vec<String> {
            words.windows(2).filter(|pair| pair[0].contains(name)).map(|pair| pair[1].to_owned()).collect()
        };
        assert_eq!(after("\"count\""), [":1", ":2"]);
        after("age-seconds")
    });
}

#[test]
fn a_wait_for_keys_ends_after_its_time() {
    whatever_the_clock(|h, step| {
        let engine = std::sync::Arc::clone(&h.server.engine);
        let begun = engine.clock.instant();
        let until = h.waits_until("XREAD BLOCK 200 STREAMS s 0").unwrap();
        step(h);
        h.advance(50);
        assert_eq!((until.ms_since(begun), until.ms_since(engine.clock.instant())), (200, 150));
    });
}

#[test]
fn old_records_of_change_streams_are_looked_for_again_soon() {
    whatever_the_clock(|h, step| {
        let engine = std::sync::Arc::clone(&h.server.engine);
        h.configure("table-stream-retention-ms", "10000");
        h.run("TABLE.CREATE t PK id S STREAM KEYS");
        h.run("ITEM.PUT t a SET 1 n 1");
        engine.trim_streams(&mut Vec::new());
        step(h);
        engine.clock.as_manual().unwrap().set_ms(START + 3_600_000);
        engine.trim_streams(&mut Vec::new());
        let at_once = h.run("XLEN t@stream");
        h.advance(1000);
        engine.trim_streams(&mut Vec::new());
        assert_eq!((at_once.as_str(), h.run("XLEN t@stream").as_str()), (":1", ":0"));
    });
}
