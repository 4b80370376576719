//! Engines over a log service that is not on this machine: processes that die at each of its events, and take over from
//! one another.

use super::super::{LogState, Phase, Settling};
use super::switches::until;
use super::{START, assert_same, commit, create_table, image, set, settings, step};
use crate::config::AppendFsync;
use crate::effect::{Effect, StringChange};
use crate::engine::{Engine, EngineError, NotNow, Tx};
use crate::env::Clock;
use crate::log::checkpoint::CheckpointStore;
use crate::log::simulated::{SimFault, SimOptions, SimPlace, SimService};
use crate::log::{LogError, LogId, LogOptions, LogPlace, LogStore, OpenReport};
use crate::store::{Mode, ValueRef};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A service, the place of its log and checkpoints, and a thread that lets its messages arrive.
pub(super) struct Elsewhere {
    pub(super) service: SimService,
    pub(super) place: Arc<SimPlace>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Elsewhere {
    pub(super) fn new(options: SimOptions) -> Self {
        let service = SimService::stepped(options);
        let place = Arc::new(SimPlace::new(&service));
        let stop = Arc::new(AtomicBool::new(false));
        let (delivered, stopped) = (service.clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(SeqCst) {
                if !delivered.deliver() {
                    std::thread::yield_now();
                }
            }
        });
        Self { service, place, stop, thread: Some(thread) }
    }

