//! Publish and subscribe where scripts cannot show it: orders, limits, memory, and what runs beside.

use crate::harness::memory::used;
use crate::harness::{Client, Server, Value, on_both, until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

const MB: usize = 1 << 20;

fn message(channel: &str, payload: &str) -> String {
    format!("[message {channel} {payload}]")
}

/// A message as `[message channel payload]`, in either protocol.
fn shown(value: &Value) -> String {
    let parts: Vec<String> =
        value.items().iter().map(|part| part.int().map_or_else(|| part.text(), |n| n.to_string())).collect();
    format!("[{}]", parts.join(" "))
}

fn subscribed(server: &Server, proto: u8, channels: &[&str]) -> Client {
    let mut client = server.client_with(proto);
    client.send(&[&["SUBSCRIBE"], channels].concat()).unwrap();
    for (at, channel) in channels.iter().enumerate() {
        assert_eq!(shown(&client.read()), format!("[subscribe {channel} {}]", at + 1));
    }
    client
}

/// From Redis 7.2 on a client's own message follows the reply of PUBLISH; before, it stood in front of it. It precedes
/// the reply of the next command in any case, and stands in no transaction's array.
#[test]
fn a_client_that_publishes_to_itself_gets_the_reply_and_then_the_message() {
    let server = Server::start(&[]);
    let mut client = subscribed(&server, 3, &["a"]);
    let lines =
        ["PUBLISH a 1", "GET k", "PUBLISH a 2", "SUBSCRIBE b", "PUBLISH b 3", "UNSUBSCRIBE b", "PING"];
    let pipeline: Vec<u8> =
        lines.iter().flat_map(|l| Client::encode(&l.split(' ').collect::<Vec<_>>())).collect();
    client.send_raw(&pipeline).unwrap();
    assert_eq!(client.read(), Value::Int(1));
    assert_eq!(shown(&client.read()), message("a", "1"));
    assert!(client.read().is_null());
    assert_eq!(client.read(), Value::Int(1));
    assert_eq!(shown(&client.read()), message("a", "2"));
    assert_eq!(shown(&client.read()), "[subscribe b 2]");
    assert_eq!(client.read(), Value::Int(1));
    assert_eq!(shown(&client.read()), message("b", "3"));
    assert_eq!(shown(&client.read()), "[unsubscribe b 1]");
    assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));

    assert!(client.run("MULTI").is_ok());
    for line in ["PUBLISH a 4", "SET k v", "PUBLISH a 5"] {
        assert_eq!(client.run(line), Value::Simple(b"QUEUED".to_vec()));
    }
    assert_eq!(client.run("EXEC").to_string(), "[:1 +OK :1]");
    assert_eq!(shown(&client.read()), message("a", "4"));
    assert_eq!(shown(&client.read()), message("a", "5"));
}

/// All subscribers see the messages of a channel in one order, whoever publishes on whatever thread, in a transaction
/// or not, and whether they subscribed to the name or to a pattern.
#[test]
fn all_subscribers_of_a_channel_see_one_order() {
    const EACH: usize = 2000;
    let server = Server::start(&["--io-threads", "3"]);
    let subscriber = |i: usize| {
        if i.is_multiple_of(2) {
            return subscribed(&server, 2 + (i / 2 % 2) as u8, &["a", "b"]);
        }
        let mut client = server.client();
        client.run("PSUBSCRIBE ?");
        client
    };
    let subscribers: Vec<Client> = (0..6).map(subscriber).collect();
    let publish = |number: usize| {
        let mut client = server.client();
        for n in 0..EACH {
            let channel = if n.is_multiple_of(3) { "b" } else { "a" };
            let payload = format!("{number}:{n}");
            let send: &[&[&str]] = if n.is_multiple_of(5) {
                &[&["MULTI"], &["INCR", "k"], &["PUBLISH", channel, &payload], &["EXEC"]]
            } else {
                &[&["PUBLISH", channel, &payload]]
            };
            let bytes: Vec<u8> = send.iter().flat_map(|args| Client::encode(args)).collect();
            client.send_raw(&bytes).unwrap();
            for _ in send {
                assert!(!client.read().is_error());
            }
        }
    };
    let seen: Vec<Vec<(String, String)>> = thread::scope(|scope| {
        let publishers: Vec<_> = (0..3).map(|number| scope.spawn(move || publish(number))).collect();
        let readers: Vec<_> = subscribers
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    let mut read = || {
                        let parts = client.read().items();
                        let [.., channel, payload] = &parts[..] else { panic!("no message") };
                        (channel.text(), payload.text())
                    };
                    (0..3 * EACH).map(|_| read()).collect::<Vec<_>>()
                })
            })
            .collect();
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for channel in ["a", "b"] {
        let on = |all: &[(String, String)]| -> Vec<String> {
            all.iter().filter(|(c, _)| c == channel).map(|(_, payload)| payload.clone()).collect()
        };
        for other in &seen[1..] {
            assert_eq!(on(other), on(&seen[0]), "{channel}");
        }
    }
    for all in &seen {
        for number in 0..3 {
            let prefix = format!("{number}:");
            let own: Vec<usize> =
                all.iter().filter_map(|(_, p)| p.strip_prefix(&prefix)?.parse().ok()).collect();
            assert!(own.is_sorted() && own.len() == EACH, "a publisher's messages keep their order");
        }
    }
}

