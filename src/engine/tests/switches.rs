//! The ways on which a log changes what it is: switches, levels, gaps, and the end.

use super::super::{DurabilityState, Level, LogState, Phase};
use super::{START, assert_same, commit, configure, image, open, set, settings, unlogged};
use crate::config::{AppendFsync, Settings};
use crate::effect::{Effect, StringChange};
use crate::engine::{Engine, EngineError};
use crate::env::{Clock, CrashMode, Fault, SimDisk};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The engine after its process was killed and started again with these settings.
pub(super) fn killed(disk: &SimDisk, engine: Arc<Engine>, settings: &Arc<Settings>) -> Arc<Engine> {
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = Arc::new(Engine::on_disk(Arc::clone(settings), Clock::manual(START), disk.shared()));
    engine.recover().unwrap();
    engine
}

pub(super) fn until(done: impl Fn() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

pub(super) fn delete(engine: &Engine, key: &[u8]) {
    commit(engine, &[Effect::Delete { db: 0, key }]);
}

#[test]
fn an_end_waits_until_the_log_is_complete() {
    let disk = SimDisk::new(42);
    let engine = open(&disk, AppendFsync::Everysec).unwrap();
    configure(&engine, &unlogged()).unwrap();
    (0..100_u32).for_each(|i| set(&engine, &i.to_le_bytes()));
    let holds = engine.claim_save().unwrap();
    configure(&engine, &settings(AppendFsync::Everysec)).unwrap();
    assert_eq!(engine.state().log(), LogState::Incomplete);
    drop(holds);
    assert!(
        matches!(engine.end(Some(false), false), Err(EngineError::Gap)),
        "NOSAVE would lose what was not logged"
    );
    assert!(engine.state().accepts_writes(), "the end was refused");
    engine.end(None, false).unwrap();
    assert!(engine.state().is_complete());
    engine.close().unwrap();
    let before = image(&engine);
    assert_eq!(before.len(), 100);
    let engine = killed(&disk, engine, &settings(AppendFsync::Everysec));
    assert_same(&image(&engine), &before);
}

#[test]
fn a_forced_end_with_a_gap_does_not_pass_for_an_orderly_one() {
    let disk = SimDisk::new(43);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    configure(&engine, &unlogged()).unwrap();
    set(&engine, b"k");
    let holds = engine.claim_save().unwrap();
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    drop(holds);
    engine.end(Some(false), true).unwrap();
    assert!(matches!(engine.close(), Err(EngineError::Gap)));
}

/// Some of its images would show what was logged, and others what was not.
#[test]
fn a_checkpoint_during_which_the_log_is_switched_is_given_up() {
    for logged in [true, false] {
        let disk = SimDisk::new(61);
        let engine = open(&disk, AppendFsync::Always).unwrap();
        let (from, to) = (settings(AppendFsync::Always), unlogged());
        let (from, to) = if logged { (from, to) } else { (to, from) };
        configure(&engine, &from).unwrap();
        set(&engine, b"k");
        let inside = Arc::downgrade(&engine);
        disk.before(Fault::Create, 1, move || configure(&inside.upgrade().unwrap(), &to).unwrap());
        assert!(matches!(engine.save(), Err(EngineError::Revoked)));
        assert!(engine.save.last_ok.load(Relaxed), "writes are not refused for it");
        engine.save().unwrap();
        assert_eq!(engine.state().is_complete(), !logged);
    }
}

/// Background work asks for one while a reload or an end has the data to itself.
#[test]
fn who_was_given_no_permit_gives_none_back() {
    let disk = SimDisk::new(64);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let alone = engine.works.exclude();
    assert!(engine.works.permit().is_none());
    drop(alone);
    // The next caller finds no permit to wait for.
    drop(engine.works.exclude());
    assert!(engine.works.permit().is_some());
}

/// Images are taken one after the other: only the log makes one state of them, also while nothing else is logged.
#[test]
fn a_checkpoint_of_what_is_not_logged_halves_no_transaction() {
    let disk = SimDisk::new(62);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    configure(&engine, &unlogged()).unwrap();
    let key = |shard: usize| {
        let key = |i: u32| i.to_le_bytes().to_vec();
        (0..1000).map(key).find(|key| engine.store.shard_of(engine.store.hash(key)) == shard).unwrap()
    };
    let (early, middle, late) = (key(0), key(3), key(7));
    let large = vec![b'x'; 600 << 10];
    commit(&engine, &[StringChange::Set { value: &large, expire: None }.on(0, &middle)]);
    set(&engine, &late);
    let inside = Arc::downgrade(&engine);
    let (to, from) = (early, late);
    // The large value is written out when some shards were read and others not.
    disk.before(Fault::Write, 1, move || {
        let engine = inside.upgrade().unwrap();
        let moved = StringChange::Set { value: b"v", expire: None }.on(0, &to);
        commit(&engine, &[moved, Effect::Delete { db: 0, key: &from }]);
    });
    engine.save().unwrap();
    let before = image(&engine);
    let engine = killed(&disk, engine, &unlogged());
    assert_same(&image(&engine), &before);
    assert_eq!(before.len(), 2);
}

#[test]
fn the_level_that_is_set_while_data_is_read_is_in_force_afterwards() {
    let disk = SimDisk::new(45);
    let engine = Arc::new(Engine::on_disk(settings(AppendFsync::No), Clock::manual(START), disk.shared()));
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    engine.recover().unwrap();
    assert_eq!(engine.state(), DurabilityState::new(Phase::Serving, LogState::Complete, Level::Always));
    set(&engine, b"k");
    engine.settle().unwrap();
    assert_eq!(image(&killed(&disk, engine, &settings(AppendFsync::Always))).len(), 1);
}

#[test]
fn only_a_checkpoint_that_begins_behind_the_gap_closes_it() {
    let disk = SimDisk::new(46);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    configure(&engine, &unlogged()).unwrap();
    set(&engine, b"unlogged");
    let inside = Arc::downgrade(&engine);
    // The log is switched on in the middle of a checkpoint.
    disk.before(Fault::Sync, 1, move || {
        configure(&inside.upgrade().unwrap(), &settings(AppendFsync::Always)).unwrap();
    });
    engine.save().unwrap();
    assert_eq!(engine.state().log(), LogState::Incomplete, "the old checkpoint began before the gap");
    assert!(engine.save.due.load(Relaxed));
    set(&engine, b"logged");
    engine.save().unwrap();
    assert!(engine.state().is_complete() && !engine.save.due.load(Relaxed));
    engine.settle().unwrap();
    assert_eq!(image(&killed(&disk, engine, &settings(AppendFsync::Always))).len(), 2);
}

/// What came after the image began would be acknowledged and lost; so it does not come.
#[test]
fn writes_have_stopped_before_the_image_of_a_reload_or_an_end_is_taken() {
    type Step = fn(&Arc<Engine>);
    let reload: Step = |engine| drop(engine.reload(true).unwrap());
    let end: Step = |engine| engine.end(Some(true), false).unwrap();
    for step in [reload, end] {
        let disk = SimDisk::new(47);
        let mut engine = open(&disk, AppendFsync::Always).unwrap();
        configure(&engine, &unlogged()).unwrap();
        set(&engine, b"before");
        let inside = Arc::downgrade(&engine);
        disk.before(Fault::Sync, 1, move || {
            let engine = inside.upgrade().unwrap();
            assert!(engine.admits(true).is_err(), "a write would be in no image");
        });
        step(&engine);
        assert_eq!(image(&engine).len(), 1);
        if engine.state().phase() == Phase::Ending {
            engine.close().unwrap();
            engine = killed(&disk, engine, &unlogged());
            assert_eq!(image(&engine).len(), 1);
        }
    }
}

#[test]
fn a_panic_during_an_end_leaves_a_server_that_can_be_ended() {
    let disk = SimDisk::new(61);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"before");
    // In the middle of the checkpoint that the end writes.
    disk.before(Fault::Sync, 1, || panic!("in the middle of an end"));
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.end(Some(true), false)));
    assert!(ended.is_err());
    assert_eq!(engine.state(), DurabilityState::new(Phase::Serving, LogState::Complete, Level::Always));
    assert!(!engine.works.revoked() && !engine.save.running.load(Relaxed));
    set(&engine, b"after");
    engine.end(Some(true), false).unwrap();
    assert_eq!(engine.state().phase(), Phase::Ending);
    engine.close().unwrap();
    assert_eq!(image(&killed(&disk, engine, &settings(AppendFsync::Always))).len(), 2);
}

