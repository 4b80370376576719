//! Measures a server whose log is a service some milliseconds away: how many writes a second many connections get at
//! `appendfsync always`, how long each of them waits, and whether readers are slowed down.
//!
//! `cargo run --release --example remote -- --connections 500 --round-trip-micros 5000 --seconds 5 --faults 0`; every
//! flag is optional. Server, service and clients share this process and its processors. Of a thousand requests, and of
//! a thousand answers, `--faults` are lost. The outcome of a request without an answer is unknown after four round
//! trips.

// A bench measures real time, as no other part may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

use itemory::command::Server;
use itemory::config::{AppendFsync, Config, LogLevel, Settings};
use itemory::engine::Engine;
use itemory::env::Clock;
use itemory::log::simulated::{SimOptions, SimPlace, SimService};
use itemory::server;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::LocalSet;

#[global_allocator]
static ALLOCATOR: itemory::env::memory::Allocator = itemory::env::memory::Allocator;

/// Connections that read, each every two milliseconds.
const READERS: usize = 20;
const READ_PAUSE: Duration = Duration::from_millis(2);
/// The writes a second of all connections together while readers are measured.
const PACED_WRITES: u64 = 20_000;

/// What is measured.
#[derive(Clone, Copy)]
struct Plan {
    connections: usize,
    round_trip_micros: u64,
    seconds: u64,
    faults: u64,
}

impl Plan {
    fn from_args() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let flag = |name: &str, default: u64| {
            let at = args.iter().position(|arg| arg == name);
            at.and_then(|at| args.get(at + 1)).map_or(default, |value| value.parse().expect(name))
        };
        Self {
            connections: flag("--connections", 500) as usize,
            round_trip_micros: flag("--round-trip-micros", 5_000),
            seconds: flag("--seconds", 5),
            faults: flag("--faults", 0),
        }
    }
}

/// Latencies in microseconds.
type Latencies = Vec<u32>;

fn main() {
    let plan = Plan::from_args();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let (server, thread) = serve(plan, &socket);
    println!(
        "{} connections, a log {} µs away, {} of 1000 messages lost",
        plan.connections, plan.round_trip_micros, plan.faults
    );
    let pause = Duration::from_micros(plan.connections as u64 * 1_000_000 / PACED_WRITES);
    let measure = |writers, pause, readers| run(plan, &socket, writers, pause, readers);
    // Warms up.
    measure(plan.connections, Duration::ZERO, 0);
    report("SET as fast as they come", plan, &measure(plan.connections, Duration::ZERO, 0).0);
    report("GET alone", plan, &measure(0, Duration::ZERO, READERS).1);
    let (writes, reads) = measure(plan.connections, pause, READERS);
    report(&format!("SET at {PACED_WRITES} a second"), plan, &writes);
    report("GET beside them", plan, &reads);
    if let Some(stats) = server.engine.journal_stats() {
        let unknown = stats.submitted.map_or(0, |submitted| submitted.unknown);
        println!("{} records, {} batches, {unknown} unknown outcomes", stats.tail, stats.store.segments);
    }
    server.shutdown.request();
    thread.join().unwrap();
}

fn serve(plan: Plan, socket: &Path) -> (Arc<Server>, std::thread::JoinHandle<()>) {
    let service = SimService::new(SimOptions {
        timeout_micros: plan.round_trip_micros * 4,
        lost_requests: plan.faults,
        lost_answers: plan.faults,
        ..SimOptions::round_trip(plan.round_trip_micros)
    })
    .unwrap();
    let settings = Settings {
        port: 0,
        unixsocket: socket.display().to_string(),
        appendonly: true,
        appendfsync: AppendFsync::Always,
        save: Vec::new(),
        loglevel: LogLevel::Warning,
        ..Settings::default()
    };
    let place = Arc::new(SimPlace::new(&service));
    let engine = Engine::over(Arc::new(settings.clone()), Clock::System, place);
    let server = Arc::new(Server::new(Arc::new(engine), Arc::new(Config::new(settings, None))));
    let running = Arc::clone(&server);
    let thread = std::thread::spawn(move || server::run(&running).unwrap());
    while !socket.exists() || server.engine.is_loading() {
        std::thread::sleep(Duration::from_millis(10));
    }
    (server, thread)
}

/// Runs writers and readers concurrently, and returns the latencies of both.
fn run(plan: Plan, socket: &Path, writers: usize, pause: Duration, readers: usize) -> (Latencies, Latencies) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = Instant::now() + Duration::from_secs(plan.seconds);
    LocalSet::new().block_on(&runtime, async {
        let start = |count: usize, verb: &'static str, pause: Duration| {
            let client = |n| tokio::task::spawn_local(client(socket.to_path_buf(), n, verb, pause, end));
            (0..count).map(client).collect::<Vec<_>>()
        };
        let (writers, readers) = (start(writers, "SET", pause), start(readers, "GET", READ_PAUSE));
        let (mut writes, mut reads) = (Latencies::new(), Latencies::new());
        for (tasks, all) in [(writers, &mut writes), (readers, &mut reads)] {
            for task in tasks {
                all.extend(task.await.unwrap());
            }
        }
        (writes, reads)
    })
}

/// One connection that sends a command, waits for its reply and rests until the next is due.
async fn client(socket: PathBuf, n: usize, verb: &'static str, pause: Duration, end: Instant) -> Latencies {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let (mut latencies, mut reply) = (Latencies::new(), [0; 256]);
    // The clients do not all begin at the same time.
    tokio::time::sleep(pause.mul_f64(n as f64 % 100.0 / 100.0)).await;
    let mut round = 0_usize;
    let mut due = Instant::now();
    while Instant::now() < end {
        round += 1;
        let line = match verb {
            "SET" => format!("SET key:{} {:0100}\r\n", (n * 7919 + round) % 100_000, round),
            _ => format!("GET read:{}\r\n", (n * 31 + round) % 1000),
        };
        let began = Instant::now();
        stream.write_all(line.as_bytes()).await.unwrap();
        let read = stream.read(&mut reply).await.unwrap();
        assert!(read > 0 && reply[0] != b'-', "{}", String::from_utf8_lossy(&reply[..read]));
        latencies.push(began.elapsed().as_micros() as u32);
        if !pause.is_zero() {
            due = (due + pause).max(Instant::now());
            tokio::time::sleep_until(due.into()).await;
        }
    }
    latencies
}

fn report(what: &str, plan: Plan, latencies: &Latencies) {
    let mut sorted = latencies.clone();
    sorted.sort_unstable();
    let quantile = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or(0);
    println!(
        "{what}: {} a second, p50 {} µs, p99 {} µs, most {} µs",
        sorted.len() as u64 / plan.seconds,
        quantile(0.5),
        quantile(0.99),
        sorted.last().copied().unwrap_or(0)
    );
}