/// The value of a key and the messages that tell of it are in one order: the last message tells the last value.
#[test]
fn messages_of_transactions_come_in_the_order_of_their_commits() {
    let server = Server::start(&["--io-threads", "3"]);
    let mut subscriber = subscribed(&server, 3, &["told"]);
    let write = |number: usize| {
        let mut client = server.client();
        for n in 0..1000 {
            let value = format!("{number}:{n}");
            let send: [&[&str]; 4] =
                [&["MULTI"], &["SET", "k", &value], &["PUBLISH", "told", &value], &["EXEC"]];
            client.send_raw(&send.iter().flat_map(|args| Client::encode(args)).collect::<Vec<_>>()).unwrap();
            (0..4).for_each(|_| assert!(!client.read().is_error()));
        }
    };
    thread::scope(|scope| {
        (0..3).for_each(|number| drop(scope.spawn(move || write(number))));
    });
    let last = (0..3000).map(|_| shown(&subscriber.read())).last().unwrap();
    assert_eq!(last, message("told", &server.client().run("GET k").text()));
}

/// A subscriber that does not read is closed at the limit of its class, and neither publishers nor other subscribers
/// wait for it.
#[test]
fn a_subscriber_that_does_not_read_is_closed_at_the_limit_of_its_class() {
    on_both(&["--client-output-buffer-limit", "pubsub 4mb 0 0", "--save", ""], |server| {
        for (proto, commands) in [(2, &["SUBSCRIBE a"][..]), (3, &["SUBSCRIBE a"]), (2, &["PSUBSCRIBE *"])] {
            let mut slow = server.client_with(proto);
            commands.iter().for_each(|command| drop(slow.run(command)));
            let mut reader = subscribed(server, 3, &["a"]);
            let mut publisher = server.client();
            let payload = "x".repeat(100_000);
            let mut closed = false;
            for _ in 0..500 {
                let receivers = publisher.call(&["PUBLISH", "a", &payload]).int().unwrap();
                assert_eq!(reader.read().items()[2].bytes().unwrap().len(), payload.len());
                closed = receivers == 1;
                if closed {
                    break;
                }
            }
            assert!(closed, "the slow subscriber is still there after 50 MB");
            assert!(slow.is_closed());
        }
        // The limit of other clients is another one.
        let mut normal = server.client();
        assert!(normal.call(&["SET", "big", &"x".repeat(8 * MB)]).is_ok());
        assert_eq!(normal.run("GET big").bytes().unwrap().len(), 8 * MB);
    });
}

#[test]
fn a_subscriber_above_the_soft_limit_for_too_long_is_closed() {
    on_both(&["--client-output-buffer-limit", "pubsub 0 100kb 1", "--save", ""], |server| {
        let mut slow = subscribed(server, 2, &["a"]);
        let mut publisher = server.client();
        // More than the sockets' buffers take.
        let payload = "x".repeat(MB);
        for _ in 0..16 {
            publisher.call(&["PUBLISH", "a", &payload]);
        }
        until("the slow subscriber is still there", || {
            publisher.run("PUBSUB NUMSUB a").items()[1] == Value::Int(0)
        });
        assert!(slow.is_closed());
    });
}

