//! Tests redis-cli in the ways in which people and scripts use it.

use crate::harness::{Client, Server, on_both};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Runs redis-cli with this standard input and returns what it printed.
fn cli(server: &Server, args: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &server.address().port().to_string()]).args(args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-cli");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn single_commands() {
    on_both(&[], |server| {
        assert_eq!(cli(server, &["PING"], b""), "PONG\n");
        assert_eq!(cli(server, &["SET", "k", "v"], b""), "OK\n");
        assert_eq!(cli(server, &["--no-raw", "GET", "k"], b""), "\"v\"\n");
        assert_eq!(cli(server, &["--no-raw", "GET", "nope"], b""), "(nil)\n");
        assert_eq!(cli(server, &["--no-raw", "INCR", "n"], b""), "(integer) 1\n");
        assert!(cli(server, &["NOSUCH"], b"").starts_with("ERR unknown command"));
        assert_eq!(cli(server, &["-n", "3", "SET", "k", "three"], b""), "OK\n");
        assert_eq!(cli(server, &["-n", "3", "GET", "k"], b""), "three\n");
        assert_eq!(cli(server, &["-x", "SET", "stdin"], b"from standard input"), "OK\n");
        assert_eq!(cli(server, &["GET", "stdin"], b""), "from standard input\n");
        assert_eq!(cli(server, &["--json", "HGETALL", "nope"], b"").trim(), "{}");
    });
}

#[test]
fn resp3() {
    on_both(&[], |server| {
        assert_eq!(cli(server, &["-3", "HSET", "h", "f", "v"], b""), "1\n");
        assert_eq!(cli(server, &["-3", "--no-raw", "HGETALL", "h"], b""), "1# \"f\" => \"v\"\n");
        assert_eq!(cli(server, &["-3", "--json", "HGETALL", "h"], b"").trim(), "{\"f\":\"v\"}");
    });
}

#[test]
fn a_transaction_in_a_script() {
    on_both(&[], |server| {
        let script = b"MULTI\nSET a 1\nINCR a\nEXEC\nGET a\n";
        assert_eq!(cli(server, &[], script), "OK\nQUEUED\nQUEUED\nOK\n2\n2\n");
        let script = b"SET s text\nMULTI\nINCR s\nSET t 1\nEXEC\nGET t\n";
        let out = cli(server, &[], script);
        assert!(out.contains("not an integer") && out.ends_with("1\n"), "{out}");
    });
}

#[test]
fn scans() {
    on_both(&["--enable-debug-command", "yes"], |server| {
        assert_eq!(cli(server, &["DEBUG", "POPULATE", "1000"], b""), "OK\n");
        let out = cli(server, &["--scan", "--pattern", "key:*"], b"");
        let mut keys: Vec<&str> = out.lines().collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 1000);
        assert_eq!(cli(server, &["--scan", "--pattern", "key:99?"], b"").lines().count(), 10);
    });
}

#[test]
fn big_keys_and_memory_keys() {
    on_both(&[], |server| {
        cli(server, &["SET", "small", "x"], b"");
        cli(server, &["SET", "large", &"x".repeat(5000)], b"");
        cli(server, &["HSET", "hash", "a", "1", "b", "2"], b"");
        let out = cli(server, &["--bigkeys"], b"");
        assert!(out.contains("Sampled 3 keys in the keyspace"), "{out}");
        assert!(out.contains("Biggest string found '\"large\"' has 5000 bytes"), "{out}");
        assert!(out.contains("Biggest   hash found '\"hash\"' has 2 fields"), "{out}");
        let out = cli(server, &["--memkeys"], b"");
        assert!(out.contains("Sampled 3 keys in the keyspace"), "{out}");
    });
}

/// A key of each type, and a second sorted set and string by other commands.
fn fill(server: &Server) {
    let lines = "SET s xxxxx\nRPUSH l a b c\nSADD t a b c d\nZADD z 1 a 2 b\nHSET h a 1\nXADD x 1-1 a b\nPFADD p a\n\
                 GEOADD g 1 1 a\n";
    cli(server, &[], lines.as_bytes());
}

