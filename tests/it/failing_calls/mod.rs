//! A sweep over failing system calls of the real binary, while it starts, while the log is written, rotated,
//! checkpointed, switched and reloaded, and while it ends.
//!
//! Whichever call fails, once or for good: what was acknowledged is there after kill -9 and a start on a healthy disk.
//! Replies, INFO, WAITAOF and the server's own log agree on whether writes are kept. A server that can recover does so
//! without a restart when the fault is gone. A call that is interrupted, and a server log that cannot be written, have
//! no visible effect.
//!
//! A few cases of each scene are drawn at random. `ITEMORY_SWEEP=all` plays every case, and `ITEMORY_SWEEP=2/8` the
//! second eighth of them.

mod scenes;
mod starting;

use crate::harness::{Fault, Random, Server};
use crate::writers::{ANY, BUSY, NEVER, Refusals};

/// The number of cases of a scene that are played by default.
const DRAWN: usize = 2;

/// Calls that fail together, and the errors with which they fail.
const CALLS: [(&str, &[&str]); 13] = [
    ("openat,open", &["EMFILE", "ENOSPC", "EACCES", "EIO", "EINTR"]),
    ("pwrite64", &["EIO", "ENOSPC", "EINTR"]),
    ("fallocate", &["ENOSPC", "EIO", "EINTR"]),
    ("fdatasync", &["EIO", "ENOSPC", "EINTR"]),
    ("fsync", &["EIO", "ENOSPC", "EINTR"]),
    ("rename,renameat,renameat2", &["EIO", "ENOSPC", "EACCES", "EINTR"]),
    ("unlink,unlinkat", &["EIO", "EACCES", "EINTR"]),
    ("statfs,fstatfs", &["EIO", "EACCES", "EINTR"]),
    ("getdents64", &["EIO", "EINTR"]),
    ("ftruncate", &["EIO", "EINTR"]),
    (MEMORY, &["ENOMEM"]),
    (THREADS, &["EAGAIN"]),
    (OWN_LOG, &["EIO", "ENOSPC"]),
];

/// How often a thread's call is interrupted in a case whose fault lasts.
const INTERRUPTED: usize = 25;

/// The calls by which the allocator and new threads get memory.
const MEMORY: &str = "mmap,mremap,brk";
/// The calls that start threads.
const THREADS: &str = "clone,clone3";
/// Records are written at a position, so only the server's own log is written with these calls.
const OWN_LOG: &str = "write,writev";

/// The table of the writers' items.
const TABLE: &str = "TABLE.CREATE crash PK id S INDEX n PK n N INDEX ids PK id S PROJECT KEYS";

const LEVELS: [&str; 3] = ["always", "everysec", "no"];

/// What the server does while calls fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Starting,
    Writing,
    Rotation,
    Checkpoint,
    Reload,
    SwitchingOff,
    SwitchingOn,
    Level,
    Shutdown,
    Sigterm,
}

const DOINGS: [Doing; 10] = [
    Doing::Starting,
    Doing::Writing,
    Doing::Rotation,
    Doing::Checkpoint,
    Doing::Reload,
    Doing::SwitchingOff,
    Doing::SwitchingOn,
    Doing::Level,
    Doing::Shutdown,
    Doing::Sigterm,
];

#[derive(Clone, Copy, Debug)]
struct Case {
    calls: &'static str,
    error: &'static str,
    /// Whether calls fail from the `nth` one on; else only that one fails in each thread.
    lasting: bool,
    level: &'static str,
    doing: Doing,
    /// The number, in each thread, of the call that fails.
    nth: usize,
}

impl Case {
    /// Whether the failing calls must not have a visible effect.
    fn is_harmless(self) -> bool {
        self.error == "EINTR" || self.calls == OWN_LOG
    }

    /// Whether the process may end by itself.
    fn may_abort(self) -> bool {
        self.calls == MEMORY
    }

    fn is_end(self) -> bool {
        matches!(self.doing, Doing::Shutdown | Doing::Sigterm)
    }

