//! Tests that a failure stays local, and that memory is counted as the allocator counts it.

use crate::harness::{Client, Server, Value, until};

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

#[test]
fn a_command_that_panics_costs_its_connection_only() {
    let mut server = Server::start(&DEBUG);
    let mut other = server.client();
    for round in 0..5 {
        let mut client = server.client();
        assert!(client.run("WATCH changed").is_ok());
        assert_eq!(client.run("DEBUG PANIC changed"), Value::Eof);
        assert_eq!(other.run("GET changed").text(), "panic");
        assert!(other.run(&format!("SET changed {round}")).is_ok());
        // The same is true inside EXEC.
        let mut client = server.client();
        client.run("MULTI");
        client.run(&format!("SET before {round}"));
        client.run("DEBUG PANIC within");
        assert_eq!(client.run("EXEC"), Value::Eof);
    }
    assert_eq!(other.run("MGET before within changed").items().len(), 3);
    server.kill9();
    server.up();
    let found = server.client().run("MGET before within changed");
    assert_eq!(found.items().iter().map(Value::text).collect::<Vec<_>>(), ["4", "panic", "4"]);
}

/// Memory and log would differ otherwise, so that a restart would take back what clients have seen.
#[test]
fn a_value_whose_change_panicked_is_not_shown_until_it_is_read_again() {
    const KEYS: usize = 100;
    let mut server = Server::start(&[&DEBUG[..], &["--appendonly", "yes", "--shards", "8"]].concat());
    let mut other = server.client();
    let is_closed = |reply: &Value| reply.is_error() && reply.to_string().contains(CLOSED);
    for round in ["reload", "restart"] {
        (0..KEYS).for_each(|n| assert!(other.run(&format!("SET key:{n} {round}")).is_ok()));
        assert!(other.run("SET broken before").is_ok());
        assert_eq!(server.client().run("DEBUG PANIC broken WITHIN"), Value::Eof);
        assert_eq!(server.info("closed_shards"), "1");
        for line in [
            "GET broken",
            "SET broken x",
            "DEL broken",
            "MGET key:1 broken",
            "FLUSHDB",
            "SWAPDB 0 1",
            "TABLE.CREATE t PK id S",
            "EVAL return(redis.call('get','broken')) 0",
            "EVAL return(redis.call('get',KEYS[1])) 1 broken",
        ] {
            let reply = other.run(line);
            assert!(is_closed(&reply), "{line}: {reply}");
        }
        assert!(other.run("MULTI").is_ok());
        other.run("GET broken");
        assert!(is_closed(&other.run("EXEC")));
        // The other shards are served, and what they are given is kept.
        let replies: Vec<Value> = (0..KEYS).map(|n| other.run(&format!("APPEND key:{n} !"))).collect();
        let closed = replies.iter().filter(|reply| is_closed(reply)).count();
        assert!((1..KEYS / 2).contains(&closed), "{closed} of {KEYS}");
        // The log has what the closed shard is, so a checkpoint can be written.
        assert!(other.run("SAVE").is_ok());
        if round == "reload" {
            assert!(other.run("DEBUG RELOAD NOSAVE").is_ok());
        } else {
            assert!(server.stop().success());
            server.up();
            other = server.client();
        }
        assert_eq!(server.info("closed_shards"), "0");
        assert_eq!(other.run("GET broken").text(), "before");
        for (n, reply) in replies.iter().enumerate() {
            let end = if is_closed(reply) { "" } else { "!" };
            assert_eq!(other.run(&format!("GET key:{n}")).text(), format!("{round}{end}"));
        }
        assert!(other.run("SAVE").is_ok());
    }
}

const CLOSED: &str = "MISCONF A change of a key";

/// Sets some keys, and closes the shard of the key `broken`. Returns how many of the keys are served.
fn close_a_shard(server: &Server) -> usize {
    let mut client = server.client();
    (0..100).for_each(|n| assert!(client.run(&format!("SET key:{n} v")).is_ok()));
    assert_eq!(server.client().run("DEBUG PANIC broken WITHIN"), Value::Eof);
    assert_eq!(server.info("closed_shards"), "1");
    (0..100).filter(|n| !client.run(&format!("GET key:{n}")).is_error()).count()
}

#[test]
fn walks_leave_a_closed_shard_out() {
    let server = Server::start(&[&DEBUG[..], &["--shards", "8"]].concat());
    let served = close_a_shard(&server);
    assert!((50..100).contains(&served), "{served}");
    let mut client = server.client();
    let all = client.run("KEYS *");
    let scanned = client.run("SCAN 0 COUNT 1000");
    assert_eq!((all.items().len(), scanned.items()[1].items().len()), (served, served));
    for key in all.items().iter().chain([&client.run("RANDOMKEY")]) {
        assert_eq!(client.run(&format!("GET {}", key.text())).text(), "v");
    }
    assert!(client.run("DBSIZE").int().unwrap() >= served as i64);
    client.run("MULTI");
    client.run("KEYS *");
    assert_eq!(client.run("EXEC").items()[0].items().len(), served);
}

