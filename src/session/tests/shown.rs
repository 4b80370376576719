//! Which replies wait for a write to be durable: those that show the write.

use crate::command::testing::{START, args_of};
use crate::command::{Client, Server};
use crate::config::{AppendFsync, Config, ProtectedAction, Settings};
use crate::effect::StringChange;
use crate::engine::{Engine, Over};
use crate::env::{Clock, SimDisk};
use crate::node::ClientHandle;
use crate::resp::{Batch, Decoder, InputLimits, Proto, Reply};
use crate::session::{Stop, Worker};
use crate::store::Holder;
use std::sync::Arc;

/// A server at `appendfsync always` whose log is synced only when a test says so.
struct Logged {
    server: Arc<Server>,
    worker: Worker,
}

/// Two keys in different shards.
const KEYS: [&str; 2] = ["written", "untouched"];

impl Logged {
    fn new() -> Self {
        let settings = Settings {
            dir: "/data".into(),
            appendonly: true,
            appendfsync: AppendFsync::Always,
            disk_reserve: 0,
            save: Vec::new(),
            enable_debug_command: ProtectedAction::Yes,
            ..Settings::default()
        };
        let disk = SimDisk::new(1);
        let engine = Engine::on_disk(Arc::new(settings.clone()), Clock::manual(START), disk.shared());
        let engine = Arc::new(engine);
        engine.recover().unwrap();
        let server = Arc::new(Server::new(engine, Arc::new(Config::new(settings, None))));
        let logged = Self { worker: Worker::new(Arc::clone(&server), 0), server };
        let store = &logged.server.engine.store;
        let [a, b] = KEYS.map(|key| store.shard_of(store.hash(key.as_bytes())));
        assert!(a != b || store.shard_count() < 64, "by chance the two keys share a shard");
        logged
    }

    fn connect(&self) -> Client {
        let id = self.server.next_client_id();
        let address = || "127.0.0.1:1".to_owned();
        let now = self.server.engine.clock.instant();
        Client::new(Arc::new(ClientHandle::new(id, address(), address(), false, now)), &self.server.users)
    }

    /// Runs lines as one batch; tells whether the replies must wait for the log.
    fn waits(&mut self, client: &mut Client, lines: &[&str]) -> bool {
        let mut request: Vec<u8> = lines.iter().flat_map(|line| args_of(line)).collect();
        let mut batch = Batch::new();
        Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, lines.len()).unwrap();
        let mut out = Reply::new(Proto::V2);
        let progress = self.worker.run(client, &request, &batch, 0, &mut out);
        let shows = if progress.stop == Some(Stop::Long) {
            let command = batch.commands[progress.done];
            let args: Vec<&[u8]> = batch.args_of(command).iter().map(|span| span.of(&request)).collect();
            let mut worker = Worker::for_long_command(Arc::clone(&self.server));
            worker.run_long(client, &args, &mut out).shows
        } else {
            progress.shows
        };
        let engine = &self.server.engine;
        shows.min(engine.tail()) > engine.settled()
    }
}

#[test]
fn a_reply_waits_for_the_writes_that_it_shows_and_for_no_others() {
    let mut logged = Logged::new();
    let (mut writer, mut reader) = (logged.connect(), logged.connect());
    for setup in
        ["SET untouched 1", "HSET hash a b", "TABLE.CREATE t PK id S INDEX ix PK a S KEYSPACE user:{id}"]
    {
        logged.waits(&mut writer, &[setup]);
    }
    logged.server.engine.settle().unwrap();
    assert!(!logged.waits(&mut reader, &["GET untouched", "DBSIZE", "KEYS *", "INFO"]), "all is durable");
    let free: &[&[&str]] = &[
        &["GET untouched"],
        &["PING"],
        &["SELECT 1", "GET untouched", "SELECT 0"],
        &["MULTI", "GET untouched", "EXEC"],
        &["WATCH untouched", "UNWATCH"],
        &["GET untouched", "GET untouched"],
        &["CLIENT ID", "ECHO x", "MULTI", "DISCARD"],
        &["NOSUCH"],
    ];
    let held: &[&[&str]] = &[
        &["GET written"],
        &["EXISTS untouched written"],
        &["SET written 1 NX"],
        &["GET untouched", "GET written"],
        &["DBSIZE"],
        &["SCAN 0"],
        &["SCAN 0 COUNT 100000"],
        &["KEYS *"],
        &["RANDOMKEY"],
        &["INFO"],
        &["INFO keyspace"],
        &["MEMORY STATS"],
        &["SLOWLOG GET"],
        &["TABLE.DESCRIBE t"],
        &["TABLE.LIST"],
        &["ITEM.SCAN t"],
        &["DEBUG DIGEST"],
        &["MULTI", "GET written", "EXEC"],
        &["MULTI", "DBSIZE", "EXEC"],
        &["MULTI", "INFO", "EXEC"],
        &["MULTI", "SCAN 0", "GET untouched", "EXEC"],
        &["WATCH written"],
        &["XREAD BLOCK 0 STREAMS written 0"],
    ];
    for write in ["SET written 2", "DEL written", "APPEND written x"] {
        assert!(logged.waits(&mut writer, &[write]), "{write} is not acknowledged before it is durable");
        for lines in free {
            assert!(!logged.waits(&mut reader, lines), "{lines:?} shows nothing of {write}");
        }
        for lines in held {
            // A client that waits for keys has been shown nothing yet.
            let mut reader = logged.connect();
            assert!(logged.waits(&mut reader, lines) || reader.parked.is_some(), "{lines:?} shows {write}");
        }
        logged.server.engine.settle().unwrap();
        assert!(!logged.waits(&mut reader, &["GET written"]), "it is durable now");
    }
}

