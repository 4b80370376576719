//! The engine over a simulated disk: crashes at every sync, failing syncs, checkpoints in the middle of writes.

use super::{Engine, LogState, Phase, Tx};
use crate::config::{AppendFsync, Settings};
use crate::effect::{
    Effect, FieldExpire, HashChange, ItemChange, List, ListChange, SYSTEM, StringChange, Structural,
};
use crate::env::{Clock, CrashMode, Fault, SimDisk};
use crate::item::{KeyAttr, KeyType, TableSchema};
use crate::store::{Mode, ValueRef};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

mod as_text;
mod closed;
mod drawn;
mod durability;
mod every_type;
mod evicting;
mod exact;
mod falling;
mod fenced;
mod held;
mod later;
mod lowered;
mod moved;
mod pieces;
mod places;
mod random_changes;
mod sweep;
mod switches;
mod undone;

const START: u64 = 1_700_000_000_000;
const TABLE: u32 = 16;

fn settings(fsync: AppendFsync) -> Arc<Settings> {
    Arc::new(Settings {
        dir: PathBuf::from("/data"),
        appendonly: true,
        appendfsync: fsync,
        shards: 8,
        log_segment_size: 64 << 10,
        disk_reserve: 0,
        save: Vec::new(),
        ..Settings::default()
    })
}

fn open(disk: &SimDisk, fsync: AppendFsync) -> Result<Arc<Engine>, super::EngineError> {
    let engine = Arc::new(Engine::on_disk(settings(fsync), Clock::manual(START), disk.shared()));
    engine.recover()?;
    Ok(engine)
}

impl Engine {
    /// Pretends a phase, without anything that leads to it.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.machine.pretend(phase);
    }
}

/// The image of a shard, in one record.
fn image_of(engine: &Engine, shard: usize) -> Vec<u8> {
    let mut all = vec![crate::effect::VERSION];
    let sink = &mut |_, record: &[u8]| {
        all.extend_from_slice(&record[1..]);
        Ok(())
    };
    engine.image(shard, sink).unwrap();
    all
}

/// Changes the settings as CONFIG SET does.
fn configure(engine: &Arc<Engine>, settings: &Arc<Settings>) -> Result<(), super::EngineError> {
    engine.reconfigure(settings, &engine.store.lock_all(Mode::Write, START))
}

fn unlogged() -> Arc<Settings> {
    Arc::new(Settings { appendonly: false, ..(*settings(AppendFsync::Always)).clone() })
}

/// Everything that a reader could see, in an order of its own.
fn image(engine: &Engine) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for shard in 0..engine.store.shard_count() {
        let locked = engine.store.lock_shard(shard, Mode::Read, START);
        let mut chunk = Vec::new();
        for entry in locked.entries(shard) {
            chunk.clear();
            if let Some(db) = (0..16).find(|db| engine.store.space(*db) == entry.space()) {
                chunk.extend_from_slice(&(db as u32).to_le_bytes());
                chunk.extend_from_slice(entry.key());
                chunk.extend_from_slice(&entry.expire().unwrap_or(0).to_le_bytes());
                match entry.value() {
                    ValueRef::Str(bytes) => chunk.extend_from_slice(bytes),
                    // The form of a hash is no part of what a reader sees.
                    value => drop(value.hash().map(|hash| hash.pack_live(0, &mut chunk))),
                }
            } else if engine.tables.by_id(entry.space()).is_some() {
                crate::store::item_effects(entry.space(), entry, &mut chunk);
            }
            if !chunk.is_empty() {
                all.push(chunk.clone());
            }
        }
    }
    all.extend(engine.tables.list().iter().map(|t| t.name.clone().into_bytes()));
    all.extend(
        engine.libraries.list().iter().map(|(name, library)| [&**name, b" ", &*library.code].concat()),
    );
    all.sort();
    all
}

