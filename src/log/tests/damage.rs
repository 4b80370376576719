//! Torn ends of every length, a flipped byte at every offset, missing files, foreign bytes.

use super::*;
use crate::env::{Access, CrashMode, Disk};
use crate::log::segment::{SEGMENT_HEADER, segment_name};

/// A log of records that were synced one by one, killed; it has several segments.
fn killed(records: u64) -> SimDisk {
    let disk = SimDisk::new(9);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=records {
        log.append(lsn, &payload(lsn));
        log.sync(lsn).unwrap();
    }
    disk.restart(CrashMode::Process);
    disk
}

fn segments(disk: &SimDisk) -> Vec<(std::path::PathBuf, u64)> {
    let entries = disk.list(Path::new(DIR)).unwrap();
    let logs = entries.into_iter().filter(|entry| entry.name.ends_with(".log"));
    logs.map(|entry| (Path::new(DIR).join(entry.name), entry.len)).collect()
}

/// The offset behind the last record of a segment, and its last LSN.
fn end_of(disk: &SimDisk, path: &Path) -> (u64, Lsn) {
    let summary = parse_segment(&disk.read(path).unwrap()).unwrap();
    (summary.end, summary.last)
}

#[test]
fn a_torn_end_of_every_length_is_cut_and_reported() {
    let whole = killed(20);
    let (last, _) = segments(&whole).pop().unwrap();
    let (end, tail) = end_of(&whole, &last);
    let bytes = whole.read(&last).unwrap();
    for mode in [CrashMode::Process, CrashMode::PowerLost] {
        for zeros in [false, true] {
            for len in 0..end {
                let disk = whole.fork(len);
                let file = disk.open(&last, Access::ReadWrite).unwrap();
                file.set_len(len).unwrap();
                if zeros {
                    file.set_len(bytes.len() as u64).unwrap();
                }
                file.fsync().unwrap();
                disk.restart(mode);
                let torn = disk.read(&last).unwrap();
                if parse_segment(&torn).is_err() {
                    // The marks of the segment before say that this one had been whole.
                    assert!(matches!(open(&disk).unwrap_err(), LogError::Corrupt { offset: 0, .. }));
                    continue;
                }
                let (log, report) = open(&disk).unwrap();
                if let Ok(summary) = parse_segment(&torn) {
                    assert_eq!(log.tail(), summary.last);
                    // A cut between two records leaves nothing to see.
                    let left = &torn[summary.end as usize..];
                    assert_eq!(report.cut.is_some(), left.iter().any(|byte| *byte != 0));
                    if let Some(cut) = report.cut {
                        assert_eq!((cut.lsn, cut.offset), (summary.last + 1, summary.end));
                        assert_eq!((cut.file.as_str(), cut.records), (last.to_str().unwrap(), 0));
                    }
                } else {
                    assert_eq!(log.tail(), report.cut.unwrap().lsn - 1);
                }
                let all = read_all(&log, 1).unwrap();
                assert_eq!(all.len() as u64, log.tail());
                assert!(log.tail() < tail);
                // The log goes on where it was cut and is sound.
                let next = log.tail() + 1;
                log.append(next, &payload(next));
                log.sync(next).unwrap();
                drop(log);
                let (log, report) = open(&disk).unwrap();
                assert_eq!((log.tail(), report.cut), (next, None));
            }
        }
    }
}

/// What a start with damage may do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Refused,
    /// Opened, and a read of all records names the damage.
    RefusedByReader,
    CutLastRecord,
    CutNothing,
    Unnoticed,
}

fn outcome(disk: &SimDisk, tail: Lsn, path: &Path, at: u64) -> Outcome {
    let name = path.to_str().unwrap();
    let (log, report) = match open(disk) {
        Ok(opened) => opened,
        Err(LogError::Corrupt { file, offset, .. }) => {
            assert!(offset <= at, "the damage is at {at}, offset {offset} was named");
            assert_eq!(file, name);
            return Outcome::Refused;
        }
        Err(LogError::UnknownVersion { file, .. } | LogError::Foreign { file, .. }) => {
            assert_eq!(file, name);
            return Outcome::Refused;
        }
        Err(other) => panic!("{other}"),
    };
    match (report.cut, read_all(&log, 1)) {
        (None, Err(LogError::Corrupt { file, offset, .. })) => {
            assert!(file == name && offset <= at, "{file} {offset}, damage in {name} at {at}");
            Outcome::RefusedByReader
        }
        (Some(_), Ok(all)) if all.len() as u64 == tail => Outcome::CutNothing,
        (Some(cut), Ok(all)) if all.len() as u64 == tail - 1 && cut.lsn == tail => Outcome::CutLastRecord,
        (None, Ok(all)) if all.len() as u64 == tail => Outcome::Unnoticed,
        other => panic!("{other:?} with damage in {name} at {at}"),
    }
}

