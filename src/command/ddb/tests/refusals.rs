//! Tests of refusals, in AWS's words.

use super::{call, invalid, refused, table};
use crate::command::testing::Harness;
use serde_json::{Value, json};

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
                "1 validation error detected: Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
            ),
        ),
        (
            "BatchWriteItem",
            json!({"RequestItems": {}}),
            invalid("The requestItems parameter is required for BatchWriteItem"),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {"abc": {"Keys": vec![&key; 101]}}}),
            invalid(
                "1 validation error detected: Value at 'RequestItems.abc.member.Keys' failed to satisfy constraint: Member must have length less than or equal to 100",
            ),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {"none": {"Keys": [key, key]}}}),
            invalid("Provided list of item keys contains duplicates"),
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
fn constraints_name_where_they_were_violated() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let key = json!({"id": {"S": "a"}});
    let null =
        |path: &str| format!("Value null at '{path}' failed to satisfy constraint: Member must not be null");
    let one = |text: String| invalid(&format!("1 validation error detected: {text}"));
    let writes = |list: Value| json!({"RequestItems": {"abc": list}});
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
fn values_that_nest_without_end_are_too_deep() {
    let mut h = Harness::new();
    table(&mut h, "abc", None);
    let too_deep = invalid(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
    );
    for levels in [32, 60, 64, 500, 10_000] {
        let value = format!("{}{{\"S\":\"[\\\"\"}}{}", "{\"M\":{\"a\":".repeat(levels), "}}".repeat(levels));
        let body = format!("{{\"TableName\":\"abc\",\"Item\":{{\"id\":{{\"S\":\"a\"}},\"x\":{value}}}}}");
        let reply = h.call_as(0, &[b"DDB", b"PutItem", body.as_bytes()]);
        let error = String::from_utf8(reply.as_error().unwrap().to_vec()).unwrap();
        assert!(error.contains(too_deep["message"].as_str().unwrap()), "{levels}: {error}");
    }
}
