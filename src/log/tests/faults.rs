//! Failed writes and syncs, and a disk that is full for a while.

use super::*;
use crate::env::{CrashMode, Disk, Fault};

fn refused_for_good(disk: &SimDisk, log: &Log, cause: &str) {
    let before = (disk.changes(), disk.sync_points());
    for _ in 0..2 {
        let error = log.reserve(1).unwrap_err();
        assert!(matches!(error, LogError::Failed { .. }), "{error}");
        assert_eq!(error.cause(), cause);
        let lsn = log.append(0, b"late");
        assert_eq!(log.write_out(lsn), Err(error.clone()));
        assert_eq!(log.sync(lsn), Err(error.clone()));
        assert_eq!(log.maintain(), Err(error.clone()));
        assert_eq!(log.close(), Err(error.clone()));
        assert_eq!(log.stats().failure, Some(error));
    }
    assert_eq!((disk.changes(), disk.sync_points()), before, "the disk was not touched again");
}

#[test]
fn a_failed_sync_is_final() {
    let disk = SimDisk::new(2);
    let (log, _) = open(&disk).unwrap();
    log.append(1, &payload(1));
    log.sync(1).unwrap();
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    log.append(2, &payload(2));
    assert!(log.sync(2).is_err());
    assert_eq!((log.synced(), log.written()), (1, 2));
    refused_for_good(&disk, &log, "Input/output error");
    // What had been acknowledged is readable, and there after a restart.
    assert_eq!(read_all(&log, 1).unwrap().len(), 2);
    drop(log);
    disk.restart(CrashMode::PowerLost);
    let (log, _) = open(&disk).unwrap();
    assert_eq!(read_all(&log, 1).unwrap().len(), 1);
    log.reserve(1).unwrap();
}

#[test]
fn a_failed_background_sync_or_folder_sync_is_final() {
    for fault in [Fault::Sync, Fault::SyncDir] {
        let disk = SimDisk::new(2);
        let (log, _) = open(&disk).unwrap();
        for lsn in 1..=20 {
            log.append(lsn, &payload(lsn));
        }
        log.write_out(20).unwrap();
        disk.fail(fault, 1, SimDisk::EIO);
        assert!(log.sync_written().is_err());
        assert_eq!(log.synced(), 0);
        refused_for_good(&disk, &log, "Input/output error");
    }
}

#[test]
fn a_failed_sync_of_secured_room_is_final_though_no_record_waits_for_it() {
    let disk = SimDisk::new(2);
    let (log, _) = open(&disk).unwrap();
    log.expect_frequent_syncs(true);
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    assert!(log.maintain().is_err());
    refused_for_good(&disk, &log, "Input/output error");
}

#[test]
fn a_failed_write_is_final_at_whichever_call_it_comes() {
    for (fault, nth) in [(Fault::Write, 1), (Fault::Write, 2), (Fault::Write, 3), (Fault::Rename, 1)] {
        let disk = SimDisk::new(2);
        let (log, _) = open(&disk).unwrap();
        log.append(1, &payload(1));
        log.sync(1).unwrap();
        disk.fail(fault, nth, SimDisk::EIO);
        for lsn in 2..=30 {
            log.append(lsn, &payload(lsn));
        }
        assert!(log.write_out(30).is_err());
        assert_eq!(log.written(), 1);
        refused_for_good(&disk, &log, "Input/output error");
        disk.restart(CrashMode::Process);
        let (log, _) = open(&disk).unwrap();
        let all = read_all(&log, 1).unwrap();
        assert!(!all.is_empty() && all.iter().all(|(lsn, _, bytes)| *bytes == payload(*lsn)));
    }
}

