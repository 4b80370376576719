//! Measures how long every command and every background job holds shards, with a million elements.
//!
//! `cargo run --release --example holds -- --rounds 3 --only hgetall`; every flag is optional. Each case of [`calls`]
//! and [`jobs`] runs once in every round. Of a case's longest holds the shortest counts, because a thread that the
//! system interrupts holds its shards meanwhile; of a holder's cases the worst counts. The exit code is 1 if a holder
//! without a reason in [`reasons::EXCEPTIONS`] exceeds the budget.

// A bench measures real time, as no other part may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod cases;
#[allow(dead_code, reason = "the tests use the rest")]
mod jobs;
#[allow(dead_code, reason = "the tests use the rest")]
mod reasons;

use calls::{CALLS, LOADS};
use cases::{Answer, Client, Held, Scale, is_done, run_case};
use itemory::command::Server;
use itemory::config::{Config, LogLevel, ProtectedAction, Settings};
use itemory::engine::Engine;
use itemory::env::{Clock, OsDisk};
use itemory::server;
use jobs::JOBS;
use reasons::{BUDGET_MICROS, EXCEPTIONS};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: itemory::env::memory::Allocator = itemory::env::memory::Allocator;

struct Plan {
    rounds: usize,
    only: String,
}

impl Plan {
    fn from_args() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let flag = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
        Self {
            rounds: flag("--rounds").map_or(3, |value| value.parse().expect("a number")),
            only: flag("--only").map_or_else(String::new, |value| value.to_lowercase()),
        }
    }

    fn has(&self, case: &str) -> bool {
        case.to_lowercase().contains(&self.only)
    }
}

/// The worst case of a holder.
struct Worst {
    micros: u64,
    over: u64,
    case: &'static str,
}

fn main() -> ExitCode {
    let plan = Plan::from_args();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let (server, thread) = serve(dir.path(), &socket);
    let connect = || Client::new(UnixStream::connect(&socket).unwrap());
    let begun = Instant::now();
    let mut loader = connect();
    for load in LOADS {
        loader.run(load, Scale::Full, &Answer::default());
    }
    loader.wait("TABLE.DESCRIBE items", Scale::Full, |text| !text.contains("creating"));
    println!("loaded in {:.1} s", begun.elapsed().as_secs_f64());
    let mut all = BTreeMap::<String, Worst>::new();
    let jobs = JOBS.iter().map(|job| (job.case, Some(job)));
    for (case, job) in CALLS.iter().map(|case| (*case, None)).chain(jobs).filter(|(case, _)| plan.has(case)) {
        let mut least: Option<Held> = None;
        for _ in 0..plan.rounds {
            let mut client = connect();
            let held = run_case(&mut client, &mut connect(), case, Scale::Full, |watcher| {
                if let Some(job) = job {
                    watcher.wait(job.ask, Scale::Full, |text| is_done(&job.done, Scale::Full, text));
                }
            });
            client.faults.iter().for_each(|fault| println!("{fault}"));
            least = Some(least.map_or(held.clone(), |least| shorter(&least, &held)));
        }
        for (holder, (micros, over)) in least.unwrap_or_default() {
            let worst = all.entry(holder.clone()).or_insert(Worst { micros: 0, over: 0, case });
            if micros > BUDGET_MICROS {
                println!("{micros:>9} µs {over:>6} {holder:<20} {}", &case[..case.len().min(90)]);
            }
            if micros > worst.micros {
                *worst = Worst { micros, over, case };
            }
        }
    }
    server.shutdown.request();
    thread.join().unwrap();
    report(&all)
}

/// For each holder of both rounds, the shorter of its holds.
fn shorter(one: &Held, other: &Held) -> Held {
    let both = one.iter().filter_map(|(holder, held)| Some((holder.clone(), *held.min(other.get(holder)?))));
    both.collect()
}

fn serve(dir: &Path, socket: &Path) -> (Arc<Server>, std::thread::JoinHandle<()>) {
    let settings = Settings {
        port: 0,
        unixsocket: socket.display().to_string(),
        dir: dir.join("data"),
        appendonly: true,
        save: Vec::new(),
        enable_debug_command: ProtectedAction::Yes,
        loglevel: LogLevel::Warning,
        ..Settings::default()
    };
    let engine = Engine::on_disk(Arc::new(settings.clone()), Clock::System, OsDisk::shared());
    let server = Arc::new(Server::new(Arc::new(engine), Arc::new(Config::new(settings, None))));
    let running = Arc::clone(&server);
    let thread = std::thread::spawn(move || server::run(&running).unwrap());
    while !socket.exists() || server.engine.is_loading() {
        std::thread::sleep(Duration::from_millis(10));
    }
    (server, thread)
}

/// Prints the holders, the one with the longest hold first. Fails if a holder exceeds the budget without a reason.
fn report(all: &BTreeMap<String, Worst>) -> ExitCode {
    let mut sorted: Vec<(&String, &Worst)> = all.iter().collect();
    sorted.sort_by_key(|(_, worst)| std::cmp::Reverse(worst.micros));
    println!("\n{:<28} {:>10} {:>6}  reason / worst case", "holder", "longest µs", "over");
    let mut outcome = ExitCode::SUCCESS;
    for (holder, worst) in sorted {
        let reason = EXCEPTIONS.iter().find(|(names, _)| names.contains(&holder.as_str()));
        let said = match reason {
            Some((_, reason)) => *reason,
            None if worst.micros <= BUDGET_MICROS => "",
            None => {
                outcome = ExitCode::FAILURE;
                "NO REASON"
            }
        };
        let case = &worst.case[..worst.case.len().min(100)];
        println!("{holder:<28} {:>10} {:>6}  {said} [{case}]", worst.micros, worst.over);
    }
    outcome
}
