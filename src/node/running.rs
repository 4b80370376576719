//! Scripts that run for long, and what a script has done besides changing data.

use crate::env::Instant;
use crate::lua::LogLevel;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicUsize,
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
    /// The server ends, and what the script has done is undone.
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
    /// Whether it has run for longer than `busy-reply-threshold`.
    pub is_slow: AtomicBool,
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
            is_slow: AtomicBool::new(false),
            stop: AtomicU8::new(0),
            shards: Mutex::default(),
        }
    }

    /// Notes which shards it holds.
    pub fn hold(&self, shards: Vec<bool>) {
        *self.shards.lock() = shards;
    }

    /// Whether it holds one of some shards.
    pub fn holds(&self, mut shards: impl Iterator<Item = usize>) -> bool {
        let held = self.shards.lock();
        shards.any(|shard| held.get(shard).copied().unwrap_or(false))
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

/// The scripts that run for long.
#[derive(Default)]
pub struct RunningScripts {
    list: Mutex<Vec<Arc<LongScript>>>,
    count: AtomicUsize,
}

impl RunningScripts {
    /// Whether there are any.
    #[inline]
    pub fn any(&self) -> bool {
        self.count.load(Relaxed) != 0
    }

    /// Enters a script.
    pub fn enter(&self, script: Arc<LongScript>) {
        let mut list = self.list.lock();
        list.push(script);
        self.count.store(list.len(), Relaxed);
    }

    /// Removes a script that has ended.
    pub fn leave(&self, script: &Arc<LongScript>) {
        let mut list = self.list.lock();
        list.retain(|other| !Arc::ptr_eq(other, script));
        self.count.store(list.len(), Relaxed);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<LongScript>> {
        self.list.lock().clone()
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

    /// Has all of them end, because the server does.
    pub fn stop_all(&self) {
        self.list.lock().iter().for_each(|script| script.stop.store(StopRequest::Forced as u8, Release));
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
