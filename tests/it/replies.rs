//! Tests which commands get a reply: CLIENT REPLY with everything that may come in between. The same bytes go to a real
//! server.

use crate::harness::{Client, Random, Server, Value, on_both};

const FLAGS: &[&str] = &["--requirepass", "secret"];

/// The commands of the rounds: those that switch replies on and off, those that change the connection, and errors of
/// every kind.
const COMMANDS: &[&str] = &[
    "CLIENT REPLY ON",
    "CLIENT REPLY OFF",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY NONE",
    "CLIENT REPLY",
    "RESET",
    "RESET now",
    "AUTH secret",
    "AUTH secret",
    "AUTH wrong",
    "HELLO 2",
    "HELLO 3",
    "HELLO 3 AUTH default secret",
    "HELLO 4",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "DISCARD now",
    "WATCH key",
    "UNWATCH",
    "SELECT 1",
    "SELECT 99",
    "PING",
    "PING text",
    "ECHO text",
    "SET key value",
    "GET key",
    "HSET hash f v",
    "HGETALL hash",
    "INCR hash",
    "GET",
    "NOTHING at all",
    "CONFIG GET maxmemory",
    "CLIENT GETNAME",
    "CLIENT SETNAME me",
    "CLIENT NO-EVICT ON",
    "XREAD BLOCK 1 STREAMS none $",
];

fn inline(command: &str) -> Vec<u8> {
    format!("{command}\r\n").into_bytes()
}

fn array(command: &str) -> Vec<u8> {
    Client::encode(&command.split(' ').collect::<Vec<_>>())
}

/// The bytes of a connection. CLIENT REPLY within a transaction is left out, because it breaks the protocol of a real
/// server. So is a command that waits before an end without replies, because a real server then does not close the
/// connection.
fn round(random: &mut Random) -> Vec<u8> {
    let (mut bytes, mut open, ending) = (array("AUTH secret"), false, random.below(6));
    for _ in 0..=random.below(24) {
        let command = random.pick(COMMANDS);
        match command {
            "MULTI" => open = true,
            "EXEC" | "DISCARD" | "RESET" => open = false,
            reply if open && reply.starts_with("CLIENT REPLY ") => continue,
            wait if ending < 3 && wait.starts_with("XREAD") => continue,
            _ => {}
        }
        bytes.extend(if random.one_in(3) { inline(command) } else { array(command) });
    }
    bytes.extend(match ending {
        0 => b"*1\r\n$nothing\r\n".to_vec(),
        1 => inline("PING \"unbalanced"),
        2 => inline("QUIT"),
        _ => [array("DISCARD"), array("CLIENT REPLY ON"), array("QUIT")].concat(),
    });
    bytes
}

/// All replies of a server up to the end of the connection, without parts that differ between servers.
fn replies(server: &Server, bytes: &[u8]) -> Vec<Value> {
    let mut client = server.client();
    client.send_raw(bytes).unwrap();
    let mut all = Vec::new();
    loop {
        match client.read() {
            Value::Eof => return all,
            Value::Timeout => panic!("no end of {}, behind {all:?}", String::from_utf8_lossy(bytes)),
            other => all.push(of_any_server(other)),
        }
    }
}

fn of_any_server(value: Value) -> Value {
    match &value {
        Value::Map(pairs) if pairs.len() == 7 => Value::Simple(b"HELLO 3".to_vec()),
        Value::Array(list) if list.len() == 14 => Value::Simple(b"HELLO 2".to_vec()),
        Value::Array(list) => Value::Array(list.iter().cloned().map(of_any_server).collect()),
        _ => value,
    }
}

#[test]
fn the_same_commands_are_answered_as_by_a_real_server() {
    let mut random = Random::from_environment("replies");
    let (ours, referee) = (Server::start(FLAGS), Server::referee(FLAGS));
    for number in 0..400 {
        let bytes = round(&mut random);
        let (found, right) = (replies(&ours, &bytes), replies(&referee, &bytes));
        assert_eq!(found, right, "round {number}: {}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn client_reply_is_refused_in_a_transaction_where_it_would_put_the_protocol_out_of_step() {
    let server = Server::start(&[]);
    for mode in ["ON", "OFF", "SKIP"] {
        let mut client = server.client();
        assert!(client.run("MULTI").is_ok());
        let refused = client.run(&format!("CLIENT REPLY {mode}"));
        assert_eq!(refused.text(), "ERR Command not allowed inside a transaction");
        assert_eq!(client.run("PING").text(), "QUEUED");
        assert_eq!(client.run("EXEC").text(), "EXECABORT Transaction discarded because of previous errors.");
        assert_eq!(client.run("PING").text(), "PONG");
    }
}

/// The names of the commands and subcommands that are not allowed in a transaction.
fn never_queued(server: &Server) -> Vec<String> {
    fn walk(command: &Value, found: &mut Vec<String>) {
        let about = command.items();
        if about[2].items().iter().any(|flag| flag.text() == "no_multi") {
            found.push(about[0].text());
        }
        about[9].items().iter().for_each(|sub| walk(sub, found));
    }
    let mut found = Vec::new();
    server.client().run("COMMAND").items().iter().for_each(|command| walk(command, &mut found));
    found.sort();
    found
}

#[test]
fn a_transaction_refuses_the_commands_that_one_of_a_real_server_refuses_and_client_reply() {
    let (ours, referee) = (Server::start(&[]), Server::referee(&[]));
    let known = |name: &String| !ours.client().run(&format!("COMMAND INFO {name}")).items()[0].is_null();
    let mut right: Vec<String> = never_queued(&referee).into_iter().filter(known).collect();
    right.push("client|reply".to_owned());
    right.sort();
    assert_eq!(never_queued(&ours), right);
    for name in &right {
        let mut client = ours.client();
        client.run("MULTI");
        let words = name.replace('|', " ").replace("reply", "reply on");
        assert_eq!(client.run(&words).text(), "ERR Command not allowed inside a transaction", "{name}");
    }
}

#[test]
fn a_client_without_replies_gets_no_lines_of_monitor_either() {
    on_both(&[], |server| {
        let mut client = server.client();
        assert!(client.run("MONITOR").is_ok());
        for command in ["CLIENT REPLY OFF", "PING one", "CLIENT REPLY ON", "PING two"] {
            client.send_raw(&array(command)).unwrap();
        }
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.ends_with("\"PING\" \"two\"")) {
            lines.push(client.read().text());
        }
        assert!(!lines.iter().any(|line| line.contains("one")), "{lines:?}");
    });
}
