//! Tests of secondary indexes: how they are added, filled, read and dropped.

use crate::command::testing::Harness;

fn build(h: &Harness) {
    while h.server.engine.build_indexes(1_000_000, &mut Vec::new()) {}
}

fn ids(h: &mut Harness, query: &str) -> Vec<String> {
    let reply = h.run(&format!("{query} FORMAT JSON"));
    let mut ids: Vec<String> = reply
        .split("\\\"id\\\":\\\"")
        .skip(1)
        .map(|rest| rest.split("\\\"").next().unwrap_or_default().to_owned())
        .collect();
    if query.starts_with("ITEM.SCAN") {
        ids.sort();
    }
    ids
}

#[test]
fn a_global_index_follows_its_items() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE users PK id S INDEX mail PK mail S SK age N");
    h.run("ITEM.PUT users a SET 2 mail x age 3");
    h.run("ITEM.PUT users b SET 2 mail x age 1");
    h.run("ITEM.PUT users c SET 1 mail x");
    assert_eq!(ids(&mut h, "ITEM.QUERY users x INDEX mail"), ["b", "a"]);
    assert_eq!(ids(&mut h, "ITEM.QUERY users x INDEX mail DESC"), ["a", "b"]);
    assert_eq!(ids(&mut h, "ITEM.QUERY users x INDEX mail SK >= 2"), ["a"]);
    h.run("ITEM.UPDATE users c SET 1 age 2");
    assert_eq!(ids(&mut h, "ITEM.QUERY users x INDEX mail"), ["b", "c", "a"]);
    h.run("ITEM.UPDATE users b SET 1 mail y");
    h.run("ITEM.UPDATE users a REMOVE 1 age");
    assert_eq!(ids(&mut h, "ITEM.QUERY users x INDEX mail"), ["c"]);
    assert_eq!(ids(&mut h, "ITEM.QUERY users y INDEX mail"), ["b"]);
    assert_eq!(ids(&mut h, "ITEM.SCAN users INDEX mail"), ["b", "c"]);
    h.run("ITEM.DEL users c");
    assert_eq!(ids(&mut h, "ITEM.SCAN users INDEX mail"), ["b"]);
    assert_eq!(
        h.run("ITEM.UPDATE users d EXPR 'SET age = \"old\"'"),
        "-VALIDATION The update expression attempted to update the secondary index key to unsupported type"
    );
}

#[test]
fn an_index_added_later_is_filled_in_the_background() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE logs PK device S SK at N");
    for n in 0..300 {
        h.run(&format!("ITEM.PUT logs d{} {n} SET 2 level l{} text t{n}", n % 3, n % 2));
    }
    assert_eq!(h.run("TABLE.INDEX ADD logs level PK level S SK at N PROJECT KEYS"), "+OK");
    assert_eq!(
        h.run("ITEM.QUERY logs l1 INDEX level COUNT"),
        "-VALIDATION index 'level' is being created, see TABLE.DESCRIBE for its progress"
    );
    assert!(h.run("TABLE.DESCRIBE logs").contains("CREATING"));
    h.run("ITEM.PUT logs d9 1000 SET 1 level l1");
    h.run("ITEM.DEL logs d1 1");
    build(&h);
    assert_eq!(h.run("ITEM.QUERY logs l1 INDEX level COUNT"), ":150");
    assert_eq!(h.run("ITEM.QUERY logs l1 INDEX level SK >= 299 COUNT"), ":2");
    let described = h.run("TABLE.DESCRIBE logs");
    assert!(described.contains("ACTIVE"), "{described}");
    assert!(h.run("TABLE.INDEX HELP").contains("DROP table name"));
    assert_eq!(h.run("TABLE.INDEX DROP logs level"), "+OK");
    assert_eq!(h.run("TABLE.INDEX DROP logs level"), "-VALIDATION table 'logs' has no index 'level'");
}

#[test]
fn a_local_index_gives_whole_items_where_they_are_asked_for() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE songs PK id S SK song S");
    h.run("ITEM.PUT songs x b SET 2 year:n 1 text hello");
    h.run("ITEM.PUT songs x a SET 2 year:n 2 text world");
    h.run("TABLE.INDEX ADD songs years SK year N PROJECT KEYS LOCAL");
    build(&h);
    assert!(h.run("ITEM.QUERY songs x INDEX years LIMIT 1").contains(r#""song" "b""#));
    assert!(!h.run("ITEM.QUERY songs x INDEX years").contains("hello"));
    assert!(h.run("ITEM.QUERY songs x INDEX years FIELDS 1 text DESC").contains("world"));
    assert_eq!(h.run("ITEM.QUERY songs x INDEX years WHERE 'text = \"hello\"' COUNT"), ":1");
    assert!(h.run("ITEM.SCAN songs INDEX years FIELDS 1 text").contains("world"));
    h.run("ITEM.PUT songs x c SET 2 year:n 3 length:n 7");
    assert_eq!(h.run("ITEM.QUERY songs x INDEX years SUM length"), "\"7\"");
    h.run("TABLE.INDEX ADD songs all PK year N PROJECT KEYS");
    build(&h);
    let unheld = "-VALIDATION the index 'all' does not hold the attribute 'length'";
    for clause in [
        "SUM length",
        "FIELDS 2 year length",
        "WHERE 'length = 7' COUNT",
        "WHERE 'year = 3 or size(length) > 1'",
    ] {
        assert_eq!(h.run(&format!("ITEM.QUERY songs 3 INDEX all {clause}")), unheld, "{clause}");
    }
    for clause in ["FIELDS 1 length", "WHERE 'length = 7'"] {
        assert_eq!(h.run(&format!("ITEM.SCAN songs INDEX all {clause}")), unheld, "{clause}");
    }
    assert_eq!(h.run("ITEM.QUERY songs 3 INDEX all WHERE 'song = \"c\" and year = 3' COUNT"), ":1");
    h.run("TABLE.INDEX ADD songs full PK year N");
    build(&h);
    assert_eq!(h.run("ITEM.QUERY songs 3 INDEX full WHERE 'attribute_not_exists(other)' COUNT"), ":1");
}

#[test]
fn keys_of_several_attributes_are_given_one_by_one() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE games PK id S INDEX rounds PK cup S PK region S SK round N SK score N");
    for (id, cup, region, round, score) in
        [("a", "w", "eu", 1, 5), ("b", "w", "eu", 1, 9), ("c", "w", "eu", 2, 1), ("d", "w", "us", 1, 7)]
    {
        h.run(&format!("ITEM.PUT games {id} SET 4 cup {cup} region {region} round {round} score {score}"));
    }
    assert_eq!(ids(&mut h, "ITEM.QUERY games w INDEX rounds eu"), ["a", "b", "c"]);
    assert_eq!(ids(&mut h, "ITEM.QUERY games w INDEX rounds eu SK = 1 SK > 5"), ["b"]);
    assert_eq!(ids(&mut h, "ITEM.QUERY games w INDEX rounds us SK >= 1"), ["d"]);
    assert_eq!(h.run("ITEM.QUERY games w INDEX rounds"), "-ERR syntax error");
    assert_eq!(
        h.run("ITEM.QUERY games w INDEX rounds eu SK > 1 SK = 5"),
        "-VALIDATION of several conditions SK only the last may be other than ="
    );
}
