use crate::command::testing::{Harness, START};
use crate::effect::{Effect, EffectDecoder};
use crate::store::Mode;

/// Runs a test with packed hashes and with large ones.
fn both(test: impl Fn(&mut Harness)) {
    for entries in ["512", "0"] {
        let mut t = Harness::new();
        t.configure("hash-max-listpack-entries", entries);
        t.run("ping");
        test(&mut t);
    }
}

fn check(t: &mut Harness, lines: &[(&str, &str)]) {
    for (line, reply) in lines {
        assert_eq!(&t.run(line), reply, "{line}");
    }
}

#[test]
fn an_expired_field_is_gone_for_every_reader_at_its_millisecond() {
    both(|t| {
        check(t, &[("hset h a 1 b 2 c 3", ":3"), ("hpexpire h 10 fields 1 b", "[:1]")]);
        t.advance(9);
        check(t, &[("hget h b", r#""2""#), ("hlen h", ":3"), ("hpttl h fields 1 b", "[:1]")]);
        t.advance(1);
        check(
            t,
            &[
                ("hget h b", "nil"),
                ("hmget h a b", r#"["1" nil]"#),
                ("hexists h b", ":0"),
                ("hstrlen h b", ":0"),
                ("hlen h", ":2"),
                ("httl h fields 1 b", "[:-2]"),
                ("hpexpiretime h fields 1 b", "[:-2]"),
                ("hpersist h fields 1 b", "[:-2]"),
                ("hexpire h 5 fields 1 b", "[:-2]"),
                ("hgetdel h fields 1 b", "[nil]"),
                ("hgetex h persist fields 1 b", "[nil]"),
                ("hsetex h fxx fields 1 b 1", ":0"),
                ("hdel h b", ":0"),
                ("hkeys h", r#"["a" "c"]"#),
            ],
        );
        assert!(!t.run("hrandfield h -30").contains('b'));
        assert_eq!(t.run("hgetall h"), r#"["a" "1" "c" "3"]"#);
        assert_eq!(t.run("hvals h"), r#"["1" "3"]"#);
        let scanned = t.run("hscan h 0 count 100");
        assert!(scanned.contains("\"a\"") && !scanned.contains("\"b\""), "{scanned}");
    });
}

#[test]
fn a_field_set_after_it_expired_is_new() {
    both(|t| {
        check(
            t,
            &[("hset h a 1 b 2 c 3 d 4 keep x", ":5"), ("hpexpire h 10 fields 4 a b c d", "[:1 :1 :1 :1]")],
        );
        t.advance(10);
        check(
            t,
            &[
                ("hset h a 5 keep y", ":1"),
                ("httl h fields 1 a", "[:-1]"),
                ("hsetnx h b 6", ":1"),
                ("hincrby h c 7", ":7"),
                ("httl h fields 1 c", "[:-1]"),
                ("hsetex h fnx keepttl fields 1 d 8", ":1"),
                ("httl h fields 1 d", "[:-1]"),
                ("hlen h", ":5"),
            ],
        );
    });
}

#[test]
fn a_hash_whose_fields_have_all_expired_does_not_exist() {
    both(|t| {
        check(t, &[("hset h a 1 b 2", ":2"), ("hpexpire h 10 fields 2 a b", "[:1 :1]")]);
        t.advance(10);
        check(t, &[("hlen h", ":0"), ("hgetall h", "[]"), ("get h", "nil"), ("hscan h 0", r#"["0" []]"#)]);
        check(t, &[("hrandfield h", "nil"), ("hpexpire h 1 fields 1 a", "[:-2]"), ("hdel h a", ":0")]);
        check(t, &[("set h string", "+OK"), ("get h", r#""string""#)]);
    });
}

#[test]
fn a_hash_set_after_its_end_begins_anew() {
    both(|t| {
        check(t, &[("hset h a 1", ":1"), ("hpexpire h 10 fields 1 a", "[:1]")]);
        let engine = std::sync::Arc::clone(&t.server.engine);
        let (store, now) = (&engine.store, START);
        let hash = store.hash(b"h");
        let at = Some(START + 1000);
        store.lock_one(hash, Mode::Write, now).apply(&Effect::Expire { db: 0, key: b"h", at }, hash);
        t.advance(10);
        check(t, &[("hset h b 2", ":1"), ("hgetall h", r#"["b" "2"]"#)]);
        let locked = store.lock_one(hash, Mode::Read, START + 10);
        assert_eq!(locked.peek(0, b"h", hash).unwrap().expire(), None);
        assert_eq!(store.db_size(0), (1, 0));
    });
}

#[test]
fn the_log_holds_absolute_times_and_no_expired_field_comes_back() {
    let mut t = Harness::new();
    t.run("hset h a 1");
    let shown = |record: Vec<u8>| {
        let effects: Vec<String> =
            EffectDecoder::new(&record).unwrap().map(|e| format!("{:?}", e.unwrap())).collect();
        effects.join("; ")
    };
    let effects = shown(t.record("hpexpire h 10 fields 1 a"));
    assert!(effects.contains("change: Expire") && effects.contains(&(START + 10).to_string()), "{effects}");
    t.run("hset h b 2");
    t.advance(10);
    let effects = shown(t.record("hincrby h a 1"));
    let found = ["change: Delete", "change: Set"].map(|change| effects.find(change));
    assert!(found[0].is_some() && found[0] < found[1], "{effects}");
    for line in ["hget h a", "hdel h missing", "hsetnx h a 9", "hpersist h fields 1 a", "hgetex h fields 1 a"]
    {
        assert!(t.record(line).is_empty(), "{line} changes nothing");
    }
}

#[test]
fn names_given_twice_see_what_their_first_mention_did() {
    both(|t| {
        check(
            t,
            &[
                ("hset h a 1 b 2 c 3 a 4", ":3"),
                ("hexpire h 100 nx fields 3 a a b", "[:1 :0 :1]"),
                ("hpersist h fields 2 a a", "[:1 :-1]"),
                ("hgetdel h fields 3 a b a", r#"["4" "2" nil]"#),
                ("hgetex h ex 0 fields 2 c c", r#"["3" nil]"#),
                ("hset h a 1", ":1"),
                ("hdel h a a", ":1"),
                ("hsetex h fields 2 a 1 a 2", ":1"),
                ("hgetall h", r#"["a" "2"]"#),
            ],
        );
    });
}

#[test]
fn a_walk_over_a_large_hash_returns_all_and_ends() {
    let mut t = Harness::new();
    for i in 0..1000 {
        t.run(&format!("hset h field:{i} {i}"));
    }
    let mut cursor = "0".to_owned();
    let (mut seen, mut calls) = (std::collections::BTreeSet::new(), 0);
    loop {
        let reply = t.run(&format!("hscan h {cursor} novalues count 30"));
        let (next, names) = reply[2..reply.len() - 2].split_once("\" [").unwrap();
        seen.extend(names.split(' ').map(str::to_owned));
        cursor = next.to_owned();
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!((seen.len(), calls), (1000, 34));
    let matched = t.run("hscan h 0 match field:99? count 10000");
    assert_eq!(matched.matches("field:").count(), 10);
}
