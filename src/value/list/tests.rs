use super::*;
use crate::value::listpack::ListpackEntry;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<u8>),
    /// This many elements, which all differ.
    Many(bool, u16, u8),
    Pop(bool, u16),
    Insert(u16, Vec<u8>),
    Set(u16, Vec<u8>),
    Remove(u16, u8),
    Runs(Vec<(u8, u8)>),
    Copy,
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        2 => prop::sample::select(vec!["-0", "007", "+1", "", "0", "-1", "9223372036854775807", "9223372036854775808"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => (60usize..70).prop_map(|len| vec![b'm'; len]),
        1 => (200usize..300).prop_map(|len| vec![b'l'; len]),
        1 => Just(vec![b'x'; 5000]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), element()).prop_map(|(front, element)| Step::Push(front, element)),
        3 => (any::<bool>(), 0u16..400, 0u8..30).prop_map(|(front, count, len)| Step::Many(front, count, len)),
        3 => (any::<bool>(), prop_oneof![3 => 0u16..4, 1 => 0u16..600])
            .prop_map(|(front, count)| Step::Pop(front, count)),
        4 => (any::<u16>(), element()).prop_map(|(at, element)| Step::Insert(at, element)),
        3 => (any::<u16>(), element()).prop_map(|(at, element)| Step::Set(at, element)),
        3 => (any::<u16>(), 0u8..100).prop_map(|(at, count)| Step::Remove(at, count)),
        2 => prop::collection::vec((0u8..40, 0u8..12), 0..20).prop_map(Step::Runs),
        1 => Just(Step::Copy),
    ]
}

/// Makes the same change of a list and of a plain one.
fn change(list: &mut BigList, model: &mut VecDeque<Vec<u8>>, step: Step) {
    match step {
        Step::Push(front, element) => push(list, model, front, element),
        Step::Many(front, count, len) => {
            for n in 0..count {
                push(list, model, front, format!("{n:0len$}e", len = usize::from(len)).into_bytes());
            }
        }
        Step::Pop(front, count) => {
            let count = usize::from(count).min(model.len());
            let at = if front { 0 } else { model.len() - count };
            drop(list.remove(at, count));
            model.drain(at..at + count);
        }
        Step::Insert(at, element) => {
            let at = usize::from(at) % (model.len() + 1);
            list.insert(at, &element);
            model.insert(at, element);
        }
        Step::Set(at, element) if !model.is_empty() => {
            let at = usize::from(at) % model.len();
            list.set(at, &element);
            model[at] = element;
        }
        Step::Remove(at, count) if !model.is_empty() => {
            let at = usize::from(at) % model.len();
            let count = usize::from(count).min(model.len() - at);
            drop(list.remove(at, count));
            model.drain(at..at + count);
        }
        Step::Runs(wanted) => {
            let (mut runs, mut at) = (Vec::new(), 0);
            for (passed, removed) in wanted {
                let passed = usize::from(passed);
                let removed = usize::from(removed).min(model.len().saturating_sub(at + passed));
                if removed > 0 {
                    at += passed;
                    model.drain(at..at + removed);
                    runs.push(RemovedRun { passed, removed });
                }
            }
            drop(list.remove_runs(runs.iter().copied()));
        }
        Step::Set(..) | Step::Remove(..) | Step::Copy => {}
    }
}

fn push(list: &mut BigList, model: &mut VecDeque<Vec<u8>>, front: bool, element: Vec<u8>) {
    list.push(front, &element);
    if front { model.push_front(element) } else { model.push_back(element) }
}

fn all(list: ListRef<'_>) -> Vec<Vec<u8>> {
    list.iter_from(0).map(ListpackEntry::into_vec).collect()
}

/// The list equals the plain one, wherever reading begins.
fn check(list: &BigList, model: &VecDeque<Vec<u8>>) {
    let view = ListRef::Big(list);
    assert_eq!(view.len(), model.len());
    assert!(all(view).iter().eq(model));
    let back: Vec<_> = view.iter_back_from(usize::MAX).map(ListpackEntry::into_vec).collect();
    assert!(back.iter().rev().eq(model));
    for at in (0..=model.len()).step_by(1 + model.len() / 7) {
        assert_eq!(view.get(at).map(ListpackEntry::into_vec).as_ref(), model.get(at));
        assert!(view.iter_from(at).map(ListpackEntry::into_vec).eq(model.iter().skip(at).cloned()));
        if at < model.len() {
            let before = view.iter_back_from(at).map(ListpackEntry::into_vec);
            assert!(before.eq(model.iter().take(at + 1).rev().cloned()));
        }
    }
    let mut seen = 0;
    view.each_piece(&mut |entries, count| {
        assert!(count == 1 || entries.len() <= 256, "a leaf of {} bytes", entries.len());
        seen += count;
    });
    assert_eq!(seen, model.len());
}

