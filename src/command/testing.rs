//! A harness for tests of commands: an in-memory server, one worker, and clients that send lines.

pub(crate) use harness::*;

#[cfg(test)]
mod harness {
    use crate::command::{Client, Cx, Server};
    use crate::config::{Caller, Config, Settings};
    use crate::engine::{Engine, Over, Tx};
    use crate::env::{Clock, Instant};
    use crate::node::ClientHandle;
    use crate::resp::{Batch, Decoder, InputLimits, Proto, Reply, ReplyDecoder, Value};
    use crate::session::{Stop, Worker};
    use crate::store::{Holder, Mode};
    use crate::text::{repr, split_words};
    use std::sync::Arc;

    /// The time on the harness's clock at the start, in ms since the epoch.
    pub(crate) const START: u64 = 1_700_000_000_000;

    /// A server in memory with a manual clock, and its first client.
    pub(crate) struct Harness {
        /// The server.
        pub(crate) server: Arc<Server>,
        worker: Worker,
        clients: Vec<Client>,
    }

    impl Harness {
        pub(crate) fn new() -> Self {
            Self::with(Settings::default())
        }

        /// Makes a harness with settings that cannot change while a server runs.
        pub(crate) fn with(settings: Settings) -> Self {
            Self::on(Clock::manual(START), settings)
        }

        /// Makes a harness with another clock.
        pub(crate) fn on(clock: Clock, settings: Settings) -> Self {
            let engine = Arc::new(Engine::in_memory(16, 16, clock));
            let server = Arc::new(Server::new(engine, Arc::new(Config::new(settings, None))));
            let mut harness =
                Self { worker: Worker::new(Arc::clone(&server), 0), server, clients: Vec::new() };
            harness.connect();
            harness
        }

        /// Another worker of the same server with a client of its own, for another thread of the test.
        pub(crate) fn beside(&self) -> Self {
            let server = Arc::clone(&self.server);
            let mut harness =
                Self { worker: Worker::new(Arc::clone(&server), 1), server, clients: Vec::new() };
            harness.connect();
            harness
        }

        /// Adds a client and returns its number, for [`Harness::run_as`].
        pub(crate) fn connect(&mut self) -> usize {
            let client = self.new_client();
            self.clients.push(client);
            self.clients.len() - 1
        }

        /// Makes a client that the harness does not keep.
        pub(crate) fn new_client(&self) -> Client {
            let id = self.server.next_client_id();
            let (addr, laddr) = ("127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned());
            let now = self.server.engine.clock.instant();
            let handle = Arc::new(ClientHandle::new(id, addr, laddr, false, now));
            self.server.clients.lock().insert(id, Arc::clone(&handle));
            Client::new(handle, &self.server.users)
        }

        /// Takes the messages that were pushed to a client.
        pub(crate) fn pushed_to(&self, client: usize) -> String {
            String::from_utf8(self.handle(client).take_pushed().0.concat()).unwrap()
        }

        /// What other threads see of a client.
        pub(crate) fn handle(&self, client: usize) -> &ClientHandle {
            &self.clients[client].handle
        }

        /// Moves the clock forward.
        pub(crate) fn advance(&self, ms: u64) {
            if let Some(clock) = self.server.engine.clock.as_manual() {
                clock.advance_ms(ms);
            }
        }

        /// Whether a command of a new client has to wait for the end of CLIENT PAUSE.
        pub(crate) fn is_held_up(&mut self, line: &str) -> bool {
            matches!(self.stop_of(line), (Some(Stop::Paused(_)), _))
        }

        /// The time until which a command of a new client waits for keys; `None` if it does not wait, or waits for
        /// ever.
        pub(crate) fn waits_until(&mut self, line: &str) -> Option<Instant> {
            let (Some(Stop::Blocked), client) = self.stop_of(line) else { return None };
            client.parked.as_ref()?.wait.until
        }

        fn stop_of(&mut self, line: &str) -> (Option<Stop>, &Client) {
            let number = self.connect();
            let mut request = args_of(line);
            let mut batch = Batch::new();
            Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, 1).unwrap();
            let client = &mut self.clients[number];
            let progress = self.worker.run(client, &request, &batch, 0, &mut Reply::new(Proto::V2));
            (progress.stop, client)
        }

        /// Sets an option as CONFIG SET does.
        pub(crate) fn configure(&self, name: &str, value: &str) {
            let caller = Caller { local: true, loading: false };
            self.server.config.set(&[(name.as_bytes(), value.as_bytes())], caller).unwrap();
            let engine = &self.server.engine;
            let held = engine.store.lock_all(Mode::Write, engine.clock.now_ms());
            engine.reconfigure(&self.server.config.snapshot(), &held).unwrap();
            self.server.configure(&self.server.config.snapshot());
            drop(held);
            self.server.engine.evict_at_once();
        }

