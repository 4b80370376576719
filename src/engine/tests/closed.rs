//! A value whose change panicked may be half changed: it is undone as a whole, or its shard is closed.

use super::as_text::{assert_shown, show};
use super::moved::{fill, key_in};
use super::switches::until;
use super::*;
use crate::engine::image::between;
use crate::engine::{EngineError, LiftError, NotNow, Over};
use crate::env::memory;
use crate::item::ItemLimits;
use crate::store::Holder;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A push that panics once it is being carried out: no list has so many elements.
fn bad_push(key: &[u8]) -> Effect<'_> {
    ListChange::Push { front: false, values: List::Packed { bytes: b"", count: usize::MAX } }.on(0, key)
}

/// Runs a transaction over the shard of a key.
fn over(engine: &Engine, key: &[u8], body: impl FnMut(&mut Tx<'_>)) -> Result<(), NotNow> {
    let hashes = [engine.store.hash(key)];
    engine.transact_over(Holder::Tables, Over::Hashes(&hashes), 0, &mut Vec::new(), body)
}

fn panics(work: impl FnOnce()) {
    catch_unwind(AssertUnwindSafe(work)).unwrap_err();
}

/// An engine whose keys in each shard are a list of one element and a large hash.
fn filled(disk: &SimDisk) -> Arc<Engine> {
    let engine = open(disk, AppendFsync::No).unwrap();
    engine.store.thresholds.hash_entries.store(8, Relaxed);
    for shard in 0..engine.store.shard_count() {
        let values = List::Slices(&[b"a"]);
        commit(&engine, &[ListChange::Push { front: false, values }.on(0, &key_in(&engine, shard, 0))]);
        fill(&engine, &key_in(&engine, shard, 1), 500);
    }
    engine
}

#[test]
fn the_shard_of_a_change_that_panicked_is_closed_until_its_data_is_read_again() {
    let disk = SimDisk::new(90);
    let engine = filled(&disk);
    let before = show(&engine);
    let (list, hash, other) = (key_in(&engine, 3, 0), key_in(&engine, 3, 1), key_in(&engine, 4, 0));
    panics(|| drop(over(&engine, &list, |tx| tx.apply(bad_push(&list)))));
    assert_eq!(engine.store.closed_shards(), 1);
    for key in [&list, &hash] {
        assert_eq!(over(&engine, key, |_| panic!("it is shown")), Err(NotNow::Closed));
    }
    assert_eq!(over(&engine, &other, |_| ()), Ok(()));
    let extended = |tx: &mut Tx<'_>| assert!(!tx.locked_mut().try_extend(engine.store.hash(&list)));
    assert_eq!(over(&engine, &other, extended), Ok(()));
    engine.reload(false).unwrap();
    assert_eq!(engine.store.closed_shards(), 0);
    assert_shown(&show(&engine), &before, "read again");
    panics(|| drop(over(&engine, &list, |tx| tx.apply(bad_push(&list)))));
    engine.sync().unwrap();
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    assert_shown(&show(&open(&disk, AppendFsync::No).unwrap()), &before, "a restart");
}

#[test]
fn a_move_that_panics_closes_the_shards_of_both_keys() {
    let engine = filled(&SimDisk::new(91));
    let (from, to) = (key_in(&engine, 2, 1), key_in(&engine, 6, 5));
    panics(|| {
        let mut record = Vec::new();
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
        tx.interrupt(&Effect::Move { db: 0, key: &from, to_db: 0, to: &to });
    });
    let is_closed = |shard| over(&engine, &key_in(&engine, shard, 0), |_| ()).is_err();
    let closed: Vec<usize> = (0..engine.store.shard_count()).filter(|shard| is_closed(*shard)).collect();
    assert_eq!(closed, [2, 6]);
}

#[test]
fn what_is_undone_as_a_whole_closes_nothing() {
    let engine = filled(&SimDisk::new(92));
    let before = show(&engine);
    let list = key_in(&engine, 5, 0);
    let new = key_in(&engine, 5, 7);
    for key in [&list, &new] {
        panics(|| {
            let undone = |tx: &mut Tx<'_>| {
                tx.begin_undo();
                let values = List::Slices(&[b"b"]);
                let push = ListChange::Push { front: false, values }.on(0, key);
                tx.apply(push);
                tx.interrupt(&push);
            };
            drop(over(&engine, key, undone));
        });
        assert_eq!(engine.store.closed_shards(), 0);
        assert_shown(&show(&engine), &before, "undone");
    }
    // Of a large value only what changes is kept, so nobody knows what else a panic has changed.
    let hash = key_in(&engine, 5, 1);
    panics(|| {
        let undone = |tx: &mut Tx<'_>| {
            tx.begin_undo();
            tx.interrupt(&HashChange::Delete { fields: List::Slices(&[b"field:1"]) }.on(0, &hash));
        };
        drop(over(&engine, &hash, undone));
    });
    assert_eq!(engine.store.closed_shards(), 1);
}

