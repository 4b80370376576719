//! Commands that take long, each on a thread of its own.

use super::gate::{self, Verdict};
use super::worker::{Progress, Stop, Worker};
use crate::command::{Client, Fail, Server, flag};
use crate::node::WorkerStats;
use crate::resp::Reply;
use crate::store::shown;
use std::sync::Arc;

/// What works on the data has one of these flags.
const WORKS: u64 = flag::READONLY | flag::WRITE | flag::SESSION | flag::SCRIPT;

impl Worker {
    /// Whether a command that stopped a run with [`Stop::Long`] works on the data. If not, it takes long because it
    /// waits for something.
    pub fn works_on_data(&mut self, args: &[&[u8]]) -> bool {
        self.find(args).is_ok_and(|command| command.has(WORKS))
    }

    /// Why a command that works on the data should not wait for its turn any longer: a script has run for
    /// `busy-reply-threshold`, and perhaps it has the turn.
    pub fn is_busy(&mut self) -> Option<Fail> {
        self.refresh();
        let now = self.server.engine.clock.instant();
        let slow = self.server.running.slow(None, now, self.settings.busy_reply_threshold)?;
        Some(Fail::busy(slow.is_function))
    }

    /// Answers a command that stopped a run with [`Stop::Long`] and cannot be run.
    pub fn refuse_long(
        &mut self,
        client: &mut Client,
        args: &[&[u8]],
        fail: &Fail,
        out: &mut Reply,
    ) -> Option<Stop> {
        let mark = out.len();
        let command = self.find(args).ok();
        self.refuse(client, command, fail, out);
        Self::after(client, out, mark)
    }

    /// A worker for one long command. Its counters are added to those of the connection's worker afterwards.
    pub fn for_long_command(server: Arc<Server>) -> Self {
        let stats = Arc::new(WorkerStats::new(server.registry.count()));
        let mut worker = Self::new(server, 0);
        worker.stats = stats;
        worker
    }

    /// Runs one command that stopped a run with [`Stop::Long`], on any thread, with a worker made for it. The command
    /// is not done if the server may be ending, or if a script has its shards: then it waits and is run again.
    pub fn run_long(&mut self, client: &mut Client, args: &[&[u8]], out: &mut Reply) -> Progress {
        let now = self.server.engine.clock.now_ms();
        let mut clock = self.server.engine.clock.monotonic_nanos();
        let mark = out.len();
        self.wrote = false;
        shown::take();
        let mut stop = None;
        if let Ok(command) = self.find(args) {
            // The gates are passed again, because the command waited for its thread.
            stop = match gate::check(self, client, command, args) {
                Ok(Verdict::Wait(until)) => Some(Stop::Paused(until)),
                Ok(Verdict::Go) => {
                    client.has_own_thread = true;
                    self.execute(client, command, args, None, now, &mut clock, out);
                    client.has_own_thread = false;
                    if !client.postponed {
                        client.end_caching_given();
                    }
                    if std::mem::take(&mut client.postponed) {
                        Some(Stop::Paused(gate::wait_of_postponed(client, clock)))
                    } else {
                        Self::after(client, out, mark)
                    }
                }
                Err(fail) => {
                    self.refuse(client, Some(command), &fail, out);
                    Self::after(client, out, mark)
                }
            };
        }
        let done = usize::from(!matches!(stop, Some(Stop::Paused(_))));
        if self.server.engine.store.has_ready() {
            self.serve_ready();
        }
        Progress { done, stop, wrote: self.wrote, shows: shown::take() }
    }
}
