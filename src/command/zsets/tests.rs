use crate::command::testing::Harness;

#[test]
fn scores_are_written_with_as_many_digits_as_they_need() {
    // As in Redis, the packed form does not keep the sign of a zero.
    for (entries, zero) in [("0", "-0"), ("128", "0")] {
        let mut t = Harness::new();
        t.configure("zset-max-listpack-entries", entries);
        t.run("zadd z 0.1 a 1e19 b 3.0000000000000004 c -0 d 1e-7 e");
        let scores = format!(r#"["0.1" "1e+19" "3.0000000000000004" "{zero}" "1e-7"]"#);
        assert_eq!(t.run("zmscore z a b c d e"), scores);
        assert_eq!(t.run("zincrby z 0.2 a"), r#""0.30000000000000004""#);
    }
}

#[test]
fn a_rank_may_come_with_its_score() {
    for entries in ["0", "128"] {
        let mut t = Harness::new();
        t.configure("zset-max-listpack-entries", entries);
        t.run("zadd z 1 a 2.5 b");
        assert_eq!(t.run("zrank z b withscore"), r#"[:1 "2.5"]"#);
        assert_eq!(t.run("zrevrank z b WITHSCORE"), r#"[:0 "2.5"]"#);
        assert_eq!(t.run("zrank z none withscore"), t.run("zrank none b withscore"));
        assert_eq!(t.run("zrank z b withscores"), "-ERR syntax error");
        assert_eq!(t.run("zrank z b withscore x"), "-ERR wrong number of arguments for 'zrank' command");
        assert_eq!(
            t.run("zrevrank z b withscore x"),
            "-ERR wrong number of arguments for 'zrevrank' command"
        );
    }
}

#[test]
fn a_negative_count_costs_bounded_memory() {
    let mut t = Harness::new();
    t.configure("proto-max-bulk-len", "1mb");
    t.run("zadd z 1 a");
    let reply = t.run("zrandmember z -4000000000000000000 withscores");
    assert_eq!(reply, "-ERR reply exceeds maximum allowed size (proto-max-bulk-len)");
}

#[test]
fn a_timeout_beyond_all_times_is_refused() {
    let mut t = Harness::new();
    for command in ["bzpopmin z 1e20", "bzpopmax z 1e17", "bzmpop 1e20 1 z min"] {
        assert_eq!(t.run(command), "-ERR timeout is out of range", "{command}");
    }
}

#[test]
fn many_members_are_drawn_fairly() {
    let mut t = Harness::new();
    t.configure("zset-max-listpack-entries", "4");
    for n in 0..6 {
        t.run(&format!("zadd z {n} m{n}"));
    }
    let mut seen = [0u32; 6];
    for _ in 0..600 {
        let drawn = t.run("zrandmember z");
        let number = drawn.trim_matches('"').trim_start_matches('m').parse::<usize>().unwrap();
        seen[number] += 1;
    }
    // Each is expected 100 times; six standard deviations are about 55.
    assert!(seen.iter().all(|n| n.abs_diff(100) < 56), "{seen:?}");
}

#[test]
fn members_named_more_than_once_count_as_in_turn() {
    let mut t = Harness::new();
    let twice: Vec<String> = (0..40).map(|n| format!("{n} m{}", n % 20)).collect();
    assert_eq!(t.run(&format!("zadd z ch {}", twice.join(" "))), ":40");
    assert_eq!(t.run("zcard z"), ":20");
    assert_eq!(t.run("zmscore z m0 m19"), r#"["20" "39"]"#);
    assert_eq!(t.run(&format!("zadd z nx {}", twice.join(" "))), ":0");
    assert_eq!(t.run(&format!("zadd z lt ch {}", twice.join(" "))), ":20");
    assert_eq!(t.run("zmscore z m0 m19"), r#"["0" "19"]"#);
}

#[test]
fn a_walk_over_a_large_sorted_set_ends_and_has_all() {
    let mut t = Harness::new();
    for n in 0..300 {
        t.run(&format!("zadd z {n} m{n}"));
    }
    let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeSet::new());
    loop {
        let reply = t.run(&format!("zscan z {cursor} count 7"));
        let words: Vec<&str> = reply.split('"').collect();
        cursor = words[1].to_owned();
        seen.extend(words.iter().filter(|word| word.starts_with('m')).map(|word| (*word).to_owned()));
        t.run("zincrby z 1000 m150");
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 300);
}
