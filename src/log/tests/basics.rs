use super::*;
use crate::env::CrashMode;

#[test]
fn records_come_back_in_order_after_a_reopen() {
    let disk = SimDisk::new(1);
    let (log, report) = open(&disk).unwrap();
    assert!(report.created && report.tail == 0);
    for lsn in 1..=50 {
        assert_eq!(log.append(lsn * 10, &payload(lsn)), lsn);
    }
    assert_eq!((log.tail(), log.written(), log.synced()), (50, 0, 0));
    assert!(log.pending_bytes() > 0);
    log.write_out(3).unwrap();
    assert_eq!((log.written(), log.synced(), log.pending_bytes()), (50, 0, 0));
    log.sync(50).unwrap();
    assert_eq!(log.synced(), 50);
    let all = read_all(&log, 1).unwrap();
    assert_eq!(all.len(), 50);
    assert!(
        all.iter()
            .zip(1..)
            .all(|((lsn, ms, bytes), n)| { (*lsn, *ms) == (n, n * 10) && *bytes == payload(n) })
    );
    assert_eq!(read_all(&log, 33).unwrap(), all[32..]);
    assert!(log.stats().store.segments > 3);
    drop(log);
    disk.restart(CrashMode::PowerLost);
    let (log, report) = open(&disk).unwrap();
    assert_eq!((report.tail, report.cut, report.closed_in_order), (50, None, false));
    assert_eq!(read_all(&log, 1).unwrap(), all);
    assert_eq!(log.append_parts(7, &[b"a", b"", b"bc"]), 51);
    assert_eq!(log.append(8, b""), 52);
    log.close().unwrap();
    assert_eq!(log.reserve(1), Err(LogError::Closed));
    drop(log);
    let (log, report) = open(&disk).unwrap();
    assert!(report.closed_in_order);
    assert_eq!(read_all(&log, 51).unwrap(), [(51, 7, b"abc".to_vec()), (52, 8, Vec::new())]);
}

#[test]
fn a_reader_follows_the_tail() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    let mut reader = log.read_from(1).unwrap();
    let mut piece = RecordRun::new();
    for lsn in 1..=40 {
        log.append(0, &payload(lsn));
        assert!(!reader.next_piece(&mut piece).unwrap(), "not written out yet");
        log.write_out(lsn).unwrap();
        assert!(reader.next_piece(&mut piece).unwrap());
        assert_eq!(piece.records().map(|record| record.lsn).collect::<Vec<_>>(), [lsn]);
    }
}

#[test]
fn reading_ahead_gives_the_same_records() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=100 {
        log.append(lsn, &payload(lsn));
    }
    log.sync(100).unwrap();
    let mut reader = ReadAhead::new(log.read_from(5).unwrap(), 2).unwrap();
    let mut piece = RecordRun::new();
    let mut next = 5;
    while reader.next_piece(&mut piece).unwrap() {
        for record in piece.records() {
            assert_eq!((record.lsn, record.payload), (next, payload(next).as_slice()));
            next += 1;
        }
    }
    assert_eq!(next, 101);
    assert!(!reader.next_piece(&mut piece).unwrap());
    // Dropped in the middle, it lets its thread end.
    drop(ReadAhead::new(log.read_from(1).unwrap(), 1).unwrap());
    disk.corrupt(Path::new("/data/segment-00000000000000000001.log"), 150, b"????").unwrap();
    let mut reader = ReadAhead::new(log.read_from(1).unwrap(), 2).unwrap();
    let error = loop {
        match reader.next_piece(&mut piece) {
            Ok(more) => assert!(more, "the damage must be told"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Corrupt { .. }));
    assert!(!reader.next_piece(&mut piece).unwrap());
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    let sizes = [10, 5_000, 20, 580, 504, 505, 2_000, 3_000, 1];
    for size in sizes {
        log.append(0, &vec![size as u8; size]);
    }
    log.sync(log.tail()).unwrap();
    drop(log);
    let (log, _) = open(&disk).unwrap();
    let lens: Vec<_> = read_all(&log, 1).unwrap().into_iter().map(|record| record.2.len()).collect();
    assert_eq!(lens, sizes);
}

