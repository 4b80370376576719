use super::*;
use crate::env::memory::thread_bytes;
use crate::value::parted::{Part, PartInverse};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Enough for several parts.
const MEMBERS: u8 = 120;

/// Every seventh member is a long one, with an allocation of its own.
fn name(n: u8) -> Vec<u8> {
    let mut name = format!("member {n}").into_bytes();
    if n.is_multiple_of(7) {
        name.resize(65 + usize::from(n), b'.');
    }
    name
}

type Model = BTreeSet<Vec<u8>>;

/// Adds or removes a member.
fn change() -> impl Strategy<Value = (bool, u8)> {
    (prop::bool::weighted(0.6), 0..MEMBERS)
}

fn run(set: &mut BigSet, model: &mut Model, (adds, n): (bool, u8)) {
    if adds {
        assert_eq!(set.add(&name(n)), model.insert(name(n)));
    } else {
        assert_eq!(set.remove(&name(n)), model.remove(&name(n)));
    }
}

fn all(set: &BigSet) -> Vec<Vec<u8>> {
    set.iter().map(<[u8]>::to_vec).collect()
}

proptest! {
    #[test]
    fn an_indexed_set_is_a_set(changes in prop::collection::vec(change(), 1..400)) {
        let (mut set, mut model) = (BigSet::default(), Model::new());
        for change in changes {
            run(&mut set, &mut model, change);
            prop_assert_eq!(set.len(), model.len());
        }
        prop_assert_eq!(all(&set).into_iter().collect::<Model>(), model.clone());
        prop_assert!((0..MEMBERS).all(|n| set.contains(&name(n)) == model.contains(&name(n))));
    }

    #[test]
    fn a_copy_is_a_set_of_its_own(
        before in prop::collection::vec(change(), 1..300),
        changes in prop::collection::vec((change(), any::<bool>()), 1..200),
    ) {
        let (mut set, mut model) = (BigSet::default(), Model::new());
        before.into_iter().for_each(|change| run(&mut set, &mut model, change));
        let (mut copy, mut copied) = (set.clone(), model.clone());
        for (change, on_copy) in changes {
            let (set, model) = if on_copy { (&mut copy, &mut copied) } else { (&mut set, &mut model) };
            run(set, model, change);
        }
        for (set, model) in [(set, model), (copy, copied)] {
            prop_assert_eq!(set.len(), model.len());
            prop_assert!((0..MEMBERS).all(|n| set.contains(&name(n)) == model.contains(&name(n))));
            prop_assert_eq!(all(&set).into_iter().collect::<Model>(), model);
        }
    }

    #[test]
    fn changes_that_are_taken_back_were_never_there(
        before in prop::collection::vec(change(), 0..200), kept in prop::collection::vec(change(), 1..200),
    ) {
        let (mut set, mut model) = (BigSet::default(), Model::new());
        before.into_iter().for_each(|change| run(&mut set, &mut model, change));
        let (order, mut inverses) = (all(&set), Vec::<PartInverse<MemberName>>::new());
        for (adds, n) in kept {
            let changed = if adds {
                set.add_kept(&name(n), &mut inverses)
            } else {
                set.remove_kept(&name(n), &mut inverses)
            };
            let expected = if adds { model.insert(name(n)) } else { model.remove(&name(n)) };
            prop_assert_eq!(changed, expected);
        }
        inverses.into_iter().rev().for_each(|inverse| set.revert(inverse));
        prop_assert_eq!(all(&set), order.clone());
        prop_assert_eq!(set.len(), order.len());
        prop_assert!(order.iter().all(|name| set.contains(name)));
    }

    /// SCAN's guarantee: a member that stays in the set from the walk's beginning to its end is visited, whatever other
    /// changes are made.
    #[test]
    fn a_walk_misses_no_member_that_stays(
        start in prop::collection::vec(change(), 0..300),
        between in prop::collection::vec(prop::collection::vec(change(), 0..12), 0..60),
        count in 0..8usize,
    ) {
        let (mut set, mut model) = (BigSet::default(), Model::new());
        start.into_iter().for_each(|change| run(&mut set, &mut model, change));
        let mut stayed = model.clone();
        let (mut visited, mut at, mut calls, mut between) = (Model::new(), 0, 0, between.into_iter());
        loop {
            let step = set.step(at, count);
            at = step.next();
            visited.extend(set.in_step(step).map(<[u8]>::to_vec));
            calls += 1;
            prop_assert!(calls <= 500, "the walk ends");
            if at == 0 {
                break;
            }
            for change in between.next().unwrap_or_default() {
                run(&mut set, &mut model, change);
                stayed.retain(|name| model.contains(name));
            }
        }
        prop_assert!(stayed.is_subset(&visited));
    }

    #[test]
    fn memory_is_what_the_allocator_gives(changes in prop::collection::vec(change(), 1..400)) {
        // A set is made before, so that what a thread allocates once is not measured.
        drop(BigSet::default());
        let before = thread_bytes();
        let mut set = BigSet::default();
        for (adds, n) in &changes {
            if *adds { set.add(&name(*n)) } else { set.remove(&name(*n)) };
        }
        let taken = thread_bytes() - before;
        if cfg!(not(miri)) {
            prop_assert_eq!(set.memory(0) as i64, taken);
        }
        drop(set);
        prop_assert_eq!(thread_bytes(), before);
    }

    #[test]
    fn integers_are_a_set_in_order(steps in prop::collection::vec((any::<bool>(), prop_oneof![
        any::<i8>().prop_map(i64::from), any::<i16>().prop_map(i64::from), any::<i32>().prop_map(i64::from),
        any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(32767), Just(-32769),
    ]), 1..80)) {
        let mut payload = empty_ints(0);
        let mut model = BTreeSet::new();
        for (adds, n) in steps {
            let found = Ints::of(&payload).find(n);
            prop_assert_eq!(found.is_ok(), model.contains(&n));
            match found {
                Ok(rank) if !adds => {
                    let (at, width) = Ints::of(&payload).place(rank);
                    payload.drain(at..at + width);
                    model.remove(&n);
                }
                Err(rank) if adds => {
                    if !Ints::of(&payload).holds(n) {
                        payload = Ints::of(&payload).widened(n);
                    }
                    let (at, width) = Ints::of(&payload).place(rank);
                    payload.splice(at..at, vec![0; width]);
                    fill_int(&mut payload[at..at + width], n);
                    model.insert(n);
                }
                _ => {}
            }
            let ints = Ints::of(&payload);
            prop_assert!(ints.iter().eq(model.iter().copied()));
            prop_assert_eq!(ints.len(), model.len());
            let longest = model.iter().map(|n| n.to_string().len()).max();
            prop_assert_eq!(ints.longest_text(), longest.unwrap_or(0));
        }
    }
}

