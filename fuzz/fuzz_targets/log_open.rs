//! A log whose folder was damaged: reading gives a prefix of the appended records, or the damage is reported when the
//! log is opened or read. Without damage, reading gives all synced records.
#![no_main]

use std::path::{Path, PathBuf};

use itemory::env::{Clock, CrashMode, Disk, SimDisk};
use itemory::log::{Log, LogOptions, RecordRun};
use libfuzzer_sys::fuzz_target;

const DIR: &str = "/data";
/// Options for segments of a few hundred bytes, so that there are several.
fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 600,
        keep_free_bytes: 0,
        secure_bytes: 256,
        piece_bytes: 128,
        max_record_bytes: 1 << 20,
        sync_threads: 1,
        ..LogOptions::default()
    }
}

// The input: how many records are appended and how many of them synced, how the disk ends, the records' lengths, and
// then damage: file, offset (two bytes) and value, four bytes each.
fuzz_target!(|input: &[u8]| {
    let [count, synced, mode, rest @ ..] = input else { return };
    let count = usize::from(count % 24);
    let Some((lengths, damage)) = rest.split_at_checked(count) else { return };
    let synced = usize::from(*synced).min(count);
    let disk = SimDisk::new(u64::from(*mode));
    let records: Vec<Vec<u8>> =
        lengths.iter().enumerate().map(|(n, &len)| vec![n as u8; usize::from(len)]).collect();
    append(&disk, &records, synced);
    disk.restart(match mode % 3 {
        0 => CrashMode::Process,
        1 => CrashMode::PowerLost,
        _ => CrashMode::PowerTorn,
    });
    let mut damaged = false;
    for &[file, high, low, value] in damage.as_chunks::<4>().0 {
        damaged |= corrupt(&disk, usize::from(file), usize::from(high) << 8 | usize::from(low), value);
    }
    let Ok((log, _)) = Log::open(disk.shared(), Clock::manual(2_000), Path::new(DIR), options()) else {
        assert!(damaged, "an undamaged log was refused");
        return;
    };
    let (found, complete) = read(&log);
    assert!(damaged || complete, "an undamaged log is not read");
    assert!(damaged || found.len() >= synced, "synced records are gone");
    assert_eq!(found, records[..found.len()]);
});

fn append(disk: &SimDisk, records: &[Vec<u8>], synced: usize) {
    let (log, _) =
        Log::open(disk.shared(), Clock::manual(1_000), Path::new(DIR), options()).expect("a new log opens");
    for (n, record) in records.iter().enumerate() {
        let lsn = log.append(n as u64, record);
        if n + 1 == synced {
            log.sync(lsn).expect("the disk is well");
        } else {
            log.write_out(lsn).expect("the disk is well");
        }
    }
}

/// All files below the log's folder, sorted.
fn files(disk: &SimDisk, dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in disk.list(dir).unwrap_or_default() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            all.extend(files(disk, &path));
        } else {
            all.push(path);
        }
    }
    all
}

/// Changes one byte. Returns false if there is no such byte or if it has that value already.
fn corrupt(disk: &SimDisk, file: usize, offset: usize, value: u8) -> bool {
    let all = files(disk, Path::new(DIR));
    let Some(path) = all.get(file % all.len().max(1)) else { return false };
    match disk.read(path) {
        Ok(content) if content.get(offset).is_some_and(|&byte| byte != value) => {
            disk.corrupt(path, offset, &[value]).is_ok()
        }
        _ => false,
    }
}

/// The records, and whether reading was not stopped by damage.
fn read(log: &Log) -> (Vec<Vec<u8>>, bool) {
    let mut all = Vec::new();
    let Ok(mut reader) = log.read_from(1) else { return (all, false) };
    let mut piece = RecordRun::new();
    loop {
        match reader.next_piece(&mut piece) {
            Ok(true) => all.extend(piece.records().map(|record| record.payload.to_vec())),
            Ok(false) => return (all, true),
            Err(_) => return (all, false),
        }
    }
}
