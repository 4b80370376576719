//! The search for an order of commands in which each of them would have had the reply that it had. It is that of Wing
//! and Gong, with Lowe's memory of what was already tried.

use super::spec::State;
use std::collections::HashSet;
use std::fmt::Write as _;

/// A command on one key, as its client saw it. Times are numbers in the order in which the test drew them.
#[derive(Clone, Debug)]
pub(super) struct Op {
    /// A time before the command was sent.
    pub(super) sent: u64,
    /// A time after its reply was read, or after the connection was found closed.
    pub(super) answered: u64,
    pub(super) words: Vec<String>,
    /// The reply as [`super::spec::plain`] has it. Without one the command may have run, or not.
    pub(super) reply: Option<String>,
}

/// How many commands of each process are in the order so far.
type Positions = Vec<usize>;

/// Looks for an order of all answered commands, and of any that were not answered, such that each command is behind
/// those that were answered before it was sent and behind those that its process sent before it, and has its reply.
/// A process sends one command after the other, and nothing after one that was not answered. If there is no order, the
/// error shows the longest one that was found, and what could not follow.
pub(super) fn linearize(start: &State, processes: &[Vec<Op>]) -> Result<(), String> {
    let mut tried: HashSet<(Positions, State)> = HashSet::new();
    let mut stack = vec![(vec![0; processes.len()], start.clone())];
    let mut furthest = stack[0].clone();
    while let Some((positions, state)) = stack.pop() {
        let next = || processes.iter().zip(&positions).map(|(process, at)| process.get(*at));
        let first_answer = next().flatten().filter(|op| op.reply.is_some()).map(|op| op.answered).min();
        let Some(first_answer) = first_answer else { return Ok(()) };
        if positions.iter().sum::<usize>() > furthest.0.iter().sum() {
            furthest = (positions.clone(), state.clone());
        }
        for (who, op) in next().enumerate() {
            let Some(op) = op.filter(|op| op.sent < first_answer) else { continue };
            for state in state.step(&op.words, op.reply.as_deref()) {
                let mut positions = positions.clone();
                positions[who] += 1;
                drop_lost(processes, &mut positions, op.sent);
                if tried.insert((positions.clone(), state.clone())) {
                    stack.push((positions, state));
                }
            }
        }
    }
    Err(describe(processes, &furthest))
}

/// Leaves out commands that were not answered, if their connection was closed before `sent`.
fn drop_lost(processes: &[Vec<Op>], positions: &mut Positions, sent: u64) {
    for (process, at) in processes.iter().zip(positions) {
        if process.get(*at).is_some_and(|op| op.reply.is_none() && op.answered < sent) {
            *at = process.len();
        }
    }
}

/// The state after the longest order, and what each process sent at that time.
fn describe(processes: &[Vec<Op>], (positions, state): &(Positions, State)) -> String {
    let next = processes.iter().zip(positions).filter_map(|(process, at)| process.get(*at));
    let first_answer = next.filter(|op| op.reply.is_some()).map(|op| op.answered).min().unwrap_or(u64::MAX);
    let mut text =
        format!("no order of the commands has their replies. One of some of them ends with {state:?}");
    for (who, (process, at)) in processes.iter().zip(positions).enumerate() {
        for (n, op) in process.iter().enumerate().skip(at.saturating_sub(2)).take(4) {
            if n < *at && op.answered + 100 < first_answer || n >= *at && op.sent >= first_answer {
                continue;
            }
            let mark = if n < *at { "before" } else { "NEXT  " };
            let (words, reply) = (op.words.join(" "), op.reply.as_deref().unwrap_or("?"));
            write!(text, "\n{mark} [{who}] {}..{} {words} -> {reply}", op.sent, op.answered).unwrap();
        }
    }
    text
}
