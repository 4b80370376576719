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
    let latest = folder.latest()?;
    let mut from = 1;
    if let Some(checkpoint) = latest.checkpoint {
        checkpoint.verify(1)?;
        from = checkpoint.info().start_lsn + 1;
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
            assert!(from == 18 || name == newest, "only damage in the newest checkpoint costs it");
            *outcomes.entry((name.clone(), from, tail)).or_insert(0) += 1;
        }
    }
    // Damage before the newest checkpoint costs nothing.
    let segments: Vec<_> = outcomes.keys().filter(|(name, ..)| name.starts_with("segment-")).collect();
    assert_eq!((segments[0].1, segments[0].2), (18, 35), "{outcomes:?}");
    assert!(segments.iter().any(|(_, _, tail)| (20..34).contains(tail)), "{outcomes:?}");
    assert!(
        segments.iter().all(|(_, _, tail)| *tail >= 20),
        "no LSN that a checkpoint reflects is given twice"
    );
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
            // Nothing tells that there was a last segment with records that no one witnessed.
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
