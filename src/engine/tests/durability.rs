//! The state of durability, event by event and cell by cell; and the ways on which a log changes what it is.

use super::super::{Event, Gate, Level, LogState, Phase, State};
use super::{START, TABLE, assert_same, commit, configure, image, open, set, settings, unlogged};
use crate::config::{AppendFsync, Settings};
use crate::effect::Effect;
use crate::engine::{Engine, EngineError, NotNow};
use crate::store::Mode;
use crate::env::{Clock, CrashMode, Fault, SimDisk};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const PHASES: [Phase; 6] = [
    Phase::Serving,
    Phase::Recovering,
    Phase::Reloading,
    Phase::FallingBack,
    Phase::Ending,
    Phase::Ended,
];
const LOGS: [LogState; 5] =
    [LogState::Off, LogState::Incomplete, LogState::Complete, LogState::Failed, LogState::Stranded];
const LEVELS: [Level; 3] = [Level::No, Level::Everysec, Level::Always];
const EVENTS: [Event; 17] = [
    Event::Recovered(LogState::Off),
    Event::Recovered(LogState::Incomplete),
    Event::Recovered(LogState::Complete),
    Event::SwitchedOn,
    Event::SwitchedOff,
    Event::LevelSet(Level::No),
    Event::LevelSet(Level::Everysec),
    Event::LevelSet(Level::Always),
    Event::GapClosed,
    Event::LogFailed,
    Event::ReloadBegun,
    Event::ReloadDone,
    Event::ReloadGivenUp,
    Event::FellBack,
    Event::EndBegun,
    Event::EndGivenUp,
    Event::Closed,
];

/// All states that events lead to from the beginning on.
fn reachable() -> Vec<State> {
    let mut found: Vec<State> =
        LEVELS.iter().map(|level| State::new(Phase::Recovering, LogState::Off, *level)).collect();
    let mut at = 0;
    while at < found.len() {
        let from = found[at];
        for next in EVENTS.iter().filter_map(|event| from.next(*event)) {
            if !found.contains(&next) {
                found.push(next);
            }
        }
        at += 1;
    }
    found
}

#[test]
fn a_state_is_what_it_was_made_of() {
    for phase in PHASES {
        for log in LOGS {
            for level in LEVELS {
                let state = State::new(phase, log, level);
                assert_eq!((state.phase(), state.log(), state.level()), (phase, log, level));
            }
        }
    }
}

#[test]
fn what_a_state_permits_holds_together() {
    for state in reachable() {
        let serving = state.phase() == Phase::Serving;
        assert_eq!(state.accepts_writes(), serving && !state.has_failed(), "{state:?}");
        // No write is acknowledged whose record is thrown away: where there is a log that takes writes, they go there.
        assert_eq!(state.accepts_writes() && state.appends(), state.accepts_writes() && state.log() != LogState::Off);
        assert_eq!(state.gate() == Gate::Open, state.log() == LogState::Off, "{state:?}");
        assert!(!state.permits_checkpoint() || state.accepts_writes(), "{state:?}");
        assert!(!state.ends_well() || matches!(state.log(), LogState::Off | LogState::Complete), "{state:?}");
        // What cannot be had from disk is never taken back, and what readers may not see always is.
        let falls_back = state.phase() == Phase::FallingBack;
        assert!(!falls_back || (state.log(), state.level()) == (LogState::Failed, Level::Always), "{state:?}");
    }
}

#[test]
fn a_log_that_has_failed_stays_failed() {
    for state in reachable().into_iter().filter(|state| state.has_failed()) {
        for event in EVENTS {
            let next = state.next(event).unwrap_or(state);
            assert!(next.has_failed() && next.level() == state.level(), "{state:?} {event:?}");
        }
    }
}

