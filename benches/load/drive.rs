//! The measured load: one thread, many connections, readiness by epoll.
//!
//! Closed loop: each connection sends `pipeline` requests with one write and, when the last reply is in, the next
//! ones. Open loop: requests leave on a schedule that does not wait for replies, and their latency counts from the
//! time they were due, so that a stall of the server is seen by all the requests that it delayed.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::histogram::Histogram;
use crate::process::{self, Background};
use crate::random::Random;
use crate::reply::{self, Expect};
use crate::subscribers::Subscribers;
use crate::workload::{Sizes, Template, Workload};

/// The most bytes of one read.
const SCRATCH: usize = 1 << 18;
/// The most requests without a reply on one connection before an open loop gives up.
const MAX_UNANSWERED: usize = 100_000;
/// How long the server may leave all requests unanswered.
const PATIENCE: Duration = Duration::from_secs(20);

/// How to load the server.
pub(crate) struct Plan {
    /// The server's port on the loopback interface.
    pub(crate) port: u16,
    /// The server's process, whose processor time and memory are read.
    pub(crate) pid: i32,
    /// Connections.
    pub(crate) connections: usize,
    /// Requests per write.
    pub(crate) pipeline: usize,
    /// Keys to draw from.
    pub(crate) keys: u64,
    /// Time before the measurement begins.
    pub(crate) warmup: Duration,
    /// Time of the measurement; with `during` the longest it may take.
    pub(crate) measure: Duration,
    /// Requests per second of an open loop; `None` for a closed loop.
    pub(crate) rate: Option<f64>,
    /// A command that begins with the measurement and ends it.
    pub(crate) during: Option<String>,
    /// The seed of keys and values.
    pub(crate) seed: u64,
}

/// The results of a measurement.
pub(crate) struct Outcome {
    /// The number of replies.
    pub(crate) operations: u64,
    /// The time in which they came.
    pub(crate) elapsed: Duration,
    /// Processor time of the server meanwhile, in nanoseconds.
    pub(crate) server_cpu_nanos: u64,
    /// Processor time of this process meanwhile, in nanoseconds.
    pub(crate) client_cpu_nanos: u64,
    /// Latencies in nanoseconds.
    pub(crate) latencies: Histogram,
    /// Resident memory of the server at the end.
    pub(crate) resident_kib: u64,
}

/// Requests that left together.
struct Batch {
    since: Instant,
    unanswered: usize,
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
    partial: Vec<u8>,
    batches: VecDeque<Batch>,
    kinds: VecDeque<u8>,
}

struct Request {
    template: Template,
    expect: Expect,
    /// The sum of the shares of all requests up to this one.
    share_end: u64,
}

/// Renders the requests of a workload.
struct Source {
    requests: Vec<Request>,
    random: Random,
    keys: u64,
}

struct Counters {
    operations: u64,
    latencies: Histogram,
}

struct Driver {
    poll: Poll,
    connections: Vec<Connection>,
    source: Source,
    counters: Counters,
    scratch: Vec<u8>,
    pipeline: usize,
    closed: bool,
}

/// Runs `workload` as `plan` says.
pub(crate) fn drive(workload: &Workload, sizes: Sizes, plan: &Plan) -> Result<Outcome, String> {
    let _subscribers = Subscribers::start(plan.port, workload.subscribers)?;
    let mut driver = Driver::connect(workload, sizes, plan)?;
    let mut schedule = plan.rate.map(|rate| Schedule::new(rate / plan.pipeline as f64));
    if schedule.is_none() {
        driver.start_all()?;
    }
    driver.run_for(plan.warmup, None, &mut schedule)?;
    let client = std::process::id() as i32;
    driver.counters.operations = 0;
    driver.counters.latencies.clear();
    let (server_before, client_before) = (process::cpu_nanos(plan.pid)?, process::cpu_nanos(client)?);
    let start = Instant::now();
    let background = plan.during.as_ref().map(|command| Background::start(plan.port, command)).transpose()?;
    driver.run_for(plan.measure, background.as_ref(), &mut schedule)?;
    let elapsed = start.elapsed();
    Ok(Outcome {
        operations: driver.counters.operations,
        elapsed,
        server_cpu_nanos: process::cpu_nanos(plan.pid)? - server_before,
        client_cpu_nanos: process::cpu_nanos(client)? - client_before,
        latencies: driver.counters.latencies,
        resident_kib: process::resident_kib(plan.pid)?,
    })
}

/// The times at which the requests of an open loop are due.
struct Schedule {
    next: Instant,
    interval: Duration,
    connection: usize,
}

impl Schedule {
    fn new(batches_per_second: f64) -> Schedule {
        let interval = Duration::from_secs_f64(1.0 / batches_per_second);
        Schedule { next: Instant::now(), interval, connection: 0 }
    }
}

impl Driver {
    fn connect(workload: &Workload, sizes: Sizes, plan: &Plan) -> Result<Driver, String> {
        let fail = |error: std::io::Error| format!("connect: {error}");
        let poll = Poll::new().map_err(fail)?;
        let mut connections = Vec::new();
        for index in 0..plan.connections {
            let stream = std::net::TcpStream::connect(("127.0.0.1", plan.port)).map_err(fail)?;
            stream.set_nodelay(true).map_err(fail)?;
            stream.set_nonblocking(true).map_err(fail)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(fail)?;
            connections.push(Connection {
                stream,
                out: Vec::new(),
                written: 0,
                partial: Vec::new(),
                batches: VecDeque::new(),
                kinds: VecDeque::new(),
            });
        }
        Ok(Driver {
            poll,
            connections,
            source: Source::new(workload, sizes, plan)?,
            counters: Counters { operations: 0, latencies: Histogram::new() },
            scratch: vec![0; SCRATCH],
            pipeline: plan.pipeline,
            closed: plan.rate.is_none(),
        })
    }

