//! What a transaction may change, when it takes place, and what its readers are shown.

use super::{START, commit, image, open};
use crate::config::AppendFsync;
use crate::effect::{Effect, StringChange, Structural};
use crate::engine::{Engine, Tx};
use crate::env::{Clock, CrashMode, SimDisk};
use crate::store::{Locked, Mode, shown};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Effect<'a> {
    StringChange::Set { value, expire: None }.on(0, key)
}

/// Two keys whose shards are different.
fn apart(engine: &Engine) -> (Vec<u8>, Vec<u8>) {
    let shard = |key: &[u8]| engine.store.shard_of(engine.store.hash(key));
    let other = (0..100_u32).map(|n| n.to_string().into_bytes()).find(|key| shard(key) != shard(b"held"));
    (b"held".to_vec(), other.unwrap())
}

/// Has a transaction over what `lock` gives apply `first`, if there is one, and then `second`, which must stop it.
fn stopped<'e>(
    engine: &'e Engine,
    record: &'e mut Vec<u8>,
    locked: Locked<'e>,
    first: Option<Effect<'_>>,
    second: Effect<'_>,
) {
    let stop = catch_unwind(AssertUnwindSafe(|| {
        let mut tx = Tx::new(engine, locked, 0, record);
        first.into_iter().for_each(|effect| tx.apply(effect));
        tx.apply(second);
        tx.commit();
    }));
    assert!(stop.is_err(), "it went on");
}

#[test]
fn an_effect_for_a_shard_that_is_not_held_changes_neither_memory_nor_log() {
    let disk = SimDisk::new(7);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let (held, other) = apart(&engine);
    let store = &engine.store;
    let hash = store.hash(&held);
    stopped(
        &engine,
        &mut Vec::new(),
        store.lock_one(hash, Mode::Write, START),
        Some(set(&held, b"1")),
        set(&other, b"1"),
    );
    stopped(&engine, &mut Vec::new(), store.lock_one(hash, Mode::Read, START), None, set(&held, b"2"));
    stopped(&engine, &mut Vec::new(), store.lock_none(START), None, set(&held, b"2"));
    stopped(&engine, &mut Vec::new(), store.lock_all(Mode::Read, START), None, set(&other, b"2"));
    stopped(
        &engine,
        &mut Vec::new(),
        store.lock_one(hash, Mode::Write, START),
        None,
        Structural::FlushDb { db: 0, space: 99 }.into(),
    );
    stopped(
        &engine,
        &mut Vec::new(),
        store.lock_all(Mode::Read, START),
        None,
        Structural::TableDrop { table: 99 }.into(),
    );
    let before = image(&engine);
    assert_eq!(before.len(), 1, "what it had changed before stays");
    engine.sync().unwrap();
    drop(engine);
    disk.restart(CrashMode::Process);
    assert_eq!(image(&open(&disk, AppendFsync::Always).unwrap()), before);
}

#[test]
fn readers_are_shown_the_log_as_far_as_it_changed_what_they_lock() {
    let disk = SimDisk::new(8);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let (held, other) = apart(&engine);
    let store = &engine.store;
    let read = |key: &[u8]| {
        shown::take();
        drop(store.lock_one(store.hash(key), Mode::Read, START));
        shown::take()
    };
    let mut record = Vec::new();
    let before = read(&other);
    let mut tx = Tx::new(&engine, store.lock_one(store.hash(&held), Mode::Write, START), 0, &mut record);
    tx.apply(set(&held, b"1"));
    tx.commit();
    let written = engine.tail();
    assert_eq!(shown::take(), written, "who writes has seen it");
    assert_eq!((read(&held), read(&other)), (written, before));
    let ((), seen) = shown::apart(|| drop(store.lock_all(Mode::Read, START)));
    assert_eq!((seen, shown::take()), (written, 0));
    let mut locked = store.lock_none(START);
    assert!(locked.try_extend(store.hash(&held)));
    drop(locked);
    assert_eq!(shown::take(), written);
    store.db_size(0);
    assert_eq!(shown::take(), shown::EVERYTHING);
    commit(&engine, &[Structural::FlushDb { db: 1, space: store.fresh_space(1) }.into()]);
    assert_eq!(
        (read(&held), read(&other)),
        (engine.tail(), engine.tail()),
        "a database concerns every shard"
    );
}

