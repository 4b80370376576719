//! Functions where no referee can help: that they are part of the data, and how they run on several threads.

use crate::harness::{Client, Server, Value, until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn load(client: &mut Client, library: &str, body: &str) {
    let code = format!("#!lua name={library}\n{body}");
    assert_eq!(
        client.call(&["FUNCTION", "LOAD", "REPLACE", &code]),
        Value::Bulk(library.as_bytes().to_vec()),
        "{body}"
    );
}

fn error_of(value: &Value) -> String {
    match value {
        Value::Error(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?}"),
    }
}

const ADDS: &str =
    "redis.register_function('adds', function(keys, args) return redis.call('incrby', keys[1], args[1]) end)";

#[test]
fn libraries_survive_a_kill_a_checkpoint_and_a_reload() {
    let mut server =
        Server::start(&["--save", "", "--appendfsync", "always", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    load(&mut client, "kept", ADDS);
    load(&mut client, "dropped", "redis.register_function('gone', function() return 1 end)");
    server.kill9();
    server.up();
    let mut client = server.client();
    assert_eq!(client.run("FCALL adds 1 n 5"), Value::Int(5));
    assert_eq!(client.run("FCALL gone 0"), Value::Int(1));
    assert!(client.run("SAVE").is_ok());
    assert!(client.run("FUNCTION DELETE dropped").is_ok());
    load(&mut client, "later", "redis.register_function('later', function() return 'later' end)");
    for step in ["kill", "reload", "shutdown"] {
        match step {
            "kill" => {
                server.kill9();
                server.up();
            }
            "reload" => assert!(client.run("DEBUG RELOAD").is_ok()),
            _ => {
                client.send(&["SHUTDOWN"]).unwrap();
                server.wait();
                server.up();
            }
        }
        client = server.client();
        assert_eq!(error_of(&client.run("FCALL gone 0")), "ERR Function not found", "{step}");
        assert_eq!(client.run("FCALL later 0"), Value::Bulk(b"later".to_vec()), "{step}");
        assert_eq!(client.run("FCALL adds 1 n 0"), Value::Int(5), "{step}");
        let memory = client.run("INFO memory").text();
        assert!(memory.contains("number_of_functions:2\r\nnumber_of_libraries:2\r\n"), "{step}: {memory}");
    }
}

/// A call sees one version of a library, and no call after the reply to FUNCTION LOAD sees an older one.
#[test]
fn a_library_is_replaced_for_all_threads_at_once() {
    let server = Server::start(&["--save", "", "--io-threads", "4"]);
    let mut client = server.client();
    let versions = |n: usize| {
        format!(
            "redis.register_function('first', function(keys) return {{redis.call('incr', keys[1]), {n}, {n}}} end)\n\
             redis.register_function('second', function() return {{0, {n}, {n}}} end)"
        )
    };
    load(&mut client, "lib", &versions(0));
    let (newest, done) = (std::sync::atomic::AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let (mut client, newest, done) = (server.client(), &newest, &done);
            scope.spawn(move || {
                let key = format!("calls:{caller}");
                while !done.load(Relaxed) {
                    let at_least = newest.load(std::sync::atomic::Ordering::SeqCst) as i64;
                    client.run("MULTI");
                    client.run(&format!("FCALL first 1 {key}"));
                    client.run("FCALL second 0");
                    let replies = client.run("EXEC");
                    let seen: Vec<Value> =
                        replies.items().iter().flat_map(|reply| reply.items()[1..].to_vec()).collect();
                    assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:?}");
                    assert!(matches!(seen[0], Value::Int(n) if n >= at_least), "{seen:?} after {at_least}");
                }
            });
        }
        for n in 1..=40 {
            load(&mut client, "lib", &versions(n));
            newest.store(n, std::sync::atomic::Ordering::SeqCst);
        }
        done.store(true, Relaxed);
    });
}

