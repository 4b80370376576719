//! Random commands from several clients against a model that is simple enough to be seen to be right, with restarts in
//! between and a clock that advances.

pub(crate) mod in_process;
mod items;
mod state;

use crate::harness::{Client, Random, Server, Value};
use in_process::InProcess;
use itemory::config::AppendFsync;
use state::Model;

/// The side that is compared with the model: a server that can be restarted, and whose clock may be advanced.
pub(crate) trait Subject {
    fn call(&mut self, client: usize, command: &[String]) -> Value;
    /// Drops everything in memory and reads it again from disk. All clients connect again.
    fn reopen(&mut self, how: Reopen);
    /// Writes a checkpoint.
    fn checkpoint(&mut self);
    /// The time in ms since the epoch.
    fn now(&self) -> u64;
    /// Advances the clock if that is possible, and returns whether it is.
    fn advance(&mut self, millis: u64) -> bool;
    /// Removes what has expired, if time stands still meanwhile.
    fn remove_expired(&mut self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reopen {
    Kill,
    Orderly,
}

/// A server process, reached over a socket. Its clock is the system's.
struct Process {
    server: Server,
    clients: Vec<Client>,
}

impl Process {
    fn new(server: Server, clients: usize) -> Process {
        let clients = (0..clients).map(|_| server.client()).collect();
        Process { server, clients }
    }
}

impl Subject for Process {
    fn call(&mut self, client: usize, command: &[String]) -> Value {
        self.clients[client].call(command)
    }

    fn reopen(&mut self, how: Reopen) {
        match how {
            Reopen::Kill => self.server.crash(),
            Reopen::Orderly => self.server.restart(),
        }
        for client in &mut self.clients {
            *client = self.server.client();
        }
    }

    fn checkpoint(&mut self) {
        // A checkpoint that is already being written is as good.
        self.server.client().run("BGSAVE");
    }

    fn now(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_millis() as u64
    }

    fn advance(&mut self, _millis: u64) -> bool {
        false
    }

    fn remove_expired(&mut self) {}
}

const CLIENTS: usize = 4;

/// A random command of those that the model knows.
fn command(random: &mut Random, step: usize, now: u64, movable: bool) -> Vec<String> {
    let key = |random: &mut Random| format!("k{}", random.below(6));
    // If the clock cannot be advanced, only times far in the future or in the past have a certain effect.
    let time = |random: &mut Random| {
        let at = match (movable, random.below(4)) {
            (true, 0 | 1) => now + random.below(200) as u64,
            (_, 2) => 1 + random.below(1000) as u64,
            _ => 33_177_117_420_000 + random.below(100) as u64,
        };
        at.to_string()
    };
    let number = |random: &mut Random| (random.below(20) as i64 - 10).to_string();
    let field = |random: &mut Random| format!("f{}", random.below(4));
    let id = |random: &mut Random| format!("{}-0", (step + 1).saturating_sub(random.below(200)));
    let words: Vec<String> = match random.below(44) {
        0..=3 => vec!["SET".into(), key(random), random.below(100).to_string()],
        4 => vec![
            "SET".into(),
            key(random),
            "text".into(),
            random.pick(&["NX", "XX", "KEEPTTL", "GET"]).into(),
        ],
        // The deadline is always in the future: a SET with a passed deadline does not count as a change of a missing
        // key here, but it does in the referee.
        5 => {
            let at = if movable { now + 1 + random.below(200) as u64 } else { 33_177_117_420_050 };
            vec!["SET".into(), key(random), "timed".into(), "PXAT".into(), at.to_string()]
        }
        6..=8 => vec!["GET".into(), key(random)],
        9 => vec!["DEL".into(), key(random), key(random)],
        10 | 11 => vec!["INCRBY".into(), key(random), number(random)],
        12 => vec!["APPEND".into(), key(random), random.below(10).to_string()],
        13 | 14 => vec!["HSET".into(), key(random), field(random), random.below(50).to_string()],
        15 => vec!["HDEL".into(), key(random), field(random)],
        16 => vec!["HGETALL".into(), key(random)],
        17 => vec!["HINCRBY".into(), key(random), field(random), number(random)],
        18 | 19 => vec!["PEXPIREAT".into(), key(random), time(random)],
        20 => vec!["PERSIST".into(), key(random)],
        21 => vec!["PEXPIRETIME".into(), key(random)],
        22 => vec!["RENAME".into(), key(random), key(random)],
        23 => vec!["EXISTS".into(), key(random), key(random)],
        24 => vec!["TYPE".into(), key(random)],
        25 => vec!["COPY".into(), key(random), key(random), "REPLACE".into()],
        26 => vec!["SELECT".into(), random.below(2).to_string()],
        27 | 28 => vec!["MULTI".into()],
        29 | 30 => vec!["EXEC".into()],
        31 => vec![random.pick(&["DISCARD", "UNWATCH", "DISCARD"]).into()],
        32 => vec!["WATCH".into(), key(random), key(random)],
        33..=36 => {
            vec!["XADD".into(), key(random), format!("{}-0", step + 1), "f".into(), step.to_string()]
        }
        37 => vec!["XDEL".into(), key(random), id(random)],
        38 => vec!["XTRIM".into(), key(random), "MAXLEN".into(), random.below(9).to_string()],
        39 => vec!["XRANGE".into(), key(random), "-".into(), "+".into()],
        40 => {
            let words = random.pick(&["CREATE k g 0 MKSTREAM", "CREATE k g 0 MKSTREAM", "DESTROY k g"]);
            let key = key(random);
            let words = words.split(' ').map(|word| if word == "k" { key.clone() } else { word.to_owned() });
            std::iter::once("XGROUP".to_owned()).chain(words).collect()
        }
        41 => {
            let consumer = field(random);
            let words = format!("XREADGROUP GROUP g {consumer} COUNT 2 STREAMS {} >", key(random));
            words.split(' ').map(str::to_owned).collect()
        }
        42 => match random.below(2) {
            0 => vec!["XACK".into(), key(random), "g".into(), id(random)],
            _ => vec!["XPENDING".into(), key(random), "g".into()],
        },
        _ if random.one_in(20) => vec!["FLUSHDB".into()],
        _ => vec!["MOVE".into(), key(random), "1".into()],
    };
    words
}

fn compare(mut subject: impl Subject, steps: usize) {
    let mut random = Random::from_environment("model");
    let mut model = Model::new(CLIENTS);
    let mut history: Vec<String> = Vec::new();
    let movable = subject.advance(0);
    for step in 0..steps {
        if random.one_in(500) {
            let how = if random.one_in(3) { Reopen::Orderly } else { Reopen::Kill };
            subject.reopen(how);
            model.reopen();
            history.push(format!("-- {how:?}"));
        }
        if random.one_in(700) {
            subject.checkpoint();
            history.push("-- checkpoint".into());
        }
        if movable && random.one_in(10) {
            subject.advance(random.below(150) as u64);
        }
        let now = subject.now();
        let client = random.below(CLIENTS);
        let command = command(&mut random, step, now, movable);
        let expected = model.call(client, &command, now);
        let came = subject.call(client, &command);
        history.push(format!("{now} [{client}] {} -> {expected}", command.join(" ")));
        assert!(
            came.sorted() == expected.sorted(),
            "step {step}: {came} came, the model says {expected}\n{}",
            history[history.len().saturating_sub(40)..].join("\n")
        );
    }
}

/// At `everysec` the referee may delay writes while it syncs, and a kill then loses them.
const REFEREE_FLAGS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
const FLAGS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

#[test]
fn the_binary_is_as_the_model() {
    compare(Process::new(Server::start(&FLAGS), CLIENTS), 6000);
}

#[test]
fn the_code_over_a_simulated_disk_is_as_the_model_at_always() {
    for _ in 0..4 {
        compare(InProcess::new(AppendFsync::Always, CLIENTS), 6000);
    }
}

#[test]
fn the_code_over_a_simulated_disk_is_as_the_model_at_everysec() {
    for _ in 0..4 {
        compare(InProcess::new(AppendFsync::Everysec, CLIENTS), 6000);
    }
}

/// The referee agrees with the model, so the model is right.
#[test]
fn the_referee_is_as_the_model() {
    compare(Process::new(Server::referee(&REFEREE_FLAGS), CLIENTS), 6000);
}
