//! A sweep over failing calls of the simulated disk, under threads that write, read, checkpoint, reload and switch, up
//! to a kill, a power cut or an end, and over the start that follows.
//!
//! A writer gives each of its steps a number, and each step changes two keys: one that holds the last number, and one
//! of a few others, which every second step moves there from where it was put before. So the state that a start finds
//! tells up to which step it has a writer's steps, and whether it has them all and whole. `ITEMORY_SWEEP_SEEDS` says
//! how many histories are played, and `ITEMORY_SWEEP_SEED` which one alone.

use super::*;
use crate::engine::{DurabilityState, Level, ReplyGate};
use crate::env::Random;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

const HISTORIES: u64 = 48;
const WRITERS: usize = 3;
/// Keys of a writer besides that of the last number.
const SLOTS: u64 = 5;
/// How long a history waits for progress at most, where a fault may stop all of it.
const STANDSTILL: Duration = Duration::from_millis(100);
/// How long what can recover may take.
const PATIENCE: Duration = Duration::from_secs(30);

const FAULTS: [(Fault, &[i32]); 13] = [
    (Fault::Create, &[SimDisk::ENOSPC, SimDisk::EMFILE, SimDisk::EACCES, SimDisk::EIO]),
    (Fault::Write, &[SimDisk::EIO, SimDisk::ENOSPC]),
    (Fault::Preallocate, &[SimDisk::ENOSPC, SimDisk::EIO]),
    (Fault::Sync, &[SimDisk::EIO, SimDisk::ENOSPC]),
    (Fault::SyncDir, &[SimDisk::EIO, SimDisk::ENOSPC]),
    (Fault::Rename, &[SimDisk::EIO, SimDisk::ENOSPC, SimDisk::EACCES]),
    (Fault::Remove, &[SimDisk::EIO, SimDisk::EACCES]),
    (Fault::Read, &[SimDisk::EIO]),
    (Fault::Open, &[SimDisk::EMFILE, SimDisk::EACCES, SimDisk::EIO]),
    (Fault::OpenDir, &[SimDisk::EMFILE, SimDisk::EACCES, SimDisk::EIO]),
    (Fault::List, &[SimDisk::EIO]),
    (Fault::Measure, &[SimDisk::EIO, SimDisk::EACCES]),
    (Fault::SetLen, &[SimDisk::EIO]),
];
const LEVELS: [AppendFsync; 3] = [AppendFsync::Always, AppendFsync::Everysec, AppendFsync::No];

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn small(fsync: AppendFsync) -> Settings {
    Settings { log_segment_size: 4 << 10, log_preallocate_size: 2 << 10, ..(*settings(fsync)).clone() }
}

/// What the threads of one history share.
struct Scene {
    engine: Arc<Engine>,
    disk: SimDisk,
    over: AtomicBool,
    /// Steps that were tried.
    tried: AtomicU64,
}

impl Scene {
    fn goes_on(&self) -> bool {
        !self.over.load(Relaxed) && !self.disk.is_down()
    }

