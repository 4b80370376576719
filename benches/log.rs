//! Measures the log: one append, one group commit, the replay of a long log, a checkpoint.
//!
//! `cargo bench --bench log`; the bars are in docs/benchmarks.md.

#![allow(clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use itemory::env::{Clock, OsDisk};
use itemory::log::checkpoint::{CheckpointWriter, Checkpoints};
use itemory::log::{Log, LogOptions, RecordRun};
use std::hint::black_box;
use std::path::Path;

const PAYLOAD: [u8; 100] = [7; 100];

fn open(dir: &Path) -> Log {
    Log::open(OsDisk::shared(), Clock::System, dir, LogOptions::default()).unwrap().0
}

/// Measures an append under its lock: once without the hand-over to the system after every 64 records, and once with
/// it.
fn append(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 x 100 B, copied only", |b| {
        b.iter_batched(
            || log.write_out(log.tail()).unwrap(),
            |()| {
                for _ in 0..64 {
                    log.reserve(PAYLOAD.len()).unwrap();
                    black_box(log.append(1_700_000_000_000, black_box(&PAYLOAD)));
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("64 x 100 B and one write", |b| {
        b.iter(|| {
            for _ in 0..64 {
                log.reserve(PAYLOAD.len()).unwrap();
                black_box(log.append(1_700_000_000_000, black_box(&PAYLOAD)));
            }
            log.write_out(log.tail()).unwrap();
        });
        log.trim_to(log.written()).unwrap();
    });
    group.finish();
}

/// Measures one record that is written and synced: the wait of a single writer at `appendfsync always`.
fn sync(c: &mut Criterion) {
    let dir = tempfile::tempdir_in("target").unwrap();
    for frequent in [false, true] {
        let log = open(&dir.path().join(frequent.to_string()));
        log.expect_frequent_syncs(frequent);
        log.maintain().unwrap();
        let how = if frequent { "room of zeros" } else { "room only reserved" };
        c.bench_function(&format!("sync one record, {how}"), |b| {
            b.iter(|| log.sync(log.append(0, &PAYLOAD)).unwrap());
        });
    }
}

/// Reads and verifies a million records.
fn replay(c: &mut Criterion) {
    const RECORDS: u64 = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for lsn in 1..=RECORDS {
        log.append(lsn, &PAYLOAD);
        if lsn % 1000 == 0 {
            log.write_out(lsn).unwrap();
        }
    }
    let mut group = c.benchmark_group("replay");
    group.sample_size(10).throughput(Throughput::Elements(RECORDS));
    group.bench_function("records of 100 B", |b| {
        let mut piece = RecordRun::new();
        b.iter(|| {
            let mut reader = log.read_from(1).unwrap();
            let mut sum = 0;
            while reader.next_piece(&mut piece).unwrap() {
                sum += piece.records().map(|record| record.payload.len() + record.ms as usize).sum::<usize>();
            }
            black_box(sum)
        });
    });
    group.finish();
}

/// Writes a checkpoint of 64 MB in chunks of 64 KB, reading back included, and reads it.
fn checkpoint(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let folder = Checkpoints::new(OsDisk::shared(), dir.path(), log.log_id());
    let chunk = vec![5; 64 << 10];
    let mut group = c.benchmark_group("checkpoint");
    group.sample_size(10).throughput(Throughput::Bytes(64 << 20));
    let write = || {
        let mut writer = CheckpointWriter::new(&folder, 0, 0, b"").unwrap();
        for shard in 0..1024 {
            writer.chunk(shard, 0, &chunk).unwrap();
        }
        writer.finish(&log).unwrap()
    };
    write();
    group.bench_function("write 64 MB", |b| b.iter(write));
    let checkpoint = folder.latest().unwrap().checkpoint.unwrap();
    group.bench_function("read 64 MB", |b| b.iter(|| checkpoint.verify(1).unwrap()));
    group.finish();
}

criterion_group!(benches, append, sync, replay, checkpoint);
criterion_main!(benches);
