//! `check` and `repair`.

use super::*;
use crate::env::{CrashMode, Disk};
use crate::log::check::{check, repair};
use crate::log::checkpoint::{CheckpointWriter, Checkpoints};

/// A log with two checkpoints, records before, between and after them, killed.
fn folder() -> SimDisk {
    let disk = SimDisk::new(5);
    let (log, _) = open(&disk).unwrap();
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    let append = |count: u64| {
        for _ in 0..count {
            let lsn = log.tail() + 1;
            log.append(lsn, &payload(lsn));
            log.sync(lsn).unwrap();
        }
    };
    append(9);
    for _ in 0..2 {
        let start = log.tail();
        let mut writer = CheckpointWriter::new(&folder, start, 0, b"prologue").unwrap();
        writer.chunk(0, start, b"shard 0").unwrap();
        append(2);
        writer.chunk(1, log.tail(), b"shard 1, read later").unwrap();
        append(7);
        writer.finish(&log).unwrap();
    }
    append(8);
    disk.restart(CrashMode::Process);
    disk
}

fn files(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let entries = disk.list(Path::new(DIR)).unwrap().into_iter().filter(|entry| !entry.is_dir);
    entries
        .filter(|entry| entry.name != "LOCK")
        .map(|entry| (entry.name.clone(), disk.read(&Path::new(DIR).join(&entry.name)).unwrap()))
        .collect()
}

/// Opens the log and reads what a start would read: checkpoint and log. Returns checkpoint start and tail.
fn start(disk: &SimDisk) -> Result<(Lsn, Lsn), LogError> {
    let (log, _) = open(disk)?;
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    let mut from = 1;
    while let Some(checkpoint) = folder.latest()?.checkpoint {
        if checkpoint.verify(1).is_ok() {
            from = checkpoint.info().start_lsn + 1;
            break;
        }
        folder.mark_damaged(checkpoint.info());
    }
    for (lsn, ms, bytes) in read_all(&log, from)? {
        if bytes != b"after" {
            assert_eq!((ms, bytes), (lsn, payload(lsn)));
        }
    }
    let tail = log.tail();
    let next = log.append(0, b"after");
    assert_eq!(next, tail + 1);
    log.sync(next)?;
    assert_eq!(read_all(&log, next)?.len(), 1);
    Ok((from - 1, tail))
}

#[test]
fn a_sound_folder_is_reported_and_not_changed() {
    let disk = folder();
    let before = files(&disk);
    let report = check(&disk, Path::new(DIR)).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.checkpoints.len(), report.segments.last().unwrap().last), (2, 35));
    let text = report.to_string();
    assert!(text.contains("no damage was found") && text.contains("LSN 18 to 20"), "{text}");
    let report = repair(&disk, Path::new(DIR), 7).unwrap();
    assert_eq!(report.repair.unwrap().actions, ["nothing to do"]);
    assert_eq!(files(&disk), before);
    let (log, _) = open(&disk).unwrap();
    assert!(matches!(check(&disk, Path::new(DIR)), Err(LogError::Locked { .. })));
    drop(log);
    assert!(check(&disk, Path::new("/nowhere")).is_err());
}

