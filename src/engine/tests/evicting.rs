//! Tests of eviction beside work that takes the data away.

use super::switches::until;
use super::{START, open, set, settings};
use crate::config::{AppendFsync, EvictionPolicy, Settings};
use crate::engine::{Classes, Engine, KeyEvents, Listener, Phase};
use crate::env::{Clock, SimDisk};
use crate::store::Mode;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

const KEYS: u32 = 500;
/// How long a thread is given to come to where it waits. If it takes longer a fault may not be found; nothing is found
/// that is none.
const WHILE: Duration = Duration::from_millis(50);

fn filled() -> Arc<Engine> {
    let engine = open(&SimDisk::new(70), AppendFsync::No).unwrap();
    (0..KEYS).for_each(|i| set(&engine, &i.to_le_bytes()));
    engine
}

/// Evicts on a thread of its own until nothing is left, or until it is stopped.
fn evict(engine: &Arc<Engine>) -> JoinHandle<bool> {
    let engine = Arc::clone(engine);
    let settings = Settings {
        maxmemory: 1,
        maxmemory_policy: EvictionPolicy::AllkeysRandom,
        maxmemory_eviction_tenacity: 100,
        ..(*settings(AppendFsync::No)).clone()
    };
    std::thread::spawn(move || engine.make_room(&settings, &mut Vec::new()))
}

/// What eviction changes: how many keys it took, and the log.
fn traces(engine: &Engine) -> (u64, u64) {
    (engine.statistics.evicted_keys.load(Relaxed), engine.tail())
}

/// The names of events and the keys that they are about.
#[derive(Default)]
struct Heard(Mutex<Vec<(&'static str, Vec<u8>)>>);

impl Listener for Heard {
    fn classes(&self) -> Classes {
        Classes::EVICTED
    }

    fn hear(&self, events: &Arc<KeyEvents>) {
        self.0.lock().extend(events.of(self.classes()).map(|event| (event.name, event.key.to_vec())));
    }
}

#[test]
fn eviction_that_nobody_stops_takes_everything_and_tells_of_each_key() {
    let engine = filled();
    let heard = Arc::new(Heard::default());
    engine.listeners.add(Arc::clone(&heard) as Arc<dyn Listener>);
    evict(&engine).join().unwrap();
    assert_eq!((engine.store.len(), traces(&engine).0), (0, u64::from(KEYS)));
    let mut heard = std::mem::take(&mut *heard.0.lock());
    heard.sort();
    let mut all: Vec<_> = (0..KEYS).map(|i| ("evicted", i.to_le_bytes().to_vec())).collect();
    all.sort();
    assert_eq!(heard, all);
}

#[test]
fn the_cycle_goes_on_until_memory_is_below_the_limit_or_nothing_is_left() {
    let lowered = Settings {
        maxmemory: 1,
        maxmemory_policy: EvictionPolicy::AllkeysRandom,
        // Each round is as short as possible.
        maxmemory_eviction_tenacity: 0,
        ..(*settings(AppendFsync::No)).clone()
    };
    let engine = Engine::on_disk(Arc::new(lowered), Clock::default(), SimDisk::new(71).shared());
    engine.recover().unwrap();
    let engine = Arc::new(engine);
    (0..10 * KEYS).for_each(|i| set(&engine, &i.to_le_bytes()));
    engine.evict_in_rounds(u64::MAX, &mut Vec::new());
    assert_eq!((engine.store.len(), traces(&engine).0), (0, u64::from(10 * KEYS)));
    // A round whose time is over leaves the rest to the next round.
    (0..10 * KEYS).for_each(|i| set(&engine, &i.to_le_bytes()));
    engine.evict_in_rounds(0, &mut Vec::new());
    let left = engine.store.len();
    assert!(left > 0, "one round takes a few keys only");
    let threads = engine.start_background().unwrap();
    until(|| engine.store.is_empty());
    engine.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn who_takes_the_data_away_waits_for_eviction_which_gives_up() {
    let engine = filled();
    let all = engine.store.lock_all(Mode::Write, START);
    // It has its permit, and waits for a shard.
    let evicting = evict(&engine);
    std::thread::sleep(WHILE);
    let alone = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || {
            let alone = engine.works.exclude();
            let before = traces(&engine);
            evicting.join().unwrap();
            assert_eq!(traces(&engine), before, "nothing is evicted any more");
            assert!(evict(&engine).join().unwrap(), "the command goes on, and is refused for another reason");
            assert_eq!(traces(&engine), before, "no permit is given");
            drop(alone);
        })
    };
    until(|| engine.works.revoked());
    std::thread::sleep(WHILE);
    drop(all);
    alone.join().unwrap();
    assert!(engine.store.len() > KEYS as usize / 2, "it would go on until nothing is left");
    evict(&engine).join().unwrap();
    assert_eq!(engine.store.len(), 0, "it goes on when they are done");
}

#[test]
fn a_victim_is_not_evicted_once_writes_have_stopped() {
    for phase in [Phase::Reloading, Phase::Ending, Phase::FallingBack, Phase::Ended] {
        let engine = filled();
        let before = traces(&engine);
        let all = engine.store.lock_all(Mode::Write, START);
        let evicting = evict(&engine);
        std::thread::sleep(WHILE);
        engine.set_phase(phase);
        drop(all);
        evicting.join().unwrap();
        assert_eq!(traces(&engine), before, "{phase:?}");
        assert_eq!(engine.store.len(), KEYS as usize, "{phase:?}");
    }
}

#[test]
fn a_reload_and_an_end_beside_eviction_keep_what_it_has_left() {
    for ends in [false, true] {
        let engine = filled();
        let evicting = evict(&engine);
        if ends {
            engine.end(Some(true), false).unwrap();
        } else {
            engine.reload(true).unwrap();
        }
        evicting.join().unwrap();
        let left = u64::from(KEYS) - traces(&engine).0;
        assert_eq!(engine.store.len() as u64, left);
    }
}

#[test]
fn a_permit_that_is_refused_is_not_given_back() {
    let engine = filled();
    let held = engine.works.permit().unwrap();
    let excluded = Arc::new(AtomicBool::new(false));
    let alone = {
        let (engine, excluded) = (Arc::clone(&engine), Arc::clone(&excluded));
        std::thread::spawn(move || {
            let _alone = engine.works.exclude();
            excluded.store(true, Relaxed);
            assert!(engine.works.permit().is_none() && engine.works.permit().is_none());
        })
    };
    until(|| engine.works.revoked());
    assert!(engine.works.permit().is_none());
    std::thread::sleep(WHILE);
    assert!(!excluded.load(Relaxed), "a permit is still out");
    drop(held);
    alone.join().unwrap();
    // If a permit were lost, no later caller could exclude the others, and an end would wait for ever.
    drop(engine.works.exclude());
    assert!(engine.works.permit().is_some());
}
