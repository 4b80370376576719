//! Tests how the process starts, is configured, and ends.

use crate::harness::{Server, on_both};
use itemory::text::REDIS_VERSION;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn sigterm_saves_and_ends_well() {
    on_both(&["--appendonly", "yes", "--appendfsync", "no"], |server| {
        assert!(server.client().run("SET k v").is_ok());
        let status = server.stop();
        assert!(status.success(), "{status}\n{}", server.log());
        server.up();
        assert_eq!(server.client().run("GET k").text(), "v");
    });
}

#[test]
fn shutdown_ends_well() {
    on_both(&["--appendonly", "yes"], |server| {
        for command in ["SHUTDOWN", "SHUTDOWN NOSAVE", "SHUTDOWN SAVE", "SHUTDOWN NOW", "SHUTDOWN FORCE"] {
            let mut client = server.client();
            assert!(client.run(&format!("SET k {}", command.len())).is_ok());
            assert_eq!(client.run(command), crate::harness::Value::Eof, "{command}");
            let status = server.wait();
            assert!(status.success(), "{command}: {status}\n{}", server.log());
            server.up();
            assert_eq!(server.client().run("GET k").text(), command.len().to_string());
        }
    });
}

#[test]
fn data_survives_save_points_and_rewrites() {
    on_both(&["--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"], |server| {
        let mut client = server.client();
        assert!(client.run("DEBUG POPULATE 5000 key 20").is_ok());
        let digest = client.run("DEBUG DIGEST");
        for command in ["BGREWRITEAOF", "BGSAVE", "SAVE", "DEBUG RELOAD", "DEBUG LOADAOF"] {
            let reply = client.run(command);
            assert!(!reply.is_error(), "{command}: {reply}");
            while server.info("aof_rewrite_in_progress") != "0"
                || server.info("rdb_bgsave_in_progress") != "0"
            {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            assert_eq!(client.run("DEBUG DIGEST"), digest, "after {command}");
        }
        server.crash();
        assert_eq!(server.client().run("DEBUG DIGEST"), digest);
    });
}

#[test]
fn a_rewritten_configuration_is_read_back() {
    for ours in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.conf");
        fs::write(&file, "# A comment stays.\nmaxmemory 10mb\nsave \"\"\n").unwrap();
        let path = file.to_str().unwrap();
        let mut server =
            if ours { Server::start_with_file(path, &[]) } else { Server::referee_with_file(path, &[]) };
        let mut client = server.client();
        assert_eq!(client.run("CONFIG GET maxmemory").items()[1].text(), "10485760");
        assert!(client.run("CONFIG SET maxmemory-policy allkeys-lru").is_ok());
        assert!(client.run("CONFIG SET maxmemory 20mb").is_ok());
        assert!(client.run("CONFIG REWRITE").is_ok());
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# A comment stays.\n"), "{text}");
        server.crash();
        let mut client = server.client();
        assert_eq!(client.run("CONFIG GET maxmemory").items()[1].text(), "20971520");
        assert_eq!(client.run("CONFIG GET maxmemory-policy").items()[1].text(), "allkeys-lru");
    }
}

#[test]
fn flag_over_variable_over_file() {
    let variables = [("ITEMORY_MAXMEMORY", "2mb"), ("ITEMORY_TIMEOUT", "77")];
    let server = Server::try_start_with(&["--maxmemory", "3mb"], &variables).unwrap();
    let mut client = server.client();
    assert_eq!(client.run("CONFIG GET maxmemory").items()[1].text(), "3145728");
    assert_eq!(client.run("CONFIG GET timeout").items()[1].text(), "77");
}

#[test]
fn a_wrong_option_is_named_before_the_start() {
    for (flag, value) in [
        ("--maxmemory", "lots"),
        ("--appendfsync", "sometimes"),
        ("--no-such-option", "1"),
        ("--maxmemory-policy", "nosuch"),
        ("--databases", "0"),
        ("--timeout", "-1"),
    ] {
        let said = Server::try_start_with(&[flag, value], &[]).err().expect("it started");
        assert!(said.contains(flag.trim_start_matches('-')), "{flag} {value}: {said}");
    }
    let said = Server::try_start_with(&[], &[("ITEMORY_APPENDFSYNC", "x")]).err().expect("it started");
    assert!(said.to_lowercase().contains("appendfsync"), "{said}");
}

#[test]
fn the_start_says_where_and_how() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    assert!(server.client().run("SET k v").is_ok());
    server.crash();
    let log = server.log();
    for what in [server.address().port().to_string(), server.data().display().to_string(), "always".into()] {
        assert!(log.contains(&what), "{what} is not in\n{log}");
    }
}

#[test]
fn help_and_version() {
    let run = |flag| {
        let out = Command::new(env!("CARGO_BIN_EXE_itemory")).arg(flag).output().unwrap();
        assert!(out.status.success(), "{flag}: {}", out.status);
        String::from_utf8(out.stdout).unwrap()
    };
    assert!(run("--help").contains("--appendfsync"));
    assert!(run("--version").contains(env!("CARGO_PKG_VERSION")));
}

/// The program does not fail if the reader of its output closes early.
#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_itemory")).arg("--help").stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// INFO shows the version of Redis by which client libraries choose features, beside the server's own version.
#[test]
fn info_names_both_versions() {
    on_both(&[], |server| assert!(!server.info("redis_version").is_empty()));
    let server = Server::start(&[]);
    assert_eq!(server.info("redis_version"), REDIS_VERSION);
    assert_eq!(server.info("itemory_version"), env!("CARGO_PKG_VERSION"));
}
