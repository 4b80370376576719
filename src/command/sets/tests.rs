use crate::command::testing::Harness;
use std::collections::BTreeMap;

#[test]
fn draws_are_fair_in_every_form() {
    for members in ["1 2 3 4 5 6", "a b c d e f"] {
        for threshold in ["0", "128"] {
            let mut t = Harness::new();
            t.configure("set-max-intset-entries", threshold);
            t.configure("set-max-listpack-entries", threshold);
            let mut seen: BTreeMap<String, u32> = BTreeMap::new();
            for _ in 0..6000 {
                t.run(&format!("sadd s {members}"));
                *seen.entry(t.run("srandmember s")).or_default() += 1;
                *seen.entry(t.run("srandmember s -1").trim_matches(['[', ']']).to_owned()).or_default() += 1;
                *seen.entry(t.run("spop s")).or_default() += 1;
            }
            // Each is expected 3000 times, and six standard deviations are 300.
            assert!(seen.len() == 6 && seen.values().all(|n| n.abs_diff(3000) < 300), "{seen:?}");
        }
    }
}

#[test]
fn no_member_is_drawn_twice() {
    for threshold in ["0", "128"] {
        let mut t = Harness::new();
        t.configure("set-max-listpack-entries", threshold);
        for count in 0..=9 {
            t.run("sadd s a b c d e f g h i");
            let drawn = t.run(&format!("spop s {count}"));
            let mut letters: Vec<char> = drawn.chars().filter(|c| c.is_ascii_lowercase()).collect();
            letters.sort_unstable();
            letters.dedup();
            assert_eq!(letters.len(), count, "{drawn}");
            assert_eq!(t.run("scard s"), format!(":{}", 9 - count));
        }
    }
}

#[test]
fn a_negative_count_costs_bounded_memory() {
    let mut t = Harness::new();
    t.configure("proto-max-bulk-len", "1mb");
    t.run("sadd s a");
    let reply = t.run("srandmember s -4000000000000000000");
    assert_eq!(reply, "-ERR reply exceeds maximum allowed size (proto-max-bulk-len)");
}