/// The first try fails, since the image of the shard is lost, or is refused; the next one takes the shard from the log.
#[test]
fn a_checkpoint_during_which_a_shard_is_closed_is_exact() {
    for shard in [0, 7] {
        let disk = SimDisk::new(93);
        let engine = filled(&disk);
        let before = show(&engine);
        let key = key_in(&engine, shard, 0);
        let mut pieces = 0;
        between::pieces(move |engine| {
            pieces += 1;
            if pieces == 2 {
                panics(|| drop(over(engine, &key, |tx| tx.apply(bad_push(&key)))));
            }
        });
        engine.save().unwrap();
        between::nothing();
        assert_eq!((engine.store.closed_shards(), checkpoints_of(&engine)), (1, 1));
        assert!(!engine.store.images_are_registered());
        assert_recovers(engine, &disk, &before);
    }
}

/// A shard that was opened by FLUSHALL and closed again meanwhile is another one than the checkpoint has read from the
/// log: the flush and what was written between the two are in it.
#[test]
fn a_checkpoint_during_which_a_closed_shard_is_opened_and_closed_again_is_exact() {
    let disk = SimDisk::new(96);
    let engine = filled(&disk);
    engine.save().unwrap();
    let (key, other) = (key_in(&engine, 7, 0), key_in(&engine, 7, 2));
    panics(|| drop(over(&engine, &key, |tx| tx.apply(bad_push(&key)))));
    let between = key.clone();
    let mut is_first = true;
    between::pieces(move |engine| {
        if !std::mem::take(&mut is_first) {
            return;
        }
        {
            let mut record = Vec::new();
            let mut tx = Tx::new(engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
            let space = engine.store.fresh_space(1);
            tx.apply(Structural::FlushDb { db: 0, space });
            tx.locked_mut().open_emptied();
            tx.commit();
        }
        commit(engine, &[ListChange::Push { front: true, values: List::Slices(&[b"new"]) }.on(0, &other)]);
        panics(|| drop(over(engine, &between, |tx| tx.apply(bad_push(&between)))));
    });
    engine.save().unwrap();
    between::nothing();
    assert_eq!((engine.store.closed_shards(), checkpoints_of(&engine)), (1, 2));
    engine.sync().unwrap();
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let shown = show(&open(&disk, AppendFsync::No).unwrap());
    assert_eq!(shown.iter().filter(|line| line.contains("new")).count(), 1, "{shown:?}");
    assert_eq!(shown.len(), 1, "{shown:?}");
}

/// How many checkpoints were written.
fn checkpoints_of(engine: &Engine) -> u64 {
    engine.save.count.load(Relaxed)
}

/// Ends the process by a power cut; the newest checkpoint and the log then show what was there before.
fn assert_recovers(engine: Arc<Engine>, disk: &SimDisk, before: &[String]) {
    engine.sync().unwrap();
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    assert_shown(&show(&open(disk, AppendFsync::No).unwrap()), before, "a restart");
}

/// What was moved into a closed shard, and written since the last checkpoint, is in its image.
#[test]
fn a_checkpoint_takes_a_closed_shard_from_the_log() {
    let disk = SimDisk::new(95);
    let engine = filled(&disk);
    engine.save().unwrap();
    let (from, to, list) = (key_in(&engine, 6, 1), key_in(&engine, 3, 5), key_in(&engine, 3, 0));
    rename(&engine, &from, &to);
    let push = ListChange::Push { front: true, values: List::Slices(&[b"late"]) }.on(0, &list);
    commit(&engine, &[push]);
    let before = show(&engine);
    panics(|| drop(over(&engine, &list, |tx| tx.apply(bad_push(&list)))));
    // Both checkpoints that are kept are such ones.
    engine.save().unwrap();
    engine.save().unwrap();
    assert_eq!((engine.store.closed_shards(), engine.save.last_ok.load(Relaxed)), (1, true));
    assert_recovers(engine, &disk, &before);
}

/// Moves a key.
fn rename(engine: &Engine, from: &[u8], to: &[u8]) {
    let mut record = Vec::new();
    let mut tx = Tx::new(engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
    tx.move_key((0, from), (0, to)).unwrap();
    tx.commit();
}

/// Of other shards only the keys are read apart from which something came, over however many keys.
#[test]
fn a_checkpoint_reads_no_more_of_other_shards_than_was_moved() {
    let disk = SimDisk::new(97);
    let engine = filled(&disk);
    engine.save().unwrap();
    // From shard to shard, and at last into shard 3; the other way something goes out of it.
    let way: Vec<Vec<u8>> = [6, 1, 7, 0, 3].iter().map(|shard| key_in(&engine, *shard, 9)).collect();
    rename(&engine, &key_in(&engine, 5, 1), &way[0]);
    way.windows(2).for_each(|pair| rename(&engine, &pair[0], &pair[1]));
    rename(&engine, &key_in(&engine, 3, 1), &key_in(&engine, 4, 9));
    let before = show(&engine);
    let list = key_in(&engine, 3, 0);
    panics(|| drop(over(&engine, &list, |tx| tx.apply(bad_push(&list)))));
    let apart = engine.read_closed(engine.journal.log().unwrap(), engine.tail(), &[3], None).unwrap();
    assert_eq!(apart.store.len(), 2, "the list, and the hash that came at last");
    drop(apart);
    engine.save().unwrap();
    engine.save().unwrap();
    assert_recovers(engine, &disk, &before);
}

/// An engine with 3 MB in shard 3, which is then closed, and the shown data before that.
fn with_large_closed(disk: &SimDisk, maxmemory: u64) -> (Arc<Engine>, Vec<String>) {
    let engine = filled(disk);
    configure(&engine, &Arc::new(Settings { maxmemory, ..(*engine.settings()).clone() })).unwrap();
    for n in 10..13 {
        let set = StringChange::Set { value: &vec![b'x'; 1 << 20], expire: None };
        commit(&engine, &[set.on(0, &key_in(&engine, 3, n))]);
    }
    let before = show(&engine);
    let list = key_in(&engine, 3, 0);
    panics(|| drop(over(&engine, &list, |tx| tx.apply(bad_push(&list)))));
    (engine, before)
}

/// No key is evicted for what is read beside the data.
#[test]
fn what_a_checkpoint_reads_apart_counts_apart() {
    let disk = SimDisk::new(98);
    let (engine, before) = with_large_closed(&disk, 100 << 20);
    let kept = memory::kept_bytes();
    let near = |expected: u64| memory::kept_bytes().abs_diff(expected) < 1 << 19;
    let apart = engine.read_closed(engine.journal.log().unwrap(), engine.tail(), &[3], None).unwrap();
    assert!(near(kept + (3 << 20)), "{} before, {} now", kept, memory::kept_bytes());
    drop(apart);
    assert!(near(kept), "{} before, {} now", kept, memory::kept_bytes());
    engine.save().unwrap();
    assert!(near(kept), "{} before, {} now", kept, memory::kept_bytes());
    assert_recovers(engine, &disk, &before);
}

#[test]
fn a_checkpoint_that_would_read_too_much_apart_is_refused_and_nothing_is_lost() {
    let disk = SimDisk::new(99);
    let (engine, before) = with_large_closed(&disk, 1);
    let kept = memory::kept_bytes();
    let refused = engine.save().unwrap_err();
    assert!(matches!(refused, EngineError::LargeApart { megabytes: 1 }), "{refused:?}");
    assert_eq!((checkpoints_of(&engine), engine.save.last_ok.load(Relaxed)), (0, false));
    assert!(memory::kept_bytes().abs_diff(kept) < 1 << 19, "it is freed");
    assert_recovers(engine, &disk, &before);
}

/// An end and a reload wait for a checkpoint, so it gives up soon.
#[test]
fn a_reading_for_a_checkpoint_is_given_up_when_the_checkpoint_is() {
    for saved in [false, true] {
        let engine = filled(&SimDisk::new(100));
        if saved {
            engine.save().unwrap();
        }
        let log = engine.journal.log().unwrap();
        let _alone = engine.works.exclude();
        let read = |works| engine.read_closed(log, engine.tail(), &[3], works);
        assert!(matches!(read(Some(Arc::clone(&engine.works))), Err(EngineError::Revoked)));
        assert!(read(None).is_ok(), "the end itself reads on");
    }
}

/// Beside the other shards of today, the shard of the last checkpoint would make a state that never was.
#[test]
fn without_a_complete_log_no_checkpoint_is_written_while_a_shard_is_closed() {
    let disk = SimDisk::new(96);
    let engine = filled(&disk);
    let always = crate::config::SavePoint { seconds: 0, changes: 1 };
    configure(&engine, &Arc::new(Settings { save: vec![always], ..(*unlogged()).clone() })).unwrap();
    engine.save().unwrap();
    let before = show(&engine);
    let (list, other) = (key_in(&engine, 3, 0), key_in(&engine, 4, 0));
    panics(|| drop(over(&engine, &list, |tx| tx.apply(bad_push(&list)))));
    commit(&engine, &[Effect::Delete { db: 0, key: &other }]);
    engine.clock.as_manual().unwrap().advance_ms(6_000);
    engine.check_save_points();
    assert!(!engine.save.running.load(Relaxed) && !engine.save.last_ok.load(Relaxed), "INFO tells it");
    for save in [None, Some(true)] {
        let ended = engine.end(save, false);
        assert!(matches!(ended, Err(EngineError::Closed)), "{ended:?}");
    }
    for refused in [engine.save(), engine.start_save(), engine.reload(true).map(drop)] {
        assert!(matches!(refused, Err(EngineError::Closed)), "{refused:?}");
    }
    assert_eq!(checkpoints_of(&engine), 1);
    engine.reload(false).unwrap();
    assert_shown(&show(&engine), &before, "the last checkpoint");
    engine.clock.as_manual().unwrap().advance_ms(6_000);
    engine.check_save_points();
    until(|| engine.save.last_ok.load(Relaxed));
}

/// The walk of a lifting ends where it may change nothing. When it is called again it makes items of all that is left.
#[test]
fn a_lifting_that_is_not_admitted_stops_its_walk() {
    let engine = open(&SimDisk::new(94), AppendFsync::No).unwrap();
    let names: Vec<Vec<u8>> =
        (0..engine.store.shard_count()).map(|shard| key_in(&engine, shard, 0)).collect();
    names.iter().for_each(|name| fill(&engine, name, 2));
    let schema = TableSchema {
        template: Some("key:{id}".into()),
        lifting: true,
        ..TableSchema::new(KeyAttr::new("id", KeyType::S), None)
    };
    let put = Structural::TablePut { table: TABLE, created: START, name: b"t", schema: &schema.to_bytes() };
    commit(&engine, &[put.into()]);
    let is_hash = |name: &Vec<u8>| {
        let hash = engine.store.hash(name);
        engine.store.lock_one(hash, Mode::Read, START).peek(0, name, hash).is_some()
    };
    let is_lifting = || engine.tables.by_id(TABLE).unwrap().schema.lifting;
    let hash = engine.store.hash(&names[3]);
    engine.store.lock_one(hash, Mode::Write, START).close(hash);
    let lifted = engine.lift_table(TABLE, &ItemLimits::UNLIMITED);
    assert!(matches!(lifted, Err(LiftError::Later)), "{lifted:?}");
    assert!(is_lifting() && names[3..].iter().all(is_hash));
    engine.reload(false).unwrap();
    engine.lift_table(TABLE, &ItemLimits::UNLIMITED).unwrap();
    assert!(!is_lifting() && !names.iter().any(is_hash));
}