    fn start_all(&mut self) -> Result<(), String> {
        for connection in &mut self.connections {
            connection.send(&mut self.source, self.pipeline, Instant::now())?;
        }
        Ok(())
    }

    fn run_for(
        &mut self,
        time: Duration,
        background: Option<&Background>,
        schedule: &mut Option<Schedule>,
    ) -> Result<(), String> {
        let start = Instant::now();
        let (mut progress_at, mut progress) = (start, self.counters.operations);
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            if now - start >= time {
                return match background {
                    Some(_) => Err("the background command took longer than the measurement may".into()),
                    None => Ok(()),
                };
            }
            if background.map_or(Ok(false), Background::is_finished)? {
                return Ok(());
            }
            if self.counters.operations != progress {
                (progress_at, progress) = (now, self.counters.operations);
            } else if now - progress_at > PATIENCE {
                return Err("the server stopped answering".into());
            }
            if let Some(schedule) = schedule.as_mut() {
                self.send_due(schedule, now)?;
            }
            // An open loop must not oversleep what is due next: it has a core of its own and polls.
            let wait = if schedule.is_some() { Duration::ZERO } else { Duration::from_millis(100) };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(format!("poll: {error}")),
                _ => {}
            }
            for event in &events {
                self.on_event(event.token().0, event.is_readable())?;
            }
        }
    }

    fn send_due(&mut self, schedule: &mut Schedule, now: Instant) -> Result<(), String> {
        while schedule.next <= now {
            let connection = &mut self.connections[schedule.connection];
            if connection.kinds.len() > MAX_UNANSWERED {
                return Err("the server cannot keep up with the rate".into());
            }
            connection.send(&mut self.source, self.pipeline, schedule.next)?;
            schedule.connection = (schedule.connection + 1) % self.connections.len();
            schedule.next += schedule.interval;
        }
        Ok(())
    }

    fn on_event(&mut self, index: usize, readable: bool) -> Result<(), String> {
        let connection = &mut self.connections[index];
        connection.flush()?;
        if readable {
            connection.receive(&mut self.scratch, &self.source, &mut self.counters)?;
        }
        if self.closed && connection.batches.is_empty() {
            connection.send(&mut self.source, self.pipeline, Instant::now())?;
        }
        Ok(())
    }
}

impl Source {
    fn new(workload: &Workload, sizes: Sizes, plan: &Plan) -> Result<Source, String> {
        let mut requests = Vec::new();
        let mut share_end = 0;
        for &(share, text, expect) in workload.requests {
            share_end += share;
            requests.push(Request { template: Template::compile(text, sizes)?, expect, share_end });
        }
        Ok(Source { requests, random: Random::new(plan.seed), keys: plan.keys })
    }

    #[inline]
    fn render(&mut self, out: &mut Vec<u8>) -> u8 {
        let kind = match self.requests.as_slice() {
            [_] => 0,
            requests => {
                let total = requests.last().map_or(1, |request| request.share_end);
                let draw = self.random.below(total);
                requests.iter().position(|request| draw < request.share_end).unwrap_or(0)
            }
        };
        let keys = self.keys;
        self.requests[kind].template.render(out, &mut self.random, |random| random.below(keys));
        kind as u8
    }
}

impl Connection {
    fn send(&mut self, source: &mut Source, count: usize, since: Instant) -> Result<(), String> {
        for _ in 0..count {
            let kind = source.render(&mut self.out);
            self.kinds.push_back(kind);
        }
        self.batches.push_back(Batch { since, unanswered: count });
        self.flush()
    }

    fn flush(&mut self) -> Result<(), String> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("write: {error}")),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    fn receive(
        &mut self,
        scratch: &mut [u8],
        source: &Source,
        counters: &mut Counters,
    ) -> Result<(), String> {
        loop {
            let kept = self.partial.len();
            if kept == scratch.len() {
                return Err("a reply does not fit the buffer".into());
            }
            match self.stream.read(&mut scratch[kept..]) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(count) => {
                    scratch[..kept].copy_from_slice(&self.partial);
                    let used = self.consume(&scratch[..kept + count], source, counters)?;
                    self.partial.clear();
                    self.partial.extend_from_slice(&scratch[used..kept + count]);
                    // A short read has emptied the socket, and the next edge reports what comes later.
                    if kept + count < scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("read: {error}")),
            }
        }
    }

    fn consume(&mut self, bytes: &[u8], source: &Source, counters: &mut Counters) -> Result<usize, String> {
        let now = Instant::now();
        let mut used = 0;
        while used < bytes.len() {
            let Some(batch) = self.batches.front_mut() else {
                return Err("a reply that nobody asked for".into());
            };
            let mut answered = 0;
            while answered < batch.unanswered {
                let expect = source.requests[usize::from(self.kinds[answered])].expect;
                let Some(length) = reply::scan(&bytes[used..], expect)? else { break };
                used += length;
                answered += 1;
            }
            self.kinds.drain(..answered);
            batch.unanswered -= answered;
            counters.operations += answered as u64;
            counters.latencies.record((now - batch.since).as_nanos() as u64, answered as u64);
            if batch.unanswered > 0 {
                break;
            }
            self.batches.pop_front();
        }
        Ok(used)
    }
}
