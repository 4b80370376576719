use crate::effect::{Effect, FieldExpire, HashChange, List, SYSTEM, StringChange, Structural, TOKENS};
use crate::store::{Kind, Mode, Store, ValueRef};
use crate::value::hash::{HashRef, pack_field, passed};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Clone, Debug)]
enum Op {
    Set(Vec<(u8, usize)>, FieldExpire),
    Delete(Vec<u8>),
    Expire(Vec<u8>, u64),
    Put(BTreeMap<u8, (usize, u64)>, Option<u64>),
    ExpireKey(Option<u64>),
    Wait(u64),
    Thresholds(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let at = || 1..60u64;
    let maybe = || prop_oneof![Just(0u64), 1..60u64];
    let mode = prop_oneof![
        3 => Just(FieldExpire::Clear),
        1 => Just(FieldExpire::Keep),
        1 => at().prop_map(FieldExpire::At),
    ];
    let field = || 0..12u8;
    let value = || prop_oneof![6 => 0..10usize, 1 => 100..300usize];
    prop_oneof![
        6 => (prop::collection::vec((field(), value()), 1..5), mode).prop_map(|(f, m)| Op::Set(f, m)),
        2 => prop::collection::vec(field(), 1..4).prop_map(Op::Delete),
        2 => (prop::collection::vec(field(), 1..4), maybe()).prop_map(|(f, at)| Op::Expire(f, at)),
        1 => (prop::collection::btree_map(field(), (value(), maybe()), 1..9), prop::option::of(at()))
            .prop_map(|(f, at)| Op::Put(f, at)),
        1 => prop::option::of(at()).prop_map(Op::ExpireKey),
        1 => (1..8u64).prop_map(Op::Wait),
        1 => (0..10usize, 2..12usize).prop_map(|(n, len)| Op::Thresholds(n, len)),
    ]
}

#[derive(Default, Debug)]
struct Model {
    fields: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    expire: Option<u64>,
}

fn name(f: u8) -> Vec<u8> {
    vec![b'f', f]
}

fn value(step: usize, len: usize) -> Vec<u8> {
    vec![b'a' + (step % 26) as u8; len]
}

impl Model {
    fn set(&mut self, fields: &[(Vec<u8>, Vec<u8>)], mode: FieldExpire, now: u64) -> usize {
        let mut created = 0;
        for (name, value) in fields {
            let before = self.fields.get(name).map(|(_, at)| *at);
            created += usize::from(before.is_none_or(|at| passed(at, now)));
            let at = match mode {
                FieldExpire::Clear => 0,
                FieldExpire::Keep => before.unwrap_or(0),
                FieldExpire::At(at) => at,
            };
            self.fields.insert(name.clone(), (value.clone(), at));
        }
        created
    }

    fn delete(&mut self, names: &[Vec<u8>], now: u64) -> usize {
        let removed =
            names.iter().filter_map(|n| self.fields.remove(n)).filter(|v| !passed(v.1, now)).count();
        if self.fields.is_empty() {
            self.expire = None;
        }
        removed
    }
}

struct Run {
    store: Store,
    model: Model,
    now: u64,
}

impl Run {
    fn apply(&self, effect: &Effect<'_>) -> usize {
        let hash = self.store.hash(b"k");
        self.store.lock_one(hash, Mode::Write, self.now).apply(effect, hash)
    }

