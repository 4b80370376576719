//! Clients that wait for keys: which of them are run again when a key changes, and for which of their keys.

use crate::command::testing::{Harness, args_of, show};
use crate::command::{Client, Parked};
use crate::node::{ClientHandle, StateSlot};
use crate::resp::{Batch, Decoder, InputLimits, Proto, Reply, ReplyDecoder};
use crate::session::{Stop, Worker};
use std::sync::Arc;

/// Runs a command that waits as a client of its own.
fn wait(h: &Harness, id: u64, line: &str) -> Arc<Parked> {
    let now = h.server.engine.clock.instant();
    let handle = ClientHandle::new(id, "127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned(), true, now);
    let mut client = Client::new(Arc::new(handle), &h.server.users);
    let mut request = args_of(line);
    let mut batch = Batch::new();
    Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, 1).unwrap();
    let mut worker = Worker::new(Arc::clone(&h.server), 1);
    let progress = worker.run(&mut client, &request, &batch, 0, &mut Reply::new(Proto::V2));
    assert_eq!(progress.stop, Some(Stop::Blocked), "{line}");
    let parked = client.parked.take().unwrap();
    parked.park(&h.server.engine.store, client);
    parked
}

/// The reply to a client that was served.
fn served(h: &Harness, parked: &Parked) -> Option<String> {
    let served = parked.take_served()?;
    parked.leave(&h.server.engine.store, 0..parked.lines());
    Some(show(&ReplyDecoder::decode_all(&served.reply.since(0)).unwrap()[0]))
}