    /// A new process. A bad service may not answer at first.
    pub(super) fn open(&self, fsync: AppendFsync) -> Arc<Engine> {
        let mut last = None;
        for _ in 0..100 {
            let place = Arc::clone(&self.place) as Arc<dyn LogPlace>;
            let engine = Arc::new(Engine::over(settings(fsync), Clock::manual(START), place));
            match engine.recover() {
                Ok(_) => return engine,
                Err(error) => last = Some(error),
            }
        }
        panic!("{last:?}")
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn bad(seed: u64) -> SimOptions {
    SimOptions {
        seed,
        lost_requests: 30,
        late_requests: 30,
        lost_answers: 30,
        late_answers: 30,
        double_answers: 100,
        ..SimOptions::default()
    }
}

const STEPS: u32 = 40;

/// Runs the workload until the process dies. Returns the images after each step (the first before any), and how many
/// steps were acknowledged.
fn live(engine: &Engine) -> (Vec<Vec<Vec<u8>>>, usize) {
    let mut images = vec![image(engine)];
    create_table(engine);
    images.push(image(engine));
    let mut acknowledged = 0;
    for i in 0..STEPS {
        // Now and then several steps are under way at once.
        if i % 5 > 1 && engine.sync().is_err() {
            break;
        }
        if i % 5 > 1 {
            acknowledged = images.len() - 1;
        }
        if engine.refusal(0).is_some() {
            break;
        }
        step(engine, i);
        images.push(image(engine));
    }
    if engine.sync().is_ok() {
        acknowledged = images.len() - 1;
    }
    (images, acknowledged)
}

#[test]
fn a_process_that_dies_at_each_event_of_the_service_loses_nothing_acknowledged() {
    let whole = Elsewhere::new(SimOptions::default());
    let (_, all) = live(&whole.open(AppendFsync::Always));
    assert_eq!(all, STEPS as usize + 1);
    let events = whole.service.events();
    assert!(events > 60, "{events}");
    for n in 1..=events {
        for options in [SimOptions { seed: n, ..SimOptions::default() }, bad(n)] {
            let elsewhere = Elsewhere::new(options);
            let old = elsewhere.open(AppendFsync::Always);
            elsewhere.service.kill_at(n);
            let (images, acknowledged) = live(&old);
            // From here on no writer is killed.
            elsewhere.service.kill_at(0);
            let new = elsewhere.open(AppendFsync::Always);
            let found = image(&new);
            assert!(
                images[acknowledged..].contains(&found),
                "event {n}: {acknowledged} of {} steps acknowledged",
                images.len() - 1
            );
            // The new one goes on, and a third finds what it wrote.
            set(&new, b"after");
            new.sync().unwrap();
            let settled = old.settled();
            set(&old, b"too late");
            assert!(old.sync().is_err(), "event {n}");
            old.maintain_log();
            assert!(old.refusal(0).is_some() && old.settled() == settled, "event {n}");
            let third = elsewhere.open(AppendFsync::Always);
            assert_same(&image(&third), &image(&new));
        }
    }
}

/// Writes the next number of all threads' and this thread's own, in one transaction; returns the two.
fn write_next(engine: &Engine, thread: usize, history: &Mutex<Vec<usize>>) -> Option<usize> {
    let mut record = Vec::new();
    let locked = engine.store.lock_all(Mode::Write, START);
    let mut tx = Tx::new(engine, locked, 0, &mut record);
    if engine.admits(true).is_err() {
        return None;
    }
    let mut history = history.lock();
    history.push(thread);
    let number = history.len();
    let (all, own) = (number.to_string(), history.iter().filter(|t| **t == thread).count().to_string());
    let key = format!("thread:{thread}");
    for (key, value) in [("all", &all), (key.as_str(), &own)] {
        tx.apply(StringChange::Set { value: value.as_bytes(), expire: None }.on(0, key.as_bytes()));
    }
    tx.commit();
    Some(number)
}

fn number(engine: &Engine, key: &str) -> usize {
    let hash = engine.store.hash(key.as_bytes());
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    match locked.get(0, key.as_bytes(), hash).map(|entry| entry.value()) {
        Some(ValueRef::Str(bytes)) => std::str::from_utf8(bytes).unwrap().parse().unwrap(),
        _ => 0,
    }
}

#[test]
fn of_what_many_threads_wrote_a_prefix_is_there_with_all_that_was_acknowledged() {
    for seed in 0..60 {
        let elsewhere = Elsewhere::new(if seed % 2 == 0 {
            bad(seed)
        } else {
            SimOptions { seed, ..SimOptions::default() }
        });
        let old = elsewhere.open(AppendFsync::Always);
        elsewhere.service.kill_at(elsewhere.service.events() + 1 + seed * 5);
        let (history, acknowledged) = (Mutex::new(Vec::new()), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (old, history, acknowledged) = (&old, &history, &acknowledged);
                scope.spawn(move || {
                    for _ in 0..60 {
                        let Some(number) = write_next(old, thread, history) else { return };
                        if old.sync().is_err() {
                            return;
                        }
                        acknowledged.fetch_max(number as u64, SeqCst);
                    }
                });
            }
        });
        elsewhere.service.kill_at(0);
        let new = elsewhere.open(AppendFsync::Always);
        let (history, all) = (history.into_inner(), number(&new, "all"));
        let acknowledged = acknowledged.load(SeqCst) as usize;
        assert!((acknowledged..=history.len()).contains(&all), "seed {seed}: {acknowledged}, {all}");
        for thread in 0..3 {
            let own = history[..all].iter().filter(|t| **t == thread).count();
            assert_eq!(number(&new, &format!("thread:{thread}")), own, "seed {seed}");
        }
    }
}

#[test]
fn settling_does_not_wait_for_the_service_at_any_level() {
    for fsync in [AppendFsync::Always, AppendFsync::Everysec, AppendFsync::No] {
        let service = SimService::stepped(SimOptions::default());
        let place = Arc::new(SimPlace::new(&service));
        let engine = Arc::new(Engine::over(settings(fsync), Clock::manual(START), place));
        engine.recover().unwrap();
        assert_eq!(engine.settle(), Ok(Settling::Done));
        let woken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&woken);
        engine.wake_when_settled(Box::new(move || _ = count.fetch_add(1, SeqCst)));
        set(&engine, b"k");
        assert_eq!(engine.settle(), Ok(Settling::Pending));
        until(|| service.under_way() > 0);
        assert_eq!((engine.settled(), woken.load(SeqCst)), (0, 0), "a killed process would lose it");
        until(|| service.deliver() && engine.settled() == 1);
        until(|| woken.load(SeqCst) > 0);
        assert_eq!(engine.settle(), Ok(Settling::Done));
    }
}

