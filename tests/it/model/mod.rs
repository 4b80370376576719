//! Random commands from several clients against a model that is simple enough to be seen to be right, with restarts in
//! between and a clock that advances.

mod collections;
mod commands;
pub(crate) mod in_process;
mod items;
mod state;
mod twins;

use crate::harness::{Client, Random, Server, Value};
use commands::command;
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
        // Lists and sorted sets have an order of their own.
        let in_order = matches!(command[0].as_bytes()[0], b'L' | b'Z');
        assert!(
            if in_order { came == expected } else { came.sorted() == expected.sorted() },
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
