//! What a transaction undoes was never there: nothing that can be observed differs from before.

use super::as_text::{assert_shown, names_of, show};
use super::random_changes::{Changes, engine_with_large_values};
use super::*;
use crate::effect::StreamChange;
use crate::store::{Entry, Object, Watcher};
use crate::value::stream::GroupPosition;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// When transactions run: about half of the deadlines that [`Changes`] gives have passed.
const LATER: u64 = START + 1_000_500;

/// What is kept of a value beyond what [`show`] shows: order, form, access clock.
fn show_form(entry: &Entry) -> String {
    let mut out = format!(
        "{} {:?} {:?} {} {} {:?} ",
        entry.space(),
        entry.key(),
        entry.kind(),
        entry.clock(),
        entry.is_raw(),
        entry.expire()
    );
    match entry.value() {
        ValueRef::Boxed(Object::Stream(stream)) => {
            for node in stream.nodes() {
                write!(out, "{:?} {:?} {} {:?} ", node.master(), node.last(), node.live(), node.body())
                    .unwrap();
            }
            write!(out, "{:?} {}", stream.first_id(), stream.len()).unwrap();
        }
        ValueRef::Boxed(Object::Zset(set)) => {
            let walk = set.walk(0, usize::MAX);
            write!(out, "{:?} {}", walk.found, set.len()).unwrap();
        }
        value if value.zset().is_some() => {
            let members = value.zset().into_iter().flat_map(|set| set.iter());
            write!(out, "{:?}", members.collect::<Vec<_>>()).unwrap();
        }
        value => {
            for f in value.hash().into_iter().flat_map(|hash| hash.live(0)) {
                write!(out, "{:?} {} ", f.name, f.expire).unwrap();
            }
            for member in value.set().into_iter().flat_map(|set| set.iter()) {
                write!(out, "{member:?} ").unwrap();
            }
            if let ValueRef::Boxed(Object::Hash(big)) = value {
                let (len, deadlines, first) = (big.len(), big.with_deadline(), big.deadline());
                write!(out, "{len} {deadlines} {first:?} {}", big.live_len(LATER)).unwrap();
            }
        }
    }
    out
}

fn forms(engine: &Engine) -> Vec<String> {
    let locked = engine.store.lock_all(Mode::Read, LATER);
    let mut all: Vec<String> =
        (0..engine.store.shard_count()).flat_map(|shard| locked.entries(shard).map(show_form)).collect();
    all.sort();
    all
}

fn counters(engine: &Engine) -> Vec<String> {
    let (store, removed) = (&engine.store, &engine.statistics);
    let mut all = vec![
        format!("{:?} {:?}", store.db_size(0), store.db_size(1)),
        format!("{} {}", store.subexpires(0), store.subexpires(1)),
        format!("expired {} {}", removed.expired_keys.load(Relaxed), removed.expired_fields.load(Relaxed)),
        format!("{}", engine.unsaved.count()),
    ];
    for table in &*engine.tables.list() {
        all.push(format!("{} {:?}", table.name, table.counts.items));
        let mut partitions = Vec::new();
        let locked = store.lock_none(LATER);
        store.walk(&locked, table.id, (0, u64::MAX), &mut |_, entry| {
            partitions.push(entry.key().to_vec());
            std::ops::ControlFlow::Continue(())
        });
        // The order of a walk follows from a secret that each log has.
        partitions.sort();
        all.push(format!("{partitions:?}"));
    }
    all
}

/// Watchers of the keys and items that [`Changes`] draws.
fn watch_all(engine: &Engine) -> Vec<Watcher> {
    let store = &engine.store;
    let mut watchers = Vec::new();
    let _all = store.lock_all(Mode::Read, LATER);
    for n in 0..60 {
        let large = ["hash", "set", "stream", "list", "zset"].map(|prefix| (n % 2, format!("{prefix}{n}")));
        for (db, key) in large.into_iter().chain([(0, format!("key{n}"))]) {
            let watcher = Watcher::default();
            store.watch(db, key.as_bytes(), store.hash(key.as_bytes()), &watcher);
            watchers.push(watcher);
        }
        let (watcher, sort) = (Watcher::default(), [b'0' + n as u8; 60]);
        store.watch_item(TABLE, (b"part0", &sort), store.hash(b"part0"), &watcher);
        watchers.push(watcher);
    }
    watchers
}

/// Half of a walk over the keys of a database, and of one over each large hash and set in it.
struct Walks {
    cursor: u64,
    keys: BTreeSet<Vec<u8>>,
    hashes: Vec<(Vec<u8>, u64, BTreeSet<Vec<u8>>)>,
}

impl Walks {
    fn begin(engine: &Engine) -> Self {
        let mut walks = Self { cursor: 0, keys: BTreeSet::new(), hashes: Vec::new() };
        walks.step(engine, 25);
        for key in (0..3).flat_map(|n| [format!("hash{n}"), format!("set{n}")]) {
            walks.hashes.push((key.into_bytes(), 0, BTreeSet::new()));
        }
        walks.step_hashes(engine, 20);
        walks
    }

