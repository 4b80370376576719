//! Calls that fail while a server runs or ends.

use super::{Case, Doing, TABLE};
use crate::harness::{Client, Random, Server, Value};
use crate::writers::{Writer, accounts_sum};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WRITERS: usize = 2;
/// How long calls fail.
const FAULT: Duration = Duration::from_millis(300);
/// How long the server may take to recover, or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The number of values of a few KB that are written to fill segments of 16 KB.
const ROTATING: usize = 24;

/// Does what the case is about, once, over a connection that may be lost. Returns whether all of it was done.
fn act(client: &mut Client, case: Case, random: &mut Random) -> bool {
    let commands: &[&str] = match case.doing {
        Doing::Starting | Doing::Writing | Doing::Sigterm => &[],
        Doing::Rotation => return rotate(client, case),
        Doing::Checkpoint => &["BGSAVE", "BGREWRITEAOF"],
        Doing::Reload => &["DEBUG RELOAD"],
        Doing::SwitchingOff => &["CONFIG SET appendonly no", "SET unlogged 1", "CONFIG SET appendonly yes"],
        Doing::SwitchingOn => &["CONFIG SET appendonly yes"],
        Doing::Level => &["CONFIG SET appendfsync no", "CONFIG SET appendfsync always"],
        Doing::Shutdown => &["SHUTDOWN"],
    };
    let mut done = true;
    for command in commands {
        // A reload may wait as long as the fault lasts.
        let reply = client.run(command);
        assert!(!matches!(reply, Value::Garbage(_)), "{case:?}: {command}: {reply}");
        let busy = reply.text().contains("in progress");
        assert!(!case.is_harmless() || !reply.is_error() || busy, "{case:?}: {command}: {reply}");
        done &= !reply.is_error();
        std::thread::sleep(Duration::from_millis(random.below(30) as u64));
    }
    done
}

fn rotate(client: &mut Client, case: Case) -> bool {
    let value = "x".repeat(4 << 10);
    for n in 0..ROTATING {
        let reply = client.call(&["SET", &format!("rotated:{}", n % 4), &value]);
        assert!(!case.is_harmless() || reply.is_ok(), "{case:?}: {reply}");
    }
    true
}

fn info(text: &str, name: &str) -> String {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
        .unwrap_or_default()
}