/// A message's bytes are in memory once, however many clients have yet to read them.
#[test]
fn a_thousand_subscribers_share_one_copy_of_a_message() {
    let server = Server::start(&[
        "--client-output-buffer-limit",
        "pubsub 0 0 0",
        "--save",
        "",
        "--maxclients",
        "2000",
    ]);
    let subscribers: Vec<Client> =
        (0..1000).map(|i| subscribed(&server, if i % 2 == 0 { 2 } else { 3 }, &["a"])).collect();
    let mut publisher = server.client();
    let before = used(&server);
    // What the sockets' buffers take is in nobody's memory.
    let payload = "x".repeat(8 * MB);
    assert_eq!(publisher.call(&["PUBLISH", "a", &payload]), Value::Int(1000));
    let grown = used(&server).saturating_sub(before);
    assert!(grown < 40 * MB, "{grown} bytes for two forms of 8 MB");
    for mut subscriber in subscribers.into_iter().step_by(250) {
        assert_eq!(subscriber.read().items()[2].bytes().unwrap().len(), payload.len());
    }
}

/// A subscriber that messages come for without pause is heard nevertheless, and so are the other clients of its thread.
#[test]
fn a_flood_of_messages_keeps_nobody_from_being_served() {
    on_both(&["--io-threads", "1", "--client-output-buffer-limit", "pubsub 0 0 0"], |server| {
        let mut subscriber = subscribed(server, 3, &["a"]);
        let mut other = server.client();
        let publisher = server.client();
        thread::scope(|scope| {
            let flood = scope.spawn(move || {
                let mut publisher = publisher;
                let request = Client::encode(&["PUBLISH", "a", &"x".repeat(100)]);
                let batch = request.repeat(500);
                let mut receivers = 1;
                while receivers != 0 {
                    publisher.send_raw(&batch).unwrap();
                    receivers = (0..500).map(|_| publisher.read().int().unwrap()).last().unwrap();
                }
            });
            for _ in 0..20 {
                assert!(other.run("PING") == Value::Simple(b"PONG".to_vec()));
            }
            subscriber.send(&["UNSUBSCRIBE"]).unwrap();
            while shown(&subscriber.read()) != "[unsubscribe a 0]" {}
            flood.join().unwrap();
        });
    });
}

/// In RESP3 messages come while a command of the connection waits for keys.
#[test]
fn messages_come_while_a_command_waits() {
    on_both(&[], |server| {
        let mut subscriber = subscribed(server, 3, &["a"]);
        let mut other = server.client();
        subscriber.send(&["BLPOP", "list", "0"]).unwrap();
        until("nobody waits", || other.run("INFO clients").text().contains("blocked_clients:1"));
        assert_eq!(other.run("PUBLISH a x"), Value::Int(1));
        assert_eq!(shown(&subscriber.read()), message("a", "x"));
        assert_eq!(other.run("RPUSH list v"), Value::Int(1));
        assert_eq!(subscriber.read().to_string(), "[\"list\" \"v\"]");
        // CLIENT PAUSE holds a publisher back, and what it holds back is sent at its end.
        assert!(other.run("CLIENT PAUSE 100000 WRITE").is_ok());
        let mut publisher = server.client();
        publisher.send(&["PUBLISH", "a", "y"]).unwrap();
        until("the publisher is not held back", || {
            other
                .run("CLIENT LIST")
                .text()
                .lines()
                .any(|line| line.contains("flags=b") || line.contains("cmd=publish"))
        });
        assert!(other.run("CLIENT UNPAUSE").is_ok());
        assert_eq!(publisher.read(), Value::Int(1));
        assert_eq!(shown(&subscriber.read()), message("a", "y"));
    });
}