#[test]
fn an_engine_that_is_fenced_goes_back_to_what_is_durable_and_refuses_writes() {
    let elsewhere = Elsewhere::new(SimOptions::default());
    let old = elsewhere.open(AppendFsync::Always);
    set(&old, b"kept");
    old.sync().unwrap();
    let before = image(&old);
    let new = elsewhere.open(AppendFsync::Always);
    assert_same(&image(&new), &before);
    set(&old, b"lost");
    let error = old.sync().unwrap_err();
    assert_eq!(error, LogError::Fenced { epoch: 1, current: 2 });
    old.note_failure(&error);
    until(|| old.state().phase() == Phase::Serving);
    assert_eq!(old.state().log(), LogState::Failed);
    assert_same(&image(&old), &before);
    assert_eq!(old.admits(true), Err(NotNow::Refused(error.clone())));
    assert_eq!(old.refusal(0), Some(error));
    assert!(old.save().is_err(), "its checkpoints are not wanted any more");
    set(&new, b"goes on");
    new.sync().unwrap();
    new.save().unwrap();
    let third = elsewhere.open(AppendFsync::Always);
    assert_same(&image(&third), &image(&new));
}

#[test]
fn the_background_notices_that_a_log_was_lost_while_nobody_writes() {
    let elsewhere = Elsewhere::new(SimOptions::default());
    let engine = elsewhere.open(AppendFsync::Everysec);
    elsewhere.service.depose("node 3 leads now");
    engine.maintain_log();
    assert_eq!(engine.state().log(), LogState::Failed);
    assert_eq!(engine.refusal(0), Some(LogError::LeadershipLost { why: "node 3 leads now".to_owned() }));
}

#[test]
fn an_end_brings_everything_to_the_service_and_a_lost_one_says_that_it_does_not() {
    for fence in [false, true] {
        let elsewhere = Elsewhere::new(SimOptions::default());
        let engine = elsewhere.open(AppendFsync::Everysec);
        elsewhere.service.fail(1, SimFault::LostRequest);
        set(&engine, b"k");
        let other = fence.then(|| elsewhere.open(AppendFsync::Everysec));
        let ended = engine.end(None, true).and_then(|()| engine.close());
        if fence {
            assert!(matches!(ended, Err(EngineError::Log(LogError::Fenced { .. }))), "{ended:?}");
        } else {
            ended.unwrap();
            assert_same(&image(&elsewhere.open(AppendFsync::Always)), &image(&engine));
        }
        drop(other);
    }
}

/// Does something once when the checkpoints are looked for: after the log was opened, before it is taken over.
#[derive(Debug)]
struct Between(Arc<SimPlace>, Mutex<Option<Once>>);

struct Once(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once")
    }
}

impl LogPlace for Between {
    fn look(&self, clock: &Clock, options: LogOptions) -> Result<(Arc<dyn LogStore>, OpenReport), LogError> {
        self.0.look(clock, options)
    }

    fn checkpoints(&self, id: LogId, epoch: u64) -> Arc<dyn CheckpointStore> {
        if let Some(Once(what)) = self.1.lock().take() {
            what();
        }
        self.0.checkpoints(id, epoch)
    }
}

#[test]
fn a_start_catches_up_with_what_was_written_until_the_writer_before_was_fenced() {
    for save in [false, true] {
        let elsewhere = Elsewhere::new(SimOptions::default());
        let old = elsewhere.open(AppendFsync::Always);
        create_table(&old);
        (0..20).for_each(|i| step(&old, i));
        old.sync().unwrap();
        let writes = Arc::clone(&old);
        let between = Once(Box::new(move || {
            (20..40).for_each(|i| step(&writes, i));
            writes.sync().unwrap();
            if save {
                writes.save().unwrap();
            }
            commit(&writes, &[Effect::Delete { db: 0, key: b"left" }]);
            writes.sync().unwrap();
        }));
        let place = Arc::new(Between(Arc::clone(&elsewhere.place), Mutex::new(Some(between))));
        let new = Arc::new(Engine::over(settings(AppendFsync::Always), Clock::manual(START), place));
        let report = new.recover().unwrap();
        assert_eq!(report.tail, old.tail());
        assert_same(&image(&new), &image(&old));
    }
}
