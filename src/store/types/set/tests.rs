use crate::effect::{Effect, List, SetChange};
use crate::store::{Kind, Mode, Store};
use crate::value::set::SetRef;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Clone, Debug)]
enum Op {
    Add(Vec<Vec<u8>>),
    Delete(Vec<Vec<u8>>),
    Expire(Option<u64>),
    Thresholds(usize, usize, usize),
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    let text = |n: i64| n.to_string().into_bytes();
    prop_oneof![
        5 => (0..40i64).prop_map(text),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(40_000), Just(-70_000)].prop_map(text),
        3 => (0..9u8).prop_map(|n| vec![b'm', n]),
        1 => (0..9u8).prop_map(|n| vec![n; 70]),
        1 => prop_oneof![Just("-0"), Just("007"), Just("+1"), Just("")].prop_map(|s| s.as_bytes().to_vec()),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let members = || prop::collection::vec(member(), 1..6);
    prop_oneof![
        8 => members().prop_map(Op::Add),
        4 => members().prop_map(Op::Delete),
        1 => prop::option::of(1..60u64).prop_map(Op::Expire),
        1 => (0..9usize, 0..9usize, 0..80usize).prop_map(|(ints, n, len)| Op::Thresholds(ints, n, len)),
    ]
}

fn apply(store: &Store, effect: &Effect<'_>) -> usize {
    let hash = store.hash(b"k");
    store.lock_one(hash, Mode::Write, 0).apply(effect, hash)
}

/// The value at the key: members, deadline and kind.
fn shown(store: &Store) -> Option<(BTreeSet<Vec<u8>>, Option<u64>, Kind)> {
    let hash = store.hash(b"k");
    let locked = store.lock_one(hash, Mode::Read, 0);
    let entry = locked.peek(store.space(0), b"k", hash)?;
    let set = entry.value().set().unwrap();
    let members: BTreeSet<_> = set.iter().map(|member| member.bytes().into_owned()).collect();
    assert_eq!(members.len(), set.len());
    assert!(members.iter().all(|name| set.contains(name)));
    Some((members, entry.expire(), entry.kind()))
}

fn of(members: &[Vec<u8>]) -> Vec<&[u8]> {
    members.iter().map(Vec::as_slice).collect()
}

proptest! {
    #[test]
    fn effects_leave_what_a_plain_set_holds(ops in prop::collection::vec(op(), 1..40)) {
        let store = Store::new(2, 16);
        let (mut model, mut expire) = (BTreeSet::new(), None);
        for op in ops {
            match op {
                Op::Add(members) => {
                    let names = of(&members);
                    let effect = SetChange::Add { members: List::Slices(&names) }.on(0, b"k");
                    let new = members.iter().filter(|name| model.insert((*name).clone())).count();
                    prop_assert_eq!(apply(&store, &effect), new);
                }
                Op::Delete(members) => {
                    let names = of(&members);
                    let effect = SetChange::Delete { members: List::Slices(&names) }.on(0, b"k");
                    let gone = members.iter().filter(|name| model.remove(*name)).count();
                    prop_assert_eq!(apply(&store, &effect), gone);
                }
                Op::Expire(at) => {
                    apply(&store, &Effect::Expire { db: 0, key: b"k", at });
                    expire = at;
                }
                Op::Thresholds(ints, entries, value) => {
                    store.thresholds.set_ints.store(ints, Relaxed);
                    store.thresholds.set_entries.store(entries, Relaxed);
                    store.thresholds.set_value.store(value, Relaxed);
                }
            }
            if model.is_empty() {
                expire = None;
                prop_assert!(shown(&store).is_none());
                continue;
            }
            let (members, at, _) = shown(&store).unwrap();
            prop_assert_eq!((&members, at), (&model, expire));
        }
    }
}

fn kind_after(store: &Store, changes: &[&str]) -> Kind {
    apply(store, &Effect::Delete { db: 0, key: b"k" });
    for change in changes {
        let members: Vec<&[u8]> = change.split(' ').map(str::as_bytes).collect();
        apply(store, &SetChange::Add { members: List::Slices(&members) }.on(0, b"k"));
    }
    shown(store).unwrap().2
}

#[test]
fn forms_follow_the_thresholds_as_in_redis() {
    let store = Store::new(2, 16);
    store.thresholds.set_ints.store(4, Relaxed);
    store.thresholds.set_entries.store(3, Relaxed);
    store.thresholds.set_value.store(5, Relaxed);
    let cases: [(&[&str], Kind); 14] = [
        (&["1"], Kind::IntSet),
        (&["a"], Kind::Set),
        (&["1 2 3 4"], Kind::IntSet),
        (&["1 2 3 4", "5"], Kind::Boxed),
        (&["1 2", "a"], Kind::Set),
        (&["1 2 3", "a"], Kind::Boxed),
        (&["1 2 3 4", "4"], Kind::IntSet),
        (&["100000", "a"], Kind::Boxed),
        (&["a b c"], Kind::Set),
        (&["a b c", "d"], Kind::Boxed),
        (&["a b c", "1"], Kind::Boxed),
        (&["abcdef"], Kind::Boxed),
        // Members that are given twice count when the form is chosen.
        (&["a a a a"], Kind::Boxed),
        (&["1", "1 1 1 1 1"], Kind::Boxed),
    ];
    for (changes, kind) in cases {
        assert_eq!(kind_after(&store, changes), kind, "{changes:?}");
    }
}

#[test]
fn a_copy_is_a_set_of_its_own() {
    let store = Store::new(2, 16);
    for count in [3, 600] {
        let names: Vec<Vec<u8>> = (0..count).map(|n| format!("m{n}").into_bytes()).collect();
        apply(&store, &Effect::Delete { db: 0, key: b"k" });
        apply(&store, &SetChange::Add { members: List::Slices(&of(&names)) }.on(0, b"k"));
        let mut locked = store.lock_all(Mode::Write, 0);
        let hash = store.hash(b"other");
        locked.apply(&Effect::Copy { db: 0, key: b"k", to_db: 0, to: b"other" }, hash);
        locked.apply(&SetChange::Delete { members: List::Slices(&[b"m0"]) }.on(0, b"other"), hash);
        let set = locked.peek(store.space(0), b"other", hash).and_then(|entry| entry.value().set()).unwrap();
        assert_eq!((set.len(), matches!(set, SetRef::Big(_))), (count - 1, count > 128));
        drop(locked);
        assert_eq!(shown(&store).unwrap().0.len(), count);
    }
}