fn commit(engine: &Engine, effects: &[Effect<'_>]) {
    let mut record = Vec::new();
    let mut tx = Tx::new(engine, engine.store.lock_all(Mode::Write, engine.clock.now_ms()), 0, &mut record);
    effects.iter().for_each(|e| tx.apply(*e));
    tx.commit();
}

/// The `i`-th step of a workload of keys, hashes, items, transactions and whole databases.
fn step(engine: &Engine, i: u32) {
    let key = format!("key:{}", i % 7).into_bytes();
    let value = vec![b'a' + (i % 26) as u8; (i as usize * 37) % 300];
    let pair: [&[u8]; 2] = [b"field", &value];
    let db = i % 3;
    match i % 11 {
        0 => commit(
            engine,
            &[StringChange::Set { value: &value, expire: Some(START + 1_000_000) }.on(db, &key)],
        ),
        1 => commit(
            engine,
            &[HashChange::Set { pairs: List::Slices(&pair), expire: FieldExpire::At(START * 2) }
                .on(db, b"h")],
        ),
        2 => commit(
            engine,
            &[
                StringChange::Set { value: &value, expire: None }.on(0, b"left"),
                StringChange::Set { value: &value, expire: None }.on(1, b"right"),
            ],
        ),
        3 => commit(
            engine,
            &[ItemChange::Put { sort: &value[..value.len().min(9)], item: &[1, 0] }.on(TABLE, &key)],
        ),
        4 => {
            commit(engine, &[StringChange::Splice { at: i as usize % 50, bytes: &value }.on(db, b"spliced")]);
        }
        5 => commit(engine, &[Effect::Delete { db, key: &key }]),
        6 => commit(engine, &[Structural::SwapDb { a: 0, b: 2 }.into()]),
        7 => commit(engine, &[ItemChange::Delete { sort: b"" }.on(TABLE, &key)]),
        8 if i.is_multiple_of(3) => {
            commit(engine, &[Structural::FlushDb { db: 1, space: engine.store.fresh_space(1) }.into()]);
        }
        9 if i.is_multiple_of(2) => drop(engine.save()),
        _ => commit(engine, &[StringChange::Set { value: &value, expire: None }.on(db, &key)]),
    }
}

fn create_table(engine: &Engine) {
    let schema =
        TableSchema::new(KeyAttr::new("id", KeyType::S), Some(KeyAttr::new("at", KeyType::S))).to_bytes();
    commit(
        engine,
        &[Structural::TablePut { table: TABLE, created: START, name: b"things", schema: &schema }.into()],
    );
}

/// Compares two images and names what differs.
fn assert_same(found: &[Vec<u8>], expected: &[Vec<u8>]) {
    let show = |all: &[Vec<u8>], other: &[Vec<u8>]| -> Vec<String> {
        let short = |e: &Vec<u8>| String::from_utf8_lossy(&e[..e.len().min(40)]).escape_debug().to_string();
        all.iter().filter(|e| !other.contains(e)).map(short).collect()
    };
    let (surplus, missing) = (show(found, expected), show(expected, found));
    assert!(surplus.is_empty() && missing.is_empty(), "surplus {surplus:?}, missing {missing:?}");
}

const STEPS: u32 = 60;

fn run(disk: &SimDisk) -> (Vec<Vec<Vec<u8>>>, usize) {
    work(disk, open(disk, AppendFsync::Always))
}

/// Runs the workload until the disk goes down. Returns the images after each step (the first before any), and how many
/// steps were acknowledged.
fn work(disk: &SimDisk, engine: Result<Arc<Engine>, super::EngineError>) -> (Vec<Vec<Vec<u8>>>, usize) {
    let Ok(engine) = engine else { return (vec![Vec::new()], 0) };
    let mut images = vec![image(&engine)];
    create_table(&engine);
    images.push(image(&engine));
    let mut acknowledged = usize::from(engine.settle().is_ok());
    for i in 0..STEPS {
        if disk.is_down() {
            break;
        }
        step(&engine, i);
        images.push(image(&engine));
        if engine.settle().is_err() || disk.is_down() {
            break;
        }
        acknowledged = images.len() - 1;
    }
    (images, acknowledged)
}

#[test]
fn a_crash_at_every_sync_loses_nothing_acknowledged_and_halves_nothing() {
    let whole = SimDisk::new(1);
    let (_, all) = run(&whole);
    assert_eq!(all, STEPS as usize + 1);
    let syncs = whole.sync_points();
    assert!(syncs > 50, "{syncs}");
    for n in 1..=syncs {
        for mode in [CrashMode::PowerLost, CrashMode::PowerTorn] {
            let disk = SimDisk::new(n);
            disk.crash_at_sync(n);
            let (images, acknowledged) = run(&disk);
            disk.restart(mode);
            let engine =
                open(&disk, AppendFsync::Always).unwrap_or_else(|e| panic!("sync {n}, {mode:?}: {e}"));
            let found = image(&engine);
            let fits = images[acknowledged..].contains(&found);
            assert!(
                fits,
                "crash at sync {n}, {mode:?}: {acknowledged} of {} steps acknowledged",
                images.len() - 1
            );
        }
    }
}

#[test]
fn a_write_that_was_not_handed_over_before_the_failure_is_not_acknowledged() {
    let disk = SimDisk::new(30);
    let engine = open(&disk, AppendFsync::Everysec).unwrap();
    let written = engine.tail();
    disk.fail(Fault::Write, 1, libc::EIO);
    commit(&engine, &[StringChange::Set { value: b"1", expire: None }.on(0, b"k")]);
    // The background comes first and takes note of the failure.
    let error = engine.settle().unwrap_err();
    engine.note_failure(&error);
    assert_eq!(engine.state().log(), LogState::Failed);
    assert_eq!(engine.settled(), written);
    assert!(engine.tail() > written);
}

#[test]
fn after_a_failed_sync_reads_go_on_and_writes_are_refused_for_good() {
    let disk = SimDisk::new(3);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    commit(&engine, &[StringChange::Set { value: b"1", expire: None }.on(0, b"k")]);
    engine.settle().unwrap();
    disk.fail(Fault::Sync, 1, libc::EIO);
    let (began, durable) = (engine.state(), engine.tail());
    commit(&engine, &[StringChange::Set { value: b"2", expire: None }.on(0, b"k")]);
    let error = engine.settle().unwrap_err();
    engine.note_failure(&error);
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    while engine.is_loading() {
        std::thread::yield_now();
    }
    assert_eq!(engine.settled(), durable, "who ran before the failure may have seen what is lost");
    assert_eq!(engine.everything_since(began), engine.tail(), "that is never sent");
    assert_eq!(engine.everything_since(engine.state()), durable, "who begins now is shown what is durable");
    for _ in 0..3 {
        assert!(engine.refusal(0).is_some(), "the sync would succeed now, and must not be tried");
        assert!(engine.settle().is_err());
    }
    let hash = engine.store.hash(b"k");
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let shown = locked.get(0, b"k", hash).map(|entry| entry.value());
    assert!(matches!(shown, Some(ValueRef::Str(b"1"))), "only what is durable is shown");
    drop(locked);
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    assert!(engine.refusal(0).is_none());
}

#[test]
fn what_happened_while_the_log_was_off_is_in_the_checkpoint_that_turning_it_on_writes() {
    let disk = SimDisk::new(4);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    commit(&engine, &[StringChange::Set { value: b"1", expire: None }.on(0, b"logged")]);
    configure(&engine, &unlogged()).unwrap();
    assert_eq!(engine.state().log(), LogState::Off);
    commit(&engine, &[StringChange::Set { value: b"2", expire: None }.on(0, b"unlogged")]);
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    while engine.save.running.load(Relaxed) {
        std::thread::yield_now();
    }
    commit(&engine, &[StringChange::Set { value: b"3", expire: None }.on(0, b"after")]);
    engine.settle().unwrap();
    let before = image(&engine);
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    assert_eq!(image(&engine), before);
    assert_eq!(before.len(), 3);
}

#[test]
fn a_fuzzy_checkpoint_and_the_log_behind_it_give_back_what_was_there() {
    let disk = SimDisk::new(5);
    let engine = open(&disk, AppendFsync::No).unwrap();
    create_table(&engine);
    (0..50).for_each(|i| step(&engine, i));
    let writer = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || (0..3000).filter(|i| i % 11 != 9).for_each(|i| step(&engine, i)))
    };
    while !writer.is_finished() {
        engine.save().unwrap();
    }
    writer.join().unwrap();
    engine.sync().unwrap();
    let before = image(&engine);
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = open(&disk, AppendFsync::No).unwrap();
    assert_same(&image(&engine), &before);
}

