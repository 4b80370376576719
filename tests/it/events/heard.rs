//! A server in this process, and a listener to all its events.

use crate::harness::{Client as Wire, Value};
use itemory::command::{Client, Server};
use itemory::config::{Config, Settings};
use itemory::engine::{Classes, Engine, KeyEvents, Listener};
use itemory::env::{Clock, SimDisk};
use itemory::node::ClientHandle;
use itemory::resp::{Batch, Decoder, InputLimits, Proto, Reply};
use itemory::session::{Stop, Worker};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

/// The time on the clock at the start, in ms since the epoch.
const START: u64 = 1_700_000_000_000;

/// The events that were heard, with their positions.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<(u64, String)>>);

impl Listener for Heard {
    fn classes(&self) -> Classes {
        Classes::ALL
    }

    fn hear(&self, events: &Arc<KeyEvents>) {
        let mut heard = self.0.lock();
        // Redis 7 does not tell these, so they have a test of their own.
        let also = |name: &str| matches!(name, "overwritten" | "type_changed");
        for event in events.of(Classes::ALL).filter(|event| !also(event.name)) {
            let key = String::from_utf8_lossy(event.key);
            heard.push((events.position(), format!("{} {} {key}", event.db, event.name)));
        }
    }
}

impl Heard {
    pub(super) fn take(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.0.lock())
    }
}

/// A server whose events are heard, and one of its clients.
pub(super) struct Ours {
    pub(super) server: Arc<Server>,
    pub(super) heard: Arc<Heard>,
    worker: Worker,
    client: Client,
}

impl Ours {
    pub(super) fn in_memory() -> Self {
        Self::over(Engine::in_memory(16, 16, Clock::manual(START)), Settings::default())
    }

    /// A server whose log is on a simulated disk.
    pub(super) fn logged(settings: Settings) -> Self {
        let settings = Settings {
            dir: PathBuf::from("/data"),
            appendonly: true,
            shards: 8,
            disk_reserve: 0,
            save: Vec::new(),
            ..settings
        };
        let disk = SimDisk::new(START);
        let engine = Engine::on_disk(Arc::new(settings.clone()), Clock::manual(START), disk.shared());
        engine.recover().unwrap();
        Self::over(engine, settings)
    }

    fn over(engine: Engine, settings: Settings) -> Self {
        let settings = Settings { enable_debug_command: itemory::config::ProtectedAction::Yes, ..settings };
        let heard = Arc::new(Heard::default());
        engine.listeners.add(Arc::clone(&heard) as Arc<dyn Listener>);
        let server = Arc::new(Server::new(Arc::new(engine), Arc::new(Config::new(settings, None))));
        Self { worker: Worker::new(Arc::clone(&server), 0), client: client(&server), heard, server }
    }

    /// Another client of the same server, with a worker for another thread.
    pub(super) fn beside(&self, index: usize) -> Self {
        let (server, heard) = (Arc::clone(&self.server), Arc::clone(&self.heard));
        Self { worker: Worker::new(Arc::clone(&server), index), client: client(&server), heard, server }
    }

    pub(super) fn advance(&self, ms: u64) {
        self.server.engine.clock.as_manual().unwrap().advance_ms(ms);
    }

    /// Runs a command. Returns the reply and the events.
    pub(super) fn run(&mut self, args: &[Vec<u8>]) -> (Value, Vec<String>) {
        let reply = self.call(args);
        (reply, self.heard.take().into_iter().map(|(_, event)| event).collect())
    }

    /// The same for a line of words.
    pub(super) fn run_line(&mut self, line: &str) -> (Value, Vec<String>) {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        self.run(&words)
    }

    pub(super) fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        let mut request = Wire::encode(args);
        let mut batch = Batch::new();
        Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, 1).unwrap();
        let mut out = Reply::new(Proto::V2);
        let progress = self.worker.run(&mut self.client, &request, &batch, 0, &mut out);
        if progress.stop == Some(Stop::Long) {
            // The worker asks for a thread of its own for this command; it runs on this thread.
            let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
            self.worker.run_long(&mut self.client, &args, &mut out);
        }
        Value::parse(&out.since(0))
    }
}

fn client(server: &Server) -> Client {
    let (id, address) = (server.next_client_id(), "127.0.0.1:1".to_owned());
    let now = server.engine.clock.instant();
    Client::new(Arc::new(ClientHandle::new(id, address.clone(), address, false, now)), &server.users)
}