#[test]
fn a_panic_during_an_end_while_the_log_fails_has_memory_fall_back() {
    let disk = SimDisk::new(62);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"durable");
    engine.settle().unwrap();
    set(&engine, b"lost");
    let (inside, failing) = (Arc::downgrade(&engine), disk.clone());
    disk.before(Fault::Sync, 1, move || {
        let engine = inside.upgrade().unwrap();
        failing.fail(Fault::Sync, 1, SimDisk::EIO);
        let error = engine.settle().unwrap_err();
        engine.note_failure(&error);
        panic!("in the middle of an end");
    });
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.end(Some(true), false)));
    assert!(ended.is_err());
    until(|| engine.state().phase() == Phase::Serving);
    assert_eq!(image(&engine).len(), 1, "nobody is left with what is not durable");
}

#[test]
fn an_older_checkpoint_is_not_taken_for_what_was_written_while_the_log_was_off() {
    let disk = SimDisk::new(49);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"logged");
    engine.save().unwrap();
    let engine = killed(&disk, engine, &unlogged());
    set(&engine, b"unlogged");
    delete(&engine, b"logged");
    engine.save().unwrap();
    let engine = killed(&disk, engine, &settings(AppendFsync::Always));
    set(&engine, b"later");
    engine.settle().unwrap();
    let newest = engine.checkpoints().unwrap().list().unwrap().pop().unwrap();
    let path = std::path::Path::new("/data").join(newest.name);
    disk.corrupt(&path, 80, &[0xff; 64]).unwrap();
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine =
        Arc::new(Engine::on_disk(settings(AppendFsync::Always), Clock::manual(START), disk.shared()));
    match engine.recover() {
        Ok(report) => {
            assert!(report.gap, "there is a hole between the older checkpoint and the log");
            // A state that was, rather than one in which `later` stands beside what had been deleted before.
            assert_eq!(image(&engine).len(), 1);
        }
        Err(error) => assert!(matches!(error, EngineError::Log(_)), "{error}"),
    }
}