#[test]
fn a_function_that_does_not_end_is_shown_and_killed() {
    let server = Server::start(&["--save", "", "--io-threads", "2", "--busy-reply-threshold", "1"]);
    let (mut runner, mut client) = (server.client(), server.client());
    load(&mut client, "lib", "redis.register_function('endless', function() while true do end end)");
    runner.send(&["FCALL", "endless", "1", "held"]).unwrap();
    until("it is shown", || {
        let stats = client.run("FUNCTION STATS");
        matches!(&stats.items()[1], Value::Array(running) if running[1] == Value::Bulk(b"endless".to_vec()))
    });
    until(
        "others are told BUSY",
        || matches!(client.run("GET held"), Value::Error(text) if text.starts_with(b"BUSY ") && text.ends_with(b"FUNCTION KILL or SHUTDOWN NOSAVE.")),
    );
    assert!(error_of(&client.run("SCRIPT KILL")).starts_with("BUSY "));
    assert!(client.run("FUNCTION KILL").is_ok());
    assert!(error_of(&runner.read()).starts_with("ERR Script killed by user"));
    assert_eq!(client.run("EXISTS held"), Value::Int(0));
    assert!(error_of(&client.run("FUNCTION KILL")).starts_with("NOTBUSY "));
}

/// A function that takes long runs on a thread of its own, and does once what it does.
#[test]
fn a_long_function_is_run_once() {
    let server = Server::start(&["--save", "", "--io-threads", "2"]);
    let mut client = server.client();
    load(
        &mut client,
        "lib",
        "redis.register_function('long', function(keys) redis.call('incr', keys[1]) \
         local x = 0 for i = 1, 20000000 do x = x + i end return redis.call('incr', 'undeclared') end)",
    );
    for n in 1..=3 {
        assert_eq!(client.run("FCALL long 1 n"), Value::Int(n));
        assert_eq!(client.run("GET n"), Value::Bulk(n.to_string().into_bytes()));
    }
}

/// What is loaded while memory for scripts is short, or is damaged, changes nothing.
#[test]
fn a_library_that_cannot_be_loaded_leaves_nothing() {
    let server = Server::start(&["--save", "", "--lua-memory-limit", "32mb"]);
    let mut client = server.client();
    load(&mut client, "kept", ADDS);
    let list = client.run("FUNCTION LIST WITHCODE");
    for body in [
        "local t = {} local n = 0 while true do n = n + 1 t[n] = ('x'):rep(100000) .. n end",
        "redis.register_function('other', function() end) local x = nil + 1",
        "redis.register_function('adds', function() end)",
        "for n = 1, 6000 do redis.register_function('f' .. n, function() end) end",
        "redis.register_function('other', ",
    ] {
        let code = format!("#!lua name=other\n{body}");
        error_of(&client.call(&["FUNCTION", "LOAD", &code]));
        error_of(&client.call(&["FUNCTION", "LOAD", "REPLACE", &code]));
        assert_eq!(client.run("FUNCTION LIST WITHCODE"), list, "{body}");
    }
    assert!(matches!(client.call(&["FUNCTION", "DUMP"]), Value::Bulk(dump) if {
        let mut damaged = dump.clone();
        damaged[3] ^= 1;
        error_of(&client.call(&[&b"FUNCTION"[..], b"RESTORE", &damaged, b"FLUSH"])).contains("checksum")
    }));
    assert_eq!(client.run("FUNCTION LIST WITHCODE"), list);
    assert_eq!(client.run("FCALL adds 1 n 2"), Value::Int(2));
}