#[test]
fn trimming_removes_whole_segments_only() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    for lsn in 1..=60 {
        log.append(0, &payload(lsn));
    }
    log.sync(60).unwrap();
    let before = log.stats().store;
    assert!(log.trim_to(30).unwrap() > 0);
    let after = log.stats().store;
    assert!(after.segments < before.segments && after.first > 1 && after.first <= 31);
    assert_eq!(read_all(&log, 31).unwrap().len(), 30);
    assert_eq!(read_all(&log, 1), Err(LogError::Trimmed { asked: 1, first: after.first }));
    assert_eq!(log.trim_to(30).unwrap(), 0);
    drop(log);
    let (log, report) = open(&disk).unwrap();
    assert_eq!((report.first, report.tail), (after.first, 60));
    log.append(0, b"more");
    // Nothing that is not durable is given up.
    log.trim_to(Lsn::MAX).unwrap();
    log.sync(61).unwrap();
    assert_eq!(read_all(&log, 61).unwrap().len(), 1);
    drop(log);
    disk.restart(crate::env::CrashMode::PowerLost);
    assert_eq!(open(&disk).unwrap().1.tail, 61);
}

#[test]
fn a_folder_is_used_by_one_process_only() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    assert_eq!(open(&disk).unwrap_err(), LogError::Locked { dir: DIR.to_owned() });
    drop(log);
    open(&disk).unwrap();
}

#[test]
fn a_new_epoch_fences_the_writer_before() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    log.append(0, b"one");
    log.sync(1).unwrap();
    let second = Log::over(
        Arc::clone(log.store()),
        Clock::manual(0),
        LogOptions { keep_free_bytes: 0, ..LogOptions::default() },
    )
    .unwrap();
    log.append(0, b"lost");
    assert!(log.write_out(2).unwrap_err().to_string().contains("fenced"));
    assert!(log.reserve(1).is_err());
    assert_eq!(second.append(0, b"two"), 2);
    second.sync(2).unwrap();
    assert_eq!(read_all(&second, 2).unwrap(), [(2, 0, b"two".to_vec())]);
}

#[test]
fn an_append_must_follow_the_tail() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk).unwrap();
    let epoch = log.store().establish_epoch().unwrap().epoch;
    let batch = RecordBatch { first: 5, last: 5, chain: 0, durable: 0, bytes: b"x" };
    let moved = LogError::TailMoved { expected: 4, actual: 0 };
    assert_eq!(log.store().append(epoch, 4, &batch), Err(moved));
}

#[test]
fn threads_that_append_and_sync_together_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 40_000, ..LogOptions::default() };
    let disk = crate::env::OsDisk::shared();
    let (log, _) = Log::open(Arc::clone(&disk), Clock::System, dir.path(), options).unwrap();
    log.expect_frequent_syncs(true);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..200u64 {
                    log.reserve(16).unwrap();
                    let lsn = log.append(n, &[thread.to_le_bytes(), n.to_le_bytes()].concat());
                    if n % 7 == 0 {
                        log.sync(lsn).unwrap();
                        assert!(log.synced() >= lsn);
                    } else {
                        log.write_out(lsn).unwrap();
                        assert!(log.written() >= lsn);
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                log.maintain().unwrap();
                log.sync_written().unwrap();
            }
        });
    });
    log.sync(log.tail()).unwrap();
    drop(log);
    let (log, report) = Log::open(disk.clone(), Clock::System, dir.path(), options).unwrap();
    assert_eq!((report.tail, report.cut), (800, None));
    let mut next = [0u64; 4];
    for (_, ms, bytes) in read_all(&log, 1).unwrap() {
        let thread = bytes[0] as usize;
        assert_eq!(ms, next[thread], "the order of one thread's appends is kept");
        next[thread] += 1;
    }
    assert_eq!(next, [200; 4]);
    assert!(disk.list(dir.path()).unwrap().iter().any(|entry| entry.name == "LOCK"));
}
