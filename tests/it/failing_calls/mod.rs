//! A sweep over failing system calls of the real binary, while the log is written, rotated, checkpointed, switched,
//! reloaded and ended.
//!
//! Whatever fails, once or for good: what was acknowledged is there after kill -9 and a start on a healthy disk,
//! replies and INFO agree on whether writes are kept, and what can recover does so without a restart when the fault is
//! gone. `ITEMORY_SWEEP=all` plays every combination; otherwise a few are drawn.

use crate::harness::{Client, Fault, Random, Server, Value};
use crate::writers::{Writer, accounts_sum};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WRITERS: usize = 2;
/// Combinations that are played when not all are asked for.
const DRAWN: usize = 16;

/// Calls that are made to fail together, and the errors that they are given.
const CALLS: [(&str, &[&str]); 10] = [
    ("openat,open", &["EMFILE", "ENOSPC", "EACCES", "EIO"]),
    ("pwrite64", &["EIO", "ENOSPC"]),
    ("fallocate", &["ENOSPC", "EIO"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("rename,renameat,renameat2", &["EIO", "ENOSPC", "EACCES"]),
    ("unlink,unlinkat", &["EIO", "EACCES"]),
    ("statfs,fstatfs", &["EIO", "EACCES"]),
    ("getdents64", &["EIO"]),
    ("ftruncate", &["EIO"]),
];

const LEVELS: [&str; 3] = ["always", "everysec", "no"];

/// What goes on while calls fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Writing,
    Checkpoint,
    Reload,
    SwitchingOff,
    SwitchingOn,
    Level,
}

const DOINGS: [Doing; 6] =
    [Doing::Writing, Doing::Checkpoint, Doing::Reload, Doing::SwitchingOff, Doing::SwitchingOn, Doing::Level];

#[derive(Clone, Copy, Debug)]
struct Case {
    calls: &'static str,
    error: &'static str,
    /// Once, or from then on.
    lasting: bool,
    level: &'static str,
    doing: Doing,
}

fn all_cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (calls, errors) in CALLS {
        for error in errors {
            for lasting in [false, true] {
                for level in LEVELS {
                    for doing in DOINGS {
                        all.push(Case { calls, error, lasting, level, doing });
                    }
                }
            }
        }
    }
    all
}

fn act(client: &mut Client, case: Case, random: &mut Random) {
    let commands: &[&str] = match case.doing {
        Doing::Writing => &[],
        Doing::Checkpoint => &["BGSAVE", "BGREWRITEAOF"],
        Doing::Reload => &["DEBUG RELOAD"],
        Doing::SwitchingOff => &["CONFIG SET appendonly no", "SET unlogged 1", "CONFIG SET appendonly yes"],
        Doing::SwitchingOn => &["CONFIG SET appendonly yes"],
        Doing::Level => &["CONFIG SET appendfsync no", "CONFIG SET appendfsync always"],
    };
    for command in commands {
        // A reload may wait for as long as the fault stays.
        let reply = client.run(command);
        assert!(!matches!(reply, Value::Garbage(_)), "{case:?}: {command}: {reply}");
        std::thread::sleep(Duration::from_millis(random.below(30) as u64));
    }
}

fn info(client: &mut Client, name: &str) -> String {
    let text = client.run("INFO persistence").text();
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
        .unwrap_or_default()
}

/// After the fault is gone: the server says of itself what it does, and goes on unless its log has failed. Its state.
fn agrees(server: &Server, case: Case) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut client = server.client();
    loop {
        let state = info(&mut client, "log_state");
        let reply = client.run("SET probe 1");
        match state.as_str() {
            "failed" | "stranded" => {
                assert!(reply.is_error(), "{case:?}: {state}, but a write is answered {reply}");
                assert_eq!(info(&mut client, "aof_last_write_status"), "err", "{case:?}");
                return state;
            }
            "complete" | "unlogged" if reply.is_ok() => {
                assert_eq!(info(&mut client, "aof_last_write_status"), "ok", "{case:?}");
                return state;
            }
            _ => {}
        }
        assert!(Instant::now() < deadline, "{case:?}: still {state}, {reply}: {}", server.log());
        if matches!(reply, Value::Eof) {
            client = server.client();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn play(case: Case, nth: usize, random: &mut Random) {
    let start_with_log = if case.doing == Doing::SwitchingOn { "no" } else { "yes" };
    let flags = [
        "--appendonly",
        start_with_log,
        "--appendfsync",
        case.level,
        "--enable-debug-command",
        "yes",
        "--log-segment-size",
        "16kb",
        "--log-preallocate-size",
        "16kb",
    ];
    let mut server = Server::start(&flags);
    assert!(
        server
            .client()
            .run("TABLE.CREATE crash PK id S INDEX n PK n N INDEX ids PK id S PROJECT KEYS")
            .is_ok()
    );
    let mut writers = Writer::several(WRITERS, random, true, true);
    let (acknowledged, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let spawn = |writer| {
            let (client, acknowledged, over) = (server.client(), &acknowledged, &over);
            scope.spawn(move || Writer::run(writer, client, acknowledged, over))
        };
        let threads: Vec<_> = writers.iter_mut().map(spawn).collect();
        let when = if case.lasting { format!("when={nth}+") } else { format!("when={nth}") };
        let fault = Fault::inject(&server, case.calls, &format!("error={}:{when}", case.error), &[]);
        // A client that is connected already needs no descriptor.
        let address = server.address();
        let acting = scope.spawn({
            let mut random = random.fork();
            move || {
                if let Ok(mut client) = Client::connect(address) {
                    act(&mut client, case, &mut random);
                }
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        drop(fault);
        acting.join().unwrap();
        over.store(true, Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let state = agrees(&server, case);
    if state == "stranded" {
        // Nothing can keep what was written while the log was off; so an end is refused, and readers are served.
        assert!(server.client().run("SHUTDOWN").is_error(), "{case:?}");
        writers.iter_mut().for_each(|writer| writer.verify(&mut server.client()));
        return;
    }
    if random.one_in(2) {
        let ended = server.stop();
        assert_eq!(ended.success(), state != "failed", "{case:?}: {ended}, {}", server.log());
    }
    server.kill9();
    server.up();
    let mut client = server.client();
    for writer in &mut writers {
        if state == "unlogged" { writer.adopt(&mut client) } else { writer.verify(&mut client) }
    }
    assert_eq!(accounts_sum(&mut client), 0, "{case:?}: a transfer was halved");
    crate::indexes::check(&mut |command| client.call(command), "crash", true);
}

#[test]
fn no_failing_call_loses_what_was_acknowledged() {
    let mut random = Random::from_environment("failing calls");
    let mut cases = all_cases();
    if std::env::var("ITEMORY_SWEEP").as_deref() != Ok("all") {
        cases = (0..DRAWN).map(|_| cases[random.below(cases.len())]).collect();
    }
    for case in cases {
        let nth = 1 + random.below(3);
        eprintln!("{case:?}, call {nth}");
        play(case, nth, &mut random);
    }
}
