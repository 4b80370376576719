//! Tests of what is carried out and what is refused while memory is at its limit.

use super::{call, put, refused, table};
use crate::command::testing::Harness;
use serde_json::{Value, json};

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

fn filled() -> Harness {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    for id in ["a", "b", "c", "d"] {
        put(&mut h, "abc", json!({"id": {"S": id}, "x": {"S": "x"}, "s": {"SS": ["1", "2"]}}));
    }
    h
}

fn key(id: &str) -> Value {
    json!({"id": {"S": id}})
}

fn of(id: &str, rest: &Value) -> Value {
    let mut body = json!({"TableName": "abc", "Key": key(id)});
    rest.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
    body
}

#[test]
fn what_needs_no_memory_is_done() {
    let mut h = filled();
    let ok = |h: &mut Harness, operation: &str, body: &Value| {
        let reply = call(h, operation, body);
        assert!(reply["__type"].is_null(), "{operation} {body}: {reply}");
    };
    let stream = |on: bool| {
        let view = if on { json!("KEYS_ONLY") } else { json!(null) };
        json!({"StreamEnabled": on, "StreamViewType": view})
    };
    ok(&mut h, "UpdateTable", &json!({"TableName": "abc", "StreamSpecification": stream(true)}));
    assert_eq!(h.run("TABLE.INDEX ADD abc byx PK x"), "+OK");
    while h.server.engine.build_indexes(1_000_000, &mut Vec::new()) {}
    h.configure("maxmemory", "1");
    let check = of("b", &json!({"ConditionExpression": "attribute_exists(id)"}));
    let less = of(
        "b",
        &json!({"UpdateExpression": "REMOVE x DELETE s :s", "ExpressionAttributeValues": {":s": {"SS": ["1"]}}}),
    );
    ok(&mut h, "DeleteItem", &of("a", &json!({})));
    ok(&mut h, "UpdateItem", &less);
    ok(&mut h, "BatchWriteItem", &json!({"RequestItems": {"abc": [{"DeleteRequest": {"Key": key("c")}}]}}));
    let actions = json!([{"ConditionCheck": check}, {"Delete": of("d", &json!({}))}]);
    for token in [json!(null), json!("t"), json!("t")] {
        ok(&mut h, "TransactWriteItems", &json!({"TransactItems": actions, "ClientRequestToken": token}));
    }
    assert_eq!(
        call(&mut h, "Scan", &json!({"TableName": "abc"}))["Items"],
        json!([{"id": {"S": "b"}, "s": {"SS": ["2"]}}])
    );
    ok(&mut h, "UpdateTable", &json!({"TableName": "abc", "StreamSpecification": stream(false)}));
    ok(&mut h, "UpdateTable", &json!({"TableName": "abc", "DeletionProtectionEnabled": false}));
    ok(
        &mut h,
        "UpdateTable",
        &json!({"TableName": "abc", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "byx"}}]}),
    );
    assert_eq!(h.run("ITEM.UPDATE abc b REMOVE 1 x"), "+OK");
    assert_eq!(h.run("TABLE.ALTER abc NOSTREAM"), "+OK");
    assert_eq!(h.run("ITEM.DEL abc b"), ":1");
    ok(&mut h, "DeleteTable", &json!({"TableName": "abc"}));
}