    fn step(&mut self, op: &Op, step: usize) {
        let (db, key) = (0, b"k".as_slice());
        match op {
            Op::Set(fields, mode) => {
                // A handler never sets a deadline that has passed; it deletes the fields.
                let mode = match *mode {
                    FieldExpire::At(at) => FieldExpire::At(self.now + at),
                    FieldExpire::Clear | FieldExpire::Keep => *mode,
                };
                let owned: Vec<_> = fields.iter().map(|(f, len)| (name(*f), value(step, *len))).collect();
                let pairs: Vec<&[u8]> = owned.iter().flat_map(|(n, v)| [&**n, &**v]).collect();
                let pairs = List::Slices(&pairs);
                let created = self.apply(&HashChange::Set { pairs, expire: mode }.on(db, key));
                assert_eq!(created, self.model.set(&owned, mode, self.now));
            }
            Op::Delete(fields) => {
                let owned: Vec<_> = fields.iter().map(|f| name(*f)).collect();
                let names: Vec<&[u8]> = owned.iter().map(|n| &**n).collect();
                let removed = self.apply(&HashChange::Delete { fields: List::Slices(&names) }.on(db, key));
                assert_eq!(removed, self.model.delete(&owned, self.now));
            }
            Op::Expire(fields, at) => {
                let owned: Vec<_> = fields.iter().map(|f| name(*f)).collect();
                let names: Vec<&[u8]> = owned.iter().map(|n| &**n).collect();
                self.apply(&HashChange::Expire { fields: List::Slices(&names), at: *at }.on(db, key));
                for n in owned {
                    self.model.fields.entry(n).and_modify(|v| v.1 = *at);
                }
            }
            Op::Put(fields, expire) => {
                let ttl = fields.values().any(|v| v.1 != 0);
                let mut payload = Vec::new();
                self.model = Model { fields: BTreeMap::new(), expire: *expire };
                for (f, (len, at)) in fields {
                    pack_field(&mut payload, ttl, &name(*f), &value(step, *len), *at);
                    self.model.fields.insert(name(*f), (value(step, *len), *at));
                }
                self.apply(&HashChange::Put { expire: *expire, ttl, payload: &payload }.on(db, key));
            }
            Op::ExpireKey(at) => {
                self.apply(&Effect::Expire { db, key, at: *at });
                if !self.model.fields.is_empty() {
                    self.model.expire = *at;
                }
            }
            Op::Wait(ms) => self.now += ms,
            Op::Thresholds(entries, longest) => {
                self.store.thresholds.hash_entries.store(*entries, Relaxed);
                self.store.thresholds.hash_value.store(*longest, Relaxed);
            }
        }
    }

    fn check(&self) {
        let hash = self.store.hash(b"k");
        let locked = self.store.lock_one(hash, Mode::Write, self.now);
        let fields = &self.model.fields;
        let Some(entry) = locked.peek(0, b"k", hash) else {
            assert!(fields.is_empty());
            assert_eq!((self.store.db_size(0), self.store.subexpires(0)), ((0, 0), 0));
            return;
        };
        let deadlines = fields.values().map(|v| v.1).filter(|at| *at != 0);
        let earliest = deadlines.chain(self.model.expire).min();
        assert_eq!(entry.has_deadline(), earliest.is_some());
        assert_eq!(entry.expire(), self.model.expire);
        assert_eq!(self.store.db_size(0), (1, u64::from(self.model.expire.is_some())));
        assert_eq!(self.store.subexpires(0), u64::from(fields.values().any(|v| v.1 != 0)));
        let all = entry.value().hash().unwrap();
        let stored: BTreeMap<_, _> =
            all.live(0).map(|f| (f.name.to_vec(), (f.value.to_vec(), f.expire))).collect();
        assert_eq!(&stored, fields);
        let live = fields.values().filter(|v| !passed(v.1, self.now)).count();
        assert_eq!(all.live_len(self.now), live);
        let own = self.model.expire.is_some_and(|at| at <= self.now);
        assert_eq!(entry.expired(self.now), own || live == 0);
        assert_eq!(locked.get(0, b"k", hash).is_some(), !(own || live == 0));
        self.check_sweep(&locked, own);
    }

