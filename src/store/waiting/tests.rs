//! The lines against a plain list of waiters, and how many of the waiters in a line are asked.

use crate::effect::SYSTEM;
use crate::store::{Awaited, KeyAt, Store, Waiter, Waiting};
use crate::value::stream::StreamId;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// A waiter that counts how often the table asks it.
#[derive(Default)]
struct Somebody {
    over: AtomicBool,
    asked: AtomicUsize,
}

impl Waiting for Somebody {
    fn is_over(&self) -> bool {
        self.asked.fetch_add(1, Relaxed);
        self.over.load(Relaxed)
    }

    fn wake(&self) {}

    fn as_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

fn at(store: &Store, db: usize, key: u8) -> (usize, [u8; 1], u64) {
    (db, [key], store.hash(&[key]))
}

macro_rules! key_at {
    ($place:expr) => {
        KeyAt { db: $place.0, key: &$place.1, hash: $place.2 }
    };
}

fn line(number: u8) -> Awaited {
    if number == 0 { Awaited::Entries } else { Awaited::NewTo([number].as_slice().into()) }
}

#[derive(Debug, Clone)]
enum Step {
    /// A waiter comes for a key and waits in a line behind an identifier.
    Come { db: usize, key: u8, line: u8, behind: u64 },
    /// One of the waiters leaves.
    Leave(prop::sample::Index),
    /// One of the waiters is served for another key.
    End(prop::sample::Index),
    /// A line is served up to an identifier; the waiters found leave if `leave`.
    Serve { db: usize, key: u8, line: u8, reached: u64, leave: bool },
    /// A key changes, in its own database or in all.
    Change { db: usize, key: u8, everywhere: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let (db, key, line, id) = (0..2usize, 0..3u8, 0..3u8, 0..4u64);
    prop_oneof![
        4 => (db.clone(), key.clone(), line.clone(), id.clone())
            .prop_map(|(db, key, line, behind)| Step::Come { db, key, line, behind }),
        2 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => any::<prop::sample::Index>().prop_map(Step::End),
        2 => (db.clone(), key.clone(), line, id, any::<bool>())
            .prop_map(|(db, key, line, reached, leave)| Step::Serve { db, key, line, reached, leave }),
        1 => (db, key, any::<bool>()).prop_map(|(db, key, everywhere)| Step::Change { db, key, everywhere }),
    ]
}

/// The plain list of waiters, in the order in which they came.
struct Model {
    ticket: u64,
    place: (usize, [u8; 1], u64),
    line: u8,
    behind: u64,
    who: Arc<Somebody>,
}

fn id(ms: u64) -> StreamId {
    StreamId { ms, seq: 0 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_is_next_is_who_came_first(steps in prop::collection::vec(step(), 0..120)) {
        let store = Store::new(4, 2);
        let mut model: Vec<Model> = Vec::new();
        for step in steps {
            match step {
                Step::Come { db, key, line: number, behind } => {
                    let (place, who) = (at(&store, db, key), Arc::new(Somebody::default()));
                    let ticket = store.next_ticket();
                    let waiter = Waiter { ticket, behind: id(behind), number: 0, who: Arc::clone(&who) as _ };
                    store.wait(key_at!(place), &line(number), waiter);
                    model.push(Model { ticket, place, line: number, behind, who });
                }
                Step::Leave(index) if !model.is_empty() => {
                    let gone = model.remove(index.index(model.len()));
                    store.stop_waiting(key_at!(gone.place), &line(gone.line), gone.ticket);
                }
                Step::End(index) if !model.is_empty() => {
                    model[index.index(model.len())].who.over.store(true, Relaxed);
                }
                Step::Leave(_) | Step::End(_) => {}
                Step::Serve { db, key, line: number, reached, leave } => {
                    let place = at(&store, db, key);
                    let (mut behind, upto) = (0, store.last_ticket());
                    let mut found = Vec::new();
                    while let Some(next) =
                        store.next_waiter(key_at!(place), &line(number), (behind, upto), id(reached))
                    {
                        behind = next.ticket;
                        found.push(next.ticket);
                        if leave {
                            store.stop_waiting(key_at!(place), &line(number), next.ticket);
                        }
                    }
                    let expected: Vec<u64> = model
                        .iter()
                        .filter(|one| one.place == place && one.line == number && one.behind < reached)
                        .filter(|one| !one.who.over.load(Relaxed))
                        .map(|one| one.ticket)
                        .collect();
                    prop_assert_eq!(&found, &expected);
                    model.retain(|one| !leave || !found.contains(&one.ticket));
                }
                Step::Change { db, key, everywhere } => {
                    let place = at(&store, db, key);
                    let named = if everywhere { SYSTEM as usize } else { db };
                    // A key that changes often is ready once.
                    store.signal(store.shard_of(place.2), named, &place.1);
                    store.signal(store.shard_of(place.2), named, &place.1);
                    let mut ready = Vec::new();
                    while let Some((db, key)) = store.take_ready() {
                        ready.push((db, key));
                        store.served();
                    }
                    prop_assert!(!store.has_ready());
                    for db in (0..2).filter(|of| everywhere || *of == db) {
                        let live = model
                            .iter()
                            .any(|one| (one.place.0, one.place.1) == (db, [key]) && !one.who.over.load(Relaxed));
                        let times = ready.iter().filter(|name| **name == (db, Box::from([key]))).count();
                        prop_assert!(times <= 1 && (times == 1 || !live));
                    }
                }
            }
            let alive = |one: &&Model| !one.who.over.load(Relaxed);
            let mut names: Vec<_> = model.iter().filter(alive).map(|one| (one.place, one.line > 0)).collect();
            names.sort_unstable();
            names.dedup();
            let on_absence = names.iter().filter(|(_, told)| *told).count();
            names.dedup_by_key(|(place, _)| *place);
            prop_assert_eq!(store.waited_for(), (names.len(), on_absence));
        }
        for one in &model {
            store.stop_waiting(key_at!(one.place), &line(one.line), one.ticket);
        }
        prop_assert!(store.sides.iter().all(|side| side.watch.lock().len() == 0 && side.watched.load(Relaxed) == 0));
    }
}

/// Leaving a key, or finding the next waiter, asks no other waiter in the line.
#[test]
fn a_long_line_is_not_walked_over() {
    const MANY: usize = 3000;
    let store = Store::new(4, 1);
    let place = at(&store, 0, b'k');
    let everybody: Vec<Arc<Somebody>> = (0..MANY).map(|_| Arc::default()).collect();
    let come = |who: &Arc<Somebody>| {
        let ticket = store.next_ticket();
        let who = Arc::clone(who) as Arc<dyn Waiting>;
        store.wait(key_at!(place), &line(1), Waiter { ticket, behind: StreamId::MIN, number: 0, who });
        ticket
    };
    let asked = || everybody.iter().map(|one| one.asked.swap(0, Relaxed)).sum::<usize>();
    let tickets: Vec<u64> = everybody.iter().map(come).collect();
    for ticket in tickets.iter().step_by(2) {
        store.stop_waiting(key_at!(place), &line(1), *ticket);
    }
    assert_eq!(asked(), 0, "those who come and go ask nobody");
    for ticket in tickets.iter().skip(1).step_by(2) {
        let next = store.next_waiter(key_at!(place), &line(1), (0, u64::MAX), StreamId::MAX).unwrap();
        assert_eq!(next.ticket, *ticket);
        store.stop_waiting(key_at!(place), &line(1), next.ticket);
    }
    assert_eq!(asked(), MANY / 2, "each is asked once, when it is its turn");
    // A waiter that was served elsewhere is met only once.
    everybody.iter().for_each(|one| _ = come(one));
    everybody.iter().for_each(|one| one.over.store(true, Relaxed));
    for _ in 0..3 {
        assert!(store.next_waiter(key_at!(place), &line(1), (0, u64::MAX), StreamId::MAX).is_none());
    }
    assert_eq!(asked(), MANY);
    assert_eq!(store.waited_for(), (0, 0));
}
