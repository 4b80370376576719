use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Op {
    Set(u8, usize, u64),
    Expire(u8, u64),
    Remove(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let deadline = prop_oneof![Just(0u64), 1..20u64];
    prop_oneof![
        4 => (0..40u8, 0..20usize, deadline.clone()).prop_map(|(f, len, at)| Op::Set(f, len, at)),
        1 => (0..40u8, deadline).prop_map(|(f, at)| Op::Expire(f, at)),
        2 => (0..40u8).prop_map(Op::Remove),
    ]
}

fn name(f: u8) -> Vec<u8> {
    format!("field {f}").into_bytes()
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

fn run(hash: &mut BigHash, model: &mut Model, op: &Op, step: usize) {
    match *op {
        Op::Set(f, len, at) => {
            let value = vec![b'a' + (step % 26) as u8; len];
            let before = model.insert(name(f), (value.clone(), at)).map(|(_, at)| at);
            assert_eq!(hash.set(&name(f), &value, at), before);
        }
        Op::Expire(f, at) => {
            let found = model.get_mut(&name(f)).map(|v| v.1 = at).is_some();
            assert_eq!(hash.set_expire(&name(f), at), found);
        }
        Op::Remove(f) => assert_eq!(hash.remove(&name(f)), model.remove(&name(f)).map(|v| v.1)),
    }
}

fn all_live(hash: HashRef<'_>, now: u64) -> Model {
    hash.live(now).map(|f| (f.name.to_vec(), (f.value.to_vec(), f.expire))).collect()
}

fn same(hash: HashRef<'_>, model: &Model, now: u64) {
    let live: Model =
        model.iter().filter(|(_, v)| !passed(v.1, now)).map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(all_live(hash, now), live);
    let mut walked = Model::new();
    hash.each_live(now, |f| {
        walked.insert(f.name.to_vec(), (f.value.to_vec(), f.expire));
    });
    assert_eq!(walked, live);
    assert_eq!(hash.live_len(now), live.len());
    assert_eq!(hash.any_live(now), !live.is_empty());
    assert_eq!(hash.stored_len(), model.len());
    for f in 0..40 {
        let found = hash.get(&name(f), now).map(|f| (f.value.to_vec(), f.expire));
        assert_eq!(found.as_ref(), live.get(&name(f)));
    }
}

proptest! {
    #[test]
    fn an_indexed_hash_is_a_map_with_deadlines(ops in prop::collection::vec(op(), 1..120), now in 0..22u64) {
        let (mut hash, mut model) = (BigHash::default(), Model::new());
        for (step, op) in ops.iter().enumerate() {
            run(&mut hash, &mut model, op, step);
            let mut deadlines: Vec<u64> = model.values().map(|v| v.1).filter(|at| *at != 0).collect();
            deadlines.sort_unstable();
            prop_assert_eq!(hash.deadline(), deadlines.first().copied());
            prop_assert_eq!(hash.with_deadline(), deadlines.len());
            let expired: Vec<u64> = hash.expired(now).map(|f| f.expire).collect();
            deadlines.retain(|at| *at <= now);
            prop_assert_eq!(expired, deadlines);
        }
        same(HashRef::Big(&hash), &model, now);
    }

    #[test]
    fn forms_hold_the_same(ops in prop::collection::vec(op(), 1..60), now in 0..22u64) {
        let (mut hash, mut model) = (BigHash::default(), Model::new());
        for (step, op) in ops.iter().enumerate() {
            run(&mut hash, &mut model, op, step);
        }
        let mut packed = Vec::new();
        let ttl = HashRef::Big(&hash).pack_live(0, &mut packed);
        prop_assert_eq!(ttl, hash.with_deadline() > 0);
        same(HashRef::Packed(&packed, ttl), &model, now);
        prop_assert_eq!(if ttl { packed_deadline(&packed) } else { None }, hash.deadline());
        let again = BigHash::from_packed(&packed, ttl);
        same(HashRef::Big(&again), &model, now);
        let mut live = Vec::new();
        HashRef::Packed(&packed, ttl).pack_live(now, &mut live);
        model.retain(|_, v| !passed(v.1, now));
        same(HashRef::Packed(&live, ttl), &model, now);
        let longest = model.iter().map(|(k, v)| k.len().max(v.0.len())).max().unwrap_or(0);
        prop_assert!(packed_fits(&live, ttl, model.len(), longest));
        prop_assert!(model.is_empty() || !packed_fits(&live, ttl, model.len() - 1, longest));
        prop_assert!(model.is_empty() || !packed_fits(&live, ttl, model.len(), longest - 1));
    }

    /// SCAN's guarantee: what stays in the hash from the walk's beginning to its end is visited, whatever else happens.
    #[test]
    fn a_walk_misses_no_field_that_stays(
        start in prop::collection::vec(op(), 0..100),
        between in prop::collection::vec(prop::collection::vec(op(), 0..12), 0..30),
        count in 0..8usize,
    ) {
        let (mut hash, mut model) = (BigHash::default(), Model::new());
        for (step, op) in start.iter().enumerate() {
            run(&mut hash, &mut model, op, step);
        }
        let mut stayed: BTreeSet<Vec<u8>> = model.keys().cloned().collect();
        let mut visited = BTreeSet::new();
        let mut at = usize::MAX;
        let mut between = between.into_iter();
        let mut calls = 0;
        loop {
            let places = hash.step(at, count);
            at = places.start;
            visited.extend(hash.live_in(places, 0).map(|f| f.name.to_vec()));
            calls += 1;
            prop_assert!(calls <= 41, "the walk ends");
            if at == 0 {
                break;
            }
            for op in between.next().unwrap_or_default() {
                run(&mut hash, &mut model, &op, calls);
                stayed.retain(|name| model.contains_key(name));
            }
        }
        prop_assert!(stayed.is_subset(&visited));
    }
}

#[test]
fn a_walk_shows_live_fields_only() {
    let mut hash = BigHash::default();
    hash.set(b"a", b"1", 5);
    hash.set(b"b", b"2", 6);
    assert_eq!(hash.step(usize::MAX, 10), 0..2);
    assert!(hash.live_in(0..2, 5).map(|f| f.name).eq([b"b"]));
}

#[test]
fn long_names_and_values_keep_their_bytes() {
    let mut hash = BigHash::default();
    for (len, expire) in [(63, 0), (64, 9), (8191, 0), (8192, 7), (70_000, 1)] {
        let (name, value) = (vec![1; len], vec![2; len + 1]);
        assert_eq!(hash.set(&name, &value, expire), None);
        assert_eq!(hash.get(&name), Some(FieldRef { name: &name, value: &value, expire }));
    }
}

#[test]
fn a_shrunk_hash_gives_its_room_back() {
    let mut hash = BigHash::default();
    (0..10_000u32).for_each(|i| assert_eq!(hash.set(&i.to_le_bytes(), b"", 0), None));
    let full = hash.memory(0);
    (10..10_000u32).for_each(|i| assert_eq!(hash.remove(&i.to_le_bytes()), Some(0)));
    assert_eq!(hash.len(), 10);
    assert!(hash.memory(0) < full / 50);
    assert!((0..10u32).all(|i| hash.get(&i.to_le_bytes()).is_some()));
}
