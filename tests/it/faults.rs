//! Tests failing system calls and full disks with the real binary.

use crate::harness::{Client, Fault, Server, SmallDisk, Value};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const SYNCS: &str = "fdatasync,fsync,sync_file_range";
const WRITES: &str = "write,writev,pwrite64,pwritev,pwritev2,fallocate";

fn server(appendfsync: &str) -> Server {
    Server::start(&["--appendonly", "yes", "--appendfsync", appendfsync])
}

/// Repeats a command until `done` accepts its reply. The log may fail while a reply waits for it; then the server
/// closes the connection, because it cannot tell the outcome, and the client connects again.
fn until(server: &Server, command: &str, done: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut client = server.client();
    loop {
        let reply = client.run(command);
        if done(&reply) {
            return reply;
        }
        assert!(Instant::now() < deadline, "{command} still says {reply}");
        if reply == Value::Eof {
            client = server.client();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn misconf(reply: &Value) -> bool {
    matches!(reply, Value::Error(e) if e.starts_with(b"MISCONF"))
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn text(value: &Value) -> String {
    value.text()
}

/// The files in the data folder and in the folders below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() { out.extend(files(&entry)) } else { out.push(entry) }
    }
    out
}

/// After a failure the server answers reads, refuses writes for good, and is healthy after a restart.
fn refuses_for_good(mut server: Server, fault: Fault) {
    // While memory goes back to what is durable, the server may close connections.
    let mut client = server.client();
    let deadline = Instant::now() + Duration::from_mins(1);
    while client.run("GET before") != bulk("1") {
        assert!(Instant::now() < deadline, "reads do not come back");
        client = server.client();
    }
    for command in
        ["SET later 1", "HSET later f v", "DEL before", "INCR before", "EXPIRE before 10", "FLUSHALL"]
    {
        let reply = client.run(command);
        assert!(misconf(&reply), "{command}: {reply}");
    }
    client.run("MULTI");
    client.run("SET later 1");
    let reply = client.run("EXEC");
    assert!(reply.is_error(), "{reply}");
    assert_eq!(client.run("GET before"), bulk("1"));
    assert!(client.run("GET later").is_null());
    assert!(text(&client.run("INFO persistence")).contains("aof_last_write_status:err"));
    drop(fault);
    std::thread::sleep(Duration::from_millis(1200));
    let reply = client.run("SET later 1");
    assert!(misconf(&reply), "writes came back without a new start: {reply}");
    server.crash();
    let mut client = server.client();
    assert_eq!(client.run("GET before"), bulk("1"));
    assert!(client.run("GET later").is_null());
    assert!(client.run("SET later 2").is_ok());
    server.crash();
    assert_eq!(server.client().run("GET later"), bulk("2"));
}

#[test]
fn a_failed_sync_is_final_at_always() {
    let server = server("always");
    let mut client = server.client();
    assert!(client.run("SET before 1").is_ok());
    let fault = Fault::inject(&server, SYNCS, "error=EIO:when=1+", &[]);
    let reply = client.run("SET lost 1");
    assert!(!reply.is_ok(), "a write was acknowledged that no sync made durable");
    let shown = server.client().run("GET lost");
    assert_ne!(text(&shown), "1", "an undurable write was shown");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(fault.hits(), 1, "the sync was tried again");
    refuses_for_good(server, fault);
}

#[test]
fn a_failed_sync_is_final_at_everysec() {
    let server = server("everysec");
    let mut client = server.client();
    assert!(client.run("SET before 1").is_ok());
    until(&server, "INFO persistence", |info| info.text().contains("log_synced_lsn:1\r"));
    let fault = Fault::inject(&server, SYNCS, "error=EIO:when=1+", &[]);
    until(&server, "SET lost 1", misconf);
    // In this time a second sync, and a third, would be due.
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(fault.hits(), 1, "the sync was tried again");
    refuses_for_good(server, fault);
}

#[test]
fn a_failed_write_is_final() {
    for level in ["always", "everysec", "no"] {
        let server = server(level);
        let mut client = server.client();
        assert!(client.run("SET before 1").is_ok());
        let fault = Fault::inject(&server, WRITES, "error=EIO:when=1+", &files(server.data()));
        let reply = client.run("SET lost 1");
        assert!(!reply.is_ok(), "{level}: a write was acknowledged that the system did not take");
        assert!(fault.hits() >= 1, "{level}: no write met the fault");
        refuses_for_good(server, fault);
    }
}

/// At `always` no client sees a write before its sync is done.
#[test]
fn nobody_is_shown_an_undurable_write() {
    let server = server("always");
    let (mut writer, mut reader) = (server.client(), server.client());
    assert!(writer.run("SET k old").is_ok());
    let _fault = Fault::inject(&server, SYNCS, "delay_enter=400000", &[]);
    let begun = Instant::now();
    writer.send(&["SET", "k", "new"]).unwrap();
    let mut shown_at = None;
    while shown_at.is_none() {
        let shown = text(&reader.run("GET k"));
        assert!(shown == "old" || shown == "new", "{shown}");
        if shown == "new" {
            shown_at = Some(begun.elapsed());
        }
    }
    assert!(writer.read().is_ok());
    assert!(begun.elapsed() >= Duration::from_millis(380), "acknowledged after {:?}", begun.elapsed());
    assert!(shown_at.unwrap() >= Duration::from_millis(380), "shown after {shown_at:?}");
}

/// Nor does a message of a script show it, which may have read it.
#[test]
fn no_message_shows_an_undurable_write() {
    let server = server("always");
    let (mut writer, mut publisher, mut subscriber) = (server.client(), server.client(), server.client());
    assert!(writer.run("SET k old").is_ok());
    subscriber.run("SUBSCRIBE c");
    let _fault = Fault::inject(&server, SYNCS, "delay_enter=400000", &[]);
    let begun = Instant::now();
    writer.send(&["SET", "k", "new"]).unwrap();
    let script = "return redis.call('publish', 'c', redis.call('get', KEYS[1]))";
    loop {
        publisher.send(&["EVAL", script, "1", "k"]).unwrap();
        let shown = text(&subscriber.read().items()[2]);
        if shown == "new" {
            break;
        }
        assert_eq!((shown.as_str(), publisher.read()), ("old", Value::Int(1)));
    }
    assert!(begun.elapsed() >= Duration::from_millis(380), "shown after {:?}", begun.elapsed());
    assert!(writer.read().is_ok());
}

/// The process dies at its sync number n. Every write that was acknowledged before is there.
#[test]
fn killed_at_any_sync() {
    let mut server = server("always");
    let mut last = 0;
    for nth in 1..=12 {
        let fault = Fault::inject(&server, SYNCS, &format!("signal=KILL:when={nth}"), &[]);
        let mut client = server.client();
        let mut acknowledged = last;
        while client.run(&format!("SET n {}", acknowledged + 1)).is_ok() {
            acknowledged += 1;
            assert!(acknowledged < last + 1000, "the server does not die");
        }
        server.kill9();
        drop(fault);
        server.up();
        last = server.client().run("GET n").int().unwrap_or(0);
        assert!(last == acknowledged || last == acknowledged + 1, "{last} after {acknowledged}");
    }
}

/// A full disk makes the server read-only. No acknowledged write is lost, not even by a kill and a start on the full
/// disk. With room again the server accepts writes.
#[test]
fn a_full_disk_and_its_end() {
    for level in ["always", "everysec"] {
        let Some(disk) = SmallDisk::new(256) else { return };
        let data = disk.path().join("data");
        let mut server = Server::start_in(&data, &["--appendonly", "yes", "--appendfsync", level]);
        let mut client = server.client();
        assert!(client.run("SET first 1").is_ok());
        disk.fill_but(24 << 20);
        let value = "x".repeat(64 * 1024);
        let mut acknowledged = 0;
        let refusal = loop {
            let reply = client.call(&["SET", &format!("k{acknowledged}"), &value]);
            if !reply.is_ok() {
                break reply;
            }
            acknowledged += 1;
            assert!(acknowledged < 10_000, "the disk does not become full");
        };
        assert!(misconf(&refusal), "{level}: {refusal}");
        let verify = |client: &mut Client| {
            assert_eq!(client.run("GET first"), bulk("1"));
            for n in 0..acknowledged {
                assert_eq!(client.run(&format!("STRLEN k{n}")), Value::Int(64 * 1024), "{level}: k{n}");
            }
        };
        verify(&mut client);
        server.crash();
        let mut client = server.client();
        verify(&mut client);
        let refused = client.call(&["SET", "still", &value]);
        assert!(!refused.is_ok() || acknowledged > 0, "{refused}");
        disk.make_room();
        until(&server, "SET again 1", Value::is_ok);
        verify(&mut client);
        server.crash();
        let mut client = server.client();
        verify(&mut client);
        assert_eq!(client.run("GET again"), bulk("1"));
        drop(server);
    }
}

/// A start on a disk without one free byte serves reads and refuses writes until there is room.
#[test]
fn a_start_on_a_full_disk() {
    for (level, ahead) in [("always", "0"), ("everysec", "0"), ("everysec", "1mb")] {
        let Some(disk) = SmallDisk::new(64) else { return };
        let data = disk.path().join("data");
        let flags = [
            "--appendonly",
            "yes",
            "--appendfsync",
            level,
            "--log-preallocate-size",
            ahead,
            "--disk-reserve",
            "1mb",
        ];
        let mut server = Server::start_in(&data, &flags);
        let mut client = server.client();
        assert!(client.run("SET first 1").is_ok());
        assert!(client.run("SET due 1 PX 1").is_ok());
        server.kill9();
        disk.fill_but(1 << 20);
        // Files that grow a little at a time take the rest of the room.
        for size in [4096, 1] {
            let mut at = 0;
            while std::fs::write(disk.path().join(format!("rest{size}-{at}")), vec![1; size]).is_ok() {
                at += 1;
            }
        }
        server.up();
        let mut client = server.client();
        for _ in 0..3 {
            assert_eq!(client.run("GET first"), bulk("1"), "{level}");
            assert!(client.run("GET due").is_null());
            assert!(misconf(&client.run("SET later 1")), "{level}");
            std::thread::sleep(Duration::from_millis(150));
        }
        assert!(text(&client.run("INFO persistence")).contains("aof_last_write_status:err"));
        server.restart();
        let mut client = server.client();
        assert!(misconf(&client.run("SET later 1")), "{level}");
        assert_eq!(client.run("GET first"), bulk("1"), "{level}");
        disk.make_room();
        until(&server, "SET again 1", Value::is_ok);
        assert!(client.run("GET later").is_null());
        server.crash();
        let mut client = server.client();
        assert_eq!((client.run("GET first"), client.run("GET again")), (bulk("1"), bulk("1")), "{level}");
    }
}

/// Background work begins meanwhile and is revoked. Neither it nor the end that follows suffers from that.
#[test]
fn a_reload_that_takes_long_leaves_the_server_whole() {
    let mut server =
        Server::start(&["--appendonly", "yes", "--appendfsync", "no", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    assert!(client.run("SET k v").is_ok());
    let fault = Fault::inject(&server, SYNCS, "delay_enter=500000", &[]);
    assert!(client.run("DEBUG RELOAD").is_ok());
    drop(fault);
    assert_eq!(client.run("GET k"), bulk("v"));
    assert!(!server.log().contains("a fault of the program"), "{}", server.log());
    assert!(server.stop().success(), "{}", server.log());
}

/// Whenever a fault is removed, calls either fail with its error or do not fail.
#[test]
fn a_fault_that_is_taken_away_gives_no_other_error() {
    let server = server("always");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for id in 0..3 {
            let (mut client, over) = (server.client(), &over);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    let reply = client.run(&format!("SET k{id} v"));
                    assert!(reply.is_ok(), "{reply}");
                }
            });
        }
        for round in 0..40 {
            let files = if round % 2 == 0 { files(server.data()) } else { Vec::new() };
            let fault = Fault::inject(&server, "pwrite64", "error=EINTR:when=1+", &files);
            let deadline = Instant::now() + Duration::from_mins(1);
            while fault.hits() < 5 {
                assert!(Instant::now() < deadline, "no call meets the fault");
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(fault);
        }
        over.store(true, Relaxed);
    });
    assert_eq!(server.info("aof_last_write_status"), "ok");
}

/// The test's own machinery is tested on the referee.
#[test]
fn faults_and_small_disks_work_here() {
    let referee = Server::referee(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut client = referee.client();
    let fault = Fault::inject(&referee, SYNCS, "delay_enter=300000", &[]);
    let begun = Instant::now();
    assert!(client.run("SET k v").is_ok());
    assert!(begun.elapsed() >= Duration::from_millis(290), "no delay: {:?}", begun.elapsed());
    assert!(fault.hits() >= 1);
    drop(fault);
    let begun = Instant::now();
    assert!(client.run("SET k v").is_ok());
    assert!(begun.elapsed() < Duration::from_millis(250), "the fault stayed: {:?}", begun.elapsed());
    let Some(disk) = SmallDisk::new(32) else { return };
    disk.fill_but(1 << 20);
    let full = std::fs::write(disk.path().join("large"), vec![1; 4 << 20]);
    assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    disk.make_room();
    std::fs::write(disk.path().join("large"), vec![1; 4 << 20]).unwrap();
}
