//! Two processes over one log: one that was superseded and learns of it late, and one that starts while the other still
//! writes.

use super::later::Elsewhere;
use super::switches::until;
use super::{START, assert_same, configure, create_table, image, open, set, settings, step, unlogged};
use crate::config::AppendFsync;
use crate::effect::StringChange;
use crate::engine::recover::RecoveryReport;
use crate::engine::{Engine, EngineError, LogState, NotNow, Phase, Tx};
use crate::env::{Clock, Fault, SimDisk};
use crate::log::simulated::{SimCall, SimOptions};
use crate::log::{LogError, LogPlace};
use crate::store::Mode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Writes twenty steps, the first of number `from`, and a checkpoint behind them.
fn work_and_save(engine: &Engine, from: u32) {
    (from..from + 20).for_each(|i| step(engine, i));
    engine.sync().unwrap();
    engine.save().unwrap();
}

/// A process that wrote one checkpoint, and another one that took over from it and wrote `saves` checkpoints. The first
/// process has not noticed it.
fn superseded(elsewhere: &Elsewhere, saves: u32) -> (Arc<Engine>, Arc<Engine>) {
    let old = elsewhere.open(AppendFsync::Always);
    create_table(&old);
    work_and_save(&old, 0);
    let new = elsewhere.open(AppendFsync::Always);
    (1..=saves).for_each(|round| work_and_save(&new, round * 20));
    (old, new)
}

#[test]
fn a_superseded_writer_that_does_not_know_of_it_names_no_checkpoint_and_learns_of_it() {
    for saves in [0, 1, 3] {
        let elsewhere = Elsewhere::new(SimOptions::default());
        let (old, new) = superseded(&elsewhere, saves);
        let names = || {
            let list = new.checkpoints().unwrap().list().unwrap();
            list.into_iter().map(|info| info.name).collect::<Vec<_>>()
        };
        let before = names();
        assert_eq!(old.state().log(), LogState::Complete);
        let outcome = old.save();
        assert!(
            matches!(outcome, Err(EngineError::Log(LogError::Fenced { epoch: 1, current: 2 }))),
            "{outcome:?}"
        );
        assert_eq!(names(), before);
        old.maintain_log();
        assert_eq!(old.state().log(), LogState::Failed);
        set(&new, b"goes on");
        new.sync().unwrap();
        assert_same(&image(&elsewhere.open(AppendFsync::Always)), &image(&new));
    }
}

#[test]
fn a_checkpoint_waits_for_a_service_that_does_not_answer_and_the_log_goes_on() {
    let elsewhere = Elsewhere::new(SimOptions::default());
    let engine = elsewhere.open(AppendFsync::Always);
    create_table(&engine);
    work_and_save(&engine, 0);
    elsewhere.service.set_down(true);
    let outcome = engine.save();
    assert!(matches!(outcome, Err(EngineError::Log(LogError::Unavailable { .. }))), "{outcome:?}");
    elsewhere.service.set_down(false);
    work_and_save(&engine, 20);
    assert_same(&image(&elsewhere.open(AppendFsync::Always)), &image(&engine));
}

/// Starts a process over what `old` wrote, which does something in between.
fn start_while(
    elsewhere: &Elsewhere,
    call: SimCall,
    old: &Arc<Engine>,
    between: impl FnOnce(&Arc<Engine>) + Send + 'static,
) -> (Arc<Engine>, RecoveryReport) {
    let writes = Arc::clone(old);
    elsewhere.service.before(call, move || between(&writes));
    let place = Arc::clone(&elsewhere.place) as Arc<dyn LogPlace>;
    let new = Arc::new(Engine::over(settings(AppendFsync::Always), Clock::manual(START), place));
    let report = new.recover().unwrap();
    (new, report)
}

#[test]
fn a_start_reads_again_what_was_trimmed_away_while_it_read() {
    for (call, again) in [(SimCall::Read, false), (SimCall::TakeOver, false), (SimCall::TakeOver, true)] {
        let elsewhere = Elsewhere::new(SimOptions::default());
        let old = elsewhere.open(AppendFsync::Always);
        create_table(&old);
        work_and_save(&old, 0);
        (20..40).for_each(|i| step(&old, i));
        old.sync().unwrap();
        let (new, report) = start_while(&elsewhere, call, &old, move |old| {
            work_and_save(old, 40);
            work_and_save(old, 60);
            if again {
                set(old, b"behind the checkpoint");
                old.sync().unwrap();
            }
        });
        assert_eq!((report.tail, report.gap), (old.tail(), false));
        assert_same(&image(&new), &image(&old));
        work_and_save(&new, 80);
        assert_same(&image(&elsewhere.open(AppendFsync::Always)), &image(&new));
    }
}