#[test]
fn a_reload_gives_back_what_was_there() {
    let disk = SimDisk::new(6);
    let engine = open(&disk, AppendFsync::No).unwrap();
    create_table(&engine);
    (0..100).for_each(|i| step(&engine, i));
    let before = image(&engine);
    for save in [false, true] {
        let report = engine.reload(save).unwrap();
        assert_eq!(report.keys as usize, engine.store.len());
        assert_same(&image(&engine), &before);
    }
}

fn set(engine: &Engine, key: &[u8]) {
    commit(engine, &[StringChange::Set { value: b"v", expire: None }.on(0, key)]);
}

#[test]
fn turning_the_log_on_is_followed_by_a_checkpoint_even_if_another_one_was_running() {
    let disk = SimDisk::new(7);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"first");
    configure(&engine, &unlogged()).unwrap();
    set(&engine, b"unlogged");
    let running = engine.claim_save().unwrap();
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    drop(running);
    set(&engine, b"after");
    engine.settle().unwrap();
    assert!(engine.save.due.load(Relaxed));
    let threads = engine.start_background().unwrap();
    while engine.save.due.load(Relaxed) || engine.save.running.load(Relaxed) {
        std::thread::yield_now();
    }
    engine.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let before = image(&engine);
    assert_eq!(before.len(), 3);
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    assert_same(&image(&engine), &before);
}