#[test]
fn a_flipped_byte_anywhere_is_noticed() {
    let whole = killed(16);
    let tail = 16;
    let files = segments(&whole);
    let (last, _) = files.last().unwrap();
    let (last_end, _) = end_of(&whole, last);
    let last_record = last_end - 32 - payload(tail).len() as u64;
    for mode in [CrashMode::Process, CrashMode::PowerLost] {
        for (path, len) in &files {
            let bytes = whole.read(path).unwrap();
            let (end, _) = end_of(&whole, path);
            for at in 0..*len {
                for flip in [1u8, 0x80, 0xff] {
                    let disk = whole.fork(at);
                    disk.restart(mode);
                    disk.corrupt(path, at as usize, &[bytes[at as usize] ^ flip]).unwrap();
                    let found = outcome(&disk, tail, path, at);
                    let may = match at {
                        at if path == last && at >= last_end => [Outcome::CutNothing].to_vec(),
                        at if path == last && at >= last_record => [Outcome::CutLastRecord].to_vec(),
                        // Room behind the last record of an older segment is never read as anything.
                        at if at >= end => {
                            [Outcome::Unnoticed, Outcome::RefusedByReader, Outcome::Refused].to_vec()
                        }
                        _ => [Outcome::Refused, Outcome::RefusedByReader].to_vec(),
                    };
                    assert!(may.contains(&found), "{found:?} at {at} of {}, {mode:?}", path.display());
                }
            }
        }
    }
}

#[test]
fn after_an_orderly_close_even_the_last_record_is_refused() {
    let disk = SimDisk::new(9);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=5 {
        log.append(lsn, &payload(lsn));
    }
    log.close().unwrap();
    drop(log);
    let (path, _) = segments(&disk).pop().unwrap();
    let (end, tail) = end_of(&disk, &path);
    assert_eq!(tail, 5);
    disk.corrupt(&path, end as usize - 1, b"!").unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, LogError::Corrupt { file, .. } if *file == path.display().to_string()));
    assert!(error.to_string().contains("itemory check"), "{error}");
    // Nothing was changed by the refusal.
    assert_eq!(open(&disk).unwrap_err(), error);
}

#[test]
fn damage_in_a_batch_depends_on_whether_the_power_failed() {
    let disk = SimDisk::new(9);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=5 {
        log.append(lsn, b"0123456789");
    }
    log.sync(5).unwrap();
    let path = Path::new(DIR).join(segment_name(1));
    disk.restart(CrashMode::Process);
    let flipped = disk.fork(1);
    flipped.corrupt(&path, SEGMENT_HEADER + 2 * 42 + 35, b"!").unwrap();
    disk.corrupt(&path, SEGMENT_HEADER + 2 * 42, &[0; 40]).unwrap();
    for disk in [&disk, &flipped] {
        let error = open(disk).unwrap_err();
        assert!(error.to_string().contains("2 valid records follow"), "{error}");
        assert!(matches!(error, LogError::Corrupt { offset: 180, .. }));
    }
    // A power cut leaves bytes unwritten. A single changed byte was written.
    flipped.restart(CrashMode::PowerLost);
    let error = open(&flipped).unwrap_err();
    assert!(error.to_string().contains("bytes have changed"), "{error}");
    disk.restart(CrashMode::PowerLost);
    let (log, report) = open(&disk).unwrap();
    let cut = report.cut.unwrap();
    assert_eq!((cut.lsn, cut.records, cut.bytes, cut.offset), (3, 2, 3 * 42, 180));
    assert_eq!(log.tail(), 2);
    assert_eq!(log.append(9, b"new"), 3);
    log.sync(3).unwrap();
    disk.restart(CrashMode::PowerLost);
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.cut, None);
    assert_eq!(read_all(&log, 3).unwrap(), [(3, 9, b"new".to_vec())]);
}

#[test]
fn a_missing_segment_is_refused() {
    let whole = killed(20);
    let files = segments(&whole);
    assert!(files.len() >= 4);
    for (index, (path, _)) in files.iter().enumerate() {
        let disk = whole.fork(1);
        disk.remove_file(path).unwrap();
        let error = open(&disk).unwrap_err();
        assert!(matches!(error, LogError::MissingSegment { .. }), "{index}: {error}");
    }
    let disk = whole.fork(1);
    for (path, _) in &files {
        disk.remove_file(path).unwrap();
    }
    assert!(matches!(open(&disk).unwrap_err(), LogError::MissingSegment { .. }));
}