/// Writes while the log is off, and switches it on. The checkpoint that closes the gap is not begun.
fn open_gap(engine: &Arc<Engine>) {
    configure(engine, &unlogged()).unwrap();
    set(engine, b"not logged");
    let holds = engine.claim_save().unwrap();
    configure(engine, &settings(AppendFsync::Always)).unwrap();
    drop(holds);
    engine.sync().unwrap();
}

#[test]
fn a_start_goes_past_a_gap_behind_which_the_writer_before_finished_a_checkpoint_meanwhile() {
    for gap_is_read in [false, true] {
        let elsewhere = Elsewhere::new(SimOptions::default());
        let old = elsewhere.open(AppendFsync::Always);
        create_table(&old);
        work_and_save(&old, 0);
        if gap_is_read {
            open_gap(&old);
        }
        let (new, report) = start_while(&elsewhere, SimCall::TakeOver, &old, move |old| {
            if gap_is_read {
                return old.save().unwrap();
            }
            open_gap(old);
            old.save().unwrap();
            set(old, b"acknowledged");
            old.sync().unwrap();
        });
        assert_eq!((report.gap, new.state().log()), (false, LogState::Complete));
        assert_same(&image(&new), &image(&old));
    }
}

/// Changes one key, or holds every shard as it does so.
fn lose(engine: &Engine, every_shard: bool) {
    if every_shard {
        return set(engine, b"lost");
    }
    let (mut record, hash) = (Vec::new(), engine.store.hash(b"lost"));
    let mut tx = Tx::new(engine, engine.store.lock_one(hash, Mode::Write, START), 0, &mut record);
    tx.apply(StringChange::Set { value: b"v", expire: None }.on(0, b"lost"));
    tx.commit();
}

#[test]
fn a_fenced_engine_falls_back_to_what_it_made_durable_and_not_to_what_the_next_one_saved() {
    for every_shard in [true, false] {
        let elsewhere = Elsewhere::new(SimOptions::default());
        let (old, _new) = superseded(&elsewhere, 1);
        let before = image(&old);
        lose(&old, every_shard);
        let error = old.sync().unwrap_err();
        old.note_failure(&error);
        until(|| old.state().phase() == Phase::Serving);
        assert_same(&image(&old), &before);
        assert!(old.refusal(0).is_some());
    }
}

#[test]
fn a_fenced_engine_whose_last_state_is_nowhere_any_more_shows_no_other() {
    for every_shard in [true, false] {
        let elsewhere = Elsewhere::new(SimOptions::default());
        let (old, _new) = superseded(&elsewhere, 2);
        let keys = old.store.len();
        lose(&old, every_shard);
        let error = old.sync().unwrap_err();
        let log = old.journal.log().unwrap();
        let apart = Arc::new(Engine::over(
            settings(AppendFsync::Always),
            Clock::manual(START),
            Arc::clone(&elsewhere.place) as Arc<dyn LogPlace>,
        ));
        apart.journal.set_log(Arc::clone(log));
        let read = apart.read_up_to(log, old.settled(), &mut RecoveryReport::default());
        assert!(matches!(read, Err(EngineError::Log(LogError::Trimmed { .. }))));
        assert!(apart.store.is_empty());
        old.note_failure(&error);
        if every_shard {
            until(|| old.store.is_empty());
        }
        assert!(old.state().phase() == Phase::FallingBack && (every_shard || old.store.len() >= keys));
        let held = old.store.lock_one(old.store.hash(b"lost"), Mode::Read, START);
        assert_eq!(old.admits_under(&held, false), Err(NotNow::Loading));
        drop(held);
        assert!(old.refusal(0).is_some());
        old.stop();
    }
}

/// What is left over is removed with the next checkpoint.
#[test]
fn a_checkpoint_that_has_its_name_is_good_though_what_is_old_cannot_be_removed() {
    let disk = SimDisk::new(64);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    create_table(&engine);
    work_and_save(&engine, 0);
    work_and_save(&engine, 20);
    open_gap(&engine);
    disk.fail_on(Fault::Remove, SimDisk::EIO);
    engine.save().unwrap();
    assert!(engine.save.last_ok.load(Relaxed));
    assert_eq!(engine.state().log(), LogState::Complete);
    let count = || engine.checkpoints().unwrap().list().unwrap().len();
    assert_eq!(count(), 3);
    disk.heal();
    engine.save().unwrap();
    assert_eq!(count(), 2);
}
