use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Enough for several levels of the tree and many parts of the index.
const NAMES: u16 = 300;

#[derive(Clone, Debug)]
enum Op {
    Set(u16, f64),
    Remove(u16),
    RemoveRange(usize, usize),
    Copy,
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-4i32..5).prop_map(f64::from),
        2 => any::<i32>().prop_map(|n| f64::from(n) / 8.0),
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-320, f64::MAX, 9_007_199_254_740_993.0,
        ]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..NAMES, score()).prop_map(|(n, score)| Op::Set(n, score)),
        4 => (0..NAMES).prop_map(Op::Remove),
        1 => (0..400usize, 0..120usize).prop_map(|(at, count)| Op::RemoveRange(at, count)),
        1 => Just(Op::Copy),
    ]
}

/// Names with long beginnings in common, zeros and high bytes; some are longer than a leaf.
fn name(n: u16) -> Vec<u8> {
    let mut name = match n % 7 {
        0 => vec![0; n as usize / 7 % 5],
        1 => b"the same beginning ".to_vec(),
        2 => vec![0xff; 3],
        _ => Vec::new(),
    };
    name.extend_from_slice(&n.to_be_bytes());
    if n.is_multiple_of(61) {
        name.resize(100 + n as usize, b'l');
    }
    name
}

type Model = BTreeMap<Vec<u8>, f64>;

fn sorted(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut all: Vec<_> = model.iter().map(|(member, score)| (member.clone(), *score)).collect();
    all.sort_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
    all
}

fn owned<'a>(members: impl Iterator<Item = (&'a [u8], f64)>) -> Vec<(Vec<u8>, f64)> {
    members.map(|(member, score)| (member.to_vec(), score)).collect()
}

fn run(set: &mut BigZset, model: &mut Model, op: &Op, mut kept: Option<&mut Vec<ZsetInverse>>) {
    match *op {
        Op::Set(n, score) => {
            let before = match &mut kept {
                Some(kept) => set.set_kept(&name(n), score, kept),
                None => set.set(&name(n), score),
            };
            assert_eq!(before, model.insert(name(n), score));
        }
        Op::Remove(n) => {
            let before = match &mut kept {
                Some(kept) => set.remove_kept(&name(n), kept),
                None => set.remove(&name(n)),
            };
            assert_eq!(before, model.remove(&name(n)));
        }
        Op::RemoveRange(at, count) => {
            let gone = sorted(model).into_iter().skip(at).take(count);
            gone.for_each(|(member, _)| assert!(model.remove(&member).is_some()));
            match &mut kept {
                Some(kept) => set.remove_range_kept(at, at + count, kept),
                None => set.remove_range(at, at + count, &mut |_, _| {}),
            }
        }
        Op::Copy => *set = set.clone(),
    }
}

fn packed(model: &Model) -> Vec<u8> {
    let mut out = Vec::new();
    sorted(model).iter().for_each(|(member, score)| pack_member(&mut out, member, *score));
    out
}