#[test]
fn a_missing_or_damaged_manifest_is_refused() {
    let whole = killed(3);
    let path = Path::new(DIR).join("MANIFEST");
    let bytes = whole.read(&path).unwrap();
    for (at, byte) in bytes.iter().enumerate() {
        let disk = whole.fork(1);
        disk.corrupt(&path, at, &[byte ^ 1]).unwrap();
        let error = open(&disk).unwrap_err();
        assert!(error.to_string().contains("MANIFEST"), "{error}");
    }
    whole.remove_file(&path).unwrap();
    assert!(open(&whole).unwrap_err().to_string().contains("MANIFEST"));
}

#[test]
fn another_logs_segment_is_refused() {
    let (one, two) = (killed(20), killed(20));
    let (path, _) = segments(&one).swap_remove(1);
    let bytes = two.read(&path).unwrap();
    one.corrupt(&path, 0, &bytes[..one.read(&path).unwrap().len()]).unwrap();
    assert!(matches!(open(&one).unwrap_err(), LogError::Foreign { .. }));
}

#[test]
fn reused_bytes_never_parse() {
    // The bytes of other logs, and older bytes of the same log, stand behind the last record.
    let (disk, other) = (killed(6), killed(6));
    let (path, _) = segments(&disk).pop().unwrap();
    let (end, tail) = end_of(&disk, &path);
    for source in [&other, &disk] {
        for (stale, _) in segments(source) {
            let bytes = source.read(&stale).unwrap();
            for begin in (0..bytes.len()).step_by(7).chain([SEGMENT_HEADER]) {
                let twin = disk.fork(1);
                let file = twin.open(&path, Access::ReadWrite).unwrap();
                file.write_at(&bytes[begin..], end).unwrap();
                let summary = parse_segment(&twin.read(&path).unwrap()).unwrap();
                assert_eq!((summary.last, summary.end), (tail, end));
                assert_eq!(open(&twin).unwrap().0.tail(), tail);
            }
        }
    }
}

#[test]
fn parsing_any_bytes_never_panics() {
    let disk = killed(4);
    let (path, _) = segments(&disk).pop().unwrap();
    let bytes = disk.read(&path).unwrap();
    let mut random = crate::env::Random::seeded(4);
    for _ in 0..20_000 {
        let mut copy = bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(copy.len() as u64) as usize;
            copy[at] = random.next_u64() as u8;
        }
        copy.truncate(random.below(copy.len() as u64 + 1) as usize);
        let _ = parse_segment(&copy);
    }
}

#[test]
fn a_file_named_for_record_0_is_no_segment() {
    let disk = killed(3);
    disk.create(&Path::new(DIR).join("segment-00000000000000000000.log")).unwrap();
    assert_eq!(open(&disk).unwrap().1.tail, 3);
}

/// A log of so many records that were never synced, copied to another file system; `step_ms` lie between two of them.
fn moved(records: u64, step_ms: u64) -> SimDisk {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=records {
        log.append(lsn * step_ms, &payload(lsn));
    }
    log.write_out(records).unwrap();
    elsewhere(&disk)
}

/// A copy of the folder on another file system.
fn elsewhere(disk: &SimDisk) -> SimDisk {
    let copy = SimDisk::new(4);
    copy.create_dir_all(Path::new(DIR)).unwrap();
    for entry in disk.list(Path::new(DIR)).unwrap() {
        let path = Path::new(DIR).join(&entry.name);
        let file = copy.create(&path).unwrap();
        file.write_at(&disk.read(&path).unwrap(), 0).unwrap();
        file.fsync().unwrap();
    }
    copy.fsync_dir(Path::new("/")).unwrap();
    copy.fsync_dir(Path::new(DIR)).unwrap();
    copy.restart(CrashMode::PowerLost);
    copy
}

/// The segment and the offset of the frame with this LSN.
fn frame(disk: &SimDisk, lsn: Lsn) -> (std::path::PathBuf, usize) {
    let (path, _) = segments(disk)
        .into_iter()
        .rfind(|(path, _)| *path <= Path::new(DIR).join(segment_name(lsn)))
        .unwrap();
    let first = parse_segment(&disk.read(&path).unwrap()).unwrap().first;
    (path, SEGMENT_HEADER + (first..lsn).map(|lsn| 32 + payload(lsn).len()).sum::<usize>())
}

#[test]
fn a_flipped_bit_in_the_middle_is_no_torn_tail_though_nothing_was_synced() {
    let whole = moved(200, 1);
    assert_eq!(open(&whole.fork(1)).unwrap().0.tail(), 200);
    for at in [0, 4, 8, 17, 25, 29, 33, 40] {
        let disk = whole.fork(1);
        let (path, begin) = frame(&disk, 50);
        let byte = disk.read(&path).unwrap()[begin + at];
        disk.corrupt(&path, begin + at, &[byte ^ 4]).unwrap();
        let error = open(&disk).unwrap_err().to_string();
        assert!(
            error.contains("LSN 50 is expected") && error.contains("150 valid records follow"),
            "{error}"
        );
        let report = crate::log::check::check(&disk, Path::new(DIR)).unwrap().to_string();
        assert!(
            report.contains("up to LSN 49") && report.contains("150 valid records between LSN 51 and 200")
        );
    }
}