#[test]
fn only_a_checkpoint_or_a_recovery_makes_a_log_complete() {
    for state in reachable().into_iter().filter(|state| state.log() != LogState::Complete) {
        for event in EVENTS {
            let complete = state.next(event).is_some_and(|next| next.log() == LogState::Complete);
            let may = matches!(event, Event::GapClosed | Event::Recovered(LogState::Complete));
            assert!(!complete || may, "{state:?} {event:?}");
        }
    }
}

/// The table in ARCHITECTURE.md, cell by cell.
#[test]
fn the_table_of_states_is_true() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("| state |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let mut named = Vec::new();
    for state in reachable() {
        let row = rows.iter().find(|row| row[0].trim_matches('`') == state.name());
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", state.name()));
        let expect = |column: &str, cell: &str| {
            let at = rows[0].iter().position(|name| *name == column).unwrap();
            let depends = row[at] == "as before" || row[at].split(" / ").any(|part| part == cell);
            assert!(depends, "{state:?}: {column} is {cell}, the table says {}", row[at]);
        };
        expect("writes", if state.phase() == Phase::Ending { "wait" } else { word(state.accepts_writes()) });
        expect("logged", word(state.appends()));
        expect(
            "a reply waits for",
            match state.gate() {
                Gate::Open => "nothing",
                Gate::Written => "write",
                Gate::Synced => "sync",
            },
        );
        expect("readers", if state.is_loading() { "LOADING" } else { "served" });
        expect("checkpoint", word(state.permits_checkpoint()));
        expect("WAITAOF", word(state.is_complete()));
        expect("exit code", if state.ends_well() { "0" } else { "1" });
        named.push(state.name());
    }
    for row in &rows[2..] {
        assert!(named.contains(&row[0].trim_matches('`')), "no state is called {}", row[0]);
    }
}

/// The engine after its process was killed and started again with these settings.
fn killed(disk: &SimDisk, engine: Arc<Engine>, settings: &Arc<Settings>) -> Arc<Engine> {
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = Arc::new(Engine::on_disk(Arc::clone(settings), Clock::manual(START), disk.shared()));
    engine.recover().unwrap();
    engine
}

