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

/// The path of the segment at this place from the end, the first LSN behind it, and the offset behind its last record.
fn sealed(disk: &SimDisk, from_end: usize) -> (std::path::PathBuf, Lsn, usize) {
    let firsts = firsts(disk);
    let index = firsts.len() - 1 - from_end;
    let path = Path::new(DIR).join(segment_name(firsts[index]));
    let end = parse_segment(&disk.read(&path).unwrap()).unwrap().end;
    (path, firsts[index + 1], end as usize)
}

fn flip(disk: &SimDisk, path: &Path, at: usize) {
    let byte = disk.read(path).unwrap()[at];
    disk.corrupt(path, at, &[byte ^ 1]).unwrap();
}

/// A start is refused and says so of this segment, a check agrees, and a repair leaves the log before it.
fn refused_without(disk: &SimDisk, first: Lsn) {
    let error = open(&disk.fork(1)).unwrap_err();
    assert!(matches!(&error, LogError::MissingSegment { after, .. } if *after == first - 1), "{error}");
    let report = check(disk, Path::new(DIR)).unwrap();
    assert!(!report.is_sound() && report.start.is_none(), "{report}");
    assert!(report.to_string().contains(&segment_name(first)), "{report}");
    assert_eq!(report.outlook.as_ref().unwrap().tail, first - 1);
    repair(disk, Path::new(DIR), 5).unwrap();
    assert!(check(disk, Path::new(DIR)).unwrap().is_sound());
    assert_eq!(open(disk).unwrap().1.tail, first - 1);
}

#[test]
fn one_whole_mark_is_enough_to_miss_a_segment() {
    for at in 0..64 {
        let disk = killed(true);
        let (path, _, end) = sealed(&disk, 1);
        flip(&disk, &path, end + at);
        let last = remove_last(&disk);
        refused_without(&disk, last);
    }
}

#[test]
fn a_missing_segment_is_named_beside_other_damage() {
    let disk = killed(true);
    let (path, _, end) = sealed(&disk, 3);
    flip(&disk, &path, end - 1);
    let last = remove_last(&disk);
    let report = check(&disk, Path::new(DIR)).unwrap();
    assert!(report.start.is_none() && report.problems.len() > 1, "{report}");
    assert!(report.to_string().contains(&segment_name(last)), "{report}");
}

#[test]
fn a_repair_that_cuts_a_segment_takes_its_marks_away() {
    for behind in [false, true] {
        let disk = killed(true);
        let (path, next, end) = sealed(&disk, 2);
        // The last record of a segment, or the first one of the next segment with its header.
        if behind {
            let next = Path::new(DIR).join(segment_name(next));
            disk.corrupt(&next, 0, &[0; 200]).unwrap();
        } else {
            flip(&disk, &path, end - 1);
        }
        assert!(check(&disk, Path::new(DIR)).unwrap().start.is_none());
        let done = repair(&disk, Path::new(DIR), 5).unwrap().repair.unwrap();
        assert_eq!(done.tail, if behind { next - 1 } else { next - 2 });
        let bytes = disk.read(&path).unwrap();
        assert_eq!(
            bytes.len() as u64,
            parse_segment(&bytes).unwrap().end,
            "nothing stands behind the records"
        );
        assert!(check(&disk, Path::new(DIR)).unwrap().is_sound());
        assert_eq!(open(&disk).unwrap().1.tail, done.tail);
    }
}

#[test]
fn a_segment_that_a_repair_keeps_keeps_its_marks() {
    for rubbish in [false, true] {
        let disk = killed(true);
        let (path, last, end) = sealed(&disk, 1);
        if rubbish {
            let file = disk.open(&path, Access::ReadWrite).unwrap();
            file.write_at(b"rubbish", end as u64 + 100).unwrap();
            file.fsync().unwrap();
        } else {
            // The header is damaged, so that the segment is written anew.
            flip(&disk, &path, 33);
        }
        let report = check(&disk, Path::new(DIR)).unwrap();
        assert_eq!((report.is_sound(), report.start.is_some()), (false, rubbish), "{report}");
        assert_eq!(repair(&disk, Path::new(DIR), 5).unwrap().repair.unwrap().tail, 30);
        assert!(check(&disk, Path::new(DIR)).unwrap().is_sound());
        assert_eq!(open(&disk.fork(1)).unwrap().1.tail, 30);
        remove_last(&disk);
        refused_without(&disk, last);
    }
}