        /// The server and the first client's state, for a test that calls a handler.
        pub(crate) fn parts(&mut self) -> (&Arc<Server>, &mut Client) {
            (&self.server, &mut self.clients[0])
        }

        /// Runs a line of words, quoted as in redis-cli, as the first client. Returns the reply in the notation of
        /// [`show`].
        pub(crate) fn run(&mut self, line: &str) -> String {
            self.run_as(0, line)
        }

        /// Runs a line of words as a client.
        pub(crate) fn run_as(&mut self, client: usize, line: &str) -> String {
            let words = split_words(line.as_bytes()).unwrap();
            show(&self.call_as(client, &words.iter().map(Vec::as_slice).collect::<Vec<_>>()))
        }

        /// The bytes that a line of the first client would append to the log. It runs under all locks.
        pub(crate) fn record(&mut self, line: &str) -> Vec<u8> {
            let words = split_words(line.as_bytes()).unwrap();
            let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let command = self.server.registry.lookup(&args).unwrap();
            let engine = &self.server.engine;
            let settings = self.server.config.snapshot();
            let client = &mut self.clients[0];
            let (db, mut record) = (client.db, Vec::new());
            let (server, mut out) = (&*self.server, Reply::new(Proto::V2));
            let run = |tx: &mut Tx<'_>| {
                let mut cx =
                    Cx { tx, out: &mut out, client, server, settings: &settings, prepared: &mut None };
                (command.spec.run)(&mut cx, &args).unwrap();
            };
            engine.transact_over(Holder::Populating, Over::Everything, db, &mut record, run).unwrap();
            record
        }

        /// Sends lines of the first client together and returns their replies.
        pub(crate) fn pipeline(&mut self, lines: &[&str]) -> Vec<String> {
            let words: Vec<Vec<Vec<u8>>> =
                lines.iter().map(|line| split_words(line.as_bytes()).unwrap()).collect();
            let calls: Vec<Vec<&[u8]>> =
                words.iter().map(|words| words.iter().map(Vec::as_slice).collect()).collect();
            let replies = self.call_many(0, &calls.iter().map(Vec::as_slice).collect::<Vec<_>>());
            replies.iter().map(show).collect()
        }

        /// Runs a command as a client and returns the reply.
        pub(crate) fn call_as(&mut self, client: usize, args: &[&[u8]]) -> Value {
            self.call_many(client, &[args]).remove(0)
        }

        /// Whether a command of the first client asks for a thread of its own; if not, it runs here.
        pub(crate) fn takes_long(&mut self, args: &[&[u8]]) -> bool {
            let mut request = encoded(args);
            let mut batch = Batch::new();
            Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, 1).unwrap();
            let mut out = Reply::new(Proto::V2);
            let progress = self.worker.run(&mut self.clients[0], &request, &batch, 0, &mut out);
            progress.stop == Some(Stop::Long)
        }

        fn call_many(&mut self, client: usize, calls: &[&[&[u8]]]) -> Vec<Value> {
            let mut request: Vec<u8> = calls.iter().flat_map(|args| encoded(args)).collect();
            let mut batch = Batch::new();
            Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, calls.len()).unwrap();
            let client = &mut self.clients[client];
            let mut out = Reply::new(Proto::V2);
            let mut progress = self.worker.run(client, &request, &batch, 0, &mut out);
            while progress.stop == Some(Stop::Long) {
                // The worker asks for a thread of its own for this command; the harness runs it on this thread.
                self.worker.run_long(client, calls[progress.done], &mut out);
                progress = self.worker.run(client, &request, &batch, progress.done + 1, &mut out);
            }
            let values = ReplyDecoder::decode_all(&out.since(0)).unwrap();
            assert_eq!(values.len(), calls.len(), "one command has one reply");
            values
        }
    }

    /// A command in RESP.
    fn encoded(args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        request
    }

    /// A line of words, quoted as in redis-cli, in RESP.
    pub(crate) fn args_of(line: &str) -> Vec<u8> {
        let words = split_words(line.as_bytes()).unwrap();
        encoded(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// A reply on one line: `+OK`, `-ERR text`, `:1`, `"bulk"`, `nil`, `[a b]`.
    pub(crate) fn show(value: &Value) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match value {
            Value::Simple(bytes) => format!("+{}", text(bytes)),
            Value::Error(bytes) => format!("-{}", text(bytes)),
            Value::Int(n) => format!(":{n}"),
            Value::Bulk(bytes) => repr(bytes),
            Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            null if null.is_null() => "nil".to_owned(),
            other => format!("{other:?}"),
        }
    }
}