/// Both forms answer as the model does.
fn assert_same(set: ZsetRef<'_>, model: &Model) {
    let all = sorted(model);
    assert_eq!(owned(set.iter()), all);
    assert_eq!((set.len(), set.is_empty()), (all.len(), all.is_empty()));
    for (rank, (member, score)) in all.iter().enumerate() {
        assert_eq!(set.rank(member), Some((rank, *score)));
        assert_eq!(set.score(member).map(f64::to_bits), Some(score.to_bits()));
    }
    for n in 0..NAMES {
        assert_eq!(set.score(&name(n)), model.get(&name(n)).copied());
    }
    for at in [-3.0, 0.0, 2.0, f64::INFINITY] {
        let below = all.iter().filter(|(_, score)| *score < at).count();
        let upto = all.iter().filter(|(_, score)| *score <= at).count();
        assert_eq!(set.partition(&Cut::BeforeScore(at)), below);
        assert_eq!(set.partition(&Cut::BehindScore(at)), upto);
    }
    assert_eq!((set.partition(&Cut::Start), set.partition(&Cut::End)), (0, all.len()));
    for (rank, count) in [(0, 3), (5, 40), (all.len() / 2, 1000), (all.len(), 2)] {
        let forward: Vec<_> = all.iter().skip(rank).take(count).cloned().collect();
        assert_eq!(owned(set.range(rank, count, false)), forward);
        let backward: Vec<_> = if rank < all.len() {
            all[..=rank].iter().rev().take(count).cloned().collect()
        } else {
            Vec::new()
        };
        assert_eq!(owned(set.range(rank, count, true)), backward);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 96 }))]

    #[test]
    fn both_forms_are_an_ordered_set(ops in prop::collection::vec(op(), 1..600)) {
        let (mut set, mut model) = (BigZset::default(), Model::new());
        for op in &ops {
            run(&mut set, &mut model, op, None);
        }
        set.assert_sound();
        assert_same(ZsetRef::Big(&set), &model);
        let packed = packed(&model);
        prop_assert!(check_packed(&packed));
        // The packed form knows one zero.
        model.values_mut().for_each(|score| *score += 0.0);
        assert_same(ZsetRef::Packed(&packed), &model);
        assert_same(ZsetRef::Big(&BigZset::from_packed(&packed)), &model);
    }

    #[test]
    fn what_is_taken_back_was_never_there(
        before in prop::collection::vec(op(), 1..300), ops in prop::collection::vec(op(), 1..200),
    ) {
        let (mut set, mut model) = (BigZset::default(), Model::new());
        before.iter().for_each(|op| run(&mut set, &mut model, op, None));
        let (was, mut kept) = (model.clone(), Vec::new());
        ops.iter().for_each(|op| run(&mut set, &mut model, op, Some(&mut kept)));
        kept.iter().rev().for_each(|inverse| set.revert(inverse));
        set.assert_sound();
        assert_same(ZsetRef::Big(&set), &was);
    }

    #[test]
    fn an_image_and_a_copy_stay_what_they_were(
        before in prop::collection::vec(op(), 1..300), ops in prop::collection::vec(op(), 1..200),
    ) {
        let (mut set, mut model) = (BigZset::default(), Model::new());
        before.iter().for_each(|op| run(&mut set, &mut model, op, None));
        let (was, copy, mut image) = (model.clone(), set.clone(), set.image());
        let mut read = Model::new();
        for op in &ops {
            run(&mut set, &mut model, op, None);
            image.read_leaf(|member, score| assert!(read.insert(member.to_vec(), score).is_none()));
        }
        while image.read_leaf(|member, score| assert!(read.insert(member.to_vec(), score).is_none())) {}
        prop_assert_eq!(&read, &was);
        copy.assert_sound();
        assert_same(ZsetRef::Big(&copy), &was);
        assert_same(ZsetRef::Big(&set), &model);
    }

    #[test]
    fn a_walk_comes_upon_all_that_stay(
        before in prop::collection::vec(op(), 1..400), ops in prop::collection::vec(op(), 0..400),
        count in 1..20usize,
    ) {
        let (mut set, mut model) = (BigZset::default(), Model::new());
        before.iter().for_each(|op| run(&mut set, &mut model, op, None));
        let mut stay: Vec<Vec<u8>> = model.keys().cloned().collect();
        let mut seen = std::collections::BTreeSet::new();
        let (mut ops, mut cursor, mut steps) = (ops.iter(), 0, 0);
        loop {
            let walk = set.walk(cursor, count);
            seen.extend(walk.found.iter().map(|(member, _)| member.to_vec()));
            cursor = walk.next;
            steps += 1;
            prop_assert!(steps < 2000, "a walk that does not end");
            if cursor == 0 {
                break;
            }
            for op in ops.by_ref().take(8) {
                run(&mut set, &mut model, op, None);
            }
            stay.retain(|member| model.contains_key(member));
        }
        stay.iter().for_each(|member| assert!(seen.contains(member), "{member:?}"));
    }

    #[test]
    fn any_bytes_are_a_packed_set_or_not(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if check_packed(&bytes) {
            let mut again = Vec::new();
            packed_members(&bytes).for_each(|m| pack_member(&mut again, m.member, m.score));
            prop_assert!(check_packed(&again));
        }
        packed_members(&bytes).for_each(drop);
    }
}