/// A library that no longer fits the limit of memory has no functions until it does; no other can be stored meanwhile,
/// since the two might have the same functions.
#[test]
fn a_library_that_no_longer_fits_is_shown_and_returns() {
    let server = Server::start(&["--save", "", "--io-threads", "1", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    load(
        &mut client,
        "big",
        "local s = ('1'):rep(9000000) redis.register_function('one', function() return #s end)",
    );
    client.run("CONFIG SET lua-memory-limit 8mb");
    client.run("DEBUG RELOAD");
    assert_eq!(error_of(&client.run("FCALL one 0")), "ERR Function not found");
    assert_eq!(client.run("FUNCTION LIST LIBRARYNAME B?G").items().len(), 1);
    let other = "#!lua name=other\nredis.register_function('one', function() return 1 end)";
    let refused = error_of(&client.call(&["FUNCTION", "LOAD", other]));
    assert!(refused.starts_with("ERR Library 'big' cannot be loaded"), "{refused}");
    client.run("CONFIG SET lua-memory-limit 1gb");
    assert_eq!(client.run("FCALL one 0"), Value::Int(9_000_000));
    let refused = error_of(&client.call(&["FUNCTION", "LOAD", other]));
    assert_eq!(refused, "ERR Function one already exists");
}

/// Interpreters keep a bounded number of references to values; libraries and functions beyond it are no problem.
#[test]
fn there_may_be_many_libraries() {
    let server = Server::start(&["--save", "", "--io-threads", "1"]);
    let mut client = server.client();
    for n in 0..60 {
        let body =
            format!("for f = 1, 200 do redis.register_function('f{n}_' .. f, function() return f end) end");
        load(&mut client, &format!("lib{n}"), &body);
    }
    assert_eq!(client.run("FCALL f59_200 0"), Value::Int(200));
    assert_eq!(client.run("FCALL f0_1 0"), Value::Int(1));
    assert!(client.run("INFO memory").text().contains("number_of_functions:12000\r\n"));
    assert!(client.run("FUNCTION FLUSH").is_ok());
    assert_eq!(error_of(&client.run("FCALL f0_1 0")), "ERR Function not found");
}

/// A script that asks for INFO is run by an interpreter that INFO would ask.
#[test]
fn info_answers_within_scripts_and_functions() {
    let server = Server::start(&["--save", "", "--io-threads", "1"]);
    let mut client = server.client();
    load(
        &mut client,
        "lib",
        "redis.register_function('asks', function() return redis.call('info', 'memory') end)",
    );
    assert!(client.run("INFO memory").text().contains("number_of_functions:1\r\n"));
    let inside = [&["EVAL", "return redis.call('info', 'memory')", "0"], &["FCALL", "asks", "0"]];
    for asking in inside {
        let told = client.call(asking).text();
        assert!(told.contains("number_of_functions:1\r\n"), "{told}");
    }
}

/// The functions are known after a start and after DEBUG RELOAD, before one is called.
#[test]
fn functions_are_known_before_they_are_called() {
    let mut server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.client();
    for at in 0..100 {
        load(
            &mut client,
            &format!("lib{at}"),
            &format!("redis.register_function('f{at}', function() return {at} end)"),
        );
    }
    let counts = |client: &mut Client| {
        let text = client.run("INFO memory").text();
        assert!(
            text.contains("number_of_functions:100\r\n") && text.contains("number_of_libraries:100\r\n"),
            "{text}"
        );
    };
    counts(&mut client);
    server.kill9();
    server.up();
    let mut client = server.client();
    counts(&mut client);
    client.run("DEBUG RELOAD");
    counts(&mut client);
    let again =
        client.call(&["FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('F7', function() end)"]);
    assert!(again.text().contains("Function F7 already exists"), "{again:?}");
}

/// While a library is loaded for a call, the call's keys are free and the worker serves others: the function sees what
/// others have written since it was called. Several rounds are made, because a client may come too late.
#[test]
fn a_library_is_loaded_before_keys_are_locked_and_where_nobody_waits() {
    for threads in ["1", "2"] {
        let server = Server::start(&["--save", "", "--io-threads", threads]);
        let (mut caller, mut other) = (server.client(), server.client());
        let id = caller.run("CLIENT ID").int().unwrap();
        let runs = |client: &mut Client, command: &str| {
            client.run(&format!("CLIENT LIST ID {id}")).text().contains(&format!(" cmd={command} "))
        };
        let mut round = 0;
        let mut load_slow = |client: &mut Client| {
            round += 1;
            let body = format!(
                "local n = {round} for i = 1, 4000000 do n = n + 1 end \
                 redis.register_function('slow', function(keys) return redis.call('get', keys[1]) end)"
            );
            load(client, "slow", &body);
            format!("key:{round}")
        };
        until("a key is written while a library is loaded", || {
            let key = load_slow(&mut other);
            caller.run("PING");
            caller.send(&["FCALL", "slow", "1", &key]).unwrap();
            until("the call has begun", || runs(&mut other, "fcall"));
            other.run(&format!("SET {key} seen"));
            caller.read() == Value::Bulk(b"seen".to_vec())
        });
        // In a transaction, which runs on a thread of its own.
        until("a key is written before a transaction has its locks", || {
            let key = load_slow(&mut other);
            caller.run("MULTI");
            caller.call(&["FCALL", "slow", "1", &key]);
            caller.send(&["EXEC"]).unwrap();
            until("the transaction has begun", || runs(&mut other, "exec"));
            other.run(&format!("SET {key} seen"));
            caller.read() == Value::Array(vec![Value::Bulk(b"seen".to_vec())])
        });
    }
}
