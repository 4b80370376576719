//! Random operations against a model, with reopens and crashes.

use super::*;
use crate::env::{CrashMode, Fault};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    WriteOut,
    Sync,
    SyncWritten,
    Maintain,
    Trim(u8),
    Close,
    Frequent(bool),
    Crash(CrashMode),
    Fault(Fault, u64, i32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![20 => 0..120usize, 2 => 400..700usize, 1 => 1000..3000usize];
    let mode = prop_oneof![
        1 => Just(CrashMode::Process),
        1 => Just(CrashMode::PowerLost),
        3 => Just(CrashMode::PowerTorn)
    ];
    let fault = prop::sample::select(vec![
        Fault::Create,
        Fault::Write,
        Fault::Preallocate,
        Fault::Sync,
        Fault::SyncDir,
        Fault::Rename,
        Fault::Remove,
    ]);
    let errno = prop::sample::select(vec![SimDisk::EIO, SimDisk::ENOSPC, SimDisk::EMFILE]);
    let step = prop_oneof![
        12 => size.prop_map(Step::Append),
        4 => Just(Step::WriteOut),
        3 => Just(Step::Sync),
        1 => Just(Step::SyncWritten),
        2 => Just(Step::Maintain),
        1 => any::<u8>().prop_map(Step::Trim),
        1 => Just(Step::Close),
        1 => any::<bool>().prop_map(Step::Frequent),
        1 => mode.prop_map(Step::Crash),
        1 => (fault, 1..4u64, errno).prop_map(|(fault, nth, errno)| Step::Fault(fault, nth, errno)),
    ];
    prop::collection::vec(step, 1..120)
}

/// What must be there, and what may be.
#[derive(Default)]
struct Model {
    /// Payload sizes by LSN, from LSN 1.
    records: Vec<usize>,
    trimmed: Lsn,
}

fn bytes(lsn: Lsn, size: usize) -> Vec<u8> {
    (0..size).map(|at| (at as u64 * 31 + lsn) as u8).collect()
}

impl Model {
    fn check(&mut self, log: &Log, at_least: Lsn) {
        let all = read_all(log, log.stats().store.first).unwrap();
        let tail = all.last().map_or(log.tail(), |last| last.0);
        assert_eq!(tail, log.tail());
        assert!(tail >= at_least, "LSN {at_least} was promised, the log ends at {tail}");
        assert!(tail as usize <= self.records.len());
        assert!(log.stats().store.first <= self.trimmed + 1);
        for (lsn, ms, payload) in all {
            let size = self.records[lsn as usize - 1];
            assert_eq!((ms, payload), (lsn * 3, bytes(lsn, size)));
        }
        self.records.truncate(tail as usize);
    }
}

/// The log under test. After a call that failed for good every further one must fail too, until a crash.
struct Subject {
    disk: SimDisk,
    log: Arc<Log>,
    failed: bool,
}

impl Subject {
    fn note(&mut self, done: &Result<(), LogError>) {
        assert!(done.is_err() || !self.failed, "a failure is final");
        self.failed |= done.as_ref().is_err_and(LogError::is_final);
        assert_eq!(self.failed, self.log.failure().is_some());
    }

    fn crash(&mut self, mode: CrashMode, model: &mut Model) {
        let promised = if mode == CrashMode::Process { self.log.written() } else { self.log.synced() };
        self.disk.restart(mode);
        self.log = open(&self.disk).unwrap().0;
        self.failed = false;
        model.check(&self.log, promised);
    }

    fn step(&mut self, step: &Step, model: &mut Model) {
        let log = Arc::clone(&self.log);
        match step {
            Step::Append(size) => {
                if self.failed {
                    assert!(log.reserve(*size).is_err());
                    return;
                }
                let lsn = model.records.len() as Lsn + 1;
                assert_eq!(log.append(lsn * 3, &bytes(lsn, *size)), lsn);
                model.records.push(*size);
            }
            Step::WriteOut if log.written() < log.tail() => self.note(&log.write_out(log.tail())),
            Step::Sync if log.synced() < log.tail() => self.note(&log.sync(log.tail())),
            Step::SyncWritten if log.synced() < log.written() => self.note(&log.sync_written()),
            Step::Maintain => self.note(&log.maintain()),
            Step::Frequent(yes) => log.expect_frequent_syncs(*yes),
            Step::Trim(part) => {
                let upto = log.synced() * Lsn::from(*part) / 255;
                // A trim that fails has removed some of it or nothing; the log goes on, unless a sync failed.
                let trimmed = log.trim_to(upto);
                self.failed |= trimmed.is_err_and(|error| error.is_final());
                model.trimmed = model.trimmed.max(upto);
            }
            Step::Close => {
                let closed = log.close();
                drop(log);
                if closed.is_err() {
                    return self.crash(CrashMode::Process, model);
                }
                self.disk.restart(CrashMode::PowerLost);
                // On a full disk the note of the orderly end may be left out, and nothing else.
                let (again, _) = open(&self.disk).unwrap();
                self.log = again;
                model.check(&self.log, model.records.len() as Lsn);
            }
            Step::Crash(mode) => {
                drop(log);
                self.crash(*mode, model);
            }
            Step::Fault(fault, nth, errno) => self.disk.fail(*fault, *nth, *errno),
            Step::WriteOut | Step::Sync | Step::SyncWritten => {}
        }
    }
}

fn run(steps: &[Step], seed: u64) {
    let disk = SimDisk::new(seed);
    let mut model = Model::default();
    let (log, _) = open(&disk).unwrap();
    let mut subject = Subject { disk, log, failed: false };
    for step in steps {
        subject.step(step, &mut model);
    }
    if !subject.failed && subject.log.write_out(subject.log.tail()).is_ok() {
        model.check(&subject.log, model.records.len() as Lsn);
    }
    subject.crash(CrashMode::PowerTorn, &mut model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_agree_with_the_model(steps in steps(), seed: u64) {
        run(&steps, seed);
    }
}