proptest! {
    #[test]
    fn a_large_list_is_what_a_plain_one_is(steps in prop::collection::vec(step(), 1..60)) {
        let (mut list, mut model) = (BigList::default(), VecDeque::new());
        let mut copies = Vec::new();
        for step in steps {
            if matches!(step, Step::Copy) {
                copies.push((list.clone(), model.clone()));
            }
            change(&mut list, &mut model, step);
            check(&list, &model);
        }
        // The copies are as they were when they were made, whatever has happened to the list.
        copies.iter().for_each(|(list, model)| check(list, model));
    }

    #[test]
    fn forms_turn_into_each_other(elements in prop::collection::vec(element(), 0..80)) {
        let entries = encode_all(elements.iter().map(Vec::as_slice));
        let packed = packed_of(&entries, elements.len());
        let view = ListRef::Packed(&packed);
        prop_assert_eq!(all(view), elements.clone());
        let big = BigList::from_packed(&packed);
        check(&big, &elements.clone().into());
        for at in 0..=elements.len() {
            prop_assert_eq!(view.get(at).map(ListpackEntry::into_vec), elements.get(at).cloned());
            if at < elements.len() {
                let before: Vec<_> = view.iter_back_from(at).map(ListpackEntry::into_vec).collect();
                prop_assert!(before.iter().rev().eq(&elements[..=at]));
                prop_assert!(Needle::new(&elements[at]).is(view.get(at).unwrap()));
            }
        }
    }
}

#[test]
fn only_the_very_bytes_are_an_element() {
    let texts = ["1", "01", "+1", "-0", "0", " 1", "1 ", "9223372036854775807", "9223372036854775808", ""];
    for text in texts {
        let packed = packed_of(&encode_all(std::iter::once(text.as_bytes())), 1);
        let element = ListRef::Packed(&packed).get(0).unwrap();
        for other in texts {
            assert_eq!(Needle::new(other.as_bytes()).is(element), text == other, "{text:?} {other:?}");
        }
    }
}

#[test]
fn limits_are_those_of_redis() {
    let limits = ListLimits::of_option;
    assert!(limits(-2).allow(8185, 1) && !limits(-2).allow(8186, 1));
    assert!(limits(-1).allow(4089, 1) && !limits(-1).allow(4090, 1));
    assert!(limits(-5).allow(65529, 1) && !limits(-5).allow(65530, 1));
    assert_eq!(limits(-6), limits(-5));
    assert!(limits(0).allow(100, 1) && !limits(0).allow(100, 2));
    assert!(limits(3).allow(100, 3) && !limits(3).allow(100, 4) && !limits(3).allow(8186, 1));
    assert!(limits(-2).allow_again(4089, 1000) && !limits(-2).allow_again(4090, 1));
    assert!(limits(6).allow_again(100, 3) && !limits(6).allow_again(100, 4));
    assert_eq!(limits(i64::MIN), limits(-5));
}

#[cfg(not(miri))]
#[test]
fn a_list_knows_what_it_takes() {
    for (count, len, from_front) in
        [(1, 5, false), (40, 16, false), (3000, 16, true), (5000, 40, false), (100, 3000, true)]
    {
        let before = crate::env::memory::thread_bytes();
        let mut list = BigList::default();
        for n in 0..count {
            list.push(from_front, format!("{n:0len$}e").as_bytes());
        }
        let taken = (crate::env::memory::thread_bytes() - before) as f64;
        let told = list.memory(0) as f64;
        assert!((taken * 0.97..=taken * 1.03).contains(&told), "{count} of {len}: {told} for {taken}");
        let told = list.memory(5) as f64;
        assert!((taken * 0.95..=taken * 1.05).contains(&told), "{count} of {len}: {told} for {taken}");
    }
}

#[cfg(not(miri))]
#[test]
fn elements_that_become_smaller_give_memory_back() {
    for (count, before, after) in [(40, 200, 1), (3000, 50, 2), (200, 5000, 10), (100, 300, 0)] {
        let mut list = BigList::default();
        (0..count).for_each(|_| list.push(false, &vec![b'x'; before]));
        (0..count).for_each(|at| list.set(at, &vec![b'y'; after]));
        let mut fresh = BigList::default();
        (0..count).for_each(|_| fresh.push(false, &vec![b'y'; after]));
        let (kept, needed) = (list.memory(0), fresh.memory(0));
        // A leaf may have four times the room that it uses, and inner nodes of few children stay.
        assert!(kept <= needed * 4 + 4096, "{count} from {before} to {after}: {kept} for {needed}");
    }
}

#[test]
fn what_is_removed_as_a_whole_is_given_back() {
    let mut list = BigList::default();
    (0..5000).for_each(|n| list.push(false, n.to_string().as_bytes()));
    let gone = list.remove(10, 4900);
    assert!(gone.is_large());
    assert!(BigList::of_removed(gone).len() > 4000);
    assert_eq!(list.len(), 100);
    assert!(!list.remove(0, 1).is_large());
}
