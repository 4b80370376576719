//! Work that takes long, on threads of its own.

use crate::env::memory;
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// The stack of a thread that runs commands, in bytes. Only what is used of it takes memory. Scripts nest values deep.
pub(super) const STACK: usize = 16 << 20;

/// At most so many threads wait for the next long command. Each may keep an interpreter.
const MOST_IDLE: usize = 4;
/// A thread waits so long for the next command before it gives back what its arena keeps.
const WAIT_TO_PURGE: Duration = Duration::from_millis(100);
/// A thread waits so long after that before it ends.
const WAIT_TO_END: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// Threads that run one command after another.
struct Pool {
    /// Those that wait for the next command; those that began to wait last are at the end.
    idle: Mutex<Vec<(u64, SyncSender<Job>)>>,
}

static COMMANDS: Pool = Pool::new();

/// Runs `work` on a new thread of this name. The receiver gets its result, or an error if `work` panics.
///
/// # Errors
/// No thread can be started. (The runtime's own pool would panic then.)
pub(super) fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (job, result) = job(work);
    let job = move || {
        job();
        // A recovery uses much memory for a while, and its thread's arena may not be used again for long.
        memory::purge_own();
    };
    start(name, job)?;
    Ok(result)
}

/// Runs a long command on a thread that has run others, or on a new one. The receiver gets its result, or an error if
/// `work` panics. (A thread that has run scripts has an interpreter that knows them.)
///
/// # Errors
/// No thread can be started.
pub(super) fn run_command<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (job, result) = job(work);
    COMMANDS.run(job)?;
    Ok(result)
}

fn job<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Job, oneshot::Receiver<T>) {
    let (done, result) = oneshot::channel();
    // The receiver may be gone.
    let job = move || drop(done.send(work()));
    (Box::new(job), result)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work).map(drop)
}

impl Pool {
    const fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }

    fn run(&'static self, mut job: Job) -> io::Result<()> {
        loop {
            let Some((_, idle)) = self.idle.lock().pop() else { break };
            match idle.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => job = back,
            }
        }
        start("command", move || self.run_commands(job))
    }

    /// Runs a command and those that follow it.
    fn run_commands(&self, first: Job) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Relaxed);
        let mut next = Some(first);
        while let Some(job) = next {
            job();
            next = self.next_job(id);
        }
        memory::purge_own();
    }

    /// Waits for the next command; `None` if the thread is to end.
    fn next_job(&self, id: u64) -> Option<Job> {
        let (give, given) = sync_channel(1);
        {
            let mut idle = self.idle.lock();
            if idle.len() >= MOST_IDLE {
                return None;
            }
            idle.push((id, give));
        }
        match given.recv_timeout(WAIT_TO_PURGE) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => memory::purge_own(),
        }
        given.recv_timeout(WAIT_TO_END).ok().or_else(|| self.leave(id, &given))
    }

    /// Takes the thread out of those that wait. If it was just chosen for a command, it gets that.
    fn leave(&self, id: u64, given: &Receiver<Job>) -> Option<Job> {
        self.idle.lock().retain(|(other, _)| *other != id);
        // Whoever has chosen the thread holds the sender until the command is given.
        given.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_IDLE, Pool, job};
    use std::sync::{Arc, Barrier};
    use std::thread;
    use tokio::sync::oneshot::Receiver;

    static POOL: Pool = Pool::new();

    fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (job, result) = job(work);
        POOL.run(job).unwrap();
        result
    }

    /// Waits until so many threads wait for the next command.
    fn rest(threads: usize) {
        while POOL.idle.lock().len() < threads {
            thread::yield_now();
        }
    }

    #[test]
    fn threads_run_one_command_after_another_and_some_remain() {
        let who = || run(|| thread::current().id()).blocking_recv().unwrap();
        let first = who();
        rest(1);
        assert_eq!(who(), first);
        rest(1);
        assert!(run(|| panic!("a command that fails")).blocking_recv().is_err());
        assert_ne!(who(), first);
        rest(1);
        let together = Arc::new(Barrier::new(MOST_IDLE + 2));
        let waiting = || {
            let together = Arc::clone(&together);
            run(move || together.wait())
        };
        let all: Vec<_> = (0..MOST_IDLE + 2).map(|_| waiting()).collect();
        for one in all {
            one.blocking_recv().unwrap();
        }
        rest(MOST_IDLE);
        assert_eq!(POOL.idle.lock().len(), MOST_IDLE);
    }
}
