//! One owner for each file's sync and name.

use super::*;
use crate::env::{CrashMode, Disk, Fault};
use crate::log::checkpoint::{CheckpointWriter, Checkpoints};
use crate::log::segment::segment_name;

fn opened(disk: &SimDisk) -> (Arc<FileLog>, Arc<Log>) {
    opened_with(disk, tiny())
}

fn opened_with(disk: &SimDisk, options: LogOptions) -> (Arc<FileLog>, Arc<Log>) {
    let lock = FileLog::lock(disk, Path::new(DIR)).unwrap();
    let (store, _) =
        FileLog::open(disk.shared(), Clock::manual(1_000), Path::new(DIR), options, lock).unwrap();
    let store = Arc::new(store);
    let log = Log::over(Arc::clone(&store) as Arc<dyn LogStore>, Clock::manual(1_000), options).unwrap();
    (store, Arc::new(log))
}

#[test]
fn a_segment_that_is_prepared_during_a_rotation_leaves_the_rotations_file_alone() {
    for fault in [Fault::Write, Fault::Rename, Fault::Create, Fault::Remove] {
        for nth in 1..=4 {
            let disk = SimDisk::new(1);
            let (store, log) = opened(&disk);
            store.prepare_next();
            let again = Arc::clone(&store);
            disk.before(fault, nth, move || again.prepare_next());
            for lsn in 1..=30 {
                log.append(lsn, &payload(lsn));
            }
            log.sync(30).unwrap();
            drop((log, store));
            disk.restart(CrashMode::PowerLost);
            let (log, _) = open(&disk).unwrap();
            assert_eq!(log.tail(), 30, "{fault:?} {nth}");
        }
    }
}

#[test]
fn an_error_that_one_sync_takes_is_everyones() {
    let disk = SimDisk::new(2);
    let options = LogOptions { segment_bytes: 8 << 20, secure_bytes: 3 << 20, ..tiny() };
    let (store, log) = opened_with(&disk, options);
    log.expect_frequent_syncs(true);
    let epoch = store.tail().epoch;
    log.write_out(log.append(1, &payload(1))).unwrap();
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    // The upkeep takes the error: the disk tells it once, and counts the record as clean from then on.
    assert!(store.maintain(epoch).is_err());
    assert!(log.sync(1).is_err(), "the record is lost");
    assert_eq!(log.synced(), 0);
    assert!(matches!(log.failure(), Some(LogError::Failed { .. })));
    assert!(store.sync(epoch).is_err() && store.sync(epoch).is_err());
}

#[test]
fn a_failed_sync_of_the_folder_by_a_trim_is_everyones() {
    let disk = SimDisk::new(2);
    let (_, log) = opened(&disk);
    for lsn in 1..=40 {
        log.sync(log.append(lsn, &payload(lsn))).unwrap();
    }
    for lsn in 41..=60 {
        log.write_out(log.append(lsn, &payload(lsn))).unwrap();
    }
    disk.fail(Fault::SyncDir, 1, SimDisk::EIO);
    assert!(log.trim_to(20).is_err());
    assert!(matches!(log.failure(), Some(LogError::Failed { .. })));
    assert!(log.sync(60).is_err());
    assert_eq!(log.synced(), 40);
}

#[test]
fn a_failed_sync_of_the_folder_by_a_checkpoint_is_everyones() {
    for nth in [1, 2] {
        let disk = SimDisk::new(2);
        let (_, log) = opened(&disk);
        let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
        for _ in 0..2 {
            CheckpointWriter::new(&folder, log.tail(), 0, b"").unwrap().finish(&log).unwrap();
            log.sync(log.append(1, &payload(1))).unwrap();
        }
        // The names of segments that were begun since the last sync are not durable.
        for lsn in 3..=40 {
            log.write_out(log.append(lsn, &payload(lsn))).unwrap();
        }
        let writer = CheckpointWriter::new(&folder, 2, 0, b"").unwrap();
        disk.fail(Fault::SyncDir, nth, SimDisk::EIO);
        assert!(writer.finish(&log).is_err());
        assert!(matches!(log.failure(), Some(LogError::Failed { .. })));
        assert!(log.sync(40).is_err());
        assert_eq!(log.synced(), 2);
    }
}