#[test]
fn what_was_acknowledged_is_synced_where_the_rule_is_relaxed() {
    let relaxed = [unlogged(), settings(AppendFsync::No)];
    for relaxed in relaxed {
        let disk = SimDisk::new(50);
        let engine = open(&disk, AppendFsync::Everysec).unwrap();
        set(&engine, b"k");
        engine.settle().unwrap();
        configure(&engine, &relaxed).unwrap();
        assert_eq!(image(&killed(&disk, engine, &relaxed)).len(), 1);
    }
}

/// Otherwise memory would fall back behind it when a sync fails at the stricter level.
#[test]
fn what_was_acknowledged_is_synced_where_the_rule_becomes_stricter() {
    let disk = SimDisk::new(55);
    let engine = open(&disk, AppendFsync::No).unwrap();
    set(&engine, b"k");
    engine.settle().unwrap();
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    set(&engine, b"lost");
    let error = engine.settle().unwrap_err();
    engine.note_failure(&error);
    until(|| engine.state().phase() == Phase::Serving);
    assert_eq!(image(&engine).len(), 1);
}

#[test]
fn a_switch_whose_sync_fails_is_refused_and_the_failure_noted() {
    let disk = SimDisk::new(51);
    let engine = open(&disk, AppendFsync::Everysec).unwrap();
    set(&engine, b"k");
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    assert!(configure(&engine, &unlogged()).is_err());
    assert!(engine.settings().appendonly, "nothing has changed");
    assert_eq!(engine.state(), DurabilityState::new(Phase::Serving, LogState::Failed, Level::Everysec));
    assert!(configure(&engine, &unlogged()).is_err(), "a failed log is no log that is off");
}

#[test]
fn a_log_that_could_not_begin_on_a_full_disk_can_be_switched_on_when_there_is_room() {
    let disk = SimDisk::new(52);
    disk.set_capacity(Some(64));
    let settings_of = |appendonly| {
        let settings =
            Settings { appendonly, disk_reserve: 4096, ..(*settings(AppendFsync::Always)).clone() };
        Arc::new(settings)
    };
    let first = open(&SimDisk::new(53), AppendFsync::Always).unwrap();
    drop(first);
    disk.set_capacity(None);
    drop(open(&disk, AppendFsync::Always).unwrap());
    disk.restart(CrashMode::PowerLost);
    disk.set_capacity(Some(disk.used()));
    let off = settings_of(false);
    let engine = Arc::new(Engine::on_disk(Arc::clone(&off), Clock::manual(START), disk.shared()));
    engine.recover().unwrap();
    set(&engine, b"k");
    assert!(configure(&engine, &settings_of(true)).is_err(), "the disk is full");
    disk.set_capacity(None);
    engine.maintain_log();
    configure(&engine, &settings_of(true)).unwrap();
    until(|| engine.state().is_complete());
    assert_eq!(image(&killed(&disk, engine, &settings_of(true))).len(), 1);
}
