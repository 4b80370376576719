//! Values that are moved to another key: they stay what they are, and the log does not hold them again.

use super::as_text::{show, show_shard};
use super::exact::load;
use super::*;
use crate::engine::image::between;
use crate::store::Object;
use crate::value::bits::BitOp;

/// Fields of a large hash, and bytes of a large string.
const LARGE: usize = 2000;

/// The `n`-th key of a shard.
pub(super) fn key_in(engine: &Engine, shard: usize, n: usize) -> Vec<u8> {
    let keys = (0..).map(|n: u32| format!("key:{n}").into_bytes());
    keys.into_iter().filter(|key| engine.store.shard_of(engine.store.hash(key)) == shard).nth(n).unwrap()
}

pub(super) fn fill(engine: &Engine, key: &[u8], fields: usize) {
    let names: Vec<String> = (0..fields).map(|n| format!("field:{n}")).collect();
    let pairs: Vec<&[u8]> = names.iter().flat_map(|name| [name.as_bytes(), b"v"]).collect();
    let (db, pairs, expire) = (0, List::Slices(&pairs), FieldExpire::Clear);
    commit(engine, &[HashChange::Set { pairs, expire }.on(db, key)]);
}

/// Moves a key, with nothing locked but what that needs; returns the bytes of the record.
fn move_key(engine: &Engine, from: (usize, &[u8]), to: (usize, &[u8])) -> usize {
    let mut record = Vec::new();
    let hashes = [engine.store.hash(from.1), engine.store.hash(to.1)];
    let locked = engine.store.lock_many(&hashes, Mode::Write, engine.clock.now_ms());
    let mut tx = Tx::new(engine, locked, 0, &mut record);
    tx.move_key(from, to).unwrap();
    tx.commit();
    record.len()
}

/// Where a value is in memory, with its deadline and access clock.
fn identity(engine: &Engine, db: usize, key: &[u8]) -> Option<(usize, Option<u64>, u32)> {
    let hash = engine.store.hash(key);
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let entry = locked.peek(engine.store.space(db), key, hash)?;
    let address = match entry.value() {
        ValueRef::Boxed(object) => std::ptr::from_ref::<Object>(object).addr(),
        ValueRef::Str(bytes) => bytes.as_ptr().addr(),
        _ => 0,
    };
    Some((address, entry.expire(), entry.clock()))
}

fn restarted(disk: &SimDisk, engine: Arc<Engine>) -> Arc<Engine> {
    engine.sync().unwrap();
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    open(disk, AppendFsync::No).unwrap()
}

#[test]
fn a_large_value_is_moved_and_not_copied_and_its_deadline_and_clock_go_along() {
    let disk = SimDisk::new(71);
    let engine = open(&disk, AppendFsync::No).unwrap();
    engine.store.thresholds.string_bytes.store(LARGE, Relaxed);
    engine.store.lfu.store(true, Relaxed);
    let (db, at) = (0, Some(START + 1_000_000));
    fill(&engine, b"hash", LARGE);
    commit(&engine, &[StringChange::Set { value: &[b'x'; LARGE], expire: at }.on(db, b"text")]);
    commit(&engine, &[Effect::Expire { db, key: b"hash", at }]);
    for key in [&b"hash"[..], b"text"] {
        let hash = engine.store.hash(key);
        let locked = engine.store.lock_one(hash, Mode::Read, START);
        // The counter is at its end, where an access leaves it.
        locked.peek(0, key, hash).unwrap().set_clock(((START / 60_000) as u32 % 0x1_0000) << 8 | 255);
        drop(locked);
        let (long, before) = ([key, &[b'n'; 300]].concat(), identity(&engine, 0, key));
        for (from, to) in [((0, key), (0, &long[..])), ((0, &long), (3, &long)), ((3, &long), (0, key))] {
            let written = move_key(&engine, from, to);
            assert!(written < 2 * long.len() + 20, "{written} bytes are written");
            assert_eq!((identity(&engine, from.0, from.1), identity(&engine, to.0, to.1)), (None, before));
        }
        move_key(&engine, (0, key), (2, &long));
    }
    let before = show(&engine);
    assert_eq!(engine.store.db_size(2), (2, 2));
    let engine = restarted(&disk, engine);
    assert_eq!((show(&engine), engine.store.db_size(2)), (before, (2, 2)));
}

#[test]
fn a_move_while_a_checkpoint_has_read_one_of_its_shards_is_replayed_whichever_it_is() {
    // Shards are read in ascending order; the third one holds a value that is read in pieces.
    for (from, to, whole) in [(0, 7, false), (7, 0, true), (3, 3, false), (3, 7, false), (7, 3, true)] {
        let disk = SimDisk::new(72);
        let engine = open(&disk, AppendFsync::No).unwrap();
        let (from, to) = (key_in(&engine, from, 1), key_in(&engine, to, 2));
        fill(&engine, &key_in(&engine, 3, 0), LARGE);
        fill(&engine, &from, LARGE);
        fill(&engine, &to, 3);
        let mut pieces = 0;
        let (source, target) = (from.clone(), to.clone());
        between::pieces(move |engine| {
            pieces += 1;
            if pieces == 5 {
                let written = move_key(engine, (0, &source), (0, &target));
                assert_eq!(written > LARGE, whole, "{written} bytes are written");
                fill(engine, &target, LARGE + 1);
                fill(engine, &source, 2);
            }
        });
        engine.save().unwrap();
        between::nothing();
        let written = move_key(&engine, (0, &to), (0, &from));
        assert!(written < 100, "{written} bytes are written once the checkpoint is there");
        let before = show(&engine);
        let engine = restarted(&disk, engine);
        assert_eq!(show(&engine), before);
        assert_eq!(engine.store.len(), 2);
    }
}