fn until(done: impl Fn() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

fn delete(engine: &Engine, key: &[u8]) {
    commit(engine, &[Effect::Delete { db: 0, key }]);
}

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
fn an_end_waits_until_the_log_is_complete() {
    let disk = SimDisk::new(42);
    let engine = open(&disk, AppendFsync::Everysec).unwrap();
    configure(&engine, &unlogged()).unwrap();
    (0..100_u32).for_each(|i| set(&engine, &i.to_le_bytes()));
    let holds = engine.claim_save().unwrap();
    configure(&engine, &settings(AppendFsync::Everysec)).unwrap();
    assert_eq!(engine.state().log(), LogState::Incomplete);
    drop(holds);
    assert!(matches!(engine.end(Some(false), false), Err(EngineError::Gap)), "NOSAVE would lose what was not logged");
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
        (0..).map(key).find(|key| engine.store.shard_of(engine.store.hash(key)) == shard).unwrap()
    };
    let one = |key: &[u8], value: &[u8]| {
        let (mut record, hash) = (Vec::new(), engine.store.hash(key));
        let locked = engine.store.lock_one(hash, Mode::Write, START);
        let mut tx = crate::engine::Tx::new(&engine, locked, 0, &mut record);
        tx.apply(Effect::SetString { db: 0, key, value, expire: None });
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

#[test]
fn the_level_that_is_set_while_data_is_read_is_in_force_afterwards() {
    let disk = SimDisk::new(45);
    let engine = Arc::new(Engine::on_disk(settings(AppendFsync::No), Clock::manual(START), disk.shared()));
    configure(&engine, &settings(AppendFsync::Always)).unwrap();
    engine.recover().unwrap();
    assert_eq!(engine.state(), State::new(Phase::Serving, LogState::Complete, Level::Always));
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

/// A key whose older image has expired is not removed while the records that renew it are yet to be read.
#[test]
fn nothing_is_removed_while_data_is_being_read() {
    let disk = SimDisk::new(48);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    let past = Some(START - 1);
    commit(&engine, &[Effect::SetString { db: 0, key: b"k", value: b"v", expire: past }]);
    engine.set_phase(Phase::Reloading);
    let tail = engine.tail();
    let mut record = Vec::new();
    engine.remove_expired(0, [&b"k"[..]].into_iter(), &mut record);
    (0..engine.store.shard_count()).for_each(|shard| engine.expire_shard(shard, &mut record));
    assert_eq!(engine.tail(), tail);
    engine.set_phase(Phase::Serving);
    engine.remove_expired(0, [&b"k"[..]].into_iter(), &mut record);
    assert_eq!(engine.tail(), tail + 1);
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
    let engine = Arc::new(Engine::on_disk(settings(AppendFsync::Always), Clock::manual(START), disk.shared()));
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
    configure(&engine, &Arc::new(Settings { save: vec![rare], ..(*settings(AppendFsync::Everysec)).clone() }))
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
fn a_switch_whose_sync_fails_is_refused_and_the_failure_noted() {
    let disk = SimDisk::new(51);
    let engine = open(&disk, AppendFsync::Everysec).unwrap();
    set(&engine, b"k");
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    assert!(configure(&engine, &unlogged()).is_err());
    assert!(engine.settings().appendonly, "nothing has changed");
    assert_eq!(engine.state(), State::new(Phase::Serving, LogState::Failed, Level::Everysec));
    assert!(configure(&engine, &unlogged()).is_err(), "a failed log is no log that is off");
}

#[test]
fn a_log_that_could_not_begin_on_a_full_disk_can_be_switched_on_when_there_is_room() {
    let disk = SimDisk::new(52);
    disk.set_capacity(Some(64));
    let settings_of = |appendonly| {
        let settings = Settings { appendonly, disk_reserve: 4096, ..(*settings(AppendFsync::Always)).clone() };
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
        tx.admitted().unwrap();
        // The failure is noticed while the transaction runs; its note waits for the shards.
        disk.fail(Fault::Sync, 1, SimDisk::EIO);
        let noting = {
            let engine = Arc::clone(&engine);
            let log = engine.journal.log().unwrap();
            let error = log.sync(log.append(START, b"another's")).unwrap_err();
            std::thread::spawn(move || engine.note_failure(&error))
        };
        let tail = engine.tail();
        tx.apply(Effect::SetString { db: 0, key: b"k", value: b"v", expire: None });
        tx.commit();
        assert_eq!(engine.tail(), tail + 1, "its record is appended, and its acknowledgement waits for it in vain");
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
    commit(&engine, &[Effect::TablePut { table: TABLE, created: START, name: b"t", schema: &schema }]);
    let old = engine.tables.by_id(TABLE).unwrap();
    commit(&engine, &[Effect::TablePut { table: TABLE, created: START, name: b"t", schema: &keys().to_bytes() }]);
    let keys = old.schema.text_keys(b"a", None, &crate::item::ItemLimits::UNLIMITED).unwrap();
    let mut item = crate::item::ItemBuilder::new();
    item.put_owned("id", &"a".into()).unwrap();
    item.put_owned("until", &crate::item::AttributeValue::N("1".parse().unwrap())).unwrap();
    let item = item.finish();
    let (partition, sort) = (keys.pk.as_slice(), keys.sk.as_slice());
    commit(&engine, &[Effect::ItemPut { table: TABLE, partition, sort, item: item.as_bytes() }]);
    let hash = engine.store.hash(partition);
    engine.store.lock_one(hash, Mode::Write, START).note_item_deadline(TABLE, partition, hash, sort, 1);
    engine.expire_afar(&old, partition, 8, &mut Vec::new());
    assert_eq!(engine.store.len(), 1);
}
