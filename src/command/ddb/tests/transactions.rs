//! Tests of batches and transactions.

use super::{call, indexes, invalid, put, table};
use crate::command::testing::Harness;
use serde_json::{Value, json};

#[test]
fn batches_read_and_write_several_tables() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    table(&mut h, "xyz", Some("S"));
    let write = json!({"RequestItems": {
        "abc": [{"PutRequest": {"Item": {"id": {"S": "a"}}}}, {"DeleteRequest": {"Key": {"id": {"S": "b"}}}}],
        "xyz": [{"PutRequest": {"Item": {"id": {"S": "a"}, "k": {"S": "1"}, "v": {"S": "x"}}}}]}, "ReturnConsumedCapacity": "TOTAL"});
    assert_eq!(
        call(&mut h, "BatchWriteItem", &write),
        json!({"UnprocessedItems": {}, "ConsumedCapacity": [{"TableName": "abc", "CapacityUnits": 2.0}, {"TableName": "xyz", "CapacityUnits": 1.0}]})
    );
    let get = json!({"RequestItems": {
        "abc": {"Keys": [{"id": {"S": "a"}}, {"id": {"S": "b"}}]},
        "xyz": {"Keys": [{"id": {"S": "a"}, "k": {"S": "1"}}], "ProjectionExpression": "v"}}});
    assert_eq!(
        call(&mut h, "BatchGetItem", &get),
        json!({"Responses": {"abc": [{"id": {"S": "a"}}], "xyz": [{"v": {"S": "x"}}]}, "UnprocessedKeys": {}})
    );
    let many = |table: &str| -> Vec<Value> {
        let one =
            |n: i32| json!({"PutRequest": {"Item": {"id": {"S": format!("{table}{n}")}, "k": {"S": "1"}}}});
        (0..13).map(one).collect()
    };
    let both = json!({"RequestItems": {"abc": many("abc"), "xyz": many("xyz")}});
    assert_eq!(
        call(&mut h, "BatchWriteItem", &both),
        invalid("Too many items requested for the BatchWriteItem call")
    );
}

#[test]
fn a_reply_calls_a_table_as_the_request_did() {
    let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/threads";
    let key = json!({"forum": {"S": "f"}, "subject": {"S": "a"}});
    let item = json!({"forum": {"S": "f"}, "subject": {"S": "a"}, "hits": {"N": "1"}});
    let get = |table: &str| json!({"TableName": table, "Key": key});
    let requests = |table: &str| {
        let query = json!({"TableName": table, "KeyConditionExpression": "forum = :f", "ExpressionAttributeValues": {":f": {"S": "f"}}});
        let put = json!({"TableName": table, "Item": item});
        let values = json!({":n": {"N": "1"}});
        let update = json!({"TableName": table, "Key": key, "UpdateExpression": "ADD hits :n", "ExpressionAttributeValues": values});
        [
            ("PutItem", put),
            ("UpdateItem", update.clone()),
            ("GetItem", get(table)),
            ("Query", query),
            ("Scan", json!({"TableName": table, "IndexName": "hits"})),
            ("BatchWriteItem", json!({"RequestItems": {table: [{"PutRequest": {"Item": item}}]}})),
            ("BatchGetItem", json!({"RequestItems": {table: {"Keys": [key]}}})),
            ("TransactWriteItems", json!({"TransactItems": [{"Update": update}]})),
            ("TransactGetItems", json!({"TransactItems": [{"Get": get(table)}]})),
            ("DeleteItem", get(table)),
        ]
    };
    let send = |table: &str| {
        let mut h = Harness::new();
        indexes::filled(&mut h);
        requests(table).map(|(operation, mut body)| {
            body["ReturnConsumedCapacity"] = "INDEXES".into();
            if operation.contains("Write") || matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem") {
                body["ReturnItemCollectionMetrics"] = "SIZE".into();
            }
            call(&mut h, operation, &body).to_string()
        })
    };
    for (by_name, by_arn) in send("threads").iter().zip(send(arn)) {
        assert!(by_name.contains(r#""TableName":"threads""#), "{by_name}");
        assert_eq!(by_name.replace("threads", arn), by_arn);
    }
}

#[test]
fn a_batch_may_name_a_table_in_two_ways() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/abc";
    let keys = |from: usize| -> Vec<Value> {
        (from..from + 30).map(|n| json!({"id": {"S": format!("{n:03}")}})).collect()
    };
    for key in keys(0).into_iter().chain(keys(30)) {
        let mut item = key;
        item["x"] = json!({"S": "y".repeat(300 * 1024)});
        put(&mut h, "abc", item);
    }
    let get = json!({"RequestItems": {"abc": {"Keys": keys(0)}, arn: {"Keys": keys(30)}}, "ReturnConsumedCapacity": "TOTAL"});
    let text = h.call_as(0, &[b"DDB", b"BatchGetItem", get.to_string().as_bytes()]);
    let reply: Value = serde_json::from_slice(text.as_bytes().unwrap()).unwrap();
    let count = |name: &str| reply["Responses"][name].as_array().unwrap().len();
    let left = |name: &str| reply["UnprocessedKeys"][name]["Keys"].as_array().map_or(0, Vec::len);
    assert_eq!((count("abc") + count(arn), count("abc") + left("abc"), count(arn) + left(arn)), (54, 30, 30));
    let consumed: Vec<&Value> =
        reply["ConsumedCapacity"].as_array().unwrap().iter().map(|one| &one["TableName"]).collect();
    assert_eq!(consumed, ["abc", arn]);
    let again = json!({"RequestItems": reply["UnprocessedKeys"]});
    assert_eq!(call(&mut h, "BatchGetItem", &again)["UnprocessedKeys"], json!({}));
    let put = |n: &str| json!([{"PutRequest": {"Item": {"id": {"S": n}}}}]);
    let write = json!({"RequestItems": {"abc": put("a"), arn: put("b")}, "ReturnConsumedCapacity": "TOTAL"});
    let reply = call(&mut h, "BatchWriteItem", &write);
    assert_eq!(
        reply["ConsumedCapacity"],
        json!([{"TableName": "abc", "CapacityUnits": 1.0}, {"TableName": arn, "CapacityUnits": 1.0}])
    );
    let same = json!({"RequestItems": {"abc": put("a"), arn: put("a")}});
    assert_eq!(
        call(&mut h, "BatchWriteItem", &same),
        invalid("Provided list of item keys contains duplicates")
    );
}