#[test]
fn any_flipped_byte_is_found_and_repaired_with_a_copy() {
    let whole = folder();
    let newest =
        files(&whole).iter().filter(|(name, _)| name.ends_with(".ckpt")).map(|f| f.0.clone()).max().unwrap();
    let mut outcomes = std::collections::BTreeMap::new();
    for (name, bytes) in files(&whole) {
        for at in (0..bytes.len()).step_by(3) {
            let disk = whole.fork(at as u64);
            disk.corrupt(&Path::new(DIR).join(&name), at, &[bytes[at] ^ 0x40]).unwrap();
            let before = files(&disk);
            let report = check(&disk, Path::new(DIR)).unwrap();
            assert_eq!(files(&disk), before, "a check changes nothing");
            let parsed = parse_segment(&bytes).map_or(u64::MAX, |summary| summary.end);
            if report.is_sound() {
                // A torn end, or room behind the last record of an older segment.
                let last = report.segments.last().unwrap();
                assert!(name.starts_with("segment-"));
                assert!(!report.notes.is_empty() || at as u64 >= parsed, "{name} {at}\n{report}");
                assert!(last.last >= 34);
                assert!(start(&disk).unwrap().1 >= 34);
                continue;
            }
            assert!(
                report.problems.iter().any(|problem| problem.file.contains(&name)),
                "{name} {at}\n{report}"
            );
            let report = match repair(&disk, Path::new(DIR), 7) {
                Ok(report) => report,
                Err(LogError::UnknownVersion { .. } | LogError::Foreign { .. }) => {
                    assert_eq!(files(&disk), before);
                    continue;
                }
                Err(other) => panic!("{name} {at}: {other}"),
            };
            let done = report.repair.clone().unwrap();
            for copy in &done.copies {
                let kept = disk.read(&Path::new(&done.folder).join(copy)).unwrap();
                assert_eq!(before.iter().find(|file| file.0 == *copy).unwrap().1, kept);
            }
            for (lost, _) in before.iter().filter(|file| !files(&disk).contains(file)) {
                assert!(done.copies.contains(lost), "{lost} was changed without a copy\n{report}");
            }
            let again = check(&disk, Path::new(DIR)).unwrap();
            assert!(again.is_sound(), "{name} {at}\n{report}\n{again}");
            let (from, tail) =
                start(&disk).unwrap_or_else(|error| panic!("{name} {at}: {error}\n{report}\n{again}"));
            // The newest checkpoint shows records up to LSN 20, so a log that ends before cannot use it.
            assert_eq!(from == 18, name != newest && tail >= 20, "{name} {at}");
            assert_eq!(done.tail, tail);
            *outcomes.entry((name.clone(), from, tail)).or_insert(0) += 1;
        }
    }
    // Damage before the newest checkpoint costs nothing.
    let segments: Vec<_> = outcomes.keys().filter(|(name, ..)| name.starts_with("segment-")).collect();
    assert_eq!((segments[0].1, segments[0].2), (18, 35), "{outcomes:?}");
    assert!(segments.iter().any(|(_, _, tail)| (20..34).contains(tail)), "{outcomes:?}");
    assert!(segments.iter().any(|(_, from, tail)| (*from, *tail) == (9, 19)), "{outcomes:?}");
}

