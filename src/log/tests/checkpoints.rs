//! Checkpoints: full disks, damage that one folder knows and another does not, what is kept; and the scrub.

use super::places::{append, write};
use super::*;
use crate::env::{CrashMode, Disk, Fault};
use crate::log::checkpoint::{CheckpointWriter, Checkpoints};

fn setup() -> (SimDisk, Arc<Log>, Checkpoints) {
    let disk = SimDisk::new(8);
    let (log, _) = open(&disk).unwrap();
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    (disk, log, folder)
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

/// A later chunk of a shard builds on the earlier ones.
#[test]
fn the_chunks_of_a_shard_are_read_in_their_order_whatever_the_threads() {
    let (_disk, log, folder) = setup();
    let mut writer = CheckpointWriter::new(&folder, 0, 0, b"").unwrap();
    for shard in 0..20u32 {
        for n in 0..=(shard * 7 % 40) as u8 {
            // The first ones take longer than those behind them.
            writer.chunk(shard, 0, &vec![n; 100_000 >> n.min(16)]).unwrap();
        }
    }
    writer.finish(&log).unwrap();
    let checkpoint = folder.latest().unwrap().checkpoint.unwrap();
    for threads in 1..5 {
        let seen = parking_lot::Mutex::new(vec![Vec::new(); 20]);
        let read = checkpoint.read(threads, |chunk| {
            seen.lock()[chunk.shard as usize].push(chunk.payload[0]);
            Ok::<(), ()>(())
        });
        read.unwrap();
        for (shard, seen) in seen.into_inner().into_iter().enumerate() {
            assert_eq!(
                seen,
                (0..=(shard * 7 % 40) as u8).collect::<Vec<_>>(),
                "{threads} threads, shard {shard}"
            );
        }
    }
}

#[test]
fn damaged_checkpoints_are_not_counted_among_the_kept() {
    let (disk, log, folder) = setup();
    let first = write(&log, &folder, 2).unwrap();
    let second = write(&log, &folder, 2).unwrap();
    let middle = second.bytes as usize - 70;
    disk.corrupt(&Path::new(DIR).join(&second.name), middle, b"????").unwrap();
    // `twin` has not seen the damage. It finds it before it removes anything.
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
