mod ahead;
mod atomic;
mod expiry;
mod model;

use crate::command::testing::Harness;
use crate::effect::{Effect, EffectDecoder, ItemChange};
use crate::engine::Tables;
use std::sync::atomic::Ordering::Relaxed;

fn counts(h: &Harness, table: &str) -> (u64, u64) {
    let table = h.server.engine.tables.get(table.as_bytes()).unwrap();
    (table.counts.items.load(Relaxed), table.counts.bytes.load(Relaxed))
}

fn sweep(h: &Harness) {
    let engine = &h.server.engine;
    let mut record = Vec::new();
    for shard in 0..engine.store.shard_count() {
        engine.expire_shard(shard, &mut record);
    }
}

#[test]
fn items_are_put_got_and_deleted() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S ATTR qty N tags SS");
    assert_eq!(h.run("ITEM.GET t a"), "nil");
    assert_eq!(h.run("ITEM.PUT t a SET 3 name Ann age:n 41 qty 7"), "+OK");
    assert_eq!(h.run("ITEM.GET t a"), r#"["age" "41" "id" "a" "name" "Ann" "qty" "7"]"#);
    assert_eq!(h.run("ITEM.GET t a FIELDS 2 name none"), r#"["name" "Ann"]"#);
    assert_eq!(
        h.run("ITEM.GET t a FORMAT JSON"),
        r#""{\"age\":41,\"id\":\"a\",\"name\":\"Ann\",\"qty\":7}""#
    );
    assert_eq!(
        h.run("ITEM.GET t a FIELDS 2 id qty FORMAT DDB"),
        r#""{\"id\":{\"S\":\"a\"},\"qty\":{\"N\":\"7\"}}""#
    );
    assert_eq!(counts(&h, "t"), (1, (2 + 1) + (3 + 2) + (4 + 3) + (3 + 2)));
    assert_eq!(
        h.run(r#"ITEM.PUT t a JSON '{"id":"a","tags":["x","y"],"n":1.50}' RETURN OLD"#),
        r#"["age" "41" "id" "a" "name" "Ann" "qty" "7"]"#
    );
    assert_eq!(h.run("ITEM.PUT t b JSON '{}' RETURN OLD"), "nil");
    assert_eq!(h.run("ITEM.GET t a"), r#"["id" "a" "n" "1.5" "tags" ["x" "y"]]"#);
    assert_eq!(counts(&h, "t"), (2, (2 + 1) + (1 + 3) + (4 + 2) + (2 + 1)));
    assert_eq!(
        h.run("ITEM.DEL t a RETURN OLD FORMAT JSON"),
        r#""{\"id\":\"a\",\"n\":1.5,\"tags\":[\"x\",\"y\"]}""#
    );
    assert_eq!(h.run("ITEM.DEL t a"), ":0");
    assert_eq!(h.run("ITEM.DEL t b"), ":1");
    assert_eq!(counts(&h, "t"), (0, 0));
}

#[test]
fn a_condition_that_was_used_before_is_checked_again_when_its_table_has_changed() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S");
    h.run("TABLE.CREATE other PK a S");
    let write =
        |h: &mut Harness, table: &str| h.run(&format!("ITEM.UPDATE {table} k SET 1 b x IF 'a.c = 1'"));
    for _ in 0..2 {
        assert_eq!(write(&mut h, "t"), "nil");
        // In table `other` the same text is refused, because there `a` is a key.
        let refused = write(&mut h, "other");
        assert!(refused.contains("Key attributes must be scalars"), "{refused}");
    }
    assert_eq!(h.run("TABLE.INDEX ADD t by_a PK a S"), "+OK");
    let refused = write(&mut h, "t");
    assert!(refused.contains("are not allowed: IndexKey: a"), "{refused}");
    // Each request has placeholders of its own, and each request without them is refused.
    for (values, outcome) in [("1", "nil"), ("2", "+OK")] {
        h.run("ITEM.PUT t v SET 1 n:n 2");
        let values = format!(r#"{{":v":{values}}}"#);
        assert_eq!(h.run(&format!("ITEM.UPDATE t v SET 1 b x IF 'n = :v' VALUES '{values}'")), outcome);
        assert!(h.run("ITEM.UPDATE t v SET 1 b x IF 'n = :v'").starts_with("-VALIDATION"));
    }
}

#[test]
fn more_conditions_than_a_thread_remembers_hold_as_well() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S");
    h.run("ITEM.PUT t k SET 1 n:n 0");
    for n in (0..40).chain(0..40) {
        let before = n % 40;
        let after = (before + 1) % 40;
        assert_eq!(h.run(&format!("ITEM.UPDATE t k SET 1 n:n {after} IF 'n = {before}'")), "+OK");
        assert_eq!(h.run(&format!("ITEM.UPDATE t k SET 1 n:n 99 IF 'n = {before}'")), "nil");
    }
}

#[test]
fn conditions_guard_writes() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S");
    assert_eq!(h.run("ITEM.PUT t a SET 1 n:n 1 IF 'attribute_not_exists(id)'"), "+OK");
    assert_eq!(h.run("ITEM.PUT t a SET 1 n:n 2 IF 'attribute_not_exists(id)'"), "nil");
    assert_eq!(
        h.run("ITEM.PUT t a SET 1 n:n 3 IF '#x = :v' NAMES '{\"#x\":\"n\"}' VALUES '{\":v\":{\"N\":\"1\"}}'"),
        "+OK"
    );
    assert_eq!(h.run("ITEM.DEL t a IF 'n < :v' VALUES '{\":v\":3}'"), "nil");
    assert_eq!(h.run("ITEM.DEL t a IF 'n = 3'"), ":1");
    for (line, error) in [
        ("ITEM.DEL t a IF 'n ='", "-VALIDATION Invalid ConditionExpression: Syntax error;*"),
        (
            "ITEM.DEL t a IF 'n = :v'",
            "-VALIDATION Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :v",
        ),
        (
            "ITEM.DEL t a IF 'n = 1' VALUES '{\":v\":3}'",
            "-VALIDATION Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}",
        ),
        ("ITEM.DEL t a IF 'n = 1' IF 'n = 2'", "-ERR syntax error"),
        ("ITEM.DEL t a VALUES 5", "-VALIDATION VALUES must be a JSON object"),
        ("ITEM.DEL t a RETURN NEW", "-ERR syntax error"),
    ] {
        let reply = h.run(line);
        let same = error.strip_suffix('*').map_or(reply == error, |start| reply.starts_with(start));
        assert!(same, "{line}: {reply}");
    }
}

#[test]
fn what_is_no_valid_item_is_refused_and_changes_nothing() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S ATTR qty N");
    h.run("TABLE.CREATE s PK id S SK at N");
    h.configure("item-max-size", "1kb");
    let long = "x".repeat(1100);
    for (line, error) in [
        ("ITEM.PUT none a SET 0", "-NOTABLE table 'none' does not exist"),
        ("ITEM.PUT t a", "-ERR wrong number of arguments for 'item.put' command"),
        ("ITEM.PUT t a SET 1 x", "-ERR syntax error"),
        ("ITEM.PUT t a SET -1 x", "-ERR value is out of range, must be positive"),
        ("ITEM.PUT t a SET x y", "-ERR value is not an integer or out of range"),
        ("ITEM.PUT t a BAG 1 x y", "-ERR syntax error"),
        (
            "ITEM.PUT t a SET 1 qty many",
            "-VALIDATION The parameter cannot be converted to a numeric value: many",
        ),
        (
            "ITEM.PUT t a SET 1 n:n 1e200",
            "-VALIDATION Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        (
            "ITEM.PUT t a SET 1 id b",
            "-VALIDATION the item's key attributes differ from the keys that were given",
        ),
        ("ITEM.PUT t a JSON []", "-VALIDATION invalid JSON: an item must be an object"),
        (
            "ITEM.PUT t a JSON '{\"qty\":\"7\"}'",
            "-VALIDATION attribute qty: the value's type is not the declared one",
        ),
        (
            "ITEM.PUT t '' SET 0",
            "-VALIDATION One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id",
        ),
        ("ITEM.PUT t a SET 0 EX 5", "-VALIDATION table 't' has no TTL attribute"),
        (
            &format!("ITEM.PUT t a SET 1 x {long}"),
            "-VALIDATION Item size has exceeded the maximum allowed size",
        ),
        ("ITEM.PUT s a SET 0 x", "-VALIDATION The parameter cannot be converted to a numeric value: SET"),
        (
            "ITEM.GET s a",
            "-VALIDATION table 's' has the sort key 'at', whose value must follow the partition key",
        ),
        ("ITEM.GET s a 1 FORMAT xml", "-ERR syntax error"),
        ("ITEM.QUERY t a SK = 1", "-VALIDATION the table has no sort key"),
        ("ITEM.QUERY s a SK PREFIX 1", "-VALIDATION PREFIX needs a sort key of type S or B"),
        ("ITEM.QUERY s a SK ~ 1", "-ERR syntax error"),
        ("ITEM.QUERY s a SK =", "-ERR syntax error"),
        ("ITEM.QUERY s a LIMIT 0", "-ERR value is out of range, must be positive"),
        ("ITEM.QUERY s a CURSOR !", "-VALIDATION invalid cursor"),
        ("ITEM.QUERY s a CURSOR AAAA", "-VALIDATION invalid cursor"),
    ] {
        assert_eq!(h.run(line), error, "{line}");
    }
    assert_eq!((counts(&h, "t"), counts(&h, "s")), ((0, 0), (0, 0)));
}

