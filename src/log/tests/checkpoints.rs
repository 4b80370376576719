//! Checkpoints: order, damage, full disks, what is kept; and the scrub.

use super::*;
use crate::env::{CrashMode, Disk, Fault};
use crate::log::checkpoint::{CheckpointInfo, CheckpointWriter, Checkpoints, ReadError};
use std::collections::BTreeSet;
use std::sync::Mutex;

fn setup() -> (SimDisk, Arc<Log>, Checkpoints) {
    let disk = SimDisk::new(8);
    let (log, _) = open(&disk).unwrap();
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    (disk, log, folder)
}

fn append(log: &Log, count: u64) -> Lsn {
    for _ in 0..count {
        let lsn = log.tail() + 1;
        log.append(lsn, &payload(lsn));
    }
    log.tail()
}

fn write(log: &Log, folder: &Checkpoints, chunks: u32) -> Result<CheckpointInfo, LogError> {
    let start = append(log, 10);
    let mut writer = CheckpointWriter::new(folder, start, 5, b"prologue")?;
    for shard in (0..chunks).rev() {
        writer.chunk(shard, start, &vec![shard as u8; shard as usize * 100])?;
    }
    writer.finish(log)
}

#[test]
fn chunks_come_back_whatever_the_number_of_threads() {
    let (_, log, folder) = setup();
    assert!(folder.latest().unwrap().checkpoint.is_none());
    let info = write(&log, &folder, 50).unwrap();
    let latest = folder.latest().unwrap();
    let checkpoint = latest.checkpoint.unwrap();
    assert_eq!(*checkpoint.info(), info);
    assert_eq!((info.start_lsn, info.last_lsn, info.chunks, info.ms), (10, 10, 50, 5));
    assert_eq!(checkpoint.prologue(), b"prologue");
    for threads in [0, 1, 2, 7, 100] {
        let seen = Mutex::new(BTreeSet::new());
        let read = checkpoint.read(threads, |chunk| {
            assert_eq!((chunk.lsn, chunk.payload.len()), (10, chunk.shard as usize * 100));
            assert!(chunk.payload.iter().all(|byte| u32::from(*byte) == chunk.shard));
            assert!(seen.lock().unwrap().insert(chunk.shard));
            Ok::<(), ()>(())
        });
        assert_eq!(read, Ok(()));
        assert_eq!(seen.into_inner().unwrap().len(), 50);
        let refused = checkpoint.read(threads, |chunk| if chunk.shard == 3 { Err("no") } else { Ok(()) });
        assert_eq!(refused, Err(ReadError::Sink("no")));
    }
}

#[test]
fn the_log_is_durable_up_to_what_chunks_may_show() {
    let (_, log, folder) = setup();
    let start = append(&log, 10);
    log.sync(start).unwrap();
    let mut writer = CheckpointWriter::new(&folder, start, 5, b"").unwrap();
    writer.chunk(0, start, b"read in pieces").unwrap();
    let tail = append(&log, 5);
    writer.reflects(tail);
    assert_eq!(writer.finish(&log).unwrap().last_lsn, tail);
    assert_eq!(log.synced(), tail);
}

#[test]
fn an_empty_checkpoint_and_large_chunks_are_fine() {
    let (_, log, folder) = setup();
    CheckpointWriter::new(&folder, 0, 0, b"").unwrap().finish(&log).unwrap();
    folder.latest().unwrap().checkpoint.unwrap().verify(4).unwrap();
    let mut writer = CheckpointWriter::new(&folder, 0, 0, &vec![7; 2_000_000]).unwrap();
    writer.chunk(1, 0, &vec![1; 3 << 20]).unwrap();
    writer.chunk(2, 0, b"").unwrap();
    writer.chunk(3, 0, &vec![3; 20 << 20]).unwrap();
    let info = writer.finish(&log).unwrap();
    let checkpoint = folder.latest().unwrap().checkpoint.unwrap();
    assert_eq!((checkpoint.info(), checkpoint.prologue().len()), (&info, 2_000_000));
    checkpoint.verify(2).unwrap();
}

