//! Tests digests of data against a real redis-server.

use crate::harness::{Client, Server};
use itemory::value::digest::{DatasetDigest, Digest, DigestKind, ValueDigest};
use itemory::value::stream::StreamId;

/// One key of the test: its name, the command that creates it, and its digest with or without the key.
type Case = (&'static str, &'static str, fn(Option<&[u8]>) -> ValueDigest);

const CASES: [Case; 8] = [
    ("string", "SET string hello", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::String);
        digest.element(b"hello");
        digest
    }),
    ("number", "SET number 12345", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::String);
        digest.element(b"12345");
        digest
    }),
    ("list", "RPUSH list a 7 a", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::List);
        for item in [b"a", b"7", b"a"] {
            digest.element(item);
        }
        digest
    }),
    ("set", "SADD set x y 3", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::Set);
        for item in [b"3", b"y", b"x"] {
            digest.member(item);
        }
        digest
    }),
    ("numbers", "SADD numbers 1 2 300", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::Set);
        for item in ["300", "1", "2"] {
            digest.member(item.as_bytes());
        }
        digest
    }),
    ("zset", "ZADD zset 0.1 a -inf b 1e20 c 3 d 1e-7 e", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::ZSet);
        let members = [("a", 0.1), ("b", f64::NEG_INFINITY), ("c", 1e20), ("d", 3.0), ("e", 1e-7)];
        for (member, score) in members {
            digest.scored(member.as_bytes(), score);
        }
        digest
    }),
    ("hash", "HSET hash f v g 12", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::Hash);
        digest.field(b"g", b"12", false);
        digest.field(b"f", b"v", false);
        digest
    }),
    ("stream", "XADD stream 5-3 f v g 12", |key| {
        let mut digest = ValueDigest::new(key, DigestKind::Stream);
        digest.entry(StreamId::new(5, 3));
        for item in ["f", "v", "g", "12"] {
            digest.element(item.as_bytes());
        }
        digest
    }),
];

fn theirs(client: &mut Client, command: &str) -> String {
    let reply = client.run(command);
    reply.items().first().unwrap_or(&reply).text()
}

#[test]
fn values_and_data_sets() {
    let server = Server::referee(&["--enable-debug-command", "yes"]);
    let client = &mut server.client();
    assert_eq!(theirs(client, "DEBUG DIGEST"), Digest::default().to_string());
    assert_eq!(theirs(client, "DEBUG DIGEST-VALUE none"), Digest::default().to_string());
    for database in [0, 3] {
        client.run(&format!("SELECT {database}"));
        for (name, make, digest) in CASES {
            assert!(!client.run(make).is_error(), "{make}");
            let command = format!("DEBUG DIGEST-VALUE {name}");
            assert_eq!(theirs(client, &command), digest(None).finish(false).to_string(), "{make}");
            if database == 3 {
                client.run(&format!("EXPIRE {name} 1000"));
                assert_eq!(
                    theirs(client, &command),
                    digest(None).finish(true).to_string(),
                    "{make}, expiring"
                );
            }
        }
    }
    let mut all = DatasetDigest::default();
    for database in [0, 3] {
        all.database(database);
        for (name, _, digest) in CASES {
            all.key(digest(Some(name.as_bytes())).finish(database == 3));
        }
    }
    assert_eq!(theirs(client, "DEBUG DIGEST"), all.finish().to_string());
}