#[test]
fn queries_page_through_ranges_in_both_directions() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id N SK k S");
    for k in ["a1", "a2", "a3", "b1", "b2", "c1"] {
        assert_eq!(h.run(&format!("ITEM.PUT t 5 {k} SET 1 v:n {}", &k[1..])), "+OK");
    }
    let mut keys = |clauses: &str| {
        let reply = h.run(&format!("ITEM.QUERY t 5.0 {clauses} FIELDS 1 k"));
        let (items, rest) = reply.split_once("] \"count\" ").unwrap();
        let keys = items.replace("[\"items\" [", "").replace("[\"k\" \"", "").replace("\"]", "");
        let cursor =
            rest.split("\"cursor\" ").nth(1).unwrap().trim_end_matches(']').trim_matches('"').to_owned();
        (keys, cursor)
    };
    for (clauses, expected) in [
        ("", "a1 a2 a3 b1 b2 c1"),
        ("DESC", "c1 b2 b1 a3 a2 a1"),
        ("SK = a2", "a2"),
        ("SK < a2", "a1"),
        ("SK <= a2", "a1 a2"),
        ("SK > b1", "b2 c1"),
        ("SK >= b1 DESC", "c1 b2 b1"),
        ("SK BETWEEN a2 b1", "a2 a3 b1"),
        ("SK between b1 a2", ""),
        ("SK PREFIX a DESC", "a3 a2 a1"),
        ("WHERE 'v = 2'", "a2 b2"),
        ("WHERE 'v = 9'", ""),
    ] {
        assert_eq!(keys(clauses), (expected.to_owned(), "nil".to_owned()), "{clauses}");
    }
    for (clauses, pages) in [
        ("LIMIT 4", vec!["a1 a2 a3 b1", "b2 c1"]),
        ("LIMIT 3", vec!["a1 a2 a3", "b1 b2 c1"]),
        ("DESC LIMIT 4", vec!["c1 b2 b1 a3", "a2 a1"]),
        ("SK BETWEEN a2 b1 LIMIT 2", vec!["a2 a3", "b1"]),
        ("SK BETWEEN a2 b1 DESC LIMIT 1", vec!["b1", "a3", "a2"]),
        ("LIMIT 2 WHERE 'v = 2'", vec!["a2", "", "b2"]),
    ] {
        let (mut got, mut cursor) = (Vec::new(), String::new());
        loop {
            let more = if cursor.is_empty() { String::new() } else { format!(" CURSOR {cursor}") };
            let (page, next) = keys(&format!("{clauses}{more}"));
            got.push(page);
            if next == "nil" {
                break;
            }
            cursor = next;
        }
        assert_eq!(got, pages, "{clauses}");
    }
    assert_eq!(h.run("ITEM.QUERY t 5 COUNT"), ":6");
    assert_eq!(h.run("ITEM.QUERY t 5 SK PREFIX a WHERE 'v >= 2' COUNT"), ":2");
    assert_eq!(h.run("ITEM.QUERY t 6 COUNT"), ":0");
    assert_eq!(
        h.run("ITEM.QUERY t 5 SK = c1 FORMAT JSON"),
        r#"["items" ["{\"id\":5,\"k\":\"c1\",\"v\":1}"] "count" :1 "scanned" :1 "cursor" nil]"#
    );
    h.configure("item-max-page-size", "1kb");
    for n in 0..20 {
        h.run(&format!("ITEM.PUT t 7 k{n:02} SET 1 text {}", "x".repeat(200)));
    }
    let reply = h.run("ITEM.QUERY t 7 FIELDS 1 id");
    assert!(reply.contains("\"count\" :5 \"scanned\" :5 \"cursor\" \"azA0\""), "{reply}");
}