    /// Waits until so many more steps were tried, or nothing has happened for long.
    fn wait(&self, steps: u64) {
        let (until, deadline) = (self.tried.load(Relaxed) + steps, Instant::now() + STANDSTILL);
        while self.goes_on() && self.tried.load(Relaxed) < until && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Waits until everything up to `upto` is as durable as a reply waits for. None if that will not come.
    fn settled(&self, upto: u64) -> Option<()> {
        while self.goes_on() {
            if let Err(error) = self.engine.settle() {
                self.engine.note_failure(&error);
                std::thread::sleep(Duration::from_micros(50));
            }
            if self.engine.settled() >= upto {
                return Some(());
            }
            if self.engine.state().has_failed() {
                return None;
            }
        }
        None
    }
}

/// What a reply promises that was sent in the state `after`, to a command that ran in the state `before`.
fn promise(before: DurabilityState, after: DurabilityState) -> ReplyGate {
    match (before.log(), after.log()) {
        (_, LogState::Complete) => weaker(before.gate(), after.gate()),
        (LogState::Complete | LogState::Failed, LogState::Failed | LogState::Off) => before.gate(),
        _ => ReplyGate::Open,
    }
}

fn weaker(a: ReplyGate, b: ReplyGate) -> ReplyGate {
    match (a, b) {
        (ReplyGate::Open, _) | (_, ReplyGate::Open) => ReplyGate::Open,
        (ReplyGate::Written, _) | (_, ReplyGate::Written) => ReplyGate::Written,
        _ => ReplyGate::Synced,
    }
}

/// The greatest number that was promised to be there after the process was killed, and after the power was cut.
#[derive(Clone, Copy, Default, Debug)]
struct Promised {
    written: u64,
    synced: u64,
}

impl Promised {
    fn note(&mut self, gate: ReplyGate, number: u64) {
        if gate != ReplyGate::Open {
            self.written = self.written.max(number);
        }
        if gate == ReplyGate::Synced {
            self.synced = self.synced.max(number);
        }
    }
}

/// What one writer did.
#[derive(Default)]
struct Steps {
    /// The numbers of those that were not refused, in ascending order.
    done: Vec<u64>,
    promised: Promised,
}

fn key_of(writer: usize, slot: Option<u64>) -> Vec<u8> {
    slot.map_or(format!("{writer}:last"), |slot| format!("{writer}:{slot}")).into_bytes()
}

/// The number that a key holds; 0 if it is not there.
fn number_in(locked: &crate::store::Locked<'_>, engine: &Engine, key: &[u8]) -> u64 {
    let found = locked.peek(engine.store.space(0), key, engine.store.hash(key));
    match found.map(|entry| entry.value()) {
        None => 0,
        Some(ValueRef::Str(text)) => std::str::from_utf8(&text[1..]).unwrap().parse().unwrap(),
        Some(_) => panic!("a value of another type"),
    }
}

/// Runs a transaction over some keys; the state that it ran in, or nothing if it was refused.
fn transact(
    engine: &Engine,
    keys: &[Vec<u8>],
    record: &mut Vec<u8>,
    work: impl FnOnce(&mut Tx<'_>),
) -> Option<DurabilityState> {
    let hashes: Vec<u64> = keys.iter().map(|key| engine.store.hash(key)).collect();
    let locked = engine.store.lock_many(&hashes, Mode::Write, engine.clock.now_ms());
    let mut tx = Tx::new(engine, locked, 0, record);
    engine.admits(true).ok()?;
    let before = engine.state();
    work(&mut tx);
    tx.commit();
    Some(before)
}

fn write(scene: &Scene, id: usize) -> Steps {
    let (engine, mut steps, mut record) = (&*scene.engine, Steps::default(), Vec::new());
    for number in 1.. {
        if !scene.goes_on() {
            break;
        }
        scene.tried.fetch_add(1, Relaxed);
        let keys = [key_of(id, None), key_of(id, Some(number % SLOTS)), key_of(id, Some(SLOTS))];
        let [last, slot, stage] = &keys;
        let value = format!("n{number:0>90}").into_bytes();
        if engine.refusal(value.len()).is_some() {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        let put = |tx: &mut Tx<'_>, key: &[u8]| {
            tx.apply(StringChange::Set { value: &value, expire: None }.on(0, key));
        };
        if number % 2 == 0 {
            transact(engine, &keys[2..], &mut record, |tx| put(tx, stage));
        }
        let before = transact(engine, &keys, &mut record, |tx| {
            put(tx, last);
            if number_in(tx.locked(), engine, stage) == number {
                tx.apply(Effect::Move { db: 0, key: stage, to_db: 0, to: slot });
            } else {
                put(tx, slot);
            }
        });
        let Some(before) = before else {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        };
        steps.done.push(number);
        if scene.settled(engine.tail()).is_some() {
            steps.promised.note(promise(before, engine.state()), number);
        }
    }
    steps
}

/// Reads what the writers did. What it was shown is promised.
fn read(scene: &Scene) -> [Promised; WRITERS] {
    let (engine, mut shown) = (&*scene.engine, [Promised::default(); WRITERS]);
    for id in (0..WRITERS).cycle() {
        if !scene.goes_on() {
            break;
        }
        let key = key_of(id, None);
        let locked = engine.store.lock_one(engine.store.hash(&key), Mode::Read, engine.clock.now_ms());
        let before = engine.state();
        if engine.admits_under(&locked, false).is_ok() {
            let (number, position) = (number_in(&locked, engine, &key), locked.position().unwrap());
            drop(locked);
            if scene.settled(position).is_some() {
                shown[id].note(promise(before, engine.state()), number);
            }
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    shown
}

/// What the background does, without its pauses.
fn look_after(scene: &Scene) {
    let engine = &scene.engine;
    while scene.goes_on() {
        engine.clock.as_manual().unwrap().advance_ms(20);
        drop(engine.works.permit());
        engine.maintain_log();
        engine.check_save_points();
        if engine.state().level() == Level::Everysec
            && let Err(error) = engine.journal.log().unwrap().sync_written()
        {
            engine.note_failure(&error);
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Checkpoints and reloads. A reload without a checkpoint would take away what was not logged, if the log is ever off.
fn save(scene: &Scene, mut random: Random, ever_off: bool) {
    while scene.goes_on() {
        match random.below(4) {
            0 => drop(scene.engine.reload(ever_off || random.below(2) == 0)),
            _ => drop(scene.engine.save()),
        }
        std::thread::sleep(Duration::from_micros(random.below(1000)));
    }
}

/// Switches the log and its level.
fn switch(scene: &Scene, mut random: Random, ever_off: bool) {
    while scene.goes_on() {
        let now = scene.engine.settings();
        let next = match random.below(3) {
            0 if ever_off => Settings { appendonly: !now.appendonly, ..(*now).clone() },
            // A log that is off is soon on again.
            _ if !now.appendonly => Settings { appendonly: true, ..(*now).clone() },
            _ => Settings { appendfsync: pick(&mut random, &LEVELS), ..(*now).clone() },
        };
        let _ = configure(&scene.engine, &Arc::new(next));
        std::thread::sleep(Duration::from_micros(random.below(4000)));
    }
}

/// Has some calls fail: one of them, or all from now on, or what does not fit on the disk or needs another descriptor.
fn break_something(disk: &SimDisk, random: &mut Random) -> String {
    let (fault, errors) = pick(random, &FAULTS);
    let errno = pick(random, errors);
    match random.below(16) {
        0 => {
            disk.set_capacity(Some(disk.used() + random.below(8 << 10)));
            "a full disk".to_owned()
        }
        1 => {
            disk.set_open_files(Some(disk.open_files() + random.below(3) as usize));
            "no descriptors".to_owned()
        }
        2..=8 => {
            disk.fail_on(fault, errno);
            format!("{fault:?} with {errno} from now on")
        }
        _ => {
            let nth = 1 + random.below(30);
            disk.fail(fault, nth, errno);
            format!("{fault:?} with {errno} at call {nth}")
        }
    }
}

fn mend(disk: &SimDisk) {
    disk.heal();
    disk.set_capacity(None);
}

/// With all faults gone a write is acknowledged again, unless the log has failed.
fn recovers(scene: &Scene, before: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut record = Vec::new();
    loop {
        let engine = &scene.engine;
        if engine.state().has_failed() && !engine.is_loading() {
            return;
        }
        if engine.refusal(8).is_none() {
            let locked = engine.store.lock_one(engine.store.hash(b"probe"), Mode::Write, START);
            let mut tx = Tx::new(engine, locked, 0, &mut record);
            if engine.admits(true).is_ok() {
                tx.apply(StringChange::Set { value: b"v", expire: None }.on(0, b"probe"));
                tx.commit();
                if scene.settled(engine.tail()).is_some() {
                    return;
                }
            }
        }
        assert!(Instant::now() < deadline, "{before}: still {:?}, {:?}", engine.state(), engine.refusal(8));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How a history ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// At a change of the disk's, while everybody works.
    Cut,
    /// Once what can recover has.
    Recovered,
    /// With what fails still failing.
    Stopped,
    /// In order, as far as that is possible.
    Ended,
}

/// A log that failed at `always` leaves nothing in memory but what is durable.
fn note_shown(scene: &Scene, writers: &mut [Steps]) {
    let engine = &scene.engine;
    let locked = engine.store.lock_all(Mode::Read, START);
    if engine.state() == DurabilityState::new(Phase::Serving, LogState::Failed, Level::Always) {
        for (id, writer) in writers.iter_mut().enumerate() {
            writer.promised.note(ReplyGate::Synced, number_in(&locked, engine, &key_of(id, None)));
        }
    }
}

struct History {
    writers: Vec<Steps>,
    /// The log was closed in order, so that nothing may be missing.
    closed: bool,
    /// What happened, to be shown with a failure.
    story: Vec<String>,
}

fn play(disk: &SimDisk, random: &mut Random, engine: Arc<Engine>) -> History {
    let scene = Scene { engine, disk: disk.clone(), over: AtomicBool::new(false), tried: AtomicU64::new(0) };
    let mut closed = false;
    let mut story = Vec::new();
    let writers = std::thread::scope(|scope| {
        let scene = &scene;
        let writers: Vec<_> = (0..WRITERS).map(|id| scope.spawn(move || write(scene, id))).collect();
        let reader = scope.spawn(move || read(scene));
        scope.spawn(move || look_after(scene));
        let (saver, switcher) = (Random::seeded(random.next_u64()), Random::seeded(random.next_u64()));
        let ever_off = random.below(2) == 0;
        scope.spawn(move || save(scene, saver, ever_off));
        scope.spawn(move || switch(scene, switcher, ever_off));
        for _ in 0..=random.below(2) {
            scene.wait(random.below(60));
            story.push(break_something(disk, random));
            scene.wait(50 + random.below(400));
            if random.below(2) == 0 {
                mend(disk);
                story.push("gone".to_owned());
            }
        }
        let ending = pick(random, &[Ending::Cut, Ending::Recovered, Ending::Stopped, Ending::Ended]);
        story.push(format!("{ending:?} in {:?}", scene.engine.state()));
        match ending {
            Ending::Cut => {
                disk.crash_at_change(disk.changes() + 1 + random.below(40));
                scene.wait(u64::MAX / 2);
            }
            Ending::Recovered => {
                mend(disk);
                recovers(scene, &story.join(", "));
            }
            Ending::Stopped => {}
            Ending::Ended => closed = scene.engine.end(None, false).is_ok(),
        }
        scene.over.store(true, Relaxed);
        scene.engine.stop();
        let mut writers: Vec<Steps> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        for (writer, shown) in writers.iter_mut().zip(reader.join().unwrap()) {
            writer.promised.written = writer.promised.written.max(shown.written);
            writer.promised.synced = writer.promised.synced.max(shown.synced);
        }
        note_shown(scene, &mut writers);
        writers
    });
    if closed {
        let logged = scene.engine.state().is_complete();
        let outcome = scene.engine.close();
        story.push(format!("closed in {:?}: {outcome:?}", scene.engine.state()));
        closed = logged && outcome.is_ok();
    }
    History { writers, closed, story }
}

/// Compares what a start found with what was promised and what was done.
fn verify(engine: &Engine, history: &History, mode: CrashMode, seed: u64) {
    let locked = engine.store.lock_all(Mode::Read, START);
    for (id, steps) in history.writers.iter().enumerate() {
        let last = number_in(&locked, engine, &key_of(id, None));
        let promised =
            if mode == CrashMode::Process { steps.promised.written } else { steps.promised.synced };
        let most = steps.done.last().copied().unwrap_or(0);
        let what = format!("seed {seed}, writer {id}, {mode:?}, {}", history.story.join(", "));
        assert!(last >= promised, "{what}: up to {last} is there, {promised} was promised");
        assert!(last == most || !history.closed, "{what}: up to {last} is there, up to {most} was closed");
        let there = steps.done.partition_point(|number| *number <= last);
        assert!(last == 0 || steps.done[there - 1] == last, "{what}: {last} was refused");
        for slot in 0..SLOTS {
            let expected = steps.done[..there].iter().rev().find(|number| *number % SLOTS == slot);
            let found = number_in(&locked, engine, &key_of(id, Some(slot)));
            assert_eq!(found, expected.copied().unwrap_or(0), "{what}: slot {slot} at step {last}");
        }
    }
}

fn start(disk: &SimDisk, fsync: AppendFsync) -> Result<Arc<Engine>, crate::engine::EngineError> {
    let engine = Arc::new(Engine::on_disk(Arc::new(small(fsync)), Clock::manual(START), disk.shared()));
    engine.recover()?;
    Ok(engine)
}

/// One history from an empty disk to a start on a healthy one. Says what happened.
fn sweep(seed: u64) -> String {
    let mut random = Random::seeded(seed);
    let (disk, fsync) = (SimDisk::new(seed), pick(&mut random, &LEVELS));
    let engine = start(&disk, fsync).unwrap();
    let mut history = play(&disk, &mut random, engine);
    for Steps { done, promised } in &history.writers {
        history.story.push(format!("{promised:?} of {:?}", done.last()));
    }
    let mode = pick(&mut random, &[CrashMode::Process, CrashMode::PowerLost, CrashMode::PowerTorn]);
    disk.restart(mode);
    mend(&disk);
    // The start may meet failing calls too: it comes, or is refused and has taken nothing away.
    if random.below(2) == 0 {
        let broken = break_something(&disk, &mut random);
        history.story.push(format!("a start with {broken}"));
        if let Ok(engine) = start(&disk, fsync) {
            verify(&engine, &history, mode, seed);
        }
        disk.restart(mode);
        mend(&disk);
    }
    let engine =
        start(&disk, fsync).unwrap_or_else(|error| panic!("seed {seed}, {:?}: {error}", history.story));
    verify(&engine, &history, mode, seed);
    history.story.join(", ")
}

#[test]
fn no_failing_call_of_the_simulated_disk_loses_what_was_promised() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("ITEMORY_SWEEP_SEED") {
        eprintln!("{}", sweep(seed));
        return;
    }
    (0..number("ITEMORY_SWEEP_SEEDS").unwrap_or(HISTORIES)).for_each(|seed| drop(sweep(seed)));
}
