//! Failures that pass: a disk that is full, descriptors that run out, a folder that cannot be measured. They lose
//! nothing, and writes are accepted again afterwards.

use super::*;
use crate::env::{CrashMode, Disk, Fault};
use crate::log::checkpoint::Checkpoints;
use crate::log::segment::segment_name;

/// All records are there after a power cut, each as it was appended.
fn verify(disk: &SimDisk, records: Lsn) {
    disk.restart(CrashMode::PowerLost);
    let (log, report) = open(disk).unwrap();
    assert_eq!((log.tail(), report.cut), (records, None));
    let all = read_all(&log, 1).unwrap();
    assert!(all.len() as u64 == records && all.iter().all(|(lsn, _, bytes)| *bytes == payload(*lsn)));
}

#[test]
fn a_write_that_wants_a_resource_is_done_again_later() {
    for errno in [SimDisk::ENOSPC, SimDisk::EMFILE] {
        for (fault, nth) in [Fault::Write, Fault::Create, Fault::Rename].into_iter().zip(1..=9) {
            for again in 0..3 {
                let disk = SimDisk::new(nth);
                let (log, _) = open(&disk).unwrap();
                log.append(1, &payload(1));
                log.sync(1).unwrap();
                disk.fail(fault, nth, errno);
                for lsn in 2..=30 {
                    log.append(lsn, &payload(lsn));
                }
                let Err(error) = log.sync(30) else { continue };
                assert!(!matches!(error, LogError::Failed { .. }), "{fault:?} {nth}: {error}");
                assert!(log.failure().is_none() && log.synced() < 30);
                assert!(log.reserve(1).is_err(), "{fault:?} {nth}: refused at once");
                match again {
                    0 => log.write_out(30).unwrap(),
                    1 => log.sync(30).unwrap(),
                    _ => log.maintain().unwrap(),
                }
                assert_eq!(log.written(), 30, "{fault:?} {nth}");
                log.sync(30).unwrap();
                log.maintain().unwrap();
                log.reserve(1).unwrap();
                drop(log);
                verify(&disk, 30);
            }
        }
    }
}

#[test]
fn a_disk_that_is_full_for_long_refuses_and_keeps_what_waits() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    log.sync(log.append(1, &payload(1))).unwrap();
    disk.set_capacity(Some(disk.used()));
    for lsn in 2..=40 {
        log.append(lsn, &payload(lsn));
    }
    for _ in 0..3 {
        assert!(log.sync(40).is_err());
        log.maintain().unwrap();
        let error = log.reserve(1).unwrap_err();
        assert_eq!(error.cause(), "No space left on device");
        assert!(log.synced() < 40 && log.stats().disk_full);
    }
    disk.set_capacity(None);
    log.maintain().unwrap();
    log.reserve(1).unwrap();
    log.sync(40).unwrap();
    drop(log);
    verify(&disk, 40);
}

#[test]
fn a_kill_while_records_wait_for_room_loses_none_that_were_written() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=9 {
        log.append(lsn, &payload(lsn));
    }
    log.write_out(9).unwrap();
    disk.fail_on(Fault::Write, SimDisk::ENOSPC);
    for lsn in 10..=20 {
        log.append(lsn, &payload(lsn));
    }
    assert!(log.write_out(20).is_err());
    assert_eq!(log.written(), 9);
    disk.restart(CrashMode::Process);
    let (log, _) = open(&disk).unwrap();
    assert!(log.tail() >= 9);
    assert!(read_all(&log, 1).unwrap().iter().all(|(lsn, _, bytes)| *bytes == payload(*lsn)));
}

