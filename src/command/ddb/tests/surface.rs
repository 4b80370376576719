//! Tests of AWS's operations as commands among others.

use super::{call, table};
use crate::command::testing::Harness;
use serde_json::json;

#[test]
fn awss_operations_join_transactions() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    h.run("MULTI");
    h.run("ITEM.ATOMIC");
    h.run("INCR n");
    h.run(r#"DDB PutItem '{"TableName":"abc","Item":{"id":{"S":"a"}}}'"#);
    h.run(r#"DDB PutItem '{"TableName":"abc","Item":{"id":{"S":"a"}},"ConditionExpression":"attribute_not_exists(id)"}'"#);
    assert_eq!(
        h.run("EXEC"),
        r#"-TXCANCELLED 3:DDB {"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed"}"#
    );
    assert_eq!((h.run("EXISTS n"), h.run("ITEM.GET abc a")), (":0".to_owned(), "nil".to_owned()));
    h.run("MULTI");
    h.run(r#"DDB PutItem '{"TableName":"abc","Item":{"id":{"S":"a"}}}'"#);
    h.run(r#"DDB Scan '{"TableName":"abc","Select":"COUNT"}'"#);
    assert_eq!(h.run("EXEC"), r#"["{}" "{\"Count\":1,\"ScannedCount\":1}"]"#);
}

#[test]
fn unknown_operations_are_refused_as_aws_does() {
    let mut h = Harness::new();
    let unknown = json!({"__type": "UnknownOperationException"});
    for operation in ["Nothing", "HELP", ""] {
        assert_eq!(call(&mut h, operation, &json!({})), unknown);
    }
    assert_eq!(h.call_as(0, &[b"DDB", b"Nothing"]).as_error().unwrap()[..5], *b"DDB {");
    let few = h.call_as(0, &[b"DDB", b"GetItem"]);
    assert!(few.as_error().unwrap().starts_with(b"ERR wrong number of arguments"));
}

/// Runs an operation and returns the error's type, or the reply.
fn outcome(h: &mut Harness, operation: &str, body: &[u8]) -> String {
    let reply = h.call_as(0, &[b"DDB", operation.as_bytes(), body]);
    match reply.as_error() {
        None => String::from_utf8(reply.as_bytes().unwrap().to_vec()).unwrap(),
        Some(error) => {
            let json: serde_json::Value =
                serde_json::from_slice(error.strip_prefix(b"DDB ").unwrap()).unwrap();
            json["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned()
        }
    }
}

#[test]
fn a_request_that_is_too_long_is_refused_by_its_length() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let put = r#"{"TableName":"abc","Item":{"id":{"S":"a"}}}"#;
    let of_length = |text: &str, length: usize| [text.as_bytes(), &vec![b' '; length - text.len()]].concat();
    let too_long = "RequestEntityTooLargeException";
    assert_eq!(outcome(&mut h, "PutItem", &of_length(put, 16 << 20)), "{}");
    assert_eq!(outcome(&mut h, "PutItem", &of_length(put, (16 << 20) + 1)), too_long);
    let list = r#"{"Limit":1}"#;
    assert_eq!(outcome(&mut h, "ListTables", &of_length(list, 256 << 10)), r#"{"TableNames":["abc"]}"#);
    assert_eq!(outcome(&mut h, "ListTables", &of_length(list, (256 << 10) + 1)), too_long);
    // A body that is too long is refused before it is parsed as JSON.
    for operation in crate::aws::Operation::ALL.map(|(name, _)| name) {
        assert_eq!(outcome(&mut h, operation, &vec![b'['; (16 << 20) + 1]), too_long, "{operation}");
    }
}

#[test]
fn a_long_request_is_read_on_a_thread_of_its_own() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let put = |length: usize| {
        format!(r#"{{"TableName":"abc","Item":{{"id":{{"S":"a"}},"x":{{"S":"{}"}}}}}}"#, "y".repeat(length))
    };
    let (short, long) = (put(1000), put(128 << 10));
    let text = "y".repeat((128 << 10) + 1);
    for (args, takes_long) in [
        (["DDB", "PutItem", &short].as_slice(), false),
        (&["DDB", "PutItem", &long], true),
        (&["DDB", "GetItem", &long], true),
        (&["DDB", "DeleteItem", &long], true),
        (&["ITEM.PUT", "abc", "a", "JSON", &text], true),
        (&["ITEM.CHECK", "abc", "a", "IF", "x = :x", "VALUES", &text], true),
        (&["ITEM.GET", "abc", "a"], false),
        (&["SET", "k", &text], false),
    ] {
        let bytes: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        assert_eq!(h.takes_long(&bytes), takes_long, "{} {}", args[0], args[1]);
    }
    // The thread of its own carries it out like any other.
    assert_eq!(outcome(&mut h, "PutItem", long.as_bytes()), "{}");
    let key = br#"{"TableName":"abc","Key":{"id":{"S":"a"}}}"#;
    assert!(outcome(&mut h, "GetItem", key).len() > 128 << 10);
}

#[test]
fn the_values_of_a_request_are_counted_before_they_are_read() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let body = |values: usize, text: &str| {
        let unknown = vec!["0"; values].join(",");
        format!(r#"{{"TableName":"abc","Item":{{"id":{{"S":"{text}"}}}},"Unknown":[{unknown}]}}"#)
            .into_bytes()
    };
    assert_eq!(outcome(&mut h, "PutItem", &body(900_000, r#"\",{[\\"#)), "{}");
    assert_eq!(outcome(&mut h, "PutItem", &body(1_000_001, "a")), "RequestEntityTooLargeException");
    // Commas within a text do not count as values.
    assert_eq!(outcome(&mut h, "PutItem", &body(2, &",".repeat(2000))), "{}");
    let commas = ",".repeat(3_000_000);
    assert_eq!(outcome(&mut h, "PutItem", &body(2, &commas)), "ValidationException", "its key is too long");
    h.run("TABLE.CREATE t PK id S");
    let list = format!("[{}]", vec!["0"; 1_000_001].join(","));
    let (item, values) = (format!("{{\"x\":{list}}}"), format!("{{\":v\":{list}}}"));
    for args in [
        ["ITEM.PUT", "t", "a", "JSON", &item].as_slice(),
        &["ITEM.PUT", "t", "a", "SET", "1", "x:json", &list],
        &["ITEM.UPDATE", "t", "a", "SET", "1", "x:ns", &list],
        &["ITEM.QUERY", "t", "a", "WHERE", "x = :v", "VALUES", &values],
    ] {
        let bytes: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let reply = h.call_as(0, &bytes);
        let refused = b"VALIDATION the JSON has more than a million values";
        assert_eq!(reply.as_error().unwrap(), refused, "{} {}", args[0], args[3]);
    }
}

#[test]
fn commands_of_items_and_tables_have_their_categories() {
    let mut h = Harness::new();
    let listed = |h: &mut Harness, line: &str| -> Vec<String> {
        h.run(line)
            .split([' ', '[', ']', ',', '"'])
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let categories = listed(&mut h, "ACL CAT");
    assert!(categories.contains(&"item".to_owned()) && categories.contains(&"table".to_owned()));
    let mut of = |category: &str| listed(&mut h, &format!("ACL CAT {category}"));
    let (items, tables, reads, writes) = (of("item"), of("table"), of("read"), of("write"));
    let names =
        h.server.registry.all().filter(|command| command.subs.is_empty()).map(|c| c.full_name.clone());
    let ours: Vec<String> = names
        .filter(|name| ["item.", "table.", "ddb|"].iter().any(|start| name.starts_with(start)))
        // HELP has neither category.
        .filter(|name| !name.ends_with("|help"))
        .collect();
    assert!(ours.len() > 30);
    for name in &ours {
        let about_tables = name.contains("table") || !items.contains(name);
        assert!(items.contains(name) != tables.contains(name), "{name}");
        assert_eq!(tables.contains(name), about_tables, "{name}");
        // HELP reads no data, as in Redis.
        assert!(name.ends_with("|help") || reads.contains(name) != writes.contains(name), "{name}");
    }
    for (line, keys) in [
        ("ITEM.GET t a", "a"),
        ("ITEM.PUT t a SET 1 x y", "a"),
        ("ITEM.UPDATE t a SET 1 x y", "a"),
        ("ITEM.DEL t a", "a"),
        ("ITEM.CHECK t a IF x=1", "a"),
        ("ITEM.QUERY t a", "a"),
        ("ITEM.MGET t 2 a b", "a b"),
    ] {
        let shown = listed(&mut h, &format!("COMMAND GETKEYS {line}"));
        assert_eq!(shown.join(" "), keys, "{line}");
    }
}
