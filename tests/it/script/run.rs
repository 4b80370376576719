//! Runs cases against a target and the referee, and reports every difference.

use super::compare::Mode;
use super::expect::{Expected, matches};
use super::parse::{self, Action, Argument, Case, Piece, Script, Step};
use crate::harness::{Client, Server, Value};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The flags that both servers get in every case.
const FLAGS: [&str; 4] = ["--appendonly", "yes", "--enable-debug-command", "yes"];

/// How long `!until` repeats its command.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two sides that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// The referee with itself, which shows that a script is deterministic.
    RefereeTwice,
    /// The tested server (ours, or the one that the environment names) with the referee.
    TargetAndReferee,
}

/// One server, with the connections of a case and the replies that the case stored.
struct Side {
    server: Server,
    clients: HashMap<String, Client>,
    kept: HashMap<String, Vec<u8>>,
}

impl Side {
    fn new(server: Server) -> Side {
        Side { server, clients: HashMap::new(), kept: HashMap::new() }
    }

    /// Flushes the server and closes all connections. Returns false if the server could not be flushed, so it cannot be
    /// used for another case.
    fn reset(&mut self, flags: &[String]) -> bool {
        self.clients.clear();
        self.kept.clear();
        let mut admin = self.server.client();
        if let Some(at) = flags.iter().position(|f| f == "--requirepass") {
            admin.call(&["AUTH", &flags[at + 1]]);
        }
        admin.run("CONFIG RESETSTAT");
        admin.run("SLOWLOG RESET");
        admin.run("FLUSHALL").is_ok()
    }

    fn client(&mut self, name: &str, proto: u8, hello: bool) -> &mut Client {
        let proto = if hello { proto } else { 2 };
        let server = &self.server;
        self.clients.entry(name.to_owned()).or_insert_with(|| {
            let mut client = server.client();
            if proto == 3 {
                // If it is refused, the following replies show that.
                client.run("HELLO 3");
            }
            client
        })
    }
}

struct Sides {
    target: Side,
    /// `None` if the script gives every expected reply.
    referee: Option<Side>,
}

/// Runs every case of a script in RESP2 and RESP3, and fails with all differences.
pub(crate) fn run_file(path: &Path, pair: Pair) {
    let script = parse::read(path);
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    if pair == Pair::RefereeTwice && !script.referee {
        return;
    }
    let filter = std::env::var("ITEMORY_TEST_CASE").unwrap_or_default();
    let mut pool: BTreeMap<Vec<String>, Sides> = BTreeMap::new();
    let mut report = String::new();
    let mut failures = 0;
    for case in &script.cases {
        if !format!("{file} {}", case.name).contains(&filter) {
            continue;
        }
        for proto in [2, 3] {
            let Some(sides) = sides(&mut pool, case, &script, pair) else { continue };
            let differences = run_case(case, proto, sides, pair);
            failures += differences.len();
            for difference in differences {
                writeln!(report, "{file}: {} (RESP{proto})\n{difference}", case.name).unwrap();
            }
            let referee = sides.referee.as_mut();
            let flushed = sides.target.reset(&case.flags) && referee.is_none_or(|r| r.reset(&case.flags));
            if leaves_traces(case) || !flushed {
                pool.remove(&case.flags);
            }
        }
    }
    assert!(failures == 0, "{failures} differences\n{report}");
}

/// Whether a case changes more than the data, so that its servers cannot be used again.
fn leaves_traces(case: &Case) -> bool {
    let upper: Vec<String> = case.steps.iter().map(|s| s.text.to_ascii_uppercase()).collect();
    ["CONFIG SET", "CONFIG REWRITE", "DEBUG", "CLIENT PAUSE", "MONITOR", "SHUTDOWN", "ACL"]
        .iter()
        .any(|word| upper.iter().any(|line| line.contains(word)))
        || case.flags.iter().any(|f| f == "--maxclients")
}

fn sides<'a>(
    pool: &'a mut BTreeMap<Vec<String>, Sides>,
    case: &Case,
    script: &Script,
    pair: Pair,
) -> Option<&'a mut Sides> {
    if !pool.contains_key(&case.flags) {
        let mut flags = FLAGS.to_vec();
        flags.extend(case.flags.iter().map(String::as_str));
        let target = match std::env::var("ITEMORY_TEST_SERVER") {
            _ if pair == Pair::RefereeTwice => Server::referee(&flags),
            Ok(_) if !case.flags.is_empty() => return None,
            Ok(address) => Server::external(address.to_socket_addrs().unwrap().next().unwrap()),
            Err(_) => Server::start(&flags),
        };
        let referee = script.referee.then(|| Side::new(Server::referee(&flags)));
        pool.insert(case.flags.clone(), Sides { target: Side::new(target), referee });
    }
    pool.get_mut(&case.flags)
}