#[test]
fn walks_over_keys_of_all_types() {
    on_both(&["--maxmemory-policy", "allkeys-lfu"], |server| {
        fill(server);
        let out = cli(server, &["--bigkeys"], b"");
        for line in [
            "Sampled 8 keys in the keyspace",
            "Biggest   list found '\"l\"' has 3 items",
            "Biggest   hash found '\"h\"' has 1 fields",
            "Biggest stream found '\"x\"' has 1 entries",
            "Biggest    set found '\"t\"' has 4 members",
            "Biggest   zset found '\"z\"' has 2 members",
            "2 zsets with 3 members (25.00% of keys, avg size 1.50)",
            "1 streams with 1 entries (12.50% of keys, avg size 1.00)",
        ] {
            assert!(out.contains(line), "{line}: {out}");
        }
        let out = cli(server, &["--memkeys"], b"");
        for kind in ["  list", "  hash", "string", "stream", "   set", "  zset"] {
            assert!(out.contains(&format!("Biggest {kind} found '")), "{kind}: {out}");
        }
        let out = cli(server, &["--hotkeys"], b"");
        assert_eq!(out.matches("hot key found with counter: ").count(), 8, "{out}");
        let out = cli(server, &["--scan"], b"");
        let mut keys: Vec<&str> = out.lines().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["g", "h", "l", "p", "s", "t", "x", "z"]);
    });
}

#[test]
fn figures_over_time() {
    on_both(&[], |server| {
        fill(server);
        // Without a terminal it measures for a moment and ends.
        let out = cli(server, &["--latency", "--raw"], b"");
        let figures: Vec<f64> = out.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert!(figures.len() == 4 && figures[3] >= 1.0, "minimum, maximum, mean and number: {out}");
        // This goes on until it is ended.
        let mut command = Command::new("redis-cli");
        command.args(["-p", &server.address().port().to_string(), "--stat", "-i", "0.01"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("redis-cli");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let figures = lines.filter(|line| line.starts_with("8 ")).take(2).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(figures, 2, "lines that begin with the number of keys");
    });
}

#[test]
fn mass_insertion() {
    on_both(&[], |server| {
        let mut bytes = Vec::new();
        for n in 0..10_000 {
            bytes.extend(Client::encode(&["SET".to_owned(), format!("pipe:{n}"), n.to_string()]));
        }
        let out = cli(server, &["--pipe"], &bytes);
        assert!(out.contains("errors: 0, replies: 10000"), "{out}");
        assert_eq!(server.client().run("DBSIZE").int(), Some(10_000));
        assert_eq!(cli(server, &["GET", "pipe:9999"], b""), "9999\n");
        let out = cli(server, &["--pipe"], &Client::encode(&["INCR", "a", "b"]));
        assert!(out.contains("errors: 1, replies: 1"), "{out}");
    });
}

#[test]
fn statistics_and_repetition() {
    on_both(&[], |server| {
        let out = cli(server, &["-r", "5", "INCR", "n"], b"");
        assert_eq!(out, "1\n2\n3\n4\n5\n");
        let out = cli(server, &["INFO", "keyspace"], b"");
        assert!(out.contains("db0:keys=1,expires=0"), "{out}");
    });
}

#[test]
fn a_password() {
    on_both(&["--requirepass", "secret"], |server| {
        assert!(cli(server, &["GET", "k"], b"").starts_with("NOAUTH"));
        assert_eq!(cli(server, &["-a", "secret", "--no-auth-warning", "PING"], b""), "PONG\n");
        let url = format!("redis://default:secret@{}/1", server.address());
        assert!(cli(server, &["-u", &url, "PING"], b"").starts_with("PONG\n"));
        assert!(cli(server, &["-a", "wrong", "--no-auth-warning", "PING"], b"").contains("WRONGPASS"));
    });
}