#[test]
fn a_torn_tail_is_not_longer_than_what_the_system_keeps_in_memory() {
    for (step_ms, refused) in [(1, false), (500, false), (2_000, true), (1 << 40, false)] {
        // However far a clock is set ahead between two records, it is one step.
        let records = if step_ms == 1 << 40 { 100 } else { 200 };
        let disk = moved(records, step_ms);
        let (path, begin) = frame(&disk, 50);
        disk.corrupt(&path, begin, &[0; 64]).unwrap();
        match open(&disk) {
            Ok((log, report)) => {
                assert!(!refused);
                assert_eq!(log.tail(), 49);
                let said = report.cut.unwrap().to_string();
                assert!(said.contains("ends after LSN 49") && said.contains("valid records were"), "{said}");
            }
            Err(error) => assert!(refused && error.to_string().contains("s of writes follow"), "{error}"),
        }
    }
}

/// At `appendfsync no` too something may be durable: WAITAOF, a checkpoint, a change of the level.
#[test]
fn zeros_in_the_last_segment_are_cut_only_if_no_record_says_that_what_was_there_is_durable() {
    let mut refused = 0;
    let all = [0, 30, 40, 42, 44, 46, 48, 50, 55, 90, 150];
    for synced in all {
        let disk = SimDisk::new(3);
        let options = LogOptions { segment_bytes: 1 << 20, ..tiny() };
        let (log, _) = Log::open(disk.shared(), Clock::manual(0), Path::new(DIR), options).unwrap();
        for lsn in 1..=200 {
            log.append(lsn, &payload(lsn));
            if lsn == synced {
                log.sync(lsn).unwrap();
            }
        }
        log.write_out(200).unwrap();
        let disk = elsewhere(&disk);
        let (path, begin) = frame(&disk, 50);
        disk.corrupt(&path, begin.next_multiple_of(512) - 512, &[0; 1024]).unwrap();
        let lost = parse_segment(&disk.read(&path).unwrap()).unwrap().last + 1;
        match open(&disk) {
            Ok((log, report)) => {
                assert!(synced < lost, "{synced}: what was durable is cut");
                assert_eq!(log.tail(), lost - 1);
                assert!(report.cut.unwrap().records > 100);
            }
            Err(error) => {
                let said = error.to_string();
                assert!(synced >= lost && said.contains("valid records follow"), "{synced}: {said}");
                assert!(said.contains(&format!("up to LSN {synced} had been durable")), "{synced}: {said}");
                refused += 1;
            }
        }
    }
    assert!((1..all.len()).contains(&refused), "{refused}");
}

#[test]
fn an_older_backups_segments_beside_a_newer_manifest_change_nothing() {
    let disk = SimDisk::new(9);
    let (log, _) = open(&disk).unwrap();
    let fill = |upto: Lsn| {
        while log.tail() < upto {
            let lsn = log.tail() + 1;
            log.append(lsn, &payload(lsn));
            log.sync(lsn).unwrap();
        }
    };
    fill(40);
    let old: Vec<_> =
        segments(&disk).into_iter().map(|(path, _)| (disk.read(&path).unwrap(), path)).collect();
    fill(200);
    log.trim_to(150).unwrap();
    drop(log);
    disk.restart(CrashMode::Process);
    for (path, _) in segments(&disk) {
        disk.remove_file(&path).unwrap();
    }
    for (bytes, path) in &old {
        disk.create(path).unwrap().write_at(bytes, 0).unwrap();
    }
    let before = segments(&disk);
    assert!(open(&disk).is_err());
    assert_eq!(segments(&disk), before);
}

#[test]
fn the_manifest_of_a_new_log_beside_records_removes_none() {
    let whole = killed(20);
    let path = Path::new(DIR).join("MANIFEST");
    let manifest = String::from_utf8_lossy(&whole.read(&path).unwrap()).into_owned();
    let body = manifest[..manifest.rfind("crc ").unwrap()].replace("epoch 1", "epoch 0");
    let text = format!("{body}crc {:08x}\n", crc32fast::hash(body.as_bytes()));
    whole.remove_file(&path).unwrap();
    whole.create(&path).unwrap().write_at(text.as_bytes(), 0).unwrap();
    let before = segments(&whole);
    let error = open(&whole).unwrap_err().to_string();
    assert!(error.contains("that of a new log"), "{error}");
    assert_eq!(segments(&whole), before);
    assert!(!crate::log::check::check(&whole, Path::new(DIR)).unwrap().is_sound());
    crate::log::check::repair(&whole, Path::new(DIR), 7).unwrap();
    assert_eq!(open(&whole).unwrap().0.tail(), 20);
}
