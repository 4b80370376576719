mod hashes;
mod keys;
mod lifting;
mod templates;
mod transactions;

use crate::command::testing::Harness;

/// A server with a table whose items have the views `user:*`.
fn users() -> Harness {
    let mut h = Harness::new();
    assert_eq!(h.run("TABLE.CREATE users PK id S TTL until ATTR age N on BOOL KEYSPACE user:{id}"), "+OK");
    h
}

/// Runs lines and compares the replies.
fn check(h: &mut Harness, lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        assert_eq!(h.run(line), *expected, "{line}");
    }
}