    fn step(&mut self, engine: &Engine, count: usize) {
        let locked = engine.store.lock_none(LATER);
        let keys = &mut self.keys;
        self.cursor = engine.store.scan(&locked, engine.store.space(0), self.cursor, count, &mut |entry| {
            keys.insert(entry.key().to_vec());
        });
    }

    fn step_hashes(&mut self, engine: &Engine, count: usize) {
        for (key, cursor, seen) in &mut self.hashes {
            let hash = engine.store.hash(key);
            let locked = engine.store.lock_one(hash, Mode::Read, LATER);
            let entry = locked.peek(engine.store.space(0), key, hash);
            let step = match entry.map(Entry::value) {
                Some(ValueRef::Boxed(Object::Hash(big))) => {
                    let step = big.step(*cursor, count);
                    seen.extend(big.in_step(step).map(|f| f.name.to_vec()));
                    step
                }
                Some(ValueRef::Boxed(Object::Set(big))) => {
                    let step = big.step(*cursor, count);
                    seen.extend(big.in_step(step).map(<[u8]>::to_vec));
                    step
                }
                _ => continue,
            };
            *cursor = step.next();
        }
    }

    /// Goes on to the end; all that there is must have been seen.
    fn finish(mut self, engine: &Engine) {
        while self.cursor != 0 {
            self.step(engine, 25);
        }
        let locked = engine.store.lock_all(Mode::Read, LATER);
        let all: Vec<_> = (0..engine.store.shard_count()).flat_map(|shard| locked.entries(shard)).collect();
        for entry in all.iter().filter(|entry| entry.space() == engine.store.space(0)) {
            assert!(self.keys.contains(entry.key()), "SCAN missed {:?}", entry.key());
        }
        drop(locked);
        self.hashes.retain(|(_, cursor, _)| *cursor != 0);
        while self.hashes.iter().any(|(_, cursor, _)| *cursor != 0) {
            self.step_hashes(engine, 20);
            let hashes = std::mem::take(&mut self.hashes);
            let (ended, open): (Vec<_>, Vec<_>) = hashes.into_iter().partition(|(_, cursor, _)| *cursor == 0);
            self.hashes = open;
            for (key, _, seen) in ended {
                let hash = engine.store.hash(&key);
                let locked = engine.store.lock_one(hash, Mode::Read, LATER);
                let entry = locked.peek(engine.store.space(0), &key, hash).unwrap();
                let missed = names_of(entry).into_iter().find(|name| !seen.contains(name));
                assert!(missed.is_none(), "a walk over {key:?} missed {missed:?}");
            }
        }
    }
}

/// Some changes, lookups and copies within a transaction.
fn work(tx: &mut Tx<'_>, changes: &mut Changes) {
    changes.structural = false;
    for _ in 0..=changes.below(60) {
        changes.draw(tx);
        let (n, other) = (changes.below(3), changes.below(3));
        let prefix = ["hash", "set", "zset"][changes.below(3) as usize];
        let (key, stream) = (format!("{prefix}{n}"), format!("stream{n}"));
        match changes.below(6) {
            0 => {
                tx.entry(key.as_bytes());
                tx.entry(format!("key{n}").as_bytes());
                tx.partition(TABLE, b"part0");
            }
            1 => tx.note_seen(stream.as_bytes(), b"g0", b"c0"),
            2 if n != other && tx.exists(key.as_bytes()) => {
                let to = format!("{prefix}{other}");
                tx.copy_key((0, key.as_bytes()), (0, to.as_bytes())).unwrap();
                tx.apply(Effect::Delete { db: 0, key: key.as_bytes() });
            }
            _ => {}
        }
    }
}

#[test]
fn a_transaction_that_is_undone_leaves_no_trace() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut changes = Changes::seeded(2000 + seed);
        let engine = engine_with_large_values(&disk, &mut changes);
        for _ in 0..3 {
            let watchers = watch_all(&engine);
            let before = (show(&engine), forms(&engine), counters(&engine));
            let walks = Walks::begin(&engine);
            let (tail, mut record) = (engine.tail(), Vec::new());
            let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, LATER), 0, &mut record);
            tx.begin_undo();
            work(&mut tx, &mut changes);
            tx.roll_back();
            tx.commit();
            let what = format!("seed {seed}");
            assert_shown(&show(&engine), &before.0, &what);
            assert_shown(&forms(&engine), &before.1, &what);
            assert_eq!(counters(&engine), before.2, "{what}");
            assert_eq!(engine.tail(), tail);
            assert!(!watchers.iter().any(|watcher| watcher.load(Relaxed)), "{what}: a watcher was told");
            walks.finish(&engine);
            changes.fill(&engine, 40);
        }
    }
}

