//! Failing logs: what is taken back, what goes on, what is tried again.

use super::super::{LogState, Phase};
use super::switches::{killed, until};
use super::{START, TABLE, assert_same, commit, configure, image, open, set, settings, unlogged};
use crate::config::{AppendFsync, Settings};
use crate::effect::{ItemChange, StringChange, Structural};
use crate::engine::{Engine, NotNow, StaleKeys};
use crate::env::{Clock, CrashMode, Fault, SimDisk};
use crate::store::Mode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A checkpoint that a failing log meets in its middle is not named: memory is about to be emptied under it.
#[test]
fn a_checkpoint_is_given_up_before_memory_falls_back() {
    let disk = SimDisk::new(41);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    (0..200_u32).for_each(|i| set(&engine, &i.to_le_bytes()));
    engine.settle().unwrap();
    let before = image(&engine);
    let inside = Arc::downgrade(&engine);
    let failing = disk.clone();
    // The checkpoint's own sync is the next one: in the middle of it the log's fails.
    disk.before(Fault::Sync, 1, move || {
        let engine = inside.upgrade().unwrap();
        failing.fail(Fault::Sync, 1, SimDisk::EIO);
        set(&engine, b"lost");
        let error = engine.settle().unwrap_err();
        engine.note_failure(&error);
    });
    assert!(engine.save().is_err(), "the log failed before the checkpoint was named");
    until(|| engine.state().phase() == Phase::Serving);
    assert_same(&image(&engine), &before);
    let engine = killed(&disk, engine, &settings(AppendFsync::Always));
    assert_same(&image(&engine), &before);
}

#[test]
fn a_log_that_fails_before_it_is_complete_leaves_memory_as_the_only_copy() {
    let disk = SimDisk::new(44);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    configure(&engine, &unlogged()).unwrap();
    (0..50_u32).for_each(|i| set(&engine, &i.to_le_bytes()));
    let holds = engine.claim_save().unwrap();
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    set(&engine, b"after");
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    let error = engine.settle().unwrap_err();
    engine.note_failure(&error);
    drop(holds);
    assert_eq!((engine.state().phase(), engine.state().log()), (Phase::Serving, LogState::Stranded));
    assert_eq!(image(&engine).len(), 51, "readers are served what there is");
    assert!(engine.refusal(0).is_some());
    assert!(engine.save().is_err());
    assert!(engine.end(None, false).is_err(), "an end would lose it");
    assert!(engine.state().phase() == Phase::Serving && image(&engine).len() == 51);
    assert!(engine.end(None, true).is_ok() && engine.close().is_err());
}

/// A disk that cannot be read any more takes nothing away that memory has and that is durable.
#[test]
fn what_is_durable_stays_readable_while_memory_falls_back() {
    let disk = SimDisk::new(56);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let key = |shard: usize| {
        let key = |i: u32| i.to_le_bytes().to_vec();
        (0..1000).map(key).find(|key| engine.store.shard_of(engine.store.hash(key)) == shard).unwrap()
    };
    let one = |key: &[u8], value: &[u8]| {
        let (mut record, hash) = (Vec::new(), engine.store.hash(key));
        let locked = engine.store.lock_one(hash, Mode::Write, START);
        let mut tx = crate::engine::Tx::new(&engine, locked, 0, &mut record);
        tx.apply(StringChange::Set { value, expire: None }.on(0, key));
        tx.commit();
    };
    let (calm, changed) = (key(0), key(1));
    one(&calm, b"durable");
    one(&changed, b"durable");
    engine.settle().unwrap();
    let before = image(&engine);
    [Fault::Open, Fault::Read, Fault::List].into_iter().for_each(|fault| disk.fail_on(fault, SimDisk::EIO));
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    one(&changed, b"lost");
    let error = engine.settle().unwrap_err();
    engine.note_failure(&error);
    let admitted = |key: &[u8]| {
        let locked = engine.store.lock_one(engine.store.hash(key), Mode::Read, START);
        engine.admits_under(&locked, false)
    };
    assert_eq!(engine.state().phase(), Phase::FallingBack);
    assert_eq!(admitted(&calm), Ok(()));
    assert_eq!(admitted(&changed), Err(NotNow::Loading));
    assert_eq!(engine.store.len(), 2, "nothing is taken away before it can be read again");
    disk.heal();
    until(|| engine.state().phase() == Phase::Serving);
    assert_same(&image(&engine), &before);
    assert_eq!(admitted(&changed), Ok(()));
}