/// Subscribing and unsubscribing, ends of connections and kills leave nothing behind.
#[test]
fn what_subscribed_and_went_leaves_nothing() {
    const NAMES: usize = 20_000;
    let server = Server::start(&["--save", ""]);
    let mut admin = server.client();
    let round = |ending: usize| {
        let mut client = server.client();
        let mut request = Vec::new();
        for n in 0..NAMES {
            let name = format!("channel:{ending}:{n}");
            request.extend(Client::encode(&["SUBSCRIBE", &name]));
            request.extend(Client::encode(&["PSUBSCRIBE", &name]));
            request.extend(Client::encode(&["SSUBSCRIBE", &name]));
        }
        client.send_raw(&request).unwrap();
        (0..3 * NAMES).for_each(|_| drop(client.read()));
        let info = server.client().run("INFO stats").text();
        for name in ["pubsub_channels", "pubsub_patterns", "pubsubshard_channels"] {
            assert!(info.contains(&format!("{name}:{NAMES}\r\n")), "{name} in {info}");
        }
        match ending {
            0 => drop(client),
            1 => assert_eq!(server.client().run("CLIENT KILL TYPE pubsub"), Value::Int(1)),
            2 => assert!(client.run("RESET") == Value::Simple(b"RESET".to_vec())),
            _ => {
                for command in ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"] {
                    client.send(&[command]).unwrap();
                    (0..NAMES).for_each(|_| drop(client.read()));
                }
            }
        }
    };
    round(0);
    let nothing_left = |admin: &mut Client| {
        let info = admin.run("INFO").text();
        ["pubsub_channels:0", "pubsub_patterns:0", "pubsubshard_channels:0", "pubsub_clients:0"]
            .iter()
            .all(|line| info.contains(&format!("{line}\r\n")))
    };
    until("subscriptions are left", || nothing_left(&mut admin));
    let before = used(&server);
    for ending in 0..4 {
        round(ending);
        until("subscriptions are left", || nothing_left(&mut admin));
        assert_eq!(admin.run("PUBSUB CHANNELS").items(), []);
    }
    let grown = used(&server).saturating_sub(before);
    assert!(grown < MB, "{grown} bytes after subscriptions that are gone");
}

#[test]
fn no_message_comes_behind_a_reset() {
    let server = Server::start(&["--save", ""]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut publisher, over) = (server.client(), &over);
        scope.spawn(move || {
            while !over.load(Relaxed) {
                publisher.run("PUBLISH c m");
            }
        });
        let mut client = server.client();
        for _ in 0..400 {
            let pipeline = ["SUBSCRIBE c", "RESET", "PING"]
                .map(|line| Client::encode(&line.split(' ').collect::<Vec<_>>()));
            client.send_raw(&pipeline.concat()).unwrap();
            let reset = Value::Simple(b"RESET".to_vec());
            while client.read() != reset {}
            assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
        }
        over.store(true, Relaxed);
    });
}

#[test]
fn messages_of_a_script_that_nobody_gets_take_no_memory() {
    let server = Server::start(&["--save", "", "--notify-keyspace-events", "KEA"]);
    let (mut client, mut other) = (server.client(), server.client());
    other.run("SUBSCRIBE other");
    let peak = |client: &mut Client| {
        let memory = client.run("INFO memory").text();
        let peak = memory.lines().find_map(|line| line.strip_prefix("used_memory_peak:")).unwrap();
        peak.trim().parse::<usize>().unwrap()
    };
    let before = peak(&mut client);
    let script =
        "local x = ('x'):rep(1000) for i = 1, 40000 do redis.call('publish', 'nobody', x) end return 1";
    assert_eq!(client.call(&["EVAL", script, "0"]), Value::Int(1));
    assert!(peak(&mut client) < before + (8 << 20), "{before} {}", peak(&mut client));
}

/// Sends commands in one piece, and reads so many values.
fn pipelined(client: &mut Client, lines: &[&str], values: usize) -> Vec<String> {
    let all: Vec<u8> =
        lines.iter().flat_map(|line| Client::encode(&line.split(' ').collect::<Vec<_>>())).collect();
    client.send_raw(&all).unwrap();
    (0..values).map(|_| client.read().to_string()).collect()
}

