//! A crash at every sync point and at every change of a workload, and again while it recovers.

use super::*;
use crate::env::CrashMode;
use crate::log::checkpoint::{CheckpointWriter, Checkpoints};

/// What the workload was promised before the disk went down.
#[derive(Default)]
struct Promised {
    written: Lsn,
    synced: Lsn,
    appended: Lsn,
    /// The greatest start LSN of a finished checkpoint.
    checkpoint: Lsn,
}

/// The state after `lsn`, as a checkpoint keeps it.
fn state_at(lsn: Lsn) -> Vec<u8> {
    format!("state at {lsn}").into_bytes()
}

fn workload(disk: &SimDisk, promised: &mut Promised) -> Result<(), LogError> {
    for round in 0..3u64 {
        let (log, _) = open(disk)?;
        log.expect_frequent_syncs(round == 1);
        let mut note = |log: &Log, appended: Lsn| {
            promised.appended = promised.appended.max(appended);
            promised.written = promised.written.max(log.written());
            promised.synced = promised.synced.max(log.synced());
        };
        for group in 0..6 {
            for _ in 0..=(group * 3 % 5) {
                let lsn = log.tail() + 1;
                log.append(lsn, &payload(lsn));
                note(&log, lsn);
            }
            let done = match group {
                2 => log.write_out(log.tail()),
                3 => log.maintain(),
                4 => log.write_out(log.tail()).and_then(|()| log.sync_written()),
                _ => log.sync(log.tail()),
            };
            note(&log, 0);
            done?;
        }
        let start = log.tail();
        let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
        let mut writer = CheckpointWriter::new(&folder, start, 0, &state_at(start))?;
        let later = log.append(start + 1, &payload(start + 1));
        note(&log, later);
        writer.chunk(1, later, &state_at(later))?;
        let done = writer.finish(&log);
        note(&log, 0);
        done?;
        promised.checkpoint = start;
        if round == 1 {
            log.append(later + 1, &payload(later + 1));
            note(&log, later + 1);
            log.close()?;
            promised.synced = later + 1;
        }
    }
    Ok(())
}

/// Opens the disk after a crash and compares.
fn verify(disk: &SimDisk, mode: CrashMode, promised: &Promised) {
    let (log, report) = open(disk).unwrap_or_else(|error| panic!("{mode:?}: {error}"));
    let at_least = if mode == CrashMode::Process { promised.written } else { promised.synced };
    let tail = log.tail();
    assert!(at_least <= tail && tail <= promised.appended, "{mode:?}: {at_least} {tail} {report:?}");
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    let latest = folder.latest().unwrap();
    assert_eq!(latest.damaged, []);
    let mut from = 1;
    if let Some(checkpoint) = latest.checkpoint {
        let info = checkpoint.info();
        assert!(info.start_lsn >= promised.checkpoint && info.last_lsn <= tail);
        assert_eq!(checkpoint.prologue(), state_at(info.start_lsn));
        checkpoint.verify(2).unwrap();
        from = info.start_lsn + 1;
    } else {
        assert_eq!(promised.checkpoint, 0);
    }
    let all = read_all(&log, from).unwrap();
    assert_eq!(all.len() as u64, tail + 1 - from);
    for (lsn, ms, bytes) in all {
        assert_eq!((ms, bytes), (lsn, payload(lsn)));
    }
    // The log goes on.
    let next = log.append(tail + 1, &payload(tail + 1));
    log.sync(next).unwrap();
    assert_eq!(read_all(&log, next).unwrap().len(), 1);
}

const MODES: [CrashMode; 3] = [CrashMode::Process, CrashMode::PowerLost, CrashMode::PowerTorn];

fn sweep(seed: u64, set: impl Fn(&SimDisk, u64), count: impl Fn(&SimDisk) -> u64) {
    let whole = SimDisk::new(seed);
    workload(&whole, &mut Promised::default()).unwrap();
    let points = count(&whole);
    assert!(points > 30, "the workload is worth a sweep: {points}");
    for n in 1..=points {
        let disk = SimDisk::new(seed);
        set(&disk, n);
        let mut promised = Promised::default();
        // A crash while the last old checkpoint is removed does not concern the new one, and nothing follows it.
        let outcome = workload(&disk, &mut promised);
        assert!(disk.is_down() && (outcome.is_err() || promised.checkpoint > 0));
        for mode in MODES {
            for seed in 0..if mode == CrashMode::PowerTorn { 6 } else { 1 } {
                let twin = disk.fork(n * 1000 + seed);
                twin.restart(mode);
                verify(&twin, mode, &promised);
            }
        }
    }
}

#[test]
fn a_crash_at_every_sync_point_loses_nothing_promised() {
    sweep(11, SimDisk::crash_at_sync, SimDisk::sync_points);
}

#[test]
fn a_crash_at_every_change_loses_nothing_promised() {
    sweep(12, SimDisk::crash_at_change, SimDisk::changes);
}

#[test]
fn a_crash_at_every_change_of_a_recovery_loses_nothing_promised() {
    let whole = SimDisk::new(0);
    workload(&whole, &mut Promised::default()).unwrap();
    for seed in 0..16 {
        let disk = SimDisk::new(seed);
        let mut promised = Promised::default();
        disk.crash_at_change(40 + (whole.changes() - 40) * seed / 16);
        workload(&disk, &mut promised).unwrap_err();
        disk.restart(CrashMode::PowerTorn);
        let before = disk.changes();
        let whole = disk.fork(seed);
        open(&whole).unwrap();
        for n in 1..=whole.changes() - before {
            for mode in MODES {
                let twin = disk.fork(seed * 100 + n);
                twin.crash_at_change(before + n);
                open(&twin).unwrap_err();
                twin.restart(mode);
                // Bytes lost in one power cut do not come back, and bytes that survived it may still be unsynced.
                verify(&twin, CrashMode::PowerLost, &promised);
            }
        }
    }
}

/// Records of any length, some of them synced; then the power fails and leaves any of the unsynced sectors.
#[test]
fn whatever_a_power_cut_leaves_of_unsynced_records_is_no_damage() {
    for seed in 0..3_000 {
        let mut random = crate::env::Random::seeded(seed);
        let count = 1 + random.below(24);
        let synced = random.below(count + 1);
        let disk = SimDisk::new(seed);
        let (log, _) = open(&disk).unwrap();
        for lsn in 1..=count {
            // Empty payloads and zeros look like lost ones, so a torn header can pass as valid.
            let len = if random.below(3) == 0 { 0 } else { random.below(256) as usize };
            log.append(lsn, &vec![(lsn % 3) as u8; len]);
            if lsn == synced { log.sync(lsn) } else { log.write_out(lsn) }.unwrap();
        }
        drop(log);
        disk.restart(CrashMode::PowerTorn);
        let (log, report) = open(&disk).unwrap_or_else(|error| panic!("{seed}: {error}"));
        assert!(read_all(&log, 1).unwrap().len() as u64 >= synced, "{seed}: {report:?}");
    }
}