#[test]
fn a_reload_and_a_checkpoint_keep_out_of_each_others_way() {
    let disk = SimDisk::new(8);
    let engine = open(&disk, AppendFsync::No).unwrap();
    set(&engine, b"k");
    let running = engine.claim_save().unwrap();
    assert!(matches!(engine.reload(false), Err(super::EngineError::Busy)));
    drop(running);
    engine.set_phase(Phase::Reloading);
    assert!(matches!(engine.save(), Err(super::EngineError::Loading)));
    assert!(matches!(engine.start_save(), Err(super::EngineError::Loading)));
    engine.set_phase(Phase::Serving);
    engine.save().unwrap();
    // What cannot be made durable before it is read again is not taken away.
    set(&engine, b"other");
    disk.fail(Fault::Sync, 1, libc::EIO);
    assert!(engine.reload(false).is_err());
    assert!(!engine.is_loading());
    assert_eq!(image(&engine).len(), 2);
}

#[test]
fn a_start_with_fewer_databases_than_are_in_use_is_refused() {
    for saved in [false, true] {
        let disk = SimDisk::new(9);
        let engine = open(&disk, AppendFsync::Always).unwrap();
        commit(&engine, &[StringChange::Set { value: b"v", expire: None }.on(12, b"k")]);
        commit(&engine, &[Structural::FlushDb { db: 13, space: engine.store.fresh_space(1) }.into()]);
        commit(&engine, &[StringChange::Set { value: b"v", expire: None }.on(SYSTEM, b"own")]);
        if saved {
            engine.save().unwrap();
        }
        engine.settle().unwrap();
        drop(engine);
        disk.restart(CrashMode::PowerLost);
        let reopen = |databases| {
            let settings = Settings { databases, ..(*settings(AppendFsync::Always)).clone() };
            let engine = Engine::on_disk(Arc::new(settings), Clock::manual(START), disk.shared());
            engine.recover().map(|report| report.keys).map_err(|error| error.to_string())
        };
        let error = reopen(12).unwrap_err();
        assert!(error.contains("database 12 is in use, but the option databases is 12"), "{error}");
        assert_eq!(reopen(13), Ok(2));
    }
}

#[test]
fn what_a_command_changed_before_it_panicked_is_in_the_log() {
    let disk = SimDisk::new(10);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let panicking = |all_or_nothing: bool, key: &[u8]| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut record = Vec::new();
            let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
            if all_or_nothing {
                tx.begin_undo();
            }
            tx.apply(StringChange::Set { value: b"v", expire: None }.on(0, key));
            panic!("meant");
        }))
        .unwrap_err();
    };
    panicking(false, b"stays");
    panicking(true, b"goes");
    let before = image(&engine);
    assert_eq!(before.len(), 1);
    engine.settle().unwrap();
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    assert_same(&image(&open(&disk, AppendFsync::Always).unwrap()), &before);
}

#[test]
fn an_effect_that_panicked_while_it_was_carried_out_is_not_in_the_log() {
    for alone in [false, true] {
        let disk = SimDisk::new(11);
        let engine = open(&disk, AppendFsync::Always).unwrap();
        let one = ListChange::Push { front: false, values: List::Slices(&[b"a"]) }.on(0, b"list");
        if alone {
            commit(&engine, &[one]);
        }
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut record = Vec::new();
            let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
            if !alone {
                tx.apply(one);
            }
            // No list has so many elements.
            let values = List::Packed { bytes: b"", count: usize::MAX };
            tx.apply(ListChange::Push { front: false, values }.on(0, b"list"));
        }))
        .unwrap_err();
        assert_eq!(image(&engine).len(), 1);
        // The server goes on.
        commit(&engine, &[StringChange::Set { value: b"v", expire: None }.on(0, b"after")]);
        let before = image(&engine);
        engine.settle().unwrap();
        drop(engine);
        disk.restart(CrashMode::PowerLost);
        assert_same(&image(&open(&disk, AppendFsync::Always).unwrap()), &before);
    }
}

#[test]
fn tables_that_change_while_they_are_followed_do_not_hang() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let engine = Arc::new(Engine::in_memory(2, 16, Clock::manual(START)));
        let keys = || TableSchema::new(KeyAttr::new("id", KeyType::S), None);
        let schemas = [keys().to_bytes(), TableSchema { ttl: Some("until".into()), ..keys() }.to_bytes()];
        let changer = {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || {
                for i in 0..50_000 {
                    let schema = &schemas[i % 2];
                    let (table, created) = (TABLE, START);
                    commit(&engine, &[Structural::TablePut { table, created, name: b"t", schema }.into()]);
                }
            })
        };
        while !changer.is_finished() {
            engine.follow_tables();
        }
        done.send(()).unwrap();
    });
    finished.recv_timeout(std::time::Duration::from_mins(1)).expect("a deadlock");
}