#[test]
fn members_that_come_in_order_fill_their_leaves() {
    let mut set = BigZset::default();
    for n in 0..800u32 {
        set.set(&n.to_be_bytes(), f64::from(n));
    }
    assert_eq!(set.leaves(), 100);
    for n in 0..800u32 {
        set.remove(&n.to_be_bytes());
    }
    assert!(set.is_empty());
    assert_eq!(set.leaves(), 0);
}

#[test]
fn members_that_come_in_gaps_fill_their_leaves_too() {
    let mut set = BigZset::default();
    for n in 0..16u32 {
        set.set(&n.to_be_bytes(), f64::from(n));
    }
    for n in 0..400u32 {
        set.set(&[b"down".as_slice(), &n.to_be_bytes()].concat(), 100.0 - f64::from(n) / 8.0);
    }
    assert!(set.leaves() < 120, "{}", set.leaves());
}

// An interpreter's allocator does not count.
#[cfg(not(miri))]
#[test]
fn what_a_set_takes_is_told() {
    use crate::env::memory::thread_bytes;
    let before = thread_bytes();
    let mut set = BigZset::default();
    for n in 0..5000u32 {
        set.set(
            format!("member:{:09}", n.wrapping_mul(2_654_435_761) % 100_000_000).as_bytes(),
            f64::from(n % 700),
        );
    }
    let taken = (thread_bytes() - before) as f64;
    let told = set.memory(0) as f64;
    assert!((taken * 0.95..=taken * 1.05).contains(&told), "{told} for {taken}");
}

#[test]
fn a_leaf_that_one_member_fills_is_not_split() {
    for lengths in [[80, 80, 60], [80, 60, 80], [60, 80, 80], [128, 128, 1], [65, 64, 64], [100, 29, 100]] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut set = BigZset::default();
            for at in order {
                set.set(&vec![b'a' + at as u8; lengths[at]], at as f64);
                set.assert_sound();
            }
            assert_eq!(set.len(), 3);
        }
    }
}

proptest! {
    #[test]
    fn members_of_all_lengths_have_their_place(
        ops in prop::collection::vec((0..160usize, any::<u8>(), 0..40u8, any::<bool>()), 1..300),
    ) {
        let (mut set, mut model) = (BigZset::default(), Model::new());
        for (length, byte, score, removes) in ops {
            let member = vec![byte; length];
            if removes {
                let known: Vec<Vec<u8>> = model.keys().cloned().collect();
                if let Some(member) = known.get(usize::from(byte) % known.len().max(1)) {
                    set.remove(member);
                    model.remove(member);
                }
            }
            set.set(&member, f64::from(score));
            model.insert(member, f64::from(score));
        }
        set.assert_sound();
        assert_same(ZsetRef::Big(&set), &model);
        // An image, read leaf by leaf, gives a set that is equal.
        let (mut image, mut again) = (set.image(), BigZset::default());
        while image.read_leaf(|member, score| {
            again.set(member, score);
        }) {}
        again.assert_sound();
        assert_same(ZsetRef::Big(&again), &model);
    }
}

#[test]
fn a_hint_tells_the_leaf_of_every_member() {
    let mut set = BigZset::default();
    (0..NAMES).filter(|n| n % 3 != 0).for_each(|n| _ = set.set(&name(n), f64::from(n)));
    let mut right = 0;
    for n in 0..NAMES {
        let hint = set.foresee(&name(n));
        hint.into_iter().for_each(|hint| set.prefetch(hint));
        right += usize::from(hint.is_some_and(|hint| set.is_in_leaf(&name(n), hint)));
    }
    assert_eq!(right, set.len());
}