    fn refusals(self) -> Refusals {
        match (self.is_harmless(), self.doing == Doing::Reload || self.is_end()) {
            (false, _) => ANY,
            (true, true) => BUSY,
            (true, false) => NEVER,
        }
    }

    /// The system's text for the error.
    fn words(self) -> &'static str {
        match self.error {
            "EMFILE" => "Too many open files",
            "ENOSPC" => "No space left on device",
            "EACCES" => "Permission denied",
            "EIO" => "Input/output error",
            "EAGAIN" => "Resource temporarily unavailable",
            "ENOMEM" => "Cannot allocate memory",
            other => panic!("{other}"),
        }
    }

    fn server(self) -> Server {
        let logged = if self.doing == Doing::SwitchingOn { "no" } else { "yes" };
        let server = Server::start(&[
            "--appendonly",
            logged,
            "--appendfsync",
            self.level,
            "--enable-debug-command",
            "yes",
            "--log-segment-size",
            "16kb",
            "--log-preallocate-size",
            "16kb",
        ]);
        let made =
            server.client().run("TABLE.CREATE crash PK id S INDEX n PK n N INDEX ids PK id S PROJECT KEYS");
        assert!(made.is_ok(), "{self:?}: {made}");
        server
    }

    /// Makes the calls fail from this moment on.
    fn inject(self, server: &Server) -> Fault {
        let when = match (self.lasting, self.error) {
            (false, _) => format!("when={}", self.nth),
            // The call is repeated at once, and must succeed in the end.
            (true, "EINTR") => format!("when={}..{}", self.nth, self.nth + INTERRUPTED),
            (true, _) => format!("when={}+", self.nth),
        };
        let files = match (self.calls, self.doing) {
            (OWN_LOG, _) => vec![server.log_path()],
            // A dynamic loader that finds no libraries is not tested here.
            (calls, Doing::Starting) if ![MEMORY, THREADS].contains(&calls) => starting::files(server.data()),
            _ => Vec::new(),
        };
        Fault::inject(server, self.calls, &format!("error={}:{when}", self.error), &files)
    }
}

fn all_cases(random: &mut Random) -> Vec<Case> {
    let mut all = Vec::new();
    for doing in DOINGS {
        for (calls, errors) in CALLS {
            for error in errors {
                for lasting in [false, true] {
                    for level in LEVELS {
                        let nth = match (doing, calls) {
                            // The first calls are the dynamic loader's.
                            (Doing::Starting, MEMORY) => 20 + random.below(80),
                            (Doing::Starting, _) => 1 + random.below(6),
                            _ => 1 + random.below(3),
                        };
                        all.push(Case { calls, error, lasting, level, doing, nth });
                    }
                }
            }
        }
    }
    all
}

/// The cases that the environment asks for: `all`, a part of them such as `2/8`, or by default a few of each scene.
fn chosen(random: &mut Random) -> Vec<Case> {
    let all = all_cases(random);
    let Ok(asked) = std::env::var("ITEMORY_SWEEP") else {
        let draw = |doing| {
            let of: Vec<Case> = all.iter().copied().filter(|case| case.doing == doing).collect();
            (0..DRAWN).map(|_| of[random.below(of.len())]).collect::<Vec<_>>()
        };
        return DOINGS.into_iter().flat_map(draw).collect();
    };
    let (part, parts) = match asked.split_once('/') {
        Some((part, parts)) => (part.parse::<usize>().unwrap() - 1, parts.parse().unwrap()),
        None => (0, 1),
    };
    all.into_iter().skip(part).step_by(parts).collect()
}

#[test]
fn no_failing_call_loses_what_was_acknowledged() {
    let mut random = Random::from_environment("failing calls");
    let cases = chosen(&mut random);
    let mut failed = Vec::new();
    for case in cases {
        eprintln!("{case:?}");
        let play = std::panic::AssertUnwindSafe(|| match case.doing {
            Doing::Starting => starting::play(case, &mut random),
            _ => scenes::play(case, &mut random),
        });
        if std::panic::catch_unwind(play).is_err() {
            failed.push(case);
        }
    }
    assert!(failed.is_empty(), "{} cases failed: {failed:#?}", failed.len());
}
