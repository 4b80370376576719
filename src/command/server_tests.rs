//! The server's own commands where no referee can help: what differs from it, or depends on time.

use super::testing::Harness;
use super::{MANY_ELEMENTS, Registry};
use crate::config::RenamedCommand;

/// What redis_exporter and client libraries read, by section.
const READ_BY_OTHERS: &[(&str, &[&str])] = &[
    (
        "server",
        &[
            "redis_version",
            "itemory_version",
            "redis_mode",
            "os",
            "run_id",
            "tcp_port",
            "process_id",
            "uptime_in_seconds",
            "config_file",
        ],
    ),
    ("clients", &["connected_clients", "blocked_clients", "maxclients", "client_recent_max_input_buffer"]),
    (
        "memory",
        &[
            "used_memory",
            "used_memory_rss",
            "used_memory_peak",
            "used_memory_lua",
            "used_memory_overhead",
            "used_memory_startup",
            "used_memory_dataset",
            "maxmemory",
            "maxmemory_policy",
            "mem_fragmentation_ratio",
            "allocator_frag_ratio",
            "lazyfree_pending_objects",
        ],
    ),
    (
        "persistence",
        &[
            "loading",
            "rdb_changes_since_last_save",
            "rdb_bgsave_in_progress",
            "rdb_last_save_time",
            "rdb_last_bgsave_status",
            "rdb_last_bgsave_time_sec",
            "aof_enabled",
            "aof_rewrite_in_progress",
            "aof_last_write_status",
        ],
    ),
    (
        "stats",
        &[
            "total_connections_received",
            "total_commands_processed",
            "instantaneous_ops_per_sec",
            "total_net_input_bytes",
            "total_net_output_bytes",
            "rejected_connections",
            "expired_keys",
            "evicted_keys",
            "keyspace_hits",
            "keyspace_misses",
            "pubsub_channels",
            "latest_fork_usec",
            "total_error_replies",
        ],
    ),
    ("replication", &["role", "connected_slaves", "master_replid", "master_repl_offset"]),
    ("cpu", &["used_cpu_sys", "used_cpu_user"]),
    ("cluster", &["cluster_enabled"]),
];

fn info(harness: &mut Harness, section: &str) -> String {
    let value = harness.call_as(0, &[b"INFO", section.as_bytes()]);
    String::from_utf8(value.as_bytes().unwrap().to_vec()).unwrap()
}

