//! A last segment that is missing is noticed, and one that a power cut may have taken is not.

use super::*;
use crate::env::{Access, CrashMode, Disk};
use crate::log::check::{check, repair};
use crate::log::segment::segment_name;

/// The first LSNs of the segments there are.
fn firsts(disk: &SimDisk) -> Vec<Lsn> {
    let entries = disk.list(Path::new(DIR)).unwrap();
    entries.iter().filter_map(|entry| crate::log::segment::segment_first(&entry.name)).collect()
}

fn remove_last(disk: &SimDisk) -> Lsn {
    let first = firsts(disk).pop().unwrap();
    disk.remove_file(&Path::new(DIR).join(segment_name(first))).unwrap();
    first
}

/// A log of several segments, written and perhaps synced, whose process was killed.
fn killed(synced: bool) -> SimDisk {
    let disk = SimDisk::new(9);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=30 {
        log.append(lsn, &payload(lsn));
        if synced { log.sync(lsn) } else { log.write_out(lsn) }.unwrap();
    }
    disk.restart(CrashMode::Process);
    disk
}

#[test]
fn a_missing_last_segment_is_refused_at_every_level() {
    for synced in [false, true] {
        let disk = killed(synced);
        if synced {
            disk.restart(CrashMode::PowerLost);
        }
        let last = remove_last(&disk);
        let error = open(&disk).unwrap_err();
        assert!(matches!(&error, LogError::MissingSegment { after, .. } if *after == last - 1), "{error}");
        assert!(error.to_string().contains(&segment_name(last)), "{error}");
        let report = check(&disk, Path::new(DIR)).unwrap();
        assert!(report.to_string().contains(&segment_name(last)), "{report}");
        repair(&disk, Path::new(DIR), 5).unwrap();
        assert!(check(&disk, Path::new(DIR)).unwrap().is_sound());
        let (log, _) = open(&disk).unwrap();
        assert_eq!(log.tail(), last - 1);
        assert_eq!(read_all(&log, 1).unwrap().len() as u64, last - 1);
        for lsn in last..=40 {
            log.sync(log.append(lsn, &payload(lsn))).unwrap();
        }
        drop(log);
        disk.restart(CrashMode::PowerLost);
        assert_eq!(read_all(&open(&disk).unwrap().0, 1).unwrap().len(), 40);
    }
}

#[test]
fn several_missing_segments_are_refused() {
    let disk = killed(true);
    for _ in 0..3 {
        remove_last(&disk);
        assert!(matches!(open(&disk).unwrap_err(), LogError::MissingSegment { .. }));
    }
}

#[test]
fn a_last_segment_that_a_power_cut_took_is_cut_off() {
    let disk = SimDisk::new(9);
    let (log, _) = open(&disk).unwrap();
    while firsts(&disk).len() < 4 {
        let lsn = log.tail() + 1;
        log.sync(log.append(lsn, &payload(lsn))).unwrap();
    }
    let durable = log.tail();
    while firsts(&disk).len() < 5 {
        let lsn = log.tail() + 1;
        log.write_out(log.append(lsn, &payload(lsn))).unwrap();
    }
    // The power fails when the system has written the fourth segment by itself, and not the fifth one's name.
    let before = firsts(&disk);
    let fourth = disk.open(&Path::new(DIR).join(segment_name(before[3])), Access::Read).unwrap();
    fourth.fdatasync().unwrap();
    drop(log);
    disk.restart(CrashMode::PowerLost);
    assert_eq!(firsts(&disk), before[..4]);
    let report = check(&disk, Path::new(DIR)).unwrap();
    assert!(report.is_sound() && report.notes.len() == 1, "{report}");
    let (log, report) = open(&disk).unwrap();
    let cut = report.cut.unwrap();
    assert_eq!((cut.lsn, cut.records, log.tail()), (before[4], 0, before[4] - 1));
    assert!(log.tail() >= durable);
    drop(log);
    let (log, report) = open(&disk).unwrap();
    assert_eq!((report.cut, log.tail()), (None, before[4] - 1));
}

#[test]
fn a_process_that_is_killed_anywhere_leaves_a_log_whose_last_segment_is_known() {
    let created = |seed| {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(Path::new(DIR)).unwrap();
        disk.fsync_dir(Path::new("/")).unwrap();
        disk
    };
    let workload = |disk: &SimDisk| -> Result<(), LogError> {
        let (log, _) = open(disk)?;
        for lsn in 1..=20 {
            log.append(lsn, &payload(lsn));
            if lsn % 3 == 0 { log.sync(lsn) } else { log.write_out(lsn) }?;
            log.maintain()?;
        }
        Ok(())
    };
    let whole = created(1);
    let before = whole.changes();
    workload(&whole).unwrap();
    for n in before + 1..=whole.changes() {
        for mode in [CrashMode::Process, CrashMode::PowerLost, CrashMode::PowerTorn] {
            let disk = created(n);
            disk.crash_at_change(n);
            workload(&disk).unwrap_err();
            disk.restart(mode);
            // One start puts in order what was interrupted; then the machine goes on.
            let Ok((log, _)) = open(&disk) else { panic!("{n} {mode:?}: refused") };
            let tail = log.tail();
            log.sync(log.append(tail + 1, &payload(tail + 1))).unwrap();
            drop(log);
            disk.restart(CrashMode::PowerLost);
            if firsts(&disk).len() > 1 {
                remove_last(&disk);
                let opened = open(&disk).map(|(_, report)| report);
                assert!(matches!(opened, Err(LogError::MissingSegment { .. })), "{n} {mode:?}: {opened:?}");
            }
        }
    }
}

#[test]
fn marks_that_a_power_cut_tears_lose_no_record() {
    for at in 0..64u64 {
        let disk = killed(true);
        let segments = firsts(&disk);
        let path = Path::new(DIR).join(segment_name(segments[segments.len() - 2]));
        let end = parse_segment(&disk.read(&path).unwrap()).unwrap().end;
        let byte = disk.read(&path).unwrap()[(end + at) as usize];
        disk.corrupt(&path, (end + at) as usize, &[byte ^ 0xff]).unwrap();
        assert!(check(&disk, Path::new(DIR)).unwrap().is_sound());
        let (log, report) = open(&disk).unwrap();
        assert_eq!((log.tail(), report.cut), (30, None));
        assert_eq!(read_all(&log, 1).unwrap().len(), 30);
        drop(log);
        remove_last(&disk);
        assert!(open(&disk).is_err(), "the start wrote the marks again");
    }
}
