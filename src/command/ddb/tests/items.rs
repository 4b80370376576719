//! Tests of single items and of pages of items.

use super::{call, invalid, put, refused, table};
use crate::command::testing::Harness;
use serde_json::{Value, json};

#[test]
fn items_are_put_got_updated_and_deleted() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let item = json!({"id": {"S": "a"}, "n": {"N": "1.0"}, "l": {"L": [{"BOOL": true}, {"NULL": true}]}, "b": {"B": "AQI="}});
    put(&mut h, "abc", item);
    let stored = json!({"b": {"B": "AQI="}, "id": {"S": "a"}, "l": {"L": [{"BOOL": true}, {"NULL": true}]}, "n": {"N": "1"}});
    let key = json!({"id": {"S": "a"}});
    assert_eq!(
        call(&mut h, "GetItem", &json!({"TableName": "abc", "Key": key, "ReturnConsumedCapacity": "TOTAL"})),
        json!({"Item": stored, "ConsumedCapacity": {"TableName": "abc", "CapacityUnits": 0.5}})
    );
    assert_eq!(
        call(
            &mut h,
            "GetItem",
            &json!({"TableName": "abc", "Key": key, "ConsistentRead": true, "ProjectionExpression": "#n, l[0]",
            "ExpressionAttributeNames": {"#n": "n"}, "ReturnConsumedCapacity": "INDEXES"})
        ),
        json!({"Item": {"l": {"L": [{"BOOL": true}]}, "n": {"N": "1"}},
            "ConsumedCapacity": {"TableName": "abc", "CapacityUnits": 1.0, "Table": {"CapacityUnits": 1.0}}})
    );
    assert_eq!(
        call(&mut h, "GetItem", &json!({"TableName": "abc", "Key": {"id": {"S": "none"}}})),
        json!({})
    );
    let update = |returns: &str| {
        json!({"TableName": "abc", "Key": key, "UpdateExpression": "SET n = n + :one REMOVE b", "ConditionExpression": "n < :many",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":many": {"N": "4"}}, "ReturnValues": returns})
    };
    assert_eq!(
        call(&mut h, "UpdateItem", &update("UPDATED_OLD")),
        json!({"Attributes": {"b": {"B": "AQI="}, "n": {"N": "1"}}})
    );
    assert_eq!(call(&mut h, "UpdateItem", &update("UPDATED_NEW")), json!({"Attributes": {"n": {"N": "3"}}}));
    assert_eq!(
        call(&mut h, "UpdateItem", &update("ALL_NEW")),
        json!({"Attributes": {"id": {"S": "a"}, "l": {"L": [{"BOOL": true}, {"NULL": true}]}, "n": {"N": "4"}}})
    );
    assert_eq!(
        call(&mut h, "UpdateItem", &update("NONE")),
        refused("ConditionalCheckFailedException", "The conditional request failed")
    );
    let delete = json!({"TableName": "abc", "Key": key, "ConditionExpression": "attribute_not_exists(id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD"});
    let reply = call(&mut h, "DeleteItem", &delete);
    assert_eq!(
        (&reply["__type"], &reply["Item"]["n"]),
        (&json!("ConditionalCheckFailedException"), &json!({"N": "4"}))
    );
    let delete =
        json!({"TableName": "abc", "Key": key, "ReturnValues": "ALL_OLD", "ReturnConsumedCapacity": "TOTAL"});
    let reply = call(&mut h, "DeleteItem", &delete);
    assert_eq!(
        (&reply["Attributes"]["n"], &reply["ConsumedCapacity"]["CapacityUnits"]),
        (&json!({"N": "4"}), &json!(1.0))
    );
    assert_eq!(
        call(&mut h, "DeleteItem", &json!({"TableName": "abc", "Key": key, "ReturnValues": "ALL_OLD"})),
        json!({})
    );
    assert_eq!(
        call(
            &mut h,
            "UpdateItem",
            &json!({"TableName": "abc", "Key": {"id": {"S": "new"}}, "ReturnValues": "ALL_NEW"})
        ),
        json!({"Attributes": {"id": {"S": "new"}}})
    );
}