fn field(text: &str, name: &str) -> String {
    let prefix = format!("{name}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("{name} is missing in\n{text}")).to_owned()
}

#[test]
fn info_has_what_others_read() {
    let mut harness = Harness::new();
    let everything = info(&mut harness, "everything");
    for (section, names) in READ_BY_OTHERS {
        let text = info(&mut harness, section);
        for name in *names {
            assert!(!field(&text, name).is_empty() || *name == "config_file", "{name}");
            field(&everything, name);
        }
        assert_eq!(text.matches("# ").count(), 1, "{section}");
    }
    assert!(info(&mut harness, "nosuch").is_empty());
}

#[test]
fn commands_and_errors_are_counted() {
    let mut harness = Harness::new();
    harness.run("SET a x");
    harness.run("GET a");
    harness.run("GET missing");
    harness.run("INCR a");
    harness.run("GET");
    harness.run("NOSUCH");
    let stats = info(&mut harness, "commandstats");
    assert!(field(&stats, "cmdstat_get").starts_with("calls=2,usec="), "{stats}");
    assert!(field(&stats, "cmdstat_get").ends_with(",rejected_calls=1,failed_calls=0"), "{stats}");
    assert!(field(&stats, "cmdstat_incr").ends_with(",rejected_calls=0,failed_calls=1"), "{stats}");
    assert!(!stats.contains("cmdstat_hget"), "{stats}");
    assert_eq!(field(&info(&mut harness, "errorstats"), "errorstat_ERR"), "count=3");
    let text = info(&mut harness, "stats");
    assert_eq!((field(&text, "keyspace_hits"), field(&text, "keyspace_misses")), ("1".into(), "1".into()));
    assert_eq!(field(&text, "total_error_replies"), "3");
    assert!(info(&mut harness, "latencystats").contains("latency_percentiles_usec_get:p50="));
    harness.run("CONFIG RESETSTAT");
    let stats = info(&mut harness, "commandstats");
    assert!(!stats.contains("cmdstat_get:"), "{stats}");
    harness.run("CONFIG SET latency-tracking no");
    assert_eq!(info(&mut harness, "latencystats").lines().count(), 1);
}

#[test]
fn secrets_do_not_reach_the_slow_log() {
    let mut harness = Harness::new();
    harness.run("CONFIG SET slowlog-log-slower-than 0");
    harness.run("CONFIG SET requirepass hunter2");
    harness.run("AUTH hunter2");
    harness.run("HELLO 2 AUTH default hunter2");
    let log = harness.run("SLOWLOG GET -1");
    assert!(log.contains("(redacted)") && log.contains("requirepass"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_changed_threshold_decides_the_encoding() {
    let mut harness = Harness::new();
    assert_eq!(harness.run("CONFIG SET hash-max-listpack-entries 1"), "+OK");
    harness.run("HSET h a 1 b 2");
    assert_eq!(harness.run("OBJECT ENCODING h"), "\"hashtable\"");
    assert_eq!(harness.run("CONFIG SET hash-max-ziplist-entries 128"), "+OK");
    harness.run("HSET g a 1 b 2");
    assert_eq!(harness.run("OBJECT ENCODING g"), "\"listpack\"");
}

#[test]
fn clients_are_listed_and_killed_by_what_they_are() {
    let mut harness = Harness::new();
    let other = harness.connect();
    harness.run_as(other, "CLIENT SETNAME worker");
    harness.run_as(other, "SELECT 3");
    let list = harness.run("CLIENT LIST");
    assert!(list.contains("name=worker") && list.contains("db=3"), "{list}");
    assert!(list.contains("cmd=client|list") && list.contains("cmd=select"), "{list}");
    harness.advance(10_000);
    assert!(harness.run("CLIENT LIST").contains("age=10 idle=10"));
    assert_eq!(harness.run("CLIENT KILL MAXAGE 11 SKIPME no"), ":0");
    assert_eq!(harness.run("CLIENT KILL MAXAGE 10"), ":1");
    assert_eq!(harness.run("CLIENT KILL MAXAGE 10"), ":0");
    assert_eq!(harness.run("CLIENT KILL USER nobody"), "-ERR No such user 'nobody'");
}

#[test]
fn a_pause_holds_writers_until_it_ends() {
    let mut harness = Harness::new();
    let clock = harness.server.engine.clock.clone();
    harness.run("CLIENT PAUSE 100 WRITE");
    assert_eq!(harness.server.pause.until(true, &clock), Some(clock.instant().after_ms(100)));
    assert_eq!(harness.server.pause.until(false, &clock), None);
    assert!(info(&mut harness, "clients").contains("paused_actions:write"));
    harness.run("CLIENT UNPAUSE");
    assert_eq!(harness.server.pause.until(true, &clock), None);
}

#[test]
fn who_begins_or_ends_many_subscriptions_does_it_on_a_thread_of_its_own() {
    let mut harness = Harness::new();
    // In RESP3 a subscriber may begin a transaction.
    harness.takes_long(&[b"HELLO", b"3"]);
    let names: Vec<Vec<u8>> = (0..=MANY_ELEMENTS).map(|n| n.to_string().into_bytes()).collect();
    let subscribe: Vec<&[u8]> =
        std::iter::once(&b"SUBSCRIBE"[..]).chain(names.iter().map(Vec::as_slice)).collect();
    assert!(harness.takes_long(&subscribe), "nothing was done so far");
    for end in [&b"UNSUBSCRIBE"[..], b"RESET"] {
        assert!(!harness.takes_long(&subscribe[..=MANY_ELEMENTS]));
        assert!(!harness.takes_long(&[end]), "these are not too many");
    }
    harness.takes_long(&[b"HELLO", b"3"]);
    assert!(!harness.takes_long(&subscribe[..=MANY_ELEMENTS]));
    assert!(!harness.takes_long(&[b"SUBSCRIBE", b"one more"]));
    assert!(harness.takes_long(&[b"UNSUBSCRIBE"]) && harness.takes_long(&[b"RESET"]));
    assert!(!harness.takes_long(&[b"UNSUBSCRIBE", b"none"]));
    assert!(!harness.takes_long(&[b"MULTI"]) && !harness.takes_long(&[b"UNSUBSCRIBE"]));
    assert!(harness.takes_long(&[b"EXEC"]));
}

#[test]
fn a_pause_of_writes_lets_scripts_go_on_that_declare_to_write_nothing() {
    let mut harness = Harness::new();
    let script = "\"#!lua flags=no-writes\\nreturn 1\"";
    let library = "\"#!lua name=l\\nredis.register_function{function_name='f', callback=function() return 2 end, \
                   flags={'no-writes'}}\"";
    assert_eq!(harness.run(&format!("FUNCTION LOAD {library}")), "\"l\"");
    let sha = harness.run(&format!("SCRIPT LOAD {script}"));
    let calls = [
        (format!("EVAL {script} 0"), ":1"),
        (format!("EVALSHA {sha} 0"), ":1"),
        ("FCALL f 0".to_owned(), ":2"),
        ("EVAL_RO \"return 3\" 0".to_owned(), ":3"),
    ];
    harness.run("CLIENT PAUSE 100 WRITE");
    // A command that is held back has no reply.
    for (call, reply) in &calls {
        assert_eq!(harness.run(call), *reply);
        harness.run("MULTI");
        harness.run(call);
        assert_eq!(harness.run("EXEC"), format!("[{reply}]"), "{call}");
    }
}

#[test]
fn every_command_is_described() {
    for command in Registry::get().all() {
        let spec = command.spec;
        let name = &command.full_name;
        assert!(!spec.summary.is_empty() && spec.summary.ends_with('.'), "{name}: no summary");
        assert!(!spec.complexity.is_empty(), "{name}: no complexity");
        assert!(spec.since.split('.').count() == 3, "{name}: since {}", spec.since);
    }
}

#[test]
fn commands_have_the_names_that_the_configuration_gives_them() {
    let rename = |from: &str, to: &str| RenamedCommand { from: from.into(), to: to.into() };
    let registry = Registry::renamed(&[rename("FlushAll", ""), rename("config", "Secret")]).unwrap();
    assert!(registry.command(b"flushall").is_none() && registry.command(b"config").is_none());
    let args: [&[u8]; 3] = [b"SECRET", b"get", b"x"];
    assert_eq!(registry.lookup(&args).unwrap().full_name, "config|get");
    for (renames, fault) in [
        (vec![rename("nosuch", "x")], "no such command"),
        (vec![rename("get", "set")], "a command of the new name"),
        (vec![rename("get", &"x".repeat(65))], "more than 64 bytes"),
    ] {
        assert!(Registry::renamed(&renames).err().unwrap().contains(fault));
    }
    assert!(Registry::get().command(b"flushall").is_some());
}

/// Inside a transaction and outside. Otherwise a subscriber could see a message about a write that a power cut takes
/// back.
#[test]
fn a_message_is_held_until_what_its_client_has_written_is_durable() {
    let mut harness = Harness::new();
    let subscriber = harness.connect();
    harness.run_as(subscriber, "SUBSCRIBE a");
    harness.parts().1.wrote_upto = 7;
    for lines in [&["PUBLISH a x"][..], &["MULTI", "PUBLISH a x", "EXEC"]] {
        lines.iter().for_each(|line| drop(harness.run(line)));
        let (messages, shows) = harness.handle(subscriber).take_pushed();
        assert_eq!((messages.len(), shows), (1, 7), "{lines:?}");
    }
}
