//! Random operations against a model, with reopens and crashes.

use super::*;
use crate::env::CrashMode;
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
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![20 => 0..120usize, 2 => 400..700usize, 1 => 1000..3000usize];
    let mode = prop_oneof![
        1 => Just(CrashMode::Process),
        1 => Just(CrashMode::PowerLost),
        3 => Just(CrashMode::PowerTorn)
    ];
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

fn run(steps: &[Step], seed: u64) {
    let disk = SimDisk::new(seed);
    let mut model = Model::default();
    let (mut log, _) = open(&disk).unwrap();
    for step in steps {
        match step {
            Step::Append(size) => {
                let lsn = model.records.len() as Lsn + 1;
                assert_eq!(log.append(lsn * 3, &bytes(lsn, *size)), lsn);
                model.records.push(*size);
            }
            Step::WriteOut => log.write_out(log.tail()).unwrap(),
            Step::Sync => log.sync(log.tail()).unwrap(),
            Step::SyncWritten => log.sync_written().unwrap(),
            Step::Maintain => log.maintain().unwrap(),
            Step::Frequent(yes) => log.expect_frequent_syncs(*yes),
            Step::Trim(part) => {
                let upto = log.synced() * Lsn::from(*part) / 255;
                log.trim_to(upto).unwrap();
                model.trimmed = model.trimmed.max(upto);
            }
            Step::Close => {
                log.close().unwrap();
                drop(log);
                let (again, report) = open(&disk).unwrap();
                assert!(report.closed_in_order);
                log = again;
                model.check(&log, model.records.len() as Lsn);
            }
            Step::Crash(mode) => {
                let promised = if *mode == CrashMode::Process { log.written() } else { log.synced() };
                drop(log);
                disk.restart(*mode);
                log = open(&disk).unwrap().0;
                model.check(&log, promised);
            }
        }
    }
    log.write_out(log.tail()).unwrap();
    model.check(&log, model.records.len() as Lsn);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_agree_with_the_model(steps in steps(), seed: u64) {
        run(&steps, seed);
    }
}