/// Data that is being read again must not be taken for missing.
#[test]
fn nobody_is_served_from_memory_that_was_emptied() {
    let disk = SimDisk::new(59);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"k");
    engine.settle().unwrap();
    let before = image(&engine);
    [Fault::Open, Fault::Read, Fault::List].into_iter().for_each(|fault| disk.fail_on(fault, SimDisk::EIO));
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    // Every shard is held, so that all are taken back.
    set(&engine, b"lost");
    let error = engine.settle().unwrap_err();
    engine.note_failure(&error);
    until(|| engine.store.is_empty());
    for shard in 0..engine.store.shard_count() {
        let locked = engine.store.lock_shard(shard, Mode::Read, START);
        assert_eq!(engine.admits_under(&locked, false), Err(NotNow::Loading));
    }
    disk.heal();
    until(|| engine.state().phase() == Phase::Serving);
    assert_same(&image(&engine), &before);
    let locked = engine.store.lock_all(Mode::Read, START);
    assert_eq!(engine.admits_under(&locked, false), Ok(()));
}

#[test]
fn a_checkpoint_that_cannot_be_opened_is_not_taken_for_a_damaged_one() {
    let disk = SimDisk::new(60);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"old");
    engine.save().unwrap();
    set(&engine, b"new");
    engine.save().unwrap();
    let before = image(&engine);
    disk.fail(Fault::Open, 1, SimDisk::EMFILE);
    let report = engine.reload(false).unwrap();
    assert!(report.damaged.is_empty(), "{report:?}");
    assert_same(&image(&engine), &before);
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    disk.fail(Fault::Open, 1, SimDisk::EIO);
    let settings = settings(AppendFsync::Always);
    let refused = Engine::on_disk(Arc::clone(&settings), Clock::manual(START), disk.shared());
    assert!(refused.recover().is_err());
    drop(refused);
    disk.restart(CrashMode::Process);
    assert_same(&image(&open(&disk, AppendFsync::Always).unwrap()), &before);
}

#[test]
fn an_end_does_not_wait_for_a_reload_that_cannot_read() {
    let disk = SimDisk::new(63);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"k");
    engine.save().unwrap();
    disk.fail_on(Fault::Open, SimDisk::EIO);
    let reloading = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || engine.reload(false).map(drop))
    };
    until(|| engine.store.is_empty());
    engine.end(None, false).unwrap();
    assert!(reloading.join().unwrap().is_err());
    disk.heal();
    engine.close().unwrap();
    assert_eq!(image(&killed(&disk, engine, &settings(AppendFsync::Always))).len(), 1);
}

/// A key whose older image has expired is not removed while the records that renew it are yet to be read.
#[test]
fn nothing_is_removed_while_data_is_being_read() {
    let disk = SimDisk::new(48);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let past = Some(START - 1);
    commit(&engine, &[StringChange::Set { value: b"v", expire: past }.on(0, b"k")]);
    engine.set_phase(Phase::Reloading);
    let tail = engine.tail();
    let mut record = Vec::new();
    engine.remove_expired(&StaleKeys(vec![(0, Box::from(&b"k"[..]))]), &mut record);
    (0..engine.store.shard_count()).for_each(|shard| engine.expire_shard(shard, &mut record));
    assert_eq!(engine.tail(), tail);
    engine.set_phase(Phase::Serving);
    engine.remove_expired(&StaleKeys(vec![(0, Box::from(&b"k"[..]))]), &mut record);
    assert_eq!(engine.tail(), tail + 1);
}

#[test]
fn writers_wait_for_a_disk_that_falls_behind_at_everysec() {
    let disk = SimDisk::new(57);
    let engine = open(&disk, AppendFsync::Everysec).unwrap();
    let clock = engine.clock.as_manual().unwrap();
    set(&engine, b"first");
    engine.settle().unwrap();
    let synced = || engine.journal.log().unwrap().synced();
    clock.advance_ms(1_000);
    set(&engine, b"second");
    engine.settle().unwrap();
    assert!(synced() < engine.tail() && engine.held().0 == 0, "a second behind is what was asked for");
    clock.advance_ms(1_500);
    set(&engine, b"third");
    engine.settle().unwrap();
    assert_eq!((synced(), engine.held().0), (engine.tail(), 1));
}

#[test]
fn a_checkpoint_that_failed_is_tried_again_within_seconds() {
    let disk = SimDisk::new(58);
    let engine = open(&disk, AppendFsync::Everysec).unwrap();
    let rare = crate::config::SavePoint { seconds: 100_000, changes: 100_000 };
    configure(
        &engine,
        &Arc::new(Settings { save: vec![rare], ..(*settings(AppendFsync::Everysec)).clone() }),
    )
    .unwrap();
    set(&engine, b"k");
    disk.fail(Fault::Create, 1, SimDisk::ENOSPC);
    assert!(engine.save().is_err());
    engine.check_save_points();
    assert!(!engine.save.running.load(Relaxed) && !engine.save.last_ok.load(Relaxed), "not at once");
    engine.clock.as_manual().unwrap().advance_ms(6_000);
    engine.check_save_points();
    until(|| !engine.save.running.load(Relaxed));
    assert!(engine.save.last_ok.load(Relaxed));
}

