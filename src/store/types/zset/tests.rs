use crate::effect::{Effect, List, ZsetChange, score_bytes};
use crate::store::{Kind, Mode, Store};
use crate::value::zset::{compare, pack_member};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Clone, Debug)]
enum Op {
    Set(Vec<(u8, i8)>),
    Delete(Vec<u8>),
    DeleteRange(usize, usize),
    Put(BTreeMap<u8, i8>, Option<u64>),
    Thresholds(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let member = || 0..14u8;
    let score = || -3..4i8;
    prop_oneof![
        6 => prop::collection::vec((member(), score()), 1..6).prop_map(Op::Set),
        2 => prop::collection::vec(member(), 1..4).prop_map(Op::Delete),
        2 => (0..12usize, 0..6usize).prop_map(|(at, count)| Op::DeleteRange(at, count)),
        1 => (prop::collection::btree_map(member(), score(), 1..9), prop::option::of(5..60u64))
            .prop_map(|(members, expire)| Op::Put(members, expire)),
        1 => (0..10usize, 2..12usize).prop_map(|(n, len)| Op::Thresholds(n, len)),
    ]
}

/// Some names are longer than some thresholds.
fn name(n: u8) -> Vec<u8> {
    vec![b'a' + n; 1 + usize::from(n)]
}

#[derive(Default, Debug)]
struct Model {
    scores: BTreeMap<Vec<u8>, f64>,
    expire: Option<u64>,
}

impl Model {
    fn sorted(&self) -> Vec<(Vec<u8>, f64)> {
        let mut all: Vec<_> = self.scores.iter().map(|(member, score)| (member.clone(), *score)).collect();
        all.sort_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
        all
    }

    fn remove(&mut self, names: impl Iterator<Item = Vec<u8>>) -> usize {
        let gone = names.filter(|name| self.scores.remove(name).is_some()).count();
        if self.scores.is_empty() {
            self.expire = None;
        }
        gone
    }
}

fn apply(store: &Store, effect: &Effect<'_>) -> usize {
    let hash = store.hash(b"k");
    store.lock_one(hash, Mode::Write, 1).apply(effect, hash)
}

fn set(store: &Store, members: &[(Vec<u8>, f64)]) -> usize {
    let scores: Vec<[u8; 8]> = members.iter().map(|(_, score)| score_bytes(*score)).collect();
    let pairs: Vec<&[u8]> =
        members.iter().zip(&scores).flat_map(|(m, score)| [&m.0[..], &score[..]]).collect();
    apply(store, &ZsetChange::Set { pairs: List::Slices(&pairs) }.on(0, b"k"))
}

fn step(store: &Store, model: &mut Model, op: &Op) {
    let (db, key) = (0, b"k".as_slice());
    match op {
        Op::Set(members) => {
            let members: Vec<_> = members.iter().map(|(n, score)| (name(*n), f64::from(*score))).collect();
            let created = set(store, &members);
            let new = members
                .into_iter()
                .filter(|(member, score)| model.scores.insert(member.clone(), *score).is_none());
            assert_eq!(created, new.count());
        }
        Op::Delete(members) => {
            let owned: Vec<_> = members.iter().map(|n| name(*n)).collect();
            let names: Vec<&[u8]> = owned.iter().map(|n| &**n).collect();
            let removed = apply(store, &ZsetChange::Delete { members: List::Slices(&names) }.on(db, key));
            assert_eq!(removed, model.remove(owned.into_iter()));
        }
        Op::DeleteRange(at, count) => {
            let gone: Vec<_> =
                model.sorted().into_iter().skip(*at).take(*count).map(|(member, _)| member).collect();
            let removed = apply(store, &ZsetChange::DeleteRange { at: *at, count: *count }.on(db, key));
            assert_eq!(removed, model.remove(gone.into_iter()));
        }
        Op::Put(members, expire) => {
            let scores = members.iter().map(|(n, score)| (name(*n), f64::from(*score))).collect();
            *model = Model { scores, expire: *expire };
            let mut payload = Vec::new();
            model.sorted().iter().for_each(|(member, score)| pack_member(&mut payload, member, *score));
            apply(store, &ZsetChange::Put { payload: &payload, expire: *expire }.on(db, key));
        }
        Op::Thresholds(entries, longest) => {
            store.thresholds.zset_entries.store(*entries, Relaxed);
            store.thresholds.zset_value.store(*longest, Relaxed);
        }
    }
}

fn check(store: &Store, model: &Model) {
    let hash = store.hash(b"k");
    let locked = store.lock_one(hash, Mode::Read, 1);
    let Some(entry) = locked.peek(0, b"k", hash) else {
        return assert!(model.scores.is_empty());
    };
    let set = entry.value().zset().unwrap();
    let found: Vec<_> = set.iter().map(|(member, score)| (member.to_vec(), score)).collect();
    assert_eq!(found, model.sorted());
    assert_eq!(entry.expire(), model.expire);
}

proptest! {
    #[test]
    fn effects_on_sorted_sets_keep_to_a_model(
        ops in prop::collection::vec(op(), 1..60), entries in 0..16usize, longest in 0..16usize,
    ) {
        let (store, mut model) = (Store::new(2, 1), Model::default());
        store.thresholds.zset_entries.store(entries, Relaxed);
        store.thresholds.zset_value.store(longest, Relaxed);
        for op in &ops {
            step(&store, &mut model, op);
            check(&store, &model);
        }
    }
}

fn form(store: &Store) -> (Kind, &'static str) {
    let hash = store.hash(b"k");
    let locked = store.lock_one(hash, Mode::Read, 1);
    let entry = locked.peek(0, b"k", hash).unwrap();
    (entry.kind(), entry.value().zset().unwrap().encoding())
}

#[test]
fn the_form_changes_at_the_thresholds_and_not_before() {
    let store = Store::new(2, 1);
    store.thresholds.zset_entries.store(3, Relaxed);
    store.thresholds.zset_value.store(4, Relaxed);
    let named = |names: &[&[u8]]| names.iter().map(|name| (name.to_vec(), 1.0)).collect::<Vec<_>>();
    set(&store, &named(&[b"a", b"bbbb", b"c"]));
    assert_eq!(form(&store), (Kind::SortedSet, "listpack"));
    set(&store, &[(b"a".to_vec(), 7.0)]);
    assert_eq!(form(&store), (Kind::SortedSet, "listpack"));
    set(&store, &named(&[b"d"]));
    assert_eq!(form(&store), (Kind::Boxed, "skiplist"));
    apply(&store, &Effect::Delete { db: 0, key: b"k" });
    set(&store, &named(&[b"bbbbb"]));
    assert_eq!(form(&store), (Kind::Boxed, "skiplist"));
}
