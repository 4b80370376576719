//! A small server around the real state of durability. It does the engine's steps in the engine's order and takes the
//! same locks.

use crate::durability::{DurabilityState, Event, Level, LogState, Machine, Phase, ReplyGate};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering::SeqCst};
use crate::works::Works;
use shuttle::rand::Rng as _;
use shuttle::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) const SHARDS: usize = 2;

/// A record: a name that was written to a shard, or a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Record {
    Write { shard: usize, name: u64 },
    Gap,
}

#[derive(Default)]
struct Log {
    records: Vec<Record>,
    written: u64,
    synced: u64,
    failed: bool,
    /// Whether the next sync fails.
    failing: bool,
}

/// A shard's names, and the position of the last record that changed it.
#[derive(Clone, Default)]
struct Shard {
    names: Vec<u64>,
    position: u64,
}

struct Checkpoint {
    start: u64,
    shards: Vec<Shard>,
}

/// What a client was told.
pub(crate) struct Acknowledged {
    pub(crate) name: u64,
    /// Whether the write was logged. Then it must survive, whatever happens to the log later.
    pub(crate) promised: bool,
}

pub(crate) struct Server {
    machine: Machine,
    works: Works,
    shards: Vec<RwLock<Shard>>,
    log: Mutex<Log>,
    checkpoints: Mutex<Vec<Checkpoint>>,
    pub(crate) acknowledged: Mutex<Vec<Acknowledged>>,
    next: AtomicU64,
    saving: AtomicBool,
    failing: AtomicBool,
    ending: Mutex<()>,
}

