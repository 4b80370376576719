use crate::command::testing::Harness;
use serde_json::{Value, json};

/// A reply or an error as JSON, the error's type without what is before `#`.
pub(super) fn call(h: &mut Harness, operation: &str, body: &Value) -> Value {
    let text = body.to_string();
    let reply = h.call_as(0, &[b"DDB", operation.as_bytes(), text.as_bytes()]);
    if let Some(error) = reply.as_error() {
        let json =
            error.strip_prefix(b"DDB ").unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(error)));
        let mut json: Value = serde_json::from_slice(json).unwrap();
        let kind = json["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        json["__type"] = kind.into();
        return json;
    }
    serde_json::from_slice(reply.as_bytes().unwrap()).unwrap()
}

pub(super) fn refused(kind: &str, message: &str) -> Value {
    json!({"__type": kind, "message": message})
}

pub(super) fn invalid(message: &str) -> Value {
    refused("ValidationException", message)
}

fn table(h: &mut Harness, name: &str, sort: Option<&str>) {
    let mut attributes = vec![json!({"AttributeName": "id", "AttributeType": "S"})];
    let mut keys = vec![json!({"AttributeName": "id", "KeyType": "HASH"})];
    if let Some(kind) = sort {
        attributes.push(json!({"AttributeName": "k", "AttributeType": kind}));
        keys.push(json!({"AttributeName": "k", "KeyType": "RANGE"}));
    }
    let body = json!({"TableName": name, "AttributeDefinitions": attributes, "KeySchema": keys, "BillingMode": "PAY_PER_REQUEST"});
    let reply = call(h, "CreateTable", &body);
    assert_eq!(reply["TableDescription"]["TableStatus"], "CREATING", "{reply}");
}

