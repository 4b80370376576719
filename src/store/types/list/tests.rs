//! Tests lists in the store against plain ones: in both forms, across changes of form, as copies and under undoing.

use crate::effect::{Effect, List, ListChange, Runs};
use crate::store::{Kind, Locked, Mode, Store};
use crate::value::list::{RemovedRun, encode_all};
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

const KEY: &[u8] = b"list";
const OTHER: &[u8] = b"other";

fn store(size: i32) -> Store {
    let store = Store::new(4, 4);
    store.thresholds.list_size.store(size, Relaxed);
    store
}

fn apply(store: &Store, effects: &[Effect<'_>], record: bool) {
    let mut locked = store.lock_all(Mode::Write, 1);
    if record {
        locked.record_changes();
    }
    for effect in effects {
        locked.apply(effect, store.hash(effect.shard_key().unwrap()));
    }
    if record {
        locked.take_back(&|_, _| None);
    }
}

fn elements_in(locked: &Locked<'_>, key: &[u8]) -> Option<Vec<Vec<u8>>> {
    let entry = locked.peek(0, key, locked.store().hash(key))?;
    Some(entry.value().list()?.iter_from(0).map(|found| found.into_vec()).collect())
}

fn elements(store: &Store, key: &[u8]) -> Option<Vec<Vec<u8>>> {
    elements_in(&store.lock_all(Mode::Read, 1), key)
}

fn kind(store: &Store) -> Option<Kind> {
    Some(store.lock_all(Mode::Read, 1).peek(0, KEY, store.hash(KEY))?.kind())
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<Vec<u8>>),
    Pop(bool, u8),
    Set(u8, Vec<u8>),
    Insert(u8, Vec<u8>),
    Remove(Vec<(u8, u8)>),
    Put(Vec<Vec<u8>>),
    Copy,
    Threshold(i32),
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..12),
        2 => any::<i32>().prop_map(|n| n.to_string().into_bytes()),
        1 => (100usize..400).prop_map(|len| vec![b'l'; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(element(), 1..12);
    prop_oneof![
        5 => (any::<bool>(), some()).prop_map(|(front, values)| Step::Push(front, values)),
        3 => (any::<bool>(), 0u8..9).prop_map(|(front, count)| Step::Pop(front, count)),
        1 => any::<bool>().prop_map(|front| Step::Pop(front, 255)),
        3 => (any::<u8>(), element()).prop_map(|(at, value)| Step::Set(at, value)),
        3 => (any::<u8>(), element()).prop_map(|(at, value)| Step::Insert(at, value)),
        3 => prop::collection::vec((0u8..9, 1u8..3), 1..8).prop_map(Step::Remove),
        1 => some().prop_map(Step::Put),
        1 => Just(Step::Copy),
        1 => prop::sample::select(vec![-2, -1, 0, 1, 4, 30, i32::MIN, i32::MAX]).prop_map(Step::Threshold),
    ]
}

/// Calls `then` with the effect of a step, and makes the same step on the model.
fn take(step: &Step, model: &mut Vec<Vec<u8>>, then: &mut dyn FnMut(Effect<'_>)) {
    let mut on = |change: ListChange<'_>| then(change.on(0, KEY));
    match step {
        Step::Push(front, values) => {
            let borrowed: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            on(ListChange::Push { front: *front, values: List::Slices(&borrowed) });
            let mut values = values.clone();
            if *front {
                values.reverse();
                values.append(model);
                *model = values;
            } else {
                model.append(&mut values);
            }
        }
        Step::Pop(front, count) => {
            on(ListChange::Pop { front: *front, count: usize::from(*count) });
            let count = usize::from(*count).min(model.len());
            if *front { drop(model.drain(..count)) } else { model.truncate(model.len() - count) }
        }
        Step::Set(at, value) if !model.is_empty() => {
            let at = usize::from(*at) % model.len();
            on(ListChange::Set { at, value });
            model[at].clone_from(value);
        }
        Step::Insert(at, value) if !model.is_empty() => {
            let at = usize::from(*at) % (model.len() + 1);
            on(ListChange::Insert { at, value });
            model.insert(at, value.clone());
        }
        Step::Remove(wanted) => {
            let (mut runs, mut at) = (Vec::new(), 0);
            for (passed, removed) in wanted {
                let (passed, removed) = (usize::from(*passed), usize::from(*removed));
                if at + passed + removed <= model.len() {
                    at += passed;
                    drop(model.drain(at..at + removed));
                    runs.push(RemovedRun { passed, removed });
                }
            }
            on(ListChange::Remove { runs: Runs::Slice(&runs) });
        }
        Step::Put(values) => {
            let payload = encode_all(values.iter().map(Vec::as_slice));
            on(ListChange::Put { payload: &payload, expire: None });
            model.clone_from(values);
        }
        Step::Copy => then(Effect::Copy { db: 0, key: KEY, to_db: 0, to: OTHER }),
        Step::Set(..) | Step::Insert(..) | Step::Threshold(_) => {}
    }
}

proptest! {
    #[test]
    fn a_list_is_what_was_done_to_it_in_every_form(steps in prop::collection::vec(step(), 1..50)) {
        let store = store(-2);
        let (mut model, mut copy) = (Vec::new(), Vec::new());
        for step in &steps {
            if let Step::Threshold(size) = step {
                store.thresholds.list_size.store(*size, Relaxed);
            }
            // Each step is made and undone first, and then made again.
            let before = model.clone();
            let mut again = model.clone();
            take(step, &mut again, &mut |effect| apply(&store, &[effect, effect], true));
            prop_assert_eq!(elements(&store, KEY).unwrap_or_default(), before);
            take(step, &mut model, &mut |effect| apply(&store, &[effect], false));
            if matches!(step, Step::Copy) && !model.is_empty() {
                copy = model.clone();
            }
            prop_assert_eq!(elements(&store, KEY).unwrap_or_default(), model.clone());
            prop_assert_eq!(elements(&store, KEY).is_none(), model.is_empty(), "no list is empty");
            prop_assert_eq!(elements(&store, OTHER).unwrap_or_default(), copy.clone());
        }
    }
}

fn push(store: &Store, values: &[&[u8]]) {
    apply(store, &[ListChange::Push { front: false, values: List::Slices(values) }.on(0, KEY)], false);
}

#[test]
fn forms_change_at_the_limits_of_redis() {
    let four = store(4);
    push(&four, &[b"a", b"b", b"c", b"d"]);
    assert_eq!(kind(&four), Some(Kind::List));
    push(&four, &[b"e"]);
    assert_eq!(kind(&four), Some(Kind::Boxed));
    let pop = |count| ListChange::Pop { front: true, count }.on(0, KEY);
    apply(&four, &[pop(2)], false);
    assert_eq!(kind(&four), Some(Kind::Boxed), "three of four are no half");
    apply(&four, &[pop(1)], false);
    assert_eq!(kind(&four), Some(Kind::List));
    let bytes = store(-1);
    push(&bytes, &[&[b'x'; 4000], &[b'x'; 80]]);
    assert_eq!(kind(&bytes), Some(Kind::List));
    push(&bytes, &[b"yyy"]);
    assert_eq!(kind(&bytes), Some(Kind::Boxed));
}

#[test]
fn elements_without_bytes_do_not_make_a_packed_list_endless() {
    let store = store(-2);
    let empty: Vec<&[u8]> = vec![b""; 100_000];
    push(&store, &empty);
    assert_eq!(kind(&store), Some(Kind::Boxed));
    assert_eq!(elements(&store, KEY).map(|all| all.len()), Some(100_000));
}

#[test]
fn effects_that_reach_beyond_a_list_change_nothing() {
    for size in [-2, 0] {
        let store = store(size);
        push(&store, &[b"a", b"b"]);
        let runs = [RemovedRun { passed: 1, removed: 2 }];
        for change in [
            ListChange::Set { at: 2, value: b"x" },
            ListChange::Insert { at: 3, value: b"x" },
            ListChange::Remove { runs: Runs::Slice(&runs) },
            ListChange::Pop { front: true, count: 0 },
        ] {
            apply(&store, &[change.on(0, KEY)], false);
            assert_eq!(elements(&store, KEY), Some(vec![b"a".to_vec(), b"b".to_vec()]), "{change:?}");
        }
        apply(&store, &[ListChange::Pop { front: false, count: usize::MAX }.on(0, KEY)], false);
        assert_eq!(elements(&store, KEY), None);
    }
}