#[test]
fn a_log_whose_file_was_removed_fails_at_the_next_sync() {
    for by_upkeep in [false, true] {
        let disk = SimDisk::new(2);
        let (_, log) = opened(&disk);
        log.sync(log.append(1, &payload(1))).unwrap();
        disk.remove_file(&Path::new(DIR).join(segment_name(1))).unwrap();
        log.append(2, &payload(2));
        if by_upkeep {
            assert!(log.maintain().is_err());
        }
        assert!(log.sync(2).is_err());
        assert_eq!(log.synced(), 1);
        assert!(matches!(log.reserve(1), Err(LogError::Failed { .. })));
    }
}

#[test]
fn a_log_whose_folder_was_deleted_does_not_rotate_into_nothing() {
    let disk = SimDisk::new(2);
    let (_, log) = opened(&disk);
    log.sync(log.append(1, &payload(1))).unwrap();
    for entry in disk.list(Path::new(DIR)).unwrap() {
        disk.remove_file(&Path::new(DIR).join(entry.name)).unwrap();
    }
    disk.remove_dir(Path::new(DIR)).unwrap();
    for lsn in 2..=30 {
        log.append(lsn, &payload(lsn));
    }
    assert!(log.write_out(30).is_err());
    assert!(matches!(log.reserve(1), Err(LogError::Failed { .. })));
}

#[test]
fn one_sync_covers_many_segments() {
    for threads in [1, 4] {
        let disk = SimDisk::new(2);
        let options = LogOptions { sync_threads: threads, ..tiny() };
        let (log, _) = Log::open(disk.shared(), Clock::manual(0), Path::new(DIR), options).unwrap();
        for lsn in 1..=60 {
            log.append(lsn, &payload(lsn));
        }
        log.write_out(60).unwrap();
        let (segments, before) = (log.stats().store.segments, disk.sync_points());
        assert!(segments > 8);
        log.sync(60).unwrap();
        assert_eq!(disk.sync_points() - before, segments + 1, "one for each segment and one for the folder");
        drop(log);
        disk.restart(CrashMode::PowerLost);
        assert_eq!(open(&disk).unwrap().0.tail(), 60);
    }
}

#[test]
fn a_failed_sync_of_any_of_many_segments_is_final() {
    let segments = 12;
    for nth in 1..=segments {
        let disk = SimDisk::new(nth);
        let options = LogOptions { sync_threads: 4, ..tiny() };
        let (log, _) = Log::open(disk.shared(), Clock::manual(0), Path::new(DIR), options).unwrap();
        while log.stats().store.segments < segments {
            let lsn = log.tail() + 1;
            log.write_out(log.append(lsn, &payload(lsn))).unwrap();
        }
        disk.fail(Fault::Sync, nth, SimDisk::EIO);
        assert!(log.sync(log.tail()).is_err() && log.synced() == 0);
        assert!(matches!(log.reserve(1), Err(LogError::Failed { .. })));
    }
}

#[test]
fn the_oldest_record_that_waits_for_a_sync_tells_for_how_long() {
    let disk = SimDisk::new(2);
    let clock = Clock::manual(0);
    let (log, _) = Log::open(disk.shared(), clock.clone(), Path::new(DIR), tiny()).unwrap();
    let log = Arc::new(log);
    let advance = |ms| clock.as_manual().unwrap().advance_ms(ms);
    advance(1_000);
    assert_eq!(log.unsynced_micros(), 0);
    log.write_out(log.append(1, b"one")).unwrap();
    advance(5);
    log.write_out(log.append(2, b"two")).unwrap();
    advance(5);
    assert_eq!((log.unsynced_micros(), log.stats().unsynced_micros), (10_000, 10_000));
    // While a sync runs another record is written, which that sync does not cover.
    let (again, twin) = (Arc::clone(&log), clock.clone());
    disk.before(Fault::Sync, 1, move || {
        twin.as_manual().unwrap().advance_ms(7);
        assert_eq!(again.unsynced_micros(), 17_000);
        again.write_out(again.append(3, b"three")).unwrap();
        twin.as_manual().unwrap().advance_ms(2);
        assert_eq!(again.unsynced_micros(), 19_000);
    });
    log.sync_written().unwrap();
    assert_eq!((log.synced(), log.unsynced_micros()), (2, 2_000));
    log.sync_written().unwrap();
    assert_eq!(log.unsynced_micros(), 0);
    advance(60_000);
    log.write_out(log.append(4, b"four")).unwrap();
    assert_eq!(log.unsynced_micros(), 0);
}