#[test]
fn updates_change_attributes() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k S TTL until ATTR qty N");
    assert_eq!(
        h.run("ITEM.UPDATE t a x SET 2 name Ann qty 5 INCR 1 hits 1 RETURN NEW"),
        r#"["hits" "1" "id" "a" "k" "x" "name" "Ann" "qty" "5"]"#
    );
    assert_eq!(h.run("ITEM.UPDATE t a x INCR 2 hits 2 qty:n -1.5"), "+OK");
    assert_eq!(
        h.run(r#"ITEM.UPDATE t a x ADD 1 tags:ss '["p","q"]' REMOVE 2 name none RETURN UPDATED"#),
        r#"["tags" ["p" "q"]]"#
    );
    assert_eq!(h.run(r#"ITEM.UPDATE t a x ADD 1 tags:ss '["r"]' EXPR 'SET m = :m, n = hits + 1' VALUES '{":m":{"a":[1]}}' RETURN OLD FORMAT JSON"#),
        r#""{\"hits\":3,\"id\":\"a\",\"k\":\"x\",\"qty\":3.5,\"tags\":[\"p\",\"q\"]}""#);
    assert_eq!(
        h.run("ITEM.UPDATE t a x EXPR 'SET m.a[0] = m.a[0] + 4 REMOVE n' RETURN UPDATED"),
        r#"["m" ["a" ["5"]]]"#
    );
    assert_eq!(h.run("ITEM.GET t a x FIELDS 2 m.a[0] tags"), r#"["m" ["a" ["5"]] "tags" ["p" "q" "r"]]"#);
    assert_eq!(h.run("ITEM.UPDATE t a x SET 1 qty 1 IF 'qty > 5'"), "nil");
    assert_eq!(
        h.run("ITEM.UPDATE t a x SET 1 qty 1 IF '#q > :n' NAMES '{\"#q\":\"qty\"}' VALUES '{\":n\":1}' EX 5"),
        "+OK"
    );
    assert_eq!(h.run("ITEM.GET t a x FIELDS 2 qty until"), r#"["qty" "1" "until" "1700000005"]"#);
    assert_eq!(h.run("ITEM.UPDATE t b x SET 1 a 1 IF 'attribute_exists(id)'"), "nil");
    assert_eq!(h.run("ITEM.GET t b x"), "nil");
    for (line, error) in [
        ("ITEM.UPDATE t a x", "-ERR syntax error"),
        (
            "ITEM.UPDATE t a x SET 1 id b",
            "-VALIDATION One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key",
        ),
        (
            "ITEM.UPDATE t a x SET 1 v 1 REMOVE 1 v",
            "-VALIDATION Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [v], path two: [v]",
        ),
        (
            "ITEM.UPDATE t a x INCR 1 tags 1",
            "-VALIDATION An operand in the update expression has an incorrect data type",
        ),
        (
            "ITEM.UPDATE t a x INCR 1 hits many",
            "-VALIDATION The parameter cannot be converted to a numeric value: many",
        ),
        (
            "ITEM.UPDATE t a x ADD 1 tags x",
            "-VALIDATION attribute tags: INCR takes a number, ADD a set: give its type, as in tags:ss",
        ),
        (
            "ITEM.UPDATE t a x EXPR 'SET a ='",
            "-VALIDATION Invalid UpdateExpression: Syntax error; token: \"<EOF>\", near: \"=\"",
        ),
        (
            "ITEM.UPDATE t a x EXPR 'SET a = nosuch'",
            "-VALIDATION The provided expression refers to an attribute that does not exist in the item",
        ),
    ] {
        assert_eq!(h.run(line), error, "{line}");
    }
    let size = |text: &str| text.len();
    let bytes =
        size("ida") + size("kx") + (4 + 2) + (3 + 2) + (5 + 6) + (4 + 3) + (1 + 3 + (1 + 1 + 3 + 1 + 2));
    assert_eq!(counts(&h, "t"), (1, bytes as u64));
    h.configure("item-max-size", "1kb");
    let long = "x".repeat(1100);
    for line in [
        format!("ITEM.PUT t a y JSON '{{\"x\": [{long}'"),
        format!("ITEM.PUT t a y SET 1 x:json '[{long}'"),
        format!("ITEM.CHECK t a x IF 'a = :a' VALUES '{{{long}'"),
        format!("ITEM.QUERY t a WHERE '#a = 1' NAMES '{{{long}'"),
    ] {
        let too_large = "-VALIDATION Item size has exceeded the maximum allowed size";
        assert_eq!(h.run(&line), too_large, "a text that is longer than an item is not read: {line}");
    }
    assert_eq!(
        h.run(&format!("ITEM.UPDATE t a x SET 1 long {long}")),
        "-VALIDATION Item size to update has exceeded the maximum allowed size"
    );
}

#[test]
fn checks_and_several_items() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id N SK k S");
    h.run("TABLE.CREATE u PK id S");
    h.run("ITEM.PUT t 1 x SET 1 v:n 5");
    h.run("ITEM.PUT u 1 SET 1 v a");
    assert_eq!(h.run("ITEM.CHECK t 1 x IF 'v = 5'"), ":1");
    assert_eq!(h.run("ITEM.CHECK t 1 x IF 'v = 6'"), "nil");
    assert_eq!(h.run("ITEM.CHECK t 1 y IF 'attribute_not_exists(k)'"), ":1");
    assert_eq!(h.run("ITEM.CHECK t 1 x EX 5"), "-ERR syntax error");
    assert_eq!(h.run("ITEM.MGET t 3 1.0 x 1 y 2 x FIELDS 2 id v"), r#"[["id" "1" "v" "5"] nil nil]"#);
    assert_eq!(h.run("ITEM.MGET u 2 none 1 FORMAT JSON"), r#"[nil "{\"id\":\"1\",\"v\":\"a\"}"]"#);
    assert_eq!(h.run("ITEM.MGET t 2 1 x"), "-ERR syntax error");
    assert_eq!(
        h.run("ITEM.MGET t 1 a x"),
        "-VALIDATION The parameter cannot be converted to a numeric value: a"
    );
    assert_eq!(h.run("COMMAND GETKEYS ITEM.MGET t 2 1 x 2 y"), r#"["1" "2"]"#);
    assert_eq!(h.run("COMMAND GETKEYS ITEM.MGET u 2 1 x"), r#"["1" "x"]"#);
    assert_eq!(h.run("COMMAND GETKEYS ITEM.PUT t 1 x SET 0"), r#"["1"]"#);
    h.run("MULTI");
    h.run("ITEM.MGET t 2 1 x 3 x FORMAT JSON");
    h.run("ITEM.SCAN u LIMIT 1");
    assert_eq!(
        h.run("EXEC"),
        r#"[["{\"id\":1,\"k\":\"x\",\"v\":5}" nil] ["items" [["id" "1" "v" "a"]] "count" :1 "scanned" :1 "cursor" nil]]"#
    );
}

#[test]
fn queries_add_up() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k N");
    for (k, v) in [(1, "5"), (2, "7.5"), (3, "-2"), (4, "1e2")] {
        h.run(&format!("ITEM.PUT t a {k} SET 1 v:n {v}"));
    }
    h.run("ITEM.PUT t a 5 SET 1 v text");
    for (clauses, reply) in [
        ("SUM v", r#""110.5""#),
        ("MIN v", r#""-2""#),
        ("MAX v", r#""100""#),
        ("AVG v", r#""27.625""#),
        ("SK < 3 SUM v", r#""12.5""#),
        ("WHERE 'v > 6' COUNT", ":2"),
        ("SK > 4 SUM v", r#""0""#),
        ("SK > 4 MIN v", "nil"),
        ("SK > 4 AVG v", "nil"),
        ("DESC LIMIT 2 MAX v", r#""100""#),
        ("COUNT SUM v", "-ERR syntax error"),
    ] {
        assert_eq!(h.run(&format!("ITEM.QUERY t a {clauses}")), reply, "{clauses}");
    }
    h.run("ITEM.PUT t b 1 SET 1 v:n 9e125");
    h.run("ITEM.PUT t b 2 SET 1 v:n 9e125");
    assert!(h.run("ITEM.QUERY t b SUM v").starts_with("-VALIDATION Number overflow"));
}

fn scan_all(h: &mut Harness, clauses: &str) -> (Vec<String>, usize) {
    let (mut found, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let reply = h.run(&format!("ITEM.SCAN t FIELDS 2 id k FORMAT JSON {clauses}{cursor}"));
        let (items, rest) = reply.split_once("] \"count\" ").unwrap();
        let items = items.strip_prefix("[\"items\" [").unwrap();
        found.extend(items.split("\" \"").map(|i| i.trim_matches('"').to_owned()).filter(|i| !i.is_empty()));
        pages += 1;
        let next = rest.split("\"cursor\" ").nth(1).unwrap().trim_end_matches(']').trim_matches('"');
        if next == "nil" {
            return (found, pages);
        }
        cursor = format!(" CURSOR {next}");
    }
}

#[test]
fn scans_see_every_item_once() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k N TTL until");
    h.run("TABLE.CREATE other PK id S");
    let mut expected = Vec::new();
    for id in 0..40 {
        h.run(&format!("ITEM.PUT other p{id} SET 0"));
        h.run(&format!("SET p{id} x"));
        for k in 0..id % 4 {
            h.run(&format!("ITEM.PUT t p{id} {k} SET 1 v:n {k}"));
            expected.push(format!(r#"{{\"id\":\"p{id}\",\"k\":{k}}}"#));
        }
    }
    h.run("ITEM.PUT t gone 1 SET 0 PX 1");
    h.advance(1000);
    expected.sort();
    for (clauses, pages) in [("", 1), ("LIMIT 7", 9), ("LIMIT 1", 60), ("LIMIT 60", 1), ("LIMIT 20", 3)] {
        let (mut found, count) = scan_all(&mut h, clauses);
        found.sort();
        assert_eq!(found, expected, "{clauses}");
        assert_eq!(count, pages, "{clauses}");
    }
    for total in [2, 3, 16, 100] {
        let mut found = Vec::new();
        for number in 0..total {
            found.extend(scan_all(&mut h, &format!("SEGMENT {number} {total} LIMIT 3")).0);
        }
        found.sort();
        assert_eq!(found, expected, "{total} segments");
    }
    let (found, _) = scan_all(&mut h, "WHERE 'v = 2' LIMIT 5");
    assert_eq!(found.len(), 10);
    // An item that exists during the whole scan is seen exactly once, whatever is put and deleted meanwhile.
    let first = h.run("ITEM.SCAN t LIMIT 30 FIELDS 1 id");
    let cursor =
        first.rsplit("\"cursor\" ").next().unwrap().trim_end_matches(']').trim_matches('"').to_owned();
    for id in 100..400 {
        h.run(&format!("ITEM.PUT t p{id} 0 SET 1 v:n 9"));
    }
    let rest = h.run(&format!("ITEM.SCAN t CURSOR {cursor} WHERE 'v < 9'"));
    assert!(rest.contains("\"count\" :30 "), "{rest}");
    for (line, error) in [
        ("ITEM.SCAN nosuch", "-NOTABLE table 'nosuch' does not exist"),
        (
            "ITEM.SCAN t SEGMENT 2 2",
            "-ERR SEGMENT takes a number from 0 and how many there are, at most 1000000",
        ),
        ("ITEM.SCAN t CURSOR x", "-VALIDATION invalid cursor"),
        ("ITEM.SCAN t CURSOR !", "-VALIDATION invalid cursor"),
        ("ITEM.SCAN t COUNT", "-ERR syntax error"),
    ] {
        assert_eq!(h.run(line), error, "{line}");
    }
}

#[test]
fn one_pipeline_may_create_a_table_and_use_it() {
    let mut h = Harness::new();
    let replies = h.pipeline(&[
        "TABLE.CREATE t PK id N",
        "ITEM.PUT t 1.0 SET 0",
        "ITEM.GET t 1",
        "TABLE.DROP t",
        "ITEM.GET t 1",
    ]);
    assert_eq!(replies, ["+OK", "+OK", r#"["id" "1"]"#, "+OK", "-NOTABLE table 't' does not exist"]);
}

#[test]
fn the_log_holds_the_encoded_keys_and_the_whole_item() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id N SK k B");
    let record = h.record("ITEM.PUT t 1.50 \"\\x00\\xff\" SET 1 v x");
    let effects: Vec<Effect<'_>> = EffectDecoder::new(&record).unwrap().map(Result::unwrap).collect();
    let [Effect::Item { partition, change: ItemChange::Put { sort, item }, .. }] = effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((partition, sort), (&[0xA1, 16, 0][..], &[0, 0xFF][..]));
    let item = crate::item::decode_item(item, 32).unwrap();
    assert_eq!(item.len(), 3);
    assert!(h.record("ITEM.DEL t 1.5 zz").is_empty());
}

#[test]
fn a_table_that_changes_is_seen_by_its_generation() {
    let tables = Tables::default();
    assert_eq!(tables.generation(), 0);
    let mut h = Harness::new();
    let before = h.server.engine.tables.generation();
    h.run("TABLE.CREATE t PK id S");
    assert!(h.server.engine.tables.generation() > before);
}
