//! Folders of former format versions, written once. They must be read for ever.

use super::*;
use crate::env::{Disk, OsDisk};
use crate::log::check::check;
use crate::log::checkpoint::Checkpoints;

/// A copy of the folder, which a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let dir = tempfile::tempdir().unwrap();
    for entry in OsDisk.list(&source).unwrap() {
        let bytes = OsDisk.read(&source.join(&entry.name)).unwrap();
        OsDisk.create(&dir.path().join(&entry.name)).unwrap().write_at(&bytes, 0).unwrap();
    }
    dir
}

/// What was appended under an LSN.
fn record(lsn: Lsn) -> (Lsn, u64, Vec<u8>) {
    let (ms, bytes) = match lsn {
        37 => (99, vec![b'x'; 1000]),
        38 => (100, b"two parts".to_vec()),
        39 => (101, Vec::new()),
        _ => (lsn, payload(lsn)),
    };
    (lsn, 1_700_000_000_000 + ms, bytes)
}

#[test]
fn a_log_of_version_1_is_read_for_ever() {
    let dir = copy("log-v1");
    let report = check(&OsDisk, dir.path()).unwrap();
    assert!(report.is_sound() && report.notes.is_empty(), "{report}");
    assert_eq!(report.log_id.unwrap().to_string(), "5a88e00b47881fd2125b6f328a190328");
    let report = read_and_go_on(dir.path(), 12);
    assert!(report.closed_in_order && report.restarted);
    assert_eq!(report.segments, 7);
    // What goes on is a log of the present version.
    let manifest = String::from_utf8(OsDisk.read(&dir.path().join("MANIFEST")).unwrap()).unwrap();
    assert!(manifest.starts_with("itemory-log 2\n"), "{manifest}");
}

/// Its process was killed, and segments have marks.
#[test]
fn a_log_of_version_2_is_read_for_ever() {
    let dir = copy("log-v2");
    let report = check(&OsDisk, dir.path()).unwrap();
    assert!(report.is_sound() && report.notes.is_empty(), "{report}");
    assert_eq!(report.log_id.unwrap().to_string(), "3af012116c5bda9f677db04e197809ac");
    let report = read_and_go_on(dir.path(), 11);
    assert!(!report.closed_in_order);
    assert_eq!(report.segments, 8);
    let dir = copy("log-v2");
    OsDisk.remove_file(&dir.path().join("segment-00000000000000000038.log")).unwrap();
    let opened = Log::open(OsDisk::shared(), Clock::System, dir.path(), LogOptions::default());
    assert!(matches!(opened, Err(LogError::MissingSegment { after: 37, .. })));
}

/// Opens a log that begins at LSN `first`, compares what it holds, and goes on.
fn read_and_go_on(dir: &Path, first: Lsn) -> OpenReport {
    let options = LogOptions::default();
    let (log, report) = Log::open(OsDisk::shared(), Clock::System, dir, options).unwrap();
    assert_eq!((report.first, report.tail, &report.cut), (first, 39, &None));
    assert_eq!(read_all(&log, first).unwrap(), (first..=39).map(record).collect::<Vec<_>>());
    let folder = Checkpoints::new(OsDisk::shared(), dir, log.log_id());
    let lsns: Vec<_> = folder.list().unwrap().iter().map(|info| (info.number, info.start_lsn)).collect();
    assert_eq!(lsns, [(1, 12), (2, 24)]);
    let checkpoint = folder.latest().unwrap().checkpoint.unwrap();
    let info = checkpoint.info();
    assert_eq!((info.start_lsn, info.last_lsn, info.ms, info.chunks), (24, 27, 1_700_000_000_500, 2));
    assert_eq!(checkpoint.prologue(), b"prologue");
    let chunks = std::sync::Mutex::new(Vec::new());
    let read = checkpoint.read(1, |chunk| {
        chunks.lock().unwrap().push((chunk.shard, chunk.lsn, chunk.payload.to_vec()));
        Ok::<(), ()>(())
    });
    assert_eq!(read, Ok(()));
    let expected = [(1, 24, b"first chunk".to_vec()), (7, 27, b"second chunk".to_vec())];
    assert_eq!(chunks.into_inner().unwrap(), expected);
    // It goes on.
    assert_eq!(log.append(1, b"today"), 40);
    log.sync(40).unwrap();
    drop(log);
    let (log, _) = Log::open(OsDisk::shared(), Clock::System, dir, options).unwrap();
    assert_eq!(read_all(&log, 40).unwrap(), [(40, 1, b"today".to_vec())]);
    report
}

#[test]
fn a_newer_version_is_refused_by_name() {
    for (file, at) in [
        ("segment-00000000000000000038.log", 8),
        ("segment-00000000000000000012.log", 8),
        ("checkpoint-0000000002-00000000000000000024.ckpt", 8),
        ("MANIFEST", 12),
    ] {
        let dir = copy("log-v1");
        let path = dir.path().join(file);
        // What follows is no checksum that this version knows.
        let (version, known): (&[u8], u32) =
            if file == "MANIFEST" { (b"3\nid ?", 2) } else { (&[2, 0, 0, 0, 9, 9, 9, 9], 1) };
        let opened = OsDisk.open(&path, crate::env::Access::ReadWrite).unwrap();
        opened.write_at(version, at).unwrap();
        let log = Log::open(OsDisk::shared(), Clock::System, dir.path(), LogOptions::default());
        let error = match log {
            Err(error) => error,
            Ok((log, _)) => {
                Checkpoints::new(OsDisk::shared(), dir.path(), log.log_id()).latest().unwrap_err()
            }
        };
        assert!(
            matches!(&error, LogError::UnknownVersion { file, version, known: read }
            if *file == path.display().to_string() && *version == known + 1 && *read == known),
            "{error}"
        );
    }
}