#[test]
fn save_points_and_retries_count_the_time_that_passes_whatever_the_clock_is_set_to() {
    for set_to in [START, START - 86_400_000, START + 86_400_000] {
        let disk = SimDisk::new(59);
        let engine = open(&disk, AppendFsync::Everysec).unwrap();
        let point = crate::config::SavePoint { seconds: 10, changes: 1 };
        let saving = Settings { save: vec![point], ..(*settings(AppendFsync::Everysec)).clone() };
        configure(&engine, &Arc::new(saving)).unwrap();
        let clock = engine.clock.as_manual().unwrap();
        let saves = || {
            engine.check_save_points();
            until(|| !engine.save.running.load(Relaxed));
            engine.save.count.load(Relaxed)
        };
        set(&engine, b"k");
        let before = saves();
        clock.set_ms(set_to);
        assert_eq!(saves(), before, "{set_to}");
        clock.advance_ms(11_000);
        assert_eq!(saves(), before + 1, "{set_to}");
        set(&engine, b"other");
        disk.fail(Fault::Create, 1, SimDisk::ENOSPC);
        assert!(engine.save().is_err());
        clock.set_ms(set_to);
        assert_eq!(saves(), before + 1, "{set_to}");
        clock.advance_ms(6_000);
        assert_eq!(saves(), before + 2, "{set_to}");
    }
}

/// A transaction of another thread is wholly before a failure, and unacknowledged, or wholly after it, and refused.
#[test]
fn no_write_falls_between_a_failing_log_and_the_note_of_it() {
    for level in [AppendFsync::Everysec, AppendFsync::Always] {
        let disk = SimDisk::new(54);
        let engine = open(&disk, level).unwrap();
        set(&engine, b"before");
        engine.settle().unwrap();
        let mut record = Vec::new();
        let locked = engine.store.lock_all(Mode::Write, START);
        let mut tx = crate::engine::Tx::new(&engine, locked, 0, &mut record);
        engine.admits(true).unwrap();
        // The failure is noticed while the transaction runs; its note waits for the shards.
        disk.fail(Fault::Sync, 1, SimDisk::EIO);
        let noting = {
            let engine = Arc::clone(&engine);
            let log = engine.journal.log().unwrap();
            let error = log.sync(log.append(START, b"another's")).unwrap_err();
            std::thread::spawn(move || engine.note_failure(&error))
        };
        let tail = engine.tail();
        tx.apply(StringChange::Set { value: b"v", expire: None }.on(0, b"k"));
        tx.commit();
        assert_eq!(
            engine.tail(),
            tail + 1,
            "its record is appended, and its acknowledgement waits for it in vain"
        );
        noting.join().unwrap();
        assert!(engine.settle().is_err() && engine.settled() <= tail);
    }
}

#[test]
fn the_items_of_a_new_table_do_not_expire_by_the_rules_of_the_old_one() {
    use crate::item::{KeyAttr, KeyType, TableSchema};
    let engine = Engine::in_memory(2, 16, Clock::manual(START));
    let keys = || TableSchema::new(KeyAttr::new("id", KeyType::S), None);
    let schema = TableSchema { ttl: Some("until".into()), ..keys() }.to_bytes();
    commit(
        &engine,
        &[Structural::TablePut { table: TABLE, created: START, name: b"t", schema: &schema }.into()],
    );
    let old = engine.tables.by_id(TABLE).unwrap();
    commit(
        &engine,
        &[Structural::TablePut { table: TABLE, created: START, name: b"t", schema: &keys().to_bytes() }
            .into()],
    );
    let keys = old.schema.text_keys(b"a", None, &crate::item::ItemLimits::UNLIMITED).unwrap();
    let mut item = crate::item::ItemBuilder::new();
    item.put_owned("id", &"a".into()).unwrap();
    item.put_owned("until", &crate::item::AttributeValue::N("1".parse().unwrap())).unwrap();
    let item = item.finish();
    let (partition, sort) = (keys.pk.as_slice(), keys.sk.as_slice());
    commit(&engine, &[ItemChange::Put { sort, item: item.as_bytes() }.on(TABLE, partition)]);
    let hash = engine.store.hash(partition);
    engine.store.lock_one(hash, Mode::Write, START).note_item_deadline(TABLE, partition, hash, sort, 1);
    engine.expire_afar(&old, partition, 8, &mut Vec::new());
    assert_eq!(engine.store.len(), 1);
}