#[test]
fn draws_reach_every_member_alike() {
    let mut set = BigSet::default();
    (0..1000u32).for_each(|n| assert!(set.add(&n.to_le_bytes())));
    (0..900u32).for_each(|n| assert!(set.remove(&n.to_le_bytes())));
    let mut random = crate::env::Random::seeded(5);
    let mut drawn = std::collections::BTreeMap::<Vec<u8>, u32>::new();
    for _ in 0..20_000 {
        *drawn.entry(set.any(|bound| random.below(bound)).unwrap().to_vec()).or_default() += 1;
    }
    // Each is expected 200 times, and six standard deviations are 85.
    assert!(drawn.len() == 100 && drawn.values().all(|n| n.abs_diff(200) < 85), "{drawn:?}");
}

#[test]
fn a_set_that_shrinks_gives_its_room_back() {
    let mut set = BigSet::default();
    (0..10_000u32).for_each(|n| assert!(set.add(&n.to_le_bytes())));
    let full = set.memory(0);
    (10..10_000u32).for_each(|n| assert!(set.remove(&n.to_le_bytes())));
    assert!(
        set.memory(0) < full * 2 / 3,
        "{} of {full}: the parts themselves stay, small ones here",
        set.memory(0)
    );
    assert!((0..10u32).all(|n| set.contains(&n.to_le_bytes())));
}

#[test]
fn members_of_any_length_keep_their_bytes() {
    let mut set = BigSet::default();
    let lengths = [0, 1, 63, 64, 65, 127, 128, 255, 256, 70_000];
    lengths.into_iter().for_each(|len| assert!(set.add(&vec![7; len])));
    lengths.into_iter().for_each(|len| assert!(!set.add(&vec![7; len]) && set.contains(&vec![7; len])));
    for len in lengths {
        assert!(set.remove(&vec![7; len]) && !set.contains(&vec![7; len]));
    }
    assert!(set.is_empty());
}

#[test]
fn forms_show_the_same() {
    let mut payload = empty_ints(5);
    payload.extend_from_slice(&[5, 0, 7, 1]);
    let mut packed = Vec::new();
    let mut big = BigSet::default();
    for text in [&b"5"[..], b"263"] {
        crate::value::packed::put_part(&mut packed, text);
        big.add(text);
    }
    for set in [SetRef::Ints(Ints::of(&payload)), SetRef::Packed(&packed), SetRef::Big(&big)] {
        assert_eq!(set.len(), 2);
        let all: BTreeSet<_> = set.iter().map(|member| member.bytes().into_owned()).collect();
        assert!(all.iter().eq([&b"263"[..], b"5"]));
        assert!(set.contains(b"5") && set.contains(b"263"));
        assert!([&b"05"[..], b"+5", b"", b"6", b"5 "].into_iter().all(|name| !set.contains(name)));
        assert!(set.iter().all(|member| member.with(|name| set.contains(name))));
    }
}

#[test]
fn a_hint_tells_where_nearly_every_member_is() {
    let mut set = BigSet::default();
    let is_member = |n: u8| !n.is_multiple_of(3);
    (0..MEMBERS).filter(|n| is_member(*n)).for_each(|n| assert!(set.add(&name(n))));
    let mut right = 0;
    for n in 0..MEMBERS {
        let hint = set.foresee(&name(n));
        hint.into_iter().for_each(|hint| set.prefetch(hint));
        if is_member(n) {
            let hint = hint.unwrap();
            right += usize::from(set.parts()[hint.part].at(hint.at) == Some(&name(n)[..]));
        }
    }
    // Two members of one part whose hashes look alike are mistaken for each other.
    assert!(right * 4 > set.len() * 3, "{right} of {}", set.len());
}