/// A consumer whose command is run again counts as seen. So the command of a client for which the key has nothing must
/// not be run again.
#[test]
fn of_a_group_only_those_are_run_for_whom_there_is_something() {
    const READERS: usize = 40;
    const ENTRIES: usize = 15;
    let mut h = Harness::new();
    h.run("XGROUP CREATE s g $ MKSTREAM");
    h.run("XGROUP CREATE s other $");
    let readers: Vec<Arc<Parked>> = (0..READERS)
        .map(|n| wait(&h, n as u64, &format!("XREADGROUP GROUP g c{n:02} COUNT 1 BLOCK 0 STREAMS s >")))
        .collect();
    h.advance(1000);
    for n in 1..=ENTRIES {
        h.run(&format!("XADD s {n}-1 f v"));
    }
    // Neither a change that means nothing to the readers nor a change of another key runs one of them.
    h.run("XGROUP CREATE s third $");
    h.run("XADD elsewhere 1-1 f v");
    for (n, reader) in readers.iter().enumerate() {
        let reply = served(&h, reader);
        if n < ENTRIES {
            assert_eq!(reply.unwrap(), format!(r#"[["s" [["{}-1" ["f" "v"]]]]]"#, n + 1));
        } else {
            assert_eq!(reply, None);
        }
    }
    let consumers = h.run("XINFO CONSUMERS s g");
    assert_eq!(consumers.matches(r#""idle" :1000"#).count(), READERS - ENTRIES, "{consumers}");
    assert_eq!(consumers.matches(r#""idle" :0"#).count(), ENTRIES, "{consumers}");
    // One entry too few: the last one finds nothing, and those behind it are not asked.
    h.advance(1000);
    for line in ["MULTI", "XADD s 90-1 f v", "XADD s 91-1 f v", "XDEL s 91-1", "EXEC"] {
        h.run(line);
    }
    let consumers = h.run("XINFO CONSUMERS s g");
    assert!(consumers.matches(r#""idle" :0"#).count() <= 2, "{consumers}");
    // All of them are told that their group is gone.
    h.run("XGROUP DESTROY s g");
    let told =
        readers.iter().filter_map(|reader| served(&h, reader)).filter(|reply| reply.starts_with("-NOGROUP"));
    assert_eq!(told.count(), READERS - ENTRIES - 1);
    assert!(!h.server.engine.store.has_ready());
    assert_eq!(h.server.engine.store.waited_for(), (0, 0));
}

#[test]
fn all_readers_get_what_is_behind_their_identifiers() {
    let mut h = Harness::new();
    let ids = ["$", "0", "5", "7-3", "9", "18446744073709551615-18446744073709551615"];
    let readers: Vec<Arc<Parked>> = (ids.iter().enumerate())
        .map(|(n, id)| wait(&h, n as u64, &format!("XREAD BLOCK 0 STREAMS s {id}")))
        .collect();
    h.run("XADD s 7-3 f v");
    let got: Vec<bool> = readers.iter().map(|reader| served(&h, reader).is_some()).collect();
    assert_eq!(got, [true, true, true, false, false, false]);
    h.run("XADD s 8-1 f v");
    assert_eq!(served(&h, &readers[3]).unwrap(), r#"[["s" [["8-1" ["f" "v"]]]]]"#);
    assert!(served(&h, &readers[4]).is_none() && served(&h, &readers[5]).is_none());
}

/// As in Redis 7.0, a client that waits for several keys gets only what is in the key for which it is served.
#[test]
fn one_key_of_many_is_looked_at() {
    let mut h = Harness::new();
    h.run("XGROUP CREATE b g $ MKSTREAM");
    let keys: Vec<String> = (0..500).map(|n| format!("k{n}")).collect();
    let line =
        format!("XREAD COUNT 5 BLOCK 0 STREAMS {} a b {} $ $", keys.join(" "), vec!["0"; 500].join(" "));
    let readers: Vec<Arc<Parked>> = (0..5).map(|n| wait(&h, n, &line)).collect();
    let before = h.server.engine.store.waited_for();
    assert_eq!(before, (502, 0));
    for line in ["MULTI", "XADD b 2-1 f v", "XADD b 3-1 f v", "XADD a 1-1 f v", "XADD k7 1-1 f v", "EXEC"] {
        h.run(line);
    }
    assert_eq!(
        h.server.engine.store.waited_for(),
        (0, 0),
        "they wait for nothing, whenever their connections see it"
    );
    for reader in &readers {
        assert_eq!(served(&h, reader).unwrap(), r#"[["b" [["2-1" ["f" "v"]] ["3-1" ["f" "v"]]]]]"#);
    }
    // The word before the keys may also be the name of a key.
    h.run("XGROUP SETID b g 3-1");
    let grouped = wait(&h, 9, "XREADGROUP GROUP g STREAMS NOACK COUNT 1 BLOCK 0 STREAMS b b > >");
    h.run("XADD b 4-1 f v");
    h.run("XADD b 5-1 f v");
    assert_eq!(served(&h, &grouped).unwrap(), r#"[["b" [["4-1" ["f" "v"]]]]]"#);
}

/// The change falls between the command's look at the key and the parking of its client.
#[test]
fn a_change_that_comes_before_the_client_is_parked_is_not_missed() {
    let mut h = Harness::new();
    h.run("XGROUP CREATE s g $ MKSTREAM");
    let now = h.server.engine.clock.instant();
    let handle = ClientHandle::new(99, "127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned(), true, now);
    let mut client = Client::new(Arc::new(handle), &h.server.users);
    let mut request = args_of("XREADGROUP GROUP g me BLOCK 0 STREAMS t s s > > >");
    h.run("XGROUP CREATE t g $ MKSTREAM");
    let mut batch = Batch::new();
    Decoder::new().decode(&mut request, &InputLimits::default(), &mut batch, 1).unwrap();
    let mut worker = Worker::new(Arc::clone(&h.server), 1);
    worker.run(&mut client, &request, &batch, 0, &mut Reply::new(Proto::V2));
    let parked = client.parked.take().unwrap();
    h.run("XADD s 1-1 f v");
    assert!(served(&h, &parked).is_none());
    assert!(parked.park(&h.server.engine.store, client), "a key has changed");
    worker.serve_ready();
    assert_eq!(served(&h, &parked).unwrap(), r#"[["s" [["1-1" ["f" "v"]]]]]"#);
    assert_eq!(h.run("XPENDING s g"), r#"[:1 "1-1" "1-1" [["me" "1"]]]"#);
}

/// A pause holds a client up for one of its keys. That is not forgotten when the client's command is run for another
/// key.
#[test]
fn who_is_held_up_for_a_key_stays_so_whatever_becomes_of_another() {
    let h = Harness::new();
    let parked = wait(&h, 1, "XREAD BLOCK 0 STREAMS a b $ $");
    let take = |number| {
        let mut slot = parked.claim(number).unwrap();
        let StateSlot::Waiting(client) = std::mem::replace(&mut *slot, StateSlot::Gone) else {
            panic!("it waits")
        };
        (slot, client)
    };
    assert!(!parked.is_held_up());
    let (slot, client) = take(0);
    parked.hold_up(slot, client, 0);
    assert!(parked.is_held_up());
    let (slot, client) = take(1);
    assert!(parked.is_held_up());
    parked.wait_on(slot, client);
    assert!(parked.is_held_up());
    assert!(parked.go_on(&h.server.engine.store));
    assert!(!parked.is_held_up() && !parked.go_on(&h.server.engine.store));
}
