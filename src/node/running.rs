//! Scripts that run for long, and what a script has done besides changing data.

use crate::env::Instant;
use crate::lua::LogLevel;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{Acquire, Relaxed, Release},
};

/// How a running script is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StopRequest {
    /// By itself.
    No = 0,
    /// SCRIPT KILL asks for it. That comes too late if the script has written since.
    Killed = 1,
    /// The server ends: what the script has done is undone, and it runs again if the end is refused.
    Forced = 2,
}

/// A script that runs for long.
pub struct LongScript {
    /// The SHA-1 of a script, or the name of a function.
    pub name: String,
    /// The command that runs it.
    pub command: Vec<Box<[u8]>>,
    /// Whether it is a function.
    pub is_function: bool,
    /// When it began.
    pub since: Instant,
    /// Whether it has written.
    pub wrote: AtomicBool,
    stop: AtomicU8,
    /// The shards that it holds, by their numbers.
    shards: Mutex<Vec<bool>>,
}

impl LongScript {
    /// A script that begins. It holds no shards yet.
    pub fn new(name: String, command: &[&[u8]], is_function: bool, since: Instant) -> Self {
        Self {
            name,
            command: command.iter().map(|word| Box::from(*word)).collect(),
            is_function,
            since,
            wrote: AtomicBool::new(false),
            stop: AtomicU8::new(0),
            shards: Mutex::default(),
        }
    }

    /// Notes which shards it holds.
    pub fn hold(&self, shards: Vec<bool>) {
        *self.shards.lock() = shards;
    }

    /// Whether it holds a shard.
    pub fn holds(&self, shard: usize) -> bool {
        self.shards.lock().get(shard).copied().unwrap_or(false)
    }

    /// Whether it has run for at least `threshold` ms (`busy-reply-threshold`; 0 stands for ever).
    pub fn is_slow(&self, now: Instant, threshold: u64) -> bool {
        threshold > 0 && now.ms_since(self.since) >= threshold
    }

    /// How it is to end.
    pub fn stop(&self) -> StopRequest {
        match self.stop.load(Acquire) {
            0 => StopRequest::No,
            1 => StopRequest::Killed,
            _ => StopRequest::Forced,
        }
    }
}

/// What came of SCRIPT KILL or FUNCTION KILL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KillOutcome {
    /// A script was asked to end.
    Asked,
    /// None runs.
    None,
    /// All that run have written.
    Unkillable,
    /// What runs is of the other kind: a function, or no function.
    OtherKind,
}

/// The scripts that run for long: those on threads of their own.
#[derive(Default)]
pub struct RunningScripts {
    list: Mutex<Vec<Arc<LongScript>>>,
    /// Whether the server is about to end, so that scripts must.
    stopping: AtomicBool,
}

impl RunningScripts {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.list.lock().is_empty()
    }

    /// Enters a script.
    pub fn enter(&self, script: Arc<LongScript>) {
        let mut list = self.list.lock();
        if self.is_stopping() {
            script.stop.store(StopRequest::Forced as u8, Release);
        }
        list.push(script);
    }

    /// Removes a script that has ended.
    pub fn leave(&self, script: &Arc<LongScript>) {
        self.list.lock().retain(|other| !Arc::ptr_eq(other, script));
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<LongScript>> {
        self.list.lock().clone()
    }

    /// A script that holds a shard, or any if there is no shard, and has run for at least `threshold` ms.
    pub fn slow(&self, shard: Option<usize>, now: Instant, threshold: u64) -> Option<Arc<LongScript>> {
        let in_the_way = |script: &&Arc<LongScript>| {
            script.is_slow(now, threshold) && shard.is_none_or(|shard| script.holds(shard))
        };
        self.list.lock().iter().find(in_the_way).cloned()
    }

    /// Asks scripts that have written nothing to end; functions if `functions`.
    pub fn kill(&self, functions: bool) -> KillOutcome {
        let list = self.list.lock();
        let of_kind = || list.iter().filter(|script| script.is_function == functions);
        let mut asked = 0;
        for script in of_kind().filter(|script| !script.wrote.load(Relaxed)) {
            script.stop.fetch_max(StopRequest::Killed as u8, Release);
            asked += 1;
        }
        match (list.is_empty(), of_kind().next(), asked) {
            (true, ..) => KillOutcome::None,
            (_, None, _) => KillOutcome::OtherKind,
            (_, _, 0) => KillOutcome::Unkillable,
            _ => KillOutcome::Asked,
        }
    }

    /// Has all of them end, because the server does, and those that begin from now on.
    pub fn stop_all(&self) {
        let list = self.list.lock();
        self.stopping.store(true, Release);
        list.iter().for_each(|script| script.stop.store(StopRequest::Forced as u8, Release));
    }

    /// Lets scripts run again, because the server does not end.
    pub fn go_on(&self) {
        self.stopping.store(false, Release);
    }

    /// Whether scripts must end because the server does.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Acquire)
    }
}

/// Calls of one command inside a script.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// The command's number.
    pub id: usize,
    /// How many calls.
    pub count: u64,
    /// Their time together.
    pub nanos: u64,
    /// How many of them answered with an error.
    pub failed: u64,
}

/// What a script has done besides changing data. It counts and is shown once the script's changes are not undone any
/// more.
#[derive(Default)]
pub struct Inside {
    /// The commands called.
    pub calls: SmallVec<[Calls; 8]>,
    /// Lookups that found a key, and that found none.
    pub lookups: (u64, u64),
    /// The beginnings of the errors that commands gave.
    pub errors: Vec<Box<[u8]>>,
    /// Whether the error of the script itself is among them.
    pub is_counted: bool,
    /// Lines for the server's log.
    pub log: Vec<(LogLevel, Box<[u8]>)>,
}

/// More errors and lines than this of one run are not kept.
const MOST_LINES: usize = 1000;

impl Inside {
    /// Forgets all of it, for another run.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.lookups = (0, 0);
        self.errors.clear();
        self.is_counted = false;
        self.log.clear();
    }

    /// Counts a call.
    pub fn called(&mut self, id: usize, nanos: u64, failed: bool) {
        if let Some(calls) = self.calls.iter_mut().find(|calls| calls.id == id) {
            calls.count += 1;
            calls.nanos += nanos;
            calls.failed += u64::from(failed);
        } else {
            self.calls.push(Calls { id, count: 1, nanos, failed: u64::from(failed) });
        }
    }

    /// Counts an error by its text.
    pub fn erred(&mut self, text: &[u8]) {
        /// The code stands within so many bytes.
        const CODE: usize = 32;
        if self.errors.len() < MOST_LINES {
            self.errors.push(text.get(..CODE).unwrap_or(text).into());
        }
    }

    /// Keeps a line.
    pub fn log(&mut self, level: LogLevel, text: &[u8]) {
        if self.log.len() < MOST_LINES {
            self.log.push((level, text.into()));
        }
    }
}