#[test]
fn items_their_views_and_their_indexes_are_shown_as_keys_are() {
    let mut logged = Logged::new();
    let (mut writer, mut reader) = (logged.connect(), logged.connect());
    let create = "TABLE.CREATE t PK id S INDEX ix PK a S KEYSPACE user:{id} STREAM NEW";
    for setup in [create, "ITEM.PUT t 2 SET 1 a other"] {
        assert!(logged.waits(&mut writer, &[setup]));
    }
    assert!(logged.waits(&mut reader, &["ITEM.GET t 3"]), "that there is such a table is not durable");
    logged.server.engine.settle().unwrap();
    assert!(logged.waits(&mut writer, &["HSET user:1 a x"]));
    for line in [
        "ITEM.GET t 1",
        "HGETALL user:1",
        "ITEM.QUERY t 1",
        "ITEM.QUERY t x INDEX ix",
        "XLEN t@stream",
        "XREAD STREAMS t@stream 0",
        "DBSIZE",
        "ITEM.SCAN t",
    ] {
        assert!(logged.waits(&mut reader, &[line]), "{line}");
    }
    assert!(!logged.waits(&mut reader, &["ITEM.GET t 2"]));
}

#[test]
fn an_exec_that_fails_for_another_clients_write_shows_it() {
    let mut logged = Logged::new();
    let (mut writer, mut reader) = (logged.connect(), logged.connect());
    assert!(!logged.waits(&mut reader, &["WATCH written", "MULTI", "GET untouched"]));
    assert!(logged.waits(&mut writer, &["SET written 1"]));
    assert!(logged.waits(&mut reader, &["EXEC"]));
}

#[test]
fn what_a_waiting_client_is_served_is_held_as_long_as_the_write() {
    let mut logged = Logged::new();
    let (mut writer, mut reader) = (logged.connect(), logged.connect());
    let line = "XREAD BLOCK 0 STREAMS written $";
    logged.waits(&mut reader, &[line]);
    let parked = reader.parked.take().unwrap();
    parked.park(&logged.server.engine.store, reader);
    assert!(logged.waits(&mut writer, &["XADD written 1-1 a b"]));
    let served = parked.take_served().unwrap();
    assert!(!served.reply.is_empty());
    assert_eq!(served.shows, logged.server.engine.tail());
}

#[test]
fn an_invalidation_is_held_as_long_as_the_change() {
    let mut logged = Logged::new();
    let (mut writer, mut reader) = (logged.connect(), logged.connect());
    logged.waits(&mut reader, &["HELLO 3", "CLIENT TRACKING ON", "GET written", "GET untouched"]);
    for line in ["SET written 1", "MULTI", "SET untouched 1", "EXEC", "FLUSHALL"] {
        logged.waits(&mut writer, &[line]);
        let (messages, shows) = reader.handle.take_pushed();
        if !messages.is_empty() {
            assert_eq!((messages.len(), shows), (1, logged.server.engine.tail()), "{line}");
            assert!(shows > logged.server.engine.settled());
        }
        assert_eq!(messages.is_empty(), matches!(line, "MULTI" | "SET untouched 1"), "{line}");
    }
}

/// A transaction has begun before the client reads, and takes the shard of what it reads only then.
#[test]
fn a_change_under_a_shard_that_is_taken_later_is_told() {
    let mut logged = Logged::new();
    let mut reader = logged.connect();
    let engine = Arc::clone(&logged.server.engine);
    let [written, untouched] = KEYS.map(|key| engine.store.hash(key.as_bytes()));
    let mut record = Vec::new();
    let mut once = false;
    engine
        .transact_over(Holder::Tables, Over::Hashes(&[untouched]), 0, &mut record, |tx| {
            tx.expect_more_shards();
            if !std::mem::replace(&mut once, true) {
                logged.waits(&mut reader, &["HELLO 3", "CLIENT TRACKING ON", "GET written"]);
            }
            assert!(tx.reach_for(&[written], true));
            tx.apply(StringChange::Set { value: b"1", expire: None }.on(0, KEYS[0].as_bytes()));
        })
        .unwrap();
    assert_eq!(reader.handle.take_pushed().0.len(), 1);
}
