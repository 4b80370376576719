use super::*;
use crate::value::parted::Part;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Enough for several parts.
const FIELDS: u8 = 120;

#[derive(Clone, Debug)]
enum Op {
    Set(u8, usize, u64),
    Expire(u8, u64),
    Remove(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let deadline = prop_oneof![Just(0u64), 1..20u64];
    prop_oneof![
        4 => (0..FIELDS, 0..20usize, deadline.clone()).prop_map(|(f, len, at)| Op::Set(f, len, at)),
        1 => (0..FIELDS, deadline).prop_map(|(f, at)| Op::Expire(f, at)),
        2 => (0..FIELDS).prop_map(Op::Remove),
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
    for f in 0..FIELDS {
        let found = hash.get(&name(f), now).map(|f| (f.value.to_vec(), f.expire));
        assert_eq!(found.as_ref(), live.get(&name(f)));
    }
}

proptest! {
    #[test]
    fn an_indexed_hash_is_a_map_with_deadlines(ops in prop::collection::vec(op(), 1..300), now in 0..22u64) {
        let (mut hash, mut model) = (BigHash::default(), Model::new());
        for (step, op) in ops.iter().enumerate() {
            run(&mut hash, &mut model, op, step);
            let mut deadlines: Vec<u64> = model.values().map(|v| v.1).filter(|at| *at != 0).collect();
            deadlines.sort_unstable();
            prop_assert_eq!(hash.deadline(), deadlines.first().copied());
            prop_assert_eq!(hash.with_deadline(), deadlines.len());
            let mut expired: Vec<u64> = hash.expired(now).map(|f| f.expire).collect();
            deadlines.retain(|at| *at <= now);
            // They are in order within a part.
            expired.sort_unstable();
            prop_assert_eq!(expired, deadlines);
        }
        same(HashRef::Big(&hash), &model, now);
    }

    #[test]
    fn a_copy_is_a_hash_of_its_own(
        before in prop::collection::vec(op(), 1..200),
        ops in prop::collection::vec((op(), any::<bool>()), 1..100),
        now in 0..22u64,
    ) {
        let (mut hash, mut model) = (BigHash::default(), Model::new());
        for (step, op) in before.iter().enumerate() {
            run(&mut hash, &mut model, op, step);
        }
        let (mut copy, mut copied) = (hash.clone(), model.clone());
        for (step, (op, on_copy)) in ops.iter().enumerate() {
            let (hash, model) = if *on_copy { (&mut copy, &mut copied) } else { (&mut hash, &mut model) };
            run(hash, model, op, step);
        }
        same(HashRef::Big(&hash), &model, now);
        same(HashRef::Big(&copy), &copied, now);
    }

    #[test]
    fn forms_hold_the_same(ops in prop::collection::vec(op(), 1..200), now in 0..22u64) {
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

    /// SCAN's guarantee: a field that is in the hash from the walk's beginning to its end is visited, even if other
    /// fields change.
    #[test]
    fn a_walk_misses_no_field_that_stays(
        start in prop::collection::vec(op(), 0..300),
        between in prop::collection::vec(prop::collection::vec(op(), 0..12), 0..60),
        count in 0..8usize,
    ) {
        let (mut hash, mut model) = (BigHash::default(), Model::new());
        for (step, op) in start.iter().enumerate() {
            run(&mut hash, &mut model, op, step);
        }
        let mut stayed: BTreeSet<Vec<u8>> = model.keys().cloned().collect();
        let mut visited = BTreeSet::new();
        let mut at = 0;
        let mut between = between.into_iter();
        let mut calls = 0;
        loop {
            let step = hash.step(at, count);
            at = step.next();
            visited.extend(hash.live_in(step, 0).map(|f| f.name.to_vec()));
            calls += 1;
            prop_assert!(calls <= 500, "the walk ends");
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
    let step = hash.step(0, 10);
    assert_eq!(step.next(), 0);
    assert!(hash.live_in(step, 5).map(|f| f.name).eq([b"b"]));
    assert_eq!(hash.in_step(step).count(), 2);
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

/// If a hash grows during a walk, the walk still ends and misses no field.
#[test]
fn a_walk_over_a_growing_hash_ends() {
    for start in [1, 15, 16, 17, 33, 100, 127, 500u32] {
        let mut hash = BigHash::default();
        (0..start).for_each(|i| assert_eq!(hash.set(&i.to_le_bytes(), b"", 0), None));
        let mut visited = BTreeSet::new();
        let (mut cursor, mut calls, mut next) = (0, 0, start);
        loop {
            let step = hash.step(cursor, 3);
            visited.extend(hash.in_step(step).map(|f| f.name.to_vec()));
            cursor = step.next();
            if cursor == 0 {
                break;
            }
            calls += 1;
            assert!(calls < 10_000, "the walk does not end");
            for _ in 0..6 {
                hash.set(&next.to_le_bytes(), b"", 0);
                next += 1;
            }
        }
        assert!((0..start).all(|i| visited.contains(i.to_le_bytes().as_slice())), "{start}");
    }
}

#[test]
fn an_undisturbed_walk_visits_each_field_once() {
    let mut hash = BigHash::default();
    for i in 0..300u32 {
        hash.set(&i.to_le_bytes(), b"", 0);
        for count in [1, 7, 1000] {
            let (mut visited, mut cursor) = (Vec::new(), 0);
            loop {
                let step = hash.step(cursor, count);
                visited.extend(hash.in_step(step).map(|f| f.name.to_vec()));
                cursor = step.next();
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(visited.len(), i as usize + 1);
            assert_eq!(visited.into_iter().collect::<BTreeSet<_>>().len(), i as usize + 1);
        }
    }
    assert_eq!(hash.in_step(hash.step(u64::MAX, 5)).count(), 0, "a cursor that never was");
}

#[test]
fn numbers_and_draws_reach_every_field() {
    let mut hash = BigHash::default();
    for count in [1, 16, 17, 40, 1000u32] {
        for i in 0..count {
            hash.set(&i.to_le_bytes(), b"", 0);
        }
        let all: BTreeSet<_> = hash.iter().map(|f| f.name.to_vec()).collect();
        let numbered = hash.numbered();
        let by_number: BTreeSet<_> = (0..hash.len()).map(|i| numbered.at(i).unwrap().name.to_vec()).collect();
        assert_eq!((all.len(), &all), (count as usize, &by_number));
        assert_eq!(numbered.at(hash.len()), None);
        let mut random = crate::env::Random::seeded(u64::from(count));
        let mut drawn: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for _ in 0..count * 200 {
            *drawn.entry(hash.any(|bound| random.below(bound)).unwrap().name.to_vec()).or_default() += 1;
        }
        // Each is expected 200 times, and six standard deviations are 85.
        assert!(drawn.len() == all.len() && drawn.values().all(|n| n.abs_diff(200) < 85), "{drawn:?}");
    }
    (1..1000u32).for_each(|i| assert_eq!(hash.remove(&i.to_le_bytes()), Some(0)));
    assert_eq!(hash.any(|bound| bound - 1).unwrap().name, 0u32.to_le_bytes());
    hash.remove(&0u32.to_le_bytes());
    assert_eq!(hash.any(|_| 0), None);
}

#[test]
fn a_shrunk_hash_gives_its_room_back() {
    let mut hash = BigHash::default();
    (0..10_000u32).for_each(|i| assert_eq!(hash.set(&i.to_le_bytes(), b"", 0), None));
    let full = hash.memory(0);
    (10..10_000u32).for_each(|i| assert_eq!(hash.remove(&i.to_le_bytes()), Some(0)));
    assert_eq!(hash.len(), 10);
    assert!(hash.memory(0) < full / 5, "the parts themselves stay, which are small ones here");
    assert!((0..10u32).all(|i| hash.get(&i.to_le_bytes()).is_some()));
}

#[test]
fn a_hint_tells_where_nearly_every_field_is() {
    let name = |n: usize| format!("field {n}").into_bytes();
    let mut hash = BigHash::default();
    (0..200).filter(|n| n % 3 != 0).for_each(|n| assert!(hash.set(&name(n), b"value", 0).is_none()));
    let mut right = 0;
    for n in 0..200 {
        let hint = hash.foresee(&name(n));
        hint.into_iter().for_each(|hint| hash.prefetch(hint));
        if n % 3 != 0 {
            let hint = hint.unwrap();
            right += usize::from(hash.parts()[hint.part].at(hint.at).unwrap().name == name(n));
        }
    }
    // Two fields of one part whose hashes look alike are mistaken for each other.
    assert!(right * 4 > hash.len() * 3, "{right} of {}", hash.len());
}