#[test]
fn a_large_value_that_is_moved_while_its_pieces_are_read_is_read_to_its_end() {
    let disk = SimDisk::new(73);
    let engine = open(&disk, AppendFsync::No).unwrap();
    let home = key_in(&engine, 3, 0);
    fill(&engine, &home, LARGE);
    let mut expected = Vec::new();
    show_shard(&engine, 3, &mut expected);
    let (mut pieces, mut at) = (0, (0, home));
    between::pieces(move |engine| {
        pieces += 1;
        let to = (pieces % 2, key_in(engine, (pieces * 5) % 8, 0));
        if to != at {
            move_key(engine, (at.0, &at.1), (to.0, &to.1));
            at = to;
        }
        let (name, db) = (format!("field:{pieces}"), at.0 as u32);
        let pairs = List::Slices(&[name.as_bytes(), b"changed"]);
        commit(engine, &[HashChange::Set { pairs, expire: FieldExpire::Clear }.on(db, &at.1)]);
        if pieces == 60 {
            commit(engine, &[Effect::Delete { db, key: &at.1 }]);
        }
    });
    let chunk = image_of(&engine, 3);
    between::nothing();
    assert_eq!(show(&load(&chunk, &[])), expected);
    assert!(!engine.store.images_are_registered());
}

/// Only the shards that show what is not durable are read anew, and what was moved there came from another one.
#[test]
fn memory_that_falls_back_has_what_was_moved_from_shards_that_do_not() {
    let disk = SimDisk::new(74);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let keys: Vec<Vec<u8>> = (0..4).map(|shard| key_in(&engine, shard, 0)).collect();
    fill(&engine, &keys[0], LARGE);
    // It comes to the last of them by way of the others, and something of each stays.
    for pair in keys.windows(2) {
        move_key(&engine, (0, &pair[0]), (0, &pair[1]));
        fill(&engine, &pair[0], 3);
    }
    engine.settle().unwrap();
    let before = show(&engine);
    let lost = key_in(&engine, 3, 1);
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    let mut record = Vec::new();
    let locked = engine.store.lock_one(engine.store.hash(&lost), Mode::Write, START);
    let mut tx = Tx::new(&engine, locked, 0, &mut record);
    tx.apply(StringChange::Set { value: b"lost", expire: None }.on(0, &lost));
    tx.commit();
    let error = engine.settle().unwrap_err();
    engine.note_failure(&error);
    super::switches::until(|| engine.state().phase() == Phase::Serving);
    assert_eq!(show(&engine), before);
}

/// A key that a transaction has made or overwritten needs no undoing of what changes within it, but what is moved there
/// does.
#[test]
fn what_changes_in_a_value_that_was_moved_over_another_is_undone_with_the_move() {
    let engine = Engine::in_memory(8, 16, Clock::manual(START));
    fill(&engine, b"large", LARGE);
    fill(&engine, b"there", 3);
    let before = show(&engine);
    for to in [&b"made"[..], b"there"] {
        let mut record = Vec::new();
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
        tx.begin_undo();
        let pairs = List::Slices(&[b"field:7", b"changed"]);
        let change = |key| HashChange::Set { pairs, expire: FieldExpire::Clear }.on(0, key);
        tx.apply(change(to));
        tx.move_key((0, b"large"), (0, to)).unwrap();
        tx.apply(change(to));
        tx.apply(HashChange::Delete { fields: List::Slices(&[b"field:8"]) }.on(0, to));
        tx.move_key((0, to), (0, b"elsewhere")).unwrap();
        tx.apply(change(b"elsewhere"));
        tx.roll_back();
        tx.commit();
        assert_eq!(show(&engine), before);
    }
}

/// The record of a combination names its sources, and once more those that have expired.
#[test]
fn room_is_asked_for_the_expired_sources_of_a_combination() {
    const MOST: u64 = 8 << 10;
    let disk = SimDisk::new(75);
    let most = Settings { log_max_record_size: MOST, ..(*settings(AppendFsync::No)).clone() };
    let engine = Arc::new(Engine::on_disk(Arc::new(most), Clock::manual(START), disk.shared()));
    engine.recover().unwrap();
    let (mut combined, mut refused) = (0, 0);
    for count in 1..80 {
        let due: Vec<Vec<u8>> = (0..count).map(|n| format!("{n:0>100}").into_bytes()).collect();
        let expire = Some(engine.clock.now_ms() + 5);
        for key in &due {
            commit(&engine, &[StringChange::Set { value: b"v", expire }.on(0, key)]);
        }
        commit(&engine, &[StringChange::Set { value: &[b'x'; LARGE], expire: None }.on(0, b"large")]);
        engine.clock.as_manual().unwrap().advance_ms(10);
        let keys: Vec<&[u8]> = due.iter().map(Vec::as_slice).chain([&b"large"[..]]).collect();
        let mut record = Vec::new();
        let locked = engine.store.lock_all(Mode::Write, engine.clock.now_ms());
        let mut tx = Tx::new(&engine, locked, 0, &mut record);
        let outcome = tx.combine(BitOp::Or, b"to", &keys);
        let effects = tx.effects();
        tx.commit();
        if let Ok(len) = outcome {
            assert_eq!((len, effects), (LARGE, count + 1), "each expired key is removed");
            assert!(record.len() as u64 <= MOST, "{} bytes for {count} keys", record.len());
            combined += 1;
        } else {
            assert_eq!((effects, record.len()), (0, 0), "a refused combination leaves something behind");
            refused += 1;
        }
    }
    assert!(combined > 10 && refused > 10, "{combined} combined, {refused} refused");
    assert!(engine.settle().is_ok() && engine.state().accepts_writes());
}
