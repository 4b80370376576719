//! A server in this process, with a simulated disk and a manual clock.

use super::{Reopen, Subject};
use crate::harness::{Client as Wire, Value};
use itemory::command::{Client, Server};
use itemory::config::{AppendFsync, Config, Settings};
use itemory::engine::Engine;
use itemory::env::{Clock, CrashMode, SimDisk};
use itemory::node::ClientHandle;
use itemory::resp::{Batch, Decoder, InputLimits, Proto, Reply};
use itemory::session::{Stop, WaitEnd, Worker};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The time on the clock at the start, in ms since the epoch.
const START: u64 = 1_700_000_000_000;

pub(crate) struct InProcess {
    settings: Arc<Settings>,
    disk: SimDisk,
    clock: u64,
    clients: usize,
    /// `None` only while the server is opened again.
    running: Option<Running>,
}

struct Running {
    server: Arc<Server>,
    worker: Worker,
    clients: Vec<Client>,
    /// A checkpoint that is written while commands run.
    checkpoint: Option<JoinHandle<()>>,
}

impl InProcess {
    pub(crate) fn new(fsync: AppendFsync, clients: usize) -> InProcess {
        let settings = Settings {
            dir: PathBuf::from("/data"),
            appendonly: true,
            appendfsync: fsync,
            shards: 8,
            log_segment_size: 64 << 10,
            disk_reserve: 0,
            save: Vec::new(),
            ..Settings::default()
        };
        let mut subject = InProcess {
            settings: Arc::new(settings),
            disk: SimDisk::new(START),
            clock: START,
            clients,
            running: None,
        };
        subject.open();
        subject
    }

    /// The engine, which is another one after the server was opened again.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.running.as_ref().unwrap().server.engine)
    }

    fn open(&mut self) {
        let clock = Clock::manual(self.clock);
        let engine = Arc::new(Engine::on_disk(Arc::clone(&self.settings), clock, self.disk.shared()));
        engine.recover().unwrap();
        let config = Config::new((*self.settings).clone(), None);
        let server = Arc::new(Server::new(engine, Arc::new(config)));
        let clients = connected(&server, self.clients);
        let worker = Worker::new(Arc::clone(&server), 0);
        self.running = Some(Running { worker, server, clients, checkpoint: None });
    }

    /// Closes all connections and connects again.
    pub(crate) fn reconnect(&mut self) {
        let running = self.running.as_mut().unwrap();
        running.clients = connected(&running.server, self.clients);
    }

    /// Writes a checkpoint on a thread of its own, once the one before is written.
    pub(crate) fn checkpoint_beside(&mut self) {
        let running = self.running.as_mut().unwrap();
        running.end_checkpoint();
        let engine = Arc::clone(&running.server.engine);
        running.checkpoint = Some(std::thread::spawn(move || engine.save().unwrap()));
    }
}

fn connected(server: &Server, clients: usize) -> Vec<Client> {
    let now = server.engine.clock.instant();
    let connect = |n| {
        let address = format!("127.0.0.1:{n}");
        let handle = ClientHandle::new(server.next_client_id(), address.clone(), address, false, now);
        Client::new(Arc::new(handle), &server.users)
    };
    (0..clients).map(connect).collect()
}

impl Running {
    fn end_checkpoint(&mut self) {
        if let Some(checkpoint) = self.checkpoint.take() {
            checkpoint.join().unwrap();
        }
    }

    /// A command that would wait has its time up at once.
    fn call(&mut self, client: usize, command: &[String]) -> Value {
        let mut request = Wire::encode(command);
        let mut batch = Batch::new();
        Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, 1).unwrap();
        let client = &mut self.clients[client];
        let mut out = Reply::new(Proto::V2);
        let progress = self.worker.run(client, &request, &batch, 0, &mut out);
        if progress.stop == Some(Stop::Long) {
            // The worker asks for a thread of its own for this command; it runs on this thread.
            let args: Vec<&[u8]> = command.iter().map(String::as_bytes).collect();
            self.worker.run_long(client, &args, &mut out);
        }
        if let Some(parked) = client.parked.take() {
            parked.leave(&self.server.engine.store, 0..parked.lines());
            self.worker.end_wait(client, &parked, WaitEnd::TimedOut, &mut out);
        }
        self.server.engine.settle().unwrap();
        Value::parse(&out.since(0))
    }
}

impl Subject for InProcess {
    fn call(&mut self, client: usize, command: &[String]) -> Value {
        self.running.as_mut().unwrap().call(client, command)
    }

    fn reopen(&mut self, how: Reopen) {
        let mut running = self.running.take().unwrap();
        running.end_checkpoint();
        if how == Reopen::Orderly {
            running.server.engine.close().unwrap();
        }
        drop(running);
        let power = self.settings.appendfsync == AppendFsync::Always && !self.clock.is_multiple_of(3);
        let torn = if self.clock.is_multiple_of(2) { CrashMode::PowerLost } else { CrashMode::PowerTorn };
        self.disk.restart(if power { torn } else { CrashMode::Process });
        self.open();
    }

    fn checkpoint(&mut self) {
        let running = self.running.as_mut().unwrap();
        running.end_checkpoint();
        running.server.engine.save().unwrap();
    }

    fn now(&self) -> u64 {
        self.clock
    }

    fn remove_expired(&mut self) {
        let engine = &self.running.as_ref().unwrap().server.engine;
        engine.follow_tables();
        let mut record = Vec::new();
        for shard in 0..engine.store.shard_count() {
            engine.expire_shard(shard, &mut record);
        }
    }

    fn advance(&mut self, millis: u64) -> bool {
        self.clock += millis;
        let clock = &self.running.as_ref().unwrap().server.engine.clock;
        clock.as_manual().unwrap().advance_ms(millis);
        true
    }
}
