//! A soak test of switching: clients write while the log is switched on and off, synced differently, checkpointed and
//! reloaded, and the server is ended, at random.
//!
//! `ITEMORY_SOAK_ROUNDS` is the number of rounds.

use crate::harness::{Client, Random, Server, Value};
use crate::writers::{ANY, Writer, accounts_sum};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WRITERS: usize = 3;
const ROUNDS: usize = 20;
/// The least number of writes that are acknowledged in a round, however slow the machine is.
const LOAD: usize = 20;
/// The number of changes in a round.
const CHANGES: usize = 12;

/// How a round ends, and which data must be there afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// SIGTERM: if nothing is logged, the save points make it write a checkpoint.
    Terminate,
    Shutdown,
    /// kill -9 once the log is on and WAITAOF has confirmed it.
    KillLogged,
    /// kill -9 in any state of the log: data may be lost, but what is left is consistent.
    Kill,
}

/// Changes the log's state, or starts work beside it. A refusal is allowed; a wrong state is not.
fn change(client: &mut Client, random: &mut Random) {
    let command = random.pick(&[
        "CONFIG SET appendonly yes",
        "CONFIG SET appendonly yes",
        "CONFIG SET appendonly no",
        "CONFIG SET appendfsync always",
        "CONFIG SET appendfsync everysec",
        "CONFIG SET appendfsync no",
        "CONFIG SET appendonly yes appendfsync always",
        "BGSAVE",
        "BGREWRITEAOF",
        "SAVE",
        "DEBUG RELOAD",
        "TABLE.ALTER crash TTL until",
        "TABLE.ALTER crash NOTTL",
        "TABLE.INDEX ADD crash more PK n N",
        "TABLE.INDEX DROP crash more",
        "TABLE.CREATE other PK id S TTL until STREAM BOTH",
        "TABLE.DROP other",
        "CONFIG SET maxmemory-policy allkeys-random",
        "CONFIG SET maxmemory-policy noeviction",
    ]);
    let reply = client.run(command);
    assert!(!matches!(reply, Value::Eof | Value::Timeout), "{command}: {reply}");
    // Work for expiry, in a database of its own, which is flushed too.
    for line in ["SELECT 9", "SET short 1 PX 1", "HSET hash f v", "HPEXPIRE hash 1 FIELDS 1 f", "SELECT 0"] {
        client.run(line);
    }
    if random.one_in(4) {
        client.run("SELECT 9");
        client.run("FLUSHDB");
        client.run("SELECT 0");
    }
    client.run(&format!("ITEM.PUT other i{} SET 1 until:n 1", random.below(50)));
}

fn logged(client: &mut Client) {
    let on = client.run("CONFIG SET appendonly yes");
    assert!(on.is_ok(), "{on}");
    let waited = client.run("WAITAOF 1 0 60000");
    assert_eq!(waited.items().first().and_then(Value::int), Some(1), "{waited}");
    assert!(client.run("INFO persistence").text().contains("log_complete:1\r"));
}

#[test]
fn switching_loses_nothing_acknowledged() {
    let rounds = std::env::var("ITEMORY_SOAK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut random = Random::from_environment("switching soak");
    // These save points are never reached; they only make an end write a checkpoint.
    let flags = [
        "--appendonly",
        "yes",
        "--save",
        "100000 100000000",
        "--enable-debug-command",
        "yes",
        "--log-segment-size",
        "64kb",
        "--stop-writes-on-bgsave-error",
        "no",
    ];
    let mut server = Server::start(&flags);
    assert!(
        server
            .client()
            .run("TABLE.CREATE crash PK id S INDEX n PK n N INDEX ids PK id S PROJECT KEYS")
            .is_ok()
    );
    let mut writers = Writer::several(WRITERS, &mut random, true, ANY);
    let acknowledged = AtomicUsize::new(0);
    for round in 0..rounds {
        let end = [End::Terminate, End::Shutdown, End::KillLogged, End::Kill][random.below(4)];
        let (before, over) = (acknowledged.load(Relaxed), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for writer in &mut writers {
                let (client, acknowledged, over) = (server.client(), &acknowledged, &over);
                scope.spawn(move || writer.run(client, acknowledged, over));
            }
            let mut client = server.client();
            for _ in 0..=random.below(CHANGES) {
                change(&mut client, &mut random);
            }
            if end == End::KillLogged {
                logged(&mut client);
            }
            let deadline = Instant::now() + Duration::from_mins(1);
            while acknowledged.load(Relaxed) < before + LOAD && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            match end {
                End::Terminate => assert!(server.stop().success(), "{}", server.log()),
                End::Shutdown => {
                    // SHUTDOWN's reply is that the connection closes.
                    let reply = client.run("SHUTDOWN");
                    assert!(matches!(reply, Value::Eof), "{reply}: {}", server.log());
                    assert!(server.wait().success(), "{}", server.log());
                }
                End::KillLogged | End::Kill => server.kill9(),
            }
            over.store(true, Relaxed);
        });
        server.up();
        let mut client = server.client();
        for writer in &mut writers {
            if end == End::Kill { writer.adopt(&mut client) } else { writer.verify(&mut client) }
        }
        assert_eq!(accounts_sum(&mut client), 0, "a transfer was halved in round {round}, {end:?}");
        crate::indexes::check(&mut |command| client.call(command), "crash", true);
    }
    eprintln!("{} acknowledged writes in {rounds} rounds", acknowledged.load(Relaxed));
}