#[test]
fn what_is_in_flight_has_its_room_whenever_the_disk_fills_up() {
    for frequent in [false, true] {
        for fill in 1..60 {
            for maintained in [false, true] {
                let disk = SimDisk::new(2);
                let options = LogOptions { segment_bytes: 4_000, secure_bytes: 1_000, ..tiny() };
                let (log, _) = Log::open(disk.shared(), Clock::manual(0), Path::new(DIR), options).unwrap();
                log.expect_frequent_syncs(frequent);
                for _ in 0..fill {
                    log.reserve(200).unwrap();
                    log.sync(log.append(0, &[1; 200])).unwrap();
                    if maintained {
                        log.maintain().unwrap();
                    }
                }
                // Somebody else takes all that is left. Four writers are always between reserve and append.
                disk.set_capacity(Some(disk.used()));
                let write = || {
                    let done = log.sync(log.append(0, &[2; 200]));
                    done.unwrap_or_else(|error| panic!("{fill} {frequent} {maintained}: {error}"));
                };
                while log.reserve(200).is_ok() {
                    write();
                }
                (0..3).for_each(|_| write());
                assert!(log.reserve(200).is_err());
                disk.set_capacity(None);
                log.maintain().unwrap();
                log.reserve(200).unwrap();
            }
        }
    }
}

#[test]
fn a_folder_that_cannot_be_measured_refuses_writes_until_it_can() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    log.sync(log.append(1, &payload(1))).unwrap();
    disk.fail(Fault::Measure, 1, SimDisk::EIO);
    log.maintain().unwrap();
    let error = log.reserve(1);
    // The refusal measured again, and it could be measured.
    error.unwrap();
    disk.rename(Path::new(DIR), Path::new("/elsewhere")).unwrap();
    for _ in 0..3 {
        log.maintain().unwrap();
        log.set_keep_free_bytes(0).unwrap();
        let error = log.reserve(1).unwrap_err();
        assert!(!matches!(error, LogError::Failed { .. }), "{error}");
        // What was appended before goes to the same files all the same.
        let lsn = log.append(2, &payload(log.tail() + 1));
        log.sync(lsn).unwrap();
    }
    assert!(log.failure().is_none());
    disk.rename(Path::new("/elsewhere"), Path::new(DIR)).unwrap();
    log.maintain().unwrap();
    log.reserve(1).unwrap();
    let records = log.tail();
    drop(log);
    verify(&disk, records);
}

#[test]
fn a_rotation_in_a_folder_that_was_moved_away_waits_for_it() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    log.sync(log.append(1, &payload(1))).unwrap();
    disk.rename(Path::new(DIR), Path::new("/elsewhere")).unwrap();
    for lsn in 2..=30 {
        log.append(lsn, &payload(lsn));
    }
    assert!(log.sync(30).is_err() && log.failure().is_none());
    disk.rename(Path::new("/elsewhere"), Path::new(DIR)).unwrap();
    log.sync(30).unwrap();
    drop(log);
    verify(&disk, 30);
}

#[test]
fn a_log_opens_though_its_folder_cannot_be_measured() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    drop(log);
    disk.fail(Fault::Measure, 1, SimDisk::EIO);
    let (log, _) = open(&disk).unwrap();
    log.reserve(1).unwrap();
}

#[test]
fn an_epoch_that_cannot_begin_is_tried_again() {
    for (fault, errno) in [
        (Fault::Create, SimDisk::EMFILE),
        (Fault::Create, SimDisk::EACCES),
        (Fault::Write, SimDisk::ENOSPC),
        (Fault::Rename, SimDisk::EACCES),
    ] {
        let disk = SimDisk::new(3);
        let (log, _) = open(&disk).unwrap();
        drop(log);
        disk.fail(Fault::Create, 1, SimDisk::ENOSPC);
        let (log, _) = open(&disk).unwrap();
        assert!(log.reserve(1).is_err());
        disk.fail(fault, 1, errno);
        log.maintain().unwrap();
        assert!(log.reserve(1).is_err() && log.failure().is_none());
        log.maintain().unwrap();
        log.reserve(1).unwrap();
        log.sync(log.append(1, &payload(1))).unwrap();
        drop(log);
        verify(&disk, 1);
    }
}