#[test]
fn a_change_of_the_protocol_in_a_transaction_puts_no_message_into_its_array() {
    let server = Server::start(&["--save", ""]);
    let mut client = server.client_with(3);
    let seen = pipelined(
        &mut client,
        &["MULTI", "SUBSCRIBE a b", "PUBLISH a x", "HELLO 2", "GET k", "EXEC", "PING"],
        9,
    );
    assert!(seen[5].starts_with("[[\"subscribe\" \"a\" :1] :1 [\"server\""), "{seen:?}");
    assert!(seen[5].ends_with("nil($-1)]"), "{seen:?}");
    // In the version that was chosen, and the array has one element for each command.
    assert_eq!(seen[6..], ["[\"subscribe\" \"b\" :2]", "[\"message\" \"a\" \"x\"]", "[\"pong\" \"\"]"]);
}

/// The messages come nevertheless if the client wants no replies.
#[test]
fn a_change_of_the_protocol_without_replies_loses_no_message() {
    let server = Server::start(&["--save", "", "--io-threads", "1"]);
    let mut client = server.client_with(3);
    client.run("SUBSCRIBE a");
    let seen = pipelined(&mut client, &["CLIENT REPLY OFF", "PUBLISH a 1", "HELLO 2", "PUBLISH a 2"], 1);
    assert_eq!(seen, [">[\"message\" \"a\" \"1\"]"]);
}

#[test]
fn unsubscribing_from_all_in_a_transaction_is_one_element() {
    for proto in [2, 3] {
        let server = Server::start(&["--save", ""]);
        let mut client = server.client_with(proto);
        client.run("SUBSCRIBE a");
        let lines =
            ["UNSUBSCRIBE", "MULTI", "SUBSCRIBE a", "SUBSCRIBE b", "UNSUBSCRIBE", "SET k v", "EXEC", "PING"];
        let seen = pipelined(&mut client, &lines, 9);
        assert_eq!(seen[6].matches("subscribe").count(), 3, "{seen:?}");
        assert!(seen[6].ends_with("+OK]") && seen[7].contains(" :0]"), "{seen:?}");
        assert_eq!(seen[8], "+PONG");
    }
}

/// A transaction that runs on a thread of its own subscribes, and others publish at once.
#[test]
fn no_message_comes_before_the_reply_of_the_transaction_that_subscribes() {
    let server = Server::start(&["--save", "", "--io-threads", "2"]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (mut publisher, over) = (server.client(), &over);
        scope.spawn(move || {
            while !over.load(Relaxed) {
                publisher.run("PUBLISH a x");
            }
        });
        for _ in 0..20 {
            let mut client = server.client_with(3);
            let send: [&[&str]; 4] = [
                &["MULTI"],
                &["SUBSCRIBE", "a"],
                &["EVAL", "for i = 1, 3000000 do end return 'done'", "0"],
                &["EXEC"],
            ];
            client.send_raw(&send.iter().flat_map(|args| Client::encode(args)).collect::<Vec<_>>()).unwrap();
            let seen: Vec<String> = (0..4).map(|_| client.read().to_string()).collect();
            assert_eq!(seen[3], "[[\"subscribe\" \"a\" :1] \"done\"]");
        }
        over.store(true, Relaxed);
    });
}

/// What a transaction publishes and what is told of its changes have one order.
#[test]
fn messages_and_events_of_a_transaction_keep_their_order() {
    on_both(&["--notify-keyspace-events", "KA"], |server| {
        let mut subscriber = server.client();
        subscriber.run("PSUBSCRIBE *");
        let mut client = server.client();
        let lines = ["MULTI", "PUBLISH a 1", "SET k v", "PUBLISH a 2", "PUBLISH a 3", "DEL k", "EXEC"];
        pipelined(&mut client, &lines, 7);
        let seen: Vec<String> = (0..5).map(|_| subscriber.read().items()[3].text()).collect();
        assert_eq!(seen, ["1", "set", "2", "3", "del"]);
    });
}

#[test]
fn classes_that_a_transaction_chooses_hold_for_what_follows_in_it() {
    on_both(&[], |server| {
        let mut subscriber = server.client();
        subscriber.run("PSUBSCRIBE *");
        let mut client = server.client();
        let lines =
            ["MULTI", "SET a v", "CONFIG SET notify-keyspace-events KA", "SET b v", "EXEC", "PUBLISH end x"];
        pipelined(&mut client, &lines, 6);
        let seen: Vec<String> = (0..2).map(|_| subscriber.read().items()[2].text()).collect();
        assert_eq!(seen, ["__keyspace@0__:b", "end"]);
    });
}

