//! Tests of commands that passed their gates just before an end of the server or a pause began. They wait like the
//! commands that come later: until the end is refused or happens, or until the pause is over.

use crate::command::testing::{Harness, START, args_of, show};
use crate::command::{Client, Parked, flag};
use crate::config::{ProtectedAction, Settings};
use crate::engine::Phase;
use crate::node::{ClientHandle, WorkerStats};
use crate::resp::{Proto, Reply, ReplyDecoder};
use crate::session::serve::Turn;
use crate::session::{Stop, Worker};
use crate::text::split_words;
use std::sync::Arc;

/// A client whose commands skip the gates, as if they had passed them before the end began.
struct Late {
    worker: Worker,
    client: Client,
}

impl Late {
    fn of(h: &Harness) -> Self {
        let now = h.server.engine.clock.instant();
        let handle = ClientHandle::new(99, "127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned(), true, now);
        Self {
            worker: Worker::new(Arc::clone(&h.server), 1),
            client: Client::new(Arc::new(handle), &h.server.users),
        }
    }

    /// The reply to a line; `None` if the command is postponed.
    fn run(&mut self, line: &str) -> Option<String> {
        let words = split_words(line.as_bytes()).unwrap();
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let command = self.worker.server.registry.lookup(&args).unwrap();
        let mut out = Reply::new(Proto::V2);
        self.worker.execute(&mut self.client, command, &args, None, START, &mut 0, &mut out);
        if std::mem::take(&mut self.client.postponed) {
            assert!(out.is_empty(), "{line}");
            return None;
        }
        Some(show(&ReplyDecoder::decode_all(&out.since(0)).unwrap()[0]))
    }

    /// Opens a transaction and queues lines in it; these pass the gates.
    fn queue(&mut self, lines: &[&str]) {
        for line in lines {
            let mut request = args_of(line);
            let mut batch = crate::resp::Batch::new();
            let limits = crate::resp::InputLimits::default();
            crate::resp::Decoder::new().decode(&mut request, &limits, &mut batch, 1).unwrap();
            self.worker.run(&mut self.client, &request, &batch, 0, &mut Reply::new(Proto::V2));
        }
    }
}

fn debugging() -> Harness {
    Harness::with(Settings { enable_debug_command: ProtectedAction::Yes, ..Settings::default() })
}

fn calls(stats: &WorkerStats, h: &Harness, line: &str) -> u64 {
    let words = split_words(line.as_bytes()).unwrap();
    let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    stats.commands[h.server.registry.lookup(&args).unwrap().id].calls.get()
}

#[test]
fn a_write_that_meets_an_end_under_its_locks_is_run_again_when_the_end_is_refused() {
    let lines = [
        ("SET k 1", "+OK"),
        ("MSET k 1 other 1", "+OK"),
        ("FLUSHALL", "+OK"),
        ("DEBUG POPULATE 3", "+OK"),
        ("TABLE.CREATE t PK id S", "+OK"),
    ];
    for (line, reply) in lines {
        let mut h = debugging();
        let before = h.run("DEBUG DIGEST");
        let mut late = Late::of(&h);
        h.server.engine.set_phase(Phase::Ending);
        assert_eq!(late.run(line), None, "{line}");
        assert_eq!(h.run("DEBUG DIGEST"), before, "nothing has happened of {line}");
        assert_eq!(calls(&late.worker.stats, &h, line), 0, "{line}");
        h.server.engine.set_phase(Phase::Serving);
        assert_eq!(late.run(line).as_deref(), Some(reply), "{line}");
        assert_eq!(calls(&late.worker.stats, &h, line), 1, "{line}");
    }
}

#[test]
fn a_reader_is_served_while_the_server_may_end() {
    let mut h = Harness::new();
    h.run("SET k 1");
    let mut late = Late::of(&h);
    h.server.engine.set_phase(Phase::Ending);
    assert_eq!(late.run("GET k").as_deref(), Some("\"1\""));
}

#[test]
fn a_write_after_the_end_is_refused() {
    let h = Harness::new();
    let mut late = Late::of(&h);
    h.server.engine.set_phase(Phase::Ended);
    assert_eq!(late.run("SET k 1").as_deref(), Some("-ERR the server is shutting down"));
}

#[test]
fn a_transaction_that_meets_an_end_under_its_locks_keeps_its_queue_and_what_it_watches() {
    for touched in [false, true] {
        let mut h = Harness::new();
        let mut late = Late::of(&h);
        late.queue(&["WATCH w", "MULTI", "SET k 1", "INCR k"]);
        h.server.engine.set_phase(Phase::Ending);
        assert_eq!(late.run("EXEC"), None);
        assert_eq!(h.run("EXISTS k"), ":0");
        h.server.engine.set_phase(Phase::Serving);
        if touched {
            h.run("SET w 1");
        }
        let reply = late.run("EXEC");
        assert_eq!(reply.as_deref(), Some(if touched { "nil" } else { "[+OK :2]" }));
        assert!(late.client.multi.is_none() && late.client.watched.is_empty());
    }
}

#[test]
fn a_long_write_that_meets_an_end_on_its_own_thread_is_not_done() {
    let mut h = debugging();
    let mut late = Late::of(&h);
    let args: [&[u8]; 3] = [b"DEBUG", b"POPULATE", b"3"];
    h.server.engine.set_phase(Phase::Ending);
    let mut out = Reply::new(Proto::V2);
    let progress = late.worker.run_long(&mut late.client, &args, &mut out);
    assert!(progress.done == 0 && progress.stop.is_some() && out.is_empty(), "{progress:?}");
    h.server.engine.set_phase(Phase::Serving);
    let progress = late.worker.run_long(&mut late.client, &args, &mut out);
    assert_eq!((progress.done, progress.stop, &*out.since(0)), (1, None, &b"+OK\r\n"[..]));
    assert_eq!(h.run("DBSIZE"), ":3");
}

#[test]
fn a_long_command_that_meets_a_pause_on_its_own_thread_is_not_done_before_the_pause_is_over() {
    let cases: [(&[&str], &[&[u8]], &str); 3] = [
        (&["WATCH w", "MULTI", "SET k 1", "DBSIZE"], &[b"EXEC"], "*2\r\n+OK\r\n:2\r\n"),
        (&[], &[b"DEBUG", b"POPULATE", b"3"], "+OK\r\n"),
        (&[], &[b"KEYS", b"*"], "*1\r\n$1\r\na\r\n"),
    ];
    for (queued, args, reply) in cases {
        let mut h = debugging();
        let mut late = Late::of(&h);
        h.run("SET a 1");
        late.queue(queued);
        h.run("CLIENT PAUSE 1000");
        let over = h.server.engine.clock.instant().after_ms(1000);
        let mut out = Reply::new(Proto::V2);
        let progress = late.worker.run_long(&mut late.client, args, &mut out);
        assert_eq!((progress.done, progress.stop, progress.wrote), (0, Some(Stop::Paused(over)), false));
        assert!(out.is_empty());
        h.advance(1001);
        let progress = late.worker.run_long(&mut late.client, args, &mut out);
        assert_eq!((progress.done, progress.stop), (1, None));
        assert_eq!(String::from_utf8_lossy(&out.since(0)), reply);
    }
}

#[test]
fn what_passed_its_gates_before_a_pause_began_does_nothing_until_it_is_over() {
    let cases: [(&[&str], &str, &str); 4] = [
        (&[], "SET k 1", "+OK"),
        (&[], "MSET k 1 other 1", "+OK"),
        (&[], "FLUSHALL", "+OK"),
        (&["WATCH w", "MULTI", "SET k 1", "GET k"], "EXEC", "[+OK \"1\"]"),
    ];
    for mode in ["WRITE", "ALL"] {
        for (queued, line, reply) in cases {
            let mut h = Harness::new();
            h.run("SET a 1");
            let mut late = Late::of(&h);
            late.queue(queued);
            let before = h.server.engine.store.len();
            h.run(&format!("CLIENT PAUSE 1000 {mode}"));
            assert_eq!(late.run(line), None, "{line}");
            assert_eq!(h.server.engine.store.len(), before, "nothing has happened of {line}");
            assert_eq!(Late::of(&h).run("GET a").is_none(), mode == "ALL");
            h.advance(1001);
            assert_eq!(late.run(line).as_deref(), Some(reply), "{line}");
        }
    }
    // The command that begins a pause waits for all commands that passed their gates before it.
    let h = Harness::new();
    assert!(h.server.registry.lookup(&[b"CLIENT", b"PAUSE", b"1"]).unwrap().has(flag::ALL_SHARDS));
}

#[test]
fn a_long_command_that_cannot_be_run_is_answered_as_any_other_that_is_refused() {
    let h = debugging();
    let mut late = Late::of(&h);
    let refuse = |late: &mut Late| {
        let mut out = Reply::new(Proto::V2);
        let fail = crate::command::Fail::new("ERR no thread");
        late.worker.refuse_long(&mut late.client, &[b"KEYS", b"*"], &fail, &mut out);
        String::from_utf8(out.since(0).into_owned()).unwrap()
    };
    assert_eq!(refuse(&mut late), "-ERR no thread\r\n");
    // CLIENT REPLY SKIP drops the refused command's reply, not that of the command after it.
    late.queue(&["CLIENT REPLY SKIP"]);
    assert_eq!(refuse(&mut late), "");
    assert_eq!(refuse(&mut late), "-ERR no thread\r\n");
    let keys = h.server.registry.lookup(&[b"KEYS", b"*"]).unwrap().id;
    assert_eq!(late.worker.stats.commands[keys].rejected.get(), 3);
}

#[test]
fn a_client_that_waits_for_a_key_is_served_what_came_while_the_server_was_about_to_end() {
    let mut h = Harness::new();
    h.run("XGROUP CREATE s g $ MKSTREAM");
    let (mut late, mut writer) = (Late::of(&h), Late::of(&h));
    late.queue(&["XREADGROUP GROUP g me BLOCK 0 STREAMS s >"]);
    let parked: Arc<Parked> = late.client.parked.take().unwrap();
    let store = &h.server.engine.store;
    parked.park(store, late.client);
    assert_eq!(writer.run("XADD s 1-1 a b").as_deref(), Some("\"1-1\""));
    store.take_ready().unwrap();
    h.server.engine.set_phase(Phase::Ending);
    // The clients behind it in the line must not be served before it.
    assert_eq!(writer.worker.serve(&parked, 0), Turn::Postponed);
    store.served();
    assert!(parked.take_served().is_none());
    h.server.engine.set_phase(Phase::Serving);
    assert_eq!(h.run("PING"), "+PONG");
    let served = parked.take_served().expect("what came is looked at again");
    assert_eq!(String::from_utf8_lossy(&served.reply.since(0)).matches("1-1").count(), 1);
}