#[test]
fn sealed_segments_do_not_stay_open_without_bound() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=1_000 {
        log.write_out(log.append(lsn, &payload(lsn))).unwrap();
        if lsn % 10 == 0 {
            log.maintain().unwrap();
        }
    }
    assert!(log.stats().store.segments > 100);
    assert!(disk.open_files() < 40, "{} files are open", disk.open_files());
    log.write_out(log.tail()).unwrap();
    // Without any upkeep there is a bound too.
    for lsn in 1_001..=3_000 {
        log.write_out(log.append(lsn, &payload(lsn))).unwrap();
    }
    assert!(disk.open_files() < 100, "{} files are open", disk.open_files());
}

#[test]
fn a_log_that_runs_out_of_descriptors_goes_on_when_there_are_some() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    log.write_out(log.append(1, &payload(1))).unwrap();
    disk.set_open_files(Some(disk.open_files()));
    let mut refused = false;
    for lsn in 2..=60 {
        log.append(lsn, &payload(lsn));
        refused |= log.write_out(lsn).is_err();
        log.maintain().unwrap();
    }
    assert!(refused && log.failure().is_none());
    disk.set_open_files(None);
    log.maintain().unwrap();
    log.reserve(1).unwrap();
    log.sync(60).unwrap();
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    assert!(folder.latest().unwrap().checkpoint.is_none());
    drop(log);
    verify(&disk, 60);
}

/// A disk whose log ends in the middle of a record, after the power failed.
fn torn() -> SimDisk {
    let disk = SimDisk::new(5);
    let (log, _) = open(&disk).unwrap();
    log.sync(log.append(1, &payload(1))).unwrap();
    log.write_out(log.append(2, &[7; 200])).unwrap();
    drop(log);
    disk.restart(CrashMode::Process);
    let path = Path::new(DIR).join(segment_name(1));
    let len = disk.read(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    disk.corrupt(&path, len - 20, &[0; 21]).unwrap();
    disk
}

#[test]
fn a_sync_that_fails_while_the_log_is_taken_over_is_final() {
    let mut final_ones = 0;
    for errno in [SimDisk::ENOSPC, SimDisk::EIO] {
        for fault in [Fault::Sync, Fault::SyncDir] {
            for nth in 1..=6 {
                let disk = torn();
                let (log, report) =
                    Log::look(disk.shared(), Clock::manual(0), Path::new(DIR), tiny()).unwrap();
                assert!(report.cut.is_some());
                // The first time there is no room for what is written again.
                disk.fail(Fault::Write, 1, SimDisk::ENOSPC);
                disk.fail(fault, nth, errno);
                let Err(error) = log.take_over().and_then(|()| log.maintain()) else { continue };
                if error.to_string().contains("MANIFEST") {
                    // It is written anew as a whole.
                    continue;
                }
                assert!(error.is_final(), "{fault:?} {nth}: {error}");
                final_ones += 1;
                let before = disk.sync_points();
                assert!(log.take_over().is_err() && log.maintain().is_err());
                assert_eq!(disk.sync_points(), before, "{fault:?} {nth}: a failed sync is not repeated");
                drop(log);
                disk.restart(CrashMode::PowerLost);
                let (log, _) = open(&disk).unwrap();
                assert_eq!(log.tail(), 1);
            }
        }
    }
    assert!(final_ones >= 8, "{final_ones}");
}

#[test]
fn a_folder_whose_creation_was_interrupted_has_a_durable_name_before_anything_is_acknowledged() {
    let dir = Path::new("/one/two/three");
    let opened = |disk: &SimDisk| Log::open(disk.shared(), Clock::manual(0), dir, tiny());
    for point in 1..=12 {
        let disk = SimDisk::new(point);
        disk.crash_at_change(point);
        assert!(opened(&disk).is_err(), "{point}");
        disk.restart(CrashMode::Process);
        let (log, _) = opened(&disk).unwrap();
        log.sync(log.append(1, b"one")).unwrap();
        drop(log);
        disk.restart(CrashMode::PowerLost);
        let (log, _) = opened(&disk).unwrap();
        assert_eq!(log.tail(), 1, "{point}");
    }
}