#[test]
fn flushall_opens_a_closed_shard() {
    for log in ["yes", "no"] {
        let mut server = Server::start(&[&DEBUG[..], &["--appendonly", log, "--shards", "8"]].concat());
        close_a_shard(&server);
        let mut client = server.client();
        assert!(client.run("FLUSHALL").is_ok());
        assert_eq!((server.info("closed_shards").as_str(), client.run("DBSIZE").int()), ("0", Some(0)));
        assert!(client.run("SET broken whole").is_ok());
        assert!(client.run("SAVE").is_ok());
        assert!(client.run("SET later 1").is_ok());
        server.crash();
        let left = server.client().run("KEYS *").items().len();
        assert_eq!(left, if log == "yes" { 2 } else { 1 });
        assert_eq!(server.client().run("GET broken").text(), "whole");
    }
}

/// What an operator needs while a shard is closed.
#[test]
fn the_server_can_be_run_while_a_shard_is_closed() {
    let server = Server::start(&[&DEBUG[..], &["--appendonly", "yes"]].concat());
    let mut client = server.client();
    assert!(client.run("TABLE.CREATE t PK id S").is_ok());
    close_a_shard(&server);
    for line in ["CLIENT PAUSE 1 WRITE", "CLIENT PAUSE 1 ALL", "CONFIG SET appendfsync always"] {
        assert!(client.run(line).is_ok(), "{line}");
    }
    for line in ["TABLE.LIST", "TABLE.DESCRIBE t"] {
        assert!(!client.run(line).is_error(), "{line}");
    }
    ["MULTI", "SCAN 0", "DBSIZE"].iter().for_each(|line| drop(client.run(line)));
    assert_eq!(client.run("EXEC").items().len(), 2);
    let switched = client.run("CONFIG SET appendonly no").to_string();
    assert!(switched.contains("a part of the data is closed"), "{switched}");
    assert_eq!(client.run("CONFIG GET appendonly").items()[1].text(), "yes");
    assert_eq!(client.run("CONFIG GET appendfsync").items()[1].text(), "always");
}

/// A save point that was refused lets no write in, but FLUSHALL, after which a checkpoint can be written.
#[test]
fn flushall_is_let_in_after_a_save_that_a_closed_shard_refused() {
    let server = Server::start(&[&DEBUG[..], &["--appendonly", "no", "--save", "3600 1"]].concat());
    let mut client = server.client();
    close_a_shard(&server);
    assert!(client.run("SAVE").is_error());
    assert!(client.run("SET another 1").is_error() && client.run("FLUSHDB").is_error());
    assert!(client.run("FLUSHALL").is_ok());
    assert!(client.run("SET another 1").is_error(), "only a save lets writes in");
    assert!(client.run("SAVE").is_ok());
    assert!(client.run("SET another 1").is_ok());
}

/// Items stay, so a shard that may have some is not made sound by emptying the databases.
#[test]
fn flushall_leaves_a_shard_closed_that_may_have_items() {
    let server = Server::start(&DEBUG);
    assert!(server.client().run("TABLE.CREATE t PK id S").is_ok());
    let served = close_a_shard(&server);
    let mut client = server.client();
    assert!(client.run("FLUSHALL").to_string().contains(CLOSED));
    assert_eq!(client.run("KEYS *").items().len(), served, "nothing was changed");
}

/// The last checkpoint is the only sound copy of a closed shard, so no other replaces it.
#[test]
fn without_a_log_an_end_is_refused_while_a_shard_is_closed_unless_it_is_to_lose_what_is_new() {
    for word in ["NOSAVE", "FORCE"] {
        let flags = [&DEBUG[..], &["--appendonly", "no", "--save", "1 1", "--shards", "8"]].concat();
        let mut server = Server::start(&flags);
        let mut client = server.client();
        assert!(client.run("SET broken before").is_ok());
        assert!(client.run("SAVE").is_ok());
        close_a_shard(&server);
        let told = |server: &Server| server.log().matches("and no checkpoint is written").count();
        until("the save point tells that it is refused", || told(&server) > 0);
        assert_eq!(server.info("rdb_last_bgsave_status"), "err");
        for line in ["SAVE", "BGSAVE", "DEBUG RELOAD"] {
            let reply = client.run(line).to_string();
            assert!(
                reply.contains("a part of the data is closed") && reply.contains("NOSAVE"),
                "{line}: {reply}"
            );
        }
        assert_eq!(told(&server), 1, "it is told once");
        for line in ["SHUTDOWN", "SHUTDOWN SAVE"] {
            assert_eq!(client.run(line).to_string(), "-ERR Errors trying to SHUTDOWN. Check logs.");
        }
        assert!(server.log().contains("SHUTDOWN is refused: a fault of the program interrupted a change"));
        server.terminate();
        until("the signal is refused", || {
            server.log().contains("the server goes on, because data would be lost")
        });
        assert!(!client.run("DBSIZE").is_error());
        assert_eq!(server.ended(), None);
        client.run(&format!("SHUTDOWN {word}"));
        assert!(server.wait().success());
        server.up();
        assert_eq!(server.client().run("GET broken").text(), "before");
    }
}

