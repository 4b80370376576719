//! Restarts, power cuts, checkpoints, and the removal of what has expired are not seen in any reply: random commands of
//! every family go to a server that goes through all of them, and to one that is never restarted. That a server without
//! restarts is right is shown beside the referee (`random.rs`).

use super::in_process::InProcess;
use super::{Reopen, Subject};
use crate::harness::Random;
use crate::pipelined::{any, plain};
use crate::random::{contents, filled};
use itemory::config::AppendFsync;
use std::fmt::Write as _;

const CLIENTS: usize = 3;

/// Templates as in `random.rs`, with deadlines that pass while the test runs.
const TIMED: &[&str] = &[
    "PEXPIRE k 50",
    "PEXPIRE h 90",
    "PEXPIRE s 70",
    "PEXPIRE p 90",
    "PEXPIRE y 120",
    "PEXPIRE l 120",
    "PEXPIRE z 60",
    "PEXPIRE e 60 NX",
    "PEXPIRE z 400 GT",
    "PERSIST l",
    "PERSIST z",
    "SET k v PX 120",
    "GETEX k PX 80",
    "MSETEX 2 k v k v PX 100",
    "INCREX k BYINT d PX 50",
    "HPEXPIRE h 90 FIELDS 2 f f",
    "HSETEX h PX 130 FIELDS 2 f v f v",
    "HGETEX h PX 60 FIELDS 1 f",
    "SUNIONSTORE y y y",
    "ZUNIONSTORE z 2 z y",
    "BLMOVE l l LEFT RIGHT 0.001",
    "WATCH l z y",
    "WATCH p s h",
    "MULTI",
    "EXEC",
];

/// Copies a value by its payload; its deadline is a moment away.
const RESTORE: &str =
    "return redis.call('RESTORE', KEYS[2], ARGV[1], redis.call('DUMP', KEYS[1]) or 'none', 'REPLACE')";

fn command(random: &mut Random, step: usize) -> Vec<String> {
    let text = |words: Vec<Vec<u8>>| words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect();
    loop {
        let words: Vec<String> = match random.below(8) {
            0 => {
                let template = random.pick(&["l l", "y y", "z z", "s s", "h h", "p p", "e e", "k k"]);
                let millis = random.pick(&["0", "0", "150"]);
                let mut words: Vec<String> =
                    text(filled(&format!("EVAL SCRIPT 2 {template} {millis}"), random, step));
                RESTORE.clone_into(&mut words[1]);
                words
            }
            1 => text(filled(random.pick(TIMED), random, step)),
            _ => text(any(random, step)),
        };
        // A restart forgets what CONFIG SET has set, and which scripts there were. DBSIZE counts what has expired until
        // it is removed.
        if !matches!(words[0].as_str(), "CONFIG" | "EVALSHA" | "SCRIPT" | "DBSIZE") {
            return words;
        }
    }
}

/// All keys, tables, items and libraries.
fn everything(subject: &mut InProcess) -> String {
    subject.reconnect();
    let mut run = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        subject.call(0, &words)
    };
    let mut out = contents(&mut run);
    for line in ["TABLE.LIST", "ITEM.SCAN users", "ITEM.SCAN orders", "FUNCTION LIST WITHCODE"] {
        writeln!(out, "{line} {}", run(line).sorted()).unwrap();
    }
    subject.reconnect();
    out
}

struct Twins {
    steady: InProcess,
    restarted: InProcess,
    history: Vec<String>,
}

impl Twins {
    fn last(&self) -> String {
        self.history[self.history.len().saturating_sub(100)..].join("\n")
    }

    fn compare(&mut self) {
        let (steady, restarted) = (everything(&mut self.steady), everything(&mut self.restarted));
        let differ = || {
            let pairs = steady.lines().zip(restarted.lines()).filter(|(one, other)| one != other);
            pairs.flat_map(|(one, other)| [one, other]).collect::<Vec<_>>().join("\n")
        };
        assert!(steady == restarted, "never restarted, and restarted:\n{}\n{}", differ(), self.last());
    }

    fn reopen(&mut self, how: Reopen) {
        self.restarted.reopen(how);
        self.history.push(format!("-- {how:?}"));
        self.compare();
    }

    fn step(&mut self, random: &mut Random, step: usize) {
        match random.below(1000) {
            0..=2 => self.reopen(Reopen::Kill),
            3 => self.reopen(Reopen::Orderly),
            4..=6 => {
                self.restarted.checkpoint();
                self.history.push("-- checkpoint".into());
            }
            7..=12 => {
                self.restarted.checkpoint_beside();
                self.history.push("-- a checkpoint beside what follows".into());
            }
            13..=112 => {
                let millis = random.below(60) as u64;
                self.steady.advance(millis);
                self.restarted.advance(millis);
            }
            113..=132 => self.restarted.remove_expired(),
            _ => {
                let who = random.below(CLIENTS);
                let command = command(random, step);
                let expected = self.steady.call(who, &command);
                let came = self.restarted.call(who, &command);
                let now = self.steady.now();
                self.history.push(format!("{now} [{who}] {command:?} -> {expected:.300}"));
                let same = plain(&came) == plain(&expected);
                assert!(same, "step {step}: {came} came, not {expected}\n{}", self.last());
            }
        }
    }
}

fn restarts_are_not_seen(fsync: AppendFsync, steps: usize) {
    let mut random = Random::from_environment("twins");
    let (steady, restarted) = (InProcess::new(fsync, CLIENTS), InProcess::new(fsync, CLIENTS));
    let mut twins = Twins { steady, restarted, history: Vec::new() };
    (0..steps).for_each(|step| twins.step(&mut random, step));
    twins.reopen(Reopen::Kill);
}

#[test]
fn restarts_and_checkpoints_are_not_seen_at_always() {
    (0..3).for_each(|_| restarts_are_not_seen(AppendFsync::Always, 4000));
}

#[test]
fn restarts_and_checkpoints_are_not_seen_at_everysec() {
    (0..3).for_each(|_| restarts_are_not_seen(AppendFsync::Everysec, 4000));
}