#[test]
fn what_needs_memory_is_refused_on_both_fronts() {
    let mut h = filled();
    let item = json!({"TableName": "abc", "Item": key("n")});
    let update =
        of("n", &json!({"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "y"}}}));
    let attribute = json!([{"AttributeName": "x", "AttributeType": "S"}]);
    let keys = |name: &str| json!([{"AttributeName": name, "KeyType": "HASH"}]);
    let index = json!({"IndexName": "byx", "KeySchema": keys("x"), "Projection": {"ProjectionType": "ALL"}});
    let transact = |actions: Value| json!({"TransactItems": actions, "ClientRequestToken": "t"});
    h.configure("maxmemory", "1");
    let requests = [
        ("PutItem", item.clone()),
        ("UpdateItem", update.clone()),
        ("UpdateItem", of("n", &json!({}))),
        (
            "BatchWriteItem",
            json!({"RequestItems": {"abc": [{"DeleteRequest": {"Key": key("a")}}, {"PutRequest": {"Item": key("n")}}]}}),
        ),
        ("TransactWriteItems", transact(json!([{"Delete": of("a", &json!({}))}, {"Put": item}]))),
        ("TransactWriteItems", transact(json!([{"Update": update}]))),
        (
            "CreateTable",
            json!({"TableName": "new", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attribute, "KeySchema": keys("x")}),
        ),
        (
            "UpdateTable",
            json!({"TableName": "abc", "AttributeDefinitions": attribute, "GlobalSecondaryIndexUpdates": [{"Create": index}]}),
        ),
        (
            "UpdateTable",
            json!({"TableName": "abc", "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"}}),
        ),
    ];
    for (operation, body) in &requests {
        assert_eq!(call(&mut h, operation, body), refused("ThrottlingException", OOM), "{operation} {body}");
    }
    for line in [
        "ITEM.PUT abc n SET 1 x y",
        "ITEM.UPDATE abc n SET 1 x y",
        "ITEM.UPDATE abc n REMOVE 1 x EXPR 'SET y = 1'",
        "TABLE.CREATE new PK x",
        "TABLE.INDEX ADD abc byx PK x",
        "TABLE.ALTER abc STREAM KEYS",
    ] {
        assert_eq!(h.run(line), format!("-{OOM}"), "{line}");
    }
    // A request with another fault is refused for that fault, and nothing has changed.
    assert_eq!(
        call(&mut h, "PutItem", &json!({"TableName": "none", "Item": key("n")}))["__type"],
        "ResourceNotFoundException"
    );
    assert_eq!(call(&mut h, "Scan", &json!({"TableName": "abc"}))["Count"], 4);
    // The refused transaction was not remembered with its token; the one that was carried out was.
    h.configure("maxmemory", "0");
    let carried_out = &requests[4];
    assert_eq!(call(&mut h, carried_out.0, &carried_out.1), json!({}));
    h.configure("maxmemory", "1");
    assert_eq!(call(&mut h, carried_out.0, &carried_out.1), json!({}));
    assert_eq!(
        call(&mut h, "TransactWriteItems", &requests[5].1)["__type"],
        "IdempotentParameterMismatchException"
    );
}

#[test]
fn a_transaction_is_refused_as_a_whole() {
    let mut h = filled();
    h.run("MULTI");
    h.run("ITEM.DEL abc a");
    h.run("ITEM.UPDATE abc b REMOVE 1 x");
    h.configure("maxmemory", "1");
    assert_eq!(h.run("EXEC"), format!("-EXECABORT Transaction discarded because of: {OOM}"));
    h.configure("maxmemory", "0");
    assert_eq!(call(&mut h, "Scan", &json!({"TableName": "abc"}))["Count"], 4);
}

#[test]
fn a_transaction_that_was_carried_out_under_its_token_is_told_so() {
    let mut h = filled();
    let lines = |token: &str, last: &str| {
        [
            "MULTI".to_owned(),
            format!("ITEM.ATOMIC{token}"),
            "ITEM.DEL abc a".to_owned(),
            last.to_owned(),
            "EXEC".to_owned(),
        ]
    };
    let mut send = |memory: &str, lines: [String; 5]| {
        h.configure("maxmemory", memory);
        let replies: Vec<String> = lines.iter().map(|line| h.run(line)).collect();
        h.configure("maxmemory", "0");
        (replies[1].clone(), replies[4].clone())
    };
    let queued = "+QUEUED".to_owned();
    let refused = format!("-EXECABORT Transaction discarded because of: {OOM}");
    let put = "ITEM.PUT abc n SET 1 x y";
    assert_eq!(send("1", lines(" TOKEN t", put)), (queued.clone(), refused));
    let done = (queued.clone(), "[+OK :1 +OK]".to_owned());
    assert_eq!(send("0", lines(" TOKEN t", put)), done);
    assert_eq!(send("1", lines(" TOKEN t", put)), done, "it comes again");
    // A command that frees memory runs. Without a token nothing is queued, as in Redis.
    assert_eq!(send("1", lines(" TOKEN u", "ITEM.DEL abc b")), (queued, "[+OK :0 :1]".to_owned()));
    assert_eq!(send("1", lines("", "ITEM.DEL abc c")).0, format!("-{OOM}"));
}