#[test]
fn preparing_room_may_fail_without_harm() {
    for fault in [Fault::Preallocate, Fault::Create] {
        let disk = SimDisk::new(2);
        let (log, _) = open(&disk).unwrap();
        for lsn in 1..=60 {
            disk.fail(fault, 1, SimDisk::EIO);
            log.maintain().unwrap();
            disk.fail(fault, 1000, SimDisk::EIO);
            let _ = log.reserve(1);
            log.append(lsn, &payload(lsn));
            if fault == Fault::Preallocate {
                log.sync(lsn).unwrap();
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_and_its_end_lets_them_in_again() {
    let disk = SimDisk::new(2);
    let options = LogOptions { keep_free_bytes: 1_000, ..tiny() };
    let clock = Clock::manual(0);
    let (log, _) = Log::open(disk.shared(), clock.clone(), Path::new(DIR), options).unwrap();
    let mut lsn = 0;
    for round in 1..=4u64 {
        disk.set_capacity(Some(round * 5_000));
        let refusal = loop {
            let bytes = payload(lsn + 1);
            if let Err(error) = log.reserve(bytes.len()) {
                break error;
            }
            lsn = log.append(0, &bytes);
            log.sync(lsn).unwrap();
            log.maintain().unwrap();
        };
        assert!(matches!(refusal, LogError::DiskFull { keep: 1_000, .. }), "{refusal}");
        assert_eq!(refusal.cause(), "No space left on device");
        assert!(log.stats().disk_full && log.failure().is_none());
        assert!(disk.used() > round * 5_000 - 2_000, "not refused too early");
        log.maintain().unwrap();
        assert!(log.reserve(1).is_err());
    }
    disk.set_capacity(None);
    log.reserve(1).unwrap();
    assert!(!log.stats().disk_full);
    assert!(lsn > 100);
    drop(log);
    disk.restart(CrashMode::PowerLost);
    let (log, _) = Log::open(disk.shared(), clock, Path::new(DIR), options).unwrap();
    assert_eq!(read_all(&log, 1).unwrap().len() as u64, lsn);
}

#[test]
fn a_disk_that_fills_up_suddenly_harms_nothing_that_was_reserved() {
    for frequent in [false, true] {
        let disk = SimDisk::new(2);
        let options = LogOptions { segment_bytes: 4_000, secure_bytes: 1_000, ..tiny() };
        let (log, _) = Log::open(disk.shared(), Clock::manual(0), Path::new(DIR), options).unwrap();
        log.expect_frequent_syncs(frequent);
        log.append(0, &[1; 100]);
        log.sync(1).unwrap();
        // Somebody else takes all that is left, between two looks at it.
        disk.set_capacity(Some(disk.used()));
        log.reserve(100).unwrap();
        log.append(0, &[2; 100]);
        log.sync(2).unwrap();
        log.maintain().unwrap();
        let refusal = loop {
            match log.reserve(100) {
                Ok(()) => log.sync(log.append(0, &[2; 100])).unwrap(),
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refusal, LogError::DiskFull { .. }));
        disk.set_capacity(None);
        log.reserve(100).unwrap();
    }
}

#[test]
fn the_reserve_can_be_changed_and_securing_room_left_out() {
    let disk = SimDisk::new(2);
    let options = LogOptions { secure_bytes: 0, ..tiny() };
    let (log, _) = Log::open(disk.shared(), Clock::manual(0), Path::new(DIR), options).unwrap();
    disk.fail(Fault::Preallocate, 1, SimDisk::EIO);
    for frequent in [false, true] {
        log.expect_frequent_syncs(frequent);
        for _ in 0..20 {
            log.sync(log.append(0, &[1; 100])).unwrap();
            log.maintain().unwrap();
        }
    }
    assert_eq!(read_all(&log, 1).unwrap().len(), 40);
    disk.set_capacity(Some(disk.used() + 10_000));
    log.set_keep_free_bytes(20_000).unwrap();
    assert!(matches!(log.reserve(1), Err(LogError::DiskFull { keep: 20_000, .. })));
    log.set_keep_free_bytes(5_000).unwrap();
    log.reserve(1).unwrap();
}

#[test]
fn a_large_record_reserves_its_room_exactly() {
    let disk = SimDisk::new(2);
    let (log, _) = open(&disk).unwrap();
    disk.set_capacity(Some(disk.used() + 1_000_000));
    log.maintain().unwrap();
    log.reserve(600_000).unwrap();
    assert!(matches!(log.reserve(1_100_000), Err(LogError::DiskFull { .. })));
    assert!(matches!(log.reserve(usize::MAX), Err(LogError::TooLarge { .. })));
    log.reserve(10).unwrap_or_else(|error| panic!("a small one still fits: {error}"));
}

#[test]
fn a_full_disk_at_start_still_opens_for_reads() {
    let disk = SimDisk::new(2);
    let (log, _) = open(&disk).unwrap();
    log.append(0, b"x");
    log.close().unwrap();
    drop(log);
    disk.set_capacity(Some(disk.used() + 400));
    let options = LogOptions { keep_free_bytes: 100_000, ..tiny() };
    let (log, _) = Log::open(disk.shared(), Clock::manual(0), Path::new(DIR), options).unwrap();
    assert_eq!(read_all(&log, 1).unwrap().len(), 1);
    assert!(matches!(log.reserve(1), Err(LogError::DiskFull { .. })));
}

#[test]
fn a_folder_whose_name_cannot_be_made_durable_is_refused_by_every_start() {
    const EACCES: i32 = 13;
    let disk = SimDisk::new(9);
    disk.fail_on(Fault::SyncDir, EACCES);
    for _ in 0..3 {
        assert!(open(&disk).is_err());
        assert!(!disk.exists(Path::new(DIR)), "what is left would be taken for a folder with a durable name");
    }
    disk.heal();
    open(&disk).unwrap();
}