#[test]
fn two_are_kept_and_the_log_from_the_older_ones_start() {
    let (disk, log, folder) = setup();
    for round in 1..=4u64 {
        let info = write(&log, &folder, 3).unwrap();
        assert_eq!((info.number, info.start_lsn), (round, round * 10));
        let kept: Vec<u64> = folder.list().unwrap().iter().map(|info| info.number).collect();
        assert_eq!(kept, if round == 1 { vec![1] } else { vec![round - 1, round] });
        let first = log.stats().store.first;
        if round == 1 {
            assert_eq!(first, 1, "as long as there is one checkpoint only, the whole log is kept");
        } else {
            let older = (round - 1) * 10;
            assert!(first <= older + 1 && first + 10 > older, "{first} {older}");
        }
        assert!(log.synced() >= info.last_lsn);
    }
    disk.restart(CrashMode::PowerLost);
    let (log, report) = open(&disk).unwrap();
    assert_eq!(report.tail, 40);
    assert_eq!(read_all(&log, 31).unwrap().len(), 10);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_wherever_the_damage_is() {
    let (disk, log, folder) = setup();
    let older = write(&log, &folder, 4).unwrap();
    let newer = write(&log, &folder, 4).unwrap();
    let path = Path::new(DIR).join(&newer.name);
    let bytes = disk.read(&path).unwrap();
    for (at, byte) in bytes.iter().enumerate() {
        let twin = disk.fork(1);
        twin.corrupt(&path, at, &[byte ^ 4]).unwrap();
        let folder = Checkpoints::new(twin.shared(), Path::new(DIR), log.log_id());
        let mut latest = match folder.latest() {
            Ok(latest) => latest,
            Err(LogError::UnknownVersion { .. } | LogError::Foreign { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        if let Some(checkpoint) = latest.checkpoint.take_if(|found| found.info().number == newer.number) {
            let error = checkpoint.verify(2).unwrap_err();
            assert!(matches!(&error, LogError::Corrupt { file, offset, .. }
                if *file == path.display().to_string() && *offset <= at as u64));
            folder.mark_damaged(checkpoint.info());
            latest = folder.latest().unwrap();
        } else {
            assert_eq!(latest.damaged[0].name, newer.name);
        }
        let checkpoint = latest.checkpoint.unwrap();
        assert_eq!(*checkpoint.info(), older);
        checkpoint.verify(1).unwrap();
    }
    for len in 0..bytes.len() {
        let twin = disk.fork(1);
        twin.open(&path, crate::env::Access::ReadWrite).unwrap().set_len(len as u64).unwrap();
        let folder = Checkpoints::new(twin.shared(), Path::new(DIR), log.log_id());
        let latest = folder.latest().unwrap();
        assert_eq!((latest.damaged.len(), latest.checkpoint.unwrap().info().number), (1, older.number));
    }
}

#[test]
fn damaged_checkpoints_are_not_counted_among_the_kept() {
    let (disk, log, folder) = setup();
    let first = write(&log, &folder, 2).unwrap();
    let second = write(&log, &folder, 2).unwrap();
    let middle = second.bytes as usize - 70;
    disk.corrupt(&Path::new(DIR).join(&second.name), middle, b"????").unwrap();
    // A folder that knows nothing of the damage finds it before it removes anything.
    let twin = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    let report = scrub(&log, &folder, 0, |_| true);
    assert!(report.finished);
    assert!(matches!(&report.damage[..], [LogError::Corrupt { file, .. }] if file.ends_with(&second.name)));
    let third = write(&log, &twin, 2).unwrap();
    let kept: Vec<u64> = folder.list().unwrap().iter().map(|info| info.number).collect();
    assert_eq!(kept, [first.number, third.number]);
    assert!(log.stats().store.first <= first.start_lsn + 1);
}

#[test]
fn a_checkpoint_that_fails_leaves_nothing_behind() {
    for fault in [Fault::Create, Fault::Write, Fault::Sync, Fault::Read, Fault::Rename] {
        let (disk, log, folder) = setup();
        let good = write(&log, &folder, 3).unwrap();
        log.sync(append(&log, 10)).unwrap();
        let start = log.tail();
        disk.fail(fault, 1, SimDisk::ENOSPC);
        let done = CheckpointWriter::new(&folder, start, 5, b"").and_then(|writer| writer.finish(&log));
        assert!(done.is_err(), "{fault:?}");
        assert_eq!(folder.list().unwrap().len(), 1);
        assert!(!disk.list(Path::new(DIR)).unwrap().iter().any(|entry| entry.name.ends_with(".ckpt.tmp")));
        assert_eq!(folder.latest().unwrap().checkpoint.unwrap().info().number, good.number);
        // The log itself did not fail.
        log.reserve(1).unwrap();
        log.sync(append(&log, 1)).unwrap();
    }
}

#[test]
fn a_scrub_reads_everything_at_its_rate_and_finds_damage() {
    let (disk, log, folder) = setup();
    write(&log, &folder, 5).unwrap();
    log.sync(append(&log, 30)).unwrap();
    let mut rested = std::time::Duration::ZERO;
    let report = scrub(&log, &folder, 1000, |rest| {
        rested += rest;
        true
    });
    assert!(report.finished && report.damage.is_empty());
    assert!(report.bytes > 40 * 32 + 1000);
    assert!((report.bytes as i64 - rested.as_millis() as i64).abs() < 10);
    let mut left = 3;
    let report = scrub(&log, &folder, 0, |_| {
        left -= 1;
        left > 0
    });
    assert!(!report.finished);
    let path = Path::new(DIR).join("segment-00000000000000000001.log");
    disk.corrupt(&path, 150, b"????").unwrap();
    let report = scrub(&log, &folder, 0, |_| true);
    assert!(matches!(&report.damage[..], [LogError::Corrupt { offset: 144, .. }]), "{report:?}");
    // Trimming while a scrub runs is no damage.
    write(&log, &folder, 2).unwrap();
    let report = scrub(&log, &folder, 0, |_| {
        log.trim_to(log.synced()).unwrap();
        true
    });
    assert!(report.finished && report.damage.is_empty(), "{report:?}");
}
