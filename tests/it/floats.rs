//! Tests the arithmetic of `INCRBYFLOAT` against a real redis-server.

use crate::harness::{Server, Value};
use itemory::value::longdouble::{hash_incr_by_float, incr_by_float, parse_hash_increment};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;

/// Texts that are numbers, nearly numbers, or at the limits of the range.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<f64>().prop_map(|n| n.to_string()),
        4 => any::<f64>().prop_map(|n| format!("{n:e}")),
        4 => (any::<i32>(), 0u32..12).prop_map(|(n, digits)| format!("{}", f64::from(n) / 10f64.powi(digits as i32))),
        4 => any::<i64>().prop_map(|n| n.to_string()),
        4 => "[+-]?[0-9]{1,25}(\\.[0-9]{0,25})?",
        4 => "[+-]?[0-9]{0,25}\\.[0-9]{1,25}e[+-]?[0-9]{1,2}",
        2 => "[+-]?[1-9]\\.[0-9]{1,25}e[+-]?49[0-9]{2}",
        2 => "-?0x[0-9a-f]{1,20}(\\.[0-9a-f]{0,9})?(p-?[0-9]{1,4})?",
        1 => "[+-]?(inf|INF|Infinity|nan|infin|nan\\(1\\))",
        1 => "[+-. 0-9exp]{0,6}",
    ]
}

#[test]
fn sums_are_redis_sums() {
    let server = Server::referee(&[]);
    let client = RefCell::new(server.client());
    let mut runner = TestRunner::new(Config { cases: 4000, failure_persistence: None, ..Config::default() });
    let case = |(current, increment): (Option<String>, String)| {
        let client = &mut *client.borrow_mut();
        client.call(&["DEL", "k", "h"]);
        if let Some(current) = &current {
            client.call(&["SET", "k", current]);
            client.call(&["HSET", "h", "f", current]);
        }
        let current = current.as_ref().map(String::as_bytes);
        let as_reply = |ours: Result<String, itemory::value::ValueError>| match ours {
            Ok(text) => Value::Bulk(text.into_bytes()),
            Err(error) => Value::Error(error.to_string().into_bytes()),
        };
        let theirs = client.call(&["INCRBYFLOAT", "k", &increment]);
        prop_assert_eq!(as_reply(incr_by_float(current, increment.as_bytes())), theirs);
        let theirs = client.call(&["HINCRBYFLOAT", "h", "f", &increment]);
        let ours = parse_hash_increment(increment.as_bytes()).and_then(|n| hash_incr_by_float(current, n));
        prop_assert_eq!(as_reply(ours), theirs);
        Ok(())
    };
    runner.run(&(proptest::option::weighted(0.9, number()), number()), case).unwrap();
}