    fn check_sweep(&self, locked: &crate::store::Locked<'_>, own: bool) {
        let sweep = locked.due(self.store.shard_of(self.store.hash(b"k")), 100);
        let gone = self.model.fields.iter().filter(|(_, v)| passed(v.1, self.now)).map(|(n, _)| n.clone());
        let mut gone: Vec<_> = gone.collect();
        match sweep.due.as_slice() {
            [] => assert!(!own && gone.is_empty()),
            [due] if own => assert!(due.fields.is_none()),
            [due] => {
                let mut due = due.fields.clone().unwrap();
                due.sort();
                gone.sort();
                assert_eq!(due, gone);
            }
            _ => panic!("one key, one finding"),
        }
    }
}

proptest! {
    #[test]
    fn effects_on_hashes_keep_to_a_model(ops in prop::collection::vec(op(), 1..60), entries in 0..10usize) {
        let mut run = Run { store: Store::new(2, 1), model: Model::default(), now: 1 };
        run.store.thresholds.hash_entries.store(entries, Relaxed);
        run.store.thresholds.hash_value.store(8, Relaxed);
        for (step, op) in ops.iter().enumerate() {
            run.step(op, step);
            run.check();
        }
    }
}

fn form(store: &Store) -> (Kind, &'static str) {
    let hash = store.hash(b"k");
    let locked = store.lock_one(hash, Mode::Read, 1);
    let entry = locked.peek(0, b"k", hash).unwrap();
    (entry.kind(), entry.value().hash().unwrap().encoding())
}

fn set(store: &Store, pairs: &[&[u8]], expire: FieldExpire) {
    let hash = store.hash(b"k");
    let effect = HashChange::Set { pairs: List::Slices(pairs), expire }.on(0, b"k");
    store.lock_one(hash, Mode::Write, 1).apply(&effect, hash);
}

#[test]
fn the_form_changes_at_the_thresholds_and_not_before() {
    let store = Store::new(2, 1);
    store.thresholds.hash_entries.store(3, Relaxed);
    store.thresholds.hash_value.store(4, Relaxed);
    set(&store, &[b"a", b"1234", b"bbbb", b"2", b"c", b"3"], FieldExpire::Clear);
    assert_eq!(form(&store), (Kind::Hash, "listpack"));
    set(&store, &[b"a", b"9"], FieldExpire::At(50));
    assert_eq!(form(&store), (Kind::HashTtl, "listpackex"));
    set(&store, &[b"d", b"4"], FieldExpire::Clear);
    assert_eq!(form(&store), (Kind::Boxed, "hashtable"));
}

#[test]
fn a_sweep_is_bounded_in_fields_and_says_that_there_are_more() {
    let store = Store::new(2, 1);
    let names: Vec<[u8; 4]> = (0..1000u32).map(u32::to_be_bytes).collect();
    let pairs: Vec<&[u8]> = names.iter().flat_map(|n| [n.as_slice(), b"v"]).collect();
    set(&store, &pairs, FieldExpire::At(5));
    let hash = store.hash(b"k");
    let mut rounds = 0;
    loop {
        let mut locked = store.lock_one(hash, Mode::Write, 5);
        let sweep = locked.due(store.shard_of(hash), 300);
        let Some(due) = sweep.due.first() else { break };
        let fields = due.fields.as_ref().unwrap();
        assert_eq!(sweep.more, rounds < 3);
        assert_eq!(fields.len(), if rounds < 3 { 300 } else { 100 });
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        locked.apply(&HashChange::Delete { fields: List::Slices(&fields) }.on(0, b"k"), hash);
        rounds += 1;
    }
    assert_eq!((rounds, store.db_size(0)), (4, (0, 0)));
}

#[test]
fn a_long_name_or_value_is_indexed_at_once() {
    for pairs in [[b"abcde".as_slice(), b"1"], [b"a", b"12345"]] {
        let store = Store::new(2, 1);
        store.thresholds.hash_value.store(4, Relaxed);
        set(&store, &pairs, FieldExpire::Clear);
        assert_eq!(form(&store), (Kind::Boxed, "hashtable"));
        let hash = store.hash(b"k");
        let locked = store.lock_one(hash, Mode::Read, 1);
        let entry = locked.peek(0, b"k", hash).unwrap();
        let HashRef::Big(big) = entry.value().hash().unwrap() else { panic!("indexed") };
        assert_eq!(big.get(pairs[0]).unwrap().value, pairs[1]);
    }
}

#[test]
fn under_a_lowered_threshold_the_next_write_changes_the_form() {
    for (fields, form_after) in [(3, "listpack"), (2, "hashtable")] {
        let store = Store::new(2, 1);
        set(&store, &[b"a", b"1", b"b", b"2", b"c", b"3"], FieldExpire::Clear);
        store.thresholds.hash_entries.store(fields, Relaxed);
        set(&store, &[b"b", b"9"], FieldExpire::Clear);
        assert_eq!(form(&store).1, form_after);
        let hash = store.hash(b"k");
        let locked = store.lock_one(hash, Mode::Read, 1);
        let value = locked.peek(0, b"k", hash).unwrap().value().hash().unwrap();
        assert_eq!((value.live_len(1), value.get(b"b", 1).unwrap().value), (3, b"9".as_slice()));
    }
}

#[test]
fn what_may_be_large_is_freed_after_the_shard_was_given_back() {
    let gone: [&dyn Fn() -> Effect<'static>; 2] = [&|| Effect::Delete { db: 0, key: b"k" }, &|| {
        StringChange::Set { value: b"v", expire: None }.on(0, b"k")
    }];
    for effect in gone {
        let store = Store::new(2, 1);
        store.thresholds.hash_entries.store(1, Relaxed);
        set(&store, &[b"a", b"1", b"b", b"2"], FieldExpire::Clear);
        let hash = store.hash(b"k");
        let mut locked = store.lock_one(hash, Mode::Write, 1);
        locked.apply(&effect(), hash);
        assert_eq!(locked.garbage.as_ref().map(|garbage| garbage.0.len()), Some(1));
    }
}