enum All<'a> {
    Write(Vec<RwLockWriteGuard<'a, Shard>>),
    Read(Vec<RwLockReadGuard<'a, Shard>>),
}

impl Server {
    pub(crate) fn new(level: Level) -> Self {
        let server = Self {
            machine: Machine::new(level),
            works: Works::default(),
            shards: (0..SHARDS).map(|_| RwLock::new(Shard::default())).collect(),
            log: Mutex::default(),
            checkpoints: Mutex::default(),
            acknowledged: Mutex::default(),
            next: AtomicU64::new(1),
            saving: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            ending: Mutex::default(),
        };
        server.machine.step(Event::Recovered(LogState::Complete)).unwrap();
        server
    }

    fn all(&self) -> All<'_> {
        All::Write(self.shards.iter().map(|shard| shard.write().unwrap()).collect())
    }

    fn all_shared(&self) -> All<'_> {
        All::Read(self.shards.iter().map(|shard| shard.read().unwrap()).collect())
    }

    fn step(&self, event: Event) -> Result<DurabilityState, DurabilityState> {
        let _all = self.all();
        self.machine.step(event)
    }

    fn append(&self, record: Record) -> u64 {
        let mut log = self.log.lock();
        log.records.push(record);
        log.records.len() as u64
    }

    fn tail(&self) -> u64 {
        self.log.lock().records.len() as u64
    }

    fn write_out(&self) -> Result<(), ()> {
        let mut log = self.log.lock();
        if log.failed {
            return Err(());
        }
        log.written = log.records.len() as u64;
        Ok(())
    }

    fn sync(&self, upto: u64) -> Result<(), ()> {
        if self.log.lock().synced >= upto {
            return Ok(());
        }
        self.write_out()?;
        let written = self.log.lock().written;
        // Other threads append and write during the sync.
        shuttle::thread::yield_now();
        let mut log = self.log.lock();
        if log.failed || std::mem::take(&mut log.failing) {
            log.failed = true;
            return Err(());
        }
        log.synced = log.synced.max(written);
        Ok(())
    }

    fn settled(&self) -> u64 {
        match self.machine.state().gate() {
            ReplyGate::Open => u64::MAX,
            ReplyGate::Written => self.log.lock().written,
            ReplyGate::Synced => self.log.lock().synced,
        }
    }

    fn settle(&self) -> Result<(), ()> {
        let state = self.machine.state();
        match state.gate() {
            ReplyGate::Open => Ok(()),
            _ if state.has_failed() => Err(()),
            ReplyGate::Written => self.write_out(),
            ReplyGate::Synced => self.sync(self.tail()),
        }
    }

    /// Whether a reply that shows a position may be sent.
    fn passes(&self, position: u64, wrote: bool) -> bool {
        if position <= self.settled() {
            return true;
        }
        if self.settle().is_err() {
            self.note_failure();
            return position <= self.settled() || !(wrote || self.machine.state().shows_only_durable());
        }
        position <= self.settled()
    }

    pub(crate) fn write(&self) {
        let at = shuttle::rand::thread_rng().gen_range(0..SHARDS);
        let mut shard = self.shards[at].write().unwrap();
        let accepted = self.machine.state();
        if !accepted.accepts_writes() {
            return;
        }
        let name = self.next.fetch_add(1, SeqCst);
        shard.names.push(name);
        if accepted.appends() {
            shard.position = self.append(Record::Write { shard: at, name });
        }
        let position = shard.position;
        drop(shard);
        if self.passes(position, true) {
            let promised = accepted.log() == LogState::Complete;
            self.acknowledged.lock().push(Acknowledged { name, promised });
        }
    }

    pub(crate) fn read(&self, at: usize) {
        let shard = self.shards[at].read().unwrap();
        let state = self.machine.state();
        if state.is_loading() {
            return;
        }
        let shown = shard.clone();
        drop(shard);
        if self.passes(shown.position, false) && state.shows_only_durable() && self.machine.state() == state {
            let log = self.log.lock();
            let lost = log.records.iter().skip(log.synced as usize);
            for record in lost {
                let Record::Write { name, .. } = record else { continue };
                assert!(!shown.names.contains(name), "a reader was shown {name}, which is not durable");
            }
        }
    }

    fn note_failure(&self) {
        if self.failing.swap(true, SeqCst) {
            return;
        }
        if let Ok(state) = self.step(Event::LogFailed) {
            self.take_back_if_needed(state);
        }
    }

    fn take_back_if_needed(&self, state: DurabilityState) {
        if state.phase() != Phase::FallingBack {
            return;
        }
        let _alone = self.works.exclude();
        if self.machine.state().phase() != Phase::FallingBack {
            return;
        }
        let synced = self.log.lock().synced;
        self.read_again(synced);
        self.step(Event::FellBack).unwrap();
    }

    /// The state that a start recovers: the newest checkpoint and the log after it, up to a record or a gap.
    fn recovered(&self, upto: u64) -> Vec<Shard> {
        let (log, checkpoints) = (self.log.lock(), self.checkpoints.lock());
        let newest = checkpoints.last();
        let mut shards =
            newest.map_or_else(|| vec![Shard::default(); SHARDS], |newest| newest.shards.clone());
        let start = newest.map_or(0, |newest| newest.start);
        for (index, record) in log.records.iter().enumerate().take(upto as usize).skip(start as usize) {
            let lsn = index as u64 + 1;
            match *record {
                Record::Gap => break,
                Record::Write { shard, name } if lsn > shards[shard].position => {
                    shards[shard].names.push(name);
                    shards[shard].position = lsn;
                }
                Record::Write { .. } => {}
            }
        }
        shards
    }

    /// Empties memory and reads it again, shard by shard.
    fn read_again(&self, upto: u64) {
        for shard in &self.shards {
            *shard.write().unwrap() = Shard::default();
        }
        for (shard, found) in self.shards.iter().zip(self.recovered(upto)) {
            *shard.write().unwrap() = found;
        }
    }

    pub(crate) fn disk_fails(&self) {
        self.log.lock().failing = true;
        if self.sync(self.tail()).is_err() {
            self.note_failure();
        }
    }

    pub(crate) fn switch(&self, on: bool) {
        let all = self.all();
        let state = self.machine.state();
        if state.has_failed() {
            return;
        }
        if !on && state.appends() {
            if self.sync(self.tail()).is_err() {
                drop(all);
                return self.note_failure();
            }
            let _ = self.machine.step(Event::SwitchedOff);
        } else if on && state.log() == LogState::Off && !self.log.lock().failed && state.accepts_writes() {
            let gap = self.append(Record::Gap);
            self.machine.switch_on(gap).unwrap();
        }
        drop(all);
        if on {
            self.checkpoint();
        }
    }

    pub(crate) fn set_level(&self, level: Level) {
        let all = self.all();
        if self.machine.state().appends() && self.sync(self.tail()).is_err() {
            drop(all);
            return self.note_failure();
        }
        let _ = self.machine.step(Event::LevelSet(level));
    }

    pub(crate) fn checkpoint(&self) {
        if !self.machine.state().permits_checkpoint() || !self.works.enter() {
            return;
        }
        if !self.saving.swap(true, SeqCst) {
            let _ = self.save(true);
            self.saving.store(false, SeqCst);
        }
        self.works.leave();
    }

    /// Writes a checkpoint. If it is revocable, it stops between two shards once it was revoked.
    fn save(&self, revocable: bool) -> Result<(), ()> {
        let all = self.all_shared();
        let start = if self.machine.state().appends() { self.tail() } else { self.append(Record::Gap) };
        drop(all);
        let mut shards = Vec::new();
        for shard in &self.shards {
            if revocable && self.works.revoked() {
                return Err(());
            }
            let shard = shard.read().unwrap();
            shards.push(Shard { names: shard.names.clone(), position: self.tail() });
        }
        let last = shards.iter().map(|shard| shard.position).max().unwrap();
        if self.sync(last).is_err() {
            return Err(());
        }
        self.checkpoints.lock().push(Checkpoint { start, shards });
        if self.log.lock().failed {
            return Err(());
        }
        let _held = self.shards[0].read().unwrap();
        self.machine.checkpoint_named(start);
        Ok(())
    }

    pub(crate) fn reload(&self) {
        if self.saving.swap(true, SeqCst) {
            return;
        }
        self.reload_claimed();
        self.saving.store(false, SeqCst);
    }

    fn reload_claimed(&self) {
        let Ok(_) = self.step(Event::ReloadBegun) else { return };
        let alone = self.works.exclude();
        if self.save(false).and_then(|()| self.sync(self.tail())).is_err() {
            self.note_failure();
            let given_up = self.step(Event::ReloadGivenUp);
            drop(alone);
            if let Ok(state) = given_up {
                self.take_back_if_needed(state);
            }
            return;
        }
        let tail = self.tail();
        self.read_again(tail);
        self.step(Event::ReloadDone).unwrap();
    }

    pub(crate) fn end(&self, force: bool) {
        let one = self.ending.lock();
        let state = loop {
            match self.step(Event::EndBegun) {
                Ok(state) => break state,
                Err(state) if state.phase() == Phase::Reloading => shuttle::thread::yield_now(),
                Err(_) => return,
            }
        };
        if self.bring_to_disk(state).is_err() && !force {
            if let Ok(state) = self.step(Event::EndGivenUp) {
                drop(one);
                self.take_back_if_needed(state);
            }
            return;
        }
        let outcome = self.sync(self.tail());
        let state = self.step(Event::Closed).unwrap();
        if outcome.is_ok() && state.ends_well() {
            let found = self.recovered(u64::MAX);
            for told in self.acknowledged.lock().iter() {
                let there = found.iter().any(|shard| shard.names.contains(&told.name));
                assert!(there || force, "{} was acknowledged, and the process ended well", told.name);
            }
        }
    }

    fn bring_to_disk(&self, state: DurabilityState) -> Result<(), ()> {
        let _alone = self.works.exclude();
        match state.log() {
            LogState::Stranded => Err(()),
            LogState::Failed | LogState::Complete => Ok(()),
            LogState::Incomplete | LogState::Off => {
                assert!(!self.saving.load(SeqCst), "whoever is revoked has given up");
                self.save(false)
            }
        }
    }

    /// Cuts the power, and compares the state that a start recovers with what clients were told.
    pub(crate) fn finish(&self) {
        let state = self.machine.state();
        let synced = self.log.lock().synced;
        let written = self.log.lock().written;
        let upto = if state.level() == Level::Always { synced } else { written };
        let (found, memory) = (self.recovered(upto), self.memory());
        let complete = matches!(state.log(), LogState::Complete | LogState::Failed);
        for told in self.acknowledged.lock().iter() {
            let there = found.iter().any(|shard| shard.names.contains(&told.name));
            assert!(
                there || !(told.promised || complete),
                "{} was acknowledged and is lost in {state:?}",
                told.name
            );
            assert!(
                memory.contains(&told.name),
                "{} was acknowledged and is not in memory in {state:?}",
                told.name
            );
        }
    }

    fn memory(&self) -> Vec<u64> {
        self.shards.iter().flat_map(|shard| shard.read().unwrap().names.clone()).collect()
    }
}