#[test]
fn nobody_looks_at_the_data_at_an_earlier_time_than_others_have() {
    let engine = Engine::in_memory(4, 4, Clock::manual(START));
    let clock = engine.clock.as_manual().unwrap();
    let at = |now: u64| Tx::new(&engine, engine.store.lock_none(now), 0, &mut Vec::new()).now();
    assert_eq!(at(START + 5), START + 5);
    assert_eq!(at(START + 3), START + 5, "it was read before the other's");
    clock.set_ms(START + 4000);
    assert_eq!(at(START + 3000), START + 3000);
    assert_eq!(at(START + 4000), START + 4000);
    assert_eq!(at(START + 5), START + 4000, "it is read again");
    clock.set_ms(START);
    assert_eq!(at(START), START, "a clock that was set back is followed");
    assert_eq!(at(START - 1), START);
}

#[test]
fn whoever_reads_a_key_is_shown_its_last_record_whatever_locks_were_taken() {
    let disk = SimDisk::new(9);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let store = &engine.store;
    let keys: Vec<Vec<u8>> = (0..100_u32).map(|n| n.to_string().into_bytes()).collect();
    let hashes: Vec<u64> = keys.iter().map(|key| store.hash(key)).collect();
    let mut last = vec![0; keys.len()];
    let mut record = Vec::new();
    for round in 0..keys.len() {
        // Two keys, in one transaction, under locks of each kind.
        let (a, b) = (round, round * 7 % keys.len());
        let locked = match round % 3 {
            0 => store.lock_many(&[hashes[a], hashes[b]], Mode::Write, START),
            1 => store.lock_all(Mode::Write, START),
            _ => {
                let mut locked = store.lock_one(hashes[a], Mode::Write, START);
                assert!(locked.try_extend(hashes[b]));
                locked
            }
        };
        let mut tx = Tx::new(&engine, locked, 0, &mut record);
        tx.apply(set(&keys[a], b"1"));
        tx.apply(set(&keys[b], b"2"));
        tx.commit();
        (last[a], last[b]) = (engine.tail(), engine.tail());
        let space = store.space(0);
        for (n, hash) in hashes.iter().enumerate() {
            let by = |look: &dyn Fn()| shown::apart(look).1;
            let alone = by(&|| drop(store.lock_one(*hash, Mode::Read, START)));
            let among = by(&|| drop(store.lock_many(&[hashes[0], *hash], Mode::Read, START)));
            let walked = by(&|| drop(store.lock_shard(store.shard_of(*hash), Mode::Read, START)));
            // Not the key that the shard was locked for.
            let neighbour = by(&|| {
                let mut locked = store.lock_none(START);
                assert!(locked.try_extend(hashes[0]) && (n == 0 || locked.try_extend(*hash)));
                locked.peek(space, &keys[n], *hash);
            });
            for seen in [alone, among, walked, neighbour] {
                assert!(seen >= last[n], "key {n} in round {round}: {seen} < {}", last[n]);
            }
        }
    }
}

#[test]
fn whoever_reads_a_key_need_not_wait_for_the_record_of_its_neighbour() {
    let disk = SimDisk::new(10);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let store = &engine.store;
    let first = store.hash(b"first");
    let in_its_shard = |key: &Vec<u8>| store.shard_of(store.hash(key)) == store.shard_of(first);
    let neighbours: Vec<Vec<u8>> =
        (0..2000_u32).map(|n| n.to_string().into_bytes()).filter(in_its_shard).take(64).collect();
    let mut record = Vec::new();
    let mut tx = Tx::new(&engine, store.lock_one(first, Mode::Write, START), 0, &mut record);
    tx.apply(set(b"first", b"1"));
    tx.commit();
    let waits = |key: &Vec<u8>| {
        shown::apart(|| drop(store.lock_one(store.hash(key), Mode::Read, START))).1 >= engine.tail()
    };
    let (few, all) = (neighbours.iter().filter(|key| waits(key)).count(), neighbours.len());
    assert!(all > 30 && few < all / 4, "{few} of {all} wait");
}
