//! Tests commands that wait for elements of lists, over sockets, on our server and on a real redis-server.

use crate::harness::{Client, Server, Value, on_both};
use std::time::{Duration, Instant};

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn pair(key: &str, element: &str) -> Value {
    Value::Array(vec![bulk(key), bulk(element)])
}

/// Sends a command and waits until `blocked` clients are blocked.
fn block(server: &Server, client: &mut Client, command: &str, blocked: usize) {
    let args: Vec<&str> = command.split_whitespace().collect();
    client.send(&args).unwrap();
    until_blocked(server, blocked);
}

fn until_blocked(server: &Server, blocked: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.info("blocked_clients") != blocked.to_string() {
        assert!(Instant::now() < deadline, "{blocked} clients are blocked");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The reply to a client that waits with the command `waiting`, after other commands were sent one after the other.
fn served(server: &Server, waiting: &str, commands: &[&str]) -> Value {
    let (mut waiter, mut other) = (server.client(), server.client());
    other.run("FLUSHALL");
    block(server, &mut waiter, waiting, 1);
    for command in commands {
        let reply = other.run(command);
        assert!(!matches!(reply, Value::Error(_)), "{command}: {reply}");
    }
    let reply = waiter.read();
    until_blocked(server, 0);
    reply
}

#[test]
fn whatever_brings_a_list_serves_who_waits() {
    on_both(&["--enable-debug-command", "yes"], |server| {
        for (commands, expected) in [
            (&["RPUSH k a b c"][..], "a"),
            (&["LPUSH k a b c"], "c"),
            (&["RPUSH o a", "LMOVE o k LEFT LEFT"], "a"),
            (&["RPUSH o a", "RPOPLPUSH o k"], "a"),
            (&["RPUSH o a", "RENAME o k"], "a"),
            (&["RPUSH o a", "RENAMENX o k"], "a"),
            (&["RPUSH o a b", "COPY o k"], "a"),
            (&["SELECT 1", "RPUSH k a", "MOVE k 0"], "a"),
            (&["SELECT 1", "RPUSH k a", "SWAPDB 0 1"], "a"),
            (&["MULTI", "RPUSH k a", "LPUSH k b", "EXEC"], "b"),
            (&["MULTI", "RPUSH k a", "DEL k", "RPUSH k c", "EXEC"], "c"),
            (&["SET k v", "DEL k", "RPUSH k a"], "a"),
            (&["SET k v", "HSET h f v", "DEL k", "RPUSH k a"], "a"),
        ] {
            assert_eq!(served(server, "BLPOP k 0", commands), pair("k", expected), "{commands:?}");
        }
        let reply = served(server, "BRPOP k other 0", &["RPUSH k a b c"]);
        assert_eq!(reply, pair("k", "c"));
        let reply = served(server, "BLMPOP 0 2 x k LEFT COUNT 2", &["RPUSH k a b c"]);
        assert_eq!(reply, Value::Array(vec![bulk("k"), Value::Array(vec![bulk("a"), bulk("b")])]));
        let reply = served(server, "BLMPOP 0 3 k k j LEFT COUNT 2", &["RPUSH j a b c"]);
        assert_eq!(reply, Value::Array(vec![bulk("j"), Value::Array(vec![bulk("a"), bulk("b")])]));
        assert_eq!(served(server, "BRPOPLPUSH k d 0", &["RPUSH k a b c"]), bulk("c"));
        assert_eq!(served(server, "BLMOVE k d LEFT RIGHT 0", &["RPUSH k a b c"]), bulk("a"));
        assert_eq!(server.client().run("LRANGE d 0 -1"), Value::Array(vec![bulk("a")]));
        let mut other = server.client();
        other.run("FLUSHALL");
        other.run("RPUSH o a b");
        let dump = other.call(&["DUMP", "o"]).bytes().unwrap();
        let mut waiter = server.client();
        block(server, &mut waiter, "BLPOP k 0", 1);
        assert!(other.call(&[b"RESTORE".as_slice(), b"k", b"0", &dump]).is_ok());
        assert_eq!(waiter.read(), pair("k", "a"));
    });
}

#[test]
fn who_waits_already_is_served_although_memory_is_short() {
    on_both(&[], |server| {
        for waiting in ["BLMOVE k d LEFT RIGHT 0", "BRPOPLPUSH k d 0", "BLMOVE k k LEFT RIGHT 0"] {
            let short = ["MULTI", "RPUSH k a", "CONFIG SET maxmemory 1", "EXEC"];
            assert_eq!(served(server, waiting, &short), bulk("a"), "{waiting}");
            let mut other = server.client();
            let refused = other.run("BLMOVE k d LEFT RIGHT 0");
            assert!(matches!(&refused, Value::Error(text) if text.starts_with(b"OOM")), "{refused}");
            other.run("CONFIG SET maxmemory 0");
        }
        assert_eq!(server.client().run("LRANGE k 0 -1"), Value::Array(vec![bulk("a")]));
    });
}

#[test]
fn a_target_of_another_type_is_told_when_there_is_an_element() {
    on_both(&[], |server| {
        let reply = served(server, "BLMOVE k d LEFT LEFT 0", &["SET d v", "RPUSH k a"]);
        assert!(matches!(&reply, Value::Error(text) if text.starts_with(b"WRONGTYPE")), "{reply}");
        assert_eq!(server.client().run("LRANGE k 0 -1"), Value::Array(vec![bulk("a")]));
    });
}

#[test]
fn a_chain_of_moves_is_followed_to_its_end() {
    on_both(&[], |server| {
        let (mut last, mut middle, mut first, mut other) =
            (server.client(), server.client(), server.client(), server.client());
        block(server, &mut last, "BLPOP c 0", 1);
        block(server, &mut middle, "BLMOVE b c LEFT RIGHT 0", 2);
        block(server, &mut first, "BRPOPLPUSH a b 0", 3);
        assert_eq!(other.run("RPUSH a x"), Value::Int(1));
        assert_eq!(first.read(), bulk("x"));
        assert_eq!(middle.read(), bulk("x"));
        assert_eq!(last.read(), pair("c", "x"));
        until_blocked(server, 0);
        assert_eq!(other.run("EXISTS a b c"), Value::Int(0));
        // A client waits for a key to which it adds elements itself.
        block(server, &mut first, "BLMOVE a a LEFT RIGHT 0", 1);
        other.run("RPUSH a x y");
        assert_eq!(first.read(), bulk("x"));
        assert_eq!(other.run("LRANGE a 0 -1"), Value::Array(vec![bulk("y"), bulk("x")]));
    });
}

#[test]
fn as_many_are_served_as_there_are_elements_and_in_their_order() {
    on_both(&[], |server| {
        let mut other = server.client();
        let mut waiters: Vec<Client> = (0..5).map(|_| server.client()).collect();
        for (n, waiter) in waiters.iter_mut().enumerate() {
            block(server, waiter, "BLPOP k 0", n + 1);
        }
        other.run("RPUSH k a b c");
        for (waiter, element) in waiters.iter_mut().zip(["a", "b", "c"]) {
            assert_eq!(waiter.read(), pair("k", element));
        }
        until_blocked(server, 2);
        assert_eq!(other.run("EXISTS k"), Value::Int(0));
        other.run("RPUSH k d");
        assert_eq!(waiters[3].read(), pair("k", "d"));
        drop(waiters);
        until_blocked(server, 0);
        other.run("RPUSH k e");
        assert_eq!(other.run("LRANGE k 0 -1"), Value::Array(vec![bulk("e")]));
    });
}

/// The referee does not know BLMOVEM.
#[test]
fn who_waits_for_so_many_elements_is_served_once_they_are_there() {
    let server = &Server::start(&[]);
    let elements = |texts: &[&str]| Value::Array(texts.iter().map(|text| bulk(text)).collect());
    let waiting = "BLMOVEM k d LEFT RIGHT 0 EXACTLY 3 BULK";
    for commands in [
        &["RPUSH k a b c"][..],
        &["RPUSH k a", "RPUSH k b", "RPUSH k c"],
        &["RPUSH k a c", "LINSERT k AFTER a b"],
        &["RPUSH k a b", "RPUSH o c", "LMOVE o k LEFT RIGHT"],
        &["RPUSH k a b", "RPUSH o c", "LMOVEM o k LEFT RIGHT"],
        &["RPUSH o c b a", "SORT o ALPHA STORE k"],
        &["RPUSH k x", "LPOP k", "RPUSH k a b c"],
        &["RPUSH k x", "SET k v", "DEL k", "RPUSH k a b c"],
    ] {
        assert_eq!(served(server, waiting, commands), elements(&["a", "b", "c"]), "{commands:?}");
        assert_eq!(server.client().run("LRANGE d 0 -1"), elements(&["a", "b", "c"]));
    }
    let reply = served(server, "BLMOVEM k d LEFT LEFT 0 COUNT 2 OBO", &["RPUSH k a b c"]);
    assert_eq!(reply, elements(&["b", "a"]));
    assert_eq!(served(server, "BLMOVEM k d LEFT LEFT 0", &["RPUSH k a b c"]), elements(&["a"]));
    // A client that waits for fewer elements does not wait for one that waits for more.
    let (mut many, mut one, mut other) = (server.client(), server.client(), server.client());
    other.run("FLUSHALL");
    block(server, &mut many, waiting, 1);
    block(server, &mut one, "BLPOP k 0", 2);
    other.run("RPUSH k a b");
    assert_eq!(one.read(), pair("k", "a"));
    other.run("RPUSH k c d");
    assert_eq!(many.read(), elements(&["b", "c", "d"]));
    assert!(other.run("BLMOVEM k d LEFT LEFT 0.01").is_null());
    other.run("RPUSH k a");
    assert!(other.run("BLMOVEM k d LEFT LEFT 0.01 EXACTLY 2 OBO").is_null());
    assert_eq!(other.run("LRANGE k 0 -1"), elements(&["a"]));
}

#[test]
fn who_waits_for_several_keys_gets_one_element_of_one() {
    on_both(&[], |server| {
        let (mut waiter, mut other) = (server.client(), server.client());
        block(server, &mut waiter, "BLPOP a b a 0", 1);
        for command in ["MULTI", "RPUSH b x", "RPUSH a y", "EXEC"] {
            other.run(command);
        }
        let reply = waiter.read();
        assert!(reply == pair("b", "x") || reply == pair("a", "y"), "{reply}");
        let (a, b) = (other.run("LLEN a"), other.run("LLEN b"));
        assert_eq!(a == Value::Int(0), b == Value::Int(1), "one of them is left");
    });
}

#[test]
fn what_is_waited_for_by_type_is_served_by_type() {
    on_both(&[], |server| {
        let (mut of_list, mut of_stream, mut other) = (server.client(), server.client(), server.client());
        block(server, &mut of_list, "BLPOP k 0", 1);
        block(server, &mut of_stream, "XREAD BLOCK 0 STREAMS k 0", 2);
        other.run("XADD k 1-1 f v");
        assert!(matches!(of_stream.read(), Value::Array(_)));
        assert_eq!(server.info("blocked_clients"), "1");
        other.run("DEL k");
        other.run("RPUSH k a");
        assert_eq!(of_list.read(), pair("k", "a"));
    });
}

#[test]
fn time_is_up_by_fractions_and_clients_are_unblocked() {
    on_both(&[], |server| {
        for proto in [2, 3] {
            let (mut waiter, mut other) = (server.client_with(proto), server.client());
            for command in
                ["BLPOP k 0.0001", "BRPOP k 0.03", "BLMPOP 0.03 1 k LEFT", "BLMOVE k d LEFT LEFT 0.03"]
            {
                let began = Instant::now();
                assert!(waiter.run(command).is_null(), "{command}");
                assert!(command.contains("0.0001") || began.elapsed() >= Duration::from_millis(30));
            }
            let Value::Int(id) = waiter.run("CLIENT ID") else { panic!("a number") };
            for command in ["BLPOP k 0", "BLMPOP 0 1 k LEFT", "BRPOPLPUSH k d 0", "BLMOVE k d LEFT LEFT 0"] {
                block(server, &mut waiter, command, 1);
                assert_eq!(other.run(&format!("CLIENT UNBLOCK {id}")), Value::Int(1));
                assert!(waiter.read().is_null(), "{command}");
                block(server, &mut waiter, command, 1);
                assert_eq!(other.run(&format!("CLIENT UNBLOCK {id} ERROR")), Value::Int(1));
                assert_eq!(
                    waiter.read(),
                    Value::Error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK".to_vec()),
                    "{command}"
                );
            }
        }
    });
}

#[test]
fn what_was_served_to_who_waited_is_in_the_log() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (mut first, mut second, mut other) = (server.client(), server.client(), server.client());
    block(&server, &mut first, "BLPOP k 0", 1);
    block(&server, &mut second, "BLMOVE k d LEFT RIGHT 0", 2);
    other.run("RPUSH k a b c");
    assert_eq!(first.read(), pair("k", "a"));
    assert_eq!(second.read(), bulk("b"));
    server.crash();
    let mut other = server.client();
    assert_eq!(other.run("LRANGE k 0 -1"), Value::Array(vec![bulk("c")]));
    assert_eq!(other.run("LRANGE d 0 -1"), Value::Array(vec![bulk("b")]));
}

#[test]
fn each_element_goes_to_one_of_many_threads() {
    const EACH: usize = 200;
    let server = Server::start(&[]);
    let taken: Vec<String> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let mut client = server.client();
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    loop {
                        let element = client.run("BLPOP a b 0").items()[1].text();
                        if element == "end" {
                            return taken;
                        }
                        taken.push(element);
                    }
                })
            })
            .collect();
        let writers: Vec<_> = ["a", "b"]
            .map(|key| {
                let mut client = server.client();
                scope
                    .spawn(move || (0..EACH).for_each(|n| drop(client.run(&format!("RPUSH {key} {key}{n}")))))
            })
            .into_iter()
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        server.client().run("RPUSH a end end end end");
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    let mut sorted = taken.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((taken.len(), sorted.len()), (2 * EACH, 2 * EACH));
}
