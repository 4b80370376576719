use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Op {
    Put(u16, usize),
    Remove(u16),
    /// Puts keys from here on in ascending or descending order.
    Run(u16, u16, bool),
    /// Removes all keys of a range.
    Clear(u16, u16),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..600u16;
    let len = || prop_oneof![4 => 0..40usize, 3 => 100..300usize, 1 => 1000..9000usize];
    prop_oneof![
        6 => (key(), len()).prop_map(|(k, n)| Op::Put(k, n)),
        3 => key().prop_map(Op::Remove),
        1 => (key(), 1..80u16, any::<bool>()).prop_map(|(k, n, up)| Op::Run(k, n, up)),
        1 => (key(), 1..200u16).prop_map(|(k, n)| Op::Clear(k, n)),
    ]
}

/// Keys of several lengths in the order of their numbers.
fn key(n: u16) -> Vec<u8> {
    let mut key = n.to_be_bytes().to_vec();
    key.extend(std::iter::repeat_n(b'x', usize::from(n % 40)));
    key
}

fn check_shape(items: &Collection) {
    let mut bounds: Vec<&[u8]> = items.chunks.keys().map(|k| k.as_slice()).collect();
    assert!(bounds.first().is_none_or(|first| first.is_empty()));
    bounds.remove(0);
    for ((from, chunk), to) in items.chunks.iter().zip(bounds.iter().map(Some).chain([None])) {
        let keys: Vec<&[u8]> = packed_items(&chunk.packed).map(|e| e.sort).collect();
        assert_eq!(keys.len(), chunk.items as usize);
        assert!(!keys.is_empty() && keys.is_sorted_by(|a, b| a < b));
        assert!(keys[0] >= from.as_slice() && to.is_none_or(|to| keys.last().unwrap() < to));
        let largest = packed_items(&chunk.packed).map(|e| e.end - e.start).max().unwrap();
        assert!(chunk.packed.len() <= 4096 + largest);
    }
}

fn check_same(items: ItemsRef<'_>, model: &Model, probes: &[(u16, u16)]) {
    let all: Vec<(Vec<u8>, Vec<u8>)> = items.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
    assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
    assert_eq!(items.len(), model.len());
    for (a, b) in probes {
        let (a, b) = (key(*a), key(*b));
        assert_eq!(items.get(&a), model.get(&a).map(Vec::as_slice));
        let bounds =
            |k: &'_ [u8]| -> [Bound<Vec<u8>>; 3] { [Unbounded, Included(k.to_vec()), Excluded(k.to_vec())] };
        for low in &bounds(&a) {
            for high in &bounds(&b) {
                let inside = |k: &[u8]| !below_model(k, low) && !above_model(k, high);
                let mut expected: Vec<&[u8]> =
                    model.keys().map(Vec::as_slice).filter(|k| inside(k)).collect();
                let (low, high) = (low.as_ref().map(Vec::as_slice), high.as_ref().map(Vec::as_slice));
                assert!(items.range(low, high, false).map(|(k, _)| k).eq(expected.iter().copied()));
                expected.reverse();
                assert!(items.range(low, high, true).map(|(k, _)| k).eq(expected));
            }
        }
    }
}

fn below_model(key: &[u8], low: &Bound<Vec<u8>>) -> bool {
    match low {
        Included(low) => key < low.as_slice(),
        Excluded(low) => key <= low.as_slice(),
        Unbounded => false,
    }
}

fn above_model(key: &[u8], high: &Bound<Vec<u8>>) -> bool {
    match high {
        Included(high) => key > high.as_slice(),
        Excluded(high) => key >= high.as_slice(),
        Unbounded => false,
    }
}

fn run(items: &mut Collection, model: &mut Model, op: &Op, step: usize) {
    let mut put = |n: u16, len: usize| {
        let value = vec![step as u8; len];
        let there = model.insert(key(n), value.clone()).is_some();
        assert_eq!(items.put(&key(n), &value), there);
    };
    match *op {
        Op::Put(n, len) => put(n, len),
        Op::Run(from, count, true) => (from..from + count).for_each(|n| put(n, 150)),
        Op::Run(from, count, false) => (from..from + count).rev().for_each(|n| put(n, 150)),
        Op::Remove(n) => assert_eq!(items.remove(&key(n)), model.remove(&key(n)).is_some()),
        Op::Clear(from, count) => {
            for n in from..from + count {
                assert_eq!(items.remove(&key(n)), model.remove(&key(n)).is_some());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_tree_of_chunks_is_a_map(
        ops in prop::collection::vec(op(), 1..60), probes in prop::collection::vec((0..620u16, 0..620u16), 1..4),
    ) {
        let (mut items, mut model) = (Collection::default(), Model::new());
        for (step, op) in ops.iter().enumerate() {
            run(&mut items, &mut model, op, step);
            if !items.chunks.is_empty() {
                check_shape(&items);
            }
        }
        check_same(ItemsRef::Big(&items), &model, &probes);
        let mut packed = Vec::new();
        model.iter().for_each(|(k, v)| pack_item(k, v, &mut packed));
        check_same(ItemsRef::Packed(&packed), &model, &probes);
        let again = Collection::from_packed(&packed, None);
        check_same(ItemsRef::Big(&again), &model, &[]);
        for key in model.keys() {
            items.remove(key);
        }
        prop_assert!(items.is_empty() && items.chunks.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// The deadline of an item is its first byte in seconds; 0 stands for none. Before, no item had one.
    #[test]
    fn deadlines_computed_in_steps_are_never_later_than_an_items_own(
        before in prop::collection::vec(op(), 1..40),
        meanwhile in prop::collection::vec(op(), 0..40),
        most in 1..40usize,
    ) {
        let deadline_of = |item: &[u8]| item.first().filter(|at| **at > 0).map(|at| u64::from(*at) * 1000);
        let (mut items, mut model) = (Collection::default(), Model::new());
        for (step, op) in before.iter().enumerate() {
            run(&mut items, &mut model, op, step);
        }
        let mut changes = meanwhile.iter();
        let (mut from, mut steps) = (Separator::new(), 0);
        while let Some(next) = items.retime(&from, most, &deadline_of) {
            prop_assert!(next > from);
            (from, steps) = (next, steps + 1);
            let Some(op) = changes.next() else { continue };
            run(&mut items, &mut model, op, steps);
            for (key, item) in &model {
                deadline_of(item).into_iter().for_each(|at| items.note_deadline(key, at));
            }
        }
        let mut earliest = None;
        for chunk in items.chunks.values() {
            let first = packed_items(&chunk.packed).filter_map(|e| deadline_of(e.item)).min();
            prop_assert!(first.is_none_or(|first| u64::from(chunk.deadline) * 1000 <= first));
            earliest = [earliest, first].into_iter().flatten().min();
        }
        prop_assert!(earliest.is_none_or(|earliest| items.earliest().is_some_and(|at| at <= earliest)));
    }
}

#[test]
fn items_of_200_bytes_cost_little_beside_their_own() {
    let orders: [fn(u32) -> u32; 3] = [|n| n, |n| 50_000 - n, |n| n.wrapping_mul(2_654_435_761)];
    for order in orders {
        let mut items = Collection::default();
        for n in 0..50_000u32 {
            items.put(&order(n).to_be_bytes(), &[7; 196]);
        }
        let each = items.memory(0) / items.len();
        assert!(each < 200 + 100, "{each} bytes for 200");
    }
}