#[test]
fn a_transaction_that_could_be_undone_does_what_one_does_that_could_not() {
    for seed in 0..30 {
        let run = |undoable: bool| {
            let disk = SimDisk::new(seed);
            let mut changes = Changes::seeded(3000 + seed);
            let engine = engine_with_large_values(&disk, &mut changes);
            let watchers = watch_all(&engine);
            let mut record = Vec::new();
            let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, LATER), 0, &mut record);
            if undoable {
                tx.begin_undo();
            }
            work(&mut tx, &mut changes);
            tx.commit();
            let told: Vec<bool> = watchers.iter().map(|watcher| watcher.load(Relaxed)).collect();
            // The order in which a copy names fields is drawn at random.
            (show(&engine), counters(&engine), told, record.len())
        };
        let (plain, undoable) = (run(false), run(true));
        assert_shown(&undoable.0, &plain.0, &format!("seed {seed}"));
        assert_eq!((undoable.1, undoable.2, undoable.3), (plain.1, plain.2, plain.3), "seed {seed}");
    }
}

/// A hash under `h` of so many fields that have all expired at [`LATER`]; the key itself has not.
fn expired_hash(engine: &Engine, fields: u32) {
    let names: Vec<String> = (0..fields).map(|n| format!("f{n}")).collect();
    let pairs: Vec<&[u8]> = names.iter().flat_map(|name| [name.as_bytes(), b"v"]).collect();
    let (db, key, pairs) = (0, &b"h"[..], List::Slices(&pairs));
    commit(
        engine,
        &[
            HashChange::Set { pairs, expire: FieldExpire::At(START + 10) }.on(db, key),
            Effect::Expire { db, key, at: Some(LATER + 1_000_000) },
        ],
    );
}

#[test]
fn a_hash_whose_fields_have_expired_keeps_its_deadline_when_changes_of_it_are_undone() {
    for fields in [3, 100] {
        let engine = Engine::in_memory(8, 16, Clock::manual(START));
        engine.store.thresholds.hash_entries.store(8, Relaxed);
        expired_hash(&engine, fields);
        let before = (show(&engine), forms(&engine));
        let (db, key) = (0, &b"h"[..]);
        let (names, pairs) = (List::Slices(&[b"f0"]), List::Slices(&[b"f1", b"w"]));
        let add = StreamChange::Add { id: crate::value::stream::StreamId::new(1, 1), pairs };
        let changes: [&[Effect<'_>]; 6] = [
            &[
                HashChange::Delete { fields: names }.on(db, key),
                HashChange::Set { pairs, expire: FieldExpire::Clear }.on(db, key),
            ],
            &[HashChange::Set { pairs, expire: FieldExpire::Keep }.on(db, key)],
            &[StringChange::Set { value: b"v", expire: None }.on(db, key)],
            &[add.on(db, key)],
            &[StringChange::Splice { at: 2, bytes: b"v" }.on(db, key)],
            &[HashChange::Expire { fields: names, at: LATER + 5 }.on(db, key)],
        ];
        for effects in changes {
            let mut record = Vec::new();
            let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, LATER), 0, &mut record);
            tx.begin_undo();
            effects.iter().for_each(|effect| tx.apply(*effect));
            tx.roll_back();
            tx.commit();
            assert_eq!((show(&engine), forms(&engine)), before, "{effects:?}");
            assert_eq!(
                engine.statistics.expired_keys.load(Relaxed) + engine.statistics.expired_fields.load(Relaxed),
                0
            );
        }
    }
}

#[test]
fn a_large_value_that_was_deleted_or_overwritten_comes_back_itself_and_is_not_built_again() {
    let disk = SimDisk::new(9);
    let engine = open(&disk, AppendFsync::No).unwrap();
    engine.store.thresholds.hash_entries.store(8, Relaxed);
    let fields: Vec<String> = (0..500).map(|n| format!("f{n}")).collect();
    let pairs: Vec<&[u8]> = fields.iter().flat_map(|name| [name.as_bytes(), b"v"]).collect();
    let (db, key) = (0, &b"big"[..]);
    commit(
        &engine,
        &[HashChange::Set { pairs: List::Slices(&pairs), expire: FieldExpire::Clear }.on(db, key)],
    );
    let text = vec![b'x'; 1 << 20];
    commit(&engine, &[StringChange::Set { value: &text, expire: None }.on(db, b"text")]);
    let addresses = |tx: &Tx<'_>| {
        [&b"big"[..], b"text"].map(|key| match tx.look(key).unwrap().value() {
            ValueRef::Boxed(object) => std::ptr::from_ref(object).addr(),
            ValueRef::Str(bytes) => bytes.as_ptr().addr(),
            _ => 0,
        })
    };
    let mut record = Vec::new();
    let position = GroupPosition::default();
    let change = StreamChange::Group { group: b"g", position };
    for effect in [Effect::Delete { db, key }, StringChange::Set { value: b"v", expire: None }.on(db, key)] {
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
        let before = addresses(&tx);
        tx.begin_undo();
        tx.apply(effect);
        tx.apply(StringChange::Set { value: b"short", expire: None }.on(db, b"text"));
        tx.apply(change.on(db, key));
        tx.roll_back();
        assert_eq!(addresses(&tx), before);
        tx.commit();
    }
}
