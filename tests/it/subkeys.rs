//! Subkey notifications: on which channels events of hashes name their fields, and how.

use crate::harness::memory::{MB, grown_since, resident};
use crate::harness::{Client, Server, Value, until};

/// A server, one of its clients, and a subscriber to all channels of fields.
struct Told {
    client: Client,
    subscriber: Client,
    server: Server,
}

impl Told {
    fn with(letters: &str) -> Self {
        let server = Server::start(&["--notify-keyspace-events", letters, "--enable-debug-command", "yes"]);
        let (client, mut subscriber) = (server.client(), server.client());
        subscriber.run("PSUBSCRIBE __*");
        Self { client, subscriber, server }
    }

    /// The next message, as its channel and payload.
    fn next(&mut self) -> String {
        let message = self.subscriber.read().items();
        format!("{} {}", message[2].text(), message[3].text())
    }

    /// What a command tells.
    fn run(&mut self, line: &str) -> Vec<String> {
        self.client.run(line);
        self.client.run("PUBLISH __end x");
        let mut told = Vec::new();
        loop {
            match self.next() {
                end if end == "__end x" => return told,
                message => told.push(message),
            }
        }
    }
}

/// Commands, and what is told of the key `h` on its channel of fields.
const TOLD: &[(&str, &[&str])] = &[
    ("HSET h a 1 b 2 c 3 d 4", &["hset|1:a,1:b,1:c,1:d"]),
    ("HSET h a 1 a 2", &["hset|1:a,1:a"]),
    ("HMSET h |,: 1", &["hset|3:|,:"]),
    ("HSETNX h e 1", &["hset|1:e"]),
    ("HSETNX h e 1", &[]),
    ("HINCRBY h n 1", &["hincrby|1:n"]),
    ("HINCRBYFLOAT h n 1.5", &["hincrbyfloat|1:n"]),
    ("HINCRBY h a x", &[]),
    ("HDEL h none e none e |,:", &["hdel|1:e,3:|,:"]),
    ("HDEL h none", &[]),
    ("HEXPIRE h 100 FIELDS 3 a none b", &["hexpire|1:a,1:b"]),
    ("HPEXPIRE h 100000 NX FIELDS 2 a c", &["hexpire|1:c"]),
    ("HPERSIST h FIELDS 3 d b a", &["hpersist|1:b,1:a"]),
    ("HGETEX h EX 100 FIELDS 2 none d", &["hexpire|1:d"]),
    ("HGETEX h PERSIST FIELDS 2 a d", &["hpersist|1:d"]),
    ("HGETEX h FIELDS 1 d", &[]),
    ("HGETEX h PXAT 1 FIELDS 2 n none", &["hdel|1:n"]),
    ("HSETEX h FIELDS 2 x 1 y 2", &["hset|1:x,1:y"]),
    ("HSETEX h KEEPTTL FIELDS 1 x 2", &["hset|1:x"]),
    ("HSETEX h EX 100 FIELDS 1 z 1", &["hset|1:z", "hexpire|1:z"]),
    ("HSETEX h FNX FIELDS 1 z 1", &[]),
    ("HSETEX h PXAT 1 FIELDS 3 y 1 none 1 z 1", &["hdel|1:y,1:z"]),
    ("HEXPIREAT h 1 FIELDS 3 x x none", &["hdel|1:x"]),
    ("HGETDEL h FIELDS 3 c none c", &["hdel|1:c"]),
    ("HGET h a", &[]),
    ("EXPIRE h 100", &[]),
    ("HGETDEL h FIELDS 3 d b a", &["hdel|1:d,1:b,1:a"]),
    ("SET s v", &[]),
];

#[test]
fn every_command_on_hashes_names_the_fields_that_it_changes() {
    let mut told = Told::with("Sh");
    for (line, right) in TOLD {
        let right: Vec<String> =
            right.iter().map(|payload| format!("__subkeyspace@0__:h {payload}")).collect();
        assert_eq!(told.run(line), right, "{line}");
    }
}

