//! Measures the hand-written decoder beside redis-protocol's decoders, and the cost of replies.
//!
//! `cargo bench --bench resp`. Decoding is measured per batch of 64 commands, in commands; replies one by one.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use itemory::resp::{Batch, Decoder, InputLimits, Proto, Reply};
use redis_protocol::resp2::decode::{decode_bytes, decode_range};
use redis_protocol::resp2::types::OwnedFrame;
use redis_protocol::resp3;

const BATCH: usize = 64;

fn encode(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A batch of each kind of command that ordinary workloads send.
fn workloads() -> Vec<(&'static str, Vec<u8>)> {
    let key = |n: usize| format!("key:{n:012}").into_bytes();
    let many = |make: &dyn Fn(usize) -> Vec<u8>| (0..BATCH).flat_map(make).collect();
    vec![
        ("get", many(&|n| encode(&[b"GET", &key(n)]))),
        ("set64", many(&|n| encode(&[b"SET", &key(n), &[b'v'; 64]]))),
        ("set_mixed", many(&|n| encode(&[b"SET", &key(n), &vec![b'v'; 32 + n * 37 % 128]]))),
        ("set1k", many(&|n| encode(&[b"SET", &key(n), &[b'v'; 1024]]))),
        (
            "hset5",
            many(&|n| {
                encode(&[
                    b"HSET",
                    &key(n),
                    b"f1",
                    b"a",
                    b"f2",
                    b"bb",
                    b"f3",
                    b"ccc",
                    b"f4",
                    b"dddd",
                    b"f5",
                    b"e",
                ])
            }),
        ),
    ]
}

fn decoding(criterion: &mut Criterion) {
    for (name, mut data) in workloads() {
        let mut group = criterion.benchmark_group(format!("decode/{name}"));
        group.throughput(Throughput::Elements(BATCH as u64));
        let (mut decoder, mut batch, limits) = (Decoder::new(), Batch::new(), InputLimits::default());
        group.bench_function("fast_lane", |bencher| {
            bencher.iter(|| {
                let result = decoder.decode(black_box(&mut data), &limits, &mut batch, usize::MAX);
                assert!(result.is_ok() && batch.commands.len() == BATCH);
            });
        });
        group.bench_function("redis_protocol_range", |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(data.as_slice());
                while let Ok(Some((frame, used))) = decode_range(rest) {
                    black_box(frame);
                    rest = &rest[used..];
                }
                assert!(rest.is_empty());
            });
        });
        let shared = Bytes::from(data.clone());
        group.bench_function("redis_protocol_bytes", |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(shared.clone());
                while let Ok(Some((frame, used))) = decode_bytes(&rest) {
                    black_box(frame);
                    rest = rest.slice(used..);
                }
                assert!(rest.is_empty());
            });
        });
        group.bench_function("redis_protocol_resp3", |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(data.as_slice());
                while let Ok(Some((frame, used))) = resp3::decode::complete::decode(rest) {
                    black_box(frame);
                    rest = &rest[used..];
                }
                assert!(rest.is_empty());
            });
        });
        group.finish();
    }
}

/// Decodes a command of 100,000 arguments that arrives in reads of 16 KiB: with our decoder, which resumes, and with
/// redis-protocol's, which begins again after each read.
fn resuming(criterion: &mut Criterion) {
    let args: Vec<Vec<u8>> = (0..100_000).map(|n| format!("k{n:08}").into_bytes()).collect();
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let mut data = encode(&args);
    let mut group = criterion.benchmark_group("decode/100k_arguments_in_16k_reads");
    group.sample_size(10);
    let limits = InputLimits::default();
    group.bench_function("fast_lane", |bencher| {
        bencher.iter(|| {
            let (mut decoder, mut batch) = (Decoder::new(), Batch::new());
            let mut end = 0;
            while batch.commands.is_empty() {
                end = data.len().min(end + 16 * 1024);
                assert!(decoder.decode(&mut data[..end], &limits, &mut batch, 1).is_ok());
            }
            batch.args.len()
        });
    });
    group.bench_function("redis_protocol_range", |bencher| {
        bencher.iter(|| {
            let mut end = 0;
            loop {
                end = data.len().min(end + 16 * 1024);
                if let Ok(Some(frame)) = decode_range(black_box(&data[..end])) {
                    return frame.1;
                }
            }
        });
    });
    group.finish();
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply");
    group.throughput(Throughput::Elements(BATCH as u64));
    let value = [b'v'; 64];
    let mut reply = Reply::new(Proto::V2);
    let mut measure = |name: &str, write: &dyn Fn(&mut Reply, usize)| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                reply.truncate(0);
                for n in 0..BATCH {
                    write(&mut reply, black_box(n));
                }
                black_box(reply.len());
            });
        });
    };
    measure("ok", &|reply, _| reply.ok());
    measure("null", &|reply, _| reply.null());
    measure("small_int", &|reply, n| reply.int(n as i64));
    measure("large_int", &|reply, n| reply.int(n as i64 + 1_234_567_890));
    measure("bulk64", &|reply, _| reply.bulk(black_box(&value)));
    measure("double", &|reply, n| reply.double(n as f64 + 0.1));
    measure("deferred_array_of_10", &|reply, _| {
        let begun = reply.begin_deferred();
        (0..10).for_each(|_| reply.bulk(b"member"));
        reply.end_array(begun, 10);
    });
    group.bench_function("bulk64_redis_protocol", |bencher| {
        let frame = OwnedFrame::BulkString(value.to_vec());
        bencher.iter_batched_ref(
            || vec![0u8; BATCH * 80],
            |out| {
                let mut at = 0;
                for _ in 0..BATCH {
                    at += redis_protocol::resp2::encode::encode(&mut out[at..], black_box(&frame), false)
                        .unwrap_or_default();
                }
                at
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2))
        .sample_size(30);
    targets = decoding, resuming, replies
}
criterion_main!(benches);