pub(super) fn put(h: &mut Harness, table: &str, item: Value) {
    assert_eq!(call(h, "PutItem", &json!({"TableName": table, "Item": item})), json!({}));
}

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
fn requests_are_refused_in_awss_words() {
    let mut h = Harness::new();
    table(&mut h, "abc", Some("N"));
    let key = json!({"id": {"S": "a"}, "k": {"N": "1"}});
    for (operation, body, error) in [
        (
            "GetItem",
            json!({}),
            invalid(
                "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null; Value null at 'key' failed to satisfy constraint: Member must not be null",
            ),
        ),
        (
            "DescribeTable",
            json!({}),
            invalid("The parameter 'TableName' is required but was not present in the request"),
        ),
        (
            "DescribeTable",
            json!({"TableName": "ab"}),
            invalid("TableName must be at least 3 characters long and at most 255 characters long"),
        ),
        (
            "GetItem",
            json!({"Key": key, "TableName": "a b"}),
            invalid(
                "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
            ),
        ),
        (
            "GetItem",
            json!({"Key": key, "TableName": "ab"}),
            refused("ResourceNotFoundException", "Requested resource not found"),
        ),
        (
            "GetItem",
            json!({"Key": key, "TableName": "none"}),
            refused("ResourceNotFoundException", "Requested resource not found"),
        ),
        (
            "GetItem",
            json!({"Key": {"id": {"S": "a"}}, "TableName": "abc"}),
            invalid("The provided key element does not match the schema"),
        ),
        (
            "GetItem",
            json!({"Key": key, "TableName": "abc", "ProjectionExpression": "id, id"}),
            invalid(
                "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [id], path two: [id]",
            ),
        ),
        (
            "GetItem",
            json!({"Key": key, "TableName": "abc", "ExpressionAttributeNames": {"#a": "b"}}),
            invalid("ExpressionAttributeNames can only be specified when using expressions"),
        ),
        (
            "PutItem",
            json!({"Item": key, "TableName": "abc", "ReturnValues": "ALL_NEW"}),
            invalid("ReturnValues can only be ALL_OLD or NONE"),
        ),
        (
            "PutItem",
            json!({"Item": key, "TableName": "abc", "ReturnValues": "x", "ReturnConsumedCapacity": "y"}),
            invalid(
                "2 validation errors detected: Value 'y' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; Value 'x' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",
            ),
        ),
        (
            "PutItem",
            json!({"Item": {"id": {"S": ""}, "k": {"N": "1"}}, "TableName": "abc"}),
            invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id",
            ),
        ),
        (
            "PutItem",
            json!({"Item": {"id": {"N": "x"}}, "TableName": "abc"}),
            invalid("The parameter cannot be converted to a numeric value: x"),
        ),
        (
            "PutItem",
            json!({"Item": {"id": {}}, "TableName": "abc"}),
            invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        ),
        (
            "PutItem",
            json!({"Item": key, "TableName": "abc", "ExpressionAttributeValues": {":a": {"S": "b"}}}),
            invalid(
                "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
            ),
        ),
        (
            "PutItem",
            json!({"Item": key, "TableName": "abc", "Expected": {}}),
            invalid("The legacy parameter Expected is not supported, use expressions instead"),
        ),
        (
            "UpdateItem",
            json!({"Key": key, "TableName": "abc", "UpdateExpression": "SET k = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}),
            invalid(
                "One or more parameter values were invalid: Cannot update attribute k. This attribute is part of the key",
            ),
        ),
        (
            "UpdateItem",
            json!({"Key": key, "TableName": "abc", "UpdateExpression": "SET name = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}),
            invalid("Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: name"),
        ),
        (
            "Query",
            json!({"TableName": "abc"}),
            invalid(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            ),
        ),
        (
            "Query",
            json!({"TableName": "abc", "Limit": 0, "KeyConditionExpression": "id = :i", "ExpressionAttributeValues": {":i": {"S": "a"}}}),
            invalid(
                "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
            ),
        ),
        (
            "Query",
            json!({"TableName": "abc", "KeyConditionExpression": "k = :i", "ExpressionAttributeValues": {":i": {"N": "1"}}}),
            invalid("Query condition missed key schema element: id"),
        ),
        (
            "Scan",
            json!({"TableName": "abc", "Segment": 4, "TotalSegments": 4}),
            invalid(
                "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 4 is not less than TotalSegments: 4",
            ),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {}}),
            invalid(
                "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
            ),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {"abc": {"Keys": [key, key]}}}),
            invalid("Provided list of item keys contains duplicates"),
        ),
        (
            "TransactWriteItems",
            json!({"TransactItems": [{"Delete": {"TableName": "abc", "Key": key}}, {"ConditionCheck": {"TableName": "abc", "Key": key, "ConditionExpression": "attribute_exists(id)"}}]}),
            invalid("Transaction request cannot include multiple operations on one item"),
        ),
        (
            "DescribeTable",
            json!({"TableName": "none"}),
            refused("ResourceNotFoundException", "Requested resource not found: Table: none not found"),
        ),
    ] {
        assert_eq!(call(&mut h, operation, &body), error, "{operation} {body}");
    }
    for (body, message) in [
        (json!([]), "Unexpected token received from parser"),
        (json!({"TableName": 5}), "NUMBER_VALUE cannot be converted to String"),
        (
            json!({"Key": []}),
            "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        (json!({"ConsistentRead": "maybe"}), "Unexpected token received from parser"),
        (json!({"Key": {"id": {"S": 5}}}), "NUMBER_VALUE cannot be converted to String"),
    ] {
        let error = json!({"__type": "SerializationException", "Message": message});
        assert_eq!(call(&mut h, "GetItem", &body), error, "{body}");
    }
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
    assert_eq!(call(&mut h, "TransactWriteItems", &update("1", "t")), json!({"ConsumedCapacity": []}));
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
fn tables_are_described_changed_and_dropped() {
    let mut h = Harness::new();
    let create = json!({"TableName": "abc", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "Tags": [{"Key": "team", "Value": "x"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}, "DeletionProtectionEnabled": true});
    let description = json!({"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "TableName": "abc",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "TableStatus": "CREATING", "CreationDateTime": 1_700_000_000.0,
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        "TableSizeBytes": 0, "ItemCount": 0, "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/abc",
        "TableId": "00000000-0000-4000-8000-000000000010", "DeletionProtectionEnabled": true});
    assert_eq!(call(&mut h, "CreateTable", &create), json!({"TableDescription": description}));
    assert_eq!(
        call(&mut h, "CreateTable", &create),
        refused("ResourceInUseException", "Table already exists: abc")
    );
    let name = json!({"TableName": "abc"});
    assert_eq!(call(&mut h, "DescribeTable", &name)["Table"]["TableStatus"], "ACTIVE");
    let ttl = |enabled: bool, attribute: &str| json!({"TableName": "abc", "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled}});
    assert_eq!(
        call(&mut h, "UpdateTimeToLive", &ttl(false, "until")),
        invalid("TimeToLive is already disabled")
    );
    assert_eq!(
        call(&mut h, "UpdateTimeToLive", &ttl(true, "until")),
        json!({"TimeToLiveSpecification": {"Enabled": true, "AttributeName": "until"}})
    );
    assert_eq!(
        call(&mut h, "UpdateTimeToLive", &ttl(true, "until")),
        invalid("TimeToLive is already enabled")
    );
    assert_eq!(
        call(&mut h, "DescribeTimeToLive", &name),
        json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}})
    );
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/abc";
    assert_eq!(
        call(&mut h, "TagResource", &json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]})),
        json!({})
    );
    assert_eq!(call(&mut h, "UntagResource", &json!({"ResourceArn": arn, "TagKeys": ["team"]})), json!({}));
    assert_eq!(
        call(&mut h, "ListTagsOfResource", &json!({"ResourceArn": arn})),
        json!({"Tags": [{"Key": "a", "Value": "b"}]})
    );
    let protected = "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.";
    assert_eq!(call(&mut h, "DeleteTable", &name), invalid(protected));
    let update =
        json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": false});
    let updated = call(&mut h, "UpdateTable", &update);
    assert_eq!(updated["TableDescription"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(call(&mut h, "ListTables", &json!({"Limit": 1})), json!({"TableNames": ["abc"]}));
    assert_eq!(call(&mut h, "DeleteTable", &name)["TableDescription"]["TableStatus"], "DELETING");
    assert_eq!(call(&mut h, "ListTables", &json!({})), json!({"TableNames": []}));
    for (body, message) in [
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "RANGE"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "x", "AttributeType": "S"}]}),
            "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [id], AttributeDefinitions: [x]",
        ),
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "SS"}]}),
            "1 validation error detected: Value 'SS' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]",
        ),
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}),
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
    ] {
        assert_eq!(call(&mut h, "CreateTable", &body), invalid(message), "{body}");
    }
}

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
fn constraints_name_where_they_were_violated() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let key = json!({"id": {"S": "a"}});
    let null =
        |path: &str| format!("Value null at '{path}' failed to satisfy constraint: Member must not be null");
    let one = |text: String| invalid(&format!("1 validation error detected: {text}"));
    let writes = |list: serde_json::Value| json!({"RequestItems": {"abc": list}});
    let many: Vec<_> =
        (0..26).map(|n| json!({"DeleteRequest": {"Key": {"id": {"S": n.to_string()}}}})).collect();
    let map_value = "failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]";
    let shown = vec!["com.amazonaws.dynamodb.v20120810.WriteRequest"; 26].join(", ");
    for (operation, body, error) in [
        ("BatchWriteItem", writes(json!([])), one(format!("Value '{{abc=[]}}' at 'requestItems' {map_value}"))),
        (
            "BatchWriteItem",
            writes(many.into()),
            one(format!("Value '{{abc=[{shown}]}}' at 'requestItems' {map_value}")),
        ),
        (
            "BatchWriteItem",
            writes(json!([{"PutRequest": {}}])),
            one(null("requestItems.abc.member.1.member.putRequest.item")),
        ),
        (
            "BatchWriteItem",
            writes(json!([{"PutRequest": {"Item": {"x": {"S": "y"}}}}])),
            invalid("The provided key element does not match the schema"),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {"abc": {"Keys": [key], "AttributesToGet": []}}}),
            one("Value '[]' at 'requestItems.abc.member.attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned()),
        ),
        (
            "TransactWriteItems",
            json!({"TransactItems": [{"Delete": {"TableName": "abc", "Key": key}}, {"Update": {"TableName": "abc", "Key": key}}]}),
            one(null("transactItems.2.member.update.updateExpression")),
        ),
        (
            "TransactGetItems",
            json!({"TransactItems": [{"Get": {"Key": key}}]}),
            one(null("transactItems.1.member.get.tableName")),
        ),
        (
            "Query",
            json!({"TableName": "abc", "IndexName": "x", "KeyConditionExpression": "id = :i", "ExpressionAttributeValues": {":i": {"S": "a"}}}),
            one("Value 'x' at 'indexName' failed to satisfy constraint: Member must have length greater than or equal to 3".to_owned()),
        ),
        (
            "ListTables",
            json!({"ExclusiveStartTableName": "a"}),
            one("Value 'a' at 'exclusiveStartTableName' failed to satisfy constraint: Member must have length greater than or equal to 3".to_owned()),
        ),
        ("ListTagsOfResource", json!({}), invalid("Invalid TableArn")),
        (
            "CreateTable",
            json!({"TableName": "new", "KeySchema": [{"AttributeName": "", "KeyType": "HASH"}], "AttributeDefinitions": [], "BillingMode": "PAY_PER_REQUEST"}),
            one("Value '' at 'keySchema.1.member.attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned()),
        ),
    ] {
        assert_eq!(call(&mut h, operation, &body), error, "{operation} {body}");
    }
}

#[test]
fn old_and_new_parameters_do_not_mix() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let mixed = |old: &str, new: &str| {
        invalid(&format!(
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {{{old}}} Expression parameters: {{{new}}}"
        ))
    };
    let query = json!({"TableName": "abc", "KeyConditionExpression": "id = :i", "AttributesToGet": ["a"], "ExpressionAttributeValues": {":i": {"S": "a"}}});
    assert_eq!(call(&mut h, "Query", &query), mixed("AttributesToGet", "KeyConditionExpression"));
    let scan = json!({"TableName": "abc", "ProjectionExpression": "a", "AttributesToGet": ["a"]});
    assert_eq!(call(&mut h, "Scan", &scan), mixed("AttributesToGet", "ProjectionExpression"));
    let get = json!({"TableName": "abc", "Key": {"id": {"S": "a"}}, "AttributesToGet": ["a", "b", "a"]});
    let twice = invalid("One or more parameter values were invalid: Duplicate value in attribute name: a");
    assert_eq!(call(&mut h, "GetItem", &get), twice);
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