#[test]
fn each_letter_has_its_channel() {
    let mut told = Told::with("KESTIVA");
    assert_eq!(told.client.run("CONFIG GET notify-keyspace-events").items()[1].text(), "AKESTIV");
    let all = [
        "__keyspace@3__:key hset",
        "__keyevent@3__:hset key",
        "__subkeyspace@3__:key hset|1:a,2:bc",
        "__subkeyevent@3__:hset 3:key|1:a,2:bc",
        "__subkeyspaceitem@3__:key\na hset",
        "__subkeyspaceitem@3__:key\nbc hset",
        "__subkeyspaceevent@3__:hset|key 1:a,2:bc",
    ];
    told.run("SELECT 3");
    assert_eq!(told.run("HSET key a 1 bc 2"), all);
    for (letters, right) in
        [("Kh", &all[..1]), ("Th", &all[3..4]), ("Ih$", &all[4..6]), ("VA", &all[6..]), ("STIV", &[])]
    {
        assert!(told.client.run(&format!("CONFIG SET notify-keyspace-events {letters}")).is_ok());
        assert_eq!(told.run("HSET key a 1 bc 2"), right, "{letters}");
        if letters != "Kh" {
            assert!(told.run("SET s v").is_empty() && told.run("DEL s").is_empty(), "{letters}");
        }
    }
}

/// A key with a line break has no channels for each field, because the line break separates key and field.
#[test]
fn names_may_have_any_bytes() {
    let mut told = Told::with("STIVh");
    for args in [&["HSET", "a\nb", "f\ng", "1"][..], &["HSET", "a|b", "", "1"], &["PUBLISH", "__end", "x"]] {
        told.client.call(args);
    }
    let right = [
        "__subkeyspace@0__:a\nb hset|3:f\ng",
        "__subkeyevent@0__:hset 3:a\nb|3:f\ng",
        "__subkeyspaceevent@0__:hset|a\nb 3:f\ng",
        "__subkeyspace@0__:a|b hset|0:",
        "__subkeyevent@0__:hset 3:a|b|0:",
        "__subkeyspaceitem@0__:a|b\n hset",
        "__subkeyspaceevent@0__:hset|a|b 0:",
        "__end x",
    ];
    for message in right {
        assert_eq!(told.next(), message);
    }
}

/// Fields that expire by themselves, that a command overwrites, and the last ones of a hash.
#[test]
fn expired_fields_are_named_together_and_once() {
    let mut told = Told::with("Sh");
    assert!(told.client.run("DEBUG SET-ACTIVE-EXPIRE 0").is_ok());
    told.run("HSET h a 1 b 2 c 3 keep 4");
    told.run("HPEXPIRE h 1 FIELDS 3 a b c");
    until("the fields expire", || told.client.run("HLEN h").int() == Some(1));
    let overwritten = told.run("HSETEX h KEEPTTL FIELDS 3 a 1 a 2 keep 1");
    assert_eq!(overwritten, ["__subkeyspace@0__:h hexpired|1:a", "__subkeyspace@0__:h hset|1:a,1:a,4:keep"]);
    assert_eq!(told.server.info("expired_subkeys"), "1", "a field that is named twice expires once");
    assert!(told.client.run("DEBUG SET-ACTIVE-EXPIRE 1").is_ok());
    assert_eq!(told.next(), "__subkeyspace@0__:h hexpired|1:b,1:c");
    assert!(told.client.run("DEBUG SET-ACTIVE-EXPIRE 0").is_ok());
    told.run("HPEXPIRE h 1 FIELDS 2 a keep");
    until("the hash expires", || told.client.run("EXISTS h").int() == Some(0));
    let anew = told.run("HSET h n 1");
    assert_eq!(anew.last().map(String::as_str), Some("__subkeyspace@0__:h hset|1:n"));
}