/// Checks, after the fault is gone, that replies, INFO, WAITAOF and the server's log come to agree, and that the server
/// accepts writes unless its log has failed. Returns its state; `None` if the process has ended.
pub(super) fn agrees(server: &mut Server, case: Case) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = match Client::connect(server.address()) {
            Ok(client) => client,
            Err(error) => {
                // The process closes its sockets some time before its exit status can be read.
                let mut gone = || {
                    (0..1000).any(|_| {
                        std::thread::sleep(Duration::from_millis(5));
                        server.ended().is_some()
                    })
                };
                assert!(case.may_abort() && gone(), "{case:?}: {error}: {}", server.log());
                return None;
            }
        };
        let text = client.run("INFO persistence").text();
        let (state, status) = (info(&text, "log_state"), info(&text, "aof_last_write_status"));
        let reply = client.run("SET probe 1");
        let waited = client.run("WAITAOF 1 0 1000");
        let durable = waited.items().first().and_then(Value::int) == Some(1);
        let log_says_failed = server.log().contains("the log has failed");
        let agreed = match state.as_str() {
            "failed" | "stranded" => {
                assert!(!case.is_harmless(), "{case:?}: {}", server.log());
                reply.is_error() && !durable && status == "err" && log_says_failed
            }
            "complete" | "unlogged" => {
                let saved = !case.is_harmless() || info(&text, "rdb_last_bgsave_status") == "ok";
                reply.is_ok()
                    && durable == (state == "complete")
                    && status == "ok"
                    && saved
                    && !log_says_failed
            }
            _ => false,
        };
        if agreed {
            assert!(!case.is_harmless() || state == "complete", "{case:?}: {state}: {}", server.log());
            return Some(state);
        }
        assert!(
            Instant::now() < deadline,
            "{case:?}: still {state}, a write is answered {reply}, WAITAOF {waited}: {text}{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The exit status of a process that was asked to end while calls failed. If it refused, it is asked once more.
fn ended(server: &mut Server, case: Case, refused: bool) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = server.ended() {
            return status;
        }
        if refused || server.log().contains("the server goes on") {
            assert!(!case.is_harmless(), "{case:?}: {}", server.log());
            agrees(server, case);
            return server.ended().unwrap_or_else(|| server.stop());
        }
        assert!(Instant::now() < deadline, "{case:?}: the server does not end: {}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn verify(server: &Server, writers: &mut [Writer], adopt: bool, case: Case) {
    let mut client = server.client();
    for writer in writers {
        if adopt { writer.adopt(&mut client) } else { writer.verify(&mut client) }
    }
    assert_eq!(accounts_sum(&mut client), 0, "{case:?}: a transfer was halved");
    crate::indexes::check(&mut |command| client.call(command), "crash", true);
    let faultless = case.may_abort() || !server.log().contains("a fault of the program");
    assert!(faultless, "{case:?}: {}", server.log());
}

/// Writers write and the scene is played while calls fail. Returns how many calls failed, and whether the scene was
/// played to its end.
fn under_fault(server: &Server, writers: &mut [Writer], case: Case, random: &mut Random) -> (usize, bool) {
    let (acknowledged, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for writer in writers {
            let (client, acknowledged, over) = (server.client(), &acknowledged, &over);
            threads.push(scope.spawn(move || writer.run(client, acknowledged, over)));
        }
        // A client that is already connected needs no new descriptor.
        let mut client = server.client();
        let fault = case.inject(server);
        let mut random = random.fork();
        let acting = scope.spawn(move || act(&mut client, case, &mut random));
        if case.doing == Doing::Sigterm {
            server.terminate();
        }
        std::thread::sleep(FAULT);
        let hits = fault.hits();
        drop(fault);
        let acted = acting.join();
        over.store(true, Relaxed);
        for thread in threads {
            let stayed = thread.join().unwrap();
            assert!(!case.is_harmless() || case.is_end() || stayed, "{case:?}: {}", server.log());
        }
        (hits, acted.unwrap())
    })
}

pub(super) fn play(case: Case, random: &mut Random) {
    let mut server = case.server();
    let mut writers = Writer::several(WRITERS, random, true, case.refusals());
    let (hits, done) = under_fault(&server, &mut writers, case, random);
    if case.is_end() {
        let status = ended(&mut server, case, !done);
        assert!(!case.is_harmless() || status.success(), "{case:?}: {status}: {}", server.log());
        let synced = !(case.calls == "fdatasync" && !case.is_harmless() && hits > 0);
        assert!(synced || !status.success(), "{case:?}: {status} after a failed sync: {}", server.log());
        server.kill9();
        server.up();
        return verify(&server, &mut writers, false, case);
    }
    let state = agrees(&mut server, case);
    match state.as_deref() {
        Some("stranded") => {
            // What was written while the log was off cannot be kept, so an end is refused, and reads are served.
            assert!(server.client().run("SHUTDOWN").is_error(), "{case:?}");
            let mut client = server.client();
            return writers.iter_mut().for_each(|writer| writer.verify(&mut client));
        }
        Some(state) if random.one_in(2) => {
            let ended = server.stop();
            assert_eq!(ended.success(), state != "failed", "{case:?}: {ended}, {}", server.log());
        }
        _ => {}
    }
    server.kill9();
    server.up();
    // Without a log no write was promised, and a log may have been switched on too late. Then there may be no table.
    let may_miss = match state.as_deref() {
        Some(state) => state == "unlogged",
        None => matches!(case.doing, Doing::SwitchingOn | Doing::SwitchingOff),
    };
    if may_miss {
        server.client().run(TABLE);
    }
    verify(&server, &mut writers, may_miss, case);
}