#[test]
fn missing_files_are_found_and_repaired() {
    let whole = folder();
    for (name, _) in files(&whole) {
        let disk = whole.fork(1);
        disk.remove_file(&Path::new(DIR).join(&name)).unwrap();
        let report = check(&disk, Path::new(DIR)).unwrap();
        if name.ends_with(".ckpt") {
            assert!(report.is_sound(), "{report}");
        } else if report.is_sound() {
            // The missing segment is the last one, and nothing shows that it existed.
            assert_eq!(name, files(&whole).iter().rfind(|f| f.0.ends_with(".log")).unwrap().0);
        } else {
            repair(&disk, Path::new(DIR), 7).unwrap();
            assert!(check(&disk, Path::new(DIR)).unwrap().is_sound());
        }
        start(&disk).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn without_a_beginning_nothing_can_be_repaired() {
    let disk = folder();
    for (name, _) in files(&disk) {
        if name.ends_with(".ckpt") {
            disk.remove_file(&Path::new(DIR).join(&name)).unwrap();
        }
    }
    let report = check(&disk, Path::new(DIR)).unwrap();
    assert!(report.problems[0].what.contains("no sound checkpoint reaches"), "{report}");
    let error = repair(&disk, Path::new(DIR), 7).unwrap_err();
    assert!(error.to_string().contains("restore the folder from a backup"), "{error}");
    let empty = SimDisk::new(1);
    empty.create_dir_all(Path::new(DIR)).unwrap();
    assert!(check(&empty, Path::new(DIR)).unwrap().to_string().contains("no log was found"));
}

#[test]
fn a_torn_end_is_a_note() {
    let disk = folder();
    let (name, bytes) = files(&disk).into_iter().rfind(|file| file.0.starts_with("segment-")).unwrap();
    let end = parse_segment(&bytes).unwrap().end as usize;
    disk.corrupt(&Path::new(DIR).join(name), end - 1, &[bytes[end - 1] ^ 1]).unwrap();
    let report = check(&disk, Path::new(DIR)).unwrap();
    assert!(report.is_sound() && report.notes[0].contains("torn end"), "{report}");
    assert_eq!(start(&disk).unwrap(), (18, 34));
}

/// A folder with the checkpoints and records that `steps` say: a number appends so many records, 0 writes a checkpoint
/// while nothing else happens.
fn grown(options: LogOptions, steps: &[u64]) -> SimDisk {
    let disk = SimDisk::new(5);
    let (log, _) = Log::open(disk.shared(), Clock::manual(1_000), Path::new(DIR), options).unwrap();
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    for step in steps {
        for _ in 0..*step {
            let lsn = log.tail() + 1;
            log.append(lsn, &payload(lsn));
            log.sync(lsn).unwrap();
        }
        if *step == 0 {
            let mut writer = CheckpointWriter::new(&folder, log.tail(), 0, b"prologue").unwrap();
            writer.chunk(0, log.tail(), b"all").unwrap();
            writer.finish(&log).unwrap();
        }
    }
    drop(log);
    disk.restart(CrashMode::Process);
    disk
}

/// The segment that holds the record with this LSN, and the offset of its frame.
fn place_of(disk: &SimDisk, lsn: Lsn) -> (std::path::PathBuf, usize) {
    let names = files(disk).into_iter().map(|(name, _)| name);
    let first =
        names.filter_map(|name| crate::log::segment::segment_first(&name)).rfind(|first| *first <= lsn);
    let first = first.unwrap();
    let before: usize = (first..lsn).map(|lsn| 32 + payload(lsn).len()).sum();
    (Path::new(DIR).join(crate::log::segment::segment_name(first)), 96 + before)
}

fn flip(disk: &SimDisk, path: &Path, at: usize) {
    let byte = disk.read(path).unwrap()[at];
    disk.corrupt(path, at, &[byte ^ 1]).unwrap();
}

#[test]
fn damage_that_checkpoints_cover_costs_no_record() {
    for options in [tiny(), LogOptions { secure_bytes: 0, ..LogOptions::default() }] {
        let whole = grown(options, &[28, 0, 0, 60]);
        let (path, record) = place_of(&whole, 28);
        for at in [0, 9, 20, 90, record, record + 28, record + 31, record + 33] {
            let disk = whole.fork(1);
            flip(&disk, &path, at);
            let report = check(&disk, Path::new(DIR)).unwrap();
            assert!(!report.is_sound() && report.start == Some(88), "{at}: {report}");
            // A start goes on as it is.
            assert_eq!(start(&disk.fork(1)).unwrap(), (28, 88));
            let report = repair(&disk, Path::new(DIR), 7).unwrap();
            let done = report.repair.as_ref().unwrap();
            assert_eq!((done.tail, done.lost.records), (88, 0), "{report}");
            assert!(report.to_string().contains("0 valid records were dropped"), "{report}");
            assert!(check(&disk, Path::new(DIR)).unwrap().is_sound());
            assert_eq!(start(&disk).unwrap(), (28, 88));
        }
    }
}

#[test]
fn a_damaged_header_costs_no_record_whose_bytes_are_whole() {
    let disk = grown(tiny(), &[40]);
    let (path, _) = place_of(&disk, 20);
    flip(&disk, &path, 33);
    assert!(start(&disk.fork(1)).is_err());
    let report = repair(&disk, Path::new(DIR), 7).unwrap();
    assert_eq!(report.repair.as_ref().unwrap().tail, 40, "{report}");
    assert_eq!(start(&disk).unwrap(), (0, 40));
}

#[test]
fn what_a_repair_drops_is_counted_and_named() {
    let disk = grown(tiny(), &[10, 0, 50]);
    let (path, at) = place_of(&disk, 21);
    flip(&disk, &path, at + 33);
    let report = check(&disk, Path::new(DIR)).unwrap();
    let text = report.to_string();
    assert!(text.contains("a start would be refused"), "{text}");
    assert!(
        text.contains("keep everything up to LSN 20")
            && text.contains("39 valid records between LSN 22 and 60")
    );
    let report = repair(&disk, Path::new(DIR), 7).unwrap();
    let done = report.repair.unwrap();
    assert_eq!((done.tail, done.lost.records, done.lost.first, done.lost.last), (20, 39, 22, 60));
    assert_eq!(start(&disk).unwrap(), (10, 20));
}

#[test]
fn a_checkpoint_without_the_log_that_it_needs_is_not_kept() {
    // The newest checkpoint has parts of LSN 18 to 20, the older one of 9 to 11.
    let disk = folder();
    let (path, at) = place_of(&disk, 19);
    flip(&disk, &path, at + 33);
    let report = repair(&disk, Path::new(DIR), 7).unwrap();
    assert!(
        report.to_string().contains("it shows records up to LSN 20, and the log ends before"),
        "{report}"
    );
    assert_eq!(start(&disk).unwrap(), (9, 18));
    // Without an older checkpoint no state can be rebuilt.
    let disk = folder();
    flip(&disk, &path, at + 33);
    for (name, _) in files(&disk).iter().filter(|(name, _)| name.starts_with("checkpoint-0000000001")) {
        disk.remove_file(&Path::new(DIR).join(name)).unwrap();
    }
    let before = files(&disk);
    let error = repair(&disk, Path::new(DIR), 7).unwrap_err();
    assert!(error.to_string().contains("read between LSN 18 and 20"), "{error}");
    assert_eq!(files(&disk), before);
}

/// A folder that holds the checkpoints of another one alone.
fn checkpoints_of(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new(6);
    copy.create_dir_all(Path::new(DIR)).unwrap();
    for (name, bytes) in files(disk).into_iter().filter(|(name, _)| name.ends_with(".ckpt")) {
        let file = copy.create(&Path::new(DIR).join(name)).unwrap();
        file.write_at(&bytes, 0).unwrap();
        file.fsync().unwrap();
    }
    copy.fsync_dir(Path::new("/")).unwrap();
    copy.fsync_dir(Path::new(DIR)).unwrap();
    copy
}

#[test]
fn a_folder_of_checkpoints_alone_is_a_backup() {
    let origin = folder();
    let id = check(&origin, Path::new(DIR)).unwrap().log_id;
    let disk = checkpoints_of(&origin);
    let before = files(&disk);
    let report = check(&disk, Path::new(DIR)).unwrap();
    assert!(report.is_sound() && report.notes[0].contains("checkpoints without a log"), "{report}");
    assert!(report.notes[0].contains("between LSN 18 and 20"), "{report}");
    // Looking changes nothing.
    let (log, opened) = Log::look(disk.shared(), Clock::manual(0), Path::new(DIR), tiny()).unwrap();
    assert_eq!((Some(log.log_id()), opened.tail, opened.first), (id, 20, 19));
    drop(log);
    assert_eq!(files(&disk), before);
    assert_eq!(start(&disk).unwrap(), (18, 20));
    disk.restart(CrashMode::Process);
    assert!(check(&disk, Path::new(DIR)).unwrap().is_sound());
    assert_eq!(start(&disk).unwrap(), (18, 21));
    // The next start needs the checkpoint that the log began with.
    let newest = before.last().unwrap().0.clone();
    flip(&disk, &Path::new(DIR).join(newest), 100);
    assert!(start(&disk).is_err());
}

#[test]
fn an_interrupted_beginning_from_checkpoints_is_begun_again() {
    let whole = checkpoints_of(&folder());
    let points = whole.changes();
    for n in 1..=12 {
        let disk = whole.fork(n);
        disk.crash_at_change(points + n);
        let _ = open(&disk);
        for mode in [CrashMode::Process, CrashMode::PowerLost] {
            let twin = disk.fork(n);
            twin.restart(mode);
            assert_eq!(start(&twin).unwrap(), (18, 20), "{n} {mode:?}");
        }
    }
}

#[test]
fn a_damaged_newest_checkpoint_of_a_backup_is_passed_over() {
    let disk = checkpoints_of(&folder());
    let newest = files(&disk).pop().unwrap().0;
    // A flipped byte in a chunk: the end is still sound, so no LSN up to its last one is given again.
    flip(&disk, &Path::new(DIR).join(newest), 110);
    let report = check(&disk, Path::new(DIR)).unwrap();
    assert!(!report.is_sound(), "{report}");
    assert_eq!(start(&disk).unwrap(), (9, 20));
    assert_eq!(start(&disk).unwrap(), (9, 21));
}

#[test]
fn checkpoints_of_two_logs_are_no_backup() {
    let disk = checkpoints_of(&folder());
    let other = files(&checkpoints_of(&grown(tiny(), &[5, 0])));
    let path = Path::new(DIR).join("checkpoint-0000000009-00000000000000000005.ckpt");
    disk.create(&path).unwrap().write_at(&other[0].1, 0).unwrap();
    let before = files(&disk);
    assert!(matches!(open(&disk), Err(LogError::Foreign { .. })));
    assert_eq!(files(&disk), before);
    assert!(!check(&disk, Path::new(DIR)).unwrap().is_sound());
}

#[test]
fn a_repair_that_finds_no_room_leaves_nothing_behind() {
    let whole = folder();
    let (path, at) = place_of(&whole, 30);
    flip(&whole, &path, at + 33);
    let before = files(&whole);
    let mut refused = 0;
    for room in (0..4000).step_by(50) {
        let disk = whole.fork(room);
        disk.set_capacity(Some(disk.used() + room));
        match repair(&disk, Path::new(DIR), 7) {
            Ok(_) => assert!(check(&disk, Path::new(DIR)).unwrap().is_sound()),
            Err(error) => {
                assert!(matches!(error, LogError::Io { full: true, .. }), "{error}");
                assert_eq!(files(&disk), before);
                assert!(!disk.exists(&Path::new(DIR).join("damaged-7")));
                refused += 1;
            }
        }
    }
    assert!(refused > 5);
}
