//! Replies over sockets while the disk is slow: a reply that shows no write waits for no sync.

mod later;

use super::local::Seat;
use super::worker::{Accepted, Workers};
use crate::command::{HEAVY_BYTES, Server};
use crate::config::{AppendFsync, Config, ProtectedAction, Settings};
use crate::engine::Engine;
use crate::env::{
    Access, Clock, Disk, DiskFile, Fault, FolderEntry, FolderLock, OpenFolder, Preallocate, SimDisk,
};
use crate::node::WorkerStats;
use parking_lot::{Condvar, Mutex};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Holds the syncs of files while it is shut.
#[derive(Debug, Default)]
struct Gate {
    /// Whether the gate is shut, and how many syncs wait at it.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        self.state.lock().0 = shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock();
        state.1 += 1;
        self.changed.notify_all();
        self.changed.wait_while(&mut state, |state| state.0);
        state.1 -= 1;
    }

    fn wait_for_a_sync(&self) {
        self.changed.wait_while(&mut self.state.lock(), |state| state.1 == 0);
    }
}

/// A simulated disk whose syncs go through a gate.
#[derive(Debug)]
struct Gated(Arc<dyn Disk>, Arc<Gate>);

#[derive(Debug)]
struct GatedFile(Arc<dyn DiskFile>, Arc<Gate>);

impl Gated {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(GatedFile(file, Arc::clone(&self.1)))
    }
}