#[test]
fn queries_and_scans_page_by_their_last_keys() {
    let mut h = Harness::new();
    table(&mut h, "abc", Some("N"));
    for id in 0..6 {
        for k in 0..5 {
            put(
                &mut h,
                "abc",
                json!({"id": {"S": format!("p{id}")}, "k": {"N": k.to_string()}, "v": {"N": (k * 10).to_string()}}),
            );
        }
    }
    let query = json!({"TableName": "abc", "KeyConditionExpression": "id = :i AND k BETWEEN :a AND :b", "FilterExpression": "v <> :v",
        "ExpressionAttributeValues": {":i": {"S": "p1"}, ":a": {"N": "1"}, ":b": {"N": "4"}, ":v": {"N": "20"}},
        "ScanIndexForward": false, "ProjectionExpression": "k", "Limit": 2, "ReturnConsumedCapacity": "TOTAL"});
    let first = call(&mut h, "Query", &query);
    assert_eq!(
        first,
        json!({"Items": [{"k": {"N": "4"}}, {"k": {"N": "3"}}], "Count": 2, "ScannedCount": 2,
            "LastEvaluatedKey": {"id": {"S": "p1"}, "k": {"N": "3"}}, "ConsumedCapacity": {"TableName": "abc", "CapacityUnits": 0.5}})
    );
    let mut next = query.clone();
    next["ExclusiveStartKey"] = first["LastEvaluatedKey"].clone();
    let second = call(&mut h, "Query", &next);
    assert_eq!((&second["Items"], &second["ScannedCount"]), (&json!([{"k": {"N": "1"}}]), &json!(2)));
    assert_eq!(second["LastEvaluatedKey"], json!({"id": {"S": "p1"}, "k": {"N": "1"}}));
    next["ExclusiveStartKey"] = second["LastEvaluatedKey"].clone();
    let third = call(&mut h, "Query", &next);
    assert_eq!((&third["Items"], &third["LastEvaluatedKey"]), (&json!([]), &Value::Null));
    next["ExclusiveStartKey"] = json!({"id": {"S": "p2"}, "k": {"N": "1"}});
    assert_eq!(
        call(&mut h, "Query", &next),
        invalid("The provided starting key is outside query boundaries based on provided conditions")
    );
    let mismatch = "The provided key element does not match the schema";
    for (start, of_query) in [
        (json!({"id": {"S": "p1"}}), "The provided starting key is invalid"),
        (json!({"id": {"S": "p1"}, "x": {"N": "1"}}), "The provided starting key is invalid"),
        (json!({"id": {"S": "p1"}, "k": {"S": "1"}}), mismatch),
    ] {
        next["ExclusiveStartKey"] = start.clone();
        assert_eq!(call(&mut h, "Query", &next), invalid(of_query), "{start}");
        let scan = json!({"TableName": "abc", "ExclusiveStartKey": start});
        let of_scan = invalid(&format!("The provided starting key is invalid: {mismatch}"));
        assert_eq!(call(&mut h, "Scan", &scan), of_scan);
    }

    let mut seen = Vec::new();
    for segment in 0..3 {
        let mut scan = json!({"TableName": "abc", "Segment": segment, "TotalSegments": 3, "Limit": 4});
        loop {
            let page = call(&mut h, "Scan", &scan);
            seen.extend(
                page["Items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| format!("{} {}", item["id"]["S"], item["k"]["N"])),
            );
            if page["LastEvaluatedKey"].is_null() {
                break;
            }
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 30);
    let count = json!({"TableName": "abc", "Select": "COUNT", "FilterExpression": "v > :v", "ExpressionAttributeValues": {":v": {"N": "15"}}});
    assert_eq!(call(&mut h, "Scan", &count), json!({"Count": 18, "ScannedCount": 30}));
}

#[test]
fn tables_are_named_by_their_arns_too() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    put(&mut h, "arn:aws:dynamodb:us-east-1:000000000000:table/abc", json!({"id": {"S": "a"}}));
    let get = json!({"TableName": "abc", "Key": {"id": {"S": "a"}}, "ConsistentRead": "true", "ReturnConsumedCapacity": "TOTAL"});
    assert_eq!(
        call(&mut h, "GetItem", &get),
        json!({"Item": {"id": {"S": "a"}}, "ConsumedCapacity": {"TableName": "abc", "CapacityUnits": 1.0}})
    );
    let described =
        call(&mut h, "DescribeTable", &json!({"TableName": "arn:aws:dynamodb:us-east-1:0:table/abc"}));
    assert_eq!(described["Table"]["ItemCount"], 1);
}

#[test]
fn an_expired_item_that_was_deleted_does_not_come_back() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let ttl = |on: bool| json!({"TableName": "abc", "TimeToLiveSpecification": {"AttributeName": "t", "Enabled": on}});
    call(&mut h, "UpdateTimeToLive", &ttl(true));
    let at = h.server.engine.clock.now_ms() / 1000 + 1;
    put(&mut h, "abc", json!({"id": {"S": "a"}, "t": {"N": at.to_string()}}));
    h.advance(2000);
    let key = json!({"TableName": "abc", "Key": {"id": {"S": "a"}}, "ReturnValues": "ALL_OLD"});
    assert_eq!(call(&mut h, "DeleteItem", &key), json!({}));
    call(&mut h, "UpdateTimeToLive", &ttl(false));
    assert_eq!(call(&mut h, "Scan", &json!({"TableName": "abc"}))["Count"], 0);
}