/// The names of functions in a backtrace take tens of megabytes from the first panic on.
#[test]
fn a_panic_evicts_nothing() {
    let flags = ["--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru", "--hz", "100"];
    let server = Server::start(&[&DEBUG[..], &flags].concat());
    let mut client = server.client();
    assert!(!client.run("DEBUG POPULATE 1000 key 1000").is_error());
    for _ in 0..2 {
        assert_eq!(server.client().run("DEBUG PANIC"), Value::Eof);
        assert!(client.run("SET one more").is_ok());
    }
    assert!(server.log().contains("rust_begin_unwind"), "functions are named");
    assert_eq!((server.info("evicted_keys").as_str(), client.run("DBSIZE").int()), ("0", Some(1001)));
    let apart: u64 = server.info("mem_not_counted_for_evict").parse().unwrap();
    assert!(apart > 1 << 20, "{apart}");
}

#[test]
fn flushed_memory_is_there_for_the_next_command() {
    let server = Server::start(&["--maxmemory", "12mb", "--maxmemory-policy", "noeviction"]);
    let mut client = server.client();
    let value = "x".repeat(4000);
    for round in 0..5 {
        let mut refused = false;
        for n in 0..6000 {
            refused = client.call(&["SET", &format!("{round}:{n}"), &value]).is_error();
            if refused {
                break;
            }
        }
        assert!(refused, "memory was never short");
        assert!(client.run("FLUSHALL").is_ok());
        assert!(client.run("SET k v").is_ok(), "round {round}");
    }
}

#[test]
fn used_memory_is_what_the_allocator_reports() {
    let server = Server::start(&DEBUG);
    let mut client = server.client();
    let fields: Vec<String> = (0..400).map(|n| format!("field:{n} {}", "v".repeat(n % 100))).collect();
    let members: Vec<String> = (0..400).map(|n| format!("member:{n}{}", "m".repeat(n % 80))).collect();
    let steps: [(&str, Vec<String>); 7] = [
        ("strings", vec!["DEBUG POPULATE 100000 small".into(), "DEBUG POPULATE 2000 middle 5000".into()]),
        ("large strings", (0..20).map(|n| format!("SETRANGE large:{n} {} x", n * 100_000)).collect()),
        ("packed hashes", (0..2000).map(|n| format!("HSET p:{n} name ann age {n} city rome")).collect()),
        ("large hashes", (0..50).map(|n| format!("HSET b:{n} {}", fields.join(" "))).collect()),
        ("packed sets", (0..2000).map(|n| format!("SADD s:{n} ann bob {n}")).collect()),
        ("large sets", (0..50).map(|n| format!("SADD t:{n} {}", members.join(" "))).collect()),
        ("after removal", vec!["DEL large:19 large:18 b:1 b:2".into(), "FLUSHDB".into()]),
    ];
    for (what, commands) in steps {
        for command in commands {
            assert!(!client.run(&command).is_error(), "{command:.60}");
        }
        // Both figures are of one moment; a buffer in use between them does not matter at this size.
        let info = client.run("INFO memory").text();
        let figure = |name: &str| -> f64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
            line.trim().parse().unwrap()
        };
        let (used, allocated) = (figure("used_memory"), figure("allocator_allocated"));
        // The figures of a nearly empty server may differ by what its threads' caches hold.
        let allowed = (allocated * 0.1).max(1e6);
        assert!((used - allocated).abs() < allowed, "{what}: {used} used, {allocated} allocated");
    }
}

#[test]
fn figures_are_told_inside_a_transaction_that_writes() {
    let server = Server::start(&[]);
    let mut client: Client = server.client();
    for command in ["INFO", "INFO everything", "MEMORY STATS", "MEMORY DOCTOR"] {
        client.run("MULTI");
        client.run("SET k 1");
        client.run(command);
        assert_eq!(client.run("EXEC").items().len(), 2, "{command}");
    }
}

/// A transaction that was carried out is not carried out again, and no client is left in a missing database.
#[test]
fn a_token_whose_database_is_gone_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lines = ["MULTI", "ITEM.ATOMIC TOKEN once", "INCR n", "SELECT 12", "EXEC"];
    let exec = |client: &mut Client| lines.iter().map(|line| client.run(line)).last().unwrap();
    let flags = ["--appendonly", "yes", "--databases"];
    let mut server = Server::start_in(folder.path(), &[&flags[..], &["16"]].concat());
    assert_eq!(exec(&mut server.client()).to_string(), "[+OK :1 +OK]");
    assert!(server.stop().success());
    let mut server = Server::start_in(folder.path(), &[&flags[..], &["12"]].concat());
    let mut client = server.client();
    for _ in 0..2 {
        assert_eq!(exec(&mut client).to_string(), "-ERR DB index is out of range");
        assert!(client.run("CLIENT INFO").text().contains(" db=0 "));
        assert_eq!(client.run("GET n").text(), "1");
    }
    assert!(server.stop().success());
    let server = Server::start_in(folder.path(), &[&flags[..], &["13"]].concat());
    let mut client = server.client();
    assert_eq!(exec(&mut client).to_string(), "[+OK :1 +OK]");
    assert!(client.run("CLIENT INFO").text().contains(" db=12 "));
}
