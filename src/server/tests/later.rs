//! A server whose log is a remote service: a reply that shows a write waits for the service, other replies do not.

use super::{Connection, stand_up};
use crate::command::Server;
use crate::config::{AppendFsync, Settings};
use crate::engine::{Engine, LogState};
use crate::env::Clock;
use crate::log::simulated::{SimFault, SimOptions, SimPlace, SimService};
use crate::server::worker::Workers;
use std::io::{ErrorKind, Read as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server with one worker, the service that keeps its log, and a second writer's access to that service.
struct Remote {
    server: Arc<Server>,
    workers: Workers,
    service: SimService,
    place: Arc<SimPlace>,
    settings: Settings,
}

impl Remote {
    fn new(appendfsync: AppendFsync) -> Self {
        let settings = Settings { appendonly: true, appendfsync, save: Vec::new(), ..Settings::default() };
        let service = SimService::stepped(SimOptions::default());
        let place = Arc::new(SimPlace::new(&service));
        let (server, workers) = stand_up(open(&settings, &place), settings.clone(), 1);
        Self { server, workers, service, place, settings }
    }

    fn connect(&self) -> Connection {
        Connection::open(&self.server, &self.workers)
    }

    /// Sends a write, and waits until the log has submitted its batch.
    fn submit(&self, connection: &mut Connection, line: &str) {
        let before = self.service.submissions();
        connection.send(line);
        Self::until("a batch is submitted", || self.service.submissions() > before);
    }

    fn until(what: &str, condition: impl Fn() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(began.elapsed() < Duration::from_mins(1), "{what}");
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Delivers messages of the service until the reply has come.
    fn deliver_until(&self, connection: &mut Connection, reply: &str) {
        let began = Instant::now();
        while connection.is_silent() {
            assert!(began.elapsed() < Duration::from_mins(1), "no {reply}");
            self.service.deliver();
        }
        connection.expect(reply);
    }

    fn end(self, connections: Vec<Connection>) {
        drop(connections);
        self.workers.join();
    }
}

fn open(settings: &Settings, place: &Arc<SimPlace>) -> Arc<Engine> {
    let engine = Engine::over(Arc::new(settings.clone()), Clock::default(), Arc::clone(place) as _);
    engine.recover().unwrap();
    Arc::new(engine)
}

#[test]
fn a_reply_comes_once_the_service_has_kept_the_write_and_others_do_not_wait_for_it() {
    for appendfsync in [AppendFsync::Always, AppendFsync::Everysec, AppendFsync::No] {
        let remote = Remote::new(appendfsync);
        let (mut writer, mut other, mut reader) = (remote.connect(), remote.connect(), remote.connect());
        remote.submit(&mut writer, "SET written 1");
        remote.submit(&mut other, "SET another 1");
        // Both writes are in flight on the only worker, which serves others meanwhile.
        reader.run("GET untouched", "$-1\r\n");
        reader.run("PING", "+PONG\r\n");
        reader.send("GET written");
        assert!(writer.is_silent() && other.is_silent() && reader.is_silent());
        assert!(remote.service.deliver(), "the first request arrives");
        assert!(writer.is_silent(), "its answer is under way");
        remote.deliver_until(&mut writer, "+OK\r\n");
        reader.expect("$1\r\n1\r\n");
        remote.deliver_until(&mut other, "+OK\r\n");
        remote.end(vec![writer, other, reader]);
    }
}

#[test]
fn a_pipeline_gets_its_replies_in_order_as_the_watermark_moves() {
    let remote = Remote::new(AppendFsync::Always);
    let mut writer = remote.connect();
    remote.submit(&mut writer, "INCR n");
    remote.submit(&mut writer, "INCR n\r\nGET untouched");
    remote.submit(&mut writer, "INCR n");
    for replies in [":1\r\n", ":2\r\n$-1\r\n", ":3\r\n"] {
        remote.deliver_until(&mut writer, replies);
        while remote.server.engine.settled() < 3 && !writer.is_silent() {}
    }
    assert!(writer.is_silent());
    remote.end(vec![writer]);
}

#[test]
fn an_unknown_outcome_that_comes_right_is_not_noticed_by_clients() {
    for fault in [SimFault::LostRequest, SimFault::LateRequest, SimFault::LostAnswer, SimFault::LateAnswer] {
        let remote = Remote::new(AppendFsync::Always);
        let (mut writer, mut other) = (remote.connect(), remote.connect());
        remote.service.fail(1, fault);
        remote.submit(&mut writer, "INCR n");
        remote.submit(&mut other, "INCR n");
        remote.deliver_until(&mut writer, ":1\r\n");
        remote.deliver_until(&mut other, ":2\r\n");
        let engine = open(&remote.settings, &remote.place);
        assert_eq!(engine.store.len(), 1, "{fault:?}");
        remote.end(vec![writer, other]);
    }
}

/// Whether the server closed a connection without sending another byte.
fn is_closed(mut connection: Connection) -> bool {
    connection.0.read(&mut [0]).unwrap_or(0) == 0
}

#[test]
fn a_server_that_was_fenced_serves_what_is_durable_and_answers_readonly() {
    let remote = Remote::new(AppendFsync::Always);
    let (mut writer, mut reader) = (remote.connect(), remote.connect());
    remote.submit(&mut writer, "SET kept 1");
    remote.deliver_until(&mut writer, "+OK\r\n");
    remote.submit(&mut writer, "SET kept 2");
    let other = open(&remote.settings, &remote.place);
    while remote.service.deliver() {}
    assert!(is_closed(writer), "whether it was written is not said");
    let engine = &remote.server.engine;
    Remote::until("it is back at what is durable", || {
        engine.state().log() == LogState::Failed && !engine.is_loading()
    });
    reader.run("GET kept", "$1\r\n1\r\n");
    reader.send("SET kept 3");
    reader.expect(
        "-READONLY You can't write against a read only replica. The log goes on without this server: ",
    );
    reader.expect("epoch 1 was fenced by epoch 2\r\n");
    let mut info = vec![0; 8000];
    reader.send("INFO persistence");
    let len = reader.0.read(&mut info).unwrap();
    let info = String::from_utf8_lossy(&info[..len]).into_owned();
    for line in ["log_state:failed", "log_superseded:1", "log_failure:epoch 1 was fenced by epoch 2"] {
        assert!(info.contains(line), "{line} in {info}");
    }
    assert_eq!(other.store.len(), 1);
    remote.end(vec![reader]);
}

#[test]
fn a_server_that_lost_the_leadership_while_idle_refuses_the_next_write() {
    let remote = Remote::new(AppendFsync::Always);
    let mut writer = remote.connect();
    writer.run("PING", "+PONG\r\n");
    remote.service.depose("node 3 leads now");
    let engine = &remote.server.engine;
    Remote::until("the worker is woken by it", || engine.state().log() == LogState::Failed);
    Remote::until("memory is looked through", || !engine.is_loading());
    writer.send("SET k 1");
    writer.expect("-READONLY You can't write against a read only replica. ");
    remote.end(vec![writer]);
}

#[test]
fn a_connection_that_is_killed_is_closed_though_its_replies_wait_for_the_service() {
    let remote = Remote::new(AppendFsync::Always);
    let (mut writer, mut other) = (remote.connect(), remote.connect());
    remote.submit(&mut writer, "SET k 1");
    other.run("CLIENT KILL TYPE normal SKIPME yes", ":1\r\n");
    let end = writer.0.read(&mut [0]);
    let is_reset = end.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
    assert!(is_reset || end.as_ref().is_ok_and(|read| *read == 0), "{end:?}");
    while remote.service.deliver() {}
    other.run("GET k", "$1\r\n1\r\n");
    remote.end(vec![other]);
}

#[test]
fn a_transaction_that_asks_what_is_on_disk_does_not_wait_for_the_service() {
    let remote = Remote::new(AppendFsync::Always);
    let (mut writer, mut reader) = (remote.connect(), remote.connect());
    remote.submit(&mut writer, "SET a 1");
    remote.deliver_until(&mut writer, "+OK\r\n");
    let exec = |writer: &mut Connection| {
        writer.run("MULTI", "+OK\r\n");
        writer.run("SET a 2", "+QUEUED\r\n");
        writer.run("WAITAOF 1 0 0", "+QUEUED\r\n");
        remote.submit(writer, "EXEC");
    };
    exec(&mut writer);
    reader.run("GET untouched", "$-1\r\n");
    remote.deliver_until(&mut writer, "*2\r\n+OK\r\n*2\r\n:1\r\n:0\r\n");
    // Now a write that the connection made before EXEC is not durable yet.
    remote.submit(&mut writer, "SET a 3\r\nMULTI\r\nSET a 4\r\nWAITAOF 1 0 0\r\nEXEC");
    reader.run("GET untouched", "$-1\r\n");
    let replies = "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n*2\r\n:0\r\n:0\r\n";
    remote.deliver_until(&mut writer, replies);
    remote.end(vec![writer, reader]);
}

#[test]
fn the_level_changes_while_records_are_under_way_and_nobody_waits_for_it() {
    for in_exec in [false, true] {
        let remote = Remote::new(AppendFsync::Always);
        let (mut writer, mut admin, mut reader) = (remote.connect(), remote.connect(), remote.connect());
        remote.submit(&mut writer, "SET k 1");
        let line = "CONFIG SET appendfsync no";
        admin.send(&if in_exec { format!("MULTI\r\n{line}\r\nEXEC") } else { line.to_owned() });
        let engine = &remote.server.engine;
        Remote::until("the level is set", || engine.settings().appendfsync == AppendFsync::No);
        reader.run("GET untouched", "$-1\r\n");
        assert!(writer.is_silent());
        remote.deliver_until(&mut writer, "+OK\r\n");
        admin.expect(if in_exec { "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n" } else { "+OK\r\n" });
        remote.end(vec![writer, admin, reader]);
    }
}

#[test]
fn a_log_that_does_not_answer_can_be_switched_off_and_nothing_waits_for_it_then() {
    let remote = Remote::new(AppendFsync::Always);
    let (mut writer, mut admin) = (remote.connect(), remote.connect());
    remote.submit(&mut writer, "SET k 1");
    admin.run("CONFIG SET appendonly no", "+OK\r\n");
    writer.expect("+OK\r\n");
    writer.run("SET k 2", "+OK\r\n");
    // The batch that was under way arrives all the same.
    while remote.service.deliver() {}
    assert_eq!(remote.service.tail(), 1);
    remote.end(vec![writer, admin]);
}
