//! AWS's operations as commands among others.

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
        // HELP neither reads nor writes.
        .filter(|name| !name.ends_with("|help"))
        .collect();
    assert!(ours.len() > 30);
    for name in &ours {
        let about_tables = name.contains("table") || !items.contains(name);
        assert!(items.contains(name) != tables.contains(name), "{name}");
        assert_eq!(tables.contains(name), about_tables, "{name}");
        // HELP looks at no data, as in Redis.
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