#[test]
fn large_values_are_freed_by_a_thread_of_their_own() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let store = std::sync::Arc::new(Store::new(2, 1));
    let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let pairs =
        |count: usize| -> Vec<&[u8]> { names[..count].iter().flat_map(|n| [n.as_bytes(), b"v"]).collect() };
    store.thresholds.hash_entries.store(1, Relaxed);
    let remove = |count: usize| {
        set(&store, &pairs(count), FieldExpire::Clear);
        let hash = store.hash(b"k");
        let mut locked = store.lock_one(hash, Mode::Write, 1);
        locked.apply(&Effect::Delete { db: 0, key: b"k" }, hash);
        locked.garbage.as_ref().map_or(0, |garbage| garbage.0.len())
    };
    assert_eq!(remove(100), 1, "there is no thread yet");
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let thread = {
        let (store, stop) = (std::sync::Arc::clone(&store), std::sync::Arc::clone(&stop));
        std::thread::spawn(move || store.reaper.run_until(&|| stop.load(Relaxed)))
    };
    while remove(100) != 0 {
        std::thread::yield_now();
    }
    store.reaper.finish();
    assert_eq!((store.reaper.freed().load(Relaxed), store.reaper.pending()), (1, 0));
    assert_eq!(remove(64), 1, "what is small is not worth it");
    stop.store(true, Relaxed);
    store.reaper.wake();
    thread.join().unwrap();
    assert_eq!(remove(100), 1);
}

/// A log may name a database that does not exist with the present configuration. The server's own databases always
/// exist.
#[test]
fn what_happens_to_a_database_that_does_not_exist_changes_no_other() {
    const MISSING: u32 = 9;
    let store = Store::new(4, 2);
    let key: &[u8] = b"k";
    let hash = store.hash(key);
    let apply = |effect: &Effect<'_>| store.lock_one(hash, Mode::Write, 10).apply(effect, hash);
    let all = [0, 1, SYSTEM, TOKENS];
    for db in all {
        apply(&StringChange::Set { value: b"v", expire: None }.on(db, key));
    }
    let left = || {
        let locked = store.lock_one(hash, Mode::Read, 10);
        all.map(|db| {
            let entry = locked.peek(store.space(db as usize), key, hash)?;
            let ValueRef::Str(value) = entry.value() else { return None };
            Some((value.to_vec(), entry.expire()))
        })
    };
    let before = left();
    assert!(before.iter().all(Option::is_some));
    let db = MISSING;
    for effect in [
        Effect::Delete { db, key },
        Effect::Expire { db, key, at: Some(5) },
        Effect::Move { db, key, to_db: db, to: key },
        HashChange::Delete { fields: List::Slices(&[b"f"]) }.on(db, key),
        StringChange::Splice { at: 0, bytes: b"x" }.on(db, key),
        StringChange::Set { value: b"other", expire: Some(5) }.on(db, key),
    ] {
        apply(&effect);
        assert_eq!(left(), before, "{effect:?}");
    }
    for effect in [
        Structural::FlushDb { db, space: 100 },
        Structural::SwapDb { a: 0, b: db },
        Structural::SwapDb { a: db, b: 1 },
    ] {
        let mut locked = store.lock_all(Mode::Write, 10);
        locked.apply_structural_where(&effect, &|_| true);
        locked.apply_structural(&effect);
        drop(locked);
        assert_eq!(left(), before, "{effect:?}");
    }
}