#[test]
fn transactions_say_why_they_were_cancelled_and_run_once() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    put(&mut h, "abc", json!({"id": {"S": "a"}, "n": {"N": "1"}}));
    let update = |expected: &str, token: &str| {
        json!({"ClientRequestToken": token, "ReturnConsumedCapacity": "TOTAL", "TransactItems": [
            {"Update": {"TableName": "abc", "Key": {"id": {"S": "a"}}, "UpdateExpression": "SET n = n + :d",
                "ConditionExpression": "n = :n", "ExpressionAttributeValues": {":d": {"N": "1"}, ":n": {"N": expected}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
            {"Put": {"TableName": "abc", "Item": {"id": {"S": "b"}}}}]})
    };
    assert_eq!(
        call(&mut h, "TransactWriteItems", &update("5", "t")),
        json!({"__type": "TransactionCanceledException",
            "CancellationReasons": [{"Item": {"id": {"S": "a"}, "n": {"N": "1"}}, "Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}, {"Code": "None"}],
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed, None]"})
    );
    let capacity = json!([{"TableName": "abc", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}]);
    assert_eq!(call(&mut h, "TransactWriteItems", &update("1", "t")), json!({"ConsumedCapacity": capacity}));
    // The repeated request costs reads of the items.
    let capacity = json!([{"TableName": "abc", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}]);
    assert_eq!(call(&mut h, "TransactWriteItems", &update("1", "t")), json!({"ConsumedCapacity": capacity}));
    assert_eq!(
        call(&mut h, "TransactWriteItems", &update("2", "t"))["__type"],
        "IdempotentParameterMismatchException"
    );
    let get = json!({"TransactItems": [{"Get": {"TableName": "abc", "Key": {"id": {"S": "a"}}}}, {"Get": {"TableName": "abc", "Key": {"id": {"S": "c"}}}}]});
    assert_eq!(
        call(&mut h, "TransactGetItems", &get),
        json!({"Responses": [{"Item": {"id": {"S": "a"}, "n": {"N": "2"}}}, {}]})
    );
}

#[test]
fn what_does_not_fit_a_table_cancels_its_transaction() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let check = json!({"ConditionCheck": {"TableName": "abc", "Key": {"id": {"S": "a"}}, "ConditionExpression": "attribute_exists(id)"}});
    let mut cancelled = |action: Value| -> Value {
        let reply = call(&mut h, "TransactWriteItems", &json!({"TransactItems": [check, action]}));
        assert!(
            reply["__type"] != "TransactionCanceledException"
                || reply["CancellationReasons"][0]["Code"] == "None"
        );
        match reply.get("CancellationReasons") {
            Some(reasons) => json!([reasons[1]["Code"], reasons[1]["Message"]]),
            None => reply["message"].clone(),
        }
    };
    let key = json!({"id": {"S": "b"}});
    let update = |expression: &str| json!({"Update": {"TableName": "abc", "Key": key, "UpdateExpression": expression, "ExpressionAttributeValues": {":v": {"S": "x"}}}});
    for (action, message) in [
        (
            json!({"Put": {"TableName": "abc", "Item": {"id": {"N": "1"}}}}),
            "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N",
        ),
        (
            json!({"Put": {"TableName": "abc", "Item": {"x": {"N": "1"}}}}),
            "One or more parameter values were invalid: Missing the key id in the item",
        ),
        (
            json!({"Delete": {"TableName": "abc", "Key": {"id": {"N": "1"}}}}),
            "The provided key element does not match the schema",
        ),
        (
            update("SET id = :v"),
            "One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key",
        ),
    ] {
        assert_eq!(cancelled(action), json!(["ValidationError", message]));
    }
    let empty = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id";
    assert_eq!(cancelled(json!({"Delete": {"TableName": "abc", "Key": {"id": {"S": ""}}}})), empty);
    assert_eq!(cancelled(json!({"Put": {"TableName": "abc", "Item": {"id": {"S": ""}}}})), empty);
    let long = json!({"id": {"S": "k".repeat(2049)}});
    assert_eq!(
        cancelled(json!({"Delete": {"TableName": "abc", "Key": long}})),
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    );
}

#[test]
fn a_batch_of_gets_ends_before_sixteen_megabytes() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let id = |n: usize| json!({"id": {"S": format!("{n:03}")}});
    for n in 0..60 {
        let mut item = id(n);
        item["x"] = json!({"S": "y".repeat(300 * 1024)});
        put(&mut h, "abc", item);
    }
    let keys: Vec<Value> = (0..60).map(id).collect();
    let reply = call(
        &mut h,
        "BatchGetItem",
        &json!({"RequestItems": {"abc": {"Keys": keys, "ConsistentRead": true}}}),
    );
    assert_eq!(reply["Responses"]["abc"].as_array().unwrap().len(), 54);
    let left = &reply["UnprocessedKeys"]["abc"];
    assert_eq!((&left["Keys"], &left["ConsistentRead"]), (&json!(keys[54..]), &json!(true)));
}

#[test]
fn a_transaction_reads_no_more_than_four_megabytes() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let key = |n: usize| json!({"id": {"S": format!("{n:03}")}});
    // Name and value of the key have 5 bytes, the name of the other attribute has one.
    let mut fill = |n: usize, bytes: usize| {
        let mut item = key(n);
        item["x"] = json!({"S": "y".repeat(bytes - 6)});
        put(&mut h, "abc", item);
    };
    (0..16).for_each(|n| fill(n, (4 << 20) / 16));
    fill(16, 6);
    let mut read = |count: usize, more: &Value| {
        let get = |n: usize| {
            let mut get = json!({"TableName": "abc", "Key": key(n)});
            more.as_object().unwrap().iter().for_each(|(name, value)| get[name] = value.clone());
            json!({"Get": get})
        };
        call(&mut h, "TransactGetItems", &json!({"TransactItems": (0..count).map(get).collect::<Vec<_>>()}))
    };
    assert_eq!(read(16, &json!({}))["Responses"].as_array().unwrap().len(), 16);
    let refused = invalid("Transaction request cannot exceed the maximum transaction size of 4 MB");
    assert_eq!(read(17, &json!({})), refused);
    assert_eq!(
        read(17, &json!({"ProjectionExpression": "id"})),
        refused,
        "the items count, not what is shown of them"
    );
}

#[test]
fn a_transaction_costs_its_items_twice_and_entries_of_indexes_once() {
    let mut h = Harness::new();
    indexes::filled(&mut h);
    let key = |subject: &str| json!({"forum": {"S": "f"}, "subject": {"S": subject}});
    let item = |bytes: usize| json!({"forum": {"S": "f"}, "subject": {"S": "new"}, "hits": {"N": "1"}, "by": {"S": "x"}, "text": {"S": "t".repeat(bytes)}});
    let put = json!({"TransactItems": [{"Put": {"TableName": "threads", "Item": item(1000)}}], "ReturnConsumedCapacity": "INDEXES"});
    let units = |units: f64| json!({"CapacityUnits": units, "WriteCapacityUnits": units});
    assert_eq!(
        call(&mut h, "TransactWriteItems", &put)["ConsumedCapacity"],
        json!([{"TableName": "threads", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0, "Table": units(4.0),
            "GlobalSecondaryIndexes": {"author": units(1.0)}, "LocalSecondaryIndexes": {"hits": units(1.0)}}])
    );
    // A repeated transaction is charged for the items as the first call had them, not as they are at present.
    let again = json!({"ClientRequestToken": "t", "ReturnConsumedCapacity": "TOTAL", "TransactItems": [
        {"Put": {"TableName": "threads", "Item": item(9000)}},
        {"Delete": {"TableName": "threads", "Key": key("a")}},
        {"ConditionCheck": {"TableName": "threads", "Key": key("b"), "ConditionExpression": "attribute_exists(subject)"}}]});
    call(
        &mut h,
        "PutItem",
        &json!({"TableName": "threads", "Item": {"forum": {"S": "f"}, "subject": {"S": "a"}, "text": {"S": "t".repeat(5000)}}}),
    );
    let first = call(&mut h, "TransactWriteItems", &again);
    assert!(first["ConsumedCapacity"][0]["WriteCapacityUnits"].as_f64() > Some(20.0), "{first}");
    let consumed = json!([{"TableName": "threads", "CapacityUnits": 12.0, "ReadCapacityUnits": 12.0}]);
    assert_eq!(call(&mut h, "TransactWriteItems", &again)["ConsumedCapacity"], consumed);
    for subject in ["new", "b"] {
        call(&mut h, "DeleteItem", &json!({"TableName": "threads", "Key": key(subject)}));
    }
    assert_eq!(call(&mut h, "TransactWriteItems", &again)["ConsumedCapacity"], consumed);
    h.advance(10 * 60 * 1000);
    assert_eq!(call(&mut h, "TransactWriteItems", &again)["__type"], "TransactionCanceledException");
}

#[test]
fn a_projection_that_finds_nothing_shows_no_item_of_a_transaction() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    put(&mut h, "abc", json!({"id": {"S": "a"}, "m": {"M": {"x": {"N": "1"}}}, "l": {"L": []}}));
    let get =
        |paths: &str| json!({"TableName": "abc", "Key": {"id": {"S": "a"}}, "ProjectionExpression": paths});
    for paths in ["b", "m.y", "l[0]", "b, m.x.z"] {
        let gets = json!({"TransactItems": [{"Get": get(paths)}, {"Get": {"TableName": "abc", "Key": {"id": {"S": "b"}}}}]});
        assert_eq!(call(&mut h, "TransactGetItems", &gets), json!({"Responses": [{}, {}]}), "{paths}");
        assert_eq!(call(&mut h, "GetItem", &get(paths)), json!({"Item": {}}), "{paths}");
    }
    let gets = json!({"TransactItems": [{"Get": get("b, m.x")}]});
    assert_eq!(
        call(&mut h, "TransactGetItems", &gets),
        json!({"Responses": [{"Item": {"m": {"M": {"x": {"N": "1"}}}}}]})
    );
}

#[test]
fn a_request_is_the_same_in_any_order_of_its_members() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let mut send = |item: &str| {
        let body = format!(
            r#"{{"ClientRequestToken":"t","TransactItems":[{{"Update":{{{item},"TableName":"abc","Key":{{"id":{{"S":"a"}}}}}}}}]}}"#
        );
        let reply = h.call_as(0, &[b"DDB", b"TransactWriteItems", body.as_bytes()]);
        reply.as_error().is_none()
    };
    let text = r#""UpdateExpression":"ADD n :n, s :s""#;
    assert!(send(&format!(
        r#"{text},"ExpressionAttributeValues":{{":n":{{"N":"1"}},":s":{{"SS":["a","b"]}}}}"#
    )));
    assert!(send(&format!(
        r#""ExpressionAttributeValues":{{":s":{{"SS":["b","a"]}},":n":{{"N":"1"}}}},{text}"#
    )));
    assert!(!send(&format!(
        r#"{text},"ExpressionAttributeValues":{{":n":{{"N":"2"}},":s":{{"SS":["a","b"]}}}}"#
    )));
    assert!(!send(&format!(
        r#"{text},"ExpressionAttributeValues":{{":n":{{"N":"1"}},":s":{{"SS":["a","c"]}}}}"#
    )));
    let got = call(&mut h, "GetItem", &json!({"TableName": "abc", "Key": {"id": {"S": "a"}}}));
    assert_eq!(got["Item"]["n"], json!({"N": "1"}));
}