fn run_case(case: &Case, proto: u8, sides: &mut Sides, pair: Pair) -> Vec<String> {
    let mut differences = Vec::new();
    let mut before = "";
    for step in case.steps.iter().filter(|s| s.only.is_none_or(|only| only == proto)) {
        if let Action::Sleep(millis) = step.action {
            std::thread::sleep(Duration::from_millis(millis));
            continue;
        }
        let theirs = match &mut sides.referee {
            Some(side) => perform(side, step, proto, case.hello, None),
            None => Vec::new(),
        };
        let kept = sides.referee.as_ref().map(|r| &r.kept);
        let ours = perform(&mut sides.target, step, proto, case.hello, kept);
        let judged = judge(step, &theirs, &ours, sides.referee.is_some(), pair);
        if let Some(what) = judged {
            let after = if before.is_empty() { String::new() } else { format!("   (after {before})") };
            differences.push(format!("  line {}: {}{after}\n{what}", step.line, step.text));
            if differences.len() == 40 {
                differences.push("  ... and no more of this case".into());
                break;
            }
        }
        if !["MULTI", "PING", "EXEC"].contains(&step.text.as_str()) {
            before = &step.text;
        }
    }
    differences
}

/// The fault of our replies; `None` if there is none.
fn judge(step: &Step, theirs: &[Value], ours: &[Value], referee: bool, pair: Pair) -> Option<String> {
    let pinned = |who: &str, values: &[Value]| {
        let expected = step.expected.as_ref()?;
        let bad = values.iter().find(|v| !matches(expected, v))?;
        Some(format!("    {who}: {bad}\n    written: {expected:?}"))
    };
    if theirs.contains(&Value::Timeout) {
        return Some("    the referee does not reply".into());
    }
    if pair == Pair::RefereeTwice || step.difference.is_none() {
        let apart = referee.then(|| theirs.iter().zip(ours).position(|(t, o)| !step.mode.same(t, o)));
        if let Some(at) = apart.flatten() {
            let nth = if ours.len() > 1 { format!(" ({at})") } else { String::new() };
            if let Some(missing) = step.mode.missing(&theirs[at], &ours[at]) {
                return Some(format!("    missing names: {missing}"));
            }
            return Some(format!("    referee{nth}: {}\n    ours{nth}: {}", theirs[at], ours[at]));
        }
        if step.difference.is_some() {
            return None;
        }
        return pinned("ours", ours).or_else(|| pinned("referee", theirs));
    }
    if matches!(step.mode, Mode::Exact | Mode::TimeLeft) && theirs == ours {
        return Some(format!("    marked as a difference, but both say {}", ours[0]));
    }
    pinned("ours", ours)
}

/// Repeats a command until the expected reply comes, and returns the last reply.
fn until(client: &mut Client, command: &[Vec<u8>], expected: Option<&Expected>) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.call(command);
        if expected.is_none_or(|expected| matches(expected, &reply)) || Instant::now() > deadline {
            return reply;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a step on one server and returns the replies.
fn perform(
    side: &mut Side,
    step: &Step,
    proto: u8,
    hello: bool,
    referee: Option<&HashMap<String, Vec<u8>>>,
) -> Vec<Value> {
    let kept = side.kept.clone();
    let fill = |argument: &Argument, counter: i64| -> Vec<u8> {
        let mut out = Vec::new();
        for piece in argument {
            match piece {
                Piece::Bytes(b) => out.extend_from_slice(b),
                Piece::Counter => out.extend_from_slice(counter.to_string().as_bytes()),
                Piece::Kept(name) => out.extend_from_slice(kept.get(name).map_or(&[], |v| v.as_slice())),
                Piece::Referee(name) => {
                    let value = referee.unwrap_or(&kept).get(name);
                    out.extend_from_slice(value.map_or(&[], |v| v.as_slice()));
                }
            }
        }
        out
    };
    let fill_all = |command: &[Argument], counter| -> Vec<Vec<u8>> {
        command.iter().map(|a| fill(a, counter)).collect()
    };
    if let Action::Close = step.action {
        side.clients.remove(&step.connection);
        return Vec::new();
    }
    let client = side.client(&step.connection, proto, hello);
    let replies = match &step.action {
        Action::Call(command) => vec![client.call(&fill_all(command, 0))],
        Action::Send(command) => {
            drop(client.send(&fill_all(command, 0)));
            Vec::new()
        }
        Action::Raw(bytes) => {
            drop(client.send_raw(&fill(bytes, 0)));
            Vec::new()
        }
        Action::Read => vec![client.read()],
        Action::Until(command) => vec![until(client, &fill_all(command, 0), step.expected.as_ref())],
        Action::Loop(from, to, command) => {
            let calls = (*from..=*to).flat_map(|i| Client::encode(&fill_all(command, i)));
            drop(client.send_raw(&calls.collect::<Vec<u8>>()));
            (*from..=*to).map(|_| client.read()).collect()
        }
        Action::Close | Action::Sleep(_) => Vec::new(),
    };
    if let (Some(name), Some(reply)) = (&step.keep, replies.first()) {
        side.kept.insert(name.clone(), reply.bytes().unwrap_or_default());
    }
    replies
}