#[test]
fn a_key_that_has_expired_is_told_of_when_a_transaction_or_script_reads_it() {
    on_both(&["--notify-keyspace-events", "Kx", "--save", ""], |server| {
        let mut subscriber = server.client();
        subscriber.run("PSUBSCRIBE *");
        let mut client = server.client();
        // Nothing else removes it.
        client.run("DEBUG SET-ACTIVE-EXPIRE 0");
        let millis = |client: &mut Client| {
            let time = client.run("TIME").items();
            let [seconds, micros] = [&time[0], &time[1]].map(|part| part.text().parse::<u64>().unwrap());
            seconds * 1000 + micros / 1000
        };
        let ways = [
            &["MULTI", "GET k", "EXEC"][..],
            &["EVAL return{redis.call('get',ARGV[1])} 0 k"],
            &["RANDOMKEY"],
            &["MULTI", "RANDOMKEY", "EXEC"],
        ];
        for (number, reads) in ways.into_iter().enumerate() {
            client.run("SET k v PX 1");
            let set = millis(&mut client);
            while millis(&mut client) <= set + 1 {}
            pipelined(&mut client, reads, reads.len());
            client.run(&format!("PUBLISH end {number}"));
            let channel = subscriber.read().items()[2].text();
            assert_eq!(channel, "__keyspace@0__:k", "{reads:?}");
            assert_eq!(subscriber.read().items()[3].text(), number.to_string());
        }
    });
}

/// One thread delivers what a transaction has published to many, and clients of others are served meanwhile.
#[test]
fn a_transaction_with_many_messages_keeps_others_from_nothing() {
    let server = Server::start(&["--save", "", "--io-threads", "3", "--notify-keyspace-events", "KEA"]);
    let subscribers: Vec<Client> = (0..50).map(|_| subscribed(&server, 2, &["many"])).collect();
    let mut events = server.client();
    events.run("PSUBSCRIBE __keyspace@0__:k");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (mut publisher, over) = (server.client(), &over);
        scope.spawn(move || {
            let script = "for i = 1, 20000 do redis.call('publish', 'many', i) end return 1";
            assert_eq!(publisher.call(&["EVAL", script, "0"]), Value::Int(1));
            over.store(true, Relaxed);
        });
        let mut client = server.client();
        let mut writes = 0;
        while !over.load(Relaxed) || writes < 100 {
            assert!(client.call(&["SET", "k", &writes.to_string()]).is_ok());
            writes += 1;
        }
        // None is lost, and they have their order.
        for _ in 0..writes {
            assert_eq!(events.read().items()[3].text(), "set");
        }
    });
    for mut subscriber in subscribers.into_iter().step_by(10) {
        let seen: Vec<String> = (0..20000).map(|_| subscriber.read().items()[2].text()).collect();
        assert!(seen.iter().enumerate().all(|(at, n)| *n == (at + 1).to_string()));
    }
}

#[test]
fn a_transaction_that_is_all_or_nothing_may_publish() {
    let server = Server::start(&["--save", ""]);
    let mut subscriber = subscribed(&server, 3, &["a"]);
    let mut client = server.client();
    client.run("TABLE.CREATE t PK id S");
    let lines = ["MULTI", "ITEM.ATOMIC", "PUBLISH a no", "ITEM.CHECK t 1 IF n=1", "EXEC"];
    let seen = pipelined(&mut client, &lines, 5);
    assert!(seen[4].starts_with("-TXCANCELLED"), "{seen:?}");
    let seen = pipelined(&mut client, &["MULTI", "ITEM.ATOMIC", "PUBLISH a yes", "SET k v", "EXEC"], 5);
    assert_eq!(seen[4], "[+OK :1 +OK]");
    assert_eq!(shown(&subscriber.read()), message("a", "yes"));
    assert!(client.run("MULTI").is_ok() && client.run("ITEM.ATOMIC") == Value::Simple(b"QUEUED".to_vec()));
    assert!(client.run("SUBSCRIBE a").is_error());
}