impl Disk for Gated {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create(path).map(|file| self.file(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(path, access).map(|file| self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FolderEntry>> {
        self.0.list(dir)
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn OpenFolder>> {
        self.0.open_dir(dir)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_space(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn FolderLock>> {
        self.0.lock(dir)
    }

    fn incarnation(&self, dir: &Path) -> io::Result<u128> {
        self.0.incarnation(dir)
    }
}

impl DiskFile for GatedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.1.pass();
        self.0.fdatasync()
    }

    fn fsync(&self) -> io::Result<()> {
        self.0.fsync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64, how: Preallocate) -> io::Result<()> {
        self.0.preallocate(offset, len, how)
    }

    fn is_linked(&self) -> io::Result<bool> {
        self.0.is_linked()
    }
}

/// A server with two workers at `appendfsync always`, and the gate of its disk.
fn serve() -> (Arc<Server>, Workers, Arc<Gate>) {
    serve_on(&SimDisk::new(1), AppendFsync::Always)
}

fn serve_on(disk: &SimDisk, appendfsync: AppendFsync) -> (Arc<Server>, Workers, Arc<Gate>) {
    let settings = Settings {
        dir: "/data".into(),
        appendonly: true,
        appendfsync,
        enable_debug_command: ProtectedAction::Yes,
        disk_reserve: 0,
        save: Vec::new(),
        ..Settings::default()
    };
    let gate = Arc::new(Gate::default());
    let disk = Arc::new(Gated(disk.shared(), Arc::clone(&gate)));
    let engine = Arc::new(Engine::on_disk(Arc::new(settings.clone()), Clock::default(), disk));
    engine.recover().unwrap();
    let (server, workers) = stand_up(engine, settings, 2);
    (server, workers, gate)
}

/// A server over an engine, with `workers` workers.
fn stand_up(engine: Arc<Engine>, settings: Settings, workers: usize) -> (Arc<Server>, Workers) {
    let mut server = Server::new(engine, Arc::new(Config::new(settings, None)));
    server.workers = (0..workers).map(|_| Arc::new(WorkerStats::new(server.registry.count()))).collect();
    let server = Arc::new(server);
    let workers = Workers::start(&server).unwrap();
    (server, workers)
}

struct Connection(TcpStream);

impl Connection {
    /// A connection to the worker whose turn it is.
    fn open(server: &Arc<Server>, workers: &Workers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let seat = Seat::take(server, 100).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(workers.hand_over(Accepted::Tcp(accepted), seat));
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(stream)
    }

    fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    fn expect(&mut self, reply: &str) {
        let mut got = vec![0; reply.len()];
        self.0.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), reply);
    }

    fn run(&mut self, line: &str, reply: &str) {
        self.send(line);
        self.expect(reply);
    }

    /// Everything that arrives until the server closes the connection.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset connection is a closed one too.
        let _ = self.0.read_to_end(&mut rest);
        rest
    }

    /// Whether nothing has arrived within 50 ms. A wrong reply may arrive later and be missed; a right silence never
    /// fails.
    fn is_silent(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let silent = self.0.peek(&mut [0]).is_err();
        self.0.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        silent
    }
}

#[test]
fn a_reply_waits_for_the_sync_of_the_writes_that_it_shows_and_for_no_other() {
    let (server, workers, gate) = serve();
    let connect = || Connection::open(&server, &workers);
    let (mut writer, mut reader) = (connect(), connect());
    writer.run("MSET untouched 1 written 1", "+OK\r\n");
    reader.run("MGET untouched written", "*2\r\n$1\r\n1\r\n$1\r\n1\r\n");
    gate.set(true);
    writer.send("SET written 2");
    gate.wait_for_a_sync();
    reader.run("GET untouched", "$1\r\n1\r\n");
    reader.run("PING", "+PONG\r\n");
    for line in ["MULTI", "GET untouched"] {
        reader.send(line);
    }
    reader.run("EXEC", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
    reader.send("GET untouched\r\nGET written\r\nGET untouched");
    assert!(writer.is_silent() && reader.is_silent());
    gate.set(false);
    writer.expect("+OK\r\n");
    reader.expect("$1\r\n1\r\n$1\r\n2\r\n$1\r\n1\r\n");
    drop((writer, reader));
    workers.join();
}

#[test]
fn counts_and_walks_wait_for_every_write() {
    for line in ["DBSIZE", "SCAN 0", "KEYS *", "INFO keyspace", "MGET untouched written", "RANDOMKEY"] {
        let (server, workers, gate) = serve();
        let connect = || Connection::open(&server, &workers);
        let (mut writer, mut reader) = (connect(), connect());
        reader.run("PING", "+PONG\r\n");
        gate.set(true);
        writer.send("SET written 2");
        gate.wait_for_a_sync();
        reader.send(line);
        assert!(reader.is_silent(), "{line}");
        gate.set(false);
        writer.expect("+OK\r\n");
        assert!(reader.0.read(&mut [0; 1000]).unwrap() > 0, "{line}");
        drop((writer, reader));
        workers.join();
    }
}

#[test]
fn what_a_command_wrote_in_transactions_of_its_own_is_acknowledged_when_it_is_durable() {
    let (server, workers, gate) = serve();
    let mut client = Connection::open(&server, &workers);
    client.run("PING", "+PONG\r\n");
    for line in ["DEBUG POPULATE 3", "TABLE.CREATE t PK id S"] {
        gate.set(true);
        client.send(line);
        gate.wait_for_a_sync();
        assert!(client.is_silent(), "{line}");
        gate.set(false);
        client.expect("+OK\r\n");
    }
    drop(client);
    workers.join();
}

#[test]
fn what_a_command_wrote_in_transactions_of_its_own_is_not_acknowledged_if_the_log_fails() {
    for line in ["DEBUG POPULATE 3", "TABLE.CREATE t PK id S"] {
        let disk = SimDisk::new(1);
        let (server, workers, _gate) = serve_on(&disk, AppendFsync::Everysec);
        let mut client = Connection::open(&server, &workers);
        client.run("PING", "+PONG\r\n");
        disk.fail(Fault::Write, 1, SimDisk::EIO);
        client.send(line);
        assert_eq!(String::from_utf8_lossy(&client.rest()), "", "{line}");
        drop(client);
        workers.join();
    }
}

/// Replies of turns before the panic are sent in their order as far as they are durable; no others are sent.
#[test]
fn a_panic_lets_nothing_through_that_waits_and_brings_nothing_out_of_order() {
    let (server, workers, gate) = serve();
    let connect = || Connection::open(&server, &workers);
    let (mut client, mut other) = (connect(), connect());
    // On the worker of `client`.
    let mut neighbour = connect();
    let value = "v".repeat(20_000);
    other.run(&format!("SET big {value}"), "+OK\r\n");
    neighbour.run("PING", "+PONG\r\n");
    gate.set(true);
    let mut lines = vec!["SET k 1".to_owned()];
    lines.extend((0..100).map(|n| if n % 2 == 0 { "GET big".to_owned() } else { format!("ECHO {n}") }));
    lines.push("DEBUG PANIC".to_owned());
    client.send(&lines.join("\r\n"));
    gate.wait_for_a_sync();
    assert!(client.is_silent());
    gate.set(false);
    let mut expected = b"+OK\r\n".to_vec();
    for n in 0..100 {
        let text = if n % 2 == 0 { value.clone() } else { n.to_string() };
        expected.extend_from_slice(format!("${}\r\n{text}\r\n", text.len()).as_bytes());
    }
    let rest = client.rest();
    assert!(expected.starts_with(&rest), "{} bytes came", rest.len());
    assert!(rest.len() > 5, "what was done in turns before is sent once it is durable");
    neighbour.run("GET k", "$1\r\n1\r\n");
    other.run("PING", "+PONG\r\n");
    drop((client, other, neighbour));
    workers.join();
}

#[test]
fn a_client_whose_long_command_panics_watches_nothing_any_more() {
    let (server, workers, _gate) = serve_on(&SimDisk::new(1), AppendFsync::Everysec);
    let mut client = Connection::open(&server, &workers);
    client.run("WATCH k", "+OK\r\n");
    client.run("MULTI", "+OK\r\n");
    // Because of this command, EXEC runs on a thread of its own.
    let body = " ".repeat(HEAVY_BYTES + 1);
    client.run(&format!("*3\r\n$3\r\nDDB\r\n$7\r\nPutItem\r\n${}\r\n{body}", body.len()), "+QUEUED\r\n");
    client.run("DEBUG PANIC", "+QUEUED\r\n");
    assert_eq!(server.engine.store.watched(), 1);
    client.send("EXEC");
    assert_eq!(client.rest(), b"");
    workers.join();
    assert_eq!(server.engine.store.watched(), 0);
    assert!(server.clients.lock().is_empty());
}

#[test]
fn a_transaction_that_asks_what_is_on_disk_does_not_wait_for_it() {
    let (server, workers, gate) = serve_on(&SimDisk::new(1), AppendFsync::Everysec);
    let mut client = Connection::open(&server, &workers);
    client.run("SET a 1", "+OK\r\n");
    let asked = "MULTI\r\nSET a 2\r\nWAITAOF 1 0 0\r\nEXEC";
    let replies = |local| format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n*2\r\n:{local}\r\n:0\r\n");
    gate.set(true);
    client.run(asked, &replies(0));
    gate.set(false);
    client.run("WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n");
    client.run(asked, &replies(1));
    drop(client);
    workers.join();
}
