//! Tests of clients that wait for the end of CLIENT PAUSE, for keys or for a long command, and of what goes on
//! meanwhile.

use crate::harness::{Client, Server, Value, on_both};
use std::time::{Duration, Instant};

const LARGE: usize = 32 << 20;

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

/// The lines of CLIENT LIST for the clients with this name.
fn listed(observer: &mut Client, name: &str) -> Vec<String> {
    let list = observer.run("CLIENT LIST").text();
    list.lines().filter(|line| line.contains(&format!(" name={name} "))).map(str::to_owned).collect()
}

/// Waits until the clients with this name are `count`, and all are blocked in this command.
fn until_blocked(observer: &mut Client, name: &str, command: &str, count: usize) {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let list = listed(observer, name);
        let blocked =
            |line: &&String| line.contains(" flags=b ") && line.contains(&format!(" cmd={command} "));
        if list.iter().filter(blocked).count() == count && list.len() == count {
            return;
        }
        assert!(Instant::now() < deadline, "{list:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Connects a client and names it.
fn named(server: &Server, name: &str) -> Client {
    let mut client = server.client();
    assert!(client.run(&format!("CLIENT SETNAME {name}")).is_ok());
    client
}

/// Begins a pause and adds an entry in one transaction, so that the pause has begun when the waiting clients are looked
/// at.
fn add_and_pause(writer: &mut Client, pause: &str, id: &str) {
    assert!(writer.run("MULTI").is_ok());
    for line in [format!("CLIENT PAUSE {pause}"), format!("XADD s {id} f v")] {
        assert_eq!(writer.run(&line), Value::Simple(b"QUEUED".to_vec()));
    }
    assert_eq!(writer.run("EXEC").items()[1], bulk(id));
}

/// The rest of a reply that is larger than the socket's buffers is sent while the client's next command waits.
#[test]
fn what_is_left_of_a_reply_is_sent_while_the_next_command_waits() {
    on_both(&["--save", ""], |server| {
        let mut admin = server.client();
        assert!(admin.call(&["SET", "large", &"x".repeat(LARGE)]).is_ok());
        let mut client = named(server, "blocked");
        client.send(&["GET", "large"]).unwrap();
        client.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]).unwrap();
        until_blocked(&mut admin, "blocked", "xread", 1);
        assert_eq!(client.read().bytes().unwrap().len(), LARGE);
        let mut paused = named(server, "paused");
        assert!(admin.run("CLIENT PAUSE 600000 WRITE").is_ok());
        paused.send(&["GET", "large"]).unwrap();
        paused.send(&["SET", "k", "v"]).unwrap();
        until_blocked(&mut admin, "paused", "set", 1);
        assert_eq!(paused.read().bytes().unwrap().len(), LARGE);
        assert!(admin.run("CLIENT UNPAUSE").is_ok());
        assert!(paused.read().is_ok());
        assert_eq!(admin.run("XADD s 1-1 f v"), bulk("1-1"));
        assert!(client.read().to_string().contains("1-1"));
    });
}

/// The same while a long command runs on a thread of its own. Pushed messages are sent too.
#[test]
fn what_is_left_of_a_reply_is_sent_while_a_long_command_runs() {
    let server = Server::start(&["--save", "", "--enable-debug-command", "yes"]);
    let mut admin = server.client();
    assert!(admin.call(&["SET", "large", &"x".repeat(LARGE)]).is_ok());
    let mut client = server.client();
    client.send(&["GET", "large"]).unwrap();
    client.send(&["DEBUG", "SLEEP", "600"]).unwrap();
    assert_eq!(client.read().bytes().unwrap().len(), LARGE);
    let mut monitor = server.client();
    assert!(monitor.run("MONITOR").is_ok());
    monitor.send(&["DEBUG", "SLEEP", "600"]).unwrap();
    assert!(admin.run("SET pushed 1").is_ok());
    let shown = std::iter::from_fn(|| Some(monitor.read()).filter(|shown| *shown != Value::Timeout));
    assert!(shown.take(4).any(|shown| shown.text().contains("pushed")), "nothing is pushed");
}

