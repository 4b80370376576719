//! Tests commands that wait for members of sorted sets, over sockets, beside Redis.

use crate::harness::{Client, Server, Value, on_both};
use std::time::{Duration, Instant};

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn popped(key: &str, member: &str, score: &str) -> Value {
    Value::Array(vec![bulk(key), bulk(member), bulk(score)])
}

/// Sends a command and waits until `blocked` clients are blocked.
fn block(server: &Server, client: &mut Client, command: &str, blocked: usize) {
    let args: Vec<&str> = command.split_whitespace().collect();
    client.send(&args).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.info("blocked_clients") != blocked.to_string() {
        assert!(Instant::now() < deadline, "{blocked} clients are blocked");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn who_waits_for_members_is_served_by_whatever_brings_them() {
    for (brings, expected) in [
        ("ZADD z 1 a", popped("z", "a", "1")),
        ("ZINCRBY z 1.5 a", popped("z", "a", "1.5")),
        ("ZUNIONSTORE z 1 other", popped("z", "m", "7")),
        ("ZRANGESTORE z other 0 -1", popped("z", "m", "7")),
        ("RENAME other z", popped("z", "m", "7")),
        ("COPY other z", popped("z", "m", "7")),
    ] {
        on_both(&[], |server| {
            let (mut waiter, mut writer) = (server.client(), server.client());
            writer.run("ZADD other 7 m");
            block(server, &mut waiter, "BZPOPMIN missing z 0", 1);
            writer.run(brings);
            assert_eq!(waiter.read(), expected, "{brings}");
            assert_eq!(writer.run("EXISTS z"), Value::Int(0), "{brings}");
        });
    }
}

#[test]
fn those_who_wait_longest_are_served_first() {
    on_both(&[], |server| {
        let mut writer = server.client();
        let mut waiters: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for (at, waiter) in waiters.iter_mut().enumerate() {
            let command = ["BZPOPMIN z 0", "BZPOPMAX z 0"][at % 2];
            block(server, waiter, command, at + 1);
        }
        assert_eq!(writer.run("ZADD z 1 a 2 b 3 c"), Value::Int(3));
        assert_eq!(waiters[0].read(), popped("z", "a", "1"));
        assert_eq!(waiters[1].read(), popped("z", "c", "3"));
        assert_eq!(waiters[2].read(), popped("z", "b", "2"));
        assert_eq!(writer.run("ZADD z 9 last"), Value::Int(1));
        assert_eq!(waiters[3].read(), popped("z", "last", "9"));
    });
}

#[test]
fn several_members_are_taken_at_once_and_other_types_do_not_wake() {
    on_both(&[], |server| {
        let (mut waiter, mut writer) = (server.client(), server.client());
        block(server, &mut waiter, "BZMPOP 0 3 y y z MAX COUNT 2", 1);
        assert!(writer.run("SET z text").is_ok());
        assert_eq!(writer.run("DEL z"), Value::Int(1));
        for command in ["MULTI", "ZADD z 1 a", "DEL z", "EXEC"] {
            writer.run(command);
        }
        assert_eq!(server.info("blocked_clients"), "1");
        assert_eq!(writer.run("ZADD z 1 a 2 b 3 c"), Value::Int(3));
        let pair = |member: &str, score: &str| Value::Array(vec![bulk(member), bulk(score)]);
        let pairs = Value::Array(vec![pair("c", "3"), pair("b", "2")]);
        assert_eq!(waiter.read(), Value::Array(vec![bulk("z"), pairs]));
        assert_eq!(writer.run("ZCARD z"), Value::Int(1));
    });
}

#[test]
fn waiting_ends_by_time_or_by_another_client() {
    on_both(&[], |server| {
        let (mut waiter, mut other) = (server.client(), server.client());
        assert_eq!(waiter.run("BZPOPMIN z 0.02"), Value::NullArray);
        assert_eq!(waiter.run("BZMPOP 0.02 1 z MIN"), Value::NullArray);
        let id = waiter.run("CLIENT ID").to_string();
        block(server, &mut waiter, "BZPOPMAX z 0", 1);
        assert_eq!(other.run(&format!("CLIENT UNBLOCK {}", id.trim_start_matches(':'))), Value::Int(1));
        assert_eq!(waiter.read(), Value::NullArray);
    });
}