#[test]
fn a_view_names_the_fields_that_commands_on_hashes_change() {
    let mut told = Told::with("Sh");
    assert!(told.client.run("TABLE.CREATE t PK id S KEYSPACE user:{id}").is_ok());
    let on = |payload: &str| vec![format!("__subkeyspace@0__:user:1 {payload}")];
    assert_eq!(told.run("HSET user:1 a 1 b 2"), on("hset|1:a,1:b"));
    assert_eq!(told.run("HINCRBY user:1 n 1"), on("hincrby|1:n"));
    assert_eq!(told.run("HDEL user:1 none b b a"), on("hdel|1:b,1:a"));
    assert!(told.run("ITEM.UPDATE t 1 SET 1 a v").is_empty());
}

/// The channels of a hash's fields all have the hash's key in their names.
#[test]
fn a_long_key_is_kept_once_for_all_its_fields() {
    let mut told = Told::with("Ih");
    let key = "k".repeat(MB);
    let mut call = vec!["HSET".to_owned(), key.clone()];
    (0..400).for_each(|field| call.extend([format!("f{field}"), "v".to_owned()]));
    let call: Vec<&str> = call.iter().map(String::as_str).collect();
    let mut closed = told.server.client();
    closed.run("PSUBSCRIBE __subkeyspaceitem@0__:k*");
    drop(told.subscriber);
    let before = resident(&told.server);
    told.client.call(&call);
    assert_eq!(told.client.run("PING").text(), "PONG");
    let grown = grown_since(before, &told.server);
    assert!(grown < 150 * MB, "{grown}");
    let mut one = told.server.client();
    one.call(&["SUBSCRIBE", &format!("__subkeyspaceitem@0__:{key}\nf399")]);
    told.client.call(&["HSET", &key, "f3", "w", "f399", "w"]);
    assert_eq!(one.read().items()[2].text(), "hset");
}

/// Who subscribes is told of what it does next, even if nobody had subscribed before.
#[test]
fn the_first_subscriber_is_told_of_what_follows() {
    let server = Server::start(&["--notify-keyspace-events", "KEA"]);
    for calls in [&["SUBSCRIBE", "SET"][..], &["MULTI", "SUBSCRIBE", "SET", "EXEC"]] {
        let mut client = server.client();
        client.run("HELLO 3");
        let mut bytes = Vec::new();
        for call in calls {
            bytes.extend(match *call {
                "SUBSCRIBE" => Client::encode(&["SUBSCRIBE", "__keyspace@0__:k"]),
                "SET" => Client::encode(&["SET", "k", "v"]),
                other => Client::encode(&[other]),
            });
        }
        client.send_raw(&bytes).unwrap();
        while !client.read().to_string().contains("\"set\"") {}
    }
}

/// What a transaction tells is in memory once until it is delivered, however many kinds of channels there are.
#[test]
fn many_kinds_of_channels_take_no_more_memory() {
    let mut told = Told::with("KESTIVA");
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0"];
    assert!(told.client.call(&limit).is_ok());
    let peak = |client: &mut Client| {
        let memory = client.run("INFO memory").text();
        let peak = memory.lines().find_map(|line| line.strip_prefix("used_memory_peak:")).unwrap();
        peak.trim().parse::<usize>().unwrap()
    };
    let script = "local name = ('n'):rep(2000) \
                  for i = 1, 20000 do redis.call('HSET', 'h', name, 'v') end return 1";
    // The script itself, which can be undone, and the log's record take memory, too.
    drop(told.subscriber);
    until("nobody listens", || told.client.run("PUBSUB NUMPAT").int() == Some(0));
    assert_eq!(told.client.call(&["EVAL", script, "0"]), Value::Int(1));
    let unheard = peak(&mut told.client);
    let mut listener = told.server.client();
    listener.run("PSUBSCRIBE __*");
    assert_eq!(told.client.call(&["EVAL", script, "0"]), Value::Int(1));
    let heard = peak(&mut told.client);
    // The events take 42 MB, and the list of them nearly as much again while it grows.
    assert!(heard < unheard + 140 * MB, "{unheard} {heard}");
}