/// A pause of writes holds back clients that wait for new entries of a group, whichever command adds the entries, but
/// not clients that only read. The clients that were held back are served in order, even if some of them have gone.
#[test]
fn a_pause_holds_back_those_who_would_be_served_by_a_write() {
    let server = Server::start(&[]);
    let (mut admin, mut writer) = (server.client(), server.client());
    assert!(admin.run("XGROUP CREATE s g $ MKSTREAM").is_ok());
    let ask = |count: usize, names: [&str; 3]| {
        let mut clients = Vec::new();
        for name in names.iter().take(count) {
            let mut client = named(&server, "waiting");
            let id = client.run("CLIENT ID").int().unwrap();
            let ask = format!("XREADGROUP GROUP g {name} BLOCK 0 STREAMS s >");
            client.send(&ask.split(' ').collect::<Vec<_>>()).unwrap();
            clients.push((client, id));
            until_blocked(&mut server.client(), "waiting", "xreadgroup", clients.len());
        }
        clients
    };
    let pending = |admin: &mut Client| admin.run("XPENDING s g").items()[0].clone();

    let mut clients = ask(3, ["first", "second", "third"]);
    let mut reader = named(&server, "reading");
    reader.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]).unwrap();
    until_blocked(&mut admin, "reading", "xread", 1);
    add_and_pause(&mut writer, "600000 WRITE", "1-1");
    assert!(reader.read().to_string().contains("1-1"), "who only reads is served");
    assert_eq!(pending(&mut admin), Value::Int(0));
    let (first, id) = clients.remove(0);
    assert_eq!(admin.run(&format!("CLIENT UNBLOCK {id}")), Value::Int(0), "it waits for the pause");
    // Another pause that has begun meanwhile counts too.
    assert!(admin.run("CLIENT PAUSE 600001 WRITE").is_ok());
    assert_eq!(pending(&mut admin), Value::Int(0));
    drop(first);
    until_blocked(&mut admin, "waiting", "xreadgroup", 2);
    assert!(admin.run("CLIENT UNPAUSE").is_ok());
    let (mut second, _) = clients.remove(0);
    assert!(second.read().to_string().contains("1-1"));
    let (mut third, id) = clients.remove(0);
    assert_eq!(admin.run(&format!("CLIENT UNBLOCK {id}")), Value::Int(1), "it waits for the key");
    assert!(third.read().is_null());
    drop((second, third));
    until_blocked(&mut admin, "waiting", "xreadgroup", 0);

    // Clients that read wait for a pause of all commands. No client sends a command while it ends.
    let mut clients = ask(1, ["fourth"; 3]);
    reader.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]).unwrap();
    until_blocked(&mut admin, "reading", "xread", 1);
    add_and_pause(&mut writer, "300 ALL", "2-1");
    assert!(reader.read().to_string().contains("2-1"));
    assert!(clients[0].0.read().to_string().contains("2-1"));
    assert_eq!(pending(&mut admin), Value::Int(2));
}

/// A client gets an entry that came in time even if the pause lasts longer than the client's timeout.
#[test]
fn the_time_of_a_client_is_not_up_while_a_pause_holds_it_back() {
    let server = Server::start(&[]);
    let (mut admin, mut writer) = (server.client(), server.client());
    assert!(admin.run("XGROUP CREATE s g $ MKSTREAM").is_ok());
    let mut client = named(&server, "waiting");
    // On a busy machine the timeout may be over before the entry comes. Then a longer one is tried.
    for (round, timeout) in [200, 2000, 20_000, 200_000].into_iter().enumerate() {
        let ask = format!("XREADGROUP GROUP g me BLOCK {timeout} STREAMS s >");
        client.send(&ask.split(' ').collect::<Vec<_>>()).unwrap();
        let asked = Instant::now();
        while listed(&mut admin, "waiting").iter().all(|line| !line.contains(" cmd=xreadgroup ")) {}
        let id = format!("{}-1", round + 1);
        add_and_pause(&mut writer, "600000 WRITE", &id);
        let held_back = listed(&mut admin, "waiting").iter().any(|line| line.contains(" flags=b "));
        if held_back {
            std::thread::sleep(Duration::from_millis(timeout + 100).saturating_sub(asked.elapsed()));
            assert!(admin.run("CLIENT UNPAUSE").is_ok());
            assert!(client.read().to_string().contains(&id));
            return;
        }
        assert!(admin.run("CLIENT UNPAUSE").is_ok());
        assert!(client.read().is_null());
        assert_eq!(admin.run("XGROUP SETID s g $"), Value::Simple(b"OK".to_vec()));
    }
    panic!("the client is never held back");
}
